"""What is asked to judge quality: short, medium and long turns in three languages, and sessions in
which the language changes. All texts are the benchmark's own, without numerals, which recognisers
write as digits, and such that a language model and the demo rules both have an answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

LANGUAGES = ("en", "zh", "es")


@dataclass(frozen=True, slots=True)
class Line:
    """What somebody asks, and in which language (BCP 47 primary tag)."""

    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Scenario:
    """A session: its lines are asked one after the other, each when the last is answered."""

    name: str
    lines: tuple[Line, ...]

    @property
    def languages(self) -> frozenset[str]:
        return frozenset(line.language for line in self.lines)


SCENARIOS = (
    Scenario("en-short", (Line("en", "Hello, how are you today?"),)),
    Scenario(
        "en-medium", (Line("en", "Hello there, what can you do for me, and how do you work?"),)
    ),
    Scenario(
        "en-long",
        (
            Line(
                "en",
                "I have worked hard all week, and now I would like to sit down and listen to you. "
                "Please tell me a story.",
            ),
        ),
    ),
    Scenario("zh-short", (Line("zh", "你好，最近好吗？"),)),
    Scenario("zh-medium", (Line("zh", "请介绍一下你自己，再说说你能做什么。"),)),
    Scenario(
        "zh-long",
        (Line("zh", "我忙了整整一个星期，现在只想坐下来听你说话。请给我讲一个故事。"),),
    ),
    Scenario("es-short", (Line("es", "Hola, ¿cómo estás hoy?"),)),
    Scenario("es-medium", (Line("es", "¿Quién eres y qué puedes hacer por mí?"),)),
    Scenario(
        "es-long",
        (
            Line(
                "es",
                "He trabajado mucho toda la semana y ahora me gustaría sentarme a escucharte. "
                "Por favor, cuéntame un cuento.",
            ),
        ),
    ),
    Scenario(
        "en-zh",
        (
            Line("en", "Could you tell me a good joke, please? I would like to laugh today."),
            Line("zh", "谢谢你。请再用中文给我讲一个笑话。"),
        ),
    ),
    Scenario(
        "en-es",
        (
            Line("en", "I would like to know something interesting, please."),
            Line("es", "Muchas gracias. Ahora cuéntame un chiste en español."),
        ),
    ),
    Scenario(
        "en-zh-es",
        (
            Line("en", "Good morning. Please introduce yourself."),
            Line("zh", "很高兴认识你。你会做什么？"),
            Line("es", "Gracias por todo. ¿Y cómo estás tú?"),
        ),
    ),
)

REFERENCES = {
    "en": "The morning ferry crosses the bay in calm weather, and the gulls follow it all the way. "
    "On the other shore, people wait with coffee and newspapers.",
    "zh": "清晨的渡船在平静的海面上慢慢驶过，海鸥一路跟着它。"
    "对岸的人们拿着咖啡和报纸，等着它靠岸。",
    "es": "El barco de la mañana cruza la bahía con buen tiempo, y las gaviotas lo siguen todo el "
    "camino. En la otra orilla, la gente espera con café y periódicos.",
}
"""What a built-in voice says to be known by, where nobody gave a sample."""


def chosen(names: Sequence[str], languages: Sequence[str]) -> tuple[Scenario, ...]:
    """The scenarios that were asked for: by name, and only of these languages.

    Raises:
        ValueError: a name that there is not, or nothing is left.
    """
    known = {scenario.name: scenario for scenario in SCENARIOS}
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"no scenario {', '.join(unknown)}; there are {', '.join(known)}")
    found = [s for s in SCENARIOS if (not names or s.name in names) and s.languages <= {*languages}]
    if not found:
        raise ValueError(f"none of these scenarios is in {', '.join(languages)} alone")
    return tuple(found)
