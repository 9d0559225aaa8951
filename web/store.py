"""Sessions, turns and their media: what is kept, for how long, behind one interface."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from deployments.types import Message


@dataclass(frozen=True, slots=True)
class Turn:
    """A finished turn. ``created_at`` is Unix time; ``timings`` is as the interface shows it;
    ``is_shortened``: the rest of the reply was lost."""

    turn_id: str
    session_id: str
    created_at: float
    user_text: str
    response_text: str
    language: str
    timings: Mapping[str, Any] = field(default_factory=dict)
    engines: Mapping[str, str] = field(default_factory=dict)
    has_video: bool = False
    is_shortened: bool = False

    def messages(self) -> tuple[Message, Message]:
        return Message("user", self.user_text), Message("assistant", self.response_text)


@dataclass(frozen=True, slots=True)
class Session:
    """The history of its turns, oldest first."""

    session_id: str
    created_at: float
    turns: tuple[Turn, ...]


class Recording(Protocol):
    """A video that is being written. Blocks: call ``write`` in a thread."""

    def write(self, data: bytes) -> None:
        """Append.

        Raises:
            OSError: among others when the disk is full; the recording is erased then.
        """
        ...

    def abort(self) -> None:
        """Erase what was written; harmless after the turn was kept."""
        ...


class Store(Protocol):
    """Blocks, and may be called from any thread and from several processes at once."""

    keeps: bool
    """False where nothing may be kept (``retention_s`` 0): then nothing is ever found either."""

    def record(self, turn_id: str) -> Recording:
        """A new recording.

        Raises:
            RefusedError: ``disk_full``.
        """
        ...

    def keep(self, turn: Turn, recording: Recording | None, *, is_new_session: bool) -> bool:
        """Make the turn, and its video, part of its session; all of it or nothing.

        ``False`` if its session has been deleted meanwhile: then nothing is kept.
        """
        ...

    def session(self, session_id: str) -> Session | None: ...

    def turn(self, turn_id: str) -> Turn | None: ...

    def video(self, turn_id: str) -> Path | None:
        """The file of a turn's whole video."""
        ...

    def delete_session(self, session_id: str) -> bool:
        """Erase a session, its turns and their media; ``False`` if there was none."""
        ...

    def sweep(self) -> None:
        """Erase what has expired, and what a killed process left behind."""
        ...

    def close(self) -> None: ...
