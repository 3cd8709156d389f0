"""The step: what it computes, and everything that may not change it."""

from __future__ import annotations

import dataclasses
import json
import math
import re

import pytest
import torch
from tolerances import EXACT, F32
from training_setup import (
    NUM_TOKENS,
    build_student,
    build_teacher,
    make_config,
    make_examples,
    metrics_of,
    step_gradients,
    train,
    weights_of,
)

from paced.train import stage
from paced.train.examples import FixedExamples, Ratings
from paced.train.native import loop
from paced.train.native.learner import Learner
from paced.train.teacher import Teacher


def relative_difference(ours, theirs):
    """Largest difference of any gradient over the largest gradient."""
    scale = max(float(gradient.abs().max()) for gradient in theirs.values())
    return max(float((ours[name] - theirs[name]).abs().max()) for name in theirs) / scale


def one_batch(**changes):
    """All twelve examples in one step."""
    return make_config(**{"training.batch_size": 12, "training.micro_batch_tokens": 10_000} | changes)


REDUCTIONS = [(r, n) for r in ("sequence_mean", "token_mean") for n in ("dataset", "self")]


@pytest.mark.parametrize(("reduction", "normaliser"), REDUCTIONS)
def test_loss_and_gradient_are_those_of_the_definition(tmp_path, reduction, normaliser):
    """Full logits, float64, autograd: Σ_i m_i Σ_t KL(teacher‖student) over the tokens that the tokenizer has."""
    changes = {"training.reduction": reduction, "training.normaliser": normaliser}
    gradients = step_gradients(tmp_path, one_batch(**changes))
    student, teacher, examples = build_student().double(), build_teacher().double(), make_examples()
    weights = torch.tensor([example.unit_mean_weight for example in examples], dtype=torch.float64)
    counts = torch.tensor([len(example.completion_ids) for example in examples if example.unit_mean_weight])
    kept = weights[weights > 0]
    denominators = {
        ("sequence_mean", "dataset"): 12.0,
        ("sequence_mean", "self"): float(kept.sum()),
        ("token_mean", "dataset"): float(counts.sum()),
        ("token_mean", "self"): float((kept * counts).sum()),
    }
    loss = torch.zeros((), dtype=torch.float64)
    for example in examples:
        if not example.unit_mean_weight:
            continue
        count = len(example.completion_ids)

        def log_probabilities(model, prompt, completion=example.completion_ids, count=count):
            logits = model(torch.tensor([[*prompt, *completion]])).logits[0]
            return torch.log_softmax(logits[-count - 1 : -1, :NUM_TOKENS], dim=-1)

        theirs = log_probabilities(teacher, example.teacher_prompt_ids)
        ours = log_probabilities(student, example.student_prompt_ids)
        divergence = (theirs.exp() * (theirs - ours)).sum()
        loss = loss + example.unit_mean_weight * divergence / (count if reduction == "sequence_mean" else 1)
    loss = loss / denominators[reduction, normaliser]
    loss.backward()
    assert metrics_of(tmp_path)[0]["loss"] == pytest.approx(loss.item(), rel=F32)
    expected = {name: parameter.grad.float() for name, parameter in student.named_parameters()}
    assert relative_difference(gradients, expected) < F32


@pytest.mark.parametrize(("reduction", "normaliser"), REDUCTIONS)
@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_the_step_does_not_depend_on_the_micro_batch(tmp_path, monkeypatch, size, reduction, normaliser):
    changes = {"training.reduction": reduction, "training.normaliser": normaliser}
    whole = step_gradients(tmp_path / "whole", one_batch(**changes))

    def of_size(lengths, *, max_tokens, num_shares):
        return [[list(range(start, min(start + size, len(lengths))))] for start in range(0, len(lengths), size)]

    monkeypatch.setattr(stage, "split_batch", of_size)
    cut = step_gradients(tmp_path / "cut", one_batch(**changes))
    assert relative_difference(cut, whole) < F32
    assert metrics_of(tmp_path / "cut")[0]["loss"] == pytest.approx(metrics_of(tmp_path / "whole")[0]["loss"], rel=F32)


def test_a_normaliser_inside_the_micro_batch_would_be_seen(tmp_path, monkeypatch):
    """Negative control: divide by the micro-batch's own weight, and with one sequence each the weights cancel."""
    whole = step_gradients(tmp_path / "whole", one_batch())
    original = loop.pack_for_student

    def wrong(examples, multipliers, team):
        counts = torch.tensor([len(example.completion_ids) for example in examples])
        return original(examples, multipliers / (multipliers * counts).sum() / 12, team)

    monkeypatch.setattr(loop, "pack_for_student", wrong)
    cut = step_gradients(tmp_path / "cut", one_batch(**{"training.micro_batch_tokens": 1}))
    assert relative_difference(cut, whole) > 1000 * F32


def test_padding_does_not_change_the_step(tmp_path, monkeypatch):
    whole = step_gradients(tmp_path / "whole", one_batch())
    original = loop.pack_for_student

    def wider(examples, multipliers, team):
        packed = original(examples, multipliers, team)
        ids = packed.inputs["input_ids"]
        rows, columns = packed.positions // ids.shape[1], packed.positions % ids.shape[1]
        padded = torch.nn.functional.pad(ids, (0, 7), value=9)
        return dataclasses.replace(packed, inputs={"input_ids": padded}, positions=rows * padded.shape[1] + columns)

    monkeypatch.setattr(loop, "pack_for_student", wider)
    assert relative_difference(step_gradients(tmp_path / "padded", one_batch()), whole) < F32


def test_weight_one_is_unweighted_bit_for_bit(tmp_path, monkeypatch):
    examples = make_examples(weights=[1.0] * 12)
    config = make_config()
    train(tmp_path / "weighted", config, source=FixedExamples(examples))

    def unweighted(*, token_counts, num_problems, **_):
        return torch.tensor([1.0 / (num_problems * count) for count in token_counts], dtype=torch.float64)

    monkeypatch.setattr(stage, "token_weights", unweighted)
    train(tmp_path / "unweighted", config, source=FixedExamples(examples))
    ours, theirs = weights_of(tmp_path / "weighted"), weights_of(tmp_path / "unweighted")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_problem_of_weight_zero_changes_nothing_and_is_never_computed(tmp_path, monkeypatch):
    """Another text of a problem of weight 0 gives the same bits, and neither model is asked about it."""
    examples = make_examples()
    other = [
        dataclasses.replace(example, completion_ids=(7,) * 30, teacher_prompt_ids=(9,) * 20)
        if example.unit_mean_weight == 0
        else example
        for example in examples
    ]
    asked = set()
    original = Teacher.states

    def states(self, part):
        asked.update(example.problem_id for example in part)
        return original(self, part)

    monkeypatch.setattr(Teacher, "states", states)
    train(tmp_path / "one", make_config(), source=FixedExamples(examples))
    train(tmp_path / "other", make_config(), source=FixedExamples(other))
    ours, theirs = weights_of(tmp_path / "one"), weights_of(tmp_path / "other")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert (tmp_path / "one" / "metrics.jsonl").read_bytes() == (tmp_path / "other" / "metrics.jsonl").read_bytes()
    assert asked == {example.problem_id for example in examples if example.unit_mean_weight}


def test_saved_compute_is_reported(tmp_path):
    outcome = train(tmp_path, one_batch())
    assert outcome.skipped_fraction == pytest.approx(2 / 12)
    assert [line["skipped_fraction"] for line in metrics_of(tmp_path)] == pytest.approx([2 / 12] * 4)
    assert [line["num_examples"] for line in metrics_of(tmp_path)] == [10] * 4


def test_a_batch_without_weight_leaves_the_student_alone(tmp_path):
    weights = [0.0] * 12
    train(tmp_path, make_config(), source=FixedExamples(make_examples(weights=weights)))
    trained = weights_of(tmp_path)
    assert all(torch.equal(trained[name], value) for name, value in build_student().named_parameters())
    assert [line["loss"] for line in metrics_of(tmp_path)] == [0.0] * 4


def test_refill_is_training_without_the_problems_of_weight_zero(tmp_path):
    """Equal steps with and without them in the file, as the others have unit mean among themselves."""
    examples = make_examples()
    kept = [example for example in examples if example.unit_mean_weight]
    config = make_config(**{"training.batching": "refill"})
    train(tmp_path / "with", config, source=FixedExamples(examples))
    train(tmp_path / "without", config, source=FixedExamples(kept))
    ours, theirs = weights_of(tmp_path / "with"), weights_of(tmp_path / "without")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_gradient_checkpointing_gives_the_same_bits(tmp_path):
    train(tmp_path / "kept", make_config())
    train(tmp_path / "recomputed", make_config(**{"parallel.gradient_checkpointing": True}))
    ours, theirs = weights_of(tmp_path / "kept"), weights_of(tmp_path / "recomputed")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_bfloat16_runs_keep_float32_master_weights(tmp_path):
    """A step of 1e-5 is lost in bfloat16 weights of size 0.3; here it arrives, and the gradient is nearly exact."""
    config = make_config(**{"student.dtype": "bfloat16", "training.learning_rate": 1e-5, "training.weight_decay": 0.0})
    gradients = step_gradients(tmp_path / "half", config)
    exact = step_gradients(tmp_path / "exact", dataclasses.replace(config, student=make_config().student))
    assert all(gradient.dtype == torch.float32 for gradient in gradients.values())
    assert relative_difference(gradients, exact) < 0.05
    before, after = build_student().state_dict(), weights_of(tmp_path / "half")
    moved = torch.cat([(after[name] - before[name]).abs().flatten() for name in after])
    assert after["model.embed_tokens.weight"].dtype == torch.float32
    assert float(moved.max()) == pytest.approx(1e-5, rel=0.01)


def test_rows_that_the_tokenizer_lacks_get_no_gradient(tmp_path):
    gradients = step_gradients(tmp_path, one_batch())
    assert float(gradients["model.embed_tokens.weight"][NUM_TOKENS:].abs().max()) == EXACT
    assert float(gradients["model.embed_tokens.weight"][:NUM_TOKENS].abs().max()) > 0


def test_clipping_scales_the_whole_gradient(tmp_path, monkeypatch):
    seen = {}
    original = torch.optim.AdamW.step

    def step(self, *arguments, **named):
        grads = [p.grad for group in self.param_groups for p in group["params"] if p.grad is not None]
        seen["norm"] = math.sqrt(sum(float(grad.double().square().sum()) for grad in grads))
        return original(self, *arguments, **named)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    train(tmp_path, one_batch(**{"training.clip_norm": 0.25, "stages": [{"num_steps": 1}]}))
    assert metrics_of(tmp_path)[0]["grad_norm"] > 0.25
    assert seen["norm"] == pytest.approx(0.25, rel=1e-4)


@pytest.mark.parametrize("poisoned", ["loss", "gradient"])
def test_what_is_not_finite_stops_with_step_problems_and_the_last_checkpoint(tmp_path, monkeypatch, poisoned):
    config = make_config(**{"training.checkpoint_every": 1, "training.batch_size": 3})
    examples = make_examples(weights=[1.0] * 12)
    teacher, student, wanted = build_teacher(), build_student(), r"Problems: "
    if poisoned == "loss":
        examples[5] = dataclasses.replace(examples[5], teacher_prompt_ids=(265, 4))
        teacher.model.embed_tokens.weight.data[265] = math.nan  # a row that no other example reads
        wanted = r"Problems: problem-5\."
    else:
        norms = iter([None, torch.tensor(math.inf)])
        original = Learner.gradient_norm
        monkeypatch.setattr(
            Learner, "gradient_norm", lambda self: norm if (norm := next(norms)) is not None else original(self)
        )
    with pytest.raises(FloatingPointError, match=r"at step \d of stage 1; continue from .*") as caught:
        train(tmp_path, config, source=FixedExamples(examples), teacher=teacher, student=student)
    assert re.search(wanted, str(caught.value))
    done = len(metrics_of(tmp_path)) if (tmp_path / "metrics.jsonl").exists() else 0
    if done:
        assert f"checkpoints/step-{done:06d}" in str(caught.value)
    else:
        assert "no checkpoint yet" in str(caught.value)
    assert all(bool(torch.isfinite(parameter).all()) for parameter in student.parameters())


class Renewing(FixedExamples):
    """Weights and pass rates that change when they are renewed; remembers when."""

    def __init__(self):
        super().__init__(make_examples(), [0.5] * 8 + [0.0] * 2 + [1.0, float("nan")])
        self.renewed = []

    def refresh(self, *, step, student):
        self.renewed.append((step, student is not None))
        inside = 8 - 2 * (step // 2)
        rates = [0.5] * inside + [1.0] * (11 - inside) + [float("nan")]
        return Ratings(unit_mean_weights=tuple([12 / inside] * inside + [0.0] * (12 - inside)), pass_rates=tuple(rates))


def test_pass_rates_are_renewed_and_the_mixture_follows_the_zone(tmp_path):
    """λ(t) = (m_t/m_0)^γ; the reported parts mix to the divergence; weights of the renewal decide the batch."""
    stage = {"divergence": "mixed_kl", "num_steps": 6, "recompute_every": 2}
    changes = {"stages": [stage], "training.interpolation": "zpd_mass", "training.interpolation_power": 2.0}
    source = Renewing()
    train(tmp_path, make_config(**changes), source=source)
    assert source.renewed == [(2, True), (4, True)]
    lines = metrics_of(tmp_path)
    assert [line["forward_share"] for line in lines] == pytest.approx([1, 1, 0.75**2, 0.75**2, 0.25, 0.25])
    for line in lines:
        share = line["forward_share"]
        mixed = share * line["forward_kl"] + (1 - share) * line["reverse_kl"]
        assert line["mixed_kl"] == pytest.approx(mixed, rel=F32)
    assert [line["pass_rate_0_fraction"] for line in lines] == pytest.approx([2 / 11, 2 / 11, 0, 0, 0, 0])
    assert [line["pass_rate_1_fraction"] for line in lines] == pytest.approx(
        [1 / 11, 1 / 11, 5 / 11, 5 / 11, 7 / 11, 7 / 11]
    )
    assert lines[0]["weight_ess"] > 0


def test_a_resumed_run_reads_past_renewals_back_without_a_student(tmp_path):
    stage = {"divergence": "forward_kl", "num_steps": 6, "recompute_every": 2}
    config = make_config(**{"stages": [stage], "training.checkpoint_every": 3, "training.keep_checkpoints": 0})
    train(tmp_path, config, source=Renewing())
    whole = (tmp_path / "metrics.jsonl").read_bytes(), weights_of(tmp_path)
    again = Renewing()
    train(tmp_path, config, source=again)
    assert again.renewed == [(2, False), (4, True)]
    assert (tmp_path / "metrics.jsonl").read_bytes() == whole[0]
    assert all(torch.equal(weights_of(tmp_path)[name], value) for name, value in whole[1].items())


def test_fresh_rollouts_come_from_the_student_of_that_step(tmp_path):
    class Fresh(FixedExamples):
        def __init__(self):
            super().__init__(make_examples())
            self.seen = []

        def examples(self, indices, *, step, student):
            total = sum(float(parameter.detach().double().abs().sum()) for parameter in student.parameters())
            self.seen.append((step, total))
            return super().examples(indices, step=step, student=student)

    stage = {"divergence": "reverse_kl", "along": "rollout", "fresh_rollouts": True, "num_steps": 3}
    source = Fresh()
    train(tmp_path, make_config(stages=[stage]), source=source)
    assert [step for step, _ in source.seen] == [0, 1, 2]
    assert len({total for _, total in source.seen}) == 3


def test_head_snr_is_that_of_the_problems_head_gradients(tmp_path):
    """Against autograd: g_i of each problem's weighted loss with respect to an untied head."""
    config = one_batch(**{"training.track_snr": True, "stages": [{"num_steps": 1}]})
    train(tmp_path, config, student=build_student(tied=False))
    student, teacher = build_student(tied=False).double(), build_teacher().double()
    gradients = []
    for example in make_examples():
        if not example.unit_mean_weight:
            continue
        count = len(example.completion_ids)
        logits = [
            model(torch.tensor([[*prompt, *example.completion_ids]])).logits[0, -count - 1 : -1, :NUM_TOKENS]
            for model, prompt in ((teacher, example.teacher_prompt_ids), (student, example.student_prompt_ids))
        ]
        theirs, ours = (torch.log_softmax(each, -1) for each in logits)
        loss = example.unit_mean_weight / (12 * count) * (theirs.exp() * (theirs - ours)).sum()
        gradients.append(torch.autograd.grad(loss, student.lm_head.weight)[0].flatten())
    stacked = torch.stack(gradients)
    count, second = len(stacked), float(stacked.square().sum()) / len(stacked)
    signal = (float(stacked.sum(0).square().sum()) - second * count) / (count * (count - 1))
    assert metrics_of(tmp_path)[0]["head_snr_squared"] == pytest.approx(signal / (second - signal), rel=1e-4)


def test_metrics_and_timings_hold_what_they_promise(tmp_path):
    examples = make_examples()
    train(tmp_path, make_config(), source=FixedExamples(examples, [0.5] * 12))
    wanted = {"stage", "step", "loss", "forward_kl", "grad_norm", "learning_rate", "num_examples", "num_tokens"}
    wanted |= {"weight_ess", "skipped_fraction", "pass_rate_mean", "pass_rate_0_fraction", "pass_rate_1_fraction"}
    assert set(metrics_of(tmp_path)[0]) == wanted
    timing = json.loads((tmp_path / "timings.jsonl").read_text().splitlines()[-1])
    phases = [timing[f"{phase}_seconds"] for phase in ("completions", "teacher", "student", "update")]
    assert timing["step_seconds"] == pytest.approx(sum(phases))
    assert timing["tokens_per_second"] > 0
    assert timing["peak_memory_bytes"] > 50_000_000
