r"""One spelling of mathematical notation: LaTeX, Unicode and plain text become one string that a parser can read.

Rewriting is by rule and takes time linear in the text; nothing is computed. Words in ``\text{}`` are kept apart from
products of letters: they are written between two marks. Left out: what an expression means (``terms.py``) and the form
of an answer, as a list or an interval (``shapes.py``).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from paced.grading.dress import ascii_form

OPEN_WORDS, CLOSE_WORDS = "\x01", "\x02"
"""Marks around the words of ``\\text{}``."""

_SYMBOLS = {
    "π": r"\pi ", "θ": r"\theta ", "α": r"\alpha ", "β": r"\beta ", "γ": r"\gamma ", "λ": r"\lambda ", "µ": r"\mu ",
    "φ": r"\phi ", "ω": r"\omega ", "σ": r"\sigma ", "∞": r"\infty ", "√": r"\sqrt ", "≤": r"\le ", "≥": r"\ge ",
    "≠": r"\ne ", "≈": r"\approx ", "∪": r"\cup ", "∩": r"\cap ", "∅": r"\emptyset ", "∈": r"\in ", "∓": r"\mp ",
    "⟨": r"\langle ", "⟩": r"\rangle ", "ℝ": r"\mathbb{R}", "ℤ": r"\mathbb{Z}", "“": '"', "”": '"', "‘": "'", "…": r"\ldots ",
    "，": ",", "；": ";", "∣": "|", "∛": r"\sqrt[3]", "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ",
    "∨": r"\lor ", "∧": r"\land ", "→": r"\to ", "∖": r"\setminus ", "∘": r"\circ ", "′": "'", "ⅈ": "i", "ⅇ": "e",
}  # fmt: skip
_TABLE = str.maketrans(_SYMBOLS)
_CLOSED = r"((?:[^{}\\]|\\[^A-Za-z]|\\[A-Za-z]+|\{[^{}]*\})*+)"
_RULES: list[tuple[str, str | Callable[[re.Match[str]], str]]] = [
    (r" ?\{ ?, ?\} ?(?=[0-9]{3})|,\\! ?|\\,(?=[0-9]{3}(?![0-9]))(?<=[0-9]\\,)", "\x03"),
    (r"\\(?:left|right|[bB]igg?[lrm]?|displaystyle|textstyle|limits|rm|bf|it|mathstrut)(?![A-Za-z])", ""),
    (r"\\(?:bmod|mod|pmod)(?![A-Za-z])", r"\\bmod "),
    (r"\\[dtc]frac(?![A-Za-z])", r"\\frac"),
    (r"\\[dt]binom(?![A-Za-z])", r"\\binom"),
    (r"\{([^{}]*)\\over(?![A-Za-z])([^{}]*)\}", r"\\frac{\1}{\2}"),
    (r"\\(?:text|mathrm) ?\{ ?: ?\}|\\colon(?![A-Za-z])", ":"),
    (r"\\(?:text|math)dollar(?![A-Za-z])(?:\{\})?", "$"),
    (r"\\pounds(?![A-Za-z])", "£"),
    (r"\\(?:euro|texteuro)(?![A-Za-z])", "€"),
    (r"\\(?:text)?color ?\{[A-Za-z!0-9]*\}", ""),
    (r"\\(?:text(?:bf|rm|it)?|mathrm|operatorname) ?\{ ?([ie]) ?\}", r"\1"),
    (r"\\(?:mathrm|operatorname\*?|text|rm) ?\{ ?(sin|cos|tan|cot|sec|csc|ln|log|exp|arcsin|arccos|arctan|lcm|gcd) ?\}", r"\\\1 "),
    (r"\\(?:text|mbox|textbf|mathrm) ?\{ ?(?:,? ?and|,? ?or|,|;) ?\}", ", "),
    (rf"\\(?:text(?:bf|rm|it|sf|tt|normal)?|mathrm|[mh]box|operatorname\*?|unit|textsc) ?\{{{_CLOSED}\}}", "\x01\\1\x02"),
    (rf"\\(?:mathbf|boldsymbol|bm|vec|mathit|mathsf|underline|boxed|fbox|mathcal|ensuremath) ?\{{{_CLOSED}\}}", r"{\1}"),
    (r"\\mathbb ?\{?([A-Z])\}?", r"\\mathbb\1 "),
    (r"\\[!]|\\phantom ?\{[^{}]*\}", ""),
    (r"(?<!\\)\\(?:[,;: ]|\Z)|(?<!\\)~|\\q?quad(?![A-Za-z])|\\(?:thin|med|thick)space(?![A-Za-z])|\\hspace\*? ?\{[^{}]*\}", " "),
    (r" ?\^ ?(?:\{ ?(?:\\circ|o) ?\}|\\circ(?![A-Za-z]))|\\(?:text)?degrees?(?![A-Za-z])", "°"),
    (r"\\(?:cdot|times|ast)(?![A-Za-z])|\*\*(?=[^*])(?<=[0-9A-Za-z)]\*\*)", lambda match: "*" if match[0][0] == "\\" else "^"),
    (r"\\div(?![A-Za-z])", "/"),
    (r"\\(?:lvert|rvert|mid|vert)(?![A-Za-z])", "|"),
    (r"\\leq(?:slant)?(?![A-Za-z])|<=", r"\\le "),
    (r"\\geq(?:slant)?(?![A-Za-z])|>=", r"\\ge "),
    (r"\\neq(?![A-Za-z])|!=|\\not ?=", r"\\ne "),
    (r"\\lt(?![A-Za-z])", "<"),
    (r"\\gt(?![A-Za-z])", ">"),
    (r"\\(?:varnothing|O)(?![A-Za-z])", r"\\emptyset "),
    (r"\\l?dots(?:c)?(?![A-Za-z])|\\cdots(?![A-Za-z])|\.\.\.", r"\\ldots "),
    (r"\\i(?:math)?(?![A-Za-z])", "i"),
    (r"\\langle(?![A-Za-z])", "("),
    (r"\\rangle(?![A-Za-z])", ")"),
    (r"\\([$%&#])", r"\1"),
    (r"[\s]+", " "),
]  # fmt: skip
_COMPILED = [(re.compile(pattern), replacement) for pattern, replacement in _RULES]
_SHELL = re.compile(
    r"\$\$?(?P<a>[^$]*)\$\$?|\\\((?P<b>(?:(?!\\\(|\\\)).)*)\\\)|\\\[(?P<c>(?:(?!\\\[).)*)\\\]|\*\*(?P<d>[^*]*)\*\*"
    r"|`(?P<e>[^`]*)`|\x01(?P<f>[^\x01\x02]*)\x02|\"(?P<g>[^\"]*)\"",
    re.DOTALL,
)
_LEAD = re.compile(
    r"(?i)(?:so |thus |hence |therefore,? )?(?:the )?(?:final |correct )?(?:answer|ans)(?: is)? ?(?:[:=]| is:?) ?|\\therefore "
)


def notation(text: str) -> str:
    r"""The text in one spelling of its notation, delimiters around all of it and a full stop behind it taken away.

    Example:
        >>> notation(r"$\left(3,\,\dfrac{π}{2}\right)$."), notation("√2 × 3"), notation(r"5\,\text{cm}")
        ('(3, \\frac{\\pi }{2})', '\\sqrt 2 * 3', '5 \x01cm\x02')
    """
    if not text.isascii():
        text = "".join(one for one in text if unicodedata.category(one) not in ("Cf", "Cc") or one == "\n")
        text = ascii_form(text.translate(_TABLE)).translate(_TABLE)
    text = re.sub(r"[\x00-\x08]", "", text)
    if "\\begin" not in text:  # there two backslashes end a row; elsewhere LaTeX was escaped twice
        text = re.sub(r"\\\\(?=[A-Za-z{}()\[\]])", r"\\", text)
    text = shelled(text)
    for pattern, replacement in _COMPILED:
        text = pattern.sub(replacement, text)
    text = shelled(text)
    text = _LEAD.sub("", text, count=1) if _LEAD.match(text) else text
    return shelled(text)


def shelled(text: str) -> str:
    r"""Without delimiters around the whole of the text: dollars, ``\( \)``, bold, back ticks, quotes, full stops.

    Example:
        >>> shelled(r"**\(x\)**."), shelled("$a$ and $b$")
        ('x', 'a and b')
    """
    for _ in range(6):
        text = text.strip().rstrip(",;!").rstrip() if not text.rstrip().endswith("!") else text.strip()
        text = text[:-1].rstrip() if text.endswith(".") and not text.endswith("..") else text
        shell = _SHELL.fullmatch(text)
        if shell is None:
            break
        text = next(group for group in shell.groups() if group is not None)
    if text.count("$") % 2 == 0 and "\\$" not in text and text.count("$") > 0:
        text = " ".join(re.sub(r"\$([^$]*)\$", r" \1 ", text).split())
    return text
