"""What a run needs of its engines: the weights of the student as it is trained, and the tokens that it trains along."""

from __future__ import annotations

from paced.rollouts.engine import Engine, choose_engine, make_engine
from paced.run.config import ModelConfig, RunConfig, SamplingConfig


def engine_faults(config: RunConfig) -> list[str]:
    """A sentence for everything that a run asks of an engine that cannot do it; choices that do not fit have their own.

    Args:
        config: the recipe; no engine is asked for completions, and no server is contacted.
    """
    faults: list[str] = []
    rollouts = _build(config.rollouts, config.student)
    evaluation = _build(config.evaluation.sampling, config.student)
    references = _build(config.references, config.student)
    later = [word for word, wanted in _weights_after_the_first(config).items() if wanted]
    if rollouts is not None and not rollouts.takes_new_weights and later:
        faults.append(
            f"rollouts.engine is '{config.rollouts.engine.name}', which keeps the weights that it was started with; a "
            f"trained student is sampled because of {' and '.join(later)}. Choose hf or vllm, or make each stage a run "
            "of its own with servers on its student."
        )
    if evaluation is not None and not evaluation.takes_new_weights and config.evaluation.sets:
        faults.append(
            f"evaluation.sampling.engine is '{config.evaluation.sampling.engine.name}', which keeps the weights that "
            "it was started with, and the trained student is evaluated as well. Choose hf or vllm."
        )
    trained_along = {
        "rollouts": (rollouts, any(stage.along == "rollout" for stage in config.stages)),
        "references": (references, any(stage.along == "reference" for stage in config.stages)),
    }
    for section, (engine, wanted) in trained_along.items():
        if engine is not None and wanted and not engine.gives_token_ids:
            faults.append(
                f"{section}.engine gives text without its token ids, which can rate problems; training along "
                f"{section} needs the tokens that were sampled. Choose a dialect with token ids, or hf or vllm."
            )
    return faults


def _weights_after_the_first(config: RunConfig) -> dict[str, bool]:
    """What in a recipe asks ``rollouts.engine`` for another student than the initial one."""
    return {
        "a second stage": len(config.stages) > 1,
        "recompute_every": any(stage.recompute_every for stage in config.stages),
        "fresh_rollouts": any(stage.fresh_rollouts for stage in config.stages),
        "evaluation.rate_training": config.evaluation.rate_training,
    }


def _build(sampling: SamplingConfig, model: ModelConfig) -> Engine | None:
    """The engine, or None where the choice is a fault of its own (``preflight_options.py``)."""
    try:
        return make_engine(choose_engine(sampling), model)
    except (TypeError, ValueError):
        return None
