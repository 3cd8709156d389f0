r"""What counts as equal: each rule with examples and counterexamples, the table that docs/grading.md shows.

A test grades every pair of it and compares the page with it; ``equality.py`` is the code behind it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule on equality, shown in docs/grading.md."""

    name: str
    """What the reason of a verdict says."""
    text: str
    """The rule in words."""
    equal: tuple[tuple[str, str], ...]
    """(gold, answer) that the rule makes equal."""
    unequal: tuple[tuple[str, str], ...]
    """(gold, answer) that it keeps apart."""


RULES = (
    Rule("value", "Expressions are equal when their values are, for all values of their variables: to 40 digits at every "
         "point tried. Variables are real; a point outside of the domain of either side says nothing.",
         ((r"\frac{\sqrt{2}}{2}", r"1/\sqrt{2}"), ("(x+1)^2", "x^2+2x+1"), (r"\frac{7}{3}", r"2\frac{1}{3}")),
         ((r"\frac{1}{2004!}", r"\frac{1}{2006!}"), ("2^{-99}", "2^{-98}"), ("x+1", "y+1"))),
    Rule("decimal", "A decimal is the exact value that it writes (tolerance 0): a rounding is not the fraction or the surd. "
         "A bar, dots behind a figure that is there three times, or brackets repeat.",
         (("1/2", "0.50"), (r"\frac{1}{3}", r"0.\overline{3}"), ("1/3", "0.333...")),
         ((r"\frac{1}{3}", "0.33"), (r"\sqrt{2}", "1.41421356"), (r"\pi", "3.14"))),
    Rule("percent", "The sign % may be absent on one side; with it a value is also a hundredth.",
         ((r"50\%", "50"), ("50", r"50\%"), (r"50\%", "0.5"), (r"\frac{1}{2}", r"50\%")), ((r"50\%", r"5\%"), ("0.5", "50"))),
    Rule("degree", "The sign of a degree may be absent; degrees are not turned into radians.",
         ((r"90^\circ", "90"), ("90", r"90^{\circ}"), (r"90^\circ", r"90\text{ degrees}")), ((r"90^\circ", r"\frac{\pi}{2}"),)),
    Rule("currency", "A currency may be absent; two different ones are incorrect.",
         ((r"\$5", "5"), (r"\$5.00", "5 dollars")), ((r"\$5", "€5"), (r"\$5", "5 cents"))),
    Rule("unit", "A unit may be absent; two different ones are incorrect, whatever their ratio.",
         ((r"5\text{ cm}", "5"), ("5", "5 cm"), (r"2\sqrt{3}\text{ cm}", r"\sqrt{12}")), ((r"5\text{ cm}", "5 m"), ("1 m", "100 cm"), ("3", "3m"))),
    Rule("label", "A name before = is dropped on either side; two single letters that differ are incorrect.",
         (("5", "x=5"), ("x=5", "5"), ("2x+3", "y=2x+3"), ("5", "5 = x")), (("x=5", "y=5"), ("5", "x>5"))),
    Rule("equation", "Equations are equal when the difference of the sides is the same up to a constant factor.",
         (("x+y=1", "2x+2y-2=0"),), (("x+y=1", "x+y=2"),)),
    Rule("choice", "The letter of an option counts, with or without brackets, full stop or the option's text; where the "
         "gold answer says letter and text, the text alone counts too.",
         (("B", r"\text{(B)}"), ("B", "B. 12"), ("(B) 12", "12"), ("(B) 12", "B")), (("B", "C"), ("B", "b or c"), ("(B) 12", "(B) 13"))),
    Rule("rounding", r"An answer may give its rounding behind the value, A \approx B: either of the two counts. A rounding "
         "alone is a decimal.",
         ((r"\sqrt{2}", r"\sqrt{2} \approx 1.41"), (r"\sqrt{2}", r"x = \sqrt{2} \approx 1.41")), ((r"\sqrt{2}", r"\approx 1.41"),)),
    Rule("list", "Lists and sets have no order, and a list is equal to a set with the same elements. A point that is "
         "there twice counts once; a number in a list does not.",
         (("1, 2", "2,1"), (r"\{1,2\}", "2, 1"), ("1,-1", r"x=1\text{ or }x=-1"), ("(1,2),(2,1)", "(1,2),(2,1),(1,2)")), (("2,2,3", "2,3"), ("1, 2", "1, 2, 3"), ("1", "1, 2"), ("1,2", "(1,2)"))),
    Rule("tuple", "Tuples, points and vectors have an order.",
         (("(1,2)", r"\left(1,\frac{4}{2}\right)"), ("(1,2,3)", r"\langle 1,2,3\rangle")), (("(1,2)", "(2,1)"), ("(1,2)", "(1,2,3)"))),
    Rule("interval", "Open and closed ends differ; an inequality for one variable is its interval; unions have no order.",
         ((r"[0,\infty)", r"x \ge 0"), ("x<1", "-x>-1"), ("(1,3]", r"1 < x \le 3"), (r"(0,1)\cup(2,3)", r"(2,3) \cup (0,1)")), (("[0,1]", "[0,1)"), ("x>5", r"x\ge5"))),
    Rule("matrix", "Matrices are equal entry by entry, whatever their brackets.",
         ((r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{bmatrix}1&2\\3&\frac{8}{2}\end{bmatrix}"),),
         ((r"\begin{pmatrix}1&2\end{pmatrix}", r"\begin{pmatrix}1\\2\end{pmatrix}"),)),
    Rule("base", "The base of a number may be absent; two different ones are incorrect, and so is another base's way to "
         "write the same number.",
         (("4210_5", "4210"), ("4210_5", r"4210_{\text{five}}"), ("4210_5", "4210 base 5")), (("4210_5", "4210_6"), ("1101_2", "13"))),
    Rule("digits", "Leading zeros and separators of thousands mean nothing.",
         (("073", "73"), ("10,000", "10000"), ("10{,}000", r"10\,000"), ("1,2,3", "1, 2, 3")), (("1,2", "12"), ("1000", "1,00"))),
    Rule("clock", "Times are equal at the same minute; am and pm may be absent only from the gold answer.",
         (("9:00", "9:00 PM"), ("9:00 PM", r"9\text{ p.m.}"), ("9:00 PM", "21:00")), (("9:00 PM", "9:00 AM"), ("9:00 PM", "9:00"))),
    Rule("ratio", "Ratios are equal when proportional; a ratio of two is also its fraction. What it is a ratio of may be "
         "written before =.",
         (("3:4", "6:8"), ("3:4", r"\frac{3}{4}"), ("7:32", "S_1:S_2=7:32"), (r"\frac{1}{2}", r"\frac{AB}{CD}=\frac{1}{2}")), (("3:4", "4:3"),)),
    Rule("complex", "i is the imaginary unit in every spelling.",
         (("3+4i", r"3+4\mathrm{i}"), ("-i", r"\frac{1}{i}")), (("3+4i", "3-4i"),)),
    Rule("plus-minus", r"\pm is the list of both values.",
         ((r"\pm 5", "5, -5"), (r"1\pm\sqrt{2}", r"1-\sqrt{2}, 1+\sqrt{2}")), ((r"\pm 5", "5"), ("5", r"\pm5"))),
    Rule("words", "Words are equal whatever their capitals, articles and punctuation; \\emptyset is 'no solution'.",
         ((r"\text{Evelyn}", "evelyn"), (r"\emptyset", r"\text{no solution}"), ("no solution", "No solutions.")), (("yes", "no"), ("Evelyn", "Eve"))),
    Rule("hedge", "An answer that names two answers is not the one that is right.",
         (), (("34", "34 or 35"), ("34", r"34\text{ or }35"), ("34", "34, maybe 35"))),
)  # fmt: skip
