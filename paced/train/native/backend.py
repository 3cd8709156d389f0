"""The backend ``native``: the compact loop of this package, in one process or on every rank of ``torchrun``."""

from __future__ import annotations

from typing import Any

from paced.models.in_parts import NotInPartsError, WeightFiles, open_in_parts
from paced.models.loading import load_config, load_model, load_tokenizer, pick_device
from paced.run.config import ModelConfig, RunConfig
from paced.run.progress import Progress
from paced.train.inputs import StageInputs
from paced.train.lora import add_adapters, is_base, lora_of, stage_adapters
from paced.train.loss.head import check_loaded_head
from paced.train.native.learner import StudentSource
from paced.train.native.loop import train_stage
from paced.train.native.sequence_parallel import sharing_fault
from paced.train.native.stage import Models
from paced.train.readable import adapter_faults, head_faults
from paced.train.team import place_among_ranks


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
        load = _Loading(stage, progress)
        student, student_source = load.student()
        teacher, teacher_files = load.teacher()
        models = Models(
            student=student,
            teacher=teacher,
            tokenizer=load_tokenizer(stage.student),
            student_source=student_source,
            teacher_files=teacher_files,
        )
        if student_source is None:
            check_loaded_head(student, who="student")
        if teacher is not None and teacher_files is None:
            check_loaded_head(teacher, who="teacher")
        train_stage(stage, models, progress)


class _Loading:
    """The models of a stage: whole in one process; on several ranks empty, and the files that each reads a part of."""

    def __init__(self, stage: StageInputs, progress: Progress) -> None:
        self.stage, self.progress, self.device = stage, progress, pick_device()
        self.lora = lora_of(stage.config.student)

    def student(self) -> tuple[Any, StudentSource | None]:
        """The student of a stage; with adapters the run's first student, and the adapters of the stage before."""
        stage, lora = self.stage, self.lora
        if lora is None:
            model, files = self._open(stage.student, dtype="float32")
            return model, None if files is None else StudentSource(files=files)
        model, files = self._open(stage.config.student, dtype="float32")
        adapters = stage_adapters(stage)
        source = None if files is None else StudentSource(files=files, adapters=adapters)
        return add_adapters(model, lora, adapters), source

    def teacher(self) -> tuple[Any, WeightFiles | None]:
        """The frozen teacher; None where the base of the student's adapters is the teacher."""
        if self.lora and is_base(self.stage.teacher, self.stage.config.student):
            return None, None
        model, files = self._open(self.stage.teacher, dtype=self.stage.teacher.dtype)
        return model.requires_grad_(False), files

    def _open(self, model: ModelConfig, *, dtype: str) -> tuple[Any, WeightFiles | None]:
        rank, size = place_among_ranks()
        if size > 1:
            try:
                return open_in_parts(model, dtype=dtype)
            except NotInPartsError as reason:
                if rank == 0:
                    self.progress.note(f"{model.path}: every rank loads the whole model, as {reason}")
        return load_model(model, dtype=dtype, device=self.device), None
