"""docs/recipe.md names every key, as the sections have it today."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from paced.run.configfile import apply_overrides, build_config, to_dict
from paced.run.configpage import INTRODUCTION, recipe_keys, recipe_page
from paced.run.paper import PAPER, PURE, UNITS
from paced.run.schema import rule
from paced.run.yamltext import parse_yaml

PAGE = Path(__file__).parents[2] / "docs" / "recipe.md"


def test_the_page_in_the_docs_is_the_page_of_today():
    again = "Write it again with: python -m paced.run.configpage docs/recipe.md"
    assert PAGE.read_text(encoding="utf-8") == recipe_page(), again


def test_the_page_has_every_key_of_a_written_configuration():
    recipe = {"name": "a", "lab": {}, "evaluation": {"sets": [{"name": "a", "path": "p"}]}}
    recipe |= {section: {"from": "p"} for section in ("rollouts", "pass_rates", "references")}
    recipe |= {"stages": [{"along": "rollout"}], "student": {"adapter": {}}}
    keys = {key.name.replace(".N.", ".1.") for key in recipe_keys()}

    def leaves(data, place=""):
        for name, value in data.items() if isinstance(data, dict) else enumerate(data, 1):
            key = f"{place}.{name}".lstrip(".")
            if key in keys:
                yield key
            else:
                yield from leaves(value, key)

    assert set(leaves(to_dict(build_config(recipe)))) == keys


@pytest.fixture(scope="module")
def page():
    return recipe_page()


@pytest.mark.parametrize("key", recipe_keys(), ids=lambda key: key.name)
def test_every_key_says_what_it_means(page, key):
    assert key.meaning.endswith(".")
    assert f"| `{key.name}` |" in page


def test_every_number_of_a_recipe_has_a_unit_or_is_known_to_be_a_pure_one():
    numbers = [key for key in recipe_keys() if re.search(r"\b(integer|number)\b", rule(key.hint))]
    last = {key.name.rpartition(".")[2] for key in numbers} - {"parameters"}
    assert last == UNITS.keys() | PURE
    assert not UNITS.keys() & PURE


def test_the_defaults_are_the_papers_but_for_what_a_single_machine_cannot_hold():
    defaults = {key.name: key.default for key in recipe_keys()}
    assert PAPER.keys() <= defaults.keys()
    single = {name: value for name, value in PAPER.items() if not isinstance(value, str)} | {
        "training.schedule": "constant"
    }
    others = {name for name, value in single.items() if defaults[name] != value}
    assert others == {
        "references.max_new_tokens",
        "weights.parameters",  # alpha = beta = 1 is what the kernel has when they are left out
        "parallel.sequence_parallel",
        "parallel.offload",
        "parallel.gradient_checkpointing",
    }


def test_the_example_of_the_page_is_a_recipe_and_its_overrides_fit():
    recipe = parse_yaml(INTRODUCTION.split("```yaml\n")[1].split("```")[0], "page")
    command = INTRODUCTION.split("```bash\n")[1].split("```")[0]
    config = build_config(apply_overrides(recipe, [word for word in command.split() if "=" in word], "page"))
    assert (config.stages[0].share, config.evaluation.sampling.top_p) == (0.3, 0.95)


def test_every_choice_there_is_is_named_on_the_page():
    from paced.grading.extract import EXTRACTIONS
    from paced.rollouts.engine import ENGINES
    from paced.train.backends import BACKENDS
    from paced.train.loss import DIVERGENCES
    from paced.weights import WEIGHTS

    meanings = {key.name: key.meaning for key in recipe_keys()}
    for key, known in {
        "weights.name": WEIGHTS,
        "stages.N.divergence.name": DIVERGENCES,
        "grading.answer_format.name": EXTRACTIONS,
        "rollouts.engine.name": ENGINES,
        "training.backend.name": BACKENDS,
    }.items():
        missing = [name for name in known if name not in meanings[key]]
        assert not missing, key
