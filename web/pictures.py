"""Pictures that people send: what the bytes are decides, not what they are called."""

import io
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image, ImageOps

from deployments.errors import ProtocolError
from deployments.types import Frame

_FORMATS = ("JPEG", "PNG", "WEBP")
_LONGEST_PX = 4096  # a face that is large enough to be animated is still found at this size
_PAPER = (128, 128, 128)  # what shows through where a picture is transparent


def decode(data: bytes, max_pixels: int) -> Frame:
    """The picture (height, width, 3) BGR as it is meant to be seen, its longer side at most 4096
    pixels. Nothing else that the file holds (place, time, camera) is kept. Blocks.

    Its size is read from its head: no pixel of a picture that is too large is ever decoded.

    Raises:
        ProtocolError: ``unsupported_media`` or ``too_large``.
    """
    with _read(max_pixels), Image.open(io.BytesIO(data), formats=_FORMATS) as image:
        if image.width * image.height > max_pixels:
            raise _too_many(max_pixels)
        # A JPEG may hold a second picture, of depth, say; a PNG or WebP of several is a film.
        if image.format != "MPO" and getattr(image, "is_animated", False):
            raise ProtocolError("the picture moves; send a still one", code="unsupported_media")
        image.draft("RGB", (_LONGEST_PX, _LONGEST_PX))  # a JPEG is decoded smaller at once
        return _upright(image)


def _upright(image: Image.Image) -> Frame:
    image.thumbnail((_LONGEST_PX, _LONGEST_PX), Image.Resampling.BOX)
    turned = ImageOps.exif_transpose(image)
    if turned.has_transparency_data:
        seen = turned.convert("RGBA")
        paper = Image.new("RGBA", seen.size, _PAPER)
        turned = Image.alpha_composite(paper, seen)
    rgb = np.asarray(turned.convert("RGB"))
    return np.ascontiguousarray(rgb[..., ::-1])


@contextmanager
def _read(max_pixels: int) -> Iterator[None]:
    """Whatever a decoder says about broken bytes is one error of the interface."""
    try:
        yield
    except ProtocolError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_many(max_pixels) from None
    except Exception as error:  # each format raises its own kinds, from struct.error to SyntaxError
        raise ProtocolError(
            "these bytes are no picture; send a JPEG, PNG or WebP", code="unsupported_media"
        ) from error


def _too_many(max_pixels: int) -> ProtocolError:
    text = f"the picture is too large; send one of at most {max_pixels / 1e6:g} million pixels"
    return ProtocolError(text, code="too_large")
