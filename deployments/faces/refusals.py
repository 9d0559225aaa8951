"""Why a picture of a face is refused, in words for whoever sent it."""

from deployments.errors import UnusableInputError


def no_face() -> UnusableInputError:
    return UnusableInputError(
        "No face was found. Send a picture of one face, seen from the front in even light, "
        "with nothing before it.",
        code="no_face",
    )


def turned_away() -> UnusableInputError:
    return UnusableInputError(
        "The face is turned away or tilted. Send one that looks straight at the camera.",
        code="no_face",
    )


def many_faces() -> UnusableInputError:
    return UnusableInputError(
        "There is more than one face. Cut the picture to the one that is to speak.",
        code="many_faces",
    )


def too_small(eyes_px: float, least_px: float) -> UnusableInputError:
    """``eyes_px``: how far the eyes' outer corners are apart; ``least_px``: how far they must."""
    return UnusableInputError(
        f"The face is too small: its eyes' outer corners are {eyes_px:.0f} pixels apart and must "
        f"be {least_px:.0f}. Send a larger picture, or one taken from nearer.",
        code="too_small",
    )
