"""Pass rates by independent jobs: each rates its share of the problems, and the tables are put together afterwards.

The noise of a completion belongs to seed, problem and sample, so that a job need not know of the others. With ``-o
rates.parquet`` the part 3/8 is ``rates.parquet.shards/3-of-8.parquet`` with its own folder of completions beside it; a
job that was killed is started again as it was. Nothing is merged while a part is missing or was sampled otherwise.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from paced.errors import BadRow, BadRows, ConfigError, RunFolderError
from paced.pipeline.quarantine import LongPrompt, quarantine_notes
from paced.pipeline.rate_config import RateConfig
from paced.pipeline.rate_result import LeftOut, Rated, left_out_file, quarantine_file, write_unasked
from paced.pipeline.rate_state import ROLLOUTS, SETTINGS, SHARD, settings_beside, state_folder
from paced.pipeline.training_file import read_training_file
from paced.problems.files import ProblemFile
from paced.records import PassRate, Problem
from paced.rollouts.shards import Shard, shard
from paced.run.storage import read_records, write_json
from paced.run.tablefile import read_rows
from paced.weights.table.rated import check_table_name, write_rated

COUNTS = ("num_passed", "num_rollouts", "num_truncated", "num_ungradable")


def part_table(table: Path, part: Shard) -> Path:
    """Where a job writes its table.

    Example:
        >>> part_table(Path("rates.csv"), Shard(3, 8)).as_posix()
        'rates.csv.shards/3-of-8.csv'
    """
    return table.with_name(f"{table.name}.shards") / f"{part}{table.suffix}"


def part_of_file(file: ProblemFile, part: Shard) -> ProblemFile:
    """A job's share of a problem file.

    Raises:
        ConfigError: a share without a problem.
    """
    problems, rows = shard(file.problems, part.index, part.count), shard(file.rows, part.index, part.count)
    if not problems:
        raise ConfigError(f"--shard {part.index}/{part.count}: has no problem. Use fewer parts.")
    return ProblemFile(problems=tuple(problems), notes=file.notes, rows=tuple(rows))


def merge_rates(config: RateConfig, table: str | Path) -> Rated:
    """Put the tables of all jobs together, in the order of the problem file; nothing is sampled or graded.

    Args:
        config: of which the problems count.
        table: what the jobs were given as their output.

    Returns: as :func:`paced.pipeline.rate.rate`; of completions that did not pass it is known only whether they were
        truncated or could not be graded.

    Raises:
        ConfigError: a part is missing, a problem is in none or in two of them, or the table is that of a single job.
        RunFolderError: parts that were sampled with different settings.
    """
    table = Path(table)
    file = read_training_file(config.problems, config.grading)
    check_table_name(table, [problem.problem_id for problem in file.problems])
    parts = _parts(table)
    settings = _common_settings(parts)
    if (state_folder(table) / ROLLOUTS).exists():
        raise ConfigError(f"{table}: was rated by one job, whose completions are beside it. Give another name with -o.")
    rates = [rate for part in parts for rate in _read_rates(part)]
    left_out = [one for part in parts for one in read_records(left_out_file(part), LeftOut)]
    quarantined = [one for part in parts for one in read_records(quarantine_file(part), LongPrompt)]
    _refuse_misfits(table, file.problems, [one.problem_id for some in (rates, left_out, quarantined) for one in some])
    place_of = {problem.problem_id: place for place, problem in enumerate(file.problems)}
    rates.sort(key=lambda rate: place_of[rate.problem_id])
    left_out.sort(key=lambda one: place_of[one.problem_id])
    quarantined.sort(key=lambda one: place_of[one.problem_id])
    write_unasked(table, left_out, quarantined)
    write_json(state_folder(table) / SETTINGS, {"settings": settings})
    write_rated(table, rates)
    screen = settings.get("screen")
    return Rated(
        table=table,
        rates=tuple(rates),
        verdicts=_verdicts(rates),
        left_out=tuple(left_out),
        quarantined=tuple(quarantined),
        notes=(
            *file.notes,
            *quarantine_notes(quarantined, len(file.problems), str(quarantine_file(table))),
            f"{len(parts)} parts of {parts[0].parent} were put together",
        ),
        screen=(screen[0], screen[1]) if screen else None,
    )


def _parts(table: Path) -> list[Path]:
    """The tables of all jobs, the first part first."""
    folder = part_table(table, Shard(0, 1)).parent
    parts = {}
    for file in folder.glob(f"*-of-*{table.suffix}"):
        match = re.fullmatch(r"([0-9]+)-of-([0-9]+)", file.stem)
        if match:
            parts[int(match[1]), int(match[2])] = file
    counts = sorted({count for _, count in parts})
    if not counts:
        raise ConfigError(f"{folder}: holds no part. Run the jobs first: paced rate ... -o {table} --shard 0/8.")
    if len(counts) > 1:
        raise ConfigError(f"{folder}: holds parts of {counts} jobs. Delete those that are not of this rating.")
    absent = [str(index) for index in range(counts[0]) if (index, counts[0]) not in parts]
    if absent:
        raise ConfigError(
            f"{folder}: {len(absent):,} of {counts[0]:,} parts are missing ({', '.join(absent[:3])}"
            f"{', ...' if len(absent) > 3 else ''}). Run: paced rate ... -o {table} --shard {absent[0]}/{counts[0]}"
        )
    return [parts[index, counts[0]] for index in range(counts[0])]


def _common_settings(parts: Sequence[Path]) -> dict[str, Any]:
    """What all parts were sampled with."""
    settings = [{key: value for key, value in settings_beside(part).items() if key != SHARD} for part in parts]
    for part, other in zip(parts, settings, strict=True):
        changed = [key for key in {**settings[0], **other} if settings[0].get(key) != other.get(key)]
        if changed:
            values = "; ".join(f"{key} is {settings[0].get(key)!r} and {other.get(key)!r}" for key in changed)
            raise RunFolderError(
                f"{part}: was sampled with other settings than {parts[0].name}: {values}. Rate one of them again."
            )
    return settings[0]


def _read_rates(part: Path) -> list[PassRate]:
    """The rows of one job's table."""
    faults: list[BadRow] = []
    rates = [
        PassRate(problem_id=str(row["problem_id"]), **{name: int(row[name]) for name in COUNTS})
        for _, row in read_rows(part, faults)
    ]
    if faults:
        raise BadRows(str(part), faults)
    return rates


def _refuse_misfits(table: Path, problems: Sequence[Problem], names: Sequence[str]) -> None:
    """Refuse parts that are not of these problems, each once."""
    times = Counter(names)
    asked = {problem.problem_id for problem in problems}
    faults = {
        "are in none of the parts": [name for name in asked if not times[name]],
        "are in several parts": [name for name, count in times.items() if count > 1],
        "are not in the problem file": [name for name in times if name not in asked],
    }
    told = [f"{len(some):,} problems {words} ({', '.join(sorted(some)[:3])})" for words, some in faults.items() if some]
    if told:
        raise ConfigError(f"{table}: {'; '.join(told)}. Rate the parts with the problem file that is merged.")


def _verdicts(rates: Sequence[PassRate]) -> dict[str, int]:
    """What a table says of the completions."""
    passed = sum(rate.num_passed for rate in rates)
    truncated = sum(rate.num_truncated for rate in rates)
    other = sum(rate.num_rollouts for rate in rates) - passed - truncated
    ungradable = sum(rate.num_ungradable for rate in rates)
    counts = {"correct": passed, "not correct": other, "truncated": truncated, "ungradable": ungradable}
    return {name: count for name, count in counts.items() if count}
