"""The router on real Serve: a stopped replica costs one stall, and streams are spread evenly.

Serve reads when imported how it carries requests; ``test_transport`` runs all of this once more, in
a process of its own, in throughput mode.
"""

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
from ray.serve import Application
from ray.serve.handle import DeploymentHandle

from deployments.errors import AvatarError, EngineInputError, EngineRuntimeError
from deployments.types import ReplyDelta
from graph import replicas
from graph.calls import Call
from graph.handles import AvatarHandle, LlmHandle
from graph.router import AVOIDING
from tests.serving import ROOT, free_port

# What Ray itself leaves open or finds outdated, when it starts and ends in this process.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

STALL_S = 0.5
SPEECH: Any = None  # nobody looks at the stretch
APPLICATION = "router"
FAILURES: dict[str, BaseException] = {
    "ours": EngineInputError("no such language", stage="llm"),
    "foreign": ValueError("unexpected"),
    "cancelled": asyncio.CancelledError(),  # by nobody who waits for it
}


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
        # In throughput mode there is a proxy all the same.
        serve.start(proxy_location="Disabled", http_options={"port": free_port()})
        serve.run(application(), name=APPLICATION, route_prefix=None)
        yield
        serve.shutdown()  # type: ignore[no-untyped-call]
        ray.shutdown()


def application() -> Application:
    """Somebody who needs several streams while they answer one request, two who draw them, and one
    who talks."""

    class Painter:
        """Says who it is, and takes its time."""

        async def render(self, *_: object) -> AsyncGenerator[SimpleNamespace, None]:
            yield SimpleNamespace(pid=os.getpid(), effort=None)
            await asyncio.sleep(0.2)

    class Talker:
        """Goes on for ever, or fails."""

        n_open = 0

        async def reply(
            self, _messages: object, how: str, *_: object
        ) -> AsyncGenerator[ReplyDelta, None]:
            self.n_open += 1
            try:
                while how == "endless":
                    yield ReplyDelta("and")
                    await asyncio.sleep(0.01)
                yield ReplyDelta("Well,")
                raise FAILURES[how]
            finally:
                self.n_open -= 1

        async def count(self) -> int:
            return self.n_open

    class Ingress:
        def __init__(self, avatar: DeploymentHandle[Any], _llm: DeploymentHandle[Any]) -> None:
            self._avatar = AvatarHandle(avatar)

        async def ask(self, n: int) -> list[int]:
            """Who took each of ``n`` streams that begin together."""
            return await asyncio.gather(*(self._one() for _ in range(n)))

        async def _one(self) -> int:
            pids = [item.pid async for item in self._avatar.render(SPEECH)]  # type: ignore[attr-defined]
            return int(pids[0])

    painters = serve.deployment(
        name="avatar",
        num_replicas=2,
        max_ongoing_requests=16,
        health_check_timeout_s=300,
        ray_actor_options={"num_cpus": 0.1},
        request_router_config=AVOIDING,
    )(Painter)
    talker = serve.deployment(name="llm", ray_actor_options={"num_cpus": 0.1})(Talker)
    ingress = serve.deployment(name="ingress", ray_actor_options={"num_cpus": 0.1})(Ingress)
    return ingress.bind(painters.bind(), talker.bind())


class Clock:
    """Real time, and what a test lets pass on top."""

    now_s = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.now_s


@pytest.fixture
def clock(cluster: None, monkeypatch: pytest.MonkeyPatch) -> Clock:
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


def in_loop(work: Callable[[AvatarHandle], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(60):
            # In throughput mode a handle belongs to the loop in which it is first used.
            await work(AvatarHandle(DeploymentHandle("avatar", APPLICATION)))

    asyncio.run(run())


def test_streams_that_begin_together_are_spread_evenly(clock: Clock) -> None:
    async def work(avatar: AvatarHandle) -> None:
        for _ in range(3):
            pids = await asyncio.gather(*(painter(avatar) for _ in range(8)))
            assert sorted(Counter(pids).values()) == [4, 4]

    in_loop(work)


def test_streams_of_one_request_are_told_apart(cluster: None) -> None:
    async def work(_avatar: AvatarHandle) -> None:
        ingress: DeploymentHandle[Any] = DeploymentHandle("ingress", APPLICATION)
        for _ in range(3):
            pids = await ingress.ask.remote(8)
            assert sorted(Counter(pids).values()) == [4, 4]

    in_loop(work)


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ("ours", EngineInputError("no such language")),
        ("foreign", EngineRuntimeError("the llm stage failed: ValueError: unexpected")),
        ("cancelled", EngineRuntimeError("a replica of the llm stage was lost: .*")),
    ],
)
def test_what_a_replica_raises_arrives_as_one_of_our_types(
    cluster: None, how: str, error: AvatarError
) -> None:
    async def work(_avatar: AvatarHandle) -> None:
        stream = LlmHandle(DeploymentHandle("llm", APPLICATION)).reply([], how)
        assert await anext(stream) == ReplyDelta("Well,")
        with pytest.raises(AvatarError, match=str(error)) as raised:
            await anext(stream)
        assert type(raised.value) is type(error)
        assert (raised.value.stage, raised.value.retryable) == ("llm", how != "ours")

    in_loop(work)


def test_a_stream_that_is_left_ends_at_its_source(cluster: None) -> None:
    async def work(_avatar: AvatarHandle) -> None:
        llm: DeploymentHandle[Any] = DeploymentHandle("llm", APPLICATION)
        streams = [LlmHandle(llm).reply([], "endless") for _ in range(3)]
        for stream in streams:
            assert await anext(stream) == ReplyDelta("and")
        assert await llm.count.remote() == 3
        await streams[0].aclose()
        for stream in streams[1:]:
            reading = asyncio.ensure_future(_last(stream))
            await asyncio.sleep(0)
            reading.cancel()
            await asyncio.wait([reading])
            assert reading.cancelled()
        while await llm.count.remote():  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.01)

    in_loop(work)


def test_a_call_that_nobody_has_begun_to_read_ends_at_its_source(cluster: None) -> None:
    async def work(_avatar: AvatarHandle) -> None:
        llm: DeploymentHandle[Any] = DeploymentHandle("llm", APPLICATION)
        call = Call(llm.options(stream=True).reply, [], "endless")
        while not await llm.count.remote():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        call.cancel()
        while await llm.count.remote():  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.01)

    in_loop(work)


async def _last(stream: AsyncGenerator[ReplyDelta, None]) -> None:
    async for _ in stream:
        pass


def test_no_request_is_remembered_once_it_is_over_or_given_up(
    clock: Clock,
) -> None:
    async def work(avatar: AvatarHandle) -> None:
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
    clock: Clock,
) -> None:
    async def work(avatar: AvatarHandle) -> None:
        stopped, healthy = await both(avatar)
        os.kill(stopped, signal.SIGSTOP)
        try:
            assert sorted(await asyncio.gather(*(painter(avatar) for _ in range(2))), key=bool) == [
                None,
                healthy,
            ]
            for _ in range(3):
                assert await asyncio.gather(*(painter(avatar) for _ in range(8))) == [healthy] * 8
            clock.now_s += replicas.FIRST_QUARANTINE_S
            assert await painter(avatar) == healthy  # the probe finds it still hung
        finally:
            os.kill(stopped, signal.SIGCONT)
        while set(await both(avatar)) != {stopped, healthy}:
            clock.now_s += replicas.FIRST_QUARANTINE_S

    in_loop(work)


def test_a_report_against_all_leaves_all_in_use(clock: Clock) -> None:
    async def work(avatar: AvatarHandle) -> None:
        streams: list[AsyncGenerator[Any, None]] = [avatar.render(SPEECH) for _ in range(2)]
        assert len({(await anext(stream)).pid for stream in streams}) == 2
        clock.now_s += replicas.SILENCE_S
        for stream in streams:
            avatar.stalled(stream)
            await stream.aclose()
        assert len(await both(avatar)) == 2

    in_loop(work)
