"""What the languages share: rules that rewrite text one after the other, and parts of them."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Any

Match = re.Match[str]
Rule = tuple[re.Pattern[str], Callable[[Match], str]]

_NAMELESS = 10**15

ISO_DATE = r"(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})"
APART = re.compile(r"(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])")
"""Where letters and digits touch, as in "GPT4"."""

CLOCK = r"(?P<hour>[01]?\d|2[0-4]):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?"

# By CLDR's names, of which Babel knows singular and plural.
UNITS: Mapping[str, str] = {
    "km": "length-kilometer", "m": "length-meter", "cm": "length-centimeter",
    "mm": "length-millimeter", "mi": "length-mile", "ft": "length-foot",
    "kg": "mass-kilogram", "g": "mass-gram", "mg": "mass-milligram", "lb": "mass-pound",
    "lbs": "mass-pound", "oz": "mass-ounce", "t": "mass-tonne",
    "l": "volume-liter", "L": "volume-liter", "ml": "volume-milliliter", "mL": "volume-milliliter",
    "°C": "temperature-celsius", "℃": "temperature-celsius", "°F": "temperature-fahrenheit",
    "℉": "temperature-fahrenheit", "°": "angle-degree", "º": "angle-degree",
    "km/h": "speed-kilometer-per-hour", "kph": "speed-kilometer-per-hour",
    "mph": "speed-mile-per-hour", "m/s": "speed-meter-per-second",
    "m²": "area-square-meter", "m2": "area-square-meter", "km²": "area-square-kilometer",
    "km2": "area-square-kilometer", "m³": "volume-cubic-meter", "m3": "volume-cubic-meter",
    "kB": "digital-kilobyte", "KB": "digital-kilobyte", "MB": "digital-megabyte",
    "GB": "digital-gigabyte", "TB": "digital-terabyte",
    "W": "power-watt", "kW": "power-kilowatt", "kWh": "energy-kilowatt-hour", "V": "electric-volt",
    "Hz": "frequency-hertz", "kHz": "frequency-kilohertz", "MHz": "frequency-megahertz",
    "GHz": "frequency-gigahertz",
    "h": "duration-hour", "min": "duration-minute", "s": "duration-second",
    "ms": "duration-millisecond", "%": "concentr-percent",
}  # fmt: skip


def rewritten(text: str, rules: Iterable[Rule]) -> str:
    """The text after all rules, in their order."""
    for pattern, words in rules:
        text = pattern.sub(words, text)
    return text


def any_of(symbols: Iterable[str]) -> str:
    """A pattern of one of them, the longest that fits."""
    return "|".join(re.escape(symbol) for symbol in sorted(symbols, key=len, reverse=True))


def words_of(text: str) -> frozenset[str]:
    return frozenset(text.split())


def unit_pattern(number: str) -> str:
    """A number with a unit behind it that is not the beginning of a word."""
    return rf"(?P<number>{number})\s?(?P<unit>{any_of(UNITS)})(?![\w²³])"


def unit_name(symbol: str, is_one: bool, locale: str) -> str:
    """Such as "kilometers"; for locales that write the number first."""
    from babel.units import format_unit

    name = format_unit(1 if is_one else 2, UNITS[symbol], length="long", locale=locale)
    return name.split(" ", 1)[1]


def date_of(match: Match) -> date | None:
    """Of the groups year, month and day; None if there is no such day. Years of two digits are of
    this century."""
    year = int(match["year"])
    try:
        return date(year + 2000 if len(match["year"]) == 2 else year, int(match["month"]),
                    int(match["day"]))  # fmt: skip
    except ValueError:
        return None


def month_name(month: int, locale: str) -> str:
    from babel.dates import get_month_names

    return str(get_month_names("wide", locale=locale)[month])


def cardinal(number: int, language: str) -> str:
    """Without the commas that num2words writes, at which a voice would pause.

    What nobody has a word for is read digit by digit.
    """
    from num2words import num2words

    if number >= _NAMELESS:
        return digits(str(number), language)
    return str(num2words(number, lang=language)).replace(",", "")


def digits(text: str, language: str) -> str:
    """One by one, other characters left out."""
    return " ".join(cardinal(int(digit), language) for digit in text if digit.isdecimal())


def is_read_out(text: str, n_many: int) -> bool:
    """Whether a whole number is no quantity but a code: with a zero before it, or very long."""
    is_code = text.startswith("0") and len(text) > 1
    return text.isdecimal() and (is_code or (len(text) >= n_many and not text.endswith("000")))


def replacements(words: Sequence[tuple[str, str]]) -> list[Rule]:
    """Rules that put words with spaces around them in the place of signs."""

    def rule(sign: str, word: str) -> Rule:
        return re.compile(sign), lambda _: f" {word} "

    return [rule(sign, word) for sign, word in words]


def currency(code: str, language: str) -> Any:
    """((one, many), (a hundredth, hundredths)) of a currency that num2words knows."""
    from num2words import CONVERTER_CLASSES

    return CONVERTER_CLASSES[language].CURRENCY_FORMS[code]
