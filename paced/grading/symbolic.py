r"""What a worker process does: math-verify as a comparator, one pair a line, under limits that the kernel enforces.

Run as ``python -m paced.grading.symbolic``: a line of JSON comes in, one goes out. Before each pair the limit on CPU
time is raised by a fixed amount, so that only a comparison's own time counts and a busy machine does not change a
verdict: past it the kernel ends the process, whatever it is computing. math-verify's own timeouts are off (they need
the main thread and silently become False), its errors are raised, and running out of memory is not a wrong answer.
Left out: which pairs come here (``math.py``) and who starts and ends workers (``workers.py``).
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from typing import Any

CPU_SECONDS = 3
"""CPU time of one comparison."""
MEMORY_BYTES = 1024**3
"""Address space of a worker."""
FLOAT_PLACES = 15
"""Decimal places to which math-verify compares decimals; its default of 6 calls 2^-98 and 2^-99 equal."""
PRECISION = 100
"""Decimal digits to which math-verify evaluates expressions."""


def main() -> None:
    """Compare pairs from standard input until it ends."""
    compare = _make_compare()
    _limit_memory()
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        answer, extracted = json.loads(line)
        _limit_cpu()
        try:
            outcome: dict[str, Any] = {"equal": compare(answer, extracted)}
        except MemoryError:
            outcome = {"fault": f"needs more than {MEMORY_BYTES // 1024**2:,} MiB"}
        except Exception as error:
            outcome = {"fault": f"{type(error).__name__}: {error}"[:200]}
        print(json.dumps(outcome), flush=True)


def _make_compare() -> Callable[[str, str], bool]:
    """math-verify behind one call: True, False, or an exception."""
    import math_verify
    from math_verify import grader

    logging.disable(logging.CRITICAL)
    exhausted: list[BaseException] = []

    def noting(function: Callable[..., Any]) -> Callable[..., Any]:
        """math-verify turns every exception of sympy into False; running out of memory or stack is noted first."""

        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return function(*args, **kwargs)
            except (MemoryError, RecursionError) as error:
                exhausted.append(error)
                raise

        return call

    for name in ("simplify", "solve"):
        setattr(grader, name, noting(getattr(grader, name)))
    config = [math_verify.LatexExtractionConfig(boxed_match_priority=0)]

    def parsed(text: str) -> list[Any]:
        """The text as math-verify reads it; an empty list when it does not."""
        expressions: list[Any] = math_verify.parse(
            rf"\boxed{{{text}}}",
            config,
            fallback_mode="no_fallback",
            extraction_mode="first_match",
            parsing_timeout=None,
        )
        return expressions

    def compare(answer: str, extracted: str) -> bool:
        exhausted.clear()
        gold, said = parsed(answer), parsed(extracted)
        if not gold:
            raise ValueError("math-verify does not read the gold answer")
        equal = bool(said) and bool(
            math_verify.verify(
                gold,
                said,
                float_rounding=FLOAT_PLACES,
                numeric_precision=PRECISION,
                timeout_seconds=None,
                raise_on_error=True,
            )
        )
        if exhausted and not equal:
            raise exhausted[0]
        return equal

    return compare


def _limit_memory() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit_cpu() -> None:
    """Let the kernel end this process when it has used :data:`CPU_SECONDS` more of CPU time than now."""
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + CPU_SECONDS + 1, hard))


if __name__ == "__main__":
    main()
