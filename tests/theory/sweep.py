"""Make every one-token fault of a file in turn and print those that the ledger does not see.

``PYTHONPATH=tests python -m theory.sweep theory/facts/kernel.py weights/fit/fit.py`` tries each number + 1, each
operator exchanged and each comparison turned round, with every check and control of the ledger until one differs. What
survives is either no fault (an equivalent formula, a tolerance, a message) or a hole in the checks.

The libraries are loaded once and each fault gets a fork of that process: a second or two a fault, in place of ten.
"""

from __future__ import annotations

import ast
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from theory.faulty import ROOT, Faulty, forked, load_libraries

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


def _try(file: str, text: str, order: list[list]) -> int:
    """0: not seen; 1: seen, as ``paced verify --strict`` would; run in a fork."""
    sys.meta_path.insert(0, Faulty(file, text))
    from paced.theory.ledger.runner import Task, run_task

    return int(any(not run_task(Task(*task)).as_expected for task in order))


def _baseline(path: Path) -> int:
    """Every task with its seconds, fastest first; the ledger must pass as it is."""
    from paced.theory.ledger.ledger import ledger
    from paced.theory.ledger.runner import run_task, tasks_of

    ran = sorted(map(run_task, tasks_of(ledger().values())), key=lambda one: one.seconds)
    assert all(one.as_expected for one in ran)
    path.write_text(json.dumps([list(one.task) for one in ran]))
    return 0


def main(*files: str) -> None:
    """Try every fault of ``paced/<file>`` for each file, two at a time."""
    load_libraries()
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "order.json"
        assert os.waitpid(forked(_baseline, record), 0)[1] == 0, "the ledger fails without a fault"
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
        for number, _, faulty in faults("\n".join(lines)):
            text = "\n".join([*lines[: number - 1], faulty, *lines[number:], ""])
            running[forked(_try, file, text, order)] = (file, number, faulty)
            if len(running) >= (os.cpu_count() or 1):
                collect()
    while running:
        collect()
    for file, (seen, tried) in tally.items():
        print(f"{file}: {seen} of {tried} faults seen", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
