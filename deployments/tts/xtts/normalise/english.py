"""English, as an American says it; "21/11/2026" is understood as well."""

import re
from decimal import Decimal

from deployments.tts.xtts.normalise.rules import (
    APART,
    CLOCK,
    ISO_DATE,
    Match,
    Rule,
    cardinal,
    currency,
    date_of,
    digits,
    is_read_out,
    month_name,
    replacements,
    unit_name,
    unit_pattern,
)

_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_CODES = {"US$": "USD", "$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "￥": "JPY"}
_CODES |= {code: code for code in ("USD", "EUR", "GBP", "CNY", "JPY", "MXN")}
# Where num2words has none, or one that is seldom said.
_MONEY = {
    "EUR": (("euro", "euros"), ("cent", "cents")),
    "GBP": (("pound", "pounds"), ("penny", "pence")),
    "CNY": (("yuan", "yuan"), ("fen", "fen")),
    "JPY": (("yen", "yen"), ("sen", "sen")),
}
_SCALES = {"k": "thousand", "K": "thousand", "m": "million", "M": "million", "bn": "billion"}
_SCALES |= {"B": "billion", "b": "billion"}
_SCALES |= {name: name for name in ("thousand", "million", "billion", "trillion")}
_SCALE = rf"(?:\s?(?P<scale>{'|'.join(sorted(_SCALES, key=len, reverse=True))})\b)?"
_SIGN = r"US\$|[$€£¥￥]"
_CODE = r"USD|EUR|GBP|CNY|JPY|MXN"
_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
_FRACTIONS = {
    "1/2": "one half", "1/3": "one third", "2/3": "two thirds", "1/4": "one quarter",
    "3/4": "three quarters", "½": "one half", "⅓": "one third", "⅔": "two thirds",
    "¼": "one quarter", "¾": "three quarters",
}  # fmt: skip


def number(text: str) -> str:
    """A number as it is written, in words."""
    whole, _, rest = text.replace(",", "").partition(".")
    words = cardinal(int(whole), "en")
    return f"{words} point {digits(rest, 'en')}" if rest else words


def year(value: int) -> str:
    from num2words import num2words

    return str(num2words(value, lang="en", to="year"))


def ordinal(value: int) -> str:
    from num2words import num2words

    return str(num2words(value, lang="en", to="ordinal")).replace(",", "")


def _date(match: Match) -> str:
    when = date_of(match)
    if when is None:
        return match[0]
    return f"{month_name(when.month, 'en')} {ordinal(when.day)}, {year(when.year)}"


def _named_date(match: Match) -> str:
    when = f"{match['name']} {ordinal(int(match['day']))}"
    return f"{when}, {year(int(match['year']))}" if match["year"] else when


def _day_of_month(match: Match) -> str:
    when = f"the {ordinal(int(match['day']))} of {match['name']}"
    return f"{when}, {year(int(match['year']))}" if match["year"] else when


def _time(match: Match) -> str:
    hour, minute, half = int(match["hour"]), int(match["minute"]), match["half"]
    letter = half[0].lower() if half else ("p" if hour % 24 > 12 else "a" if hour % 24 == 0 else "")
    words = [cardinal((hour - 1) % 12 + 1, "en")]
    if minute:
        words.append(f"oh {cardinal(minute, 'en')}" if minute < 10 else cardinal(minute, "en"))
    elif not letter:
        words.append("o'clock")
    if match["second"]:
        words.append(f"and {cardinal(int(match['second']), 'en')} seconds")
    return " ".join([*words, f"{letter} m"] if letter else words)


def _money(match: Match) -> str:
    code, amount, scale = _CODES[match["sign"]], match["number"], match["scale"]
    (one, many), (cent, cents) = _MONEY.get(code) or currency(code, "en")
    if scale:
        return f"{number(amount)} {_SCALES[scale]} {many}"
    value = Decimal(amount.replace(",", ""))
    whole, hundredths = int(value), round(value % 1 * 100)
    words = f"{cardinal(whole, 'en')} {one if whole == 1 else many}"
    if not hundredths:
        return words
    rest = f"{cardinal(hundredths, 'en')} {cent if hundredths == 1 else cents}"
    return f"{words} and {rest}" if whole else rest


def _unit(match: Match) -> str:
    symbol, amount = match["unit"], match["number"]
    minus = "minus " if match["minus"] else ""
    return f"{minus}{number(amount)} {unit_name(symbol, amount == '1', 'en')}"


def _version(match: Match) -> str:
    return " point ".join(cardinal(int(part), "en") for part in match[0].split("."))


def _plain(match: Match) -> str:
    """A number alone; four digits without a comma are a year, many are read one by one."""
    text = match["number"]
    minus = "minus " if match["minus"] else ""
    if re.fullmatch(r"1[1-9]\d\d|20\d\d", text) and not minus:
        return year(int(text))
    if is_read_out(text, n_many=10):
        return digits(text, "en")
    return f"{minus}{number(text)}"


RULES: list[Rule] = [
    (re.compile(rf"\b{ISO_DATE}\b"), _date),
    (re.compile(r"\b(?P<month>0?[1-9]|1[0-2])/(?P<day>\d{1,2})/(?P<year>\d{4})\b"), _date),
    (re.compile(r"\b(?P<day>\d{1,2})/(?P<month>0?[1-9]|1[0-2])/(?P<year>\d{4})\b"), _date),
    (
        re.compile(
            rf"\b(?P<name>{_MONTHS}) (?P<day>\d{{1,2}})(?:st|nd|rd|th)?\b"
            r"(?:,? (?P<year>\d{4})\b)?"
        ),
        _named_date,
    ),
    (
        re.compile(
            rf"\b(?:the )?(?P<day>\d{{1,2}})(?:st|nd|rd|th)? (?:of )?(?P<name>{_MONTHS})\b"
            r"(?:,? (?P<year>\d{4})\b)?"
        ),
        _day_of_month,
    ),
    (re.compile(rf"\b{CLOCK}(?:\s?(?P<half>[AaPp]\.?[Mm]\b\.?))?"), _time),
    (re.compile(r"(?<![\d/])(?:1/[234]|2/3|3/4)(?![\d/])|[½⅓⅔¼¾]"), lambda m: _FRACTIONS[m[0]]),
    (re.compile(rf"(?P<sign>{_SIGN})\s?(?P<number>{_NUMBER}){_SCALE}"), _money),
    (re.compile(rf"(?P<number>{_NUMBER}){_SCALE}\s?(?P<sign>{_SIGN}|(?:{_CODE})\b)"), _money),
    (re.compile(rf"\b(?P<sign>{_CODE})\s(?P<number>{_NUMBER}){_SCALE}"), _money),
    # A telephone number, before its parts look like a range.
    (
        re.compile(
            r"(?<![\w-])(?:\+?\d{1,2}[ -])?(?:\(\d{3}\) ?|\d{3}[ -])?\d{3}-\d{4}\b"
            r"|\+\d[\d ()-]{6,}\d"
        ),
        lambda m: digits(m[0], "en"),
    ),
    (re.compile(r"\b24/7\b"), lambda _: "twenty-four seven"),
    (re.compile(r"\b\d+(?:\.\d+){2,}\b"), _version),
    (re.compile(r"(?<=\d):(?=\d)"), lambda _: " to "),
    (re.compile(r"\bNo\.\s?(?=\d)"), lambda _: "number "),
    (re.compile(rf"(?<=\d)\s?[–-]\s?(?={_NUMBER})"), lambda _: " to "),
    (re.compile(rf"(?<![\w.])(?P<minus>[-−])?{unit_pattern(_NUMBER)}"), _unit),
    (re.compile(r"\b(\d{1,9})(?:st|nd|rd|th)\b"), lambda m: ordinal(int(m[1]))),
    (APART, lambda _: " "),
    (re.compile(rf"(?:(?<![\w.])(?P<minus>[-−])(?=\d))?(?P<number>{_NUMBER})(?!\d)"), _plain),
    *replacements(
        [("&", "and"), (r"(?<=\s)\+(?=\s)", "plus"), ("=", "equals"), ("×", "times"),
         ("÷", "divided by"), ("@", "at"), ("№", "number"), (r"(?<=\w)/(?=\w)", "slash")]
    ),
]  # fmt: skip
