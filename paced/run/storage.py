"""How records reach the disk and come back: atomic files, append-only JSONL that survives a kill, parquet, hashes.

A file written here is either the old one or the new one, never half of one: temporary file in the same folder, fsync,
rename, fsync of the folder. A JSONL file grows by whole batches of lines; a last line that a kill cut short is dropped
on reading and cut off before the next append, so at most the rows in flight are lost.
Left out: pickle, and any format that can run code when it is read.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from paced.errors import BadRow, BadRows, RunFolderError

Record = TypeVar("Record")


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Make every OSError inside name ``path``: some have no file name, others that of a temporary file."""
    try:
        yield
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise


def write_atomic(path: Path, content: bytes | str) -> None:
    """Replace ``path`` by ``content`` in one step; a kill leaves the old file or the new one.

    Edges: what is there and is not a regular file (``/dev/stdout``, a pipe) is written to, never replaced.

    Raises:
        OSError: the folder is not writable or the disk is full, with the file's name; the old file is untouched.

    Example:
        >>> from tempfile import mkdtemp
        >>> folder = Path(mkdtemp())
        >>> write_atomic(folder / "a.txt", "whole")
        >>> (folder / "a.txt").read_text()
        'whole'
    """
    raw = content.encode("utf-8") if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing(path):
        if path.exists() and not path.is_file():
            path.write_bytes(raw)
        else:
            _replace(path, raw)


def _replace(path: Path, raw: bytes) -> None:
    # Named after the file and the rank, not at random: what a kill leaves is overwritten when the work is done again.
    temporary = path.with_name(f".{path.name}.{os.environ.get('RANK', '0')}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def sync_folder(folder: Path) -> None:
    """Make a rename or a new file in ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, data: Any) -> None:
    """Write ``data`` as indented JSON with sorted keys, atomically; NaN is refused, as JSON has none."""
    write_atomic(path, json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read one JSON file of a run.

    Raises:
        RunFolderError: the file is not JSON in UTF-8.
    """
    try:
        return json.loads(path.read_bytes().decode("utf-8"))
    except ValueError as error:
        raise RunFolderError(f"{path}: must be JSON, but is damaged ({_reason(error)}). Restore the file.") from error


def encode_line(record: Any) -> str:
    """One record or mapping as one line of JSON, keys in field order.

    Example:
        >>> from paced.records import PassRate
        >>> encode_line(PassRate(problem_id="a", num_passed=1, num_rollouts=8))
        '{"problem_id":"a","num_passed":1,"num_rollouts":8,"num_truncated":0,"num_ungradable":0}'
    """
    data = dataclasses.asdict(record) if dataclasses.is_dataclass(record) and not isinstance(record, type) else record
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def append_lines(path: Path, records: Iterable[Any]) -> None:
    """Append records to a JSONL file and return only when they are on the disk.

    Raises:
        OSError: the folder is not writable or the disk is full, with the file's name; whole lines are kept.
    """
    text = "".join(f"{encode_line(record)}\n" for record in records)
    if not text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing(path):
        new = not path.exists()
        if not new:
            cut_broken_tail(path)
        with path.open("ab") as file:
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        if new:
            sync_folder(path.parent)


def cut_broken_tail(path: Path) -> int:
    """Cut off what follows the last newline, the mark of a write that was killed; return how many bytes went."""
    with path.open("r+b") as file:
        end = file.seek(0, os.SEEK_END)
        keep, block = end, 1 << 16
        while keep > 0:
            start = max(0, keep - block)
            file.seek(start)
            newline = file.read(keep - start).rfind(b"\n")
            if newline >= 0:
                keep = start + newline + 1
                break
            keep = start
        if keep < end:
            file.truncate(keep)
            os.fsync(file.fileno())
        return end - keep


def truncate_lines(path: Path, keep: int) -> None:
    """Keep the first ``keep`` lines of a JSONL file, as a resumed run does with what came after its checkpoint."""
    if not path.exists():
        return
    lines = path.read_bytes().splitlines(keepends=True)
    if len(lines) > keep or (lines and not lines[-1].endswith(b"\n")):
        write_atomic(path, b"".join(line for line in lines[:keep] if line.endswith(b"\n")))


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The mappings of a JSONL file in order; a line cut short at the end of the file is passed over.

    Raises:
        RunFolderError: a line that is not a JSON object, by its number.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                yield _mapping_of(line)
            except ValueError as error:
                raise RunFolderError(
                    f"{path}: line {number} must be a JSON object, got {_short(line)} ({_reason(error)}). "
                    "Restore the file, or do the step anew that wrote it (paced run RUN --redo STEP)."
                ) from error


def read_records(path: Path, kind: type[Record]) -> list[Record]:
    """Read a JSONL file of records, or name every row that is not one.

    Args:
        path: the file; an absent one is an empty list.
        kind: the record class.

    Raises:
        BadRows: lines that are no JSON object, or whose fields are missing, unknown or of the wrong type.
    """
    import msgspec

    if not path.exists():
        return []
    known = {entry.name for entry in dataclasses.fields(kind)}  # type: ignore[arg-type]
    records: list[Record] = []
    faults: list[BadRow] = []
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                data = _mapping_of(line) if line.strip() else None
            except ValueError as error:
                if line.endswith(b"\n"):  # else a write that a kill cut short
                    fix = f"Write one JSON object ({_reason(error)})."
                    faults.append(BadRow(row=number, column="-", found=_short(line), fix=fix))
                continue
            if data is None:
                continue
            unknown = set(data) - known
            if unknown:
                fix = f"Known fields are {', '.join(sorted(known))}."
                faults.append(BadRow(row=number, column=", ".join(sorted(unknown)), found="an unknown field", fix=fix))
                continue
            try:
                records.append(msgspec.convert(data, kind))
            except (msgspec.ValidationError, TypeError) as error:
                reason, _, where = str(error).partition(" - at ")
                column = where.strip("`$.") or "-"
                faults.append(BadRow(row=number, column=column, found=_short(line), fix=f"{reason}."))
    if faults:
        raise BadRows(str(path), faults)
    return records


def write_parquet(path: Path, records: Sequence[Any], kind: type) -> None:
    """Write records as a parquet file with one column for each field, atomically; the bytes depend on the rows only."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    hints = get_type_hints(kind)
    names = [entry.name for entry in dataclasses.fields(kind)]
    schema = pa.schema([(name, types.get(hints[name], pa.string())) for name in names])
    columns = [[getattr(record, name) for record in records] for name in names]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns, schema=schema), sink, compression="zstd")
    write_atomic(path, sink.getvalue().to_pybytes())


def read_parquet(path: Path, kind: type[Record]) -> list[Record]:
    """Read records back from a parquet file written by :func:`write_parquet`.

    Raises:
        RunFolderError: the file is not parquet, is damaged, or holds other columns.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return [kind(**row) for row in pq.read_table(path).to_pylist()]
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, TypeError, ValueError) as error:
        raise RunFolderError(
            f"{path}: must be a parquet file of {kind.__name__} rows, but is damaged ({_reason(error)}). "
            "Restore the file, or do the step anew that wrote it (paced run RUN --redo STEP)."
        ) from error


def size_text(num_bytes: float) -> str:
    """A number of bytes in the largest unit that leaves a digit before the point.

    Example:
        >>> size_text(40_960), size_text(139e9), size_text(12)
        ('41.0 kB', '139.0 GB', '12 bytes')
    """
    for unit, factor in {"GB": 1e9, "MB": 1e6, "kB": 1e3}.items():
        if num_bytes >= factor:
            return f"{num_bytes / factor:,.1f} {unit}"
    return f"{num_bytes:.0f} bytes"


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def text_hash(*parts: str) -> str:
    """SHA-256 over text parts, each with its length so that ('ab', 'c') and ('a', 'bc') differ.

    Example:
        >>> text_hash("ab", "c") == text_hash("a", "bc")
        False
    """
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode("utf-8")
        digest.update(len(raw).to_bytes(8, "big"))
        digest.update(raw)
    return digest.hexdigest()


def _mapping_of(line: bytes) -> dict[str, Any]:
    """One line as a mapping; bytes are never guessed to be UTF-16 or UTF-32, as ``json.loads`` would."""
    data = json.loads(line.decode("utf-8"))
    if not isinstance(data, dict):
        raise ValueError(f"it is a {type(data).__name__}")
    return data


def _reason(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def _short(line: bytes) -> str:
    text = line.decode("utf-8", errors="replace").strip()
    return repr(text if len(text) <= 60 else text[:57] + "...")
