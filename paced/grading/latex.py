r"""One spelling for LaTeX that prints the same, so that ``\dfrac12`` is ``\frac{1}{2}`` when compared as text.

Every rule keeps the meaning; none evaluates. Left out: what could make different answers equal, such as taking out all
blanks (``1 2`` is not ``12``), commas (``1{,}2`` is not ``1,2``), units or ``x =``.
"""

from __future__ import annotations

import re

_RULES = [
    (re.compile(r"\\(?:left|right|displaystyle)(?![A-Za-z])"), ""),
    (re.compile(r"\\[dtc]frac(?![A-Za-z])"), r"\\frac"),
    (re.compile(r"\\!"), ""),
    (re.compile(r"(?<!\\)\\[,;: ]|(?<!\\)~"), " "),
    (re.compile(r"\s+"), " "),
    (re.compile(r"\\frac ?([0-9]) ?([0-9])(?![0-9])"), r"\\frac{\1}{\2}"),
    (re.compile(r"\\sqrt ?([0-9A-Za-z])(?![0-9A-Za-z])"), r"\\sqrt{\1}"),
    (re.compile(r"\^ ?([0-9A-Za-z])(?![0-9A-Za-z])"), r"^{\1}"),
    (re.compile(r" ?([,;=()\[\]<>^]) ?"), r"\1"),
    (re.compile(r" ([-+*/]) "), r"\1"),
    (re.compile(r"(\\[A-Za-z]+) (?=[\\{0-9])"), r"\1"),
    (re.compile(r"(?<=[0-9}]) (?=\\sqrt|\\frac\{[^0-9])"), ""),
]
_SHELL = re.compile(r"\$(?P<a>[^$]*)\$|\\\((?P<b>[^\\]*)\\\)|\\(?:text|mathrm|textbf|mathbf) ?\{(?P<c>[^{}]*)\}")
_TYPOGRAPHY = str.maketrans({"−": "-", "\u00a0": " ", "\u2009": " ", "\u202f": " ", "\u200b": ""})


def one_spelling(text: str) -> str:
    r"""The text with one spelling of fractions, roots, exponents, delimiters and blanks.

    Example:
        >>> one_spelling(r"$\left(1, \dfrac12\right)$"), one_spelling(r"\text{B}"), one_spelling("1 2")
        ('(1,\\frac{1}{2})', 'B', '1 2')
    """
    text = " ".join(text.translate(_TYPOGRAPHY).split())
    for _ in range(4):
        shell = _SHELL.fullmatch(text)
        if shell is None:
            break
        text = next(group for group in shell.groups() if group is not None).strip()
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text.strip()
