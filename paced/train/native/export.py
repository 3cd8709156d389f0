"""A trained student as an ordinary Hugging Face folder: safetensors, tokenizer, generation config, model card.

The weights are the float32 master weights, so the next stage starts from exactly what this one ended with; load them
with ``dtype="bfloat16"`` to serve what a bfloat16 run computed with. The card states facts of the run that can be
reproduced, and no path of a machine.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import paced
from paced.run.config import ModelConfig, RunConfig
from paced.run.storage import sync_folder, write_atomic


def export_student(folder: Path, model: Any, tokenizer: Any, *, config: RunConfig, facts: dict[str, Any]) -> None:
    """Write a model folder in one step: it is whole, or not there.

    Args:
        folder: where it goes; an older one is replaced.
        model: a causal language model with all its weights.
        tokenizer: the student's.
        config: the run's configuration, for the card.
        facts: what the card says besides, name -> value.
    """
    temporary = folder.parent / f".{folder.name}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    model.save_pretrained(temporary)
    tokenizer.save_pretrained(temporary)
    write_atomic(temporary / "README.md", model_card(config, facts))
    sync_folder(temporary)
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)
    sync_folder(folder.parent)


def model_card(config: RunConfig, facts: dict[str, Any]) -> str:
    """The README of the model folder, with the metadata that the hub reads."""
    base = public_name(config.student)
    rows = {
        "student": base,
        "teacher": public_name(config.teacher) if config.teacher.path else f"{base}, shown the expert solution",
        "weights": f"`{config.weights}`",
        "batching": f"{config.training.batching}, {config.training.batch_size} problems a step",
        "optimiser": f"AdamW, learning rate {config.training.learning_rate:g}, weight decay "
        f"{config.training.weight_decay:g}, gradient norm clipped at {config.training.clip_norm:g}",
        "seed": config.seed,
        **facts,
        "paced": paced.__version__,
    }
    metadata = ["library_name: transformers", "pipeline_tag: text-generation", "tags:", "- distillation", "- paced"]
    if "/" in base:
        metadata.append(f"base_model: {base}")
    lines = ["---", *metadata, "---", f"# {config.name}", "", "Distilled with pass-rate weights by `paced`.", ""]
    lines += ["| fact | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items()), ""]
    return "\n".join(lines)


def public_name(model: ModelConfig) -> str:
    """A hub name as it is; of a folder its last name alone."""
    path = Path(model.path)
    local = path.exists() or path.is_absolute() or model.path.count("/") != 1
    return path.name if local else f"{model.path}{'@' + model.revision if model.revision else ''}"
