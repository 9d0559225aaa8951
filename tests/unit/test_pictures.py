"""Whatever a picture is called, its bytes decide; what is too much or broken is never decoded."""

import struct
import tracemalloc
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from deployments.errors import ProtocolError
from tests.portrait_files import in_file, saved
from tests.web_fakes import clip
from web.pictures import decode

LIMIT = 1_000_000


def corners() -> NDArray[np.uint8]:
    """(60, 40, 3) BGR: blue, green and red in three corners, white in the fourth."""
    picture = np.zeros((60, 40, 3), np.uint8)
    picture[:30, :20, 0] = picture[:30, 20:, 1] = picture[30:, :20, 2] = 255
    picture[30:, 20:] = 255
    return picture


def seen(picture: NDArray[Any]) -> list[list[int]]:
    """The four quarters' colours, as far as a lossy file keeps them."""
    height, width = picture.shape[:2]
    places = [(y * height // 4, x * width // 4) for y in (1, 3) for x in (1, 3)]
    return [[round(int(level) / 255) for level in picture[place]] for place in places]


def refusal(data: bytes, limit: int = LIMIT) -> str:
    with pytest.raises(ProtocolError) as refused:
        decode(data, limit)
    return refused.value.code


QUARTERS = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_what_people_send_is_decoded(kind: str) -> None:
    options = {"subsampling": 0, "quality": 95} if kind == "JPEG" else {}
    picture = decode(in_file(corners(), kind, **options), LIMIT)
    assert picture.shape == (60, 40, 3)
    assert picture.dtype == np.uint8
    assert seen(picture) == QUARTERS


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "LA", "1", "I;16"])
def test_pictures_that_are_not_stored_in_three_colours_are_decoded(mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray((corners().mean(axis=2) * 257).astype(np.uint16))
    else:
        image = Image.fromarray(corners()[..., ::-1]).convert(mode)
    picture = decode(saved(image, "JPEG" if mode == "CMYK" else "PNG"), LIMIT)
    assert picture.shape == (60, 40, 3)
    assert picture[45, 30].min() > 240


def test_what_is_transparent_shows_grey() -> None:
    image = Image.new("RGBA", (40, 60), (255, 0, 0, 0))
    assert decode(saved(image, "PNG"), LIMIT)[30, 20].tolist() == [128, 128, 128]


@pytest.mark.parametrize(
    ("orientation", "quarters"),
    [(1, (0, 1, 2, 3)), (3, (3, 2, 1, 0)), (6, (2, 0, 3, 1)), (8, (1, 3, 0, 2)), (2, (1, 0, 3, 2))],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_stands_upright_as_its_camera_says(
    kind: str, orientation: int, quarters: tuple[int, ...]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"subsampling": 0} if kind == "JPEG" else {}
    picture = decode(in_file(corners(), kind, exif=exif, quality=95, **options), LIMIT)
    assert seen(picture) == [QUARTERS[i] for i in quarters]


def test_a_huge_picture_is_refused_by_its_head_alone() -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    def bomb(side: int) -> bytes:
        head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
        return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", b"") + chunk(b"IEND", b"")

    tracemalloc.start()
    codes = [refusal(bomb(side)) for side in (1001, 10_000, 60_000)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert codes == ["too_large"] * 3
    assert peak < 1_000_000


def test_a_picture_of_exactly_so_many_pixels_is_taken() -> None:
    assert decode(in_file(corners(), "PNG"), 2400).shape == (60, 40, 3)
    assert refusal(in_file(corners(), "PNG"), 2399) == "too_large"


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_very_large_one_is_made_smaller(kind: str) -> None:
    wall = np.zeros((500, 6000, 3), np.uint8)
    assert decode(in_file(wall, kind), 4_000_000).shape[1] in (3000, 4096)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_a_film_is_refused(kind: str) -> None:
    frames = [Image.new("RGB", (40, 60), colour) for colour in ("red", "blue")]
    film = saved(frames[0], kind, save_all=True, append_images=frames[1:])
    assert refusal(film) == "unsupported_media"


def test_a_jpeg_that_holds_a_second_picture_is_not_a_film() -> None:
    frames = [Image.new("RGB", (40, 60), colour) for colour in ("red", "blue")]
    pair = saved(frames[0], "MPO", save_all=True, append_images=frames[1:])
    assert decode(pair, LIMIT)[30, 20].argmax() == 2


def test_what_is_no_picture_or_none_of_these_kinds_is_refused() -> None:
    gif = saved(Image.new("RGB", (40, 60)), "GIF")
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
    for data in (b"", b"nonsense", gif, svg, clip(0.2)):
        assert refusal(data) == "unsupported_media"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_that_ends_early_or_is_damaged_is_refused(kind: str) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (200, 200, 3), np.uint8)
    whole = in_file(noise, kind)
    for part in (1, 10, len(whole) // 2):
        assert refusal(whole[:part]) == "unsupported_media"
    if kind == "PNG":
        damaged = bytearray(whole)
        damaged[len(whole) // 2] ^= 0xFF
        assert refusal(bytes(damaged)) == "unsupported_media"
