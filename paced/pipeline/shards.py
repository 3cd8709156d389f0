"""The first stage's rollouts made by independent jobs: each samples its share of the problems into a file of its own.

A job reads the recipe and never touches the run folder, so that jobs need no lock and no common clock. The run takes
their files with ``rollouts.from``, which checks that every problem is there. Left out: recipes with a lab, whose
problems are written by the run itself; they take seconds.
"""

from __future__ import annotations

from pathlib import Path

from paced.errors import ConfigError
from paced.models.loading import quiet_transformers
from paced.pipeline.quarantine import training_problems
from paced.pipeline.steps import part_of
from paced.rollouts.sampler import make_sampler
from paced.rollouts.shards import Shard, shard
from paced.run.config import RunConfig
from paced.run.progress import Progress


def shard_file(root: Path, config: RunConfig, part: Shard) -> Path:
    """Where a job writes: beside the run's folder, so that ``<root>/<name>.shards/*.jsonl`` names them all."""
    return root / f"{config.name}.shards" / f"rollouts-{part}.jsonl"


def rollout_shard(config: RunConfig, root: Path, part: Shard, progress: Progress) -> Path:
    """Sample one job's rollouts of the first stage; a file that has begun is completed where it ends.

    Args:
        config: the recipe, with paths from the working folder.
        root: folder of the run folders.
        part: which share of the problems.
        progress: where to show it.

    Raises:
        ConfigError: a recipe with a lab, or a share without a problem.
        RunFolderError: another job writes the same file, or it holds rollouts of other problems.
    """
    from filelock import FileLock, Timeout

    if config.lab is not None:
        raise ConfigError(f"{config.name}: --shard needs a file of problems, got a lab. Run it without --shard.")
    quiet_transformers()
    problems = training_problems(config)[0].problems
    share = shard(part_of(problems, config, 1), part.index, part.count)
    if not share:
        raise ConfigError(f"--shard {part.index}/{part.count}: has no problem. Use fewer parts.")
    file = shard_file(root, config, part)
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(file.with_name(f".{file.name}.lock"))
    try:
        held = lock.acquire(timeout=0)
    except Timeout as error:
        raise ConfigError(
            f"{file}: another job writes it. Wait for it to end, or give this job another part."
        ) from error
    with (
        held,
        make_sampler(config, config.student, reader="student", sampling=config.rollouts, progress=progress) as sampler,
    ):
        sampler.collect(
            file,
            sampler.prompts(share, source=config.problems.path),
            sampling=config.rollouts,
            draw=1,
            label=f"rollouts of {len(share):,} problems x {config.rollouts.num_samples} (part {part})",
        )
    return file
