"""What the README, the docs and the Makefile tell a reader to type exists and does what is said, in a fresh process."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from commands import paced

from paced.pipeline.open import read_recipe
from paced.run.configfile import with_method

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))


def shell_lines():
    """(page, line) of every command in a fenced shell block."""
    for page in PAGES:
        for block in re.findall(r"```(?:bash|sh|console|shell)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                yield page.name, line.strip().removeprefix("$ ").split("  #")[0].strip()


def test_every_make_target_in_the_pages_is_in_the_makefile():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", makefile, re.MULTILINE))
    code = {word for _, line in shell_lines() for word in re.findall(r"^make ([a-z0-9-]+)", line)}
    for page in PAGES:
        code |= set(re.findall(r"`make ([a-z0-9-]+)", page.read_text(encoding="utf-8")))
    assert code <= targets
    assert {"quickstart", "test", "check", "docs", "smollm2"} <= targets


def test_every_paced_command_in_the_pages_names_a_subcommand_and_files_that_exist():
    from paced.cli import app

    known = {name for name in app if not name.startswith("-")}
    for page, line in shell_lines():
        words = line.split()
        if not words or Path(words[0]).name != "paced" or len(words) < 2 or words[1].startswith("-"):
            continue
        assert words[1] in known, f"{page}: {line}"
        for word in words[2:]:
            if word.startswith("recipes/"):
                assert (ROOT / word).exists(), f"{page}: {line}"


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_can_be_read_with_every_method_it_compares(recipe):
    config = read_recipe(recipe)
    assert config.name == recipe.stem
    for method in config.methods:
        assert with_method(config, method).weights.name


def test_wrong_input_is_one_sentence_and_exit_code_2(tmp_path):
    for arguments, words in (
        (("run", "absent.yaml"), "cannot be read"),
        (("run", "recipes/quickstart.yaml", "training.lerning_rate=1", "--root", str(tmp_path)), "Did you mean"),
        (("report", str(tmp_path)), "is not a run folder"),
        (("grade", "recipes/quickstart.yaml", "--method", "pacd", "--root", str(tmp_path)), "must be one of"),
    ):
        done = paced(*arguments)
        assert done.returncode == 2, done.stderr
        assert words in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_dry_run_shows_both_prompts_and_the_cost_and_writes_nothing(tmp_path):
    done = paced("run", "recipes/quickstart.yaml", "--dry-run", "--root", str(tmp_path / "runs"))
    assert done.returncode == 0, done.stderr
    assert re.search(r"first student prompt .*\n  \| C\d[a-t]+=\n", done.stdout)
    assert re.search(r"first teacher prompt .*\n  \| (\d+)#C\d[a-t]+=\n", done.stdout)
    assert "19,200 rollouts" not in done.stdout or "floating-point operations" in done.stdout
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("size", ["1", "8"])
def test_a_process_runs_its_exit_handlers_and_keeps_its_code(size):
    """Alone, and as one of several, where the interpreter's own shutdown is skipped."""
    program = (
        "import atexit; from paced.run.signals import end_process; "
        "atexit.register(print, 'handled'); print('done'); end_process(75)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"WORLD_SIZE": size},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.split()) == (75, ["done", "handled"])


@pytest.mark.slow
def test_files_where_a_command_is_typed_are_not_its_packages(tmp_path):
    (tmp_path / "vllm").mkdir()
    for name in ("yaml", "numpy", "cyclopts"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a file of the working folder was executed')")
    environment = {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "PACED_VLLM_PYTHON"}}
    command = [sys.executable, "-m", "paced", "doctor", "--json", "-"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["engines"]["vllm"] == ["vllm"]
