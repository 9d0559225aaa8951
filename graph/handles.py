"""From Serve handles to stages: cancelling, errors back in our own types, what outputs took noted,
for whom it was done told. Nothing is decided here.

Serve does not stop a stream that its reader leaves, so each one is held in ``cancelling``.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from ray.serve.handle import DeploymentHandle

from deployments.caller import CALLER
from deployments.streams import cancelling
from deployments.types import (
    AsrCapabilities,
    AudioChunk,
    AvatarCapabilities,
    AvatarCard,
    CustomVoice,
    Effort,
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
from graph import replicas
from graph.calls import Call, our_errors
from graph.cluster_gate import GateNews, GateReport, Refused
from graph.events import QueueUpdated
from graph.stages import Stages

FactsT = TypeVar("FactsT")

Note = Callable[[str, Effort], None]
"""Told the stage's name and what one output took."""


def _ignore(stage: str, effort: Effort) -> None:
    """The default listener."""


def from_handles(
    asr: DeploymentHandle[Any],
    llm: DeploymentHandle[Any],
    tts: DeploymentHandle[Any],
    avatar: DeploymentHandle[Any],
    note: Note = _ignore,
) -> Stages:
    """The stages behind the handles. A language model has no effort: it mostly runs elsewhere."""
    speaking, drawing = TtsHandle(tts, note), AvatarHandle(avatar, note)

    def on_stall(stream: AsyncGenerator[Any, None]) -> bool:
        return speaking.stalled(stream) or drawing.stalled(stream)

    return Stages(AsrHandle(asr, note), LlmHandle(llm), speaking, drawing, on_stall=on_stall)


class _Handle(Generic[FactsT]):
    """Common to all stages; what a stage says of itself is asked once, since it cannot change
    without a redeployment, which makes new handles."""

    stage: str
    has_effort = False  # of each output of its streams

    def __init__(self, handle: DeploymentHandle[Any], note: Note = _ignore) -> None:
        self._handle, self._note = handle, note
        self._streaming = handle.options(stream=True)
        self._facts: FactsT | None = None
        self._calls: WeakKeyDictionary[AsyncGenerator[Any, None], list[str]] = WeakKeyDictionary()

    def stalled(self, stream: AsyncGenerator[Any, None]) -> bool:
        """If this stream is ours, tell the router who has it; see ``Stages.on_stall``."""
        return any(replicas.HERE.stalled(i) for i in self._calls.get(stream, ()))

    async def describe(self) -> FactsT:
        if self._facts is None:
            self._facts = await self._answer("describe")
        return self._facts

    async def _answer(self, method: str, *args: Any) -> Any:
        with our_errors(self.stage):
            async with cancelling(Call(getattr(self._handle, method), *args)) as call:
                return await call.response

    def _stream(self, method: str, *args: Any) -> AsyncGenerator[Any, None]:
        request_ids: list[str] = []
        stream = self._items(request_ids, method, *args)
        self._calls[stream] = request_ids
        return stream

    async def _items(
        self, request_ids: list[str], method: str, *args: Any
    ) -> AsyncGenerator[Any, None]:
        with our_errors(self.stage):
            async with cancelling(Call(getattr(self._streaming, method), *args)) as call:
                request_ids.append(call.id)
                async for item in call.response:
                    replicas.HERE.delivered(call.id)
                    if self.has_effort:
                        self._noted(item.effort)
                    yield item

    def _noted(self, effort: Effort | None) -> None:
        if effort is not None:
            self._note(self.stage, effort)


class AsrHandle(_Handle[AsrCapabilities]):
    stage = "asr"

    async def transcribe(self, audio: AudioChunk, language: str | None) -> Transcript:
        transcript: Transcript = await self._answer("transcribe", audio, language, CALLER.get())
        self._noted(transcript.effort)
        return transcript


class LlmHandle(_Handle[LlmCapabilities]):
    stage = "llm"

    async def status(self) -> LlmStatus:
        status: LlmStatus = await self._answer("status")
        return status

    def reply(self, messages: Sequence[Message], language: str) -> AsyncGenerator[ReplyDelta, None]:
        return self._stream("reply", messages, language, CALLER.get())


class TtsHandle(_Handle[TtsCapabilities]):
    stage = "tts"
    has_effort = True

    def speak(
        self, sentence: ReplySentence, language: str, voice: str | CustomVoice | None
    ) -> AsyncGenerator[SpeechChunk, None]:
        return self._stream("speak", sentence, language, voice, CALLER.get())

    async def clone(self, sample: AudioChunk) -> bytes:
        state: bytes = await self._answer("clone", sample, CALLER.get())
        return state


class AvatarHandle(_Handle[AvatarCapabilities]):
    stage = "avatar"
    has_effort = True

    async def portraits(self) -> tuple[AvatarCard, ...]:
        cards: tuple[AvatarCard, ...] = await self._answer("portraits")
        return cards

    async def still(self, avatar_id: str, source: PortraitSource | None = None) -> Frame:
        frame: Frame = await self._answer("still", avatar_id, source)
        return frame

    def render(self, stretch: Stretch) -> AsyncGenerator[VideoPackets, None]:
        return self._stream("render", stretch, CALLER.get())


class AdmissionHandle(_Handle[None]):
    """The deployment that lets turns in; see ``graph.cluster_gate.AdmissionStage``."""

    stage = "admission"

    def enter(
        self, turn_id: str, ingress_id: str, waited_s: float
    ) -> AsyncGenerator[QueueUpdated | Refused, None]:
        return self._stream("enter", turn_id, ingress_id, waited_s)

    async def report(self, report: GateReport) -> GateNews:
        news: GateNews = await self._answer("report", report)
        return news
