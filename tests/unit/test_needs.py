"""What is known to be missing before anything starts."""

from pathlib import Path
from typing import Any

import pytest

from deployments.errors import ConfigError
from deployments.tts.xtts.settings import LICENCE
from deployments.weights import ModelNeed
from graph.config import AppConfig
from graph.needs import check_needs, profile_needs
from graph.preflight import LaunchOptions, profile_config

NO_GEMINI = "gemini has no API key: set GEMINI_API_KEY"
NO_OPENAI = "openai_compatible has no API key for OpenAI: set OPENAI_API_KEY"
KEYS = (
    "GEMINI_API_KEY", "GOOGLE_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL", "XTTS_LICENCE",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _nothing_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No weights, no keys."""
    monkeypatch.setenv("MODELS_DIR", str(tmp_path))
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)


def profile(name: str) -> AppConfig:
    return profile_config(LaunchOptions(name, "127.0.0.1", 8000, 8265, Path("/nonexistent")))


def fetch(needs: list[ModelNeed], folder: Path) -> None:
    """As far as serving looks without a manifest."""
    for need in needs:
        for file in (folder / need.name / name for name in need.files):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()


def problems(config: AppConfig, name: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        check_needs(config, name)
    return caught.value.message.split("\n")


@pytest.mark.parametrize(
    ("name", "models"),
    [
        ("embedded", []),
        ("fake-l4", []),
        ("cpu", ["faster-whisper-small"]),
        ("l4", ["faster-whisper-large-v3-turbo", "xtts-v2", "ditto"]),
        ("production", ["faster-whisper-large-v3-turbo", "xtts-v2", "ditto"]),
    ],
)
def test_a_profile_needs_what_its_engines_do(name: str, models: list[str]) -> None:
    assert [need.name for need in profile_needs(profile(name))] == models


def test_every_missing_model_is_a_line_with_its_place_and_the_command(tmp_path: Path) -> None:
    whisper, xtts, ditto, licence = problems(profile("l4"), "l4")
    command = "run: make models PROFILE=l4"
    folder = tmp_path / "faster-whisper-large-v3-turbo"
    assert whisper == (
        f"the model faster-whisper-large-v3-turbo: {folder}/config.json is missing; {command}"
    )
    assert xtts == f"the model xtts-v2: {tmp_path}/xtts-v2/config.json is missing; {command}"
    assert "Coqui Public Model License" in licence
    assert ditto.startswith(f"the model ditto: {tmp_path}/ditto/ditto_pytorch/models/")


def test_a_licence_that_nobody_accepted_stops_the_start_and_its_name_lets_it_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(profile_needs(profile("l4")), tmp_path)
    (line,) = problems(profile("l4"), "l4")
    assert f"XTTS_LICENCE={LICENCE}" in line
    monkeypatch.setenv("XTTS_LICENCE", "yes")  # is no name
    assert problems(profile("l4"), "l4") == [line]
    monkeypatch.setenv("XTTS_LICENCE", LICENCE)
    monkeypatch.setenv("GEMINI_API_KEY", "k")
    assert check_needs(profile("l4"), "l4") == []


def test_a_chain_warns_of_what_lacks_a_key_before_the_first_that_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(profile_needs(profile("cpu")), tmp_path)
    gemini, openai = check_needs(profile("cpu"), "cpu")
    assert gemini.startswith(NO_GEMINI)
    assert openai.startswith(NO_OPENAI)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:11434/v1")
    assert check_needs(profile("cpu"), "cpu") == [gemini]
    monkeypatch.setenv("GEMINI_API_KEY", "k")
    assert check_needs(profile("cpu"), "cpu") == []


def with_llm(**llm: Any) -> AppConfig:
    return profile("fake").model_copy(update={"llm": AppConfig.model_validate({"llm": llm}).llm})


def test_a_language_model_without_a_key_and_without_a_stand_in_stops_the_start() -> None:
    (line,) = problems(with_llm(engine="gemini"), "mine")
    assert line.startswith(NO_GEMINI)
    chain = {"engines": [{"engine": "gemini"}]}
    (line,) = problems(with_llm(engine="chain", options=chain), "mine")
    assert line.startswith(NO_GEMINI)


def test_credentials_that_are_not_keys_are_enough() -> None:
    assert check_needs(with_llm(engine="gemini", options={"vertex_project": "p"}), "mine") == []
    mine = {"base_url": "http://127.0.0.1:1/v1", "model": "m"}
    assert check_needs(with_llm(engine="openai_compatible", options=mine), "mine") == []
