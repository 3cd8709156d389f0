"""What each model reads: the student the problem, the teacher the solution as well, as data and not as markup."""

from __future__ import annotations

import pytest

from paced.errors import BadRows, ConfigError
from paced.lab.tokenizer import IDS, build_tokenizer
from paced.problems.prompts import fill, make_prompts
from paced.records import Problem
from paced.run.config import PromptsConfig

LAB = PromptsConfig(student="{problem}", teacher="{solution}#{problem}")


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer()


def problem(text="C3ab", solution="61", problem_id="a"):
    return Problem(problem_id=problem_id, problem=text, answer="61", solution=solution)


def test_the_teacher_sees_the_solution_and_the_student_does_not(tokenizer):
    (student,) = make_prompts([problem()], reader="student", config=LAB, tokenizer=tokenizer)
    (teacher,) = make_prompts([problem()], reader="teacher", config=LAB, tokenizer=tokenizer)
    assert (student.text, teacher.text) == ("C3ab=", "61#C3ab=")
    assert student.token_ids == tuple(IDS[symbol] for symbol in "C3ab=")
    assert teacher.token_ids[-len(student.token_ids) :] == student.token_ids


def test_placeholders_inside_problems_stay_text():
    assert fill("{problem}|{solution}", problem("{solution}", "{problem}")) == "{solution}|{problem}"


def test_a_problem_that_contains_a_control_token_is_refused(tokenizer):
    with pytest.raises(BadRows, match="Take this control token out of the text of problem evil"):
        make_prompts([problem("C3<eos>", problem_id="evil")], reader="student", config=LAB, tokenizer=tokenizer)


def test_a_template_that_needs_a_solution_refuses_problems_without(tokenizer):
    with pytest.raises(BadRows, match=r"take \{solution\} out of prompts.teacher"):
        make_prompts([problem(solution=" ")], reader="teacher", config=LAB, tokenizer=tokenizer)


def test_a_tokenizer_without_chat_template_needs_the_bare_text():
    bare = build_tokenizer()
    bare.chat_template = None
    with pytest.raises(ConfigError, match="Set prompts.use_chat_template=false"):
        make_prompts([problem()], reader="student", config=LAB, tokenizer=bare)
    config = PromptsConfig(student="{problem}", use_chat_template=False)
    (prompt,) = make_prompts([problem()], reader="student", config=config, tokenizer=bare)
    assert prompt.text == "C3ab"


def test_a_thinking_switch_must_be_set(tokenizer):
    thinking = build_tokenizer()
    thinking.chat_template = "{{ messages[0]['content'] }}{% if enable_thinking %}#{% else %}={% endif %}"
    with pytest.raises(ConfigError, match="enable_thinking: must be true or false"):
        make_prompts([problem()], reader="student", config=LAB, tokenizer=thinking)
    for switch, end in ((True, "#"), (False, "=")):
        config = PromptsConfig(student="{problem}", enable_thinking=switch)
        (prompt,) = make_prompts([problem()], reader="student", config=config, tokenizer=thinking)
        assert prompt.text == "C3ab" + end
