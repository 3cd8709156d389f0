"""Write a stage as a bundle for verl: the weighted training file, the loss, a script to review, and what to do next.

verl is a job of its own on GPUs of its own (Ray, vLLM, other pins), so nothing is started here: the run stops with a
sentence, and continues by the same command once the student that verl trained is in its place.
"""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from paced.errors import check_number
from paced.problems.prompts import Prompt
from paced.problems.verl import verl_table
from paced.records import PassRate, Problem, ProblemWeight
from paced.run.config import RunConfig
from paced.run.progress import Progress
from paced.run.signals import StopRequested
from paced.run.storage import read_parquet, read_records, write_atomic
from paced.train.inputs import StageInputs
from paced.train.verl.settings import verl_faults, verl_settings

HOOK = Path(__file__).with_name("paced_verl.py")
ENGINE_OF_VERL = "verl==0.9.1"


class VerlBackend:
    """Leaves ``stage-<k>/verl/``, and takes the student that verl trained from ``stage-<k>/student``."""

    trains_here = False

    def __init__(self, *, topk: int = 64, num_gpus: int = 8, teacher_gpus: int = 4) -> None:
        """Settings of the bundle that no recipe has.

        Args:
            topk: tokens of the teacher that ``forward_kl`` sees, >= 1.
            num_gpus: GPUs of a node that train and sample, >= 1.
            teacher_gpus: further GPUs of a node, for the teacher, >= 1.

        Raises:
            ValueError: one of them is out of range.
        """
        for name, value in (("topk", topk), ("num_gpus", num_gpus), ("teacher_gpus", teacher_gpus)):
            check_number("verl", name, value, low=1)
        self.topk, self.num_gpus, self.teacher_gpus = int(topk), int(num_gpus), int(teacher_gpus)

    def check(self, config: RunConfig) -> list[str]:
        """What verl 0.9 cannot do of a recipe."""
        return verl_faults(config)

    def train(self, stage: StageInputs, progress: Progress) -> None:
        """Write the bundle; nothing where the student is there already.

        Raises:
            StopRequested: always once the bundle is written, with what to do.
        """
        if stage.folder.student.exists():
            return
        folder = stage.folder.root / "verl"
        folder.mkdir(parents=True, exist_ok=True)
        weights = {row.problem_id: row.unit_mean_weight for row in read_parquet(stage.folder.weights, ProblemWeight)}
        problems = [row for row in read_parquet(stage.run.problems, Problem) if row.problem_id in weights]
        rates = {row.problem_id: row for row in read_parquet(stage.folder.pass_rates, PassRate)}
        table = verl_table(
            problems,
            prompts=stage.config.prompts,
            unit_mean_weights=weights,
            further={
                "pass_rate": [rates[one.problem_id].pass_rate_estimate for one in problems],
                "num_rollouts": [rates[one.problem_id].num_rollouts for one in problems],
            },
        )
        prompts = read_records(stage.folder.student_prompts, Prompt)
        settings = verl_settings(
            stage.config,
            stage.settings,
            student=_from_folder(stage.student.path, folder),
            teacher=_from_folder(stage.teacher.path, folder),
            num_problems=len(problems),
            prompt_tokens=max(len(prompt.token_ids) for prompt in prompts),
            topk=self.topk,
        )
        settings |= {
            "trainer.nnodes": 1,
            "trainer.n_gpus_per_node": self.num_gpus,
            "distillation.nnodes": 1,
            "distillation.n_gpus_per_node": self.teacher_gpus,
        }
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        write_atomic(folder / "train.parquet", sink.getvalue().to_pybytes())
        shutil.copyfile(HOOK, folder / HOOK.name)
        write_atomic(folder / "run.sh", script(settings))
        write_atomic(folder / "README.md", readme(stage.stage_number, len(problems)))
        raise StopRequested(
            f"stage {stage.stage_number} is written for verl in {folder}. Train it there (README.md says how), put the "
            f"student into {stage.folder.student}, and run the same command again to continue."
        )


def script(settings: dict[str, str | int | float | bool]) -> str:
    """The bash script that starts verl with these settings, every value quoted.

    Example:
        >>> print(script({"data.train_files": "my file"}))  # doctest: +ELLIPSIS
        #!/usr/bin/env bash
        ...
          'data.train_files=my file'
        ...
    """
    lines = "\n".join(f"  {shlex.quote(f'{key}={value}')}" for key, value in settings.items())
    return f"""#!/usr/bin/env bash
# Weighted distillation of one stage with {ENGINE_OF_VERL}; look through it, then run it in this folder.
set -euo pipefail
cd "$(dirname "$0")"
export PYTHONPATH="$PWD${{PYTHONPATH:+:$PYTHONPATH}}" VERL_USE_EXTERNAL_MODULES=paced_verl
settings=(
{lines}
  "+ray_kwargs.ray_init.runtime_env.env_vars.VERL_USE_EXTERNAL_MODULES=paced_verl"
  "+ray_kwargs.ray_init.runtime_env.env_vars.PYTHONPATH=$PYTHONPATH"
)
exec python3 -m verl.trainer.main_ppo "${{settings[@]}}" "$@"
"""


def readme(stage_number: int, num_problems: int) -> str:
    """What a person does with the bundle."""
    return f"""# Stage {stage_number} for verl

- `train.parquet`: {num_problems:,} problems in verl's schema. `paced_weight` is each problem's weight, with mean 1 over
  this file; `pass_rate` and `num_rollouts` are what it was computed from.
- `paced_verl.py`: verl's losses times that column. Read it: verl imports it.
- `run.sh`: the command. The settings follow the recipe; numbers of GPUs and memory are yours to set.

In an environment with `{ENGINE_OF_VERL}` (not the one of `paced`: verl pins another transformers):

    bash run.sh
    python3 -m verl.model_merger merge --backend fsdp --local_dir CHECKPOINT/actor --target_dir ../student

The second line writes the trained student where the run looks for it; then run the same `paced` command again.

What is not the same as with the backend `native`: the teacher reads the student's prompt, without the expert solution;
`forward_kl` sees the teacher's most probable tokens only, and `reverse_kl` is the k3 estimate at the sampled token;
the order of problems and the noise of the rollouts are verl's own.
"""


def _from_folder(model: str, folder: Path) -> str:
    """A model's folder as it is called in the bundle; a hub name stays."""
    return os.path.relpath(model, folder) if Path(model).exists() else model
