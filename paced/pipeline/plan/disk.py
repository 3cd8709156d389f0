"""What a run folder and its caches will hold.

A completion is a line of JSON with its token ids and its text: about twelve bytes a token, measured on the lab's and
SmolLM2's files. Checkpoints and the exported student are float32 (``checkpoint.py``).
Left out: metrics, figures and tables, which are small.
"""

from __future__ import annotations

from collections.abc import Sequence

from paced.pipeline.plan.inputs import Counts
from paced.pipeline.plan.shapes import BYTES, FOUR, Shape
from paced.pipeline.plan.work import Task
from paced.run.config import RunConfig
from paced.train.checkpoints import room_for

BYTES_PER_TOKEN = 12
"""Of a completion's line in a JSONL file."""


def disk_bytes(
    config: RunConfig, counts: Counts, tasks: Sequence[Task], *, student: Shape, teacher: Shape
) -> dict[str, float]:
    """What is written -> bytes, for one run without its compared methods.

    Args:
        config: the recipe.
        counts: problems and how full completions are.
        tasks: the work of the run.
        student: its sizes.
        teacher: its sizes.
    """
    stages = len(config.stages)
    sampled = sum(task.tokens for task in tasks if task.kind == "sampling")
    checkpoints = config.training.checkpoint_every or config.training.keep_checkpoints
    trained = student.trained_parameters
    sizes = {
        "completions": BYTES_PER_TOKEN * sampled,
        "checkpoints": float(
            stages * (room_for(trained, config.training.keep_checkpoints) - FOUR * trained) if checkpoints else 0
        ),
        "exported students": float(stages * FOUR * (student.parameters + student.adapter_parameters)),
    }
    if config.parallel.cache_teacher:
        sizes["teacher states"] = cache_bytes(config, counts, teacher)
    return sizes


def cache_bytes(config: RunConfig, counts: Counts, teacher: Shape) -> float:
    """The teacher's final hidden states of every completion that is read more than once or kept for other runs."""
    width = BYTES[config.teacher.dtype] * teacher.hidden_size
    tokens = 0.0
    for stage in config.stages:
        along = config.references if stage.along == "reference" else config.rollouts
        tokens += stage.share * counts.num_problems * counts.fill * along.max_new_tokens
    return width * tokens
