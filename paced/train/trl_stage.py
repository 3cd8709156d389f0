"""One stage of a run inside TRL's trainer: the stage's plan, completions and multipliers, TRL's tensors and divergence.

What Trainer's loop does at each step is shared with the backend ``transformers`` (``StageLoop``).
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from paced.models.tokens import absent_ids, vocabulary_size
from paced.run.progress import Progress
from paced.train.examples import Example
from paced.train.hf_stage import AfterEachStep, StageLoop, stage_arguments
from paced.train.inputs import StageInputs
from paced.train.layers import layers_of, recompute_activations
from paced.train.loss import DistillationStudent, FusedLoss, make_divergence
from paced.train.loss.head import check_loaded_head
from paced.train.loss.rows import PartSums
from paced.train.metrics import StageLog
from paced.train.micro_batches import Packed
from paced.train.stage import Stage
from paced.train.team import Team
from paced.train.trl_trainer import DistillationConfig, WeightedTRLTrainer

BETA = {"forward_kl": 0.0, "reverse_kl": 1.0}
"""How TRL's β names the two KLs."""


class TRLStageTrainer(StageLoop, WeightedTRLTrainer):
    """Trains one stage with TRL's divergence; an item of its data is the number of an optimiser step."""

    def __init__(
        self,
        inputs: StageInputs,
        model: Any,
        teacher: Any,
        tokenizer: Any,
        *,
        progress: Progress,
        team: Team,
        log: StageLog,
    ) -> None:
        """Take the models, loaded."""
        config = inputs.config
        for who, one in {"student": model, "teacher": teacher}.items():
            check_loaded_head(one, who=who)
        self.stage = Stage(inputs, self, tokenizer, progress, team, log)
        self.student_loss = DistillationStudent(model)  # never called: where the loop finds the model
        if config.parallel.gradient_checkpointing:
            recompute_activations(layers_of(model))  # transformers' own works in training mode only
        self._as_they_were = copy.deepcopy((model.config, model.generation_config))
        super().__init__(
            model,
            teacher,
            args=stage_arguments(
                inputs,
                model,
                num_steps=self.stage.num_steps,
                device=team.device,
                kind=functools.partial(
                    DistillationConfig, beta=_beta(inputs), temperature=config.training.loss_temperature
                ),
            ),
            train_dataset=range(self.stage.num_steps),
            processing_class=copy.deepcopy(tokenizer),  # TRL gives it a padding token
            normaliser="self",  # weights come with the stage, of unit mean already
            callbacks=[AfterEachStep(self)],
        )
        self._begin(inputs, model, progress=progress, team=team)
        gaps = set(absent_ids(tokenizer))
        size = vocabulary_size(tokenizer)
        known = [number for number in range(size) if number not in gaps]
        self.known_tokens = torch.tensor(known, device=team.device) if gaps else slice(size)

    def multipliers(self, rows: Sequence[Mapping[str, Any]], token_counts: list[int]) -> Tensor:
        """The stage's own, over the whole step."""
        return torch.tensor([row["multiplier"] for row in rows], dtype=torch.float64)  # [B]

    def _prepare_inputs(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """TRL's tensors of a micro-batch of the plan; a rank without a part computes one token of weight zero."""
        self._examples: list[Example] = inputs["examples"]
        # TRL leaves T² out of a loss at temperature T.
        scale = self.stage.config.training.loss_temperature**2
        rows = [
            {
                "prompt": list(example.student_prompt_ids),
                "teacher_prompt": list(example.teacher_prompt_ids),
                "completion": list(example.completion_ids),
                "multiplier": scale * multiplier,
            }
            for example, multiplier in zip(self._examples, inputs["multipliers"].tolist(), strict=True)
        ]
        nothing = {"prompt": [0], "teacher_prompt": [0], "completion": [0], "multiplier": 0.0}
        with self.clock.phase("student"):
            return self._generate_and_score_completions(rows or [nothing])

    def _generate(self, prompts: list[Any]) -> tuple[list[Any], list[Any], None, None, list[Any]]:
        """The rows as they are: TRL's own facts of what it generates need equally many rows on every rank."""
        return [row["prompt"] for row in self._rows], [row["completion"] for row in self._rows], None, None, []

    def compute_loss(self, model: Any, inputs: Any, *given: Any, **named: Any) -> Any:
        """TRL's, without dropout in either model."""
        model.eval()
        with self.clock.phase("student"):
            return super().compute_loss(model, inputs, *given, **named)

    def computed(self, values: Tensor, owners: Tensor, loss: Tensor) -> None:
        """Add a micro-batch to the step's sums."""
        none = owners[:0]
        packed = Packed(inputs={}, positions=none, tokens=None, owners=owners, token_weights=none)
        losses = self.stage.config.training.loss_temperature**2 * values  # [N]
        every = torch.ones_like(losses, dtype=torch.bool)  # [N]
        result = FusedLoss(loss=loss, token_losses=losses, computed=every, rollouts=None, sums=PartSums())
        self.seen(self._examples, packed, result)

    def for_export(self) -> Any:
        """A plain model on the first rank, without the padding token that TRL gave its configuration."""
        model = super().for_export()
        if model is not None:
            model.config, model.generation_config = self._as_they_were
        return model

    def after_step(self) -> bool:
        """As in every backend; TRL's own log of the step is dropped, because the stage has one."""
        for metrics in self._metrics.values():
            metrics.clear()
        return super().after_step()

    def create_model_card(self, *given: Any, **named: Any) -> None:
        """None: TRL would write one beside every checkpoint; the stage writes the student's."""

    def _send_telemetry(self) -> None:
        """Nothing is sent from a recipe's run."""


def _beta(inputs: StageInputs) -> float:
    choice = inputs.settings.divergence
    if choice.name in BETA:
        return BETA[choice.name]
    return float(make_divergence(choice.name, **choice.parameters).beta)  # type: ignore[attr-defined]
