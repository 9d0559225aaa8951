"""The ingress before fake stages and a scripted gate, on a port of its own, in the test's loop."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from tests.web_fakes import World, make_world

STOP_TIMEOUT_S = 2


class _Server(uvicorn.Server):
    """Leaves Ctrl-C to the test run."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass(frozen=True, eq=False)
class FakeServer:
    """A world that browsers can reach."""

    world: World
    url: str


@asynccontextmanager
async def fake_server(data_dir: Path) -> AsyncIterator[FakeServer]:
    """A server that can answer, ended at the end."""
    world = make_world(data_dir)
    config = uvicorn.Config(
        world.app, log_level="warning", timeout_graceful_shutdown=STOP_TIMEOUT_S, ws="none"
    )
    server = _Server(config)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        running = asyncio.create_task(server.serve([listening]))
        try:
            yield FakeServer(world, f"http://127.0.0.1:{listening.getsockname()[1]}")
        finally:
            server.should_exit = True
            await running
