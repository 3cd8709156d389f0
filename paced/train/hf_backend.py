"""The backend ``transformers``: a stage trained by ``transformers.Trainer``, alone or under ``torchrun``; LoRA by PEFT.

Data-parallel ranks each hold both models whole (DistributedDataParallel). Left out: what only the native loop does.
Shards in host memory and sequences shared among ranks are refused by ``check``; sharding by FSDP2 is the default of
a recipe, of which one process has no use, so several processes say that they replicate.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any

from paced.errors import MissingExtraError
from paced.models.loading import build_empty, load_config, load_model, load_tokenizer, pick_device
from paced.run.config import RunConfig
from paced.run.progress import Progress
from paced.train.inputs import StageInputs
from paced.train.lora import Lora, add_adapters, load_adapters
from paced.train.readable import head_faults
from paced.train.stage import open_log
from paced.train.team import team_for_files


class TransformersBackend:
    """Trains with ``hf_stage.py``."""

    trains_here = True

    def __init__(
        self,
        *,
        lora_rank: int = 0,
        lora_alpha: int = 0,
        lora_targets: Sequence[str] = ("all-linear",),
        callbacks: Sequence[Any] = (),
    ) -> None:
        """Say whether adapters are trained in place of the whole student.

        Args:
            lora_rank: r of the adapters, >= 0; 0 trains every weight.
            lora_alpha: >= 0, multiplies the adapters' product together with 1/r; 0 takes 2 r.
            lora_targets: linear layers that get one, by name; ``all-linear`` for all but the head.
            callbacks: ``TrainerCallback`` objects, from Python only.
        """
        if lora_rank < 0 or lora_alpha < 0:
            raise ValueError(f"lora_rank and lora_alpha must be >= 0, got {lora_rank} and {lora_alpha}")
        names = (lora_targets,) if isinstance(lora_targets, str) else tuple(lora_targets)
        self.lora = Lora(rank=lora_rank, alpha=lora_alpha or 2 * lora_rank, targets=names) if lora_rank else None
        self.callbacks = callbacks

    def check(self, config: RunConfig) -> list[str]:
        """Models whose head or trunk the loss cannot read, adapters without a place, and what native alone can do."""
        if importlib.util.find_spec("accelerate") is None:
            return [str(MissingExtraError("training.backend: transformers", "accelerate", "train"))]
        faults = head_faults(config)
        parallel = config.parallel
        for key, asked, value in (
            ("sequence_parallel", parallel.sequence_parallel > 1, 1),
            ("offload", parallel.offload, "false"),
        ):
            if asked:
                faults.append(
                    f"parallel.{key} is not for the backend 'transformers'. "
                    f"Set parallel.{key}={value}, or training.backend=native."
                )
        if self.lora is not None:
            built, _ = build_empty(load_config(config.student), attention=config.student.attention, who="student")
            faults += [] if built is None else self.lora.faults(built)
        return faults

    def train(self, stage: StageInputs, progress: Progress) -> None:
        """Load the models, the student's weights in float32, and train; see ``StageTrainer.run``.

        Raises:
            ConfigError: weights that cannot be loaded, or a head that is not the linear map it seems.
            StopRequested, FloatingPointError, RunFolderError: as ``StageTrainer.run``.
        """
        from paced.train.hf_stage import StageTrainer

        device = pick_device()
        team = team_for_files(device)
        student = self._student(stage, device)
        teacher = None
        if not (self.lora and stage.teacher == stage.config.student):  # then one copy of the weights serves both
            teacher = load_model(stage.teacher, device=device).requires_grad_(False)
        if team.size > 1 and stage.config.parallel.shard:
            progress.note(
                f"stage {stage.stage_number}: each of the {team.size} processes holds both models and AdamW's state "
                "whole; parallel.shard is for the backend 'native' alone."
            )
        with open_log(stage, team) as log:
            StageTrainer(
                stage,
                student,
                teacher,
                load_tokenizer(stage.student),
                progress=progress,
                team=team,
                log=log,
                callbacks=self.callbacks,
            ).run()

    def _student(self, stage: StageInputs, device: Any) -> Any:
        """The student of a stage; with LoRA the run's first student, and the adapters of the stage before."""
        if self.lora is None:
            return load_model(stage.student, dtype="float32", device=device)
        base = load_model(stage.config.student, dtype="float32", device=device)
        if stage.stage_number == 1:
            return add_adapters(base, self.lora, seed=stage.config.seed)
        return load_adapters(base, stage.run.stage(stage.stage_number - 1).adapter)
