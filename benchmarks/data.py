"""How long it takes to read a problem set the size of DAPO-Math-17k as it is published, and how much memory.

    python benchmarks/data.py            # 1,791,700 rows = 17,917 problems x 100, as in the public file
    python benchmarks/data.py --rows 1000000 --distinct   # a million different problems, as JSON lines

The rows are made, not downloaded: text lengths, columns, types and the wrapper are those of the public file. It is
read in a process of its own, so that the peak of its memory is that of the reading.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from paced.problems.wrappers import ENDS, STARTS

PROBLEMS, TIMES = 17_917, 100
MESSAGE = pa.struct([("content", pa.string()), ("role", pa.string())])
SCHEMA = pa.schema(
    [
        ("data_source", pa.string()),
        ("prompt", pa.list_(MESSAGE)),
        ("ability", pa.string()),
        ("reward_model", pa.struct([("ground_truth", pa.string()), ("style", pa.string())])),
        ("extra_info", pa.struct([("index", pa.string())])),
    ]
)
READ = """
import json, resource, sys, time
from paced.problems.files import read_problems
start, cpu = time.perf_counter(), time.process_time()
file = read_problems(sys.argv[1])
seconds = time.perf_counter() - start
cpu = time.process_time() - cpu
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps(file.counts() | {"seconds": seconds, "peak_bytes": peak, "cpu_seconds": cpu}))
"""


def texts(count: int, rng: np.random.Generator) -> list[str]:
    """Different problems of about 250 characters."""
    words = ["let", "the", "be", "a", "of", "triangle", "$x^2$", "$\\frac{1}{2}$", "with", "side", "find", "integers"]
    return [f"Problem {i}. " + " ".join(rng.choice(words, rng.integers(20, 70))) + "?" for i in range(count)]


def dapo_like(path: Path) -> int:
    """Write the file in the public file's order (the whole set again and again), one row group for each hundredth."""
    rng = np.random.default_rng(0)
    rows = [
        {
            "data_source": "math_dapo",
            "prompt": [{"content": f"{STARTS[0]}\n\n{text}\n\n{ENDS[0]}", "role": "user"}],
            "ability": "MATH",
            "reward_model": {"ground_truth": str(rng.integers(0, 10_000)), "style": "rule-lighteval/MATH_v2"},
            "extra_info": {"index": f"{rng.integers(0, 2**63):032x}"},
        }
        for text in texts(PROBLEMS, rng)
    ]
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    with pq.ParquetWriter(path, SCHEMA) as writer:
        for _ in range(TIMES // 10):
            writer.write_table(pa.concat_tables([table] * 10).combine_chunks())
    return PROBLEMS * TIMES


def distinct_lines(path: Path, count: int) -> int:
    """Write different problems as JSON lines."""
    rng = np.random.default_rng(0)
    some = texts(10_000, rng)
    with path.open("w") as file:
        for number in range(count):
            text = f"{number}: {some[number % len(some)]}"
            file.write(json.dumps({"problem": text, "answer": str(number % 997), "solution": text}) + "\n")
    return count


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--distinct", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("set.jsonl" if arguments.distinct else "dapo.parquet")
        start = time.perf_counter()
        count = distinct_lines(path, arguments.rows) if arguments.distinct else dapo_like(path)
        print(f"{count:,} rows, {path.stat().st_size / 1e6:,.0f} MB, written in {time.perf_counter() - start:.0f} s")
        done = subprocess.run(
            [sys.executable, "-c", READ, str(path)], capture_output=True, text=True, check=True, env=dict(os.environ)
        )
        result = json.loads(done.stdout)
        print(
            f"{result['adapter']}: {result['rows']:,} rows = {result['problems']:,} problems + {result['repeated']:,} "
            f"repeats + {result['quarantined']:,} bad, in {result['seconds']:.1f} s "
            f"({result['cpu_seconds']:.1f} s of CPU), "
            f"peak memory {result['peak_bytes'] / 1e6:,.0f} MB"
        )


if __name__ == "__main__":
    main()
