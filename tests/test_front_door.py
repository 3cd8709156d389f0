"""The first names a reader meets exist, come from one place each, and cost nothing until they are used."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import paced

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", [name for name in paced.__all__ if name != "__version__"])
def test_every_public_name_is_there(name):
    assert getattr(paced, name).__doc__ or name == "WEIGHTS"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = paced.nothing


def test_importing_paced_loads_no_scipy_and_no_torch():
    program = "import sys, paced; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"scipy", "numpy", "torch", "yaml"} & set(done.stdout.split())


@pytest.mark.parametrize(
    "form", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")), ids=lambda path: path.stem
)
def test_an_issue_form_is_one_that_a_forge_accepts(form):
    fields = yaml.safe_load(form.read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= set(fields)
    asked = [field for field in fields["body"] if field["type"] != "markdown"]
    assert len({field["id"] for field in asked}) == len(asked) > 0
    assert all(field["attributes"]["label"] for field in asked)
    if form.stem == "bug":
        assert [field["id"] for field in asked if "paced doctor" in field["attributes"]["label"]] == ["doctor"]


def test_a_commit_is_checked_with_the_programs_of_make_check():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert hooks
    for hook in hooks:
        program = hook["entry"].removeprefix(".venv/bin/").removesuffix(" --force-exclude")
        assert f"$(BIN)/{program}" in makefile


def test_each_command_of_the_readme_has_its_recorded_output_and_the_machine_is_named():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"<!-- run -->\n(.*?)<!-- end -->", text, re.DOTALL)
    shown = [re.fullmatch(r"```bash\n(.+?)```\n```text\n(.+?)```\n", block, re.DOTALL) for block in blocks]
    assert all(shown)
    commands = " ".join(block[1] for block in shown if block)
    assert {"run", "rate", "weigh", "fit", "verify", "snr", "plan"} <= set(re.findall(r"paced ([a-z]+)", commands))
    assert not re.search(r"(?<![\w.])/(?:tmp|home|root|work)/", text)
    assert re.search(r"<!-- machine -->\n\S.*Python 3\.\d+.*torch .*\n<!-- end -->", text)
