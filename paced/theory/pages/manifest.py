"""A folder of generated files that may hold other files too: only what the manifest lists is replaced or removed.

The manifest is one relative path a line, beside the files. It holds names and no checksums: a generated page that git
merged or someone edited is written anew, a file that was never generated is not touched.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from paced.errors import ConfigError
from paced.run.storage import write_atomic

NAME = "manifest.txt"
"""File name of the manifest."""

HEADING = "# Written by `paced verify --docs`, which replaces and removes only the files below.\n"
_PATH = re.compile(r"(figures/)?[a-z0-9][a-z0-9_-]*\.(md|png)")


def replace_listed(folder: Path, files: Mapping[str, bytes | str]) -> list[Path]:
    """Write generated files into ``folder``; remove those that an earlier call wrote and that are not generated now.

    Args:
        folder: made if it is not there.
        files: content by relative path, such as ``index.md`` or ``figures/x.png``.

    Returns: the paths written.

    Edges: a file that is not listed and has the very bytes that would be written is listed from then on.

    Raises:
        ConfigError: a file to be written exists and the manifest does not list it, or the manifest is not one of ours.
            All such files are named, and nothing is written.

    Example:
        >>> from tempfile import mkdtemp
        >>> folder = Path(mkdtemp())
        >>> _ = (folder / "notes.md").write_text("mine")
        >>> [path.name for path in replace_listed(folder, {"index.md": "generated"})]
        ['index.md']
        >>> replace_listed(folder, {"notes.md": "generated"})
        Traceback (most recent call last):
        paced.errors.ConfigError: ...: notes.md would be replaced and was not written by paced. Choose an empty folder.
    """
    listed = _read(folder / NAME)
    foreign = [name for name in files if name not in listed and _differs(folder / name, files[name])]
    if foreign:
        raise ConfigError(
            f"{folder}: {', '.join(foreign)} would be replaced and {'was' if len(foreign) == 1 else 'were'} not "
            "written by paced. Choose an empty folder."
        )
    # Listed before they are written: after a kill the next call knows every file that this one may have left.
    _write(folder, listed | set(files))
    for name, content in files.items():
        write_atomic(folder / name, content)
    for name in listed - set(files):
        (folder / name).unlink(missing_ok=True)
    _write(folder, set(files))
    return [folder / name for name in files]


def _read(path: Path) -> set[str]:
    """The names in a manifest, none where there is none; a name that we would not write is never removed."""
    if not path.exists():
        return set()
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    names = [line.rstrip("\n") for line in lines[1:]]
    strange = [name for name in names if not _PATH.fullmatch(name)]
    if lines[:1] != [HEADING] or strange:
        what = f"lists {strange[0]!r}" if strange and lines[:1] == [HEADING] else "has another first line"
        raise ConfigError(f"{path}: must be a manifest of paced, but {what}. Choose an empty folder.")
    return set(names)


def _write(folder: Path, names: set[str]) -> None:
    write_atomic(folder / NAME, HEADING + "".join(f"{name}\n" for name in sorted(names)))


def _differs(path: Path, content: bytes | str) -> bool:
    if not (path.exists() or path.is_symlink()):
        return False
    data = content.encode("utf-8") if isinstance(content, str) else content
    return not path.is_file() or path.read_bytes() != data
