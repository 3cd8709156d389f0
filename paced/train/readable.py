"""Whether the fused loss can read the models of a recipe: seen on models without weights, before anything runs."""

from __future__ import annotations

from paced.models.loading import build_empty, load_config
from paced.run.config import RunConfig
from paced.train.lora import lora_of
from paced.train.loss.head import head_of, trunk_of


def head_faults(config: RunConfig) -> list[str]:
    """A sentence for every model whose head or trunk the loss cannot read."""
    models = {"student": config.student} | ({"teacher": config.teacher} if config.teacher.path else {})
    faults = []
    for who, model in models.items():
        built, unbuilt = build_empty(load_config(model), attention=model.attention, who=who)
        if built is None:
            faults += unbuilt
            continue
        try:
            head_of(built)
            trunk_of(built)
        except TypeError as error:
            faults.append(f"{who}: {error}")
    return faults


def adapter_faults(config: RunConfig) -> list[str]:
    """A sentence for every target of ``student.adapter`` that the student cannot give an adapter."""
    lora = lora_of(config.student)
    if lora is None:
        return []
    built, _ = build_empty(load_config(config.student), attention=config.student.attention, who="student")
    return [] if built is None else lora.faults(built)
