"""One turn in the simulation: heard, thought, spoken and drawn as ``graph.turn`` does it."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.plan_clock import Clock
from benchmarks.plan_face import Face, FaceRules
from benchmarks.plan_painter import Painter
from benchmarks.plan_pool import Pool
from benchmarks.plan_replicas import Ears, Voice
from benchmarks.plan_speech import Speech
from deployments.cost_model import StageCost
from graph.events import Progress


@dataclass(frozen=True, slots=True)
class Studio:
    """What all turns share. ``overhead_s``: what the graph itself takes until the first fragment,
    whatever its stages cost."""

    clock: Clock
    ears: Pool[Ears]
    voices: Pool[Voice]
    painters: Pool[Painter]
    llm: StageCost
    rules: FaceRules
    overhead_s: float


@dataclass(frozen=True, slots=True)
class Exchange:
    """What is said: a question (0 when it is typed) and the sentences of its answer, in seconds."""

    question_s: float
    sentences_s: tuple[float, ...]


class Turn:
    """One turn in progress; ``on_end`` is told when all of it was sent."""

    __slots__ = ("_ears", "_exchange", "_on_end", "_speech", "_studio", "admitted_at_s", "face")

    def __init__(
        self, studio: Studio, exchange: Exchange, on_end: Callable[["Turn"], None]
    ) -> None:
        self._studio, self._exchange, self._on_end = studio, exchange, on_end
        self.admitted_at_s = studio.clock.now_s
        self._ears: Ears | None = None
        n_ahead = studio.rules.settings.n_speech_blocks_ahead
        self._speech = Speech(
            studio.clock, studio.voices, exchange.sentences_s, n_ahead, self._spoken
        )
        self.face = Face(studio.clock, studio.painters, studio.rules, self._speech, self._shown)
        studio.clock.after(studio.overhead_s, self._hear)

    def progress(self) -> Progress | None:
        """As ``graph.face`` tells it after each packet, brought up to now."""
        face = self.face
        if face.first_at_s is None:
            return None
        return Progress(face.spoken_s, self.video_s, face.ahead_s, face.is_all_cut)

    @property
    def video_s(self) -> float:
        """How much was sent."""
        return self.face.n_sent / self._studio.rules.fps

    def ends_at_s(self) -> float:
        """When its viewer has seen all of it."""
        first_at_s = self.face.first_at_s
        begun_at_s = self.admitted_at_s if first_at_s is None else first_at_s
        return max(self._studio.clock.now_s, begun_at_s + self.video_s)

    def _hear(self) -> None:
        if self._exchange.question_s > 0:
            self._studio.ears.ask(self._heard_by)
        else:
            self._think()

    def _heard_by(self, ears: Ears) -> None:
        self._ears = ears
        ears.hear(self._exchange.question_s, self._heard)

    def _heard(self) -> None:
        if self._ears is not None:
            self._studio.ears.give_back(self._ears)
        self._think()

    def _think(self) -> None:
        self._speech.begin(self._studio.llm)
        self.face.order_next()

    def _spoken(self) -> None:
        self.face.go_on()

    def _shown(self) -> None:
        self._on_end(self)
