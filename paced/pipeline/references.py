"""A stage's references: sampled, the best taken by grade, sampled again where flagged; and what is wrong with each.

    <run>/stage-1/references.jsonl           one reference a problem, which the stage is trained along
    <run>/stage-1/reference-samples/         all that were sampled, where a choice was made among them
    <run>/stage-1/reference-checks.jsonl     the verdict on each reference and its flags

The checks are made anew whenever the references, the grading or the templates are not those that they were made of;
that samples nothing. Left out: what the flags mean (``grading/references.py``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from paced.errors import ConfigError
from paced.grading.grade import grade_all
from paced.grading.references import FLAGS, flags_of, own_words
from paced.problems.prompts import Prompt
from paced.records import Problem, Rollout, Verdict
from paced.run.config import RunConfig
from paced.run.configfile import to_dict
from paced.run.folder import StageFolder
from paced.run.storage import encode_line, file_hash, read_records, text_hash, write_atomic

if TYPE_CHECKING:
    from paced.rollouts.sampler import Sampler

REFERENCE_DRAW = "references"
"""Names the noise of references: the teacher is frozen, so a problem's reference is the same in every stage."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReferenceCheck:
    """What is known of one reference."""

    problem_id: str
    """The problem."""
    sample_index: int
    """Which of the samples it is."""
    verdict: Verdict
    """Of the grader."""
    flags: tuple[str, ...]
    """What is wrong with it, of :data:`paced.grading.references.FLAGS`."""
    leak: str
    """The words that speak of its instruction; empty for none."""
    made_of: str
    """Hash of all that the checks of this stage depend on."""

    @property
    def rank(self) -> tuple[bool, int]:
        """The smaller the better: right answers first, then fewer flags."""
        return self.verdict != "correct", len(self.flags)


def sample_references(
    stage: StageFolder, sampler: Sampler, problems: Sequence[Problem], prompts: Sequence[Prompt], config: RunConfig
) -> str:
    """Write ``references.jsonl``; returns a sentence on the choice, empty where a problem has one sample only.

    One sample of each problem goes straight into the file. Of several the best by grade is taken, and problems whose
    best is flagged are sampled again, ``references.retries`` times at most, with noise of its own each time.

    Raises:
        StopRequested: a signal came; all that was sampled is kept, and the same call continues from there.
    """
    settings = config.references
    label = f"references of {len(problems):,} problems ({stage.root.name})"
    if settings.num_samples == 1 and not settings.retries:
        sampler.collect(stage.references, prompts, sampling=settings, draw=REFERENCE_DRAW, label=label)
        return ""
    best: dict[str, tuple[ReferenceCheck, Rollout]] = {}
    flagged = list(range(len(problems)))
    counts = []
    for attempt in range(settings.retries + 1):
        asked = [problems[row] for row in flagged]
        samples = sampler.complete(
            asked,
            prompts=[prompts[row] for row in flagged],
            sampling=settings,
            draw=f"{REFERENCE_DRAW}, attempt {attempt + 1}" if attempt else REFERENCE_DRAW,
            file=stage.reference_samples / _round_name(attempt, asked),
            label=f"attempt {attempt + 1}: {label}" if attempt else label,
        )
        _keep_better(best, asked, samples, config)
        flagged = [row for row in flagged if best[problems[row].problem_id][0].flags]
        counts.append(len(flagged))
        if not flagged:
            break
    write_references(stage, [best[problem.problem_id][1] for problem in problems])
    after = "".join(f", {count:,} after attempt {attempt}" for attempt, count in enumerate(counts[1:], start=2))
    of = f"the best of {settings.num_samples} samples by grade" if settings.num_samples > 1 else "one sample each"
    return f"references are {of}: {counts[0]:,} of {len(problems):,} flagged{after}"


def best_references(problems: Sequence[Problem], samples: Sequence[Rollout], config: RunConfig) -> list[Rollout]:
    """The best reference of each problem, in the order of ``problems``; of equals the first.

    Args:
        problems: the tasks.
        samples: at least one of each, every (problem, sample index) once.
        config: the grading and the templates.
    """
    return [reference for _, reference in _best(problems, samples, config)]


def best_checks(problems: Sequence[Problem], samples: Sequence[Rollout], config: RunConfig) -> list[ReferenceCheck]:
    """The checks of :func:`best_references`, before a stage has them: what a run will say of a file of references.

    Args:
        problems: as there.
        samples: as there.
        config: as there.
    """
    return [check for check, _ in _best(problems, samples, config)]


def write_references(stage: StageFolder, references: Iterable[Rollout]) -> None:
    """Write ``references.jsonl`` whole."""
    write_atomic(stage.references, "".join(f"{encode_line(one)}\n" for one in references))


def checked_references(stage: StageFolder, problems: Sequence[Problem], config: RunConfig) -> list[ReferenceCheck]:
    """The checks of a stage's references, in the order of the file; made and written where they are not up to date.

    Raises:
        BadRows: the file of references is damaged.
    """
    made_of = _made_of(stage, problems, config)
    if stage.reference_checks.exists():
        held = read_records(stage.reference_checks, ReferenceCheck)
        if held and all(one.made_of == made_of for one in held):
            return held
    checks = _checks(problems, read_records(stage.references, Rollout), config, made_of)
    write_atomic(stage.reference_checks, "".join(f"{encode_line(one)}\n" for one in checks))
    return checks


def usable_problems(checks: Sequence[ReferenceCheck], config: RunConfig) -> set[str]:
    """The problems whose references a stage is trained along: all, or with ``references.flagged: drop`` the others.

    Raises:
        ConfigError: none is left.
    """
    usable = {one.problem_id for one in checks if not (one.flags and config.references.flagged == "drop")}
    if not usable:
        raise ConfigError(
            f"references.flagged: drop leaves no problem, since all {len(checks):,} references are flagged: "
            f"{describe_checks(checks)}. Look at reference-checks.jsonl, or keep them with references.flagged=keep."
        )
    return usable


def describe_checks(checks: Sequence[ReferenceCheck]) -> str:
    """How many references are flagged, and for what.

    Example:
        >>> check = ReferenceCheck(
        ...     problem_id="a", sample_index=0, verdict="incorrect", flags=("leaks", "wrong"), leak="", made_of="")
        >>> describe_checks([check])
        '1 of 1 flagged (1 leaks, 1 wrong)'
    """
    counts = Counter(flag for one in checks for flag in one.flags)
    kinds = ", ".join(f"{counts[flag]:,} {flag}" for flag in FLAGS if counts[flag])
    total = f"{sum(bool(one.flags) for one in checks):,} of {len(checks):,} flagged"
    return f"{total} ({kinds})" if kinds else total


def _best(
    problems: Sequence[Problem], samples: Sequence[Rollout], config: RunConfig
) -> list[tuple[ReferenceCheck, Rollout]]:
    best: dict[str, tuple[ReferenceCheck, Rollout]] = {}
    _keep_better(best, problems, samples, config)
    return [best[problem.problem_id] for problem in problems]


def _keep_better(
    best: dict[str, tuple[ReferenceCheck, Rollout]],
    problems: Sequence[Problem],
    samples: Sequence[Rollout],
    config: RunConfig,
) -> None:
    for check, sample in zip(_checks(problems, samples, config, ""), samples, strict=True):
        held = best.get(check.problem_id)
        if held is None or check.rank < held[0].rank:
            best[check.problem_id] = check, sample


def _checks(
    problems: Sequence[Problem], references: Sequence[Rollout], config: RunConfig, made_of: str
) -> list[ReferenceCheck]:
    by_id = {problem.problem_id: problem for problem in problems}
    instruction = own_words(config.prompts.teacher, [config.prompts.student, config.prompts.system])
    checks = []
    for reference, grade in zip(references, grade_all(problems, references, config.grading), strict=True):
        flags, leak = flags_of(
            by_id[reference.problem_id],
            reference,
            grade,
            instruction=instruction,
            max_tokens=config.references.max_new_tokens,
        )
        one = ReferenceCheck(
            problem_id=reference.problem_id,
            sample_index=reference.sample_index,
            verdict=grade.verdict,
            flags=flags,
            leak=leak,
            made_of=made_of,
        )
        checks.append(one)
    return checks


def _made_of(stage: StageFolder, problems: Sequence[Problem], config: RunConfig) -> str:
    golds = [text for one in problems for text in (one.problem_id, one.answer, one.answer_type)]
    settings = (to_dict(config.grading), to_dict(config.prompts), config.references.max_new_tokens)
    return text_hash(file_hash(stage.references), str(settings), *golds)[:16]


def _round_name(attempt: int, asked: Sequence[Problem]) -> str:
    # A grader that once ran out of time may ask for others than when the work was stopped: then it is another file.
    return f"round-{attempt}-{text_hash(*(problem.problem_id for problem in asked))[:8]}.jsonl"
