"""Pre-training of a lab model from nothing, in under a minute of one core, with a rule for when to stop.

A fixed number of steps does not make students comparable (600 steps gave graded pass rates of 0.49 and 0.06 for two
seeds, since learning is a jump whose time varies), so the step size stays constant until a probe of graded problems
passes often enough, then decays. The probe samples with the sampler of the rollouts.
Left out: checkpoints (a kill costs a minute), and early stopping on a loss (it does not see the jump).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from paced.errors import ConfigError
from paced.lab.recipe import ModelSize, PretrainRecipe
from paced.lab.rows import pretraining_rows
from paced.lab.task import Integers, chain_problems
from paced.lab.tokenizer import EOS_ID, IDS, PAD_ID, SYMBOLS
from paced.records import Problem
from paced.rollouts.hf import sample_completions
from paced.run.progress import Progress, Silent
from paced.run.seeds import sample_keys, text_key

ROWS_AT_ONCE = 32
"""Steps whose rows are made together."""
MAX_COMPLETION = 13
"""Tokens of the longest completion: six styled digits and the end."""


class PretrainingFailedError(ConfigError):
    """A lab model that did not reach its target pass rate in the steps allowed."""


@dataclass(frozen=True, kw_only=True)
class PretrainLog:
    """What pre-training did."""

    num_steps: int
    """Optimiser steps in all, decay included."""
    probes: tuple[tuple[int, float], ...]
    """(step, pass rate) of each probe."""


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
    """Train one lab model: constant step size until the probe reaches the target, then linear decay.

    Returns:
        The model in eval mode, and the log of its probes. One recipe gives the same bits on one machine and one
        number of threads.

    Raises:
        PretrainingFailedError: the probe was below the target at ``max_steps``; the message holds its last values.
    """
    progress = progress or Silent()
    model = build_model(recipe.size, seed=text_key(f"initial weights {recipe.seed}") % 2**63)
    numbers = np.random.default_rng([recipe.seed, text_key("pre-training rows")])
    probe = chain_problems("graded", recipe.probe_problems, np.random.default_rng([recipe.seed, text_key("probe")]))
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True
    )
    probes: list[tuple[int, float]] = []
    decay_from: int | None = None
    step = 0
    with progress.track(f"pre-training (ends at a pass rate of {recipe.target_pass_rate:g})", recipe.max_steps) as bar:
        while decay_from is None or step < decay_from + recipe.decay_steps:
            if step % ROWS_AT_ONCE == 0:
                tokens, targets = _rows(recipe, numbers)
            part = slice((step % ROWS_AT_ONCE) * recipe.batch_size, (step % ROWS_AT_ONCE + 1) * recipe.batch_size)
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate * _schedule(recipe, step, decay_from)
            _train_step(model, optimizer, tokens[part], targets[part])
            step += 1
            bar(1)
            if (
                decay_from is None
                and step >= recipe.first_probe
                and (step - recipe.first_probe) % recipe.probe_every == 0
            ):
                value = mean_pass_rate(model, probe, num_samples=recipe.probe_samples, seed=recipe.seed, draw=step)
                probes.append((step, value))
                if value >= recipe.target_pass_rate:
                    decay_from = step
                    progress.note(
                        f"step {step}: {value:.2f} of the probe passes; decay over {recipe.decay_steps} steps"
                    )
                elif (step - recipe.first_probe) % (10 * recipe.probe_every) == 0:
                    progress.note(f"step {step}: {value:.2f} of the probe passes (target {recipe.target_pass_rate:g})")
                if decay_from is None and step >= recipe.max_steps:
                    raise PretrainingFailedError(
                        f"lab: the student of seed {recipe.seed} must reach a pass rate of {recipe.target_pass_rate:g} "
                        f"in {recipe.max_steps} steps, got {', '.join(f'{rate:.2f}' for _, rate in probes[-5:])} in "
                        "the last probes. Take another seed."
                    )
    return model.eval(), PretrainLog(num_steps=step, probes=tuple(probes))


def mean_pass_rate(model: Any, problems: Sequence[Problem], *, num_samples: int, seed: int, draw: int | str) -> float:
    """Share of correct completions at temperature 1 without hints, over ``num_samples`` of each problem."""
    return float(np.mean([sum(row) / num_samples for row in passes(model, problems, num_samples, seed, draw)]))


def passes(
    model: Any, problems: Sequence[Problem], num_samples: int, seed: int, draw: int | str, *, hinted: bool = False
) -> list[list[bool]]:
    """Whether each completion at temperature 1 gives the answer digits, for each problem.

    Args:
        model: a lab model.
        problems: problems of the lab.
        num_samples: K completions of each.
        seed: run seed of the noise.
        draw: name of this draw.
        hinted: show the expert solution first, as the teacher sees it.
    """
    texts = [f"{problem.solution}#{problem.problem}=" if hinted else f"{problem.problem}=" for problem in problems]
    completions = sample_completions(
        model,
        prompts=[[IDS[symbol] for symbol in text] for text in texts],
        keys=sample_keys(
            run_seed=seed, stage=draw, problem_ids=[problem.problem_id for problem in problems], num_samples=num_samples
        ),
        max_new_tokens=MAX_COMPLETION,
        sampling_temperature=1.0,
        eos_token_id=EOS_ID,
        pad_token_id=PAD_ID,
        max_rows=4096,
    )
    return [
        [
            completion.finish_reason == "stop" and answer_digits(completion.token_ids) == problem.answer
            for completion in of_problem
        ]
        for problem, of_problem in zip(problems, completions, strict=True)
    ]


def answer_digits(token_ids: Sequence[int]) -> str:
    """The digits of a completion, style letters left out."""
    return "".join(SYMBOLS[token] for token in token_ids if SYMBOLS[token].isdigit())


def _rows(recipe: PretrainRecipe, numbers: np.random.Generator) -> tuple[Integers, NDArray[np.bool_]]:
    return pretraining_rows(
        recipe.mixture, ROWS_AT_ONCE * recipe.batch_size, numbers, stochastic=recipe.phrasing == "stochastic"
    )


def _schedule(recipe: PretrainRecipe, step: int, decay_from: int | None) -> float:
    """Share of the peak step size at ``step``."""
    if decay_from is None:
        return min(1.0, (step + 1) / recipe.warmup_steps)
    return 1.0 - 0.95 * (step - decay_from + 1) / recipe.decay_steps


def _train_step(model: Any, optimizer: torch.optim.Optimizer, tokens: Integers, targets: NDArray[np.bool_]) -> None:
    """One AdamW step on the mean cross-entropy over the completions' tokens."""
    packed, wanted, positions, mask = pack_pairs(tokens, targets)
    logits = model(input_ids=packed, attention_mask=mask, position_ids=positions, use_cache=False).logits
    loss = torch.nn.functional.cross_entropy(logits[:, :-1][wanted[:, 1:]], packed[:, 1:][wanted[:, 1:]])
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


def pack_pairs(tokens: Integers, targets: NDArray[np.bool_]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
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
