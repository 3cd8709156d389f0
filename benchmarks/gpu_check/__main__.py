"""The command: which checks, on what, a table on the screen and JSON beside it.

    python -m gpu_check [--device cuda|cpu] [--only NAME ...] [--output FILE]

Exit codes: 0 all gates kept, 1 a gate failed, 2 asked for a card that is not there.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch

from gpu_check import compiled, distil, fused, lab, peers, products, ranks, sampler, sharded, snr, vllm_engine
from gpu_check.gates import Check, Outcome, run_check
from gpu_check.machine import NO_DEVICE, describe, is_there

CHECKS: dict[str, Check] = {
    "products": products.run,
    "loss": fused.run,
    "peers": peers.run,
    "snr": snr.run,
    "sampler": sampler.run,
    "sharded": sharded.run,
    "ranks": ranks.run,
    "compile": compiled.run,
    "distil": distil.run,
    "vllm": vllm_engine.run,
    "lab": lab.run,
}
"""Name -> check, in the order in which they run."""


def main(arguments: Sequence[str] | None = None, checks: Mapping[str, Check] = CHECKS) -> int:
    """Run the checks; returns the exit code."""
    parser = argparse.ArgumentParser(prog="gpu_check", description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--only", nargs="+", choices=sorted(checks), metavar="NAME", help=", ".join(checks))
    parser.add_argument("--output", type=Path, default=Path("gpu-check.json"))
    asked = parser.parse_args(arguments)
    if not is_there(asked.device):
        return NO_DEVICE
    device = torch.device("cuda", 0) if asked.device == "cuda" else torch.device("cpu")
    if device.type == "cpu":
        torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    outcomes = []
    for name, check in checks.items():
        if asked.only and name not in asked.only:
            continue
        outcomes.append(run_check(name, check, device))
        print("\n".join(_lines(outcomes[-1])), flush=True)
    facts = describe(device)
    asked.output.write_text(json.dumps(facts | {"checks": [one.as_dict() for one in outcomes]}, indent=1) + "\n")
    failed = [one.name for one in outcomes if one.status == "failed"]
    counts = {status: sum(one.status == status for one in outcomes) for status in ("passed", "failed", "skipped")}
    told = ", ".join(f"{count} {status}" for status, count in counts.items())
    print(f"\n{facts['device']}: {told}. Numbers are in {asked.output}.")
    return 1 if failed else 0


def _lines(outcome: Outcome) -> list[str]:
    """One check as rows of a table: its gates, facts, and what was left out."""
    lines = [f"{outcome.status.upper():8}{outcome.name}  ({outcome.seconds:.0f} s)"]
    if outcome.reason:
        lines.append(f"          {outcome.reason}")
    for gate in outcome.measured.gates:
        sign = ">=" if gate.at_least else "<="
        mark = "ok  " if gate.passed else "FAIL"
        lines.append(f"    {mark}  {gate.what:58} {gate.value:10.2e} {sign} {gate.limit:.1e}")
    for name, value in outcome.measured.facts.items():
        lines.append(
            f"          {name:58} {value:10.4g}" if isinstance(value, float) else f"          {name:58} {value}"
        )
    return lines + [f"          left out: {sentence}" for sentence in outcome.measured.left_out]


if __name__ == "__main__":
    sys.exit(main())
