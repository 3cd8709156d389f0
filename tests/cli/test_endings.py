"""Whatever goes wrong ends in one sentence and an exit code."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from commands import paced
from cyclopts import App
from safetensors.numpy import load as load_weights

from paced.arrays import check_counts
from paced.cli import app
from paced.cli.endings import FAILED, INTERRUPTED, NO_READER, OUR_FAULT, STOPPED, WRONG_INPUT, ending_of
from paced.cli.extras import EXTRAS
from paced.errors import RunFolderError, check_number
from paced.run.signals import StopRequested
from paced.weights import WEIGHTS

ROOT = Path(__file__).parents[2]


def raised(function, *arguments):
    try:
        function(*arguments)
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


OUR_OWN_TYPE_ERROR = compile(
    "raise TypeError('run: a number was expected')", str(ROOT / "paced" / "run" / "x.py"), "exec"
)
"""A mistake of this package that looks like a refusal: raised in one of its files, by a ``raise`` of its own."""


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
        (
            OSError(errno.ENOSPC, "No space left", "/tmp/absent/rollouts.jsonl"),
            " are free). Free some room",
            WRONG_INPUT,
        ),
        (
            OSError(errno.EROFS, "Read-only", "/mnt/a.json"),
            "/mnt/a.json: the file system can only be read",
            WRONG_INPUT,
        ),
        (FileNotFoundError(errno.ENOENT, "No such", "a.csv"), "a.csv: there is no such file", WRONG_INPUT),
        (RunFolderError("runs/a: is locked."), "runs/a: is locked.", WRONG_INPUT),
        (PermissionError(errno.EACCES, "Denied", "a.csv"), "a.csv: you may not read or write this", WRONG_INPUT),
        (OSError(errno.EFBIG, "File too large", "a.png"), "a.png: the file would be larger than", WRONG_INPUT),
        (OSError(errno.ECONNRESET, "Connection reset"), "the system refuses: Connection reset", WRONG_INPUT),
        (OSError("no such repository\nand a long story"), "no such repository.", WRONG_INPUT),
        (shutil.Error([("a", "b/c", "[Errno 28] No space left on device: 'a'")]), "b/c: the disk is full", WRONG_INPUT),
        (shutil.Error([("a", "b/c", "is odd")]), "b/c: is odd", WRONG_INPUT),
        (ImportError("libx.so: cannot open", name="torch"), "a package cannot be used (libx.so", WRONG_INPUT),
        (ImportError("cannot import name 'x'", name="paced.run"), "PACED_TRACEBACK=1", OUR_FAULT),
        (raised(load_weights, b"short"), "weights cannot be read or written", WRONG_INPUT),
        (raised(json.loads, "{"), "a file is not JSON: Expecting property name", WRONG_INPUT),
        (raised("\ud83d".encode), "cannot be written as utf-8", WRONG_INPUT),
        (raised(b"\xff".decode), "not utf-8 text", WRONG_INPUT),
        (template_error(), "chat template cannot be rendered", WRONG_INPUT),
        (raised(check_number, "beta_kernel", "alpha", "5e-1"), "alpha must be a number, got '5e-1'", WRONG_INPUT),
        (raised(check_counts, "fit", np.array(["a"]), 8), "must hold integers", WRONG_INPUT),
        (raised(lambda: len(3)), "PACED_TRACEBACK=1", OUR_FAULT),
        (raised(check_number, "fit"), "PACED_TRACEBACK=1", OUR_FAULT),
        (raised(exec, OUR_OWN_TYPE_ERROR), "PACED_TRACEBACK=1", OUR_FAULT),
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


@pytest.fixture
def table(tmp_path):
    rows = "".join(f"q{number},{number % 9},8\n" for number in range(60))
    (tmp_path / "rates.csv").write_text("problem_id,num_passed,num_rollouts\n" + rows)
    return tmp_path


def in_shell(command: str, folder: Path):
    """A ``paced`` command in a shell, in a folder; ``paced`` stands for this checkout's."""
    command = command.replace("paced ", f"{sys.executable} -m paced ")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "command", "sentence"),
    [
        ("ulimit -f 1", "fit rates.csv --num-resamples 1", "rates.fit.png: the file would be larger than"),
        ("ulimit -f 0", "weigh rates.csv -o w.csv", "w.csv: the file would be larger than"),
        ("ln -s /dev/full w.csv", "weigh rates.csv -o w.csv", "w.csv: the disk is full"),
        ("ln -s /dev/full x", "fit rates.csv --no-figure --num-resamples 1 --json x", "x: the disk is full"),
        ("true", "weigh rates.csv -o rates.csv/w.csv", "rates.csv: is there already and is not a folder"),
        ("mkdir w.csv", "weigh rates.csv -o w.csv", "w.csv: is a folder. Name a file."),
        ("ln -s w.csv w.csv", "weigh w.csv -o x.csv", "w.csv: no such file"),
    ],
)
def test_a_file_that_cannot_be_written_is_named_with_what_to_do(table, before, command, sentence):
    if before.startswith("ulimit"):  # a limit of a process, which would be this one's
        done = in_shell(f"{before}; paced {command}", table)
    else:
        subprocess.run(before, shell=True, cwd=table, check=True)
        done = paced(*command.split(), cwd=table)
    assert done.returncode == WRONG_INPUT, done.stderr
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list(table.glob(".*"))


def test_json_goes_into_a_pipe_without_replacing_it(table):
    command = "mkfifo pipe; cat pipe > got & paced fit rates.csv --no-figure --num-resamples 1 --json pipe; wait"
    assert in_shell(command, table).returncode == 0
    assert json.loads((table / "got").read_text())["fits"]
    assert (table / "pipe").is_fifo()


@pytest.mark.parametrize(
    "arguments",
    [
        ("evaluate", "runs/a", "--checkpoint", "bas"),
        ("weigh", "rates.csv", "-o", "w.csv", "--weight", "bta"),
        ("weigh", "rates.csv", "-o", "w.csv", "estimator=post"),
    ],
)
def test_a_choice_that_there_is_not_is_answered_with_all_there_are(table, arguments):
    done = paced(*arguments, cwd=table)
    choices = {
        "bas": ("base", "final", "both"),
        "bta": tuple(WEIGHTS),
        "estimator=post": ("plugin", "unbiased", "posterior"),
    }
    assert done.returncode == WRONG_INPUT
    assert all(choice in done.stderr for choice in choices[arguments[-1]])


@pytest.mark.parametrize(
    "arguments", ["--seed -1", "--zpd 0.5", "--zpd nan", "--level 1", "--budget 0", "--num-resamples 0"]
)
def test_a_number_out_of_range_is_wrong_input_and_says_the_range(table, arguments):
    done = paced("fit", "rates.csv", *arguments.split(), cwd=table)
    assert done.returncode == WRONG_INPUT
    assert "Must be" in done.stderr
    assert arguments.split()[0] in done.stderr


@pytest.mark.parametrize("arguments", [("fitt",), ("fit",), ("run", "a.yaml", "--seed", "one")])
def test_an_argument_that_cannot_be_read_is_wrong_input(arguments):
    done = paced(*arguments)
    assert done.returncode == WRONG_INPUT
    assert "Traceback" not in done.stderr + done.stdout


def test_every_extra_a_command_names_exists():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(EXTRAS) <= set(extras)


def commands(application: App):
    return {name: application[name] for name in application if not name.startswith("-")}


@pytest.mark.parametrize("name", commands(app))
def test_every_parameter_of_every_command_has_help(name):
    command = app[name]
    for one in [command] if command.default_command else commands(command).values():
        for argument in one.assemble_argument_collection(parse_docstring=True):
            if argument.parse and argument.show:
                assert argument.parameter.help, f"paced {name}: {argument.name} has no help"
