"""What a run needs of its models: they can be sampled and trained, and the student stops where its teacher does.

:func:`model_faults` reads configurations and tokenizers and builds the architecture without its weights, so a dry run
can afford it. :func:`check_weights` loads the weights once and compares the head as the loss reads it with the model's
own logits: some heads transform their input first, which nothing but numbers shows.
Left out: sampling a token for trial; a model that cannot be sampled says so in its configuration.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from paced.errors import ConfigError
from paced.models.loading import (
    build_empty,
    load_config,
    load_generation_config,
    load_model,
    load_tokenizer,
    pick_device,
    teacher_model,
)
from paced.models.tokens import check_vocabulary, ends_of
from paced.run.config import ModelConfig, RunConfig

RECURRENT = ("linear", "conv", "mamba", "recurrent", "ssm", "rwkv", "hybrid", "lightning")
"""Words in ``layer_types`` that name a layer with a state of its own instead of keys and values."""


def model_faults(config: RunConfig, student_tokenizer: Any, teacher_tokenizer: Any) -> list[str]:
    """A sentence for everything about the two models that would stop a run later.

    Args:
        config: the recipe.
        student_tokenizer: loaded from the student's folder.
        teacher_tokenizer: the teacher's; the same object for a self-teacher.
    """
    looks = [
        partial(_architecture_faults, config.student, student_tokenizer, "student", sampled=True),
        partial(_unending, config.student, student_tokenizer, config.prompts.end_of_answer),
    ]
    if config.teacher.path:
        sampled = any(stage.along == "reference" for stage in config.stages)
        looks.append(partial(_architecture_faults, config.teacher, teacher_tokenizer, "teacher", sampled=sampled))
        looks.append(partial(_end_faults, config, student_tokenizer, teacher_tokenizer))
    faults = []
    for look in looks:
        try:
            faults += look()
        except ConfigError as error:
            faults.append(str(error))
    return faults


def generation_notes(model: ModelConfig) -> list[str]:
    """A note where transformers reads the generation config and refuses to write it; the export copies the file."""
    settings = load_generation_config(model)
    try:
        settings.validate(strict=True)
    except ValueError as error:
        reason = " ".join(str(error).split())[:200]
        return [
            f"{model.path}: transformers will not save this generation_config.json again ({reason}). It is copied as "
            "it is; other programs that fine-tune the exported student may stop at it."
        ]
    return []


def check_weights(config: RunConfig) -> None:
    """Load each model once and hold its head, as the loss reads it, against its own logits on four tokens.

    Raises:
        ConfigError: the weights cannot be loaded, lack rows for tokens, or the head is not the linear map it seems.
    """
    from paced.train.loss.head import check_loaded_head

    readers = {"student": config.student} | ({"teacher": teacher_model(config)} if config.teacher.path else {})
    for who, model in readers.items():
        loaded = load_model(model, device=pick_device())
        check_vocabulary(loaded, load_tokenizer(model), who=who)
        check_loaded_head(loaded, who=who)


def _architecture_faults(model: ModelConfig, tokenizer: Any, who: str, *, sampled: bool) -> list[str]:
    settings = load_config(model)
    quantised = getattr(settings, "quantization_config", None)
    if quantised:
        method = quantised.get("quant_method", "") if isinstance(quantised, dict) else type(quantised).__name__
        return [
            f"{who}: the weights must not be quantised, got '{method}', which changes what is distilled. "
            f"Choose the {who}'s unquantised weights."
        ]
    built, faults = build_empty(settings, attention=model.attention, who=who)
    if built is None:
        return faults
    state = recurrent_state(settings, built)
    if state and sampled:
        faults.append(
            f"{who}: the engine 'hf' samples models that keep keys and values alone, got '{settings.model_type}' with "
            f"{state}, whose state it cannot repeat over samples. Choose a {who} with attention in every layer."
        )
    try:
        check_vocabulary(built, tokenizer, who=who)
    except ConfigError as error:
        faults.append(str(error))
    return faults


def recurrent_state(settings: Any, model: Any) -> str:
    """What a model keeps besides keys and values, in words from its configuration; empty for attention alone.

    Args:
        settings: a transformers configuration.
        model: the model built from it, or its class.
    """
    layers = getattr(settings.get_text_config(), "layer_types", None) or ()
    recurrent = sorted({kind for kind in layers if any(word in kind for word in RECURRENT)})
    if recurrent:
        count = sum(kind in recurrent for kind in layers)
        return f"{count} of {len(layers)} layers of type {' and '.join(recurrent)}"
    return "recurrent layers" if getattr(model, "_is_stateful", False) else ""


def _unending(model: ModelConfig, tokenizer: Any, end_of_answer: str) -> list[str]:
    """Raises what :func:`ends_of` raises: nothing ends a completion."""
    ends_of(load_generation_config(model), tokenizer, end_of_answer)
    return []


def _end_faults(config: RunConfig, student_tokenizer: Any, teacher_tokenizer: Any) -> list[str]:
    """A student must stop where its teacher does: a reference ends with the teacher's own end-of-sequence token."""
    end_of_answer = config.prompts.end_of_answer
    stops = ends_of(load_generation_config(config.student), student_tokenizer, end_of_answer)
    end = teacher_tokenizer.eos_token_id
    if end is None or end in stops:
        return []
    name = teacher_tokenizer.convert_ids_to_tokens(end)
    return [
        f"teacher: ends with {name!r} (id {end}), which does not end a completion of the student (ids "
        f"{', '.join(map(str, stops))}). Set prompts.end_of_answer={name!r}, which ends both, or choose a student of "
        "the same fine-tuning."
    ]
