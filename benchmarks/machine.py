"""What a benchmark ran on, and when its numbers may be quoted: the head and foot of every table.

A ratio of two contenders is taken in each interleaved repeat, so that both meet the same load, and the median is
quoted. Where the middle half of the repeats spreads over more than ``LARGEST_SPREAD`` of the median, the ratio is not.
"""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path

INSTRUCTION_SETS = ("sse4_2", "avx2", "avx_vnni", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "asimd", "sve")
CAPS = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS", "OPENBLAS_CORETYPE")
"""Variables that hold libraries to older instruction sets."""
LARGEST_SPREAD = 0.10
FEWEST_REPEATS = 3


def processor() -> str:
    """Its name and the instruction sets that matter here, as Linux tells them; less elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    facts = dict(reversed([(key.strip(), value.strip()) for key, _, value in (line.partition(":") for line in lines)]))
    name = facts.get("model name", platform.machine())
    known = set(facts.get("flags", facts.get("Features", "")).split())
    family = f" (family {facts['cpu family']}, model {facts['model']})" if "cpu family" in facts else ""
    return f"{name}{family}, {' '.join(one for one in INSTRUCTION_SETS if one in known) or 'instruction sets unknown'}"


def head(*packages: str, threads: int = 1) -> str:
    """Processor, threads, versions and load, to be printed before the first table."""
    from importlib.metadata import version

    caps = [f"{name}={os.environ[name]}" for name in CAPS if name in os.environ]
    versions = [f"{name} {version(name)}" for name in packages]
    count = f"{threads} thread{'s' * (threads > 1)} of {os.cpu_count()}"
    return "; ".join([processor(), *caps, count, f"Python {platform.python_version()}", *versions, load()])


def load() -> str:
    """The load average of the last minute, for the head and again for the foot."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"


def spread(values: Sequence[float]) -> float:
    """Width of the middle half over the median.

    Example:
        >>> round(spread([1.0, 1.1, 1.2, 1.3, 9.0]), 2)
        0.17
    """
    lower, middle, upper = statistics.quantiles(values, n=4, method="inclusive")
    return (upper - lower) / middle


def quoted(ratios: Sequence[float], digits: int = 2) -> str:
    """The median of the repeats' ratios with its spread, or why it is not quoted.

    Example:
        >>> quoted([3.9, 4.0, 4.1]), quoted([3.0, 4.0, 5.0]), quoted([4.0])
        ('4.00 ± 1 %', 'not quoted: spread 25 %', 'not quoted: 1 repeat')
    """
    if len(ratios) < FEWEST_REPEATS:
        return f"not quoted: {len(ratios)} repeat{'s' * (len(ratios) != 1)}"
    width = spread(ratios)
    if width > LARGEST_SPREAD:
        return f"not quoted: spread {100 * width:.0f} %"
    return f"{statistics.median(ratios):.{digits}f} ± {100 * width / 2:.0f} %"


def versus(slow: Sequence[float], fast: Sequence[float], digits: int = 2) -> str:
    """How many times faster the second is, from the seconds of both in the same repeats.

    Example:
        >>> versus([8.0, 8.2, 7.9], [2.0, 2.0, 2.0])
        '4.00 ± 1 %'
    """
    return quoted([one / other for one, other in zip(slow, fast, strict=True)], digits)
