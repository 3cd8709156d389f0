"""lm_head_snr on real models against plain autograd through the whole model's logits, written independently."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from snr_setup import F32, F64, VOCAB, data, difference, model

from paced.analysis import lm_head_snr
from paced.analysis.snr.losses import make_head_loss
from paced.analysis.snr.measure import _batches, problem_gram


def autograd_gradient(student, teacher, prompt, shown, answer, loss: str, reduction: str) -> torch.Tensor:
    """d loss / d W of one completion: the hidden states held, W a leaf, everything else autograd in float64."""
    y = torch.tensor(answer)
    states = []
    for one, before in ((student, prompt), (teacher, shown)):
        with torch.no_grad():
            hidden = one.model(torch.tensor([[*before, *answer]])).last_hidden_state[0]
        states.append(hidden[len(before) - 1 : -1].double())
    W = student.lm_head.weight.detach().double().requires_grad_(True)
    log_p = torch.log_softmax(states[0] @ W.T, -1)
    log_q = torch.log_softmax(states[1] @ teacher.lm_head.weight.detach().double().T, -1)
    p, q = log_p.exp(), log_q.exp()
    if loss == "forward_kl":
        value = (q * (log_q - log_p)).sum()
    elif loss == "reverse_kl":
        value = (p * (log_p - log_q)).sum()
    elif loss == "jsd":
        m = (p + q) / 2
        value = (p * (log_p - m.log()) + q * (log_q - m.log())).sum() / 2
    elif loss == "reverse_kl_sampled":
        chosen_p, chosen_q = (t.gather(-1, y[:, None])[:, 0] for t in (log_p, log_q))
        reward = (chosen_p - chosen_q).detach()
        to_go = torch.stack([reward[n:].sum() for n in range(len(y))])
        value = (to_go * chosen_p).sum()
    else:
        raise AssertionError(loss)
    return torch.autograd.grad(value / (len(y) if reduction == "mean" else 1), W)[0]


def autograd_gram(student, teacher, prompt, shown, answers, loss, reduction) -> np.ndarray:
    g = torch.stack(
        [autograd_gradient(student, teacher, prompt, shown, answer, loss, reduction).flatten() for answer in answers]
    ).numpy()
    return g @ g.T


@pytest.mark.parametrize("loss", ["reverse_kl_sampled", "reverse_kl", "forward_kl", "jsd"])
@pytest.mark.parametrize(
    ("kind", "dtype", "limit", "K"),
    [
        ("qwen3", torch.float64, F64, 5),
        ("llama", torch.float64, F64, 2),
        ("qwen3", torch.float32, F32, 16),
        ("llama", torch.float32, F32, 5),
        ("llama", torch.bfloat16, F32, 5),
    ],
)
def test_every_gram_matrix_and_snr_is_autograds(kind, dtype, limit, K, loss):
    student, teacher = model(kind, 0, dtype), model(kind, 1, dtype)
    prompts, shown, answers = data(K)
    for reduction in ("sum", "mean"):
        rows = lm_head_snr(
            student, teacher, student_prompts=prompts, teacher_prompts=shown, completions=answers, loss=loss,
            token_reduction=reduction,
        )  # fmt: skip
        for x, row in enumerate(rows):
            expected = autograd_gram(student, teacher, prompts[x], shown[x], answers[x], loss, reduction)
            assert difference(row.matrix(), expected) < limit
            mean = expected.mean()
            eq8 = np.sqrt(mean / (np.trace(expected) / K - mean))
            assert row.paper_snr == pytest.approx(eq8, rel=10 * limit)
            assert row.noise == pytest.approx((np.trace(expected) - K * mean) / (K - 1), rel=10 * limit)
            assert not row.degenerate


def test_akl_is_the_trainers_own_gradient():
    from paced.train.loss.divergences import make_divergence
    from paced.train.loss.rows import Scratch

    student, teacher = model("qwen3", 0, torch.float64), model("qwen3", 1, torch.float64)
    prompts, _, answers = data(3, 1)
    row = lm_head_snr(
        student, teacher, student_prompts=prompts, completions=answers, loss="akl", token_reduction="sum"
    )[0]  # fmt: skip
    gradients = []
    for answer in answers[0]:
        hidden, logits = [], []
        for one in (student, teacher):
            with torch.no_grad():
                states = one.model(torch.tensor([[*prompts[0], *answer]])).last_hidden_state[0][
                    len(prompts[0]) - 1 : -1
                ]
                hidden.append(states)
                logits.append(states @ one.lm_head.weight.T)
        delta = logits[0].clone()
        make_divergence("akl").overwrite(student_logits=delta, teacher_logits=logits[1], scratch=Scratch())
        gradients.append((delta.T @ hidden[0]).flatten())
    g = torch.stack(gradients).numpy()
    assert difference(row.matrix(), g @ g.T) < F64


def test_batch_size_padding_and_order_change_nothing():
    student, teacher = model("qwen3", 0, torch.float64), model("qwen3", 1, torch.float64)
    prompts, shown, answers = data(4, 3)
    options = {"loss": "reverse_kl_sampled", "token_reduction": "mean"}
    every = lm_head_snr(
        student, teacher, student_prompts=prompts, teacher_prompts=shown, completions=answers, **options
    )  # fmt: skip
    for max_tokens in (1, 13, 40):  # one sequence at a time; some padded to others' length
        again = lm_head_snr(
            student, teacher, student_prompts=prompts, teacher_prompts=shown, completions=answers,
            max_tokens=max_tokens, **options,
        )  # fmt: skip
        for one, two in zip(every, again, strict=True):
            assert difference(two.matrix(), one.matrix()) < F64
    back = lm_head_snr(
        student, teacher, student_prompts=prompts[::-1], teacher_prompts=shown[::-1], completions=answers[::-1],
        problem_ids=["2", "1", "0"], **options,
    )  # fmt: skip
    assert [row.problem_id for row in back] == ["2", "1", "0"]
    for one, two in zip(every, back[::-1], strict=True):
        assert two.gram == one.gram
        assert two.guarded_snr == pytest.approx(one.guarded_snr, rel=1e-12)


@pytest.mark.parametrize("kind", ["qwen3", "llama"])
def test_in_bfloat16_what_shares_a_batch_changes_nothing(kind):
    """With padding these Gram matrices were off by 2e-3 to 6e-2."""
    student, teacher, rng = model(kind, 0, torch.bfloat16), model(kind, 1, torch.bfloat16), np.random.default_rng(0)
    prompts = [rng.integers(1, VOCAB, 5).tolist() for _ in range(2)]
    answers = [[rng.integers(1, VOCAB, rng.integers(3, 30)).tolist() for _ in range(16)] for _ in prompts]
    given = {"student_prompts": prompts, "completions": answers}
    options = {"loss": "reverse_kl_sampled", "token_reduction": "sum"}
    alone = lm_head_snr(student, teacher, max_tokens=1, **given, **options)
    together = lm_head_snr(student, teacher, **given, **options)
    for one, two in zip(alone, together, strict=True):
        assert difference(two.matrix(), one.matrix()) < F32


def test_batches_without_padding_hold_one_length_each_and_every_sequence_once():
    lengths = [3, 5, 3, 9, 5, 3, 3]
    batches = list(_batches(lengths, 9, padded=False))
    assert sorted(index for batch in batches for index in batch) == list(range(7))
    assert all(len({lengths[index] for index in batch}) == 1 for batch in batches)
    assert max(sum(lengths[index] for index in batch) for batch in batches) <= 9
    assert len(list(_batches(lengths, 100, padded=True))) == 1


def test_identical_completions_are_degenerate_with_finite_guarded_snr():
    student, teacher = model("llama", 0, torch.float32), model("llama", 1, torch.float32)
    prompts, _, answers = data(4)
    answers[0] = [answers[0][0]] * 4
    rows = lm_head_snr(
        student, teacher, student_prompts=prompts, completions=answers, loss="forward_kl", token_reduction="sum"
    )  # fmt: skip
    assert rows[0].degenerate
    assert np.isnan(rows[0].paper_snr)
    assert np.isfinite(rows[0].guarded_snr)
    assert not rows[1].degenerate


def test_cross_problem_gram_is_that_of_mean_gradients():
    student, teacher = model("qwen3", 0, torch.float64), model("qwen3", 1, torch.float64)
    prompts, shown, answers = data(3, 4)
    found = problem_gram(
        student, teacher, student_prompts=prompts, teacher_prompts=shown, completions=answers,
        loss=make_head_loss("forward_kl"), token_reduction="sum",
    )  # fmt: skip
    means = torch.stack([
        torch.stack([autograd_gradient(student, teacher, p, s, y, "forward_kl", "sum") for y in many]).mean(0).flatten()
        for p, s, many in zip(prompts, shown, answers, strict=True)
    ]).numpy()  # fmt: skip
    assert difference(found, means @ means.T) < F64


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"completions": [[[1], [2]], [[1]]]}, "problem 1 must have at least 2 completions, got 1"),
        ({"student_prompts": [[1]]}, "must be equal in number, got 1, 1, 2, 1"),
        ({"student_prompts": [[1], []]}, "problem 1 has an empty prompt"),
        ({"vocab_size": 2}, "tokens below vocab_size = 2, got 2 in problem 0"),
        ({"token_reduction": "max"}, "token_reduction must be one of sum, mean, got 'max'"),
    ],
)
def test_wrong_input_is_refused_by_name(change, message):
    given = {"student_prompts": [[1], [2]], "completions": [[[1], [2]], [[1], [2]]], "token_reduction": "sum"} | change
    with pytest.raises(ValueError, match=message):
        lm_head_snr(None, None, loss="forward_kl", **given)


def test_naming_the_function_loads_no_torch():
    program = "import sys, paced.analysis; print('lm_head_snr' in dir(paced.analysis), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["True", "False"]
