"""Every algorithm gives autograd's Gram matrix: all losses, storages, contractions, softcap, bias, bf16 weights."""

from __future__ import annotations

import numpy as np
import oracles_snr as oracle
import pytest
import torch

from paced.analysis.snr import estimators as est
from paced.analysis.snr.gram import head_gram
from paced.analysis.snr.losses import make_head_loss
from paced.analysis.snr.plan import Shape, choose_plan
from paced.analysis.snr.tokens import RolloutTokens, mean_weights
from paced.train.loss.head import HeadSpec

LOSSES = ("reverse_kl_sampled", "reverse_kl", "forward_kl", "jsd", "akl", "mixed_kl", "cross_entropy")
ALGORITHMS = [(s, c) for s in ("stored", "streamed") for c in ("gradient", "token")]
F64_GRAM, F32_GRAM, BF16_DELTA = 1e-10, 5e-5, 2e-2
"""Agreement with autograd, relative to the mean squared gradient: the issue's two figures, and bfloat16 rounding."""


def case(K=4, T=5, d=12, V=67, dtype=torch.float64, seed=0, teacher_d=9, **head) -> RolloutTokens:
    """Rollouts of unequal lengths (one of them empty when K > 2) under random heads."""
    g = torch.Generator().manual_seed(seed)

    def draw(*shape, scale=1.0):
        return (scale * torch.randn(*shape, generator=g, dtype=torch.float64)).to(dtype)

    lengths = [T + (k % 3) - 1 for k in range(K)]
    if K > 2:
        lengths[1] = 0
    offsets = tuple(np.concatenate([[0], np.cumsum(lengths)]).tolist())
    N = offsets[-1]
    bias = draw(V) if head.pop("bias", False) else None
    return RolloutTokens(
        student_hidden=draw(N, d),
        teacher_hidden=draw(N, teacher_d),
        targets=torch.randint(0, V, (N,), generator=g),
        offsets=offsets,
        student_head=HeadSpec(weight=draw(V, d, scale=0.5), bias=bias, **head),
        teacher_head=HeadSpec(weight=draw(V, teacher_d, scale=0.5)),
    )


def autograd_gram(name: str, tokens: RolloutTokens, mean: bool = False) -> np.ndarray:
    """Plain autograd in float64 on the definitions."""
    h, head = tokens.student_hidden.double(), tokens.student_head

    def logits_of(weight):
        z = head.scale * (h @ weight.T + (0 if head.bias is None else head.bias.double()))
        return z if head.softcap is None else head.softcap * torch.tanh(z / head.softcap)

    teacher = tokens.teacher_hidden.double() @ tokens.teacher_head.weight.double().T
    g = oracle.head_gradients(name, head.weight.double(), logits_of, teacher, tokens.targets, tokens.offsets, mean=mean)
    return g @ g.T


def error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / np.diag(expected).mean())


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(("storage", "contraction"), ALGORITHMS)
def test_each_algorithm_equals_autograd_in_float64(name, storage, contraction):
    tokens = case()
    result = head_gram(tokens, make_head_loss(name), storage=storage, contraction=contraction)
    assert error(result.gram, autograd_gram(name, tokens)) < F64_GRAM


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(("storage", "contraction"), ALGORITHMS)
def test_each_algorithm_equals_autograd_in_float32(name, storage, contraction):
    tokens = case(dtype=torch.float32, K=8, T=20, d=48, V=301)
    result = head_gram(tokens, make_head_loss(name), storage=storage, contraction=contraction)
    assert error(result.gram, autograd_gram(name, tokens)) < F32_GRAM


@pytest.mark.parametrize("K", [2, 3, 8, 16])
def test_the_chosen_algorithm_equals_autograd_for_any_number_of_rollouts(K):
    tokens = case(K=K, T=6)
    for name in ("reverse_kl_sampled", "reverse_kl"):
        assert error(head_gram(tokens, make_head_loss(name)).gram, autograd_gram(name, tokens)) < F64_GRAM


@pytest.mark.parametrize("name", LOSSES)
def test_running_sums_equal_the_gram_sums(name):
    tokens = case()
    gram = head_gram(tokens, make_head_loss(name))
    sums = head_gram(tokens, make_head_loss(name), wanted="sums", storage="running_sums")
    assert sums.gram is None
    assert sums.sum_square == pytest.approx(gram.sum_square, rel=F64_GRAM)
    assert sums.square_sum == pytest.approx(gram.square_sum, rel=F64_GRAM)


@pytest.mark.parametrize("contraction", ["gradient", "token"])
def test_bf16_delta_is_near_and_is_never_chosen_unasked(contraction):
    tokens = case(dtype=torch.float32, K=8, T=20, d=48, V=301)
    result = head_gram(tokens, make_head_loss("reverse_kl"), storage="bf16", contraction=contraction)
    assert error(result.gram, autograd_gram("reverse_kl", tokens)) < BF16_DELTA
    shape = Shape(num_tokens=2048, num_groups=8, vocab_size=32768, hidden_size=576, teacher_hidden_size=576)
    tight = 180 * 2**20
    assert choose_plan(shape, max_bytes=tight).storage == "streamed"
    assert choose_plan(shape, max_bytes=tight, allow_bf16=True).storage == "bf16"


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(("storage", "contraction"), ALGORITHMS)
@pytest.mark.parametrize("head", [{"softcap": 1.5}, {"bias": True}, {"scale": 0.25}])
def test_softcap_bias_and_scale_of_the_head_are_in_the_gradient(name, storage, contraction, head):
    tokens = case(**head)
    result = head_gram(tokens, make_head_loss(name), storage=storage, contraction=contraction)
    assert error(result.gram, autograd_gram(name, tokens)) < F64_GRAM


@pytest.mark.parametrize("storage", ["stored", "streamed"])
def test_bf16_weights_get_float32_logits(storage):
    # A bfloat16 product widened afterwards misses by more than the tolerance: the negative control below.
    tokens = case(dtype=torch.bfloat16, K=8, T=20, d=48, V=301)
    for name in ("forward_kl", "reverse_kl"):
        expected = autograd_gram(name, tokens)
        assert error(head_gram(tokens, make_head_loss(name), storage=storage).gram, expected) < F32_GRAM
    h, W = tokens.student_hidden, tokens.student_head.weight
    teacher = (tokens.teacher_hidden @ tokens.teacher_head.weight.T).double()
    usual = oracle.head_gradients(
        "reverse_kl", W.double(), lambda w: (h @ W.T).double() + (h.double() @ (w - W.double()).T), teacher,
        tokens.targets, tokens.offsets,
    )  # fmt: skip
    assert error(usual @ usual.T, expected) > 10 * F32_GRAM


def test_token_mean_divides_each_rollout_by_its_length():
    tokens = case()
    mean = RolloutTokens(
        student_hidden=tokens.student_hidden, targets=tokens.targets, offsets=tokens.offsets,
        student_head=tokens.student_head, teacher_hidden=tokens.teacher_hidden, teacher_head=tokens.teacher_head,
        token_weights=mean_weights(tokens.offsets, tokens.student_hidden),
    )  # fmt: skip
    for name in ("forward_kl", "reverse_kl_sampled"):
        assert error(head_gram(mean, make_head_loss(name)).gram, autograd_gram(name, tokens, mean=True)) < F64_GRAM


@pytest.mark.parametrize("name", LOSSES)
def test_statistics_handed_over_replace_the_first_pass(name):
    tokens = case()
    loss = make_head_loss(name)
    student = tokens.student_hidden @ tokens.student_head.weight.T
    teacher = tokens.teacher_hidden @ tokens.teacher_head.weight.T
    p, log_ratio = torch.softmax(student, -1), torch.log_softmax(student, -1) - torch.log_softmax(teacher, -1)
    q = torch.softmax(teacher, -1)
    order = q.argsort(-1, descending=True)
    head = q.gather(-1, order).cumsum(-1) <= 0.5
    head[:, 0] = True
    gap = (p - q).abs()
    known = {
        "student_lse": torch.logsumexp(student, -1),
        "teacher_lse": torch.logsumexp(teacher, -1),
        "mean_gap": (p * (student - teacher)).sum(-1),
        "mean_log_ratio": (p * (p / ((p + q) / 2)).log()).sum(-1),
        "log_ratio": log_ratio.gather(-1, tokens.targets[:, None]).squeeze(-1),
        "forward_share": (gap.gather(-1, order) * head).sum(-1) / gap.sum(-1),
    }
    result = head_gram(tokens, loss, statistics=known)
    assert result.plan.storage == "streamed"
    assert error(result.gram, autograd_gram(name, tokens)) < F64_GRAM


def test_a_divergence_without_a_block_form_is_stored_or_refused():
    tokens = case()
    loss = make_head_loss("adakd")
    assert head_gram(tokens, loss).plan.storage == "stored"
    with pytest.raises(ValueError, match="max_bytes must be at least"):
        head_gram(tokens, loss, max_bytes=1000)


def test_every_divergence_of_the_trainer_can_be_measured():
    from paced.train.loss.divergences import DIVERGENCES

    tokens = case()
    for name in DIVERGENCES:
        assert np.isfinite(head_gram(tokens, make_head_loss(name)).gram).all()


def test_vocab_size_cuts_padded_rows_of_both_heads():
    whole = case(V=60)
    padded = {}
    for extra, side in ((4, "student_head"), (5, "teacher_head")):
        weight = getattr(whole, side).weight
        wider = torch.cat([weight, torch.full((extra, weight.shape[1]), 9.0, dtype=torch.float64)])
        padded[side] = HeadSpec(weight=wider, vocab_size=60)
    tokens = RolloutTokens(
        student_hidden=whole.student_hidden, teacher_hidden=whole.teacher_hidden, targets=whole.targets,
        offsets=whole.offsets, **padded,
    )  # fmt: skip
    for name in LOSSES:
        assert error(head_gram(tokens, make_head_loss(name)).gram, autograd_gram(name, whole)) < F64_GRAM


def test_memory_bound_is_kept_by_choosing_smaller_blocks():
    shape = Shape(num_tokens=2048, num_groups=8, vocab_size=32768, hidden_size=576, teacher_hidden_size=576)
    for megabytes in (12, 24, 96, 400, 2000):
        plan = choose_plan(shape, max_bytes=megabytes * 2**20)
        assert plan.scratch_bytes <= megabytes * 2**20
    assert choose_plan(shape, max_bytes=2000 * 2**20).storage == "stored"
    assert choose_plan(shape, max_bytes=24 * 2**20).storage == "streamed"


def test_the_cost_rule_follows_its_stated_order():
    shape = Shape(num_tokens=2048, num_groups=8, vocab_size=32768, hidden_size=576, teacher_hidden_size=576)
    assert choose_plan(shape, statistics_given=True).storage == "streamed"
    assert choose_plan(shape).contraction == "gradient"
    assert choose_plan(shape, wanted="sums", max_bytes=220 * 2**20).storage == "running_sums"
    short = Shape(num_tokens=700, num_groups=8, vocab_size=32768, hidden_size=576, teacher_hidden_size=576)
    assert choose_plan(short).contraction == "token"
    assert choose_plan(shape, max_bytes=24 * 2**20).gemm_units == pytest.approx(5, abs=0.1)
    assert choose_plan(shape, statistics_given=True).gemm_units == pytest.approx(3, abs=0.1)


def test_no_tokens_give_a_zero_gram():
    tokens = case()
    empty = RolloutTokens(
        student_hidden=tokens.student_hidden[:0], teacher_hidden=tokens.teacher_hidden[:0], targets=tokens.targets[:0],
        offsets=(0, 0, 0), student_head=tokens.student_head, teacher_head=tokens.teacher_head,
    )  # fmt: skip
    assert (head_gram(empty, make_head_loss("reverse_kl")).gram == 0).all()


def test_permuting_rollouts_permutes_the_gram():
    tokens = case(K=3, T=4)
    a, b, c = ((tokens.offsets[k], tokens.offsets[k + 1]) for k in range(3))
    order = torch.cat([torch.arange(*part) for part in (c, a, b)])
    moved = RolloutTokens(
        student_hidden=tokens.student_hidden[order], teacher_hidden=tokens.teacher_hidden[order],
        targets=tokens.targets[order], offsets=(0, c[1] - c[0], c[1] - c[0] + a[1] - a[0], len(order)),
        student_head=tokens.student_head, teacher_head=tokens.teacher_head,
    )  # fmt: skip
    first, second = (head_gram(t, make_head_loss("jsd")).gram for t in (tokens, moved))
    np.testing.assert_allclose(second, first[np.ix_([2, 0, 1], [2, 0, 1])], rtol=1e-12, atol=1e-14)


def test_exact_gradient_of_the_expected_loss_is_the_mean_score_function_gradient():
    # One-token completions: Σ_y p(y)·(score gradient of y) is the full-vocabulary reverse KL gradient.
    g = torch.Generator().manual_seed(3)
    V, d = 7, 5
    h, ht = torch.randn(1, d, generator=g).double(), torch.randn(1, d, generator=g).double()
    heads = [HeadSpec(weight=torch.randn(V, d, generator=g).double()) for _ in range(2)]
    p = torch.softmax(h @ heads[0].weight.T, -1)[0].numpy()
    every = RolloutTokens(
        student_hidden=h.repeat(V, 1), teacher_hidden=ht.repeat(V, 1), targets=torch.arange(V),
        offsets=tuple(range(V + 1)), student_head=heads[0], teacher_head=heads[1],
    )  # fmt: skip
    sampled = head_gram(every, make_head_loss("reverse_kl_sampled")).gram
    exact = head_gram(every, make_head_loss("reverse_kl")).gram[0, 0]
    assert p @ sampled @ p == pytest.approx(exact, rel=1e-10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"offsets": (0, 3)}, "offsets must rise from 0"),
        ({"teacher_head": HeadSpec(weight=torch.zeros(66, 9))}, "must have the same vocabulary, got 67 and 66"),
    ],
)
def test_inconsistent_tokens_are_refused(change, message):
    tokens = case()
    parts = {name: getattr(tokens, name) for name in tokens.__dataclass_fields__} | change
    with pytest.raises(ValueError, match=message):
        RolloutTokens(**parts)


def test_infinite_loss_is_refused_with_the_token():
    tokens = case()
    tokens.student_hidden[2] = float("nan")
    with pytest.raises(ValueError, match="at token 2"):
        head_gram(tokens, make_head_loss("reverse_kl"))


def test_sums_by_themselves_give_the_same_snr():
    tokens = case(K=5)
    result = head_gram(tokens, make_head_loss("reverse_kl_sampled"))
    whole = est.moments(result.gram)
    sums = est.moments_from_sums(sum_square=result.sum_square, square_sum=result.square_sum, num_rollouts=5)
    assert est.paper_snr(sums) == pytest.approx(est.paper_snr(whole), rel=1e-10)


@pytest.mark.parametrize(
    ("name", "forced", "message"),
    [
        ("jsd", {"storage": "disk"}, "storage must be one of stored, bf16, streamed, running_sums, got 'disk'"),
        ("jsd", {"contraction": "tokens"}, "contraction must be one of gradient, token.*mean 'token'"),
        ("jsd", {"wanted": "sum"}, "wanted must be one of gram, sums"),
        ("adakd", {"storage": "streamed"}, "storage must not be streamed for a loss without a block form"),
        ("jsd", {"storage": "running_sums"}, "must not be running_sums where the Gram matrix is wanted"),
    ],
)
def test_an_algorithm_that_cannot_give_the_matrix_is_refused_by_name(name, forced, message):
    with pytest.raises(ValueError, match=message):
        head_gram(case(), make_head_loss(name), **forced)
