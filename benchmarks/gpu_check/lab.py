"""The quickstart on the card, as a user types it: lab, rollouts, weights, five methods, evaluation, report."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from gpu_check.gates import CannotRunError, Gate, Measured
from gpu_check.stages import metrics_of

RECIPE = Path(__file__).parents[2] / "recipes" / "quickstart.yaml"


def run(device: torch.device) -> Measured:
    """The command ends well, its report is there, and the method ``paced`` learned."""
    if device.type == "cpu":
        raise CannotRunError("On a CPU this check is `make quickstart`, which takes minutes.")
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "paced", "run", str(RECIPE), "--output", f"{folder}/run"],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            env=os.environ | {"PYTHONPATH": f"{RECIPE.parents[1]}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
        )
        if done.returncode:
            raise RuntimeError(f"paced run ended with {done.returncode}: {done.stderr[-2000:]}")
        (report,) = Path(folder).rglob("report.html")
        losses = [line["loss"] for line in metrics_of(report.parent / "methods" / "paced")]
    tenth = max(1, len(losses) // 10)
    ratio = sum(losses[-tenth:]) / sum(losses[:tenth])
    return Measured(
        gates=[Gate("mean loss of the last tenth over the first", ratio, 0.9)], facts={"steps": len(losses)}
    )
