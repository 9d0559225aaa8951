"""Engines by name, checked before anything starts."""

from importlib import import_module

import pytest

from deployments.errors import ConfigError, EngineLoadError
from deployments.registry import ENGINES, check_options, engine_class, load_engine


@pytest.mark.parametrize(("stage", "name"), ENGINES)
def test_every_entry_names_a_class_with_settings(stage: str, name: str) -> None:
    assert engine_class(stage, name).Settings.model_config["extra"] == "forbid"
    assert engine_class(stage, name).Settings.model_config["frozen"]


@pytest.mark.parametrize("stage", ["vad", "asr", "llm", "tts", "avatar"])
def test_every_stage_has_a_fake_that_says_so(stage: str) -> None:
    module = import_module(ENGINES[stage, "fake"].partition(":")[0])
    assert "fake" in (module.__doc__ or "").lower()


def test_an_unknown_engine_is_named_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"unknown tts engine 'xtts9'; this build has: .*espeak"):
        engine_class("tts", "xtts9")


def test_a_misspelt_option_fails_without_loading_the_engine() -> None:
    with pytest.raises(ConfigError, match="latencies_s"):
        check_options("tts", "fake", {"latencies_s": 1})


def test_an_engine_that_cannot_load_says_so_under_one_type() -> None:
    with pytest.raises(EngineLoadError):
        load_engine("asr", "fake", {"fail_load": True})
