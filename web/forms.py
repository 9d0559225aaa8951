"""What clients may send, as models: they check it and they document it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, FiniteFloat

from deployments.types import Message
from web.consent import MAX_NAME_CHARS, PORTRAIT, VOICE


def _blank_is_absent(value: Any) -> Any:
    """A browser sends an untouched form field as an empty string; JSON is read alike."""
    return None if value in ("", b"") else value


_Optional = BeforeValidator(_blank_is_absent)
OptionalText = Annotated[str | None, _Optional]
Controls = dict[str, FiniteFloat]


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class HistoryLine(_Form):
    role: Literal["user", "assistant"]
    content: str

    def message(self) -> Message:
        return Message(self.role, self.content)


class ConversationForm(_Form):
    """Speech or text; the face answers."""

    audio: bytes | None = Field(default=None, description="speech, any common audio file")
    text: OptionalText = Field(default=None, description="instead of speech")
    language: OptionalText = Field(default=None, description="BCP 47, such as en; else detected")
    session_id: OptionalText = Field(default=None, description="to go on with a conversation")
    avatar: OptionalText = Field(default=None, description="an id of GET /api/v1/avatars")
    voice: OptionalText = Field(default=None, description="an id of GET /api/v1/voices")
    history: OptionalText = Field(
        default=None, description='JSON: [{"role": "user" or "assistant", "content": "..."}]'
    )


class TranscribeForm(_Form):
    """Speech to text."""

    audio: bytes = Field(description="speech, any common audio file")
    language: OptionalText = None


class AnimateForm(_Form):
    """Sound to a talking face."""

    audio: bytes = Field(description="any common audio file")
    avatar: OptionalText = None
    controls: OptionalText = Field(default=None, description="JSON: numbers by control name")


class VoiceForm(_Form):
    """A voice of somebody's own, copied from a recording."""

    audio: bytes = Field(description="6 to 30 s in which one person speaks, any common audio file")
    name: str = Field(description=f"1 to {MAX_NAME_CHARS} characters")
    consent: OptionalText = Field(
        default=None, description=f"`true` agrees, and this is kept word for word: {VOICE}"
    )


class AvatarForm(_Form):
    """A face of somebody's own."""

    image: bytes = Field(description="one face, seen from the front: JPEG, PNG or WebP")
    name: str = Field(description=f"1 to {MAX_NAME_CHARS} characters")
    consent: OptionalText = Field(
        default=None, description=f"`true` agrees, and this is kept word for word: {PORTRAIT}"
    )


class ChatBody(_Form):
    """Text to text."""

    message: str
    session_id: OptionalText = None
    history: tuple[HistoryLine, ...] | None = None
    language: OptionalText = None


class SpeakBody(_Form):
    """Text to sound."""

    text: str
    language: OptionalText = None
    voice: OptionalText = None
    format: Literal["wav", "mp3", "opus"] = "wav"


class GenerateBody(_Form):
    """Text to a talking face."""

    text: str
    language: OptionalText = None
    avatar: OptionalText = None
    voice: OptionalText = None
    controls: Controls = Field(default_factory=dict)
