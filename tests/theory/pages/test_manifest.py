"""``--docs DIR`` replaces and removes what it wrote, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from paced.errors import ConfigError
from paced.theory.pages import files
from paced.theory.pages.manifest import HEADING, NAME, replace_listed

DOCS = Path(__file__).parents[3] / "docs" / "theory"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_files_of_others_stay_and_pages_that_are_gone_are_removed(tmp_path):
    (tmp_path / "figures").mkdir()
    others = {"README.md": b"mine", "figures/my.png": b"x", "notes.md": b"n"}
    for name, data in others.items():
        (tmp_path / name).write_bytes(data)
    replace_listed(tmp_path, {"index.md": "one", "old.md": "gone soon", "figures/old.png": b"gone"})
    replace_listed(tmp_path, {"index.md": "two", "figures/new.png": b"new"})
    after = contents(tmp_path)
    manifest = after.pop(NAME).decode()
    assert after == {**others, "index.md": b"two", "figures/new.png": b"new"}
    assert manifest == HEADING + "figures/new.png\nindex.md\n"


def test_a_file_of_others_in_the_way_is_refused_before_anything_is_written(tmp_path):
    replace_listed(tmp_path, {"index.md": "one"})
    (tmp_path / "a.md").write_text("mine")
    (tmp_path / "b.md").mkdir()
    before = contents(tmp_path)
    with pytest.raises(ConfigError, match=r"a\.md, b\.md would be replaced and were not written by paced"):
        replace_listed(tmp_path, {"index.md": "two", "a.md": "page", "b.md": "page", "c.md": "page"})
    assert contents(tmp_path) == before


def test_a_file_with_the_same_bytes_is_taken_over(tmp_path):
    (tmp_path / "index.md").write_text("one")
    replace_listed(tmp_path, {"index.md": "one"})
    replace_listed(tmp_path, {"index.md": "two"})
    assert (tmp_path / "index.md").read_text() == "two"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (HEADING + "../outside.md\n", r"lists '\.\./outside\.md'"),
        (HEADING + "/etc/hosts\n", "lists '/etc/hosts'"),
        (HEADING + "README\n", "lists 'README'"),
        ("someone's list\n", "has another first line"),
        ("", "has another first line"),
    ],
)
def test_a_manifest_that_paced_did_not_write_is_refused(tmp_path, text, why):
    folder = tmp_path / "docs"
    folder.mkdir()
    (tmp_path / "outside.md").write_text("mine")
    (folder / NAME).write_text(text)
    with pytest.raises(ConfigError, match=why):
        replace_listed(folder, {"index.md": "one"})
    assert (tmp_path / "outside.md").exists()
    assert not (folder / "index.md").exists()


def test_writing_the_docs_refuses_a_folder_with_an_index_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "picture", lambda claim: b"drawn elsewhere")
    (tmp_path / "index.md").write_text("mine")
    with pytest.raises(ConfigError, match=r"index\.md would be replaced and was not written by paced"):
        files.write_docs(tmp_path)
    assert contents(tmp_path) == {"index.md": b"mine"}


def test_the_manifest_of_the_repository_lists_every_page_and_figure():
    listed = (DOCS / NAME).read_text().splitlines()[1:]
    there = [path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*") if path.is_file()]
    assert sorted(listed) == sorted(set(there) - {NAME})
