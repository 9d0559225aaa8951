"""Servers shared by the tests that need a real one; each starts when first asked for."""

from collections.abc import Iterator

import pytest

from tests.serving import Server, running


@pytest.fixture(scope="session")
def embedded_server() -> Iterator[Server]:
    """What a newcomer runs: the real engines."""
    with running("embedded") as server:
        yield server
