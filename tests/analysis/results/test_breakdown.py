"""Parts of a set: the columns of its file, in their order, with the change of each part paired by problem."""

from __future__ import annotations

from paced.analysis.results.breakdown import MOST_PARTS, breakdowns
from paced.problems.labels import ProblemLabels
from paced.records import PassRate


def rates(passed, **changes):
    return [PassRate(problem_id=str(k), num_passed=s, num_rollouts=4, **changes) for k, s in enumerate(passed)]


def labels(levels, subjects=None):
    return [
        ProblemLabels(problem_id=str(k), level=level, subject=(subjects or [""] * len(levels))[k])
        for k, level in enumerate(levels)
    ]


def test_every_part_has_its_own_problems_and_its_own_paired_change():
    tables = breakdowns(labels(["1", "1", "2", "2"], ["Algebra", "", "", ""]), rates([4, 4, 0, 0]), rates([4, 4, 2, 4]))
    assert list(tables) == ["level", "subject"]
    assert tables["level"]["level"] == ["1", "2"]
    assert tables["level"]["problems"] == ["2", "2"]
    assert [cell.split()[0] for cell in tables["level"]["change"]] == ["+0.0", "+75.0"]
    assert tables["subject"]["subject"] == ["(none)", "Algebra"]


def test_levels_are_in_the_order_of_their_numbers():
    table = breakdowns(labels(["Level 10", "Level 2", "easy"]), rates([1, 1, 1]))["level"]
    assert table["level"] == ["Level 2", "Level 10", "easy"]
    assert "final" not in table


def test_the_share_that_was_cut_is_that_of_the_part():
    after = [*rates([0], num_truncated=4), PassRate(problem_id="1", num_passed=4, num_rollouts=4)]
    assert breakdowns(labels(["1", "2"]), rates([1, 4]), after)["level"]["cut"] == ["100.0", "0.0"]


def test_a_column_of_one_value_or_of_ids_is_not_a_part():
    many = [str(k) for k in range(MOST_PARTS + 1)]
    assert breakdowns(labels(["1", "1"]), rates([1, 1])) == {}
    assert breakdowns(labels(many), rates([1] * len(many))) == {}


def test_a_part_that_could_not_be_graded_after_training_says_so():
    after = [PassRate(problem_id="0", num_passed=0, num_rollouts=0, num_ungradable=4), *rates([0, 4])[1:]]
    table = breakdowns(labels(["1", "2"]), rates([1, 1]), after)["level"]
    assert (table["final"][0], table["change"][0]) == ("not graded", "not graded")
