"""How the conformance suite gets each engine for a model folder: some need a process started first."""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from functools import cache
from pathlib import Path

import pytest

from paced.rollouts.engine import Engine, make_engine
from paced.run.config import ModelConfig
from paced.run.schema import Choice

ROOT = Path(__file__).parents[1]
VLLM_PYTHON = Path(os.environ.get("PACED_VLLM_PYTHON", "no-vllm"))
"""Only where it is said: several test processes would start more of them than fit into a small machine's memory."""
VLLM_ENVIRONMENT = {
    "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_CPU_KVCACHE_SPACE": "1", "TORCH_COMPILE_DISABLE": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_NO_USAGE_STATS": "1",
}  # fmt: skip
PROCESSOR = "paced.rollouts.vllm_noise:PacedNoise"
SECONDS_TO_START = 900
"""A server needs 30 s alone, and minutes on a machine that is busy."""
NOT_THERE = "needs an interpreter with vLLM in PACED_VLLM_PYTHON: run `make test-vllm`"
AT_ONCE = 2
"""Engines, and servers, that are kept for later tests; each takes 3 GB."""


def build_hf(folder, **settings):
    return make_engine(Choice("hf"), ModelConfig(path=str(folder)), **settings)


def build_server(folder, *, parameters=None, **settings):
    """The engine ``server`` on a real vLLM server for the folder, started once for all tests of this process."""
    url = vllm_server(str(folder)) if (Path(folder) / "config.json").exists() else "http://127.0.0.1:9"
    choice = Choice("server", {"base_urls": (url,)} | (parameters or {}))
    return make_engine(choice, ModelConfig(path=str(folder)), **settings)


def build_vllm(folder, **settings):
    """The engine ``vllm``, started once for each folder."""
    if not VLLM_PYTHON.exists():
        pytest.skip(NOT_THERE)
    return vllm_engine(str(folder), **settings)


@cache
def begin_ray() -> None:
    """One Ray cluster on this machine for all tests of this process."""
    ray = pytest.importorskip("ray", reason="needs the extra 'ray': pip install 'paced[ray]'")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    atexit.register(ray.shutdown)


def build_ray(folder, **settings):
    """The engine ``ray`` with ``hf`` in a worker; that there may be several, and die, has a test of its own."""
    begin_ray()
    return make_engine(Choice("ray", {"num_engines": 1}), ModelConfig(path=str(folder)), **settings)


BUILDERS = {"hf": build_hf, "vllm": build_vllm, "server": build_server, "ray": build_ray}
"""Engine -> a function from a model folder (and what ``make_engine`` takes besides) to an engine."""


ENGINES: dict[tuple[str, ...], Engine] = {}
SERVERS: dict[tuple[str, ...], tuple[str, subprocess.Popen]] = {}


def vllm_engine(folder: str, *, end_of_answer: str = "") -> Engine:
    """A vLLM engine, kept for other tests until newer ones take its place."""
    if (folder, end_of_answer) not in ENGINES:
        while len(ENGINES) >= AT_ONCE:
            ENGINES.pop(next(iter(ENGINES))).close()
        choice = Choice("vllm", {"python": str(VLLM_PYTHON)})
        engine = make_engine(choice, ModelConfig(path=folder), end_of_answer=end_of_answer)
        ENGINES[folder, end_of_answer] = engine
        atexit.register(engine.close)
    return ENGINES[folder, end_of_answer]


def vllm_server(folder: str, *more: str) -> str:
    """The URL of a vLLM server with our noise on loopback, kept for other tests until newer ones take its place."""
    if not VLLM_PYTHON.exists():
        pytest.skip(NOT_THERE)
    if (folder, *more) not in SERVERS:
        while len(SERVERS) >= AT_ONCE:
            _end(SERVERS.pop(next(iter(SERVERS)))[1])
        SERVERS[folder, *more] = _start_server(folder, more)
    return SERVERS[folder, *more][0]


def _start_server(folder: str, more: tuple[str, ...]) -> tuple[str, subprocess.Popen]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tempfile.NamedTemporaryFile(prefix="paced-vllm-", suffix=".log", delete=False)  # noqa: SIM115 - it outlives us
    process = subprocess.Popen(
        [
            str(VLLM_PYTHON), "-m", "vllm.entrypoints.openai.api_server", "--model", folder,
            "--served-model-name", "tiny", "--host", "127.0.0.1", "--port", str(port), "--dtype", "float32",
            "--max-num-seqs", "32", "--enforce-eager",
            "--logits-processors", PROCESSOR, "--enable-scale-out", *more,
        ],
        env={**os.environ, **VLLM_ENVIRONMENT}, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    atexit.register(_end, process)
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5):
                return url, process
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    _end(process)
    raise RuntimeError(f"the vLLM server did not start:\n{Path(log.name).read_text()[-4000:]}")


def _end(process):
    """End a server with its children; one that has ended is left alone."""
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
