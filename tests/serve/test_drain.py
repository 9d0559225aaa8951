"""A pod that is to end is emptied first, on real Ray nodes: what it streams comes to its end."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import ray
from ray import serve
from ray.cluster_utils import Cluster
from ray.serve import Application

from cluster.kuberay import drain
from graph.launch import OBJECT_STORE_BYTES
from tests.serving import ROOT, free_port

# What Ray itself leaves open or finds outdated, when it starts and ends in this process.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

N_ITEMS = 40
PLACE = {"place": 1.0}  # of the nodes where the answerer may run


def application() -> Application:
    """Somebody who streams for a few seconds, as an ingress does for minutes."""

    class Answerer:
        def node_id(self) -> str:
            node_id: str = ray.get_runtime_context().get_node_id()
            return node_id

        async def answer(self) -> AsyncIterator[int]:
            for item in range(N_ITEMS):
                yield item
                await asyncio.sleep(0.1)

    answerer = serve.deployment(
        name="answerer",
        graceful_shutdown_timeout_s=20,
        graceful_shutdown_wait_loop_s=0.1,
        ray_actor_options={"num_cpus": 0.1, "resources": {"place": 0.1}},
    )(Answerer)
    return answerer.bind()


@pytest.fixture(scope="module")
def nodes() -> Iterator[Cluster]:
    """A head that runs no replica, and the driver's connection to it."""
    with (
        tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as folder,  # sockets limit it
        pytest.MonkeyPatch.context() as environment,
    ):
        # Cluster notes its address in a folder `ray` of this one, and so not for other Ray.
        environment.setenv("RAY_TMPDIR", folder)
        cluster = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 1,
                "object_store_memory": OBJECT_STORE_BYTES,
                "include_dashboard": True,
                "dashboard_port": free_port(),
                "temp_dir": f"{folder}/ray",
            },
        )
        yield from connected(cluster)


def connected(cluster: Cluster) -> Iterator[Cluster]:
    environment = {"env_vars": {"PYTHONPATH": str(ROOT)}}
    ray.init(
        address=cluster.address,
        log_to_driver=False,
        configure_logging=False,
        runtime_env=environment,
    )
    serve.start(proxy_location="Disabled", http_options={"port": free_port()})
    yield cluster
    serve.shutdown()  # type: ignore[no-untyped-call]
    ray.shutdown()
    cluster.shutdown()  # type: ignore[no-untyped-call]


def add_node(nodes: Cluster) -> Any:
    return nodes.add_node(num_cpus=1, resources=PLACE, object_store_memory=OBJECT_STORE_BYTES)


async def test_a_node_is_left_when_its_last_answer_has_ended(nodes: Cluster) -> None:
    leaving = add_node(nodes)
    handle: Any = serve.run(application(), name="drain", route_prefix=None)
    assert await handle.node_id.remote() == leaving.node_id
    staying = add_node(nodes)
    stream = handle.options(stream=True).answer.remote()
    received = [await anext(stream)]
    drain.announce(leaving.node_id, within_s=30.0)
    emptied = asyncio.create_task(asyncio.to_thread(drain.wait_until_empty, leaving.node_id, 30.0))
    received += [item async for item in stream]
    assert received == list(range(N_ITEMS))
    assert await emptied
    assert await handle.node_id.remote() == staying.node_id


async def test_a_node_that_goes_on_serving_is_told_of(nodes: Cluster) -> None:
    (kept,) = [n for n in nodes.worker_nodes if drain.serving_on(n.node_id)]
    assert drain.wait_until_empty(kept.node_id, within_s=0.0) is False
    assert drain.serving_on(kept.node_id) == ["ServeReplica:drain:answerer"]
