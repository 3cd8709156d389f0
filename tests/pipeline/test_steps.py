"""The flow of a run: each step reads files and writes files, can be killed anywhere, and ends in the same bytes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import yaml
from tiny_models import FAMILIES, write_model
from tiny_run import begin, contents, recipe

from paced.analysis.report.report import write_report
from paced.errors import ConfigError
from paced.models.loading import load_model, load_tokenizer
from paced.pipeline import steps
from paced.pipeline.job import run_job
from paced.pipeline.methods import prepare
from paced.pipeline.sources import StageProblems, open_source
from paced.problems.files import read_problems
from paced.records import Rollout
from paced.rollouts.sampler import make_sampler
from paced.run.config import SamplingConfig
from paced.run.configfile import apply_overrides, build_config
from paced.run.folder import RunFolder
from paced.run.progress import Silent
from paced.run.storage import read_lines, read_records


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("gpt2"), "gpt2", chat=False)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_any_small_hugging_face_model_runs_on_any_problem_file(tmp_path, family):
    """Absolute and rotary positions, tied and untied heads, padded vocabularies, no padding token, chat or none."""
    chat = family in ("llama", "qwen2")
    model = write_model(tmp_path / family, family, chat=chat)
    data = recipe(
        tmp_path, model, stages=[{"share": 0.5}, {"divergence": "reverse_kl", "along": "rollout", "share": 0.5}]
    )
    data["prompts"]["use_chat_template"] = chat
    run = begin(tmp_path, data)
    run_job(run, Silent())
    assert write_report(run).exists()
    assert len(list(read_lines(run.metrics))) == 4
    assert (run.evaluation / "final-heldout.parquet").exists()
    generation = json.loads((run.stage(2).student / "generation_config.json").read_text())
    assert generation["eos_token_id"] == 0


def test_teacher_and_student_prompts_differ_in_length_and_share_the_completion(tmp_path, gpt2):
    run = begin(tmp_path, recipe(tmp_path, gpt2))
    for step in (steps.rollout, steps.grade, steps.weigh, steps.reference):
        step(run, 1, Silent())
    tokenizer = load_tokenizer(run.config().student)
    problems = steps.stage_problems(run, 1)

    def reader(name):
        return make_sampler(run.config(), run.config().student, reader=name, sampling=SamplingConfig())

    readers = {"student": reader("student"), "teacher": reader("teacher")}
    source = open_source(StageProblems(run, 1, problems, progress=Silent(), **readers))
    references = {reference.problem_id: reference for reference in read_records(run.stage(1).references, Rollout)}
    assert len(source.examples(range(12), step=1, student=None)) == 12
    for problem, example in zip(problems, source.examples(range(12), step=1, student=None), strict=True):
        assert tokenizer.decode(example.student_prompt_ids) == problem.problem
        assert (
            tokenizer.decode(example.teacher_prompt_ids)
            == f"{problem.problem} is {problem.solution}. {problem.problem}"
        )
        assert example.completion_ids == references[problem.problem_id].token_ids
        assert example.unit_mean_weight == 1.0


def test_rollouts_do_not_depend_on_the_batch(tmp_path, gpt2):
    found = []
    for max_rows in (4, 16, 1024):
        data = recipe(tmp_path, gpt2)
        data["rollouts"]["engine"]["parameters"]["max_rows"] = max_rows
        run = RunFolder(tmp_path / f"rows-{max_rows}")
        run.claim(build_config(data))
        steps.rollout(run, 1, Silent())
        found.append(run.stage(1).rollouts.read_bytes())
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("keep_bytes", [0, 1, 900, -40])
def test_a_rollout_file_that_was_cut_anywhere_is_completed_to_the_same_bytes(tmp_path, gpt2, keep_bytes):
    run = begin(tmp_path, recipe(tmp_path, gpt2))
    steps.rollout(run, 1, Silent())
    whole = run.stage(1).rollouts.read_bytes()
    run.stage(1).rollouts.write_bytes(whole[:keep_bytes])
    steps.rollout(run, 1, Silent())
    assert run.stage(1).rollouts.read_bytes() == whole


def test_finished_rollouts_are_not_sampled_again(tmp_path, gpt2, monkeypatch):
    run = begin(tmp_path, recipe(tmp_path, gpt2))
    steps.rollout(run, 1, Silent())

    def never(*arguments, **settings):
        raise AssertionError("sampled again")

    whole = run.stage(1).rollouts.read_bytes()
    monkeypatch.setattr("paced.rollouts.hf.sample_batches", never)
    steps.rollout(run, 1, Silent())
    assert run.stage(1).rollouts.read_bytes() == whole


def test_steps_out_of_order_say_what_is_missing(tmp_path, gpt2):
    run = begin(tmp_path, recipe(tmp_path, gpt2))
    with pytest.raises(ConfigError, match="has no problems yet. Run: paced rollout"):
        steps.grade(run, 1, Silent())
    steps.take_problems(run, Silent())
    with pytest.raises(ConfigError, match="must have 4 rollouts of every problem, 12 of 12 problems lack some"):
        steps.grade(run, 1, Silent())
    with pytest.raises(ConfigError, match="has no pass rates. Run: paced grade"):
        steps.weigh(run, 1, Silent())
    with pytest.raises(ConfigError, match=r"has no pass_rates.parquet. Run: paced grade"):
        steps.distill(run, 1, Silent())
    with pytest.raises(ConfigError, match="stage must be between 1 and 1, got 2"):
        steps.grade(run, 2, Silent())


def test_no_frontier_is_said_and_not_trained_on(tmp_path, gpt2):
    run = begin(tmp_path, recipe(tmp_path, gpt2, weights="beta"))
    with pytest.raises(ConfigError, match="gives weight 0 to all 12 problems: 12 were never solved, 0 always"):
        steps.train_run(run, Silent())


def test_stages_take_disjoint_parts_of_the_problems(tmp_path, gpt2):
    stages = [{"share": 0.5}, {"share": 0.25}, {"share": 0.25}]
    run = begin(tmp_path, recipe(tmp_path, gpt2, stages=stages))
    steps.take_problems(run, Silent())
    parts = [[problem.problem_id for problem in steps.stage_problems(run, number)] for number in (1, 2, 3)]
    everything = [problem.problem_id for problem in read_problems(tmp_path / "sums.jsonl").problems]
    assert [len(part) for part in parts] == [6, 3, 3]
    assert sorted(problem_id for part in parts for problem_id in part) == sorted(everything)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rollouts.max_new_tokens": 200}, r"the student has 96 positions. Set rollouts.max_new_tokens=\d+ or less"),
        ({"weights": "betta"}, "weights must be one of uniform, beta, .* got 'betta'. Did you mean 'beta'?"),
        (
            {"weights.parameters.alfa": 1},
            "weights.parameters do not fit 'uniform' .*weights=uniform takes its defaults",
        ),
        ({"weights": {"name": "beta", "parameters": {"alpha": -1}}}, "alpha must be finite and >= 0, got -1"),
        ({"stages": [{"divergence": "kl"}]}, r"stages.1.divergence must be one of forward_kl"),
        ({"stages.1.divergence.parameters.beta": 2}, r"forward_kl takes no parameters, got beta"),
        ({"grading.answer_format": "box"}, "grading.answer_format must be one of whole, .* Did you mean 'boxed'?"),
        ({"prompts.use_chat_template": True}, "Set prompts.use_chat_template=false"),
        ({"student.path": "/nowhere"}, "is not a folder"),
        (
            {"training.backend": "nativ"},
            "training.backend must be one of native, transformers, trl, verl, got 'nativ'. Did you mean 'native'?",
        ),
        ({"training.backend.parameters.gpus": 8}, "training.backend.parameters do not fit 'native'"),
        ({"rollouts.engine": "vllm2"}, "rollouts.engine must be one of hf"),
        ({"rollouts.engine.parameters.max_rows": 0}, "hf: max_rows must be an integer >= 1, got 0"),
        ({"references.engine.parameters.url": "x"}, "references.engine.parameters do not fit 'hf' .*'url'"),
    ],
)
def test_what_cannot_work_is_refused_before_the_first_rollout(tmp_path, gpt2, changes, words):
    run = begin(tmp_path, apply_overrides(recipe(tmp_path, gpt2), changes, "test"))
    with pytest.raises(ConfigError, match=words):
        run_job(run, Silent())
    assert not run.stage(1).rollouts.exists()


def test_a_run_names_a_wrong_choice_and_a_wrong_length_in_one_refusal(tmp_path, gpt2):
    changes = {"weights": "betta", "rollouts.max_new_tokens": 200}
    run = begin(tmp_path, apply_overrides(recipe(tmp_path, gpt2), changes, "test"))
    with pytest.raises(ConfigError, match=r"(?s)weights must be one of .* the student has 96 positions"):
        run_job(run, Silent())


def test_a_step_alone_refuses_a_choice_that_there_is_not(tmp_path, gpt2):
    run = begin(tmp_path, recipe(tmp_path, gpt2) | {"weights": "betta", "grading": {"answer_format": "box"}})
    with pytest.raises(ConfigError, match="weights must be one of .* grading.answer_format must be one of"):
        prepare(run, Silent())


def test_weights_that_a_file_lacks_are_not_made_up(tmp_path):
    from safetensors.torch import load_file, save_file

    model = write_model(tmp_path / "broken", "llama", chat=False)
    tensors = load_file(model / "model.safetensors")
    tensors.pop("model.layers.1.mlp.up_proj.weight")
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})
    run = begin(tmp_path, recipe(tmp_path, model))
    with pytest.raises(ConfigError, match="the weights lack 1 tensors of the model, e.g. model.layers.1.mlp.up_proj"):
        steps.rollout(run, 1, Silent())


def test_pickled_weights_are_refused(tmp_path):
    model = write_model(tmp_path / "pickled", "llama", chat=False)
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    run = begin(tmp_path, recipe(tmp_path, model))
    with pytest.raises(ConfigError, match="weights must be safetensors, found pytorch_model.bin"):
        steps.rollout(run, 1, Silent())


def test_a_tokenizer_without_an_end_of_sequence_token_is_refused(tmp_path):
    model = write_model(tmp_path / "endless", "llama", chat=False, eos=None)
    config = json.loads((model / "config.json").read_text()) | {"eos_token_id": None}
    (model / "config.json").write_text(json.dumps(config))
    run = begin(tmp_path, recipe(tmp_path, model))
    with pytest.raises(ConfigError, match="names an end-of-sequence token"):
        steps.rollout(run, 1, Silent())


@pytest.mark.slow
def test_a_run_killed_at_any_point_ends_in_the_bytes_of_an_undisturbed_one(tmp_path, gpt2):
    stages = [{"share": 0.5}, {"divergence": "reverse_kl", "along": "rollout", "fresh_rollouts": True, "share": 0.5}]
    data = recipe(
        tmp_path,
        gpt2,
        stages=stages,
        training={"batch_size": 1, "learning_rate": 1e-3, "checkpoint_every": 2},
        methods={"one": {"weights": "uniform"}, "other": {"training.learning_rate": 2e-3}},
    )
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(data))

    def start(root):
        root.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "paced", "run", str(file), "--root", "."]
        return subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    calm = start(tmp_path / "calm")
    output, errors = calm.communicate()
    assert calm.returncode == 0, errors
    lively = tmp_path / "lively" / "tiny"
    moments = [
        (lively / "stage-1" / "rollouts.jsonl", signal.SIGKILL),
        (lively / "methods" / "one" / "metrics.jsonl", signal.SIGKILL),
        (lively / "methods" / "other" / "stage-2" / "checkpoints", signal.SIGTERM),
    ]
    for wanted, number in moments:
        process = start(tmp_path / "lively")
        while not wanted.exists() and process.poll() is None:
            time.sleep(0.01)
        if process.poll() is None:
            os.kill(process.pid, number)
        process.communicate()
        assert process.returncode in (-9, 75, 0)
    last = start(tmp_path / "lively")
    again, errors = last.communicate()
    assert last.returncode == 0, errors
    assert again == output
    ours, theirs = contents(tmp_path / "calm"), contents(tmp_path / "lively")
    assert sorted(ours) == sorted(theirs)
    assert [name for name in ours if ours[name] != theirs[name]] == []


def test_the_first_loss_is_the_kl_of_aligned_completions_computed_by_hand(tmp_path, gpt2):
    """Teacher and student read prompts of different length; their distributions are compared token by token."""
    import torch
    from tolerances import F32

    data = recipe(tmp_path, gpt2, training={"batch_size": 12, "learning_rate": 1e-3, "micro_batch_tokens": 100})
    run = begin(tmp_path, data)
    steps.train_run(run, Silent())
    model = load_model(run.config().student).double()
    tokenizer = load_tokenizer(run.config().student)
    problems = {problem.problem_id: problem for problem in steps.stage_problems(run, 1)}

    def log_probabilities(prompt, completion):
        ids = tokenizer(prompt, add_special_tokens=True)["input_ids"]
        with torch.no_grad():
            logits = model(torch.tensor([[*ids, *completion]])).logits[0]
        return torch.log_softmax(logits[len(ids) - 1 : -1, : len(tokenizer)], dim=-1)

    losses = []
    for reference in read_records(run.stage(1).references, Rollout):
        problem = problems[reference.problem_id]
        teacher = log_probabilities(f"{problem.problem} is {problem.solution}. {problem.problem}", reference.token_ids)
        student = log_probabilities(problem.problem, reference.token_ids)
        assert len(teacher) == len(student) == len(reference.token_ids)
        losses.append(float((teacher.exp() * (teacher - student)).sum(-1).mean()))
    (line,) = read_lines(run.metrics)
    assert line["loss"] == pytest.approx(sum(losses) / len(losses), rel=F32)
