"""A run folder belongs to one configuration and one process at a time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from paced.errors import RunFolderError
from paced.run.configfile import build_config
from paced.run.folder import RunFolder, check_free_space


def config(**changes):
    return build_config({"name": "tiny", "problems": {"path": "p.jsonl"}, **changes})


def test_claim_writes_the_resolved_config_and_reads_it_back(tmp_path):
    run = RunFolder(tmp_path / "tiny")
    run.claim(config(seed=5))
    assert run.config() == config(seed=5)
    environment = json.loads(run.environment.read_text())
    assert environment["seed"] == 5
    assert environment["versions"]["numpy"]


def test_another_configuration_is_refused_with_the_difference(tmp_path):
    run = RunFolder(tmp_path / "tiny")
    run.claim(config(seed=5))
    run.claim(config(seed=5))
    with pytest.raises(RunFolderError, match=r"another configuration[\s\S]*-seed: 5\s+\+seed: 6"):
        run.claim(config(seed=6))


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(RunFolderError, match="is not a run folder"):
        RunFolder(tmp_path).config()


def test_a_symbolic_link_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunFolderError, match="symbolic link"):
        RunFolder(tmp_path / "link").claim(config())


def test_a_full_disk_is_refused_before_the_run(tmp_path):
    with pytest.raises(RunFolderError, match="GB are free"):
        check_free_space(tmp_path, 10**18)


def test_a_second_process_is_refused_by_name_and_a_dead_one_frees_the_run(tmp_path):
    program = (
        "import sys, time; from pathlib import Path; from paced.run.folder import RunFolder\n"
        "with RunFolder(Path(sys.argv[1])).locked(): print('held', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    with pytest.raises(RunFolderError, match=f"in use by process {child.pid}"), RunFolder(tmp_path).locked():
        pass
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    deadline = time.monotonic() + 10
    while True:
        try:
            with RunFolder(tmp_path).locked():
                break
        except RunFolderError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_what_a_caller_does_to_its_configuration_is_not_what_the_next_one_reads(tmp_path):
    run = RunFolder(tmp_path / "tiny")
    run.claim(config(seed=5, methods={"equal": {"weights": "uniform"}}))
    mine = run.config()
    mine.weights.parameters["alpha"] = 7.0
    mine.methods["other"] = {}
    assert run.config() == config(seed=5, methods={"equal": {"weights": "uniform"}})
    run.config_file.write_text(run.config_file.read_text().replace("seed: 5\n", "seed: 6\n"))
    assert run.config().seed == 6
