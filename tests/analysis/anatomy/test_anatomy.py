"""Gradient anatomy against plain numpy and against autograd through the whole model."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from snr_setup import data, model
from tiny_models import write_model, write_sums

from paced.analysis.anatomy.command import anatomy_file, measure_anatomy
from paced.analysis.anatomy.figure import anatomy_figure
from paced.analysis.anatomy.gradients import problem_gradient
from paced.analysis.anatomy.rows import AnatomyRow, anatomy_columns, anatomy_row, group_problems
from paced.analysis.snr.losses import make_head_loss
from paced.grading.grade import grade_rollout
from paced.pipeline import steps
from paced.problems.files import read_problems
from paced.records import PassRate, Problem, Rollout
from paced.run.configfile import build_config
from paced.run.folder import RunFolder
from paced.run.progress import Silent
from paced.run.storage import read_parquet, read_records


def cosine(a, b):
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_every_number_is_that_of_the_gradients_themselves():
    rng = np.random.default_rng(0)
    g, useful, prior = (rng.normal(size=(n, 40)) + 0.3 for n in (6, 4, 3))
    row = anatomy_row(g, loss="forward_kl", group="all", useful=useful, prior=prior)
    assert row.num_problems == 6
    assert row.norm == pytest.approx(np.linalg.norm(g, axis=1).mean(), rel=1e-12)
    pairs = [cosine(g[i], g[j]) for i in range(6) for j in range(6) if i != j]
    assert row.pair_cosine == pytest.approx(np.mean(pairs), rel=1e-12)
    assert row.useful_cosine == pytest.approx(cosine(g.mean(0), useful.mean(0)), rel=1e-12)
    assert row.prior_cosine == pytest.approx(cosine(g.mean(0), prior.mean(0)), rel=1e-12)
    for name in ("norm", "pair_cosine", "useful_cosine", "prior_cosine"):
        assert getattr(row, f"{name}_low") <= getattr(row, f"{name}_high")


def test_intervals_cover_and_narrow_with_more_problems():
    """The group mean's cosine with a known direction: at least 85 of 100 intervals of 95 % hold the truth at n = 30."""
    rng = np.random.default_rng(1)
    truth = np.array([1.0, 0.5, 0.0])
    useful = np.tile([1.0, 0.0, 0.0], (5, 1))
    rows = [
        anatomy_row(truth + rng.normal(size=(30, 3)), loss="l", group="g", useful=useful, resamples=300, seed=seed)
        for seed in range(100)
    ]
    expected = cosine(truth, useful[0])
    assert sum(row.useful_cosine_low <= expected <= row.useful_cosine_high for row in rows) >= 85
    many = anatomy_row(truth + rng.normal(size=(400, 3)), loss="l", group="g", useful=useful, resamples=300)
    width = np.mean([row.useful_cosine_high - row.useful_cosine_low for row in rows])
    assert many.useful_cosine_high - many.useful_cosine_low < width / 2


def test_one_problem_has_no_pair_a_zero_gradient_no_direction_and_no_direction_no_cosine():
    row = anatomy_row(np.ones((1, 4)), loss="l", group="g")
    assert np.isnan(row.pair_cosine)
    assert np.isnan(row.useful_cosine)
    row = anatomy_row(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), loss="l", group="g", useful=np.ones((1, 2)))
    assert row.pair_cosine == 0
    assert row.useful_cosine == pytest.approx(1.0)
    with pytest.raises(ValueError, match="at least one problem"):
        anatomy_row(np.ones((0, 4)), loss="l", group="g")


def test_groups_split_the_unsolved_by_source_and_leave_ungraded_problems_out():
    problems, rates = [], {}
    passed = [0] * 12 + [1, 4, 7, 8, 0]
    for index, s in enumerate(passed):
        name = f"p{index}"
        source = "hash" if index < 6 else "other"
        problems.append(Problem(problem_id=name, problem="x", answer="1", source=source))
        rates[name] = PassRate(problem_id=name, num_passed=s, num_rollouts=0 if index == 16 else 8)
    groups = group_problems(problems, rates)
    assert {name: len(members) for name, members in groups.items()} == {
        "p̂ = 0, hash": 6, "p̂ = 0, other": 6, "0 < p̂ < 0.2": 1, "0.2 ≤ p̂ ≤ 0.8": 1, "0.8 < p̂ < 1": 1, "p̂ = 1": 1,
    }  # fmt: skip
    alone = group_problems(problems[:6], rates)
    assert list(alone) == ["p̂ = 0"]


@pytest.mark.parametrize("kind", ["qwen3", "llama"])
@pytest.mark.parametrize("loss", ["forward_kl", "reverse_kl", "cross_entropy"])
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_the_gradient_of_all_parameters_is_autograds(kind, loss, reduction):
    """Untied and tied heads; the loss written out on whole logits, one completion at a time."""
    student, teacher = model(kind, 0, torch.float64), model(kind, 1, torch.float64)
    (prompt,), (shown,), (answers,) = data(3, 1)
    total = 0.0
    for answer in answers:
        y = torch.tensor(answer)
        log_p = torch.log_softmax(student(torch.tensor([[*prompt, *answer]])).logits[0, len(prompt) - 1 : -1], -1)
        with torch.no_grad():
            other = teacher(torch.tensor([[*shown, *answer]])).logits[0, len(shown) - 1 : -1]
        log_q = torch.log_softmax(other, -1)
        if loss == "forward_kl":
            value = (log_q.exp() * (log_q - log_p)).sum()
        elif loss == "reverse_kl":
            value = (log_p.exp() * (log_p - log_q)).sum()
        else:
            value = -log_p.gather(-1, y[:, None]).sum()
        total = total + value / (len(y) if reduction == "mean" else 1) / len(answers)
    expected = torch.cat([g.flatten() for g in torch.autograd.grad(total, list(student.parameters()))]).numpy()
    found = problem_gradient(
        student, None if loss == "cross_entropy" else teacher, prompt=prompt, teacher_prompt=shown,
        completions=answers, loss=make_head_loss(loss), token_reduction=reduction,
    )  # fmt: skip
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() < 1e-6 * np.abs(expected).max()


def test_the_figure_draws_every_group_and_loss():
    rng = np.random.default_rng(2)
    rows = [
        anatomy_row(rng.normal(size=(5, 8)), loss=loss, group=group, useful=rng.normal(size=(3, 8)), resamples=50)
        for loss in ("forward_kl, references", "reverse_kl, rollouts")
        for group in ("p̂ = 0", "p̂ = 1")
    ]
    table = anatomy_columns(rows)
    assert set(table) == set(AnatomyRow.__slots__)
    figure = anatomy_figure(table)
    assert len(figure.axes) == 4
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["p̂ = 0", "p̂ = 1"]
    assert len(figure.axes[0].get_legend().get_texts()) == 2


@pytest.mark.slow
def test_a_run_is_measured_by_stage_with_a_direction_from_what_passed(tmp_path):
    """A random model passes nothing, so the held-out answers are set to numbers that some of its samples end with."""
    write_model(tmp_path / "model", "gpt2", chat=False)
    write_sums(tmp_path / "sums.jsonl", 6)
    rows = [{"problem": f"{i} + 1", "answer": 10**9 + i} for i in range(12)]
    (tmp_path / "heldout.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    run = RunFolder(tmp_path / "run")
    run.claim(build_config({
        "name": "tiny",
        "student": {"path": str(tmp_path / "model")},
        "problems": {"path": str(tmp_path / "sums.jsonl")},
        "prompts": {"teacher": "{problem} is {solution}. {problem}", "use_chat_template": False},
        "rollouts": {"num_samples": 2, "max_new_tokens": 64},
        "references": {"num_samples": 1, "sampling_temperature": 0.0, "max_new_tokens": 4},
        "grading": {"answer_format": "last_number"},
        "evaluation": {"sets": [{"name": "heldout", "path": str(tmp_path / "heldout.jsonl")}]},
    }))  # fmt: skip
    steps.take_problems(run, Silent())
    assert measure_anatomy(run, Silent()).name == "anatomy-stage-1.png"
    before = read_parquet(anatomy_file(run, 1), AnatomyRow)
    assert {row.loss for row in before} == {"forward_kl, references", "forward_kl, rollouts", "reverse_kl, rollouts"}
    assert all(row.norm > 0 and np.isnan(row.useful_cosine) for row in before)

    problems = {problem.problem_id: problem for problem in read_problems(tmp_path / "heldout.jsonl").problems}
    said = {}
    for rollout in read_records(run.stage(1).root / "anatomy" / "plasticity.jsonl", Rollout):
        grade = grade_rollout(problems[rollout.problem_id], rollout, answer_format="last_number")
        if grade.extracted and grade.verdict == "incorrect":
            said.setdefault(rollout.problem_id, grade.extracted)
    assert said
    lines = [
        json.dumps({"problem_id": name, "problem": problem.problem, "answer": said.get(name, problem.answer)})
        for name, problem in problems.items()
    ]
    (tmp_path / "heldout.jsonl").write_text("\n".join(lines) + "\n")
    measure_anatomy(run, Silent())
    after = read_parquet(anatomy_file(run, 1), AnatomyRow)
    assert [row.norm for row in after] == [row.norm for row in before]
    assert all(-1 <= row.useful_cosine <= 1 for row in after)
    assert all(np.isnan(row.prior_cosine) for row in after)
