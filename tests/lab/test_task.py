"""The task is what it says: checkable by hand, disjoint where it must be, the same for every student."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from paced.lab.designs import DESIGNS
from paced.lab.files import GRADED, PRIOR, PROBLEMS, UNSEEN
from paced.lab.recipe import Mixture, student_recipe
from paced.lab.rows import hinted_rows, plain_rows, pretraining_rows, prior_rows
from paced.lab.task import KINDS, OPERATORS, chain_problems, operator_tables, training_problems
from paced.lab.tokenizer import IDS, PAD_ID, SYMBOLS, build_tokenizer
from paced.lab.world import world_problems
from paced.run.config import LabConfig


def numbers():
    return np.random.default_rng(3)


def by_hand(problem):
    """The answer of a chain of tabled operators, one look-up after the other."""
    digit, digits = int(problem[1]), ""
    for operator in problem[2:]:
        digit = int(operator_tables()[OPERATORS.index(operator)][digit])
        digits += str(digit)
    return digits


@pytest.mark.parametrize("kind", ["graded", "unseen"])
def test_a_chain_is_answered_by_looking_up_one_table_after_the_other(kind):
    for problem in chain_problems(kind, 50, numbers()):
        assert problem.answer == by_hand(problem.problem) == problem.solution
        assert {OPERATORS.index(letter) for letter in problem.problem[2:]} <= set(KINDS[kind])


def test_hash_digits_depend_on_the_whole_prompt():
    answers = {p.problem: p.answer for p in chain_problems("hash", 4000, numbers())}
    pairs = [(p, q) for p in answers for q in [p[:-1]] if q in answers]
    agree = np.mean([answers[p].startswith(answers[q]) for p, q in pairs])
    assert len(pairs) > 100
    assert agree < 0.05  # a chain of tables would agree always, chance gives 0.01 for two digits


@pytest.mark.parametrize("name", sorted(DESIGNS))
def test_a_design_has_its_shares_and_its_wrong_hints(name):
    design = DESIGNS[name]
    problems = training_problems(design, 1000, numbers())
    counts = Counter(problem.source for problem in problems)
    assert (counts["graded"], counts["unseen"], counts["hash"]) == tuple(
        round(1000 * share) for share in (design.graded, design.unseen, design.hash)
    )
    assert len({problem.problem_id for problem in problems}) == 1000
    wrong = [problem.source for problem in problems if problem.solution != problem.answer]
    assert "graded" not in wrong
    expected = design.wrong_hints * (counts["unseen"] + counts["hash"])
    assert abs(len(wrong) - expected) <= 5 * np.sqrt(max(expected, 1e-9))


def test_no_training_set_holds_a_held_out_problem():
    for seed in (1, 2):
        ours = world_problems(LabConfig(seed=seed))
        theirs = world_problems(LabConfig(seed=3 - seed))
        training = {problem.problem for problem in ours[PROBLEMS]}
        for name in (GRADED, UNSEEN):
            assert not training & {problem.problem for problem in (*ours[name], *theirs[name])}


def test_another_seed_is_another_world_over_the_same_tables():
    one, other = world_problems(LabConfig(seed=1)), world_problems(LabConfig(seed=2))
    assert one == world_problems(LabConfig(seed=1))
    assert one[PROBLEMS] != other[PROBLEMS]
    assert all(by_hand(p.problem) == p.answer for p in other[PROBLEMS] if p.source != "hash")


def test_the_prior_skill_is_reverse_and_sort():
    for problem in world_problems(LabConfig(seed=1))[PRIOR]:
        digits = problem.problem[1:]
        assert problem.answer == (digits[::-1] if problem.problem[0] == "R" else "".join(sorted(digits)))


def test_the_chat_template_and_the_direct_map_give_the_same_ids():
    tokenizer = build_tokenizer()
    for problem in chain_problems("graded", 20, numbers()):
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": problem.problem}], tokenize=False, add_generation_prompt=True
        )
        ids = tokenizer.encode(text, add_special_tokens=False)
        assert ids == [IDS[symbol] for symbol in f"{problem.problem}="]
        assert tokenizer.decode(ids) == text


def texts(rows):
    tokens, targets = rows
    for ids, wanted in zip(tokens, targets, strict=True):
        ids = ids[ids != PAD_ID]
        text = "".join(SYMBOLS[token] for token in ids)
        completion = "".join(SYMBOLS[token] for token in ids[wanted[: len(ids)]])
        yield text.removesuffix(completion), completion.removesuffix("<eos>")
        assert completion.endswith("<eos>")


def test_pre_training_rows_read_like_prompts_and_answers():
    for prompt, answer in texts(plain_rows(50, numbers(), odds=np.full(12, 1 / 12), stochastic=False)):
        assert answer == by_hand(prompt.removesuffix("="))
    for prompt, answer in texts(prior_rows(50, numbers(), sort_share=0.5)):
        digits = prompt[1:-1]
        assert answer == (digits[::-1] if prompt[0] == "R" else "".join(sorted(digits)))
    for prompt, answer in texts(hinted_rows(50, numbers(), stochastic=False)):
        assert answer == prompt.split("#")[0]


def test_stochastic_phrasing_puts_a_style_letter_before_every_digit():
    for prompt, answer in texts(plain_rows(50, numbers(), odds=np.full(12, 1 / 12), stochastic=True)):
        assert set(answer[::2]) <= set("wxyz")
        assert answer[1::2] == by_hand(prompt.removesuffix("="))


def test_plain_pre_training_never_shows_an_unseen_or_hash_operator():
    tokens, _ = pretraining_rows(Mixture(hinted=0.0, prior=0.3, plain=0.7), 2000, numbers(), stochastic=False)
    shown = {SYMBOLS[token] for token in np.unique(tokens)}
    assert not shown & set(OPERATORS[12:])
    assert set(OPERATORS[:8]) <= shown


def test_the_recipe_decides_the_cache_key():
    from paced.lab.recipe import recipe_key

    keys = {recipe_key(student_recipe(1)), recipe_key(student_recipe(2)), recipe_key(student_recipe(1, "stochastic"))}
    assert len(keys) == 3
