"""How much of the face is shown when drawing falls behind playout; the sound never waits for it.

From the top: the full rate; ``half_rate``, where every second frame is drawn and the encoder
repeats it; ``idle_face``, where the face at rest, encoded beforehand, stands in; ``voice_only``, a
still picture. Pure: it is told how things stand and says what to do.
"""

from pydantic import Field

from deployments.config import Settings
from graph.events import LadderLevel, LadderStep


class LadderSettings(Settings):
    """When a turn goes down and up. Slack is how long before its playout a packet was there.

    Source of the defaults: trials of this project with eight speakers on two cores.
    """

    half_below_s: float = Field(default=0.06, ge=0)  # slack, once the start is over
    full_above_s: float = Field(default=0.6, ge=0)  # slack at which the full rate comes back
    start_s: float = Field(default=1.0, ge=0)  # of a reply, in which slack is still being built up
    # A packet may come so late after its playout before the stand-in takes its place; players and
    # our own measure of lateness forgive 50 ms, of which sending takes a part.
    grace_s: float = Field(default=0.025, ge=0)
    start_patience_s: float = Field(default=2.5, gt=0)  # for the first picture of a reply
    stand_in_frames: int = Field(default=10, ge=1)  # at the first miss; doubled at each further one
    still_after_s: float = Field(default=2.0, ge=0)  # of the idle face, then a still picture


class Ladder:
    """One turn's way down and up again, on the reply's clock."""

    def __init__(self, settings: LadderSettings, fps: int) -> None:
        self._settings, self._fps = settings, fps
        self._is_low = False
        self._n_missed = 0  # in a row
        self._n_idle_frames = 0  # in a row
        self._runs: list[tuple[LadderLevel, int, int]] = []

    @property
    def frame_step(self) -> int:
        """Of the next stretch to be ordered: draw every so-many-th frame."""
        return 2 if self._is_low else 1

    @property
    def n_missed(self) -> int:
        """How often in a row drawing was waited for in vain."""
        return self._n_missed

    @property
    def steps(self) -> tuple[LadderStep, ...]:
        """Where the face was reduced so far."""
        return tuple(
            LadderStep(level, start / self._fps, end / self._fps)
            for level, start, end in self._runs
        )

    def drawn(
        self, first_frame: int, n_frames: int, frame_step: int, slack_s: float, was_awaited: bool
    ) -> None:
        """Drawn frames are about to leave, ``slack_s`` before their playout.

        ``was_awaited``: drawing was what took the time.
        """
        self._n_missed = self._n_idle_frames = 0
        if frame_step > 1:
            self._note("half_rate", first_frame, n_frames)
        is_starting = first_frame < self._settings.start_s * self._fps
        if was_awaited and slack_s < (0.0 if is_starting else self._settings.half_below_s):
            self._is_low = True
        elif slack_s >= self._settings.full_above_s:
            self._is_low = False

    def missed(self, first_frame: int, n_left: int) -> tuple[LadderLevel, int]:
        """Frames are due and not there: what stands in, and for how many of ``n_left`` frames."""
        n_wanted = self._settings.stand_in_frames << min(self._n_missed, 8)
        # What would be left of the stretch has to be worth another order.
        n_frames = n_left if n_wanted + self._settings.stand_in_frames > n_left else n_wanted
        self._is_low = True
        self._n_missed += 1
        is_long = self._n_idle_frames >= self._settings.still_after_s * self._fps
        level: LadderLevel = "voice_only" if is_long else "idle_face"
        self._n_idle_frames += n_frames
        self._note(level, first_frame, n_frames)
        return level, n_frames

    def _note(self, level: LadderLevel, first_frame: int, n_frames: int) -> None:
        end = first_frame + n_frames
        if self._runs and self._runs[-1][0] == level and self._runs[-1][2] == first_frame:
            self._runs[-1] = (level, self._runs[-1][1], end)
        else:
            self._runs.append((level, first_frame, end))
