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
