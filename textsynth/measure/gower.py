"""Rows of mixed columns, and their distances: Gower's, for several groups of columns in one pass, and shared cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textsynth.measure.sampled import Floats, Rows, choose
from textsynth.measure.table import Column, Table

Columns = Mapping[str, Sequence[Any]]
_MISSING, _STEP = 9.0, 9.0  # so far from all else that the difference is cut to 1, and 0 between two of one state
_BLOCK = 128
_BINS = 64


@dataclass(frozen=True, slots=True)
class Mixed:
    """Rows as numbers: ``places`` (n × columns, float32) are 0 to 1 in number columns, codes in others; ``cells`` are codes
    of all columns from 0 on, numbers cut into 64 bins of equal weight; ``numbers`` says which columns are numbers.
    """

    places: NDArray[np.float32]
    cells: NDArray[np.int32]
    numbers: NDArray[np.bool_]

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.places)

    def take(self, rows: Rows) -> Mixed:
        """Return some of the rows."""
        return Mixed(self.places[rows], self.cells[rows], self.numbers)


@dataclass(frozen=True, slots=True)
class Near:
    """Of each record: the row of the nearest reference, the distance to it and to the second nearest."""

    rows: Rows
    first: Floats
    second: Floats


def count_rows(columns: Columns) -> int:
    """Return the number of rows; 0 without columns."""
    return min(map(len, columns.values()), default=0)


def encode(parts: Sequence[Columns], kinds: Mapping[str, str], *, sizes: Sequence[int], seed: int) -> list[Mixed]:
    """Encode tables together, each brought to a size by a seeded choice of rows.

    Columns are read as ``Table.of`` reads them. Numbers are scaled by their range in the second part and those after it:
    what is real. A missing value is equal to one missing in the same way and differs from every other.

    Raises:
        ValueError: a column is not in every part.
    """
    for name in kinds:
        if any(name not in part for part in parts):
            raise ValueError(
                f"column {name!r} must be in synthetic, train and holdout alike: leave it out of the kinds or add it"
            )
    tables = []
    for part, size in zip(parts, sizes, strict=True):
        rows = choose(count_rows(part), size, seed=seed)
        tables.append(Table.of({name: [part[name][at] for at in rows.tolist()] for name in kinds}, kinds))
    cuts = np.cumsum([len(table) for table in tables])
    columns = Table.stack(*tables).columns
    read = [_number(column, int(cuts[0])) if column.kind == "number" else _category(column) for column in columns]
    numbers = np.array([column.kind == "number" for column in columns])
    split = zip(*(np.split(np.stack(some, axis=1), cuts[:-1]) for some in zip(*read, strict=True)), strict=True)
    return [Mixed(places, cells, numbers) for places, cells in split]


_Coded = tuple[NDArray[np.float32], NDArray[np.int32]]


def _number(column: Column, made: int) -> _Coded:
    """Return places and cells of a column whose first ``made`` values are synthetic."""
    known = column.states == 0
    real = column.values[made:][known[made:]]
    low, high = (float(real.min()), float(real.max())) if len(real) else (0.0, 1.0)
    places = np.clip((column.values - low) / ((high - low) or 1.0), -1, 2)
    edges = np.unique(np.quantile(real, np.linspace(0, 1, _BINS + 1)[1:-1])) if len(real) else np.zeros(0)
    cells = np.searchsorted(edges, column.values, side="right")
    missing = column.states.astype(np.float64)
    return (
        np.where(known, places, _MISSING + _STEP * missing).astype(np.float32),
        np.where(known, cells, len(edges) + column.states).astype(np.int32),
    )


def _category(column: Column) -> _Coded:
    cells = np.where(column.states == 0, column.values, len(column.labels) - 1 + column.states.astype(np.int32)).astype(
        np.int32
    )
    return cells.astype(np.float32), cells


def independent(rows: Mixed, count: int, *, seed: int) -> Mixed:
    """Return rows whose cells come from the columns of ``rows``, each on its own: what a generator without memory gives."""
    random = np.random.default_rng([seed, 3])
    at = random.integers(len(rows), size=(count, rows.places.shape[1]))
    return Mixed(np.take_along_axis(rows.places, at, axis=0), np.take_along_axis(rows.cells, at, axis=0), rows.numbers)


def nearest(made: Mixed, references: Mixed, groups: Sequence[Rows] = ()) -> list[Near]:
    """Return the nearest references by Gower distance: over all columns, then over each group of columns."""
    columns = made.places.shape[1]
    every = [np.arange(columns), *groups]
    found = [_room(len(made)) for _ in every]
    for start in range(0, len(made), _BLOCK):
        here = slice(start, start + _BLOCK)
        sums = _sums(made.take(np.arange(len(made))[here]), references, every)
        for near, group, total in zip(found, every, sums, strict=True):
            _fill(near, here, total, len(group))
    return found


def _room(count: int) -> Near:
    return Near(np.zeros(count, dtype=np.int64), np.zeros(count), np.zeros(count))


def distances(made: Mixed, references: Mixed, column: int) -> NDArray[np.float32]:
    """Return the distances of every row to every reference in one column, 0 to 1."""
    left, right = made.places[:, column, None], np.ascontiguousarray(references.places[:, column])
    if not made.numbers[column]:
        different: NDArray[np.float32] = (left != right).astype(np.float32)
        return different
    apart: NDArray[np.float32] = left - right
    np.abs(apart, out=apart)
    np.minimum(apart, 1, out=apart)
    return apart


def _sums(made: Mixed, references: Mixed, groups: Sequence[Rows]) -> list[NDArray[np.float32]]:
    """Return, per group of columns, the summed distances of every row to every reference."""
    members = [set(group.tolist()) for group in groups]
    sums = [np.zeros((len(made), len(references)), dtype=np.float32) for _ in groups]
    for column in range(len(made.numbers)):
        apart = distances(made, references, column)
        for member, total in zip(members, sums, strict=True):
            if column in member:
                total += apart
    return sums


def _fill(near: Near, here: slice, total: NDArray[np.float32], columns: int) -> None:
    lines = np.arange(len(total))
    at = total.argmin(axis=1)
    near.rows[here], near.first[here] = at, total[lines, at] / columns
    total[lines, at] = np.inf
    near.second[here] = total.min(axis=1) / columns


@dataclass(frozen=True, slots=True)
class Shared:
    """Of each record: the reference that shares most with it, and the share of its weight that they share."""

    rows: Rows
    shares: Floats


def shared_cells(made: Mixed, references: Mixed, weights: Sequence[Floats]) -> Shared:
    """Return the most equal reference of each row; a cell counts by the weight of its value, one array per column."""
    columns = made.cells.shape[1]
    own = np.stack([weights[j][made.cells[:, j]] for j in range(columns)], axis=1).astype(np.float32)
    found = Shared(np.zeros(len(made), dtype=np.int64), np.zeros(len(made)))
    for start in range(0, len(made), _BLOCK):
        here = slice(start, start + _BLOCK)
        total = np.zeros((len(own[here]), len(references)), dtype=np.float32)
        for column in range(columns):
            equal = made.cells[here, column, None] == np.ascontiguousarray(references.cells[:, column])
            total += equal * own[here, column, None]
        at = total.argmax(axis=1)
        found.rows[here] = at
        found.shares[here] = total[np.arange(len(at)), at] / np.maximum(own[here].sum(axis=1), 1e-9)
    return found


def surprise(parts: Sequence[Mixed], *, codes: int) -> list[Floats]:
    """Return, per column, the negative log frequency of each of at least ``codes`` codes in the parts together."""
    cells = np.concatenate([part.cells for part in parts])
    found = []
    for column in cells.T:
        size = max(codes, int(column.max(initial=0)) + 1)
        counts = np.bincount(column, minlength=size)
        found.append(-np.log((counts + 1) / (len(column) + 1)))
    return found


def column_groups(rows: Mixed, *, count: int = 3, seed: int) -> list[Rows]:
    """Return ``count`` groups of correlated columns and as many of random ones, each of a half of the columns (2 at least).

    A correlated group is a random column and those most associated with it (normalised mutual information of the cells on
    at most 2,000 rows). Tables of fewer than 4 columns have none.
    """
    columns = rows.cells.shape[1]
    if columns < 4:
        return []
    random, size = np.random.default_rng([seed, 4]), max(2, columns // 2)
    some = rows.take(choose(len(rows), 2000, seed=seed)).cells
    found = []
    for start in random.permutation(columns)[:count]:
        ties = np.array([_association(some[:, start], some[:, other]) for other in range(columns)])
        ties[start] = np.inf
        found.append(np.sort(np.argsort(-ties, kind="stable")[:size]))
    return [*found, *(np.sort(random.choice(columns, size, replace=False)) for _ in range(count))]


def _association(left: NDArray[np.int32], right: NDArray[np.int32]) -> float:
    """Return the mutual information over the smaller entropy, 0 to 1."""
    pairs = left.astype(np.int64) * (int(right.max()) + 2) + right
    entropies = [_entropy(some) for some in (left, right, pairs)]
    least = min(entropies[:2])
    return (entropies[0] + entropies[1] - entropies[2]) / least if least > 0 else 0.0


def _entropy(values: NDArray[Any]) -> float:
    shares = np.unique(values, return_counts=True)[1] / len(values)
    return float(-np.sum(shares * np.log(shares)))
