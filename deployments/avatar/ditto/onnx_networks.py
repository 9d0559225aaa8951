"""All networks of a checkpoint in ONNX Runtime, on a CPU or a GPU.

Two kinds of files: those that ``export`` makes of a PyTorch checkpoint, which take any batch, and
the published ONNX files, which take one picture at a time and have the diffusion's guidance inside.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.avatar.ditto.export import INFO_PARTS, WINDOW_PARTS, Form, exported, log
from deployments.avatar.ditto.hubert import load_hubert
from deployments.avatar.ditto.jobs import Sampler
from deployments.avatar.ditto.kept import Kept, engines_dir
from deployments.avatar.ditto.published_onnx import readable
from deployments.avatar.ditto.sampling import Sampling
from deployments.avatar.ditto.schedule import Schedule, schedule
from deployments.avatar.ditto.sessions import OnnxGraph, device_number, opened, with_cuda
from deployments.avatar.ditto.vector import FloatArray, Info
from deployments.errors import EngineLoadError

_PARTS = {"warp_network": 4, "decoder": 4}
"""Of the memory beside the weights; of each other network 1. Unmeasured on a GPU; faces are drawn
in batches, so what is between the layers of these two is by far the largest."""


class OnnxNetworks:
    """Fulfils ``runtime.Networks``; a volume is an array (32, 16, 64, 64)."""

    def __init__(
        self,
        files: Mapping[str, Path],
        device: str = "cpu",
        half: bool = False,
        memory_gb: float | None = None,
        say: Callable[[str], None] = log,
    ) -> None:
        """``files``: of each of ``weights.NETWORKS``, and ``hubert``. A ``.pth`` is exported first,
        to draw in half precision where ``half`` says so. ``memory_gb``: the most that all of
        them may take of a GPU, in parts that no network can lend to another: each gets its file's
        size, and what draws four times as much of the rest as what does not. ``say`` is told what
        takes long.

        Raises:
            EngineLoadError: a file cannot be read or is not what it should be, or ``device`` is
                none that ONNX Runtime can use, or ``memory_gb`` is less than the files take.
        """
        self._device = device
        with_cuda(files["hubert"].name, device)  # before an export, which takes a minute
        ours = exported(files, Kept(engines_dir()), Form(half), say)
        sources = {name: path for name, path in files.items() if name not in (*ours, "hubert")}
        if "lmdm_step" in ours:
            del sources["lmdm"]
        paths = {**sources, **ours}
        limits = _limits({**paths, "hubert": files["hubert"]}, memory_gb)
        self.hear = load_hubert(files["hubert"], device, limits["hubert"])
        self._graphs = {
            name: OnnxGraph(opened(readable(name, path), str(path), device, limits[name]))
            for name, path in paths.items()
        }
        self._samplers: dict[int, Sampler] = {}

    def sampler(self, n_steps: int) -> Sampler:
        """The motion diffusion in so many steps; made once, kept for the next call."""
        if n_steps not in self._samplers:
            self._samplers[n_steps] = self._new_sampler(schedule(n_steps))
        return self._samplers[n_steps]

    def appearance(self, picture: FloatArray) -> NDArray[Any]:
        """The volume of features of a picture (3, 256, 256), RGB from 0 to 1."""
        [volumes] = self._graphs["appearance_extractor"](image=picture[None])
        volume: NDArray[Any] = volumes[0]
        return volume

    def motion_info(self, picture: FloatArray) -> Info:
        """The parts of ``vector.py`` with ``kp``, each (k,), of a picture (3, 256, 256)."""
        parts = self._graphs["motion_extractor"](image=picture[None])
        return {name: part[0].reshape(-1) for name, part in zip(INFO_PARTS, parts, strict=True)}

    def stitch(self, source: FloatArray, driven: FloatArray) -> FloatArray:
        """Key points to draw, (n, 21, 3), of those of the source and of the driven face."""
        [out] = self._graphs["stitch_network"](kp_source=source, kp_driving=driven)
        return out

    def paint(self, volumes: Sequence[NDArray[Any]], motion: FloatArray) -> NDArray[np.uint8]:
        """Warp and decode: (b, 512, 512, 3) BGR, one face for each volume, motion (b, 2, 21, 3)."""
        [feature] = self._graphs["warp_network"](
            feature_3d=np.stack(volumes), kp_source=motion[:, 0], kp_driving=motion[:, 1]
        )
        [picture] = self._graphs["decoder"](feature=feature)
        return picture if picture.dtype == np.uint8 else _levels(picture)

    def _new_sampler(self, steps: Schedule) -> Sampler:
        if "lmdm" in self._graphs:
            return _GuidedInside(self._graphs["lmdm"], steps)
        window, step = self._graphs["lmdm_window"], self._graphs["lmdm_step"]
        return _TwoGraphs(window, step, steps, self._device)


class _InArrays(Sampling[FloatArray]):
    """A noisy window is small: it goes to the network and back with every step."""

    def tensor(self, array: FloatArray) -> FloatArray:
        """As ``Sampling.tensor``."""
        return array

    def array(self, tensor: FloatArray) -> FloatArray:
        """As ``Sampling.array``."""
        return tensor


class _GuidedInside(_InArrays):
    """The published graph, which works out all of a window anew with every step."""

    def __init__(self, graph: OnnxGraph, steps: Schedule) -> None:
        super().__init__(steps)
        self._graph = graph

    def begin(
        self, before: FloatArray, condition: FloatArray
    ) -> Callable[[FloatArray, int], FloatArray]:
        """As ``Sampling.begin``."""

        def clean(x: FloatArray, step: int) -> FloatArray:
            times = np.repeat(self.times[step : step + 1], len(x))
            _, motion = self._graph(x=x, cond_frame=before, cond=condition, time_cond=times)
            return motion

        return clean


class _TwoGraphs(_InArrays):
    """Ours: what the first graph works out for a window stays where the second one runs."""

    def __init__(self, window: OnnxGraph, step: OnnxGraph, steps: Schedule, device: str) -> None:
        super().__init__(steps)
        self._window, self._step = window.session, step.session
        self._place = device.partition(":")[0], device_number(device)

    def begin(
        self, before: FloatArray, condition: FloatArray
    ) -> Callable[[FloatArray, int], FloatArray]:
        """As ``Sampling.begin``."""
        binding = self._step.io_binding()
        for name, part in zip(WINDOW_PARTS, self._begun(before, condition), strict=True):
            binding.bind_ortvalue_input(name, part)
        binding.bind_output("clean")

        def clean(x: FloatArray, step: int) -> FloatArray:
            binding.bind_cpu_input("x", x)
            binding.bind_cpu_input("step", np.array([step]))
            self._step.run_with_iobinding(binding)
            [motion] = binding.copy_outputs_to_cpu()
            return np.asarray(motion, np.float32)

        return clean

    def _begun(self, before: FloatArray, condition: FloatArray) -> Sequence[Any]:
        binding = self._window.io_binding()
        fed = {"times": self.times, "before": before, "condition": condition}
        for name, array in fed.items():
            binding.bind_cpu_input(name, array)
        for name in WINDOW_PARTS:
            binding.bind_output(name, *self._place)
        self._window.run_with_iobinding(binding)
        outputs: Sequence[Any] = binding.get_outputs()
        return outputs


def _limits(paths: Mapping[str, Path], memory_gb: float | None) -> dict[str, float | None]:
    """GB of each network, weights included, of ``memory_gb`` of all of them.

    Raises:
        EngineLoadError: nothing would be left beside the weights.
    """
    if memory_gb is None:
        return dict.fromkeys(paths)
    weights = {name: path.stat().st_size / 1e9 for name, path in paths.items()}
    rest = memory_gb - sum(weights.values())
    if rest <= 0:
        text = f"memory_gb {memory_gb:g} is less than the files take: {memory_gb - rest:.1f} GB"
        raise EngineLoadError(text, stage="avatar")
    parts = {name: _PARTS.get(name, 1) for name in paths}
    total = sum(parts.values())
    return {name: weights[name] + rest * part / total for name, part in parts.items()}


def _levels(picture: NDArray[Any]) -> NDArray[np.uint8]:
    """(b, 512, 512, 3) BGR of what the published decoder gives: (b, 3, 512, 512), RGB 0 to 1."""
    levels = (picture[:, ::-1] * 255).clip(0, 255).astype(np.uint8)
    return np.ascontiguousarray(levels.transpose(0, 2, 3, 1))
