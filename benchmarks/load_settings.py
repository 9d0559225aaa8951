"""How the users of a load test behave: the settings, their meaning, and where they come from."""

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from benchmarks.client import Endpoint

Arrivals = Literal["closed", "open"]
Asked = Literal["typed", "spoken", "mixed"]

ENV_PREFIX = "LOAD_"
"""Each setting may be given in the environment: ``--pause-s`` is ``LOAD_PAUSE_S``."""

API_KEY = "LOAD_API_KEY"
"""Only in the environment: a command line can be read by everybody on the machine."""

_DEFAULT_RETRY_S, _LEAST_RETRY_S = 1.0, 0.5


@dataclass(frozen=True, slots=True)
class Range:
    """Evenly spread from ``low`` to ``high``; written ``0-5``, or ``5`` where both are the same."""

    low: float
    high: float

    @classmethod
    def parse(cls, text: str) -> "Range":
        """Raises:
        ValueError: anything but one number, or two in order with a dash between them.
        """
        low, dash, high = text.partition("-")
        found = cls(float(low), float(high if dash else low))
        if not 0 <= found.low <= found.high:
            raise ValueError(f"{text!r} is no range such as 0-5")
        return found

    def draw(self, random: Random) -> float:
        return random.uniform(self.low, self.high)

    @property
    def middle(self) -> float:
        return (self.low + self.high) / 2


@dataclass(frozen=True, slots=True)
class LoadSettings:
    """What ``add_arguments`` reads; the help texts there say what each means."""

    arrivals: Arrivals = "closed"
    rate: float = 0.2
    start_s: float = 0.0
    turns: int = 0
    minutes: float = 0.0
    question: Asked = "typed"
    question_s: Range = Range(3.0, 5.0)
    answer_s: Range = Range(20.0, 20.0)
    pause_s: Range = Range(0.0, 5.0)
    language: str = "en"
    leave: float = 0.0
    impatient: float = 0.0
    slow: float = 0.0
    slow_bytes_s: int = 20_000
    endpoint: Endpoint = "stream"
    buffer_s: float = 0.0
    silence_s: float = 60.0
    session_turns: int = 10
    check: Literal["rules", "none"] = "rules"
    wav_folder: str = ""
    seed: int = 1

    @classmethod
    def of(cls, options: argparse.Namespace) -> "LoadSettings":
        """Raises:
        ValueError: settings that contradict each other.
        """
        values = {name: getattr(options, name) for name in cls.__dataclass_fields__}
        for name in ("question_s", "answer_s", "pause_s"):
            values[name] = Range.parse(values[name])
        settings = cls(**values)
        if settings.question != "typed" and settings.language != "en" and not settings.wav_folder:
            raise ValueError("spoken questions are made in English; give others by --wav-folder")
        return settings


def comes_back_after_s(told_s: float | None, is_impatient: bool) -> float:
    """When whoever was refused asks again; ``told_s`` is what Retry-After says, if it does."""
    told_s = told_s or _DEFAULT_RETRY_S
    return max(_LEAST_RETRY_S, told_s / 4) if is_impatient else told_s


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The settings as options, for Locust's parser and for ours."""

    def add(name: str, default: Any, about: str, kind: Callable[[str], Any] | None = None,
            choices: tuple[str, ...] | None = None) -> None:  # fmt: skip
        variable = ENV_PREFIX + name.upper()
        given = os.environ.get(variable)
        convert = kind or type(default)
        parser.add_argument(
            "--" + name.replace("_", "-"),
            type=convert,
            default=default if given is None else convert(given),
            choices=choices,
            help=f"{about} (default: {default or 'none'}; {variable})",
        )

    add("arrivals", "closed", "closed: a user asks, plays the answer to its end in real time, "
        "pauses and asks again; open: new turns come at --rate, however fast answers come "
        "(Poisson)",
        choices=("closed", "open"))  # fmt: skip
    add("rate", 0.2, "open arrivals: turns a second, of all users together", _positive)
    add("start_s", 0.0, "the users' first questions come evenly over so many seconds; 0: together")
    add("turns", 0, "turns in all, shared evenly by the users; then the run ends")
    add("minutes", 0.0, "no new turn after so long; the run ends when the last answer has")
    add("question", "typed", "how users ask", choices=("typed", "spoken", "mixed"))
    add("question_s", "3-5", "seconds that a spoken question lasts, evenly spread", _range)
    add("answer_s", "20", "seconds of speech that answer a typed question, evenly spread", _range)
    add(
        "pause_s", "0-5", "seconds from an answer's end to the next question, evenly spread", _range
    )
    add("language", "en", "of typed questions", choices=("en", "zh", "es"))
    add("leave", 0.0, "probability that a user leaves at a random moment of the answer and asks "
        "again", _share)  # fmt: skip
    add("impatient", 0.0, "probability that whoever is refused asks again early and often, each "
        "time after a quarter of what it is told, until let in", _share)  # fmt: skip
    add("slow", 0.0, "probability that a user reads an answer slowly", _share)
    add("slow_bytes_s", 20_000, "how slowly, in bytes a second")
    add("endpoint", "stream", "server-sent events as the page uses them, or the bare MP4",
        choices=("stream", "video"))  # fmt: skip
    add("buffer_s", 0.0, "seconds that the viewer's player waits before it starts")
    add("silence_s", 60.0, "a connection that brings nothing for so long is given up")
    add("session_turns", 10, "turns of one session; then the user begins another")
    add("check", "rules", "whether answers are compared with what the `rules` engine must say",
        choices=("rules", "none"))  # fmt: skip
    add("wav_folder", "", "spoken questions from a folder of WAV files instead of our own")
    add("seed", 1, "of everything that is drawn")


def add_file_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the turns and the figures go, beside what is printed."""
    parser.add_argument("--turns-file", default="", help="one line of JSON for every turn")
    parser.add_argument("--report-file", default="", help="the figures, as one line of JSON")


def _range(text: str) -> str:
    """Checked here, but passed on as text: Locust sends options between its processes."""
    try:
        Range.parse(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no range such as 0-5") from None
    return text


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError("from 0 to 1")
    return value


def _positive(text: str) -> float:
    value = float(text)
    if value <= 0:
        raise argparse.ArgumentTypeError("more than 0")
    return value
