"""What people agree to who add a voice or a portrait: shown to them, and kept word for word."""

import unicodedata

from deployments.errors import UnusableInputError
from web.library import Consent

VOICE = (
    "This is my own voice, or its owner has agreed that I use it here. It may be copied so that "
    "the face speaks with it whatever users of this server ask for, and is kept on this server "
    "until it is deleted."
)
PORTRAIT = (
    "This is a picture of me, or the person in it has agreed that I use it here. It may be "
    "animated so that it speaks whatever users of this server ask for, and is kept on this server "
    "until it is deleted."
)

MAX_NAME_CHARS = 60
_SPOILING = ("C", "Zl", "Zp")  # what no screen shows as a character of one line


def agreed(answer: str | None, text: str, *, given_by: str, at: float) -> Consent:
    """The record of somebody's consent to ``text``.

    Args:
        answer: the form's ``consent``; ``true`` agrees, and nothing else does.
        given_by: as ``web.keys.giver_of`` says.
        at: Unix time.

    Raises:
        UnusableInputError: ``consent_required``.
    """
    if (answer or "").strip().lower() != "true":
        raise UnusableInputError(
            f"Send consent=true if you agree to this: {text}", code="consent_required"
        )
    return Consent(given_by, at, text)


def checked_name(name: str) -> str:
    """A name as it is shown: composed, without spaces around it.

    Raises:
        UnusableInputError: ``invalid_value``; empty, too long, or not to be shown in one line.
    """
    plain = unicodedata.normalize("NFC", name).strip()
    if not 1 <= len(plain) <= MAX_NAME_CHARS:
        raise UnusableInputError(f"Give it a name of 1 to {MAX_NAME_CHARS} characters.")
    if any(unicodedata.category(character).startswith(_SPOILING) for character in plain):
        raise UnusableInputError("Give it a name without line breaks or other control characters.")
    if not any(character.isalnum() for character in plain):
        raise UnusableInputError("Give it a name with at least one letter or digit.")
    return plain
