"""What a stage writes down: ``metrics.jsonl`` (reproducible), ``timings.jsonl`` (how long it took), and trackers.

One line a step in each. The metrics of a resumed run are those of an uninterrupted one, byte for byte: what followed
the checkpoint is cut off and written again. Timings are appended and never cut.
"""

from __future__ import annotations

import contextlib
import math
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from paced.run.config import RunConfig
from paced.run.folder import RunFolder
from paced.run.storage import append_lines, read_lines, truncate_lines
from paced.train.batches import Batch
from paced.train.examples import Example, Ratings
from paced.train.loss import Divergence, FusedLoss
from paced.train.micro_batches import Packed
from paced.train.team import Team, whole_tensor
from paced.train.trackers import Tracker, open_trackers


class Clock:
    """Seconds by phase of one step; waits for the device, so that a phase pays for its own kernels."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add the time of the block to a phase."""
        start = time.perf_counter()
        try:
            yield
        finally:
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def facts(self, num_tokens: int) -> dict[str, float]:
        """Seconds by phase, prompt and completion tokens trained on per second of all phases, peak memory."""
        total = math.fsum(self.seconds.values())
        seconds = {f"{name}_seconds": value for name, value in self.seconds.items()}
        return {
            "step_seconds": total,
            **seconds,
            "tokens_per_second": num_tokens / total if total else 0.0,
            "peak_memory_bytes": peak_memory(self.device),
        }


class StepTally:
    """Sums of one step over its micro-batches, and in the end over all ranks."""

    def __init__(self, team: Team) -> None:
        self.team = team
        self.loss = 0.0
        """Σ of weighted losses: the step's loss."""
        self.divergence_sum = 0.0
        """Σ of the tokens' divergences, without weights."""
        self.parts: dict[str, float] = {}
        """The same for each part of a mixture."""
        self.num_tokens = 0
        """Tokens that carried loss."""
        self.num_processed = 0
        """Tokens of the student's sequences, prompts included, padding not."""
        self.grad_norm = 0.0
        """Norm of the step's gradient before clipping."""
        self.head: list[float] = [0.0, 0.0, 0.0, 0.0]
        """Σ(S−Q), ΣK(K−1), ΣQ and ΣK over micro-batches, when the head's SNR is tracked (``rollout_norms.py``)."""
        self._bad: list[str] = []

    def add(self, examples: Sequence[Example], packed: Packed, result: FusedLoss) -> None:
        """Add one micro-batch."""
        self.loss += float(result.loss.detach())
        self.divergence_sum += float(result.token_losses.sum(dtype=torch.float64))
        for name, part in result.sums.items():
            self.parts[name] = self.parts.get(name, 0.0) + float(part)
        self.num_tokens += int(result.computed.sum())
        if self.team.part == 0:
            self.num_processed += sum(len(one.student_prompt_ids) + len(one.completion_ids) for one in examples)
        if result.rollouts is not None:
            square_norms = result.rollouts.square_norms
            count, total = int((square_norms > 0).sum()), result.rollouts.total
            terms = (result.rollouts.sum_square_norm - total, count * (count - 1), total, count)
            self.head = [sum_ + term for sum_, term in zip(self.head, terms, strict=True)]
        if not math.isfinite(self.loss) and not self._bad:
            wrong = packed.owners[~torch.isfinite(result.token_losses)].unique().tolist()
            self._bad = [examples[index].problem_id for index in wrong]

    def finish(self, norm: Tensor, examples: Sequence[Example], *, where: str) -> None:
        """Add up over all ranks; stop when the loss or the gradient is not finite, before anything was changed.

        Raises:
            FloatingPointError: with the step, the problems and the last good checkpoint.
        """
        names = sorted(set().union(*self.team.gather(sorted(self.parts))))
        own = [self.loss, self.divergence_sum, self.num_tokens, self.num_processed, *self.head]
        loss, self.divergence_sum, tokens, processed, *sums = self.team.total(
            [*own, *(self.parts.get(n, 0.0) for n in names)]
        )
        self.head, sums = sums[:4], sums[4:]
        self.loss = loss / self.team.size  # the multipliers carry the number of ranks
        self.num_tokens, self.num_processed = int(tokens), int(processed)
        self.parts = dict(zip(names, sums, strict=True))
        self.grad_norm = float(whole_tensor(norm))
        if math.isfinite(self.loss) and math.isfinite(self.grad_norm):
            return
        bad = [problem_id for of_rank in self.team.gather(self._bad) for problem_id in of_rank]
        what = f"loss is {self.loss}" if bad else f"loss is {self.loss}, the gradient's norm {self.grad_norm}"
        named = bad or [example.problem_id for example in examples]
        shown = ", ".join(named[:8]) + (f" and {len(named) - 8} more" if len(named) > 8 else "")
        raise FloatingPointError(f"training: the {what} at {where}. Problems: {shown}. The student was not changed.")


class StageLog:
    """The files of one stage's training; only the first rank writes."""

    def __init__(self, run: RunFolder, config: RunConfig, *, stage_number: int, team: Team) -> None:
        self.run, self.stage_number, self.team = run, stage_number, team
        self.trackers: list[Tracker] = open_trackers(run, config) if team.is_first else []
        self.before = 0
        """Lines of the stages before."""

    def cut(self, num_steps: int) -> None:
        """Drop the lines after ``num_steps`` steps of this stage, the trace of a run that was killed."""
        self.before = sum(line["stage"] < self.stage_number for line in read_lines(self.run.metrics))
        if self.team.is_first:
            truncate_lines(self.run.metrics, self.before + num_steps)
        self.team.barrier()

    def write(self, metrics: dict[str, Any], timings: dict[str, Any]) -> None:
        """Add one step to both files and to the trackers."""
        if not self.team.is_first:
            return
        where = {"stage": self.stage_number, "step": metrics["step"]}
        append_lines(self.run.metrics, [where | metrics])
        append_lines(self.run.timings, [where | timings])
        for tracker in self.trackers:
            numbers = {name: value for name, value in (metrics | timings).items() if isinstance(value, (int, float))}
            tracker.log(numbers | {"stage": self.stage_number}, step=self.before + metrics["step"])

    def close(self) -> None:
        """Close the trackers."""
        for tracker in self.trackers:
            tracker.close()


def divergence_facts(
    name: str, divergence: Divergence, tally: StepTally, *, loss_temperature: float
) -> dict[str, float]:
    """Means over the step's tokens, without weights, of the divergence and of the parts it mixes, in nats times T²."""
    count = max(1, tally.num_tokens)
    parts = {part: loss_temperature**2 * value / count for part, value in tally.parts.items()}
    share = getattr(divergence, "forward_share", None)
    return {name: tally.divergence_sum / count, **parts} | ({} if share is None else {"forward_share": share})


def head_facts(tally: StepTally) -> dict[str, float]:
    """SNR² of the head's gradient over the problems of the step, weights included; empty when it cannot be estimated.

    Unbiased in signal and noise: |E g|² from Σ(S−Q)/ΣK(K−1) and E|g|² from ΣQ/ΣK, S and Q of each micro-batch. Its
    expectation does not depend on the cut into micro-batches, its noise does; it can be negative.
    """
    excess, pairs, squares, count = tally.head
    if not pairs:
        return {}
    signal = excess / pairs
    noise = squares / count - signal
    return {"head_snr_squared": signal / noise} if noise > 0 else {}


def pass_rate_facts(ratings: Ratings) -> dict[str, float]:
    """Mean pass rate of the stage's problems, and the fractions never and always solved; empty when none is known."""
    known = [rate for rate in ratings.pass_rates if not math.isnan(rate)]
    if not known:
        return {}
    return {
        "pass_rate_mean": math.fsum(known) / len(known),
        "pass_rate_0_fraction": sum(rate == 0 for rate in known) / len(known),
        "pass_rate_1_fraction": sum(rate == 1 for rate in known) / len(known),
    }


def effective_sample(weights: Sequence[float]) -> float:
    """(Σw)²/Σw² of a batch: how many equally weighted problems it is worth; 0 for none.

    Example:
        >>> effective_sample([1.0, 1.0, 2.0])
        2.6666666666666665
    """
    squares = math.fsum(weight * weight for weight in weights)
    return math.fsum(weights) ** 2 / squares if squares else 0.0


def batch_facts(batch: Batch, num_tokens: int) -> dict[str, float]:
    """What a batch is made of, and what its weights of zero saved."""
    return {
        "num_examples": len(batch.indices),
        "num_tokens": num_tokens,
        "weight_ess": effective_sample(batch.weights),
        "skipped_fraction": 1 - len(batch.indices) / batch.num_slots,
    }


def peak_memory(device: torch.device) -> int:
    """Largest memory of this process so far, in bytes: of the device, or resident on the host."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024
