"""Look at everything that a run will need before its first rollout: files, templates, tokenizers, lengths, options.

A fault that would show after an hour shows here in a second, in one message with all its fellows: a look that fails
keeps none of the others from being taken. Models are not loaded, only their configurations and tokenizers. What is
looked at is in five files: options, engines, models, prompts, problems; the list of them all is here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from paced.errors import BadRow, BadRows, ConfigError, did_you_mean
from paced.grading.extract import EXTRACTIONS
from paced.models.loading import context_limit, load_config, load_tokenizer, teacher_model
from paced.models.tokens import check_same_tokenizer
from paced.pipeline.once import Once
from paced.pipeline.preflight_engines import engine_faults
from paced.pipeline.preflight_models import generation_notes, model_faults
from paced.pipeline.preflight_options import option_faults
from paced.pipeline.preflight_problems import gold_faults, overlap
from paced.pipeline.preflight_prompts import agreement_notes, end_faults, prompt_faults, template_notes
from paced.pipeline.preflight_taken import samples_rollouts, taken_faults
from paced.pipeline.quarantine import left_out, length_faults, long_prompts
from paced.pipeline.training_file import read_training_file
from paced.problems.files import ProblemFile, read_problems
from paced.problems.prompts import Prompt, Reader, make_prompts
from paced.records import Problem
from paced.run.config import GradingConfig, ModelConfig, RunConfig, SamplingConfig
from paced.run.configfile import with_method
from paced.run.presets import set_grading, set_sampling

Fault = str | BadRows
"""A sentence, or the rows of one file that cannot be used."""
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What a run reads, read and checked."""

    problems: tuple[Problem, ...]
    """The training set."""
    notes: tuple[str, ...]
    """What a person should know about the files."""
    tokenizer: Any
    """The student's tokenizer; the teacher's cuts text in the same way."""
    student_prompts: list[Prompt]
    """What the student reads, in the order of the problems."""
    teacher_prompts: list[Prompt]
    """What the teacher reads."""
    num_heldout: Mapping[str, int]
    """Held-out set -> problems."""


def check_inputs(config: RunConfig) -> Inputs:
    """Read the problem files, render every prompt, look at both models' folders and hold all lengths against limits.

    Raises:
        ConfigError: everything about options, models, prompts, problems and lengths that would stop the run.
        BadRows: the same, where rows of one problem file are all that is wrong.
    """
    inputs, faults = _look(config, Once())
    if faults:
        raise one_refusal(config.name, faults)
    assert inputs is not None
    return inputs


def check_all(config: RunConfig) -> tuple[Inputs, dict[str, Inputs]]:
    """:func:`check_inputs` of a recipe and of every method that it compares, each file read and each prompt made once.

    Returns:
        The recipe's inputs with everybody's notes, and those of each method by its name.

    Raises:
        ConfigError: as there; what only a method's settings bring about has its name.
        BadRows: as there.
    """
    once = Once()
    inputs, faults = _look(config, once)
    notes = list(inputs.notes) if inputs is not None else []
    own = set(map(str, faults))
    methods: dict[str, Inputs] = {}
    for method in config.methods:
        changed, further = _look(with_method(config, method), once)
        if changed is not None:
            methods[method] = changed
            notes += changed.notes
        news = [fault for fault in further if str(fault) not in own]
        faults += [f"methods.{method}: {fault}" if isinstance(fault, str) else fault for fault in news]
    if faults:
        raise one_refusal(config.name, faults)
    assert inputs is not None
    return dataclasses.replace(inputs, notes=tuple(dict.fromkeys(notes))), methods


def one_refusal(name: str, faults: Sequence[Fault]) -> ValueError:
    """One error for all faults: sentences first, then the rows of each file.

    Args:
        name: the run's.
        faults: at least one.

    Example:
        >>> row = BadRow(row=2, column="answer", found="nothing", fix="Write one.")
        >>> print(one_refusal("mine", ["No engine.", BadRows("a.csv", [row]), "No engine."]))
        mine: No engine.
        a.csv: 1 row cannot be used.
          row 2, column 'answer': found nothing. Write one.
    """
    sentences = dict.fromkeys(fault for fault in faults if isinstance(fault, str))
    rows: dict[str, dict[BadRow, None]] = {}
    for fault in faults:
        if isinstance(fault, BadRows):
            rows.setdefault(fault.file, {}).update(dict.fromkeys(fault.rows))
    files = [BadRows(file, sorted(bad, key=lambda row: row.row)) for file, bad in rows.items()]
    if not sentences and len(files) == 1:
        return files[0]
    return ConfigError("\n".join([f"{name}: {' '.join(sentences)}"] * bool(sentences) + [str(file) for file in files]))


def _look(config: RunConfig, once: Once) -> tuple[Inputs | None, list[Fault]]:
    """What a run reads, and every fault that can be computed; no inputs where a file or tokenizer cannot be read.

    Args:
        config: the recipe, or one method of it.
        once: what other looks at the same recipe have read.
    """
    options = option_faults(config)
    faults: list[Fault] = [*options.values(), *engine_faults(config)]
    file = _try(faults, once, read_training_file, config.problems, config.grading)
    faults += _gold_faults(file, config.problems.path, config.grading, once)
    student_tokenizer = _try(faults, once, load_tokenizer, config.student)
    teacher_tokenizer = _try(faults, once, load_tokenizer, config.teacher) if config.teacher.path else student_tokenizer
    notes = _try(faults, generation_notes, config.student) or []
    if student_tokenizer is not None and teacher_tokenizer is not None:
        if config.teacher.path:
            _try(faults, check_same_tokenizer, student_tokenizer, teacher_tokenizer)
        faults += _try(faults, model_faults, config, student_tokenizer, teacher_tokenizer) or []
    prompts: dict[Reader, list[Prompt]] = {}
    readers: tuple[tuple[Reader, ModelConfig, Any], ...] = (
        ("student", config.student, student_tokenizer),
        ("teacher", teacher_model(config), teacher_tokenizer),
    )
    for reader, model, tokenizer in readers:
        if tokenizer is None:
            continue
        faults += _try(faults, end_faults, model, reader=reader, config=config.prompts, tokenizer=tokenizer) or []
        if file is None:
            continue
        asked = {"reader": reader, "config": config.prompts, "tokenizer": tokenizer}
        made = _try(faults, once, make_prompts, file.problems, file=config.problems.path, rows=file.rows, **asked)
        if made is not None:
            prompts[reader] = made
            faults += once(prompt_faults, file.problems, made, **asked)
            look = partial(template_notes, file.problems[0], made[0], reader=reader)
            notes += _try(faults, look, config=config.prompts, tokenizer=tokenizer) or []
    if file is not None and len(prompts) == len(readers):
        notes += agreement_notes(config, prompts["student"], prompts["teacher"])
        long = long_prompts(file, prompts, config.prompts)
        if long and config.prompts.too_long == "quarantine":
            file, _ = _try(faults, left_out, file, long, config.problems.path) or (None, [])
            absent = {one.problem_id for one in long}
            prompts = {who: [one for one in made if one.problem_id not in absent] for who, made in prompts.items()}
        else:
            faults += length_faults(long, len(file.problems))
    if file is not None and student_tokenizer is not None and "student" in prompts:
        refusals, said = taken_faults(config, file.problems, prompts, student_tokenizer)
        faults += refusals
        notes += said
    held_out: dict[str, list[Prompt]] = {}
    num_heldout: dict[str, int] = {}
    for item in config.evaluation.sets:
        unseen = _try(faults, once, read_problems, item.path, adapter=item.adapter)
        if unseen is None:
            continue
        faults += _gold_faults(unseen, item.path, set_grading(config, item.name), once)
        num_heldout[item.name] = len(unseen.problems)
        notes += unseen.notes
        if file is not None:
            sentence, forbidden = once(overlap, item, unseen.problems, file.problems)
            (faults if forbidden else notes).extend([sentence] if sentence else [])
        if student_tokenizer is not None:
            asked = {"reader": "student", "config": config.prompts, "tokenizer": student_tokenizer}
            made = _try(faults, once, make_prompts, unseen.problems, file=item.path, rows=unseen.rows, **asked)
            held_out[item.name] = made or []
    faults += _try(faults, _length_faults, config, prompts, held_out) or []
    if "training.backend" not in options:
        faults += _try(faults, _backend_faults, config) or []
    if file is None or len(prompts) < len(readers):
        return None, faults
    inputs = Inputs(
        problems=file.problems,
        notes=tuple(dict.fromkeys([*file.notes, *notes, *_report_notes(config)])),
        tokenizer=student_tokenizer,
        student_prompts=prompts["student"],
        teacher_prompts=prompts["teacher"],
        num_heldout=num_heldout,
    )
    return inputs, faults


def _try(faults: list[Fault], look: Callable[..., Result], *given: Any, **named: Any) -> Result | None:
    """What a look gives, or None where it refuses; the refusal joins the faults."""
    try:
        return look(*given, **named)
    except BadRows as error:
        faults.append(error)
    except ConfigError as error:
        faults.append(str(error))
    return None


def _gold_faults(file: ProblemFile | None, path: str, grading: GradingConfig, once: Once) -> list[Fault]:
    """Golds of one set that its own grading calls wrong, as rows of its file; the set is kept."""
    if file is None or grading.answer_format.name not in EXTRACTIONS:
        return []
    wrong = once(gold_faults, file.problems, grading, rows=file.rows)
    return [BadRows(path, wrong)] if wrong else []


def _backend_faults(config: RunConfig) -> list[str]:
    from paced.train.backends import make_backend

    return make_backend(config.training.backend).check(config)


def _report_notes(config: RunConfig) -> list[str]:
    """Say that the report will not show the method that it was to show; a run with other methods is none the worse."""
    named, methods = config.report.method, config.methods
    if not named or not methods or named in methods:
        return []
    return [
        f"report.method is {named!r}, which is not compared: the report shows '{next(iter(methods))}', the first of "
        f"{', '.join(methods)}.{did_you_mean(named, methods)}"
    ]


def _length_faults(
    config: RunConfig, prompts: Mapping[Reader, list[Prompt]], held_out: Mapping[str, list[Prompt]]
) -> list[str]:
    faults: list[str] = []
    seen, shown = prompts.get("student", []), prompts.get("teacher", [])

    def fits(
        model: ModelConfig, who: str, prompts: list[Prompt], sampling: SamplingConfig, section: str, preset: str = ""
    ) -> None:
        if not prompts:
            return
        limit = context_limit(load_config(model))
        longest = max(len(prompt.token_ids) for prompt in prompts)
        if limit is not None and longest + sampling.max_new_tokens > limit:
            if longest >= limit:
                fix = f"Leave out problems whose prompts have {limit} tokens or more."
            elif preset:
                fix = f"Set {section}.preset=none, and evaluation.sampling to what the {who} can write."
            else:
                fix = f"Set {section}.max_new_tokens={limit - longest} or less."
            setting = f"{section}.preset={preset}: max_new_tokens" if preset else f"{section}.max_new_tokens"
            faults.append(
                f"{setting} is {sampling.max_new_tokens}, the longest prompt has {longest} tokens and the {who} has "
                f"{limit} positions. {fix}"
            )

    if samples_rollouts(config):
        fits(config.student, "student", seen, config.rollouts, "rollouts")
    if any(stage.along == "reference" for stage in config.stages) and not config.references.from_:
        fits(teacher_model(config), "teacher", shown, config.references, "references")
        fits(config.student, "student", seen, config.references, "references")
    if any(stage.along == "rollout" for stage in config.stages) and samples_rollouts(config):
        fits(teacher_model(config), "teacher", shown, config.rollouts, "rollouts")
    plain = [item.name for item in config.evaluation.sets if item.preset == "none"]
    sampled = [prompt for name in plain for prompt in held_out.get(name, [])]
    fits(config.student, "student", sampled, config.evaluation.sampling, "evaluation.sampling")
    for item in config.evaluation.sets:
        if item.preset != "none":
            asked, section = held_out.get(item.name, []), f"evaluation.sets.{item.name}"
            fits(config.student, "student", asked, set_sampling(config, item), section, item.preset)
    return faults
