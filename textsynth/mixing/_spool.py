"""Rows on disk between the passes over them: one JSON line each, found by number."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from textsynth import export
from textsynth.records import Record

AT_ONCE = 1 << 20
"""Bytes that are written together."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row stood: the number of its source and its row (of a run: draw) number there."""

    source: int
    index: int


@dataclass(slots=True)
class Refused:
    """Rows of one source that did not fit: how many, and the first with the reason."""

    count: int = 0
    first: int = -1
    why: str = ""


class Spool:
    """Rows in the order in which they were added; memory holds 20 bytes a row. The file is open only while it is used."""

    def __init__(self) -> None:
        self._path = export.scratch_folder() / "rows.jsonl"
        self._starts, self._sources, self._indices = array("q"), array("H"), array("q")
        self._encode = msgspec.json.Encoder(enc_hook=str).encode
        self._unwritten, self._size = bytearray(), 0
        self.counts: Counter[int] = Counter()
        self.refused: defaultdict[int, Refused] = defaultdict(Refused)

    def __len__(self) -> int:
        """Count the rows."""
        return len(self._starts)

    def add(self, source: int, index: int, record: Record) -> None:
        """Add a row."""
        line = self._encode(record) + b"\n"
        self._starts.append(self._size)
        self._sources.append(source)
        self._indices.append(index)
        self.counts[source] += 1
        self._unwritten += line
        self._size += len(line)
        if len(self._unwritten) > AT_ONCE:
            self._write()

    def refuse(self, source: int, index: int, why: str) -> None:
        """Count a row that is not taken."""
        refused = self.refused[source]
        if not refused.count:
            refused.first, refused.why = index, why
        refused.count += 1

    def source(self, number: int) -> int:
        """Return the source of a row."""
        return self._sources[number]

    def place(self, number: int) -> Place:
        """Return where a row stood."""
        return Place(self._sources[number], self._indices[number])

    def records(self) -> Iterator[Record]:
        """Yield all rows."""
        self._write()
        with self._path.open("rb") as lines:
            for line in lines:
                yield msgspec.json.decode(line)

    def read(self, numbers: Iterable[int]) -> Iterator[Record]:
        """Yield some rows, in the order of ``numbers``."""
        self._write()
        with self._path.open("rb") as file:
            for number in numbers:
                file.seek(self._starts[number])
                yield msgspec.json.decode(file.readline())

    def _write(self) -> None:
        with self._path.open("ab") as file:
            file.write(self._unwritten)
        self._unwritten.clear()
