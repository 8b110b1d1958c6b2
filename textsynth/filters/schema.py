"""Records that break their schema, or do not have the attributes that were drawn for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textsynth.filters import Filter, drop
from textsynth.records import Candidate, Drop


@dataclass(kw_only=True)
class Schema(Filter):
    """Drops a record that breaks any part of its schema, also what decoding was meant to enforce.

    The draw's attributes that are properties of the schema count as constants of it.
    """

    def check(self, batch: Sequence[Candidate]) -> Sequence[Drop | None]:
        """Name the first problem of each record: path, keyword, message, and how many more there are."""
        return [self._check(candidate) for candidate in batch]

    def _check(self, candidate: Candidate) -> Drop | None:
        if candidate.record is None:
            return drop("there is no record: nothing could be parsed")
        schema = self.setting.schema
        constants = {name: value for name, value in candidate.draw.attributes.items() if name in schema.properties}
        problems = schema.problems(candidate.record, constants)
        if not problems:
            return None
        first, more = problems[0], len(problems) - 1
        rest = f" (and {more} more)" if more else ""
        return drop(f"{_place(first.path)}: {first.keyword}: {first.message}{rest}")


def _place(path: Sequence[str | int]) -> str:
    """Write a path as in the messages elsewhere: ``address.lines[0]``; the record as a whole is ``record``."""
    return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path).lstrip(".") or "record"
