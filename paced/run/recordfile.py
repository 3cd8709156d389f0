"""Records on the disk as a sequence: memory holds where each one begins, whatever they hold themselves.

A :class:`RecordFile` reads like a list, one record at a time. Its order may be another than the file's, so that a file
is sorted without being in memory. :class:`Spool` puts records aside in a temporary file and gives them back so, and
:class:`Places` says where an id is. Left out: changes. A file that is read so must not be written meanwhile.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from paced.errors import BadRow, BadRows
from paced.run.seeds import text_key
from paced.run.storage import scan_records

Item = TypeVar("Item")
Record = TypeVar("Record")
Integers = NDArray[np.int64]


class Mapped(Sequence[Item]):
    """A function of each item of a sequence, computed when it is asked for.

    Example:
        >>> lengths = Mapped(["a", "bcd"], len)
        >>> lengths[1], list(lengths), list(lengths[1:])
        (3, [1, 3], [3])
    """

    def __init__(self, items: Sequence[Any], function: Callable[[Any], Item]) -> None:
        self.items, self.function = items, function

    def __len__(self) -> int:
        return len(self.items)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> Mapped[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | Mapped[Item]:
        if isinstance(index, slice):
            return Mapped(self.items[index], self.function)
        return self.function(self.items[index])

    def __iter__(self) -> Iterator[Item]:
        return map(self.function, self.items)


class RecordFile(Sequence[Record]):
    """The records of an open file, in an order of one's own; 16 bytes of memory each."""

    def __init__(self, descriptor: int, decode: Callable[[bytes], Record], starts: Integers, sizes: Integers) -> None:
        """Take over an open file; :meth:`read` opens one by its path.

        Args:
            descriptor: of the file, closed with the last sequence that reads it.
            decode: bytes of a line -> record.
            starts: [num_records], first byte of each.
            sizes: [num_records], bytes of each.
        """
        self._file = _OpenFile(descriptor)
        self._decode, self._starts, self._sizes = decode, starts, sizes

    @classmethod
    def read(cls, path: Path, kind: type[Record]) -> RecordFile[Record]:
        """Check every line of a JSONL file, once; an absent file is an empty one.

        Raises:
            BadRows: as :func:`paced.run.storage.read_records`, all bad rows at once.

        Example:
            >>> from paced.records import PassRate
            >>> from paced.run.storage import write_records
            >>> file = Path(tempfile.mkdtemp()) / "rates.jsonl"
            >>> rates = [PassRate(problem_id=name, num_passed=1, num_rollouts=8) for name in "abc"]
            >>> write_records(file, rates)
            >>> RecordFile.read(file, PassRate)[1] == rates[1], list(RecordFile.read(file, PassRate)) == rates
            (True, True)
        """
        faults: list[BadRow] = []
        starts, sizes = array("q"), array("q")
        for start, size, _ in scan_records(path, kind, faults):
            starts.append(start)
            sizes.append(size)
        if faults:
            raise BadRows(str(path), faults)
        descriptor = os.open(path if path.exists() else os.devnull, os.O_RDONLY)
        return cls(descriptor, decoder_of(kind), integers(starts), integers(sizes))

    def take(self, order: Integers) -> RecordFile[Record]:
        """The records at these places, in their order, from the same file."""
        part = object.__new__(RecordFile)
        part._file, part._decode = self._file, self._decode
        part._starts, part._sizes = self._starts[order], self._sizes[order]
        return part

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> RecordFile[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | RecordFile[Record]:
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        return self._decode(self._file.read(int(self._starts[index]), int(self._sizes[index])))

    def __iter__(self) -> Iterator[Record]:
        return (self[place] for place in range(len(self)))


class Spool(Generic[Record]):
    """Records put aside in a temporary file (``$TMPDIR``), which is gone with the last sequence that reads it.

    Example:
        >>> from paced.records import PassRate
        >>> spool = Spool(PassRate)
        >>> for name in "ab":
        ...     spool.append(PassRate(problem_id=name, num_passed=1, num_rollouts=8))
        >>> [rate.problem_id for rate in spool.records().take(np.array([1, 0]))]
        ['b', 'a']
    """

    def __init__(self, kind: type[Record]) -> None:
        import msgspec

        self._kind, self._encode = kind, msgspec.msgpack.Encoder().encode
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by records() or close()
        self._sizes = array("q")

    def append(self, record: Record) -> None:
        """Put one record behind the others."""
        self._sizes.append(self._file.write(self._encode(record)))

    def __len__(self) -> int:
        return len(self._sizes)

    def records(self) -> RecordFile[Record]:
        """All of them; nothing can be appended afterwards."""
        import msgspec

        descriptor = os.dup(self._file.fileno())
        self._file.close()  # what it still held is written now
        sizes = integers(self._sizes)
        decode = msgspec.msgpack.Decoder(self._kind).decode
        return RecordFile(descriptor, decode, np.cumsum(sizes) - sizes, sizes)

    def close(self) -> None:
        """Forget the records, where nobody will read them."""
        self._file.close()


class Places:
    """Where each id of a sequence is, by its 64-bit hash: 16 bytes an id, whatever its length.

    Example:
        >>> places = Places(["q1", "q2", "q3"])
        >>> places.get("q3"), places.get("q4")
        (2, None)
    """

    def __init__(self, ids: Iterable[str]) -> None:
        """Hash them.

        Raises:
            ValueError: an id that comes twice.
        """
        keys = np.fromiter(map(text_key, ids), dtype=np.uint64)  # [num_ids]
        self._order = np.argsort(keys, kind="stable")  # [num_ids]
        self._keys = keys[self._order]  # [num_ids]
        self._last: tuple[str | None, int | None] = (None, None)
        if (self._keys[1:] == self._keys[:-1]).any():
            raise ValueError(f"Places: ids must be unique, got {len(keys) - len(np.unique(keys)):,} that come again.")

    def __len__(self) -> int:
        return len(self._keys)

    def get(self, problem_id: str) -> int | None:
        """Its place; None for an id that is not among them."""
        if problem_id != self._last[0]:  # the samples of a problem follow each other
            key = np.uint64(text_key(problem_id))
            at = int(np.searchsorted(self._keys, key))
            there = at < len(self._keys) and self._keys[at] == key
            self._last = problem_id, int(self._order[at]) if there else None
        return self._last[1]


def take(items: Sequence[Item], order: Integers) -> Sequence[Item]:
    """The items at these places: a list of those in memory, a :class:`RecordFile` of those on the disk."""
    return items.take(order) if isinstance(items, RecordFile) else [items[place] for place in order.tolist()]


def decoder_of(kind: type[Record]) -> Callable[[bytes], Record]:
    """Bytes of one line of JSON -> the record, as :func:`paced.run.storage.read_records` reads it."""
    import json

    import msgspec

    return lambda line: msgspec.convert(json.loads(line), kind)


class _OpenFile:
    """A descriptor that is closed when nothing reads it any more."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        weakref.finalize(self, os.close, descriptor)

    def read(self, start: int, size: int) -> bytes:
        return os.pread(self._descriptor, size, start)


def integers(values: array[int]) -> Integers:
    """The same integers as a numpy array, without a copy."""
    return np.frombuffer(values, dtype=np.int64) if values else np.zeros(0, dtype=np.int64)
