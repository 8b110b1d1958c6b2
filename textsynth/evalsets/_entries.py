"""The rows that are parted into an eval set and training rows, and what ties rows together so that they must not be parted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textsynth import tables
from textsynth.errors import RecipeError
from textsynth.records import Record
from textsynth.runs import Run
from textsynth.text import fold

NEEDED = ("question", "answer")


@dataclass(frozen=True, slots=True)
class Entry:
    """A row: its record, the keys it has (``document:pep-0008``), and whether it may become an eval item."""

    record: Record
    keys: frozenset[str]
    eligible: bool


def read_run(run: Run, by: Sequence[str], *, eligible: bool) -> list[Entry]:
    """Return the kept records of a run with their keys.

    Raises:
        RecipeError: records that are no items, though they must be.
    """
    names = run.parts.schema.properties
    if eligible and (missing := [name for name in NEEDED if name not in names]):
        raise RecipeError(
            [f"evalset: the records must have the fields question and answer; {missing[0]!r} is missing"],
            hint="write them with the method item: steps: [item, solve]",
        )
    return [Entry(record, frozenset(run_keys(run, index, record, by)), eligible) for index, record in run.ledger.kept()]


def run_keys(run: Run, index: int, record: Record, by: Sequence[str]) -> Iterator[str]:
    """Yield the keys of a run's record: those of its fields, of what was drawn for it and of the seeds it was shown."""
    yield from record_keys(record, by)
    if draw := run.ledger.draw(index):
        if "seeds" in by and run.recipe.seeds is not None:
            source = (run.recipe.folder / run.recipe.seeds.path).resolve()
            yield from (f"seeds:{source}:{seed.id}" for seed in draw.seeds)
        for given in (draw.attributes, *(seed.row for seed in draw.seeds)):
            yield from record_keys(given, [name for name in by if name != "seeds"])


def read_rows(source: str, by: Sequence[str], *, folder: Path) -> list[Entry]:
    """Return the rows of a dataset, which can only become training rows, with the keys that its columns give."""
    rows = tables.stream(source, folder=folder, place="--train")
    return [Entry(row, frozenset(record_keys(row, by)), False) for row in rows]


def record_keys(record: Mapping[str, Any], by: Sequence[str]) -> Iterator[str]:
    """Yield a key for each field named in ``by`` that says something, also inside ``source``."""
    source = record.get("source")
    held = {**(source if isinstance(source, dict) else {}), **record}
    for name in by:
        for value in held[name] if isinstance(held.get(name), list) else [held.get(name)]:
            if isinstance(value, str | int) and str(value).strip():
                yield f"{name}:{fold(str(value))}"


def connect(entries: Sequence[Entry]) -> list[int]:
    """Return the number of each entry's group: those that share a key, directly or through others, are in one.

    A row without any key is a group of its own.
    """
    parent = list(range(len(entries)))

    def root(at: int) -> int:
        while parent[at] != at:
            parent[at] = at = parent[parent[at]]
        return at

    first: dict[str, int] = {}
    for at, entry in enumerate(entries):
        for key in entry.keys:
            low, high = sorted((root(first.setdefault(key, at)), root(at)))
            parent[high] = low
    return [root(at) for at in range(len(entries))]


def members(groups: Iterable[int]) -> dict[int, list[int]]:
    """Return the numbers of the entries in each group."""
    found: defaultdict[int, list[int]] = defaultdict(list)
    for at, group in enumerate(groups):
        found[group].append(at)
    return dict(found)
