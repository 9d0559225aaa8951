"""The router on real Serve: a stopped replica costs one stall, and streams are spread evenly."""

import asyncio
import logging
import os
import signal
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray import serve
from ray.serve.handle import DeploymentHandle

from deployments.types import Stretch
from graph import replicas
from graph.handles import AvatarHandle
from graph.router import AVOIDING
from tests.serving import ROOT

# What Ray itself leaves open or finds outdated, when it starts and ends in this process.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

STALL_S = 0.5
SPEECH: Any = None  # nobody looks at the stretch


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as folder:  # sockets limit it
        ray.init(
            address="local",
            num_cpus=2,
            object_store_memory=100 * 2**20,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"env_vars": {"PYTHONPATH": str(ROOT)}},
            _temp_dir=folder,
        )
        serve.start(proxy_location="Disabled")
        yield
        serve.shutdown()  # type: ignore[no-untyped-call]
        ray.shutdown()


@pytest.fixture
def avatar(cluster: None) -> AvatarHandle:
    class Painter:
        """Says who it is, and takes its time."""

        async def render(self, stretch: Stretch) -> AsyncGenerator[SimpleNamespace, None]:
            yield SimpleNamespace(pid=os.getpid(), effort=None)
            await asyncio.sleep(0.2)

    deployment = serve.deployment(
        name="avatar",
        num_replicas=2,
        max_ongoing_requests=16,
        health_check_timeout_s=300,
        ray_actor_options={"num_cpus": 0.1},
        request_router_config=AVOIDING,
    )(Painter)
    handle: DeploymentHandle[Any] = serve.run(deployment.bind(), name="router", route_prefix=None)
    return AvatarHandle(handle)


class Clock:
    """Real time, and what a test lets pass on top."""

    now_s = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(replicas, "HERE", replicas.Replicas(clock))
    return clock


async def painter(avatar: AvatarHandle) -> int | None:
    """The pid of whoever took a stretch; ``None``, and a report, if it gave no output."""
    stream: AsyncGenerator[Any, None] = avatar.render(SPEECH)
    first = asyncio.ensure_future(anext(stream))
    done, _ = await asyncio.wait([first], timeout=STALL_S)
    if done:
        pid = int(first.result().pid)
        assert [item async for item in stream] == []
        return pid
    avatar.stalled(stream)
    first.cancel()
    await asyncio.wait([first])
    await stream.aclose()
    return None


async def both(avatar: AvatarHandle) -> list[int]:
    pids = await asyncio.gather(*(painter(avatar) for _ in range(2)))
    return sorted(pid for pid in pids if pid is not None)


def in_loop(work: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(60):
            await work()

    asyncio.run(run())


def test_streams_that_begin_together_are_spread_evenly(avatar: AvatarHandle, clock: Clock) -> None:
    async def work() -> None:
        for _ in range(3):
            pids = await asyncio.gather(*(painter(avatar) for _ in range(8)))
            assert sorted(Counter(pids).values()) == [4, 4]

    in_loop(work)


def test_no_request_is_remembered_once_it_is_over_or_given_up(
    avatar: AvatarHandle, clock: Clock
) -> None:
    async def work() -> None:
        streams = [avatar.render(SPEECH) for _ in range(40)]  # more than both have room for
        starts = [asyncio.ensure_future(anext(stream)) for stream in streams]
        await asyncio.wait(starts, return_when=asyncio.FIRST_COMPLETED)
        for start in starts[::2]:
            start.cancel()
        await asyncio.wait(starts)
        for stream in streams:
            await stream.aclose()
        while replicas.HERE.n_requests:  # noqa: ASYNC110 - Serve tells of an end, but not us
            await asyncio.sleep(0.01)
        assert len(await both(avatar)) == 2

    in_loop(work)


def test_after_one_stall_all_goes_to_the_other_until_the_hung_one_answers(
    avatar: AvatarHandle, clock: Clock
) -> None:
    async def work() -> None:
        stopped, healthy = await both(avatar)
        os.kill(stopped, signal.SIGSTOP)
        try:
            assert sorted(await asyncio.gather(*(painter(avatar) for _ in range(2))), key=bool) == [
                None,
                healthy,
            ]
            for _ in range(3):
                assert await asyncio.gather(*(painter(avatar) for _ in range(8))) == [healthy] * 8
            clock.now_s += replicas.QUARANTINE_S
            assert await painter(avatar) == healthy  # the probe finds it still hung
        finally:
            os.kill(stopped, signal.SIGCONT)
        while set(await both(avatar)) != {stopped, healthy}:
            clock.now_s += replicas.RECHECK_S

    in_loop(work)


def test_a_report_against_all_leaves_all_in_use(avatar: AvatarHandle, clock: Clock) -> None:
    async def work() -> None:
        streams: list[AsyncGenerator[Any, None]] = [avatar.render(SPEECH) for _ in range(2)]
        assert len({(await anext(stream)).pid for stream in streams}) == 2
        clock.now_s += replicas.SILENCE_S
        for stream in streams:
            avatar.stalled(stream)
            await stream.aclose()
        assert len(await both(avatar)) == 2

    in_loop(work)
