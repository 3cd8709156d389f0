"""``paced snr RUN --anatomy``: full-parameter gradients of each pass-rate group, for forward and reverse KL.

    snr/anatomy-<set>.jsonl      K fresh samples at temperature 1 of the training groups, held-out and prior problems,
                                 and the teacher's references of the training groups, sampled as the run asks
    snr/anatomy.parquet          one row a group and loss;   figures/anatomy.png, .csv

g_x is the gradient, with respect to every parameter, of problem x's loss averaged over its completions:
the student's, or the teacher's references.
Groups go by the stage's own pass rates, gradients by fresh samples, so that the two share no rollout.
The useful direction is the cross-entropy towards the held-out samples that passed, on problems with 0 < s < K: the
gradient of log pass rate, and the cross-entropy towards the gold solution where only one completion passes. The prior
skill's is the same on the sets with role ``stability``, whose problems may also be solved every time.
Cost: one backward pass a problem and loss, and 4 bytes × parameters × (problems of a group + both directions): a matter
of the lab and of small models. The head's Gram machinery is not used: what an optimiser steps on is the whole gradient.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from paced.analysis.anatomy import AnatomyRow, anatomy_columns, anatomy_row, group_problems
from paced.analysis.snr.losses import HeadLoss, make_head_loss
from paced.analysis.snr.measure import TokenIds, TokenReduction
from paced.errors import ConfigError
from paced.records import PassRate, Problem, Rollout
from paced.runfolder import RunFolder
from paced.storage import read_parquet, read_records, write_parquet
from paced.train.data.problems import read_problems
from paced.train.data.prompts import Prompt, make_prompts
from paced.train.loss.rows import Scratch
from paced.train.micro_batches import pack
from paced.train.models import load_model, load_teacher, load_tokenizer, pick_device, student_model, teacher_model
from paced.train.progress import Progress
from paced.train.rollout.collect import collect_rollouts
from paced.train.rollout.engines import make_sampler
from paced.train.rollout.grading import grade_rollout
from paced.train.run import grade, roll_out, stage_problems
from paced.train.signals import stop_if_requested

OBJECTIVES = (("forward_kl", "references"), ("forward_kl", "rollouts"), ("reverse_kl", "rollouts"))
"""Full-vocabulary divergences, and the completions they are taken along: the teacher's or the student's."""
NUM_SAMPLES = 8
"""Completions of each problem."""
PER_GROUP = 48
"""Most problems of a group."""
PER_DIRECTION = 384
"""Most problems that are sampled for a direction."""
MAX_BYTES = 4 * 2**30
"""Of gradients held at once."""

Gradients = NDArray[np.float32]


def measure_anatomy(
    run: RunFolder, progress: Progress, *, stage: int = 1, token_reduction: TokenReduction = "sum"
) -> Path:
    """Measure the student that enters ``stage`` and return the figure.

    Raises:
        ConfigError: the model is too large for gradients of this many problems.
        StopRequested: a signal came; samples that are there are kept, gradients are made anew.
    """
    from paced.analysis.figures import save_figure
    from paced.analysis.figures_anatomy import anatomy_figure

    roll_out(run, stage, progress)
    grade(run, stage, progress)
    config, device = run.config(), pick_device()
    model = student_model(run, config, stage_number=stage)
    tokenizer, shown = load_tokenizer(model), load_tokenizer(teacher_model(config))
    student, teacher = load_model(model, device=device), load_teacher(config, device=device)
    width = min(len(tokenizer), student.get_output_embeddings().weight.shape[0])
    _refuse_large(student, str(model.path))
    sampler = make_sampler(config.rollouts.engine, student, tokenizer, config.prompts.end_of_answer)
    sampling = dataclasses.replace(config.rollouts, num_samples=NUM_SAMPLES, sampling_temperature=1.0, top_p=1.0)

    def sample(name: str, problems: Sequence[Problem]) -> tuple[list[Prompt], dict[str, list[Rollout]]]:
        """Student prompts, and the samples of each problem."""
        file = run.snr / f"anatomy-{name}.jsonl"
        prompts = make_prompts(problems, reader="student", config=config.prompts, tokenizer=tokenizer, file=name)
        collect_rollouts(
            file, sampler=sampler, tokenizer=tokenizer, prompts=prompts, sampling=sampling, run_seed=config.seed,
            draw=f"gradient anatomy of {name}, stage {stage}",
            label=f"gradient anatomy: rollouts of {len(problems):,} problems ({name})", progress=progress,
        )  # fmt: skip
        found: dict[str, list[Rollout]] = {problem.problem_id: [] for problem in problems}
        for rollout in read_records(file, Rollout):
            found[rollout.problem_id].append(rollout)
        return prompts, found

    def direction(role: str) -> Gradients | None:
        """Cross-entropy gradients towards the samples that passed."""
        problems = [
            problem
            for item in config.evaluation.sets
            if item.role == role
            for problem in list(read_problems(item.path).problems)[:PER_DIRECTION]
        ]
        if not problems:
            return None
        prompts, found = sample(role, problems)
        gradients = []
        for problem, prompt in zip(problems, prompts, strict=True):
            graded = [
                (grade_rollout(problem, one, answer_format=config.grading.answer_format).verdict, one.token_ids)
                for one in found[problem.problem_id]
            ]
            passed = [token_ids for verdict, token_ids in graded if verdict == "correct"]
            if passed and (role == "stability" or len(passed) < len(graded)):
                stop_if_requested()
                gradients.append(
                    problem_gradient(
                        student, None, prompt=prompt.token_ids, completions=passed,
                        loss=make_head_loss("cross_entropy"), token_reduction=token_reduction, vocab_size=width,
                    )
                )  # fmt: skip
        return np.stack(gradients) if gradients else None

    run.snr.mkdir(parents=True, exist_ok=True)
    useful, prior = direction("plasticity"), direction("stability")
    rates = {rate.problem_id: rate for rate in read_parquet(run.stage(stage).pass_rates, PassRate)}
    groups = {name: members[:PER_GROUP] for name, members in group_problems(stage_problems(run, stage), rates).items()}
    chosen = [problem for members in groups.values() for problem in members]
    asked, found = sample("training", chosen)
    seen = make_prompts(
        chosen, reader="teacher", config=config.prompts, tokenizer=shown, file=config.problems.path
    )  # fmt: skip
    collect_rollouts(
        run.snr / "anatomy-references.jsonl",
        sampler=make_sampler(config.references.engine, teacher, shown, config.prompts.end_of_answer),
        tokenizer=shown, prompts=seen, sampling=config.references, run_seed=config.seed,
        draw=f"gradient anatomy references, stage {stage}", label="gradient anatomy: references", progress=progress,
    )  # fmt: skip
    references: dict[str, list[Rollout]] = {problem.problem_id: [] for problem in chosen}
    for reference in read_records(run.snr / "anatomy-references.jsonl", Rollout):
        references[reference.problem_id].append(reference)
    along = {"references": references, "rollouts": found}
    prompts = {one.problem_id: (one, other) for one, other in zip(asked, seen, strict=True)}
    rows: list[AnatomyRow] = []
    with progress.track("gradient anatomy", len(OBJECTIVES) * len(chosen)) as advance:
        for loss, which in OBJECTIVES:
            for name, members in groups.items():
                gradients = []
                for problem in members:
                    stop_if_requested()
                    one, other = prompts[problem.problem_id]
                    gradients.append(
                        problem_gradient(
                            student, teacher, prompt=one.token_ids, teacher_prompt=other.token_ids,
                            completions=[rollout.token_ids for rollout in along[which][problem.problem_id]],
                            loss=make_head_loss(loss), token_reduction=token_reduction,
                            vocab_size=width,
                        )
                    )  # fmt: skip
                    advance(1)
                rows.append(
                    anatomy_row(np.stack(gradients), loss=f"{loss}, {which}", group=name, useful=useful, prior=prior)
                )
    write_parquet(run.snr / "anatomy.parquet", rows, AnatomyRow)
    table = anatomy_columns(rows)
    return save_figure(anatomy_figure(table), table, run.figures / "anatomy.png")


def problem_gradient(
    student: Any,
    teacher: Any,
    *,
    prompt: TokenIds,
    completions: Sequence[TokenIds],
    loss: HeadLoss,
    token_reduction: TokenReduction,
    teacher_prompt: TokenIds | None = None,
    vocab_size: int | None = None,
) -> Gradients:
    """Gradient of one problem's loss, averaged over its completions, with respect to all parameters, [P] in float32.

    Args:
        student: causal LM; every parameter counts, tied ones once.
        teacher: causal LM over the same tokens; None for ``cross_entropy``.
        prompt: what the student reads.
        completions: at least one; held fixed.
        loss: from ``make_head_loss``; its logit gradient is sent backwards through the student.
        token_reduction: ``sum`` or ``mean`` of a completion's token losses.
        teacher_prompt: what the teacher reads; None for ``prompt``.
        vocab_size: tokens that count when the heads have padding rows.
    """
    targets = torch.tensor([token for one in completions for token in one], device=student.device)
    logits = _completion_logits(student, prompt, completions)[:, :vocab_size]
    rows = logits.detach().clone()
    with torch.no_grad():
        other = rows.clone()
        if teacher is not None:
            other = _completion_logits(teacher, teacher_prompt or prompt, completions)[:, :vocab_size].to(rows)
        values = loss.rows_(rows, other, targets, Scratch())
        offsets = np.cumsum([0, *map(len, completions)]).tolist()
        coefficients = loss.coefficients(values, offsets)
        scale = torch.cat(
            [rows.new_full((len(one),), 1.0 / (len(one) if token_reduction == "mean" else 1)) for one in completions]
        )
        scale /= len(completions)
        rows *= (scale if coefficients is None else scale * coefficients).unsqueeze(-1)
    parameters = list(student.parameters())
    found = torch.autograd.grad(logits, parameters, grad_outputs=rows, allow_unused=True)
    parts = [
        torch.zeros_like(one) if gradient is None else gradient for one, gradient in zip(parameters, found, strict=True)
    ]
    return torch.cat([part.detach().float().flatten() for part in parts]).cpu().numpy()


def _completion_logits(model: Any, prompt: TokenIds, completions: Sequence[TokenIds]) -> Tensor:
    """Logits [N, V] that predict the completions' tokens, laid end to end, in float32 or wider."""
    packed = pack([(prompt, one) for one in completions], device=model.device)
    logits = model(**packed.inputs, use_cache=False).logits.flatten(0, 1)[packed.positions]
    return logits if logits.dtype == torch.float64 else logits.float()


def _refuse_large(student: Any, name: str) -> None:
    needed = 4 * sum(one.numel() for one in student.parameters()) * (PER_GROUP + 2 * PER_DIRECTION)
    if needed > MAX_BYTES:
        raise ConfigError(
            f"{name}: gradient anatomy must hold at most {MAX_BYTES / 2**30:.0f} GiB of full gradients, this model "
            f"needs {needed / 2**30:.0f} GiB. Use a smaller model; paced snr without --anatomy has no such limit."
        )
