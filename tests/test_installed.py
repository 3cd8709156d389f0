"""A package is installed when it can be imported from where it was installed, not when a folder has its name."""

from __future__ import annotations

import importlib

import pytest

from paced.installed import is_installed


@pytest.mark.parametrize("package", ["vllm", "no_such_package"])
def test_a_folder_of_its_name_is_not_the_package(package, tmp_path, monkeypatch):
    before = is_installed(package)
    (tmp_path / package).mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    assert is_installed(package) == before
    assert importlib.util.find_spec(package) is not None
