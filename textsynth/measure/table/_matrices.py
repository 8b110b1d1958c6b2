"""Tables as matrices, as learners take them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textsynth.measure.table._columns import STATES, Column, Numbers, Table

_NATIVE = 60  # categories up to which a column is given to trees as categories


@dataclass(frozen=True, slots=True)
class Encoded:
    """Tables as matrices (rows × features, float64, NaN where there is no number) over the same features.

    ``categorical`` marks the features that hold codes of categories, 0 for the most frequent in the first table.
    """

    matrices: tuple[Numbers, ...]
    names: tuple[str, ...]
    categorical: NDArray[np.bool_]


def encode(*tables: Table) -> Encoded:
    """Return tables as learners take them; a column with several kinds of missing values gets a feature that tells them apart.

    A column of more than 60 categories becomes a number: the rank of the category by frequency in the first table.
    """
    features: list[list[Numbers]] = []
    names, categorical = [], []
    for name in tables[0].names:
        columns = [table.column(name) for table in tables]
        if columns[0].kind == "number":
            features.append([column.values for column in columns])
            categorical.append(False)
            names.append(name)
            if len({int(state) for column in columns for state in np.unique(column.states)} - {0}) > 1:
                features.append([column.states.astype(np.float64) for column in columns])
                categorical.append(True)
                names.append(name)
            continue
        ranked = _ranks(columns)
        features.append(ranked)
        categorical.append(max((each.max(initial=0) for each in ranked), default=0) < _NATIVE)
        names.append(name)
    matrices = tuple(
        np.column_stack([feature[at] for feature in features]) if features else np.zeros((len(table), 0))
        for at, table in enumerate(tables)
    )
    return Encoded(matrices, tuple(names), np.array(categorical, dtype=bool))


def _ranks(columns: Sequence[Column]) -> list[Numbers]:
    """Return each category (a state is one too) as its rank by frequency in the first column."""
    labels = sorted({label for column in columns for label in column.labels})
    codes = []
    for column in columns:
        code = column.recode(labels)
        codes.append(np.where(column.states == 0, code, len(labels) - 1 + column.states.astype(np.int64)))
    counts = np.bincount(codes[0], minlength=len(labels) + len(STATES))
    rank = np.empty(len(counts))
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
    return [rank[code] for code in codes]
