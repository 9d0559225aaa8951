"""What the users of a load test ask, and how one tells that an answer is the own one.

Typed questions ask the `rules` engine to repeat a text that names the speaker and the turn, so the
whole answer is known, its length can be chosen, and nobody else's can be mistaken for it. Spoken
questions pass through speech recognition, so only what is typical of each answer is looked for.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, Literal

from benchmarks.load_settings import LoadSettings
from benchmarks.load_speech import INDEX
from graph.preflight import ROOT

CHARACTERS_PER_S = {"en": 15.8, "zh": 3.8, "es": 16.0}
"""How fast espeak's default voices speak such texts.

Source: our measurement, 2026-11-21: answers asked to last 20 s last 19 to 21 s.
"""

_ASKED = {
    "en": ("Repeat after me: {}", "I am speaker {} and this is answer {}."),
    "zh": ("跟我说：{}", "我是第{}号，这是第{}个回答。"),
    "es": ("Repite conmigo: {}", "Soy el hablante {} y esta es la respuesta {}."),
}

_TEXTS = {
    "en": (
        "The morning train leaves at half past seven, and the seats by the window go first.",
        "A cook who tastes while stirring rarely needs the salt at the table.",
        "Rain began in the hills, came down with the river, and reached the town after dark.",
        "Whoever plants a walnut tree is thinking of somebody who has not been born yet.",
        "The library keeps a box of gloves, because people come in to read and leave without them.",
        "On the third floor lives a man who tunes pianos and whistles only on Sundays.",
        "Fresh snow makes a street so quiet that you hear the lamps hum.",
        "The ferry carries bicycles for nothing, but the captain expects a greeting.",
    ),
    "zh": (
        "早上的火车七点半出发，靠窗的座位总是最先坐满。",
        "雨先下在山里，跟着河水流下来，天黑以后才到城里。",
        "图书馆有一个装手套的盒子，因为总有人看完书就忘了带走。",
        "三楼住着一位调钢琴的先生，他只在星期天吹口哨。",
        "刚下过雪的街道特别安静，连路灯的声音都听得见。",
    ),
    "es": (
        "El tren de la mañana sale a las siete y media, y los asientos de ventana se llenan antes.",
        "La lluvia empezó en las montañas, bajó con el río y llegó al pueblo de noche.",
        "Quien planta un nogal piensa en alguien que todavía no ha nacido.",
        "En el tercer piso vive un hombre que afina pianos y solo silba los domingos.",
        "La nieve recién caída hace tan silenciosa la calle que se oyen las farolas.",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """One question. ``answer`` is the whole answer where it is known; ``tell`` a pattern that only
    the own answer matches; ``others`` those of all other answers."""

    kind: Literal["typed", "spoken"]
    text: str = ""
    wav: bytes | None = None
    answer: str = ""
    tell: str = ""
    others: tuple[str, ...] = ()
    lasts_s: float = 0.0

    def unchecked(self) -> "Question":
        """The same question, where nobody knows what is right."""
        return replace(self, answer="", tell="", others=())

    def is_answered_by(self, response: str) -> bool:
        """Whether ``response`` can be this question's answer."""
        if self.answer:
            return _plain(response) == _plain(self.answer)
        is_own = bool(self.tell) and re.search(self.tell, response) is not None
        return is_own or not any(re.search(other, response) for other in self.others)

    def is_begun_by(self, response: str) -> bool:
        """Whether ``response`` can be the beginning of the answer, cut after whole sentences."""
        return _plain(self.answer).startswith(_plain(response)) or self.is_answered_by(response)


def _plain(text: str) -> str:
    return " ".join(text.split())


def typed(settings: LoadSettings, user: int, number: int, random: Random) -> Question:
    """A question whose answer lasts as long as the settings say."""
    language = settings.language
    request, marker = _ASKED[language]
    seconds = settings.answer_s.draw(random)
    n_characters = round(seconds * CHARACTERS_PER_S[language])
    answer = _cut(marker.format(user, number), _endless(language, random), n_characters, language)
    return Question("typed", request.format(answer), None, answer)


def _endless(language: str, random: Random) -> Iterator[str]:
    texts, at = _TEXTS[language], random.randrange(100)
    while True:
        yield texts[at % len(texts)]
        at += 1


def _cut(start: str, sentences: Iterator[str], n_characters: int, language: str) -> str:
    """``start`` and as many sentences as fit, the last one ended early, at the end of a word."""
    gap, stop = ("", "。") if language == "zh" else (" ", ".")
    text = start
    while len(text) < n_characters:
        text += gap + next(sentences)
    if len(text) <= max(n_characters, len(start)):
        return text
    cut = text[:n_characters] if language == "zh" else text[:n_characters].rpartition(" ")[0]
    cut = cut.rstrip(" ,.，。、") + stop
    return cut if len(cut) > len(start) else start


class SpokenQuestions:
    """All spoken questions, made or read before the clock runs.

    Raises:
        ValueError: the folder holds no WAV file.
    """

    def __init__(self, settings: LoadSettings) -> None:
        self._range = settings.question_s
        if settings.wav_folder:
            self._by_subject = _read(Path(settings.wav_folder))
            return
        with tempfile.TemporaryDirectory(prefix="avatar-questions-") as folder:
            # The voice runs in a process of its own that wants plain sockets, not Locust's.
            command = [sys.executable, "-m", "benchmarks.load_speech", folder]
            subprocess.run(command, cwd=ROOT, check=True)
            self._by_subject = _read(Path(folder))

    def draw(self, user: int, number: int, random: Random) -> Question:
        """Neighbours ask different things at a time; the length is the nearest that there is."""
        subject = self._by_subject[(user + number) % len(self._by_subject)]
        wanted_s = self._range.draw(random)
        return min(subject, key=lambda question: abs(question.lasts_s - wanted_s))


def _read(folder: Path) -> list[list[Question]]:
    """The folder's questions by subject; each file is one where ``benchmarks.load_speech``, which
    writes more beside them, did not make them."""
    index = folder / INDEX
    if index.exists():
        subjects = json.loads(index.read_text())
        return [[_indexed(folder, said, subjects) for said in each["said"]] for each in subjects]
    alone = [[Question("spoken", p.name, p.read_bytes())] for p in sorted(folder.glob("*.wav"))]
    if not alone:
        raise ValueError(f"no .wav file in {folder}")
    return alone


def _indexed(folder: Path, said: Mapping[str, Any], subjects: Sequence[Any]) -> Question:
    return Question(
        kind="spoken",
        text=said["text"],
        wav=(folder / said["file"]).read_bytes(),
        tell=said["tell"],
        others=tuple(each["tell"] for each in subjects if each["tell"] != said["tell"]),
        lasts_s=said["lasts_s"],
    )
