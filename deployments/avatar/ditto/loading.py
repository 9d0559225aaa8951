"""A folder in the published layout becomes networks and two ways of moving, or one line that says
what is wrong."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import cv2

from deployments.avatar.ditto.config_pickle import read_config
from deployments.avatar.ditto.crop import CropSettings
from deployments.avatar.ditto.detectors import open_detectors
from deployments.avatar.ditto.export import Form, exported
from deployments.avatar.ditto.files import CONFIGS, DETECTORS, below
from deployments.avatar.ditto.kept import Kept, digest_of, engines_dir, mark_of
from deployments.avatar.ditto.published_config import Published, published
from deployments.avatar.ditto.register import MeshRegistrar, PublishedRegistrar, Registration
from deployments.avatar.ditto.runtime import Networks
from deployments.avatar.ditto.settings import NAME, DittoSettings, licence_refusal
from deployments.avatar.ditto.vector import FloatArray
from deployments.avatar.ditto.ways import Way
from deployments.errors import AvatarError, ConfigError, EngineLoadError
from deployments.types import Frame
from deployments.weights import find_model

_MOVING = ("hubert", "lmdm", "motion_extractor", "stitch_network")


class Registrar(Protocol):
    """Says where the face of a picture is."""

    def register(self, picture: Frame, landmarks: FloatArray | None) -> Registration:
        """See ``register``."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """What the engine consists of."""

    networks: Networks[Any]
    registrar: Registrar
    live: Way
    offline: Way


def loaded(settings: DittoSettings) -> Parts:
    """All of it, ready.

    Raises:
        EngineLoadError: a licence is not accepted; no checkpoint, no package, no GPU, too little
            memory; a damaged or foreign file.
        ConfigError: the checkpoint's configuration asks for what this engine does not do.
    """
    if refusal := licence_refusal(settings):
        raise EngineLoadError(refusal, stage="avatar")
    cv2.setNumThreads(1)  # a replica shares its machine: OpenCV's pool would take others' time
    folder = _folder(settings)
    live, offline = _asked(settings, folder, is_live=True), _asked(settings, folder, is_live=False)
    files = below(folder, settings.networks())
    crop = replace(live.crop, x=settings.crop_x)
    with _refusing(folder):
        networks = _networks(settings, files)
        networks.sampler(live.n_steps)  # ready before the first reply: it may have to be compiled
        ways = (
            Way(asked, networks.hear, networks.stitch, _origin(files, folder / CONFIGS / name))
            for asked, name in ((live, settings.live_config), (offline, settings.offline_config))
        )
        return Parts(networks, _registrar(settings, folder, crop), *ways)


def build_plans(settings: DittoSettings, say: Callable[[str], None]) -> None:
    """What the runtime has to make of the checkpoint before it runs; ``say`` is told what is made.

    Raises:
        EngineLoadError: as ``loaded``.
    """
    if settings.runtime == "torch":
        say("ditto: nothing has to be built for runtime: torch")
        return
    folder, device = _folder(settings), _device(settings)
    files, half = below(folder, settings.networks()), _is_half(settings, device)
    with _refusing(folder):
        if settings.runtime == "tensorrt":
            from deployments.avatar.ditto.tensorrt.workshop import Workshop

            Workshop.of(device, half, settings.memory_gb, settings.batch, say).build(files)
        else:
            exported(files, Kept(engines_dir()), Form(half), say)


def _folder(settings: DittoSettings) -> Path:
    if settings.model == NAME:
        return find_model(settings.need(), "avatar")
    folder = Path(settings.model).expanduser()
    if missing := [name for name in settings.need().files if not (folder / name).is_file()]:
        text = f"ditto's folder {folder} lacks {', '.join(missing)}"
        raise EngineLoadError(text, stage="avatar")
    return folder


def _asked(settings: DittoSettings, folder: Path, is_live: bool) -> Published:
    """What the configuration asks for, but for what the settings ask instead."""
    way = "live" if is_live else "offline"
    name, overlap, n_steps = (
        getattr(settings, f"{way}_{what}") for what in ("config", "overlap", "steps")
    )
    asked = published(read_config(folder / CONFIGS / name))
    if asked.windows.is_live != is_live:
        text = f"{way}_config: {name} is not of the {way} way of moving (online_mode)"
        raise ConfigError(text)
    windows = replace(asked.windows, overlap=overlap or asked.windows.overlap)
    return _possible(settings, replace(asked, windows=windows, n_steps=n_steps or asked.n_steps))


def _possible(settings: DittoSettings, asked: Published) -> Published:
    if settings.runtime == "tensorrt":
        from deployments.avatar.ditto.tensorrt.builder import MOST_STEPS

        if asked.n_steps > MOST_STEPS:
            text = f"ditto asks for {asked.n_steps} steps of diffusion, and TensorRT's plans take"
            raise ConfigError(f"{text} up to {MOST_STEPS}: set live_steps and offline_steps")
    return asked


def _origin(files: Mapping[str, Path], config: Path) -> str:
    """What tells all that motion depends on, but for the settings, from that of others."""
    return digest_of(config) + "".join(mark_of(files[name]) for name in _MOVING)


def _registrar(settings: DittoSettings, folder: Path, crop: CropSettings) -> Registrar:
    if settings.detectors == "mediapipe":
        return MeshRegistrar(crop)
    return PublishedRegistrar(open_detectors(below(folder, DETECTORS)), crop)


def _networks(settings: DittoSettings, files: dict[str, Path]) -> Networks[Any]:
    device = _device(settings)
    half = _is_half(settings, device)
    if settings.runtime == "torch":
        return _torch_networks(settings, files, device, half)
    if settings.runtime == "onnxruntime":
        from deployments.avatar.ditto.onnx_networks import OnnxNetworks

        return OnnxNetworks(files, device, half, settings.memory_gb)
    from deployments.avatar.ditto.tensorrt.networks import TensorRtNetworks

    return TensorRtNetworks(files, device, half, settings.memory_gb, settings.batch)


def _is_half(settings: DittoSettings, device: str) -> bool:
    return settings.precision == "half" or (settings.precision == "auto" and device != "cpu")


def _torch_networks(
    settings: DittoSettings, files: dict[str, Path], device: str, half: bool
) -> Networks[Any]:
    import torch

    from deployments.avatar.ditto.networks.torch_networks import TorchNetworks

    if settings.n_threads is not None:
        torch.set_num_threads(settings.n_threads)
    return TorchNetworks(files, device, half, settings.memory_gb, settings.batch)


def _device(settings: DittoSettings) -> str:
    """A promise of a card's memory is a promise of a card, and so is TensorRT."""
    if settings.device == "cpu":
        return "cpu"
    if _has_gpu(settings):
        return "cuda"
    if settings.device == "auto" and settings.memory_gb is None and settings.runtime != "tensorrt":
        return "cpu"
    raise EngineLoadError(
        f"ditto was promised a GPU, and {settings.runtime} finds none: check the driver, the "
        "stage's num_gpus and that it is not the build for CPUs, or set device: cpu without "
        "memory_gb",
        stage="avatar",
    )


def _has_gpu(settings: DittoSettings) -> bool:
    if settings.runtime == "onnxruntime":
        from deployments.avatar.ditto.sessions import has_cuda

        return has_cuda()
    import torch

    return bool(torch.cuda.is_available())


@contextmanager
def _refusing(folder: Path) -> Iterator[None]:
    """Whatever is raised while networks are loaded, as one line."""
    try:
        yield
    except AvatarError:
        raise
    except ImportError as error:
        text = f"ditto needs a package: {error}; install torch, then its extra: pip install "
        raise EngineLoadError(f"{text}'realtime-avatar[ditto]'", stage="avatar") from error
    except Exception as error:
        said = " ".join(str(error).split())[:300]
        text = f"ditto cannot use {folder}: {type(error).__name__}: {said}"
        raise EngineLoadError(text, stage="avatar") from error
