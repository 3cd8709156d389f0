"""Which extra a command needs, asked before the command does anything.

A base install has no torch and no sympy. A command that needs them says so at once, with the line that installs them,
before it has begun a run folder or computed half of its work.
"""

from __future__ import annotations

from paced.errors import MissingExtraError
from paced.installed import is_installed

EXTRAS: dict[str, tuple[str, ...]] = {
    "verify": ("sympy", "mpmath", "z3", "flint", "jinja2", "latex2mathml", "pylatexenc"),
    "train": ("torch", "transformers", "tokenizers", "safetensors", "jinja2"),
    "grade": ("math_verify", "flint"),
    "report": ("jinja2",),
    "lora": ("peft",),
    "trl": ("trl",),
    "server": ("httpx", "tenacity"),
    "ray": ("ray",),
    "vllm": ("vllm",),
    "eval": ("lm_eval",),
    "hub": ("datasets",),
    "smollm2": ("gguf",),
}
"""Extra of ``pyproject.toml`` -> the modules that its commands import, less those of an extra that it includes."""


def need_extra(command: str, extra: str) -> None:
    """Refuse a command whose packages are not installed.

    Args:
        command: the subcommand, as it is typed.
        extra: a key of :data:`EXTRAS`.

    Raises:
        MissingExtraError: a package of the extra is absent; the message names them all and the line that installs them.

    Example:
        >>> need_extra("report", "report")
    """
    absent = [package for package in EXTRAS[extra] if not is_installed(package)]
    if absent:
        raise MissingExtraError(f"paced {command}", ", ".join(absent), extra)


def extra_of(package: str) -> str | None:
    """The extra that brings a package, or nothing for a package that no extra brings.

    Example:
        >>> extra_of("torch"), extra_of("ray"), extra_of("wandb")
        ('train', 'ray', None)
    """
    return next((extra for extra, packages in EXTRAS.items() if package in packages), None)
