"""A lab student for tests: pre-trained once per machine and kept in the user's cache, as the quickstart's is."""

from __future__ import annotations

import pytest
from filelock import FileLock

from paced.lab.cache import cache_folder, lab_model
from paced.lab.recipe import student_recipe
from paced.run.progress import Silent


@pytest.fixture(scope="session")
def student_folder(tmp_path_factory):
    """The folder of the quickstart's student (seed 1)."""
    cache_folder().mkdir(parents=True, exist_ok=True)
    target = tmp_path_factory.mktemp("lab") / "student"
    with FileLock(cache_folder() / ".tests.lock"):  # two test processes would otherwise pre-train the same student
        lab_model(student_recipe(1), target, Silent())
    return target
