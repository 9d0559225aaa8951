"""Spanish: a point groups thousands, a comma begins decimals; a point that groups nothing does as
well, as in Mexico."""

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
    words_of,
)

_GROUPED = r"\d{1,3}(?:\.\d{3})+(?:,\d+)?"
_NUMBER = rf"{_GROUPED}|\d+(?:[.,]\d+)?"
_CODES = {"US$": "USD", "$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "￥": "JPY"}
_CODES |= {code: code for code in ("USD", "EUR", "GBP", "CNY", "JPY", "MXN")}
_SIGN = r"US\$|[$€£¥￥]"
_CODE = r"USD|EUR|GBP|CNY|JPY|MXN"
_SCALE = r"(?:\s(?P<scale>mil millones|mil|millones|millón|billones|billón)\b)?"
_FRACTIONS = {
    "1/2": "un medio", "1/3": "un tercio", "2/3": "dos tercios", "1/4": "un cuarto",
    "3/4": "tres cuartos", "½": "un medio", "⅓": "un tercio", "⅔": "dos tercios",
    "¼": "un cuarto", "¾": "tres cuartos",
}  # fmt: skip
# Whether "uno" becomes "un" or "una" before a noun: by its ending, and these exceptions.
_MASCULINE = words_of(
    "día días problema problemas sistema sistemas programa programas tema temas mapa mapas idioma "
    "idiomas planeta planetas clima climas kilogramo"
)
_FEMININE = words_of(
    "vez veces noche noches tarde tardes mano manos clase clases parte partes "
    "calle calles flor flores gente sangre leche carne"
)
_FEMININE_ENDINGS = ("a", "as", "ción", "ciones", "sión", "siones", "dad", "dades")
_NO_NOUN = words_of(
    "a al ante con contra de del desde durante e el en entre es eran fue hasta la las lo los más "
    "menos me mientras ni nos o para pero por porque punto que se si sin sobre son te tras u y ya "
    "coma está están hay cuando como"
)


def number(text: str) -> str:
    """A number as it is written, in words."""
    if re.fullmatch(_GROUPED, text):
        text = text.replace(".", "")
    whole, rest = re.fullmatch(r"(\d+)(.*)", text).groups()  # type: ignore[union-attr]  # a _NUMBER
    words = cardinal(int(whole), "es")
    if not rest:
        return words
    return f"{words} {'coma' if rest[0] == ',' else 'punto'} {_decimals(rest[1:])}"


def _decimals(text: str) -> str:
    """As a number where that is how it is said, "doce coma veinticinco"."""
    is_short = len(text) <= 2 and not text.startswith("0")
    return cardinal(int(text), "es") if is_short else digits(text, "es")


def agreeing(words: str, noun: str) -> str:
    """The words of a number as they are said before a noun: "veintiún años", "una hora"."""
    if not noun or noun in _NO_NOUN:
        return words
    is_feminine = noun in _FEMININE or (noun.endswith(_FEMININE_ENDINGS) and noun not in _MASCULINE)
    if is_feminine:
        return re.sub(r"uno$", "una", words).replace("cientos", "cientas").replace(
            "quinientos", "quinientas"
        )  # fmt: skip
    return re.sub(r"veintiuno$", "veintiún", re.sub(r"\buno$", "un", words))


def ordinal(match: Match) -> str:
    from num2words import num2words

    words = str(num2words(int(match["number"]), lang="es", to="ordinal"))
    if match["ending"] in ("ª", "a"):
        return " ".join(word[:-1] + "a" for word in words.split())
    if match["ending"] == "er":
        return re.sub(r"(primer|tercer)o$", r"\1", words)
    return words


def _date(match: Match) -> str:
    when = date_of(match)
    if when is None:
        return match[0]
    day, year = cardinal(when.day, "es"), cardinal(when.year, "es")
    return f"{day} de {month_name(when.month, 'es')} de {year}"


def _time(match: Match) -> str:
    hour, minute = int(match["hour"]), int(match["minute"])
    words = [re.sub("uno$", "una", cardinal(hour, "es"))]
    if minute:
        words.append(f"cero {cardinal(minute, 'es')}" if minute < 10 else cardinal(minute, "es"))
    elif not match["half"]:
        words.append("en punto")
    if match["second"]:
        words.append(f"y {cardinal(int(match['second']), 'es')} segundos")
    return " ".join([*words, f"{match['half'][0].lower()} m"] if match["half"] else words)


def _money(match: Match) -> str:
    code, amount, scale = _CODES[match["sign"]], match["number"], match["scale"]
    (one, many), (cent, cents) = currency(code, "es")
    if scale:
        of = many if scale == "mil" else f"de {many}"
        return f"{agreeing(number(amount), 'millones')} {scale} {of}"
    value = _decimal(amount)
    whole, hundredths = int(value), round(value % 1 * 100)
    words = _counted(whole, one, many)
    if not hundredths:
        return words
    rest = _counted(hundredths, cent, cents)
    return f"{words} con {rest}" if whole else rest


def _decimal(text: str) -> Decimal:
    if re.fullmatch(_GROUPED, text):
        text = text.replace(".", "")
    return Decimal(text.replace(",", "."))


def _counted(value: int, one: str, many: str) -> str:
    noun = one if value == 1 else many
    of = "de " if value and value % 1_000_000 == 0 else ""
    return f"{agreeing(cardinal(value, 'es'), noun)} {of}{noun}"


def _unit(match: Match) -> str:
    symbol, amount = match["unit"], match["number"]
    minus = "menos " if match["minus"] else ""
    name = unit_name(symbol, amount == "1", "es")
    noun = "" if symbol == "%" else name.split()[0]
    return f"{minus}{agreeing(number(amount), noun)} {name}"


def _version(match: Match) -> str:
    if re.fullmatch(_GROUPED, match[0]):
        return match[0]
    return " punto ".join(cardinal(int(part), "es") for part in match[0].split("."))


def _plain(match: Match) -> str:
    text, noun = match["number"], match["noun"]
    if is_read_out(text, n_many=9):
        return digits(text, "es") + (f" {noun}" if noun else "")
    minus = "menos " if match["minus"] else ""
    words = agreeing(number(text), (noun or "").lower())
    return f"{minus}{words} {noun}" if noun else f"{minus}{words}"


RULES: list[Rule] = [
    (re.compile(rf"\b{ISO_DATE}\b"), _date),
    (re.compile(r"\b(?P<day>\d{1,2})[/.](?P<month>\d{1,2})[/.](?P<year>\d{4})\b"), _date),
    (re.compile(rf"\b{CLOCK}(?:\s?h\b)?(?:\s?(?P<half>[AaPp]\.?\s?[Mm]\b\.?))?"), _time),
    (re.compile(r"(?<![\d/])(?:1/[234]|2/3|3/4)(?![\d/])|[½⅓⅔¼¾]"), lambda m: _FRACTIONS[m[0]]),
    (re.compile(rf"(?P<sign>{_SIGN})\s?(?P<number>{_NUMBER}){_SCALE}"), _money),
    (re.compile(rf"(?P<number>{_NUMBER}){_SCALE}\s?(?P<sign>{_SIGN}|(?:{_CODE})\b)"), _money),
    (re.compile(rf"\b(?P<sign>{_CODE})\s(?P<number>{_NUMBER}){_SCALE}"), _money),
    (re.compile(r"(?<!\w)\+\d[\d ()-]{6,}\d|\b\d{3} \d{3} \d{3}\b|\b\d{3} \d{2} \d{2} \d{2}\b"),
     lambda m: digits(m[0], "es")),
    (re.compile(r"\b\d+(?:\.\d+){2,}\b"), _version),
    (re.compile(r"(?<=\d):(?=\d)"), lambda _: " a "),
    (re.compile(r"\b[Nn]\.?º\s?(?=\d)"), lambda _: "número "),
    (re.compile(rf"(?<=\d)\s?[–-]\s?(?={_NUMBER})"), lambda _: " a "),
    (re.compile(r"\b(?P<number>\d{1,4})\.?(?P<ending>er|[ºª]|(?<=\.)[oa]\b)"), ordinal),
    (re.compile(rf"(?<![\w.])(?P<minus>[-−])?{unit_pattern(_NUMBER)}"), _unit),
    (APART, lambda _: " "),
    (
        re.compile(
            rf"(?:(?<![\w.])(?P<minus>[-−])(?=\d))?(?P<number>{_NUMBER})(?:\s(?P<noun>[^\W\d]+))?"
        ),
        _plain,
    ),
    *replacements(
        [("&", "y"), (r"(?<=\s)\+(?=\s)", "más"), ("=", "igual a"), ("×", "por"),
         ("÷", "entre"), ("@", "arroba"), ("№", "número"), (r"(?<=\w)/(?=\w)", "barra")]
    ),
]  # fmt: skip
