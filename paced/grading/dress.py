r"""What is around a number without changing it: typography, LaTeX spacing, delimiters, labels such as ``x =``.

A label is a name, a sum of names or a word for the answer before ``=`` or ``:``. Left out: anything that computes, as
``x^2 =`` and ``2x =``, whose right side is not the answer.
"""

from __future__ import annotations

import re
import unicodedata

_VULGAR = {character: unicodedata.normalize("NFKC", character).split("⁄") for character in "¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"}
_TYPOGRAPHY = str.maketrans(
    {chr(0xFF01 + offset): chr(0x21 + offset) for offset in range(94)}  # full-width forms of ASCII
    | dict.fromkeys("−–‐‑‒﹣", "-")
    | dict.fromkeys("\t\u00a0\u2002\u2003\u2009\u200a\u202f\u3000", " ")
    | dict.fromkeys("\u200b\u200e\u200f\u2060\ufeff", "")
    | {character: rf"\frac{{{top}}}{{{bottom}}}" for character, (top, bottom) in _VULGAR.items()}
    | {"×": r"\times ", "·": r"\times ", "⋅": r"\times ", "⁄": "/", "÷": "/", "’": "'", "μ": "µ", "±": r"\pm "}
    | {"℃": "°C", "℉": "°F", "˚": "°", "º": "°", "﹪": "%", "٪": "%", "∶": ":"}
)
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻₀₁₂₃₄₅₆₇₈₉₊₋", "0123456789+-0123456789+-")
_TEXT = r"\\(?:text(?:bf|rm|it|sf|tt|normal)?|math(?:rm|bf|it|sf|tt)|[mh]box|operatorname|unit)\*? ?"
_LATEX = [
    (re.compile(r" ?\{ ?, ?\} ?(?=[0-9]{3})|\{,\}|,\\! ?"), ","),
    (re.compile(r"\\[!]|\\(?:left|right|displaystyle)(?![A-Za-z])|\\(?:text)?color ?\{[A-Za-z!0-9]*\}"), ""),
    (re.compile(r"\\(?:text|math)dollar(?![A-Za-z])(?:\{\})?"), "$"),
    (re.compile(r"\\([$%])"), r"\1"),
    (re.compile(r"\\pounds(?![A-Za-z])"), "£"),
    (re.compile(r"\\(?:euro|texteuro)(?![A-Za-z])"), "€"),
    (re.compile(rf"{_TEXT}\{{ ?([ie]) ?\}}"), r"\1"),  # a constant, not a word
    (re.compile(rf"{_TEXT}\{{((?:[^{{}}]|\{{[^{{}}]*\}})*+)\}}"), r" \1 "),
    (re.compile(r"\\+\s*\Z"), ""),
    (re.compile(r"(?<!\\)\\[,;: ]|(?<!\\)~|\\q?quad(?![A-Za-z])|\\rm(?![A-Za-z])|\\thinspace(?![A-Za-z])"), " "),
    (
        re.compile(r" ?\^ ?(?:\{ ?(?:\\circ|o) ?\}|\\circ(?![A-Za-z])|o(?![A-Za-z]))|\\(?:text)?degrees?(?![A-Za-z])"),
        "°",
    ),
    (re.compile(r"(?<=[0-9]) ?\^ ?(?:\{ ?(st|nd|rd|th) ?\}|(th|st|nd|rd)\b)"), r"\1\2"),
    (re.compile(r"\\[dtc]frac(?![A-Za-z])"), r"\\frac"),
    (re.compile(r"\\cdot(?![A-Za-z])"), r"\\times"),
    (re.compile(r" {2,}"), " "),
]

_SHELLS = re.compile(
    r"\$\$?(?P<a>[^$]*)\$\$?|\\\((?P<b>.*)\\\)|\\\[(?P<c>.*)\\\]|\*\*(?P<d>[^*]*)\*\*"
    r"|\\(?:boxed|fbox|underline) ?\{(?P<e>[^{}]*)\}|\{(?P<f>[^{}]*)\}|\((?P<h>[^(),]*)\)|(?P<g>[^.].*)\.",
    re.DOTALL,
)
_WITHIN = [
    re.compile(r"\\\((.*?)\\\)"), re.compile(r"\$([^$]*)\$"), re.compile(r"(?<![0-9])\*\*([^*]*)\*\*"),
    re.compile(r"\\(?:boxed|fbox|underline) ?\{([^{}]*)\}"),
]  # fmt: skip
"""Delimiters around a number that has a unit behind them, as ``$5$ cm``."""
_GREEK = (
    r"\\(?:alpha|beta|gamma|delta|theta|lambda|mu|pi|rho|sigma|phi|omega|Delta|Omega|angle|triangle|ell)(?![A-Za-z])"
)
_NAME = rf"(?:[A-Za-z]+|{_GREEK}|\\overline ?\{{[A-Za-z]+\}})'*(?: ?_ ?\{{?[A-Za-z0-9 ]+\}}?)?(?: ?\([^()=<>]*\))?"
_LABEL = re.compile(
    r"(?i:(?:so |thus |hence )?(?:the )?(?:final |correct )?(?:answer|ans|result|total|value|solution) ?(?:[:]|is:?) ?)"
    rf"|\|?{_NAME}(?:(?: ?\+ ?| ){_NAME}){{0,5}}\|? ?= ?|= ?|\\therefore "
)


def ascii_form(text: str) -> str:
    r"""The text with full-width forms, raised and lowered digits, vulgar fractions and dashes as ASCII writes them.

    Example:
        >>> ascii_form("−２"), ascii_form("x²"), ascii_form("a₁₂")
        ('-2', 'x^{2}', 'a_{12}')
    """
    if text.isascii():
        return text
    text = re.sub(r"[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda match: f"^{{{match[0].translate(_RAISED)}}}", text)
    text = re.sub(r"[₀-₉]+", lambda match: f"_{{{match[0].translate(_RAISED)}}}", text)
    return re.sub(r"(?![0-9])\d", lambda match: str(unicodedata.decimal(match[0])), text.translate(_TYPOGRAPHY))


def plain(text: str) -> str:
    r"""One spelling for what differs in typography or LaTeX spacing only.

    Example:
        >>> plain("−２½"), plain(r"10{,}080\text{cm}"), plain("10⁻¹²"), plain("90^{\\circ}")
        ('-2\\frac{1}{2}', '10,080 cm ', '10^{-12}', '90°')
    """
    text = ascii_form(text)
    for pattern, replacement in _LATEX:
        text = pattern.sub(replacement, text)
    return text


def undressed(text: str) -> str:
    r"""Without delimiters around all of it or around its number, labels before it and a full stop after it.

    Example:
        >>> undressed(r"\(x = 5\)."), undressed("$5$ cm"), undressed("the answer is **5**"), undressed("2x = 10")
        ('5', '5 cm', '5', '2x = 10')
    """
    for _ in range(8):
        text = text.strip()
        label, shell = _LABEL.match(text), _SHELLS.fullmatch(text)
        if label is not None:
            text = text[label.end() :]
        elif shell is not None:
            text = next(group for group in shell.groups() if group is not None)
        else:
            break
    for pattern in _WITHIN:
        if len(pattern.findall(text)) == 1:
            text = pattern.sub(r" \1 ", text)
    return " ".join(text.split())
