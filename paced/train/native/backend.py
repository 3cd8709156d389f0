"""The backend ``native``: the compact loop of this package, in one process or on every rank of ``torchrun``."""

from __future__ import annotations

from typing import Any

import torch

from paced.models.loading import load_config, load_model, load_tokenizer, pick_device
from paced.run.config import RunConfig
from paced.run.progress import Progress
from paced.train.inputs import StageInputs
from paced.train.lora import add_adapters, is_base, lora_of, stage_adapters
from paced.train.loss.head import check_loaded_head
from paced.train.native.loop import train_stage
from paced.train.native.sequence_parallel import sharing_fault
from paced.train.native.stage import Models
from paced.train.readable import adapter_faults, head_faults


class NativeBackend:
    """Trains with ``native/loop.py``; it has no parameters of its own, ``training`` and ``parallel`` are all."""

    trains_here = True

    def check(self, config: RunConfig) -> list[str]:
        """Models whose head or trunk the loss cannot read, or whose attention ranks cannot share; adapters' places."""
        degree = config.parallel.sequence_parallel
        models = {"student": config.student} | ({"teacher": config.teacher} if config.teacher.path else {})
        shared = [sharing_fault(load_config(model), degree, who=who) for who, model in models.items() if degree > 1]
        return [fault for fault in shared if fault] + head_faults(config) + adapter_faults(config)

    def train(self, stage: StageInputs, progress: Progress) -> None:
        """Load both models, the student's master weights in float32, and train; see :func:`train_stage`.

        Raises:
            ConfigError: weights that cannot be loaded, or a head that is not the linear map it seems.
            StopRequested, FloatingPointError, RunFolderError: as :func:`train_stage`.
        """
        device = pick_device()
        models = Models(
            student=_student(stage, device), teacher=_teacher(stage, device), tokenizer=load_tokenizer(stage.student)
        )
        check_loaded_head(models.student, who="student")
        if models.teacher is not None:
            check_loaded_head(models.teacher, who="teacher")
        train_stage(stage, models, progress)


def _student(stage: StageInputs, device: torch.device) -> Any:
    """The student of a stage; with adapters the run's first student, and the adapters of the stage before."""
    lora = lora_of(stage.config.student)
    if lora is None:
        return load_model(stage.student, dtype="float32", device=device)
    return add_adapters(load_model(stage.config.student, dtype="float32", device=device), lora, stage_adapters(stage))


def _teacher(stage: StageInputs, device: torch.device) -> Any:
    """The frozen teacher; None where the base of the student's adapters is the teacher."""
    if lora_of(stage.config.student) and is_base(stage.teacher, stage.config.student):
        return None
    return load_model(stage.teacher, device=device).requires_grad_(False)
