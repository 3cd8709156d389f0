"""The backend ``transformers``: a stage trained by ``transformers.Trainer``, alone or under ``torchrun``; LoRA by PEFT.

Data-parallel ranks each hold both models whole (DistributedDataParallel). Left out: what only the native loop does.
Shards in host memory and sequences shared among ranks are refused by ``check``; sharding by FSDP2 is the default of
a recipe, of which one process has no use, so several processes say that they replicate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from paced.errors import MissingExtraError
from paced.installed import is_installed
from paced.models.loading import load_model, load_tokenizer, pick_device
from paced.run.config import RunConfig
from paced.run.progress import Progress
from paced.train.inputs import StageInputs
from paced.train.lora import add_adapters, is_base, lora_of, stage_adapters
from paced.train.readable import adapter_faults, head_faults
from paced.train.stage import open_log
from paced.train.team import team_for_files


class TransformersBackend:
    """Trains with ``hf_stage.py``."""

    trains_here = True

    def __init__(
        self,
        *,
        callbacks: Sequence[Any] = (),
    ) -> None:
        """Take what a stage's ``Trainer`` is given besides the recipe.

        Args:
            callbacks: ``TrainerCallback`` objects, from Python only.
        """
        self.callbacks = callbacks

    def check(self, config: RunConfig) -> list[str]:
        """Models whose head or trunk the loss cannot read, adapters without a place, and what native alone can do."""
        if not is_installed("accelerate"):
            return [str(MissingExtraError("training.backend: transformers", "accelerate", "train"))]
        return head_faults(config) + replicated_faults(config, "transformers") + adapter_faults(config)

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
        # one copy of the weights serves both models where the teacher is the base of the student's adapters
        if not (lora_of(stage.config.student) and is_base(stage.teacher, stage.config.student)):
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
        lora = lora_of(stage.config.student)
        if lora is None:
            return load_model(stage.student, dtype="float32", device=device)
        base = load_model(stage.config.student, dtype="float32", device=device)
        return add_adapters(base, lora, stage_adapters(stage))


def replicated_faults(config: RunConfig, backend: str) -> list[str]:
    """What a backend cannot do whose ranks hold both models whole."""
    parallel = config.parallel
    asked = {"sequence_parallel": (parallel.sequence_parallel > 1, 1), "offload": (parallel.offload, "false")}
    return [
        f"parallel.{key} is not for the backend '{backend}'. Set parallel.{key}={value}, or training.backend=native."
        for key, (wanted, value) in asked.items()
        if wanted
    ]
