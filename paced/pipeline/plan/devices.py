"""Accelerators as their makers describe them, and the computer at hand.

Memory, dense bfloat16 peak (without sparsity) and memory bandwidth are published numbers; what share of them a run
reaches is an assumption of the plan (``hours.py``), never a property of the device.
Left out: links between devices. A plan counts what is computed and held, and exchanges hide behind the computation or
are part of the assumed utilisation.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from paced.errors import ConfigError, did_you_mean


@dataclass(frozen=True, kw_only=True)
class Device:
    """One accelerator."""

    name: str
    """As it is asked for."""
    kind: str
    """``cuda``, or ``cpu``, where one process has the whole computer."""
    memory_bytes: float
    """Memory, in bytes (vendors' GB are 1e9)."""
    peak_flops: float
    """Dense bfloat16 operations a second; float32 on a CPU."""
    bandwidth_bytes: float
    """Bytes that its memory delivers a second."""


def _cuda(name: str, gigabytes: float, teraflops: float, terabytes_per_second: float) -> Device:
    return Device(
        name=name,
        kind="cuda",
        memory_bytes=gigabytes * 1e9,
        peak_flops=teraflops * 1e12,
        bandwidth_bytes=terabytes_per_second * 1e12,
    )


def _this_computer() -> Device:
    """All memory of this computer; 100 GFLOP/s a core and 20 GB/s are assumed."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return Device(
        name="cpu",
        kind="cpu",
        memory_bytes=pages * size,
        peak_flops=1e11 * (os.cpu_count() or 1),
        bandwidth_bytes=2e10,
    )


DEVICES: dict[str, Device] = {
    device.name: device
    for device in (
        _cuda("b200", 180, 2250, 8.0),
        _cuda("h200", 141, 989, 4.8),
        _cuda("h100", 80, 989, 3.35),
        _cuda("h100-pcie", 80, 756, 2.0),
        _cuda("a100-80", 80, 312, 2.039),
        _cuda("a100-40", 40, 312, 1.555),
        _cuda("mi300x", 192, 1307, 5.3),
        _cuda("l40s", 48, 362, 0.864),
        _cuda("rtx-4090", 24, 165, 1.008),
        _cuda("l4", 24, 121, 0.3),
        _this_computer(),
    )
}
"""Name -> device."""


def device_of(name: str) -> Device:
    """The device of a name.

    Raises:
        ConfigError: no such device; the message lists those there are.

    Example:
        >>> device_of("h200").memory_bytes
        141000000000.0
        >>> device_of("h20")
        Traceback (most recent call last):
        paced.errors.ConfigError: --device must be one of b200, h200, h100, h100-pcie, a100-80, a100-40, mi300x, l40s, \
rtx-4090, l4, cpu, got 'h20'. Did you mean 'h200'?
    """
    if name not in DEVICES:
        known = ", ".join(DEVICES)
        raise ConfigError(f"--device must be one of {known}, got {name!r}.{did_you_mean(name, DEVICES)}")
    return DEVICES[name]
