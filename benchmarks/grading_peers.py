"""How this grader decides the pairs of math-verify's own tests, as plain math-verify decides them in the same run.

    pip download --no-binary math-verify --no-deps math-verify==0.9.0
    python benchmarks/grading_peers.py math_verify-0.9.0.tar.gz [--show]

The pairs (gold, prediction, verdict) are read out of the tests' source as literals; none of it is run. Their
predictions are often a bare expression, which is put into a box here; prose in which an expression is to be found
somewhere is left out and counted: this grader reads no answer there on purpose. A gold answer loses its box.
"""

from __future__ import annotations

import argparse
import ast
import logging
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from grading import graded

from paced.grading.extract import boxed
from paced.grading.guess import answer_type_of

WHOLE = re.compile(r"^\s*(\$\$?)(?P<inside>[^$]*)\1\s*$", re.DOTALL)
PROSE = re.compile(r"(?<![\\A-Za-z{])[A-Za-z]{2,}.*[\s$]|:\s")


class Pair(NamedTuple):
    """One row of a test's table."""

    test: str
    gold: str
    said: str
    equal: bool


def pairs_of(source: str, file: str) -> Iterator[Pair]:
    """Rows of ``parametrize`` tables that are two texts and a 0 or 1."""
    for function in ast.walk(ast.parse(source)):
        if not isinstance(function, ast.FunctionDef):
            continue
        for decorator in function.decorator_list:
            if not isinstance(decorator, ast.Call) or len(decorator.args) < 2:
                continue
            for row in getattr(decorator.args[1], "elts", []):
                try:
                    values = ast.literal_eval(row)
                except ValueError:  # a row with a call in it
                    continue
                if isinstance(values, tuple) and len(values) == 3 and all(isinstance(one, str) for one in values[:2]):
                    yield Pair(f"{file}::{function.name}", values[0], values[1], bool(values[2]))


def bare(text: str) -> str:
    """The answer without dollars around the whole of it."""
    match = WHOLE.match(text)
    return match["inside"] if match else text


def gold_of(pair: Pair) -> str:
    """The gold answer as a data set would give it: out of its box, where the test has one."""
    return (boxed(pair.gold) or pair.gold) if "\\boxed" in pair.gold else bare(pair.gold)


def completion(said: str) -> str | None:
    """A completion with ``said`` as its answer; None for a text with no form that an answer is looked for in."""
    if "\\boxed" in said or "inal answer" in said.lower():
        return said
    return f"\\boxed{{{bare(said)}}}" if WHOLE.match(said) or not PROSE.search(said) else None


def by_math_verify(pair: Pair) -> bool:
    """What plain math-verify says of the pair as its tests give it."""
    from math_verify import parse, verify

    return bool(verify(parse(pair.gold), parse(pair.said)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="math-verify's source distribution, a .tar.gz")
    parser.add_argument("--show", action="store_true", help="print every pair that is not decided as the tests say")
    asked = parser.parse_args()
    logging.disable(logging.CRITICAL)
    pairs: list[Pair] = []
    with tarfile.open(asked.source) as archive:
        for member in archive.getmembers():
            if re.search(r"/tests/test_\w+\.py$", member.name) and (file := archive.extractfile(member)):
                pairs += pairs_of(file.read().decode("utf-8"), Path(member.name).name)
    formless = sum(completion(pair.said) is None for pair in pairs)
    pairs = [pair for pair in pairs if completion(pair.said) is not None]
    print(f"{formless} pairs of prose without a form are left out")
    rows = [{"gold": gold_of(pair), "response": completion(pair.said) or ""} for pair in pairs]
    grades = [graded([row], answer_type_of(row["gold"]))[0][0] for row in rows]
    ours = [grade.verdict == "correct" for grade in grades]
    theirs = [by_math_verify(pair) for pair in pairs]
    for name, verdicts in (("paced", ours), ("math-verify", theirs)):
        right = sum(verdict == pair.equal for verdict, pair in zip(verdicts, pairs, strict=True))
        false = sum(verdict and not pair.equal for verdict, pair in zip(verdicts, pairs, strict=True))
        print(f"{name:12s} {right} of {len(pairs)} as the tests say, {false} false corrects")
    if asked.show:
        for pair, grade, verdict in zip(pairs, grades, theirs, strict=True):
            if (grade.verdict == "correct") != pair.equal:
                print(f"  {pair.test}: {pair.gold[:120]!r} | {pair.said[-120:]!r} | tests {pair.equal}", end="")
                print(f", math-verify {verdict}, ours {grade.verdict}: {grade.reason}")


if __name__ == "__main__":
    main()
