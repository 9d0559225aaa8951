"""Which language a text is in, and whether a stage can do it."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from deployments.errors import UnusableInputError
from graph.language import detect, normalise, require

ALL = ("en", "zh", "es")


@pytest.mark.parametrize(
    ("tag", "primary"),
    [
        ("en", "en"),
        ("en-US", "en"),
        ("zh-cn", "zh"),
        ("zh-CN", "zh"),
        ("zh_Hans_CN", "zh"),
        (" ES ", "es"),
        ("cmn", "cmn"),
    ],
)
def test_a_tag_becomes_its_primary_tag(tag: str, primary: str) -> None:
    assert normalise(tag) == primary


@pytest.mark.parametrize(
    "tag", ["", "e", "english", "e1", "en-", "../en", "en us", "中文", "en;q=1"]
)
def test_what_is_no_tag_is_refused(tag: str) -> None:
    with pytest.raises(UnusableInputError) as raised:
        normalise(tag)
    assert raised.value.code == "unsupported_language"


def test_a_language_that_a_stage_can_do_passes() -> None:
    require("es", ALL, "llm")


def test_a_language_that_a_stage_cannot_do_is_refused_with_advice() -> None:
    with pytest.raises(UnusableInputError) as raised:
        require("zh", ("en",), "asr")
    assert raised.value.message == (
        "This server's asr engine knows en, not zh. "
        "Write instead of speaking, or install an engine for it, such as faster-whisper."
    )
    assert (raised.value.code, raised.value.stage) == ("unsupported_language", "asr")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Hello there, my friend", "en"),
        ("tell me a joke", "en"),
        ("my name is Carlos", "en"),
        ("what time is it", "en"),
        ("hola", "es"),
        ("Hola, Ana.", "es"),
        ("Hello!", "en"),
        ("cuánto es tres por cuatro", "es"),
        ("me llamo Ana", "es"),
        ("¿Qué?", "es"),
        ("cuentame un cuento", "es"),
        ("你好", "zh"),
        ("用Python写代码", "zh"),
        ("講個故事", "zh"),
        ("What does 你好 mean in English?", "en"),
    ],
)
def test_the_language_of_a_text_is_detected(text: str, language: str) -> None:
    assert detect(text, ALL) == language


@pytest.mark.parametrize("text", ["ok", "no", "17 * 23", "", "...", "👍"])
def test_without_evidence_the_first_language_is_taken(text: str) -> None:
    assert (detect(text, ALL), detect(text, ("es", "en"))) == ("en", "es")


def test_only_the_languages_asked_for_are_answered() -> None:
    assert detect("Bonjour mon ami, comment allez-vous ?", ALL) in ALL
    assert detect("你好", ("en", "es")) == "en"
    assert detect("hola amigo mío", ("en",)) == "en"
    assert detect("hello", ("xx", "yy")) == "xx"
    assert detect("hola amigo mío", ("xx", "en", "es")) == "es"


def test_many_threads_may_ask_at_once() -> None:
    asked = [("tell me a story please", ALL, "en"), ("cuéntame un cuento", ALL[::-1], "es")] * 50
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda case: detect(case[0], case[1]), asked))
    assert found == [expected for _, _, expected in asked]
