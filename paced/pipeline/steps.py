"""One run, read from top to bottom as the data flows; every arrow is a file in the run folder.

    problems -> rollouts -> grades -> pass rates -> weights -> references -> training -> the next stage

Each step is a function of the run folder and a stage's number. It reads the files of the steps before it, writes its
own and returns at once when they are there, so any step can be run alone, looked at, replaced and resumed.
Left out: the optimiser step (``train/native/loop.py``), evaluation (``evaluate.py``), comparing methods (``job.py``).
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from paced.errors import ConfigError
from paced.grading.grade import count_passes, grade_all
from paced.models.loading import load_model, load_teacher, load_tokenizer, pick_device, student_model, teacher_model
from paced.pipeline.preflight_models import check_loaded_head
from paced.pipeline.weighing import weights_of
from paced.problems.files import read_problems
from paced.problems.prompts import make_prompts
from paced.records import Grade, PassRate, Problem, ProblemWeight, Rollout
from paced.rollouts.collect import collect_rollouts
from paced.rollouts.engines import make_sampler
from paced.run.config import RunConfig
from paced.run.folder import RunFolder
from paced.run.progress import Progress
from paced.run.seeds import text_key
from paced.run.storage import encode_line, read_parquet, read_records, write_atomic, write_parquet
from paced.weights import normalise

REFERENCE_DRAW = "references"
"""Names the noise of references: the teacher is frozen, so a problem's reference is the same in every stage."""


def train_run(run: RunFolder, progress: Progress) -> None:
    """Take a run from its problems to the trained student of its last stage.

    Raises:
        StopRequested: a signal came; everything finished so far is kept, and the same call goes on from there.
    """
    take_problems(run, progress)
    for number in range(1, len(run.config().stages) + 1):
        roll_out(run, number, progress)
        grade(run, number, progress)
        weigh(run, number, progress)
        refer(run, number, progress)
        distill(run, number, progress)


def take_problems(run: RunFolder, progress: Progress) -> None:
    """Problem file -> ``problems.parquet``: the training set as it was read, whatever becomes of the file."""
    if run.problems.exists():
        return
    config = run.config()
    file = read_problems(config.problems.path, limit=config.problems.limit)
    for note in file.notes:
        progress.note(note)
    write_parquet(run.problems, file.problems, Problem)


def stage_problems(run: RunFolder, stage_number: int) -> list[Problem]:
    """The problems of one stage, in the order of the file: a part of one seeded permutation that no other stage has.

    Raises:
        ConfigError: there is no such stage, or its share of the problems is none at all.
    """
    if not run.problems.exists():
        raise ConfigError(f"{run.root}: has no problems yet. Run: paced rollout {run.root}")
    return _part(read_parquet(run.problems, Problem), run.config(), stage_number)


def _part(problems: list[Problem], config: RunConfig, stage_number: int) -> list[Problem]:
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


def roll_out(run: RunFolder, stage_number: int, progress: Progress) -> None:
    """Student + problems -> ``rollouts.jsonl``: K samples of each problem by the student that enters the stage."""
    config = run.config()
    if run.stage(stage_number).pass_rates.exists():
        return
    take_problems(run, progress)
    problems = stage_problems(run, stage_number)
    model = student_model(run, config, stage_number=stage_number)
    tokenizer = load_tokenizer(model)
    collect_rollouts(
        run.stage(stage_number).rollouts,
        sampler=make_sampler(
            config.rollouts.engine,
            load_model(model, device=pick_device()),
            tokenizer,
            config.prompts.end_of_answer,
        ),
        tokenizer=tokenizer,
        prompts=make_prompts(
            problems, reader="student", config=config.prompts, tokenizer=tokenizer, file=config.problems.path
        ),
        sampling=config.rollouts,
        run_seed=config.seed,
        draw=stage_number,
        label=f"rollouts of {len(problems):,} problems x {config.rollouts.num_samples} (stage {stage_number})",
        progress=progress,
    )


def grade(run: RunFolder, stage_number: int, progress: Progress) -> None:
    """Rollouts -> ``grades.jsonl`` (a verdict and a reason each) -> ``pass_rates.parquet`` (s of K each)."""
    config, stage = run.config(), run.stage(stage_number)
    if stage.pass_rates.exists():
        return
    problems = stage_problems(run, stage_number)
    rollouts = read_records(stage.rollouts, Rollout)
    _refuse_gaps(run, stage_number, Counter(rollout.problem_id for rollout in rollouts), problems)
    grades = grade_all(problems, rollouts, config.grading)
    write_atomic(stage.grades, "".join(f"{encode_line(one)}\n" for one in grades))
    rates = count_passes(problems, grades)
    write_parquet(stage.pass_rates, rates, PassRate)
    progress.note(f"stage {stage_number}: {describe_grades(grades)}")
    ungradable = sum(rate.num_rollouts == 0 for rate in rates)
    if ungradable:
        progress.note(f"stage {stage_number}: {ungradable} problems could not be graded at all; they get weight 0")


def describe_grades(grades: list[Grade]) -> str:
    """Shares of the verdicts in words, most frequent first."""
    counts = Counter(grade.verdict for grade in grades)
    shares = ", ".join(f"{100 * count / len(grades):.1f} % {verdict}" for verdict, count in counts.most_common())
    return f"{len(grades):,} completions: {shares}"


def weigh(run: RunFolder, stage_number: int, progress: Progress) -> None:
    """Pass rates -> ``weights.parquet``: the weight function's w and w̃ = w / mean(w) over the stage's problems."""
    config, stage = run.config(), run.stage(stage_number)
    if stage.weights.exists():
        return
    if not stage.pass_rates.exists():
        raise ConfigError(
            f"{run.root}: stage {stage_number} has no pass rates. Run: paced grade {run.root} --stage {stage_number}"
        )
    weights = weights_of(read_parquet(stage.pass_rates, PassRate), config)
    write_parquet(stage.weights, weights, ProblemWeight)
    summary = normalise([weight.weight for weight in weights])
    progress.note(
        f"stage {stage_number}: '{config.weights.name}' gives weight 0 to {100 * summary.share_zero:.0f} % of the "
        f"problems; effective sample {100 * summary.ess_fraction:.0f} %"
    )


def refer(run: RunFolder, stage_number: int, progress: Progress) -> None:
    """Teacher + problems + expert solutions -> ``references.jsonl``, Eq. (2); only for a stage that follows them."""
    config, stage = run.config(), run.stage(stage_number)
    problems = stage_problems(run, stage_number)
    if config.stages[stage_number - 1].along != "reference" or (stage.student / "config.json").exists():
        return
    if _lines(stage.references) == len(problems):
        return
    tokenizer = load_tokenizer(teacher_model(config))
    teacher = load_teacher(config, device=pick_device())
    collect_rollouts(
        stage.references,
        sampler=make_sampler(config.references.engine, teacher, tokenizer, config.prompts.end_of_answer),
        tokenizer=tokenizer,
        prompts=make_prompts(
            problems, reader="teacher", config=config.prompts, tokenizer=tokenizer, file=config.problems.path
        ),
        sampling=config.references,
        run_seed=config.seed,
        draw=REFERENCE_DRAW,
        label=f"references of {len(problems):,} problems (stage {stage_number})",
        progress=progress,
    )
    grades = grade_all(problems, read_records(stage.references, Rollout), config.grading)
    progress.note(f"stage {stage_number}: references, {describe_grades(grades)}")


def distill(run: RunFolder, stage_number: int, progress: Progress) -> None:
    """Weights + completions -> ``student/``: train one stage's divergence, from its last checkpoint if it has one.

    The teacher is frozen and sees the expert solution; the student is the one that enters the stage, in float32.
    """
    config, stage = run.config(), run.stage(stage_number)
    if (stage.student / "config.json").exists():
        return
    _need_files(run, stage_number)
    from paced.pipeline.sources import StageExamples
    from paced.train.native.loop import train_stage

    device = pick_device()
    model = student_model(run, config, stage_number=stage_number)
    tokenizer = load_tokenizer(model)
    source = StageExamples(
        run=run,
        config=config,
        stage_number=stage_number,
        problems=stage_problems(run, stage_number),
        student_tokenizer=tokenizer,
        teacher_tokenizer=load_tokenizer(teacher_model(config)),
        progress=progress,
    )
    student, teacher = load_model(model, dtype="float32", device=device), load_teacher(config, device=device)
    for who, loaded in (("student", student), ("teacher", teacher)):
        check_loaded_head(loaded, who=who)
    train_stage(
        run=run,
        config=config,
        stage_number=stage_number,
        student=student,
        teacher=teacher,
        tokenizer=tokenizer,
        source=source,
        progress=progress,
    )


def _need_files(run: RunFolder, stage_number: int) -> None:
    """Refuse to train before the steps that come first, with the command that makes what is missing."""
    stage = run.stage(stage_number)
    along_reference = run.config().stages[stage_number - 1].along == "reference"
    completions = (stage.references, "reference") if along_reference else (stage.rollouts, "rollout")
    for file, command in ((stage.pass_rates, "grade"), (stage.weights, "weigh"), completions):
        if not file.exists():
            raise ConfigError(
                f"{run.root}: stage {stage_number} has no {file.name}. "
                f"Run: paced {command} {run.root} --stage {stage_number}"
            )


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def _refuse_gaps(run: RunFolder, stage_number: int, rollouts_of: Counter[str], problems: list[Problem]) -> None:
    num_samples = run.config().rollouts.num_samples
    short = [problem.problem_id for problem in problems if rollouts_of[problem.problem_id] != num_samples]
    if short:
        raise ConfigError(
            f"{run.root}: stage {stage_number} must have {num_samples} rollouts of every problem, "
            f"{len(short):,} of {len(problems):,} problems lack some. "
            f"Run: paced rollout {run.root} --stage {stage_number}"
        )
