"""A recipe is read strictly: every key known, every value of its type and range, every contradiction named."""

from __future__ import annotations

import pytest

from paced.errors import ConfigError
from paced.run.config import ReferencesConfig, RunConfig, SamplingConfig, StageConfig, check_name
from paced.run.configfile import apply_overrides, build_config, load_config, to_dict, with_method
from paced.run.schema import Choice

MINIMAL = {"name": "tiny", "problems": {"path": "p.jsonl"}}


def refusal(data, place="r.yaml"):
    """The message with which ``data`` is refused."""
    with pytest.raises(ConfigError, match=f"^{place}: ") as caught:
        build_config(data, place)
    return str(caught.value)


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


def test_a_section_given_in_part_keeps_the_defaults_of_its_place():
    config = build_config(
        MINIMAL | {"evaluation": {"sampling": {"num_samples": 4}}, "references": {"max_new_tokens": 4096}}
    )
    assert config.evaluation.sampling == SamplingConfig(
        num_samples=4, sampling_temperature=0.6, top_p=0.95, max_new_tokens=30000
    )
    assert config.references == ReferencesConfig(num_samples=1, sampling_temperature=0.0, max_new_tokens=4096)


def test_a_config_survives_the_round_trip_through_plain_data():
    stages = [
        {"divergence": {"name": "jsd", "parameters": {"beta": 0.1}}, "along": "rollout", "share": 0.5},
        {"divergence": "akl", "share": 0.5},
    ]
    weights = {"name": "beta", "parameters": {"estimator": "posterior", "prior": [1, 0.5]}}
    config = build_config({**MINIMAL, "stages": stages, "weights": weights, "lab": {}})
    assert build_config(to_dict(config)) == config
    assert config.weights.parameters["prior"] == (1, 0.5)


def test_every_key_is_written_out_defaults_included():
    data = to_dict(build_config(MINIMAL))
    assert set(data) == set(RunConfig.__dataclass_fields__)
    assert (data["seed"], data["training"]["learning_rate"], data["stages"][0]["share"]) == (1, 1e-6, 1.0)
    assert data["weights"] == {"name": "beta", "parameters": {}}


def test_a_bare_name_is_short_for_a_choice_without_parameters():
    short = {"weights": "uniform", "stages": [{"divergence": "jsd"}], "grading": {"answer_format": "boxed"}}
    config = build_config(MINIMAL | short)
    assert config.weights == Choice("uniform")
    assert config.stages == (StageConfig(divergence=Choice("jsd")),)
    assert config.grading.answer_format == Choice("boxed")
    assert build_config(MINIMAL | {"weights": {"parameters": {"alpha": 2}}}).weights == Choice("beta", {"alpha": 2})


def test_keys_that_moved_are_answered_with_where_they_are_now():
    old = {"weights": {"function": "uniform"}, "stages": [{"divergence": "jsd", "parameters": {"beta": 0.1}}]}
    assert refusal(MINIMAL | old) == (
        "r.yaml: weights.function is now weights.name. stages.1.parameters is now stages.1.divergence.parameters."
    )
    assert refusal(MINIMAL | {"rollouts": {"max_rows": 8}}) == (
        "r.yaml: rollouts.max_rows is now rollouts.engine.parameters.max_rows."
    )


def test_a_parameter_is_a_number_however_it_is_written(tmp_path):
    text = (
        "name: tiny\nproblems: {path: '1e5'}\n"
        "weights: {parameters: {alpha: 5e-1, prior: [1e0, 2.5E+1], estimator: posterior}}\n"
        "stages: [{divergence: {name: jsd, parameters: {beta: -1e-3}}}]\n"
    )
    file = tmp_path / "tiny.yaml"
    file.write_text(text)
    config = load_config(file, ["weights.parameters.beta=2e0"])
    expected = {"alpha": 0.5, "prior": (1.0, 25.0), "estimator": "posterior", "beta": 2.0}
    assert config.weights.parameters == expected
    assert config.stages[0].divergence.parameters == {"beta": -0.001}
    assert config.problems.path == "1e5"
    assert build_config(to_dict(config)) == config


def test_all_unknown_keys_are_named_with_the_nearest_known_one():
    text = refusal({**MINIMAL, "rollout": {}, "training": {"lerning_rate": 1}, "stages": [{}, {"divergance": "x"}]})
    assert "unknown key 'rollout'. Did you mean 'rollouts'?" in text
    assert "unknown key 'training.lerning_rate'. Did you mean 'training.learning_rate'?" in text
    assert "unknown key 'stages.2.divergance'. Did you mean 'stages.2.divergence'?" in text
    assert "unknown key 'problems.xyz'. Known: adapter, limit, on_bad_row, path." in refusal(
        {"name": "a", "problems": {"xyz": 1}}
    )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"rollouts": {"num_samples": "many"}}, "rollouts.num_samples must be an integer >= 1, got 'many'."),
        ({"rollouts": {"num_samples": 8.0}}, "rollouts.num_samples must be an integer >= 1, got 8.0."),
        ({"rollouts": {"num_samples": True}}, "rollouts.num_samples must be an integer >= 1, got true."),
        ({"training": {"clip_norm": 10**400}}, "training.clip_norm must be a finite number >= 0, got 1000"),
        ({"training": {"adam_betas": [0.9, 1]}}, "training.adam_betas must be a list of 2, each a finite number >= 0 "),
        ({"problems": {"path": 7}}, "problems.path must be text, got 7. Write it in quotes."),
        ({"parallel": {"shard": "yes"}}, "parallel.shard must be true or false, got 'yes'."),
        ({"training": None}, "training must be a mapping of its keys, got null."),
        ({"lab": 5}, "lab must be a mapping of its keys, got 5."),
        ({"stages": []}, "stages must be a list of one mapping or more, got []."),
        ({"stages": [3]}, "stages.1 must be a mapping of its keys, got 3."),
        ({"weights": 3}, "weights must be a name, or {name: …, parameters: {…}}, got 3."),
        ({"weights": {"parameters": {"alpha": {"x": 1}}}}, "weights.parameters must be a mapping from names to finite"),
        ({"weights": {"parameters": {"alpha": float("nan")}}}, "weights.parameters must be a mapping from names to "),
        ({"evaluation": {"sets": [{"name": "a"}]}}, "evaluation.sets.1.path must be given: the path of a file."),
        ({"methods": {"a": 3}}, "methods must be a mapping from names to mappings of overrides, got {'a': 3}."),
        ({"methods": {"a/b": {}}}, "methods must be a mapping from names to mappings of overrides, got {'a/b': {}}."),
    ],
)
def test_a_wrong_value_is_one_sentence_with_key_rule_and_value(changes, sentence):
    assert f"r.yaml: {sentence}" in refusal(MINIMAL | changes)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"stages": [{"along": "rolout"}]},
            "stages.1.along must be one of reference, rollout, got 'rolout'. Did you mean 'rollout'?",
        ),
        ({"lab": {"design": "nosy"}}, "lab.design must be one of paper, hard, noisy, clean, got 'nosy'. Did you mean"),
        ({"trackers": ["wandb", "tensorbord"]}, "got ['wandb', 'tensorbord']. Did you mean 'tensorboard'?"),
    ],
)
def test_an_unknown_choice_comes_with_those_there_are_and_the_nearest(changes, sentence):
    assert sentence in refusal(MINIMAL | changes)


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "a b", "a" * 101, "x\n"])
def test_a_name_cannot_leave_its_folder(name):
    assert "name must be a name of letters" in refusal({**MINIMAL, "name": name})
    assert "evaluation.sets.1.name must be a name of letters" in refusal(
        MINIMAL | {"evaluation": {"sets": [{"name": name, "path": "p"}]}}
    )
    with pytest.raises(ConfigError, match="a name must be letters"):
        check_name("here", name)


def test_two_held_out_sets_cannot_have_the_same_files():
    sets = [{"name": name, "path": "p"} for name in ("a", "b", "a", "training")]
    assert "evaluation.sets must have different names other than 'training', got a, training." in refusal(
        MINIMAL | {"evaluation": {"sets": sets}}
    )


def test_all_faults_are_named_together_those_of_methods_too():
    text = refusal(
        {
            "name": "tiny",
            "training": {"learning_rate": -1, "batch_size": 0, "interpolation": "zpd_mass"},
            "stages": [{"share": 0.7}, {"share": 0.7, "fresh_rollouts": True}],
            "prompts": {"student": "no placeholder"},
            "references": {"num_samples": 2},
            "parallel": {"cache_teacher": True, "sequence_parallel": 2},
            "student": {"attention": "eager"},
            "methods": {"a": {"training.batch_size": 0, "training.clip_norm": -1}, "b": {}},
        }
    )
    for part in (
        "training.learning_rate must be a finite number > 0, got -1.",
        "training.batch_size must be an integer >= 1, got 0.",
        "stages must have shares that add up to at most 1, got 1.4.",
        "stages.2.along must be rollout with fresh_rollouts, got 'reference'.",
        "problems.path must name a file of problems",
        "prompts.student must contain {problem}, got 'no placeholder'.",
        "references.num_samples must be 1 at temperature 0, which gives one text only, got 2.",
        "training.interpolation needs a stage of divergence mixed_kl",
        "parallel.sequence_parallel > 1 computes attention with sdpa.",
        "parallel.cache_teacher keeps states of completions that are seen again",
        "methods.a: training.clip_norm must be a finite number >= 0, got -1.",
    ):
        assert text.count(part) == 1, part


def test_a_mixture_that_interpolation_decides_is_not_set_beside_it():
    mixed = {"divergence": {"name": "mixed_kl", "parameters": {"forward_share": 0.5}}, "recompute_every": 2}
    text = refusal(MINIMAL | {"stages": [mixed], "training": {"interpolation": "zpd_mass"}})
    assert text.startswith("r.yaml: stages.1.divergence.parameters must not set forward_share")
    refused = refusal(MINIMAL | {"training": {"track_snr": True}, "parallel": {"sequence_parallel": 2}})
    assert refused.startswith("r.yaml: training.track_snr needs whole sequences on a rank.")


def test_a_value_at_fault_gives_no_second_sentence_about_what_follows_from_it():
    assert refusal(MINIMAL | {"stages": [{"along": "rolout", "fresh_rollouts": True}]}).count("stages.1") == 1
    assert refusal(MINIMAL | {"stages": [{"share": 0.5}, {"share": float("nan")}]}) == (
        "r.yaml: stages.2.share must be a finite number > 0 and <= 1, got nan."
    )


def test_a_recipe_that_is_not_a_mapping_is_refused(tmp_path):
    assert refusal([1]) == "r.yaml: a recipe must be a mapping of its keys, got [1]."
    (tmp_path / "r.yaml").write_text("- 1")
    with pytest.raises(ConfigError, match="a recipe must be a mapping of sections, got list"):
        load_config(tmp_path / "r.yaml")


def test_a_method_is_the_base_with_its_overrides():
    base = MINIMAL | {"weights": {"name": "beta", "parameters": {"alpha": 2}}, "training": {"batch_size": 4}}
    methods = {
        "uniform": {"weights": "uniform"},
        "steeper": {"weights.parameters.beta": 3},
        "slower": {"training": {"learning_rate": 1e-7}},
        "paced": {},
    }
    config = build_config({**base, "methods": methods})
    assert with_method(config, "uniform").weights == Choice("uniform")
    assert with_method(config, "steeper").weights == Choice("beta", {"alpha": 2, "beta": 3})
    assert with_method(config, "slower").training.batch_size == 4
    assert with_method(config, "uniform").methods == {}
    assert with_method(config, "paced") == build_config(base)


def test_a_bare_path_is_short_for_a_file_that_takes_a_steps_place():
    short = build_config(MINIMAL | {"rollouts": {"from": "dump.jsonl"}})
    assert short == build_config(MINIMAL | {"rollouts": {"from": {"path": "dump.jsonl"}}})
    assert to_dict(short)["rollouts"]["from"] == {"path": "dump.jsonl", "columns": {}}
    assert to_dict(build_config(MINIMAL))["rollouts"]["from"] is None
    named = build_config(MINIMAL | {"rollouts": {"from": {"path": "a.jsonl", "columns": {"text": "answer"}}}})
    assert apply_overrides(to_dict(named), ["rollouts.from=b.jsonl"], "")["rollouts"]["from"] == "b.jsonl"
    with pytest.raises(ConfigError, match="rollouts.from must be a path, or {path: …, columns: {…}}, got 7"):
        build_config(MINIMAL | {"rollouts": {"from": 7}})


def test_pass_rates_and_the_rollouts_that_would_give_them_are_not_taken_both():
    both = MINIMAL | {"rollouts": {"from": "dump.jsonl"}, "pass_rates": {"from": "rates.csv"}}
    with pytest.raises(ConfigError, match="rollouts.from gives rollouts that nothing reads"):
        build_config(both)
    assert build_config(both | {"stages": [{"along": "rollout"}]}).rollouts.from_ is not None
