r"""What models really write, and what a careful reader makes of it: no right answer is missed and none is made up.

The kinds are those of public bug reports: numbers cut apart, dresses of integers, places of the answer, thinking and
broken boxes. Each group has one gold answer, the completions that give it and the ones that do not.
"""

from __future__ import annotations

import pytest

from paced.grading.grade import grade_rollout
from paced.records import Problem, Rollout

NUMBERS_IN_TEXT = [
    (
        "last_number", "5",
        [
            "so it is 5cm.", "5cm", "5 cm", "5°C", "the total is $5.00", "USD 5", "US$5", "€5 in total", "5€", "5%",
            "it costs 5 dollars", "= 5 km/h", "5km/h", "5kg of flour", "5th", "the 5th", "x5 = 5",
            "H2O has mass 5 kg", "5, I think", "(5)", "5)", "**5**", "`5`", r"\(5\)", r"\[5\]", "$5$", '"5"', "5;",
            "[5]", "5/1", "10/2", "= 5,", "x=5.0", "answer:5", "5 (five)", "5-year plan",
        ],
        [
            "3x and 5x", "5x", "5y + z", "5e", r"5\pi", "5π", "π/5", "x/5", r"\sqrt{3}/5", r"0.\overline{5}",
            r"0.1\bar{5}", "0.(5)", r"\binom{9}{5}", "2 and 1/5", "5 and a half", "5 million", "5 thousand", "5k",
            "5M", "x^5", "x_5", "x5", "x₅", "x⁵", "10⁻⁵", "12:05", "12.5", "1'005", "±5", r"\pm 5", r"\pm5", "5i",
            "3+5i", "5n", "4210₅", r"5\sqrt2", "2√5", "1.5", "-5", "–5", "1/5", "5/3", "v2.5", "1.2.5", "5万", "15",
            "0x5", "5x5", r"5\theta", "2024-05-05", "5:30", "5×10^3", "5x10^3", "5*10^3",
        ],
    ),
    (
        "last_number", "1000",
        [
            "1000", "1,000", "1'000", "1 000", "1’000", "$1,000", "1\u202f000", "10^3", "10³", "1x10^3", "1 × 10³",
            "1e3", "1.0e3", "1,000 kg", "1,000.00",
        ],
        [
            "1.000", "1'000'5", "1,00,0", " 11,000", "1 000 000", "31 000", "11000",
        ],
    ),
]  # fmt: skip
INTEGERS_IN_BOXES = [
    (
        "boxed alone", "5",
        [
            "5cm", "5km/h", r"5\text{cm}", r"5\ \text{cm}", r"5\,\mathrm{cm}", r"5~\mathrm{cm}^2",
            r"5\text{ cm}^{2}", r"5 \text{ square units}", r"5\text{ units}^2", r"5^\circ C", r"5^{\circ}\text{C}",
            r"5\,^\circ\text{C}", "5°C", "5 °C", "5℃", r"5^\circ\mathrm{F}", r"5\degree", "5^o",
            r"5 \text{ degrees}", "USD 5", "USD5", "5 USD", r"US\$5", r"\$5", r"\$5.00", r"\text{\$}5", "€5", "5€",
            r"5\,€", "£5", r"\pounds5", "Rs. 5", r"5 \%", r"5\ \%", r"5 \text{ percent}", r"5\text{\%}",
            "5 per cent", "5％", "(5)", r"\left(5\right)", "+5", "x=5", "x = 5", "n=5", "m+n = 5", "m + n = 005",
            "a_1 = 5", "f(2) = 5", "|AB| = 5", "AB = 5", r"\angle ABC = 5^\circ", r"\text{Area} = 5",
            r"\text{Area} = 5\text{ cm}^2", "= 5", "5", r"\mathbf{5}", r"\textbf{5}", r"\underline{5}", "{5}",
            r"\color{red}5", r"\color{blue}{5}", r"\textcolor{red}{5}", "5.", "5.0", "5.00", "05", r"\frac{10}{2}",
            r"\dfrac{5}{1}", "10/2", r"\ 5\ ", r"\displaystyle 5", "$5$", r"\(5\)", "**5**", r"5\text{ m/s}",
            r"5\ \text{m/s}^2", r"5\,\mathrm{m\,s^{-1}}", r"5 \frac{\text{km}}{\text{h}}", r"5 \text{ km}/\text{h}",
            "5m/s", r"5\text{ apples}", r"5 \text{ dollars per hour}", r"\$5\text{ per hour}", r"\$5/\text{hour}",
            r"5\mbox{ inches}", r"5^{\text{th}}", r"5\text{th}", r"5\quad", r"5 \textrm{ ways}", "5元", "5 小时",
            "5个", r"5 N\cdot m", "5 kg", r"5\,kg", "5kWh", "5 sq. ft", "5 ft", r"5\text{ ft}^3", "５", "٥",
        ],
        [
            "3x", "5x", "5m", "5m^2", "5y", "5k", "5M", r"5\text{k}", "5 million", r"5\text{ million}",
            r"5\text{ thousand}", "5 dozen", r"5\text{ or }6", "5, 6", "5,6", "(5,6)", r"5 \text{ and } 6",
            "2x = 5", "x^2 = 5", "-x = 5", r"x \ne 5", r"x \not= 5", "x > 5", r"x \geq 5", r"x \le 5", r"\approx 5",
            r"5\pi", r"5\sqrt{2}", r"\sqrt{5}", "5i", r"5\mathrm{i}", "5^2", "5_6", "5!", "-5", "-(5)", "5:1",
            r"\pm 5", r"5 \pm 1", r"5 \text{ hundred}", "5e", "5/2", "0.5", r"\frac{1}{5}", "1.5", "5.5", "50",
            r"5\%5", "5 cm 5", r"\log 5", r"5\text{ tens}", r"5 \text{ squared}", "2½", "5½", r"5\frac12",
            r"\text{not }5", "no more than 5", r"5\text{ or more}", "x = 5, y = 6", r"x=5 \text{ or } x=6", "5+1",
            "5-0.5", "MM5", "5MM",
        ],
    ),
    (
        "boxed alone", "-5",
        [
            "-5", "- 5", "−5", "–5", "-5.0", r"-\$5", r"\$-5", r"-5\%", r"-5^\circ", "-5°C", "x=-5", "(-5)", "-(5)",
            r"-\frac{10}{2}", r"\frac{-10}{2}", r"-5\text{ cm}",
        ],
        [
            "5", "--5", "5-", r"-\frac{1}{5}", "-5x", "(5)",
        ],
    ),
    (
        "boxed alone", "1000",
        [
            "1{,}000", r"1,\!000", r"1\,000", "1,000", "1 000", "1'000", "10^3", "10^{3}", r"1,000\text{ cm}",
            r"\$1{,}000", r"\$1{,}000.00", r"1000\%", "10³",
        ],
        [
            "1,00", "1.000", "1000{,}1", "1{,}000{,}000", "10^{4}", "100 0",
        ],
    ),
    (
        "boxed alone", "5 cm",
        [
            "5", "5cm", r"5\text{ centimeters}", "5 centimetres", r"5\,\mathrm{cm}",
        ],
        [
            "5 m", "5mm", r"5\text{ cm}^2", r"5 \text{ inches}",
        ],
    ),
    (
        "boxed alone", "5 km/h",
        [
            "5km/h", "5 kilometers per hour", r"5\text{ km/hr}", "5 kph",
        ],
        [
            "5 mph", "5 m/s", "5 km",
        ],
    ),
    (
        "boxed alone", "$5",
        [
            "5 dollars", "5 USD", "USD 5", r"US\$5", r"\$5",
        ],
        [
            "€5", "5 cents", r"5\%", r"\$5\text{ million}",
        ],
    ),
]  # fmt: skip
PLACES = [
    (
        "boxed", "34",
        [
            "Answer: 34", "**Answer:** 34", "**Answer**: 34", "Answer：34", "### Answer\n34",
            "### Final Answer\n\n34", "## Answer:\n34", "**Final Answer**\n\n34", "**Final Answer:** $34$",
            "Final Answer: 34.", "final answer: 34", "The answer is 34.", "The answer is 34",
            "So the answer is 34 apples.", "The final answer is 34.",
            "The final answer is $34$. I hope it is correct.",
            "Final Answer: The final answer is $34$. I hope it is correct.", "the answer is: 34",
            "The answer is **34**.", r"The answer is \(34\).", "Thus, the correct answer is 34.",
            "<answer>34</answer>", "<answer> 34 </answer>", "<answer>\n34\n</answer>",
            r"<answer>\boxed{34}</answer>", "blah <answer>34</answer> done", "ANSWER: 34", "Answer:\n\n34",
            "Answer: $34$", r"Answer: \(34\)", "Answer: **34**", "__Answer__: 34", "Answer : 34",
            "Step 1: 5\nAnswer: 34\n", "Answer: 34 apples.", "*Answer:* 34", "> Answer: 34", "- Answer: 34",
            "答案：34", "The answer is 34 cm.", "Answer: x = 34", "#### Answer\n34", "Answer: 34%", "34", "#### 34",
            r"\boxed{34}",
            r"\boxed{34}.", r"$\boxed{34}$", r"$$\boxed{34}$$", r"\[\boxed{34}\]", r"**\boxed{34}**",
            r"\boxed{ 34 }", r"\fbox{34}", r"\boxed{\boxed{34}}", r"\boxed{\text{34}}", r"\boxed{\mathbf{34}}",
            r"\boxed 34", r"\\boxed{34}", "\\boxed{34}\n\nLet me know if you have questions 5!",
            "Answer: 9\n\\boxed{34}", r"\boxed{9} then \boxed{34}",
        ],
        [
            "The answer may be 34", "Is the answer 34?", "The answer is 34.\nBut let me check: 35.",
            "The answer is not 34.", "The answer is 34 or 35.", "Answer: 34 or 35", "answer 34",
            "I answered 34 questions", "Answer: 35\nQ: 34", "Answer: between 34 and 36", "Answer: 34x",
            "Answer: 34 million", "the answer is greater than 34", "Answers: 34 and 36",
            r"\boxed{34} no \boxed{35}", r"\boxed{}34", "The answer is -34.", "The answer is 34.5.",
            "The answer is 34/5.",
        ],
    ),
    (
        "gsm8k", "42",
        [
            "#### 42", "6*7=42\n#### 42", "#### 42\nQuestion: 5\n#### 2", "#### $42", "#### 42 dollars", "#### 42.",
            "#### 42%", "####42", "#### 42cm", "#### **42**", r"#### \(42\)", "#### 42.00", "#### USD 42",
            "#### x = 42", "#### Answer: 42", "blah\n  #### 42\nblah",
        ],
        [
            "#### 42 or 43", "#### 4\n#### 42", "42", "##### 42", "### 42", "text #### 43 42", "#### -42",
            "#### 42x", "#### 42 million",
        ],
    ),
    (
        "first_line", "12",
        [
            " 12\nQ: 3", "12", "12cm\nA: 7", "= 12.\n",
        ],
        [
            "12x\n12", "13\n12", "1/12\n", "\n",
        ],
    ),
]  # fmt: skip
THINKING_AND_BROKEN_BOXES = [
    (
        "boxed", "5",
        [
            r"<think>9</think>\boxed{5}", r"9</think>\boxed{5}", "<think>\n\\boxed{9}\n</think>\n\\boxed{5}",
            r"<thinking>\boxed{9}</thinking>\boxed{5}", r"<reasoning>\boxed{9}</reasoning><answer>5</answer>",
            r"<thought>\boxed{9}</thought>\boxed{5}", r"[THINK]\boxed{9}[/THINK]\boxed{5}",
            r"◁think▷\boxed{9}◁/think▷\boxed{5}", r"<|begin_of_thought|>\boxed{9}<|end_of_thought|>\boxed{5}",
            r"<|channel|>analysis<|message|>\boxed{9}<|end|><|start|>assistant<|channel|>final<|message|>\boxed{5}",
            r"<seed:think>\boxed{9}</seed:think>\boxed{5}", r"<THINK>9</THINK>\boxed{5}",
            r"<think></think>\boxed{5}", r"<think>a</think>b<think>c</think>\boxed{5}", r"\boxed{5}}",
            r"{\boxed{5}}", r"\boxed{{5}}", r"\boxed {5}", "\\boxed\n{5}", "\\boxed{\n5\n}", r"\boxed{5}\boxed{5}",
            r"\boxed{5}", r"\boxed{5}$", r"I think \boxed{5}", r"\boxed{5} I <b>think</b>",
        ],
        [
            r"<think>\boxed{5}", r"<think>\boxed{5}</think>", r"\boxed{5}</think>", r"<thinking>\boxed{5}",
            r"<thinking>\boxed{5}</thinking>", r"[THINK]\boxed{5}", r"[THINK]\boxed{5}[/THINK]",
            r"<|channel|>analysis<|message|>\boxed{5}", r"◁think▷\boxed{5}", r"<|begin_of_thought|>\boxed{5}",
            r"<reasoning>\boxed{5}</reasoning>", r"<reasoning>\boxed{5}", r"<thought>\boxed{5}",
            r"<think>9</think><think>\boxed{5}", r"\boxed{5} but no: \boxed{", r"\boxed{5", r"\boxed{\text{5}",
            r"\boxed{5\}", r"\boxed{5} \boxed{6", r"\boxed{5} \boxed{}", r"\boxed{5} \boxed{?}", r"\boxed{5 or 6}",
            r"\boxed", r"\boxed{", r"\boxed{ }", r"\boxedx{5}", r"\boxed{5}\boxed{6}", r"\boxed{\boxed{6}5}",
            r"\unboxed{5}", r"boxed 5 \boxed{6}",
        ],
    ),
    (
        "whole", "5",
        [
            "<think>9</think>5", "9</think>\n5", "<thinking>9</thinking> 5", "[THINK]9[/THINK]5",
        ],
        [
            "<think>5", "5</think>", "[THINK]5", "<think>9</think>5 6",
        ],
    ),
    (
        "last_number", "5",
        [
            "<think>9</think>5", "<thinking>9</thinking>it is 5.", "[THINK]9[/THINK]5",
        ],
        [
            "<think>5", "5</think>", "[THINK]5", "<thinking>5</thinking>",
        ],
    ),
    (
        "gsm8k", "5",
        [
            "<think>#### 9</think>#### 5",
        ],
        [
            "<think>#### 5", "<think>#### 5</think>",
        ],
    ),
]  # fmt: skip


def verdict_on(text, answer, answer_format):
    task = Problem(problem_id="a", problem="?", answer=answer, answer_type="integer")
    rollout = Rollout(problem_id="a", sample_index=0, token_ids=(1,), text=text, finish_reason="stop", seed=1)
    return grade_rollout(task, rollout, answer_format=answer_format).verdict


@pytest.mark.parametrize(
    ("answer_format", "answer", "right", "wrong"),
    [*NUMBERS_IN_TEXT, *INTEGERS_IN_BOXES, *PLACES, *THINKING_AND_BROKEN_BOXES],
)
def test_a_completion_is_correct_exactly_where_a_careful_reader_finds_the_gold_answer(
    answer_format, answer, right, wrong
):
    if answer_format == "boxed alone":
        answer_format = "boxed"
        right, wrong = ([f"\\boxed{{{text}}}" for text in texts] for texts in (right, wrong))
    assert [text for text in right if verdict_on(text, answer, answer_format) != "correct"] == []
    assert [text for text in wrong if verdict_on(text, answer, answer_format) == "correct"] == []
