"""Each divergence against its definition in float64, its gradient against autograd, and the laws of a divergence."""

from __future__ import annotations

import math

import oracles_loss as oracle
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tolerances import EXACT, F32

from paced.train.loss.divergences import DIVERGENCES, make_divergence, token_divergence
from paced.train.loss.rows import Scratch

CASES = [
    ("forward_kl", {}),
    ("reverse_kl", {}),
    ("mixed_kl", {"forward_share": 0.3}),
    ("jsd", {"beta": 0.5}),
    ("jsd", {"beta": 0.9}),
    ("akl", {"head_mass": 0.5}),
    ("akl", {"head_mass": 0.8}),
    ("akl_ascending", {"tail_mass": 0.5}),
    ("akl_ascending", {"tail_mass": 0.2}),
    ("adakd", {"inner": "forward_kl"}),
    ("adakd", {"inner": "reverse_kl", "strength": 1.2, "reference_score": 0.3}),
]
ids = [f"{name}-{'-'.join(map(str, parameters.values()))}" for name, parameters in CASES]
every = pytest.mark.parametrize(("name", "parameters"), CASES, ids=ids)


def logits(seed, *shape, spread=3.0):
    numbers = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=numbers, dtype=torch.float64) * spread


def expected(name, parameters, teacher, student):
    """Value and gradient of the definition."""
    student = student.detach().double().requires_grad_()
    values = getattr(oracle, name)(teacher.double(), student, **parameters)
    (gradient,) = torch.autograd.grad(values.sum(), student)
    return values.detach(), gradient


def test_every_divergence_of_the_list_is_tested():
    assert {name for name, _ in CASES} == set(DIVERGENCES)


@every
def test_blocks_of_columns_make_the_gradient_of_whole_rows(name, parameters):
    teacher, student = logits(0, 40, 257), logits(1, 40, 257)
    divergence = make_divergence(name, **parameters)
    if divergence.statistic_names is None:
        with pytest.raises(NotImplementedError, match="AdaKD has no block form"):
            divergence.row_statistics(student, teacher, Scratch())
        return
    statistics = divergence.row_statistics(student.clone(), teacher.clone(), Scratch())
    assert tuple(statistics) == divergence.statistic_names
    blocks = student.clone()
    for start in range(0, 257, 100):
        columns = slice(start, start + 100)
        divergence.overwrite_block(blocks[:, columns], teacher[:, columns].clone(), statistics)
    _, gradient = divergence.value_and_grad(student_logits=student, teacher_logits=teacher)
    torch.testing.assert_close(blocks, gradient, rtol=1e-10, atol=1e-10)


@every
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_value_and_gradient_are_those_of_the_definition(name, parameters, dtype):
    teacher, student = logits(0, 40, 257), logits(1, 40, 257)
    values, gradient = make_divergence(name, **parameters).value_and_grad(
        student_logits=student.to(dtype), teacher_logits=teacher.to(dtype)
    )
    their_values, their_gradient = expected(name, parameters, teacher.to(dtype), student.to(dtype))
    close = 1e-10 if dtype == torch.float64 else F32
    assert values.dtype == gradient.dtype == dtype
    torch.testing.assert_close(values.double(), their_values, rtol=close, atol=close)
    torch.testing.assert_close(gradient.double(), their_gradient, rtol=10 * close, atol=close)


@pytest.mark.parametrize(("name", "parameters"), [case for case in CASES if not case[0].startswith(("akl", "adakd"))])
def test_gradient_is_the_slope_of_the_value(name, parameters):
    """Central differences; AKL's share and AdaKD's temperature are detached, so autograd holds those instead."""
    divergence = make_divergence(name, **parameters)
    teacher, student = logits(2, 1, 12), logits(3, 1, 12)
    _, gradient = divergence.value_and_grad(student_logits=student, teacher_logits=teacher)
    step = 1e-5
    for token in range(12):
        shift = torch.zeros_like(student)
        shift[0, token] = step
        ends = [
            divergence.value_and_grad(student_logits=student + sign * shift, teacher_logits=teacher)[0]
            for sign in (1, -1)
        ]
        assert float(ends[0] - ends[1]) / (2 * step) == pytest.approx(float(gradient[0, token]), abs=1e-8)


@every
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equal_inputs_give_zero_and_a_zero_gradient(name, parameters, dtype):
    same = logits(4, 16, 300).to(dtype)
    values, gradient = make_divergence(name, **parameters).value_and_grad(student_logits=same, teacher_logits=same)
    assert float(values.abs().max()) == EXACT
    assert bool(torch.isfinite(gradient).all())
    assert float(gradient.abs().max()) < 1e-7


@every
@given(seed=st.integers(0, 2**31), spread=st.floats(0.01, 30.0), offset=st.floats(-50, 50))
def test_laws_of_a_divergence(name, parameters, seed, spread, offset):
    """Never negative, blind to a constant added to either side's logits, its gradient sums to zero."""
    teacher, student = logits(seed, 3, 9, spread=spread), logits(seed + 1, 3, 9, spread=spread)
    divergence = make_divergence(name, **parameters)
    values, gradient = divergence.value_and_grad(student_logits=student, teacher_logits=teacher)
    assert bool((values >= 0).all())
    moved, _ = divergence.value_and_grad(student_logits=student + offset, teacher_logits=teacher - offset)
    torch.testing.assert_close(moved, values, rtol=1e-7, atol=1e-9)
    assert float(gradient.sum(-1).abs().max()) < 1e-9 * max(1.0, float(gradient.abs().max()))


@every
def test_different_inputs_give_more_than_zero(name, parameters):
    teacher, student = logits(5, 8, 11), logits(6, 8, 11)
    values, _ = make_divergence(name, **parameters).value_and_grad(student_logits=student, teacher_logits=teacher)
    assert bool((values > 0).all())


def test_direction_stands_in_the_name():
    """Teacher sure of token 0, student undecided: KL(teacher‖student) = log 2, KL(student‖teacher) is large."""
    teacher, student = torch.tensor([[20.0, -20.0]]).double(), torch.zeros(1, 2).double()
    forward, _ = make_divergence("forward_kl").value_and_grad(student_logits=student, teacher_logits=teacher)
    reverse, _ = make_divergence("reverse_kl").value_and_grad(student_logits=student, teacher_logits=teacher)
    assert float(forward) == pytest.approx(math.log(2), rel=1e-12)
    assert float(reverse) == pytest.approx(20 - math.log(2), rel=1e-12)


@every
def test_a_token_that_neither_can_choose_counts_as_absent(name, parameters):
    teacher, student = logits(7, 5, 10), logits(8, 5, 10)
    divergence = make_divergence(name, **parameters)
    values, gradient = divergence.value_and_grad(student_logits=student[:, :8], teacher_logits=teacher[:, :8])
    teacher[:, 8:] = student[:, 8:] = -torch.inf
    masked, masked_gradient = divergence.value_and_grad(student_logits=student, teacher_logits=teacher)
    torch.testing.assert_close(masked, values, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(masked_gradient[:, :8], gradient, rtol=1e-10, atol=1e-12)
    assert float(masked_gradient[:, 8:].abs().max()) == EXACT


@pytest.mark.parametrize(("name", "infinite"), [("forward_kl", True), ("reverse_kl", False), ("jsd", False)])
def test_support_that_the_student_lacks(name, infinite):
    teacher, student = logits(9, 2, 6), logits(10, 2, 6)
    student[:, 0] = -torch.inf
    values, gradient = make_divergence(name).value_and_grad(student_logits=student, teacher_logits=teacher)
    assert bool(torch.isinf(values).all()) is infinite
    assert bool(torch.isfinite(gradient).all())


@every
def test_padding_rows_get_no_mass_and_no_gradient(name, parameters):
    """Heads of 151,936 and 152,064 rows for one tokenizer, in small: the rows that the tokenizer lacks do not exist."""
    teacher, student = logits(11, 4, 23), logits(12, 4, 20)
    student.requires_grad_()
    divergence = make_divergence(name, **parameters)
    padded = token_divergence(divergence, teacher_logits=teacher, student_logits=student, vocab_size=17)
    exact = getattr(oracle, name)(teacher[:, :17], student[:, :17], **parameters)
    torch.testing.assert_close(padded, exact, rtol=1e-10, atol=1e-12)
    (gradient,) = torch.autograd.grad(padded.sum(), student)
    assert float(gradient[:, 17:].abs().max()) == EXACT
    with pytest.raises(ValueError, match="vocab_size="):
        token_divergence(divergence, teacher_logits=teacher, student_logits=student)


@pytest.mark.parametrize("name", ["forward_kl", "reverse_kl", "jsd"])
def test_loss_temperature_is_hintons(name):
    """T²·D(z/T); its limit is the same for both KLs, half the variance of the logit differences under uniform."""
    teacher, student = logits(13, 4, 9), logits(14, 4, 9)
    divergence = make_divergence(name)
    ours = token_divergence(divergence, teacher_logits=teacher, student_logits=student, loss_temperature=2.5)
    torch.testing.assert_close(ours, 2.5**2 * getattr(oracle, name)(teacher / 2.5, student / 2.5), rtol=1e-10, atol=0)
    if name != "jsd":
        hot = token_divergence(divergence, teacher_logits=teacher, student_logits=student, loss_temperature=1e4)
        torch.testing.assert_close(hot, (teacher - student).var(-1, unbiased=False) / 2, rtol=2e-3, atol=0)


def test_mixed_kl_ends_are_the_two_kls():
    teacher, student = logits(15, 6, 30), logits(16, 6, 30)
    for share, name in ((1.0, "forward_kl"), (0.0, "reverse_kl")):
        ours = make_divergence("mixed_kl", forward_share=share)
        theirs = make_divergence(name)
        for got, wanted in zip(
            ours.value_and_grad(student_logits=student, teacher_logits=teacher),
            theirs.value_and_grad(student_logits=student, teacher_logits=teacher),
            strict=True,
        ):
            torch.testing.assert_close(got, wanted, rtol=1e-12, atol=1e-14)


def test_the_two_akl_rules_differ_where_one_token_crosses():
    """q = (.6, .3, .1): with head mass 0.8, tail mass 0.2 the official head is {0} and the other {0, 1}."""
    teacher = torch.tensor([[0.6, 0.3, 0.1]], dtype=torch.float64).log()
    student = torch.tensor([[0.2, 0.3, 0.5]], dtype=torch.float64).log()
    both = [
        float(make_divergence(name, **parameters).value_and_grad(student_logits=student, teacher_logits=teacher)[0])
        for name, parameters in (("akl", {"head_mass": 0.8}), ("akl_ascending", {"tail_mass": 0.2}))
    ]
    forward, reverse = float(oracle.forward_kl(teacher, student)), float(oracle.reverse_kl(teacher, student))
    share = 0.4 / (0.4 + 0.0 + 0.4)  # the gap of token 1 is zero, so both rules agree here
    assert both == pytest.approx([share * forward + (1 - share) * reverse] * 2, rel=1e-12)
    student = torch.tensor([[0.2, 0.5, 0.3]], dtype=torch.float64).log()
    both = [
        float(make_divergence(name, **parameters).value_and_grad(student_logits=student, teacher_logits=teacher)[0])
        for name, parameters in (("akl", {"head_mass": 0.8}), ("akl_ascending", {"tail_mass": 0.2}))
    ]
    forward, reverse = float(oracle.forward_kl(teacher, student)), float(oracle.reverse_kl(teacher, student))
    shares = [0.4 / 0.8, 0.6 / 0.8]
    assert both == pytest.approx([share * forward + (1 - share) * reverse for share in shares], rel=1e-12)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("kl", {}, "name must be one of forward_kl"),
        ("jsd", {"beta": 1.0}, "beta must be"),
        ("akl", {"head_mass": 0.0}, "head_mass must be"),
        ("mixed_kl", {"forward_share": 1.5}, "forward_share must be"),
        ("adakd", {"reference_score": 0.0}, "reference_score must be"),
    ],
)
def test_wrong_parameters_are_refused(name, parameters, message):
    with pytest.raises(ValueError, match=message):
        make_divergence(name, **parameters)
