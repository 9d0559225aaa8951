"""The users of a load test under Locust, and the place where their turns come together.

Importing this makes sockets and sleeping gevent's (Locust does so when it is imported), so nothing
but a Locust run imports it.
"""

import math
import os
import time
from dataclasses import replace
from itertools import count
from random import Random
from subprocess import SubprocessError
from typing import Any

import gevent  # type: ignore[import-untyped]
from gevent.event import AsyncResult  # type: ignore[import-untyped]
from gevent.pool import Group  # type: ignore[import-untyped]
from locust import User, constant, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.exception import StopUser
from locust.runners import MasterRunner, WorkerRunner

from benchmarks.load_client import Caller, Manner
from benchmarks.load_collect import Collector
from benchmarks.load_questions import Question, SpokenQuestions, typed
from benchmarks.load_record import Attempt, Heard, TurnRecord
from benchmarks.load_settings import (
    API_KEY,
    LoadSettings,
    add_arguments,
    add_file_arguments,
    comes_back_after_s,
)

_UNKNOWN_ANSWER_S = 5.0


def _runner(environment: Environment) -> Any:
    """What runs the users; it also carries messages between the processes."""
    return environment.runner


class Roll:
    """Gives every user of all processes its number, and the sign to start: when all are there.

    A user asks the master and waits; the master answers once everybody who was ordered has asked.
    """

    def __init__(self) -> None:
        self._asked: dict[int, AsyncResult] = {}
        self._keys = count()

    def number(self, environment: Environment) -> tuple[int, int]:
        """The user's number from 0, and how many there are."""
        key, answer = next(self._keys), AsyncResult()
        self._asked[key] = answer
        _runner(environment).send_message("user_is_there", {"key": key})
        number, n_users = answer.get()
        return int(number), int(n_users)

    def answered(self, msg: Any, **_: Any) -> None:
        waiting = self._asked.pop(msg.data["key"], None)
        if waiting is not None:
            waiting.set((msg.data["number"], msg.data["n_users"]))


class Shared:
    """What the users of one process share; made when a test starts, before its clock runs."""

    def __init__(self, environment: Environment) -> None:
        options: Any = environment.parsed_options
        self.settings = LoadSettings.of(options)
        self.spoken = None if self.settings.question == "typed" else SpokenQuestions(self.settings)
        self.caller = Caller(
            environment.host or "",
            is_stream=self.settings.endpoint == "stream",
            language=self.settings.language,
            key=os.environ.get(API_KEY, ""),
            silence_s=self.settings.silence_s,
        )
        self.cpu_at_start_s = time.process_time()


_roll = Roll()
_shared: dict[str, Shared] = {}


class Visitor(User):
    """Somebody who talks to the face: one turn after the other, or (open arrivals) as it comes."""

    wait_time = constant(0)

    def on_start(self) -> None:
        if "now" not in _shared:
            return
        self._shared = _shared["now"]
        self._settings = self._shared.settings
        self.number, self._n_users = _roll.number(self.environment)
        self._random = Random(f"{self._settings.seed} {self.number}")
        self._patience = Random(f"{self._settings.seed} {self.number} patience")
        self._n_turns = 0
        self._session = ("", 0)
        self._open_turns = Group()
        gevent.sleep(self._settings.start_s * self.number / self._n_users)
        self._started_s = time.monotonic()

    @task
    def turn(self) -> None:
        if "now" not in _shared:  # the test cannot start, and is being ended
            raise StopUser
        if self._is_enough():
            self._open_turns.join()
            self._done()
            raise StopUser
        self._n_turns += 1
        if self._settings.arrivals == "open":
            gevent.sleep(self._random.expovariate(self._settings.rate / self._n_users))
            self._open_turns.spawn(self._converse, self._n_turns)
        else:
            self._converse(self._n_turns)
            gevent.sleep(self._settings.pause_s.draw(self._random))

    def _is_enough(self) -> bool:
        settings, passed_s = self._settings, time.monotonic() - self._started_s
        if settings.minutes and passed_s >= settings.minutes * 60:
            return True
        share, rest = divmod(settings.turns, self._n_users)
        return bool(settings.turns) and self._n_turns >= share + (self.number < rest)

    def _done(self) -> None:
        cpu_s = time.process_time() - self._shared.cpu_at_start_s
        _runner(self.environment).send_message(
            "user_is_done", {"process": os.getpid(), "cpu_s": cpu_s}
        )

    def _converse(self, number: int) -> None:
        """One question, asked until it is let in, its answer played to the end."""
        question, manner = self._question(number), self._manner()
        attempt = Attempt(
            self.number, number, 1, self._settings.endpoint, question,
            self._settings.buffer_s, manner.bytes_per_s is not None,
        )  # fmt: skip
        while True:
            heard = self._shared.caller.ask(question, self._session_for(), manner)
            record = attempt.record(heard)
            if record.outcome != "refused":
                break
            if attempt.attempt == 1:
                attempt = replace(attempt, is_impatient=self._is_impatient())
                record = replace(record, is_impatient=attempt.is_impatient)
            delay_s = comes_back_after_s(heard.retry_after_s, attempt.is_impatient)
            left_s = self._left_s()
            if delay_s >= left_s:  # the end of the run cuts this wait off
                gevent.sleep(left_s)
                record = replace(record, waited_s=(record.waited_s or 0.0) + left_s)
                break
            self._publish(record)
            gevent.sleep(delay_s)
            attempt = attempt.again(heard, is_impatient=attempt.is_impatient)
        self._publish(record)
        self._keep_session(record)
        self._play(heard, record, manner)

    def _left_s(self) -> float:
        """Until no more questions are asked; a run of so many turns has no such moment."""
        if not self._settings.minutes:
            return math.inf
        return max(0.0, self._settings.minutes * 60 - (time.monotonic() - self._started_s))

    def _is_impatient(self) -> bool:
        """Drawn apart, so that the questions do not depend on who was refused."""
        return self._patience.random() < self._settings.impatient

    def _question(self, number: int) -> Question:
        question = self._drawn(number)
        return question if self._settings.check == "rules" else question.unchecked()

    def _drawn(self, number: int) -> Question:
        kind = self._settings.question
        if kind == "mixed":
            kind = "spoken" if self._random.random() < 0.5 else "typed"
        if kind == "typed" or self._shared.spoken is None:
            return typed(self._settings, self.number, number, self._random)
        return self._shared.spoken.draw(self.number, number, self._random)

    def _manner(self) -> Manner:
        settings, random = self._settings, self._random
        leave_s = None
        if random.random() < settings.leave:
            is_typed = settings.question == "typed"
            leave_s = random.uniform(0, settings.answer_s.high if is_typed else _UNKNOWN_ANSWER_S)
        is_slow = random.random() < settings.slow
        return Manner(leave_s, settings.slow_bytes_s if is_slow else None)

    def _session_for(self) -> str:
        return "" if self._settings.arrivals == "open" else self._session[0]

    def _keep_session(self, record: TurnRecord) -> None:
        """A turn that did not end well may have left no session behind."""
        session_id, n_turns = self._session
        if record.is_whole and record.outcome != "broken":
            session_id, n_turns = record.session_id, n_turns + 1
        is_over = n_turns >= self._settings.session_turns
        self._session = ("", 0) if is_over else (session_id, n_turns)

    def _play(self, heard: Heard, record: TurnRecord, manner: Manner) -> None:
        """Stay until the answer has been played, as long as it takes to watch what came."""
        if not heard.viewer.arrivals or record.outcome == "left":
            return
        starts_s = heard.viewer.arrivals[0].at_s + self._settings.buffer_s
        ends_s = starts_s + record.video_s + record.stalled_s
        if manner.leave_after_s is not None:
            ends_s = min(ends_s, heard.sent_s + manner.leave_after_s)
        gevent.sleep(max(0.0, ends_s - time.perf_counter()))

    def _publish(self, record: TurnRecord) -> None:
        _runner(self.environment).send_message("turn_ended", record.json())
        is_bad = record.outcome in ("error", "cut", "broken", "refused")
        self.environment.events.request.fire(
            request_type=record.kind,
            name=f"turn, to the first fragment ({record.endpoint})",
            response_time=(record.ttff_s or record.end_s) * 1000,
            response_length=record.n_bytes,
            exception=RuntimeError(f"{record.outcome} {record.code}{record.fault}")
            if is_bad
            else None,
            context={},
        )


def _on_parser(parser: LocustArgumentParser) -> None:
    add_arguments(parser)
    add_file_arguments(parser)


def _on_init(environment: Environment, runner: Any, **_: Any) -> None:
    if runner is None:  # Locust only lists what it would run
        return
    runner.register_message("user_number", _roll.answered)
    hooks = _hooks(environment.events)
    if not isinstance(runner, WorkerRunner):
        collector = Collector(environment)
        runner.register_message("cannot_start", collector.cannot_start)
        runner.register_message("user_is_there", collector.user_is_there)
        runner.register_message("turn_ended", collector.turn_ended)
        runner.register_message("user_is_done", collector.user_is_done)
        hooks.test_start.add_listener(collector.start)
        hooks.test_stop.add_listener(collector.stop)
    if not isinstance(runner, MasterRunner):
        hooks.test_start.add_listener(_on_test_start)


def _on_test_start(environment: Environment, **_: Any) -> None:
    _shared.clear()
    try:
        _shared["now"] = Shared(environment)
    except (ValueError, OSError, SubprocessError) as error:
        _runner(environment).send_message("cannot_start", {"why": str(error)})


def _hooks(of: Any) -> Any:
    """Locust's hooks carry no types."""
    return of


_hooks(events).init_command_line_parser.add_listener(_on_parser)
_hooks(events).init.add_listener(_on_init)
