"""Sums in words and digits, and those that nobody should reckon."""

import time

import pytest

from deployments.llm.rules.arithmetic import answer
from deployments.llm.rules.brain import LANGUAGES
from deployments.llm.rules.numerals import tokens


def reckoned(language: str, text: str) -> str:
    return answer(text, language, LANGUAGES[language].arithmetic)


@pytest.mark.parametrize(
    ("heard", "said"),
    [
        ("What is twelve times seven?", "12 times 7 is 84"),
        ("17 * 23", "17 times 23 is 391"),
        ("what's 17 x 23", "17 times 23 is 391"),
        ("17×23=", "17 times 23 is 391"),
        ("what is seventeen times twenty-three please", "17 times 23 is 391"),
        ("what is one hundred and five plus three point five", "105 plus 3.5 is 108.5"),
        ("two million plus three thousand", "2000000 plus 3000 is 2003000"),
        ("what is 1,000 plus 2,500", "1000 plus 2500 is 3500"),
        ("nineteen hundred plus one", "1900 plus 1 is 1901"),
        ("ten over four", "10 divided by 4 is 2.5"),
        ("multiply 3 by 4", "3 times 4 is 12"),
        ("subtract 3 from 10", "10 minus 3 is 7"),
        ("what is the sum of two and three", "2 plus 3 is 5"),
        ("what is to plus two", "2 plus 2 is 4"),
        ("What is fifty-minus eight?", "50 minus 8 is 42"),
        ("two and two", "2 plus 2 is 4"),
        ("minus five plus eight", "Minus 5 plus 8 is 3"),
        ("(2 + 3) * 4", "(2 plus 3) times 4 is 20"),
        ("three times four plus two", "3 times 4 plus 2 is 14"),
        ("2 to the power of 10", "2 to the power of 10 is 1024"),
        ("5²", "5 to the power of 2 is 25"),
        ("what is five cubed", "5 cubed is 125"),
        ("square root of 144", "The square root of 144 is 12"),
        ("what is ten percent of 250", "10 percent of 250 is 25"),
        ("half of 30", "Half of 30 is 15"),
        ("0.1 + 0.2", "0.1 plus 0.2 is 0.3"),
        ("10 / 3", "10 divided by 3 is about 3.3333"),
        ("1 / 3000000", "1 divided by 3000000 is about 0.00000033"),
        ("5 minus 5", "5 minus 5 is 0"),
    ],
)
def test_english_sums(heard: str, said: str) -> None:
    assert reckoned("en", heard) == f"Let me see. {said}."


@pytest.mark.parametrize(
    ("heard", "said"),
    [
        ("¿Cuánto es 3 más 4?", "3 más 4 es 7"),
        ("quanto es tres por cuatro", "3 por 4 es 12"),
        ("cuanto es treinta y cinco menos dos", "35 menos 2 es 33"),
        ("doscientos veintiún mil más uno", "221000 más 1 es 221001"),
        ("cuánto es 1.000 más 2,5", "1000 más 2,5 es 1002,5"),
        ("diez dividido entre cuatro", "10 entre 4 es 2,5"),
        ("multiplica 6 por 7 por favor", "6 por 7 es 42"),
        ("suma 3 y 4", "3 más 4 es 7"),
        ("resta 3 de 10", "10 menos 3 es 7"),
        ("9 al cuadrado", "9 al cuadrado es 81"),
        ("la raíz cuadrada de 81", "La raíz cuadrada de 81 es 9"),
        ("el 10 por ciento de 50", "10 por ciento de 50 es 5"),
        ("dos elevado a diez", "2 elevado a 10 es 1024"),
    ],
)
def test_spanish_sums(heard: str, said: str) -> None:
    assert reckoned("es", heard) == f"A ver. {said}."


@pytest.mark.parametrize(
    ("heard", "said"),
    [
        ("3加4等于多少", "3加4等于7"),
        ("3 加 4 等于 多少？", "3加4等于7"),
        ("十二乘以七是多少", "12乘以7等于84"),
        ("一百除以四等于几", "100除以4等于25"),
        ("一千二百三十四加五", "1234加5等于1239"),
        ("两万零五减一", "20005减1等于20004"),
        ("三亿加两千万", "300000000加20000000等于320000000"),
        ("三点五乘以二", "3.5乘以2等于7"),
        ("负三加五等于几", "负3加5等于2"),
        ("2的10次方是多少", "2的10次方等于1024"),
        ("9的平方根", "根号9等于3"),
        ("5的平方加一", "5的平方加1等于26"),
        ("3和4的和", "3加4等于7"),
    ],
)
def test_chinese_sums(heard: str, said: str) -> None:
    assert reckoned("zh", heard) == f"我算一下。{said}。"


@pytest.mark.parametrize(
    ("language", "heard"),
    [("en", "10 divided by 0"), ("en", "0**-1"), ("es", "diez entre cero"), ("zh", "十除以零")],
)
def test_nothing_is_divided_by_zero(language: str, heard: str) -> None:
    assert reckoned(language, heard) == LANGUAGES[language].arithmetic.by_zero


@pytest.mark.parametrize(
    ("language", "heard"),
    [
        ("en", "9**9**9"),
        ("en", "9^9^9^9"),
        ("en", "2 to the power of 1000000"),
        ("en", "9**-99999"),
        ("en", "0.001**-99999"),
        ("en", "(((9**9)**9)**9)**9"),
        ("en", "999999999999999 * 999999999999999"),
        ("en", "1" * 400 + " + 1"),
        ("es", "dos elevado a un millón"),
        ("zh", "二的一百万次方"),
    ],
)
def test_giants_are_refused_at_once(language: str, heard: str) -> None:
    started_s = time.process_time()
    assert reckoned(language, heard) == LANGUAGES[language].arithmetic.too_big
    assert time.process_time() - started_s < 0.2


@pytest.mark.parametrize("heard", ["square root of minus four", "sqrt(0-4)", "(0-8)**0.5"])
def test_what_no_ordinary_number_solves_has_no_answer(heard: str) -> None:
    assert reckoned("en", heard) == LANGUAGES["en"].arithmetic.undefined


@pytest.mark.parametrize(
    "heard",
    [
        "i work 24/7",
        "what happened on 9/11",
        "call 555-1234 now",
        "is it 3",
        "minus five",
        "(5)",
        "9 9 + 9",
        "1 +",
        "((((1",
        "__import__('os').system('ls') + 1",
        "().__class__ + 1",
        "lambda: 1 + 1",
        "1e999 + 1",
        "+".join("1" * 200),
        "(" * 100 + "1 + 1" + ")" * 100,
        "tell me a story",
        "",
    ],
)
def test_what_is_no_sum_is_left_to_others(heard: str) -> None:
    assert reckoned("en", heard) == ""


@pytest.mark.parametrize("heard", ["multiply " * 220, "(" * 2000, "九" * 2000, "9**" * 600 + "9"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_longest_texts_are_read_quickly(language: str, heard: str) -> None:
    started_s = time.process_time()
    reckoned(language, heard)
    assert time.process_time() - started_s < 1


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "twenty three", ["23"]),
        ("en", "two three", ["2", "3"]),
        ("en", "ten five", ["10", "5"]),
        ("en", "one hundred twenty thousand and six", ["120006"]),
        ("en", "three point one four", ["3.14"]),
        ("en", "1,234.50", ["1234.50"]),
        ("en", "3,5", ["3.5"]),
        ("en", "007", ["7"]),
        ("es", "1.234,5", ["1234.5"]),
        ("es", "3.5", ["3.5"]),
        ("es", "ciento uno", ["101"]),
        ("es", "mil novecientos noventa y nueve", ["1999"]),
        ("zh", "十五", ["15"]),
        ("zh", "一百零五", ["105"]),
        ("zh", "二零二六", ["2026"]),
        ("zh", "一亿两千万零三", ["120000003"]),
    ],
)
def test_number_words_become_digits(language: str, text: str, expected: list[str]) -> None:
    assert tokens(text, LANGUAGES[language].arithmetic.numerals) == expected
