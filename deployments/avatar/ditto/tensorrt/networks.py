"""All networks of a checkpoint in TensorRT, on a GPU."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from deployments.avatar.ditto.export import INFO_PARTS, WINDOW_PARTS, log
from deployments.avatar.ditto.features import Chunk
from deployments.avatar.ditto.jobs import Noise, Sampler
from deployments.avatar.ditto.runtime import INPUT_SIDE_PX
from deployments.avatar.ditto.sampling import Sampling
from deployments.avatar.ditto.schedule import Schedule, schedule
from deployments.avatar.ditto.tensorrt.builder import MOST_STEPS
from deployments.avatar.ditto.tensorrt.card import CudaCard
from deployments.avatar.ditto.tensorrt.kernels import Kernels
from deployments.avatar.ditto.tensorrt.runner import Card, Runner, memory_between
from deployments.avatar.ditto.tensorrt.workshop import Workshop
from deployments.avatar.ditto.vector import N_MOTION, FloatArray, Info
from deployments.avatar.ditto.windows import WindowRequest
from deployments.errors import EngineLoadError

# One picture's, one face's, one window's; the last two are the published checkpoint's.
_NOTHING, _POINTS = np.zeros((3, INPUT_SIDE_PX, INPUT_SIDE_PX), np.float32), (21, 3)
_MOTION, _HEARD = (80, N_MOTION), (80, 1103)


class WorkingCard(Card, Protocol):
    """A card, and what is done on it beside running."""

    def working(self) -> AbstractContextManager[Any]:
        """Within it, work is done in the order of the runners'."""
        ...

    def tensor(self, array: NDArray[Any]) -> Any:
        """A copy of ``array`` on it."""
        ...

    def fetched(self, tensor: Any) -> NDArray[Any]:
        """A copy of ``tensor``."""
        ...


class PlanNetworks:
    """Fulfils ``runtime.Networks`` with engines; a volume is a tensor beside them."""

    def __init__(self, kernels: Kernels, engines: Mapping[str, Any], card: WorkingCard) -> None:
        """``engines`` of the library of ``kernels``, for each of ``export.GRAPHS_OF`` and
        ``hubert``; published networks have one graph, ``lmdm``, for both of ours."""

        between = memory_between(engines.values(), card)

        def runner(name: str, **shared: Any) -> Runner:
            return Runner(kernels, engines[name], card, between, name, shared)

        self._card, self._kernels = card, kernels
        self._hubert, self._stitch = runner("hubert"), runner("stitch_network")
        self._appearance, self._motion = runner("appearance_extractor"), runner("motion_extractor")
        self._warp = runner("warp_network")
        self._decoder = runner("decoder", feature=self._warp.buffers[self._warp.outputs[0]])
        if "lmdm" in engines:
            self._lmdm: tuple[Runner, ...] = (runner("lmdm"),)
        else:
            window = runner("lmdm_window")
            made = {part: window.buffers[part] for part in WINDOW_PARTS}
            self._lmdm = window, runner("lmdm_step", **made)
        self._samplers: dict[int, Sampler] = {}

    def record(self) -> None:
        """Every size that is drawn, stitched, heard or prepared, before somebody waits for it."""
        volume = self.appearance(_NOTHING)
        for n in sizes(self._warp.most):
            self._painted([volume] * n, np.zeros((n, 2, *_POINTS), np.float32))
        for n in sizes(self._stitch.most):
            self.stitch(*np.zeros((2, n, *_POINTS), np.float32))
        self.motion_info(_NOTHING)
        self.hear(np.zeros(Chunk().n_samples, np.float32))
        self._kernels.keep()

    def hear(self, samples: FloatArray) -> FloatArray:
        """HuBERT: samples (n,), 16 kHz in [-1, 1] -> (rows, 1024), 50 rows a second."""
        [name] = self._hubert.inputs
        return self._fetched(self._hubert, **{name: samples[None]})[0]

    def sampler(self, n_steps: int) -> Sampler:
        """The motion diffusion in so many steps; made once, recorded, kept for the next call.

        Raises:
            EngineLoadError: more than the plans were built for.
        """
        if n_steps > MOST_STEPS:
            text = f"plans take up to {MOST_STEPS} steps, not {n_steps}"
            raise EngineLoadError(text, stage="avatar")
        if n_steps not in self._samplers:
            kind = _TwoPlans if len(self._lmdm) == 2 else _GuidedInside
            self._samplers[n_steps] = made = kind(self._lmdm, self._card, schedule(n_steps))
            made.record()
            self._kernels.keep()
        return self._samplers[n_steps]

    def appearance(self, picture: FloatArray) -> Any:
        """The volume of features of a picture (3, 256, 256), RGB from 0 to 1."""
        with self._card.working():
            [volume] = _ran(self._appearance, self._card, {"image": picture[None]})
            return volume[0].clone()

    def motion_info(self, picture: FloatArray) -> Info:
        """The parts of ``vector.py`` with ``kp``, each (k,), of a picture (3, 256, 256)."""
        parts = self._fetched(self._motion, image=picture[None])
        return {name: part.reshape(-1) for name, part in zip(INFO_PARTS, parts, strict=True)}

    def stitch(self, source: FloatArray, driven: FloatArray) -> FloatArray:
        """Key points to draw, (n, 21, 3), of those of the source and of the driven face."""
        parts = [
            self._fetched(self._stitch, kp_source=source[cut], kp_driving=driven[cut])[0]
            for cut in cuts(len(source), self._stitch.most)
        ]
        return np.concatenate(parts)

    def paint(self, volumes: Sequence[Any], motion: FloatArray) -> NDArray[np.uint8]:
        """Warp and decode: (b, 512, 512, 3) BGR, one face for each volume, motion (b, 2, 21, 3)."""
        each = cuts(len(volumes), self._warp.most)
        parts = [self._painted(volumes[cut], motion[cut]) for cut in each]
        return np.concatenate(parts)

    def _painted(self, volumes: Sequence[Any], motion: FloatArray) -> NDArray[np.uint8]:
        with self._card.working():
            source, driven = motion.swapaxes(0, 1)
            fed = {"feature_3d": volumes, "kp_source": source, "kp_driving": driven}
            [feature] = _ran(self._warp, self._card, fed)
            [pictures] = self._decoder.run(feature=tuple(feature.shape)).values()
            return self._card.fetched(_levels(pictures))

    def _fetched(self, runner: Runner, **inputs: NDArray[Any]) -> list[NDArray[Any]]:
        with self._card.working():
            return [self._card.fetched(one) for one in _ran(runner, self._card, inputs)]


class TensorRtNetworks(PlanNetworks):
    """The same of a checkpoint's files: plans are built where there are none yet."""

    def __init__(
        self,
        files: Mapping[str, Path],
        device: str = "cuda",
        half: bool = True,
        memory_gb: float | None = None,
        frames: int = 8,
        say: Callable[[str], None] = log,
    ) -> None:
        """``files``: of each of ``weights.NETWORKS``, and ``hubert``. ``half``: draw in half
        precision. ``memory_gb``: the most that this process's tensors may take of the GPU, and a
        network's layers while it is built; weights come on top. ``frames``: at most drawn at once.
        ``say`` is told what takes long.

        Raises:
            EngineLoadError: TensorRT or the GPU is missing, or a plan cannot be built.
        """
        workshop = Workshop.of(device, half, memory_gb, frames, say)
        engines = workshop.engines(files)
        super().__init__(workshop.kernels(), engines, CudaCard(device, memory_gb))
        self.record()


class _PlanSampler(Sampling[Any]):
    """A noisy window stays on the card."""

    def __init__(self, runners: Sequence[Runner], card: WorkingCard, steps: Schedule) -> None:
        super().__init__(steps)
        self._runners, self._card = runners, card

    def windows(
        self, requests: Sequence[WindowRequest], noises: Sequence[Noise]
    ) -> list[FloatArray]:
        """As ``Sampling.windows``."""
        parts: list[FloatArray] = []
        for cut in cuts(len(requests), self._most):
            with self._card.working():
                parts += super().windows(requests[cut], noises[cut])
        return parts

    def record(self) -> None:
        """Every size, before somebody waits for it."""
        for n in sizes(self._most):
            still, condition = (np.zeros((n, *shape), np.float32) for shape in (_MOTION, _HEARD))
            with self._card.working():
                self.begin(still[:, 0], condition)(self.tensor(still), 0)

    @property
    def _most(self) -> int:
        return self._runners[-1].most

    def tensor(self, array: FloatArray) -> Any:
        """As ``Sampling.tensor``."""
        return self._card.tensor(array)

    def array(self, tensor: Any) -> FloatArray:
        """As ``Sampling.array``."""
        return self._card.fetched(tensor)


class _TwoPlans(_PlanSampler):
    """Ours: what the first works out for a window is where the second one reads it."""

    def begin(self, before: FloatArray, condition: FloatArray) -> Callable[[Any, int], Any]:
        """As ``Sampling.begin``."""
        window, denoiser = self._runners
        begun = {"times": self.times, "before": before, "condition": condition}
        made = dict(zip(window.outputs, _ran(window, self._card, begun), strict=True))
        shapes = {part: tuple(made[part].shape) for part in WINDOW_PARTS}

        def clean(x: Any, step: int) -> Any:
            [motion] = _ran(denoiser, self._card, {"x": x, "step": np.array([step])}, shapes)
            return motion

        return clean


class _GuidedInside(_PlanSampler):
    """The published graph, which works out all of a window anew with every step."""

    def begin(self, before: FloatArray, condition: FloatArray) -> Callable[[Any, int], Any]:
        """As ``Sampling.begin``."""
        [denoiser] = self._runners
        same = {"cond_frame": self._card.tensor(before), "cond": self._card.tensor(condition)}

        def clean(x: Any, step: int) -> Any:
            fed = {"x": x, "time_cond": self.times[step : step + 1], **same}
            _, motion = _ran(denoiser, self._card, fed)
            return motion

        return clean


def sizes(most: int) -> list[int]:
    """Of batches: ``most``, a half of it, a quarter: few, so few recordings."""
    return [most >> i for i in range(most.bit_length())]


def cuts(n: int, most: int) -> Iterator[slice]:
    """``n`` in batches of those ``sizes``, none of them filled up: what would be drawn in vain
    takes as long as what is not."""
    first, left = 0, sizes(most)
    while first < n:
        while left[0] > n - first:
            del left[0]
        yield slice(first, first + left[0])
        first += left[0]


def _ran(
    runner: Runner,
    card: WorkingCard,
    inputs: Mapping[str, Any],
    written: Mapping[str, tuple[int, ...]] | None = None,
) -> list[Any]:
    """The outputs, in order, of inputs: arrays, tensors, or sequences of tensors to be stacked.
    ``written``: shapes of those that other runners have written."""
    shapes = {name: _shape(value) for name, value in inputs.items()}
    for name, place in runner.places(**shapes).items():
        _write(place, inputs[name], card)
    return list(runner.run(**shapes, **(written or {})).values())


def _levels(pictures: Any) -> Any:
    """(b, 512, 512, 3) uint8 BGR; published decoders give (b, 3, 512, 512), RGB from 0 to 1."""
    import torch

    if pictures.dtype == torch.uint8:
        return pictures
    levels = pictures.mul(255).clamp(0, 255).to(torch.uint8)
    return levels.flip(1).movedim(1, -1).contiguous()


def _shape(value: Any) -> tuple[int, ...]:
    if isinstance(value, list | tuple):
        return len(value), *value[0].shape
    return tuple(value.shape)


def _write(place: Any, value: Any, card: WorkingCard) -> None:
    import torch

    if isinstance(value, list | tuple):
        torch.stack(list(value), out=place)
    else:
        place.copy_(card.tensor(value) if isinstance(value, np.ndarray) else value)
