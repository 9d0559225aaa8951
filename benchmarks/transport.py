"""Which transport carries this graph better: Serve's default, or its throughput mode?

Starts a server in each mode, side by side, and puts the same load on one after the other, in an
order that turns round each time, so that whatever else the machine does falls on all alike. One
speaker asks spoken questions; somebody sends 5 MB to be transcribed; eight speak at once, watch the
answers in real time and ask again. Fakes cost next to nothing, so that the transport shows.

``haproxy`` is the throughput mode as other machines meet it: with HAProxy in front, and keys.

Run: ``python -m benchmarks.transport --profile fake``. Ends in one line of JSON on stdout.
"""

import argparse
import hashlib
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import yaml

from benchmarks.client import User
from benchmarks.incoming import AnswerError
from benchmarks.load_average import LoadAverage
from benchmarks.load_run import LoadError, run_load
from benchmarks.load_settings import API_KEY
from benchmarks.machine import Machine, single_threaded, tree_cpu_s, tree_pss_bytes
from benchmarks.report import finish, progress, show
from benchmarks.server import Launched, ServerError, free_port, running
from benchmarks.speech import QUESTIONS, STORY_REQUEST, Question, Speaker, wav
from benchmarks.transport_report import Carried, LoadUnder, figures, ratios, shown
from deployments.errors import ConfigError
from graph.preflight import PROFILES, profile_names
from graph.transport import HAPROXY_PORTS

MODES = ("default", "throughput", "haproxy")

_UPLOAD_S, _UPLOAD_HZ = 52, 48_000  # 5 MB of 16 bit


@dataclass
class _Contender:
    """A server in one mode, and what was measured of it."""

    mode: str
    server: Launched
    user: User
    key: str
    carried: Carried = field(default_factory=Carried)

    @property
    def cpu_s(self) -> float:
        """Processor time of all its processes so far."""
        return sum(tree_cpu_s(self.server.process.pid).values())


def main() -> int:
    """The command."""
    options = _options()
    single_threaded("benchmarks.transport")
    machine = Machine()
    try:
        with LoadAverage() as load_average, ExitStack() as stack:
            contenders = _started(options, stack)
            _measure(options, contenders)
    except (AnswerError, ConfigError, LoadError, ServerError, httpx.HTTPError) as error:
        progress(f"error: {error}")
        return 1
    found = {each.mode: figures(each.carried) for each in contenders}
    facts = machine.facts()
    show(f"Transports of the profile {options.profile}", shown(found, options.modes[0]))
    show("Measured on", f"{Machine.describe(facts)}\nmean load average {load_average.mean}")
    settings = {name: getattr(options, name) for name in ("profile", "n", "speakers", "rounds")}
    result = {"settings": settings, "load_average": load_average.mean, "figures": found}
    finish("transport", {**result, "ratios": ratios(found, options.modes[0])}, facts)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.transport",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--profile", default="fake", help="a name in cluster/ (default: fake)")
    add("--modes", nargs="+", choices=MODES, default=["default", "throughput"],
        help="compared with the first of them (default: default throughput)")  # fmt: skip
    add("-n", type=int, default=30, help="questions of one speaker to each server (default: 30)")
    add("--uploads", type=int, default=5, help="of 5 MB, to each server (default: 5)")
    add("--rounds", type=int, default=2, help="of many speakers, on each server (default: 2)")
    add("--speakers", type=int, default=8, help="who speak at once (default: 8)")
    add("--turns", type=int, default=2, help="of each of them in a round (default: 2)")
    add("--answer-s", type=float, default=20.0, help="seconds of speech in an answer (default: 20)")
    add("--idle-s", type=float, default=5.0, help="how long idleness is watched (default: 5)")
    return parser.parse_args()


def _started(options: argparse.Namespace, stack: ExitStack) -> list[_Contender]:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="avatar-transport-")))
    profile, key = _profile(options.profile, folder), secrets.token_hex(16)
    keys = folder / "keys"
    keys.write_text(hashlib.sha256(key.encode()).hexdigest() + "\n")
    os.environ[API_KEY] = key  # for the load test's processes
    contenders = []
    for mode in options.modes:
        progress(f"starting the server: {mode} ...")
        server = stack.enter_context(running(profile, settings=_settings(mode, keys)))
        user = stack.enter_context(User(server.url, key=key))
        contenders.append(_Contender(mode, server, user, key))
    return contenders


def _profile(name: str, folder: Path) -> Path:
    """The profile; a fake language model repeats what it is asked to, so that answers last as long
    as they should.

    Raises:
        ConfigError: there is no such profile.
    """
    if name not in profile_names():
        raise ConfigError(f"no profile {name!r}; there are {', '.join(profile_names())}")
    config = yaml.safe_load((PROFILES / f"{name}.yaml").read_text())
    llm = config["applications"][0]["args"]["llm"]
    if llm["engine"] == "fake":
        llm["options"] = {**(llm.get("options") or {}), "rule": "repeat"}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def _settings(mode: str, keys: Path) -> Mapping[str, str]:
    if mode != "haproxy":
        return {"TRANSPORT": mode}
    ports = {name: str(free_port()) for name in HAPROXY_PORTS}
    return {"TRANSPORT": "throughput", "HOST": "0.0.0.0", "API_KEYS_FILE": str(keys), **ports}


def _measure(options: argparse.Namespace, contenders: Sequence[_Contender]) -> None:
    speaker = Speaker()
    questions = [speaker.ask(text) for text in QUESTIONS]
    for each in contenders:
        for _ in range(3):
            each.user.wait(text=STORY_REQUEST)
            each.user.ask(wav=questions[0].wav)
    _watch_idle(options.idle_s, contenders)
    for i, each in _alternating(contenders, options.n):
        _ask(each, questions[i % len(questions)])
    sound = _five_megabytes(questions[0])
    for _, each in _alternating(contenders, options.uploads):
        _upload(each, sound)
    for _, each in _alternating(contenders, options.rounds):
        _load(each, options)
    for each in contenders:
        each.carried.memory_gb = sum(tree_pss_bytes(each.server.process.pid).values()) / 1e9


def _alternating(contenders: Sequence[_Contender], n: int) -> Iterator[tuple[int, _Contender]]:
    """Each of them ``n`` times, in an order that turns round."""
    for i in range(n):
        for each in contenders if i % 2 == 0 else reversed(contenders):
            yield i, each


def _watch_idle(seconds: float, contenders: Sequence[_Contender]) -> None:
    before = [each.cpu_s for each in contenders]
    time.sleep(seconds)
    for each, before_s in zip(contenders, before, strict=True):
        each.carried.idle_cores = (each.cpu_s - before_s) / seconds


def _ask(contender: _Contender, question: Question) -> None:
    answer = contender.user.ask(wav=question.wav)
    contender.carried.ttff_s.append(answer.first_fragment_s)
    progress(f"{contender.mode}: first fragment after {answer.first_fragment_s:.3f} s")


def _five_megabytes(question: Question) -> bytes:
    """Somebody says something and forgets to switch the microphone off."""
    said = question.audio
    n = round(said.duration_s * _UPLOAD_HZ)
    at = np.arange(n) * said.sample_rate_hz / _UPLOAD_HZ
    samples = np.zeros(_UPLOAD_S * _UPLOAD_HZ, dtype=np.float32)
    samples[:n] = np.interp(at, np.arange(len(said.samples)), said.samples)
    return wav(samples, _UPLOAD_HZ)


def _upload(contender: _Contender, sound: bytes) -> None:
    started_s = time.perf_counter()
    httpx.post(
        f"{contender.server.url}/api/v1/transcribe",
        files={"audio": ("question.wav", sound, "audio/wav")},
        headers={"Authorization": f"Bearer {contender.key}"},
        timeout=60,
    ).raise_for_status()
    contender.carried.upload_s.append(time.perf_counter() - started_s)
    progress(f"{contender.mode}: 5 MB in {contender.carried.upload_s[-1]:.3f} s")


def _load(contender: _Contender, options: argparse.Namespace) -> None:
    settings = {
        "answer_s": f"{options.answer_s:g}",
        "pause_s": "0-1",
        "turns": options.speakers * options.turns,
        "start_s": options.speakers,
        "check": "none",  # what is said is the same whatever carries it
    }
    before_s = contender.cpu_s
    done = run_load(contender.server.url, options.speakers, settings)
    load = LoadUnder(done.records, contender.cpu_s - before_s)
    contender.carried.loads.append(load)
    video_s = sum(record.video_s for record in load.records)
    progress(f"{contender.mode}: {video_s:.0f} s of video for {load.cpu_s:.1f} processor seconds")


if __name__ == "__main__":
    sys.exit(main())
