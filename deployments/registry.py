"""Which class is behind (stage, engine name); imported on first use."""

from importlib import import_module
from typing import Any, Protocol, runtime_checkable

from pydantic import ValidationError

from deployments.errors import AvatarError, ConfigError, EngineLoadError

ENGINES: dict[tuple[str, str], str] = {
    ("vad", "silero"): "deployments.vad.silero:SileroVad",
    ("vad", "fake"): "deployments.vad.fake:FakeVad",
    ("asr", "moonshine"): "deployments.asr.moonshine:MoonshineAsr",
    ("asr", "faster_whisper"): "deployments.asr.faster_whisper:FasterWhisperAsr",
    ("asr", "fake"): "deployments.asr.fake:FakeAsr",
    ("llm", "rules"): "deployments.llm.rules:RulesLlm",
    ("llm", "gemini"): "deployments.llm.gemini:GeminiLlm",
    ("llm", "openai_compatible"): "deployments.llm.openai_compatible:OpenAiCompatibleLlm",
    ("llm", "chain"): "deployments.llm.chain:ChainLlm",
    ("llm", "fake"): "deployments.llm.fake:FakeLlm",
    ("tts", "espeak"): "deployments.tts.espeak:EspeakTts",
    ("tts", "xtts"): "deployments.tts.xtts:XttsTts",
    ("tts", "fake"): "deployments.tts.fake:FakeTts",
    ("avatar", "warp2d"): "deployments.avatar.warp2d:Warp2dAvatar",
    ("avatar", "ditto"): "deployments.avatar.ditto.avatar:DittoAvatar",
    ("avatar", "fake"): "deployments.avatar.fake:FakeAvatar",
}


@runtime_checkable
class ForeseesRefusal(Protocol):
    """The class of an engine that may lack a key or a licence, which can be known before."""

    @staticmethod
    def lacks(settings: Any) -> str:
        """What it will not load without, and how to give it, in one line; empty: nothing."""
        ...


def engine_class(stage: str, name: str) -> Any:
    """The engine's class; its ``Settings`` attribute validates the engine's options.

    Raises:
        ConfigError: no such engine.
    """
    try:
        module, _, attribute = ENGINES[stage, name].partition(":")
    except KeyError:
        known = ", ".join(sorted(n for s, n in ENGINES if s == stage))
        raise ConfigError(f"unknown {stage} engine {name!r}; this build has: {known}") from None
    return getattr(import_module(module), attribute)


def check_options(stage: str, name: str, options: dict[str, Any]) -> None:
    """Check an engine's options without loading it.

    Raises:
        ConfigError: unknown engine, misspelt or impossible option.
    """
    try:
        engine_class(stage, name).Settings.model_validate(options)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        text = f"{stage} engine {name!r}, {where}: {first['msg']}"
        raise ConfigError(text, stage=stage) from None


def load_engine(stage: str, name: str, options: dict[str, Any]) -> Any:
    """A ready engine of the stage's Protocol.

    Raises:
        ConfigError: unknown engine or wrong options.
        EngineLoadError: what the engine needs is missing.
    """
    check_options(stage, name, options)
    cls = engine_class(stage, name)
    try:
        return cls(cls.Settings.model_validate(options))
    except AvatarError:
        raise
    except Exception as error:  # whatever a model's library raises, the replica reports one kind
        raise EngineLoadError(
            f"{stage} engine {name!r} did not load: {type(error).__name__}: {error}", stage=stage
        ) from error
