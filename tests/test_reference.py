"""docs/reference/api names every public name of the package, and each name there has an example that runs.

The examples on the pages run in ``test_pages.py``, those in docstrings with every run of pytest.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import paced

PAGES = sorted((Path(__file__).parents[1] / "docs" / "reference" / "api").glob("*.md"))
NAMED = re.compile(r"^\.\. auto(class|function|data|exception|module):: (\S+)$", re.MULTILINE)
ENTRIES = [(page.stem, kind, name) for page in PAGES for kind, name in NAMED.findall(page.read_text(encoding="utf-8"))]
"""(page, kind, dotted name) of everything that a page describes."""
INTERNAL = {"paced.cli", "paced.lab.designs"}
"""Modules whose ``__all__`` is not a public surface: the command line, and names passed on to the lab's own files."""


def packages():
    """Every package below ``paced`` that says what it exports, and ``paced`` itself."""
    yield paced
    for found in pkgutil.walk_packages(paced.__path__, "paced."):
        if found.ispkg and found.name not in INTERNAL and "templates" not in found.name:
            package = importlib.import_module(found.name)
            if hasattr(package, "__all__"):
                yield package


def definition(name: str) -> object:
    """What a dotted name stands for: a module, or an attribute of one."""
    module, _, last = name.rpartition(".")
    try:
        return getattr(importlib.import_module(module), last)
    except AttributeError:
        return importlib.import_module(name)


@pytest.mark.parametrize("package", packages(), ids=lambda package: package.__name__)
def test_every_public_name_is_on_a_page(package):
    described = [definition(name) for _, _, name in ENTRIES]
    absent = [
        name
        for name in package.__all__
        if name != "__version__" and not any(getattr(package, name) is one for one in described)
    ]
    assert not absent


@pytest.mark.parametrize(("page", "kind", "name"), ENTRIES, ids=[name for _, _, name in ENTRIES])
def test_every_name_on_a_page_has_a_docstring_and_an_example(page, kind, name):
    text = (PAGES[0].parent / f"{page}.md").read_text(encoding="utf-8")
    short = name.rpartition(".")[2]
    subject = definition(name)
    if kind != "data":
        assert inspect.getdoc(subject)
    on_page = [line for line in text.splitlines() if line.startswith((">>> ", "... ")) and " import " not in line]
    used_on_page = any(re.search(rf"\b{short}\b", line) for line in on_page)
    assert used_on_page or ">>> " in (inspect.getdoc(subject) or "")


def test_no_name_is_described_twice():
    names = [name for _, _, name in ENTRIES]
    assert len(names) == len(set(names))
    assert len(names) > 100
