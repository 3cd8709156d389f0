r"""Numbers as models write them, read by rule: no evaluation of any kind, a cap on length, time linear in the text.

:func:`last_number` takes a number whole, with its fraction, power, exponent or digit groups, so that no part of it is
taken for it; :func:`read_quantity` then says which value it has, or that it has none. One reader serves the gold answer
and the completion. The dresses are listed in docs/grading.md, which a test reads.
Left out: words, sums, roots and every other expression. They belong to a symbolic comparison with limits of its own.
"""

from __future__ import annotations

import re
from fractions import Fraction

MAX_DIGITS = 1000
"""Longer numerals and larger exponents are not read: converting them takes quadratic time."""

_TYPOGRAPHY = str.maketrans(
    {chr(0xFF01 + offset): chr(0x21 + offset) for offset in range(94)}  # full-width forms of ASCII
    | dict.fromkeys("−–‐‑‒﹣", "-")
    | dict.fromkeys("\t\u00a0\u2002\u2003\u2009\u200a\u202f\u3000", " ")
    | dict.fromkeys("\u200b\u200e\u200f\u2060\ufeff", "")
    | {superscript: f"^{{{digit}}}" for digit, superscript in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")}
    | {"×": r"\times ", "·": r"\times ", "⁄": "/"}
)
_LATEX = [
    (re.compile(r"\{,\}|,\\!"), ","),
    (re.compile(r"\\[!]|\\(?:left|right|displaystyle)(?![A-Za-z])"), ""),
    (re.compile(r"(?<!\\)\\[,;: ]|(?<!\\)~"), " "),
    (re.compile(r"\\[dtc]frac(?![A-Za-z])"), r"\\frac"),
    (re.compile(r"\\cdot(?![A-Za-z])"), r"\\times"),
    (re.compile(r"\\([$%])"), r"\1"),
    (re.compile(r" {2,}"), " "),
]

_RUN = r"(?:[0-9]++(?:[.,:][0-9]++)*+|\.[0-9]++)"
_GROUPS = r"[1-9][0-9]{0,2}(?: [0-9]{3}(?![0-9]))++(?:\.[0-9]++)?"
_POWER = r"(?: ?\^ ?(?:\{[^{}\n]*\}|[-+]?[0-9]++))"
_ATOM = (
    rf"(?:{_GROUPS}|{_RUN})(?:[eE][-+]?[0-9]++)?(?: ?\\times ?10{_POWER})?{_POWER}?"
    r"(?: ?(?:\\pi|π|[½⅓⅔¼¾⅛]|_\{?[0-9]+\}?|(?:\\sqrt|√) ?(?:\[[0-9]+\])? ?(?:\{[^{}]*\}|[0-9]++)?))?"
)
_FRACTION = r"\\frac ?(?:\{[^{}]*\} ?\{[^{}]*\}|[0-9] ?[0-9])"
_TOKEN = re.compile(
    r"(?P<part>[\^_] ?\{? ?[-+]?[0-9]++\}?)"  # an exponent or index of something that is not a number
    r"|(?P<sign>[-+] ?)?\$? ?(?P<number>"
    rf"[0-9]{{4}}-[0-9]{{1,2}}-[0-9]{{1,2}}(?![0-9])"
    r"|\\sqrt ?(?:\[[0-9]+\])? ?\{?[0-9]++\}?"
    rf"|{_FRACTION}|{_ATOM}(?: ?/ ?{_ATOM})*+(?: ?{_FRACTION}| [0-9]++ ?/ ?[0-9]++(?! ?/))?)"
)
_BEFORE_DETACHED_SIGN = "=:([{,$<>\n"

_DECIMAL = r"(?:[0-9]+|[1-9][0-9]{0,2}(?:(?:,[0-9]{3})+|(?: [0-9]{3})+))(?:\.[0-9]*)?|\.[0-9]+"
_EXPONENT = r"\^ ?(?:\{ ?(?P<braced>[-+]?[0-9]+) ?\}|(?P<bare>[-+]?[0-9]+))"
_PLAIN = re.compile(rf"(?P<digits>{_DECIMAL})(?:[eE](?P<e>[-+]?[0-9]+))?")
_SCIENTIFIC = re.compile(rf"(?P<digits>{_DECIMAL}) ?\\times ?10 ?{_EXPONENT}")
_POWER_OF = re.compile(rf"(?P<digits>[0-9]+) ?{_EXPONENT}")
_RATIO = re.compile(
    r"(?:(?P<whole>[0-9]+) ?)??(?:\\frac ?(?:\{ ?(?P<a>[-+]?[^{}]+)\} ?\{(?P<b>[^{}]+)\}|(?P<c>[0-9]) ?(?P<d>[0-9]))"
    r"|(?<![0-9])(?P<e>[0-9][0-9,.]*) ?/ ?(?P<f>[0-9][0-9,.]*))"
)

_SHELLS = re.compile(
    r"\$\$?(?P<a>[^$]*)\$\$?|\\\((?P<b>.*)\\\)|\\\[(?P<c>.*)\\\]|\*\*(?P<d>[^*]*)\*\*"
    r"|\\(?:boxed|fbox|text|textbf|mathrm|mathbf) ?\{(?P<e>[^{}]*)\}|\{(?P<f>[^{}]*)\}|(?P<g>[^.].*)\.",
    re.DOTALL,
)
_LABEL = re.compile(r"(?i:(?:the )?(?:final )?answer ?(?::|is) ?)|(?:[A-Za-z]|\\[a-z]+) ?= ?")
_DEGREES = r"\^ ?\{? ?\\circ ?\}?|°|\\degree|\\% ?|%"
_UNIT_WORDS = r"(?P<words>[A-Za-zµ]+(?:[ /][A-Za-zµ]+){0,3})(?P<squared>\^ ?\{?[23]\}?)?"
_UNIT = re.compile(
    rf" ?(?P<symbol>{_DEGREES})"
    rf"|(?: | ?\\(?:text|mathrm|textrm) ?\{{ ?){_UNIT_WORDS}(?: ?\}})?(?P<power>\^ ?\{{?[23]\}}?)?"
)
_SINGLE_UNITS = frozenset("mgshlLNJWVAKCF")
_SAME_UNIT = {"^circ": "degree", "°": "degree", "dollar": "$", "USD": "$", "euro": "€", "percent": "%"}
NOT_UNITS = frozenset(
    ("or", "and", "to", "than", "minus", "plus", "times", "over", "point", "is", "not", "no", "but", "if", "of", "as",
     "hundred", "thousand", "million", "billion", "trillion", "dozen", "half", "halves", "third", "thirds", "quarter",
     "quarters", "mod", "pi", "factorial", "squared", "cubed")
)  # fmt: skip
"""Words that change or doubt the number before them; what holds one of them is not a number with a unit."""


def read_quantity(text: str) -> tuple[Fraction, str] | None:
    r"""The exact value that the whole of ``text`` writes and its unit ("" for none); None when it is not one number.

    Example:
        >>> read_quantity(r"x = 10{,}080"), read_quantity(r"\$5"), read_quantity(r"5 \text{ cm}"), read_quantity("1,5")
        ((Fraction(10080, 1), ''), (Fraction(5, 1), '$'), (Fraction(5, 1), 'cm'), None)
    """
    if len(text) > 4 * MAX_DIGITS:
        return None
    text = _undressed(_plain(text))
    sign, currency, text = _signed(text)
    match = None
    value = _value(text)
    if value is None:
        match = next((one for one in _UNIT.finditer(text) if one.end() == len(text) and one.start()), None)
        value = _value(_undressed(text[: match.start()])) if match is not None else None
    if value is None:
        return None
    unit = currency
    if match is not None:
        words = match["words"]
        if words is not None and not _is_unit(words):
            return None
        unit += match["symbol"] or f"{words}{match['squared'] or match['power'] or ''}"
    return sign * value, _one_unit(re.sub(r"[ {}\\]", "", unit))


def parse_integer(text: str) -> int | None:
    r"""The integer that ``text`` writes in any dress of docs/grading.md, or None.

    Example:
        >>> parse_integer(" 1,024 "), parse_integer("073"), parse_integer(r"90^\circ"), parse_integer("3.5")
        (1024, 73, 90, None)
    """
    quantity = read_quantity(text)
    return int(quantity[0]) if quantity is not None and quantity[0].denominator == 1 else None


def last_number(text: str) -> str | None:
    r"""The last number in ``text``, whole, without thousands commas or plus sign, or None.

    Example:
        >>> last_number("7 + 5 = 12."), last_number("10-5"), last_number("x = -1,500.25"), last_number("none")
        ('12', '5', '-1500.25', None)
        >>> last_number("it is 3.5e-4"), last_number("or 1/2"), last_number(r"\frac{3}{8}"), last_number("25 cm^2")
        ('3.5e-4', '1/2', '\\frac{3}{8}', '25')
    """
    text = _plain(text)
    last = None
    for match in _TOKEN.finditer(text):
        last = match if match["part"] is None else last
    if last is None:
        return None
    number = last["number"]
    if re.fullmatch(_DECIMAL, number):
        number = number.replace(",", "").replace(" ", "")
    return ("-" if _negative(text, last) else "") + number


def _negative(text: str, match: re.Match[str]) -> bool:
    """Whether the sign before a number is its own: 10-5 ends in 5, x=-5 in -5, x = - 5 in -5, x - 5 in 5."""
    sign = match["sign"]
    if sign is None or sign[0] != "-":
        return False
    before = text[max(0, match.start() - 2) : match.start()]
    if sign == "-":
        return not re.search(r"[\w.)\]}]\Z", before)
    before = before.rstrip(" ")
    return not before or before[-1] in _BEFORE_DETACHED_SIGN


def _plain(text: str) -> str:
    """One spelling for what differs in typography or LaTeX spacing only."""
    text = text.translate(_TYPOGRAPHY)
    for pattern, replacement in _LATEX:
        text = pattern.sub(replacement, text)
    return text


def _undressed(text: str) -> str:
    """Without delimiters around all of it, labels before it and a full stop after it."""
    for _ in range(8):
        text = text.strip()
        label, shell = _LABEL.match(text), _SHELLS.fullmatch(text)
        if label is not None:
            text = text[label.end() :]
        elif shell is not None:
            text = next(group for group in shell.groups() if group is not None)
        else:
            break
    return text


def _signed(text: str) -> tuple[int, str, str]:
    """(sign, currency, the rest): at most one sign and one currency sign, in either order."""
    match = re.match(r"(?:([-+]) ?)?([$€£])? ?(?(1)|([-+])? ?)", text)
    assert match is not None
    sign = -1 if "-" in (match[1], match[3]) else 1
    return sign, match[2] or "", text[match.end() :]


def _is_unit(words: str) -> bool:
    parts = re.split(r"[ /]", words)
    return all(one.casefold() not in NOT_UNITS and (len(one) > 1 or one in _SINGLE_UNITS) for one in parts)


def _one_unit(unit: str) -> str:
    """Singular and plural, sign and word of a unit as one."""
    singular = unit[:-1] if len(unit) > 3 and unit.endswith("s") else unit
    return _SAME_UNIT.get(singular, singular)


def _value(text: str) -> Fraction | None:
    """The value of an unsigned numeral: decimal, scientific, power of integers, fraction or mixed number."""
    text = text.strip()
    if len(text) > MAX_DIGITS:
        return None
    if match := _PLAIN.fullmatch(text):
        return _scaled(match["digits"], match["e"] or "0")
    if match := _SCIENTIFIC.fullmatch(text):
        return _scaled(match["digits"], match["braced"] or match["bare"])
    if match := _POWER_OF.fullmatch(text):
        base, exponent = int(match["digits"]), _small(match["braced"] or match["bare"])
        small = exponent is not None and len(match["digits"]) * abs(exponent) <= MAX_DIGITS
        return Fraction(base) ** exponent if small and exponent is not None and (base or exponent > 0) else None
    if match := _RATIO.fullmatch(text):
        return _ratio(match)
    return None


def _ratio(match: re.Match[str]) -> Fraction | None:
    top, bottom = match["a"] or match["c"] or match["e"], match["b"] or match["d"] or match["f"]
    negative = top.strip().startswith("-")
    numerator, denominator = (_PLAIN.fullmatch(one.strip().lstrip("+-").strip()) for one in (top, bottom))
    if numerator is None or denominator is None or numerator["e"] or denominator["e"] or "-" in bottom:
        return None
    divisor = _scaled(denominator["digits"], "0")
    dividend = _scaled(numerator["digits"], "0")
    if not divisor or dividend is None or (match["whole"] and negative):
        return None
    return int(match["whole"] or 0) + (-dividend if negative else dividend) / divisor


def _scaled(digits: str, exponent: str) -> Fraction | None:
    power = _small(exponent)
    if power is None:
        return None
    return Fraction(re.sub("[, ]", "", digits).rstrip(".") or "0") * Fraction(10) ** power


def _small(exponent: str) -> int | None:
    return int(exponent) if len(exponent) <= 5 and abs(int(exponent)) <= MAX_DIGITS else None
