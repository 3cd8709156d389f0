"""The package with one file changed, in a fork of a process that has loaded the libraries: seconds for a fault."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import signal
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIBRARIES = ("numpy", "scipy.special", "scipy.stats", "scipy.optimize", "scipy.integrate", "sympy", "z3", "flint",
             "mpmath", "hypothesis.strategies", "rich.table", "_pytest.main", "_pytest.doctest",
             "_hypothesis_pytestplugin")  # fmt: skip
SECONDS = 240
"""Of CPU, after which a fault counts as a hang, however busy the machine is."""


class Faulty(importlib.abc.MetaPathFinder, importlib.abc.SourceLoader):
    """Imports one file of the package with another text."""

    def __init__(self, file: str, text: str) -> None:
        self.path = str(ROOT / "paced" / file)
        self.module = "paced." + file.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        self.text = text

    def find_spec(self, fullname, path=None, target=None):
        if fullname != self.module:
            return None
        return importlib.util.spec_from_file_location(fullname, self.path, loader=self)

    def get_filename(self, fullname):
        return self.path

    def get_data(self, path):
        return self.text.encode() if path == self.path else Path(path).read_bytes()

    def get_code(self, fullname):
        return compile(self.text, self.path, "exec")


def load_libraries() -> None:
    """Import once what every fork would."""
    for name in LIBRARIES:
        import_module(name)


def tests_fail(files: Sequence[str]) -> bool:
    """Whether pytest, without what is slow, finds a failure in these files, named from the root; run in a fork."""
    import pytest

    os.chdir(ROOT)
    options = ["-q", "-x", "-p", "no:cacheprovider", "-m", "not slow and not nightly", "--assert=plain"]
    return pytest.main([*options, "--timeout=0", *files]) != 0


def forked(work: Callable[..., int], *arguments: object) -> int:
    """Start ``work`` in a fork, without its output, and return the process; it ends with what ``work`` returns, 1 for
    an exception: a package that does not load has shown its fault."""
    child = os.fork()
    if child:
        return child
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        code = work(*arguments)
    except BaseException:
        code = 1
    os._exit(code)
