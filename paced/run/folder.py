"""Where things are in a run, and who may write there.

    runs/<name>/
      config.yaml  environment.json          what was asked for, resolved; versions, device, commit
      steps/                                 what each step read and wrote, with hashes
      problems.parquet  quarantine.jsonl     the training set as it was read, and what was left out of it
      problems.json  bad-rows.jsonl          what became of the rows of its file, and those put aside with their reasons
      lab/                                   student and problem files of the embedded world, if there is one
      stage-1/rollouts.jsonl  grades.jsonl  pass_rates.parquet  weights.parquet  references.jsonl
      stage-1/student-prompts.jsonl  teacher-prompts.jsonl
      stage-1/checkpoints/step-000100/       verified, atomic
      stage-1/student/                       the stage's trained student, an ordinary Hugging Face folder
      metrics.jsonl  timings.jsonl           what was computed (reproducible); how long it took (not)
      eval/  snr/  figures/  report.html
      methods/<method>/                      one run folder for each compared method

One process writes at a time (a lock with the holder's name). What a change of the configuration means for what was
computed is decided in ``pipeline/change.py``.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paced.errors import RunFolderError
from paced.run.config import RunConfig
from paced.run.configfile import build_config, to_dict
from paced.run.environment import describe_environment
from paced.run.storage import read_json, size_text, write_atomic, write_json
from paced.run.yamltext import parse_yaml, yaml_text

INSIDE = "run:"
"""Begins a path that is given from the run folder, so that the run continues from any working folder."""


@dataclass(frozen=True)
class StageFolder:
    """The files of one stage, counted from 1."""

    root: Path
    """``stage-<k>`` below the run."""

    @property
    def rollouts(self) -> Path:
        """JSONL of Rollout: the student's samples."""
        return self.root / "rollouts.jsonl"

    @property
    def grades(self) -> Path:
        """JSONL of Grade."""
        return self.root / "grades.jsonl"

    @property
    def earlier_grades(self) -> Path:
        """Grades that other settings gave, kept until the rollouts are graded again."""
        return self.root / "grades.jsonl.before"

    @property
    def pass_rates(self) -> Path:
        """Parquet of PassRate."""
        return self.root / "pass_rates.parquet"

    @property
    def weights(self) -> Path:
        """Parquet of ProblemWeight."""
        return self.root / "weights.parquet"

    @property
    def references(self) -> Path:
        """JSONL of Rollout: the teacher's solutions."""
        return self.root / "references.jsonl"

    @property
    def reference_samples(self) -> Path:
        """Folder of all sampled references, where one of several was chosen."""
        return self.root / "reference-samples"

    @property
    def reference_checks(self) -> Path:
        """JSONL of ReferenceCheck: the verdict on each reference and what is wrong with it."""
        return self.root / "reference-checks.jsonl"

    @property
    def student_prompts(self) -> Path:
        """JSONL of Prompt: what the student reads, as it was sampled and trained."""
        return self.root / "student-prompts.jsonl"

    @property
    def teacher_prompts(self) -> Path:
        """JSONL of Prompt: what the teacher reads."""
        return self.root / "teacher-prompts.jsonl"

    @property
    def checkpoints(self) -> Path:
        """Folder of ``step-NNNNNN`` checkpoints."""
        return self.root / "checkpoints"

    @property
    def student(self) -> Path:
        """The trained student of this stage, a Hugging Face folder."""
        return self.root / "student"

    @property
    def adapter(self) -> Path:
        """The adapters that were merged into it, by PEFT, when the student was trained with LoRA."""
        return self.root / "adapter"


@dataclass(frozen=True)
class RunFolder:
    """The files of one run.

    Example:
        >>> run = RunFolder(Path("runs/mine"))
        >>> run.stage(1).weights.as_posix(), run.begun
        ('runs/mine/stage-1/weights.parquet', False)
    """

    root: Path
    """``runs/<name>``."""

    @property
    def config_file(self) -> Path:
        """The resolved configuration."""
        return self.root / "config.yaml"

    @property
    def environment(self) -> Path:
        """Versions, device and commit."""
        return self.root / "environment.json"

    @property
    def problems(self) -> Path:
        """Parquet of Problem: the training set."""
        return self.root / "problems.parquet"

    @property
    def problem_counts(self) -> Path:
        """JSON: the adapter, and how many rows are problems, repeats and bad."""
        return self.root / "problems.json"

    @property
    def bad_rows(self) -> Path:
        """JSONL of the rows of the problem file that were put aside, with reasons; absent where there are none."""
        return self.root / "bad-rows.jsonl"

    @property
    def quarantine(self) -> Path:
        """JSONL of the training problems that were left out, each with its reason; absent where there are none."""
        return self.root / "quarantine.jsonl"

    @property
    def lab(self) -> Path:
        """What the embedded world wrote."""
        return self.root / "lab"

    @property
    def steps(self) -> Path:
        """Folder of what each step read and wrote, by content (``steprecord.py``)."""
        return self.root / "steps"

    @property
    def metrics(self) -> Path:
        """JSONL: one line for each optimiser step; reproducible values only."""
        return self.root / "metrics.jsonl"

    @property
    def timings(self) -> Path:
        """JSONL: seconds, tokens per second and memory; differs from run to run."""
        return self.root / "timings.jsonl"

    @property
    def evaluation(self) -> Path:
        """Folder of held-out results."""
        return self.root / "eval"

    def counts(self, checkpoint: str, name: str) -> Path:
        """Parquet of PassRate: the counts of one checkpoint on one set of problems."""
        return self.evaluation / f"{checkpoint}-{name}.parquet"

    def evaluation_rollouts(self, checkpoint: str, name: str) -> Path:
        """JSONL of Rollout: the completions behind :meth:`counts`."""
        return self.evaluation / f"{checkpoint}-{name}-rollouts.jsonl"

    def evaluation_grades(self, checkpoint: str, name: str) -> Path:
        """JSONL of Grade: the verdict and the reason of each of them."""
        return self.evaluation / f"{checkpoint}-{name}-grades.jsonl"

    def evaluation_labels(self, name: str) -> Path:
        """Parquet of ProblemLabels: difficulty and subject of one set's problems, where its file has such columns."""
        return self.evaluation / f"{name}-labels.parquet"

    def lm_eval(self, checkpoint: str) -> Path:
        """Parquet of DocumentScore: what one checkpoint got on the tasks of lm-eval; the settings are beside it."""
        return self.evaluation / "lm-eval" / f"{checkpoint}.parquet"

    def evaluation_prompts(self, name: str) -> Path:
        """JSONL of Prompt: what the student reads of one set, at every checkpoint."""
        return self.evaluation / f"{name}-prompts.jsonl"

    @property
    def snr(self) -> Path:
        """Folder of gradient SNR tables."""
        return self.root / "snr"

    @property
    def figures(self) -> Path:
        """Folder of figures, each with its CSV."""
        return self.root / "figures"

    @property
    def report(self) -> Path:
        """The page that opens offline."""
        return self.root / "report.html"

    def stage(self, number: int) -> StageFolder:
        """The folder of stage ``number``, counted from 1."""
        return StageFolder(self.root / f"stage-{number}")

    def method(self, name: str) -> RunFolder:
        """The run folder of one compared method."""
        return RunFolder(self.root / "methods" / name)

    @property
    def whole(self) -> RunFolder:
        """The run that this one is a compared method of, or itself."""
        return RunFolder(self.root.parent.parent) if self.root.parent.name == "methods" else self

    @property
    def begun(self) -> bool:
        """Whether the folder is that of a run."""
        return self.config_file.exists()

    def methods(self) -> dict[str, RunFolder]:
        """The compared methods that have a folder, in the order of the configuration."""
        config = self.config()
        return {name: self.method(name) for name in config.methods if self.method(name).begun}

    def config(self) -> RunConfig:
        """The configuration of the run, with paths from the run folder (``run:lab/student``) resolved.

        Raises:
            RunFolderError: it is not a run folder, or is damaged.
        """
        return build_config(self._real_paths(self._config_data()), str(self.config_file))

    def written_config(self) -> RunConfig:
        """The configuration exactly as ``config.yaml`` has it, so that a moved or copied run stays the same run."""
        return build_config(self._config_data(), str(self.config_file))

    def _config_data(self) -> Any:
        if not self.config_file.exists():
            raise RunFolderError(
                f"{self.root}: is not a run folder (no config.yaml). Start one with: paced run CONFIG."
            )
        try:
            text = self.config_file.read_bytes().decode("utf-8")
        except UnicodeDecodeError as error:
            raise RunFolderError(
                f"{self.config_file}: must be UTF-8 text, but is damaged. Restore it, or run the recipe again."
            ) from error
        return _parsed(text, str(self.config_file))

    def config_lines(self) -> list[str]:
        """The lines of ``config.yaml``, whatever state it is in."""
        return self.config_file.read_bytes().decode("utf-8", errors="replace").splitlines()

    def _real_paths(self, data: Any) -> Any:
        """``data`` with every text ``run:…`` as a path from the run; of a compared method from the whole run."""
        if isinstance(data, dict):
            return {key: self._real_paths(value) for key, value in data.items()}
        if isinstance(data, list):
            return [self._real_paths(value) for value in data]
        if isinstance(data, str) and data.startswith(INSIDE):
            return self._real_path(data.removeprefix(INSIDE))
        return data

    def _real_path(self, inside: str) -> str:
        """A path given from the run folder, as short as it can be said from the working folder."""
        path = os.path.normpath(self.whole.root.resolve() / inside)
        return os.path.relpath(path) if Path(path).is_relative_to(Path.cwd()) else path

    def note_engine(self, label: str, facts: Mapping[str, Any]) -> None:
        """Add to ``environment.json`` what sampled the completions of a step."""
        environment = read_json(self.environment) if self.environment.exists() else {}
        write_json(self.environment, {**environment, "engines": {**environment.get("engines", {}), label: dict(facts)}})

    def claim(self, config: RunConfig) -> None:
        """Make the folder and bind it to ``config``; a folder of another configuration is refused with the difference.

        Raises:
            RunFolderError: another configuration was run here, the path is a link, or the folder cannot be written.
        """
        self.refuse_links()
        text = config_text(config)
        if self.config_file.exists():
            if self.config_lines() != text.splitlines():
                lines = difflib.unified_diff(self.config_lines(), text.splitlines(), "held", "asked", n=0, lineterm="")
                changes = "\n  ".join(line for line in lines if not line.startswith(("---", "+++", "@@")))
                raise RunFolderError(
                    f"{self.root}: holds a run of another configuration. Choose another name, or delete the folder. "
                    f"Difference (- held, + asked):\n  {changes}"
                )
            return
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            # The environment first, so that every folder with a configuration has one.
            write_json(self.environment, describe_environment(seed=config.seed))
            write_atomic(self.config_file, text)
        except OSError as error:
            raise RunFolderError(
                f"{self.root}: cannot be written ({error.strerror}). Choose another folder with --root."
            ) from error

    def refuse_links(self) -> None:
        """Refuse a run that is a symbolic link or holds one: what is written there would go to another place.

        Raises:
            RunFolderError: with the first link.
        """
        if self.root.is_symlink():
            raise RunFolderError(f"{self.root}: is a symbolic link. Use a folder of its own for every run.")
        for folder, folders, files in os.walk(self.root):
            for name in (*folders, *files):
                path = Path(folder, name)
                if path.is_symlink():
                    raise RunFolderError(
                        f"{path}: is a symbolic link, and a run has none. Put what it names in its place."
                    )

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the run for this process; a second one is refused with the holder's name, a dead holder's lock is free.

        Raises:
            RunFolderError: another process has locked the run.
        """
        from filelock import FileLock, Timeout

        self.refuse_links()
        self.root.mkdir(parents=True, exist_ok=True)
        holder = self.root / ".lock-holder.json"
        lock = FileLock(self.root / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            who = read_json(holder) if holder.exists() else {}
            raise RunFolderError(
                f"{self.root}: is in use by process {who.get('pid', '?')} on {who.get('host', '?')}. "
                "Wait for it to end, or give this run another name."
            ) from error
        try:
            write_json(holder, {"pid": os.getpid(), "host": socket.gethostname()})
            yield
        finally:
            holder.unlink(missing_ok=True)
            lock.release()


@functools.lru_cache(maxsize=32)  # every step asks for the configuration, which hardly ever changes
def _parsed(text: str, place: str) -> Any:
    """The plain data of ``config.yaml``, shared by all who ask: sections are built from copies of it."""
    return parse_yaml(text, place)


def config_text(config: RunConfig) -> str:
    """The resolved configuration as YAML, every key written out."""
    return yaml_text(to_dict(config))


def check_free_space(folder: Path, needed_bytes: int) -> None:
    """Refuse a run that does not fit on the disk, before it starts rather than after.

    Raises:
        RunFolderError: fewer than ``needed_bytes`` are free.
    """
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise RunFolderError(
            f"{folder}: the run needs about {size_text(needed_bytes)}, {size_text(free)} are free. Free some space."
        )
