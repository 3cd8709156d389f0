"""The one form of error message, and the checks that write it.

A message is one sentence: where, which argument, the rule, what came, what to do.
``ValueError`` is the caller's mistake, ``ArgumentTypeError`` a wrong type, ``assert`` our own invariant.
Rows of files are collected and reported together (:class:`BadRows`), never one crash at a time.
Left out: an exception class for every module. A caller can act on five kinds only, and they are here.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from paced.arrays import Booleans, Integers


class ConfigError(ValueError):
    """A configuration that cannot be run: unknown key, wrong type, or settings that contradict each other."""


class ArgumentTypeError(TypeError):
    """An argument of a wrong type, refused by a check. A plain TypeError is a mistake in the code that raised it.

    Example:
        >>> check_number("fit", "level", "high")
        Traceback (most recent call last):
        paced.errors.ArgumentTypeError: fit: level must be a number, got 'high'.
    """


class RunFolderError(RuntimeError):
    """A run folder that is locked, belongs to another configuration, or fails its checksums."""


class MissingExtraError(ImportError):
    """A package is absent; the message names the command that installs it.

    Example:
        >>> print(MissingExtraError("paced report", "jinja2", "report"))
        paced report: needs the package 'jinja2'. Install it with: pip install "paced[report]"
        >>> print(MissingExtraError("trackers: wandb", "wandb"))
        trackers: wandb: needs the package 'wandb'. Install it with: pip install wandb
    """

    def __init__(self, place: str, package: str, extra: str = "") -> None:
        target = f'"paced[{extra}]"' if extra else package
        super().__init__(f"{place}: needs the package '{package}'. Install it with: pip install {target}")


@dataclass(frozen=True, kw_only=True, slots=True)
class BadRow:
    """One row of a file that cannot be used."""

    row: int
    """Line of the file (text) or number of the record (parquet, a JSON list), counted from 1 as an editor does."""
    column: str
    """The column or field at fault."""
    found: str
    """What stood there, as text, cut to a readable length."""
    fix: str
    """What would make the row usable."""
    file: str = ""
    """The file it is in, where several are read as one."""
    id: str = ""
    """The row's own id, where it brings one."""

    def __str__(self) -> str:
        column, own_id, file = map(_printable, (self.column, self.id, self.file))
        place = f"{f'{file}, ' if file else ''}row {self.row}{f' (id {own_id})' if own_id else ''}"
        return f"{place}, column '{column}': found {self.found}. {self.fix}"


def _printable(text: str) -> str:
    return text if text.isprintable() else ascii(text)[1:-1]


class BadRows(ValueError):  # noqa: N818 - named by what it holds
    """All unusable rows of one file; ``str()`` shows the first twenty and the total.

    Example:
        >>> print(BadRows("k.csv", [BadRow(row=2, column="passes", found="'nine'", fix="Write an integer.")]))
        k.csv: 1 row cannot be used.
          row 2, column 'passes': found 'nine'. Write an integer.
    """

    SHOWN = 20

    def __init__(self, file: str, rows: Sequence[BadRow]) -> None:
        self.file = file
        self.rows = tuple(rows)
        count = len(self.rows)
        lines = [f"{file}: {count} row{'' if count == 1 else 's'} cannot be used."]
        lines += [f"  {row}" for row in self.rows[: self.SHOWN]]
        if count > self.SHOWN:
            lines.append(f"  ... and {count - self.SHOWN} more.")
        super().__init__("\n".join(lines))


def did_you_mean(word: str, known: Iterable[str], *, show: Callable[[str], str] = str) -> str:
    """The end of a message about an unknown name: the nearest of the known ones, or nothing when none is near.

    Args:
        word: what came.
        known: what there is.
        show: how the nearest one is written out.

    Example:
        >>> did_you_mean("betta", ["uniform", "beta"]), did_you_mean("x", ["uniform", "beta"])
        (" Did you mean 'beta'?", '')
    """
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" Did you mean '{show(near[0])}'?" if near else ""


def check_choice(place: str, name: str, value: object, choices: Iterable[str], *, fix: str = "") -> None:
    """Say in one sentence which names an argument takes, when ``value`` is none of them.

    Args:
        place: the public function that was called.
        name: its argument.
        value: what came.
        choices: the names, as a rule ``get_args`` of the argument's ``Literal`` or the keys of a dict.
        fix: what to do, a full sentence; the nearest name when left out.

    Raises:
        ValueError: not one of the names.

    Example:
        >>> check_choice("bin_edges", "binning", "widht", ("width", "count"))
        Traceback (most recent call last):
        ValueError: bin_edges: binning must be one of width, count, got 'widht'. Did you mean 'width'?
    """
    known = list(choices)
    if value not in known:
        advice = f" {fix}" if fix else did_you_mean(str(value), known)
        raise ValueError(f"{place}: {name} must be one of {', '.join(known)}, got {value!r}.{advice}")


def check_number(
    place: str,
    name: str,
    value: float,
    *,
    low: float = -np.inf,
    high: float = np.inf,
    low_open: bool = False,
    high_open: bool = False,
    fix: str = "",
) -> float:
    """Return ``value`` as a float, or say in one sentence why it is not in the interval.

    Args:
        place: the public function that was called.
        name: its argument.
        value: a real number; NaN and infinities are refused.
        low: smallest allowed value, itself excluded when ``low_open``.
        high: largest allowed value, itself excluded when ``high_open``.
        low_open: exclude ``low``.
        high_open: exclude ``high``.
        fix: what to do, a full sentence.

    Raises:
        ArgumentTypeError: not a number.
        ValueError: not finite, or outside the interval.

    Example:
        >>> check_number("beta_kernel", "alpha", -0.5, low=0, fix="Use alpha=0 to leave hard problems unweighted.")
        Traceback (most recent call last):
        ValueError: beta_kernel: alpha must be finite and >= 0, got -0.5. Use alpha=0 to leave hard problems unweighted.
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise ArgumentTypeError(f"{place}: {name} must be a number, got {value!r}.")
    number = float(value)
    too_low = number <= low if low_open else number < low
    too_high = number >= high if high_open else number > high
    if not np.isfinite(number) or too_low or too_high:
        rule = interval_rule(low, high, low_open=low_open, high_open=high_open)
        raise ValueError(f"{place}: {name} must be {rule}, got {value!r}.{' ' + fix if fix else ''}")
    return number


def interval_rule(low: float, high: float, *, low_open: bool = False, high_open: bool = False) -> str:
    """The rule for a number of an interval, in words; an infinite end is not a rule.

    Example:
        >>> interval_rule(0, 1, low_open=True), interval_rule(0, np.inf)
        ('finite and > 0 and <= 1', 'finite and >= 0')
    """
    rule = "finite"
    if np.isfinite(low):
        rule += f" and {'>' if low_open else '>='} {low:g}"
    if np.isfinite(high):
        rule += f" and {'<' if high_open else '<='} {high:g}"
    return rule


def check_counts(place: str, num_passed: ArrayLike, num_rollouts: ArrayLike) -> tuple[Integers, Integers]:
    """Return passes and rollouts as two int64 arrays of one shape [num_problems].

    Args:
        place: the public function that was called.
        num_passed: passes s of each problem, integers with 0 <= s <= K, shape [num_problems].
        num_rollouts: rollouts K >= 1, one number for all problems or one for each.

    Raises:
        ValueError: NaN, a fraction, a negative or absent count, s > K, K < 1, or shapes that differ;
            the message gives the number of offending problems and the first of them.

    Edges: no problem at all (an empty array) is an error: nothing can be weighted or fitted.
    """
    passed = _integers(place, "num_passed", num_passed)
    rollouts = _integers(place, "num_rollouts", num_rollouts)
    if passed.ndim != 1 or rollouts.ndim > 1:
        raise ValueError(
            f"{place}: num_passed must be one-dimensional and num_rollouts a number or one-dimensional, "
            f"got shapes {passed.shape} and {rollouts.shape}."
        )
    if passed.size == 0:
        raise ValueError(f"{place}: num_passed must hold at least one problem, got none.")
    if rollouts.ndim == 1 and rollouts.shape != passed.shape:
        raise ValueError(
            f"{place}: num_rollouts must be one number or one per problem, "
            f"got {rollouts.size} for {passed.size} problems."
        )
    rollouts = np.broadcast_to(rollouts, passed.shape)
    _refuse(place, "num_rollouts", rollouts < 1, rollouts, "be >= 1", "Leave out problems without rollouts.")
    _refuse(place, "num_passed", passed < 0, passed, "be >= 0", "A count of passes cannot be negative.")
    over = passed > rollouts
    if over.any():
        first = int(np.argmax(over))
        raise ValueError(
            f"{place}: num_passed must be in [0, num_rollouts={rollouts[first]}], got {passed[first]} "
            f"at index {first} ({int(over.sum())} of {over.size} problems). Are the two columns swapped?"
        )
    return passed, rollouts


def refuse_masked(place: str, name: str, values: ArrayLike) -> None:
    """Refuse a NumPy array with masked entries, whose values NumPy would hand out as if they were there.

    Example:
        >>> refuse_masked("fit", "num_passed", np.ma.array([3, 99], mask=[False, True]))
        Traceback (most recent call last):
        ValueError: fit: num_passed must not have masked entries, got 1 of 2. Leave those problems out of every array.
    """
    if np.ma.is_masked(values):
        mask = np.ma.getmaskarray(values)
        raise ValueError(
            f"{place}: {name} must not have masked entries, got {int(mask.sum())} of {mask.size}. Leave those problems "
            "out of every array."
        )


def _integers(place: str, name: str, values: ArrayLike) -> Integers:
    refuse_masked(place, name, values)
    array = np.asarray(values)
    if array.dtype.kind in "uf":
        with np.errstate(invalid="ignore"):
            huge = np.isfinite(array) & (np.abs(array) >= 2.0**63)
        _refuse(place, name, huge, array, "be below 2^63", "Check the number: it is not a count.")
    if array.dtype.kind in "iu":
        return array.astype(np.int64, copy=False)
    if array.dtype.kind not in "fb":
        raise ArgumentTypeError(f"{place}: {name} must hold integers, got an array of {array.dtype}.")
    if array.dtype.kind == "f":
        absent = ~np.isfinite(array)
        _refuse(place, name, absent, array, "be finite", "Leave out problems whose count is absent.")
        _refuse(place, name, array != np.rint(array), array, "hold whole numbers", "Pass counts, not rates.")
    return array.astype(np.int64)


def _refuse(place: str, name: str, bad: Booleans, values: NDArray, rule: str, fix: str) -> None:
    if bad.any():
        flat_bad, flat = np.ravel(bad), np.ravel(values)
        first = int(np.argmax(flat_bad))
        raise ValueError(
            f"{place}: {name} must {rule}, got {flat[first]} at index {first} "
            f"({int(flat_bad.sum())} of {flat_bad.size} problems). {fix}"
        )
