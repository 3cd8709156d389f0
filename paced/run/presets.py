"""How public benchmarks are measured, so that a recipe names one instead of copying its settings.

A held-out set with ``preset: aime`` is sampled and graded like this whatever ``evaluation.sampling`` and ``grading``
say; only the engine stays the recipe's own. Everything else about a set (its file, its role) is the recipe's.
Left out: MMLU by the likelihood of the four letters, which is lm-eval's (``pipeline/lm_eval.py``).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from paced.run.config import EvaluationSet, GradingConfig, RunConfig, SamplingConfig
from paced.run.schema import Choice


@dataclass(frozen=True, kw_only=True)
class Preset:
    """How one benchmark samples and reads its completions."""

    num_samples: int
    """k: completions of each problem."""
    sampling_temperature: float
    """Temperature; 0 is greedy."""
    top_p: float
    """Nucleus mass."""
    max_new_tokens: int
    """Length limit of a completion, in tokens."""
    answer_format: str
    """Where the answer is written, a name of ``grading.answer_format``."""


PAPER = Preset(num_samples=8, sampling_temperature=0.6, top_p=0.95, max_new_tokens=30000, answer_format="boxed")
"""mean@8 as in Table 10 of the paper."""
PRESETS: dict[str, Preset] = {
    "math-500": PAPER,
    "aime": PAPER,
    "mmlu": Preset(num_samples=1, sampling_temperature=0.0, top_p=1.0, max_new_tokens=4096, answer_format="boxed"),
}
"""Name in ``evaluation.sets.*.preset`` -> settings; ``mmlu`` is one greedy completion with the option's letter."""


def set_sampling(config: RunConfig, item: EvaluationSet) -> SamplingConfig:
    """How the completions of one held-out set are sampled.

    Example:
        >>> item = EvaluationSet(name="aime", path="aime.jsonl", preset="aime")
        >>> sampling = set_sampling(RunConfig(name="a"), item)
        >>> sampling.num_samples, sampling.sampling_temperature, sampling.top_p, sampling.max_new_tokens
        (8, 0.6, 0.95, 30000)
    """
    sampling = config.evaluation.sampling
    if item.preset != "none":
        preset = dataclasses.asdict(PRESETS[item.preset])
        del preset["answer_format"]
        return dataclasses.replace(sampling, **preset)
    if item.role == "stability" and config.evaluation.stability_samples:
        return dataclasses.replace(sampling, num_samples=config.evaluation.stability_samples)
    return sampling


def set_grading(config: RunConfig, name: str) -> GradingConfig:
    """How the completions of one set are graded, by its name; the training problems as the recipe says.

    Example:
        >>> set_grading(RunConfig(name="a"), "training").answer_format.name
        'whole'
    """
    preset = next((item.preset for item in config.evaluation.sets if item.name == name), "none")
    if preset == "none":
        return config.grading
    return dataclasses.replace(config.grading, answer_format=Choice(PRESETS[preset].answer_format))
