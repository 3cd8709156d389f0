"""What a recipe is made of: sections, choices and the types of their fields; and how plain data becomes a section.

:func:`read_section` lays plain data over the section of that place: what the data leaves out is as it was there. So a
section given in part keeps the other defaults of *its place*, which may differ from its type's. Every fault is kept
under its key, one sentence a key, so that a person hears of all of them at once.
Left out: conversions. A whole number is not read from ``8.0``, nor a number from ``true`` or from text.
"""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from paced.errors import did_you_mean

PositiveInt = Annotated[int, Meta(ge=1)]
NonNegativeInt = Annotated[int, Meta(ge=0)]
PositiveFloat = Annotated[float, Meta(gt=0)]
NonNegativeFloat = Annotated[float, Meta(ge=0)]
DecayRate = Annotated[float, Meta(ge=0, lt=1)]
Share = Annotated[float, Meta(gt=0, le=1)]
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
NAME_RULE = "letters, digits, '.', '-' and '_', starting with a letter or digit, at most 100 characters"
Name = Annotated[str, Meta(pattern=rf"\A{NAME}\Z", description=f"a name of {NAME_RULE}")]
FilePath = Annotated[str, Meta(min_length=1, description="the path of a file")]
Scalar = bool | int | float | str


class Section:
    """A part of a recipe: a frozen dataclass whose keys are its fields, each with a type, a range and a docstring."""

    moved: ClassVar[Mapping[str, str]] = {}
    """Key that an older recipe may have -> where that is written today."""
    short: ClassVar[str] = ""
    """The key whose value it is when a recipe gives a text in place of the whole section; empty for none."""

    def faults(self) -> dict[str, str]:
        """What fields of this section break together: field -> the rule and what came."""
        return {}


@dataclass(frozen=True)
class Choice(Section):
    """One of several named things and its parameters; in a recipe a bare name is short for ``{name: …}``.

    Example:
        >>> print(Choice("beta", {"alpha": 1, "beta": 2}), Choice("uniform"))
        beta(alpha=1, beta=2) uniform
    """

    moved: ClassVar[Mapping[str, str]] = {"function": "name"}
    short: ClassVar[str] = "name"

    name: Annotated[str, Meta(min_length=1, description="a name")]
    """Which one."""
    parameters: Annotated[
        dict[str, Scalar | tuple[Scalar, ...]],
        Meta(description="a mapping from names to finite numbers, text, true, false, or lists of these"),
    ] = field(default_factory=dict)
    """Its keyword arguments; those left out have the default that the named thing gives them."""

    def __str__(self) -> str:
        settings = ", ".join(f"{name}={value}" for name, value in self.parameters.items())
        return f"{self.name}({settings})" if settings else self.name


@dataclass(frozen=True)
class FileSource(Section):
    """Files that another tool wrote, or another run; in a recipe a bare path is short for ``{path: …}``.

    Example:
        >>> print(FileSource("shards/*.jsonl", {"problem_id": "uid"}))
        shards/*.jsonl (problem_id: uid)
    """

    short: ClassVar[str] = "path"

    path: Annotated[str, Meta(min_length=1, description="the path of a file, or a pattern of several")]
    """Where they are: one file, or a pattern such as `shards/*.jsonl`."""
    columns: Annotated[dict[str, str], Meta(description="a mapping from names to columns")] = field(
        default_factory=dict
    )
    """What a column holds -> its name in the file, or a path into it, where that is not called as in our own files."""

    def __str__(self) -> str:
        columns = ", ".join(f"{role}: {column}" for role, column in self.columns.items())
        return f"{self.path} ({columns})" if columns else self.path


AnySection = TypeVar("AnySection", bound=Section)
REMOTE_CODE = "trust_remote_code"
"""What other tools call the leave to run a repository's code; this one has no such setting."""
UNIONS = (Union, types.UnionType)
PLAIN = {int: "an integer", float: "a finite number", str: "text", bool: "true or false", types.NoneType: "null"}


def key_of(name: str) -> str:
    """The key of a recipe that a field has: its name, or ``from`` for ``from_``, since Python keeps that word.

    Example:
        >>> key_of("from_"), key_of("adam_betas")
        ('from', 'adam_betas')
    """
    return name.removesuffix("_")


def hints_of(kind: type[Section]) -> Mapping[str, Any]:
    """Key of a section -> its type, range included."""
    if kind not in _HINTS:
        hints = get_type_hints(kind, include_extras=True)
        named = {key_of(entry.name): hints[entry.name] for entry in dataclasses.fields(kind)}  # type: ignore[arg-type]
        _HINTS[kind] = types.MappingProxyType(named)
    return _HINTS[kind]


_HINTS: dict[type[Section], Mapping[str, Any]] = {}
"""Of every section that was read: annotations are text, and compiling it was most of the cost of reading a recipe."""


def section_of(hint: Any) -> type[Section] | None:
    """The section that a field of this type holds (``Section`` or ``Section | None``), if it holds one."""
    for kind in get_args(hint) if get_origin(hint) in UNIONS else (hint,):
        if isinstance(kind, type) and issubclass(kind, Section):
            return kind
    return None


def item_of(hint: Any) -> type[Section] | None:
    """The section of which a field of this type holds a list, if it holds one."""
    hint = _without_range(hint)
    return section_of(get_args(hint)[0]) if get_origin(hint) is tuple else None


def default_of(entry: dataclasses.Field, section: Section | None) -> Any:
    """What a field holds in ``section``, or by its type when there is none; MISSING for one that must be given."""
    if section is not None:
        return getattr(section, entry.name)
    if entry.default_factory is not dataclasses.MISSING:
        return entry.default_factory()
    return entry.default


def rule(hint: Any) -> str:
    """What a value of this type must be, in words that can follow "must be".

    Example:
        >>> rule(Share), rule(Literal["constant", "cosine"]), rule(bool | None)
        ('a finite number > 0 and <= 1', 'one of constant, cosine', 'true or false or null')
    """
    origin, inner = get_origin(hint), get_args(hint)
    if item_of(hint):
        return "a list of one mapping or more" if origin is Annotated else "a list of mappings"
    if origin is Annotated:
        meta = inner[1]
        signs = {">": meta.gt, ">=": meta.ge, "<": meta.lt, "<=": meta.le}
        bounds = " and ".join(f"{sign} {bound:g}" for sign, bound in signs.items() if bound is not None)
        return meta.description or f"{rule(inner[0])} {bounds}"
    if origin is Literal:
        return f"one of {', '.join(inner)}"
    if origin is tuple:
        size = "" if inner[-1] is ... else f" of {len(inner)}"
        return f"a list{size}, each {rule(inner[0])}"
    if origin in UNIONS:
        return " or ".join(map(rule, inner))
    if isinstance(hint, type) and issubclass(hint, Section):
        if hint is FileSource:
            return "a path, or {path: …, columns: {…}}"
        return "a name, or {name: …, parameters: {…}}" if hint is Choice else "a mapping of its keys"
    return PLAIN[hint]


def read_section(
    kind: type[AnySection], data: Any, *, default: AnySection | None, place: str, faults: dict[str, str]
) -> AnySection | None:
    """The section that ``data`` describes; a key that it leaves out is as in ``default``.

    Args:
        kind: the section's type.
        data: a mapping of plain data; for a section that has a short form also the text alone.
        default: the section of this place, or None for one that has the defaults of its type.
        place: dotted key of the section; empty for the whole recipe.
        faults: key -> sentence, to which every fault is added; one key has one sentence, the first.

    Returns:
        A section; what is at fault in it is as in ``default`` or as it came. ``default`` if ``data`` is not a mapping.
    """
    data = spelled_out(kind, data)
    if not isinstance(data, Mapping):
        faults.setdefault(place, f"{place or 'a recipe'} must be {rule(kind)}, got {_shown(data)}.")
        return default
    if kind.short and kind.short in data:
        default = None  # parameters belong to the name, columns to the file
    hints = hints_of(kind)
    for key in data:
        if key not in hints:
            faults[join(place, key)] = _unknown(kind, place, str(key))
    values = {
        entry.name: _read_value(
            hints[key_of(entry.name)],
            data.get(key_of(entry.name), dataclasses.MISSING),
            default=default_of(entry, default),
            place=join(place, key_of(entry.name)),
            faults=faults,
        )
        for entry in dataclasses.fields(kind)  # type: ignore[arg-type]
    }
    section = kind(**values)
    for name, sentence in section.faults().items():
        key = join(place, name)
        faults.setdefault(key, f"{key} {sentence}")
    return section


def spelled_out(kind: type[Section] | None, data: Any) -> Any:
    """A section that is given as a text alone as the mapping for which it is short; anything else as it is."""
    return {kind.short: data} if kind is not None and kind.short and isinstance(data, str) else data


def _read_value(hint: Any, value: Any, *, default: Any, place: str, faults: dict[str, str]) -> Any:
    if value is dataclasses.MISSING:
        if default is not dataclasses.MISSING:
            return default
        faults[place] = f"{place} must be given: {rule(hint)}."
        return ""
    kind, item = section_of(hint), item_of(hint)
    if kind is not None and not (value is None and default is None):
        own_default = default if isinstance(default, kind) else None
        return read_section(kind, value, default=own_default, place=place, faults=faults)
    if item is not None and isinstance(value, (list, tuple)) and value:
        items = [
            read_section(item, one, default=None, place=join(place, number), faults=faults)
            for number, one in enumerate(value, start=1)
        ]
        return tuple(one for one in items if one is not None)
    try:
        converted = msgspec.convert(value, hint)
        if _is_finite(converted):
            return converted
    except (msgspec.ValidationError, OverflowError):
        pass
    faults[place] = f"{place} must be {rule(hint)}, got {_shown(value)}.{_advice(hint, value)}"
    fallback = "" if default is dataclasses.MISSING else default
    return value if type(value) is type(fallback) else fallback


def join(place: str, key: object) -> str:
    """The dotted key of ``key`` in the section at ``place``; items of a list count from 1.

    Example:
        >>> join(join("stages", 1), "share"), join("", "seed")
        ('stages.1.share', 'seed')
    """
    return f"{place}.{key}" if place else str(key)


def _unknown(kind: type[Section], place: str, key: str) -> str:
    where = join(place, key)
    if key == REMOTE_CODE:
        return f"{where} is refused: code that a model's or a data set's repository brings is never run. Leave it out."
    if key in kind.moved:
        return f"{where} is now {join(place, kind.moved[key])}."
    known = hints_of(kind)
    nearest = did_you_mean(key, known, show=lambda name: join(place, name))
    return f"unknown key '{where}'." + (nearest or f" Known: {', '.join(sorted(known))}.")


def _advice(hint: Any, value: Any) -> str:
    """What to do about a value that does not fit: take the nearest choice, or put quotes around what is to be text."""
    plain = _without_range(hint)
    if plain is str and not isinstance(value, (str, Mapping, list, type(None))):
        return " Write it in quotes."
    inner = get_args(plain)[0] if get_origin(plain) is tuple else plain
    if get_origin(inner) is not Literal:
        return ""
    choices = get_args(inner)
    wrong = [one for one in (value if isinstance(value, (list, tuple)) else [value]) if one not in choices]
    return did_you_mean(str(wrong[0]), choices) if wrong else ""


def _without_range(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _is_finite(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    inside: Iterable[Any] = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple) else ()
    return all(map(_is_finite, inside))


def _shown(value: Any) -> str:
    """The value as a recipe has it, cut to a readable length."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
