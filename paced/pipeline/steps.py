"""One run, read from top to bottom as the data flows; every arrow is a file in the run folder.

    problems -> rollouts -> grades -> pass rates -> weights -> references -> training -> the next stage

Each step is a function of the run folder and a stage's number. It reads the files of the steps before it, writes its
own and returns at once when they are there, so any step can be run alone, looked at, replaced and resumed.
Left out: the optimiser step (``train/native/loop.py``), evaluation (``evaluate.py``), comparing methods (``job.py``).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from paced.errors import BadRows, ConfigError
from paced.grading.describe import describe_changes, describe_verdicts
from paced.grading.stream import grade_stream
from paced.models.loading import load_tokenizer, pick_device, student_model, teacher_model
from paced.pipeline.held import (
    PROBLEM_FILE,
    also_read,
    begin,
    complete,
    computing,
    contents,
    finished,
    is_there,
    refuse_changed,
    student_contents,
    teacher_contents,
    written,
)
from paced.pipeline.prompts import stage_prompts
from paced.pipeline.quarantine import training_problems
from paced.pipeline.references import best_references, checked_references, describe_checks, sample_references
from paced.pipeline.taken import (
    needs_rollouts,
    origin_of,
    source_of,
    take_pass_rates,
    take_references,
    take_rollouts,
)
from paced.pipeline.training_file import write_reading
from paced.pipeline.weighing import weights_of
from paced.problems.sources import content_hash
from paced.records import Grade, PassRate, Problem, ProblemWeight, Rollout
from paced.rollouts.engine import choose_engine, describe_engine
from paced.rollouts.sampler import make_sampler
from paced.run.config import RunConfig
from paced.run.folder import RunFolder
from paced.run.progress import Progress
from paced.run.recordfile import Places, RecordFile
from paced.run.seeds import text_key
from paced.run.steprecord import Step
from paced.run.storage import read_parquet, read_records, write_parquet, write_records
from paced.train.team import team_for_files
from paced.weights import normalise


def train_run(run: RunFolder, progress: Progress) -> None:
    """Take a run from its problems to the trained student of its last stage.

    Raises:
        StopRequested: a signal came; everything finished so far is kept, and the same call continues from there.
    """
    take_problems(run, progress)
    for number in range(1, len(run.config().stages) + 1):
        rollout(run, number, progress)
        grade(run, number, progress)
        weigh(run, number, progress)
        reference(run, number, progress)
        distill(run, number, progress)


def take_problems(run: RunFolder, progress: Progress) -> None:
    """Problem file -> ``problems.parquet``: the training set as it was read, whatever becomes of the file."""
    step = Step("problems")
    if finished(run, step, progress):
        return
    config = run.config()
    file, long = training_problems(config)
    for note in file.notes:
        progress.note(note)
    read = {PROBLEM_FILE: content_hash(config.problems.path)}
    if config.prompts.too_long == "quarantine":  # what is left out depends on the tokenizers
        read |= student_contents(run, 1) | teacher_contents(config)
    with computing(run, step, read):
        write_reading(file, run.problem_counts, run.bad_rows)
        run.quarantine.unlink(missing_ok=True)
        if long:
            write_records(run.quarantine, long)
        write_parquet(run.problems, file.problems, Problem)


def stage_problems(run: RunFolder, stage_number: int) -> list[Problem]:
    """The problems of one stage, in the order of the file: a part of one seeded permutation that no other stage has.

    Raises:
        ConfigError: there is no such stage, or its share of the problems is none at all.
    """
    if not run.problems.exists():
        raise ConfigError(f"{run.root}: has no problems yet. Run: paced rollout {run.root}")
    return part_of(read_parquet(run.problems, Problem), run.config(), stage_number)


def part_of(problems: Sequence[Problem], config: RunConfig, stage_number: int) -> list[Problem]:
    """The problems of one stage among all, see :func:`stage_problems`."""
    if not 1 <= stage_number <= len(config.stages):
        raise ConfigError(f"{config.name}: stage must be between 1 and {len(config.stages)}, got {stage_number}.")
    order = np.random.default_rng([config.seed, text_key("stages")]).permutation(len(problems))
    start = sum(stage.share for stage in config.stages[: stage_number - 1])
    end = start + config.stages[stage_number - 1].share
    chosen = sorted(order[round(start * len(problems)) : round(end * len(problems))].tolist())
    if not chosen:
        raise ConfigError(
            f"{config.name}: stage {stage_number} must have a problem, got none: a share of "
            f"{config.stages[stage_number - 1].share:g} of {len(problems)} problems."
        )
    return [problems[index] for index in chosen]


def rollout(run: RunFolder, stage_number: int, progress: Progress) -> None:
    """Student + problems -> ``rollouts.jsonl``: K samples of each problem by the student that enters the stage."""
    config, stage, step = run.config(), run.stage(stage_number), Step("rollout", stage_number)
    if not needs_rollouts(config, stage_number):
        progress.note(f"stage {stage_number}: takes its pass rates from a file and has no rollouts")
        return
    if finished(run, step, progress):
        return
    take_problems(run, progress)
    problems = stage_problems(run, stage_number)
    if source_of(config, "rollout", stage_number):
        with _taking(run, step) as others:
            rollouts, notes = take_rollouts(config, problems, others, tokenizer=load_tokenizer(config.student))
            _write_taken(stage.rollouts, rollouts, notes, progress)
        return
    model = student_model(run, config, stage_number=stage_number)
    read = written(run, Step("problems")) | student_contents(run, stage_number)
    with (
        computing(run, step, read),
        make_sampler(config, model, reader="student", sampling=config.rollouts, progress=progress) as sampler,
    ):
        prompts = stage_prompts(run, stage_number, sampler, problems)
        also_read(run, step, stage.student_prompts)
        sampler.collect(
            stage.rollouts,
            prompts,
            sampling=config.rollouts,
            draw=stage_number,
            label=f"rollouts of {len(problems):,} problems x {config.rollouts.num_samples} (stage {stage_number})",
        )
        run.note_engine(step.label, describe_engine(choose_engine(config.rollouts), sampler.engine))


def grade(run: RunFolder, stage_number: int, progress: Progress) -> None:
    """Rollouts -> ``grades.jsonl`` (a verdict and a reason each) -> ``pass_rates.parquet`` (s of K each)."""
    config, stage, step = run.config(), run.stage(stage_number), Step("grade", stage_number)
    if finished(run, step, progress):
        return
    if source_of(config, "grade", stage_number):
        take_problems(run, progress)
        with _taking(run, step) as others:
            taken, notes = take_pass_rates(config, stage_problems(run, stage_number), others)
            write_parquet(stage.pass_rates, taken, PassRate)
        for note in notes:
            progress.note(note)
        return
    problems = stage_problems(run, stage_number)
    rollouts = RecordFile.read(stage.rollouts, Rollout)
    _refuse_gaps(run, stage_number, rollouts, problems)
    before: Sequence[Grade] = []
    with contextlib.suppress(OSError, BadRows):  # they are there to be compared with, nothing depends on them
        before = RecordFile.read(stage.earlier_grades, Grade)
    with computing(run, step, written(run, Step("problems")) | contents(run, stage.rollouts)):
        graded = grade_stream(problems, rollouts, config.grading, file=stage.grades)
        write_parquet(stage.pass_rates, graded.rates, PassRate)
    progress.note(f"stage {stage_number}: {describe_verdicts(graded.verdicts)}")
    if before:
        changes = describe_changes(before, RecordFile.read(stage.grades, Grade))
        progress.note(f"stage {stage_number}: graded again, {changes}")
    stage.earlier_grades.unlink(missing_ok=True)
    ungradable = sum(rate.num_rollouts == 0 for rate in graded.rates)
    if ungradable:
        progress.note(f"stage {stage_number}: {ungradable} problems could not be graded at all; they get weight 0")


def rate_stage(run: RunFolder, stage_number: int, progress: Progress) -> None:
    """The pass rates of a stage, for a measurement on the models that they were made with.

    Raises:
        RunFolderError: the student or the teacher is no longer what the steps of the run have read.
    """
    rollout(run, stage_number, progress)
    grade(run, stage_number, progress)
    refuse_changed(run, student_contents(run, stage_number) | teacher_contents(run.config()))


def weigh(run: RunFolder, stage_number: int, progress: Progress) -> None:
    """Pass rates -> ``weights.parquet``: the weight function's w and w̃ = w / mean(w) over the stage's problems."""
    config, stage, step = run.config(), run.stage(stage_number), Step("weigh", stage_number)
    if finished(run, step, progress):
        return
    if not stage.pass_rates.exists():
        raise ConfigError(
            f"{run.root}: stage {stage_number} has no pass rates. Run: paced grade {run.root} --stage {stage_number}"
        )
    with computing(run, step, contents(run, stage.pass_rates)):
        weights = weights_of(read_parquet(stage.pass_rates, PassRate), config)
        write_parquet(stage.weights, weights, ProblemWeight)
    summary = normalise([weight.weight for weight in weights])
    progress.note(
        f"stage {stage_number}: '{config.weights.name}' gives weight 0 to {100 * summary.share_zero:.0f} % of the "
        f"problems; effective sample {100 * summary.ess_fraction:.0f} %"
    )


def reference(run: RunFolder, stage_number: int, progress: Progress) -> None:
    """Teacher + problems + expert solutions -> ``references.jsonl``, Eq. (2); only for a stage that follows them."""
    config, stage, step = run.config(), run.stage(stage_number), Step("reference", stage_number)
    problems = stage_problems(run, stage_number)
    if config.stages[stage_number - 1].along != "reference":
        return
    if not finished(run, step, progress):
        _make_references(run, stage_number, problems, progress)
        verdicts = grade_stream(problems, read_records(stage.references, Rollout), config.grading).verdicts
        progress.note(f"stage {stage_number}: references, {describe_verdicts(verdicts)}")
    if not stage.references.exists():  # deleted by a person once the stage was trained
        return
    checks = checked_references(stage, problems, config)
    if any(one.flags for one in checks):
        progress.note(
            f"stage {stage_number}: references, {describe_checks(checks)}; references.flagged: "
            f"{config.references.flagged}"
        )


def _make_references(run: RunFolder, stage_number: int, problems: Sequence[Problem], progress: Progress) -> None:
    """Take the references of a stage from a file, or let the teacher write them."""
    config, stage, step = run.config(), run.stage(stage_number), Step("reference", stage_number)
    teacher = teacher_model(config)
    if source_of(config, "reference", stage_number):
        with _taking(run, step) as others:
            references, notes = take_references(config, problems, others, tokenizer=load_tokenizer(teacher))
            _write_taken(stage.references, best_references(problems, references, config), notes, progress)
        return
    with (
        computing(run, step, written(run, Step("problems")) | teacher_contents(config)),
        make_sampler(config, teacher, reader="teacher", sampling=config.references, progress=progress) as sampler,
    ):
        prompts = stage_prompts(run, stage_number, sampler, problems)
        also_read(run, step, stage.teacher_prompts)
        sentence = sample_references(stage, sampler, problems, prompts, config)
        run.note_engine(step.label, describe_engine(choose_engine(config.references), sampler.engine))
    if sentence:
        progress.note(f"stage {stage_number}: {sentence}")


def distill(run: RunFolder, stage_number: int, progress: Progress) -> None:
    """Weights + completions -> ``student/``: the recipe's backend trains the stage, or continues where it ended.

    The teacher is frozen and sees the expert solution; the student is the one that enters the stage.
    """
    from paced.pipeline.sources import StageProblems, open_source
    from paced.train.backends import make_backend
    from paced.train.inputs import StageInputs

    config, stage, step = run.config(), run.stage(stage_number), Step("distill", stage_number)
    team = team_for_files(pick_device())

    def on_first_rank(work: Callable[[], None]) -> None:
        """The first rank writes the step's record while the others wait; its refusal reaches all."""
        team.first_then_others(lambda: work() if team.is_first else None)

    on_first_rank(lambda: _begin_training(run, stage_number, progress))
    if is_there(stage.student):
        return
    student, teacher = student_model(run, config, stage_number=stage_number), teacher_model(config)
    with (
        make_sampler(config, student, reader="student", sampling=config.rollouts, progress=progress) as asked,
        make_sampler(config, teacher, reader="teacher", sampling=config.references, progress=progress) as shown,
    ):
        problems = StageProblems(
            run,
            stage_number,
            stage_problems(run, stage_number),
            student=asked,
            teacher=shown,
            progress=progress,
        )
        on_first_rank(lambda: also_read(run, step, stage.student_prompts, stage.teacher_prompts))
        inputs = StageInputs(
            run=run,
            config=config,
            stage_number=stage_number,
            student=student,
            teacher=teacher,
            source=open_source(problems),
        )
        make_backend(config.training.backend).train(inputs, progress)
    on_first_rank(lambda: complete(run, step))


def _begin_training(run: RunFolder, stage_number: int, progress: Progress) -> None:
    """Make sure of what the training of a stage reads and write it down, unless the stage is trained already."""
    config, stage, step = run.config(), run.stage(stage_number), Step("distill", stage_number)
    if finished(run, step, progress):
        return
    along_reference = config.stages[stage_number - 1].along == "reference"
    completions = (stage.references, "reference") if along_reference else (stage.rollouts, "rollout")
    along = [completions] if along_reference or needs_rollouts(config, stage_number) else []
    for file, command in ((stage.pass_rates, "grade"), (stage.weights, "weigh"), *along):
        if not file.exists():
            raise ConfigError(
                f"{run.root}: stage {stage_number} has no {file.name}. "
                f"Run: paced {command} {run.root} --stage {stage_number}"
            )
    for earlier in (reference if along_reference else rollout, grade, weigh):  # again, where a file was damaged
        earlier(run, stage_number, progress)
    models = student_contents(run, stage_number) | teacher_contents(config)
    begin(run, step, models | contents(run, stage.weights, *(file for file, _ in along)))


@contextlib.contextmanager
def _taking(run: RunFolder, step: Step) -> Iterator[list[Problem]]:
    """Do a step by taking a file; gives the run's other problems, whose rows are passed over."""
    config = run.config()
    taken = source_of(config, step.name, step.stage)
    written_as = source_of(run.written_config(), step.name, step.stage)
    assert taken is not None
    assert written_as is not None
    origin = origin_of(taken[1], written_as[1])
    read = written(run, Step("problems")) | {taken[0]: origin["sha256"]}
    with computing(run, step, read, taken_from=origin):
        yield read_parquet(run.problems, Problem)


def _write_taken(file: Path, rollouts: Sequence[Rollout], notes: Sequence[str], progress: Progress) -> None:
    write_records(file, rollouts)
    for note in notes:
        progress.note(note)


def _refuse_gaps(run: RunFolder, stage_number: int, rollouts: Sequence[Rollout], problems: Sequence[Problem]) -> None:
    num_samples = run.config().rollouts.num_samples
    places = Places(problem.problem_id for problem in problems)
    counts = np.zeros(len(problems), dtype=np.int64)  # [num_problems]
    for rollout in rollouts:
        place = places.get(rollout.problem_id)
        if place is not None:
            counts[place] += 1
    num_short = int((counts != num_samples).sum())
    if num_short:
        raise ConfigError(
            f"{run.root}: stage {stage_number} must have {num_samples} rollouts of every problem, "
            f"{num_short:,} of {len(problems):,} problems lack some. "
            f"Run: paced rollout {run.root} --stage {stage_number}"
        )
