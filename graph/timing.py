"""When things happened in one turn; the only place of the graph that reads the clock."""

from collections.abc import Callable
from dataclasses import dataclass, field

from graph.events import LadderStep, Timings

Now = Callable[[], float]
"""Monotonic seconds, as ``time.monotonic`` or a test's virtual clock counts them."""


@dataclass(slots=True)
class TurnClock:
    """Stamps of one turn, from which its ``Timings`` follow. Only the first stamp of a name counts
    (``mark``), or only the last (``remark``). ``marks`` begins with what was stamped before."""

    now: Now
    received_at_s: float
    marks: dict[str, float] = field(default_factory=dict)

    def mark(self, name: str) -> None:
        self.marks.setdefault(name, self.now())

    def remark(self, name: str) -> None:
        self.marks[name] = self.now()

    def marks_ms(self) -> dict[str, float]:
        """The stamps in order, in ms since the request's last byte."""
        stamps = sorted(self.marks.items(), key=lambda stamp: stamp[1])
        return {name: (at_s - self.received_at_s) * 1000 for name, at_s in stamps}

    def timings(
        self,
        audio_s: float | None = None,
        av_skew_ms: float | None = None,
        ladder: tuple[LadderStep, ...] = (),
    ) -> Timings:
        """All figures, the turn ending now."""
        self.remark("turn_end")
        turn_ms = self._since_request("turn_end")
        return Timings(
            decode_ms=self._between("decode_start", "decode_end"),
            asr_ms=self._between("asr_start", "asr_end"),
            llm_first_token_ms=self._between("llm_start", "llm_first_token"),
            llm_ms=self._between("llm_start", "llm_end"),
            tts_first_audio_ms=self._between("tts_start", "tts_first_audio"),
            avatar_first_frame_ms=self._between("avatar_start", "avatar_first_frame"),
            ttfa_ms=self._since_request("first_audio"),
            ttff_ms=self._since_request("first_fragment"),
            turn_ms=turn_ms,
            audio_s=audio_s,
            av_skew_ms=av_skew_ms,
            rtf=turn_ms / 1000 / audio_s if turn_ms is not None and audio_s else None,
            ladder=ladder,
        )

    def _between(self, start: str, end: str) -> float | None:
        if start not in self.marks or end not in self.marks:
            return None
        return (self.marks[end] - self.marks[start]) * 1000

    def _since_request(self, name: str) -> float | None:
        if name not in self.marks:
            return None
        return (self.marks[name] - self.received_at_s) * 1000


@dataclass(slots=True)
class Playback:
    """Where the viewer is: a clock that the first fragment starts."""

    now: Now
    _started_at_s: float | None = None

    def start(self) -> None:
        """The first fragment left; later calls change nothing."""
        if self._started_at_s is None:
            self._started_at_s = self.now()

    def hold(self, sent_s: float) -> None:
        """Nothing after ``sent_s`` of the media has left: a viewer further on stands still."""
        if self._started_at_s is not None:
            self._started_at_s = max(self._started_at_s, self.now() - sent_s)

    @property
    def has_started(self) -> bool:
        return self._started_at_s is not None

    @property
    def position_s(self) -> float:
        """Seconds of media played so far, on the reply's clock."""
        return 0.0 if self._started_at_s is None else self.now() - self._started_at_s
