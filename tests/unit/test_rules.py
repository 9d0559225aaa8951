"""The demo brain's answers, in its three languages."""

from datetime import datetime

import pytest

from deployments.llm.rules import RulesLlm
from deployments.llm.rules.brain import LANGUAGES
from deployments.types import Message

NOW = datetime(2026, 11, 20, 15, 5)


@pytest.fixture(scope="module")
def brain() -> RulesLlm:
    return RulesLlm(RulesLlm.Settings(), now=lambda: NOW)


def answer(brain: RulesLlm, language: str, *lines: str) -> str:
    """The answer to ``lines``: user, assistant, user ... in turn, the last one the user's."""
    messages = [Message("assistant" if i % 2 else "user", line) for i, line in enumerate(lines)]
    return brain.answer(messages, language)


def is_unknown(language: str, text: str) -> bool:
    return text in LANGUAGES[language].unknown


@pytest.mark.parametrize(
    ("language", "heard", "said"),
    [
        ("en", "Hello!", "greeting"),
        ("en", "good morning", "greeting"),
        ("en", "who are you", "identity"),
        ("en", "whats your name", "identity"),
        ("en", "What's your name?", "identity"),
        ("en", "Are you a real person?", "identity"),
        ("en", "are you chatgpt", "identity"),
        ("en", "what can you do", "abilities"),
        ("en", "Help!", "abilities"),
        ("en", "how do i connect a real language model", "connect"),
        ("en", "How do my connectorial language model?", "connect"),
        ("en", "are you a language model", "identity"),
        ("en", "hey how are you doing", "how_are_you"),
        ("en", "Thank you very much.", "thanks"),
        ("en", "thanks for the story", "thanks"),
        ("en", "good bye", "goodbye"),
        ("en", "ok", "agreed"),
        ("en", "...", "nothing_heard"),
        ("en", "what is my name", "name_unknown"),
        ("en", "repeat that", "nothing_to_repeat"),
        ("es", "hola", "greeting"),
        ("es", "Buenos días", "greeting"),
        ("es", "¿Quién eres?", "identity"),
        ("es", "como te llamas", "identity"),
        ("es", "¿Qué puedes hacer?", "abilities"),
        ("es", "como conecto un modelo de verdad", "connect"),
        ("es", "Hola, ¿qué tal?", "how_are_you"),
        ("es", "muchas gracias", "thanks"),
        ("es", "hasta luego", "goodbye"),
        ("es", "vale", "agreed"),
        ("es", "¿¿??", "nothing_heard"),
        ("es", "cómo me llamo", "name_unknown"),
        ("es", "otra vez por favor", "nothing_to_repeat"),
        ("zh", "你好！", "greeting"),
        ("zh", "你是谁", "identity"),
        ("zh", "你 叫 什么 名字", "identity"),
        ("zh", "你会做什么", "abilities"),
        ("zh", "怎么接入大模型", "connect"),
        ("zh", "你好吗？", "how_are_you"),
        ("zh", "谢谢你", "thanks"),
        ("zh", "再见", "goodbye"),
        ("zh", "好的", "agreed"),
        ("zh", "……", "nothing_heard"),
        ("zh", "我叫什么名字", "name_unknown"),
        ("zh", "再说一遍", "nothing_to_repeat"),
    ],
)
def test_small_talk_is_understood(brain: RulesLlm, language: str, heard: str, said: str) -> None:
    assert answer(brain, language, heard) == getattr(LANGUAGES[language], said).format(name="")


@pytest.mark.parametrize(
    ("language", "heard"),
    [
        ("en", "what is the capital of France"),
        ("en", "What is the meaning of life?"),
        ("en", "I was happy, then I was sad"),
        ("en", "what time does the train leave"),
        ("es", "¿Cuál es la capital de Francia?"),
        ("zh", "法国的首都在哪里"),
    ],
)
def test_the_brain_says_honestly_what_it_is_when_it_knows_nothing(
    brain: RulesLlm, language: str, heard: str
) -> None:
    first, second = LANGUAGES[language].unknown
    assert answer(brain, language, heard) == first
    assert answer(brain, language, heard, first, heard) == second


@pytest.mark.parametrize(
    ("language", "heard", "said"),
    [
        ("en", "what time is it", "It is 3:05 PM."),
        ("en", "What's the time?", "It is 3:05 PM."),
        ("en", "what's the date today", "Today is Friday, November 20, 2026."),
        ("en", "what day is it", "Today is Friday, November 20, 2026."),
        ("en", "what time and date is it", "It is 3:05 PM. Today is Friday, November 20, 2026."),
        ("es", "¿Qué hora es?", "Son las 3 y 5 de la tarde."),
        ("es", "que dia es hoy", "Hoy es viernes, 20 de noviembre de 2026."),
        ("zh", "现在几点了", "现在是下午3点5分。"),
        ("zh", "今天星期几？", "今天是2026年11月20日星期五。"),
        ("zh", "現在幾點", "现在是下午3点5分。"),
    ],
)
def test_time_and_date_are_told(brain: RulesLlm, language: str, heard: str, said: str) -> None:
    assert answer(brain, language, heard) == said


@pytest.mark.parametrize(
    ("language", "heard", "said"),
    [
        ("en", "what time is it", "It is 1 PM."),
        ("es", "qué hora es", "Es la 1 de la tarde."),
        ("zh", "几点了", "现在是下午1点。"),
    ],
)
def test_whole_hours_are_told_without_minutes(language: str, heard: str, said: str) -> None:
    brain = RulesLlm(RulesLlm.Settings(), now=lambda: datetime(2026, 1, 1, 13, 0))
    assert answer(brain, language, heard) == said


@pytest.mark.parametrize(
    ("language", "heard", "name"),
    [
        ("en", "my name is anna", "Anna"),
        ("en", "My name is José María de la Cruz and I like tea.", "José María de la Cruz"),
        ("en", "hello, my name's Zoë!", "Zoë"),
        ("en", "My name’s O'Neil.", "O'Neil"),
        ("en", "Hi, I'm Søren.", "Søren"),
        ("en", "call me Jean-Luc", "Jean-Luc"),
        ("en", "my name is 李雷", "李雷"),
        ("en", "me llamo Íñigo", "Íñigo"),
        ("es", "me llamo josé", "José"),
        ("es", "Hola, soy Begoña.", "Begoña"),
        ("es", "mi nombre es María del Mar y vivo aquí", "María del Mar"),
        ("zh", "我叫王小明，你呢？", "王小明"),
        ("zh", "你好我是韩梅梅", "韩梅梅"),
        ("zh", "我的名字是李雷。", "李雷"),
        ("zh", "叫我 Anna", "Anna"),
    ],
)
def test_a_name_is_remembered_through_the_dialogue(
    brain: RulesLlm, language: str, heard: str, name: str
) -> None:
    phrases = LANGUAGES[language]
    addressed = phrases.vocative.format(name)
    met = answer(brain, language, heard)
    assert met == phrases.met.format(name=addressed)
    question = {"en": "what is my name", "es": "cómo me llamo", "zh": "我叫什么名字"}[language]
    later = (heard, met, {"en": "thanks", "es": "gracias", "zh": "谢谢"}[language], "OK.")
    assert answer(brain, language, *later, question) == phrases.your_name.format(name=name)


@pytest.mark.parametrize(
    "heard",
    [
        "my name is not bob",
        "call me back",
        "Hi, I'm fine.",
        "I'm Spanish",
        "what is my name",
        "No me llamo así",
        "你知道我叫什么吗",
        "my name is " + "X" * 500,
        "my name is <script>",
    ],
)
def test_what_is_no_name_is_not_taken_for_one(brain: RulesLlm, heard: str) -> None:
    unknown = LANGUAGES["en"].name_unknown
    assert answer(brain, "en", heard, "Hm.", "what is my name") == unknown


def test_the_last_name_counts(brain: RulesLlm) -> None:
    said = answer(brain, "en", "my name is anna", "Hello.", "call me Bob", "OK.", "who am i")
    assert said == "Of course. Your name is Bob."


def test_a_name_and_a_question_are_both_answered(brain: RulesLlm) -> None:
    heard = "Hello my name is Anna what time is it"
    assert answer(brain, "en", heard) == "Hello, Anna! It is 3:05 PM."
    assert answer(brain, "zh", "我叫小明，现在几点？") == "你好，小明！现在是下午3点5分。"


@pytest.mark.parametrize(
    ("language", "heard"),
    [
        ("en", "repeat that"),
        ("en", "can you repet that please"),
        ("en", "Say it again."),
        ("en", "what did you say"),
        ("en", "Pardon?"),
        ("es", "repítelo"),
        ("es", "dilo otra vez"),
        ("es", "¿Qué has dicho?"),
        ("zh", "再说一遍"),
        ("zh", "请重复一下"),
    ],
)
def test_the_last_answer_is_repeated(brain: RulesLlm, language: str, heard: str) -> None:
    assert answer(brain, language, "hi", "First.", "and", "Last one!", heard) == "Last one!"


@pytest.mark.parametrize(
    ("language", "heard", "said"),
    [
        ("en", "repeat after me: The quick brown Fox.", "The quick brown Fox."),
        ("en", "please say after me the rain in Spain", "the rain in Spain"),
        ("es", "Repite después de mí: ¡Buenos días!", "¡Buenos días!"),
        ("es", "repite despues de mi buenos dias", "buenos dias"),
        ("zh", "跟我说：今天天气很好。", "今天天气很好。"),
    ],
)
def test_what_shall_be_repeated_is_repeated(
    brain: RulesLlm, language: str, heard: str, said: str
) -> None:
    assert answer(brain, language, heard) == said


@pytest.mark.parametrize(
    ("language", "heard"),
    [("en", "tell me a storey"), ("es", "Cuéntame un cuento"), ("zh", "請講個故事")],
)
def test_stories_are_long_and_take_turns(brain: RulesLlm, language: str, heard: str) -> None:
    stories = LANGUAGES[language].stories
    first = answer(brain, language, heard)
    second = answer(brain, language, heard, first, heard)
    assert (stories[0] in first, stories[1] in second) == (True, True)
    assert stories[0] in answer(brain, language, heard, first, heard, second, heard)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_story_takes_twenty_seconds_to_tell(language: str) -> None:
    # 165 words a minute are 55 in 20 s. In Mandarin espeak says 3.8 characters a second at that
    # setting (2026-11-20), and hardly any voice says more than 6.
    for story in LANGUAGES[language].stories:
        length = len(story) / 6 if language == "zh" else len(story.split()) / (165 / 60)
        assert length >= 20


@pytest.mark.parametrize(
    ("language", "heard", "kind"),
    [
        ("en", "tell me a joke", "jokes"),
        ("es", "un chiste", "jokes"),
        ("zh", "讲个笑话", "jokes"),
        ("en", "tell me a fact", "facts"),
        ("es", "cuéntame algo interesante", "facts"),
        ("zh", "说个冷知识", "facts"),
    ],
)
def test_jokes_and_facts_take_turns(brain: RulesLlm, language: str, heard: str, kind: str) -> None:
    dialogue: list[str] = []
    for expected in getattr(LANGUAGES[language], kind):
        said = answer(brain, language, *dialogue, heard)
        assert said == expected
        dialogue += [heard, said]


@pytest.mark.parametrize("language", LANGUAGES)
def test_answers_begin_with_a_short_sentence_and_are_fit_for_speaking(
    brain: RulesLlm, language: str
) -> None:
    asked = {
        "en": ("hello", "who are you", "what can you do", "a story", "a joke", "a fact", "2 + 2"),
        "es": ("hola", "quién eres", "qué puedes hacer", "un cuento", "un chiste", "2 + 2"),
        "zh": ("你好", "你是谁", "你会做什么", "故事", "笑话", "冷知识", "2加2"),
    }
    for heard in (*asked[language], "xyzzy"):
        said = answer(brain, language, heard)
        first = min(said.find(stop) for stop in ".!?。！？" if stop in said)
        assert 0 < first <= 25
        assert not set(said) & set("*_#`[]{}<>|~\n")
