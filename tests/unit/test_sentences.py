"""Sentences out of deltas: where they end, and when they leave."""

from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.errors import EngineRuntimeError
from deployments.types import ReplySentence
from graph.sentences import FIRST_MAX_COLUMNS, MAX_COLUMNS, sentences


async def stream(deltas: Sequence[str]) -> AsyncIterator[str]:
    for delta in deltas:
        yield delta


async def cut(deltas: Sequence[str], language: str = "en") -> list[ReplySentence]:
    return [sentence async for sentence in sentences(stream(deltas), language, turn_no=3)]


async def texts(text: str, language: str = "en") -> list[str]:
    return [sentence.text for sentence in await cut([text], language)]


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en", ["Dr. Smith met Mr. Jones at 5 p.m. on Monday.", "They talked."]),
        ("en", ["It costs e.g. five dollars, i.e. not much.", "Good."]),
        ("en", ["Pi is 3.14.", "It never ends."]),
        ("en", ["It is 3:05 PM.", "Today is Friday."]),
        ("en", ["I read J. R. R. Tolkien.", "He wrote a lot."]),
        ("en", ["She has a Ph.D. from St. Andrews.", "Well... maybe."]),
        ("en", ['"Stop!" he said.', '"Why?"', "Then he left."]),
        ("en", ["The U.S. Army is (as always) here.", "See www.example.com."]),
        ("en", ["Really?!", "Yes!!", "Of course."]),
        ("en", ["No. 5 is alive.", "I am sure."]),
        ("en", ["He said: “I will.”", "She laughed."]),
        ("en", ["hello there.", "how are you?", "fine."]),
        ("es", ["¿Cómo está el Sr. Pérez?", "¡Muy bien!", "La Dra. Gómez también."]),
        ("es", ["Son 3.50 euros, p. ej., en EE. UU. y aquí.", "Vale."]),
        ("es", ["«Hola.»", "Dijo él.", "¿Vienes?"]),
        ("fr", ["Bonjour !", "Comment allez-vous ?", "Bien."]),
    ],
)
async def test_sentences_end_where_a_reader_would_end_them(
    language: str, expected: list[str]
) -> None:
    assert await texts(" ".join(expected), language) == expected


@pytest.mark.parametrize(
    "expected",
    [
        ["你好！", "我是小助手。", "今天天气怎么样？", "很好。"],
        ["他说：“你好。”", "然后走了。"],
        ["「早上好！」", "她说。", "圆周率是3.14。", "对吧……是的。"],
        ["好！！！", "真的？！", "我见了Dr. Smith。", "A.B.公司很好。"],
        ["你好!", "今天是3.5度.", "好的."],
    ],
)
async def test_chinese_sentences_need_no_spaces(expected: list[str]) -> None:
    assert await texts("".join(expected), "zh") == expected


async def test_sentences_are_numbered_and_only_the_last_one_says_so() -> None:
    assert await cut(["One. Two", ". Three"]) == [
        ReplySentence(0, "One.", False, 3),
        ReplySentence(1, "Two.", False, 3),
        ReplySentence(2, "Three", True, 3),
    ]


@pytest.mark.parametrize("text", ["", "   \n", "...", "?! … 。", "👍"])
async def test_what_cannot_be_spoken_is_no_sentence(text: str) -> None:
    assert await cut([text]) == []


async def test_stray_punctuation_goes_with_its_neighbour() -> None:
    assert await texts("... Hello. :) Bye. 👍 ...") == ["... Hello.", ":) Bye. 👍 ..."]


async def test_a_paragraph_ends_a_sentence() -> None:
    assert await texts("A title\n\nAnd a text") == ["A title", "And a text"]


@pytest.mark.parametrize(
    ("language", "until", "then", "expected"),
    [
        ("en", "Sure. Let", " ", "Sure."),
        ("es", "¡Hola! ¿Qué", " ", "¡Hola!"),
        ("zh", "好的。", "从", "好的。"),
    ],
)
async def test_the_first_sentence_leaves_with_the_first_word_after_it(
    language: str, until: str, then: str, expected: str
) -> None:
    read: list[str] = []

    async def slow() -> AsyncIterator[str]:
        for delta in (until, then, "much more that is still being written"):
            read.append(delta)
            yield delta

    first = await anext(sentences(slow(), language))
    assert (first.text, read) == (expected, [until, then])


async def test_a_long_sentence_is_cut_after_a_clause() -> None:
    clause = "the sea was calm and full of small lights, "
    parts = await texts(clause * 20 + "and so it stayed.")
    assert all(part.endswith(("lights,", "stayed.")) for part in parts)
    assert len(parts[0]) <= FIRST_MAX_COLUMNS
    assert all(len(part) <= MAX_COLUMNS for part in parts)
    assert " ".join(parts) == clause * 20 + "and so it stayed."


async def test_a_long_sentence_without_clauses_is_cut_between_words() -> None:
    parts = await texts("word " * 200)
    assert set(" ".join(parts).split(" ")) == {"word"}
    assert max(map(len, parts)) <= MAX_COLUMNS


async def test_a_long_chinese_sentence_is_cut_sooner() -> None:
    parts = await texts("山里有一口老钟，" * 40, "zh")
    assert [len(part) % 8 for part in parts] == [0] * len(parts)
    assert len(parts[0]) * 3 <= FIRST_MAX_COLUMNS
    assert max(map(len, parts)) * 3 <= MAX_COLUMNS + 2 * 8  # a comma counts one column


async def test_numbers_are_not_cut_at_their_commas() -> None:
    text = "They counted " + "1,234,567 and " * 30 + "that was all."
    assert " ".join(await texts(text)) == text


async def test_a_text_without_any_end_still_leaves() -> None:
    parts = await texts("x" * 1000)
    assert ("".join(parts), len(parts) > 3) == ("x" * 1000, True)


async def broken(*deltas: str) -> AsyncIterator[str]:
    for delta in deltas:
        yield delta
    raise EngineRuntimeError("lost", stage="llm")


@pytest.mark.parametrize(
    ("deltas", "expected"),
    [
        (("One. Two. Three w",), [("One.", False), ("Two.", False)]),
        (("One. Two.",), [("One.", False), ("Two.", True)]),
        (("One. Two. Thr",), [("One.", False), ("Two.", True)]),
        (("One. I met Dr.",), [("One.", False)]),
        (("好的。从前", "，有一"), [("好的。", False)]),
        (("Not yet a sent",), []),
        ((), []),
    ],
)
async def test_a_reply_that_breaks_off_ends_after_its_last_whole_sentence(
    deltas: tuple[str, ...], expected: list[tuple[str, bool]]
) -> None:
    left: list[tuple[str, bool]] = []

    async def read() -> None:
        async for sentence in sentences(broken(*deltas), "en"):
            left.append((sentence.text, sentence.is_last))

    with pytest.raises(EngineRuntimeError):
        await read()
    assert left == expected


ALPHABET = 'aB1 .,!?…"“”()’-\n¿¡é:;。！？，「」山水'
PIECES = st.sampled_from(
    ["Dr. ", "e.g. ", "3.14", "Hello. ", "No. ", "你好。", "p.m. ", "“Yes.” ", "St. "]
)
TEXT = st.lists(st.one_of(st.text(ALPHABET, max_size=8), PIECES), max_size=30).map("".join)


@given(
    text=TEXT,
    sizes=st.lists(st.integers(0, 9), min_size=1),
    language=st.sampled_from(["en", "zh", "es"]),
)
@settings(max_examples=150, deadline=None)
async def test_how_the_text_was_cut_into_deltas_does_not_matter(
    text: str, sizes: list[int], language: str
) -> None:
    deltas, rest = [], text
    for size in sizes:
        deltas.append(rest[:size])
        rest = rest[size:]
    whole = await cut([text], language)
    assert await cut([*deltas, rest], language) == whole
    assert [s.index for s in whole] == list(range(len(whole)))
    assert [s.is_last for s in whole] == [False] * (len(whole) - 1) + [True] * bool(whole)
    assert all(any(c.isalnum() for c in s.text) for s in whole)
    if whole:
        assert "".join("".join(s.text.split()) for s in whole) == "".join(text.split())
