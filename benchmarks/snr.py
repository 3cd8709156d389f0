"""Gradient SNR: every algorithm against plain autograd per rollout, time, memory, error, share of the GEMM peak.

    OMP_NUM_THREADS=1 python benchmarks/snr.py                # everything, about half an hour
    OMP_NUM_THREADS=1 python benchmarks/snr.py --quick        # one shape, one loss

Rules: a correctness gate first (float64 reference); competitors interleaved, process CPU time, medians of ratios;
one thread; ratios within one table, never seconds across machines; memory in a fresh process each, from the kernel's
peak-RSS mark, inputs excluded. Data are synthetic: Gaussian weights and states, the teacher a perturbed student.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from machine import head, load, versus

from paced.analysis.snr.estimators import moments_from_sums, paper_snr
from paced.analysis.snr.gram import head_gram
from paced.analysis.snr.losses import make_head_loss
from paced.analysis.snr.tokens import RolloutTokens
from paced.train.loss.head import HeadSpec

torch.set_num_threads(1)
torch.set_grad_enabled(False)

SHAPES = {
    "T=256": {"T": 256, "V": 32768, "d": 576, "K": 8},
    "T=32": {"T": 32, "V": 32768, "d": 576, "K": 8},
    "T=1024": {"T": 1024, "V": 32768, "d": 576, "K": 8},
    "Qwen V/d": {"T": 32, "V": 151936, "d": 4096, "K": 2},
}
METHODS = ("autograd", "autograd_sums", "stored", "bf16", "running_sums", "streamed", "statistics_given")
ABOUT = {
    "autograd": "autograd per rollout, stacked, .norm()",
    "autograd_sums": "autograd per rollout, running sums",
    "stored": "paced: the default choice",
    "bf16": "paced: delta kept as bfloat16",
    "running_sums": "paced: running sums (S, Q only)",
    "streamed": "paced: streaming, two passes",
    "statistics_given": "paced: streaming, statistics given",
}


def make_tokens(T: int, V: int, d: int, K: int, dtype: torch.dtype = torch.float32) -> RolloutTokens:
    """A student, a teacher near it, and K rollouts whose states share a direction (so that there is a signal)."""
    g = torch.Generator().manual_seed(0)
    N = K * T
    W = torch.empty(V, d).normal_(generator=g).mul_(3 / d**0.5)
    teacher_W = torch.empty(V, d).normal_(generator=g).mul_(0.6 / d**0.5).add_(W)
    h = torch.empty(N, d).normal_(generator=g).add_(0.5 * torch.empty(1, d).normal_(generator=g))
    teacher_h = h + 0.2 * torch.empty(N, d).normal_(generator=g)
    return RolloutTokens(
        student_hidden=h.to(dtype),
        teacher_hidden=teacher_h.to(dtype),
        targets=torch.randint(0, V, (N,), generator=g),
        offsets=tuple(range(0, N + 1, T)),
        student_head=HeadSpec(weight=W.to(dtype)),
        teacher_head=HeadSpec(weight=teacher_W.to(dtype)),
    )


def autograd_gradients(tokens: RolloutTokens, name: str):
    """One gradient [V, d] per rollout, by plain autograd on the definition."""
    W = tokens.student_head.weight.detach().requires_grad_(True)
    for k in range(len(tokens.offsets) - 1):
        rows = slice(tokens.offsets[k], tokens.offsets[k + 1])
        with torch.enable_grad():
            log_p = torch.log_softmax(tokens.student_hidden[rows] @ W.T, -1)
            log_q = torch.log_softmax(tokens.teacher_hidden[rows] @ tokens.teacher_head.weight.T, -1)
            if name == "forward_kl":
                loss = (log_q.exp() * (log_q - log_p)).sum()
            else:
                loss = (log_p.exp() * (log_p - log_q)).sum()
            (gradient,) = torch.autograd.grad(loss, W)
        yield gradient


def autograd_snr(tokens: RolloutTokens, name: str) -> float:
    """Eq. (8) as one writes it down: stack, mean, norm."""
    stack = torch.stack(list(autograd_gradients(tokens, name)))
    mean = stack.mean(0)
    return float(mean.norm() / (stack - mean).flatten(1).norm(dim=1).square().mean().sqrt())


def autograd_sums_snr(tokens: RolloutTokens, name: str) -> float:
    """Autograd, but only S and Q are kept; squares by pow(2).sum(), which is accurate."""
    total, square_sum = None, 0.0
    for gradient in autograd_gradients(tokens, name):
        square_sum += float(gradient.pow(2).sum())
        total = gradient if total is None else total.add_(gradient)
    values = moments_from_sums(
        sum_square=float(total.pow(2).sum()), square_sum=square_sum, num_rollouts=len(tokens.offsets) - 1
    )
    return float(paper_snr(values))


def statistics_of(tokens: RolloutTokens, name: str) -> dict[str, torch.Tensor]:
    """What a loss or scoring pass would hand over (made in chunks, outside the timing)."""
    found: dict[str, list[torch.Tensor]] = {}
    for h, ht in zip(tokens.student_hidden.split(64), tokens.teacher_hidden.split(64), strict=True):
        z, zt = h @ tokens.student_head.weight.T, ht @ tokens.teacher_head.weight.T
        p = torch.softmax(z, -1)
        part = {"student_lse": torch.logsumexp(z, -1), "teacher_lse": torch.logsumexp(zt, -1)}
        part["mean_gap"] = torch.linalg.vecdot(p, z - zt)
        for key, value in part.items():
            found.setdefault(key, []).append(value)
    return {key: torch.cat(parts) for key, parts in found.items()}


def make_method(method: str, tokens: RolloutTokens, name: str):
    """A function without arguments that returns the SNR."""
    if method == "autograd":
        return lambda: autograd_snr(tokens, name)
    if method == "autograd_sums":
        return lambda: autograd_sums_snr(tokens, name)
    loss, K = make_head_loss(name), len(tokens.offsets) - 1
    options = {
        "stored": {"max_bytes": 2**33},
        "bf16": {"storage": "bf16", "max_bytes": 2**33},
        "running_sums": {"storage": "running_sums", "wanted": "sums", "max_bytes": 2**34},
        "streamed": {"storage": "streamed", "contraction": "gradient", "max_bytes": 24 * 2**20},
        "statistics_given": {"contraction": "gradient", "max_bytes": 24 * 2**20},
    }[method]
    if len(tokens.student_head.weight) * tokens.student_hidden.shape[1] > 10**8 and method in (
        "streamed",
        "statistics_given",
    ):
        options["max_bytes"] = 2**28
    given = statistics_of(tokens, name) if method == "statistics_given" else None

    def run() -> float:
        result = head_gram(tokens, loss, statistics=given, **options)
        return float(
            paper_snr(moments_from_sums(sum_square=result.sum_square, square_sum=result.square_sum, num_rollouts=K))
        )

    return run


def reference_snr(tokens: RolloutTokens, name: str) -> float:
    """Eq. (8) in float64 from the same inputs, by plain autograd in float64."""
    return autograd_sums_snr(
        RolloutTokens(
            student_hidden=tokens.student_hidden.double(),
            teacher_hidden=tokens.teacher_hidden.double(),
            targets=tokens.targets,
            offsets=tokens.offsets,
            student_head=HeadSpec(weight=tokens.student_head.weight.double()),
            teacher_head=HeadSpec(weight=tokens.teacher_head.weight.double()),
        ),
        name,
    )


def gemm_rates(V: int, d: int) -> tuple[float, float]:
    """GFLOP/s of an in-cache product, and of the large head product [256, d] x [d, V]."""
    a, b, o = torch.randn(384, d), torch.randn(d, 384), torch.empty(384, 384)
    h, W = torch.randn(256, d), torch.randn(V, d)
    out = torch.empty(256, V)

    def best(run, flop, repeats):
        times = []
        for _ in range(repeats):
            begun = time.process_time()
            run()
            times.append(time.process_time() - begun)
        return flop / min(times) / 1e9

    small = best(lambda: [torch.mm(a, b, out=o) for _ in range(50)], 50 * 2 * 384 * 384 * d, 5)
    return small, best(lambda: torch.mm(h, W.T, out=out), 2 * 256 * V * d, 5)


def time_table(label: str, name: str, repeats: int, methods: tuple[str, ...]) -> None:
    """One shape, one loss: interleaved times, ratios to autograd, error, share of the GEMM rates."""
    shape = SHAPES[label]
    tokens = make_tokens(**shape)
    runs = {method: make_method(method, tokens, name) for method in methods}
    expected = reference_snr(tokens, name) if label != "Qwen V/d" else runs["autograd_sums"]()
    found = {method: run() for method, run in runs.items()}  # warms up, and gates what follows
    for method, value in found.items():
        limit = 5e-3 if method == "autograd" else 5e-5
        assert abs(value / expected - 1) < limit, f"{method}: SNR {value} instead of {expected}"
    times: dict[str, list[float]] = {method: [] for method in methods}
    for _ in range(repeats):
        for method, run in runs.items():
            begun = time.process_time()
            run()
            times[method].append(time.process_time() - begun)
    small, large = gemm_rates(shape["V"], shape["d"])
    floor = 3 * 2 * shape["K"] * shape["T"] * shape["V"] * shape["d"]
    print(f"\n{label}, {name}: V={shape['V']} d={shape['d']} K={shape['K']}; SNR {expected:.4f}; reference ", end="")
    print("float64" if label != "Qwen V/d" else "float32 running sums (float64 would not fit)")
    print(f"same-run GEMM: in cache {small:.0f}, large {large:.0f} GFLOP/s; {load()}")
    print(f"{'method':38} {'x faster':>26} {'SNR error':>10} {'3u rate':>8} {'% large':>8} {'% cache':>8}")
    for method in methods:
        rate = floor / min(times[method]) / 1e9
        faster = versus(times["autograd" if "autograd" in times else methods[0]], times[method])
        print(
            f"{ABOUT[method]:38} {faster:>26} "
            f"{abs(found[method] / expected - 1):10.1e} {rate:8.1f} "
            f"{100 * rate / large:7.0f}% {100 * rate / small:7.0f}%"
        )


def peak_bytes(label: str, name: str, method: str) -> int:
    """Growth of peak memory of one call in a fresh process, inputs and warm-up excluded."""
    line = subprocess.run(
        [sys.executable, __file__, "--cell", json.dumps([label, name, method])],
        check=True, capture_output=True, text=True,
    ).stdout.splitlines()[-1]  # fmt: skip
    return int(line)


def memory_cell(label: str, name: str, method: str) -> None:
    """The body of the fresh process: prints the growth in bytes."""
    warm = make_method(method, make_tokens(T=4, V=300, d=16, K=2), name)
    warm()
    run = make_method(method, make_tokens(**SHAPES[label]), name)
    with open("/proc/self/clear_refs", "w") as handle:
        handle.write("5")
    before = _status("VmRSS")
    run()
    print(_status("VmHWM") - before)


def _status(key: str) -> int:
    with open("/proc/self/status") as handle:
        return next(int(line.split()[1]) * 1024 for line in handle if line.startswith(key))


def memory_table(label: str, name: str, methods: tuple[str, ...]) -> None:
    """Peak memory of each method, absolute and as a share of autograd's."""
    peaks = {method: peak_bytes(label, name, method) for method in methods}
    print(f"\npeak memory, {label}, {name} (fresh process each)")
    for method, peak in peaks.items():
        print(f"{ABOUT[method]:38} {peak / 2**20:9.1f} MiB {100 * peak / peaks['autograd']:7.2f} % of autograd")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one shape, one loss")
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    parser.add_argument("--only", help="comma-separated shapes")
    arguments = parser.parse_args()
    if arguments.cell:
        memory_cell(*json.loads(arguments.cell))
        return
    print(f"{head('torch')}; process CPU time")
    if arguments.quick:
        time_table("T=256", "reverse_kl", 3, METHODS)
        memory_table("T=256", "reverse_kl", ("autograd", "stored", "streamed", "statistics_given"))
        return
    chosen = arguments.only.split(",") if arguments.only else list(SHAPES)
    for label in chosen:
        if label == "Qwen V/d":
            time_table(label, "reverse_kl", 3, ("autograd_sums", "running_sums", "streamed", "statistics_given"))
            continue
        for name in ("forward_kl", "reverse_kl"):
            time_table(label, name, 3, METHODS)
    if "T=256" in chosen:
        memory_table("T=256", "reverse_kl", METHODS)
    if "T=1024" in chosen:
        memory_table("T=1024", "reverse_kl", ("autograd", "running_sums", "streamed", "statistics_given"))


if __name__ == "__main__":
    main()
