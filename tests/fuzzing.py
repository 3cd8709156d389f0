"""How inputs are fuzzed: 200 in CI, 10,000 nightly, each under a watch for hangs and for anything that executes.

A check passes for an input when the code under test returns or raises an error that the caller can act on. Executing is
noticed twice: an audit hook sees what this process does, and texts that try it would leave :data:`MARKER` behind, also
from a worker process.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

IN_CI, NIGHTLY = 200, 10_000
HANG_SECONDS = 120
"""Longer than any input may take on the slowest machine; every one takes milliseconds."""
FOLDER = Path(tempfile.mkdtemp(prefix="paced-fuzz-"))
MARKER = FOLDER / "executed"
"""Made by a text that was run."""
FORBIDDEN = frozenset({"os.system", "os.exec", "os.posix_spawn", "os.putenv", "pickle.find_class", "ctypes.dlopen"})
"""Audit events that no reading, extracting or comparing causes."""
OPENS = ("subprocess.Popen",)
"""Forbidden as well where no worker process is expected."""

_watched: list[frozenset[str]] = []
_seen: list[str] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _watched and event in _watched[-1]:
        _seen.append(f"{event}{arguments!r}"[:200])


sys.addaudithook(_hook)


@contextlib.contextmanager
def watched(*, workers: bool = False) -> Iterator[None]:
    """Fail when what is inside takes too long or executes something."""

    def too_long(number: int, frame: object) -> None:
        raise TimeoutError(f"an input took more than {HANG_SECONDS} s")

    _seen.clear()
    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(0 if workers else HANG_SECONDS)  # workers have limits of their own, and many pairs take their time
    _watched.append(FORBIDDEN if workers else FORBIDDEN | set(OPENS))
    try:
        yield
    finally:
        _watched.pop()
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert not _seen, _seen
    assert not MARKER.exists()


def fuzzed(*strategies: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a test of a check: called with inputs of these strategies, 200 in CI and 10,000 under the mark nightly."""

    def decorate(check: Callable[..., None]) -> Callable[..., None]:
        @pytest.mark.parametrize("num_inputs", [IN_CI, pytest.param(NIGHTLY, marks=pytest.mark.nightly)])
        def test(num_inputs: int) -> None:
            _fuzz(check, strategies, num_inputs)

        test.__name__, test.__doc__ = check.__name__, check.__doc__
        return test

    return decorate


def fuzzed_each(
    names: Sequence[str], inputs_of: Callable[[str], st.SearchStrategy[Any]]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a test of a check for several named parts: 200 inputs in CI over all of them, nightly 10,000 for each.

    Args:
        names: of the parts.
        inputs_of: name -> strategy of what the check is called with.
    """

    def decorate(check: Callable[..., None]) -> Callable[..., None]:
        nightly = [pytest.param((name,), NIGHTLY, marks=pytest.mark.nightly, id=name) for name in names]

        @pytest.mark.parametrize(("parts", "num_inputs"), [pytest.param(tuple(names), IN_CI, id="all"), *nightly])
        def test(parts: tuple[str, ...], num_inputs: int) -> None:
            _fuzz(check, (st.sampled_from(parts).flatmap(inputs_of),), num_inputs)

        test.__name__, test.__doc__ = check.__name__, check.__doc__
        return test

    return decorate


def _fuzz(check: Callable[..., None], strategies: Sequence[st.SearchStrategy[Any]], num_inputs: int) -> None:
    own = settings(
        max_examples=num_inputs,
        deadline=None,
        derandomize=num_inputs == IN_CI,
        suppress_health_check=list(HealthCheck),
    )
    own(given(*strategies)(check))()


PAYLOADS = [
    f"__import__('os').system('touch {MARKER}')",
    f"__import__('pathlib').Path('{MARKER}').touch()",
    f"!!python/object/apply:os.system ['touch {MARKER}']",
    f"!!python/object/new:os.system ['touch {MARKER}']",
    f"{{{{ ''.__class__.__mro__[1].__subclasses__() }}}}{{% import os %}}`touch {MARKER}`$(touch {MARKER})",
    f'\\input{{|"touch {MARKER}"}}\\write18{{touch {MARKER}}}',
    f"exec(\"open('{MARKER}','w')\")",
    "cos\nsystem\n(S'true'\ntR.",
]
"""Texts that would run if anything ran them."""
BOMBS = [
    "9^{9^{9^{9}}}",
    "9**9**9**9",
    "2^{10^{9}}",
    "(" * 3000 + "1" + ")" * 3000,
    "{" * 3000 + "}" * 3000,
    "9" * 200_000,
    "\\frac{" * 500 + "1" + "}{2}" * 500,
    "100000!",
    "((((10!)!)!)!)!",
    "\\binom{10^9}{5 \\cdot 10^8}",
    "(a+b+c+d+e+f+g+h)^{60}",
    "\\begin{pmatrix}" + "1&" * 2000 + "1\\end{pmatrix}",
    "\\sqrt[" * 300 + "2" + "]{3}" * 300,
    "1e999999999",
    "1/0",
    "0^0",
    "\\sum_{n=1}^{10^{12}} n",
    "\\int_0^{10^9} e^{e^x} dx",
    "\\boxed{" * 2000,
    "\\text{" * 800,
    "$" * 5000,
    "-" * 5000,
    ",".join("1" * 5000),
    "\\left(" * 900,
    "<think>" * 2000,
    "1" + "0" * 5000 + "!",
    "\\infty" * 400,
    "10^{-10^{10}}",
    "x" * 100_000,
    "+1" * 4000,
]
"""Answers that cost a naive reader all its time, memory or stack."""
STRANGE = [
    "",
    " ",
    "\0",
    "\ufeff",
    "\u2028",
    "\u202e",
    "\x1b[31m",
    "\ud83d",
    "\r",
    "\r\n",
    "\t",
    "NaN",
    "-inf",
    "1e400",
    "１２",
    "٣",
    "½",
    "²",
    "𝟙",
    "null",
    "true",
    "~",
    "1_000",
    "0x10",
    "010",
    "1:30",
    "=1+1",
    "@a",
    '"',
    '""',
    "'",
    "\\",
    "#",
    "{",
    "}",
    "[",
    "]",
    ":",
    "- ",
    "*a",
    "&a",
]
"""Characters and words that readers take for something else."""
words = st.one_of(
    st.sampled_from(STRANGE),
    st.sampled_from(PAYLOADS),
    st.text(max_size=12),
    st.integers().map(str),
    st.floats().map(str),
)
texts = st.lists(words, max_size=6).map("".join)
cells: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts),
    lambda inside: st.one_of(st.lists(inside, max_size=3), st.dictionaries(texts, inside, max_size=3)),
    max_leaves=6,
)
"""Whatever a cell of JSON can hold."""
