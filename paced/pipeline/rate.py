"""Pass rates of a problem file, without a recipe: sample K answers, grade them, count, and survive a kill.

    problems -> TABLE.rollouts/rollouts.jsonl -> grades.jsonl -> TABLE

Beside the table is a folder with the completions, so that the same call continues after a kill, a larger K keeps what
is there, and another answer format grades anew without sampling. A call with other settings, another model or other
problems is refused with both values. The noise is that of stage 1 of a run with the same seed, and so are the rates.
A problem whose prompt leaves no room for a completion is left out and named, and so is one whose prompt is over its
limit where the settings ask for a quarantine; all others are rated.
Left out: weights and fits. The table is what ``paced fit``, ``paced weigh`` and ``paced export`` begin with.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paced.errors import BadRows, ConfigError
from paced.grading.extract import EXTRACTIONS
from paced.grading.stream import Graded, grade_stream
from paced.pipeline.preflight_problems import gold_faults
from paced.pipeline.quarantine import LongPrompt, left_out, length_faults, long_prompts
from paced.pipeline.rate_config import RateConfig
from paced.pipeline.rate_result import LeftOut, Rated, quarantine_file, write_unasked
from paced.pipeline.rate_shards import part_of_file, part_table
from paced.pipeline.rate_state import FURTHER, GRADES, ROLLOUTS, SHARD, UNDECIDED, claim_state, state_folder
from paced.pipeline.training_file import read_training_file, write_reading
from paced.problems.files import ProblemFile
from paced.problems.prompts import Prompt, make_prompts
from paced.records import Problem, Rollout
from paced.rollouts.shards import Shard
from paced.run.folder import RunFolder
from paced.run.progress import Progress, Silent
from paced.run.signals import stop_on_signals
from paced.run.storage import read_json, text_hash, write_json, write_records
from paced.weights.table.rated import check_table_name, write_rated

if TYPE_CHECKING:
    from paced.rollouts.sampler import Sampler

DRAW = 1
"""Which draw the completions are: that of a run's first stage."""


def rate(
    config: RateConfig, table: str | Path, progress: Progress | None = None, *, part: Shard | None = None
) -> Rated:
    """Sample, grade and count; the same call continues one that was killed.

    Args:
        config: who is asked what, and how.
        table: what is written: .parquet, .csv or .jsonl. The folder beside it, ``TABLE.rollouts``, holds completions
            and verdicts.
        progress: where to show it; nothing by default.
        part: rate this share of the problems only, into a table of its own (``rate_shards.py``).

    Returns:
        the rows, in the order of the problem file, and what was left out.

    Raises:
        ConfigError, BadRows: settings, problems or a model that cannot be used.
        RunFolderError: the folder holds completions made with other settings, or another process is at work in it.
        StopRequested: a signal came; what was sampled is kept.

    Example: docs/reference/api/pipeline.md rates eight problems with a model of random weights.
    """
    from paced.rollouts.engine import choose_engine, describe_engine

    table, progress = Path(table), progress or Silent()
    file = _read_problems(config, table)
    all_problems = file.problems
    if part is not None:
        file, table = part_of_file(file, part), part_table(table, part)
    folder = RunFolder(state_folder(table))
    with stop_on_signals(), _open_sampler(config, progress) as sampler:
        prompts = make_prompts(
            file.problems, reader="student", config=config.prompts, tokenizer=sampler.tokenizer,
            file=config.problems.path, rows=file.rows,
        )  # fmt: skip
        said = _check_prompts(config, file, prompts, sampler.tokenizer)
        long = _long_prompts(config, file, prompts)
        file, _ = left_out(file, long, config.problems.path, written=str(quarantine_file(table)))
        kept = {problem.problem_id for problem in file.problems}
        prompts = [prompt for prompt in prompts if prompt.problem_id in kept]
        unfit = _unfit(config, file, sampler, prompts)
        asked = [row for row in range(len(prompts)) if file.problems[row].problem_id not in unfit]
        if not asked:
            one = next(iter(unfit.values()))
            raise ConfigError(f"rate: no problem fits into the model's context; the first is {one}. Lower the limit.")
        problems, prompts = [file.problems[row] for row in asked], [prompts[row] for row in asked]
        with folder.locked():
            claim_state(folder.root, _settings(config, all_problems, part))
            rollouts = _sample(config, folder.root, sampler, problems, prompts)
            folder.note_engine("rollout", describe_engine(choose_engine(config.rollouts), sampler.engine))
            graded = grade_stream(problems, rollouts, config.grading, file=folder.root / GRADES)
            return _finish(
                table, graded, left_out=unfit, quarantined=long, notes=[*file.notes, *said], screen=config.screen
            )


def rate_completions(
    config: RateConfig, completions: str | Path, table: str | Path, *, columns: Mapping[str, str] | None = None
) -> Rated:
    """Grade and count completions that another tool has sampled; nothing is loaded but their file.

    The verdicts go into ``TABLE.grades.jsonl``, in the order of the completions.

    Args:
        config: of which the problems and the grading count.
        completions: JSON lines, parquet or CSV, a completion a row or a list of them; or a pattern of such files.
        table: as for :func:`rate`.
        columns: role -> column, where they are not called as ours (``problem_id``, ``text``, ``finish_reason`` ...).

    Returns:
        as :func:`rate`; K is as many as the file has of each problem.

    Raises:
        ConfigError, BadRows: problems or completions that cannot be used, all of them.
    """
    from paced.rollouts.foreign import read_completions

    table = Path(table)
    grades = table.with_name(f"{table.name}.{GRADES}")
    for written in (table, grades):
        if any(
            written.exists() and Path(one).exists() and written.samefile(one)
            for one in (completions, config.problems.path)
        ):
            raise ConfigError(f"rate: {written} would be replaced, and is what is read. Give another name with -o.")
    file = _read_problems(config, table)
    others = None if config.problems.limit else ()
    rollouts, notes = read_completions(
        completions, file.problems, columns=columns or {}, equal_counts=False, others=others
    )
    graded = grade_stream(file.problems, rollouts, config.grading, file=grades)
    return _finish(table, graded, left_out={}, notes=[*file.notes, *notes])


def _read_problems(config: RateConfig, table: Path) -> ProblemFile:
    """The problems, of which each has a gold answer that the grader can read; refused before anything is sampled."""
    answer_format = config.grading.answer_format.name
    if answer_format not in EXTRACTIONS:
        raise ConfigError(f"grading.answer_format must be one of {', '.join(EXTRACTIONS)}, got {answer_format!r}.")
    source = Path(config.problems.path)
    if table.exists() and source.exists() and table.samefile(source):
        raise ConfigError(f"rate: the output must not be the problem file, got {table}. Give another name with -o.")
    file = read_training_file(config.problems, config.grading)
    check_table_name(table, [problem.problem_id for problem in file.problems])
    wrong = gold_faults(file.problems, config.grading, rows=file.rows)
    if wrong:
        raise BadRows(str(source), wrong)
    if config.problems.on_bad_row == "quarantine":
        write_reading(file, *reading_files(table))
    return file


def reading_files(table: Path) -> tuple[Path, Path]:
    """Beside a table, the counts of the rows that were read and the rows that were put aside."""
    return table.with_name(f"{table.name}.problems.json"), table.with_name(f"{table.name}.bad-rows.jsonl")


def _open_sampler(config: RateConfig, progress: Progress) -> Sampler:
    from paced.models.loading import load_tokenizer
    from paced.pipeline.preflight_options import engine_fault
    from paced.rollouts.engine import choose_engine, make_engine
    from paced.rollouts.sampler import Sampler

    if not config.student.path:
        raise ConfigError(
            "rate: a model must be named, a folder or a hub name, got none. Give --model; with a server too, for its "
            "tokenizer makes the prompts."
        )
    fault = engine_fault("rollouts.engine", config.rollouts, config.student)
    if fault:
        raise ConfigError(f"rate: {fault}")
    tokenizer = load_tokenizer(config.student)
    engine = make_engine(choose_engine(config.rollouts), config.student, end_of_answer=config.prompts.end_of_answer)
    return Sampler(engine, tokenizer, reader="student", prompts=config.prompts, run_seed=config.seed, progress=progress)


def _check_prompts(config: RateConfig, file: ProblemFile, prompts: Sequence[Prompt], tokenizer: Any) -> list[str]:
    """Refuse prompts that say something else than they should, as a run does; notes on the chat template."""
    from paced.models.loading import load_generation_config
    from paced.models.tokens import ends_of
    from paced.pipeline.preflight_prompts import end_faults, prompt_faults, template_notes

    templates = config.prompts
    ends_of(load_generation_config(config.student), tokenizer, templates.end_of_answer)
    faults = end_faults(config.student, reader="student", config=templates, tokenizer=tokenizer)
    faults += prompt_faults(file.problems, prompts, reader="student", config=templates, tokenizer=tokenizer)
    if faults:
        raise ConfigError(f"rate: {' '.join(faults)}")
    return template_notes(file.problems[0], prompts[0], reader="student", config=templates, tokenizer=tokenizer)


def _long_prompts(config: RateConfig, file: ProblemFile, prompts: Sequence[Prompt]) -> list[LongPrompt]:
    """The problems whose prompts are over the student's limit, to be put aside; refused where nobody asked for that."""
    long = long_prompts(file, {"student": prompts}, config.prompts)
    if long and config.prompts.too_long == "error":
        raise ConfigError(f"rate: {' '.join(length_faults(long, len(file.problems)))}")
    return long


def _unfit(config: RateConfig, file: ProblemFile, sampler: Sampler, prompts: Sequence[Prompt]) -> dict[str, LeftOut]:
    """Problem id -> why it cannot be asked, for every prompt that leaves no room for a completion."""
    from paced.rollouts.context import too_long

    unfitting = too_long(
        [prompt.token_ids for prompt in prompts],
        max_new_tokens=config.rollouts.max_new_tokens,
        context_tokens=sampler.engine.context_tokens,
    )
    return {
        file.problems[one.row].problem_id: LeftOut(
            problem_id=file.problems[one.row].problem_id,
            row=file.rows[one.row],
            prompt_tokens=one.prompt_tokens,
            max_new_tokens=one.max_new_tokens,
            context_tokens=one.context_tokens,
        )
        for one in unfitting
    }


def _settings(config: RateConfig, problems: Sequence[Problem], part: Shard | None) -> dict[str, Any]:
    """What the completions depend on, key -> value; grading is among it where it decides who is sampled further."""
    from paced.models.contents import model_hash
    from paced.pipeline.dependence import prompt_settings, sampling_settings
    from paced.run.configfile import to_dict

    asked = text_hash(*(text for problem in problems for text in (problem.problem_id, problem.problem)))
    settings: dict[str, Any] = {
        "problems": f"{len(problems):,} with hash {asked[:16]}",
        "model": f"hash {model_hash(config.student)[:16]}",
        "student.dtype": config.student.dtype,
        "student.attention": config.student.attention,
        "seed": config.seed,
        "screen": list(config.screen) if config.screen else None,
        SHARD: None if part is None else str(part),
    }
    settings |= prompt_settings(config.prompts, "student") | sampling_settings("rollouts", config.rollouts)
    if config.prompts.too_long == "quarantine":  # it decides who is asked
        settings["prompts.max_student_tokens"] = config.prompts.max_student_tokens
    if config.screen:
        settings |= {f"grading.{key}": value for key, value in to_dict(config.grading).items()}
        settings["answers"] = f"hash {text_hash(*(one.answer + one.answer_type for one in problems))[:16]}"
    return settings


def _sample(
    config: RateConfig, root: Path, sampler: Sampler, problems: Sequence[Problem], prompts: Sequence[Prompt]
) -> Iterable[Rollout]:
    """K completions of each problem; with screening K1, and K of those that K1 leave open."""

    def complete(problems: Sequence[Problem], prompts: Sequence[Prompt], size: int, name: str) -> Sequence[Rollout]:
        return sampler.complete(
            problems,
            prompts=prompts,
            sampling=dataclasses.replace(config.rollouts, num_samples=size),
            draw=DRAW,
            file=root / name,
            label=f"{len(problems):,} problems x {size}",
        )

    if config.screen is None:
        return complete(problems, prompts, config.rollouts.num_samples, ROLLOUTS)
    first, whole = config.screen
    rollouts = complete(problems, prompts, first, ROLLOUTS)
    undecided = root / UNDECIDED
    if not undecided.exists():  # decided once: a grader that once ran out of time would decide otherwise
        rates = grade_stream(problems, rollouts, config.grading).rates
        write_json(undecided, [rate.problem_id for rate in rates if 0 < rate.num_passed < rate.num_rollouts])
    open_ids = set(read_json(undecided))
    if not open_ids:
        return rollouts
    further = root / FURTHER
    if not further.exists():  # it begins with the first K1 of those that continue, and is then topped up
        write_records(further, (rollout for rollout in rollouts if rollout.problem_id in open_ids))
    rows = [row for row, problem in enumerate(problems) if problem.problem_id in open_ids]
    more = complete([problems[row] for row in rows], [prompts[row] for row in rows], whole, further.name)
    return itertools.chain((rollout for rollout in rollouts if rollout.problem_id not in open_ids), more)


def _finish(
    table: Path,
    graded: Graded,
    *,
    left_out: Mapping[str, LeftOut],
    quarantined: Sequence[LongPrompt] = (),
    notes: Sequence[str],
    screen: tuple[int, int] | None = None,
) -> Rated:
    """Write which problems were not asked, and last the table."""
    write_unasked(table, list(left_out.values()), quarantined)
    write_rated(table, graded.rates)
    return Rated(
        table=table,
        rates=graded.rates,
        verdicts=dict(graded.verdicts.most_common()),
        left_out=tuple(left_out.values()),
        quarantined=tuple(quarantined),
        notes=tuple(notes),
        screen=screen,
    )
