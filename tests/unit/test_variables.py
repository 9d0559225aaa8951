"""What a profile leaves to the environment."""

import pytest

from deployments.errors import ConfigError
from graph.variables import resolved

PROFILE = {
    "llm": {
        "engine": "chain",
        "options": {
            "engines": [
                {"engine": "gemini", "options": {"model": "${GEMINI_MODEL:-flash}"}},
                {"engine": "openai", "options": {"base_url": "${BASE_URL:-}", "n_attempts": 2}},
            ]
        },
    }
}


def links(environment: dict[str, str]) -> list[dict[str, object]]:
    found = resolved(PROFILE, environment)["llm"]["options"]["engines"]
    return [link["options"] for link in found]


def test_defaults_hold_where_nothing_is_set_and_an_empty_setting_is_left_out() -> None:
    assert links({}) == [{"model": "flash"}, {"n_attempts": 2}]


def test_the_environment_wins_and_an_empty_variable_is_none() -> None:
    assert links({"GEMINI_MODEL": "pro", "BASE_URL": "http://here:1/v1"}) == [
        {"model": "pro"},
        {"base_url": "http://here:1/v1", "n_attempts": 2},
    ]
    assert links({"GEMINI_MODEL": ""})[0] == {"model": "flash"}


def test_a_part_of_a_text_can_be_left_to_the_environment() -> None:
    assert resolved(["http://${HOST:-here}:${PORT:-1}/v1"], {"PORT": "2"}) == ["http://here:2/v1"]


def test_a_setting_that_the_profile_itself_leaves_empty_stays() -> None:
    assert resolved({"name": "", "none": None, "no": False}, {}) == {
        "name": "", "none": None, "no": False,
    }  # fmt: skip


def test_a_variable_without_a_default_must_be_set() -> None:
    with pytest.raises(ConfigError) as caught:
        resolved({"licence": "${ACCEPTED}"}, {})
    assert str(caught.value) == ("the profile leaves ACCEPTED to you: set it in the environment")
