"""Claims about the paper's tables: whether the printed numbers fit each other (``tab.forgetting``)."""

from __future__ import annotations

from fractions import Fraction as Fr

from paced.theory.facts.tables import AIME_PROBLEMS, MMLU, REASONING, forgetting_table, mean_at_k_table, reachable
from paced.theory.ledger.claim import Check, Claim, Counterexample, Outcome, Picture, Result, Verdict
from paced.theory.ledger.engines import equal_exactly, refuted, supported


def _forgetting_is_the_difference(*, without: tuple[str, ...] = (), added: str = "0") -> Outcome:
    """Printed forgetting against base minus after, every row of Tables 4 and 5."""
    cases = []
    for table, rows in MMLU.items():
        base = Fr(rows["Base"][0])
        for method, (after, printed) in rows.items():
            if printed is not None and f"{table}: {method}" not in without:
                cases.append(({"row": f"{table}: {method}"}, base - Fr(after) + Fr(added), Fr(printed)))
    return equal_exactly(cases)


def _two_stage_gains(against: str = "KL, KL") -> Outcome:
    """KL then RevKL minus single-loss KL: 1.6, 2.3 and 1.9 points, as the text says."""
    rows = REASONING["Table 8"]
    cases = [
        ({"benchmark": name}, Fr(best) - Fr(other), Fr(difference))
        for name, best, other, difference in zip(
            ("MATH-500", "AIME 24", "AIME 25"), rows["KL, RevKL"], rows[against], ("1.6", "2.3", "1.9"), strict=True
        )
    ]
    return equal_exactly(cases)


def _rows_repeat() -> Outcome:
    """The default run is in three tables with the same numbers."""
    paced = REASONING["Table 2"]["Paced Forward KL"]
    return equal_exactly(
        ({"table": table, "column": column}, Fr(REASONING[table][row][column]), Fr(paced[column]))
        for table, row in (("Table 7", "K = 8"), ("Table 8", "KL, KL"))
        for column in range(3)
    )


def aime_values() -> dict[str, str]:
    """Every AIME value once: where it is printed -> as printed."""
    repeated = {("Table 7", "K = 8"), ("Table 8", "KL, KL")}
    return {
        f"{table}: {row}, {name}": value
        for table, rows in REASONING.items()
        for row, values in rows.items()
        if (table, row) not in repeated
        for name, value in zip(("AIME 24", "AIME 25"), values[1:], strict=True)
    }


def unreachable(num_samples: int = 8) -> dict[str, str]:
    """AIME values that no single mean@k on 30 problems prints as, rounded or cut."""
    return {
        place: value
        for place, value in aime_values().items()
        if not reachable(value, num_problems=AIME_PROBLEMS, num_samples=num_samples)
    }


def _all_reachable(num_samples: int) -> Outcome:
    bad = unreachable(num_samples)
    if bad:
        place, value = next(iter(bad.items()))
        return refuted(
            f"{len(bad)} of {len(aime_values())} values are not a mean@{num_samples}",
            place=place,
            value=value,
            engine="exact",
        )
    return supported(len(aime_values()), engine="exact")


def _reachable_by_listing(samples: int = 8) -> Outcome:
    """``reachable`` against printing all multiples of 1/240, for every value with one digit."""
    from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

    total = AIME_PROBLEMS * samples
    means = [Decimal(100 * count) / Decimal(240) for count in range(241)]
    step = Decimal("0.1")
    rounded = {str(mean.quantize(step, ROUND_HALF_UP)) for mean in means}
    cut = {str(mean.quantize(step, ROUND_DOWN)) for mean in means}
    cases = []
    for tenth in range(1001):
        value = f"{tenth // 10}.{tenth % 10}"
        ways = reachable(value, num_problems=AIME_PROBLEMS, num_samples=total // AIME_PROBLEMS)
        cases.append(
            (
                {"value": value},
                int("rounded" in ways) + 2 * int("cut" in ways),
                int(value in rounded) + 2 * int(value in cut),
            )
        )
    return equal_exactly(cases)


AKL_ROW = "Table 4: AKL"

CLAIMS = (
    Claim(
        id="tab.forgetting",
        where="Tables 4 and 5",
        title="Forgetting is base minus after, except in one row",
        verdict=Verdict.LOOSE,
        paper="AKL keeps 68.6 % on MMLU, a forgetting of 2.8 %.",
        statement="Printed forgetting equals base minus after in every row of both tables but AKL's in Table 4: 73.2 - 68.6 = 4.6, not 2.8.",
        latex=r"\text{forgetting}=\text{base}-\text{after}",
        hypotheses=("printed digits are exact",),
        proof="Subtraction.",
        repair="Read 4.6 for 2.8, or 70.4 % for 68.6 %; the table does not say which.",
        numbers=lambda: {"base - after, AKL": float(Fr("73.2") - Fr("68.6")), "printed": 2.8},
        counterexample=Counterexample(
            "AKL in Table 4: base 73.2, after 68.6, printed forgetting 2.8.",
            evaluate=lambda: {"base - after": float(Fr("73.2") - Fr("68.6")), "printed": 2.8},
        ),
        picture=Picture(
            "forgetting",
            forgetting_table,
            "Forgetting in Tables 4 and 5 as the difference of the two scores, and as printed.",
        ),
        checks=(
            Check(
                "exact",
                "seven of the eight rows agree",
                "Tables 4 and 5",
                _forgetting_is_the_difference,
                given={"without": (AKL_ROW,)},
                fails={"0.1 more in every row": {"added": "0.1"}},
            ),
            Check("exact", "the AKL row of Table 4 agrees", "one row", _forgetting_is_the_difference, Result.REFUTED),
        ),
    ),
    Claim(
        id="tab.gains",
        where="Tables 2, 7 and 8",
        title="The two-stage gains and the repeated rows agree",
        verdict=Verdict.TRUE,
        paper="KL then RevKL improves over single-loss Paced KL by 1.6 (MATH-500), 2.3 (AIME 24) and 1.9 (AIME 25).",
        statement="Forward then reverse KL is 1.6, 2.3 and 1.9 points above single-loss forward KL; the default run has the same numbers in Tables 2, 7 and 8.",
        latex=r"95.6-94.0=1.6,\quad 43.9-41.6=2.3,\quad 37.5-35.6=1.9",
        proof="Subtraction.",
        checks=(
            Check(
                "exact",
                "the three gains",
                "Table 8",
                _two_stage_gains,
                fails={"against two stages of reverse KL": {"against": "RevKL, RevKL"}},
            ),
            Check("exact", "one run in three tables", "Tables 2, 7, 8", _rows_repeat),
        ),
    ),
    Claim(
        id="tab.aime",
        where="Tables 2, 3, 7 and 8, AIME columns",
        title="Most AIME values are not a mean@8 on 30 problems",
        verdict=Verdict.LOOSE,
        paper="For each problem 8 responses are sampled and mean@8 is reported.",
        statement="mean@8 on 30 problems is a multiple of 1/240. Of the 30 AIME values printed, 17 are none, neither rounded nor cut; an average of several runs could print as any of them.",
        latex=r"\text{mean@8}\in\{0,\tfrac1{240},\dots,1\}",
        functions=(reachable,),
        hypotheses=("one evaluation of 30 problems with 8 samples each",),
        proof="List the 241 values.",
        repair="State the number of runs averaged, and the interval: one run's standard error is several points.",
        numbers=lambda: {"values printed": float(len(aime_values())), "no mean@8": float(len(unreachable()))},
        counterexample=Counterexample(
            "35.9 % is between 86/240 = 35.83 % and 87/240 = 36.25 %.",
            evaluate=lambda: {"86/240": 100 * 86 / 240, "printed": 35.9, "87/240": 100 * 87 / 240},
        ),
        picture=Picture(
            "nearest_means",
            lambda: mean_at_k_table(aime_values()),
            "The nearest mean@8 on 30 problems, minus the printed value. Within the band it is rounded or cut to it.",
        ),
        checks=(
            Check(
                "exact",
                "reachable agrees with listing all means",
                "0.0 to 100.0",
                _reachable_by_listing,
                fails={"nine samples in place of eight": {"samples": 9}},
            ),
            Check("exact", "every printed value is a mean@8", "30 values", lambda: _all_reachable(8), Result.REFUTED),
            Check(
                "exact", "every printed value is a mean@32", "30 values", lambda: _all_reachable(32), Result.SUPPORTED
            ),
        ),
    ),
)
