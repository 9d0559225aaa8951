"""A folder becomes a model on a device, or one line that says what is wrong."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployments.errors import AvatarError, EngineLoadError
from deployments.tts.xtts.library import imported
from deployments.tts.xtts.settings import FILES, LICENCE, MODEL, XttsSettings
from deployments.weights import find_model


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that settings leave open, decided for this machine."""

    folder: Path
    device: str
    is_half: bool
    memory_gb: float | None
    n_threads: int | None

    def __str__(self) -> str:
        return f"{self.folder} in {'float16' if self.is_half else 'float32'} on {self.device}"


def licence_refusal(settings: XttsSettings) -> str:
    """Why the weights may not be used; empty: their licence is accepted by its name."""
    if settings.licence == LICENCE:
        return ""
    return (
        "the XTTS-v2 weights are under the Coqui Public Model License, for non-commercial use "
        f"only, of what they say too: to accept it, set licence: {LICENCE} in the options of "
        f"the stage tts (the profiles l4 and production take XTTS_LICENCE={LICENCE})"
    )


def planned(settings: XttsSettings) -> Plan:
    """What to load, and how.

    Raises:
        EngineLoadError: the licence is not accepted; no model, no package, no GPU.
    """
    if refusal := licence_refusal(settings):
        raise EngineLoadError(refusal, stage="tts")
    folder = _folder(settings)
    device = _device(settings)
    is_half = settings.precision == "float16" or (settings.precision == "auto" and device == "cuda")
    return Plan(folder, device, is_half, settings.memory_gb, settings.n_threads)


def loaded(plan: Plan) -> Any:
    """The ``TTS.tts.models.xtts.Xtts``, ready to be asked.

    Raises:
        EngineLoadError: a damaged or foreign file, too little memory.
    """
    torch, xtts = imported("torch"), imported("TTS.tts.models.xtts")
    # It says of each of the language models inside that it has no end of text, which is so.
    imported("transformers").logging.set_verbosity_error()
    if plan.n_threads is not None:
        torch.set_num_threads(plan.n_threads)
    with refusing(plan):
        if plan.memory_gb is not None:
            card_gb = torch.cuda.get_device_properties(0).total_memory / 1e9
            torch.cuda.set_per_process_memory_fraction(min(1.0, plan.memory_gb / card_gb))
        config = _config(plan.folder)
        model = _reading_only(torch, xtts)(config)
        model.load_checkpoint(config, checkpoint_dir=plan.folder)
        if plan.is_half:
            _halve(model.gpt, torch)
        return model.to(plan.device)


def fingerprint(plan: Plan) -> str:
    """Of the weights: a voice that one model made is noise to another.

    A few seconds for two gigabytes, which then lie in the page cache for the loading.

    Raises:
        EngineLoadError: the file cannot be read.
    """
    with refusing(plan), (plan.folder / "model.pth").open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


@contextmanager
def refusing(plan: Plan) -> Iterator[None]:
    """Whatever is raised while the model is loaded and tried, as one line."""
    from torch import OutOfMemoryError

    try:
        yield
    except AvatarError:
        raise
    except OutOfMemoryError as error:
        of = "the card" if plan.memory_gb is None else f"memory_gb: {plan.memory_gb:g}"
        text = f"xtts does not fit into {of}, loading {plan} (about 2 GB in float16, 3 in float32)"
        raise EngineLoadError(text, stage="tts") from error
    except Exception as error:
        said = " ".join(str(error).split())[:300]
        raise EngineLoadError(
            f"xtts cannot use {plan}: {type(error).__name__}: {said} "
            "(if a file is damaged, remove the folder and run make models PROFILE=...)",
            stage="tts",
        ) from error


def _folder(settings: XttsSettings) -> Path:
    if settings.model == MODEL.name:
        return find_model(MODEL, "tts")
    folder = Path(settings.model).expanduser()
    if not folder.is_dir():
        raise EngineLoadError(f"xtts's model: there is no folder {folder}", stage="tts")
    if missing := [name for name in FILES if not (folder / name).is_file()]:
        text = f"xtts's model folder {folder} lacks {', '.join(missing)}"
        raise EngineLoadError(text, stage="tts")
    return folder


def _device(settings: XttsSettings) -> str:
    """A promise of a card's memory is a promise of a card."""
    if settings.device == "cpu":
        return "cpu"
    if imported("torch").cuda.is_available():
        return "cuda"
    if settings.device == "auto" and settings.memory_gb is None:
        return "cpu"
    raise EngineLoadError(
        "xtts was promised a GPU, and torch finds none: check the driver, the stage's num_gpus and "
        "that torch is not its CPU build, or set device: cpu without memory_gb",
        stage="tts",
    )


def _config(folder: Path) -> Any:
    path = folder / "config.json"
    fields = json.loads(path.read_text())
    kind = fields.get("model") if isinstance(fields, dict) else None
    if kind != "xtts":
        text = f"xtts: {path} is of another architecture, {kind!r}"
        raise EngineLoadError(text, stage="tts")
    config = imported("TTS.tts.configs.xtts_config").XttsConfig()
    config.load_json(str(path))
    return config


def _reading_only(torch: Any, xtts: Any) -> Any:
    """The library's class, but for one thing: it would write the published checkpoint anew, into
    the folder, because it holds a class of an older version. The folder may be mounted read-only,
    and its files are checked by their length. Nothing but numbers and those classes is unpickled.
    """

    class Xtts(xtts.Xtts):  # type: ignore[misc]  # untyped library
        def _load_checkpoint(self, model_path: Path) -> Any:
            with xtts._legacy_safe_globals():
                return torch.load(model_path, map_location="cpu", weights_only=True)["model"]

    return Xtts


def _halve(gpt: Any, torch: Any) -> None:
    """The transformer and what feeds it; what hears samples and chooses tokens stays as it is."""
    for part in (
        gpt.gpt, gpt.text_embedding, gpt.mel_embedding, gpt.text_pos_embedding,
        gpt.mel_pos_embedding,
    ):  # fmt: skip
        part.half()
    nowhere = torch.zeros((), dtype=torch.float16)
    # The library adds positions of its own, and float32 zeros here, which would undo the halving.
    gpt.gpt.wpe = lambda positions: nowhere.to(positions.device)
