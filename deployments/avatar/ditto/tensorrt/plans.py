"""Plans are kept, and built anew where they do not fit.

A plan fits one version of TensorRT and one kind of GPU, and nothing in it can be relied upon to say
so: it is kept under everything that it was made of, and one that the library will not take is built
once more.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from deployments.avatar.ditto.kept import Kept, digest_of
from deployments.avatar.ditto.tensorrt.builder import build, spans
from deployments.errors import EngineLoadError


@dataclass(frozen=True, slots=True)
class Gpu:
    """What a plan is built for. ``capability``: such as 8.9."""

    name: str
    capability: str


def gpu_of(device: str) -> Gpu:
    """The card that torch calls ``device``.

    Raises:
        EngineLoadError: torch finds none.
    """
    import torch

    if not torch.cuda.is_available():
        raise EngineLoadError("runtime: tensorrt needs a GPU, and torch finds none", stage="avatar")
    card = torch.cuda.get_device_properties(device)
    return Gpu(card.name, f"{card.major}.{card.minor}")


@dataclass(frozen=True, slots=True)
class Plans:
    """Builds with ``trt`` for ``gpu``, keeps in ``kept``, tells ``say`` what takes long.

    ``is_half``: as the networks were exported. ``frames``: at most drawn at once. ``memory_gb``:
    see ``build``.
    """

    trt: Any
    gpu: Gpu
    kept: Kept
    say: Callable[[str], None]
    is_half: bool = True
    frames: int = 8
    memory_gb: float | None = None

    def path(self, graph: str, onnx: Path) -> Path:
        """The plan of the file ``onnx``; built if there is none yet.

        Raises:
            EngineLoadError: it cannot be built or kept.
        """
        return self.kept.path(f"{graph}.plan", self._made_of(graph, onnx)) or self._built(
            graph, onnx
        )

    def load(self, graph: str, onnx: Path, take: Callable[[bytes], Any]) -> Any:
        """What ``take`` makes of the plan; where that is None, of one built anew.

        Raises:
            EngineLoadError: it cannot be built or kept, or the library takes not even a new one.
        """
        engine = take(self.path(graph, onnx).read_bytes())
        if engine is None:
            self.say(f"{graph}: the plan is not taken, building it anew")
            engine = take(self._built(graph, onnx).read_bytes())
        if engine is None:
            text = f"{self.trt.__name__} takes no plan of {graph} on {self.gpu.name}"
            raise EngineLoadError(text, stage="avatar")
        return engine

    def made_for(self) -> Mapping[str, Any]:
        """What all that is built has in common."""
        return {
            "library": f"{self.trt.__name__} {self.trt.__version__}",
            "gpu": asdict(self.gpu),
            "precision": "half" if self.is_half else "single",
        }

    def _built(self, graph: str, onnx: Path) -> Path:
        self.say(f"{graph}: building a plan for {self.gpu.name}")
        began = time.monotonic()
        plan = build(self.trt, graph, onnx.read_bytes(), self.frames, self.memory_gb)
        path = self.kept.put(f"{graph}.plan", self._made_of(graph, onnx), plan)
        seconds = time.monotonic() - began
        self.say(f"{graph}: {seconds:.0f} s, {len(plan) / 1e6:.0f} MB, {path}")
        return path

    def _made_of(self, graph: str, onnx: Path) -> Mapping[str, Any]:
        profile = {name: asdict(span) for name, span in spans(graph, self.frames).items()}
        return {
            "onnx": digest_of(onnx),
            **self.made_for(),
            "profile": profile,
            "flags": {"strongly_typed": True, "tf32": False, "memory_gb": self.memory_gb},
        }
