r"""The form of an answer: a value with its unit, a list, tuple, set, interval, union, matrix, relation, time or words.

:func:`read_shape` reads all of an answer or says that it cannot; parts are read by the same rules. Which forms are
equal is ``equality.py``'s to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from paced.grading.numerals import read_quantity
from paced.grading.terms import Tree, UnreadableError, read_tree
from paced.grading.units import unit_of

MAX_PARTS = 64
"""Elements of a list, set or matrix."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One answer, or a part of one."""

    kind: str
    """value, list, set, tuple, interval, union, matrix, relation, base, clock, ratio, words or unread."""
    parts: tuple[Any, ...] = ()
    """The tree of a value; the shapes of what has parts; (operator, left, right) of a relation."""
    unit: str = ""
    """Of a value, in one spelling."""
    name: str = ""
    """What is before ``=``, when it is a name."""
    text: str = field(default="", compare=False)
    """What was read."""


_EMPTY = re.compile(r"\\emptyset ?|\\\{ ?\\\}|\{ ?\}")
_NUMBER_WORDS = {
    word: number
    for number, word in enumerate(
        ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
    )
} | {"sixteen": 16, "binary": 2, "octal": 8, "hexadecimal": 16}
_BASE = re.compile(
    r"\(?(?P<digits>[0-9A-Za-z]+(?:\.[0-9A-Za-z]+)?)\)?(?: ?_ ?\{?| (?:in )?(?=base))[\x01 (]*(?:base[ -]?)?"
    r"[\x02 ]*(?P<base>[0-9]{1,2}|[a-z]+)[\x02 )]*\}?"
)
_CLOCK = re.compile(r"(?P<hour>[0-9]{1,2})(?::(?P<minute>[0-5][0-9]))? ?(?P<half>[ap]\.?m\.?)?", re.IGNORECASE)
_MATRIX = re.compile(r"\\begin ?\{(?P<kind>[pbvVB]?matrix|array)\}(?:\{[^{}]*\})?(?P<body>.*)\\end ?\{(?P=kind)\}")
_RELATION = re.compile(r"\\(?:le|ge|ne|in|approx|equiv|to)(?![A-Za-z])|[<>=]")
_FLIPPED = {">": "<", "\\ge": "\\le"}
_NAME = re.compile(
    r"(?:\([A-Za-z\\, ]+\)|\\?[A-Za-z]+'*(?:_(?:\{[^{}]*\}|[A-Za-z0-9]))?(?: ?\([^()=<>]*\))?"
    r"|\x01[^\x01\x02]*\x02|\|[A-Z]{2}\||\\(?:overline|angle|triangle) ?(?:\{[A-Z]+\}|[A-Z]+))"
    r"(?:(?: ?[+*] ?| )[A-Za-z]{1,2}(?![A-Za-z]))*"
)
_RATIO_OF_NAMES = re.compile(
    rf"(?:{_NAME.pattern})(?: ?: ?(?:{_NAME.pattern}))+"
    r"|\\frac ?\{[A-Z]{2}\} ?\{[A-Z]{2}\}|[A-Z]{2} ?/ ?[A-Z]{2}"
)
"""What a ratio is called: ``V_1:V_2``, or two segments, ``\\frac{AB}{CD}``."""
_SEPARATOR = re.compile(r",|;|\\lor(?![A-Za-z])|(?<![A-Za-z])(?:and|or)(?![A-Za-z])")
_CURRENCY = re.compile(r"(?P<sign>-)? ?(?P<unit>USD|US ?\$|EUR|GBP|[$€£¥₹]) ?")
_UNIT_START = re.compile(r"\x01| (?=[A-Za-z])|[°%$€£¥₹]|\\frac ?\{ ?\x01|(?<=[0-9}])(?=[A-Za-z]{2})")
_WORDS = re.compile(r"[^\W\d_][\w'&-]*(?:[ ,.-]+\w[\w'&.-]*)*[.!]?")


def read_shape(text: str) -> Shape:
    r"""The form of an answer in the spelling of :func:`paced.grading.notation.notation`.

    Example:
        >>> read_shape(r"(3, \frac{1}{2})").kind, read_shape(r"x > 5").kind, read_shape("1, 2").kind
        ('interval', 'interval', 'list')
        >>> read_shape("5 \x01cm\x02").unit, read_shape("Evelyn").kind, read_shape(r"\int x").kind
        ('centimeter', 'words', 'unread')
    """
    text = text.strip()
    for reader in (
        _empty,
        _matrix,
        _list,
        _relation,
        _base,
        _clock,
        _union,
        _bracketed,
        _plus_minus,
        _ratio,
        _scalar,
        _words,
    ):
        shape = reader(text)
        if shape is not None:
            return shape if shape.text else replace(shape, text=text)
    return Shape("unread", text=text)


def _empty(text: str) -> Shape | None:
    return Shape("set") if _EMPTY.fullmatch(text) else None


def _matrix(text: str) -> Shape | None:
    match = _MATRIX.fullmatch(text)
    if match is None:
        return None
    body = match["body"].replace("\\hline", "").strip()
    rows = [row.split("&") for row in re.split(r"\\\\", body.removesuffix("\\\\"))]
    if sum(map(len, rows)) > MAX_PARTS or len({len(row) for row in rows}) != 1:
        return None
    kind = "determinant" if match["kind"].lower() == "vmatrix" else "matrix"
    return Shape(kind, tuple(Shape("row", tuple(read_shape(cell) for cell in row)) for row in rows))


def _list(text: str) -> Shape | None:
    pieces = list(split_top(text, _SEPARATOR))
    texts = [piece.strip() for piece, _ in pieces]
    if len(texts) > 1 and not texts[-1]:
        texts.pop()
    texts = [one for index, one in enumerate(texts) if one or index not in range(1, len(texts) - 1)]  # "1, 2, and 3"
    if not 1 < len(texts) <= MAX_PARTS or not all(texts):
        return None
    shapes = [read_shape(one) for one in texts]
    if all(shape.kind == "words" for shape in shapes) and not any("," in mark or ";" in mark for _, mark in pieces):
        return None
    flat = [part for shape in shapes for part in (shape.parts if shape.kind == "list" else [shape])]
    return Shape("list", tuple(flat))


def _relation(text: str) -> Shape | None:
    pieces = [(piece.strip(), mark) for piece, mark in split_top(text, _RELATION)]
    if len(pieces) < 2:
        return None
    marks = [mark for _, mark in pieces[:-1]]
    first, last = pieces[0][0], pieces[-1][0]
    if not last or (not first and marks != ["="]):
        return None
    if set(marks) == {"="}:
        return _equation(first, last)
    if marks == ["\\in"] and _NAME.fullmatch(first):
        return replace(read_shape(last), name=first)
    if marks == ["\\approx"] and re.fullmatch(r"-?[0-9]*\.?[0-9]+.*", last):
        return replace(read_shape(last), name=first)
    try:
        sides = [read_tree(piece) for piece, _ in pieces]
    except UnreadableError:
        return Shape("unread")
    if all(mark in (">", "\\ge") for mark in marks):
        sides.reverse()
        marks = [_FLIPPED[mark] for mark in reversed(marks)]
    if all(mark in ("<", "\\le") for mark in marks):
        return _between(sides, marks)
    return Shape("relation", (marks[0], *sides)) if len(marks) == 1 else Shape("unread")


def _equation(first: str, last: str) -> Shape:
    if not first or _RATIO_OF_NAMES.fullmatch(first):
        return replace(read_shape(last), name=first)
    if _NAME.fullmatch(first) and not _NAME.fullmatch(last):
        shape = replace(read_shape(last), name=first)
    elif _NAME.fullmatch(last) and not _NAME.fullmatch(first):
        shape = replace(read_shape(first), name=last)
    elif _NAME.fullmatch(first):
        shape = replace(read_shape(last), name=first)
    else:
        shape = Shape("unread")
    try:
        sides = read_tree(first), read_tree(last)
    except UnreadableError:
        return shape
    return Shape("relation", ("=", *sides, shape), name=shape.name)


def _between(sides: list[Tree], marks: list[str]) -> Shape:
    """``a < x <= b`` as the interval of x."""
    if len(sides) == 2 and any(_is_negated(side) for side in sides):  # -x > -1 is x < 1
        sides = [side[1] if _is_negated(side) else ("neg", side) for side in reversed(sides)]
    inf: Tree = ("inf",)
    middle = [index for index, side in enumerate(sides) if side[0] == "var"]
    if len(sides) == 2 and middle == [0]:
        return Shape("interval", ("(", Shape("value", (("neg", inf),)), Shape("value", (sides[1],)), _close(marks[0])))
    if len(sides) == 2 and middle == [1]:
        return Shape("interval", (_open(marks[0]), Shape("value", (sides[0],)), Shape("value", (inf,)), ")"))
    if len(sides) == 3 and middle == [1]:
        ends = Shape("value", (sides[0],)), Shape("value", (sides[2],))
        return Shape("interval", (_open(marks[0]), *ends, _close(marks[1])))
    return Shape("relation", (marks[0], *sides)) if len(sides) == 2 else Shape("unread")


def _is_negated(side: Tree) -> bool:
    return side[0] == "neg" and side[1][0] == "var"


def _open(mark: str) -> str:
    return "(" if mark == "<" else "["


def _close(mark: str) -> str:
    return ")" if mark == "<" else "]"


def _base(text: str) -> Shape | None:
    match = _BASE.fullmatch(text)
    if match is None or not any(one.isdigit() for one in match["digits"]) or match["digits"][0].islower():
        return None
    base = int(match["base"]) if match["base"].isdecimal() else _NUMBER_WORDS.get(match["base"])
    return Shape("base", (match["digits"].upper().lstrip("0") or "0", base)) if base else None


def _clock(text: str) -> Shape | None:
    match = _CLOCK.fullmatch(text.replace("\x01", " ").replace("\x02", " ").replace("  ", " ").strip())
    if match is None or not (match["minute"] or match["half"]) or int(match["hour"]) > 24:
        return None
    return Shape("clock", (int(match["hour"]), int(match["minute"] or 0), (match["half"] or "")[:1].lower()))


def _union(text: str) -> Shape | None:
    parts = [piece for piece, _ in split_top(text, re.compile(r"\\cup(?![A-Za-z])|(?<=[)\]]) ?U ?(?=[(\[])"))]
    if len(parts) < 2:
        return None
    return Shape("union", tuple(read_shape(part) for part in parts))


def _bracketed(text: str) -> Shape | None:
    for opening, closing in (("\\{", "\\}"), ("(", ")"), ("[", "]"), ("(", "]"), ("[", ")"), ("{", "}")):
        if not (text.startswith(opening) and text.endswith(closing) and len(text) > len(opening)):
            continue
        inside = text[len(opening) : -len(closing)]
        parts = [piece.strip() for piece, _ in split_top(inside, re.compile("[,;]"))]
        if not _balanced(inside) or len(parts) > MAX_PARTS:
            return None
        is_set = opening in ("\\{", "{")
        if len(parts) == 1:
            if "|" in inside or ":" in inside:
                return Shape("unread") if is_set else None
            shape = read_shape(inside)
            return (
                Shape("set", shape.parts if shape.kind == "list" else (shape,))
                if opening == "\\{"
                else (
                    shape
                    if opening in ("(", "{", "[") and shape.kind in ("interval", "list", "set", "matrix")
                    else None
                )
            )
        shapes = tuple(read_shape(part) for part in parts)
        if is_set:
            return Shape("set", tuple(part for one in shapes for part in (one.parts if one.kind == "list" else [one])))
        return Shape("interval", (opening, *shapes, closing)) if len(parts) == 2 else Shape("tuple", shapes)
    return None


def _plus_minus(text: str) -> Shape | None:
    if "\\pm" not in text and "\\mp" not in text:
        return None
    pieces = re.split(r"\\(pm|mp)(?![A-Za-z])", text)
    if len(pieces) > 7:
        return None
    signs = {True: {"pm": "+", "mp": "-"}, False: {"pm": "-", "mp": "+"}}
    both = (
        "".join(piece if index % 2 == 0 else signs[upper][piece] for index, piece in enumerate(pieces))
        for upper in (True, False)
    )
    shapes = tuple(read_shape(one) for one in both)
    return Shape("list", shapes) if all(shape.kind == "value" for shape in shapes) else None


def _ratio(text: str) -> Shape | None:
    parts = re.split(r":|(?<=[0-9]) (?:\x01 ?)?to ?(?:\x02)? (?=[0-9])", text)
    if not 1 < len(parts) < 6:
        return None
    shapes = tuple(_scalar(part.strip()) for part in parts)
    return Shape("ratio", tuple(one.parts[0] for one in shapes if one)) if all(shapes) else None


def _scalar(text: str) -> Shape | None:
    """A value and its unit: a plain number in any dress, or an expression with a unit behind it."""
    if not text or len(text) > 4000:
        return None
    quantity = read_quantity(text.translate({1: " ", 2: " ", 3: ","}))
    if quantity is not None:
        return Shape("value", (("num", quantity[0]),), unit=quantity[1])
    tree = _tree_or_none(text)
    if tree is not None:
        return Shape("value", (tree,))
    money = _CURRENCY.match(text)
    if money is not None:
        tree = _tree_or_none((money["sign"] or "") + text[money.end() :])
        return Shape("value", (tree,), unit=unit_of(money["unit"]) or "$") if tree is not None else None
    for place in list(_UNIT_START.finditer(text))[:8]:
        unit = unit_of(text[place.start() :].translate({1: " ", 2: " "}).replace("  ", " "))
        number = text[: place.start()]
        tree = _tree_or_none(number) if unit is not None and re.search(r"[0-9\\]", number) else None
        if tree is not None:
            return Shape("value", (tree,), unit=unit or "")
    dots = re.fullmatch(r"(-?[0-9]*\.[0-9]*?)([0-9]{1,3}?)\2{2,} ?(?:\\ldots ?)", text)
    if dots is not None:
        tail = dots[2]
        places = len(dots[1].partition(".")[2])
        sign = -1 if dots[1].startswith("-") else 1
        whole = Fraction(dots[1].lstrip("-").rstrip(".") or "0") if dots[1].strip("-.") else Fraction(0)
        return Shape("value", (("num", sign * (whole + Fraction(int(tail), (10 ** len(tail) - 1) * 10**places))),))
    return None


def _words(text: str) -> Shape | None:
    words = text.replace("\x01", " ").replace("\x02", " ").strip()
    words = words[1:-1] if words[:1] + words[-1:] == "()" else words
    return Shape("words", (" ".join(words.split()),)) if _WORDS.fullmatch(words) else None


def split_top(text: str, pattern: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    """(piece, what separates it from the next) at depth 0 of brackets; one piece when nothing separates.

    Example:
        >>> list(split_top("(1, 2), 3", re.compile(",")))
        [('(1, 2)', ','), (' 3', '')]
    """
    depths = _depths(text)
    start = 0
    for match in pattern.finditer(text):
        if depths[match.start()] == 0:
            yield text[start : match.start()], match[0]
            start = match.end()
    yield text[start:], ""


def _depths(text: str) -> list[int]:
    depths, depth, in_words = [], 0, False
    for character in text:
        if character in "([{":
            depth += 1
        depths.append(depth + in_words)
        if character in ")]}":
            depth -= 1
        if character == "\x01":
            in_words = True
        elif character == "\x02":
            in_words = False
    return depths


def _balanced(text: str) -> bool:
    depths = _depths(text)
    return not depths or (
        min(depths) >= 0
        and text.count("(") + text.count("[") + text.count("{") == text.count(")") + text.count("]") + text.count("}")
    )


def _tree_or_none(text: str) -> Tree | None:
    try:
        return read_tree(text)
    except UnreadableError:
        return None
