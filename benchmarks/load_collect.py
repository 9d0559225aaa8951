"""Where the turns of all of Locust's processes come together: the files and the report."""

import time
from pathlib import Path
from typing import Any

import gevent  # type: ignore[import-untyped]
from locust.env import Environment

from benchmarks.load_record import TurnRecord, write_line
from benchmarks.load_report import Lateness, Run, show_summary, summary
from benchmarks.load_settings import LoadSettings
from benchmarks.machine import Machine
from benchmarks.report import finish, progress

_PROGRESS_EVERY_S = 10.0


class Collector:
    """One test after the other, in the process that started it (Locust's master)."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._runner: Any = environment.runner
        self._options: Any = environment.parsed_options
        self._records: list[TurnRecord] = []
        self._is_running = False

    def start(self, **_: Any) -> None:
        """The test begins; its users are about to."""
        options = self._options
        self._machine = Machine()
        self._records = []
        self._cpu_s: dict[tuple[str, int], float] = {}
        self._n_there = self._n_done = 0
        self._waiting: list[tuple[str | None, int]] = []
        self._turns_file = Path(options.turns_file) if options.turns_file else None
        if self._turns_file is not None:
            self._turns_file.write_text("")
        self._started_s = self._said_s = time.monotonic()
        self._own_cpu_s = time.process_time()
        self._is_running = True

    def cannot_start(self, msg: Any, **_: Any) -> None:
        """Some process cannot do what is asked: there will be no report."""
        if self._is_running:
            self._is_running = False
            progress(f"error: {msg.data['why']}")
            self._environment.process_exit_code = 1
            self._end()

    def _end(self) -> None:
        gevent.spawn(self._runner.quit if self._options.headless else self._runner.stop)

    def user_is_there(self, msg: Any, **_: Any) -> None:
        """Everybody hears together, so that a start together is one."""
        self._waiting.append((msg.node_id, msg.data["key"]))
        n_users = self._runner.target_user_count
        if self._n_there + len(self._waiting) < n_users:
            return
        if self._n_there == 0:
            self._started_s = time.monotonic()
        for node_id, key in self._waiting:
            answer = {"key": key, "number": self._n_there, "n_users": n_users}
            self._n_there += 1
            gevent.spawn(self._runner.send_message, "user_number", answer, node_id)
        self._waiting = []

    def turn_ended(self, msg: Any, **_: Any) -> None:
        """One line, at once, so that whoever reads along sees it."""
        record = TurnRecord.of_json(msg.data)
        self._records.append(record)
        if self._turns_file is not None:
            with self._turns_file.open("a") as lines:
                lines.write(write_line(record))
        if time.monotonic() > self._said_s + _PROGRESS_EVERY_S:
            self._said_s = time.monotonic()
            late = Lateness.of(self._records)
            progress(
                f"{self._said_s - self._started_s:4.0f} s: {len(self._records)} turns, "
                f"{late.n_late} of {late.n_fragments} fragments late"
            )

    def user_is_done(self, msg: Any, **_: Any) -> None:
        """The last one ends the test."""
        self._cpu_s[msg.node_id, msg.data["process"]] = msg.data["cpu_s"]
        self._n_done += 1
        if self._n_done >= self._n_there:
            self._end()

    def stop(self, **_: Any) -> None:
        """The report. Locust may say twice that a test has ended."""
        if not self._is_running:
            return
        self._is_running = False
        facts = self._machine.facts()
        found = summary(self._records, self._run(facts))
        show_summary(found)
        print(f"\nMeasured on\n{Machine.describe(facts)}")
        finish("load", found, facts)
        if path := self._options.report_file:
            with Path(path).open("w") as file:
                finish("load", found, facts, file)

    def _run(self, facts: dict[str, Any]) -> Run:
        """Where workers generate the load, this process costs something as well."""
        own_s = time.process_time() - self._own_cpu_s
        is_alone = any(node == "local" for node, _ in self._cpu_s)
        options = vars(self._options)
        return Run(
            n_users=self._n_there,
            wall_s=time.monotonic() - self._started_s,
            generator_cpu_s=own_s + (0.0 if is_alone else sum(self._cpu_s.values())),
            load_average=tuple(facts["load_after"]),
            settings={name: options[name] for name in LoadSettings.__dataclass_fields__},
        )
