"""Breaking a constant on purpose makes ``paced verify --strict``, or the test that holds it, fail."""

from __future__ import annotations

import pytest
from theory.mutations import IN_CI, MUTATIONS, Mutation, is_caught


def test_a_copy_without_a_fault_passes(tmp_path):
    """The control of this file: an edit of a docstring is not a fault, and neither claims nor tests see one."""
    harmless = Mutation("theory/facts/kernel.py", "Exact facts about the Beta", "Facts about the Beta")
    for number, watched in enumerate(({"claims": ("eq3", "eq4")}, {"tests": ("theory/facts/test_extensions.py",)})):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert not is_caught(harmless._replace(**watched), folder)


@pytest.mark.parametrize("mutation", IN_CI, ids=str)
def test_a_fault_is_caught(mutation, tmp_path):
    assert is_caught(mutation, tmp_path)


def test_there_are_enough_faults_and_they_are_spread():
    assert len(MUTATIONS) >= 60
    assert len({mutation.file for mutation in MUTATIONS}) >= 16


@pytest.mark.nightly
def test_every_fault_is_caught(tmp_path):
    missed = []
    for number, mutation in enumerate(MUTATIONS):
        folder = tmp_path / str(number)
        folder.mkdir()
        if not is_caught(mutation, folder):
            missed.append(str(mutation))
    print(f"{len(MUTATIONS) - len(missed)} of {len(MUTATIONS)} faults caught")
    assert missed == []
