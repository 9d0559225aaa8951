"""A turn's speech becomes one video: gathered, cut into stretches, drawn, muxed, paced."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from pydantic import Field

from deployments.config import Settings
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
    n_events_ahead: int = Field(default=16, ge=1)
    # When the next sentence is not there so shortly before the viewer runs out of picture, the
    # face goes on in silence, a few frames at a time.
    gap_margin_s: float = Field(default=0.4, gt=0)
    gap_frames: int = Field(default=5, ge=1)


class Feed:
    """A stream of speech that can be waited for with limited patience."""

    def __init__(self, chunks: AsyncGenerator[SpeechChunk, None]) -> None:
        self._chunks = chunks
        self._pending: asyncio.Task[SpeechChunk | None] | None = None

    async def next(self, patience_s: float | None) -> SpeechChunk | None:
        """The next block, or ``None`` at the end.

        Raises:
            TimeoutError: nothing came in time; the next call goes on waiting for the same block.
        """
        if self._pending is None:
            self._pending = asyncio.create_task(self._take())
        done, _ = await asyncio.wait({self._pending}, timeout=patience_s)
        if not done:
            raise TimeoutError
        finished, self._pending = self._pending, None
        return finished.result()

    async def _take(self) -> SpeechChunk | None:
        return await anext(self._chunks, None)

    async def aclose(self) -> None:
        if self._pending is not None:
            self._pending.cancel()
            await asyncio.gather(self._pending, return_exceptions=True)
        await self._chunks.aclose()


# Speech that is already there still needs a few rounds of the event loop to arrive: without any
# patience, silence would be put in the middle of it.
_MIN_PATIENCE_S = 0.02


class Face:
    """Draws a turn's speech, stretch by stretch, into one MP4."""

    def __init__(
        self,
        avatar: AvatarStage,
        timeline: Timeline,
        feed: Feed,
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
        """Emit the whole video, its closing box included."""
        while not self.timeline.is_cut_up:
            await self._gather()
            await self._keep_look_ahead()
            await self._draw()
        await self._emit(END_BOX, is_last=True)

    async def _gather(self) -> None:
        """Take speech until a stretch can be cut, or the viewer would run out of picture."""
        while not self.timeline.has_stretch():
            try:
                chunk = await self.feed.next(self._patience_s())
            except TimeoutError:
                if not self.timeline.has_frames():
                    self.timeline.append_silence(self.settings.gap_frames)
                return
            if chunk is None:
                self.timeline.end()
            else:
                self.timeline.append(chunk)

    def _patience_s(self) -> float | None:
        if self.look_ahead_s is None or not self.playback.has_started:
            return None
        return max(_MIN_PATIENCE_S, self._ahead_s() - self.settings.gap_margin_s)

    def _ahead_s(self) -> float:
        cut_s = self.timeline.n_frames_cut / self.timeline.plan.fps
        return cut_s - self.playback.position_s

    async def _keep_look_ahead(self) -> None:
        if self.look_ahead_s is not None and self._ahead_s() > self.look_ahead_s:
            await asyncio.sleep(self._ahead_s() - self.look_ahead_s)

    async def _draw(self) -> None:
        stretch = self.timeline.cut(self.state, max(0.0, self._ahead_s()))
        self.clock.mark("avatar_start")
        async with aclosing(self.avatar.render(stretch)) as parts:
            async for packets in parts:
                self.clock.mark("avatar_first_frame")
                self.state = packets.motion_state
                await self._write(packets)

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
            # Two AAC frames more than the picture, because the encoder holds back that much.
            sound.append(self.timeline.samples(sound.n_samples, end + 2 * sound.frame_samples))
        elif not sound.is_finished:
            whole = self.timeline.sample_at(self.timeline.n_frames_cut)
            sound.append(self.timeline.samples(sound.n_samples, whole))
            sound.finish(whole)

    async def _emit(self, data: bytes, *, is_last: bool = False) -> None:
        mime = self.mp4.mime if self.n_emitted == 0 else None
        event = VideoFragment(self.n_emitted, data, mime, is_last)
        self.n_emitted += 1
        await self.emit(event)
