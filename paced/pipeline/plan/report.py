"""A plan as text: what does not fit first, then memory, work, disk, alternatives, and everything that was assumed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from paced.pipeline.plan.fits import Alternative, single_changes, smallest_change, teacher_cache
from paced.pipeline.plan.make import Plan, faults_of
from paced.pipeline.plan.memory import PARTS, Phase, shares_base
from paced.pipeline.plan.sampling import ENGINE_SHARE

GB = 1e9


def plan_lines(plan: Plan) -> Iterator[str]:
    """The whole report, a line at a time."""
    yield from _head(plan)
    yield ""
    yield from _verdict(plan)
    yield ""
    unit, scale = _unit(plan)
    yield f"Memory of one {plan.device.name}, {unit} (usable: {plan.usable / scale:,.1f}):"
    yield from _memory_table(plan)
    yield from _host(plan)
    yield ""
    yield "Settings that change the training peak, each alone:"
    yield from _alternatives(plan)
    yield ""
    yield "Work, for one run without its compared methods:"
    yield from _work_table(plan)
    yield ""
    total = sum(plan.disk.values())
    parts = ", ".join(f"{name} {size / GB:,.1f}" for name, size in plan.disk.items() if size)
    yield f"Disk: {total / GB:,.1f} GB ({parts})"
    yield ""
    yield "Assumed:"
    yield from (f"- {sentence}" for sentence in assumptions(plan))


def plan_json(plan: Plan) -> str:
    """The same as JSON: bytes, operations and hours as numbers."""
    change = smallest_change(plan)
    data: dict[str, Any] = {
        "run": plan.config.name,
        "device": plan.device.name,
        "gpus": plan.question.gpus,
        "usable_bytes": plan.usable,
        "fits": not faults_of(plan),
        "faults": list(faults_of(plan)),
        "would_fit_with": change.changes if change else None,
        "phases": [_phase_data(phase) for phase in plan.all_phases],
        "host_bytes": plan.host_bytes,
        "tasks": [
            {
                "name": one.task.name,
                "sequences": one.task.num_sequences,
                "tokens": one.task.tokens,
                "operations": one.task.operations,
                "devices": one.num_devices,
                "hours": one.hours,
            }
            for one in plan.tasks
        ],
        "num_steps": plan.num_steps,
        "disk_bytes": plan.disk,
        "alternatives": [
            {"changes": one.changes, "peak_bytes": one.plan.worst.total, "fits": not faults_of(one.plan)}
            for one in single_changes(plan)
        ],
        "assumptions": assumptions(plan),
    }
    return json.dumps(data, indent=2)


def assumptions(plan: Plan) -> list[str]:
    """Everything that the plan takes for granted, and the option that says it better."""
    rates, device = plan.question.rates, plan.device
    peak = f"{device.peak_flops / 1e12:,.4g} TFLOP/s dense, {device.bandwidth_bytes / 1e12:.3g} TB/s"
    said = "published" if device.kind == "cuda" else "assumed for this computer"
    sentences = [
        f"{device.name}: {device.memory_bytes / GB:.0f} GB, {peak} ({said}; --device)",
        f"training and teacher reach {100 * rates.utilisation:g} % of the peak (--utilisation)",
        f"{100 * plan.question.reserve:g} % of a device is kept for its context and the allocator (--reserve)",
    ]
    if rates.decode_rate:
        sentences.append(f"decoding gives {rates.decode_rate:,.0f} tokens a second and device (--decode-rate)")
    else:
        sentences.append(
            f"decoding reads weights, keys and values at {100 * rates.bandwidth_share:g} % of the bandwidth "
            "(--bandwidth-share, --decode-rate)"
        )
    engines = {getattr(plan.config, section).engine.name for section in ("rollouts", "references")}
    if engines == {"hf"}:
        sentences.append("the engine hf samples on one device; a server or vLLM would use all of them")
    else:
        sentences.append(f"other engines than hf take {100 * ENGINE_SHARE:g} % of every device and keep it full")
    retries = plan.config.references.retries
    if "references" in plan.sampling and retries:
        sentences.append(f"every reference is flagged and sampled again {retries} times, the most that retries allow")
    return [*sentences, *plan.counts.assumptions]


def _head(plan: Plan) -> Iterator[str]:
    parallel = plan.config.parallel
    adapters = f" frozen with {plan.student.adapter_parameters:,} in adapters" if plan.student.lora else ""
    base = " (the student's base, one copy)" if shares_base(plan.config) else ""
    yield (
        f"{plan.config.name}: {plan.question.gpus} x {plan.device.name}, student {plan.student.parameters:,}"
        f"{adapters}, teacher {plan.teacher.parameters:,} parameters{base}"
    )
    yield (
        f"micro-batch of {plan.micro.rows} x {plan.micro.student_tokens:,} tokens (teacher "
        f"{plan.micro.teacher_tokens:,}), {plan.micro.rounds} a step and rank; sequence_parallel "
        f"{parallel.sequence_parallel}, shard {_word(parallel.shard)}, offload {_word(parallel.offload)}, "
        f"gradient_checkpointing {_word(parallel.gradient_checkpointing)}"
    )


def _word(flag: bool) -> str:
    return "on" if flag else "off"


def _verdict(plan: Plan) -> Iterator[str]:
    faults = faults_of(plan)
    unit, scale = _unit(plan)
    if not faults:
        yield f"Everything fits. Largest phase of training: {plan.worst.name}, {plan.worst.total / scale:,.1f} {unit}."
        return
    for fault in faults:
        yield f"DOES NOT FIT: {fault}."
    change = smallest_change(plan)
    if change is None:
        yield (
            "No settings of the recipe make it fit; it takes more or larger devices, shorter completions, or smaller "
            "models."
        )
    else:
        yield f"It fits with: {change} (largest phase of training {change.plan.worst.total / scale:,.1f} {unit})."


def _unit(plan: Plan) -> tuple[str, float]:
    """GB, or MB for small models."""
    return ("GB", GB) if max(phase.total for phase in plan.phases) > GB else ("MB", 1e6)


def _memory_table(plan: Plan) -> Iterator[str]:
    _, scale = _unit(plan)
    parts = [part for part in PARTS if any(phase.device.get(part) for phase in plan.all_phases)]
    rows = [["phase", *parts, "total"]]
    for phase in plan.all_phases:
        cells = [f"{phase.device[part] / scale:,.2f}" if phase.device.get(part) else "" for part in parts]
        mark = " !" if phase.total > plan.usable else ""
        rows.append([phase.name, *cells, f"{phase.total / scale:,.2f}{mark}"])
    yield from _aligned(rows)


def _host(plan: Plan) -> Iterator[str]:
    loading, *others = plan.phases
    if plan.device.kind == "cpu":
        return
    gpus = plan.question.gpus
    step = max((phase for phase in others if phase.name != "export"), key=lambda phase: phase.host_total(gpus))
    (export,) = (phase for phase in others if phase.name == "export")
    yield (
        f"Host memory of all {gpus} ranks, GB: {loading.host_total(gpus) / GB:.1f} while loading, "
        f"{step.host_total(gpus) / GB:.1f} in a step, {export.host_total(gpus) / GB:.1f} while exporting."
    )


def _alternatives(plan: Plan) -> Iterator[str]:
    unit, _ = _unit(plan)
    rows = [["setting", f"peak {unit}", "largest phase", "fits"], _row("as it is", plan, plan)]
    rows += [_row(str(one), one.plan, plan) for one in _by_peak(single_changes(plan))]
    yield from _aligned(rows)
    cache = teacher_cache(plan)
    if cache is not None:
        yield (
            f"  parallel.cache_teacher=true would save {cache.saved_operations:.2g} operations and take "
            f"{cache.disk / GB:,.0f} GB of disk"
        )


def _by_peak(alternatives: Sequence[Alternative]) -> list[Alternative]:
    return sorted(alternatives, key=lambda one: one.plan.worst.total)


def _row(name: str, plan: Plan, first: Plan) -> list[str]:
    _, scale = _unit(first)
    return [name, f"{plan.worst.total / scale:,.2f}", plan.worst.name, "no" if faults_of(plan) else "yes"]


def _work_table(plan: Plan) -> Iterator[str]:
    rows = [["task", "sequences", "tokens", "operations", "devices", "rate of each", "hours", "device hours"]]
    for one in plan.tasks:
        sampled = one.task.kind == "sampling"
        rate = f"{one.rate:,.0f} tokens/s" if sampled else f"{one.rate / 1e12:,.3g} TFLOP/s"
        rows.append(
            [
                one.task.name,
                f"{one.task.num_sequences:,.0f}",
                f"{one.task.tokens:.3g}",
                f"{one.task.operations:.3g}",
                str(one.num_devices),
                rate,
                f"{one.hours:,.3g}",
                f"{one.device_hours:,.3g}",
            ]
        )
    operations = sum(one.task.operations for one in plan.tasks)
    device_hours = sum(one.device_hours for one in plan.tasks)
    rows.append(["all", "", "", f"{operations:.3g}", "", "", f"{plan.hours:,.3g}", f"{device_hours:,.3g}"])
    yield from _aligned(rows)
    yield f"  {plan.num_steps:,} optimiser steps of {plan.config.training.batch_size} problems"


def _phase_data(phase: Phase) -> dict[str, Any]:
    return {
        "name": phase.name,
        "bytes": phase.total,
        "parts": dict(phase.device),
        "host_bytes_per_rank": sum(phase.host.values()),
        "host_bytes_first_rank": phase.first_host,
    }


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Columns of equal width, the first to the left and the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        first, *others = row
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
        yield "  " + "  ".join(cells).rstrip()
