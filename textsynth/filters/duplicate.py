"""Exact duplicates, but for case, white space, Unicode form and the way a number is written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from textsynth.filters import Filter, Setting, drop
from textsynth.records import Candidate, Drop, Record
from textsynth.text import fingerprint, require_fields

_NUMBER = re.compile(r"[+-]?(?:\d{1,3}(?:,\d{3}){1,4}|\d{1,15})(?:\.\d{1,15})?", re.ASCII)


@dataclass(kw_only=True)
class Duplicate(Filter):
    """Drops a record whose canonical form (``text.canonical``) is that of a record kept before.

    What is compared: ``fields``, by default all free-text fields; a record that has none of them, or only empty ones,
    is compared as a whole. A number that the schema asks for equals the same written as text ("1,000.50" is 1000.5);
    in other strings digits are text. The order of a list does not count where the schema says ``uniqueItems`` or
    ``unordered`` names the field. Memory: about 160 bytes a kept record, whatever its length.

    Cannot see: lists inside lists or objects whose order has no meaning; rounded numbers; 1.000,50 for 1,000.50.

    Args:
        fields: the fields that must not repeat together.
        unordered: top-level fields whose lists are compared in any order, besides those with ``uniqueItems``.
    """

    fields: tuple[str, ...] | None = None
    unordered: tuple[str, ...] = ()

    def prepare(self, setting: Setting) -> None:
        """Check that the fields exist and start with an empty memory."""
        super().prepare(setting)
        properties = setting.schema.properties
        require_fields(self.fields, properties)
        require_fields(self.unordered or None, properties)
        unique = {name for name, part in properties.items() if part.get("uniqueItems") is True}
        self._unordered = unique | set(self.unordered)
        self._numbers = {name for name, part in properties.items() if part.get("type") in ("number", "integer")}
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
        return fingerprint({name: self._plain(name, value) for name, value in (chosen or record).items()})

    def _plain(self, name: str, value: Any) -> Any:
        """Write a field's value in the one way its kind allows."""
        if name in self._unordered and isinstance(value, list):
            return sorted(fingerprint(item).hex() for item in value)
        if name in self._numbers and isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
            return float(value.replace(",", ""))
        return value
