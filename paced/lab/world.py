"""Build the embedded world of a run: models and problem files, as ordinary as any that a user would bring.

Everything downstream reads a Hugging Face folder and JSONL files; nothing but this package knows that they are a toy.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from paced.lab.cache import is_whole, lab_model
from paced.lab.designs import DESIGNS
from paced.lab.files import GRADED, PRIOR, PROBLEMS, STUDENT, TEACHER, UNSEEN
from paced.lab.pretrain import build_model
from paced.lab.recipe import BIG_SIZE, STUDENT_SIZE, big_teacher_recipe, student_recipe
from paced.lab.task import heldout_problems, prior_problems, training_problems
from paced.lab.tokenizer import build_tokenizer
from paced.records import Problem
from paced.run.config import LabConfig
from paced.run.progress import Progress
from paced.run.seeds import text_key
from paced.run.storage import encode_line, write_atomic


def build_world(folder: Path, lab: LabConfig, progress: Progress) -> None:
    """Write the lab into ``folder``; what is there already is kept.

    Raises:
        PretrainingFailedError: a model did not reach its targets; the message says which seed.
    """
    for name, problems in world_problems(lab).items():
        write_problems(folder / name, problems)
    if not is_whole(folder / STUDENT):
        lab_model(student_recipe(lab.seed, lab.phrasing), folder / STUDENT, progress)
    if lab.teacher == "big" and not is_whole(folder / TEACHER):
        lab_model(big_teacher_recipe(lab.seed, lab.phrasing), folder / TEACHER, progress)


def build_untrained_world(folder: Path, lab: LabConfig) -> None:
    """The lab's problem files and models of random weights: what a dry run looks at."""
    for name, problems in world_problems(lab).items():
        write_problems(folder / name, problems)
    sizes = {STUDENT: STUDENT_SIZE} | ({TEACHER: BIG_SIZE} if lab.teacher == "big" else {})
    for name, size in sizes.items():
        build_model(size, seed=lab.seed).save_pretrained(folder / name)
        build_tokenizer().save_pretrained(folder / name)


def world_problems(lab: LabConfig) -> dict[str, list[Problem]]:
    """File name -> problems: a training set of the design, held-out graded and unseen problems, the prior skill."""
    graded, unseen = heldout_problems(lab.num_heldout, _numbers(lab, "held out"))
    return {
        PROBLEMS: training_problems(DESIGNS[lab.design], lab.num_problems, _numbers(lab, "training")),
        GRADED: graded,
        UNSEEN: unseen,
        PRIOR: prior_problems(lab.num_prior, _numbers(lab, "prior")),
    }


def write_problems(path: Path, problems: Sequence[Problem]) -> None:
    """A problem file, one JSON object per line."""
    write_atomic(path, "".join(f"{encode_line(problem)}\n" for problem in problems))


def _numbers(lab: LabConfig, what: str) -> np.random.Generator:
    return np.random.default_rng([lab.seed, text_key(what)])
