"""Numbers, dates, times, money and units become words, as they are said in a language.

The model's own cleaner knows numbers and little else. The language model is asked for text as it is
spoken, so this is for what slips through. Words come from ``num2words`` and Babel (CLDR), Chinese
ones from the cleaner that coqui-tts brings; what is here is how they are put together.
"""

import re
import unicodedata

from deployments.tts.xtts.normalise import chinese, english, spanish
from deployments.tts.xtts.normalise.rules import rewritten

_RULES = {"en": english.RULES, "zh": chinese.RULES, "es": spanish.RULES}
_WIDE = str.maketrans("０１２３４５６７８９％＄．：／－＋", "0123456789%$.:/-+")
_MARKDOWN = re.compile(r"[*_`~|]+|^\s{0,3}#{1,6}\s+", re.MULTILINE)
# What nobody can say: controls, halves of characters, unassigned ones, emoji.
_UNSPEAKABLE = frozenset({"Cc", "Cs", "Co", "Cn", "Cf", "So", "Sk", "Me"})
_SIGNS_OF_RULES = frozenset("°№©®™")
_SPACE = re.compile(r"\s+")


def spoken(text: str, language: str) -> str:
    """The text in words, on one line, without markdown and emoji.

    Args:
        language: ``en``, ``zh`` or ``es``.
    """
    plain = _MARKDOWN.sub(" ", text.translate(_WIDE))
    plain = "".join(character if _is_sayable(character) else " " for character in plain)
    words = rewritten(_SPACE.sub(" ", plain).strip(), _RULES[language])
    return _SPACE.sub(" ", words).strip()


def _is_sayable(character: str) -> bool:
    return unicodedata.category(character) not in _UNSPEAKABLE or character in _SIGNS_OF_RULES
