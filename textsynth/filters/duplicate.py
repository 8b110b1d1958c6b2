"""Exact duplicates, but for case, white space, Unicode form and the way a number is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textsynth.filters import Filter, Setting, drop
from textsynth.records import Candidate, Drop, Record
from textsynth.text import fingerprint, require_fields


@dataclass(kw_only=True)
class Duplicate(Filter):
    """Drops a record whose canonical form (``text.canonical``) is that of a record kept before.

    What is compared: ``fields``, by default all free-text fields; a record that has none of them, or only empty ones,
    is compared as a whole. Memory: about 160 bytes a kept record, whatever its length.

    Args:
        fields: the fields that must not repeat together.
    """

    fields: tuple[str, ...] | None = None

    def prepare(self, setting: Setting) -> None:
        """Check that the fields exist and start with an empty memory."""
        super().prepare(setting)
        require_fields(self.fields, setting.schema.properties)
        self._first: dict[bytes, int] = {}
        self._checked: dict[int, tuple[Record, bytes]] = {}

    def check(self, batch: Sequence[Candidate]) -> Sequence[Drop | None]:
        """Name the draw that had the same content first, kept before or earlier in the batch."""
        self._checked = {c.draw.index: (c.record, self._read(c.record)) for c in batch if c.record is not None}
        here: dict[bytes, int] = {}
        return [None if c.record is None else self._check(c.draw.index, here) for c in batch]

    def keep(self, batch: Sequence[Candidate]) -> None:
        """Remember the records kept; those of the batch checked last are not read again."""
        for candidate in batch:
            if candidate.record is not None:
                record, key = self._checked.get(candidate.draw.index, (None, b""))
                key = key if record is candidate.record else self._read(candidate.record)
                self._first.setdefault(key, candidate.draw.index)

    def _check(self, index: int, here: dict[bytes, int]) -> Drop | None:
        key = self._checked[index][1]
        first = self._first.get(key)
        if first is None:
            first = here.setdefault(key, index)
        return None if first == index else drop(f"same as draw {first}", score=1.0, culprit=str(first))

    def _read(self, record: Record) -> bytes:
        fields = self.setting.text_fields if self.fields is None else self.fields
        chosen = {name: record[name] for name in fields if record.get(name) not in (None, "", [], {})}
        return fingerprint(chosen or record)
