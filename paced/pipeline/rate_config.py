"""What ``paced rate`` is asked to do: the sections of a recipe that decide a pass rate, and nothing of training.

Here too is how the words of a command line become settings: the keys are those of a recipe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from paced.errors import ConfigError
from paced.run.config import GradingConfig, ModelConfig, ProblemsConfig, PromptsConfig, SamplingConfig
from paced.run.schema import Choice, NonNegativeInt, PositiveInt, Section, read_section

BOXED = "Please reason step by step, and put your final answer within \\boxed{}."
"""System message that goes with the answer format ``boxed``, as in the recipes of the paper."""
WITHOUT_SAMPLING = (
    "problems.path", "problems.limit", "problems.adapter", "problems.on_bad_row", "grading.answer_format",
)  # fmt: skip
"""The settings that grading reads."""
MERGED = ("problems.path", "problems.limit")
"""The settings that putting tables together reads."""
SPELLED = {
    "problems.path": "PROBLEMS", "student.path": "--model", "prompts.student": "--prompt",
    "prompts.use_chat_template": "--chat-template", "rollouts.sampling_temperature": "--temperature",
}  # fmt: skip
"""Key -> the argument of ``paced rate`` that sets it, where that is not the key's own last word."""


@dataclass(frozen=True, kw_only=True)
class RateConfig(Section):
    """Who is asked what, and how the answers are sampled and graded; sampling has the paper's defaults (Table 10)."""

    problems: ProblemsConfig = field(default_factory=ProblemsConfig)
    """The problem file, and how many of its problems."""
    student: ModelConfig = field(default_factory=ModelConfig)
    """Who answers; for a server, whose tokenizer and chat template make the prompts."""
    prompts: PromptsConfig = field(default_factory=lambda: PromptsConfig(system=BOXED))
    """How a problem becomes what the student reads."""
    rollouts: SamplingConfig = field(default_factory=SamplingConfig)
    """K, temperature, limits and the engine."""
    grading: GradingConfig = field(default_factory=lambda: GradingConfig(answer_format=Choice("boxed")))
    """Where an answer is written."""
    seed: NonNegativeInt = 1
    """The one seed of all noise."""
    screen: tuple[PositiveInt, PositiveInt] | None = None
    """(K1, K): K1 rollouts of every problem, and K of those that were neither always nor never solved in them."""

    def faults(self) -> dict[str, str]:
        """One of K1 rollouts always agrees with itself."""
        if self.screen is not None and not 2 <= self.screen[0] < self.screen[1]:
            return {"screen": f"must be two numbers K1,K with 2 <= K1 < K, got {self.screen[0]},{self.screen[1]}."}
        if self.screen is not None and self.rollouts.num_samples != self.screen[1]:
            return {
                "screen": f"must end in the number of samples, got {self.screen[1]} and {self.rollouts.num_samples}."
            }
        return {}


def read_rate_config(options: Mapping[str, Any]) -> RateConfig:
    """The settings of a call from the keys of a recipe; those that are None keep their defaults.

    With screening K is its second number. Another answer format than ``boxed`` goes without the system message that
    asks for it, unless one is given.

    Raises:
        ConfigError: everything that is wrong with them, a sentence each.

    Example:
        >>> config = read_rate_config({"problems.path": "p.jsonl", "grading.answer_format": "gsm8k", "screen": "2,16"})
        >>> config.screen, config.rollouts.num_samples, config.prompts.system
        ((2, 16), 16, '')
    """
    given = {key: value for key, value in options.items() if value is not None}
    if "screen" in given:
        given["screen"] = _screen_of(given["screen"])
        given.setdefault("rollouts.num_samples", given["screen"][1])
    if given.get("grading.answer_format", "boxed") != "boxed":
        given.setdefault("prompts.system", "")
    data: dict[str, Any] = {}
    for key, value in given.items():
        section, _, name = key.rpartition(".")
        (data.setdefault(section, {}) if section else data)[name] = value
    faults: dict[str, str] = {}
    config = read_section(RateConfig, data, default=None, place="", faults=faults)
    if faults or config is None:
        raise ConfigError(f"rate: {' '.join(faults.values())}")
    return config


def read_grading_config(
    options: Mapping[str, Any], *, reads: Sequence[str] = WITHOUT_SAMPLING, because: str = "completions are given"
) -> RateConfig:
    """The settings of a call that samples nothing, since it is given completions or tables.

    Args:
        options: as for :func:`read_rate_config`.
        reads: those that the call reads.
        because: why it reads no other.

    Raises:
        ConfigError: as :func:`read_rate_config`, or options that only sampling would read.

    Example:
        >>> read_grading_config({"problems.path": "p.jsonl", "seed": None, "rollouts.num_samples": 4})
        Traceback (most recent call last):
        paced.errors.ConfigError: rate: completions are given, so that nothing reads --num-samples. Leave it out.
    """
    unread = [argument_of(key) for key, value in options.items() if value is not None and key not in reads]
    if unread:
        which = "it" if len(unread) == 1 else "them"
        raise ConfigError(f"rate: {because}, so that nothing reads {', '.join(unread)}. Leave {which} out.")
    return read_rate_config(options)


def argument_of(key: str) -> str:
    """What a person writes after ``paced rate`` to give a setting.

    Example:
        >>> argument_of("rollouts.num_samples"), argument_of("student.path")
        ('--num-samples', '--model')
    """
    return SPELLED.get(key) or "--" + key.rpartition(".")[2].replace("_", "-")


def engine_of(name: str, parameters: Sequence[str] = (), *, servers: Sequence[str] = (), served_model: str = "") -> Any:
    """The choice of an engine as a recipe writes it, from the words of a command line; None for none.

    Args:
        name: in :data:`paced.rollouts.engine.ENGINES`; empty for ``server`` where there are any, else the default.
        parameters: ``key=value`` each, the value as YAML.
        servers: base URLs of servers of one model.
        served_model: what the servers call it; empty for the model's own name.

    Example:
        >>> engine_of("", ["concurrency=64"], servers=["http://localhost:8000"])
        {'name': 'server', 'parameters': {'concurrency': 64, 'base_urls': ['http://localhost:8000']}}
        >>> engine_of("") is None
        True
    """
    from paced.run.yamltext import parse_yaml

    given: dict[str, Any] = {}
    for text in parameters:
        key, sign, value = text.partition("=")
        if not (sign and key.strip() and value.strip()) or key in given:
            raise ConfigError(f"rate: a parameter of an engine is key=value, each key once, got {text!r}.")
        given[key.strip()] = parse_yaml(value, f"engine parameter {key}")
    if servers and name not in ("", "server"):
        raise ConfigError(f"rate: a server is asked by the engine 'server', got the engine {name!r}. Leave one out.")
    if servers:
        name = "server"
        given["base_urls"] = list(servers)
    if served_model:
        given["served_model"] = served_model
    if not name and given:
        name = RateConfig().rollouts.engine.name
    return {"name": name, "parameters": given} if name else None


def _screen_of(text: Any) -> Any:
    """The two numbers of ``2,8``; anything else as it came, for the check of its type to refuse."""
    numbers = str(text).strip("()[] ").split(",")
    if len(numbers) != 2 or not all(number.strip().isdecimal() for number in numbers):
        raise ConfigError(f"rate: screen must be two numbers K1,K such as 2,8, got {text!r}.")
    return tuple(int(number) for number in numbers)


def columns_of(text: str) -> dict[str, str]:
    """A mapping of columns from ``role=column`` with commas between.

    Example:
        >>> columns_of("text=response,problem_id=uid")
        {'text': 'response', 'problem_id': 'uid'}
    """
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    if not all(role.strip() and column.strip() for role, _, column in pairs):
        raise ConfigError(f"rate: columns must be role=column with commas between, got {text!r}.")
    return {role.strip(): column.strip() for role, _, column in pairs}
