"""What a problem set holds, and sets that share nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number

from paced.cli.app import app
from paced.cli.arguments import Count, JsonFile, Seed
from paced.cli.endings import DONE, FAILED
from paced.cli.running import write_json_text

Output = Annotated[Path, Parameter(alias="-o")]
Share = Annotated[float, Parameter(validator=Number(gt=0, lte=1))]
WORDS, LIKENESS = 8, 0.5

data = App(name="data", help="What a problem set holds, and sets that share nothing.", group="Problem sets")
app.command(data)


@data.command(group="Problem sets")
def inspect(
    problems: Path, *, adapter: str = "auto", answer_format: str = "boxed", json: JsonFile = None
) -> int:  # fmt: skip
    """Show how a problem set is read: adapter, counts, answer types, conflicts, failing golds, and two rows.

    Everything that is wrong is shown at once. Exits with 1 when there are bad rows or failing golds.

    Parameters
    ----------
    problems
        JSON, CSV or parquet, gzipped or not, a folder of files or a pattern.
    adapter
        How the columns are read: auto, found by their names, or the name of an adapter.
    answer_format
        Where a completion writes its answer, as each gold is graded against itself.
    json
        Write everything as one JSON object to this file; `-` prints it instead of the text.
    """
    import json as json_text

    from paced.pipeline.inspect_data import inspect_problems

    seen = inspect_problems(problems, adapter=adapter, answer_format=answer_format)
    if not write_json_text(json, json_text.dumps(seen.as_json(), indent=2, default=str)):
        print(printable(seen.report()))
    return FAILED if seen.failing or seen.file.quarantined else DONE


@data.command(group="Problem sets")
def overlap(
    train: Path, held_out: Path, *, words: Count = WORDS, likeness: Share = LIKENESS, train_adapter: str = "auto",
    held_out_adapter: str = "auto", show: Count = 10, json: JsonFile = None,
) -> int:  # fmt: skip
    """Find the problems of a held-out set that are in a training set: the same text, or nearly the same.

    Exits with 1 when there are any.

    Parameters
    ----------
    train
        The training set.
    held_out
        The set that should share nothing with it.
    words
        Words of the n-grams by which texts are compared.
    likeness
        Share of the shorter text's n-grams that both must have.
    train_adapter
        How the training set's columns are read.
    held_out_adapter
        How the held-out set's columns are read.
    show
        Pairs that are shown.
    json
        Write all pairs as a JSON list to this file; `-` prints it instead of the text.
    """
    import dataclasses
    import json as json_text

    from paced.problems.files import read_problems
    from paced.problems.overlap import find_overlap

    training = read_problems(train, adapter=train_adapter).problems
    unseen = read_problems(held_out, adapter=held_out_adapter).problems
    shared = find_overlap(training, unseen, words=words, likeness=likeness)
    if write_json_text(json, json_text.dumps([dataclasses.asdict(one) for one in shared], indent=2)):
        return FAILED if shared else DONE
    exact = sum(one.kind == "exact" for one in shared)
    lines = [
        f"{len(training):,} training problems, {len(unseen):,} held out",
        f"shared: {exact:,} exactly, {len(shared) - exact:,} nearly (from {likeness:g} of all {words}-grams)",
    ]
    texts = {problem.problem_id: problem.problem for problem in (*training, *unseen)}
    for one in shared[:show]:
        gold = "" if one.same_gold else ", another answer"
        lines += [
            f"{one.kind} {one.likeness:.2f}: held-out {one.held_out_id}, training {one.train_id}{gold}",
            f"  | {' '.join(texts[one.held_out_id].split())[:160]}",
            f"  | {' '.join(texts[one.train_id].split())[:160]}",
        ]
    print(printable("\n".join(lines)))
    return FAILED if shared else DONE


@data.command(group="Problem sets")
def split(
    problems: Path, *, output: Output, shares: str = "0.5,0.5", seed: Seed = 1,
    disjoint: Annotated[bool, Parameter(negative="")] = False, adapter: str = "auto",
    on_bad_row: Literal["error", "quarantine"] = "error",
) -> int:  # fmt: skip
    """Cut a problem set into parts that share no problem, OUTPUT/part-1.parquet and so on.

    Parameters
    ----------
    problems
        The problem set.
    output
        Folder of the parts.
    shares
        Share of each part, with commas between.
    seed
        The same seed gives the same parts, in whatever order the problems come.
    disjoint
        Keep problems that are nearly the same in one part, and check that no two parts share any.
    adapter
        How the columns are read.
    on_bad_row
        By default error; quarantine puts bad rows aside in OUTPUT/bad-rows.jsonl.
    """
    from paced.pipeline.training_file import write_reading
    from paced.problems.files import read_problems
    from paced.problems.split import split as cut
    from paced.records import Problem
    from paced.run.storage import write_parquet

    try:
        numbers = [float(share) for share in shares.split(",")]
    except ValueError:
        raise ValueError(
            f"split: shares must be numbers with commas between, such as 0.5,0.5, got {shares!r}."
        ) from None
    file = read_problems(problems, adapter=adapter, on_bad_row=on_bad_row)
    parts = cut(file.problems, numbers, seed=seed, disjoint=disjoint)
    for note in file.notes:
        print(printable(f"note: {note}"))
    write_reading(file, output / "problems.json", output / "bad-rows.jsonl")
    for number, part in enumerate(parts, start=1):
        path = output / f"part-{number}.parquet"
        write_parquet(path, part, Problem)
        print(f"{path}: {len(part):,} problems")
    return DONE


@data.command(group="Problem sets")
def fetch(name: str, *, output: Output, split: str, config: str = "") -> int:
    """Write one split of a data set of the Hugging Face hub as a parquet file, at a commit.

    Parameters
    ----------
    name
        OWNER/NAME@COMMIT, the commit with all its 40 digits.
    output
        The file, .parquet.
    split
        Such as train or test.
    config
        The configuration, where the data set has several.
    """
    from paced.problems.hub import fetch as fetch_set

    rows, content = fetch_set(name, output, split=split, config=config)
    print(f"{output}: {rows:,} rows, sha256 {content}")
    return DONE


def printable(text: str) -> str:
    """A text of strangers without what a terminal obeys; line breaks stay."""
    return "".join(one if one.isprintable() or one == "\n" else f"\\x{ord(one):02x}" for one in text)
