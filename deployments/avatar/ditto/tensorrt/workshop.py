"""From a checkpoint's files to plans, and to engines on this machine's GPU."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployments.avatar.ditto.export import GRAPHS_OF, Form, exported
from deployments.avatar.ditto.kept import Kept, engines_dir
from deployments.avatar.ditto.tensorrt.builder import logger
from deployments.avatar.ditto.tensorrt.library import imported, samples_volumes
from deployments.avatar.ditto.tensorrt.plans import Plans, gpu_of
from deployments.errors import EngineLoadError


@dataclass(frozen=True, slots=True)
class Workshop:
    """What builds: a library for a GPU, and where its plans are kept."""

    plans: Plans

    @staticmethod
    def of(
        device: str, half: bool, memory_gb: float | None, say: Callable[[str], None]
    ) -> "Workshop":
        """That of this machine, its plans kept in ``engines_dir()``.

        Raises:
            EngineLoadError: the library or the GPU is missing, or the folder cannot be used.
        """
        trt = imported()
        return Workshop(Plans(trt, gpu_of(device), Kept(engines_dir()), say, half, memory_gb))

    def build(self, files: Mapping[str, Path]) -> dict[str, Path]:
        """A plan for each graph of the checkpoint; those that are there already stay.

        ``files``: of each of ``weights.NETWORKS``, and ``hubert``.

        Raises:
            EngineLoadError: a file is not what it should be, or cannot be built.
        """
        return {name: self.plans.path(name, onnx) for name, onnx in self._onnx(files).items()}

    def engines(self, files: Mapping[str, Path]) -> dict[str, Any]:
        """An engine for each graph of the checkpoint, on the GPU; see ``build``."""
        runtime = self.plans.trt.Runtime(logger(self.plans.trt))
        take = runtime.deserialize_cuda_engine
        return {name: self.plans.load(name, onnx, take) for name, onnx in self._onnx(files).items()}

    def _onnx(self, files: Mapping[str, Path]) -> dict[str, Path]:
        plans = self.plans
        form = Form(half=plans.is_half, plugin_free=not samples_volumes(plans.trt))
        if foreign := [path.name for name, path in files.items() if _is_foreign(name, path)]:
            text = f"runtime: tensorrt is built from PyTorch's checkpoint, not from {foreign[0]}"
            raise EngineLoadError(text, stage="avatar")
        ours = exported(files, plans.kept, form, plans.say)
        return {**ours, "hubert": files["hubert"]}


def _is_foreign(name: str, path: Path) -> bool:
    return name in GRAPHS_OF and path.suffix == ".onnx"
