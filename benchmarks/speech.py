"""Spoken questions, made by the benchmark itself."""

import io
import wave
from dataclasses import dataclass
from typing import Any

import numpy as np

from deployments.registry import load_engine
from deployments.types import AudioChunk, ReplySentence, Samples

# Chosen because Moonshine hears them well in espeak's voice, and for replies of 2 to 9 s.
QUESTIONS = (
    "What is seventeen times twenty three, and what time is it now?",
    "Good morning, can you tell me who you are and what your name is?",
    "Can you tell me what day it is today, and what the date is?",
    "What is one hundred and forty four divided by twelve, please?",
    "I would like to know something interesting, tell me a fact please.",
    "Could you tell me a good joke, please? I would like to laugh today.",
)

TEN_SECOND_QUESTION = "Hello there, what can you do for me, and how do you work?"
"""Its reply lasts about ten seconds."""

STORY_REQUEST = "Tell me a story."

LEAST_QUESTION_S, MOST_QUESTION_S = 3.0, 5.0


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """Somebody asking: the words, the sound, and the sound as a file to upload."""

    text: str
    audio: AudioChunk
    wav: bytes


class Speaker:
    """Says what is to be asked, in the embedded profile's default voice of the language."""

    def __init__(self) -> None:
        self._tts: Any = load_engine("tts", "espeak", {})

    def say(self, text: str, language: str = "en") -> AudioChunk:
        """One sentence as mono sound.

        Raises:
            EngineLoadError: from the constructor, where espeak is not installed.
        """
        sentence = ReplySentence(0, text, is_last=True)
        blocks = [chunk.audio.samples for chunk in self._tts.speak(sentence, language, None)]
        return AudioChunk(np.concatenate(blocks), self._tts.capabilities.sample_rate_hz)

    def ask(self, text: str) -> Question:
        """A question of the length that the figures are promised for.

        Raises:
            ValueError: it takes less than 3 s or more than 5 s to say.
        """
        audio = self.say(text)
        if not LEAST_QUESTION_S <= audio.duration_s <= MOST_QUESTION_S:
            raise ValueError(f"{text!r} lasts {audio.duration_s:.2f} s, not 3 to 5 s")
        return Question(text, audio, wav(audio.samples, audio.sample_rate_hz))


def wav(samples: Samples, sample_rate_hz: int) -> bytes:
    """A WAV file, 16 bit, mono."""
    sink = io.BytesIO()
    with wave.open(sink, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate_hz)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return sink.getvalue()
