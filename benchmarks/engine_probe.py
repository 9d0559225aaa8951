"""Measures one engine in a process of its own, so that its memory and imports are its own.

``python -m benchmarks.engine_probe STAGE ENGINE`` prints one line of JSON; ``benchmarks.engines``
runs it for every entry of the registry.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import aclosing
from functools import partial
from typing import Any

import numpy as np

from benchmarks.machine import memory_bytes
from benchmarks.report import Spread
from benchmarks.speech import STORY_REQUEST, Speaker
from benchmarks.words import word_error_rate
from deployments.asr.engine import AsrEngine, final
from deployments.errors import AvatarError
from deployments.llm.engine import LlmEngine
from deployments.registry import load_engine
from deployments.types import AudioChunk, Message, ReplySentence, Transcript

Figures = dict[str, Any]

# Without numerals, which recognisers write as digits.
SENTENCES = (
    "Good morning, I would like to ask you about the weather today.",
    "The old bridge near the station was closed for repairs last winter.",
    "Please remind me to water the plants before we leave the house.",
    "My sister plays the violin in a small orchestra on Sunday evenings.",
    "Could you explain how a sailing boat can travel against the wind?",
    "We walked along the river until the lights of the town came on.",
    "The children asked for another story, although it was already late.",
    "Fresh bread and strong coffee make every morning a little better.",
    "What can you tell me about the history of this town?",
    "The train to the airport leaves at seven every morning.",
    "I would like a cup of tea with milk and a little sugar.",
    "Can you help me to find the nearest post office?",
    "She has lived in the same small house for many years.",
    "Tomorrow we will visit our friends on the other side of the lake.",
    "There is a new computer on the table in the kitchen.",
    "He opened the window because the room was too warm.",
)
MESSAGES = ("What time is it?", "Tell me a joke.", "What can you do?", "What is two plus two?")

_DRAWN_S = 8.0  # of speech, for the avatar: 200 frames
_N_DRAWN = 3  # repetitions, of which the median counts


class Load:
    """An engine's loading: its time, and the memory that it and its use added."""

    def __init__(self, stage: str, name: str) -> None:
        self._before = _resident_bytes()
        started_s = time.perf_counter()
        self.engine: Any = load_engine(stage, name, {})
        self.load_s = time.perf_counter() - started_s

    def figures(self) -> Figures:
        grown = _resident_bytes() - self._before
        return {"load_s": round(self.load_s, 3), "memory_mb": round(grown / 1e6, 1)}


def _resident_bytes() -> int:
    return memory_bytes(os.getpid(), "Rss") or 0


def probe_vad(name: str) -> Figures:
    """Time per chunk; the probabilities show that it hears at all."""
    speech = _speech()
    load = Load("vad", name)
    engine = load.engine
    heard = _resampled(speech, engine.sample_rate_hz)
    n = engine.chunk_samples
    chunks = heard[: len(heard) // n * n].reshape(-1, n)
    stream, times, found = engine.open(), [], []
    for chunk in chunks:
        seconds, probability = _timed(partial(stream.detect, chunk))
        times.append(seconds)
        found.append(probability)
    quiet = engine.open().detect(np.zeros(n, np.float32))
    spread = Spread.of([t * 1000 for t in times])
    return {
        **load.figures(),
        "rtf": sum(times) / (len(chunks) * n / engine.sample_rate_hz),
        "first_output_ms": times[0] * 1000,
        "chunk_ms": spread.json(),
        "says": f"{spread.p50:.2f} ms per {1000 * n / engine.sample_rate_hz:.0f} ms chunk; "
        f"speech {np.mean(found):.2f}, silence {quiet:.2f}",
    }


def probe_asr(name: str) -> Figures:
    """Time per utterance and word error rate on espeak's speech."""
    speaker = Speaker()
    spoken = [speaker.say(text) for text in SENTENCES]
    load = Load("asr", name)
    times, heard = [], []
    for audio in spoken:
        seconds, transcript = _timed(partial(_heard, load.engine, audio))
        times.append(seconds)
        heard.append(transcript.text)
    rate = word_error_rate(list(zip(SENTENCES, heard, strict=True)))
    spread = Spread.of([t * 1000 for t in times])
    duration_s = sum(audio.duration_s for audio in spoken)
    return {
        **load.figures(),
        "rtf": sum(times) / duration_s,
        "first_output_ms": spread.p50,
        "utterance_ms": spread.json(),
        "word_error_rate": round(rate, 4),
        "says": f"WER {rate:.3f} on {len(spoken)} utterances of {duration_s / len(spoken):.1f} s",
    }


def probe_llm(name: str) -> Figures:
    """First delta, and a whole story."""
    load = Load("llm", name)
    with asyncio.Runner() as runner:
        firsts = [runner.run(_first_delta_s(load.engine, text)) * 1000 for text in MESSAGES * 5]
        seconds, deltas = _timed(lambda: runner.run(_reply(load.engine, STORY_REQUEST)))
    return {
        **load.figures(),
        "first_output_ms": Spread.of(firsts).p50,
        "first_delta_ms": Spread.of(firsts).json(),
        "story_ms": round(seconds * 1000, 3),
        "says": f"a story of {len(''.join(deltas))} characters in {len(deltas)} deltas: "
        f"{seconds * 1000:.1f} ms",
    }


async def _first_delta_s(engine: LlmEngine, text: str) -> float:
    started_s = time.perf_counter()
    async with aclosing(engine.reply([Message("user", text)], "en")) as deltas:
        await anext(deltas)
        return time.perf_counter() - started_s


async def _reply(engine: LlmEngine, text: str) -> list[str]:
    return [delta.text async for delta in engine.reply([Message("user", text)], "en")]


def probe_tts(name: str) -> Figures:
    """First block, and speech made per second."""
    load = Load("tts", name)
    firsts, total_s, speech_s = [], 0.0, 0.0
    for index, text in enumerate(SENTENCES):
        started_s = time.perf_counter()
        sentence = ReplySentence(index, text, is_last=True)
        for n, chunk in enumerate(load.engine.speak(sentence, "en", None)):
            if n == 0:
                firsts.append((time.perf_counter() - started_s) * 1000)
            speech_s += chunk.audio.duration_s
        total_s += time.perf_counter() - started_s
    return {
        **load.figures(),
        "rtf": total_s / speech_s,
        "first_output_ms": Spread.of(firsts).p50,
        "first_block_ms": Spread.of(firsts).json(),
        "says": f"{speech_s:.0f} s of speech in {total_s * 1000:.0f} ms",
    }


def probe_avatar(name: str) -> Figures:
    """Prepare, move, draw and encode, all on one core."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    speech = _speech(_DRAWN_S)
    load = Load("avatar", name)
    from benchmarks.avatar_probe import measured  # its imports count as the engine's

    return {**measured(load.engine, speech, _N_DRAWN), **load.figures()}


def _speech(least_s: float = 4.0) -> AudioChunk:
    """Sentences end to end, at least so long; they are cut to ``least_s``."""
    speaker = Speaker()
    parts, total_s = [], 0.0
    for text in SENTENCES:
        parts.append(speaker.say(text))
        total_s += parts[-1].duration_s
        if total_s >= least_s:
            break
    rate_hz = parts[0].sample_rate_hz
    samples = np.concatenate([part.samples for part in parts])
    return AudioChunk(samples[: round(least_s * rate_hz)], rate_hz)


def _resampled(audio: AudioChunk, rate_hz: int) -> Any:
    from deployments.resample import resampled

    return resampled(audio, rate_hz).samples


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    started_s = time.perf_counter()
    result = call()
    return time.perf_counter() - started_s, result


def _heard(engine: AsrEngine, audio: AudioChunk) -> Transcript:
    return final(engine.transcribe(audio, "en"))


PROBES: dict[str, Callable[[str], Figures]] = {
    "vad": probe_vad,
    "asr": probe_asr,
    "llm": probe_llm,
    "tts": probe_tts,
    "avatar": probe_avatar,
}


def main() -> None:
    stage, name = sys.argv[1:3]
    try:
        figures = PROBES[stage](name)
    except AvatarError as error:
        figures = {"missing": str(error)}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
