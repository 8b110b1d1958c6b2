"""The bins in which columns are compared: fitted on real rows, the same for all tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textsynth.measure.table._columns import STATES, UNREADABLE, Column, MeasuringKind, Numbers, Table

BINS = 10
_LEAST = 5  # times a category must occur in real data to be a bin of its own
_TRIED = 1000  # numbers of quantiles tried to find eleven different ones


@dataclass(frozen=True, slots=True)
class Bin:
    """How one column is cut.

    Bins are numbered: first the ranges (numbers) or the categories, then the four states of ``STATES``; a category
    that is none of them falls into "(other)".
    """

    name: str
    kind: MeasuringKind
    edges: Numbers
    categories: tuple[str, ...]

    @property
    def own(self) -> int:
        """The number of ranges or categories."""
        return len(self.categories) if self.kind == "category" else max(0, len(self.edges) - 1)

    @property
    def size(self) -> int:
        """The number of bins, those of the states included."""
        return self.own + len(STATES) - 1

    @property
    def labels(self) -> tuple[str, ...]:
        """What to call each bin; a range by its lower edge."""
        own = self.categories if self.kind == "category" else [f"≥ {edge:.12g}" for edge in self.edges[:-1]]
        return (*own, *STATES[1:])

    def codes(self, column: Column) -> NDArray[np.int64]:
        """Return the number of the bin of each value."""
        if self.kind == "category":
            found = column.recode(self.categories, otherwise=self.own + UNREADABLE - 1).astype(np.int64)
        else:
            found = np.searchsorted(self.edges[1:-1], column.values, side="right").astype(np.int64)
        there = column.states == 0
        return np.where(there, found, self.own - 1 + column.states.astype(np.int64))


@dataclass(frozen=True, slots=True)
class Bins:
    """The bins of a table, fitted on real rows.

    Those of mostlyai-qa 1.10 (``bin_data``): ten ranges with about as many values each, a value that fills several
    being one; the ten most frequent categories that occur five times or more.
    """

    bins: tuple[Bin, ...]

    @classmethod
    def fit(cls, real: Table) -> Bins:
        """Return the bins for real rows, train and holdout together."""
        return cls(tuple(_fit_bin(column) for column in real.columns))

    def __iter__(self) -> Iterator[Bin]:
        return iter(self.bins)

    def codes(self, table: Table) -> list[NDArray[np.int64]]:
        """Return, for each column in the order of the bins, the bin of each row."""
        return [each.codes(table.column(each.name)) for each in self.bins]


def _fit_bin(column: Column) -> Bin:
    if column.kind == "number":
        return Bin(column.name, "number", find_edges(column.values[column.states == 0]), ())
    counts = np.bincount(column.values[column.states == 0], minlength=len(column.labels))
    missing = np.bincount(column.states, minlength=len(STATES))[1:]
    found = [(int(count), label) for count, label in zip(counts, column.labels, strict=True)]
    found += [(int(count), "") for count in missing]  # they take a place among the ten, as in mostlyai-qa
    top = sorted(found, key=lambda pair: (-pair[0], pair[1]))[:BINS]
    return Bin(column.name, "category", np.zeros(0), tuple(sorted(name for n, name in top if n >= _LEAST and name)))


def find_edges(values: Numbers) -> Numbers:
    """Return at most eleven edges for ten ranges of about equal count, rounded down to as few decimals as keep them apart."""
    distinct = np.unique(values)
    if len(distinct) == 0:
        return np.array([-1e10, 1e10])
    if len(distinct) <= BINS:
        edges = np.append(distinct, distinct[-1] + 1)
    else:
        ordered = np.sort(values)
        for tried in range(BINS, max(BINS + 1, min(_TRIED, len(values) + 1))):
            edges = np.unique(ordered[np.linspace(0, len(ordered) - 1, tried).astype(int)])
            if len(edges) > BINS:
                break
    for decimals in range(20):
        lower = np.floor(edges * 10.0**decimals) / 10.0**decimals
        if len(np.unique(lower)) == len(edges):
            return np.append(lower[:-1], edges[-1])
    return edges
