"""All that the routes need, made by whoever starts the ingress; no Ray in here."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from deployments.vad.engine import VadEngine
from graph.events import Timings
from graph.face import TurnSettings
from graph.gate import Gate, OpenGate
from graph.stages import Stages
from web.admission import Admission
from web.catalogue import Catalogue
from web.faces import Faces
from web.health import Health, Readiness
from web.ids import new_id
from web.settings import IngressSettings
from web.store import Store


def _ignore_outcome(outcome: str, timings: Timings | None) -> None:
    """The default observer of turns."""


@dataclass(frozen=True, slots=True, eq=False)
class Services:
    """``now`` is monotonic seconds, ``clock`` Unix time. ``idle_loop`` makes the looping video of
    a silent face. ``on_turn`` is told how each turn ended: ``finished``, ``cancelled`` or an error
    code of the interface. ``background`` runs for as long as the application does."""

    stages: Stages
    vad: VadEngine
    store: Store
    settings: IngressSettings
    health: Callable[[], Awaitable[Health]]
    metrics: Callable[[], Awaitable[str]]
    idle_loop: Callable[[str], Awaitable[bytes]]
    turn: TurnSettings = field(default_factory=TurnSettings)
    gate: Gate = field(default_factory=OpenGate)
    now: Callable[[], float] = time.perf_counter
    clock: Callable[[], float] = time.time
    make_request_id: Callable[[], str] = new_id
    on_turn: Callable[[str, Timings | None], None] = _ignore_outcome
    background: tuple[Callable[[], Awaitable[None]], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """What one ingress process knows; every group of routes is built around it."""

    services: Services
    catalogue: Catalogue
    readiness: Readiness
    faces: Faces
    admission: Admission

    @classmethod
    def around(cls, services: Services) -> "Context":
        catalogue = Catalogue(services.stages)
        faces = Faces(services.stages, services.idle_loop)
        admission = Admission(services.settings.max_turns, services.on_turn)
        return cls(services, catalogue, Readiness(services.health), faces, admission)
