"""The backend ``trl``: a stage trained by TRL's ``DistillationTrainer`` with TRL's divergence, alone or under torchrun.

TRL's trainer samples its completions itself and shows the teacher the student's prompt. The stage gives it both, so
that references, rollouts and the teacher's own prompt are those of every other backend.
Left out: what TRL's loss does not have; ``check`` names it.
"""

from __future__ import annotations

from paced.models.loading import load_config, load_model, load_tokenizer, pick_device
from paced.run.config import RunConfig
from paced.run.progress import Progress
from paced.train.hf_backend import replicated_faults
from paced.train.inputs import StageInputs
from paced.train.readable import head_faults
from paced.train.stage import open_log
from paced.train.team import team_for_files
from paced.train.trl_version import trl_fault

DIVERGENCES_OF_TRL = ("forward_kl", "reverse_kl", "jsd")
"""TRL's one family: generalised Jensen-Shannon with β as here, and the two KLs at its ends."""


class TrlBackend:
    """Trains with ``trl_stage.py``."""

    trains_here = True

    def check(self, config: RunConfig) -> list[str]:
        """Another version of TRL, models that its loss cannot compare, and what that loss does not have."""
        fault = trl_fault("training.backend: trl")
        if fault is not None:
            return [fault]
        faults = head_faults(config) + replicated_faults(config, "trl")
        for number, stage in enumerate(config.stages, start=1):
            if stage.divergence.name not in DIVERGENCES_OF_TRL:
                faults.append(
                    f"stages.{number}.divergence must be one of {', '.join(DIVERGENCES_OF_TRL)} with the backend trl, "
                    f"got '{stage.divergence.name}'. Set training.backend=native for others."
                )
        for key, asked in (
            ("training.track_snr", config.training.track_snr),
            ("parallel.cache_teacher", config.parallel.cache_teacher),
            ("student.adapter", config.student.adapter),
        ):
            if asked:
                unset = "null" if key == "student.adapter" else "false"
                faults.append(f"{key} is not for the backend 'trl'. Set {key}={unset}, or training.backend=native.")
        if config.teacher.path:
            rows = {who: load_config(model).get_text_config().vocab_size for who, model in _models(config).items()}
            if rows["student"] != rows["teacher"]:
                faults.append(
                    "teacher: TRL needs as many rows in the teacher's head as in the student's, got "
                    f"{rows['teacher']} and {rows['student']}. Set training.backend=native, which compares the "
                    "tokens that the tokenizer has."
                )
        return faults

    def train(self, stage: StageInputs, progress: Progress) -> None:
        """Load the models, the student's weights in float32, and train; see ``StageLoop.run``.

        Raises:
            ConfigError: weights that cannot be loaded, or a head that is not the linear map it seems.
            ImportError: another version of TRL than the one this was written for.
            StopRequested, FloatingPointError, RunFolderError: as ``StageLoop.run``.
        """
        from paced.train.trl_stage import TRLStageTrainer

        device = pick_device()
        team = team_for_files(device)
        student = load_model(stage.student, dtype="float32", device=device)
        teacher = load_model(stage.teacher, device=device).requires_grad_(False)
        with open_log(stage, team) as log:
            TRLStageTrainer(
                stage, student, teacher, load_tokenizer(stage.student), progress=progress, team=team, log=log
            ).run()


def _models(config: RunConfig) -> dict:
    return {"student": config.student, "teacher": config.teacher}
