"""Number words -> digits, in the languages of the rules."""

import re
import unicodedata

from deployments.llm.rules.phrases import Numerals

_HAN_DIGITS = "零〇一二两三四五六七八九"
_HAN_NUMERAL = f"[{_HAN_DIGITS}十百千万亿]+(?:点[{_HAN_DIGITS}]+)?"
_TOKEN = re.compile(
    rf"\d+(?:[.,]\d+)*|{_HAN_NUMERAL}|[a-zñ]+|[\u3400-\u9fff]|\*\*|[-+*/^()×÷√%−–·]"
)
_SAME = {"×": "*", "·": "*", "÷": "/", "^": "**", "√": "sqrt", "−": "-", "–": "-"}


def tokens(text: str, numerals: Numerals) -> list[str]:
    """``text`` as decimal numbers, symbols and words, number words turned into digits.

    Args:
        text: plain text, as ``understand.plain`` makes it.
    """
    found = [_token(match[0], numerals) for match in _TOKEN.finditer(text)]
    result: list[str] = []
    while found:
        number, n_taken = _number_at_start(found, numerals)
        result.append(number if n_taken else found[0])
        found = found[n_taken or 1 :]
    return _with_sums(result, numerals)


def _token(text: str, numerals: Numerals) -> str:
    if text[0].isdigit():
        return _digits(text, numerals.decimal_comma)
    if re.fullmatch(_HAN_NUMERAL, text):
        return _han(text)
    return _SAME.get(text, text)


def _digits(text: str, decimal_comma: bool) -> str:
    """``1,234.5`` and ``1.234,5`` -> ``1234.5``; leading zeros go.

    A lone separator before exactly three digits groups thousands if the language groups with it.
    """
    group, point = (".", ",") if decimal_comma else (",", ".")
    if point not in text and not re.fullmatch(rf"\d{{1,3}}(?:\{group}\d{{3}})+", text):
        group, point = point, group  # "3.5" said in Spanish, "3,5" in English
    whole, _, decimals = text.replace(group, "").partition(point)
    decimals = re.sub(r"\D", "", decimals)
    whole = whole.lstrip("0") or "0"
    return f"{whole}.{decimals}" if decimals else whole


def _han(text: str) -> str:
    """``一百零五`` -> ``105``, ``二零二六`` -> ``2026``, ``三点五`` -> ``3.5``."""
    whole, _, decimals = text.partition("点")
    number = str(_han_whole(whole))
    return f"{number}.{_han_digits(decimals)}" if decimals else number


def _han_digits(text: str) -> str:
    return "".join(str(_han_value(character)) for character in text)


def _han_value(character: str) -> int:
    return 2 if character == "两" else int(unicodedata.numeric(character))


def _han_whole(text: str) -> int:
    if all(character in _HAN_DIGITS for character in text):
        return int(_han_digits(text))
    total = section = digit = 0
    for character in text:
        value = _han_value(character)
        if value < 10:
            digit = value
        elif value < 10_000:
            section += (digit or 1) * value  # 十五 is fifteen
            digit = 0
        elif value == 10_000:
            total += (section + digit) * value
            section = digit = 0
        else:  # 万亿 is a million millions
            total = (total + section + digit) * value
            section = digit = 0
    return total + section + digit


def _number_at_start(words: list[str], numerals: Numerals) -> tuple[str, int]:
    """The number that ``words`` begin with, and how many of them it takes; 0 if there is none."""
    total = current = 0
    n_taken = 0
    for i, word in enumerate(words):
        if word in numerals.joiners:
            if not (n_taken == i > 0 and _joins(words, i, numerals)):
                break
            continue
        if word in numerals.scales:
            total, current = _scaled(total, current, numerals.scales[word])
        elif (value := _small(word, numerals, is_first=i == 0)) is not None:
            if n_taken and not _fits(current, value):
                break
            current += value
        else:
            break
        n_taken = i + 1
    decimals = _decimals(words[n_taken:], numerals) if n_taken else ""
    number = str(total + current)
    return (f"{number}.{decimals}", n_taken + 1 + len(decimals)) if decimals else (number, n_taken)


def _joins(words: list[str], i: int, numerals: Numerals) -> bool:
    has_number_after = i + 1 < len(words) and words[i + 1] in numerals.small
    return words[i - 1] in numerals.joined_after and has_number_after


def _scaled(total: int, current: int, scale: int) -> tuple[int, int]:
    if scale == 100:  # "two hundred" may still become thousands
        return total, max(current, 1) * scale
    return total + max(current, 1) * scale, 0


def _small(word: str, numerals: Numerals, is_first: bool) -> int | None:
    if is_first and word.isascii() and word.isdigit():  # "3 million"
        return int(word)
    return numerals.small.get(word)


def _fits(current: int, value: int) -> bool:
    """Whether ``value`` completes a number: five completes twenty, but not ten or two."""
    if current == 0:
        return True
    free = 100 if value >= 10 else 10
    return current % free == 0 and current > value and current % 100 != 10


def _decimals(words: list[str], numerals: Numerals) -> str:
    """The digits said after "point", one word each."""
    if not words or words[0] not in numerals.point:
        return ""
    decimals = ""
    for word in words[1:]:
        value = numerals.small.get(word, int(word) if len(word) == 1 and word.isdigit() else 99)
        if value > 9:
            break
        decimals += str(value)
    return decimals


def _with_sums(found: list[str], numerals: Numerals) -> list[str]:
    """ "two and two" is a sum: a joiner between two numbers adds."""
    result = list(found)
    for i in range(1, len(found) - 1):
        between_numbers = found[i - 1][0].isdigit() and found[i + 1][0].isdigit()
        if found[i] in numerals.joiners and between_numbers:
            result[i] = "+"
    return result
