"""A stage for verl: refused where verl cannot do it, written whole, read by verl itself, continued with its student."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from tiny_models import write_model
from tiny_run import begin, recipe

from paced.pipeline.steps import train_run
from paced.records import Problem, ProblemWeight
from paced.run.configfile import build_config
from paced.run.progress import Silent
from paced.run.signals import StopRequested
from paced.run.storage import read_parquet
from paced.train.loss.reductions import token_weights
from paced.train.verl.backend import VerlBackend, script

VERL = Path(os.environ.get("PACED_VERL_PYTHON") or Path(sys.prefix) / "verl" / "bin" / "python")
STAGE = {"divergence": "reverse_kl", "along": "rollout", "fresh_rollouts": True, "num_steps": 3}
SAME_PROMPTS = {"teacher": "{problem}"}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("verl") / "a model", "llama", chat=True)


def verl_recipe(tmp_path, model, **changes):
    own = {"stages": [STAGE], "prompts": SAME_PROMPTS, "weights": {"name": "beta"}}
    data = recipe(tmp_path, model) | own | changes
    return data | {"training": data["training"] | {"backend": "verl"} | changes.get("training", {})}


@pytest.fixture
def written(tmp_path, model):
    """A run that has stopped for verl."""
    run = begin(tmp_path, verl_recipe(tmp_path, model, weights="uniform"))
    with pytest.raises(StopRequested, match=r"stage 1 is written for verl in .*README\.md says how.*run the same"):
        train_run(run, Silent())
    return run


def test_the_bundle_holds_the_problems_with_their_weights_the_loss_and_the_command(written):
    folder = written.stage(1).root / "verl"
    assert sorted(file.name for file in folder.iterdir()) == ["README.md", "paced_verl.py", "run.sh", "train.parquet"]
    table = pq.read_table(folder / "train.parquet").to_pylist()
    problems = read_parquet(written.problems, Problem)
    weights = {row.problem_id: row.unit_mean_weight for row in read_parquet(written.stage(1).weights, ProblemWeight)}
    assert [row["prompt"] for row in table] == [[{"role": "user", "content": one.problem}] for one in problems]
    assert [row["reward_model"]["ground_truth"] for row in table] == [one.answer for one in problems]
    assert {row["extra_info"]["problem_id"]: row["paced_weight"] for row in table} == weights
    assert all(0 <= row["pass_rate"] <= 1 and row["num_rollouts"] == 4 for row in table)
    subprocess.run(["bash", "-n", folder / "run.sh"], check=True)


def test_a_run_continues_with_the_student_that_verl_has_trained(written, model):
    with pytest.raises(StopRequested):  # nothing is there yet: the same sentence again
        train_run(written, Silent())
    shutil.copytree(model, written.stage(1).student)
    train_run(written, Silent())
    assert (written.steps / "stage-1-distill.json").exists()


def test_the_order_of_the_files_of_a_bundle_written_again_does_not_change_their_bytes(written):
    folder = written.stage(1).root / "verl"
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    with pytest.raises(StopRequested):
        train_run(written, Silent())
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stages": [STAGE | {"fresh_rollouts": False}]}, r"stages.1: verl distils on-policy only"),
        ({"stages": [{"num_steps": 1}]}, r"stages.1: verl distils on-policy only"),
        ({"stages": [STAGE | {"divergence": "jsd"}]}, r"divergence must be one of forward_kl, reverse_kl .* got 'jsd'"),
        ({"stages": [STAGE | {"recompute_every": 2}]}, r"recompute_every must be 0"),
        ({"prompts": {"teacher": "{solution} {problem}"}}, r"prompts.teacher must be the same as prompts.student"),
        ({"prompts": SAME_PROMPTS | {"use_chat_template": False}}, r"prompts must use the chat template"),
        ({"training": {"batching": "refill"}}, r"training.batching must be weight .* got refill"),
        ({"training": {"normaliser": "self"}}, r"training.normaliser must be dataset .* got self"),
        ({"training": {"loss_temperature": 2.0}}, r"training.loss_temperature must be 1.0"),
        ({"training": {"adam_epsilon": 1e-6}}, r"training.adam_epsilon must be 1e-08"),
        ({"teacher": {"path": "org/model", "revision": "abc"}}, r"teacher.revision must be empty .* Name a folder"),
    ],
)
def test_what_verl_cannot_do_is_said_before_anything_runs(tmp_path, model, changes, message):
    assert VerlBackend().check(build_config(verl_recipe(tmp_path, model))) == []
    (fault,) = VerlBackend().check(build_config(verl_recipe(tmp_path, model, **changes)))
    assert re.search(message, fault), fault


def test_names_that_a_shell_would_run_are_quoted():
    text = script({"actor_rollout_ref.model.path": "a $(touch owned) `b`; c", "trainer.experiment_name": "it's"})
    bash = text.replace("exec python3 -m verl.trainer.main_ppo", "printf '%s\\n'").replace('cd "$(dirname "$0")"', "")
    printed = subprocess.run(["bash", "-c", bash], check=True, capture_output=True, text=True).stdout.splitlines()
    assert printed[:2] == ["actor_rollout_ref.model.path=a $(touch owned) `b`; c", "trainer.experiment_name=it's"]


@pytest.mark.slow
@pytest.mark.skipif(not VERL.exists(), reason="needs an environment with verl: make test-verl")
def test_verl_reads_the_bundle_and_reduces_weighted_losses_as_we_do(tmp_path, model, written):
    folder = written.stage(1).root / "verl"
    table = pq.read_table(folder / "train.parquet").to_pylist()
    ids = [row["extra_info"]["problem_id"] for row in table][::-1]  # verl shuffles; the weight belongs to the problem
    random = torch.Generator().manual_seed(0)
    losses = torch.rand(len(ids), 7, generator=random, dtype=torch.float64)
    counts = [1 + index % 7 for index in range(len(ids))]
    mask = torch.tensor([[float(place < count) for place in range(7)] for count in counts], dtype=torch.float64)
    given = {"ids": ids, "losses": losses.tolist(), "mask": mask.tolist(), "micro_batch": 5}
    (tmp_path / "losses.json").write_text(json.dumps(given))
    probe = Path(__file__).with_name("verl_probe.py")
    command = [str(VERL), str(probe), str(folder), str(model), str(tmp_path / "losses.json")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert ran.returncode == 0, ran.stderr[-3000:]
    told = json.loads(ran.stdout.splitlines()[-1])
    assert told["losses"] == ["paced_forward_kl_topk", "paced_k1", "paced_k3"]
    assert (told["loss_mode"], told["loss_agg_mode"], told["lr"]) == ("paced_k3", "seq-mean-token-mean", 1e-3)
    assert told["prompts"] == [row["prompt"] for row in table]
    assert told["golds"] == [row["reward_model"]["ground_truth"] for row in table]
    assert told["weights"] == [row["paced_weight"] for row in table]
    weights = {row["extra_info"]["problem_id"]: row["paced_weight"] for row in table}
    for mode, reduction in (("token-mean", "token_mean"), ("seq-mean-token-mean", "sequence_mean")):
        multipliers = token_weights(
            problem_weights=[weights[name] for name in ids], token_counts=counts, reduction=reduction
        )
        ours = float((multipliers[:, None] * losses * mask).sum())
        assert told["reduced"][mode] == pytest.approx(ours, rel=1e-5)
