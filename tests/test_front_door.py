"""The first names a reader meets exist, come from one place each, and cost nothing until they are used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import paced


@pytest.mark.parametrize("name", [name for name in paced.__all__ if name != "__version__"])
def test_every_public_name_is_there(name):
    assert getattr(paced, name).__doc__ or name == "WEIGHTS"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = paced.nothing


def test_importing_paced_loads_no_scipy_and_no_torch():
    program = "import sys, paced; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"scipy", "numpy", "torch", "yaml"} & set(done.stdout.split())
