"""Stretches in progress on a replica: drawn together, a batch at a time, each encoded for itself.

Everything here blocks; on a replica it runs on the engine's thread.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from deployments.avatar.encode import StretchEncoder
from deployments.avatar.engine import AvatarEngine, DrawRequest, MoveRequest, MovesTogether
from deployments.avatar.schedule import Due, Schedule
from deployments.config import EncoderConfig
from deployments.errors import AvatarError, engine_errors
from deployments.types import Effort, Frame, Motion, Stretch, VideoPackets

PortraitT = TypeVar("PortraitT")


@dataclass(frozen=True, slots=True, eq=False)
class Studio(Generic[PortraitT]):
    """What all stretches on a replica share."""

    engine: AvatarEngine[PortraitT]
    encoder: EncoderConfig
    replica: str

    def schedule(self) -> Schedule["Rendering[PortraitT]"]:
        """An empty one, for stretches rendered here."""
        return Schedule(self.engine.capabilities.fps, self.encoder.frames_per_packet)

    def open_encoder(self, first_frame: int) -> StretchEncoder:
        facts = self.engine.capabilities
        size = facts.width_px, facts.height_px
        return StretchEncoder(self.encoder, *size, facts.fps, first_frame)


class _Begun(NamedTuple):
    motion: Motion
    state: bytes
    h264: StretchEncoder


class Rendering(Generic[PortraitT]):
    """One stretch in progress: its motion, its encoder, and the packet that is being filled.

    ``is_over``: it failed, or its reader has left; no more of it is made.
    """

    def __init__(self, studio: Studio[PortraitT], portrait: PortraitT, stretch: Stretch) -> None:
        self.stretch = stretch
        self.is_over = False
        self._studio, self._portrait = studio, portrait
        self._begun: _Begun | None = None
        self._n_done = stretch.n_frames_sent  # frames in packets
        self._units: list[bytes] = []
        # What the packet being filled has cost; the first one pays for the motion, too.
        self._busy_s, self._n_drawn = 0.0, 0

    def request(self, due: Due["Rendering[PortraitT]"], now_s: float) -> DrawRequest[PortraitT]:
        """What the engine needs to draw one of its frames."""
        motion = self._begin().motion[due.frame_no]
        return DrawRequest(self._portrait, motion, due.deadline_s - now_s)

    def show(self, frame_no: int, frame: Frame, draw_s: float) -> list[VideoPackets]:
        """Encode a drawn frame and its repetitions; the packets that are complete with them."""
        self._busy_s += draw_s
        self._n_drawn += 1
        h264, stretch, packets = self._begin().h264, self.stretch, []
        next_drawn = (frame_no // stretch.frame_step + 1) * stretch.frame_step
        for n in range(frame_no, min(next_drawn, stretch.n_frames)):
            with self._busy():
                self._units.append(h264.encode(frame) if n == frame_no else h264.repeat())
            is_last = n + 1 == stretch.n_frames
            if is_last or len(self._units) == self._studio.encoder.frames_per_packet:
                packets.append(self._packet())
        return packets

    def close(self) -> None:
        """Free the encoder."""
        self.is_over = True
        if self._begun is not None:
            self._begun.h264.close()

    @property
    def waits_for_motion(self) -> bool:
        return self._begun is None and not self.is_over

    def move_request(self) -> MoveRequest[PortraitT]:
        """What the engine needs to move it.

        Motion is that of the whole stretch, so that a repetition moves as the lost call did.
        """
        return MoveRequest(self._portrait, self.stretch)

    def begin(self, motion: Motion, state: bytes, move_s: float) -> _Begun:
        """Open its encoder; its motion has taken ``move_s``."""
        self._busy_s += move_s
        with self._busy():
            h264 = self._studio.open_encoder(self.stretch.first_frame + self._n_done)
            self._begun = _Begun(motion, state, h264)
        return self._begun

    def _begin(self) -> _Begun:
        """Its motion and encoder, made now if nobody moved it together with others."""
        if self._begun is not None:
            return self._begun
        started_s = time.perf_counter()
        motion, state = self._studio.engine.move(self._portrait, self.stretch)
        return self.begin(motion, state, time.perf_counter() - started_s)

    def _packet(self) -> VideoPackets:
        begun, fps = self._begin(), self._studio.engine.capabilities.fps
        packet = VideoPackets(
            units=tuple(self._units),
            first_frame=self.stretch.first_frame + self._n_done,
            fps=fps,
            starts_with_keyframe=self._n_done == self.stretch.n_frames_sent,
            motion_state=begun.state,
            codec_config=begun.h264.codec_config,
            turn_no=self.stretch.turn_no,
            effort=Effort(self._studio.replica, self._busy_s, self._n_drawn / fps),
        )
        self._n_done += packet.n_frames
        self._units, self._busy_s, self._n_drawn = [], 0.0, 0
        return packet

    @contextmanager
    def _busy(self) -> Iterator[None]:
        started_s = time.perf_counter()
        try:
            yield
        finally:
            self._busy_s += time.perf_counter() - started_s


class Outcome(NamedTuple, Generic[PortraitT]):
    """What a batch brought to one of its stretches; an error is the stretch's end."""

    rendering: Rendering[PortraitT]
    result: VideoPackets | AvatarError


class _Asked(NamedTuple, Generic[PortraitT]):
    due: Due[Rendering[PortraitT]]
    request: DrawRequest[PortraitT]


class _Drawn(NamedTuple, Generic[PortraitT]):
    due: Due[Rendering[PortraitT]]
    frame: Frame
    draw_s: float


def draw_batch(
    engine: AvatarEngine[PortraitT], batch: Sequence[Due[Rendering[PortraitT]]], now_s: float
) -> list[Outcome[PortraitT]]:
    """Draw a batch and encode each frame in its stretch; new stretches are moved first.

    ``now_s`` is on the schedule's clock. What fails in one stretch ends that one only.
    """
    outcomes: list[Outcome[PortraitT]] = []
    asked: list[_Asked[PortraitT]] = []
    _move_together(engine, batch, outcomes)
    for due in batch:
        if not due.job.is_over:
            with _ending(due.job, outcomes):
                asked.append(_Asked(due, due.job.request(due, now_s)))
    for due, frame, draw_s in _drawn(engine, asked, outcomes):
        if not due.job.is_over:
            with _ending(due.job, outcomes):
                packets = due.job.show(due.frame_no, frame, draw_s)
                outcomes += [Outcome(due.job, packet) for packet in packets]
    return outcomes


def _move_together(
    engine: AvatarEngine[PortraitT],
    batch: Sequence[Due[Rendering[PortraitT]]],
    outcomes: list[Outcome[PortraitT]],
) -> None:
    """Begin all new stretches at once, where the engine can; otherwise each begins alone."""
    new = list(dict.fromkeys(due.job for due in batch if due.job.waits_for_motion))
    if len(new) < 2 or not isinstance(engine, MovesTogether):
        return
    started_s = time.perf_counter()
    with suppress(Exception):  # if it was no accident, it comes again for whom it concerns
        moved = engine.move_together([rendering.move_request() for rendering in new])
        move_s = (time.perf_counter() - started_s) / len(new)
        for rendering, result in zip(new, moved, strict=True):
            with _ending(rendering, outcomes):
                if isinstance(result, AvatarError):
                    raise result
                rendering.begin(*result, move_s)


def _drawn(
    engine: AvatarEngine[PortraitT],
    asked: Sequence[_Asked[PortraitT]],
    outcomes: list[Outcome[PortraitT]],
) -> list[_Drawn[PortraitT]]:
    """All frames at once; if that fails, those of each stretch alone.

    An engine does not say whose frame it could not draw, and an error that must not be repeated
    would end the turns of all who happened to be drawn together.
    """
    stretches: dict[Rendering[PortraitT], list[_Asked[PortraitT]]] = {}
    for one in asked:
        stretches.setdefault(one.due.job, []).append(one)
    if len(stretches) > 1:
        with suppress(Exception):  # if it was no accident, it comes again for whom it concerns
            return _draw(engine, asked)
    drawn: list[_Drawn[PortraitT]] = []
    for rendering, own in stretches.items():
        if not rendering.is_over:
            with _ending(rendering, outcomes):
                drawn += _draw(engine, own)
    return drawn


def _draw(
    engine: AvatarEngine[PortraitT], asked: Sequence[_Asked[PortraitT]]
) -> list[_Drawn[PortraitT]]:
    started_s = time.perf_counter()
    frames = engine.draw([request for _, request in asked])
    draw_s = (time.perf_counter() - started_s) / len(asked)
    return [_Drawn(due, frame, draw_s) for (due, _), frame in zip(asked, frames, strict=True)]


@contextmanager
def _ending(rendering: Rendering[PortraitT], outcomes: list[Outcome[PortraitT]]) -> Iterator[None]:
    """An error within is the rendering's end."""
    try:
        with engine_errors("avatar"):
            yield
    except AvatarError as error:
        rendering.is_over = True
        outcomes.append(Outcome(rendering, error))


def stretch_packets(
    engine: AvatarEngine[PortraitT], portrait: PortraitT, stretch: Stretch, encoder: EncoderConfig
) -> Iterator[VideoPackets]:
    """One stretch drawn alone, on the caller's thread: to warm up, and to measure.

    Raises:
        AvatarError: as the engine raised it.
        EngineRuntimeError: for anything else that it raised.
    """
    studio = Studio(engine, encoder, replica="alone")
    schedule, rendering = studio.schedule(), Rendering(studio, portrait, stretch)
    schedule.add(rendering, stretch, now_s=0.0)
    with closing(rendering):
        while batch := schedule.take(engine.capabilities.batch):
            for _, result in draw_batch(engine, batch, now_s=0.0):
                if isinstance(result, AvatarError):
                    raise result
                yield result
