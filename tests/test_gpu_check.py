"""``make gpu-check`` on a CPU: what a CPU can run keeps its gates, the rest says why it is skipped; gates can fail."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
ENVIRONMENT = os.environ | {
    "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("", "benchmarks", "tests")),
    "CUDA_VISIBLE_DEVICES": "", "PACED_VLLM_PYTHON": "", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1",
}  # fmt: skip


def gpu_check(folder, *arguments):
    """The command in a process of its own; what it wrote, by name of the check."""
    command = [sys.executable, "-m", "gpu_check", *arguments, "--output", str(folder / "out.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT, cwd=ROOT, timeout=900)
    file = folder / "out.json"
    checks = json.loads(file.read_text())["checks"] if file.exists() else []
    return done, {check["name"]: check for check in checks}


@pytest.fixture(scope="module")
def package():
    """The package itself, from the folder of benchmarks."""
    before = sys.path[:]
    sys.path[:0] = [str(ROOT / "benchmarks")]
    try:
        import gpu_check.gates
    finally:
        sys.path[:] = before
    return gpu_check.gates


@pytest.mark.slow
def test_what_a_cpu_can_run_of_the_loss_the_products_and_the_snr_keeps_its_gates(tmp_path):
    names = ("products", "loss", "snr", "lab", "vllm")
    done, checks = gpu_check(tmp_path, "--device", "cpu", "--only", *names)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {name: check["status"] for name, check in checks.items()} == {
        "products": "passed", "loss": "passed", "snr": "passed", "lab": "skipped", "vllm": "skipped",
    }  # fmt: skip
    for check in checks.values():
        assert check["gates"] or check["reason"].endswith((".", "PACED_VLLM_PYTHON."))
        assert all(gate["passed"] for gate in check["gates"])
    assert "no tensor cores" in checks["products"]["left_out"][0]


@pytest.mark.slow
def test_what_a_cpu_can_run_of_the_other_checks_keeps_its_gates(tmp_path):
    names = ("peers", "sampler", "sharded", "ranks", "distil")
    done, checks = gpu_check(tmp_path, "--device", "cpu", "--only", *names)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {check["status"] for check in checks.values()} == {"passed"}
    assert {gate["what"] for gate in checks["ranks"]["gates"]} >= {"sharded", "one sequence over two ranks"}


@pytest.mark.nightly
def test_a_compiled_trunk_gives_the_eager_ones_gradient(tmp_path):
    done, checks = gpu_check(tmp_path, "--device", "cpu", "--only", "compile")
    assert done.returncode == 0, done.stdout + done.stderr
    assert checks["compile"]["status"] == "passed"


@pytest.mark.slow
def test_without_a_card_one_sentence_says_so_and_the_command_fails(tmp_path):
    done, checks = gpu_check(tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "no CUDA device" in done.stderr
    assert not checks


def test_a_gate_that_is_not_kept_fails_its_check(package):
    gate = package.Gate
    kept, broken, nan = gate("a", 1.0, 2.0), gate("a", 1.0, 2.0, at_least=True), gate("a", math.nan, 2.0)
    assert [one.passed for one in (kept, broken, nan)] == [True, False, False]

    def status(check):
        return package.run_check("one", check, torch.device("cpu")).status

    assert status(lambda device: package.Measured(gates=[kept])) == "passed"
    assert status(lambda device: package.Measured(gates=[kept, broken])) == "failed"
    assert status(lambda device: package.Measured()) == "failed"

    def cannot(device):
        raise package.CannotRunError("Not here.")

    def breaks(device):
        raise RuntimeError("out of memory")

    assert status(cannot) == "skipped"
    outcome = package.run_check("one", breaks, torch.device("cpu"))
    assert (outcome.status, "out of memory" in outcome.reason) == ("failed", True)
