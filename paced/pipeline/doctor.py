"""``paced doctor``: what is installed here, what computes, and what is missing, ready for a bug report.

Which packages an extra needs is read from the installed package's own metadata, so that the two never differ.
Left out: host names, paths and environment variables with a value of the user's, which a report must not carry.
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from packaging.requirements import Requirement

from paced.installed import is_installed
from paced.run.environment import describe_machine

DEVELOPMENT = frozenset(("test", "docs", "all"))
"""Extras that no command needs."""

ENGINE_MODULES = {
    "hf": ("torch", "transformers"),
    "vllm": ("torch", "transformers", "vllm"),
    "server": ("torch", "transformers", "httpx", "tenacity"),
    "ray": ("torch", "transformers", "ray"),
}
"""Engine -> the modules that it needs. Written out, since the engines' own file cannot be imported without PyTorch."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Package:
    """One package that the base or an extra asks for."""

    extra: str
    """The extra; empty for the base install."""
    name: str
    """As it is installed."""
    wanted: str
    """The versions that are allowed; empty for any."""
    version: str
    """The version that is installed; empty for none."""
    fits: bool
    """Installed, in an allowed version."""


def packages(requirements: list[str] | None = None) -> list[Package]:
    """Every package that the base install and the extras for commands ask for, and which version of it there is.

    Args:
        requirements: as ``pyproject.toml`` writes them, with their markers; those of the installed paced by default.

    Example:
        >>> [one] = packages(['numpy>=1; extra == "train"'])
        >>> one.extra, one.name, one.fits
        ('train', 'numpy', True)
        >>> [one] = packages(["no-such-package>=2"])
        >>> one.version, one.fits
        ('', False)
    """
    asked = metadata.requires("paced") if requirements is None else requirements
    rows = []
    for requirement in map(Requirement, asked or []):
        extra = _extra_of(requirement)
        own = requirement.name == "paced"  # one extra within another; its packages have rows of their own
        if own or extra in DEVELOPMENT or (requirement.marker and not requirement.marker.evaluate({"extra": extra})):
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            version = ""
        fits = bool(version) and requirement.specifier.contains(version, prereleases=True)
        row = Package(extra=extra, name=requirement.name, wanted=str(requirement.specifier), version=version, fits=fits)
        rows.append(row)
    return sorted(rows, key=lambda row: (row.extra, row.name))


def _extra_of(requirement: Requirement) -> str:
    """The extra that a requirement belongs to, from its marker ``extra == "name"``."""
    _, marked, rest = str(requirement.marker or "").partition('extra == "')
    return rest.partition('"')[0] if marked else ""


def devices() -> list[str]:
    """What can compute, one sentence each; that PyTorch is absent, where it is."""
    try:
        import torch
    except ImportError:
        return ["no device: PyTorch is not installed"]
    cpu = f"cpu: {torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads in PyTorch"
    cards = []
    for number in range(torch.cuda.device_count()):
        card = torch.cuda.get_device_properties(number)
        cards.append(f"cuda:{number}: {card.name}, {card.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}")
    return [cpu, *cards] if cards else [cpu, "no CUDA device"]


def engines() -> dict[str, list[str]]:
    """Engine of rollouts -> the modules that it lacks; empty where it can be used.

    vLLM may be in an environment of its own, which PACED_VLLM_PYTHON names.

    Example:
        >>> sorted(engines())
        ['hf', 'ray', 'server', 'vllm']
    """
    elsewhere = {"vllm"} if shutil.which(os.environ.get("PACED_VLLM_PYTHON", "")) else set()
    return {
        engine: [module for module in modules if module not in elsewhere and not is_installed(module)]
        for engine, modules in ENGINE_MODULES.items()
    }


def diagnose() -> dict[str, Any]:
    """Everything that ``paced doctor`` prints, for ``--json``: machine, devices, engines, and packages by extra."""
    return {
        **describe_machine(),
        "interpreter": "virtual environment" if sys.prefix != sys.base_prefix else "system",
        "cores": os.cpu_count(),
        "free_disk_gb": round(shutil.disk_usage(".").free / 1e9),
        "devices": devices(),
        "engines": engines(),
        "packages": [{name: getattr(package, name) for name in Package.__slots__} for package in packages()],
    }


def report(found: dict[str, Any]) -> list[str]:
    """The diagnosis in lines: what is there, then what each extra lacks and the command that installs it.

    Args:
        found: from :func:`diagnose`.
    """
    lines = [
        f"paced {found['paced']}{' at commit ' + found['commit'][:12] if found['commit'] else ''}",
        f"Python {found['python']} ({found['interpreter']}), {found['system']} {found['machine']}, "
        f"{found['cores']} cores, OMP_NUM_THREADS={found['threads'] or 'not set'}, "
        f"{found['free_disk_gb']} GB of disk free here",
        *found["devices"],
        "engines: "
        + "; ".join(
            f"{name} {'lacks ' + ', '.join(lacks) if lacks else 'ready'}" for name, lacks in found["engines"].items()
        ),
        "",
    ]
    extras: dict[str, list[dict[str, Any]]] = {}
    for package in found["packages"]:
        extras.setdefault(package["extra"], []).append(package)
    for extra, needed in extras.items():
        wrong = [one for one in needed if not one["fits"]]
        there = ", ".join(f"{one['name']} {one['version']}" for one in needed if one["fits"])
        name = extra or "base"
        if not wrong:
            lines.append(f"[{name}] complete: {there}")
            continue
        lacking = ", ".join(
            f"{one['name']}{one['wanted']} ({'has ' + one['version'] if one['version'] else 'absent'})" for one in wrong
        )
        target = f'"paced[{extra}]"' if extra else "paced"
        lines.append(
            f"[{name}] not complete: {lacking}. Install with: pip install {target}{' · has ' + there if there else ''}"
        )
    return lines
