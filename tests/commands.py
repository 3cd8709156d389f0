"""A `paced` command in the process of the tests: the output, the sentence and the exit code of a process of its own."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from subprocess import CompletedProcess

from paced.cli.app import run_command

ROOT = Path(__file__).parents[1]


def paced(*arguments: object, cwd: Path = ROOT) -> CompletedProcess[str]:
    """What ``python -m paced ARGUMENTS`` gives, without paying for its imports again."""
    command = [str(one) for one in arguments]
    output, errors = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors), contextlib.chdir(cwd):
        code = run_command(command)
    texts = (stream.buffer.getvalue().decode() for stream in (output, errors))
    return CompletedProcess(["paced", *command], code, *texts)
