"""A turn's speech becomes one video: gathered, cut into stretches, drawn, muxed, paced."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from math import inf
from typing import Annotated

from pydantic import Field

from deployments.config import Settings
from deployments.errors import StageError
from deployments.streams import Reader
from deployments.types import SpeechChunk, Stretch, VideoPackets
from graph.drawing import Drawing
from graph.events import LadderStep, Progress, VideoFragment
from graph.ladder import Ladder, LadderSettings
from graph.mux import END_BOX, FragmentedMp4
from graph.stages import AvatarStage
from graph.standin import LONGEST_STRETCH, StandIn, StandIns
from graph.timeline import Timeline
from graph.timing import Playback, TurnClock


class TurnSettings(Settings):
    """How a reply is cut and how far its stages work ahead of each other."""

    # The last one is that of all further stretches. With a tail each fits what can stand in for it.
    stretch_frames: tuple[Annotated[int, Field(ge=1, le=LONGEST_STRETCH)], ...] = (10, 10, 15, 25)
    n_sentences_ahead: int = Field(default=32, ge=1)  # text is small; a model is rarely held back
    n_speech_blocks_ahead: int = Field(default=16, ge=1)  # two to four seconds of speech
    n_packets_ahead: int = Field(default=8, ge=1)  # of a stretch, while an earlier one is written
    n_events_ahead: int = Field(default=16, ge=1)
    # When the next sentence is not there so shortly before the viewer runs out of picture, the
    # face goes on in silence, a few frames at a time.
    gap_margin_s: float = Field(default=0.4, gt=0)
    gap_frames: int = Field(default=5, ge=1)
    ladder: LadderSettings = LadderSettings()
    # Of drawing, in a row, after which a caller who waits for the whole is told that it failed.
    # A viewer who watches gets the voice in any case.
    n_failures: int = Field(default=3, ge=1)


_MIN_PATIENCE_S = 0.02
"""What was read ahead needs a few turns of the event loop to be handed over."""

_HANDLING_S = 0.1
"""Frames are asked for so long before their playout: they have to be sent, and what comes later
counts as falling behind."""

_LATE_S = 0.05
"""A frame that leaves so long after its viewer needed it counts as late, as in the load tests."""

_HELD_AFTER_S = 0.25
"""A viewer who has not taken a fragment for so long holds the turn up, not the machine."""


class Face:
    """Draws a turn's speech, stretch by stretch, into one MP4."""

    def __init__(
        self,
        avatar: AvatarStage,
        stand_ins: StandIns | None,
        timeline: Timeline,
        feed: Reader[SpeechChunk],
        mp4: FragmentedMp4,
        clock: TurnClock,
        look_ahead_s: float | None,
        settings: TurnSettings,
        emit: Callable[[VideoFragment], Awaitable[None]],
        on_progress: Callable[[Progress], None],
    ) -> None:
        self.avatar, self.timeline, self.feed, self.mp4 = avatar, timeline, feed, mp4
        self.stand_ins = stand_ins
        self.clock, self.look_ahead_s, self.settings = clock, look_ahead_s, settings
        self.emit, self.on_progress = emit, on_progress
        self.playback = Playback(clock.now)
        self.fps = timeline.plan.fps
        self._ladder = Ladder(settings.ladder, self.fps)
        self.n_frames = self.n_late_frames = self.n_bytes = 0  # sent so far
        self._n_emitted = 0

    @property
    def ladder(self) -> tuple[LadderStep, ...]:
        """Where the face was reduced so far."""
        return self._ladder.steps

    async def play(self) -> None:
        """Emit the whole video, its closing box included.

        The next stretch is ordered as soon as this one's first packet brings the motion state, so
        that two replicas draw for one turn.

        Raises:
            StageError: drawing failed before anything could stand in for it.
        """
        following = asyncio.create_task(self._order(None))
        try:
            while (drawing := await following) is not None:
                following = asyncio.create_task(self._order(drawing))
                async with drawing:
                    await self._show(drawing)
        finally:
            await _abandon(following)
        await self._emit(END_BOX, is_last=True)

    # Ordering: what is drawn next, and when.

    async def _order(self, before: Drawing | None) -> Drawing | None:
        """The next stretch, being drawn, or ``None`` when all is cut."""
        state = None if before is None else await before.state()
        if self.timeline.is_cut_up:
            return None
        await self._gather()
        await self._keep_look_ahead()
        needed_in_s = max(0.0, self._needed_in_s(self.timeline.n_frames_cut))
        stretch = self.timeline.cut(state, needed_in_s)
        self.clock.mark("avatar_start")
        return self._draw(replace(stretch, frame_step=self._ladder.frame_step))

    def _draw(self, stretch: Stretch) -> Drawing:
        return Drawing(self.avatar, stretch, self.settings.n_packets_ahead)

    async def _gather(self) -> None:
        """Take speech until a stretch can be cut, or the viewer would run out of picture."""
        while not self.timeline.has_stretch():
            try:
                chunk = await self.feed.next(self._patience_s())
            except TimeoutError:
                if not self._viewer_runs_out():
                    continue
                if not self.timeline.has_frames():
                    self.timeline.append_silence(self.settings.gap_frames)
                return
            if chunk is None:
                self.timeline.end()
            else:
                self.timeline.append(chunk)

    def _patience_s(self) -> float | None:
        if self.look_ahead_s is None:
            return None
        if not self.playback.has_started:
            return self.settings.gap_margin_s  # it may start meanwhile: look again then
        return max(_MIN_PATIENCE_S, self._ahead_s() - self.settings.gap_margin_s)

    def _viewer_runs_out(self) -> bool:
        return self.playback.has_started and self._ahead_s() <= self.settings.gap_margin_s

    def _ahead_s(self) -> float:
        return self._due_in_s(self.timeline.n_frames_cut)

    def _due_in_s(self, frame: int) -> float:
        return frame / self.fps - self.playback.position_s

    def _needed_in_s(self, frame: int) -> float:
        return self._due_in_s(frame) - _HANDLING_S

    async def _keep_look_ahead(self) -> None:
        if self.look_ahead_s is not None and self._ahead_s() > self.look_ahead_s:
            await asyncio.sleep(self._ahead_s() - self.look_ahead_s)

    # Showing: each frame in time, drawn if it can be.

    async def _show(self, drawing: Drawing) -> None:
        """Send every frame of the stretch; where drawing is late or fails, something stands in."""
        frame, end = drawing.first_frame, drawing.end_frame
        while frame < end:
            stand_in = self._stand_in()
            try:
                packets = await self._drawn(drawing, frame, is_urgent=stand_in is not None)
            except (TimeoutError, StageError) as error:
                if stand_in is None or not self._may_go_on(error):
                    raise
                packets = self._stand_in_for(drawing, frame, stand_in)
            await self._write(packets)
            frame += packets.n_frames

    async def _drawn(self, drawing: Drawing, frame: int, *, is_urgent: bool) -> VideoPackets:
        """The next packet; when it is urgent, only as long as the viewer can wait."""
        asked_s = self.clock.now()
        packets = await drawing.next(self._drawing_patience_s(frame) if is_urgent else None)
        self.clock.mark("avatar_first_frame")
        self.clock.remark("avatar_end")
        # What was there already did not cause the delay that there may be: a slow reader did.
        was_awaited = self.clock.now() - asked_s > _MIN_PATIENCE_S
        slack_s = self._due_in_s(frame) if self._is_watched else inf
        self._ladder.drawn(frame, packets.n_frames, drawing.frame_step, slack_s, was_awaited)
        return packets

    def _stand_in_for(self, drawing: Drawing, frame: int, stand_in: StandIn) -> VideoPackets:
        """What is shown from ``frame`` on, while the rest of the stretch is ordered anew."""
        level, n_frames = self._ladder.missed(frame, drawing.end_frame - frame)
        packets = stand_in.packets(level, frame, n_frames, self.timeline.turn_no)
        next_frame = frame + packets.n_frames
        drawing.restart(next_frame, self._ladder.frame_step, self._needed_in_s(drawing.first_frame))
        return packets

    def _may_go_on(self, error: Exception) -> bool:
        """Whether something may stand in: always for a viewer who watches, unless it is our bug;
        for one who waits for the whole, not in place of all of it."""
        if isinstance(error, StageError) and not error.retryable:
            return False
        return self._is_watched or self._ladder.n_missed < self.settings.n_failures - 1

    def _stand_in(self) -> StandIn | None:
        return None if self.stand_ins is None else self.stand_ins.of(self.timeline.avatar_id)

    @property
    def _is_watched(self) -> bool:
        """Whether somebody watches while it is made."""
        return self.look_ahead_s is not None

    def _drawing_patience_s(self, frame: int) -> float | None:
        ladder = self.settings.ladder
        if not self._is_watched:
            return None
        if not self.playback.has_started:
            return ladder.start_patience_s
        return max(_MIN_PATIENCE_S, self._due_in_s(frame) + ladder.grace_s)

    # Writing: one file, sound beside the picture.

    async def _write(self, packets: VideoPackets) -> None:
        end_frame = packets.first_frame + packets.n_frames
        is_last = self.timeline.is_cut_up and end_frame == self.timeline.n_frames_cut
        self._lay_sound(self.timeline.sample_at(end_frame))
        self._count(packets)
        loop = asyncio.get_running_loop()
        for data in self.mp4.write(packets, is_last=is_last):
            if self._n_emitted == 1:
                self.playback.start()
                self.clock.mark("first_fragment")
            held = loop.call_later(_HELD_AFTER_S, self._tell_held, packets.first_frame)
            try:
                await self._emit(data)
            finally:
                held.cancel()
        self.playback.hold(end_frame / self.fps)  # nobody has played what was not sent
        self._tell_progress(end_frame)

    def _count(self, packets: VideoPackets) -> None:
        """Frames that are about to leave; whoever waits for the whole gets none too late."""
        self.n_frames += packets.n_frames
        if self._is_watched and self._due_in_s(packets.first_frame) < -_LATE_S:
            self.n_late_frames += packets.n_frames

    def _tell_progress(self, end_frame: int, *, is_held: bool = False) -> None:
        timeline = self.timeline
        sent_s, ahead_s = end_frame / self.fps, self._due_in_s(end_frame)
        self.on_progress(Progress(timeline.speech_s, sent_s, ahead_s, timeline.has_ended, is_held))

    def _tell_held(self, frame: int) -> None:
        """Only what is before ``frame`` was taken."""
        self._tell_progress(frame, is_held=True)

    def _lay_sound(self, end: int) -> None:
        """Give the encoder what belongs beside the picture up to sample ``end``, and a bit more."""
        sound = self.mp4.sound
        if not self.timeline.is_cut_up:
            # Three AAC frames more than the picture: the encoder holds back two, and the third is
            # begun by the picture's last sample.
            sound.append(self.timeline.samples(sound.n_samples, end + 3 * sound.frame_samples))
        elif not sound.is_finished:
            whole = self.timeline.sample_at(self.timeline.n_frames_cut)
            sound.append(self.timeline.samples(sound.n_samples, whole))
            sound.finish(whole)

    async def _emit(self, data: bytes, *, is_last: bool = False) -> None:
        mime = self.mp4.mime if self._n_emitted == 0 else None
        event = VideoFragment(self._n_emitted, data, mime, is_last)
        self._n_emitted += 1
        self.n_bytes += len(data)
        await self.emit(event)


async def _abandon(ordering: "asyncio.Task[Drawing | None]") -> None:
    ordering.cancel()
    (left,) = await asyncio.gather(ordering, return_exceptions=True)
    if isinstance(left, Drawing):
        await left.aclose()
