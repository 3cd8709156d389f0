"""From a file's bytes to its text: gzip, UTF-8, and one plain sentence for a file that is not what its name says."""

from __future__ import annotations

import contextlib
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path

SIGNATURES = (
    (b"PAR1", "parquet", "Name it .parquet."),
    (b"\xff\xfe", "UTF-16 text", "Save it as UTF-8."),
    (b"\xfe\xff", "UTF-16 text", "Save it as UTF-8."),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "Unpack it, or compress it with gzip."),
    (b"BZh", "compressed with bzip2", "Unpack it, or compress it with gzip."),
    (b"\xfd7zXZ", "compressed with xz", "Unpack it, or compress it with gzip."),
    (b"PK\x03\x04", "a zip archive or a spreadsheet", "Unpack it, or export it as CSV."),
    (b"ARROW1", "an Arrow file", "Write it as parquet."),
    (b"version https://git-lfs", "a Git LFS pointer", "Fetch the file itself with git lfs pull."),
    (b"<!DOCTYPE", "a web page", "Download the file itself."),
    (b"<html", "a web page", "Download the file itself."),
)
"""First bytes, what such a file is, and what to do about it."""


def check_content(path: Path, kind: str) -> None:
    """Refuse a file that is absent, empty, or by its first bytes something else than its name says.

    Args:
        path: the file.
        kind: csv, json or parquet.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a folder, an empty file, or another kind of content.
    """
    if path.is_dir():
        raise ValueError(f"{path}: is a folder. Give one file of it.")
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file. Give a CSV, JSON or parquet file.")
    with readable(path), open_bytes(path) as file:
        start = file.read(64)
    if not start:
        raise ValueError(f"{path}: the file is empty. Write the names of the columns and one row for each problem.")
    for signature, content, remedy in SIGNATURES:
        if start[: len(signature)].lower() == signature.lower() and content != kind:
            raise ValueError(f"{path}: is {content}, though its name says {kind}. {remedy}")
    if kind == "parquet" and not start.startswith(b"PAR1"):
        raise ValueError(f"{path}: is not a parquet file, though its name says so. Check the file or its name.")


def open_bytes(path: Path) -> gzip.GzipFile | io.BufferedReader:
    """The content of a file, unpacked where its first bytes say that it is gzipped."""
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if zipped else path.open("rb")


@contextlib.contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what damaged gzip data make a reader raise into one sentence with the file's name."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path}: its gzip data are cut short or damaged ({error}). Write the file again.") from error


def text_lines(path: Path) -> Iterator[str]:
    """The lines of a text with their ends, a byte order mark left out.

    Raises:
        ValueError: bytes that are not UTF-8, or NUL bytes, with their row and position.
    """
    with (
        readable(path),
        open_bytes(path) as raw,
        io.TextIOWrapper(raw, encoding="utf-8-sig", errors="surrogateescape", newline="") as text,
    ):
        for row, line in enumerate(text, start=1):
            if not line.isascii():
                try:
                    line.encode("utf-8")
                except UnicodeEncodeError as error:
                    byte = ord(line[error.start]) & 0xFF
                    raise ValueError(
                        f"{path}: row {row} is not UTF-8 (byte {byte:#04x} at position {error.start + 1}). "
                        "Save the file as UTF-8."
                    ) from error
            if "\0" in line:
                raise ValueError(
                    f"{path}: row {row} holds a NUL byte at position {line.index(chr(0)) + 1}: the file is damaged, "
                    "or not UTF-8. Write it again, as UTF-8."
                )
            yield line
