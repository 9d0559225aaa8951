"""What a second of XTTS's speech takes to make, as sentences grow.

This project's way, which decodes each latent once, against the library's own stream, which decodes
the sentence anew for each piece.

Run: ``python -m benchmarks.xtts [--model FOLDER]``; without a folder on a tiny model of random
weights, whose vocoder has the size of the real one. Ends in one line of JSON on stdout.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.machine import Machine
from benchmarks.report import Verdict, finish, progress, show, table, verdict_table
from deployments.tts.xtts.loading import loaded, planned
from deployments.tts.xtts.settings import LICENCE, XttsSettings
from deployments.tts.xtts.speech import Speech
from deployments.tts.xtts.voices import builtin
from graph.preflight import ROOT

LENGTHS = (48, 96, 192)
"""Latents, 46 ms each: 2.2, 4.4 and 8.9 s of speech."""

MUST = 1.3
"""A second's cost at four times the length, against that at the shortest. Source: issue 5."""

WAYS = ("ours", "library")
TEXT = (
    "it was a bright cold day in the north, and all the clocks of the town were late, so nobody "
    "knew when the train would come or whether it had already gone without us."
)
"""Longer to say than the longest of ``LENGTHS``."""


@dataclass(frozen=True, slots=True)
class Run:
    """One way to make one sentence."""

    way: str
    n_latents: int
    speech_s: float
    first_s: float
    whole_s: float
    n_decoded: float  # latents that went through the vocoder, those around a piece too

    def row(self) -> list[str]:
        return [
            self.way,
            f"{self.speech_s:.2f}",
            f"{self.first_s:.3f}",
            f"{self.whole_s / self.speech_s:.3f}",
            f"{self.n_decoded / self.n_latents:.2f}",
        ]

    def json(self) -> dict[str, Any]:
        return {
            "way": self.way,
            "latents": self.n_latents,
            "speech_s": round(self.speech_s, 3),
            "first_s": round(self.first_s, 4),
            "s_per_s": round(self.whole_s / self.speech_s, 4),
            "decoded_per_latent": round(self.n_decoded / self.n_latents, 3),
        }


class Ways:
    """A model, and the two ways to make it speak."""

    def __init__(self, settings: XttsSettings) -> None:
        plan = planned(settings)
        self.model = loaded(plan)
        self._speech = Speech(self.model, settings)
        _, self._timbre = next(iter(builtin(self.model, plan.folder).values()))

    def sounds(self, way: str) -> Iterator[Any]:
        """The text's speech in pieces, as long as the model is let."""
        return self._ours() if way == "ours" else self._librarys()

    def _ours(self) -> Iterator[Any]:
        return self._speech.sounds(TEXT, "en", self._timbre)

    def _librarys(self) -> Iterator[Any]:
        import torch

        torch.manual_seed(0)
        prompt = torch.from_numpy(self._timbre.prompt)[None]
        speaker = torch.from_numpy(self._timbre.speaker)[None, :, None]
        pieces: Iterator[Any] = self.model.inference_stream(TEXT, "en", prompt, speaker)
        return pieces


def main() -> int:
    """The command."""
    options = _options()
    machine = Machine()
    with tempfile.TemporaryDirectory() as folder:
        ways = Ways(_settings(options.model or _tiny(Path(folder) / "xtts"), options.device))
        runs = [_best(ways, way, n) for n in LENGTHS for way in WAYS]
    facts = machine.facts()
    header = ("way", "speech s", "first sound s", "s per s", "decoded per latent")
    show("XTTS: time and work for a second of speech", table(header, [run.row() for run in runs]))
    verdicts = [work_verdict(runs), time_verdict(runs)]
    show("Against the targets", verdict_table(verdicts))
    show("Measured on", Machine.describe(facts))
    figures = {"runs": [run.json() for run in runs], "verdicts": [v.json() for v in verdicts]}
    finish("xtts", figures, facts)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.xtts", description=__doc__)
    parser.add_argument("--model", type=Path, help="the folder of an XTTS-v2")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    return parser.parse_args()


def _tiny(folder: Path) -> Path:
    progress("making a tiny XTTS ...")
    made = [sys.executable, "-m", "tests.tiny_models.make_tiny_xtts", str(folder)]
    lengths = ["--max-audio-tokens", str(LENGTHS[-1] + 3)]
    subprocess.run([*made, *lengths], cwd=ROOT, check=True, capture_output=True, timeout=300)
    return folder


def _settings(folder: Path, device: str) -> XttsSettings:
    options = {"licence": LICENCE, "model": str(folder), "device": device, "n_threads": 1}
    return XttsSettings.model_validate(options)


def _best(ways: Ways, way: str, n_latents: int) -> Run:
    """The fastest of three, because whatever else the machine does only makes it slower."""
    progress(f"{way}, {n_latents} latents ...")
    return min((measured(ways, way, n_latents) for _ in range(3)), key=lambda run: run.whole_s)


def measured(ways: Ways, way: str, n_latents: int) -> Run:
    """Make a sentence, and stop the model after so many latents."""
    ways.model.gpt.max_gen_mel_tokens = n_latents
    decoded, begun_s = _Decoded(ways.model), time.perf_counter()
    sounds = ways.sounds(way)
    n_samples = len(next(sounds))
    first_s = time.perf_counter() - begun_s
    n_samples += sum(len(sound) for sound in sounds)
    whole_s = time.perf_counter() - begun_s
    rate = int(ways.model.hifigan_decoder.output_sample_rate)
    return Run(way, n_latents, n_samples / rate, first_s, whole_s, decoded.end())


class _Decoded:
    """Counts the latents that go through the vocoder, until ``end``."""

    def __init__(self, model: Any) -> None:
        decoder = model.hifigan_decoder
        before = decoder.ar_mel_length_compression / decoder.input_sample_rate
        after = decoder.output_hop_length / decoder.output_sample_rate
        self._frames_per_latent = float(before / after)
        self._n_frames = 0
        self._hook = decoder.waveform_decoder.register_forward_pre_hook(self._count)

    def _count(self, _: Any, arguments: tuple[Any, ...]) -> None:
        self._n_frames += arguments[0].shape[-1]

    def end(self) -> float:
        self._hook.remove()
        return self._n_frames / self._frames_per_latent


def work_verdict(runs: Sequence[Run]) -> Verdict:
    """How the decoding of a second grows with the sentence: not at all, if it is linear."""
    short, long = _ends(runs)
    grown = (long.n_decoded / long.n_latents) / (short.n_decoded / short.n_latents)
    return Verdict("decoding for a second, at 4x the length", "<= 1.3 times", grown, MUST, "")


def time_verdict(runs: Sequence[Run]) -> Verdict:
    """The same in time."""
    short, long = _ends(runs)
    grown = (long.whole_s / long.speech_s) / (short.whole_s / short.speech_s)
    return Verdict("time for a second, at 4x the length", "<= 1.3 times", grown, MUST, "")


def _ends(runs: Sequence[Run]) -> tuple[Run, Run]:
    ours = [run for run in runs if run.way == "ours"]
    return ours[0], ours[-1]


if __name__ == "__main__":
    sys.exit(main())
