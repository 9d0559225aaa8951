"""A viewer's side of one answer: what arrived when, and what that meant for watching it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.fragments import Fragment, Movie
from benchmarks.incoming import BoxReader

LATE_S = 0.05
"""A fragment that comes so much after its time is late. Source: issue 3."""

_SAME_S = 0.001  # media times are ticks of different clocks, rounded


@dataclass(frozen=True, slots=True)
class Arrival:
    """One fragment, and when its last byte came."""

    at_s: float
    fragment: Fragment


@dataclass(frozen=True, slots=True)
class Watched:
    """What watching was like. A player starts ``buffer_s`` after the first fragment came.

    ``n_fragments`` are those with a picture, the only ones that can be late. ``worst_late_s`` is
    against a player that never waits (negative while all was early); ``longest_gap_s`` and
    ``stalled_s`` are of one that stops until the fragment is there.
    """

    n_fragments: int
    n_late: int
    worst_late_s: float
    longest_gap_s: float
    stalled_s: float


def watched(arrivals: Sequence[Arrival], buffer_s: float) -> Watched:
    """Whether each fragment came in time: its media time after the first, 50 ms allowed."""
    pictures = [(a.at_s, a.fragment.picture.start_s) for a in arrivals if a.fragment.picture]
    if not pictures:
        return Watched(0, 0, 0.0, 0.0, 0.0)
    first_at_s, first_start_s = pictures[0]
    n_late, worst_s, longest_s, stalled_s = 0, -float("inf"), 0.0, 0.0
    for at_s, start_s in pictures:
        late_s = at_s - (first_at_s + buffer_s + start_s - first_start_s)
        n_late += late_s > LATE_S
        worst_s = max(worst_s, late_s)
        gap_s = max(0.0, late_s - stalled_s)
        longest_s, stalled_s = max(longest_s, gap_s), stalled_s + gap_s
    return Watched(len(pictures), n_late, worst_s, longest_s, stalled_s)


@dataclass
class Viewer:
    """Takes the bytes of one answer as they come; times are on the caller's clock."""

    arrivals: list[Arrival] = field(default_factory=list)
    n_bytes: int = 0
    is_whole: bool = False  # the closing `mfra` was seen
    first_sound_s: float | None = None
    _boxes: BoxReader = field(default_factory=BoxReader)
    _movie: Movie | None = None
    _fragment: Fragment | None = None

    def push(self, data: bytes, at_s: float) -> None:
        """Raises:
        AnswerError: it is no MP4.
        """
        self.n_bytes += len(data)
        for name, content in self._boxes.push(data):
            if name == "moov":
                self._movie = Movie(content)
            elif name == "moof" and self._movie is not None:
                self._fragment = self._movie.fragment(content)
            elif name == "mdat" and self._fragment is not None:
                self._arrived(self._fragment, at_s)
                self._fragment = None
            self.is_whole = name == "mfra"

    def _arrived(self, fragment: Fragment, at_s: float) -> None:
        self.arrivals.append(Arrival(at_s, fragment))
        if fragment.sound is not None and self.first_sound_s is None:
            self.first_sound_s = at_s

    @property
    def n_frames(self) -> int:
        return sum(a.fragment.picture.n_samples for a in self.arrivals if a.fragment.picture)

    @property
    def video_s(self) -> float:
        """Seconds of picture that came."""
        runs = [a.fragment.picture for a in self.arrivals if a.fragment.picture]
        return sum(run.end_s - run.start_s for run in runs)

    @property
    def av_offset_ms(self) -> float | None:
        """How much later the sound ends than the picture, in what came."""
        pictures = [a.fragment.picture.end_s for a in self.arrivals if a.fragment.picture]
        sounds = [a.fragment.sound.end_s for a in self.arrivals if a.fragment.sound]
        return (max(sounds) - max(pictures)) * 1000 if pictures and sounds else None

    @property
    def fault(self) -> str:
        """What is wrong with the timeline of what came; empty if nothing is."""
        numbers = [a.fragment.number for a in self.arrivals]
        if numbers != list(range(1, len(numbers) + 1)):
            return "fragments missing or out of order"
        for kind in ("picture", "sound"):
            end_s = 0.0
            for arrival in self.arrivals:
                run = getattr(arrival.fragment, kind)
                if run is None:
                    continue
                if abs(run.start_s - end_s) > _SAME_S:
                    return f"{kind} goes from {end_s:.3f} s to {run.start_s:.3f} s"
                end_s = run.end_s
        return ""
