"""Sums asked for in words or digits. ``simpleeval`` reckons: no ``eval``, no names, no giants."""

import math
import re
from decimal import Decimal

from deployments.llm.rules.numerals import tokens
from deployments.llm.rules.phrases import Arithmetic
from deployments.llm.rules.understand import plain

MAX_TOKENS = 60  # nobody says a longer sum, and the parser's depth stays small
MAX_DIGITS = 15  # beyond, a float is no longer exact

PYTHON = {
    "+": "+",
    "-": "-",
    "*": "*",
    "/": "/",
    "**": "**",
    "(": "(",
    ")": ")",
    "sqrt": "sqrt",
    "percent": "/ 100 *",
    "half": "0.5 *",
    "double": "2 *",
    "halved": "/ 2",
    "doubled": "* 2",
    "squared": "** 2",
    "cubed": "** 3",
}
"""The symbols of a sum, and how Python writes them."""

_PREFIXES = frozenset({"sqrt", "half", "double", "(", "-"})
_SUFFIXES = frozenset({")", "squared", "cubed", "halved", "doubled"})


class _TooBigError(Exception):
    pass


def answer(text: str, locale: str, grammar: Arithmetic) -> str:
    """The spoken answer to a sum; empty if ``text`` asks for none."""
    sum_ = _sum_in(text, grammar)
    if not sum_:
        return ""
    try:
        value = _value(sum_)
    except ZeroDivisionError:
        return grammar.by_zero
    except (_TooBigError, OverflowError):
        return grammar.too_big
    except SyntaxError:
        return ""
    if isinstance(value, complex) or math.isnan(value):
        return grammar.undefined
    if abs(value) >= 10**MAX_DIGITS:
        return grammar.too_big
    rounded = _rounded(value)
    told = grammar.exact if math.isclose(rounded, value, rel_tol=1e-12) else grammar.rounded
    return told.format(sum=_spoken(sum_, locale, grammar), result=_number(rounded, locale))


def _sum_in(text: str, grammar: Arithmetic) -> list[str]:
    """The tokens of the sum that ``text`` asks for; empty if it says anything else besides."""
    text = re.sub(r"(?<=[^\W\d])-(?=[^\W\d])", " ", plain(text))  # "twenty-three"
    for pattern, replacement in grammar.rewrites:
        text = re.sub(pattern, replacement, text)
    found = tokens(text, grammar.numerals)
    while found and not _may_begin(found[0]):
        if found.pop(0) not in grammar.fillers:
            return []
    while found and not _may_end(found[-1]):
        if found.pop() not in grammar.fillers:
            return []
    complete = len(found) <= MAX_TOKENS and all(_is_number(t) or t in PYTHON for t in found)
    return found if complete and _has_operation(found) else []


def _may_begin(token: str) -> bool:
    return _is_number(token) or token in _PREFIXES


def _may_end(token: str) -> bool:
    return _is_number(token) or token in _SUFFIXES


def _is_number(token: str) -> bool:
    return token[0].isdigit()


def _has_operation(found: list[str]) -> bool:
    """Whether anything is to be reckoned: ``-5`` and ``(5)`` are only numbers."""
    signs = {"(", ")"} | ({"-"} if found[:1] == ["-"] and found.count("-") == 1 else set())
    return any(token in PYTHON and token not in signs for token in found)


def _value(sum_: list[str]) -> float | complex:
    from simpleeval import (
        FeatureNotAvailable,
        FunctionNotDefined,
        InvalidExpression,
        NumberTooHigh,
        SimpleEval,
    )

    if any(len(token) > MAX_DIGITS + 2 for token in sum_ if _is_number(token)):
        raise _TooBigError
    evaluator = SimpleEval(operators=_operators(), functions={"sqrt": _root}, names={})
    try:
        value = evaluator.eval(_expression(sum_))
    except NumberTooHigh:
        raise _TooBigError from None
    except (InvalidExpression, FeatureNotAvailable, FunctionNotDefined, TypeError) as error:
        raise SyntaxError(str(error)) from None
    if not isinstance(value, int | float | complex):
        raise SyntaxError("no number")
    return value


def _operators() -> dict[type, object]:
    import ast
    import operator

    return {
        ast.Add: operator.add,
        ast.Sub: operator.sub,
        ast.Mult: operator.mul,
        ast.Div: operator.truediv,
        ast.USub: operator.neg,
        ast.Pow: _power,
    }


def _power(base: float, exponent: float) -> float | complex:
    """``base ** exponent`` within ``MAX_DIGITS``: the size is known before it is computed."""
    if isinstance(base, complex) or isinstance(exponent, complex):
        raise _TooBigError
    if base and abs(exponent * math.log10(abs(base))) > MAX_DIGITS:
        raise _TooBigError
    result: float | complex = base**exponent
    return result


def _root(value: float) -> float | complex:
    return complex(0, 1) if value < 0 else math.sqrt(value)


def _expression(sum_: list[str]) -> str:
    """The sum in Python's notation, the operand of a root in brackets."""
    parts: list[str] = []
    in_root = False
    for token in sum_:
        if parts and parts[-1] == "sqrt" and token != "(":
            parts.append("(")
            in_root = True
        parts.append(PYTHON.get(token, token))
        if in_root and _is_number(token):
            parts.append(")")
            in_root = False
    return " ".join(parts)


def _rounded(value: float) -> float:
    """Four decimals, or two significant digits of something smaller."""
    rounded = round(value, 4)
    return float(f"{value:.2g}") if value and not rounded else rounded


def _number(value: float, locale: str) -> str:
    from babel.numbers import format_decimal

    # Without the groups' separators, which speech synthesisers read in ways of their own.
    decimal = Decimal(str(value))
    return format_decimal(decimal, "0.##########", locale=locale)


def _spoken(sum_: list[str], locale: str, grammar: Arithmetic) -> str:
    gap = "" if locale == "zh" else " "
    said: list[str] = []
    around = "{}"
    for before, token in zip(["(", *sum_], sum_, strict=False):
        word = around.format(_word(token, before, locale, grammar))
        around = word if "{}" in word else "{}"
        said += [] if "{}" in word else [word]
    text = gap.join(said).replace("( ", "(").replace(" )", ")")
    return text[:1].upper() + text[1:]


def _word(token: str, before: str, locale: str, grammar: Arithmetic) -> str:
    if _is_number(token):
        return _number(float(token), locale)
    is_sign = token == "-" and not _may_end(before)
    return grammar.spoken.get("negative" if is_sign else token, token)
