"""What the graph awaits: one Protocol per stage, free of Serve."""

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from deployments.types import (
    AsrCapabilities,
    AudioChunk,
    AvatarCapabilities,
    AvatarCard,
    CustomVoice,
    Frame,
    LlmCapabilities,
    LlmStatus,
    Message,
    PortraitSource,
    ReplyDelta,
    ReplySentence,
    SpeechChunk,
    Stretch,
    Transcript,
    TtsCapabilities,
    VideoPackets,
)

if TYPE_CHECKING:
    from graph.standin import StandIns


class AsrStage(Protocol):
    async def describe(self) -> AsrCapabilities: ...

    async def transcribe(self, audio: AudioChunk, language: str | None) -> Transcript: ...


class LlmStage(Protocol):
    async def describe(self) -> LlmCapabilities: ...

    async def status(self) -> LlmStatus:
        """Of any one replica."""
        ...

    def reply(
        self, messages: Sequence[Message], language: str
    ) -> AsyncGenerator[ReplyDelta, None]: ...


class TtsStage(Protocol):
    async def describe(self) -> TtsCapabilities: ...

    def speak(
        self, sentence: ReplySentence, language: str, voice: str | CustomVoice | None
    ) -> AsyncGenerator[SpeechChunk, None]: ...

    async def clone(self, sample: AudioChunk) -> bytes:
        """The state of a ``CustomVoice``; only where ``describe`` says ``clones_voices``."""
        ...


class AvatarStage(Protocol):
    async def describe(self) -> AvatarCapabilities: ...

    async def portraits(self) -> tuple[AvatarCard, ...]:
        """The faces that are built in; the first is the default."""
        ...

    async def still(self, avatar_id: str, source: PortraitSource | None = None) -> Frame:
        """The face at rest; ``source`` as in ``Stretch``."""
        ...

    def render(self, stretch: Stretch) -> AsyncGenerator[VideoPackets, None]: ...


def _hangs(stream: AsyncGenerator[Any, None]) -> bool:
    """Where nobody knows better, who gives no output hangs."""
    return True


@dataclass(frozen=True, slots=True)
class Stages:
    """The four stages on the way of a turn, and what is shown where drawing comes too late.

    ``on_stall`` is told of a stream that ``speak`` or ``render`` returned and that gives no output,
    and says whether who has it hangs. If so, a second request helps, and goes elsewhere; one who is
    merely busy would only be given more to do.
    """

    asr: AsrStage
    llm: LlmStage
    tts: TtsStage
    avatar: AvatarStage
    stand_ins: "StandIns | None" = None
    on_stall: Callable[[AsyncGenerator[Any, None]], bool] = _hangs
