r"""Numbers as models write them, read by rule: no evaluation of any kind, a cap on length, time linear in the text.

:func:`last_number` takes a number whole, with its fraction, power, exponent or digit groups, so that no part of it is
taken for it; :func:`read_quantity` then says which value it has, or that it has none. One reader serves the gold answer
and the completion. The dresses are listed in docs/grading.md, which a test reads.
Left out: words, sums, roots and every other expression. They belong to a symbolic comparison with limits of its own.
"""

from __future__ import annotations

import re
from fractions import Fraction

from paced.grading.dress import plain, undressed
from paced.grading.units import unit_of

MAX_DIGITS = 1000
"""Longer numerals and larger exponents are not read: converting them takes quadratic time."""

_RUN = r"(?:[0-9]++(?:[.,:'][0-9]++)*+|\.[0-9]++)"
_REPEATING = r"(?:\.?\\(?:overline|bar|dot) ?\{?[0-9]++\}?[0-9]*+|\.?\([0-9]++\))"
_GROUPS = r"[1-9][0-9]{0,2}(?: [0-9]{3}(?![0-9]))++(?:\.[0-9]++)?"
_POWER = r"(?: ?\^ ?(?:\{[^{}\n]*\}|[-+]?[0-9]++))"
_LETTERS = r"[A-Za-zµα-ωΑ-Ω]"
_ATOM = (
    rf"(?:{_GROUPS}|{_RUN}){_REPEATING}?(?:[eE][-+]?[0-9]++)?(?: ?(?:\\times|[xX*]) ?10{_POWER})?{_POWER}?"
    r"(?: ?(?:\\pi|π|_\{?[0-9]+\}?|(?:\\sqrt|√) ?(?:\[[0-9]+\])? ?(?:\{[^{}]*\}|[0-9]++)?))?"
)
_FRACTION = r"\\(?:frac|[dt]?binom) ?(?:\{[^{}]*\} ?\{[^{}]*\}|[0-9] ?[0-9])"
_MAGNITUDE = (
    r"(?i: (?:hundred|thousand|million|billion|trillion|dozen|lakh|crore|bn|mln)s?\b"
    r"| and (?:a |one )?(?:half|quarter|third)\b)"
)
_CURRENCIES = r"(?:USD|US\$|EUR|GBP|INR|CNY|RMB|JPY|AUD|CAD|CHF|Rs\.?|[A-Z]{0,2}\$|[$€£¥₹])"
_GLUED = (
    rf"{_LETTERS}[A-Za-z0-9µα-ωΑ-Ω]*+(?:/[A-Za-z]++)?|[万千百亿兆]"
    r"| ?\\(?:alpha|beta|gamma|theta|lambda|mu|phi|omega|ln|log|infty)(?![A-Za-z])"
)
"""What makes the digits before it a part of something else, unless it is a unit."""
_TOKEN = re.compile(
    r"(?P<part>[\^_] ?\{? ?[-+]?[0-9]++\}?"  # an exponent or index of something that is not a number
    rf"|(?<![\\A-Za-z])(?!{_CURRENCIES}[0-9])[A-Za-z]++[0-9][A-Za-z0-9]*+(?:\.[0-9]++)*+)"  # a name, as x5 or H2O
    rf"|(?P<sign>[-+] ?|\\[pm]{{2}} ?)?(?:{_CURRENCIES} ?)?(?P<number>"
    rf"[0-9]{{4}}-[0-9]{{1,2}}-[0-9]{{1,2}}(?![0-9])"
    r"|/ ?[0-9]++"  # divides something that is not a number
    r"|\\sqrt ?(?:\[[0-9]+\])? ?\{?[0-9]++\}?"
    rf"|(?:{_FRACTION}|{_ATOM}(?: ?/ ?{_ATOM})*+(?: ?{_FRACTION}|(?: and)? [0-9]++ ?/ ?[0-9]++(?! ?/))?))"
    rf"(?:(?P<glued>{_GLUED})|(?P<magnitude>{_MAGNITUDE}))?"
)
_BEFORE_DETACHED_SIGN = "=:([{,$<>\n"

_DECIMAL = r"(?:[1-9][0-9]{0,2}(?:(?:,[0-9]{3})+|(?: [0-9]{3})+|(?:'[0-9]{3})+)(?![0-9])|[0-9]+)(?:\.[0-9]*)?|\.[0-9]+"
_EXPONENT = r"\^ ?(?:\{ ?(?P<braced>[-+]?[0-9]+) ?\}|(?P<bare>[-+]?[0-9]+))"
_PLAIN = re.compile(rf"(?P<digits>{_DECIMAL})(?:[eE](?P<e>[-+]?[0-9]+))?")
_SCIENTIFIC = re.compile(rf"(?P<digits>{_DECIMAL}) ?(?:\\times|[xX*]) ?10 ?{_EXPONENT}")
_POWER_OF = re.compile(rf"(?P<digits>[0-9]+) ?{_EXPONENT}")
_RATIO = re.compile(
    r"(?:(?P<whole>[0-9]+) ?)??(?:\\frac ?(?:\{ ?(?P<a>[-+]?[^{}]+)\} ?\{(?P<b>[^{}]+)\}|(?P<c>[0-9]) ?(?P<d>[0-9]))"
    r"|(?<![0-9])(?P<e>[0-9][0-9,.]*) ?/ ?(?P<f>[0-9][0-9,.]*))"
)


def read_quantity(text: str) -> tuple[Fraction, str] | None:
    r"""The exact value that the whole of ``text`` writes and its unit ("" for none); None when it is not one number.

    Example:
        >>> read_quantity(r"x = 10{,}080"), read_quantity(r"\$5"), read_quantity("5cm"), read_quantity("1,5")
        ((Fraction(10080, 1), ''), (Fraction(5, 1), '$'), (Fraction(5, 1), 'centimeter'), None)
        >>> read_quantity("2½"), read_quantity("(5)"), read_quantity("USD 5"), read_quantity("3x")
        ((Fraction(5, 2), ''), (Fraction(5, 1), ''), (Fraction(5, 1), '$'), None)
    """
    if len(text) > 4 * MAX_DIGITS:
        return None
    sign, currency, text = _signed(undressed(plain(text)))
    text = undressed(text)
    numeral = _numeral(text)
    if numeral is None:
        return None
    value, end = numeral
    rest = text[end:]
    if not rest.strip():
        return sign * value, unit_of(currency) or "" if currency else ""
    if rest in ("st", "nd", "rd", "th"):
        return (sign * value, "") if value.denominator == 1 and not currency else None
    unit = unit_of(rest, glued=rest[0].isalpha()) if not currency or rest[0].isalpha() else ""
    if unit is not None and currency:
        unit = unit_of(f"{currency} {rest.strip()}")
    return (sign * value, unit) if unit is not None else None


def parse_integer(text: str) -> int | None:
    r"""The integer that ``text`` writes in any dress of docs/grading.md, or None.

    Example:
        >>> parse_integer(" 1,024 "), parse_integer("073"), parse_integer(r"90^\circ"), parse_integer("3.5")
        (1024, 73, 90, None)
    """
    quantity = read_quantity(text)
    return int(quantity[0]) if quantity is not None and quantity[0].denominator == 1 else None


def last_number(text: str) -> str | None:
    r"""The last number in ``text``, whole, without thousands commas, plus sign or unit, or None.

    Example:
        >>> last_number("7 + 5 = 12."), last_number("10-5"), last_number("x = -1,500.25"), last_number("none")
        ('12', '5', '-1500.25', None)
        >>> last_number("it is 3.5e-4"), last_number("or 1/2"), last_number(r"\frac{3}{8}"), last_number("25 cm^2")
        ('3.5e-4', '1/2', '\\frac{3}{8}', '25')
        >>> last_number("so 5cm."), last_number("so 3x."), last_number("so x5"), last_number("5 million")
        ('5', '3x', None, '5 million')
    """
    text = plain(text)
    last = None
    for match in _TOKEN.finditer(text):
        last = match if match["part"] is None else last
    if last is None:
        return None
    number, sign, glued = last["number"], last["sign"] or "", last["glued"] or ""
    if re.fullmatch(_DECIMAL, number):
        number = re.sub("[, ']", "", number)
    if glued not in ("st", "nd", "rd", "th") and unit_of(glued, glued=True) is None:
        number += glued
    prefix = sign if sign.startswith("\\") else "-" if _negative(text, last) else ""
    return prefix + number + (last["magnitude"] or "")


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


def _signed(text: str) -> tuple[int, str, str]:
    """(sign, currency, the rest): at most one sign and one currency, in either order."""
    match = re.match(rf"(?:([-+]) ?)?({_CURRENCIES})? ?(?(1)|([-+])? ?)", text)
    assert match is not None
    sign = -1 if "-" in (match[1], match[3]) else 1
    currency = (match[2] or "").rstrip(".")
    return sign, currency, text[match.end() :]


def _numeral(text: str) -> tuple[Fraction, int] | None:
    """The value of the longest unsigned numeral at the start of ``text`` that has one, and where it ends."""
    read = ((pattern.match(text), value_of) for pattern, value_of in _READERS)
    values = [(match.end(), value_of(match)) for match, value_of in read if match and match.end() <= MAX_DIGITS]
    return max(((value, end) for end, value in values if value is not None), key=lambda one: one[1], default=None)


def _plain_value(match: re.Match[str]) -> Fraction | None:
    return _scaled(match["digits"], match["e"] or "0")


def _scientific(match: re.Match[str]) -> Fraction | None:
    return _scaled(match["digits"], match["braced"] or match["bare"])


def _power(match: re.Match[str]) -> Fraction | None:
    base, exponent = int(match["digits"]), _small(match["braced"] or match["bare"])
    if exponent is None or len(match["digits"]) * abs(exponent) > MAX_DIGITS or (not base and exponent <= 0):
        return None
    return Fraction(base) ** exponent


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
    return Fraction(re.sub("[, ']", "", digits).rstrip(".") or "0") * Fraction(10) ** power


def _small(exponent: str) -> int | None:
    return int(exponent) if len(exponent) <= 5 and abs(int(exponent)) <= MAX_DIGITS else None


_READERS = ((_PLAIN, _plain_value), (_SCIENTIFIC, _scientific), (_POWER_OF, _power), (_RATIO, _ratio))
