"""The Serve class around the application: the one place of ``web`` that knows Ray."""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import httpx
import ray
from fastapi import FastAPI
from ray import serve
from ray.serve.handle import DeploymentHandle

from deployments.caller import logger_of
from deployments.config import StageConfig, VadConfig
from deployments.registry import load_engine
from graph import replicas
from graph.admission import AdmissionSettings
from graph.cluster_gate import ClusterGate
from graph.costs import FACE, falls_behind
from graph.face import TurnSettings
from graph.handles import AdmissionHandle, from_handles
from graph.idle import idle_loop
from graph.instruments import RAY
from graph.metrics import LoadMetrics, TurnMetrics
from graph.repeat import with_repeats
from graph.stages import Stages
from web import consent
from web.app import create_app
from web.catalogue import Catalogue
from web.health import CachedHealth, DeploymentHealth, Health, Status, Uploads, failure_in
from web.library import Library
from web.llm_watch import LlmWatch
from web.metrics import MetricsRelay
from web.portraits import find_portrait
from web.services import Services
from web.settings import IngressSettings
from web.sqlite_store import SqliteStore
from web.traces import TurnTraces, exporter
from web.turn_log import log_turn

logger = logger_of("avatar.web")

STAGES = ("asr", "llm", "tts", "avatar")
Capacity = Callable[[], float | None]
"""Seconds of video per second that the machine makes, as far as it is known."""

_FAILED = {"DEPLOY_FAILED", "UNHEALTHY"}
_UNKNOWN: tuple[Status, int, str] = ("loading", 0, "")


@serve.ingress()
class Ingress:
    """One process that answers HTTP. It is up at once and says ``loading`` while stages load.

    Args of the constructor: the whole profile as plain data, and a handle for each deployment.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        asr: DeploymentHandle[Any],
        llm: DeploymentHandle[Any],
        tts: DeploymentHandle[Any],
        avatar: DeploymentHandle[Any],
        admission: DeploymentHandle[Any],
    ) -> None:
        # What the ingress logs goes where Serve's own lines go, under the same settings.
        logging.getLogger("avatar").parent = logging.getLogger("ray.serve")
        self._config = config
        load = LoadMetrics(RAY, lambda: replicas.HERE.n_suspects)
        self._gate = ClusterGate(
            AdmissionHandle(admission),
            AdmissionSettings.model_validate(config["admission"]),
            ingress_id=serve.get_replica_context().replica_id.unique_id,
            look_ahead_s=config["ingress"]["look_ahead_s"],
            on_report=load.report,
        )
        settings = IngressSettings.model_validate(config["ingress"])
        self._library = Library(settings.data_dir, min_free_bytes=settings.min_free_disk_bytes)
        self._stages = with_repeats(
            from_handles(asr, llm, tts, avatar, self._gate.note),
            *(StageConfig.model_validate(_general(config[name])) for name in STAGES),
            find_portrait=partial(find_portrait, self._library),
            on_repeat=load.repeated,
        )

    def __serve_build_asgi_app__(self) -> FastAPI:
        given = IngressSettings.model_validate(self._config["ingress"])
        settings = given.model_copy(update={"proxy_sets_request_id": True})
        vad = VadConfig.model_validate(self._config["vad"])
        store = SqliteStore(
            settings.data_dir,
            retention_s=settings.retention_s,
            min_free_bytes=settings.min_free_disk_bytes,
        )
        turns = TurnMetrics(RAY)
        sender = exporter(os.environ)
        traces = [] if sender is None else [TurnTraces(sender)]
        services = Services(
            stages=self._stages,
            vad=load_engine("vad", vad.engine, vad.options),
            store=store,
            library=self._library,
            settings=settings,
            health=_health_source(self._config, self._stages, lambda: self._gate.capacity),
            metrics=MetricsRelay(_export_addresses, httpx.AsyncClient()),
            idle_loop=partial(idle_loop, self._stages.avatar),
            turn=TurnSettings.model_validate(self._config["turn"]),
            gate=self._gate,
            background=(self._gate.run, *(trace.run for trace in traces)),
            on_turn=(turns.record, log_turn, *(trace.record for trace in traces)),
            on_admission=turns.admit,
        )
        return create_app(services)


def _general(stage: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that all stages have; the others are the deployment's own affair."""
    return {name: stage[name] for name in StageConfig.model_fields if name in stage}


def _health_source(
    config: Mapping[str, Any], stages: Stages, capacity: Capacity
) -> Callable[[], Awaitable[Health]]:
    engines = {name: str(config[name]["engine"]) for name in STAGES}
    application = serve.get_replica_context().app_name
    watch = LlmWatch(stages.llm.status, time.monotonic)
    source = _ServeHealth(application, engines, Catalogue(stages), watch, capacity)
    return CachedHealth(source, now=time.monotonic)


class _ServeHealth:
    """What Serve's controller says about the stages, with what they can do once that is known, what
    troubles the language model, and what admission says about the whole machine if that cannot keep
    up with one speaker."""

    def __init__(
        self,
        application: str,
        engines: Mapping[str, str],
        catalogue: Catalogue,
        llm_watch: LlmWatch,
        capacity: Capacity,
    ) -> None:
        self._application, self._capacity = application, capacity
        self._llm_watch = llm_watch
        self._engines = engines
        self._catalogue = catalogue
        self._languages: dict[str, tuple[str, ...]] = {}
        self._uploads: dict[str, Uploads] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}

    async def __call__(self) -> Health:
        found = await asyncio.to_thread(_deployments, self._application)
        stages = {name: self._one(name, found.get(name, _UNKNOWN)) for name in STAGES}
        if slow := falls_behind(self._capacity()):
            stages[FACE] = replace(stages[FACE], detail=slow)
        if trouble := await self._llm_watch(stages["llm"].replicas):
            stages["llm"] = replace(stages["llm"], detail=trouble)
        return Health(stages, is_degraded=bool(slow or trouble))

    def _one(self, name: str, found: tuple[Status, int, str]) -> DeploymentHealth:
        status, n_replicas, why = found
        if status == "ready" and n_replicas:
            self._ask_abilities(name)
        return DeploymentHealth(
            status,
            self._engines[name],
            n_replicas,
            self._languages.get(name, ()),
            detail=why,
            uploads=self._uploads.get(name),
        )

    def _ask_abilities(self, name: str) -> None:
        """Once, beside the answer: a stage that hangs must not hang the health check."""
        if name not in self._asking:
            self._asking[name] = asyncio.create_task(self._learn_abilities(name))

    async def _learn_abilities(self, name: str) -> None:
        catalogue = self._catalogue
        speaks: dict[str, Callable[[], Awaitable[Any]]] = {
            "asr": catalogue.asr,
            "llm": catalogue.llm,
            "tts": catalogue.tts,
        }
        why_not = {
            "tts": (consent.VOICE, catalogue.why_no_voices),
            "avatar": (consent.PORTRAIT, catalogue.why_no_portraits),
        }
        try:
            if name in speaks:
                self._languages[name] = tuple((await speaks[name]()).languages)
            if name in why_not:
                agreed, ask = why_not[name]
                self._uploads[name] = Uploads(agreed, await ask())
        except Exception as error:  # the stage went away meanwhile: the next check asks again
            logger.info("abilities of %s unknown: %s", name, type(error).__name__)
            del self._asking[name]


def _deployments(application: str) -> dict[str, tuple[Status, int, str]]:
    """Blocks. Status and running replicas of every deployment of the application, and why it
    failed."""
    overview = serve.status().applications.get(application)
    if overview is None:
        return {}
    return {
        name: (*_judged(str(d.status.value), dict(d.replica_states)), failure_in(d.message))
        for name, d in overview.deployments.items()
    }


def _judged(status: str, replicas: Mapping[Any, int]) -> tuple[Status, int]:
    """One running replica can answer, whatever the others do; so can a stage scaled to zero."""
    by_state = {getattr(state, "value", str(state)): n for state, n in replicas.items()}
    n_running = by_state.get("RUNNING", 0)
    if n_running or (status == "HEALTHY" and not any(by_state.values())):
        return "ready", n_running
    return ("failed" if status in _FAILED else "loading"), 0


def _export_addresses() -> list[str]:
    """Blocks. Where each living node exports its metrics."""
    return [
        f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
        for node in ray.nodes()  # type: ignore[no-untyped-call]
        if node["Alive"] and node.get("MetricsExportPort")
    ]
