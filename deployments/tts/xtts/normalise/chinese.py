"""Mandarin. Numerals are those of the cleaner that coqui-tts brings, which knows little around
them: no signs of currencies, no units in Latin letters, no clock, no grouped thousands."""

import re

from deployments.tts.xtts.library import imported
from deployments.tts.xtts.normalise.rules import (
    CLOCK,
    ISO_DATE,
    Match,
    Rule,
    any_of,
    date_of,
    is_read_out,
    replacements,
)

_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_MONEY = {
    "US$": "美元", "$": "美元", "€": "欧元", "£": "英镑", "¥": "元", "￥": "元",
    "USD": "美元", "EUR": "欧元", "GBP": "英镑", "CNY": "元", "RMB": "元", "JPY": "日元",
    "MXN": "墨西哥比索",
}  # fmt: skip
_SIGN = r"US\$|[$€£¥￥]"
_CODE = r"(?:USD|EUR|GBP|CNY|RMB|JPY|MXN)(?![A-Za-z])"
_SCALE = r"\s?(?P<scale>[百千万亿]*)"
_UNITS = {
    "km": "公里", "m": "米", "cm": "厘米", "mm": "毫米", "mi": "英里", "ft": "英尺",
    "kg": "公斤", "g": "克", "mg": "毫克", "lb": "磅", "oz": "盎司", "t": "吨",
    "l": "升", "L": "升", "ml": "毫升", "mL": "毫升", "°C": "摄氏度", "℃": "摄氏度",
    "°F": "华氏度", "℉": "华氏度", "°": "度", "m²": "平方米", "m2": "平方米",
    "km²": "平方公里", "km2": "平方公里", "m³": "立方米", "m3": "立方米",
    "kB": "千字节", "KB": "千字节", "MB": "兆字节", "GB": "吉字节", "TB": "太字节",
    "W": "瓦", "kW": "千瓦", "kWh": "千瓦时", "V": "伏", "Hz": "赫兹", "kHz": "千赫",
    "MHz": "兆赫", "GHz": "吉赫", "h": "小时", "min": "分钟", "s": "秒", "ms": "毫秒",
}  # fmt: skip
_RATES = {"km/h": ("每小时", "公里"), "kph": ("每小时", "公里"), "mph": ("每小时", "英里"),
          "m/s": ("每秒", "米")}  # fmt: skip
_BELOW_ZERO = frozenset({"°C", "℃", "°F", "℉"})
# Before a measure word two is 两, not 二; but 月, 日, 号 count off, and 第 before the number too.
_COUNTED = (
    "个位只条张本件次年天周岁名辆家块元杯瓶间座层台部种双对份首支匹头把页点公里米克升吨倍人分钟小时"
)


def number(text: str) -> str:
    """A number as it is written, in words."""
    whole, _, rest = text.replace(",", "").partition(".")
    words = _numeral(whole)
    return f"{words}点{digits(rest)}" if rest else words


def counted(text: str) -> str:
    """The words of a number before what it counts."""
    return "两" if text == "2" else number(text)


def digits(text: str) -> str:
    """One by one, other characters left out."""
    return "".join("零一二三四五六七八九"[int(digit)] for digit in text if digit.isdecimal())


def _numeral(whole: str) -> str:
    whole = whole.lstrip("0") or "0"
    if len(whole) > 16:
        return digits(whole)
    # At 100 million and above, 万亿 is said and not the cleaner's 兆.
    if len(whole) > 12:
        high, low = whole[:-8], whole[-8:]
        return f"{_numeral(high)}亿" + ("" if not int(low) else _after(low))
    if whole == "0":
        return "零"
    return str(imported("TTS.tts.layers.xtts.zh_num2words").num2chn(whole))


def _after(low: str) -> str:
    words = _numeral(low)
    return f"零{words}" if low.startswith("0") else words


def _date(match: Match) -> str:
    when = date_of(match)
    if when is None:
        return match[0]
    return f"{digits(str(when.year))}年{_numeral(str(when.month))}月{_numeral(str(when.day))}日"


def _time(match: Match) -> str:
    hour, minute, second = match["hour"], match["minute"], match["second"]
    words = f"{counted(hour.lstrip('0') or '0')}点"
    if int(minute) or second:
        words += f"{'零' if int(minute) < 10 else ''}{_numeral(minute) if int(minute) else ''}分"
    return f"{words}{_numeral(second)}秒" if second else words


def _money(match: Match) -> str:
    unit = _MONEY[match["sign"]]
    return f"{counted(match['number'])}{match['scale']}{unit}"


def _unit(match: Match) -> str:
    symbol, amount = match["unit"], match["number"]
    minus = "负" if match["minus"] else ""
    if symbol in _BELOW_ZERO:
        return f"{'零下' if minus else ''}{number(amount)}{_UNITS[symbol]}"
    if symbol in _RATES:
        per, name = _RATES[symbol]
        return f"{per}{minus}{counted(amount)}{name}"
    return f"{minus}{counted(amount)}{_UNITS[symbol]}"


def _percent(match: Match) -> str:
    return f"{'负' if match['minus'] else ''}百分之{number(match['number'])}"


def _fraction(match: Match) -> str:
    return f"{_numeral(match[2])}分之{_numeral(match[1])}"


def _plain(match: Match) -> str:
    text = match["number"]
    if is_read_out(text, n_many=9):
        return digits(text)
    return f"{'负' if match['minus'] else ''}{number(text)}"


_MINUS = r"(?P<minus>(?<![\w.])[-−])?"
_UNIT = any_of([*_UNITS, *_RATES])

RULES: list[Rule] = [
    (re.compile(rf"(?<!\d){ISO_DATE}(?!\d)"), _date),
    (re.compile(r"(?<!\d)(?P<year>\d{4})/(?P<month>\d{1,2})/(?P<day>\d{1,2})(?!\d)"), _date),
    (re.compile(r"(?<!\d)(\d{4})(?=年)"), lambda m: digits(m[1])),
    (re.compile(rf"(?<!\d){CLOCK}(?!\d)"), _time),
    (re.compile(rf"{_MINUS}(?P<number>{_NUMBER})\s?%"), _percent),
    (re.compile(r"(?<![\d/])(\d{1,3})/(\d{1,3})(?![\d/])"), _fraction),
    (re.compile(rf"(?P<sign>{_SIGN}|{_CODE})\s?(?P<number>{_NUMBER}){_SCALE}"), _money),
    (re.compile(rf"(?P<number>{_NUMBER}){_SCALE}\s?(?P<sign>{_SIGN}|{_CODE})"), _money),
    (re.compile(r"(?<![\w])\+?\d{2,4}[- ]\d{3,4}[- ]\d{4}(?!\d)"), lambda m: digits(m[0])),
    (re.compile(r"(?<=\d)[:：](?=\d)"), lambda _: "比"),
    (re.compile(rf"(?<=\d)\s?[–~～-]\s?(?={_NUMBER})"), lambda _: "到"),
    (re.compile(rf"{_MINUS}(?P<number>{_NUMBER})\s?(?P<unit>{_UNIT})(?![A-Za-z²³])"), _unit),
    (re.compile(rf"(?<![\d.,第])2(?=\s?[{_COUNTED}])"), lambda _: "两"),
    (re.compile(rf"{_MINUS}(?P<number>{_NUMBER})"), _plain),
    *replacements([("&", "和"), (r"(?<=\w)\s?\+\s?(?=\w)", "加"), ("=", "等于"), ("×", "乘以"),
                   ("÷", "除以"), ("№", "第")]),
    (re.compile(r"(?<=[\u3400-\u9fff])\s+(?=[\u3400-\u9fff])"), lambda _: ""),
]  # fmt: skip
