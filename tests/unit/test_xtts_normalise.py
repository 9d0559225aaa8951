"""Numbers, dates, times, money and units, as they are said."""

from importlib.util import find_spec

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("num2words", reason="the extra 'xtts' is not installed; `make test` does")
pytest.importorskip("babel")

from deployments.tts.xtts.normalise import spoken

needs_coqui = pytest.mark.skipif(
    not (find_spec("TTS") and find_spec("torch")),
    reason="Chinese numerals are coqui-tts's, which needs torch; `make test` installs both",
)

ENGLISH = {
    # numbers
    "I have 21 apples.": "I have twenty-one apples.",
    "1,234.5 pears": "one thousand two hundred and thirty-four point five pears",
    "0.05": "zero point zero five",
    "It was -3 and 100,000.": "It was minus three and one hundred thousand.",
    "the 1st, 22nd and 103rd": "the first, twenty-second and one hundred and third",
    "room 007": "room zero zero seven",
    "10000000000": "ten billion",
    "pages 5-10": "pages five to ten",
    "2020–2024": "twenty twenty to twenty twenty-four",
    "3/4 of it, ½ of that": "three quarters of it, one half of that",
    "open 24/7": "open twenty-four seven",
    "No. 5 won 3:1": "number five won three to one",
    "0,5 and 1,2345": "zero,five and one,two thousand three hundred and forty-five",
    "2 or 2/2": "two or two slash two",
    "version 3.14.15": "version three point fourteen point fifteen",
    "GPT4 and H2O": "GPT four and H two O",
    "call 555-1234": "call five five five one two three four",
    "+1 (212) 555-0199": "one two one two five five five zero one nine nine",
    # dates and times
    "On 2026-11-21.": "On November twenty-first, twenty twenty-six.",
    "07/04/2026": "July fourth, twenty twenty-six",
    "21/11/2026": "November twenty-first, twenty twenty-six",
    "November 21, 2026": "November twenty-first, twenty twenty-six",
    "the 4th of July 1999": "the fourth of July, nineteen ninety-nine",
    "in 1984": "in nineteen eighty-four",
    "14:30": "two thirty p m",
    "8:05 am": "eight oh five a m",
    "9:00": "nine o'clock",
    "0:15": "twelve fifteen a m",
    "2026-02-31": "twenty twenty-six to zero two to thirty-one",
    # money
    "$5.50": "five dollars and fifty cents",
    "$1": "one dollar",
    "$0.99": "ninety-nine cents",
    "€3 or 3 €": "three euros or three euros",
    "£1.01": "one pound and one penny",
    "$1.5 million, $20M": "one point five million dollars, twenty million dollars",
    "20 USD, EUR 5": "twenty dollars, five euros",
    "¥300": "three hundred yen",
    # units
    "5 km": "five kilometers",
    "1 km": "one kilometer",
    "2.5 kg": "two point five kilograms",
    "-5 °C": "minus five degrees Celsius",
    "72°F": "seventy-two degrees Fahrenheit",
    "30 km/h": "thirty kilometers per hour",
    "100 m²": "one hundred square meters",
    "16GB": "sixteen gigabytes",
    "50%": "fifty percent",
    "6 ft in 2 min": "six feet in two minutes",
    "5 more": "five more",
    # signs
    "a & b = c": "a and b equals c",
    "**bold** and `code` 😀": "bold and code",
    "# Title": "Title",
}
SPANISH = {
    "Tengo 21 manzanas.": "Tengo veintiuna manzanas.",
    "21 años y 1 hora": "veintiún años y una hora",
    "200 personas": "doscientas personas",
    "hay 1 problema y 1 vez": "hay un problema y una vez",
    "tengo 1": "tengo uno",
    "31 de diciembre": "treinta y uno de diciembre",
    "1.234,5 peras": "mil doscientas treinta y cuatro coma cinco peras",
    "3,14 y 3.5": "tres coma catorce y tres punto cinco",
    "-3": "menos tres",
    "el 1.º y la 3ª": "el primero y la tercera",
    "el 1er piso": "el primer piso",
    "007": "cero cero siete",
    "páginas 5-10": "páginas cinco a diez",
    "3/4 de eso": "tres cuartos de eso",
    "612 345 678": "seis uno dos tres cuatro cinco seis siete ocho",
    "H2O": "H dos O",
    "versión 3.14.15": "versión tres punto catorce punto quince",
    "2026-11-21": "veintiuno de noviembre de dos mil veintiséis",
    "21/11/2026": "veintiuno de noviembre de dos mil veintiséis",
    "a las 14:30": "a las catorce treinta",
    "a la 1:00": "a la una en punto",
    "8:05": "ocho cero cinco",
    "9:30 a. m.": "nueve treinta a m",
    "5,50 €": "cinco euros con cincuenta céntimos",
    "1 € y 21 €": "un euro y veintiún euros",
    "1.000.000 €": "un millón de euros",
    "$5 millones": "cinco millones de dólares",
    "£2 y 20 USD": "dos libras y veinte dólares",
    "-5 °C": "menos cinco grados Celsius",
    "30 km/h": "treinta kilómetros por hora",
    "1 h, 21 km": "una hora, veintiún kilómetros",
    "16 GB": "dieciséis gigabytes",
    "50 %": "cincuenta por ciento",
    "a & b = c": "a y b igual a c",
}
CHINESE = {
    "我有21个苹果。": "我有二十一个苹果。",
    "1,234.5公斤": "一千两百三十四点五公斤",
    "2个人，12个，200人，2月2日": "两个人，十二个，两百人，二月二日",
    "2 公里": "两公里",
    "第2名": "第二名",
    "-3度": "负三度",
    "0.5": "零点五",
    "100,000人": "十万人",
    "10000000000000": "十万亿",
    "3/4": "四分之三",
    "5-10岁": "五到十岁",
    "3:1": "三比一",
    "138-1234-5678": "一三八一二三四五六七八",
    "13812345678": "一三八一二三四五六七八",
    "2026-11-21": "二零二六年十一月二十一日",
    "2026年11月21日": "二零二六年十一月二十一日",
    "1998年到2003年": "一九九八年到二零零三年",
    "14:30见": "十四点三十分见",
    "8:05": "八点零五分",
    "2:00": "两点",
    "$5.5": "五点五美元",
    "￥25，20€，100元": "二十五元，二十欧元，一百元",
    "$5万": "五万美元",
    "-5°C": "零下五摄氏度",
    "30km/h": "每小时三十公里",
    "5km，1.5kg": "五公里，一点五公斤",
    "50%": "百分之五十",
    "-3%": "负百分之三",
    "２０个": "二十个",
    "你好，今天天气怎么样？": "你好，今天天气怎么样？",
}


@pytest.mark.parametrize(("text", "words"), ENGLISH.items())
def test_english_is_said_in_words(text: str, words: str) -> None:
    assert spoken(text, "en") == words


@pytest.mark.parametrize(("text", "words"), SPANISH.items())
def test_spanish_is_said_in_words(text: str, words: str) -> None:
    assert spoken(text, "es") == words


@needs_coqui
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what coqui-tts imports
@pytest.mark.parametrize(("text", "words"), CHINESE.items())
def test_chinese_is_said_in_words(text: str, words: str) -> None:
    assert spoken(text, "zh") == words


@settings(max_examples=300, deadline=None)
@given(
    st.text(st.sampled_from("0123456789.,:/-+%$€£¥ kmghº°ªCFst年月个a&"), max_size=24),
    st.sampled_from(["en", "es"]),
)
def test_whatever_comes_no_figure_is_left(text: str, language: str) -> None:
    words = spoken(text, language)
    assert not any(character.isdecimal() for character in words)
    assert words == " ".join(words.split())


@pytest.mark.parametrize("language", ["en", "es"])
def test_words_stay_as_they_are(language: str) -> None:
    text = "¿Qué tal, Juan? It's (quite) a “nice” day; isn't it… yes!"
    assert spoken(text, language) == text
