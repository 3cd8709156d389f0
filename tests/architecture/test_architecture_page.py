"""docs/architecture.md walks through files that are there."""

from __future__ import annotations

import re
from pathlib import Path

from architecture.test_imports import MODULES, imports_of

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


def test_every_room_and_every_part_of_one_is_on_the_page():
    folders = {f"{path.parent.relative_to(ROOT)}/" for path in (ROOT / "paced").glob("*/**/__init__.py")}
    assert folders - set(re.findall(r"`([\w/]+/)`", PAGE)) == set()


def test_every_import_between_rooms_goes_down_in_the_picture():
    (picture,) = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    line_of = {room: number for number, line in enumerate(picture.splitlines()) for room in line.split()}
    imports = {
        (parts[1], name.split(".")[1])
        for module, path in MODULES.items()
        for name, _ in imports_of(path)
        if len(parts := module.split(".")) > 1 and name.startswith("paced.")
    }
    between = {(here, there) for here, there in imports if here != there and here != "__main__"}
    assert {room for pair in between for room in pair} == set(line_of)
    assert [pair for pair in sorted(between) if line_of[pair[0]] >= line_of[pair[1]]] == []
