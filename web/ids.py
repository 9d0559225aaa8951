"""Public ids: unguessable, and never a path."""

import re
import secrets

_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")


def new_id() -> str:
    """22 characters, 128 random bits."""
    return secrets.token_urlsafe(16)


def is_id(text: str) -> bool:
    """Whether ``text`` has the form of an id; whether it exists is the store's to say."""
    return _ID.fullmatch(text) is not None
