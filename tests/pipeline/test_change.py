"""A run that has begun takes on other settings where nothing computed depends on them, and refuses the rest by name."""

from __future__ import annotations

import json
import shutil

import pytest
import yaml
from tiny_models import write_model, write_sums
from tiny_run import begin, contents, recipe

from paced.errors import ConfigError, RunFolderError
from paced.pipeline import steps
from paced.pipeline.change import adopt
from paced.pipeline.dependence import after, outputs_of, settings_of, steps_of
from paced.pipeline.job import run_job
from paced.pipeline.open import open_run
from paced.run.configfile import apply_overrides, build_config
from paced.run.progress import Silent
from paced.run.storage import read_lines


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("gpt2"), "gpt2", chat=False)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, gpt2):
    """A finished run and its recipe; tests copy it."""
    folder = tmp_path_factory.mktemp("whole")
    data = recipe(folder, gpt2)
    run = begin(folder, data)
    run_job(run, Silent())
    return run, data


def copy_of(run, tmp_path):
    shutil.copytree(run.root, tmp_path / "runs" / "copy")
    return type(run)(tmp_path / "runs" / "copy")


def changed(data, changes):
    return build_config(apply_overrides(data, changes, "test"))


def take_on(run, data, changes, redo=()):
    said = []
    adopt(run, changed(data, changes), redo=redo, say=said.append)
    return "\n".join(said)


def times(run):
    return {name: (run.root / name).stat().st_mtime_ns for name in contents(run.root) if not name.endswith(".yaml")}


@pytest.mark.parametrize(
    "changes",
    [
        {"trackers": ["tensorboard"]},
        {"training.checkpoint_every": 7, "training.keep_checkpoints": 5},
        {"rollouts.engine.parameters.max_rows": 3, "references.engine.parameters.max_rows": 2},
        {"parallel.cache_teacher": True, "parallel.gradient_checkpointing": True},
        {"evaluation.rate_training": True},
        {"methods": {"other": {"weights": "uniform"}}},
        {"problems.path": "moved/sums.jsonl"},
        {"name": "renamed"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_nothing_computed_depends_on_is_taken_on_and_shown(tmp_path, whole, changes):
    run, data = copy_of(whole[0], tmp_path), whole[1]
    before, at = contents(run.root), times(run)
    said = take_on(run, data, changes)
    assert "continues with other settings (- held, + asked)" in said
    assert run.written_config() == changed(data, changes)
    assert {name: raw for name, raw in contents(run.root).items() if name != "config.yaml"} == {
        name: raw for name, raw in before.items() if name != "config.yaml"
    }
    assert times(run) == at
    assert take_on(run, data, changes) == ""


@pytest.mark.parametrize(
    ("changes", "step"),
    [
        ({"seed": 2}, "stage-1-rollout"),
        ({"training.learning_rate": 2e-3}, "stage-1-distill"),
        ({"stages.1.divergence": "reverse_kl"}, "stage-1-distill"),
        ({"weights": {"name": "hard_filter"}}, "stage-1-distill"),
        ({"grading.answer_format": "first_line"}, "stage-1-distill"),
        ({"prompts.teacher": "{problem}! {solution}"}, "stage-1-reference"),
        ({"prompts.student": "{problem}!"}, "stage-1-rollout"),
        ({"rollouts.sampling_temperature": 0.5}, "stage-1-rollout"),
        ({"rollouts.num_samples": 3}, "stage-1-rollout"),
        ({"rollouts.num_samples": 6}, "stage-1-distill"),
        ({"references.max_new_tokens": 5}, "stage-1-reference"),
        ({"evaluation.sampling.top_p": 1.0}, "evaluate-base-heldout"),
        ({"problems.limit": 6}, "stage-1-rollout"),
        ({"stages.1.share": 0.5}, "stage-1-rollout"),
        ({"student.dtype": "bfloat16"}, "stage-1-rollout"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_what_was_computed_with_another_setting_is_refused_by_name_and_nothing_is_touched(
    tmp_path, whole, changes, step
):
    run, data = copy_of(whole[0], tmp_path), whole[1]
    before = contents(run.root)
    key = next(iter(changes)).rpartition(".")[2]
    with pytest.raises(
        RunFolderError, match=rf"(?s){key}.* would change what was computed: .*{step}.*--redo.*\n\s+[-+]"
    ):
        take_on(run, data, changes)
    assert contents(run.root) == before


def test_a_step_that_is_given_up_is_done_again_with_what_follows_and_nothing_else(tmp_path, whole, gpt2):
    run, data = copy_of(whole[0], tmp_path), whole[1]
    before = times(run)
    changes = {"training.learning_rate": 2e-3}
    said = take_on(run, data, changes, redo=("stage-1-distill",))
    assert "done again: stage-1-distill, evaluate-final-heldout, count-final-heldout" in said
    assert not run.stage(1).student.exists()
    assert not list(read_lines(run.metrics))
    run_job(run, Silent())
    fresh = begin(tmp_path / "fresh", apply_overrides(data, changes, "test"))
    run_job(fresh, Silent())
    ours = {name: raw for name, raw in contents(run.root).items() if not name.startswith("steps")}
    assert ours == {name: raw for name, raw in contents(fresh.root).items() if not name.startswith("steps")}
    kept = ("rollouts.jsonl", "grades.jsonl", "references.jsonl", "base-heldout.parquet", "weights.parquet")
    assert all(at == before[name] for name, at in times(run).items() if name.endswith(kept) and "final" not in name)


@pytest.mark.slow
def test_weights_follow_a_new_function_as_long_as_nothing_is_trained(tmp_path, gpt2):
    data = recipe(tmp_path, gpt2)
    run = begin(tmp_path, data)
    for step in (steps.rollout, steps.grade, steps.weigh, steps.reference):
        step(run, 1, Silent())
    rollouts, at = run.stage(1).rollouts.read_bytes(), run.stage(1).rollouts.stat().st_mtime_ns
    changes = {
        "weights": {"name": "target_difficulty"},
        "grading.answer_format": "first_line",
        "training.learning_rate": 5e-4,
    }
    said = take_on(run, data, changes)
    assert "done again: stage-1-grade, stage-1-weigh" in said
    run_job(run, Silent())
    assert (run.stage(1).rollouts.read_bytes(), run.stage(1).rollouts.stat().st_mtime_ns) == (rollouts, at)
    fresh = begin(tmp_path / "fresh", apply_overrides(data, changes, "test"))
    run_job(fresh, Silent())
    assert contents(run.stage(1).root) == contents(fresh.stage(1).root)
    assert run.metrics.read_bytes() == fresh.metrics.read_bytes()


def test_the_learning_rate_of_a_stage_not_begun_can_be_changed(tmp_path, gpt2):
    stages = [{"share": 0.5}, {"divergence": "reverse_kl", "along": "rollout", "share": 0.5}]
    data = recipe(tmp_path, gpt2, stages=stages)
    run = begin(tmp_path, data)
    steps.take_problems(run, Silent())
    for step in (steps.rollout, steps.grade, steps.weigh, steps.reference, steps.distill):
        step(run, 1, Silent())
    first = contents(run.stage(1).root)
    take_on(run, data, {"stages.2.learning_rate": 5e-3})
    run_job(run, Silent())
    assert contents(run.stage(1).root) == first
    assert {(line["stage"], line["learning_rate"]) for line in read_lines(run.metrics)} == {(1, 1e-3), (2, 5e-3)}
    with pytest.raises(RunFolderError, match=r"learning_rate \(0.005 -> 0.001\) .* --redo stage-2-distill"):
        take_on(run, data, {})


def test_a_new_held_out_set_and_a_new_method_join_a_finished_run(tmp_path, whole):
    run, data = copy_of(whole[0], tmp_path), whole[1]
    before = times(run)
    more = write_sums(tmp_path / "more.jsonl", 4, first=40)
    sets = [*data["evaluation"]["sets"], {"name": "more", "path": str(more)}]
    take_on(run, data, {"evaluation.sets": sets})
    run_job(run, Silent())
    assert (run.evaluation / "base-more.parquet").exists()
    assert (run.evaluation / "final-more.parquet").exists()
    assert {name: at for name, at in times(run).items() if name in before} == before


@pytest.mark.slow
def test_a_method_joins_and_another_one_changes_while_the_third_stays(tmp_path, gpt2):
    data = recipe(tmp_path, gpt2, methods={"one": {"weights": "uniform"}, "two": {"training.learning_rate": 2e-3}})
    run = begin(tmp_path, data)
    run_job(run, Silent())
    one = times(run.method("one"))
    methods = data["methods"] | {"two": {"training.learning_rate": 3e-3}, "three": {"weights": "target_difficulty"}}
    with pytest.raises(RunFolderError, match=r"learning_rate \(0.002 -> 0.003\).*--redo stage-1-distill"):
        take_on(run, data, {"methods": methods})
    methods["two"] = {"training.learning_rate": 2e-3}
    take_on(run, data, {"methods": methods})
    run_job(run, Silent())
    assert times(run.method("one")) == one
    assert (run.method("three").evaluation / "final-heldout.parquet").exists()


@pytest.mark.slow
def test_more_samples_for_all_methods_are_drawn_once(tmp_path, gpt2):
    data = recipe(tmp_path, gpt2, methods={"one": {"weights": "uniform"}})
    run = begin(tmp_path, data)
    from paced.pipeline.methods import prepare, run_shared
    from paced.pipeline.open import method_folder

    run_shared(run, Silent())
    folder = method_folder(run, "one", Silent())
    prepare(folder, Silent())
    assert folder.stage(1).rollouts.read_bytes().count(b"\n") == 48
    said = take_on(run, data, {"rollouts.num_samples": 6})
    assert said.count("keeps its samples and gets more") == 2
    run_shared(run, Silent())
    prepare(folder, Silent())
    assert folder.stage(1).rollouts.read_bytes() == run.stage(1).rollouts.read_bytes()
    assert folder.stage(1).rollouts.read_bytes().count(b"\n") == 72
    run_job(run, Silent())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wrong", "right", "words"),
    [
        ({"rollouts.max_new_tokens": 200}, {}, "positions"),
        ({"stages.1.divergence": {"name": "jsd", "parameters": {"beta": 1.5}}}, {}, "beta"),
        ({"grading.answer_format": "box"}, {}, "Did you mean 'boxed'"),
        ({"student.path": "/nowhere"}, {}, "is no"),
        ({"weights": {"name": "beta", "parameters": {"alfa": 1}}}, {}, "alfa"),
    ],
)
def test_a_recipe_corrected_after_a_refusal_runs_in_the_same_folder(tmp_path, gpt2, wrong, right, words):
    data = recipe(tmp_path, gpt2)
    run = begin(tmp_path, apply_overrides(data, wrong, "test"))
    with pytest.raises(ConfigError, match=words):
        run_job(run, Silent())
    take_on(run, data, right)
    run_job(run, Silent())
    assert (run.evaluation / "final-heldout.parquet").exists()


def test_a_training_that_never_began_holds_nothing(tmp_path, gpt2, monkeypatch):
    """Refused as soon as it was asked for, a stage has a record and no checkpoint: its settings are free."""
    data = recipe(tmp_path, gpt2)
    run = begin(tmp_path, data)
    for step in (steps.rollout, steps.grade, steps.weigh, steps.reference):
        step(run, 1, Silent())
    with monkeypatch.context() as patched:
        patched.setattr("paced.train.native.backend.load_model", None)
        with pytest.raises(TypeError):
            steps.distill(run, 1, Silent())
    take_on(run, data, {"training.learning_rate": 2e-3})
    run_job(run, Silent())
    assert {line["learning_rate"] for line in read_lines(run.metrics)} == {2e-3}


def test_an_unknown_step_to_give_up_is_refused_with_those_there_are(tmp_path, whole):
    run, data = copy_of(whole[0], tmp_path), whole[1]
    with pytest.raises(ConfigError, match=r"--redo: must name a step .*Did you mean 'stage-1-distill'"):
        take_on(run, data, {}, redo=("stage1-distil",))


def test_a_run_continues_from_any_working_directory(tmp_path, gpt2, monkeypatch):
    """Paths of a recipe are kept from the run folder: started in one folder, continued in two others."""
    home = tmp_path / "home"
    home.mkdir()
    shutil.copytree(gpt2, home / "model")
    data = recipe(home, gpt2)
    data |= {"student": {"path": "model"}, "problems": {"path": "sums.jsonl"}}
    data["evaluation"]["sets"][0]["path"] = "heldout.jsonl"
    (home / "mine.yaml").write_text(yaml.safe_dump(data))
    monkeypatch.chdir(home)
    run = open_run(home / "mine.yaml")
    steps.rollout(run, 1, Silent())
    assert run.written_config().student.path == "run:../../model"
    assert run.config().student.path == "model"
    monkeypatch.chdir(tmp_path)
    again = open_run(home / "mine.yaml", root=home / "runs")
    for step in (steps.grade, steps.weigh, steps.reference):
        step(again, 1, Silent())
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    last = open_run(home / "runs" / "tiny")
    run_job(last, Silent())
    assert (last.evaluation / "final-heldout.parquet").exists()
    home.rename(tmp_path / "moved")
    run_job(open_run(tmp_path / "moved" / "runs" / "tiny"), Silent())


def test_settings_can_be_given_with_the_folder_of_a_run(tmp_path, whole):
    run = copy_of(whole[0], tmp_path)
    assert open_run(run.root, ("training.checkpoint_every=3",)).config().training.checkpoint_every == 3
    with pytest.raises(RunFolderError, match="--redo stage-1-distill"):
        open_run(run.root, ("training.learning_rate=0.5",))
    with pytest.raises(ConfigError, match="has begun with seed 1"):
        open_run(run.root, seed=2)


def test_several_processes_do_not_change_a_run(tmp_path, whole, monkeypatch):
    run, data = copy_of(whole[0], tmp_path), whole[1]
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="by one process"):
        take_on(run, data, {"training.checkpoint_every": 3})


def test_every_key_of_a_recipe_is_depended_on_or_known_to_change_nothing(whole):
    """A key that is added to the recipe must say whether results depend on it."""
    _, data = whole
    config = build_config(data)
    depended = {key.split(".")[0] for step in steps_of(config) for key in settings_of(config, step)}
    assert depended == {
        "seed", "lab", "student", "teacher", "problems", "prompts", "rollouts", "grading", "references", "weights",
        "stages", "training", "learning_rate", "evaluation", "num_stages",
    }  # fmt: skip
    training = {key for key in settings_of(config, steps_of(config)[-3]) if key.startswith("training.")}
    free = {"training.checkpoint_every", "training.keep_checkpoints", "training.learning_rate"}
    assert training | free == {f"training.{key}" for key in json.loads(json.dumps(vars(config.training), default=str))}


def test_everything_follows_from_the_problems_but_the_base_evaluation(whole):
    config = build_config(whole[1])
    steps_in_order = steps_of(config)
    rest = [step for step in steps_in_order if step not in after(steps_in_order[0], steps_in_order)]
    assert [step.label for step in rest] == ["problems", "evaluate-base-heldout", "count-base-heldout"]
    assert len({path for step in steps_in_order for path in outputs_of(whole[0], step)}) == 13


def test_a_run_at_work_is_not_changed_by_another_process(tmp_path, whole):
    run, data = copy_of(whole[0], tmp_path), whole[1]
    before = contents(run.root)
    with run.locked(), pytest.raises(RunFolderError, match="is in use by process"):
        take_on(run, data, {"training.checkpoint_every": 3})
    assert contents(run.root) == before


def test_opening_a_run_at_work_touches_nothing(tmp_path, gpt2):
    """Another process may have stored prompts that no record names yet."""
    data = recipe(tmp_path, gpt2)
    run = begin(tmp_path, data)
    run.stage(1).root.mkdir()
    run.stage(1).student_prompts.write_text("")
    with run.locked():
        take_on(run, data, {})
    assert run.stage(1).student_prompts.exists()


def test_more_samples_of_a_step_that_has_none_yet(tmp_path, gpt2, monkeypatch):
    data = recipe(tmp_path, gpt2)
    run = begin(tmp_path, data)
    with monkeypatch.context() as patched:
        patched.setattr("paced.rollouts.collect.append_lines", None)  # dies at the first batch
        with pytest.raises(TypeError):
            steps.rollout(run, 1, Silent())
    take_on(run, data, {"rollouts.num_samples": 6})
    steps.rollout(run, 1, Silent())
    assert run.stage(1).rollouts.read_bytes().count(b"\n") == 72


@pytest.mark.parametrize("continued", [False, True])
def test_results_without_records_belong_to_the_settings_of_their_folder(tmp_path, whole, continued):
    """A run of an older version, as it is found or after this version has continued it."""
    run, data = copy_of(whole[0], tmp_path), whole[1]
    shutil.rmtree(run.steps)
    if continued:
        run_job(run, Silent())
    with pytest.raises(RunFolderError, match=r"learning_rate \(0.001 -> 0.002\) .*--redo stage-1-distill"):
        take_on(run, data, {"training.learning_rate": 2e-3})
    take_on(run, data, {"training.checkpoint_every": 3})
    take_on(run, data, {"training.learning_rate": 2e-3}, redo=("stage-1-distill",))
    run_job(run, Silent())
    assert {line["learning_rate"] for line in read_lines(run.metrics)} == {2e-3}


@pytest.mark.slow
def test_a_change_killed_half_way_can_be_asked_again(tmp_path, gpt2, monkeypatch):
    data = recipe(tmp_path, gpt2, methods={"one": {}, "two": {"weights": "uniform"}})
    run = begin(tmp_path, data)
    run_job(run, Silent())
    changes = {"training.learning_rate": 2e-3}
    with monkeypatch.context() as patched:
        patched.setattr("paced.pipeline.change.write_atomic", None)  # dies after the first folder's files are gone
        with pytest.raises(TypeError):
            take_on(run, data, changes, redo=("stage-1-distill",))
    take_on(run, data, changes, redo=("stage-1-distill",))
    run_job(run, Silent())
    for name in ("one", "two"):
        assert {line["learning_rate"] for line in read_lines(run.method(name).metrics)} == {2e-3}


@pytest.mark.parametrize("damage", [b"", b"\xff\xfe garbage", b"name: [", b"colour: red\n"])
def test_a_damaged_configuration_is_written_again_from_the_recipe_and_refused_without(tmp_path, whole, damage):
    run, data = copy_of(whole[0], tmp_path), whole[1]
    before = contents(run.root)
    run.config_file.write_bytes(damage)
    with pytest.raises((ConfigError, RunFolderError), match="config.yaml: "):
        open_run(run.root)
    take_on(run, data, {})
    assert contents(run.root) == before
