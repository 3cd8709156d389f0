"""Make every one-token fault of a file in turn and print those that the ledger does not see.

``PYTHONPATH=tests python -m theory.sweep theory/kernel.py eq3 prop3 rem5`` tries each number + 1 and each operator
exchanged, on a copy of the package, with the checks of the named claims. What survives is either no fault (an
equivalent formula) or a hole in the checks.
"""

from __future__ import annotations

import ast
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from theory.mutations import ROOT, Mutation, is_caught

EXCHANGED = {" + ": " - ", " - ": " + ", " * ": " / ", " / ": " * ", "**": "*"}


def faults(text: str) -> Iterator[tuple[str, str]]:
    """(line, faulty line) for each number and each binary operator that stands on one line."""
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and type(node.value) in (int, float) and node.lineno == node.end_lineno:
            start, end, new = node.col_offset, node.end_col_offset, repr(node.value + 1)
        elif isinstance(node, ast.BinOp) and node.left.end_lineno == node.right.lineno == node.lineno:
            start, end = node.left.end_col_offset, node.right.col_offset
            old = lines[node.lineno - 1].encode()[start:end].decode()
            if old not in EXCHANGED:
                continue
            new = EXCHANGED[old]
        else:
            continue
        line = lines[node.lineno - 1].encode()
        faulty = (line[:start] + new.encode() + line[end:]).decode()
        if text.count(line.decode()) == 1:
            yield line.decode(), faulty


def main(file: str, *claims: str) -> None:
    """Try every fault of ``paced/<file>``."""
    tried = missed = 0
    for old, new in faults((ROOT / "paced" / file).read_text(encoding="utf-8")):
        mutation = Mutation(file, old, new, claims)
        with tempfile.TemporaryDirectory() as folder:
            caught = is_caught(mutation, Path(folder))
        tried += 1
        if not caught:
            missed += 1
            print("not seen:", mutation, flush=True)
    print(f"{file}: {tried - missed} of {tried} faults seen")


if __name__ == "__main__":
    main(*sys.argv[1:])
