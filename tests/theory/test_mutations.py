"""Breaking a formula on purpose makes ``paced verify --strict``, or the test that holds it, fail."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

import pytest
from theory.faulty import ROOT
from theory.mutations import IN_CI, MUTATIONS, Mutation

HARMLESS = Mutation("theory/facts/kernel.py", "Exact facts about the Beta", "Facts about the Beta")
"""The control of this file: an edit of a docstring, which neither claims nor tests see."""


def tried(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run in a process of its own, which forks before it loads the package."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_sample_of_the_faults_is_noticed_and_an_edit_of_a_docstring_is_not():
    program = (
        "import sys; from theory.mutations import MUTATIONS, missed; from theory.test_mutations import HARMLESS; "
        "chosen = [MUTATIONS[int(number)] for number in sys.argv[1:]]; "
        "harmless = HARMLESS._replace(claims=('eq3', 'eq4'), tests=('theory/facts/test_extensions.py',)); "
        "assert missed([*chosen, harmless]) == [harmless]"
    )
    done = tried(program, *map(str, IN_CI))
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_enough_faults_and_they_are_spread():
    assert len(set(MUTATIONS)) == len(MUTATIONS) >= 150
    files = Counter(mutation.file for mutation in MUTATIONS)
    assert len(files) >= 40
    for part in ("weights/", "theory/facts/", "theory/claims/", "theory/ledger/", "theory/kit/"):
        assert sum(number for file, number in files.items() if file.startswith(part)) >= 7, part


@pytest.mark.nightly
def test_every_fault_is_noticed():
    done = tried("import sys; from theory.mutations import main; sys.exit(main())")
    assert done.returncode == 0, done.stdout + done.stderr
