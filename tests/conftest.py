"""Servers and tiny models shared by tests; each is started or made when first asked for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import Server, running
from tests.tiny_models.made import made


@pytest.fixture(scope="session")
def embedded_server() -> Iterator[Server]:
    """What a newcomer runs: the real engines."""
    with running("embedded") as server:
        yield server


@pytest.fixture(scope="session")
def tiny_whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a Whisper in CTranslate2's form, which hears noise words."""
    return made("make_tiny_whisper", tmp_path_factory.mktemp("tiny") / "whisper")


@pytest.fixture(scope="session")
def tiny_xtts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an XTTS-v2 that says noise: 0.28 s for each part of at most 26 letters."""
    lengths = ("--max-audio-tokens", "9", "--max-text-tokens", "28")
    return made("make_tiny_xtts", tmp_path_factory.mktemp("tiny") / "xtts", *lengths)


@pytest.fixture(scope="session")
def tiny_ditto(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a Ditto in the published layout, which draws noise that moves."""
    return made("make_tiny_ditto", tmp_path_factory.mktemp("tiny") / "ditto", "--depth", "2")
