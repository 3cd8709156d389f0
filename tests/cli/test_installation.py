"""``paced doctor`` and ``paced recipes``: what is installed here, and what comes with the package."""

from __future__ import annotations

import getpass
import json
import os
import platform
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from paced.errors import ConfigError
from paced.pipeline.doctor import DEVELOPMENT, diagnose, packages, report
from paced.run.configfile import load_config
from paced.run.recipes import copy_recipe, recipes

ROOT = Path(__file__).parents[2]


def paced(*arguments, cwd):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "paced", *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def project_requirements() -> list[str]:
    """What pyproject.toml asks for, with the markers that an installed package has."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    return project["dependencies"] + [f'{one}; extra == "{name}"' for name, asked in extras.items() for one in asked]


def test_the_doctor_looks_at_every_extra_of_the_project_that_a_command_needs():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    looked_at = {package.extra for package in packages(project_requirements())}
    assert looked_at == {"", *extras} - DEVELOPMENT


def test_a_package_that_is_absent_or_too_old_is_named_with_what_is_wanted_and_the_command():
    rows = packages(["numpy>=1", 'numpy>=999; extra == "train"', 'no-such-package>=2; extra == "server"'])
    found = diagnose() | {"packages": [{name: getattr(row, name) for name in row.__slots__} for row in rows]}
    base, server, train = report(found)[-3:]
    assert base.startswith("[base] complete: numpy ")
    assert server == ('[server] not complete: no-such-package>=2 (absent). Install with: pip install "paced[server]"')
    assert train.startswith("[train] not complete: numpy>=999 (has ")


def test_the_doctor_says_of_every_engine_what_it_lacks(monkeypatch):
    from paced.pipeline import doctor
    from paced.rollouts.engine import ENGINES

    assert set(doctor.engines()) == set(ENGINES)
    monkeypatch.setattr(doctor, "is_installed", lambda module: module not in {"vllm", "ray"})
    monkeypatch.delenv("PACED_VLLM_PYTHON", raising=False)
    assert "engines: hf ready; vllm lacks vllm; server ready; ray lacks ray" in report(diagnose())
    monkeypatch.setenv("PACED_VLLM_PYTHON", sys.executable)
    assert doctor.engines()["vllm"] == []


@pytest.mark.slow
def test_a_report_holds_what_computes_and_nothing_of_the_person(tmp_path):
    done = paced("doctor", "--json", "-", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["python"] == platform.python_version()
    assert any(line.startswith("cpu: ") for line in found["devices"])
    for private in (platform.node(), str(ROOT), str(tmp_path), sys.prefix, f"/{getpass.getuser()}/"):
        assert private not in done.stdout


def test_every_recipe_says_what_it_is_for_and_is_a_recipe_where_it_was_copied_to(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for recipe in recipes():
        assert recipe.about, recipe.name
        first, *data = copy_recipe(recipe.name, Path())
        config = load_config(first, [])
        assert config.name == recipe.name
        assert {str(path) for path in data} == {
            path
            for path in (config.problems.path, *(item.path for item in config.evaluation.sets))
            if "recipes/" in path
        }


def test_a_copy_does_not_write_over_what_a_person_changed(tmp_path):
    first, *_ = copy_recipe("quickstart.yaml", tmp_path)
    assert copy_recipe("recipes/quickstart.yaml", tmp_path) == [first]
    first.write_text("mine")
    with pytest.raises(ConfigError, match="must not be there with other content"):
        copy_recipe("quickstart", tmp_path)
    assert first.read_text() == "mine"


def test_a_name_that_no_recipe_has_is_refused_with_the_nearest(tmp_path):
    done = paced("recipes", "copy", "quikstart", cwd=tmp_path)
    assert done.returncode == 2
    assert "Did you mean 'quickstart'?" in done.stderr
    assert not list(tmp_path.iterdir())
