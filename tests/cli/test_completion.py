"""Completion in a real shell, from the script that ``paced --install-completion`` writes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ASK = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 )); COMPREPLY=()
_paced
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """The script for bash, in a home of its own: installing adds a line to the start-up file there."""
    home = tmp_path_factory.mktemp("home")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HOME": str(home)}
    command = [sys.executable, "-m", "paced", "--install-completion", "--shell", "bash", "-o", str(home / "paced.bash")]
    subprocess.run(command, env=environment, cwd=home, capture_output=True, check=True)
    assert str(home / "paced.bash") in (home / ".bashrc").read_text()
    return home / "paced.bash"


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (("dat",), {"data"}),
        (("data", ""), {"inspect", "overlap", "split", "fetch"}),
        (("fit", "rates.csv", "--lev"), {"--level"}),
        (("rate", "--attention", ""), {"sdpa", "eager", "flash_attention_2"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bash_completes_commands_options_and_choices(script, typed, offered):
    done = subprocess.run(
        ["bash", "-c", ASK, "bash", script, "paced", *typed], capture_output=True, text=True, check=True
    )
    assert {word.strip() for word in done.stdout.splitlines()} >= offered
    if len(offered) == 1:
        assert set(done.stdout.split()) == offered


def test_every_command_is_in_the_script(script):
    from paced.cli.commandpage import commands

    words = set(re.findall(r"[\w-]+", script.read_text()))
    assert not [name for name in commands() if not words.issuperset(name.split())]
