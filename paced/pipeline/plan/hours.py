"""From operations and bytes to hours, by rates that are assumptions: stated in the plan, each of them overridable.

Reading whole sequences is bound by arithmetic: a share of the device's dense peak. Decoding is bound by memory: for
every token of all rows the weights and the keys and values are read once, at a share of its bandwidth.
Left out: loading, checkpoints, grading, stragglers of a batch, and exchange between devices, which the shares hold.
"""

from __future__ import annotations

from dataclasses import dataclass

from paced.pipeline.plan.devices import Device
from paced.pipeline.plan.sampling import Decoding
from paced.pipeline.plan.work import Task


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What is assumed of the devices."""

    utilisation: float = 0.4
    """Share of the dense bfloat16 peak that forward and backward passes reach, in (0, 1]."""
    bandwidth_share: float = 0.5
    """Share of the memory bandwidth that decoding reaches, in (0, 1]."""
    decode_rate: float | None = None
    """Sampled tokens a second and device, instead of the estimate from bandwidth."""


@dataclass(frozen=True, kw_only=True)
class Timed:
    """A task and how long it takes."""

    task: Task
    """The work."""
    num_devices: int
    """Devices that do it."""
    rate: float
    """Operations (training) or tokens (sampling) a second and device."""
    hours: float
    """Wall-clock hours."""

    @property
    def device_hours(self) -> float:
        """Hours times the devices that work."""
        return self.hours * self.num_devices


def timed(task: Task, *, decoding: Decoding | None, device: Device, num_devices: int, rates: Rates) -> Timed:
    """How long a task takes.

    Args:
        task: the work.
        decoding: how it samples; None for a task that reads whole sequences.
        device: what works.
        num_devices: how many of them.
        rates: what is assumed.
    """
    if decoding is None:
        rate = rates.utilisation * device.peak_flops
        seconds = task.operations / (rate * num_devices)
    else:
        rate = rates.decode_rate or decode_rate(task, decoding, device, rates)
        seconds = task.tokens / (rate * num_devices)
    return Timed(task=task, num_devices=num_devices, rate=rate, hours=seconds / 3600)


def decode_rate(task: Task, decoding: Decoding, device: Device, rates: Rates) -> float:
    """Tokens a second of one device: bound by bandwidth, or by arithmetic where many rows share each read."""
    rows = max(1, min(decoding.rows, decoding.rows_that_fit or 1))
    by_memory = rows * rates.bandwidth_share * device.bandwidth_bytes / decoding.step_bytes
    by_arithmetic = rates.utilisation * device.peak_flops * task.tokens / task.operations
    return min(by_memory, by_arithmetic)
