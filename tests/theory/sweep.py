"""Make every one-token fault of a file in turn and print those that neither its tests nor the ledger see.

``PYTHONPATH=tests python -m theory.sweep theory/facts/kernel.py weights/fit/fit.py`` tries each number + 1, each
operator exchanged and each comparison turned round: first with the examples of the file and the tests of its folder (no
claim executes the report of a fit or the refusal of an engine), then with every check and control of the ledger until
one differs. ``--sample 20`` tries twenty faults of each file, drawn at random. What survives is either no fault (an
equivalent formula, a tolerance, a message) or a hole in the checks.

The libraries are loaded once and each fault gets a fork of that process: a second or two a fault, in place of ten.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import re
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from theory.faulty import ROOT, Faulty, forked, load_libraries, tests_fail

EXCHANGED = {" + ": " - ", " - ": " + ", " * ": " / ", " / ": " * ", "**": "*"}
TURNED = {" < ": " > ", " > ": " < ", " <= ": " >= ", " >= ": " <= "}


def faults(text: str) -> Iterator[tuple[int, str, str]]:
    """(line number, line, faulty line) for each number, binary operator and comparison that is on one line."""
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and type(node.value) in (int, float) and node.lineno == node.end_lineno:
            start, end, new = node.col_offset, node.end_col_offset, repr(node.value + 1)
        elif isinstance(node, ast.BinOp) and node.left.end_lineno == node.right.lineno == node.lineno:
            start, end = node.left.end_col_offset, node.right.col_offset
            new = _other(lines[node.lineno - 1], start, end, EXCHANGED)
        elif isinstance(node, ast.Compare) and len(node.ops) == 1 and node.lineno == node.end_lineno:
            start, end = node.left.end_col_offset, node.comparators[0].col_offset
            new = _other(lines[node.lineno - 1], start, end, TURNED)
        else:
            continue
        if new:
            line = lines[node.lineno - 1].encode()
            yield node.lineno, line.decode(), (line[:start] + new.encode() + line[end:]).decode()


def _other(line: str, start: int, end: int, table: dict[str, str]) -> str:
    """What to write for the operator between two operands; brackets beside it stay."""
    between = line.encode()[start:end].decode()
    for old, new in table.items():
        if between.strip("()") == old:
            return between.replace(old, new)
    return ""


def related_tests(file: str) -> list[str]:
    """The file, for its examples, and the tests of its folder, those that name it first."""
    stem = re.compile(rf"\b{Path(file).stem}\b")
    tests = sorted((ROOT / "tests" / file).parent.glob("test_*.py"), key=lambda one: not stem.search(one.read_text()))
    return [f"paced/{file}", *(str(one.relative_to(ROOT)) for one in tests)]


def _try(file: str, text: str, order: list[list]) -> int:
    """0: not seen; 1: seen, by a test or as ``paced verify --strict`` would; run in a fork."""
    sys.meta_path.insert(0, Faulty(file, text))
    if tests_fail(related_tests(file)):
        return 1
    from paced.theory.ledger.runner import Task, run_task

    return int(any(not run_task(Task(*task)).as_expected for task in order))


def _baseline(path: Path, files: Sequence[str]) -> int:
    """Every task, fastest first; the ledger and the tests must pass as they are."""
    signal.setitimer(signal.ITIMER_PROF, 0)  # all of them together take longer than a fault may
    from paced.theory.ledger.ledger import ledger
    from paced.theory.ledger.runner import run_task, tasks_of

    ran = sorted(map(run_task, tasks_of(ledger().values())), key=lambda one: one.seconds)
    assert all(one.as_expected for one in ran)
    path.write_text(json.dumps([list(one.task) for one in ran]))
    return int(tests_fail(sorted({name for file in files for name in related_tests(file)})))


def main(files: Sequence[str], sample: int | None, workers: int) -> None:
    """Try the faults of ``paced/<file>`` for each file, or this many drawn at random, ``workers`` at a time."""
    load_libraries()
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "order.json"
        assert os.waitpid(forked(_baseline, record, files), 0)[1] == 0, "a claim or test fails without a fault"
        order = json.loads(record.read_text())
    running: dict[int, tuple[str, int, str]] = {}
    tally = {file: [0, 0] for file in files}

    def collect() -> None:
        child, status = os.wait()
        file, number, faulty = running.pop(child)
        tally[file][1] += 1
        if status == 0 or os.WIFSIGNALED(status):
            print("not seen:" if status == 0 else "hangs:", f"{file}:{number}: {faulty.strip()}", flush=True)
        else:
            tally[file][0] += 1

    for file in files:
        lines = (ROOT / "paced" / file).read_text(encoding="utf-8").splitlines()
        chosen = list(faults("\n".join(lines)))
        if sample is not None and sample < len(chosen):
            chosen = random.Random(file).sample(chosen, sample)
        for number, _, faulty in chosen:
            text = "\n".join([*lines[: number - 1], faulty, *lines[number:], ""])
            running[forked(_try, file, text, order)] = (file, number, faulty)
            if len(running) >= workers:
                collect()
    while running:
        collect()
    for file, (seen, tried) in tally.items():
        print(f"{file}: {seen} of {tried} faults seen", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="FILE", help="below paced/, such as theory/facts/kernel.py")
    parser.add_argument("--sample", type=int, metavar="N", help="this many faults of each file (default: all)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, metavar="N")
    main(**vars(parser.parse_args()))
