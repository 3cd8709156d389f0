"""The launch examples are scripts and documents of the form that their scheduler reads, and call what there is."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from paced.rollouts.shards import Shard

LAUNCH = Path(__file__).parents[1] / "recipes" / "launch"
COUNTERS = {
    "$SLURM_ARRAY_TASK_ID": "0", "$SLURM_ARRAY_TASK_COUNT": "8", "$JOB_COMPLETION_INDEX": "7",
    "$SKYPILOT_NODE_RANK": "3", "$SKYPILOT_NUM_NODES": "4",
}  # fmt: skip
"""What a scheduler sets, counted from 0."""


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize("script", sorted(LAUNCH.glob("*.sh")), ids=lambda file: file.name)
def test_scripts_are_bash(script):
    subprocess.run(["bash", "-n", str(script)], check=True)


def test_the_kubernetes_job_gives_every_pod_its_index():
    job = yaml.safe_load((LAUNCH / "kubernetes.yaml").read_text())
    spec = job["spec"]
    assert (job["apiVersion"], job["kind"], spec["completionMode"]) == ("batch/v1", "Job", "Indexed")
    assert spec["template"]["spec"]["restartPolicy"] == "Never"  # which backoffLimitPerIndex asks for
    (container,) = spec["template"]["spec"]["containers"]
    assert f"$JOB_COMPLETION_INDEX/{spec['completions']}" in container["command"][-1]
    mounts = {mount["name"] for mount in container["volumeMounts"]}
    assert mounts == {volume["name"] for volume in spec["template"]["spec"]["volumes"]}


def test_the_skypilot_task_has_the_keys_of_one():
    task = yaml.safe_load((LAUNCH / "skypilot.yaml").read_text())
    assert set(task) == {"name", "num_nodes", "resources", "workdir", "file_mounts", "setup", "run"}
    assert isinstance(task["num_nodes"], int)


@pytest.mark.parametrize("file", sorted(LAUNCH.iterdir()), ids=lambda file: file.name)
def test_every_example_asks_for_a_part_that_there_is(file):
    text = file.read_text()
    for name, value in COUNTERS.items():
        text = text.replace(name, value)
    (part,) = re.findall(r'--shard "?([^ "\]]+)', text)
    assert Shard.parse(part).index < Shard.parse(part).count
