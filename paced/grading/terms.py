r"""A mathematical expression as a tree: a tokenizer and a recursive parser for the notation that models write.

The parser reads all of a text or none of it, so that nothing is dropped on the way: a word, an unknown command or an
unbalanced bracket makes the text unreadable, never shorter. Depth and size are capped; nothing is evaluated.
Left out: integrals, sums, functions by name (``f(x)``): a symbolic comparison reads those.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

Tree = tuple[Any, ...]
"""``("num", Fraction)``, ``("var", name)``, ``("pi",)``, or an operation and its trees."""

MAX_DEPTH = 40
"""Brackets, fractions and roots inside each other."""
MAX_TOKENS = 600
"""Tokens of one expression."""

_TOKEN = re.compile(
    r" *(?:(?P<number>(?:[0-9]{1,3}(?:\x03[0-9]{3})+|[0-9]+)(?:\.[0-9]*)?|\.[0-9]+|\.(?=\\(?:overline|bar|dot)))"
    r"(?P<rep>\\(?:overline|bar|dot) ?\{?[0-9]+\}?|\([0-9]+\)(?=\Z| *[%°]))?"
    r"|(?P<command>\\[A-Za-z]+|\\[{}|])|(?P<word>[A-Za-z]+)|(?P<mark>[-+*/^_!°%()\[\]{}|,']))"
)
FUNCTIONS = frozenset(
    ("sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "ln", "log",
     "exp", "asin", "acos", "atan", "sqrt", "cbrt", "abs", "lcm", "gcd")
)  # fmt: skip
_CONSTANTS = {
    "pi": ("pi",),
    "infty": ("inf",),
    "i": ("i",),
    "e": ("e",),
    "inf": ("inf",),
    "infinity": ("inf",),
    "oo": ("inf",),
}
_GREEK = frozenset(
    ("alpha", "beta", "gamma", "delta", "epsilon", "varepsilon", "zeta", "eta", "theta", "vartheta", "kappa",
     "lambda", "mu", "nu", "xi", "rho", "sigma", "tau", "phi", "varphi", "chi", "psi", "omega", "Delta", "Omega",
     "Gamma", "Lambda", "Sigma", "Phi", "Psi", "Theta", "ell", "hbar")
)  # fmt: skip
_NOT_VARIABLES = frozenset(
    ("or", "and", "if", "no", "is", "as", "to", "of", "in", "at", "by", "mod", "on", "so", "cm", "mm", "km", "kg",
     "ft", "hr", "min", "sec", "deg")
)  # fmt: skip
_BRACKETS = {"(": ")", "[": "]", "{": "}"}
_ENDS = frozenset({"+", "-", ")", "]", "}", ",", "/", "*", "", "\\rfloor", "\\rceil", "%", "°"})


class UnreadableError(ValueError):
    """The text is not an expression of this grammar."""


def read_tree(text: str) -> Tree:
    r"""The tree of an expression.

    Args:
        text: in the spelling of :func:`paced.grading.notation.notation`.

    Raises:
        UnreadableError: the text is not one expression, or is too deep or too long.

    Example:
        >>> read_tree("2x")
        ('*', ('num', Fraction(2, 1)), ('var', 'x'))
        >>> read_tree("2 apples")
        Traceback (most recent call last):
        paced.grading.terms.UnreadableError: 'apples' is a word.
    """
    parser = _Parser(_tokens(text))
    tree = parser.sum(0)
    if parser.next:
        raise UnreadableError(f"{parser.next!r} cannot follow.")
    return tree


def variables(tree: Tree) -> frozenset[str]:
    """Names of the variables of a tree.

    Example:
        >>> sorted(variables(read_tree("x + 2y")))
        ['x', 'y']
    """
    if tree[0] == "var":
        return frozenset({tree[1]})
    return frozenset().union(*(variables(part) for part in tree[1:] if isinstance(part, tuple)))


def _tokens(text: str) -> list[tuple[str, Any]]:
    """(kind or the token itself, value) of each token."""
    tokens: list[tuple[str, Any]] = []
    position, text = 0, text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or len(tokens) > MAX_TOKENS:
            raise UnreadableError(f"{text[position : position + 10]!r} is not mathematics.")
        position = match.end()
        if match["number"]:
            repeating = match["rep"] or ""
            if repeating.startswith("(") and "." not in match["number"]:  # 2(3) is a product
                repeating, position = "", match.end("number")
            tokens.append(("number", _value(match["number"].replace("\x03", ""), repeating)))
        elif match["word"]:
            tokens += _word(match["word"], followed_by=text[position : position + 1])
        else:
            mark = match["command"] or match["mark"]
            name = mark[1:]
            if mark[0] == "\\" and name in FUNCTIONS:
                tokens.append(("function", name))
            elif mark[0] == "\\" and name in _CONSTANTS:
                tokens.append(("atom", _CONSTANTS[name]))
            elif mark[0] == "\\" and name in _GREEK:
                tokens.append(("atom", ("var", name)))
            else:
                tokens.append((mark, mark))
    return tokens


def _word(word: str, followed_by: str) -> list[tuple[str, Any]]:
    """Letters: a function, a constant, or a product of variables; a word of a language is none of these."""
    if word in FUNCTIONS:
        return [("function", word)]
    if word.lower() in ("pi", "inf", "infinity", "oo"):
        return [("atom", _CONSTANTS[word.lower()])]
    if len(word) > 3 or word in _NOT_VARIABLES:
        raise UnreadableError(f"{word!r} is a word.")
    if word[-1] in "fgh" and followed_by == "(":
        raise UnreadableError(f"{word}( is a function.")
    return [("atom", _CONSTANTS.get(letter, ("var", letter))) for letter in word]


def _value(digits: str, repeating: str) -> Fraction:
    value = Fraction(f"0{digits}".removesuffix("."))
    again = re.sub(r"[^0-9]", "", repeating)
    if not again:
        return value
    if "." not in digits:
        raise UnreadableError("A repeating part needs a decimal point.")
    places = len(digits.partition(".")[2])
    return value + Fraction(int(again), (10 ** len(again) - 1) * 10**places)


class _Parser:
    """Recursive descent over the tokens; each method reads one level of precedence."""

    def __init__(self, tokens: list[tuple[str, Any]]) -> None:
        self.tokens, self.place = tokens, 0
        self.angles = 0  # functions around the place: a degree is an angle in their arguments only

    @property
    def next(self) -> str:
        return self.tokens[self.place][0] if self.place < len(self.tokens) else ""

    def take(self, expected: str = "") -> Any:
        if not self.next or (expected and self.next != expected):
            raise UnreadableError(f"{expected or 'something'!r} is missing.")
        self.place += 1
        return self.tokens[self.place - 1][1]

    def sum(self, depth: int) -> Tree:
        if depth > MAX_DEPTH:
            raise UnreadableError("It is nested too deep.")
        tree = self._signed(depth)
        while self.next in ("+", "-"):
            sign = self.take()
            other = self._product(depth) if self.next not in ("+", "-") else self._signed(depth)
            tree = ("+", tree, other if sign == "+" else ("neg", other))
        return tree

    def _signed(self, depth: int) -> Tree:
        if self.next in ("+", "-"):
            sign = self.take()
            tree = self._product(depth)
            return tree if sign == "+" else ("neg", tree)
        return self._product(depth)

    def _product(self, depth: int) -> Tree:
        tree = self._factor(depth)
        while True:
            if self.next in ("*", "/"):
                operator = self.take()
                tree = (operator, tree, self._unary(depth))
            elif self.next in _ENDS or self.next == "|" or self.next.startswith(("\\r", "\\}")):
                return tree
            elif self.next == "number" and self.tokens[self.place - 1][0] == "number":
                raise UnreadableError("Two numbers are side by side.")
            else:
                tree = self._mixed(tree, self._factor(depth))

    def _mixed(self, left: Tree, right: Tree) -> Tree:
        """``2\\frac{1}{3}`` is 2 + 1/3; every other neighbour is a factor."""
        whole = left[0] == "num" and left[1].denominator == 1
        proper = right[-1] == "frac" and right[1][0] == right[2][0] == "num" and right[1][1] < right[2][1]
        if whole and proper:
            return ("+", left, right)
        return ("*", left, right)

    def _unary(self, depth: int) -> Tree:
        if self.next == "-":
            self.take()
            return ("neg", self._factor(depth))
        return self._factor(depth)

    def _factor(self, depth: int) -> Tree:
        tree = self._atom(depth)
        while self.next in ("^", "!", "'") or (self.next == "°" and self.angles):
            mark = self.take()
            if mark == "°":
                tree = ("*", tree, ("/", ("pi",), ("num", Fraction(180))))
            elif mark == "'":
                if tree[0] != "var":
                    raise UnreadableError("A prime belongs to a name.")
                tree = ("var", tree[1] + "'")
            else:
                tree = ("!", tree) if mark == "!" else ("^", tree, self._script(depth))
        return tree

    def _script(self, depth: int) -> Tree:
        """An exponent: a group, or the single token behind it (in plain text a whole number or a sign and one)."""
        if self.next == "-":
            self.take()
            return ("neg", self._script(depth))
        if self.next == "function":
            return self._atom(depth + 1)
        return self._atom(depth)

    def _group(self, depth: int) -> Tree:
        """What a command takes: a braced group, or the single token behind it."""
        if self.next == "{":
            self.take()
            tree = self.sum(depth + 1)
            self.take("}")
            return tree
        return self._atom(depth + 1)

    def _part(self, depth: int) -> Tree:
        """The numerator or denominator of ``\\frac``, which takes one digit of a number without braces."""
        digits = str(self.tokens[self.place][1]) if self.next == "number" else ""
        if len(digits) > 1 and digits.isdecimal():
            self.tokens[self.place] = ("number", Fraction(digits[1:]))
            return ("num", Fraction(digits[0]))
        return self._group(depth)

    def _atom(self, depth: int) -> Tree:
        kind = self.next
        if depth > MAX_DEPTH:
            raise UnreadableError("It is nested too deep.")
        if kind in _BRACKETS:
            self.take()
            tree = self.sum(depth + 1)
            self.take(_BRACKETS[kind])
            return tree
        if kind == "|":
            self.take()
            tree = self.sum(depth + 1)
            self.take("|")
            return ("abs", tree)
        value = self.take()
        if kind == "number":
            return ("num", value)
        if kind == "atom":
            return self._indexed(value)
        if kind == "function":
            return self._function(value, depth)
        return self._command(kind, depth)

    def _indexed(self, tree: Tree) -> Tree:
        if self.next != "_" or tree[0] != "var":
            return tree
        self.take()
        start = self.place
        self._group(0)
        return (
            "var",
            tree[1] + "_" + "".join(str(value) for kind, value in self.tokens[start : self.place] if kind not in "{}"),
        )

    def _command(self, kind: str, depth: int) -> Tree:
        if kind == "\\frac":
            top = self._part(depth)
            return ("/", top, self._part(depth), "frac")
        if kind == "\\binom":
            top = self._part(depth)
            return ("binom", top, self._part(depth))
        for opening, closing, name in (("\\lfloor", "\\rfloor", "floor"), ("\\lceil", "\\rceil", "ceil")):
            if kind == opening:
                tree = self.sum(depth + 1)
                self.take(closing)
                return (name, tree)
        raise UnreadableError(f"{kind!r} is not read.")

    def _function(self, name: str, depth: int) -> Tree:
        if name == "sqrt" and self.next == "[":
            self.take()
            degree = self.sum(depth + 1)
            self.take("]")
            return ("root", degree, self._group(depth))
        if name in ("sqrt", "cbrt"):
            return ("root", ("num", Fraction(2 if name == "sqrt" else 3)), self._group(depth))
        base: Tree | None = None
        power: Tree | None = None
        while self.next in ("_", "^"):
            if self.take() == "_":
                base = self._group(depth)
            else:
                power = self._group(depth) if self.next != "-" else self._script(depth)
        self.angles += 1
        argument = self._argument(depth)
        self.angles -= 1
        if name == "log":
            tree: Tree = ("log", base or ("num", Fraction(10)), argument)
        elif base is not None:
            raise UnreadableError(f"{name} has no base.")
        else:
            tree = (name, argument)
        if power == ("neg", ("num", Fraction(1))) and name in ("sin", "cos", "tan"):
            return (f"arc{name}", argument)
        return tree if power is None else ("^", tree, power)

    def _argument(self, depth: int) -> Tree:
        """Of a function: a bracket, or the product behind it up to an operator or another function."""
        if self.next in ("(", "{", "["):
            return self._atom(depth)
        if self.next == "function":
            return self._factor(depth + 1)
        tree = self._unary(depth)
        while self.next in ("number", "atom", "\\frac"):
            tree = ("*", tree, self._factor(depth))
        return tree
