"""Whose frame is drawn next: earliest playout first, over all stretches on a replica.

No engine, no clock: times are numbers that the caller gives, on one clock of its own.
"""

from collections import deque
from collections.abc import Iterator
from typing import Generic, NamedTuple, TypeVar

from deployments.types import Stretch

JobT = TypeVar("JobT")


class Due(NamedTuple, Generic[JobT]):
    """A frame to be drawn now: ``frame_no`` counts from the stretch's first frame."""

    job: JobT
    frame_no: int
    deadline_s: float


class _Frame(NamedTuple):
    """An undrawn frame; the smaller is drawn earlier. Among equals in time the packet nearer to its
    stretch's start, since a new turn's face waits for it; then who came first, so that packets are
    completed one by one."""

    deadline_s: float
    packet: int
    arrival: int
    frame_no: int


class Schedule(Generic[JobT]):
    """The undrawn frames of all stretches in progress.

    Frames leave the replica in packets, and the viewer has none of a packet's frames before all
    are drawn. So a frame's deadline is the playout time of the FIRST frame of its packet. With
    deadlines of their own, the frames of sessions that are equally far would be drawn in turns,
    and all their packets would be complete at the end, together.

    A session far ahead waits for the others, but never while the engine would be idle. Its turn
    comes: nothing is needed before it was asked for, so what arrives after a frame's deadline
    lies behind it. That holds for repetitions too, whose stretch may have begun in the past: only
    what was delivered lies there.
    """

    def __init__(self, fps: int, frames_per_packet: int) -> None:
        self._fps, self._frames_per_packet = fps, frames_per_packet
        self._waiting: dict[JobT, deque[_Frame]] = {}  # never empty deques
        self._n_arrived = 0

    def __len__(self) -> int:
        """How many frames are still to be drawn."""
        return sum(len(frames) for frames in self._waiting.values())

    def add(self, job: JobT, stretch: Stretch, now_s: float) -> None:
        """Put the stretch's frames on the schedule under ``job``, which comes back with each."""
        frames = deque(self._frames(stretch, now_s + stretch.needed_in_s))
        self._n_arrived += 1
        if frames:
            self._waiting[job] = frames

    def drop(self, job: JobT) -> None:
        """Take off what is undrawn of ``job``, if anything is."""
        self._waiting.pop(job, None)

    def take(self, n: int) -> list[Due[JobT]]:
        """The ``n`` most urgent frames, or all if there are fewer; they are off the schedule.

        Those of one stretch come in order.
        """
        taken: list[Due[JobT]] = []
        while len(taken) < n and self._waiting:
            taken.append(self._take_one())
        return taken

    def _take_one(self) -> Due[JobT]:
        # A replica has a few dozen stretches at most: looking at all takes microseconds, and
        # drawing one frame takes milliseconds.
        job, frames = min(self._waiting.items(), key=lambda item: item[1][0])
        frame = frames.popleft()
        if not frames:
            del self._waiting[job]
        return Due(job, frame.frame_no, frame.deadline_s)

    def _frames(self, stretch: Stretch, playout_s: float) -> Iterator[_Frame]:
        first, size = stretch.n_frames_sent, self._frames_per_packet
        for frame_no in drawn_frames(stretch):
            packet = (frame_no - first) // size
            deadline_s = playout_s + (first + packet * size) / self._fps
            yield _Frame(deadline_s, packet, self._n_arrived, frame_no)


def drawn_frames(stretch: Stretch) -> list[int]:
    """The frames that are drawn, counted from the stretch's first; the encoder repeats the others.

    The first undelivered one is drawn wherever it lies, since it follows nothing.
    """
    first, step = stretch.n_frames_sent, stretch.frame_step
    later = range((first // step + 1) * step, stretch.n_frames, step)
    return [first, *later] if first < stretch.n_frames else []
