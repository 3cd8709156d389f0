"""The fused head loss: the same numbers as full logits and autograd, with less memory and better rounding."""

from __future__ import annotations

import oracles_loss as oracle
import pytest
import torch
from tolerances import EXACT, F32
from torch import nn
from train.conftest import build_llama, build_qwen3

from paced.train.loss import HeadSpec, check_head, fused_divergence, head_of, make_divergence, trunk_of
from paced.train.loss.blocks import BlockSizes
from paced.train.loss.rows import Scratch
from paced.train.loss.student import DistillationStudent, LossTargets

NAMES = ("forward_kl", "reverse_kl", "mixed_kl", "jsd", "akl", "akl_ascending", "adakd")


def draw(seed, *shape, dtype=torch.float64, scale=1.0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype) * scale


def problem(dtype=torch.float64, tokens=37, vocab=53, width=16, teacher_width=24):
    return {
        "student_hidden": draw(0, tokens, width, dtype=dtype).requires_grad_(),
        "teacher_hidden": draw(1, tokens, teacher_width, dtype=dtype),
        "student_head": draw(2, vocab, width, dtype=dtype).requires_grad_(),
        "teacher_head": draw(3, vocab, teacher_width, dtype=dtype),
        "token_weights": draw(4, tokens).abs(),
    }


def by_definition(name, student_hidden, teacher_hidden, student_head, teacher_head, token_weights, vocab=None):
    """Full logits in float64, plain autograd."""
    hidden = student_hidden.detach().double().requires_grad_()
    head = student_head.detach().double().requires_grad_()
    student, teacher = hidden @ head.T, teacher_hidden.double() @ teacher_head.double().T
    tokens = getattr(oracle, name)(teacher[:, :vocab], student[:, :vocab])
    loss = (token_weights.double() * tokens).sum()
    return loss.detach(), tokens.detach(), *torch.autograd.grad(loss, (hidden, head))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_loss_and_gradients_are_those_of_full_logits(name, dtype):
    inputs = problem(dtype)
    out = fused_divergence(**inputs, divergence=make_divergence(name))
    out.loss.backward()
    loss, tokens, hidden_grad, head_grad = by_definition(name, **inputs)
    close = 1e-10 if dtype == torch.float64 else 10 * F32
    torch.testing.assert_close(out.loss.double(), loss, rtol=close, atol=0)
    torch.testing.assert_close(out.token_losses.double(), tokens, rtol=close, atol=close)
    for ours, theirs in ((inputs["student_hidden"].grad, hidden_grad), (inputs["student_head"].grad, head_grad)):
        assert float((ours.double() - theirs).norm() / theirs.norm()) < close


@pytest.mark.parametrize("chunk", [64, 7])
def test_a_mixture_returns_the_sums_of_its_parts_for_this_call_alone(chunk):
    inputs, scratch = problem(), Scratch()
    sums = [
        fused_divergence(
            **inputs,
            divergence=make_divergence(name),
            scratch=scratch,
            blocks=BlockSizes(tokens=chunk, columns=16, rows=3),
        ).sums
        for name in ("mixed_kl", "jsd", "akl")
    ]
    expected = {name: by_definition(name, **inputs)[1].sum() for name in ("forward_kl", "reverse_kl")}
    for parts in (sums[0], sums[2]):
        assert parts.keys() == expected.keys()
        for name, total in expected.items():
            torch.testing.assert_close(parts[name], total, rtol=1e-10, atol=0)
    assert sums[1] == {}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("softcap", [None, 2.0])
def test_ids_that_no_token_has_get_no_probability_and_no_gradient(name, softcap):
    """The same numbers as with heads from which the rows of the gap are cut out."""
    absent = torch.tensor([7, 8, 9, 31])
    kept = torch.tensor([row for row in range(53) if row not in absent.tolist()])
    inputs, few = problem(), problem()
    inputs["student_head"].data[absent] *= 50  # a mass that would show
    few["student_head"], few["teacher_head"] = (few[f"{who}_head"].detach()[kept] for who in ("student", "teacher"))
    few["student_head"].requires_grad_()
    gradients = []
    for chosen, ids in ((inputs, absent), (few, None)):
        heads = {
            f"{who}_head": HeadSpec(weight=chosen[f"{who}_head"], softcap=softcap) for who in ("student", "teacher")
        }
        out = fused_divergence(**chosen | heads, absent_ids=ids, divergence=make_divergence(name))
        out.loss.backward()
        gradients.append((out.loss, out.token_losses, chosen["student_hidden"].grad, chosen["student_head"].grad))
    assert not bool(gradients[0][3][absent].any())
    for gap, cut in zip(gradients[0][:3], gradients[1][:3], strict=True):
        torch.testing.assert_close(gap, cut, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(gradients[0][3][kept], gradients[1][3], rtol=1e-10, atol=1e-12)
    if softcap is None:
        loss = by_definition(name, **few)[0]
        torch.testing.assert_close(gradients[0][0], loss, rtol=1e-10, atol=0)


@pytest.mark.parametrize("tokens", [1, 5, 36, 37, 64])
@pytest.mark.parametrize("columns", [7, 53, 100])
def test_the_size_of_a_chunk_changes_nothing(tokens, columns):
    inputs = problem()
    whole = fused_divergence(**inputs, divergence=make_divergence("jsd"))
    whole.loss.backward()
    again = problem()
    blocks = BlockSizes(tokens=tokens, rows=min(3, tokens), columns=columns)
    cut = fused_divergence(**again, divergence=make_divergence("jsd"), blocks=blocks)
    cut.loss.backward()
    torch.testing.assert_close(cut.loss, whole.loss, rtol=1e-12, atol=0)
    for name in ("student_hidden", "student_head"):
        torch.testing.assert_close(again[name].grad, inputs[name].grad, rtol=1e-10, atol=1e-12)


def test_tokens_of_weight_zero_are_never_computed():
    """Their hidden states are NaN here, which any arithmetic would spread."""
    inputs = problem()
    kept = torch.arange(37) % 3 != 0
    few = {
        name: value.detach()[kept].requires_grad_(value.requires_grad) if value.shape[0] == 37 else value
        for name, value in inputs.items()
    }
    inputs["token_weights"] = torch.where(kept, inputs["token_weights"], 0.0)
    few["student_head"] = inputs["student_head"].detach().clone().requires_grad_()
    with torch.no_grad():
        inputs["student_hidden"][~kept] = torch.nan
        inputs["teacher_hidden"][~kept] = torch.nan
    out = fused_divergence(**inputs, divergence=make_divergence("forward_kl"))
    out.loss.backward()
    alone = fused_divergence(**few, divergence=make_divergence("forward_kl"))
    alone.loss.backward()
    assert torch.equal(out.loss, alone.loss)
    assert torch.equal(inputs["student_head"].grad, few["student_head"].grad)
    assert torch.equal(inputs["student_hidden"].grad[kept], few["student_hidden"].grad)
    assert float(inputs["student_hidden"].grad[~kept].abs().max()) == EXACT
    assert torch.equal(out.computed, kept)
    assert float(out.token_losses[~kept].abs().max()) == EXACT


def test_no_token_at_all_still_reaches_every_parameter():
    inputs = problem()
    inputs["token_weights"] = torch.zeros(37)
    out = fused_divergence(**inputs, divergence=make_divergence("forward_kl"))
    out.loss.backward()
    assert float(out.loss.detach()) == EXACT
    assert float(inputs["student_head"].grad.abs().max()) == EXACT


def test_vocabulary_padding_gets_no_mass():
    inputs = problem()
    inputs["teacher_head"] = draw(9, 60, 24)
    with pytest.raises(ValueError, match="vocab_size"):
        fused_divergence(**inputs, divergence=make_divergence("forward_kl"))
    out = fused_divergence(**inputs, divergence=make_divergence("forward_kl"), vocab_size=50)
    out.loss.backward()
    loss, _, _, head_grad = by_definition("forward_kl", **inputs, vocab=50)
    torch.testing.assert_close(out.loss, loss, rtol=1e-12, atol=0)
    torch.testing.assert_close(inputs["student_head"].grad, head_grad, rtol=1e-9, atol=1e-12)
    assert float(inputs["student_head"].grad[50:].abs().max()) == EXACT


@pytest.mark.parametrize(("softcap", "scale"), [(None, 0.25), (5.0, 1.0), (3.0, 0.5)])
def test_softcap_scale_and_bias_of_a_head(softcap, scale):
    inputs = problem()
    bias, teacher_bias = draw(5, 53).requires_grad_(), draw(6, 53)
    hidden, head = inputs["student_hidden"], inputs["student_head"]
    inputs["student_head"] = HeadSpec(weight=head, bias=bias, softcap=softcap, scale=scale)
    inputs["teacher_head"] = HeadSpec(weight=inputs["teacher_head"], bias=teacher_bias, softcap=softcap, scale=scale)
    out = fused_divergence(**inputs, divergence=make_divergence("reverse_kl"), loss_temperature=1.7)
    out.loss.backward()
    tokens = 1.7**2 * oracle.reverse_kl(
        inputs["teacher_head"].logits(inputs["teacher_hidden"]) / 1.7, inputs["student_head"].logits(hidden) / 1.7
    )
    theirs = torch.autograd.grad((inputs["token_weights"] * tokens).sum(), (hidden, head, bias))
    for ours, wanted in zip((hidden.grad, head.grad, bias.grad), theirs, strict=True):
        torch.testing.assert_close(ours, wanted, rtol=1e-8, atol=1e-10)


def test_a_second_backward_is_refused():
    inputs = problem()
    out = fused_divergence(**inputs, divergence=make_divergence("forward_kl"))
    out.loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="backward must run once"):
        out.loss.backward()


@pytest.mark.parametrize("name", ["forward_kl", "reverse_kl"])
def test_bfloat16_weights_do_not_round_the_logits(name):
    """Near convergence (KL 0.003) bfloat16 logits put 0.3 of error into dW; float32 from the GEMM stays below 1e-4."""
    tokens, vocab, width = 256, 2048, 128
    hidden = draw(0, tokens, width, dtype=torch.bfloat16).requires_grad_()
    head = draw(1, vocab, width, dtype=torch.bfloat16, scale=0.3).requires_grad_()
    teacher_head = (head.detach().double() + draw(2, vocab, width, scale=0.0072)).bfloat16()
    inputs = {
        "student_hidden": hidden,
        "teacher_hidden": hidden.detach(),
        "student_head": head,
        "teacher_head": teacher_head,
        "token_weights": torch.full((tokens,), 1 / tokens),
    }
    loss, _, _, exact = by_definition(name, **inputs)
    assert 0.0025 < float(loss) < 0.0035

    def error(gradient):
        return float((gradient.double() - exact).norm() / exact.norm())

    fused_divergence(**inputs, divergence=make_divergence(name)).loss.backward()
    stored, head.grad = head.grad, None
    head.grad_dtype = torch.float32  # autograd rounds the gradient of a bfloat16 leaf unless told to keep it
    fused_divergence(**inputs, divergence=make_divergence(name)).loss.backward()
    usual_head = head.detach().clone().requires_grad_()
    student, teacher = hidden.detach() @ usual_head.T, hidden.detach() @ teacher_head.T
    log_p, log_q = torch.log_softmax(student.float(), -1), torch.log_softmax(teacher.float(), -1)
    first, second = (log_q, log_p) if name == "forward_kl" else (log_p, log_q)
    (first.exp() * (first - second)).sum(-1).mean().backward()

    assert error(head.grad) < 1e-4
    assert error(usual_head.grad) > 0.25
    assert error(stored) < 1e-4 + error(exact.bfloat16())  # what the format of the storage costs, and no more


def test_float32_gradient_for_a_bfloat16_trunk_is_exact_to_1e_4():
    """The loop's form: hidden states in bfloat16, master head in float32."""
    hidden = draw(0, 128, 64, dtype=torch.bfloat16).requires_grad_()
    head = draw(1, 1000, 64, dtype=torch.float32, scale=0.3).requires_grad_()
    inputs = {
        "student_hidden": hidden,
        "teacher_hidden": hidden.detach(),
        "student_head": head,
        "teacher_head": head.detach() + draw(2, 1000, 64, dtype=torch.float32, scale=0.01),
        "token_weights": torch.full((128,), 1 / 128),
    }
    loss, _, _, exact = by_definition("forward_kl", **inputs)
    assert float(loss) < 0.005
    fused_divergence(**inputs, divergence=make_divergence("forward_kl")).loss.backward()
    assert float((head.grad.double() - exact).norm() / exact.norm()) < 1e-4


@pytest.mark.parametrize(
    "build", [build_qwen3, lambda: build_qwen3(tied=True), build_llama], ids=["q3", "tied", "llama"]
)
def test_a_real_model_gets_the_gradients_of_its_own_logits(build):
    """Through the trunk, into every parameter, a tied head's two roles included."""
    student, teacher = build().double(), build().double()
    with torch.no_grad():
        for index, parameter in enumerate(teacher.parameters()):
            parameter.add_(draw(index, *parameter.shape, scale=0.05))
    tokens = torch.randint(2, 24, (3, 9), generator=torch.Generator().manual_seed(0))
    weights = draw(7, 27).abs()
    with torch.no_grad():
        teacher_hidden = trunk_of(teacher)(input_ids=tokens, use_cache=False).last_hidden_state.flatten(0, 1)
        teacher_logits = teacher(input_ids=tokens, use_cache=False).logits.flatten(0, 1)
    targets = LossTargets(
        positions=torch.arange(27),
        teacher_hidden=teacher_hidden,
        teacher_head=head_of(teacher),
        token_weights=weights,
        divergence=make_divergence("forward_kl"),
    )
    DistillationStudent(student)(targets, input_ids=tokens).loss.backward()
    ours = {name: parameter.grad.clone() for name, parameter in student.named_parameters()}
    student.zero_grad()
    logits = student(input_ids=tokens, use_cache=False).logits.flatten(0, 1)
    (weights * oracle.forward_kl(teacher_logits, logits)).sum().backward()
    for name, parameter in student.named_parameters():
        torch.testing.assert_close(ours[name], parameter.grad, rtol=1e-8, atol=1e-10)


def test_a_head_that_cannot_be_read_is_refused(tiny_qwen3):
    check_head(tiny_qwen3)

    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(3, 4))

    model = build_qwen3()
    model.lm_head = Odd()
    with pytest.raises(TypeError, match="must be a plain nn.Linear"):
        head_of(model)


class Lora(nn.Module):
    """What head_of reads of a PEFT LoRA layer: W + scaling·B A."""

    def __init__(self, base, dropout):
        super().__init__()
        self.base_layer, self.active_adapters = base, ["default"]
        self.lora_A = nn.ModuleDict({"default": nn.Linear(base.in_features, 2, bias=False)})
        self.lora_B = nn.ModuleDict({"default": nn.Linear(2, base.out_features, bias=False)})
        self.lora_dropout = nn.ModuleDict({"default": nn.Dropout(dropout) if dropout else nn.Identity()})

    def get_delta_weight(self, adapter):
        return 2.0 * self.lora_B[adapter].weight @ self.lora_A[adapter].weight

    def forward(self, hidden):
        return self.base_layer(hidden) + 2.0 * self.lora_B["default"](self.lora_A["default"](hidden))


def test_lora_on_the_head_is_merged_and_reached_by_the_gradient():
    model = build_qwen3().double()
    model.lm_head = Lora(model.lm_head, dropout=0.0).double()
    head = head_of(model)
    hidden = draw(0, 5, 32)
    torch.testing.assert_close(head.logits(hidden), model.lm_head(hidden), rtol=1e-12, atol=1e-12)
    out = fused_divergence(
        student_hidden=hidden,
        teacher_hidden=draw(1, 5, 32),
        student_head=head,
        teacher_head=draw(2, 24, 32),
        token_weights=torch.ones(5),
        divergence=make_divergence("forward_kl"),
    )
    out.loss.backward()
    assert float(model.lm_head.lora_A["default"].weight.grad.abs().max()) > 0


def test_lora_with_dropout_on_the_head_is_refused():
    model = build_qwen3()
    model.lm_head = Lora(model.lm_head, dropout=0.1)
    model.train()
    with pytest.raises(TypeError, match="has dropout 0.1"):
        head_of(model)


def test_square_norms_of_each_rollout_are_those_of_its_gradient():
    inputs = problem()
    owners = torch.arange(37) % 5
    blocks = BlockSizes(tokens=6, rows=3, columns=20)  # shorter than a rollout of seven tokens
    out = fused_divergence(**inputs, divergence=make_divergence("reverse_kl"), rollout_index=owners, blocks=blocks)
    gradients = []
    for rollout in range(5):
        alone = inputs | {"token_weights": torch.where(owners == rollout, inputs["token_weights"], 0.0)}
        gradients.append(by_definition("reverse_kl", **alone)[3])
    expected = torch.stack([gradient.square().sum() for gradient in gradients])
    torch.testing.assert_close(out.rollouts.square_norms, expected, rtol=1e-9, atol=0)
    assert out.rollouts.sum_square_norm == pytest.approx(float(sum(gradients).square().sum()), rel=1e-9)


def test_shapes_that_do_not_fit_are_named():
    inputs = problem()
    with pytest.raises(ValueError, match="must hold the same tokens, got 37 and 36"):
        fused_divergence(
            **(inputs | {"teacher_hidden": inputs["teacher_hidden"][1:]}), divergence=make_divergence("jsd")
        )
    with pytest.raises(ValueError, match="token_weights must be finite and >= 0"):
        fused_divergence(**(inputs | {"token_weights": -torch.ones(37)}), divergence=make_divergence("jsd"))


@pytest.mark.parametrize(("name", "beta"), [("forward_kl", 0.0), ("reverse_kl", 1.0), ("jsd", 0.5)])
def test_trl_computes_the_same(name, beta, monkeypatch):
    """A peer's own code: GKD's generalised JSD, whose β = 0 and 1 are the two KLs."""
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    from trl.experimental.gkd.gkd_trainer import GKDTrainer

    inputs = problem(torch.float32)
    student = inputs["student_hidden"].detach() @ inputs["student_head"].detach().T
    teacher = inputs["teacher_hidden"] @ inputs["teacher_head"].T
    theirs = GKDTrainer.generalized_jsd_loss(student[None], teacher[None], beta=beta, reduction="sum")
    inputs["token_weights"] = torch.ones(37)
    ours = fused_divergence(**inputs, divergence=make_divergence(name)).loss
    assert float(ours.detach()) == pytest.approx(float(theirs), rel=F32)


@pytest.mark.parametrize(("name", "beta"), [("forward_kl", 0.0), ("reverse_kl", 1.0), ("jsd", 0.5)])
def test_trl_chunked_computes_the_same_gradients(name, beta):
    """A peer's own fused form: the loss of each token, dh and dW."""
    from trl.kernels.chunked_divergence import ChunkedDivergenceFunction

    inputs = problem(torch.float32)
    hidden = inputs["student_hidden"].detach().clone().requires_grad_()
    head = inputs["student_head"].detach().clone().requires_grad_()
    theirs = ChunkedDivergenceFunction.apply(
        hidden, head, None, inputs["teacher_hidden"], inputs["teacher_head"], None, beta
    )[0]
    (theirs * inputs["token_weights"]).sum().backward()
    ours = fused_divergence(**inputs, divergence=make_divergence(name))
    ours.loss.backward()
    torch.testing.assert_close(ours.token_losses, theirs.detach(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(inputs["student_hidden"].grad, hidden.grad, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(inputs["student_head"].grad, head.grad, rtol=1e-4, atol=1e-5)
