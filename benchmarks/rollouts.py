"""Useful tokens a second of the ``hf`` sampler against ``generate``, on a small Qwen3 whose completions end at random.

    OMP_NUM_THREADS=1 python benchmarks/rollouts.py --hidden 64 256 --num-samples 4 8 16

Contenders sample the same K completions a problem from the same model, interleaved in one process:

- *generate, one prompt*: ``model.generate(num_return_sequences=K)`` for one prompt after another, the common loop;
- *generate, batches*: the same with as many left-padded prompts at once as fit the rows of the sampler;
- *paced*: prompts sorted by length, prefilled once for K samples, ended rows dropped.

Useful tokens are those up to and with each end-of-sequence token; what a row computes after its end counts for nothing.
The gate: the sampler's completions of a batch are those it gives one prompt at a time.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
import transformers
from machine import head, load, versus

from paced.rollouts.hf import sample_completions
from paced.run.seeds import sample_keys

PAD, EOS, VOCAB, MEAN_LENGTH = 0, 1, 512, 40
LAYERS = {64: 2, 256: 4}
"""Hidden size -> number of layers."""
Prompts = list[list[int]]


class EndingQwen3(transformers.Qwen3ForCausalLM):
    """A Qwen3 whose completions end after about ``MEAN_LENGTH`` tokens, at random, as real ones do."""

    def forward(self, *arguments: Any, **named: Any) -> Any:
        out = super().forward(*arguments, **named)
        out.logits[..., EOS] += math.log(VOCAB / MEAN_LENGTH)
        return out


def build_model(hidden: int, layers: int) -> Any:
    """Random weights: every token nearly as likely as any other, but for the end."""
    config = transformers.Qwen3Config(
        vocab_size=VOCAB, hidden_size=hidden, intermediate_size=3 * hidden, num_hidden_layers=layers,
        num_attention_heads=hidden // 32, num_key_value_heads=max(1, hidden // 64), head_dim=32,
        max_position_embeddings=1024, tie_word_embeddings=True, pad_token_id=PAD, eos_token_id=EOS, bos_token_id=None,
    )  # fmt: skip
    torch.manual_seed(0)
    return EndingQwen3(config).eval()


def make_prompts(count: int) -> Prompts:
    """Prompts of 8 to 64 tokens."""
    numbers = np.random.default_rng(0)
    return [numbers.integers(2, VOCAB, size=int(length)).tolist() for length in numbers.integers(8, 65, size=count)]


def paced(model: Any, prompts: Prompts, K: int, limit: int, rows: int) -> int:
    keys = sample_keys(run_seed=1, stage=1, problem_ids=[str(index) for index in range(len(prompts))], num_samples=K)
    sampled = sample_completions(
        model, prompts=prompts, keys=keys, max_new_tokens=limit, sampling_temperature=1.0, eos_token_id=EOS,
        pad_token_id=PAD, max_rows=rows,
    )  # fmt: skip
    return sum(len(completion.token_ids) for of_prompt in sampled for completion in of_prompt)


def generate(model: Any, prompts: Prompts, K: int, limit: int, batch: int) -> int:
    useful = 0
    for start in range(0, len(prompts), batch):
        part = prompts[start : start + batch]
        longest = max(map(len, part))
        ids = torch.tensor([[PAD] * (longest - len(prompt)) + prompt for prompt in part])
        mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in part])
        out = model.generate(
            ids, attention_mask=mask, num_return_sequences=K, do_sample=True, temperature=1.0, top_k=0, top_p=1.0,
            max_new_tokens=limit, eos_token_id=EOS, pad_token_id=PAD,
        )[:, longest:]  # fmt: skip
        ended = out == EOS
        first = torch.where(ended.any(-1), ended.int().argmax(-1) + 1, out.shape[1])
        useful += int(first.sum())
    return useful


def gate(model: Any, prompts: Prompts) -> None:
    """Batching must not change the completions, up to a uniform that falls on an edge of the CDF."""
    few = prompts[:6]
    keys = sample_keys(run_seed=1, stage=1, problem_ids=[str(k) for k in range(6)], num_samples=4)
    settings: dict[str, Any] = {
        "max_new_tokens": 32, "sampling_temperature": 1.0, "eos_token_id": EOS, "pad_token_id": PAD,
        "max_rows": 24,
    }  # fmt: skip
    together = sample_completions(model, prompts=few, keys=keys, **settings)
    alone = [
        sample_completions(model, prompts=[prompt], keys=keys[k : k + 1], **settings)[0] for k, prompt in enumerate(few)
    ]
    assert together == alone, "the sampler's completions depend on the batch"


def measure(contenders: Mapping[str, Callable[[], int]], repeats: int) -> dict[str, list[tuple[float, float, int]]]:
    """(CPU seconds, wall seconds, useful tokens) of each repeat, contenders one after another in each."""
    measured: dict[str, list[tuple[float, float, int]]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, run in contenders.items():
            wall, start = time.perf_counter(), time.process_time()
            useful = run()
            measured[name].append((time.process_time() - start, time.perf_counter() - wall, useful))
    return measured


def profile(model: Any, prompts: Prompts, K: int, limit: int, rows: int) -> None:
    """The operations that take the most CPU time of the sampler, and how much of it."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as recorded:
        paced(model, prompts, K, limit, rows)
    operations = sorted(recorded.key_averages(), key=lambda one: -one.self_cpu_time_total)
    whole = sum(one.self_cpu_time_total for one in operations)
    print("\n| operation | calls | share |\n|---|---|---|")
    for one in operations[:12]:
        print(f"| {one.key} | {one.count:,} | {100 * one.self_cpu_time_total / whole:.0f} % |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=48)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--hidden", type=int, choices=LAYERS, nargs="+", default=list(LAYERS), help="which models")
    parser.add_argument("--num-samples", type=int, nargs="+", default=[4, 8, 16], help="which K")
    parser.add_argument("--limit", type=int, default=192, help="largest completion, in tokens")
    parser.add_argument("--rows", type=int, default=1024, help="completions side by side; the engine's own by default")
    parser.add_argument("--only-one-prompt", action="store_true", help="leave out generate in batches")
    parser.add_argument("--profile", action="store_true", help="where the sampler's time goes, and no timing")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    transformers.utils.logging.set_verbosity_error()
    print(head("torch", "transformers"))
    print(
        f"{arguments.problems} problems, limit {arguments.limit}, {arguments.rows} rows; medians of "
        f"{arguments.repeats} interleaved repeats; ratios of CPU time for each useful token, of wall time in brackets"
    )
    print("\n| model | K | generate, one prompt | generate, batches | paced | paced / one prompt | paced / batches |")
    print("|---|---|---|---|---|---|---|")
    prompts = make_prompts(arguments.problems)
    for hidden in arguments.hidden:
        model = build_model(hidden, LAYERS[hidden])
        gate(model, prompts)
        for K in arguments.num_samples:
            if arguments.profile:
                profile(model, prompts, K, arguments.limit, arguments.rows)
                continue
            contenders = {"one": partial(generate, model, prompts, K, arguments.limit, 1)}
            if not arguments.only_one_prompt:
                at_once = max(1, arguments.rows // K)
                contenders["batches"] = partial(generate, model, prompts, K, arguments.limit, at_once)
            contenders["paced"] = partial(paced, model, prompts, K, arguments.limit, arguments.rows)
            print(row(f"d {hidden}, {LAYERS[hidden]} layers | {K}", measure(contenders, arguments.repeats)), flush=True)
    print(f"\nAt the end: {load()}.")


def row(name: str, measured: Mapping[str, list[tuple[float, float, int]]]) -> str:
    """One line of the table."""

    def seconds(contender: str, clock: int) -> list[float]:
        """For each useful token, in each repeat."""
        return [one[clock] / one[2] for one in measured[contender]]

    cells = [name]
    for contender in ("one", "batches", "paced"):
        there = contender in measured
        cells.append(f"{1 / statistics.median(seconds(contender, 0)):,.0f} tok/s" if there else "-")
    for contender in ("one", "batches"):
        cpu, wall = (
            (versus(seconds(contender, clock), seconds("paced", clock)) for clock in (0, 1))
            if contender in measured
            else ("-", "-")
        )
        cells.append(f"**{cpu}** ({wall})")
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
