"""Settings shared by tests and doctests: Hypothesis profiles, one thread, the tests folder on the path."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

# Imported and run by vLLM and by verl, in environments of their own.
collect_ignore = [
    "paced/rollouts/vllm_noise.py",
    "paced/train/verl/paced_verl.py",
    "tests/rollouts/vllm_probe.py",
    "tests/train/verl_probe.py",
]

sys.path.insert(0, str(Path(__file__).parent / "tests"))

# Deterministic, so that a red run is red again; the nightly profile looks for new examples.
settings.register_profile("default", derandomize=True, deadline=None, max_examples=60)
settings.register_profile("check", settings.get_profile("default"), max_examples=15)  # for `make check`
settings.register_profile(
    "nightly", derandomize=False, deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("nightly" if os.environ.get("PACED_NIGHTLY") else "default")


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked nightly run only when PACED_NIGHTLY is set, and then every law with its 2000 examples is one."""
    nightly = bool(os.environ.get("PACED_NIGHTLY"))
    for item in items:
        if nightly and getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker("nightly")
        elif not nightly and "nightly" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="minutes long; set PACED_NIGHTLY=1 to run it"))
