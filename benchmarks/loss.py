"""Speed, memory and accuracy of the fused loss against TRL, Liger and the sort-based AKL; one thread of a CPU.

    OMP_NUM_THREADS=1 python benchmarks/loss.py                 the tables of docs/loss.md (about ten minutes)
    OMP_NUM_THREADS=1 python benchmarks/loss.py --tokens 512    a quick look
    OMP_NUM_THREADS=1 python benchmarks/loss.py --only speed

Rules: contenders interleaved in one process, process time, medians of ratios; a gate against float64 before any
timing; ratios and shares of the same run's GEMM rate, never bare seconds; memory in a fresh process for each cell.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from loss_contenders import CONTENDERS, Problem, reference
from machine import head, load, versus

VOCAB, WIDTH = 32_768, 576
GATE_TOKENS, GATE = 64, 2e-4
KLS = ("forward_kl", "reverse_kl", "jsd")


def seconds(runs: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Process time of each repeat, interleaved A B C A B C."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            start = time.process_time()
            run()
            times[name].append(time.process_time() - start)
    return times


def gate(problem: Problem, contender: str, name: str) -> float:
    """Relative error of loss, dh and dW against float64; refuses to time a wrong result."""
    exact = problem.double(GATE_TOKENS)
    loss = reference(exact, name)
    dh, dw = exact.gradients(loss)
    part = problem.head(GATE_TOKENS)
    got = CONTENDERS[contender](part, name)
    part_dh, part_dw = part.gradients(got)
    errors = [
        abs(float(got.detach()) / float(loss.detach()) - 1),
        float((part_dh.double() - dh).norm() / dh.norm()),
        float((part_dw.double() - dw).norm() / dw.norm()),
    ]
    if not max(errors) < GATE:
        raise SystemExit(f"{contender}, {name}: loss, dh, dW are off by {errors} (gate {GATE}); not timed.")
    return max(errors)


def step(problem: Problem, contender: str, name: str) -> Callable[[], object]:
    return lambda: problem.gradients(CONTENDERS[contender](problem, name))


def gemm_rate(vocab: int, width: int) -> tuple[float, float]:
    """GFLOP/s of the four products of a 1,024-token step as single large GEMMs, and of a small one in the cache."""
    h, w = torch.randn(1024, width), torch.randn(vocab, width)
    z, dw, dh = torch.empty(1024, vocab), torch.empty(vocab, width), torch.empty(1024, width)
    a, b, c = torch.randn(384, width), torch.randn(width, 384), torch.empty(384, 384)

    def large() -> None:
        torch.mm(h, w.T, out=z)
        torch.mm(h, w.T, out=z)
        torch.mm(z, w, out=dh)
        torch.mm(z.T, h, out=dw)

    def small() -> None:
        for _ in range(100):
            torch.mm(a, b, out=c)

    large()
    times = seconds({"large": large, "small": small}, 3)
    return 8 * 1024 * vocab * width / min(times["large"]) / 1e9, 200 * 384 * 384 * width / min(times["small"]) / 1e9


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    print(f"\n{title}\n")
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)


def speed(tokens: int, vocab: int, repeats: int) -> None:
    problem = Problem.make(tokens, vocab, WIDTH)
    large, cache = gemm_rate(vocab, WIDTH)
    print(f"\nGEMM rate of this run: {large:.0f} GFLOP/s as single large products, {cache:.0f} in the cache.")
    rows = []
    for name in KLS:
        rivals = ["paced", "TRL full logits", "TRL chunked", "Liger, chunk 256", "Liger, chunk 1024"]
        errors = {rival: gate(problem, rival, name) for rival in rivals}
        times = seconds({rival: step(problem, rival, name) for rival in rivals}, repeats)
        rate = 8 * tokens * vocab * WIDTH / min(times["paced"]) / 1e9
        ratios = [versus(times[rival], times["paced"]) for rival in rivals[1:]]
        rows.append([name, *ratios, f"{rate:.0f} ({100 * rate / large:.0f} %)", f"{errors['paced']:.0e}"])
    table(
        f"Time of each over paced's, N={tokens}, V={vocab}, d={WIDTH}, float32 (more is better for paced)",
        ["", "TRL full logits", "TRL chunked", "Liger 256", "Liger 1024", "paced GFLOP/s (of large GEMM)", "error"],
        rows,
    )


def adaptive(repeats: int, tokens: int = 512) -> None:
    problem = Problem.make(tokens, VOCAB, WIDTH)
    errors = {rival: gate(problem, rival, "akl") for rival in ("paced", "AKL sorted")}
    equal = [problem.gradients(CONTENDERS[c](problem, "akl"))[1] for c in ("paced", "AKL sorted")]
    difference = float((equal[0] - equal[1]).norm() / equal[1].norm())
    times = seconds({c: step(problem, c, "akl") for c in ("paced", "AKL sorted")}, repeats)
    table(
        f"AKL (official rule), N={tokens}",
        ["sort-based over paced", "dW difference between the two", "error of paced"],
        [[versus(times["AKL sorted"], times["paced"]), f"{difference:.0e}", f"{errors['paced']:.0e}"]],
    )


def zero_weights(tokens: int, repeats: int) -> None:
    every = Problem.make(tokens, VOCAB, WIDTH)
    half = Problem.make(tokens, VOCAB, WIDTH)
    sequences = torch.arange(tokens) // (tokens // 8)
    half.token_weights = torch.where(sequences % 2 == 0, half.token_weights, 0.0)
    runs = {"all": step(every, "paced", "reverse_kl"), "half": step(half, "paced", "reverse_kl")}
    runs["TRL full logits"] = step(half, "TRL full logits", "reverse_kl")
    times = seconds(runs, repeats)
    table(
        f"Four of eight sequences at weight 0, reverse KL, N={tokens}",
        ["all weights over half at zero", "TRL full logits over paced"],
        [[versus(times["all"], times["half"]), versus(times["TRL full logits"], times["half"])]],
    )


def rollout_norms(repeats: int) -> None:
    rows = []
    for length in (32, 128, 256, 1024):
        tokens = 8 * min(length, 256) if length <= 256 else 4 * length
        plain, tracked = Problem.make(tokens, VOCAB, WIDTH), Problem.make(tokens, VOCAB, WIDTH)
        tracked.rollout_index = torch.arange(tokens) // length
        runs = {"plain": step(plain, "paced", "reverse_kl"), "tracked": step(tracked, "paced", "reverse_kl")}
        times = seconds(runs, repeats + 2)
        rows.append([str(length), str(tokens // length), versus(times["tracked"], times["plain"], digits=3)])
    table(
        "|S|² and |g_k|² of the head's gradient as a by-product",
        ["tokens a rollout", "K", "time over a plain step"],
        rows,
    )


def tiny(repeats: int) -> None:
    rows = []
    for name in KLS:
        problem = Problem.make(32 * 8, 38, 128)
        runs = {c: step(problem, c, name) for c in ("paced", "TRL full logits", "Liger, chunk 256")}
        for run in runs.values():
            run()
        times = seconds({c: (lambda r=r: [r() for _ in range(50)]) for c, r in runs.items()}, repeats)
        rows.append([name, *(f"{1e3 * min(times[c]) / 50:.2f}" for c in runs)])
    table(
        "One call with V=38, d=128, N=256 (the lab), milliseconds", ["", "paced", "TRL full logits", "Liger 256"], rows
    )


def accuracy() -> None:
    """dW against float64 for bfloat16 weights: logits in float32 (ours) and rounded to bfloat16 (the usual path)."""
    rows = []
    for noise in (0.025, 0.4):
        problem = Problem.make(256, VOCAB, WIDTH, noise=noise, dtype=torch.bfloat16)
        exact = problem.double(256)
        loss = reference(exact, "reverse_kl")
        _, dw = exact.gradients(loss)
        _, got = problem.gradients(CONTENDERS["paced"](problem, "reverse_kl"))
        # bfloat16 weights get bfloat16 gradients from autograd, so the float32 gradient is taken before that rounding
        problem.weight.grad_dtype = torch.float32
        _, fine = problem.gradients(CONTENDERS["paced"](problem, "reverse_kl"))
        usual = bfloat16_logits_gradient(problem)
        errors = [float((g.double() - dw).norm() / dw.norm()) for g in (fine, got, usual)]
        rows.append([f"{float(loss.detach()):.2g}", *(f"{e:.1e}" for e in errors)])
    table(
        "Relative error of dW for bfloat16 weights, reverse KL, N=256",
        ["KL", "paced (float32 gradient)", "paced, gradient stored as bfloat16", "bfloat16 logits, float32 softmax"],
        rows,
    )


def bfloat16_logits_gradient(problem: Problem) -> torch.Tensor:
    """The usual path: bfloat16 logits from the head, cast up, softmax and gradient GEMM in float32."""
    z = (problem.hidden.detach() @ problem.weight.detach().T).float()
    z_teacher = (problem.teacher_hidden @ problem.teacher_weight.T).float()
    log_p, log_q = torch.log_softmax(z, -1), torch.log_softmax(z_teacher, -1)
    p, d = log_p.exp(), log_p - log_q
    delta = p * (d - (p * d).sum(-1, keepdim=True)) * problem.token_weights[:, None]
    return delta.T @ problem.hidden.detach().float()


def memory() -> None:
    cells = [("paced", n) for n in (1024, 2048, 4096)] + [("paced, chunk 64", n) for n in (1024, 4096)]
    cells += [(c, n) for c in ("TRL full logits", "TRL chunked", "Liger, chunk 256") for n in (1024, 4096)]
    cells += [("Liger, chunk 1024", 4096)]
    rows = []
    for name in ("reverse_kl", "jsd"):
        for contender, tokens in cells:
            if name == "jsd" and (contender, tokens) not in (("paced", 4096), ("TRL full logits", 4096)):
                continue
            rows.append([name, contender, str(tokens), f"{peak_megabytes(contender, name, tokens):.0f}"])
    for tokens in (1024, 4096):
        rows.append(["", "bound: dW + dh", str(tokens), f"{(VOCAB + tokens) * WIDTH * 4 / 2**20:.0f}"])
    table("Growth of the resident peak in a fresh process, MB", ["", "", "N", "MB"], rows)


def peak_megabytes(contender: str, name: str, tokens: int) -> float:
    command = [sys.executable, __file__, "--cell", contender, name, str(tokens)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    return float(result.stdout.split()[-1])


def cell(contender: str, name: str, tokens: int) -> None:
    """Inputs first, a tiny warm-up call, then reset the kernel's peak mark and take one step."""
    problem = Problem.make(tokens, VOCAB, WIDTH)
    tiny_problem = Problem.make(8, 50, 16)
    tiny_problem.gradients(CONTENDERS[contender](tiny_problem, name))
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    kept = problem.gradients(CONTENDERS[contender](problem, name))
    assert len(kept) == 2
    print((status("VmHWM") - before) / 1024)


def status(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--vocab", type=int, default=VOCAB, help="of the speed table")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", choices=["accuracy", "speed", "akl", "zero", "norms", "tiny", "memory"])
    parser.add_argument("--cell", nargs=3, metavar=("CONTENDER", "DIVERGENCE", "TOKENS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.cell:
        cell(options.cell[0], options.cell[1], int(options.cell[2]))
        return
    print(f"{head('torch', 'transformers', 'trl', 'liger-kernel')}; repeats {options.repeats}")
    sections: dict[str, Callable[[], None]] = {
        "accuracy": accuracy,
        "speed": lambda: speed(options.tokens, options.vocab, options.repeats),
        "akl": lambda: adaptive(options.repeats),
        "zero": lambda: zero_weights(min(options.tokens, 1024), options.repeats),
        "norms": lambda: rollout_norms(options.repeats),
        "tiny": lambda: tiny(options.repeats),
        "memory": memory,
    }
    for name, section in sections.items():
        if options.only in (None, name):
            section()
    print(f"\nAt the end: {load()}.")


if __name__ == "__main__":
    main()
