"""The launch examples are scripts and documents of the form that their scheduler reads, and call what there is."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from paced.rollouts.shards import Shard
from paced.run.configfile import apply_overrides, build_config

LAUNCH = Path(__file__).parents[1] / "recipes" / "launch"
COUNTERS = {
    "$SLURM_ARRAY_TASK_ID": "0", "$SLURM_ARRAY_TASK_COUNT": "8", "$JOB_COMPLETION_INDEX": "7",
    "$SKYPILOT_NODE_RANK": "3", "$SKYPILOT_NUM_NODES": "4",
}  # fmt: skip
"""What a scheduler sets, counted from 0."""


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize("script", sorted(LAUNCH.glob("*.sh")), ids=lambda file: file.name)
def test_scripts_are_bash(script):
    said = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True)
    assert (said.returncode, said.stderr) == (0, "")


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


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_the_pool_of_servers_has_our_noise_and_its_command_names_every_server(tmp_path):
    text = (LAUNCH / "vllm_servers.sh").read_text()
    module, name = re.search(r"--logits-processors (\S+):(\w+)", text).groups()
    assert importlib.util.find_spec(module)
    assert f"class {name}" in Path(importlib.util.find_spec(module).origin).read_text()
    urls = ["http://gpu-0.cluster:8000", "http://gpu-0.cluster:8001"]
    (folder := tmp_path / "servers-7").mkdir()
    for index, url in enumerate(urls):
        (folder / str(index)).write_text(url + "\n")
    command = re.search(r"#   paced run mine.yaml (.*?)\n#   scancel", text, re.DOTALL)[1].replace("\\\n#", " ")
    script = f"servers=7; printf '%s\\n' {command}"
    said = subprocess.run(["bash", "-c", script], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    config = build_config(apply_overrides({"name": "a", "problems": {"path": "p"}}, said.splitlines(), "test"))
    assert (config.rollouts.engine.name, list(config.rollouts.engine.parameters["base_urls"])) == ("server", urls)


@pytest.mark.parametrize(
    "file", sorted(set(LAUNCH.iterdir()) - {LAUNCH / "vllm_servers.sh"}), ids=lambda file: file.name
)
def test_every_example_asks_for_a_part_that_there_is(file):
    text = file.read_text()
    for name, value in COUNTERS.items():
        text = text.replace(name, value)
    (part,) = re.findall(r'--shard "?([^ "\]]+)', text)
    assert Shard.parse(part).index < Shard.parse(part).count
