"""One stretch while it is drawn: read with limited patience, and ordered anew where it was late."""

import asyncio
from dataclasses import replace
from types import TracebackType

from deployments.errors import EngineRuntimeError
from deployments.streams import Reader, prefetch
from deployments.types import Stretch, VideoPackets
from graph.stages import AvatarStage


class Drawing:
    """A stretch that was ordered; drawing begins at once. Close it, however it ended."""

    def __init__(self, avatar: AvatarStage, stretch: Stretch, n_packets_ahead: int) -> None:
        self._avatar, self._stretch, self._n_ahead = avatar, stretch, n_packets_ahead
        self._state: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._reader = self._begin()
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def first_frame(self) -> int:
        return self._stretch.first_frame

    @property
    def end_frame(self) -> int:
        return self._stretch.first_frame + self._stretch.n_frames

    @property
    def frame_step(self) -> int:
        return self._stretch.frame_step

    async def state(self) -> bytes | None:
        """The face's motion after this stretch: known with the first packet, long before the end.

        ``None`` where none of it was drawn: then the face goes on from rest.
        """
        return await asyncio.shield(self._state)

    async def next(self, patience_s: float | None) -> VideoPackets:
        """The next packet.

        Raises:
            TimeoutError: it was not there in time; the next call waits for the same one.
            StageError: as the stage raised it, or it drew too little.
        """
        packets = await self._reader.next(patience_s)
        if packets is None:
            raise EngineRuntimeError("too few frames were drawn", stage="avatar", retryable=True)
        self._know(packets.motion_state)
        return packets

    def restart(self, frame: int, frame_step: int, needed_in_s: float) -> None:
        """Give up what is being drawn and order the stretch anew from ``frame`` on.

        ``needed_in_s`` is of the stretch's first frame, as in its order, by now in the past.
        """
        closing = asyncio.create_task(self._reader.aclose())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        n_frames_sent = frame - self._stretch.first_frame
        self._stretch = replace(
            self._stretch,
            n_frames_sent=n_frames_sent,
            frame_step=frame_step,
            needed_in_s=needed_in_s,
        )
        if frame < self.end_frame:
            self._reader = self._begin()
        else:
            self._know(None)

    async def aclose(self) -> None:
        """Stop drawing."""
        await self._reader.aclose()
        await asyncio.gather(*self._closing, return_exceptions=True)

    async def __aenter__(self) -> "Drawing":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def _begin(self) -> Reader[VideoPackets]:
        reader = Reader(prefetch(self._avatar.render(self._stretch), self._n_ahead))
        reader.start()
        return reader

    def _know(self, state: bytes | None) -> None:
        if not self._state.done():
            self._state.set_result(state)
