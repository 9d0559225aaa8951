"""All that the routes need, made by whoever starts the ingress; no Ray in here."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from deployments.vad.engine import VadEngine
from graph.face import TurnSettings
from graph.gate import Gate, OpenGate
from graph.record import TurnRecord
from graph.stages import Stages
from web.catalogue import Catalogue
from web.faces import Faces
from web.health import Health, Readiness
from web.ids import new_id
from web.library import Library
from web.portraits import Portraits
from web.settings import IngressSettings
from web.store import Store
from web.uploads import UploadMemory
from web.voices import Voices

Admission = Literal["admitted", "queued", "refused", "expired", "left", "failed"]
"""What came of wanting to start: let in at once, let in after waiting, refused at once, refused
after waiting, gone before it was decided, or not decided because of an error."""


def _ignore_admission(admission: Admission, wait_ms: float | None) -> None:
    """The default observer of the gate."""


@dataclass(frozen=True, slots=True, eq=False)
class Services:
    """``now`` is monotonic seconds, ``clock`` Unix time. ``idle_loop`` makes the looping video of
    a silent face. All of ``on_turn`` are told how each turn went; ``on_admission`` what came of
    each wish to start, and how long (in ms) those who were let in had waited. ``background`` runs
    for as long as the application does."""

    stages: Stages
    vad: VadEngine
    store: Store
    library: Library
    settings: IngressSettings
    health: Callable[[], Awaitable[Health]]
    metrics: Callable[[], Awaitable[str]]
    idle_loop: Callable[[str], Awaitable[bytes]]
    turn: TurnSettings = field(default_factory=TurnSettings)
    gate: Gate = field(default_factory=OpenGate)
    now: Callable[[], float] = time.perf_counter
    clock: Callable[[], float] = time.time
    make_request_id: Callable[[], str] = new_id
    on_turn: tuple[Callable[[TurnRecord], None], ...] = ()
    on_admission: Callable[[Admission, float | None], None] = _ignore_admission
    background: tuple[Callable[[], Awaitable[None]], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """What one ingress process knows; every group of routes is built around it."""

    services: Services
    catalogue: Catalogue
    readiness: Readiness
    faces: Faces
    portraits: Portraits
    uploads: UploadMemory
    voices: Voices

    @classmethod
    def around(cls, services: Services) -> "Context":
        catalogue = Catalogue(services.stages)
        library, stages = services.library, services.stages
        faces = Faces(stages, services.idle_loop, library)
        portraits = Portraits(library, stages, catalogue, faces)
        uploads = UploadMemory(services.settings.upload_memory_bytes)
        voices = Voices(library, stages.tts, catalogue)
        readiness = Readiness(services.health)
        return cls(services, catalogue, readiness, faces, portraits, uploads, voices)
