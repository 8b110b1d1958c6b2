"""The similarities of SDMetrics 0.32 (MIT), for comparison with what others publish: shapes of columns, trends of pairs.

They leave missing values out of the shapes; ``fidelity.accuracy`` does not.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textsynth.measure.measured import Measured
from textsynth.measure.table import Column, Table

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

_BINS = 10  # of equal width, for a number beside a category
_CORRELATED = 0.5
_ASSOCIATED = 0.3


@dataclass(frozen=True, slots=True)
class Pair:
    """Two columns: how alike their relation is in both tables, and how strong it is in the real one."""

    columns: tuple[str, str]
    similarity: float
    strength: float
    counted: bool


def similarity(synthetic: Table, *, real: Table, holdout: Table | None = None) -> list[Measured]:
    """Return ``fidelity.shapes`` and ``fidelity.trends``; they inform, the gates are on ``fidelity.accuracy``.

    Shapes: the mean over columns of ``1 - D`` (Kolmogorov-Smirnov) for numbers and of ``1 - ½ Σ|p - q|`` for
    categories. Trends: the mean over pairs of ``1 - |ρ_real - ρ_synthetic| / 2`` for two numbers, and of ``1 - ½
    Σ|p - q|`` over the contingency table otherwise; pairs count if |ρ| > 0.5, Cramér's V > 0.3 in the real rows. A number
    beside a category is cut into ten bins of equal width fitted on the real rows, as ``ContingencySimilarity`` does
    (SDMetrics' quality report cuts each table by its own range, which compares unlike bins).
    """
    return [_shapes(synthetic, real, holdout), _trends(synthetic, real, holdout)]


def _shapes(synthetic: Table, real: Table, holdout: Table | None) -> Measured:
    found = shapes(synthetic, real)
    honest = _mean(list(shapes(holdout, real).values())) if holdout else None
    value = _mean(list(found.values()))
    return Measured(
        name="fidelity.shapes",
        value=value,
        real=honest,
        size=len(synthetic),
        meaning=_told("The shapes of single columns", value, honest),
        detail={"columns": {name: _or_none(each) for name, each in found.items()}},
    )


def _trends(synthetic: Table, real: Table, holdout: Table | None) -> Measured:
    found = trends(synthetic, real)
    counted = [pair.similarity for pair in found if pair.counted]
    value = _mean(counted)
    honest = _mean([pair.similarity for pair in trends(holdout, real) if pair.counted]) if holdout else None
    worst = sorted((pair for pair in found if pair.counted), key=lambda pair: pair.similarity)[:10]
    return Measured(
        name="fidelity.trends",
        value=value,
        real=honest,
        size=len(synthetic),
        meaning=_told(f"The trends of {len(counted)} related pairs of columns", value, honest),
        detail={"pairs": len(found), "counted": len(counted), "worst": [_listed(pair) for pair in worst]},
    )


def _listed(pair: Pair) -> dict[str, Any]:
    return {"columns": list(pair.columns), "similarity": _or_none(pair.similarity), "strength": _or_none(pair.strength)}


def _told(subject: str, value: float | None, real: float | None) -> str:
    if value is None:
        return f"Not measured: {subject[0].lower()}{subject[1:]} cannot be compared."
    told = f"{subject} are {value * 100:.1f} % alike (SDMetrics)"
    return f"{told}; those of real data, {real * 100:.1f} %." if real is not None else f"{told}."


def shapes(synthetic: Table, real: Table) -> Mapping[str, float]:
    """Return the complement of the Kolmogorov-Smirnov or total variation distance of each column; NaN if one is empty."""
    return {column.name: _shape(synthetic.column(column.name), column) for column in real.columns}


def _shape(synthetic: Column, real: Column) -> float:
    one, other = (column.values[column.states == 0] for column in (synthetic, real))
    if not len(one) or not len(other):
        return float("nan")
    if real.kind == "number":
        return 1 - _distance(np.sort(one), np.sort(other))
    labels = sorted({*synthetic.labels, *real.labels})
    shares = [
        np.bincount(column.recode(labels)[column.states == 0], minlength=len(labels)) / len(values)
        for column, values in ((synthetic, one), (real, other))
    ]
    return 1 - float(np.abs(shares[0] - shares[1]).sum()) / 2


def _distance(one: Floats, other: Floats) -> float:
    """Return the largest difference of two sorted samples' cumulative shares."""
    points = np.concatenate([one, other])
    below = [np.searchsorted(side, points, side="right") / len(side) for side in (one, other)]
    return float(np.abs(below[0] - below[1]).max())


def trends(synthetic: Table, real: Table) -> list[Pair]:
    """Return every pair of columns; ``similarity`` is NaN where a correlation does not exist."""
    tables = (synthetic, real)
    codes = {column.name: _codes([table.column(column.name) for table in tables], real=1) for column in real.columns}
    found = []
    for one, other in itertools.combinations(real.columns, 2):
        if one.kind == other.kind == "number":
            found.append(_correlated([(table.column(one.name), table.column(other.name)) for table in tables]))
        else:
            found.append(_associated((one.name, other.name), codes[one.name], codes[other.name]))
    return found


def _correlated(sides: Sequence[tuple[Column, Column]]) -> Pair:
    of_synthetic, of_real = (_correlation(one.values, other.values) for one, other in sides)
    names = (sides[0][0].name, sides[0][1].name)
    alike = 1 - abs(of_real - of_synthetic) / 2
    return Pair(names, alike, abs(of_real), abs(of_real) > _CORRELATED and not np.isnan(alike))


def _correlation(one: Floats, other: Floats) -> float:
    both = ~(np.isnan(one) | np.isnan(other))
    if both.sum() < 2 or not np.ptp(one[both]) or not np.ptp(other[both]):
        return float("nan")
    return float(np.corrcoef(one[both], other[both])[0, 1])


def _associated(names: tuple[str, str], one: Sequence[Codes], other: Sequence[Codes]) -> Pair:
    width = int(max(side.max(initial=0) for side in other)) + 1
    height = int(max(side.max(initial=0) for side in one)) + 1
    counts = [
        np.bincount(a * width + b, minlength=width * height).reshape(height, width)
        for a, b in zip(one, other, strict=True)
    ]
    shares = [count / max(1, count.sum()) for count in counts]
    strength = cramers_v(counts[1])
    return Pair(names, 1 - float(np.abs(shares[0] - shares[1]).sum()) / 2, strength, strength > _ASSOCIATED)


def cramers_v(counts: NDArray[Any]) -> float:
    """Return Cramér's V of a table of counts, 0 to 1 (Cramér 1946); 0 if a side has one value."""
    table = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0].astype(np.float64)
    if min(table.shape) < 2:
        return 0.0
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / table.sum()
    square = ((table - expected) ** 2 / expected).sum()
    return float(np.sqrt(square / table.sum() / (min(table.shape) - 1)))


def _codes(columns: Sequence[Column], *, real: int) -> list[Codes]:
    """Return small numbers for values of the tables' column: bins of equal width for numbers; missing is one of its own."""
    first = columns[real]
    if first.kind == "category":
        labels = sorted({label for column in columns for label in column.labels})
        return [np.where(c.states == 0, c.recode(labels), len(labels)).astype(np.int64) for c in columns]
    there = first.values[first.states == 0]
    edges = np.linspace(there.min(), there.max(), _BINS + 1)[1:-1] if len(there) else np.zeros(0)
    return [np.where(c.states == 0, np.searchsorted(edges, c.values, side="right"), _BINS) for c in columns]


def _mean(values: Sequence[float]) -> float | None:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else None


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else value
