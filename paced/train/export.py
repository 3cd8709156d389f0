"""A trained student as an ordinary Hugging Face folder: safetensors, tokenizer, generation config, model card.

Tokenizer and generation config are the files that the student came with, byte for byte: saving them again would change
special tokens (a padding token that was only lent to it), and transformers reads generation configs that it refuses to
write, which would end a run after its last step.
The weights are the float32 master weights, so the next stage starts from exactly what this one ended with; load them
with ``dtype="bfloat16"`` to serve what a bfloat16 run computed with. The card states facts of the run that can be
reproduced, and no path of a machine.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import paced
from paced.models.loading import GENERATION_CONFIG, own_files, writing_weights
from paced.run.config import ModelConfig, RunConfig
from paced.run.storage import sync_folder, write_atomic


def export_student(folder: Path, model: Any, tokenizer: Any, *, config: RunConfig, facts: dict[str, Any]) -> None:
    """Write a model folder in one step: it is whole, or not there.

    Args:
        folder: where it goes; an older one is replaced.
        model: a causal language model with all its weights.
        tokenizer: the student's; saved as it is only for a student that came from no folder (an empty
            ``student.path``), which has no files of its own.
        config: the run's configuration: where the student came from, and the card.
        facts: what the card says besides, name -> value.
    """
    temporary = folder.parent / f".{folder.name}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    _save_weights(temporary, model)
    if config.student.path:
        for file in own_files(config.student, tokenizer):
            shutil.copyfile(file, temporary / file.name)
    else:
        tokenizer.save_pretrained(temporary)
        model.generation_config.to_json_file(temporary / GENERATION_CONFIG)  # writes what it holds, valid or not
    write_atomic(temporary / "README.md", model_card(config, facts))
    sync_folder(temporary)
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)
    sync_folder(folder.parent)


def _save_weights(folder: Path, model: Any) -> None:
    """config.json and safetensors alone; transformers would write, and so validate, the generation config as well."""
    from transformers import GenerationConfig

    own = model.generation_config
    model.generation_config = GenerationConfig()
    try:
        with writing_weights(folder / "model.safetensors"):
            model.save_pretrained(folder)
    finally:
        model.generation_config = own
    (folder / GENERATION_CONFIG).unlink(missing_ok=True)


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
