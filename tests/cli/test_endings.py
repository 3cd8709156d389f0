"""Whatever goes wrong ends in one sentence and an exit code."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from cyclopts import App

from paced.cli import app
from paced.cli.endings import FAILED, INTERRUPTED, NO_READER, OUR_FAULT, STOPPED, WRONG_INPUT, ending_of
from paced.cli.extras import EXTRAS
from paced.errors import RunFolderError, check_counts, check_number
from paced.run.signals import StopRequested

ROOT = Path(__file__).parents[2]


def raised(function, *arguments):
    try:
        function(*arguments)
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def template_error():
    import jinja2

    return raised(jinja2.Environment().from_string, "{% if %}")


@pytest.mark.parametrize(
    ("error", "words", "code"),
    [
        (ModuleNotFoundError("x", name="torch"), 'pip install "paced[train]"', WRONG_INPUT),
        (ModuleNotFoundError("x", name="z3"), 'pip install "paced[verify]"', WRONG_INPUT),
        (ModuleNotFoundError("x", name="wandb"), "pip install wandb", WRONG_INPUT),
        (MemoryError("Unable to allocate 12.9 GiB"), "12.9 GiB", WRONG_INPUT),
        (RecursionError("maximum recursion depth exceeded"), "nested too deeply", WRONG_INPUT),
        (OSError(errno.ENOSPC, "No space left", "/tmp/absent/rollouts.jsonl"), "MB are free", WRONG_INPUT),
        (
            OSError(errno.EROFS, "Read-only", "/mnt/a.json"),
            "/mnt/a.json: the file system can only be read",
            WRONG_INPUT,
        ),
        (FileNotFoundError(errno.ENOENT, "No such", "a.csv"), "a.csv: there is no such file", WRONG_INPUT),
        (RunFolderError("runs/a: is locked."), "runs/a: is locked.", WRONG_INPUT),
        (raised(json.loads, "{"), "Expecting property name", WRONG_INPUT),
        (raised("\ud83d".encode), "cannot be written as utf-8", WRONG_INPUT),
        (raised(b"\xff".decode), "not utf-8 text", WRONG_INPUT),
        (template_error(), "chat template cannot be rendered", WRONG_INPUT),
        (raised(check_number, "beta_kernel", "alpha", "5e-1"), "alpha must be a number, got '5e-1'", WRONG_INPUT),
        (raised(check_counts, "fit", np.array(["a"]), 8), "must hold integers", WRONG_INPUT),
        (raised(lambda: len(3)), "PACED_TRACEBACK=1", OUR_FAULT),
        (KeyError("q1"), "PACED_TRACEBACK=1", OUR_FAULT),
        (FloatingPointError("step 3: the loss is nan."), "the loss is nan", FAILED),
        (StopRequested("stopped by SIGTERM."), "stopped by SIGTERM", STOPPED),
        (KeyboardInterrupt(), "stopped from the keyboard", INTERRUPTED),
        (BrokenPipeError(), "", NO_READER),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_every_kind_of_failure_is_one_sentence_and_an_exit_code(error, words, code):
    ending = ending_of(error)
    assert words in ending.sentence
    assert len(ending.sentence.splitlines()) <= 1
    assert ending.code == code


def test_a_reader_that_goes_away_ends_the_command_quietly():
    program = f"{sys.executable} -m paced --help | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode in {0, NO_READER}


@pytest.mark.parametrize("arguments", [("fitt",), ("fit",), ("run", "a.yaml", "--seed", "one")])
def test_an_argument_that_cannot_be_read_is_wrong_input(arguments):
    done = subprocess.run([sys.executable, "-m", "paced", *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == WRONG_INPUT
    assert "Traceback" not in done.stderr + done.stdout


def test_every_extra_a_command_names_exists_and_every_extra_has_code_behind_it():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(EXTRAS) <= set(extras)
    assert {"vllm", "trl"}.isdisjoint(extras)


def commands(application: App):
    return {name: application[name] for name in application if not name.startswith("-")}


@pytest.mark.parametrize("name", commands(app))
def test_every_parameter_of_every_command_has_help(name):
    for argument in app[name].assemble_argument_collection(parse_docstring=True):
        if argument.parse and argument.show:
            assert argument.parameter.help, f"paced {name}: {argument.name} has no help"
