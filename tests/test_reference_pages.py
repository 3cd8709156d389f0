"""The pages of docs/reference say what the code has: files, metrics, exit codes, exceptions, names of the glossary."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path

import pytest
from training_setup import make_config, make_examples, train

from paced import errors
from paced.analysis.results.curriculum import curriculum_table, flow_table
from paced.analysis.results.pass_rates import histogram_table, weight_table
from paced.cli.endings import EXIT_CODES
from paced.cli.formatpage import format_page
from paced.records import PassRate, ProblemWeight
from paced.run.folder import RunFolder, StageFolder
from paced.train.examples import FixedExamples
from paced.train.loss import DIVERGENCES

ROOT = Path(__file__).parents[1]


def page(name: str) -> str:
    return (ROOT / "docs" / "reference" / f"{name}.md").read_text(encoding="utf-8")


def named(name: str) -> set[str]:
    """What the first column of a page's tables names in backticks."""
    cells = [line.split(" | ")[0] for line in page(name).splitlines() if line.startswith("| ")]
    return {word for cell in cells for word in re.findall(r"`([^`]+)`", cell)}


def test_the_page_of_file_formats_is_the_page_of_today():
    again = "Write it again with: python -m paced.cli.formatpage docs/reference/file_formats.md"
    assert page("file_formats") == format_page(), again


@pytest.mark.parametrize("folder", [RunFolder(Path("run")), StageFolder(Path("run/stage-1"))], ids=["run", "stage"])
def test_every_file_that_a_run_folder_names_is_on_the_page(folder):
    properties = [name for name, _ in inspect.getmembers(type(folder), lambda one: isinstance(one, property))]
    paths = [path for name in properties if isinstance(path := getattr(folder, name), Path)]
    assert len(paths) > 10
    assert not [path.name for path in paths if path.name not in page("file_formats")]


def test_every_metric_that_training_writes_is_on_the_page(tmp_path):
    examples = make_examples()
    config = make_config(
        **{"stages": [{"divergence": "mixed_kl", "num_steps": 2}], "training.track_snr": True,
           "training.checkpoint_every": 1}
    )  # fmt: skip
    train(tmp_path, config, source=FixedExamples(examples, [0.5] * len(examples)))
    written = {
        key
        for file in (RunFolder(tmp_path).metrics, RunFolder(tmp_path).timings)
        for line in file.read_text().splitlines()
        for key in json.loads(line)
    }
    assert len(written) > 15
    assert written | set(DIVERGENCES) <= named("metrics")


def test_every_column_of_the_results_is_on_the_page():
    rates = [PassRate(problem_id=name, num_passed=s, num_rollouts=8) for name, s in [("a", 0), ("b", 4), ("c", 8)]]
    weights = [ProblemWeight(problem_id=rate.problem_id, weight=1.0, unit_mean_weight=1.0) for rate in rates]
    tables = [
        curriculum_table({"base": rates}),
        flow_table(rates, rates),
        histogram_table(rates),
        weight_table(rates, weights),
    ]
    columns = {re.sub("_(low|high)$", "", column) for table in tables for column in table}
    assert columns <= named("metrics")


def test_the_exit_codes_on_the_page_are_those_of_the_command_line():
    assert {int(code) for code in re.findall(r"^\| `(\d+)` \|", page("errors"), re.MULTILINE)} == set(EXIT_CODES)


@pytest.mark.parametrize(
    "kind",
    [one for _, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, Exception)],
    ids=lambda kind: kind.__name__,
)
def test_every_exception_of_the_package_is_on_the_page_with_its_base(kind):
    assert f"| `paced.errors.{kind.__name__}` | `{kind.__mro__[1].__name__}` |" in page("errors")


def test_every_name_in_code_that_the_glossary_gives_is_in_the_code():
    rows = [line.rsplit(" | ", 1) for line in page("glossary").splitlines() if line.startswith("| ")]
    names = {name for _, cell in rows for text in re.findall(r"`([^`]+)`", cell) for name in re.findall(r"\w+", text)}
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "paced").rglob("*.py"))
    assert len(names) > 20
    assert not [name for name in names if not re.search(rf"\b{name}\b", code)]
