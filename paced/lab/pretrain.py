"""Pre-training of a lab model from nothing, in under a minute of one core, until it is what the designs assume.

A fixed number of steps does not make students comparable: learning is a jump whose time varies with the seed and with
the rounding of a processor. So pre-training watches the running average of the weights, which moves smoothly where the
weights themselves jump about, shows each skill in proportion to what it still lacks, takes small steps near the end,
and stops when a whole probe finds every target of the recipe met at once.
Left out: checkpoints (a kill costs a minute), and early stopping on a loss (it does not see the jump).
"""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from paced.arrays import Booleans, Integers
from paced.errors import ConfigError
from paced.lab.muon import Muon
from paced.lab.probe import Probe, Skills, knows_unseen
from paced.lab.recipe import Mixture, ModelSize, PretrainRecipe
from paced.lab.rows import pretraining_rows
from paced.lab.tokenizer import EOS_ID, PAD_ID, SYMBOLS
from paced.run.progress import Progress, Silent
from paced.run.seeds import text_key

FLOOR = 0.15
"""What a mastered skill counts as lacking, so that it is rehearsed and not forgotten."""


class PretrainingFailedError(ConfigError):
    """A lab model that did not reach its targets in the steps allowed."""


@dataclass(frozen=True, kw_only=True)
class PretrainLog:
    """What pre-training did."""

    num_steps: int
    """Optimiser steps in all."""
    probes: tuple[tuple[int, Skills], ...]
    """(step, pass rates) of each probe."""


def build_model(size: ModelSize, seed: int) -> Any:
    """A Qwen3 causal language model with fresh float32 weights, for the lab's vocabulary."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    config = Qwen3Config(
        vocab_size=len(SYMBOLS),
        hidden_size=size.hidden,
        intermediate_size=size.intermediate,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.heads,
        head_dim=size.head_dim,
        max_position_embeddings=size.max_positions,
        initializer_range=size.initializer_range,
        tie_word_embeddings=False,
        pad_token_id=PAD_ID,
        eos_token_id=EOS_ID,
        bos_token_id=None,
        dtype="float32",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Qwen3ForCausalLM(config)


def pretrain(recipe: PretrainRecipe, progress: Progress | None = None) -> tuple[Any, PretrainLog]:
    """Train one lab model until its targets hold.

    Returns:
        The running average of the weights as a model in eval mode, and the log of its probes. One recipe gives the
        same bits on one machine and one number of threads.

    Raises:
        PretrainingFailedError: a target was missed for ``max_steps``; the message holds the last probe.
    """
    progress = progress or Silent()
    model = build_model(recipe.size, seed=text_key(f"initial weights {recipe.seed}") % 2**63)
    average = copy.deepcopy(model).eval()
    optimizers = make_optimizers(model, recipe)
    numbers = np.random.default_rng([recipe.seed, text_key("pre-training rows")])
    probe, probes = Probe(recipe), list[tuple[int, Skills]]()
    mixture, finishing, step = recipe.mixture, False, 0
    with progress.track("pre-training (ends when every skill is at its target)", recipe.max_steps) as bar:
        while step < recipe.max_steps:
            num_steps = _steps_to_next_probe(recipe, step, finishing)
            tokens, targets = pretraining_rows(
                mixture, num_steps * recipe.batch_size, numbers, stochastic=recipe.phrasing == "stochastic"
            )
            for start in range(0, len(tokens), recipe.batch_size):
                part = slice(start, start + recipe.batch_size)
                share = min(1.0, (step + 1) / recipe.warmup_steps) * (recipe.finish_share if finishing else 1.0)
                _train_step(model, optimizers, share, tokens[part], targets[part])
                _add_to_average(average, model, recipe.averaging)
                step += 1
                bar(1)
            skills, is_whole = probe.quick(average, step), False
            if skills.near(recipe.targets):
                skills, is_whole = probe.whole(average, step), True
            probes.append((step, skills))
            progress.note(f"step {step}: {skills}")
            if is_whole and skills.reach(recipe.targets, knows_unseen=knows_unseen(recipe)):
                return average, PretrainLog(num_steps=step, probes=tuple(probes))
            finishing = finishing or skills.graded >= recipe.finish_from
            mixture = shares(recipe, skills)
    raise PretrainingFailedError(
        f"lab: the model of seed {recipe.seed} must reach {recipe.targets} in {recipe.max_steps} steps, got "
        f"{probes[-1][1]} at the end. Take another seed."
    )


def shares(recipe: PretrainRecipe, skills: Skills) -> Mixture:
    """The mixture of the next steps: each skill in proportion to what it lacks.

    Graded chains come last. Until the others are nearly mastered they are kept a little above ``finish_from``, and none
    are shown while they are above where they should be: the step size is then small, and they sink slowly.

    Example:
        >>> before = shares(PretrainRecipe(seed=1), Skills(graded=0.0, prior=0.0, hinted=0.0))
        >>> after = shares(PretrainRecipe(seed=1), Skills(graded=0.7, prior=0.9, hinted=1.0))
        >>> round(before.plain, 2), after.plain, after.prior > after.hinted
        (0.45, 0.0, True)
    """
    targets, mixture = recipe.targets, recipe.mixture
    middle = sum(targets.graded) / 2
    others_near = skills.prior >= 0.98 * targets.prior and skills.hinted >= 0.98 * targets.hinted
    goal = middle if others_near else min(middle, recipe.finish_from + 0.05)
    plain = mixture.plain * (1 - skills.graded / middle + FLOOR) if skills.graded < goal else 0.0
    prior = mixture.prior * (1 - skills.prior + FLOOR)
    hinted = mixture.hinted * (1 - skills.hinted + FLOOR)
    total = plain + prior + hinted
    return dataclasses.replace(mixture, plain=plain / total, prior=prior / total, hinted=hinted / total)


def make_optimizers(model: Any, recipe: PretrainRecipe) -> list[tuple[torch.optim.Optimizer, float]]:
    """(optimiser, peak step size): Muon on the matrices of the layers, AdamW on embedding, head and norms.

    With AdamW alone one seed reached 0.45 on graded chains after 960 steps with one order of its rows and after 1,840
    with another. With Muon whole students take 560 to 1,040 steps (docs/lab.md).
    """
    matrices, others = list[Any](), list[Any]()
    for name, parameter in model.named_parameters():
        (matrices if parameter.ndim == 2 and ".layers." in name else others).append(parameter)
    return [
        (
            Muon(matrices, lr=recipe.matrix_learning_rate),
            recipe.matrix_learning_rate,
        ),
        (
            torch.optim.AdamW(others, lr=recipe.learning_rate, betas=(0.9, 0.95), weight_decay=0.01, fused=True),
            recipe.learning_rate,
        ),
    ]


def _steps_to_next_probe(recipe: PretrainRecipe, step: int, finishing: bool) -> int:
    if step == 0:
        return recipe.first_probe
    return recipe.probe_every if finishing else 2 * recipe.probe_every


@torch.no_grad()
def _add_to_average(average: Any, model: Any, kept: float) -> None:
    """average <- kept · average + (1 − kept) · model."""
    ours, theirs = list(average.parameters()), list(model.parameters())
    torch._foreach_lerp_(ours, theirs, 1 - kept)


def _train_step(
    model: Any,
    optimizers: list[tuple[torch.optim.Optimizer, float]],
    share: float,
    tokens: Integers,
    targets: Booleans,
) -> None:
    """One step on the mean cross-entropy over the completions' tokens, at ``share`` of the peak step sizes."""
    packed, wanted, positions, mask = pack_pairs(tokens, targets)
    logits = model(input_ids=packed, attention_mask=mask, position_ids=positions, use_cache=False).logits
    loss = torch.nn.functional.cross_entropy(logits[:, :-1][wanted[:, 1:]], packed[:, 1:][wanted[:, 1:]])
    model.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer, peak in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = peak * share
        optimizer.step()


def pack_pairs(tokens: Integers, targets: Booleans) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Put the longest row and the shortest into one sequence, and so on: a third less padding to compute.

    Args:
        tokens: [num_rows, longest], an even number of rows, padded on the right.
        targets: [num_rows, longest], the tokens to predict.

    Returns:
        token ids, targets and positions [num_rows / 2, width], and the attention mask [num_rows / 2, 1, width, width]
        by which each token sees its own row only, up to itself. The first token of a row is never a target.
    """
    lengths = (tokens != PAD_ID).sum(axis=1)
    order = np.argsort(-lengths, kind="stable")
    half = len(order) // 2
    pairs = np.stack([order[:half], order[::-1][:half]], axis=1)  # [half, 2]
    width = int(lengths[pairs].sum(axis=1).max())
    column = np.arange(width)
    first = lengths[pairs[:, :1]]  # [half, 1]
    second = column >= first
    positions = np.where(second, column - first, column)
    row = np.where(second, pairs[:, 1:], pairs[:, :1])
    inside = np.minimum(positions, tokens.shape[1] - 1)
    used = column < first + lengths[pairs[:, 1:]]
    packed = np.where(used, tokens[row, inside], PAD_ID)
    wanted = np.where(used, targets[row, inside], False)
    same_row = second[:, :, None] == second[:, None, :]
    mask = (same_row & np.tri(width, dtype=bool))[:, None]
    return torch.from_numpy(packed), torch.from_numpy(wanted), torch.from_numpy(positions), torch.from_numpy(mask)
