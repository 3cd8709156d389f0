"""Planned against measured memory of real training stages on this machine's CPU, one fresh process a row.

    python benchmarks/plan.py                    the table of docs/plan.md (a few minutes)
    python benchmarks/plan.py --only gemma       the rows whose model's name holds the word

Each row trains a stage of random weights by the native loop, two steps of two micro-batches and the export, and
compares the growth of the resident memory's peak with the plan's largest phase. Allocations of 64 KiB and more return
to the system when they are freed (MALLOC_MMAP_THRESHOLD_, set before Python starts), so that the peak is that of
tensors and not of a heap that stays; the kernel's mark of the peak is reset after the models are built.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

STEPS, BATCH = 2, 4
SIZES: dict[str, dict[str, Any]] = {
    "llama": {"hidden_size": 512, "intermediate_size": 1376, "num_attention_heads": 8, "num_key_value_heads": 8},
    "llama wide, grouped": {
        "model_type": "llama", "hidden_size": 640, "intermediate_size": 2560, "num_attention_heads": 10,
        "num_key_value_heads": 2, "num_hidden_layers": 4, "vocab_size": 16000,
    },
    "gemma2": {
        "hidden_size": 384, "intermediate_size": 3072, "num_attention_heads": 6, "num_key_value_heads": 2,
        "head_dim": 64, "vocab_size": 20000, "sliding_window": 4096, "query_pre_attn_scalar": 64,
    },
    "gemma": {
        "hidden_size": 384, "intermediate_size": 3072, "num_attention_heads": 6, "num_key_value_heads": 1,
        "head_dim": 64, "vocab_size": 20000,
    },
    "qwen2": {
        "hidden_size": 448, "intermediate_size": 1216, "num_attention_heads": 7, "num_key_value_heads": 1,
        "tie_word_embeddings": True, "num_hidden_layers": 10,
    },
    "qwen3": {
        "hidden_size": 512, "intermediate_size": 1536, "num_attention_heads": 8, "num_key_value_heads": 2,
        "head_dim": 64, "tie_word_embeddings": True, "vocab_size": 32000,
    },
    "gpt2": {"hidden_size": 512, "num_attention_heads": 8, "max_position_embeddings": 1024},
    "gpt_neox": {"hidden_size": 512, "intermediate_size": 2048, "num_attention_heads": 8, "vocab_size": 4000},
    "phi3": {
        "hidden_size": 512, "intermediate_size": 1408, "num_attention_heads": 8, "num_key_value_heads": 4,
        "pad_token_id": 0,
    },
    "olmo2": {"hidden_size": 512, "intermediate_size": 1408, "num_attention_heads": 8, "num_key_value_heads": 8},
}  # fmt: skip
"""Row -> what differs from eight thousand tokens of vocabulary and six layers."""
COMMON = {"vocab_size": 8000, "num_hidden_layers": 6}


def cells() -> list[dict[str, Any]]:
    """Every architecture in float32 with and without gradient checkpointing; three in bfloat16, under FSDP alone; and
    three with LoRA adapters, whose teacher is their base."""
    rows = [
        {"name": name, "dtype": "float32", "checkpointing": checkpointing}
        for name in SIZES
        for checkpointing in (False, True)
    ]
    return rows + [
        {"name": name, "dtype": dtype, "checkpointing": checkpointing} | more
        for name, dtype, more in [
            *((name, "bfloat16", {}) for name in ("llama", "gemma", "qwen3")),
            *((name, "float32", {"adapter": {"rank": 16}}) for name in ("llama", "qwen3")),
            ("qwen3", "bfloat16", {"adapter": {"rank": 16}}),
        ]
        for checkpointing in (False, True)
    ]


def settings_of(name: str) -> Any:
    from transformers import AutoConfig

    keys = {**COMMON, **SIZES[name]}
    kind = keys.pop("model_type", name)
    return AutoConfig.for_model(kind, eos_token_id=0, bos_token_id=None, **keys)


def train_cell(cell: dict[str, Any]) -> dict[str, float]:
    """Train in this process; returns the measured growth of the peak and the planned one, in bytes."""
    import torch

    torch.set_num_threads(1)
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from tiny_models import byte_tokenizer
    from transformers import AutoModelForCausalLM

    from paced.models.loading import quiet_transformers
    from paced.pipeline.plan.memory import largest_micro_batch, training_phases
    from paced.pipeline.plan.shapes import shape_of
    from paced.run.config import ModelConfig
    from paced.run.configfile import build_config
    from paced.run.folder import RunFolder
    from paced.run.progress import Silent
    from paced.train.examples import Example, FixedExamples
    from paced.train.inputs import StageInputs
    from paced.train.lora import add_adapters, lora_of, new_adapters
    from paced.train.native.loop import train_stage
    from paced.train.native.stage import Models

    quiet_transformers()
    prompt, shown, completion, micro_tokens = 32, 64, 448, 1024
    with tempfile.TemporaryDirectory() as folder:
        settings = settings_of(cell["name"])
        settings.save_pretrained(folder)
        config = build_config(
            {
                "name": "bench",
                "problems": {"path": "none.jsonl"},
                "student": {"dtype": cell["dtype"], "adapter": cell.get("adapter")},
                "teacher": {"dtype": cell["dtype"]},
                "stages": [{"divergence": "reverse_kl", "num_steps": STEPS}],
                "training": {"batch_size": BATCH, "micro_batch_tokens": micro_tokens, "checkpoint_every": 0},
                "parallel": {"gradient_checkpointing": cell["checkpointing"]},
            }
        )

        lora = lora_of(config.student)

        class Tokens:
            """A tokenizer of as many tokens as the model has rows, so that the loss works on all of them."""

            def __init__(self, rows: int) -> None:
                self.core = byte_tokenizer(chat=False)
                self.rows = rows

            def get_vocab(self) -> dict[str, int]:
                return {str(number): number for number in range(self.rows)}

            def __getattr__(self, name: str) -> Any:
                return getattr(self.core, name)

        def stage(model_settings: Any, root: str, examples: list[Example]) -> float:
            torch.manual_seed(0)
            before = status("VmRSS")
            student = AutoModelForCausalLM.from_config(model_settings).eval()
            if lora:
                student, teacher = add_adapters(student, lora, new_adapters(0)), None
            else:
                teacher = AutoModelForCausalLM.from_config(model_settings, dtype=getattr(torch, cell["dtype"])).eval()
                teacher.requires_grad_(False)
            models = Models(student=student, teacher=teacher, tokenizer=Tokens(model_settings.vocab_size))
            Path("/proc/self/clear_refs").write_text("5")  # forget the peak of loading
            own = ModelConfig(dtype=cell["dtype"])
            inputs = StageInputs(
                run=RunFolder(Path(root)), config=config, stage_number=1, student=own, teacher=own,
                source=FixedExamples(examples),
            )  # fmt: skip
            train_stage(inputs, models, Silent())
            return status("VmHWM") - before

        def examples(scale: int) -> list[Example]:
            ids = [tuple(5 + position % 40 for position in range(length // scale)) for length in (prompt, shown)]
            written = tuple(5 + position % 40 for position in range(completion // scale))
            return [
                Example(
                    problem_id=str(index), sample_index=0, student_prompt_ids=ids[0], teacher_prompt_ids=ids[1],
                    completion_ids=written, unit_mean_weight=1.0,
                )
                for index in range(BATCH * STEPS)
            ]  # fmt: skip

        small = settings_of(cell["name"])
        small.num_hidden_layers, small.vocab_size = 1, 512
        if getattr(small, "layer_types", None):
            small.layer_types = small.layer_types[:1]
        stage(small, f"{folder}/warm", examples(16))  # code and kernels are loaded before anything is measured
        measured = stage(settings, f"{folder}/run", examples(1))
        shape = shape_of(ModelConfig(path=folder), who="teacher")
        trained = shape_of(ModelConfig(path=folder), who="student", lora=lora)
        micro = largest_micro_batch(
            config, num_ranks=1, student_prompt=prompt, teacher_prompt=shown, completion=completion
        )
        phases = training_phases(config, student=trained, teacher=shape, micro=micro, num_ranks=1, device_kind="cpu")[
            1:
        ]
        worst = max(phases, key=lambda phase: phase.total)
        parts = {name: round(size / 1e6, 1) for name, size in worst.device.items()}
        return {"measured": measured, "planned": worst.total, "phase": worst.name, "parts": parts}


def status(key: str) -> float:
    """A line of this process's status, in bytes."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key))
    return float(line.split()[1]) * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    parser.add_argument("--parts", action="store_true", help="also show the parts of the largest phase")
    asked = parser.parse_args()
    if asked.cell:
        print(json.dumps(train_cell(json.loads(asked.cell))))
        return
    print("| model | type | checkpointing | largest phase | planned MB | measured MB | planned / measured |")
    print("|---|---|---|---|---|---|---|")
    environment = os.environ | {
        "MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }  # fmt: skip
    errors = []
    for cell in cells():
        name = f"{cell['name']}, LoRA" if cell.get("adapter") else cell["name"]
        if asked.only not in name:
            continue
        command = [sys.executable, __file__, "--cell", json.dumps(cell)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
        row = json.loads(done.stdout.splitlines()[-1])
        errors.append(row["planned"] / row["measured"] - 1)
        print(
            f"| {name} | {cell['dtype']} | {'yes' if cell['checkpointing'] else 'no'} | {row['phase']} "
            f"| {row['planned'] / 1e6:.0f} | {row['measured'] / 1e6:.0f} | {1 + errors[-1]:.2f} |",
            row["parts"] if asked.parts else "",
            flush=True,
        )
    print(f"\nLargest error {max(map(abs, errors)):.1%} over {len(errors)} runs.")


if __name__ == "__main__":
    main()
