"""Stretches to motion, those of several sessions at once."""

from collections.abc import Generator, Mapping, Sequence
from typing import TypeAlias

from deployments.avatar.controls import checked
from deployments.avatar.ditto.condition import Character
from deployments.avatar.ditto.controls import CONTROLS, fading
from deployments.avatar.ditto.jobs import Job, run, seeded_noise
from deployments.avatar.ditto.loading import Parts
from deployments.avatar.ditto.motion import MotionPath, MotionState
from deployments.avatar.ditto.settings import FPS, DittoSettings, Look
from deployments.avatar.ditto.sound import needed, unheard
from deployments.avatar.ditto.vector import N_MOTION, FloatArray
from deployments.avatar.ditto.ways import Way, Wishes
from deployments.avatar.ditto.windows import WindowRequest
from deployments.errors import AvatarError, EngineInputError
from deployments.types import Stretch

Moved: TypeAlias = tuple[FloatArray, bytes]
"""Key points (n, 2, 21, 3), of the source and of the driven face, and the state after them."""
Habits: TypeAlias = tuple[Mapping[str, float], FloatArray | None]
"""Controls and rows of emotions of a face, where a stretch does not say otherwise."""
Steps: TypeAlias = Generator[WindowRequest, FloatArray, Moved]


class Mover:
    """Moves with what ``settings`` ask where a stretch does not say otherwise."""

    def __init__(self, settings: DittoSettings, parts: Parts) -> None:
        self._settings, self._parts = settings, parts
        self._usual = _habits(settings.look_of(""))
        self._habits = {name: _habits(settings.look_of(name)) for name in settings.looks}

    def move(self, stretches: Sequence[tuple[Character, Stretch]]) -> list[Moved | AvatarError]:
        """For each, in order, its motion or what is wrong with it."""
        moved: dict[int, Moved | AvatarError] = {}
        jobs: dict[int, dict[int, Job[Moved]]] = {}  # by number of steps, then by stretch
        for i, (face, stretch) in enumerate(stretches):
            way = self._way(stretch)
            try:
                job = self._job(face, stretch, way)
            except AvatarError as error:
                moved[i] = error
            else:
                jobs.setdefault(way.asked.n_steps, {})[i] = job
        for n_steps, group in jobs.items():
            results = run(list(group.values()), self._parts.networks.sampler(n_steps))
            moved |= zip(group, results, strict=True)
        return [moved[i] for i in range(len(stretches))]

    def _way(self, stretch: Stretch) -> Way:
        return self._parts.live if stretch.is_live else self._parts.offline

    def _job(self, face: Character, stretch: Stretch, way: Way) -> Job[Moved]:
        state = None if stretch.motion_state is None else _read(stretch.motion_state, way)
        seed = self._seed(stretch) if state is None else state.seed
        first = 0 if state is None else state.stitch.frame
        path = way.path(face, self._wishes(stretch, first), seed)
        state = path.begin(seed, way.maker) if state is None else state
        n_window = way.asked.windows.n_window
        return Job(_steps(path, state, stretch), seeded_noise(state.seed, n_window, N_MOTION))

    def _seed(self, stretch: Stretch) -> int:
        """Of a reply: another one for each, so that they do not all move alike."""
        return self._settings.seed << 48 | stretch.seed << 16

    def _wishes(self, stretch: Stretch, first: int) -> Wishes:
        """``first``: number of the stretch's first frame, since the face came out of rest."""
        usual, emotion = self._habits.get(stretch.avatar_id, self._usual)
        controls = checked(CONTROLS, {**usual, **stretch.controls})
        n_in, n_out = (round(controls[name] * FPS) for name in ("fade_in_s", "fade_out_s"))
        frames = range(first, first + stretch.n_frames)
        # No more than the frames of rest, which are always in one stretch: the ones before may
        # have been drawn already.
        fades = fading(frames, n_in, min(max(n_out, 1), stretch.n_rest_frames))
        return Wishes(controls, emotion, fades)


def _habits(look: Look) -> Habits:
    return look.controls, look.emotion_rows() if look.emotion else None


def _read(state: bytes, way: Way) -> MotionState:
    read = MotionState.unpack(state)
    if read.maker != way.maker:
        text = "a motion state of another way of moving, or of an engine with other settings"
        raise EngineInputError(text, stage="avatar")
    return read


def _steps(path: MotionPath, state: MotionState, stretch: Stretch) -> Steps:
    n_before, n_heard = state.stitch.frame, state.features.n_samples
    audio = needed(stretch.audio, stretch.n_frames, path.n_ahead)
    sound, supposed = unheard(audio, n_before, stretch.n_frames, n_heard)
    points, after = yield from path.move(state, sound, stretch.n_frames, supposed)
    if stretch.n_rest_frames:  # at rest; what comes next begins anew, and moves otherwise
        after = path.begin(state.seed + 1, state.maker)
    return points, after.pack()
