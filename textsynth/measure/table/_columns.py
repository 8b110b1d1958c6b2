"""Tables as measures see them: columns of numbers and of categories, the bins they are compared in, matrices for learners.

A number column holds float64 with NaN where there is none; a category column holds int32 codes and their labels. Why a
value is missing (null, absent, empty, not a number in a column of numbers) is kept apart and counts as a value of its own.
Lists and texts are not held here; columns derived from them (``narrative#words``) come in as numbers or categories.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from textsynth.columns import ABSENT, parse_format, to_seconds

Codes = NDArray[np.int32]
Numbers = NDArray[np.float64]
MeasuringKind = Literal["number", "category"]

STATES = ("", "(n/a)", "(absent)", "(empty)", "(other)")
"""What may stand in a value's place, by state: a value is there, null, no such key, an empty string, an unreadable value."""
NULL, MISSING, EMPTY, UNREADABLE = 1, 2, 3, 4
_LOOKED_AT = 1000  # values that the format of dates is guessed from
KINDS: Mapping[str, MeasuringKind] = {
    "number": "number",
    "integer": "number",
    "float": "number",
    "datetime": "number",
    "category": "category",
    "constant": "category",
    "boolean": "category",
    "categorical": "category",
    "ordinal": "category",
    "options": "category",
}
"""How each kind of field is measured; kinds that are not here (id, list, dialogue, text) are left out."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of ``n`` values.

    Args:
        name: of the field.
        kind: whether ``values`` are float64 numbers (NaN: none) or int32 codes of ``labels`` (-1: none).
        values: as said.
        states: int8, 0 where there is a value, else the number of a state in ``STATES``.
        labels: of a category column, by code; empty for numbers.
    """

    name: str
    kind: MeasuringKind
    values: NDArray[Any]
    states: NDArray[np.int8]
    labels: tuple[str, ...] = ()

    def take(self, rows: NDArray[np.int64]) -> Column:
        """Return the column of the given rows."""
        return Column(self.name, self.kind, self.values[rows], self.states[rows], self.labels)

    def recode(self, labels: Sequence[str], *, otherwise: int = -1) -> Codes:
        """Return the codes of a category column in another list of labels; -1 where there is no value."""
        at = {label: code for code, label in enumerate(labels)}
        new = np.array([*(at.get(label, otherwise) for label in self.labels), -1], dtype=np.int32)
        found: Codes = new[self.values]
        return found


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of equal length."""

    columns: tuple[Column, ...]
    rows: int

    @classmethod
    def of(
        cls,
        columns: Mapping[str, Sequence[Any]],
        kinds: Mapping[str, str],
        *,
        formats: Mapping[str, str] | None = None,
    ) -> Table:
        """Return the table of the columns whose kind can be measured, in their order.

        Args:
            columns: one list of values per name, all of the same length.
            kinds: "number" or "category", or the kind of field, by name; a name that is not in it is left out.
            formats: of columns of date strings, by name, as ``strptime`` reads them; what is not said is guessed from
                the values, which may read 03/04 differently in two tables.

        Raises:
            ValueError: columns of different lengths.
        """
        lengths = {name: len(values) for name, values in columns.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"all columns must have the same number of values, got {lengths}")
        found = []
        for name, values in columns.items():
            kind = KINDS.get(kinds.get(name, ""))
            if kind == "number":
                found.append(number_column(name, values, form=(formats or {}).get(name, "")))
            elif kind == "category":
                found.append(category_column(name, values))
        return cls(tuple(found), next(iter(lengths.values()), 0))

    @classmethod
    def stack(cls, *tables: Table | None) -> Table:
        """Return the rows of all tables that are given, one after the other, with the columns of the first."""
        given = [table for table in tables if table is not None]
        if len(given) == 1:
            return given[0]
        names = given[0].names
        return cls(
            tuple(_joined([table.column(name) for table in given]) for name in names),
            sum(table.rows for table in given),
        )

    def __len__(self) -> int:
        return self.rows

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        """Return the column of that name."""
        for column in self.columns:
            if column.name == name:
                return column
        raise ValueError(f"there is no measured column {name!r}; there are: {', '.join(self.names)}")

    def take(self, rows: NDArray[np.int64]) -> Table:
        """Return the table of the given rows, in the given order."""
        return Table(tuple(column.take(rows) for column in self.columns), len(rows))

    def select(self, names: Sequence[str]) -> Table:
        """Return the table of the named columns, in the given order."""
        return Table(tuple(self.column(name) for name in names), self.rows)

    def without(self, *names: str) -> Table:
        """Return the table without the named columns."""
        return Table(tuple(column for column in self.columns if column.name not in names), self.rows)

    def sample(self, most: int, *, seed: int) -> Table:
        """Return at most ``most`` rows, drawn without replacement, in order."""
        if self.rows <= most:
            return self
        return self.take(np.sort(np.random.default_rng(seed).choice(self.rows, most, replace=False)))


def number_column(name: str, values: Sequence[Any], *, form: str = "") -> Column:
    """Return values as numbers: dates as seconds since 1970, booleans as 0 and 1; ``form`` is how date strings read."""
    try:
        if form:
            raise ValueError(form)
        numbers = np.asarray(values, dtype=np.float64)
        states = np.zeros(len(values), dtype=np.int8)
    except (TypeError, ValueError):
        form = form or _guess_format(values)
        known = {text: _read_number(text, form) for text in {value for value in values if isinstance(value, str)}}
        pairs = [known[value] if isinstance(value, str) else _read_number(value, form) for value in values]
        numbers = np.array([number for number, _ in pairs], dtype=np.float64)
        states = np.array([state for _, state in pairs], dtype=np.int8)
    states[(states == 0) & ~np.isfinite(numbers)] = NULL
    return Column(name, "number", np.where(states == 0, numbers, np.nan), states)


def _guess_format(values: Sequence[Any]) -> str:
    texts = {value for value in values[:_LOOKED_AT] if isinstance(value, str) and value}
    return parse_format(sorted(text for text in texts if _read_number(text, "")[1] == UNREADABLE))


def category_column(name: str, values: Sequence[Any]) -> Column:
    """Return values as codes; the labels are sorted, strings stand as they are, other values as JSON."""
    known: dict[Any, int] = {}
    raw = np.array(
        [known.setdefault((type(value), value) if value.__hash__ else repr(value), len(known)) for value in values],
        dtype=np.int32,
    )
    return _coded(name, [_read_label(key[1] if isinstance(key, tuple) else key) for key in known], raw)


def _coded(name: str, read: Sequence[tuple[str, int]], raw: Codes) -> Column:
    labels = sorted({label for label, state in read if state == 0})
    at = {label: code for code, label in enumerate(labels)}
    codes = np.array([at[label] if state == 0 else -1 for label, state in read], dtype=np.int32)
    states = np.array([state for _, state in read], dtype=np.int8)
    return Column(name, "category", codes[raw], states[raw], tuple(labels))


def _read_label(value: Any) -> tuple[str, int]:
    state = _state(value)
    if state:
        return "", state
    if isinstance(value, str):
        return value, 0
    return json.dumps(value.item() if isinstance(value, np.generic) else value, default=str), 0


def _read_number(value: Any, form: str) -> tuple[float, int]:
    if state := _state(value):
        return math.nan, state
    readers: list[Callable[[Any], float]] = [float, lambda given: to_seconds(given, form or "iso")]
    for read in readers[1:] if form or isinstance(value, date) else readers:
        try:
            return read(value), 0
        except (TypeError, ValueError):
            continue
    return math.nan, UNREADABLE


def _state(value: Any) -> int:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return NULL
    if isinstance(value, str):
        return 0 if value else EMPTY
    return MISSING if value is ABSENT else 0


def _joined(columns: Sequence[Column]) -> Column:
    """Return columns of one name as one; labels are those of all."""
    first = columns[0]
    states = np.concatenate([column.states for column in columns])
    if first.kind == "number":
        return Column(first.name, "number", np.concatenate([column.values for column in columns]), states)
    labels = tuple(sorted({label for column in columns for label in column.labels}))
    codes = [column.recode(labels) for column in columns]
    return Column(first.name, "category", np.concatenate(codes), states, labels)
