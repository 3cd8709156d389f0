"""A recipe is read strictly: every key known, every value of its type, every contradiction named."""

from __future__ import annotations

import pytest

from paced.config import RunConfig
from paced.configfile import apply_overrides, build_config, load_config, to_dict, with_method
from paced.errors import ConfigError

MINIMAL = {"name": "tiny", "problems": {"path": "p.jsonl"}}


def write(tmp_path, text):
    file = tmp_path / "recipe.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_defaults_are_those_of_table_10():
    config = build_config(MINIMAL)
    assert config.rollouts.num_samples == 8
    assert config.rollouts.sampling_temperature == 1.0
    assert config.rollouts.max_new_tokens == 8192
    assert config.training.batch_size == 32
    assert config.training.weight_decay == 0.01
    assert config.training.clip_norm == 1.0
    assert config.evaluation.sampling.sampling_temperature == 0.6
    assert config.evaluation.sampling.top_p == 0.95
    assert config.stages[0].num_epochs == 1.0


def test_a_config_survives_the_round_trip_through_plain_data():
    config = build_config({**MINIMAL, "stages": [{"divergence": "reverse_kl", "along": "rollout", "share": 0.5}]})
    assert build_config(to_dict(config)) == config


def test_every_key_is_written_out_defaults_included():
    data = to_dict(build_config(MINIMAL))
    assert set(data) == set(RunConfig.__dataclass_fields__)
    assert (data["seed"], data["training"]["learning_rate"], data["stages"][0]["share"]) == (1, 1e-6, 1.0)


def test_yaml_1e_minus_6_is_a_number(tmp_path):
    file = write(tmp_path, "name: tiny\nproblems: {path: p}\ntraining: {learning_rate: 1e-6}\n")
    assert load_config(file).training.learning_rate == 1e-6


def test_a_parameter_is_a_number_however_it_is_written(tmp_path):
    text = (
        "name: tiny\nproblems: {path: 1e5}\n"
        "weights: {parameters: {alpha: 5e-1, prior: [1e0, 2.5E+1], estimator: posterior}}\n"
        "stages: [{divergence: jsd, parameters: {beta: -1e-3}}]\n"
    )
    config = load_config(write(tmp_path, text), ["weights.parameters.beta=2e0"])
    expected = {"alpha": 0.5, "prior": [1.0, 25.0], "estimator": "posterior", "beta": 2.0}
    assert config.weights.parameters == expected
    assert config.stages[0].parameters == {"beta": -0.001}
    assert config.problems.path == "1e5"
    assert build_config(to_dict(config)) == config


def test_all_unknown_keys_are_named_with_the_nearest_known_one():
    data = {**MINIMAL, "rollout": {}, "training": {"lerning_rate": 1}, "stages": [{"divergance": "x"}]}
    with pytest.raises(ConfigError) as caught:
        build_config(data, "r.yaml")
    text = str(caught.value)
    assert text.startswith("r.yaml: ")
    assert "'rollout'. Did you mean 'rollouts'?" in text
    assert "'training.lerning_rate'. Did you mean 'learning_rate'?" in text
    assert "'stages[1].divergance'. Did you mean 'divergence'?" in text


def test_a_wrong_type_names_the_key():
    with pytest.raises(ConfigError, match=r"r\.yaml: Expected `int`.*rollouts\.num_samples"):
        build_config({**MINIMAL, "rollouts": {"num_samples": "many"}}, "r.yaml")


def test_duplicate_keys_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="key seed stands twice"):
        load_config(write(tmp_path, "name: a\nseed: 1\nseed: 2\n"))


def test_aliases_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="aliases are not used"):
        load_config(write(tmp_path, "name: &a x\nseed: *a\n"))


def test_yaml_cannot_construct_objects(tmp_path):
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_config(write(tmp_path, "name: !!python/object/apply:os.system ['true']\n"))


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "a b", "a" * 101, "x\n"])
def test_a_name_cannot_leave_its_folder(name):
    with pytest.raises(ConfigError, match="a name must be letters"):
        build_config({**MINIMAL, "name": name})


def test_contradictions_are_refused_together():
    data = {
        "name": "tiny",
        "training": {"learning_rate": -1, "batch_size": 0},
        "stages": [{"share": 0.7}, {"share": 0.7, "fresh_rollouts": True}],
        "prompts": {"student": "no placeholder"},
    }
    with pytest.raises(ConfigError) as caught:
        build_config(data)
    for part in (
        "learning_rate must be > 0",
        "batch_size must be >= 1",
        "shares must add up",
        "fresh_rollouts needs",
        "problems.path must name",
        "prompts.student must contain",
    ):
        assert part in str(caught.value)


def test_overrides_reach_into_sections_and_keep_the_original():
    data = {"name": "a", "training": {"batch_size": 1}}
    changed = apply_overrides(data, ["training.batch_size=4", "seed=7", "stages=[{share: 1}]"], "recipe")
    assert changed == {"name": "a", "training": {"batch_size": 4}, "seed": 7, "stages": [{"share": 1}]}
    assert data["training"]["batch_size"] == 1


@pytest.mark.parametrize(("override", "message"), [("seed", "must read key=value"), ("name.x=1", "not a section")])
def test_a_malformed_override_is_refused(override, message):
    with pytest.raises(ConfigError, match=message):
        apply_overrides({"name": "a"}, [override], "recipe")


def test_a_method_is_the_base_with_its_overrides():
    methods = {"uniform": {"weights.function": "uniform"}, "paced": {}}
    config = build_config({**MINIMAL, "methods": methods})
    assert with_method(config, "uniform").weights.function == "uniform"
    assert with_method(config, "uniform").methods == {}
    assert with_method(config, "paced") == build_config(MINIMAL)


def test_a_missing_file_says_what_to_give(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot be read.*Give a YAML recipe, or the folder of a run"):
        load_config(tmp_path / "none.yaml")


def test_every_field_is_documented():
    import ast
    import inspect

    import paced.config

    tree = ast.parse(inspect.getsource(paced.config))
    for node in (item for item in tree.body if isinstance(item, ast.ClassDef)):
        for field, after in zip(node.body, [*node.body[1:], None], strict=True):
            if isinstance(field, ast.AnnAssign):
                documented = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
                assert documented, f"{node.name}.{ast.unparse(field.target)} has no docstring"
    assert RunConfig.__doc__
