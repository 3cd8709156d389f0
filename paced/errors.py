"""The one form of error message, and the checks that write it.

A message is one sentence: where, which argument, the rule, what came, what to do.
``ValueError`` is the caller's mistake, ``ArgumentTypeError`` a wrong type, ``assert`` our own invariant.
Rows of files are collected and reported together (:class:`BadRows`), never one crash at a time.
Left out: an exception class for every module. A caller can act on five kinds only, and they are here.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from numbers import Real


class ConfigError(ValueError):
    """A configuration that cannot be run: unknown key, wrong type, or settings that contradict each other.

    Example:
        >>> from paced.run.configfile import build_config
        >>> build_config({"name": "a", "problems": {"path": "p.jsonl"}, "sed": 1})
        Traceback (most recent call last):
        paced.errors.ConfigError: config: unknown key 'sed'. Did you mean 'seed'?
    """


class ArgumentTypeError(TypeError):
    """An argument of a wrong type, refused by a check. A plain TypeError is a mistake in the code that raised it.

    Example:
        >>> check_number("fit", "level", "high")
        Traceback (most recent call last):
        paced.errors.ArgumentTypeError: fit: level must be a number, got 'high'.
    """


class RunFolderError(RuntimeError):
    """A run folder that is locked, belongs to another configuration, or fails its checksums.

    Example:
        >>> from pathlib import Path
        >>> from paced.run.folder import RunFolder
        >>> RunFolder(Path("absent")).config()
        Traceback (most recent call last):
        paced.errors.RunFolderError: absent: is not a run folder (no config.yaml). Start one with: paced run CONFIG.
    """


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
    low: float = -math.inf,
    high: float = math.inf,
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
    if isinstance(value, bool) or not isinstance(value, Real):  # NumPy's numbers are Real, its booleans are not
        raise ArgumentTypeError(f"{place}: {name} must be a number, got {value!r}.")
    number = float(value)
    too_low = number <= low if low_open else number < low
    too_high = number >= high if high_open else number > high
    if not math.isfinite(number) or too_low or too_high:
        rule = interval_rule(low, high, low_open=low_open, high_open=high_open)
        raise ValueError(f"{place}: {name} must be {rule}, got {value!r}.{' ' + fix if fix else ''}")
    return number


def check_whole(place: str, name: str, value: float, *, low: int, fix: str = "") -> int:
    """Return ``value`` as an int, or say in one sentence why it is not a whole number >= ``low``; 8.0 is 8.

    Raises:
        ArgumentTypeError: not a number.
        ValueError: not finite, not whole, or too small.

    Example:
        >>> check_whole("snr_floor", "num_rollouts", 2.5, low=2)
        Traceback (most recent call last):
        ValueError: snr_floor: num_rollouts must be a whole number >= 2, got 2.5.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ArgumentTypeError(f"{place}: {name} must be a number, got {value!r}.")
    if not math.isfinite(value) or value != int(value) or value < low:
        raise ValueError(f"{place}: {name} must be a whole number >= {low}, got {value}.{' ' + fix if fix else ''}")
    return int(value)


def interval_rule(low: float, high: float, *, low_open: bool = False, high_open: bool = False) -> str:
    """The rule for a number of an interval, in words; an infinite end is not a rule.

    Example:
        >>> interval_rule(0, 1, low_open=True), interval_rule(0, math.inf)
        ('finite and > 0 and <= 1', 'finite and >= 0')
    """
    rule = "finite"
    if math.isfinite(low):
        rule += f" and {'>' if low_open else '>='} {low:g}"
    if math.isfinite(high):
        rule += f" and {'<' if high_open else '<='} {high:g}"
    return rule
