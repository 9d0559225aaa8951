"""How long a spoken question waits for the face that answers it, and where the time goes.

Starts the server (or takes the one at ``--url``), asks spoken questions that it makes itself, and
runs two baselines in turn with it, with the same engines and the same uploads: *in-process*, the
same turn composed without Serve, and *sequential*, where each stage waits for the whole output of
the one before. Run: ``python -m benchmarks.turn_latency``. Ends in one line of JSON on stdout.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.client import Endpoint, User
from benchmarks.composed import ComposedGraph
from benchmarks.engines import frames_verdict, probe
from benchmarks.incoming import AnswerError
from benchmarks.machine import Machine, single_threaded, tree_pss_bytes
from benchmarks.report import finish, progress
from benchmarks.server import Server, ServerError, running
from benchmarks.speech import QUESTIONS, STORY_REQUEST, TEN_SECOND_QUESTION, Question, Speaker
from benchmarks.turn_report import Measured, Round, Story, show_all, verdicts_of
from deployments.errors import AvatarError
from graph.config import AppConfig, read_config
from graph.preflight import LaunchOptions, serve_config


def main() -> int:
    """The command."""
    options = _options()
    single_threaded("benchmarks.turn_latency")
    machine = Machine()
    try:
        measured = _measure(options)
    except (AvatarError, AnswerError, ServerError, ValueError) as error:
        progress(f"error: {error}")
        return 1
    measured.face = _face(_config(options.profile))
    facts = machine.facts()
    verdicts = [*verdicts_of(measured), frames_verdict(measured.face)]
    result = show_all(measured, verdicts)
    print(f"\nMeasured on\n{Machine.describe(facts)}")
    settings = {"profile": options.profile, "endpoint": options.endpoint, "n": options.n}
    finish("turn_latency", {"settings": settings, **result}, facts)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.turn_latency",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--url", help="a running server; by default one is started and ended")
    add("--pid", type=int, help="with --url: its launcher's pid, to measure its memory")
    add("--profile", default="embedded", help="of the server and the baselines")
    add("--port", type=int, help="of the server that is started (default: a free one)")
    add("-n", type=_count, default=30, help="spoken questions (default: 30)")
    add("--warm-ups", type=int, default=3, help="questions before that (default: 3)")
    add("--n-long", type=_count, default=5, help="replies of 10 s (default: 5)")
    add("--n-stories", type=_count, default=3, help="stories (default: 3)")
    add("--settle-s", type=float, default=8.0, help="rest before memory is read (default: 8)")
    add("--endpoint", choices=("stream", "video"), default="stream",
        help="server-sent events as the page uses them (default), or the bare MP4")  # fmt: skip
    return parser.parse_args()


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _measure(options: argparse.Namespace) -> Measured:
    progress("loading the baselines' engines ...")
    speaker = Speaker()
    questions = [speaker.ask(text) for text in QUESTIONS]
    graph = ComposedGraph(_config(options.profile))
    measured = Measured()
    try:
        with _server(options) as server, User(server.url) as user:
            measured.memory_at_start = _memory(server, options.settle_s, "after its start")
            trial = _Trial(user, graph, options.endpoint)
            _warm_up(trial, questions, options.warm_ups)
            measured.rounds = list(trial.rounds("question", questions, options.n))
            ten = [speaker.ask(TEN_SECOND_QUESTION)]
            measured.long_rounds = list(trial.rounds("10 s reply", ten, options.n_long))
            measured.stories = [_story(user, i) for i in range(options.n_stories)]
            measured.memory = _memory(server, options.settle_s, "after all turns")
    finally:
        graph.close()
    return measured


def _config(profile: str) -> AppConfig:
    launch = LaunchOptions(profile, "127.0.0.1", 0, 0, Path())
    return read_config(serve_config(launch)["applications"][0]["args"])


@contextmanager
def _server(options: argparse.Namespace) -> Iterator[Server]:
    if options.url:
        yield Server(options.url, options.pid)
        return
    progress("starting the server ...")
    with running(options.profile, options.port) as server:
        yield server


class _Trial:
    """The three ways to answer a question, taken in turn."""

    def __init__(self, user: User, graph: ComposedGraph, endpoint: Endpoint) -> None:
        self._user, self._graph, self._endpoint = user, graph, endpoint

    def rounds(self, title: str, questions: Sequence[Question], n: int) -> Iterator[Round]:
        for i in range(n):
            done = self.round(questions[i % len(questions)], i)
            progress(
                f"{title} {i + 1}/{n}: served {done.served.first_fragment_s:.3f} s, in-process "
                f"{done.in_process.ttff_s:.3f} s, sequential {done.sequential.ttff_s:.3f} s; "
                f"heard {done.served.user_text!r}"
            )
            yield done

    def round(self, question: Question, number: int) -> Round:
        """Interleaved, so that whatever else the machine does falls on all alike."""
        wav = question.wav
        if number % 2:
            in_process = self._graph.in_process(wav)
            served = self._user.ask(wav=wav, endpoint=self._endpoint)
        else:
            served = self._user.ask(wav=wav, endpoint=self._endpoint)
            in_process = self._graph.in_process(wav)
        return Round(served, in_process, self._graph.sequential(wav))


def _warm_up(trial: _Trial, questions: Sequence[Question], n: int) -> None:
    for i in range(n):
        progress(f"warming up {i + 1}/{n}")
        trial.round(questions[i % len(questions)], i)


def _story(user: User, number: int) -> Story:
    waited_s, turn = user.wait(text=STORY_REQUEST)
    story = Story(waited_s, float(turn["timings"]["audio_s"]))
    progress(f"story {number + 1}: {story.audio_s:.1f} s of speech in {waited_s:.2f} s")
    return story


def _memory(server: Server, settle_s: float, when: str) -> dict[str, int] | None:
    if server.pid is None:
        return None
    time.sleep(settle_s)
    found = tree_pss_bytes(server.pid)
    progress(f"memory {when}: {sum(found.values()) / 1e9:.2f} GB in {len(found)} processes")
    return found


def _face(config: AppConfig) -> dict[str, Any]:
    progress("measuring the face on one core ...")
    return probe("avatar", config.avatar.engine)


if __name__ == "__main__":
    sys.exit(main())
