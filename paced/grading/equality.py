r"""Which answers count as equal, by this project's own rules (``rules.py`` has their table).

:func:`equal` answers yes, no, or None when the notation was not read; a yes or no names its rule. Decimals are exact
values, so that a rounding is not a surd.
"""

from __future__ import annotations

import re
from fractions import Fraction

from paced.grading.balls import same_ratio, same_value
from paced.grading.notation import notation
from paced.grading.shapes import Shape, read_shape, split_top
from paced.grading.terms import Tree, variables

_GROUPED = re.compile(r"(?<![0-9.,\x03])[1-9][0-9]{0,2}(?:,[0-9]{3})+(?![0-9,\x03])")
_CHOICE = re.compile(
    r"[\x01(\[ ]*(?:(?:option|choice|answer)[: ]*)?[\x01( ]*(?P<letter>[A-J])(?P<mark>[\x02)\].: ]*)(?P<text>.*)",
    re.IGNORECASE | re.DOTALL,
)
_NOTHING = frozenset({"no solution", "empty set", "none", "no real solution", "there is no solution"})
_SYNONYMS = {
    "does not exist": "dne",
    "undefined": "dne",
    "do not exist": "dne",
    "infinitely many solution": "infinitely many",
}


def equal(gold: str, said: str) -> tuple[bool | None, str]:
    r"""(whether two answers are equal or None when a notation is not read, the rule that says so).

    Args:
        gold: the gold answer, as it is written.
        said: the extracted answer.

    Example:
        >>> equal(r"\frac{1}{2}", "0.5"), equal("5 cm", "5 m"), equal("4210_5", "4210_6")
        ((True, 'value'), (False, 'unit'), (False, 'base'))
        >>> equal(r"\int_0^1 x\,dx", r"\frac12")
        (None, 'unread')
    """
    one, other = notation(gold), notation(said)
    if _letters(one) == _letters(other) and _letters(one):
        return True, "text"
    if re.fullmatch("[a-z]{3,}", _letters(one).casefold()) and _letters(one).casefold() == _letters(other).casefold():
        return True, "words"
    choice = by_choice(one, other)
    if choice is not None:
        return choice
    outcomes = [_shapes(read_shape(a), read_shape(b)) for a in _readings(one, other) for b in _readings(other, one)]
    for wanted in (True, None):
        hit = next((outcome for outcome in outcomes if outcome[0] is wanted), None)
        if hit is not None:
            return hit
    return outcomes[0]


def _letters(text: str) -> str:
    """The text without blanks that mean nothing: those that are not between two digits or two letters."""
    return re.sub(r"(?<![0-9A-Za-z]) | (?![0-9A-Za-z])", "", text.replace("\x01", " ").replace("\x02", " ").strip())


def _readings(text: str, other: str) -> list[str]:
    """The text with groups of three digits as numbers and, where the other side is not a plain number, as a list."""
    grouped = "".join(
        _GROUPED.sub(lambda match: match[0].replace(",", "\x03"), piece) + mark
        for piece, mark in split_top(text, re.compile("\0"))
    )
    if grouped == text or text[:1] in "([{" or text.startswith("\\{"):
        return [text]
    return [grouped] if re.fullmatch(r"[0-9.,\x03]*", other) else [grouped, text]


def by_choice(gold: str, said: str) -> tuple[bool, str] | None:
    """The rule of options, when the gold answer is the letter of one: None for every other gold answer."""
    asked = option_of(gold)
    if asked is None:
        return None
    letter, text = asked
    given = option_of(said)
    if given is not None and given[0] == letter:
        clash = bool(text and given[1]) and equal(text, given[1])[0] is not True
        return not clash and not re.search(r"(?i)\b(?:or|and|not)\b", given[1]), "choice"
    if text and given is None:
        return equal(text, said)[0] is True, "choice"
    return False, "choice"


def option_of(text: str) -> tuple[str, str] | None:
    """(letter, text of the option) of an answer that names an option; a lone letter is one."""
    match = _CHOICE.fullmatch(text)
    if match is None or (match["text"] and not re.search(r"[).:\]]", match["mark"])):
        return None
    if match["letter"].islower() and not re.search(r"[)\]]", match["mark"]):
        return None
    return match["letter"].upper(), match["text"].strip("\x01\x02 ")


def _shapes(gold: Shape, said: Shape) -> tuple[bool | None, str]:
    if gold.name and said.name and gold.name != said.name and len(gold.name) == len(said.name) == 1:
        return False, "label"
    kinds = {gold.kind, said.kind}
    if "relation" in kinds:
        return _relations(gold, said)
    if "unread" in kinds:
        return (False, "words") if "words" in kinds else (None, "unread")
    if kinds == {"value"}:
        return _values(gold, said)
    if "base" in kinds:
        return _bases(gold, said), "base"
    if kinds <= {"list", "set"}:
        return _unordered(gold, said), "list"
    if kinds == {"union"} or (kinds == {"union", "list"} and {part.kind for part in said.parts} == {"interval"}):
        return _unordered(gold, said), "interval"
    if kinds == {"words"} or kinds == {"words", "set"}:
        return _plain_words(gold) == _plain_words(said), "words"
    if kinds == {"clock"}:
        return _clocks(gold, said), "clock"
    if "ratio" in kinds or "clock" in kinds:
        return _ratios(gold, said), "ratio"
    if gold.kind != said.kind or len(gold.parts) != len(said.parts):
        return False, _rule_of(gold.kind)
    if gold.kind == "interval" and (gold.parts[0], gold.parts[-1]) != (said.parts[0], said.parts[-1]):
        return False, "interval"
    parts = [
        _shapes(a, b)[0]
        for a, b in zip(gold.parts, said.parts, strict=True)
        if isinstance(a, Shape) and isinstance(b, Shape)
    ]
    return (False if False in parts else None if None in parts else True), _rule_of(gold.kind)


def _rule_of(kind: str) -> str:
    return {"row": "matrix", "determinant": "matrix", "set": "list", "union": "interval"}.get(kind, kind)


def _values(gold: Shape, said: Shape) -> tuple[bool | None, str]:
    (one,), (other,) = gold.parts, said.parts
    if _infinite(one) or _infinite(other):
        return (_infinite(one) == _infinite(other) if _infinite(one) and _infinite(other) else False), "value"
    same = same_value(one, other)
    if gold.unit and said.unit and gold.unit != said.unit:
        return False, "unit"
    if same is False and (gold.unit == "%") != (said.unit == "%"):
        hundredth: Tree = ("/", one if gold.unit == "%" else other, ("num", Fraction(100)))
        same = same_value(hundredth, other if gold.unit == "%" else one)
        return same, "percent"
    return same, "value"


def _infinite(tree: Tree) -> int:
    """1 and -1 for the infinities, 0 for all else; an expression that contains one is compared as text only."""
    return {("inf",): 1, ("neg", ("inf",)): -1}.get(tree, 0)


def _relations(gold: Shape, said: Shape) -> tuple[bool | None, str]:
    if gold.kind == said.kind and gold.parts[0] == said.parts[0]:
        (_, left, right, *named), (_, left2, right2, *named2) = gold.parts, said.parts
        if named and named2 and gold.name and said.name:
            same, rule = _shapes(_named(named[0], gold), _named(named2[0], said))
            if same:
                return True, rule
        difference, difference2 = ("+", left, ("neg", right)), ("+", left2, ("neg", right2))
        if variables(difference) != variables(difference2):
            return False, "equation"
        if gold.parts[0] in ("=", "\\ne"):
            return (same_ratio(difference, difference2) if variables(difference) else None), "equation"
        sides = same_value(left, left2), same_value(right, right2)
        return (True if sides == (True, True) else None), "equation"
    if gold.kind == said.kind:
        return None, "unread"
    relation, other = (gold, said) if gold.kind == "relation" else (said, gold)
    if relation.parts[0] == "=" and relation.name:
        inner = _named(relation.parts[3], relation)
        return _shapes(inner, other) if relation is gold else _shapes(other, inner)
    if relation.parts[0] == "=" and relation is said and not variables(relation.parts[1]):
        holds = same_value(relation.parts[1], relation.parts[2])
        return _shapes(gold, Shape("value", (relation.parts[2],))) if holds else (False, "equation")
    return (False if other.kind != "unread" else None), "equation"


def _named(shape: Shape, relation: Shape) -> Shape:
    return Shape(shape.kind, shape.parts, shape.unit, relation.name, shape.text)


def _unordered(gold: Shape, said: Shape) -> bool | None:
    """Whether each element of one has its own equal in the other; elements of a set count once."""
    left, right = (_distinct(one) if "set" in (gold.kind, said.kind) else list(one.parts) for one in (gold, said))
    if len(left) != len(right):
        return False
    unread = False
    for part in left:
        outcomes = [_shapes(part, other)[0] for other in right]
        if True not in outcomes:
            if None not in outcomes:
                return False
            unread = True
            continue
        right.pop(outcomes.index(True))
    return None if unread else True


def _distinct(shape: Shape) -> list[Shape]:
    parts: list[Shape] = []
    for part in shape.parts:
        if not any(_shapes(part, other)[0] for other in parts):
            parts.append(part)
    return parts


def _bases(gold: Shape, said: Shape) -> bool:
    if gold.kind == said.kind:
        return gold.parts == said.parts
    base, other = (gold, said) if gold.kind == "base" else (said, gold)
    return other.text.replace("\x03", "").replace(",", "").lstrip("0").upper() == base.parts[0]


def _clocks(gold: Shape, said: Shape) -> bool:
    (hour, minute, half), (hour2, minute2, half2) = gold.parts, said.parts
    if half and not half2 and hour2 <= 12:
        return False
    if not half and half2 and hour <= 12:
        return (hour % 12, minute) == (hour2 % 12, minute2)
    return _minutes(hour, minute, half) == _minutes(hour2, minute2, half2)


def _minutes(hour: int, minute: int, half: str) -> int:
    return ((hour % 12 + (12 if half == "p" else 0)) if half else hour) * 60 + minute


def _ratios(gold: Shape, said: Shape) -> bool | None:
    left, right = _terms(gold), _terms(said)
    if left is None or right is None:
        return False
    if len(left) != len(right):
        if {len(left), len(right)} != {1, 2}:
            return False
        left, right = ([one[0], one[1]] if len(one) == 2 else [one[0], ("num", Fraction(1))] for one in (left, right))
    return all(same_value(("*", a, right[0]), ("*", left[0], b)) for a, b in zip(left, right, strict=True))


def _terms(shape: Shape) -> list[Tree] | None:
    if shape.kind == "clock":
        return [("num", Fraction(number)) for number in shape.parts[:2]] if not shape.parts[2] else None
    return list(shape.parts) if shape.kind in ("ratio", "value") else None


def _plain_words(shape: Shape) -> str:
    if shape.kind == "set":
        return "no solution" if not shape.parts else "\0"
    words = re.sub(r"[^\w ]", " ", shape.parts[0].casefold().replace("'", ""))
    words = " ".join(word for word in words.split() if word not in ("the", "a", "an"))
    words = re.sub(r"solutions\b", "solution", words)
    return "no solution" if words in _NOTHING else _SYNONYMS.get(words, words)
