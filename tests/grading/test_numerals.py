"""The reader of numbers gives the number that was written, in any dress and any text, or none; never a part of it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paced.grading.extract import EXTRACTIONS, after_thinking
from paced.grading.grade import grade_rollout
from paced.grading.numerals import last_number, parse_integer, read_quantity
from paced.records import Problem, Rollout

GUIDE = Path(__file__).parents[2] / "docs" / "grading.md"


def comma_groups(n):
    return f"{n:,}"


DRESSES = {
    "bare": str,
    "thousands commas": comma_groups,
    "LaTeX commas": lambda n: comma_groups(n).replace(",", "{,}"),
    "comma and thin back-space": lambda n: comma_groups(n).replace(",", r",\!"),
    "thin spaces": lambda n: comma_groups(n).replace(",", r"\,"),
    "blanks": lambda n: comma_groups(n).replace(",", " "),
    "narrow no-break spaces": lambda n: comma_groups(n).replace(",", "\u202f"),
    "dollar": lambda n: rf"\${n}",
    "sign before dollar": lambda n: f"-${-n}" if n < 0 else f"${n}",
    "percent": lambda n: rf"{n}\%",
    "degrees": lambda n: rf"{n}^\circ",
    "braced degrees": lambda n: rf"{n}^{{\circ}}",
    "text unit": lambda n: rf"{n} \text{{ cm}}",
    "square unit": lambda n: rf"{n}\text{{ cm}}^2",
    "mathrm unit": lambda n: rf"{n}\,\mathrm{{km/h}}",
    "in text": lambda n: rf"\text{{{n}}}",
    "named": lambda n: f"x = {n}",
    "detached sign": lambda n: f"- {-n}" if n < 0 else f"+ {n}",
    "Unicode minus": lambda n: str(n).replace("-", "−"),
    "full width": lambda n: "".join(chr(ord(character) + 0xFEE0) for character in str(n)),
    "Answer line with a noun": lambda n: f"Answer: {n} apples",
    "inline math": lambda n: rf"\({n}\)",
    "display math": lambda n: rf"\[{n}\]",
    "dollars": lambda n: f"${n}$",
    "bold": lambda n: f"**{n}**",
    "boxed": lambda n: rf"\boxed{{{n}}}",
    "trailing dot": lambda n: f"{n}.",
    "decimal zeros": lambda n: f"{n}.00",
    "leading zeros": lambda n: str(n).replace("-", "-00") if n < 0 else f"00{n}",
}
GROUPED = [name for name in DRESSES if "comma" in name or "space" in name or name == "blanks"]
WORDS = st.sampled_from(["", "so we get ", "It follows that\n", "12 + 30 gives ", "答案是 ", "= ", "1/2 and then "])


@pytest.mark.parametrize("dress", DRESSES)
@given(n=st.one_of(st.integers(-2_000, 2_000), st.integers(-(10**30), 10**30)))
def test_an_integer_is_read_in_every_dress(dress, n):
    assert parse_integer(DRESSES[dress](n)) == n


@pytest.mark.parametrize("dress", ["bare", "sign before dollar", "percent", "degrees", "text unit", *GROUPED])
@given(n=st.integers(-(10**12), 10**12), before=WORDS, after=st.sampled_from(["", ".", "\n", " apples.", "!", ")"]))
def test_the_last_number_is_whole_whatever_is_around_it(dress, n, before, after):
    if before and before[-1].isspace() and before.strip()[-1:].isdigit():
        return
    assert parse_integer(last_number(before + DRESSES[dress](n) + after)) == n


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (".5", "1/2"), ("-.5", "-1/2"), ("3.5e-4", "0.00035"), ("2e3", "2000"), (r"6\times 10^{4}", "60000"),
        ("6 × 10^4", "60000"), ("1/2", "1/2"), (r"\frac{3}{8}", "3/8"), (r"\dfrac38", "3/8"), ("4/2", "2"),
        (r"2^{10}", "1024"), ("10²", "100"), ("-$5", "-5"), ("－5", "-5"), ("‐5", "-5"), ("- 5", "-5"),
        ("1{,}234{,}567", "1234567"), (r"10,\!080", "10080"), ("12 345", "12345"), ("2 2/3", "8/3"),
        (r"2\frac{2}{3}", "8/3"), (r"-1 \tfrac{1}{2}", "-3/2"),
    ],
)  # fmt: skip
def test_a_fraction_exponent_or_mixed_number_has_its_own_value_and_is_not_cut(written, value):
    for text in (written, f"the value is {written.lstrip('- ')}." if written == "- 5" else f"we get: {written}."):
        number = last_number(text)
        quantity = read_quantity(number)
        expected = Fraction(value)
        assert quantity is not None
        assert abs(quantity[0]) == abs(expected)
        if written != "- 5" or text == written:
            assert quantity[0] == expected


@pytest.mark.parametrize(
    "written",
    ["1,5", "0,123", "12,34", "2024-01-05", "3/4/2020", "1.2.3", "12:30", "3:4", "4210_5", r"2\sqrt{3}", r"\sqrt{16}",
     r"5\pi", "2½", r"\frac{x+1}{8}", "(1,2)", "2^{n}", "1/0", "10^{99999}", "9e99999999"],
)  # fmt: skip
def test_what_is_not_one_integer_gives_none_and_none_of_its_parts(written):
    assert parse_integer(written) is None
    number = last_number(f"we get {written}")
    assert number is None or parse_integer(number) is None


@given(
    parts=st.lists(st.integers(0, 99_999).map(str), min_size=2, max_size=4),
    glue=st.sampled_from([".", ",", ":", "/", "e", "^", " / "]),
)
def test_digits_glued_to_a_number_never_become_a_number_of_their_own(parts, glue):
    written = glue.join(parts)
    number = last_number(f"so: {written}.")
    whole = read_quantity(written)
    if number is not None and (quantity := read_quantity(number)) is not None and glue != "e":
        assert whole is not None
        assert quantity[0] == whole[0]


@pytest.mark.parametrize("text", ["5 or 6", "5 not 6", "3m", "5 million", "5 dozen", "5 cm 6", "5 x", "x", "5 of them"])
def test_a_word_that_changes_or_doubts_the_number_is_not_a_unit(text):
    assert parse_integer(text) is None


@pytest.mark.parametrize(
    ("answer", "said", "verdict"),
    [("5 cm", "5 m", "incorrect"), ("5 cm", r"5\text{ cm}", "correct"), ("5 cm", "5", "correct"),
     (r"10,\!080", "10080", "correct"), (r"90^\circ", "90°", "correct"), (r"5\%", r"\$5", "incorrect"),
     (r"\$5", "5 dollars", "correct"),
     ("34 apples", "34 apple", "correct"), ("34 apples", "34 pears", "incorrect")],
)  # fmt: skip
def test_the_gold_answer_is_read_as_the_completion_is_and_two_different_units_differ(answer, said, verdict):
    task = Problem(problem_id="a", problem="?", answer=answer, answer_type="integer")
    rollout = Rollout(problem_id="a", sample_index=0, token_ids=(1,), text=said, finish_reason="stop", seed=1)
    assert grade_rollout(task, rollout, answer_format="whole").verdict == verdict


@pytest.mark.parametrize(
    "unit",
    ["1 ", "1,", "1/", "1^{", "^", "_1", r"\frac{", r"\frac{1}{", r"\sqrt{", "- ", "$", "1 000 ", "1e", "1\\times 10",
     r"\boxed{", r"\boxed ", "answer", "answer: ", "#### ", "**", "#", "Answer\n", "<think>", r"\text{", " ", "\n",
     "１", "1:", "a", "1a", "x5", "¹", "1'", "1 and ", "5x/", "A$", "\\color{", "\\text{\\text{a}", "answer is ",
     "[THINK]", "<answer>", "°", "1.("],
)  # fmt: skip
def test_every_format_finishes_on_100_000_characters_of_adversarial_text(unit):
    """A pattern that backtracks would not end; what is read is a part of the text or nothing."""
    text = (unit * 100_000)[:100_000]
    for extraction in EXTRACTIONS.values():
        extracted = extraction(after_thinking(text))
        assert extracted is None or len(extracted) <= len(text)
        assert isinstance(parse_integer(extracted or ""), int | None)
    assert isinstance(parse_integer(text[:4000]), int | None)


def table_of(heading):
    """Cells of the table under a heading of the guide, without back-ticks; ⏎ is a line break."""
    section = GUIDE.read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip().strip("`").strip().replace("⏎", "\n") for cell in row] for row in rows[2:]]


def test_the_guides_table_of_dresses_is_what_the_reader_does():
    rows = table_of("Numbers")
    assert len(rows) >= 25
    for written, value in rows:
        quantity = read_quantity(written)
        read = "not read" if quantity is None else " ".join([str(quantity[0]), quantity[1]]).strip()
        assert (written, read) == (written, value)


def test_the_guides_table_of_places_is_what_the_formats_do():
    rows = table_of("Where the answer is")
    assert {row[0] for row in rows} == set(EXTRACTIONS)
    for answer_format, text, answer in rows:
        extracted = EXTRACTIONS[answer_format](after_thinking(text))
        assert (text, extracted or "no answer") == (text, answer)
