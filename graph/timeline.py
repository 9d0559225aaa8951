"""The reply's clock: speech put in order, and cut into stretches on frame boundaries.

Pure: no clock, no stage. Sentences arrive with times of their own and are laid end to end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from deployments.types import AudioChunk, Phoneme, Samples, SpeechChunk, Stretch

TAIL_FRAMES = 8
"""After the last sound the face comes to rest in so many frames (the HTTP interface fixes it)."""


@dataclass(frozen=True, slots=True)
class StretchPlan:
    """How a reply is cut: the first stretches are short, so that the face starts early.

    ``context_s`` is how much speech beyond a stretch's end the avatar engine wants to hear.
    ``is_live``: its viewer waits for an answer.
    Source of the lengths: a trial of this project; 10 then 25 made frames late.
    """

    fps: int
    context_s: float
    lengths: Sequence[int] = (10, 10, 15, 25)
    is_live: bool = True


@dataclass(slots=True)
class Timeline:
    """One reply's speech so far, and how far it was cut."""

    plan: StretchPlan
    sample_rate_hz: int
    avatar_id: str
    controls: Mapping[str, float] = field(default_factory=dict)
    turn_no: int = 0
    seed: int = 0
    has_ended: bool = False
    n_frames_cut: int = 0
    _n_stretches: int = 0
    _blocks: list[Samples] = field(default_factory=list)
    _n_samples: int = 0
    _phonemes: list[Phoneme] = field(default_factory=list)

    @property
    def speech_s(self) -> float:
        """Seconds of speech so far, silence laid between sentences included."""
        return self._n_samples / self.sample_rate_hz

    @property
    def n_speech_frames(self) -> int:
        """ceil(fps x seconds of speech), in integers so that no rounding adds a frame."""
        return -(-self._n_samples * self.plan.fps // self.sample_rate_hz)

    @property
    def is_cut_up(self) -> bool:
        """Whether everything was cut, the tail included."""
        return self.has_ended and self.n_frames_cut >= self.n_speech_frames + TAIL_FRAMES

    def append(self, chunk: SpeechChunk) -> None:
        """Lay a block of speech behind what is there."""
        # Laid anew at each block, because silence may have come between two of one sentence.
        start_s = self.speech_s - chunk.audio.start_s
        self._phonemes.extend(
            Phoneme(p.ipa, p.start_s + start_s, p.end_s + start_s) for p in chunk.phonemes
        )
        self._lay(chunk.audio.samples)

    def append_silence(self, n_frames: int) -> None:
        """Lay a pause of ``n_frames`` behind what is there."""
        until = self.sample_at(self.n_frames_cut + n_frames)
        self._lay(np.zeros(max(0, until - self._n_samples), np.float32))

    def end(self) -> None:
        """No more speech will come."""
        self.has_ended = True

    def sample_at(self, frame: int) -> int:
        """The sample at which ``frame`` begins."""
        return round(frame * self.sample_rate_hz / self.plan.fps)

    def samples(self, start: int, end: int) -> Samples:
        """The sound from sample ``start`` to ``end``, as far as it is there."""
        if len(self._blocks) > 1:
            self._blocks = [np.concatenate(self._blocks)]
        return self._blocks[0][start:end] if self._blocks else np.zeros(0, np.float32)

    def has_stretch(self) -> bool:
        """Whether the next stretch can be cut with all the context that the engine wants."""
        if self.has_ended:
            return not self.is_cut_up
        return self.speech_s >= self._end_s(self._length()) + self.plan.context_s

    def has_frames(self) -> bool:
        """Whether at least one whole frame of speech is there that was not cut yet."""
        return self._n_whole_frames() > self.n_frames_cut

    def cut(self, motion_state: bytes | None, needed_in_s: float) -> Stretch:
        """The next stretch: as long as planned, or shorter if there is not more."""
        n_frames, n_rest = self._length(), 0
        if self.has_ended:
            left = self.n_speech_frames - self.n_frames_cut
            if left <= n_frames:
                n_frames, n_rest = left + TAIL_FRAMES, TAIL_FRAMES
        else:
            n_frames = min(n_frames, self._n_whole_frames() - self.n_frames_cut)
        stretch = self._stretch(n_frames, n_rest, motion_state, needed_in_s)
        self.n_frames_cut += n_frames
        self._n_stretches += 1
        return stretch

    def _stretch(
        self, n_frames: int, n_rest: int, motion_state: bytes | None, needed_in_s: float
    ) -> Stretch:
        start = self.sample_at(self.n_frames_cut)
        start_s, end_s = self.n_frames_cut / self.plan.fps, self._end_s(n_frames)
        end = self.sample_at(self.n_frames_cut + n_frames)
        context = round(self.plan.context_s * self.sample_rate_hz)
        heard_s = end_s + self.plan.context_s
        return Stretch(
            avatar_id=self.avatar_id,
            audio=AudioChunk(self.samples(start, end + context), self.sample_rate_hz, start_s),
            phonemes=tuple(p for p in self._phonemes if p.end_s > start_s and p.start_s < heard_s),
            first_frame=self.n_frames_cut,
            n_frames=n_frames,
            motion_state=motion_state,
            n_rest_frames=n_rest,
            needed_in_s=needed_in_s,
            controls=self.controls,
            turn_no=self.turn_no,
            is_live=self.plan.is_live,
            seed=self.seed,
        )

    def _lay(self, samples: Samples) -> None:
        self._blocks.append(samples)
        self._n_samples += len(samples)

    def _length(self) -> int:
        lengths = self.plan.lengths
        return lengths[min(self._n_stretches, len(lengths) - 1)]

    def _end_s(self, n_frames: int) -> float:
        return (self.n_frames_cut + n_frames) / self.plan.fps

    def _n_whole_frames(self) -> int:
        return self._n_samples * self.plan.fps // self.sample_rate_hz
