"""Which column of someone else's file is meant: the names that the field gives to the same few quantities."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from paced.run.tablefile.cells import shown

COUNT_WORDS = {"num", "n", "nb", "number", "count", "counts", "total", "totals"}
FILL_WORDS = {"of", "per", "max", "all", "graded", "problem", "prompt", "question", "task", "item", "each"}
PASSED_WORDS = {
    "pass", "passes", "passed", "passing", "correct", "corrects", "right", "success", "successes", "successful",
    "solved", "hits", "wins",
}  # fmt: skip
FAILED_WORDS = {
    "fail", "fails", "failed", "failures", "incorrect", "wrong", "unsuccessful", "unsolved", "misses", "losses",
}  # fmt: skip
ROLLOUTS_WORDS = {
    "rollouts", "samples", "trials", "attempts", "generations", "completions", "responses", "answers", "tries", "runs",
    "repeats", "draws", "rollout", "sample", "trial", "attempt", "generation", "completion", "response",
}  # fmt: skip
"""``num_correct``, ``samples_per_problem``, ``total_wrong_answers``: names of counts are made of few words."""

PASSED = ("passes", "corrects", "successes", "hits", "wins", "ncorrect", "npassed", "passed", "solved", "s", "c")
ROLLOUTS = (
    "total", "totals", "group_size", "rollout_n", "out_of", "denominator", "denom", "nsamples", "nrollouts", "ntrials",
    "nattempts", "ntotal", "count", "num", "n", "rollouts", "samples", "trials", "attempts", "tries", "runs", "repeats",
    "draws", "generations", "completions", "responses",
)  # fmt: skip
"""The last ones may hold texts as well, so that any other comes first."""
FAILED = ("fails", "failures", "misses", "losses", "nfailed", "failed", "incorrect", "wrong", "unsolved")
IDS = (
    "problem_id", "id", "uid", "unique_id", "question_id", "prompt_id", "task_id", "item_id", "example_id",
    "problem", "question", "prompt", "index", "idx", "name",
)  # fmt: skip
OUTCOME = (
    "correct", "is_correct", "passed", "is_passed", "pass", "success", "is_success", "solved", "verdict", "acc",
    "accuracy", "score", "reward", "grade", "label", "outcome", "result",
)  # fmt: skip
RATE = (
    "pass_rate", "passrate", "p_hat", "mean_accuracy", "avg_accuracy", "average_accuracy", "mean_score", "mean_reward",
)  # fmt: skip
"""The pass rate s/K, which gives s beside the number of rollouts; so does every name of count words with 'rate'."""
PERHAPS_RATE = ("accuracy", "acc")
"""Names of an outcome that hold the rate where they hold fractions."""
_ONE_ROLLOUT = ("sample", "rollout", "trial", "attempt", "repeat", "generation", "completion", "response", "draw")
PERHAPS_TEXT = ("sample", "rollout", "trial", "attempt", "repeat", "draw")
"""Names that may hold the rollout itself: they number rollouts where they hold numbers."""
SAMPLE = (
    *(f"{noun}_{end}" for noun in _ONE_ROLLOUT for end in ("index", "idx", "id", "number", "num", "no")),
    *PERHAPS_TEXT,
)
"""Which of a problem's rollouts a row is."""
PERHAPS_INDEX = (
    "seed", "epoch", "run", "run_id", "run_index", "run_idx", "replicate", "rep", "round", "try", "candidate",
    "candidate_id", "candidate_index", "iteration", "iter", "index", "idx", "i", "j",
)  # fmt: skip
"""Names that may number rollouts, or be the same for all of them: the rows tell."""


@dataclass(frozen=True)
class Layout:
    """What a file holds and in which of its columns."""

    kind: Literal["counts", "samples", "either"]
    """counts: one row for each problem; samples: one row for each graded rollout; either: only the rows can tell."""
    problem_id: str | None
    """Column of the problem's name; None in a file of counts means that rows are numbered from 0."""
    first: str
    """Column of num_passed, or of the outcome of one rollout."""
    second: str
    """Column of num_rollouts; empty for samples without one."""
    sample_index: str = ""
    """Column that says which rollout of its problem a row is; empty if there is none."""
    also_rollouts: tuple[str, ...] = ()
    """Further columns that are called like a number of rollouts, and must agree with ``second``."""
    rate: bool = False
    """Whether ``first`` holds the pass rate s/K in place of s."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read."""
        names = (self.problem_id, self.first, self.second, self.sample_index, *self.also_rollouts)
        return tuple(name for name in names if name)


def find_layout(file: str, names: Sequence[str]) -> Layout:
    """Recognise the columns of a file.

    Case, spaces and hyphens do not matter. ``k`` is the number of rollouts beside ``s`` and of passes beside ``n``.
    A column such as ``correct`` holds counts beside a number of rollouts and outcomes without one; beside one, its
    rows have the last word (``readings.py``).

    Raises:
        ValueError: one name twice, or columns that cannot be recognised; the message says what was found and what to
            rename.

    Example:
        >>> layout = find_layout("a.csv", ["Problem ID", "n-correct", "n_samples"])
        >>> layout.kind, layout.columns
        ('counts', ('Problem ID', 'n-correct', 'n_samples'))
        >>> find_layout("a.csv", ["k", "n"]).first, find_layout("a.csv", ["s", "K"]).first
        ('k', 's')
        >>> [find_layout("a.csv", ["id", "correct", *more]).kind for more in ([], ["total"])]
        ['samples', 'either']
    """
    by_name: dict[str, str] = {}
    for name in names:
        plain = plain_name(name)
        if plain and plain in by_name:
            raise ValueError(
                f"{file}: column {shown(name)} appears twice (as {shown(by_name[plain])} too). Rename one of the two."
            )
        by_name[plain] = name
    problem_id, outcome, sample = (_first(by_name, spellings) for spellings in (IDS, OUTCOME, SAMPLE))
    passed, failed = _named(by_name, "passed", PASSED), _named(by_name, "failed", FAILED)
    totals = _all_named(by_name, "rollouts", ROLLOUTS)
    rollouts = totals[0] if totals else None
    if "k" in by_name:
        if passed is None and rollouts is not None:
            if outcome is not None:
                raise ValueError(
                    f"{file}: beside {shown(rollouts)}, both {shown(by_name['k'])} and {shown(outcome)} can be the "
                    "number of passes. Rename that one 'num_passed'."
                )
            passed = by_name["k"]
        elif rollouts is None and (passed is not None or outcome is not None):
            rollouts = by_name["k"]
    first = passed or outcome
    if first is not None and rollouts is not None and (sample is None or problem_id is not None):
        also = tuple(name for name in totals if name != rollouts)
        kind: Literal["counts", "either"] = "either" if plain_name(first) in OUTCOME else "counts"
        return Layout(kind, problem_id, first, rollouts, sample or "", also)
    rate = next((name for plain, name in by_name.items() if _is_rate(plain)), None)
    if first is None and rate is not None and rollouts is not None and sample is None:
        also = tuple(name for name in totals if name != rollouts)
        return Layout("counts", problem_id, rate, rollouts, "", also, rate=True)
    if first is not None and failed is not None and sample is None:
        raise ValueError(
            f"{file}: columns {shown(first)} and {shown(failed)} are understood, the number of rollouts is missing. "
            f"Add 'num_rollouts', their sum; or remove {shown(failed)} if each row is one rollout."
        )
    only_counts = passed is not None and plain_name(passed) not in OUTCOME
    if outcome is not None and problem_id is not None and not only_counts:
        return Layout("samples", problem_id, outcome, "", sample or "")
    raise ValueError(_unknown(file, names, by_name, passed, rollouts, outcome))


def named_layout(file: str, names: Sequence[str], columns: Mapping[str, str]) -> Layout:
    """The columns of a file as a person names them.

    Args:
        file: what a message calls it.
        names: of all its columns.
        columns: ``problem_id``; ``num_passed`` and ``num_rollouts``, or ``outcome`` and perhaps ``sample_index``.

    Raises:
        ValueError: another role, a role without its partner, or a column that the file does not have.

    Example:
        >>> named_layout("a.csv", ["uid", "x", "y"], {"problem_id": "uid", "num_passed": "x", "num_rollouts": "y"}).kind
        'counts'
    """
    roles = set(columns)
    counts, samples = {"problem_id", "num_passed", "num_rollouts"}, {"problem_id", "outcome"}
    if roles != counts and roles - {"sample_index"} != samples:
        raise ValueError(
            f"{file}: columns must name problem_id with num_passed and num_rollouts, or with outcome and perhaps "
            f"sample_index, got {', '.join(columns)}."
        )
    absent = [f"{role}: {column}" for role, column in columns.items() if column not in names]
    if absent:
        raise ValueError(
            f"{file}: there is no column {', '.join(absent)}. Columns found: {', '.join(map(shown, names))}."
        )
    if roles == counts:
        return Layout("counts", columns["problem_id"], columns["num_passed"], columns["num_rollouts"])
    return Layout("samples", columns["problem_id"], columns["outcome"], "", columns.get("sample_index", ""))


def plain_name(name: str) -> str:
    """A column's name in lower case with single underscores.

    Example:
        >>> plain_name("N-Samples"), plain_name(" numPassed")
        ('n_samples', 'num_passed')
    """
    return re.sub(r"[\s\-.]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.strip())).lower()


def _is_rate(plain: str) -> bool:
    """Whether a name is that of a pass rate: a listed one, or words of passing and 'rate'."""
    words = set(plain.split("_"))
    return plain in RATE or ("rate" in words and words - {"rate"} <= PASSED_WORDS | {"solve", "mean", "avg"})


def has_a_role(name: str) -> bool:
    """Whether a column of this name would be read as a count, an outcome or the index of a sample."""
    plain = plain_name(name)
    return plain in {*PASSED, *ROLLOUTS, *OUTCOME, *SAMPLE} or _role_by_words(plain) in {"passed", "rollouts"}


def _role_by_words(plain: str) -> str | None:
    """passed, failed or rollouts, for a name that is made of the words of counts only; None for any other."""
    words = set(plain.split("_"))
    if plain in SAMPLE or not words <= COUNT_WORDS | FILL_WORDS | PASSED_WORDS | FAILED_WORDS | ROLLOUTS_WORDS:
        return None
    counts = bool(words & COUNT_WORDS)
    if words & FAILED_WORDS:
        return "failed" if counts or words & ROLLOUTS_WORDS else None
    if words & PASSED_WORDS:
        return "passed" if counts or words & ROLLOUTS_WORDS else None
    if words & ROLLOUTS_WORDS:
        return "rollouts" if counts or words & FILL_WORDS else None
    return "rollouts" if "total" in words and counts and not words & FILL_WORDS else None


def _all_named(by_name: dict[str, str], role: str, spellings: Sequence[str]) -> list[str]:
    """The columns of a role: those whose words say so, then the spellings in their order."""
    listed = [name for name in spellings if name in by_name]
    spoken = [name for name in by_name if name not in spellings and _role_by_words(name) == role]
    # num_samples before max_samples, rollouts before the texts that may be called so
    spoken.sort(key=lambda name: not set(name.split("_")) & COUNT_WORDS)
    return [by_name[name] for name in (*spoken, *listed)]


def _named(by_name: dict[str, str], role: str, spellings: Sequence[str]) -> str | None:
    return next(iter(_all_named(by_name, role, spellings)), None)


def _first(by_name: dict[str, str], spellings: Sequence[str]) -> str | None:
    return next((by_name[name] for name in spellings if name in by_name), None)


def _unknown(
    file: str,
    names: Sequence[str],
    by_name: dict[str, str],
    passed: str | None,
    rollouts: str | None,
    outcome: str | None,
) -> str:
    present = ", ".join(map(shown, names)) or "none"
    wanted = "Columns (num_passed, num_rollouts), or (problem_id, correct) with one row for each rollout, are needed"
    hint = "Rename the columns."
    if passed is not None or rollouts is not None:
        missing, have = ("num_rollouts", passed) if rollouts is None else ("num_passed", rollouts)
        hint = f"Column '{have}' is understood, its partner '{missing}' is missing: add or rename it."
    elif outcome is not None:
        hint = f"Column '{outcome}' is understood, 'problem_id' is missing: add it so that rollouts can be grouped."
    known = {"num_passed", "num_correct", "num_rollouts", "num_samples", *PASSED, *ROLLOUTS, *OUTCOME, *IDS, *SAMPLE}
    for plain, name in by_name.items():
        if "@" in plain:
            hint += (
                f" {shown(name)} alone is not enough: pass@k is 1 if any of k rollouts passed, and only a mean over k "
                "rollouts gives counts; call that one 'pass_rate' beside 'num_rollouts'."
            )
            continue
        near = difflib.get_close_matches(plain, [one for one in known if len(one) > 3], n=1, cutoff=0.8)
        if plain not in known and near:
            hint += f" Did you mean '{near[0]}' by {shown(name)}?"
    if any("rate" in plain for plain in by_name):
        hint += (
            " A pass rate alone is not enough: the number of rollouts decides how much it can be trusted. "
            "Add it as 'num_rollouts'."
        )
    return f"{file}: columns found: {present}. {wanted}. {hint}"
