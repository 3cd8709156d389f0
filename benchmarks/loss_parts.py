"""Where the fused loss's time goes: products and element-wise work apart, and what that leaves as the limit.

    OMP_NUM_THREADS=1 python benchmarks/loss_parts.py
    OMP_NUM_THREADS=1 python benchmarks/loss_parts.py --vocab 151936 --tokens 1024 2048
    python benchmarks/loss_parts.py --threads 2 --tokens 1024         one thread against two, wall time

Nanoseconds of processor time for a pair of logits (one of the student, one of the teacher). *large* are the four
products of a step over 1,024 tokens as single GEMMs; *cut* the same products in the loss's own blocks; *element-wise*
is the divergence on tiles that are not in the cache, as the loss finds them; *step* the whole loss with its backward.
The limit is large / (cut + element-wise): no choice of blocks can exceed it without faster element-wise operations.
Medians over repeats, interleaved; one thread.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from loss_contenders import Problem, ours
from machine import head, load, spread, versus

from paced.train.loss import make_divergence
from paced.train.loss.blocks import BlockSizes, second_level_cache
from paced.train.loss.gemm import Product
from paced.train.loss.head import HeadSpec
from paced.train.loss.rows import RowDivergence, Scratch

NAMES = ("forward_kl", "reverse_kl", "jsd")


def sizes(vocab: int, chunk: int) -> BlockSizes:
    """The loss's own sizes, or with chunks of another number of tokens."""
    own = BlockSizes.fitting(vocab, torch.device("cpu"))
    return replace(own, tokens=chunk) if chunk else own


def timed(runs: dict[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """Nanoseconds a pair of each repeat, interleaved; every run says over how many pairs it went."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            start = time.process_time_ns()
            pairs = run()
            times[name].append((time.process_time_ns() - start) / pairs)
    return times


def large(problem: Problem, vocab: int, width: int) -> Callable[[], float]:
    """The four products of a step over 1,024 tokens, each in one call."""
    h, w = torch.randn(1024, width), problem.weight.detach()
    z, dw, dh = torch.empty(1024, vocab), torch.empty(vocab, width), torch.empty(1024, width)

    def run() -> float:
        torch.mm(h, w.T, out=z)
        torch.mm(h, w.T, out=z)
        torch.mm(z, w, out=dh)
        torch.mm(z.T, h, out=dw)
        return 1024 * vocab

    return run


def cut(problem: Problem, vocab: int, width: int, blocks: BlockSizes) -> Callable[[], float]:
    """The four products of one chunk, in the loss's blocks."""
    scratch = Scratch()
    weight = problem.weight.detach()
    product = Product(HeadSpec(weight=weight), weight, None, vocab=vocab, temperature=1.0, dtype=torch.float32)
    h = torch.randn(blocks.tokens, width)
    z, z_teacher = torch.empty(blocks.tokens, vocab), torch.empty(blocks.tokens, vocab)
    dw = torch.zeros(vocab, width)

    def run() -> float:
        product.logits(h, z, blocks, scratch)
        product.logits(h, z_teacher, blocks, scratch)
        product.hidden_grad(z, blocks, scratch)
        product.add_weight_grad(z, h, dw, blocks, first=False)
        return blocks.tokens * vocab

    return run


def element_wise(divergence: RowDivergence, vocab: int, blocks: BlockSizes) -> Callable[[], float]:
    """One divergence over a chunk, tile by tile; logits are written anew outside the time."""
    scratch = Scratch()
    first = torch.randn(blocks.tokens, vocab)
    second = first + 0.2 * torch.randn(blocks.tokens, vocab)
    student, teacher, factors = first.clone(), second.clone(), torch.rand(blocks.tokens, 1)

    def run() -> float:
        start = time.process_time_ns()
        student.copy_(first)
        teacher.copy_(second)
        written = time.process_time_ns() - start
        start = time.process_time_ns()
        for row in range(0, blocks.tokens, blocks.rows):
            tile = slice(row, row + blocks.rows)
            divergence.overwrite(student_logits=student[tile], teacher_logits=teacher[tile], scratch=scratch)
            student[tile].mul_(factors[tile])
        counted = time.process_time_ns() - start
        return blocks.tokens * vocab * (counted + written) / counted  # the copies do not count

    return run


def step(problem: Problem, name: str, tokens: int, vocab: int, blocks: BlockSizes) -> Callable[[], float]:
    """Loss and both gradients."""
    problem.scratch = Scratch()

    def run() -> float:
        problem.gradients(ours(problem, name, blocks=blocks))
        return tokens * vocab

    return run


def threads_table(vocab: int, tokens: int, width: int, threads: int, repeats: int) -> None:
    """Wall time of a step and of large products, with one thread over several."""
    problem = Problem.make(tokens, vocab, width)
    runs = {"large products": large(problem, vocab, width)} | {
        name: step(problem, name, tokens, vocab, sizes(vocab, 0)) for name in NAMES
    }
    times: dict[tuple[str, int], list[float]] = {(name, count): [] for name in runs for count in (1, threads)}
    for repeat in range(repeats + 1):  # the first warms up
        for (name, count), found in times.items():
            torch.set_num_threads(count)
            start = time.perf_counter()
            runs[name]()
            if repeat:
                found.append(time.perf_counter() - start)
    for name in runs:
        print(f"| {vocab:,} | {tokens:,} | {name} | {versus(times[name, 1], times[name, threads])} |", flush=True)


def share(top: list[float], *bottom: list[float]) -> str:
    """Median of top over the sum of the others, repeat by repeat, in per cent, and a mark where it is unsteady."""
    ratios = [one / sum(others) for one, *others in zip(top, *bottom, strict=True)]
    return f"{100 * statistics.median(ratios):.0f} %" + ("" if spread(ratios) <= 0.1 else " (unsteady)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, nargs="+", default=[1024, 2048, 4096])
    parser.add_argument("--vocab", type=int, nargs="+", default=[32_768])
    parser.add_argument("--width", type=int, default=576)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--chunk", type=int, default=0, help="tokens of a chunk; 0 for the loss's own rule")
    options = parser.parse_args()
    if options.threads > 1:
        print(f"{head('torch', threads=options.threads)}; repeats {options.repeats}")
        print(f"\n| V | N | | {options.threads} threads: times faster than one |\n|---|---|---|---|")
        for vocab, tokens in itertools.product(options.vocab, options.tokens):
            threads_table(vocab, tokens, options.width, options.threads, options.repeats)
        print(f"\nAt the end: {load()}.")
        return
    torch.set_num_threads(1)
    print(f"{head('torch')}; cache {second_level_cache() // 1024} KiB; repeats {options.repeats}")
    print("\n| V | N | divergence | large | cut | element-wise | step | of large GEMM | limit | products alone |")
    print("|" + "---|" * 10)
    for vocab in options.vocab:
        for tokens in options.tokens:
            problem, blocks = Problem.make(tokens, vocab, options.width), sizes(vocab, options.chunk)
            for name in NAMES:
                divergence = make_divergence(name)
                assert isinstance(divergence, RowDivergence)
                runs = {
                    "large": large(problem, vocab, options.width),
                    "cut": cut(problem, vocab, options.width, blocks),
                    "element-wise": element_wise(divergence, vocab, blocks),
                    "step": step(problem, name, tokens, vocab, blocks),
                }
                timed(runs, 1)
                times = timed(runs, options.repeats)
                cells = [f"{statistics.median(times[part]):.1f}" for part in runs]
                reached = share(times["large"], times["step"])
                limit = share(times["large"], times["cut"], times["element-wise"])
                alone = share(times["large"], times["cut"])
                print(
                    f"| {vocab:,} | {tokens:,} | {name} | {' | '.join([*cells, reached, limit, alone])} |", flush=True
                )
    print(f"\nAt the end: {load()}.")


if __name__ == "__main__":
    main()
