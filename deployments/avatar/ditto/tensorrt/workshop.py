"""From a checkpoint's files to plans, and to engines on this machine's GPU."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployments.avatar.ditto.export import Form, exported
from deployments.avatar.ditto.kept import Kept, digest_of, engines_dir
from deployments.avatar.ditto.published_onnx import readable
from deployments.avatar.ditto.tensorrt.builder import logger
from deployments.avatar.ditto.tensorrt.kernels import Kernels
from deployments.avatar.ditto.tensorrt.library import imported, samples_volumes
from deployments.avatar.ditto.tensorrt.plans import Plans, gpu_of


@dataclass(frozen=True, slots=True)
class Workshop:
    """What builds: a library for a GPU, and where its plans are kept."""

    plans: Plans

    @staticmethod
    def of(
        device: str, half: bool, memory_gb: float | None, frames: int, say: Callable[[str], None]
    ) -> "Workshop":
        """That of this machine, its plans kept in ``engines_dir()``; the rest as for ``Plans``.

        Raises:
            EngineLoadError: the library or the GPU is missing, or the folder cannot be used.
        """
        trt, kept = imported(), Kept(engines_dir())
        return Workshop(Plans(trt, gpu_of(device), kept, say, half, frames, memory_gb))

    def build(self, files: Mapping[str, Path]) -> dict[str, Path]:
        """A plan for each graph of the checkpoint; those that are there already stay.

        ``files``: of each of ``weights.NETWORKS``, and ``hubert``.

        Raises:
            EngineLoadError: a file is not what it should be, or cannot be built.
        """
        return {name: self.plans.path(name, onnx) for name, onnx in self.onnx(files).items()}

    def engines(self, files: Mapping[str, Path]) -> dict[str, Any]:
        """An engine for each graph of the checkpoint, on the GPU; see ``build``."""
        runtime = self.plans.trt.Runtime(logger(self.plans.trt))
        take = runtime.deserialize_cuda_engine
        return {name: self.plans.load(name, onnx, take) for name, onnx in self.onnx(files).items()}

    def kernels(self) -> Kernels:
        """What its library compiles beside the plans."""
        plans = self.plans
        made_of = {**plans.made_for(), "frames": plans.frames}
        return Kernels(plans.trt, plans.kept, made_of)

    def onnx(self, files: Mapping[str, Path]) -> dict[str, Path]:
        """What plans are built of: exports of checkpoints, published files as they can be read."""
        plans = self.plans
        form = Form(half=plans.is_half, plugin_free=not samples_volumes(plans.trt))
        ours = exported(files, plans.kept, form, plans.say)
        published = {name: path for name, path in files.items() if path.suffix == ".onnx"}
        return ours | {name: _readable(name, path, plans.kept) for name, path in published.items()}


def _readable(name: str, path: Path, kept: Kept) -> Path:
    """The published file, or what it becomes for TensorRT."""
    made_of = {"published": digest_of(path)}
    if known := kept.path(path.name, made_of):
        return known
    content = readable(name, path)
    return content if isinstance(content, Path) else kept.put(path.name, made_of, content)
