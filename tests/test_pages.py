"""Lines of Python with a prompt on the pages of the docs give what the pages say.

Scripts without a prompt run in the tests of their page: ``test_backends_page.py``, ``test_trl_page.py``,
``test_rate_page.py``; tutorials in ``test_tutorials.py``.
"""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ELSEWHERE = {"docs/weights.md", "docs/own_weighting.md"}
"""Pages whose own tests run their examples."""
PAGES = [
    name
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if "tutorials" not in path.parts and ">>> " in path.read_text(encoding="utf-8")
    if (name := path.relative_to(ROOT).as_posix()) not in ELSEWHERE
]


@pytest.mark.parametrize("page", PAGES)
def test_the_lines_of_a_page_run(page):
    failed, tried = doctest.testfile(str(ROOT / page), module_relative=False, encoding="utf-8")
    assert (failed, tried > 0) == (0, True)
