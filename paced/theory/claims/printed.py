"""Sentences of the paper about its own tables: the abstract, Table 6, MMLU columns, AKL, the hard filter, Table 9."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction as Fr
from itertools import pairwise
from typing import Any

from paced.theory.facts.printed import (
    ABSTRACT,
    EXPONENTS,
    FORGETTING,
    MIGRATION,
    kernel_peak,
    middle_share,
    migration_table,
    trade_table,
)
from paced.theory.facts.tables import MMLU, REASONING
from paced.theory.ledger.claim import Check, Claim, Counterexample, Outcome, Picture, Result, Verdict
from paced.theory.ledger.engines import equal_exactly, proved, refuted, supported

Case = tuple[Mapping[str, Any], Any, Any]
PACED = {"Table 2": "Paced Forward KL", "Table 3": "Paced Reverse KL", "Table 4": "Paced Forward KL", "Table 5": "Paced Reverse KL"}  # fmt: skip


def _abstract(against: str = "Base") -> Outcome:
    """MATH-500 and AIME 2025 over the base model, both tracks, and forgetting of 0.2 and 0.6."""
    cases: list[Case] = []
    for table, gains in ABSTRACT.items():
        rows = REASONING[table]
        base = rows[against] if against in rows else rows["AKL"]
        for column, gain in zip((0, 2), gains, strict=True):
            cases.append(
                ({"table": table, "column": column}, Fr(rows[PACED[table]][column]) - Fr(base[column]), Fr(gain))
            )
    for table, forgotten in (("Table 4", "0.2"), ("Table 5", "0.6")):
        rows_of = MMLU[table]
        difference = Fr(rows_of["Base"][0]) - Fr(rows_of[PACED[table]][0])
        cases.append(({"table": table}, difference, Fr(forgotten)))
    return equal_exactly(cases)  # fmt: skip


def _exponents(default: tuple[int, int] = (1, 1)) -> Outcome:
    """(1, 2) is 1.4 above the default in MATH-500; both kernels that peak above 1/2 are below it; all forget more."""
    best, forgotten = (Fr(x) for x in EXPONENTS[default])
    cases: list[Case] = [({"row": "(1, 2)"}, Fr(EXPONENTS[1, 2][0]) - best, Fr("1.4"))]
    for row, (score, other) in EXPONENTS.items():
        if row != default:
            cases.append(({"row": str(row), "column": "forgetting"}, int(Fr(other) > forgotten), 1))
            if row != (1, 1):
                cases.append(
                    ({"row": str(row), "column": "MATH-500"}, int(Fr(score) > best), int(kernel_peak(row) < Fr(1, 2)))
                )
    return equal_exactly(cases)  # fmt: skip


def _forgetting_grows_with_the_distance(
    sides: tuple[tuple[tuple[int, int], ...], ...] = (((1, 1), (1, 2), (1, 3)), ((1, 1), (2, 1), (3, 1))),
) -> Outcome:
    """The sentence that a kernel further from the default forgets more, on both sides of 1/2."""
    for side in sides:
        for near, far in pairwise(side):
            if not Fr(EXPONENTS[near][1]) < Fr(EXPONENTS[far][1]):
                return refuted("the further one forgets less", near=str(near), far=str(far),
                               forgets_near=EXPONENTS[near][1], forgets_far=EXPONENTS[far][1], engine="exact")  # fmt: skip
    return supported(4, engine="exact")


def _rollout_rows(halved: str = "K = 4") -> Outcome:
    """K = 4 costs 1.2 and 1.4 points, K = 16 adds 0.5 and 0.6; forgetting 0.2, 0.2, 0.3."""
    rows = REASONING["Table 7"]
    cases: list[Case] = []
    for first, second, column, difference in (
        ("K = 8", halved, 0, "1.2"), ("K = 8", halved, 2, "1.4"), ("K = 16", "K = 8", 0, "0.5"), ("K = 16", "K = 8", 2, "0.6"),
    ):  # fmt: skip
        cases.append(
            ({"from": second, "column": column}, Fr(rows[first][column]) - Fr(rows[second][column]), Fr(difference))
        )
    for row in ("K = 4", "K = 8"):
        cases.append(
            ({"forgetting": row}, Fr(FORGETTING["Table 7"][row]), Fr(MMLU["Table 4"]["Paced Forward KL"][1] or 0))
        )
    return equal_exactly(cases)  # fmt: skip


def _reversed_order(order: str = "RevKL, KL") -> Outcome:
    """Reverse then forward KL is below both single losses on every benchmark and forgets the most."""
    rows, forgetting = REASONING["Table 8"], FORGETTING["Table 8"]
    for single in ("KL, KL", "RevKL, RevKL"):
        for column in range(3):
            if not Fr(rows[order][column]) < Fr(rows[single][column]):
                return refuted("not below a single loss", order=order, single=single, column=column, engine="exact")
    if Fr(forgetting[order]) < max(Fr(value) for value in forgetting.values()):
        return refuted("another row forgets more", order=order, engine="exact")
    return proved("exact", "6 comparisons and 4 rows of forgetting")


def _beats_akl(rival: str = "AKL") -> Outcome:
    """Paced above AKL on all three benchmarks of both tracks, and forgets no more."""
    for table, stable in (("Table 2", "Table 4"), ("Table 3", "Table 5")):
        for column in range(3):
            if not Fr(REASONING[table][PACED[table]][column]) > Fr(REASONING[table][rival_of(rival, table)][column]):
                return refuted("the rival is ahead", table=table, column=column, engine="exact")
        mine, other = MMLU[stable][PACED[stable]][0], MMLU[stable][rival_of(rival, table)][0]
        if not Fr(mine) >= Fr(other):
            return refuted("the rival forgets less", table=stable, paced=mine, rival=other, engine="exact")
    return proved("exact", "6 benchmarks and 2 columns of MMLU")


def rival_of(name: str, table: str) -> str:
    """Row of a method in a table, where the loss is in its name."""
    if name == "Hard Filter":
        return "Hard Filter Forward KL" if table == "Table 2" else "Hard Filter Reverse KL"
    return name


def _least_forgetting(table: str = "Table 4") -> Outcome:
    """Paced has the smallest forgetting of a table's methods."""
    kept = {row: Fr(values[0]) for row, values in MMLU[table].items() if row != "Base"}
    best = max(kept, key=lambda row: kept[row])
    if best != PACED[table]:
        return refuted("another method forgets less", table=table, method=best, engine="exact")
    return supported(len(kept), engine="exact")


def _filter_against_paced(rival: str = "Hard Filter Reverse KL") -> Outcome:
    """Forgetting in Table 5 and the gain in reasoning in Table 3."""
    kept, scores = MMLU["Table 5"], REASONING["Table 3"]
    base = Fr(kept["Base"][0])
    cases: list[Case] = [
        ({"row": "filter"}, base - Fr(kept[rival][0]), Fr("0.5")),
        ({"row": "Paced"}, base - Fr(kept[PACED["Table 5"]][0]), Fr("0.6")),
    ]
    for column, gain in enumerate(("1.7", "2.7", "3.1")):
        cases.append(({"column": column}, Fr(scores[PACED["Table 3"]][column]) - Fr(scores[rival][column]), Fr(gain)))
    return equal_exactly(cases)


def _is_a_minority(step: str = "Step 0") -> Outcome:
    """The middle bin is less than half of the problems."""
    share = middle_share(step)
    if not share < Fr(1, 2):
        return refuted("a majority", step=step, share=str(share), engine="exact")
    return supported(1, engine="exact")


def _rows_sum(total: int = 100) -> Outcome:
    """Every row of Table 9 sums to 100 %; the high bin and the average rise, the others fall."""
    rows = [tuple(Fr(x) for x in row) for row in MIGRATION.values()]
    cases: list[Case] = [({"step": step}, sum(Fr(x) for x in row[:3]), total) for step, row in MIGRATION.items()]
    for before, after in pairwise(rows):
        signs = [int(b > a) for a, b in zip(before, after, strict=True)]
        cases.append(({"from": str(before[3])}, signs, [0, 0, 1, 1]))
    return equal_exactly(cases)


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="tab.abstract",
        where="Abstract; Tables 2 to 5",
        title="The abstract's gains are those of the tables",
        verdict=Verdict.TRUE,
        paper="+7.5 on MATH-500 and +14.8 on AIME 2025 over the base model at 0.2 % forgetting; in self-distillation +9.8 and +13.6.",
        statement="Paced minus base is 7.5 and 14.8 points in Table 2, 9.8 and 13.6 in Table 3; base minus Paced on MMLU is 0.2 and 0.6.",
        latex=r"94.0-86.5=7.5,\quad 35.6-20.8=14.8,\quad 93.7-83.9=9.8,\quad 25.1-11.5=13.6",
        proof="Subtraction.",
        checks=(Check("exact", "six differences", "Tables 2 to 5", _abstract, fails={"against AKL": {"against": "AKL"}}),),
    ),
    Claim(
        id="tab6",
        where="Table 6, section 4.3.1",
        title="The exponents trade reasoning against forgetting, but not in order",
        verdict=Verdict.LOOSE,
        paper="A clear trade-off between reasoning gains and forgetting as the kernel shape shifts; the default offers the best balance.",
        statement="(1, 2) is 1.4 points above the default, kernels that peak above 1/2 are below it, and all four forget more than the default. Forgetting does not grow with "
        "the distance from it: (2, 1) forgets 1.8, (3, 1) only 1.7, and on that side less reasoning goes with more forgetting: no trade.",
        latex=r"\text{forgetting}:\ (1,3)\,2.4>(1,2)\,0.9>(1,1)\,0.2,\qquad (2,1)\,1.8>(3,1)\,1.7",
        functions=(kernel_peak,),
        hypotheses=("one run each; no interval is printed",),
        proof="Subtraction.",
        repair="Towards harder problems reasoning is bought with forgetting, (1, 3) excepted; towards easier ones both get worse.",
        counterexample=Counterexample(
            "(3, 1) is further from the default than (2, 1) and forgets less.",
            evaluate=lambda: {"(2, 1)": float(EXPONENTS[2, 1][1]), "(3, 1)": float(EXPONENTS[3, 1][1])},
        ),
        picture=Picture("exponents_trade", trade_table, "Table 6: MATH-500 against forgetting on MMLU, by (α, β)."),
        checks=(
            Check("exact", "1.4 points, and which rows are above and forget more", "5 rows", _exponents,
                  fails={"(1, 2) as the default": {"default": (1, 2)}}),
            Check("exact", "forgetting grows with the distance from the default", "both sides of 1/2", _forgetting_grows_with_the_distance, Result.REFUTED),
        ),
    ),
    Claim(
        id="tab7.rollouts",
        where="Table 7, section 4.3.2",
        title="What K = 4, 8 and 16 give",
        verdict=Verdict.TRUE,
        paper="Halving K costs 1.2 points on MATH-500 and 1.4 on AIME 25 while forgetting is unchanged; doubling yields 0.5 and 0.6.",
        statement="The four differences are as said. Forgetting is 0.2, 0.2 and 0.3, the first two those of Table 4. K = 16 costs twice the rollouts for 0.5 points.",
        latex=r"94.0-92.8=1.2,\quad 35.6-34.2=1.4,\quad 94.5-94.0=0.5,\quad 36.2-35.6=0.6",
        depends_on=("x14",),
        proof="Subtraction. Under x14 each further rollout buys less too.",
        checks=(Check("exact", "four differences and two repeated cells", "Table 7", _rollout_rows, fails={"K = 16 for K = 4": {"halved": "K = 16"}}),),
    ),
    Claim(
        id="tab8.order",
        where="Table 8, section 4.3.3",
        title="Reversing the two stages is below both single losses",
        verdict=Verdict.TRUE,
        paper="Reversing the order (RevKL, KL) underperforms both single-loss baselines.",
        statement="Reverse then forward KL is below forward-forward and reverse-reverse on all three benchmarks, and its forgetting, 0.3, is the largest of the four rows.",
        latex=r"92.1<93.2<94.0,\quad 38.9<40.9<41.6,\quad 33.7<35.3<35.6",
        proof="Comparison.",
        checks=(Check("exact", "six comparisons and the MMLU column", "Table 8", _reversed_order, fails={"the other order": {"order": "KL, RevKL"}}),),
    ),
    Claim(
        id="tab.akl",
        where="section 4.2, AKL baseline comparison",
        title="Paced is ahead of AKL everywhere",
        verdict=Verdict.TRUE,
        paper="Paced consistently outperforms AKL on all reasoning benchmarks in both tracks, with comparable or lower forgetting.",
        statement="Paced is above AKL on six benchmarks and keeps at least as much of MMLU in both tracks. The same holds against the hard filter on the six benchmarks, not on MMLU.",
        latex=r"94.0>91.9,\ 41.6>39.8,\ 35.6>34.1;\quad 93.7>91.4,\ 31.6>28.2,\ 25.1>21.5",
        depends_on=("tab.forgetting",),
        proof="Comparison; whichever of AKL's two MMLU cells is right, its forgetting is above Paced's.",
        checks=(Check("exact", "six benchmarks and two columns of MMLU", "Tables 2 to 5", _beats_akl, fails={"the hard filter for AKL": {"rival": "Hard Filter"}}),),
    ),
    Claim(
        id="tab5.filter",
        where="Tables 4 and 5, section 4.2",
        title="The hard filter forgets less than Paced in self-distillation",
        verdict=Verdict.TRUE,
        paper="In self-distillation Paced keeps forgetting in the low range (0.6 points) while preserving the largest reasoning gains.",
        statement="Paced forgets least of all in Table 4 (0.2). In Table 5 the hard filter forgets 0.5 and Paced 0.6; what the kernel adds there is reasoning, 1.7, 2.7 and "
        "3.1 points over the filter. One run each, and no interval is printed.",
        latex=r"70.6-70.1=0.5<70.6-70.0=0.6",
        proof="Subtraction.",
        checks=(
            Check("exact", "Paced forgets least in Table 4", "4 methods", _least_forgetting, Result.SUPPORTED, fails={"Table 5": {"table": "Table 5"}}),
            Check("exact", "0.5 and 0.6 in Table 5, and 1.7, 2.7 and 3.1 points of reasoning in Table 3", "2 methods", _filter_against_paced,
                  fails={"AKL for the hard filter": {"rival": "AKL"}}),
        ),
    ),
    Claim(
        id="tab9.minority",
        where="section 4.4, Table 9",
        title="The informative minority is a majority at the start",
        verdict=Verdict.LOOSE,
        paper="The kernel assigns near-zero weight to the crowded tails and concentrates training on the informative minority.",
        statement="At step 0, when the weights are made, the middle bin holds 51 % of the problems. It is a minority from step 100 on: 32, 24 and 21 %.",
        latex=r"51\,\%>\tfrac12",
        functions=(middle_share,),
        hypotheses=("the middle bin is what the sentence calls informative",),
        proof="Table 9; rows sum to 100 %.",
        repair="Say half of the problems; the tails hold 49 %.",
        numbers=lambda: {step: float(middle_share(step)) for step in MIGRATION},
        counterexample=Counterexample("Step 0.", evaluate=lambda: {"middle bin": float(middle_share("Step 0"))}),
        picture=Picture("migration", migration_table, "Table 9: shares of the problems by pass rate during training; the line is one half."),
        checks=(
            Check("exact", "the middle bin is a minority at step 0", "Table 9", _is_a_minority, Result.REFUTED),
            Check("exact", "it is one at step 100", "Table 9", lambda: _is_a_minority("Step 100"), Result.SUPPORTED),
            Check("exact", "rows sum to 100, and move as the text says", "Table 9", _rows_sum, fails={"a sum of 99": {"total": 99}}),
        ),
    ),
)  # fmt: skip
