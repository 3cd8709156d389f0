"""What one call of ``paced rate`` has counted, and the summary of it as text and as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from paced.pipeline.quarantine import LongPrompt
from paced.records import PassRate
from paced.run.storage import write_records
from paced.weights.table.summary import table_summary


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A problem that could not be asked."""

    problem_id: str
    """Which one."""
    row: int
    """Where it is in the problem file."""
    prompt_tokens: int
    """Length of its prompt."""
    max_new_tokens: int
    """What a completion may have."""
    context_tokens: int
    """What the model takes in all."""

    def __str__(self) -> str:
        return (
            f"{self.problem_id} (row {self.row}): {self.prompt_tokens:,} tokens and {self.max_new_tokens:,} new ones "
            f"do not fit into a context of {self.context_tokens:,}"
        )


@dataclass(frozen=True, kw_only=True)
class Rated:
    """What one call has counted."""

    table: Path
    """The table, one row for each problem in the order of the problem file."""
    rates: tuple[PassRate, ...]
    """Its rows."""
    verdicts: Mapping[str, int]
    """Verdict -> number of completions."""
    left_out: tuple[LeftOut, ...] = ()
    """Problems that could not be asked; they have no row."""
    quarantined: tuple[LongPrompt, ...] = ()
    """Problems that were not to be asked, since their prompts are over the limit; they have no row either."""
    notes: tuple[str, ...] = ()
    """What a person should know of how the inputs were read."""
    screen: tuple[int, int] | None = None
    """(K1, K) when sampled in two phases."""

    @property
    def num_completions(self) -> int:
        """All that were graded."""
        return sum(self.verdicts.values())

    @property
    def left_out_file(self) -> Path:
        """JSON lines of :class:`LeftOut`, there when there are any."""
        return left_out_file(self.table)

    def report(self) -> tuple[str, dict[str, Any]]:
        """The summary as text and as plain data: verdicts, histogram, effective samples, fit, what is left out."""
        data: dict[str, Any] = {
            "table": str(self.table),
            "num_problems": len(self.rates),
            "num_completions": self.num_completions,
            "verdicts": dict(self.verdicts),
            "left_out": [vars(one) for one in self.left_out],
            "quarantined": [asdict(one) for one in self.quarantined],
            "notes": list(self.notes),
        }
        shares = ", ".join(
            f"{100 * count / self.num_completions:.1f} % {name}" for name, count in self.verdicts.items()
        )
        lines = [*self.notes, f"{self.num_completions:,} completions of {len(self.rates):,} problems: {shares}"]
        if self.screen:
            lines.append(self._screening(data))
        if self.left_out:
            count = len(self.left_out)
            lines.append(
                f"left out: {count:,} problem{'s' * (count > 1)}, named in {self.left_out_file}; the first is "
                f"{self.left_out[0]}"
            )
        if any(rate.num_rollouts for rate in self.rates):
            text, more = table_summary(self.table, self.rates, screen=self.screen)
            lines += ["", text, ""]
            data |= more
        lines.append(f"written: {self.table}")
        return "\n".join(lines), data

    def _screening(self, data: dict[str, Any]) -> str:
        """What the two phases have cost, beside K for all."""
        assert self.screen is not None
        first, whole = self.screen
        counts = [rate.num_rollouts + rate.num_ungradable for rate in self.rates]
        ended = [rate for rate, count in zip(self.rates, counts, strict=True) if count == first]
        never = sum(rate.num_passed == 0 for rate in ended)
        data["screen"] = {"num_first": first, "num_all": whole, "num_ended": len(ended), "num_never_solved": never}
        return (
            f"screening {first}, then {whole}: {len(ended):,} problems ended after {first} rollouts ({never:,} never "
            f"solved), {len(counts) - len(ended):,} continued; {sum(counts):,} rollouts, K = {whole} for all would be "
            f"{whole * len(counts):,}. The intervals take K as fixed beforehand, which screening does not."
        )


def left_out_file(table: Path) -> Path:
    """Where the problems that could not be asked are named."""
    return table.with_name(f"{table.name}.left-out.jsonl")


def quarantine_file(table: Path) -> Path:
    """Where the problems whose prompts are over the limit are named."""
    return table.with_name(f"{table.name}.quarantine.jsonl")


def write_unasked(table: Path, left_out: Sequence[LeftOut], quarantined: Sequence[LongPrompt]) -> None:
    """Name the problems that have no row, beside the table; a file of an earlier call that names none is removed."""
    records: dict[Path, Sequence[Any]] = {left_out_file(table): left_out, quarantine_file(table): quarantined}
    for file, unasked in records.items():
        file.unlink(missing_ok=True)
        if unasked:
            write_records(file, unasked)
