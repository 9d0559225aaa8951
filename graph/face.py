"""A turn's speech becomes one video: gathered, cut into stretches, drawn, muxed, paced."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass

from pydantic import Field

from deployments.config import Settings
from deployments.errors import EngineRuntimeError
from deployments.streams import Reader, prefetch
from deployments.types import SpeechChunk, VideoPackets
from graph.events import VideoFragment
from graph.mux import END_BOX, FragmentedMp4
from graph.stages import AvatarStage
from graph.timeline import Timeline
from graph.timing import Playback, TurnClock


class TurnSettings(Settings):
    """How a reply is cut and how far its stages work ahead of each other."""

    stretch_frames: tuple[int, ...] = (10, 10, 15, 25)
    n_sentences_ahead: int = Field(default=32, ge=1)  # text is small; a model is rarely held back
    n_speech_blocks_ahead: int = Field(default=16, ge=1)  # two to four seconds of speech
    n_packets_ahead: int = Field(default=8, ge=1)  # of a stretch, while an earlier one is written
    n_events_ahead: int = Field(default=16, ge=1)
    # When the next sentence is not there so shortly before the viewer runs out of picture, the
    # face goes on in silence, a few frames at a time.
    gap_margin_s: float = Field(default=0.4, gt=0)
    gap_frames: int = Field(default=5, ge=1)


_MIN_PATIENCE_S = 0.02
"""Speech that was read ahead needs a few turns of the event loop to be handed over."""


class Face:
    """Draws a turn's speech, stretch by stretch, into one MP4."""

    def __init__(
        self,
        avatar: AvatarStage,
        timeline: Timeline,
        feed: Reader[SpeechChunk],
        mp4: FragmentedMp4,
        clock: TurnClock,
        look_ahead_s: float | None,
        settings: TurnSettings,
        emit: Callable[[VideoFragment], Awaitable[None]],
    ) -> None:
        self.avatar, self.timeline, self.feed, self.mp4 = avatar, timeline, feed, mp4
        self.clock, self.look_ahead_s, self.settings = clock, look_ahead_s, settings
        self.emit = emit
        self.playback = Playback(clock.now)
        self.state: bytes | None = None
        self.n_emitted = 0

    async def play(self) -> None:
        """Emit the whole video, its closing box included.

        The next stretch is ordered as soon as this one's first packet brings the motion state, so
        that two replicas draw for one turn.
        """
        following = asyncio.create_task(self._begin())
        try:
            while (drawing := await following) is not None:
                following = asyncio.create_task(self._begin())
                async with aclosing(drawing.rest):
                    await self._write(drawing.first)
                    async for packets in drawing.rest:
                        await self._write(packets)
        finally:
            await _abandon(following)
        await self._emit(END_BOX, is_last=True)

    async def _begin(self) -> "_Drawing | None":
        """The next stretch in progress, or ``None`` when all is cut."""
        if self.timeline.is_cut_up:
            return None
        await self._gather()
        await self._keep_look_ahead()
        stretch = self.timeline.cut(self.state, max(0.0, self._ahead_s()))
        self.clock.mark("avatar_start")
        rest = prefetch(self.avatar.render(stretch), self.settings.n_packets_ahead)
        try:
            first = await anext(rest, None)
        except BaseException:
            await rest.aclose()
            raise
        if first is None:
            raise EngineRuntimeError("the avatar stage drew nothing", stage="avatar")
        self.clock.mark("avatar_first_frame")
        self.state = first.motion_state
        return _Drawing(first, rest)

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
        cut_s = self.timeline.n_frames_cut / self.timeline.plan.fps
        return cut_s - self.playback.position_s

    async def _keep_look_ahead(self) -> None:
        if self.look_ahead_s is not None and self._ahead_s() > self.look_ahead_s:
            await asyncio.sleep(self._ahead_s() - self.look_ahead_s)

    async def _write(self, packets: VideoPackets) -> None:
        end_frame = packets.first_frame + packets.n_frames
        is_last = self.timeline.is_cut_up and end_frame == self.timeline.n_frames_cut
        self._lay_sound(self.timeline.sample_at(end_frame))
        for data in self.mp4.write(packets, is_last=is_last):
            if self.n_emitted == 1:
                self.playback.start()
                self.clock.mark("first_fragment")
            await self._emit(data)

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
        mime = self.mp4.mime if self.n_emitted == 0 else None
        event = VideoFragment(self.n_emitted, data, mime, is_last)
        self.n_emitted += 1
        await self.emit(event)


@dataclass(frozen=True, slots=True)
class _Drawing:
    """A stretch in progress: its first packets, which brought the state, and the rest."""

    first: VideoPackets
    rest: AsyncGenerator[VideoPackets, None]


async def _abandon(drawing: "asyncio.Task[_Drawing | None]") -> None:
    drawing.cancel()
    (left,) = await asyncio.gather(drawing, return_exceptions=True)
    if isinstance(left, _Drawing):
        await left.rest.aclose()
