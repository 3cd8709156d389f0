"""The page on what weighting buys is what its command writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from paced.theory.pages.gains import gains_page

DOCS = Path(__file__).parents[3] / "docs"


def test_the_page_is_up_to_date():
    lab = (DOCS / "lab.md").read_text(encoding="utf-8")
    written = (DOCS / "what_weighting_buys.md").read_text(encoding="utf-8")
    assert written == gains_page(lab), "run: python -m paced.theory.pages.gains docs/what_weighting_buys.md"


def test_a_lab_page_without_the_measured_rows_is_refused():
    with pytest.raises(ValueError, match=r"docs/lab\.md must have rows of lab-batching"):
        gains_page("# The laboratory\n")
