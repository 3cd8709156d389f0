"""Any text is a recipe or a sentence: no other exception, no code, and what is read is written back the same."""

from __future__ import annotations

import math

import pytest
from fuzzing import PAYLOADS, fuzzed, texts, watched, words
from hypothesis import strategies as st

from paced.errors import ConfigError
from paced.run.configfile import apply_overrides, build_config, load_config, to_dict
from paced.run.schema import REMOTE_CODE
from paced.run.yamltext import parse_yaml, yaml_text

KEYS = (
    "name",
    "seed",
    "problems",
    "prompts",
    "student",
    "rollouts",
    "references",
    "weights",
    "stages",
    "methods",
    REMOTE_CODE,
)
lines = st.one_of(
    st.builds(
        "{}{}: {}\n".format,
        st.sampled_from(["", "  ", "    ", "- ", "? "]),
        st.one_of(st.sampled_from(KEYS), words),
        words,
    ),
    st.builds("{}: {{{}: {}, {}: {}}}\n".format, st.sampled_from(KEYS), words, words, words, words),
    st.sampled_from(
        [
            "a: &x [*x]\n",
            "<<: {a: 1}\n",
            "---\n",
            "...\n",
            "%YAML 9.9\n",
            "? [1]\n: 2\n",
            "? {a: 1}\n: 2\n",
            "!!binary aGk=\n",
            "!!set {a}\n",
            "!!timestamp 2001-01-01\n",
            "a: !!float b\n",
            "- " * 400 + "\n",
            "[" * 900,
            "{" * 900,
        ]
    ),
    texts,
)
values: st.SearchStrategy = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False),
        st.text(st.characters(codec="utf-8", exclude_characters="\0")),
    ),
    lambda inside: st.one_of(
        st.lists(inside, max_size=4),
        st.dictionaries(st.text(st.characters(codec="utf-8", exclude_characters="\0")), inside, max_size=4),
    ),
    max_leaves=8,
)


@pytest.mark.slow
@fuzzed(st.lists(lines, max_size=8).map("".join))
def test_any_text_is_a_recipe_or_a_sentence(text):
    with watched():
        try:
            data = parse_yaml(text, "recipe")
            config = build_config(data if isinstance(data, dict) else {"name": data})
        except ConfigError as error:
            str(error).encode("utf-8")  # can be said on any terminal
            return
        assert build_config(parse_yaml(yaml_text(to_dict(config)), "again")) == config


@fuzzed(st.sampled_from(KEYS), texts)
def test_any_override_is_taken_or_refused_in_a_sentence(key, value):
    with watched():
        try:
            build_config(
                apply_overrides({"name": "a", "problems": {"path": "p"}}, [f"{key}={value}", f"{value}={key}"], "r")
            )
        except ConfigError:
            return


@fuzzed(values)
def test_plain_data_come_back_as_they_were_written(data):
    with watched():
        assert parse_yaml(yaml_text(data), "again") == data


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
@pytest.mark.parametrize("place", ["{}", "name: {}", "a: [{}]", "? {}\n: 1", "methods: {{a: {{b: {}}}}}"])
def test_no_tag_makes_an_object(payload, place):
    with watched():
        try:
            parse_yaml(place.format(payload), "recipe")
        except ConfigError:
            return


@pytest.mark.slow
def test_many_keys_and_deep_nesting_take_no_time_that_grows_with_their_square(tmp_path):
    many = "".join(f"k{number}: 1\n" for number in range(30_000))
    with watched():
        assert len(parse_yaml(many, "recipe")) == 30_000
        with pytest.raises(ConfigError, match="key k7 is written twice"):
            parse_yaml(f"{many}k7: 2\n", "recipe")
        for deep in ("[" * 100_000, "{a: " * 50_000, "- " * 100_000):
            with pytest.raises(ConfigError, match="not valid YAML"):
                parse_yaml(deep, "recipe")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("a: 1\na: 2", "key a is written twice"),
        ("b: {a: 1, 'a': 2}", "key a is written twice"),
        ("? [1]\n: 2", "a key must be a word or a number|not valid YAML"),
        ("a: &x 1\nb: *x", "aliases are not used"),
        ("a: !!bool x", "line 1: 'x' does not fit its tag .*bool"),
        ("b: 1\na: !!timestamp x", "line 2: 'x' does not fit its tag .*timestamp"),
        ('a: "\\ud83d"', "Half of a surrogate pair"),
        ('a: "\\0"', "Remove the NUL character"),
    ],
)
def test_what_yaml_readers_disagree_about_is_refused(text, match):
    with pytest.raises(ConfigError, match=match):
        parse_yaml(text, "recipe")


@pytest.mark.parametrize("word", ["1e-6", "5E-1", "1.e3", "-.5e+2", "1e400", ".inf"])
def test_a_number_in_any_dress_is_a_number(word):
    value = parse_yaml(f"a: {word}", "recipe")["a"]
    assert isinstance(value, float)
    assert value == float(word.replace(".inf", "inf"))
    assert math.isinf(value) == (word in ("1e400", ".inf"))


@pytest.mark.parametrize("section", ["", "student", "teacher", "rollouts", "problems", "methods.a"])
def test_leave_to_run_a_repositorys_code_is_refused_at_every_place(tmp_path, section):
    data: dict = {"name": "a", "problems": {"path": "p"}, "methods": {"a": {}}}
    key = f"{section}.{REMOTE_CODE}".lstrip(".")
    if section == "methods.a":
        data["methods"]["a"][f"student.{REMOTE_CODE}"] = True
    else:
        data = apply_overrides(data, {key: True}, "test")
    (tmp_path / "r.yaml").write_text(yaml_text(data))
    with pytest.raises(ConfigError, match=rf"{REMOTE_CODE} is refused: code that"):
        load_config(tmp_path / "r.yaml")
