"""YAML and overrides: numbers are numbers, text is text, and setting one key leaves all others as they were."""

from __future__ import annotations

import copy
import dataclasses
import math
from typing import Any, Literal, get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paced.errors import ConfigError
from paced.run.configfile import apply_overrides, build_config, load_config, to_dict, with_method
from paced.run.configpage import recipe_keys
from paced.run.yamltext import parse_yaml, yaml_text

SET = {"name": "held-out", "path": "h.jsonl"}
RECIPES = {
    "nothing but what must be given": {
        "name": "small",
        "problems": {"path": "p.jsonl"},
        "lab": {},
        "stages": [{}],
        "evaluation": {"sets": [SET]},
        # What the rules between sections want before one key of them can be changed alone.
        "training": {},
    },
    "a value of its own at every place": {
        "name": "large",
        "seed": 5,
        "lab": {"design": "clean", "seed": 3, "teacher": "big", "num_heldout": 50},
        "student": {"path": "s", "revision": "r", "dtype": "bfloat16"},
        "teacher": {"path": "t"},
        "problems": {"path": "p.jsonl", "limit": 9},
        "prompts": {"student": "say {problem}", "system": "short", "enable_thinking": False},
        "rollouts": {"num_samples": 4, "top_p": 0.7, "engine": {"name": "hf", "parameters": {"a": 1}}},
        "grading": {"answer_format": {"name": "boxed", "parameters": {"a": [1, "b"]}}},
        "references": {"sampling_temperature": 0.3, "max_new_tokens": 77},
        "weights": {"name": "beta", "parameters": {"alpha": 2, "prior": [1, 0.5]}},
        "stages": [
            {"divergence": {"name": "mixed_kl", "parameters": {"a": 1}}, "along": "rollout", "share": 0.3},
            {"divergence": "mixed_kl", "along": "rollout", "share": 0.3, "recompute_every": 4},
        ],
        "training": {"batch_size": 7, "learning_rate": 1e-4, "adam_betas": [0.8, 0.9], "schedule": "cosine"},
        "parallel": {"offload": True},
        "evaluation": {"sets": [SET, SET | {"name": "prior", "role": "stability"}], "sampling": {"num_samples": 3}},
        "methods": {"same": {}},
        "trackers": ["tensorboard"],
    },
}
NOT_A_METHODS = {"methods", "report.method"}
"""Keys about several methods, of which a compared method has none."""
BESIDE = {
    **{
        f"{section}.from.{key}": {f"{section}.from": {"path": "dump.jsonl"}}
        for section in ("rollouts", "pass_rates", "references")
        for key in ("path", "columns")
    },
    **{f"student.adapter.{key}": {"student.adapter": {"rank": 8}} for key in ("rank", "alpha", "targets")},
    "prompts.own_messages": {"prompts.system": ""},
    **{f"references.{key}": {"references.sampling_temperature": 0.5} for key in ("num_samples", "retries")},
    "stages.1.fresh_rollouts": {"stages.1.along": "rollout"},
    "training.interpolation": {"stages.1.divergence": "mixed_kl", "stages.1.recompute_every": 2},
}
"""What must be set before a key can take another value."""
KEYS = {key.name.replace(".N.", ".1."): key.hint for key in recipe_keys()}


def another(hint: Any, value: Any) -> Any:
    """A value of this type and range that is not ``value``."""
    kind = hint.__origin__ if hasattr(hint, "__metadata__") else hint
    if get_origin(kind) is Literal:
        return next(one for one in get_args(kind) if one != value)
    if get_origin(kind) is dict:
        if get_args(kind)[1] is str:
            return {"other": "text"}
        return {"a-name": {}} if get_args(kind)[1] == dict[str, Any] else {"other": [0.5, "text", True]}
    if get_origin(kind) is tuple:
        if get_args(kind)[0] is str:
            return ["q_proj", "v_proj"]
        return ["wandb"] if get_origin(get_args(kind)[0]) is Literal else [0.25, 0.75]
    if kind is str:
        return "another-{problem}" if hint is str else "another"
    if kind is int:
        return value + 1
    if kind is float:
        return value / 2 if value else 0.125
    return not value


def flat(data: Any, place: str = "") -> dict[str, Any]:
    """Every scalar of nested data under its dotted key; items of lists count from 1."""
    inside = data.items() if isinstance(data, dict) else enumerate(data, 1) if isinstance(data, list) else None
    if inside is None or not data:
        return {place: data}
    return {key: one for name, value in inside for key, one in flat(value, f"{place}.{name}".lstrip(".")).items()}


def below(data: Any, key: str) -> Any:
    for name in key.split("."):
        data = data[int(name) - 1] if isinstance(data, list) else data[name]
    return data


def put(data: Any, key: str, value: Any) -> None:
    """Write a value into nested data by hand, as an editor of the YAML file would."""
    name, _, rest = key.partition(".")
    if not rest:
        data[name] = value
    elif isinstance(data, list):
        put(data[int(name) - 1], rest, value)
    else:
        if isinstance(data.get(name), str):
            data[name] = {"name": data[name]}
        put(data.setdefault(name, {}), rest, value)


def changed_keys(before: Any, after: Any) -> set[str]:
    one, other = flat(to_dict(before)), flat(to_dict(after))
    return {key for key in one.keys() | other.keys() if one.get(key, "") != other.get(key, "")}


def write_by_hand(recipe, key, value):
    data = copy.deepcopy(recipe)
    put(data, key, value)
    return build_config(data)


def override_in_yaml(recipe, key, value):
    return build_config(apply_overrides(recipe, [f"{key}={yaml_text(value)}"], "test"))


def compare_as_a_method(recipe, key, value):
    config = build_config(recipe | {"methods": {"other": {key: value}}})
    return dataclasses.replace(with_method(config, "other"), methods=recipe.get("methods", {}))


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize(
    ("way", "key"),
    [
        (way, key)
        for way in (write_by_hand, override_in_yaml, compare_as_a_method)
        for key in KEYS
        if not (way is compare_as_a_method and key in NOT_A_METHODS)
    ],
)
def test_setting_one_key_leaves_all_others(key, name, way):
    recipe = apply_overrides(RECIPES[name], BESIDE.get(key, {}), "test")
    before = build_config(recipe)
    value = another(KEYS[key], below(to_dict(before), key))
    after = way(recipe, key, value)
    assert below(to_dict(after), key) == value
    changed = changed_keys(before, after)
    assert changed
    assert {one for one in changed if one != key and not one.startswith(f"{key}.")} == set()


@given(st.lists(st.sampled_from(sorted(KEYS.keys() - BESIDE.keys() - {"methods"})), unique=True, max_size=8))
def test_overrides_of_different_keys_can_be_given_in_any_order(keys):
    recipe = RECIPES["a value of its own at every place"]
    held = to_dict(build_config(recipe))
    overrides = {key: another(KEYS[key], below(held, key)) for key in keys}
    forth, back = (build_config(apply_overrides(recipe, dict(each), "test")) for each in
                   (overrides.items(), reversed(overrides.items())))  # fmt: skip
    assert forth == back
    assert all(below(to_dict(forth), key) == value for key, value in overrides.items())


NUMBERS = {key: hint for key, hint in KEYS.items() if getattr(hint, "__origin__", None) in (int, float)}


@pytest.mark.parametrize("key", NUMBERS)
def test_a_number_is_finite_in_its_range_and_of_its_own_type(key):
    (limits,) = NUMBERS[key].__metadata__
    wrong = [math.nan, math.inf, -math.inf, True, "8", None, [1]]
    wrong += [8.0, 2.5] if NUMBERS[key].__origin__ is int else []
    wrong += [bound for bound in (limits.gt, limits.lt) if bound is not None]
    wrong += [limits.ge - 1] if limits.ge is not None else []
    wrong += [limits.le + 1] if limits.le is not None else []
    for value in wrong:
        with pytest.raises(ConfigError, match=rf"^here: {key} must be an? (integer|finite number) [<>]"):
            build_config(apply_overrides(RECIPES["a value of its own at every place"], {key: value}, "test"), "here")


def write(tmp_path, text):
    file = tmp_path / "recipe.yaml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("text", "number"),
    [("5e-1", 0.5), ("1E6", 1e6), ("-2e+3", -2e3), (".5e1", 5.0), ("1.e-3", 1e-3), ("1.5", 1.5), ("0", 0)],
)
def test_numbers_of_yaml_1_2_are_numbers_everywhere(tmp_path, text, number):
    file = write(tmp_path, f"name: a\nproblems: {{path: p}}\nweights: {{name: beta, parameters: {{alpha: {text}}}}}\n")
    assert load_config(file).weights.parameters["alpha"] == number
    assert load_config(file, [f"weights.parameters.beta={text}"]).weights.parameters["beta"] == number
    assert parse_yaml(text, "here") == number


@pytest.mark.parametrize(
    "text", ["e5", "1e", "1e5x", "1-e5", "--1e5", "010", "1:30", "1_000", "0x10", "no", "on", "2024-01-02", "<<", "="]
)
def test_text_that_an_older_yaml_takes_for_something_else_stays_text(text):
    assert parse_yaml(text, "here") == text


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("FALSE", False), ("~", None), ("", None), ("[null, -0, 7]", [None, 0, 7])]
)
def test_plain_words_that_are_not_text(text, value):
    assert parse_yaml(text, "here") == value


@pytest.mark.parametrize("text", [".inf", "-.inf", ".nan"])
def test_infinities_are_read_as_numbers_and_refused_as_such(tmp_path, text):
    file = write(tmp_path, f"name: a\nproblems: {{path: p}}\nweights: {{parameters: {{alpha: {text}}}}}\n")
    with pytest.raises(ConfigError, match="weights.parameters must be a mapping from names to finite numbers"):
        load_config(file)


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")) | st.from_regex(
    r"\A[-+]?[0-9.]{1,4}([eE][-+]?[0-9]{1,2})?\Z|\A(yes|no|null|~|on|2024-01-01|1:30)\Z"
)
SCALARS = TEXT | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)


def test_a_value_that_occurs_twice_is_written_out_twice():
    twice = [0.5, "text"]
    assert parse_yaml(yaml_text({"one": twice, "other": twice}), "here") == {"one": twice, "other": twice}


@given(TEXT, st.dictionaries(TEXT, SCALARS | st.lists(SCALARS)))
def test_a_written_configuration_reads_back_as_it_was(text, parameters):
    data = RECIPES["nothing but what must be given"] | {"prompts": {"system": text}}
    config = build_config(data | {"weights": {"name": "beta", "parameters": parameters}})
    again = build_config(parse_yaml(yaml_text(to_dict(config)), "config.yaml"))
    assert again == config
    kinds = [[type(value) for value in flat(to_dict(one)).values()] for one in (config, again)]
    assert kinds[0] == kinds[1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: a\nseed: 1\nseed: 2\n", "key seed is written twice"),
        ("name: &a x\nseed: *a\n", "aliases are not used"),
        ("name: !!python/object/apply:os.system ['true']\n", "not valid YAML"),
        ("name: " + "[" * 5000, "not valid YAML"),
        ("seed: " + "9" * 5000, "not valid YAML"),
        ("name: !!timestamp 2024-13-45\n", "not valid YAML"),
        ("name: 7\nproblems: {path: p}", r"name must be a name of .* got 7\. Write it in quotes\.$"),
    ],
)
def test_what_is_not_plain_yaml_is_refused_in_a_sentence(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        load_config(write(tmp_path, text))


def test_a_missing_file_says_what_to_give(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot be read.*Give a YAML recipe, or the folder of a run"):
        load_config(tmp_path / "none.yaml")


def test_overrides_reach_into_sections_and_keep_the_original():
    data = {"name": "a", "training": {"batch_size": 1, "clip_norm": 2}, "weights": "beta", "stages": [{}, {"share": 1}]}
    kept = copy.deepcopy(data)
    overrides = [
        "training={batch_size: 4}",
        "seed=7",
        "weights.name=uniform",
        "stages.2.along=rollout",
        "evaluation.sampling.top_p=0.5",
        "methods.mine.weights=beta",
    ]
    assert apply_overrides(data, overrides, "recipe") == {
        "name": "a",
        "training": {"batch_size": 4, "clip_norm": 2},
        "weights": {"name": "uniform"},
        "stages": [{}, {"share": 1, "along": "rollout"}],
        "seed": 7,
        "evaluation": {"sampling": {"top_p": 0.5}},
        "methods": {"mine": {"weights": "beta"}},
    }
    assert data == kept
    assert apply_overrides(data, ["stages=[{share: 0.5}]"], "recipe")["stages"] == [{"share": 0.5}]


def test_a_choice_named_anew_begins_without_the_old_parameters():
    data = {"weights": {"name": "beta", "parameters": {"alpha": 2}}}
    for override in ("weights=uniform", "weights={name: uniform}"):
        changed = apply_overrides(data, [override, "weights.parameters.x=1"], "recipe")["weights"]
        assert changed == {"name": "uniform", "parameters": {"x": 1}}
    assert apply_overrides(data, ["weights={parameters: {beta: 3}}"], "recipe")["weights"] == {
        "name": "beta",
        "parameters": {"beta": 3},
    }


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed", "recipe: an override must read key=value, got 'seed'"),
        ("name.x=1", "recipe: override 'name.x' goes into 'a', which is not a section"),
        ("stages.3.share=1", "override 'stages.3.share' must count the items of the list from 1 to 2, got '3'"),
        ("stages.0.share=1", "must count the items of the list from 1 to 2, got '0'"),
        ("stages.first.share=1", "must count the items of the list from 1 to 2, got 'first'"),
    ],
)
def test_a_malformed_override_is_refused(override, message):
    with pytest.raises(ConfigError, match=message):
        apply_overrides({"name": "a", "stages": [{}, {}]}, [override], "recipe")
