"""An additive sketch of head gradients: regroup problems later without the models, at a stated error.

A gradient g (V x d) becomes r independent small matrices A_jᵀ g R_j (m x n), A_j random signs over the vocabulary, R_j
Gaussian over the hidden size. Inner products of sketches are unbiased for inner products of gradients, and a sum of
gradients has the sum of their sketches. The r replicas measure their own error: the spread between them is printed
next to every number, so nobody has to trust a bound.
Left out: use by default. At K = 8 its error can exceed the sampling error, and the exact matrix costs little more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from paced.analysis.snr.losses import HeadLoss
from paced.analysis.snr.passes import HeadPasses
from paced.analysis.snr.plan import choose_plan
from paced.analysis.snr.tokens import RolloutTokens


@dataclass(frozen=True, kw_only=True)
class HeadSketch:
    """Sketches of several gradients, made with one seed; only those of the same seed and sizes may be combined."""

    values: NDArray[np.float64]
    """[num_gradients, r, m, n]."""
    seed: int
    """Seed of the random projections."""

    def gram(self) -> NDArray[np.float64]:
        """Estimated inner products [num_gradients, num_gradients], the mean over the replicas."""
        return self.replica_grams().mean(axis=0)

    def replica_grams(self) -> NDArray[np.float64]:
        """One unbiased estimate of the Gram matrix from each replica, [r, num_gradients, num_gradients]."""
        flat = self.values.reshape(*self.values.shape[:2], -1)
        return np.einsum("irx,jrx->rij", flat, flat)

    def estimate(self, statistic: Callable[[NDArray[np.float64]], float]) -> tuple[float, float]:
        """(value, standard error of the sketch) of a statistic of the Gram matrix.

        The value is that of the mean Gram matrix; the error is the delete-one jackknife over the replicas. It says how
        far the sketch is from the exact gradients, not how far K rollouts are from the truth.
        """
        grams = self.replica_grams()
        count = len(grams)
        left_out = [statistic((grams.sum(axis=0) - grams[j]) / (count - 1)) for j in range(count)]
        error = float(np.sqrt((count - 1) / count * np.sum((np.array(left_out) - np.mean(left_out)) ** 2)))
        return float(statistic(grams.mean(axis=0))), error

    def regroup(self, labels: ArrayLike) -> HeadSketch:
        """Sketches of the mean gradient of each label, in the order of the sorted labels.

        Example:
            >>> sketch = HeadSketch(values=np.arange(3.0).reshape(3, 1, 1, 1), seed=0)
            >>> sketch.regroup(["a", "b", "b"]).values.ravel().tolist()
            [0.0, 1.5]
        """
        names = np.asarray(labels)
        if names.shape != self.values.shape[:1]:
            raise ValueError(f"regroup: labels must be {len(self.values)} in number, got shape {names.shape}.")
        means = [self.values[names == name].mean(axis=0) for name in np.unique(names)]
        return HeadSketch(values=np.stack(means), seed=self.seed)

    @staticmethod
    def concatenate(parts: Sequence[HeadSketch]) -> HeadSketch:
        """All gradients of several sketches, which must share seed and sizes."""
        kinds = {(part.seed, part.values.shape[1:]) for part in parts}
        if len(kinds) != 1:
            raise ValueError(f"concatenate: parts must share their seed and sizes, got {sorted(kinds)}.")
        return HeadSketch(values=np.concatenate([part.values for part in parts]), seed=parts[0].seed)


@torch.no_grad()
def head_sketch(
    tokens: RolloutTokens,
    loss: HeadLoss,
    *,
    seed: int,
    num_replicas: int = 4,
    vocab_dimensions: int = 32,
    hidden_dimensions: int = 64,
    row_chunk: int = 256,
) -> HeadSketch:
    """Sketch of each rollout's head gradient: 2u FLOP and V·r·m numbers of scratch.

    Args:
        tokens: hidden states, heads, offsets.
        loss: from ``make_head_loss``.
        seed: of the projections; the same for all problems that will be combined.
        num_replicas: r >= 2 independent sketches, which give the error.
        vocab_dimensions: m, columns over the vocabulary.
        hidden_dimensions: n, columns over the hidden size.
        row_chunk: rows of logits made at a time.
    """
    if num_replicas < 2:
        raise ValueError(f"head_sketch: num_replicas must be >= 2, got {num_replicas}. One cannot state its error.")
    passes = HeadPasses(tokens, loss)
    plan = choose_plan(passes.shape, max_bytes=2**62, storage="stored", contraction="gradient")
    over_vocab, over_hidden = _projections(
        seed, num_replicas, passes.shape.vocab_size, vocab_dimensions, passes.shape.hidden_size, hidden_dimensions
    )
    over_vocab = over_vocab.to(passes.student)
    projected = passes.student.new_empty(len(passes.student), num_replicas * vocab_dimensions)
    values = passes.student.new_zeros(len(passes.student))
    for start, delta in passes.delta_rows(plan, None, values):
        torch.mm(delta, over_vocab, out=projected[start : start + len(delta)])
    hidden = passes.scaled_hidden(values) @ over_hidden.to(passes.student)
    result = np.empty((len(tokens.offsets) - 1, num_replicas, vocab_dimensions, hidden_dimensions))
    left = projected.view(-1, num_replicas, vocab_dimensions)
    right = hidden.view(-1, num_replicas, hidden_dimensions)
    for k in range(len(result)):
        rows = slice(tokens.offsets[k], tokens.offsets[k + 1])
        result[k] = torch.einsum("nrm,nrh->rmh", left[rows].double(), right[rows].double()).cpu().numpy()
    return HeadSketch(values=result, seed=seed)


def _projections(seed: int, r: int, V: int, m: int, d: int, n: int) -> tuple[Tensor, Tensor]:
    """Random signs [V, r·m] / √m and Gaussians [d, r·n] / √n, the same on every device."""
    generator = torch.Generator().manual_seed(seed)
    signs = torch.randint(0, 2, (V, r * m), generator=generator, dtype=torch.int8).float().mul_(2).sub_(1)
    gaussians = torch.randn(d, r * n, generator=generator, dtype=torch.float64).float()
    return signs.div_(m**0.5), gaussians.div_(n**0.5)
