"""What one of eight ranks holds, planned against PyTorch's own tracker, on tensors without memory and without GPUs.

    python benchmarks/plan_ranks.py                   the table of docs/plan.md (minutes; Qwen3-8B is the longest)
    python benchmarks/plan_ranks.py --only qwen3      the rows whose model's name holds the word

The native loop's own student is sharded by FSDP2 over a process group whose collectives do nothing, forward, backward
and AdamW's step run on fake tensors, and ``FSDPMemTracker`` counts storages by what they are. Two steps: the moments
are there from the end of the first one on, so the tracker's statistics are reset after it.
Left out: the loss, whose tokens are chosen by their values (a sum over the logits takes its place), and the teacher,
which the tracker refuses (it hooks gradients). Their memory is held against runs in ``benchmarks/plan.py``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from typing import Any

import torch
import torch.distributed as dist
from plan import settings_of
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.fsdp2_mem_tracker import FSDPMemTracker, _FSDPRefType
from torch.distributed.device_mesh import init_device_mesh
from torch.testing._internal.distributed.fake_pg import FakeStore

from paced.models.loading import quiet_transformers
from paced.pipeline.plan.memory import Micro, training_phases
from paced.pipeline.plan.shapes import shape_of
from paced.run.config import ModelConfig
from paced.run.configfile import build_config
from paced.train.native.learner import Learner
from paced.train.redirect import call_inside
from paced.train.team import Team

NUM_RANKS = 8
LENGTH = 64
SHIPPED = "Qwen/Qwen3-8B"
CELLS = [
    {"name": name, "dtype": dtype}
    for name, dtype in (("qwen3", "bfloat16"), ("llama", "bfloat16"), ("gpt2", "float32"), (SHIPPED, "bfloat16"))
]
COUNTED = {
    "parameters": (_FSDPRefType.SHARDED_PARAM,),
    "gradients": (_FSDPRefType.SHARDED_GRAD,),
    "optimiser": (_FSDPRefType.OPT,),
}
"""Part of the plan -> what the tracker calls it."""


def compare(cell: dict[str, str]) -> dict[str, tuple[float, float]]:
    """Part -> bytes planned and tracked on one rank, between AdamW's step and the next forward."""
    quiet_transformers()
    config = build_config(
        {
            "name": "bench",
            "problems": {"path": "none.jsonl"},
            "student": {"dtype": cell["dtype"]},
            "parallel": {"gradient_checkpointing": True},
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        if cell["name"] == SHIPPED:
            shape = shape_of(ModelConfig(path=SHIPPED), who="student")
            settings = shape.settings
        else:
            settings = settings_of(cell["name"])
            settings.save_pretrained(folder)
            shape = shape_of(ModelConfig(path=folder), who="student")
    micro = Micro(rows=1, student_tokens=LENGTH, teacher_tokens=LENGTH, completion_tokens=LENGTH, rounds=2)
    phases = training_phases(config, student=shape, teacher=shape, micro=micro, num_ranks=NUM_RANKS, device_kind="cuda")
    (optimiser,) = (phase for phase in phases if phase.name == "optimiser")
    scratch = 2 * 4 * shape.largest_parameter / NUM_RANKS  # of the update itself, which is over when it is counted
    planned = dict(optimiser.device) | {"optimiser": optimiser.device["optimiser"] - scratch}
    tracked = track(settings, config)
    return {part: (planned[part], tracked[part]) for part in COUNTED}


def track(settings: Any, config: Any) -> dict[str, float]:
    """Two steps of the sharded student on fake tensors; bytes by part after the second."""
    from transformers import AutoModelForCausalLM

    dist.init_process_group("fake", store=FakeStore(), rank=0, world_size=NUM_RANKS)
    try:
        mesh = init_device_mesh("cpu", (NUM_RANKS,), mesh_dim_names=("shard",))
        with FakeTensorMode(allow_non_fake_inputs=True):
            model = AutoModelForCausalLM.from_config(settings, dtype=torch.float32)
            learner = Learner(model, config, Team(size=NUM_RANKS, mesh=mesh))
            ids = torch.zeros(1, LENGTH, dtype=torch.long)  # [1, T]
            tracker = FSDPMemTracker(learner.loss_of, learner.optimizer)
            tracker.track_inputs((ids,))
            with tracker:
                for step in range(2):
                    _step(learner, ids)
                    if step == 0:
                        learner.optimizer.zero_grad(set_to_none=True)
                        tracker.reset_mod_stats()
                snapshot = tracker.get_tracker_snapshot("current")
    finally:
        dist.destroy_process_group()
    (by_kind,) = (kinds for device, kinds in snapshot.items() if device.type == "cpu")
    return {part: float(sum(by_kind[kind] for kind in kinds)) for part, kinds in COUNTED.items()}


def _step(learner: Learner, ids: torch.Tensor) -> None:
    student = learner.loss_of

    def total() -> torch.Tensor:
        states = student.hidden(input_ids=ids)  # [1, T, d]
        return (states @ student.head().weight.T).sum()  # of [1, T, V]

    call_inside(student, student, total).backward()
    learner.optimizer.step()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="")
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.cell:
        print(json.dumps(compare(json.loads(asked.cell))))
        return
    print(f"| model | type | part | planned MB on each of {NUM_RANKS} | tracked MB | planned / tracked |")
    print("|---|---|---|---|---|---|")
    ratios = []
    for cell in CELLS:
        if asked.only not in cell["name"]:
            continue
        for part, (planned, tracked) in compare(cell).items():
            ratios.append(planned / tracked)
            numbers = f"{planned / 1e6:,.1f} | {tracked / 1e6:,.1f} | {ratios[-1]:.3f}"
            print(f"| {cell['name']} | {cell['dtype']} | {part} | {numbers} |", flush=True)
    print(f"\nLargest error {max(abs(ratio - 1) for ratio in ratios):.1%}.")


if __name__ == "__main__":
    main()
