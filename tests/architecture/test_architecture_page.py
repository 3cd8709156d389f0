"""docs/architecture.md walks through files that are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def named_files():
    """Every file and folder that the page names; a bare name stands beside the one before it."""
    folder = ROOT
    for name in re.findall(r"`(paced/[\w./*-]*|[\w*-]+\.py|(?:tests|docs)/[\w./-]+)`", PAGE):
        path = ROOT / name if "/" in name else folder / name
        folder = path if name.endswith("/") else path.parent
        yield path


def test_every_file_on_the_page_is_there():
    files = list(named_files())
    assert len(files) > 60
    assert [str(file.relative_to(ROOT)) for file in files if "*" not in file.name and not file.exists()] == []


def test_every_room_is_on_the_page():
    rooms = {path.name for path in (ROOT / "paced").iterdir() if (path / "__init__.py").exists()}
    named = set(re.findall(r"`(?:paced/)?(\w+)/`", PAGE))
    assert rooms <= named
