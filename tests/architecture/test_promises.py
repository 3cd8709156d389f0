"""docs/tests.md is the map of the tests of today, and every file of tests begins with its promise."""

from __future__ import annotations

from pathlib import Path

import pytest
from promises import promise_of, promises_page

PAGE = Path(__file__).parents[2] / "docs" / "tests.md"


def test_the_page_in_the_docs_is_the_page_of_today():
    again = "Write it again with: python tests/promises.py docs/tests.md"
    assert PAGE.read_text(encoding="utf-8") == promises_page(), again


@pytest.mark.parametrize("text", ["import math\n", '"""TODO"""\n'])
def test_a_file_that_does_not_begin_with_its_promise_is_named(tmp_path, text):
    file = tmp_path / "test_it.py"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"test_it\.py: the docstring of a file of tests begins with the sentence"):
        promise_of(file)
