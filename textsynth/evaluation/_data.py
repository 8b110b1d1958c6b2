"""What is compared: rows read, checked, cut to equal size and taken apart into a table, texts and vectors."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from textsynth import columns, tables
from textsynth.columns import Field
from textsynth.errors import RecipeError, unknown
from textsynth.measure.table import KINDS, Table
from textsynth.text import count_words, fingerprint, fold, strings

Row = dict[str, Any]
Numbers = NDArray[np.int64]
T = TypeVar("T")
U = TypeVar("U")

LEAST = {"synthetic": 100, "real": 90, "holdout": 10}
"""Rows that each set must have at least (as mostlyai-qa asks for)."""
_SAYS = 4  # words from which on a string, not the whole row, decides which rows are the same
_TWINS = 0.05  # share of holdout rows that stand in real beyond what real's own twins explain: more is a wrong split


@dataclass(frozen=True, slots=True)
class Three(Generic[T]):
    """The same thing of the synthetic, the real and the held-out rows."""

    synthetic: T
    real: T
    holdout: T

    def map(self, change: Callable[[T], U]) -> Three[U]:
        """Apply ``change`` to each."""
        return Three(change(self.synthetic), change(self.real), change(self.holdout))

    def pair(self, other: Three[U], join: Callable[[T, U], Any]) -> Three[Any]:
        """Apply ``join`` to each with the other's."""
        return Three(
            join(self.synthetic, other.synthetic), join(self.real, other.real), join(self.holdout, other.holdout)
        )

    def __iter__(self) -> Iterator[T]:
        return iter((self.synthetic, self.real, self.holdout))


@dataclass(slots=True)
class Data:
    """Rows of the three sets and what they are made of.

    Args:
        rows: as read; strings of a CSV typed.
        fields: as inferred on the real rows, of those that the synthetic rows have too.
        texts: names of the fields that are read as text.
        columns: values per field, and per derived column, by set.
        notes: what the reader should know.
        held: the numbers of the real rows that were split off here as the holdout, for lack of one.
    """

    rows: Three[list[Row]]
    fields: tuple[Field, ...]
    texts: tuple[str, ...]
    columns: Three[Mapping[str, Sequence[Any]]]
    notes: list[str] = field(default_factory=list)
    held: Numbers | None = None

    def kinds(self, *, derived: bool = True) -> dict[str, str]:
        """Return the measuring kind of every column that goes into a table."""
        return {
            each.name: KINDS[each.kind]
            for each in self.fields
            if each.kind in KINDS.keys() - {"options"}
            and each.name not in self.texts
            and (derived or not is_made(each))
        }

    def table(self, rows: Three[Numbers], *, derived: bool = True) -> Three[Table]:
        """Return the tables of the given rows."""
        kinds = self.kinds(derived=derived)
        return self.chosen(kinds, rows).map(lambda some: Table.of(some, kinds))

    def chosen(self, names: Sequence[str] | Mapping[str, str], rows: Three[Numbers]) -> Three[dict[str, list[Any]]]:
        """Return the columns of these names, of the given rows."""
        return self.columns.pair(rows, lambda some, at: {name: [some[name][row] for row in at] for name in names})

    def written(self) -> Three[list[str]]:
        """Return the text of every row: its text fields, a dialogue as its turns, a line each."""
        known = {each.name: each for each in self.fields}
        return self.columns.map(lambda some: _join([_said(some[name], known[name].content_key) for name in self.texts]))


def write_rows(rows: Sequence[Row], data: Data) -> list[str]:
    """Return the text of other rows with the same text fields."""
    fields = [each for each in data.fields if each.name in data.texts]
    some = columns.columns(rows, fields)
    return _join([_said(some[each.name], each.content_key) for each in fields])


def is_made(known: Field) -> bool:
    """Return whether a field was derived from another one here."""
    return known.derived and not known.name.endswith("#object")


def _join(parts: Sequence[Sequence[str]]) -> list[str]:
    return ["\n".join(part for part in each if part) for each in zip(*parts, strict=True)]


def _said(values: Sequence[Any], key: str) -> list[str]:
    """Return the text of one field per row; of a dialogue, what the turns say without the roles."""
    return ["\n".join(strings(_turns(value, key))) for value in values]


def _turns(value: Any, key: str) -> Any:
    if not key or not isinstance(value, list | tuple):
        return value
    return [turn.get(key) if isinstance(turn, Mapping) else turn for turn in value]


def read(source: Any, *, place: str, limit: int | None) -> list[Row]:
    """Return the rows of a list, a ``datasets.Dataset`` or what ``tables`` reads.

    Raises:
        RecipeError: nothing there, or rows that are not objects.
    """
    if isinstance(source, str | Path):
        return tables.read(str(source), folder=Path(), place=place, limit=limit)
    rows = [row for _, row in zip(range(limit), source, strict=False)] if limit else list(source)
    if wrong := next((row for row in rows if not isinstance(row, Mapping)), None):
        raise RecipeError([f"{place}: each row must be an object, got {str(wrong)[:60]!r}"])
    return [dict(row) for row in rows]


def check_sizes(sizes: Mapping[str, int]) -> None:
    """Raise ``RecipeError`` for sets that are too small to say anything."""
    small = [
        f"{name}: at least {LEAST[name]} rows are needed, got {size:,}"
        for name, size in sizes.items()
        if size < LEAST[name]
    ]
    if small:
        raise RecipeError(small, hint="measures of fewer rows are noise; generate or hold out more")


def split_half(rows: Sequence[Row], *, seed: int) -> Numbers:
    """Return the numbers of half of the rows, drawn so that rows that say the same stay together."""
    clusters: dict[bytes, list[int]] = {}
    for number, row in enumerate(rows):
        said = sorted(fold(text) for text in strings(row) if count_words(text) > _SAYS)
        clusters.setdefault(_mark(said or row), []).append(number)
    order = np.random.default_rng(seed).permutation(len(clusters))
    groups, chosen = list(clusters.values()), list[int]()
    for at in order:
        if len(chosen) < len(rows) // 2:
            chosen += groups[at]
    return np.sort(np.array(chosen, dtype=np.int64))


def check_overlap(real: Sequence[Row], holdout: Sequence[Row]) -> str:
    """Return a note on holdout rows that stand in real too; empty if there are none.

    Raises:
        RecipeError: there are clearly more of them than twins within real: the holdout was not held out.
    """
    counts = Counter(map(_mark, real))
    both = sum(_mark(row) in counts for row in holdout)
    twins = sum(count for count in counts.values() if count > 1)
    said = f"{both:,} of {len(holdout):,} holdout rows are also real rows"
    if both / len(holdout) - twins / len(real) > _TWINS:
        raise RecipeError(
            [f"holdout: {said}; a holdout must be rows that nothing was made from"],
            hint="split the real data before it is used, duplicates on one side; or leave the holdout out",
        )
    return f"{said}; {twins:,} of the {len(real):,} real rows have a twin among themselves." if both else ""


def _mark(value: Any) -> bytes:
    """Return the fingerprint of JSON values, or of others (dates, decimals) as they are written."""
    try:
        return fingerprint(value)
    except TypeError:
        return fingerprint(json.loads(json.dumps(value, default=str)))


def shared_fields(rows: Three[list[Row]], fields: Sequence[Field], notes: list[str]) -> tuple[Field, ...]:
    """Return the fields that synthetic and held-out rows have too; note the others.

    Raises:
        RecipeError: none is shared.
    """
    found = []
    for name, some in (("synthetic", rows.synthetic), ("holdout", rows.holdout)):
        keys = {key for row in some for key in row}
        lacking = [each.name for each in fields if (each.path or (each.name,))[0] not in keys]
        if len(lacking) == len(fields):
            theirs = ", ".join(sorted({key for row in rows.real for key in row})[:12])
            raise RecipeError(
                [f"{name}: no field in common with real; {name} has {', '.join(sorted(keys)[:12])}; real has {theirs}"],
                hint="rename the fields so that the same thing has the same name in all sets",
            )
        if lacking:
            notes.append(f"Not compared, since {name} rows lack it: {', '.join(sorted(lacking))}.")
        found += lacking
    return tuple(each for each in fields if each.name not in set(found))


def text_names(fields: Sequence[Field], wanted: Sequence[str] | None) -> tuple[str, ...]:
    """Return the fields that are read as text: those named, or all of kind text and dialogue."""
    if wanted is None:
        return tuple(each.name for each in fields if each.kind in {"text", "dialogue"} and not each.derived)
    known = [each.name for each in fields]
    if wrong := [unknown("text", name, known) for name in wanted if name not in known]:
        raise RecipeError(wrong)
    return tuple(wanted)


def require_names(place: str, wanted: Sequence[str], known: Sequence[str]) -> None:
    """Raise ``RecipeError`` for names that are no field."""
    if wrong := [unknown(place, name, known) for name in wanted if name not in known]:
        raise RecipeError(wrong)


def some(rows: Numbers, most: int, *, seed: int) -> Numbers:
    """Return at most ``most`` of the row numbers, drawn without replacement, in order."""
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def equal(rows: Three[Numbers], most: int, *, seed: int) -> Three[Numbers]:
    """Return as many rows of each set, and at most ``most``."""
    size = min(most, *map(len, rows))
    return rows.map(lambda each: some(each, size, seed=seed))


def equal_real(rows: Three[Numbers], most: int, *, seed: int) -> Three[Numbers]:
    """Return as many real as held-out rows, and at most ``most`` of each set."""
    size = min(most, len(rows.real), len(rows.holdout))
    return Three(
        some(rows.synthetic, most, seed=seed), some(rows.real, size, seed=seed), some(rows.holdout, size, seed=seed)
    )


def with_words(texts: Sequence[str]) -> Numbers:
    """Return the numbers of the texts that have any words."""
    return np.flatnonzero([count_words(text) > 0 for text in texts]).astype(np.int64)
