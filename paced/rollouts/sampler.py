"""A model that answers problems: an engine, its tokenizer, and the prompts of one reader.

The one way from problems to completions and pass rates, for the rollouts of a stage, the teacher's references,
evaluation, renewed and fresh rollouts during training, and the analyses.
Left out: which model answers in which stage (``models/loading.py``), and what its completions are used for.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from paced.errors import ConfigError
from paced.grading.stream import grade_stream
from paced.models.loading import load_tokenizer
from paced.problems.prompts import Prompt, Reader, make_prompts
from paced.records import PassRate, Problem, Rollout
from paced.rollouts.collect import collect_rollouts, sample_rollouts
from paced.rollouts.engine import Engine, choose_engine, make_engine
from paced.run.config import GradingConfig, ModelConfig, PromptsConfig, RunConfig, SamplingConfig
from paced.run.progress import Progress, Silent
from paced.run.recordfile import RecordFile


class Sampler:
    """One reader of problems; a context manager that closes its engine."""

    def __init__(
        self,
        engine: Engine,
        tokenizer: Any,
        *,
        reader: Reader,
        prompts: PromptsConfig,
        run_seed: int,
        progress: Progress | None = None,
    ) -> None:
        """Put the parts together.

        Args:
            engine: makes the completions; this object closes it.
            tokenizer: of the engine's model.
            reader: ``student`` sees the problem only, ``teacher`` the problem and its expert solution.
            prompts: the recipe's section ``prompts``.
            run_seed: the run's one seed, from which all noise derives.
            progress: where to show it.
        """
        self.engine, self.tokenizer, self.reader, self.templates = engine, tokenizer, reader, prompts
        self.run_seed, self.progress = run_seed, progress or Silent()

    def prompts(self, problems: Sequence[Problem], *, source: str = "problems") -> list[Prompt]:
        """What the reader reads, in the order given; ``source`` is what an error calls the problems.

        Raises:
            ConfigError, BadRows: as :func:`paced.problems.prompts.make_prompts`.
        """
        return make_prompts(problems, reader=self.reader, config=self.templates, tokenizer=self.tokenizer, file=source)

    def complete(
        self,
        problems: Sequence[Problem],
        *,
        sampling: SamplingConfig,
        draw: int | str,
        file: Path | None = None,
        label: str = "",
        source: str = "problems",
        prompts: Sequence[Prompt] | None = None,
    ) -> Sequence[Rollout]:
        """K completions of each problem.

        Args:
            problems: the tasks; ids unique when there is a file.
            sampling: K, temperature, limits; its ``engine`` has been chosen already.
            draw: which draw of the run this is; with the run's seed and the problem's id it fixes the noise.
            file: JSONL of Rollout, completed where it ends; None keeps nothing.
            label: what the progress bar of a file says.
            source: what an error calls the problems.
            prompts: what the reader reads, one for each problem, where it has been rendered before.

        Returns:
            All of them: in the order of the file, from which each is read when it is asked for, or without a file in
            the order of ``problems``, in memory.

        Raises:
            StopRequested: a signal came; the batches sampled so far are on the disk.
            RunFolderError: the file holds rollouts of other problems.
        """
        if prompts is None:
            prompts = self.prompts(problems, source=source)
        if file is not None:
            self.collect(file, prompts, sampling=sampling, draw=draw, label=label)
            return RecordFile.read(file, Rollout)
        rollouts = dict(
            sample_rollouts(
                prompts,
                engine=self.engine,
                tokenizer=self.tokenizer,
                sampling=sampling,
                run_seed=self.run_seed,
                draw=draw,
            )
        )
        return [rollout for row in range(len(prompts)) for rollout in rollouts[row]]

    def collect(
        self, file: Path, prompts: Sequence[Prompt], *, sampling: SamplingConfig, draw: int | str, label: str = ""
    ) -> None:
        """K completions of each prompt into a file, which is not read back; as :meth:`complete` otherwise.

        Args:
            file: JSONL of Rollout, completed where it ends.
            prompts: what the reader reads, one for each problem, ids unique.
            sampling: as for :meth:`complete`.
            draw: as there.
            label: as there.

        Raises:
            StopRequested, RunFolderError: as there.
        """
        collect_rollouts(
            file,
            engine=self.engine,
            tokenizer=self.tokenizer,
            prompts=prompts,
            sampling=sampling,
            run_seed=self.run_seed,
            draw=draw,
            label=label,
            progress=self.progress,
        )

    def rate(
        self,
        problems: Sequence[Problem],
        *,
        grading: GradingConfig,
        sampling: SamplingConfig,
        draw: int | str,
        file: Path | None = None,
        label: str = "",
        source: str = "problems",
        prompts: Sequence[Prompt] | None = None,
    ) -> list[PassRate]:
        """Passes s of K on each problem, in the order given: :meth:`complete`, graded and counted.

        Args:
            problems: the tasks with their gold answers.
            grading: the recipe's section ``grading``.
            sampling: as for :meth:`complete`.
            draw: as there.
            file: as there.
            label: as there.
            source: as there.
            prompts: as there.
        """
        rollouts = self.complete(
            problems, sampling=sampling, draw=draw, file=file, label=label, source=source, prompts=prompts
        )
        return list(grade_stream(problems, rollouts, grading).rates)

    def close(self) -> None:
        """Close the engine."""
        self.engine.close()

    def __enter__(self) -> Sampler:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def make_sampler(
    config: RunConfig,
    model: ModelConfig,
    *,
    reader: Reader,
    sampling: SamplingConfig,
    progress: Progress | None = None,
    measured_by: str = "",
) -> Sampler:
    """A sampler as a recipe describes it; the engine loads its model when it is first asked.

    Args:
        config: prompts and seed.
        model: who reads and answers.
        reader: which of the two prompts it gets.
        sampling: the recipe's section for these completions, e.g. ``config.rollouts``, with its engine.
        progress: where to show it.
        measured_by: who takes gradients at the sampled tokens, e.g. ``gradient SNR``; empty where texts are enough.

    Raises:
        ConfigError: no such engine, a tokenizer that cannot be loaded, or a measurement with an engine that gives text
            without token ids: text that is encoded again need not give the tokens that were sampled.
    """
    engine = make_engine(choose_engine(sampling), model, end_of_answer=config.prompts.end_of_answer)
    if measured_by and not engine.gives_token_ids:
        raise ConfigError(
            f"{measured_by}: needs the tokens that were sampled, and the {reader}'s engine '{sampling.engine.name}' "
            "gives text without its token ids. Choose a dialect with token ids, or hf or vllm."
        )
    return Sampler(
        engine,
        load_tokenizer(model),
        reader=reader,
        prompts=config.prompts,
        run_seed=config.seed,
        progress=progress,
    )
