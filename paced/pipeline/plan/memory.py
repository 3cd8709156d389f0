"""Memory of one training step on one device, phase by phase and part by part.

Notation: S, T parameters of student and teacher; A those of adapters; N ranks that shard; P Ulysses degree;
n = tokens/P and m = loss tokens/P of a micro-batch on one device; b, b' bytes of a number in the forward passes of
student and teacher (master weights, gradients and moments have 4); R root parameters (embedding, final norm,
head); l parameters of a layer; V·d the head. With LoRA gradients and moments are the adapters', and a teacher that is
the student's base has no memory but its head's.
The largest phase decides. ``docs/plan.md`` holds the formulas with the measurements that they were held against.
Left out: what the allocator rounds or cannot use and the context of a GPU, for which the plan keeps a reserve.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from paced.models.loading import teacher_model
from paced.pipeline.plan.layers import LayerBytes, layer_bytes
from paced.pipeline.plan.shapes import BYTES, FOUR, Shape
from paced.pipeline.plan.tiles import tile_bytes
from paced.run.config import RunConfig

PARTS = (
    "parameters",
    "gradients",
    "optimiser",
    "teacher",
    "gathered",
    "activations",
    "loss",
    "engine",
    "keys and values",
)
"""Columns of the table of memory; gathered are whole weights, and whole gradients on their way to the shards."""
Parts = Mapping[str, float]
"""Part -> bytes."""


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One phase on one device."""

    name: str
    """What happens."""
    device: Parts
    """Bytes on the device."""
    host: Parts = field(default_factory=dict)
    """Bytes in host memory for one rank, where the device is not the host."""
    first_host: float = 0.0
    """Bytes in host memory for the first rank alone, on top."""

    @property
    def total(self) -> float:
        """Bytes on the device."""
        return sum(self.device.values())

    def host_total(self, num_ranks: int) -> float:
        """Bytes in host memory for all ranks of one computer."""
        return num_ranks * sum(self.host.values()) + self.first_host


@dataclass(frozen=True, kw_only=True)
class Micro:
    """The largest micro-batch of a step, every sequence at its limit."""

    rows: int
    """Sequences."""
    student_tokens: int
    """Tokens of the student's sequence, prompt included."""
    teacher_tokens: int
    """Tokens of the teacher's."""
    completion_tokens: int
    """Tokens with a loss."""
    rounds: int
    """Micro-batches that one rank takes in a step."""


def largest_micro_batch(
    config: RunConfig, *, num_ranks: int, student_prompt: int, teacher_prompt: int, completion: int
) -> Micro:
    """How ``split_batch`` cuts a batch of sequences that are all as long as they can be.

    Example:
        >>> from paced.run.configfile import build_config
        >>> config = build_config({"name": "x", "problems": {"path": "p.jsonl"}})
        >>> largest_micro_batch(config, num_ranks=8, student_prompt=1000, teacher_prompt=2000, completion=6000).rows
        2
    """
    longest = max(student_prompt, teacher_prompt) + completion
    each = math.ceil(config.training.batch_size / max(1, num_ranks // config.parallel.sequence_parallel))
    rows = max(1, min(each, config.training.micro_batch_tokens // longest))
    return Micro(
        rows=rows,
        student_tokens=student_prompt + completion,
        teacher_tokens=teacher_prompt + completion,
        completion_tokens=completion,
        rounds=math.ceil(each / rows),
    )


def training_phases(
    config: RunConfig, *, student: Shape, teacher: Shape, micro: Micro, num_ranks: int, device_kind: str
) -> list[Phase]:
    """The phases of loading, one optimiser step and export, for every rank alike.

    Args:
        config: the recipe; its ``parallel``, ``training``, ``stages`` and the models' types are read.
        student: its sizes, with those of its adapters.
        teacher: its sizes; the student's for a self-teacher, of which the run keeps a second copy unless it trains
            adapters.
        micro: the largest micro-batch.
        num_ranks: processes, one for each device.
        device_kind: ``cuda`` or ``cpu``.
    """
    return _Step(config, student, teacher, micro, num_ranks, device_kind).phases()


def is_sharded(config: RunConfig, num_ranks: int) -> bool:
    """Whether the step runs under FSDP: several ranks, offloading, or a forward that is not in float32."""
    return num_ranks > 1 or config.parallel.offload or config.student.dtype != "float32"


def shares_base(config: RunConfig) -> bool:
    """Whether the teacher is the base of the student's adapters, so that one copy of the weights serves both."""
    from paced.train.lora import is_base

    return config.student.adapter is not None and is_base(teacher_model(config), config.student)


class _Step:
    """The arithmetic of one step; see the module's notation."""

    def __init__(
        self, config: RunConfig, student: Shape, teacher: Shape, micro: Micro, num_ranks: int, device_kind: str
    ) -> None:
        self.config, self.student, self.teacher, self.micro = config, student, teacher, micro
        parallel = config.parallel
        self.on_cuda = device_kind == "cuda"
        self.sharded = is_sharded(config, num_ranks)
        self.in_parts = num_ranks > 1  # each rank reads its part of the weights
        self.shares_base = shares_base(config)
        self.ranks = num_ranks if parallel.shard else 1  # N
        self.degree = parallel.sequence_parallel  # P
        self.offload = parallel.offload
        self.b, self.b_teacher = BYTES[config.student.dtype], BYTES[config.teacher.dtype]
        self.layer = self._layer(student, config.student.attention, config.student.dtype, micro.student_tokens)
        self.teacher_layer = self._layer(
            teacher, (config.teacher if config.teacher.path else config.student).attention, config.teacher.dtype,
            micro.teacher_tokens,
        )  # fmt: skip
        self.m = micro.rows * min(math.ceil(micro.student_tokens / self.degree), micro.completion_tokens)
        self.head = 0 if student.lora else FOUR * student.head_parameters  # its gradient, 4Vd
        self.weights = FOUR * (student.parameters + student.adapter_parameters)  # 4(S + A)
        self.trained = FOUR * student.trained_parameters  # 4S or 4A
        self.tiles = tile_bytes(config, vocab=student.head_rows, num_tokens=self.m, device_kind=device_kind)

    def _layer(self, shape: Shape, attention: str, dtype: str, tokens: int) -> LayerBytes:
        length = math.ceil(tokens / self.degree)
        return layer_bytes(shape, attention=attention, dtype=dtype, rows=self.micro.rows, length=length)

    def phases(self) -> list[Phase]:
        """All of them, in the order in which they happen."""
        phases = [
            self._teacher_forward(),
            self._loss(),
            self._first_layer_backward(),
            self._last_backward(),
            self._optimiser(),
        ]
        return [self._loading(), *map(self._with_rest, phases), self._export()]

    def _with_rest(self, phase: Phase) -> Phase:
        """A phase with what is there at all times."""
        device = dict.fromkeys(PARTS, 0.0) | dict(phase.device)
        host: dict[str, float] = dict.fromkeys(PARTS, 0.0)
        states = host if self.offload else device
        states["parameters"] += self.weights / self.ranks
        states["optimiser"] += 2 * self.trained / self.ranks
        if self.offload:  # gradients leave the device as they are reduced
            host["gradients"], device["gradients"] = device["gradients"], 0.0
        states["teacher"] += self.b_teacher * self._teacher_trunk() / self.ranks
        if self.sharded:
            device["teacher"] += self.b_teacher * self._teacher_whole()
        device["loss"] += self.tiles
        if self.sharded and self._samples_in_training():
            device["engine"] += self.b * self.student.parameters  # the sampling copy, whole on every rank
        return Phase(name=phase.name, device=_present(device), host=_present(host))

    def _teacher_trunk(self) -> int:
        """Parameters that are sharded; without sharding, all of them."""
        if self.shares_base:
            return 0
        untied_head = self.sharded and not self.teacher.is_tied
        return self.teacher.parameters - (self.teacher.head_parameters if untied_head else 0)

    def _teacher_whole(self) -> int:
        """Parameters that every rank keeps whole: the head for the loss, in one process beside an untied head itself,
        and the root of the trunk, which FSDP gathers in the first forward and never lets go, as no backward follows."""
        head = self.teacher.head_parameters
        if self.shares_base:
            return head
        untied = 0 if self.teacher.is_tied else head
        root = self.teacher.root_parameters - untied
        return head + (0 if self.in_parts else untied) + root

    def _samples_in_training(self) -> bool:
        return any(stage.fresh_rollouts or stage.recompute_every for stage in self.config.stages)

    def _earlier_gradients(self) -> float:
        """Gradients that are there while a micro-batch runs: those of the ones before it."""
        return self.trained / self.ranks if self.micro.rounds > 1 else 0.0

    def _activations(self) -> float:
        """What all layers keep: everything, or with gradient checkpointing their inputs."""
        each = self.layer.entry if self.config.parallel.gradient_checkpointing else self.layer.kept
        return self.student.num_layers * each + self.layer.around

    def _states(self) -> float:
        """Final hidden states [m, d'] of the teacher, and those of the whole completion that ranks exchange."""
        width = self.teacher.hidden_size * self.b_teacher
        exchanged = self.micro.rows * self.micro.completion_tokens if self.degree > 1 else 0
        return width * (self.m + exchanged)

    def _teacher_forward(self) -> Phase:
        layer = self.teacher_layer
        gathered = 2.0 * self.b_teacher * self.teacher.layer_parameters if self.sharded else 0.0
        if self.shares_base and self.sharded:  # the student's own layers and root
            gathered = 2 * self._gathered_layer() + self._root()
        return Phase(
            name="teacher forward",
            device={
                "gradients": self._earlier_gradients(),
                "gathered": gathered,
                "activations": layer.entry + layer.inference + layer.around + self._states(),
            },
        )

    def _loss(self) -> Phase:
        """The last layer's forward is over; logits, both gradients of the head, and the cast of its weight's."""
        states = 2 * self.m * self.student.hidden_size * self.b + self._states()
        cast = self.head / FOUR * self.b if self.sharded and self.b < FOUR else 0
        return Phase(
            name="loss",
            device={
                "gradients": self._earlier_gradients(),
                "gathered": self._root() + self._gathered_layer(),
                "activations": self._activations() + states,
                "loss": self.head + cast,
            },
        )

    def _first_layer_backward(self) -> Phase:
        """Backward of the last layer, when all layers' activations are there; a checkpointed layer runs again."""
        again = self.layer.kept if self.config.parallel.gradient_checkpointing else 0
        first = self.micro.rounds == 1
        inside = self.layer.backward if first or self.sharded else self.layer.accumulating
        gathered = 0.0
        if self.sharded:
            gradients = (self.b + FOUR) * self.student.trained_layer_parameters  # of one layer, as they are reduced
            gathered = self._root() + 2 * self._gathered_layer() + gradients
        waiting = self.head / FOUR * self.b if self.sharded else self.head
        if not (self.sharded or self.student.is_tied or first):
            waiting = 0  # added to the gradients already
        return Phase(
            name="first layer backward",
            device={
                "gradients": self._earlier_gradients(),
                "gathered": gathered,
                "activations": self._activations() + again + inside + self._states(),
                "loss": waiting,
            },
        )

    def _last_backward(self) -> Phase:
        """Embedding, head and final norm: reduced as one under FSDP; else a dense gradient of the embedding."""
        reduced = 0 if self.student.lora else self.student.root_parameters
        if self.sharded:
            return Phase(
                name="root reduce",
                device={
                    "gradients": self.trained / self.ranks,
                    "gathered": (self.b + FOUR) * reduced,
                    "activations": 2 * self.layer.entry + self._states(),
                },
            )
        copies = (self.micro.rounds > 1) + self.student.is_tied  # beside the gradient that is added to
        return Phase(
            name="embedding backward",
            device={
                "gradients": self.trained + copies * self.head,
                "activations": 2 * self.layer.entry + self._states(),
            },
        )

    def _optimiser(self) -> Phase:
        """AdamW: on CUDA all parameters at once (a list of square roots), else one tensor after the other."""
        whole = self.trained / self.ranks
        at_once = self.on_cuda and not self.sharded
        scratch = whole if at_once else 2 * FOUR * self.student.largest_trained / self.ranks
        if self.offload:
            return Phase(name="optimiser", device={"gradients": whole})
        return Phase(name="optimiser", device={"gradients": whole, "optimiser": scratch})

    def _loading(self) -> Phase:
        """Several ranks read each its part of both models, tensor by tensor; one process loads them whole, on CUDA by
        way of the host, one after the other."""
        student = self.weights
        teacher = 0 if self.shares_base else self.b_teacher * self.teacher.parameters
        if not self.in_parts:
            host = {"parameters": float(max(student, teacher))} if self.on_cuda else {}
            return Phase(name="loading", device={"parameters": student, "teacher": teacher}, host=host)
        head = self.b_teacher * self.teacher.head_parameters  # read whole
        trunk = self.b_teacher * self._teacher_trunk() / self.ranks
        tensor = max(head, FOUR * max(self.student.largest_parameter, self.teacher.largest_parameter) / self.ranks)
        device, host = {"teacher": float(head)}, {"gathered": float(tensor)} if self.on_cuda else {}
        states = host if self.offload and self.on_cuda else device
        states["parameters"] = student / self.ranks
        states["teacher"] = states.get("teacher", 0.0) + trunk
        if not self.on_cuda:
            device["gathered"] = float(tensor)
        return Phase(name="loading", device=device, host=host)

    def _export(self) -> Phase:
        """The first rank gathers the master weights in host memory, tensor after tensor."""
        if not self.sharded:
            return self._with_rest(Phase(name="export", device={}))
        phase = self._with_rest(Phase(name="export", device={"gathered": FOUR * self.student.largest_parameter}))
        whole = float(FOUR * self.student.parameters)
        if self.on_cuda:
            return dataclasses.replace(phase, first_host=whole)
        return dataclasses.replace(phase, device={**phase.device, "gathered": whole})

    def _root(self) -> float:
        """Root parameters, gathered from the forward's begin to the end of the backward."""
        return self.b * self.student.root_parameters if self.sharded else 0.0

    def _gathered_layer(self) -> float:
        """A whole layer with its adapters, in the type of the forward passes."""
        numbers = self.student.layer_parameters + self.student.adapter_layer_parameters
        return self.b * numbers if self.sharded else 0.0


def _present(parts: Parts) -> dict[str, float]:
    return {name: size for name, size in parts.items() if size}
