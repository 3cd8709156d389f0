"""The examples of docs/weights.md run, and its exact table is what the command prints."""

from __future__ import annotations

import doctest
import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "weights.md"


def test_examples_of_the_page_run():
    failed, tried = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8")
    assert (failed, tried > 15) == (0, True)


@pytest.fixture
def benchmark(monkeypatch):
    """benchmarks/weights.py, with what it imports from its own folder."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    spec = importlib.util.spec_from_file_location("benchmark_of_weights", ROOT / "benchmarks" / "weights.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_reference_table_of_the_page_is_the_commands_output(capsys, benchmark):
    benchmark.tables()
    assert capsys.readouterr().out in PAGE.read_text(encoding="utf-8")


def test_paced_and_per_row_forms_agree(benchmark):
    benchmark.gate(50_000)
    benchmark.per_row_plugin = lambda passed, rollouts: benchmark.BetaKernel()(passed, rollouts) * (1 + 1e-12)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        benchmark.gate(50_000)
