"""What a child row depends on, as one number: the leaf of a tree over its ancestors, its position and the row before it.

One regression tree with many outputs divides the child rows so that rows of one leaf are alike in their own columns
(Breiman et al., 1984, with several outputs). The leaf's number then stands for the whole context in the child's joint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textsynth.columns import ABSENT, Field, columns, infer, ordinary, to_numbers
from textsynth.profile.dependencies import key_of
from textsynth.profile.rare import LEAST
from textsynth.records import Record

LEAVES = 256
SMALLEST = 20
UNITS = 2 * (LEAST + 2)
"""Privacy units of a leaf; with fewer it is joined with the leaf beside it."""
TARGETS = 40
"""Values of a category that are told apart when leaves are formed."""
VALUES = 1000
POSITIONS = 20
"""Positions among siblings that are told apart, and drawn one after the other."""
MISSING = -1e9

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Feature:
    """One column of an ancestor as numbers. A category's values have a rank each: alike are those with alike children."""

    field: Field
    ranks: tuple[tuple[Any, float], ...] = ()

    def encode(self, values: Sequence[Any]) -> Matrix:
        """Return (n,) numbers; null, absent and unknown are ``MISSING``."""
        if self.field.numeric:
            found = np.asarray(to_numbers(values, self.field), dtype=np.float64)
            return np.where(np.isfinite(found), found, MISSING)
        known = {key_of(value): rank for value, rank in self.ranks}
        return np.array([known.get(key_of(value), MISSING) for value in values], dtype=np.float64)

    def as_data(self) -> dict[str, Any]:
        """Return it as JSON values. Of the field, only what encoding needs."""
        kept = {"name", "path", "kind", "type", "format", "granularity", "scale"}
        return {
            "field": {name: value for name, value in self.field.as_data().items() if name in kept},
            "ranks": [[value, rank] for value, rank in self.ranks],
        }

    @classmethod
    def of_data(cls, data: Mapping[str, Any]) -> Feature:
        """Return the feature that ``as_data`` made ``data`` of."""
        return cls(Field.of_data(dict(data["field"])), tuple((value, rank) for value, rank in data["ranks"]))


@dataclass(frozen=True, slots=True)
class Context:
    """The tree, and the columns that it looks at.

    Args:
        levels: features of the parent, the grandparent and so on.
        own: features of the sibling before.
        left: (nodes,) the node for values up to the threshold; -1 in a leaf.
        right: (nodes,) the other one.
        column: (nodes,) which column is compared.
        threshold: (nodes,) with what.
        leaf: (nodes,) the number of each leaf, in the order of the tree.
    """

    levels: tuple[tuple[Feature, ...], ...]
    own: tuple[Feature, ...]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    column: NDArray[np.int64]
    threshold: Matrix
    leaf: NDArray[np.int64]

    @classmethod
    def fit(
        cls,
        ancestors: Sequence[Sequence[Record]],
        rows: Sequence[Record],
        place: Place,
        units: NDArray[np.int64],
        seed: int,
    ) -> tuple[Context, NDArray[np.int64]]:
        """Learn the tree.

        Args:
            ancestors: for each level above, one record per row: its parent, its grandparent, ...
            rows: the child rows, siblings in their order.
            place: where each row stands among its siblings.
            units: privacy unit of each row.
            seed: of ties.

        Returns:
            The context, and the leaf of each row.
        """
        from sklearn.tree import DecisionTreeRegressor

        goal = targets(rows)
        levels = tuple(find_features(level, goal, units) for level in ancestors)
        own = find_features(rows, goal, units)
        bare = cls(levels, own, *(np.empty(0, dtype=np.int64),) * 3, np.empty(0), np.empty(0, dtype=np.int64))
        matrix = bare.matrix(ancestors, bare.before(rows, place), place)
        tree = DecisionTreeRegressor(
            max_leaf_nodes=LEAVES, min_samples_leaf=max(SMALLEST, len(rows) // 200), random_state=seed
        )
        grown = tree.fit(matrix, goal if goal.shape[1] else np.zeros((len(rows), 1))).tree_
        left, right = np.asarray(grown.children_left), np.asarray(grown.children_right)
        made = cls(
            levels, own, left, right, np.asarray(grown.feature), np.asarray(grown.threshold), np.arange(len(left))
        )
        nodes = made.leaves(matrix)
        made = cls(levels, own, left, right, made.column, made.threshold, number_leaves(left, right, nodes, units))
        return made, made.leaf[nodes]

    def matrix(self, ancestors: Sequence[Sequence[Record]], before: Matrix, place: Place) -> Matrix:
        """Return (n, columns): the ancestors' features, those of the sibling before, and the place among siblings."""
        parts = [encode(features, level) for features, level in zip(self.levels, ancestors, strict=True)]
        where = np.stack([np.minimum(place.position, POSITIONS), np.minimum(place.siblings, 10 * POSITIONS)], axis=1)
        whole = np.concatenate([*parts, before, where.astype(np.float64)], axis=1)
        return np.asarray(whole.astype(np.float32), dtype=np.float64)  # as precise as the tree compares

    def before(self, rows: Sequence[Record], place: Place) -> Matrix:
        """Return (n, own features) of the row before each, ``MISSING`` for a first one. ``rows`` are in order."""
        found = encode(self.own, rows)
        moved = np.full_like(found, MISSING)
        moved[1:] = found[:-1]
        moved[place.position == 0] = MISSING
        return moved

    def leaves(self, matrix: Matrix) -> NDArray[np.int64]:
        """Return the number of the leaf of each row, int64 (n,)."""
        node = np.zeros(len(matrix), dtype=np.int64)
        rows = np.arange(len(matrix))
        inner = self.left[node] >= 0
        while inner.any():
            here, which = node[inner], rows[inner]
            low = matrix[which, self.column[here]] <= self.threshold[here]
            node[inner] = np.where(low, self.left[here], self.right[here])
            inner = self.left[node] >= 0
        return self.leaf[node]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the tree as arrays."""
        names = ("left", "right", "column", "threshold", "leaf")
        return {name: getattr(self, name) for name in names}

    def as_data(self) -> dict[str, Any]:
        """Return the features as JSON values."""
        return {
            "levels": [[feature.as_data() for feature in level] for level in self.levels],
            "own": [feature.as_data() for feature in self.own],
        }

    @classmethod
    def of_data(cls, data: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Context:
        """Return the context that ``as_data`` and ``arrays`` describe."""
        levels = tuple(tuple(Feature.of_data(item) for item in level) for level in data["levels"])
        return cls(levels, tuple(Feature.of_data(item) for item in data["own"]), **arrays)


@dataclass(frozen=True, slots=True)
class Place:
    """Where rows stand among their siblings: position from 0, and how many there are, int64 (n,) each."""

    position: NDArray[np.int64]
    siblings: NDArray[np.int64]

    @classmethod
    def of(cls, parents: NDArray[np.int64]) -> Place:
        """Return the places of rows that are sorted by parent."""
        _, first, counts = np.unique(parents, return_index=True, return_counts=True)
        return cls(np.arange(len(parents)) - np.repeat(first, counts), np.repeat(counts, counts))


def encode(features: Sequence[Feature], rows: Sequence[Record]) -> Matrix:
    """Return (n, features) numbers of rows."""
    if not features:
        return np.empty((len(rows), 0))
    taken = columns(rows, [feature.field for feature in features])
    return np.stack([feature.encode(taken[feature.field.name]) for feature in features], axis=1)


def usable(rows: Sequence[Record]) -> list[Field]:
    """Return the fields that are numbers or closed sets."""
    if not any(rows):
        return []
    return [f for f in infer(rows) if f.numeric or (f.closed and f.kind != "constant" and f.type != "object")]


def targets(rows: Sequence[Record]) -> Matrix:
    """Return (n, columns) what rows are told apart by: ranks of numbers, indicators of values; each field weighs the same."""
    fields = usable(rows)
    taken = columns(rows, fields)
    parts = []
    for field in fields:
        values = taken[field.name]
        if field.numeric:
            numbers = np.asarray(to_numbers(values, field), dtype=np.float64)
            known = np.isfinite(numbers)
            ranks = np.full(len(numbers), 0.5)
            ranks[known] = np.searchsorted(np.sort(numbers[known]), numbers[known]) / max(1, known.sum())
            part = np.stack([ranks, known.astype(np.float64)], axis=1)
        else:
            keys = [key_of(value) for value in values]
            part = np.stack(
                [
                    np.array([key == key_of(value) for key in keys], dtype=np.float64)
                    for value in field.values[:TARGETS]
                ],
                axis=1,
            )
        spread = float(np.sqrt(part.var(axis=0).sum()))
        if spread > 0:
            parts.append(part / spread)
    return np.concatenate(parts, axis=1) if parts else np.empty((len(rows), 0))


def find_features(rows: Sequence[Record], goal: Matrix, units: NDArray[np.int64]) -> tuple[Feature, ...]:
    """Return the features of rows; ranks of categories follow the first principal component of their means in ``goal``."""
    found = []
    fields = usable(rows)
    taken = columns(rows, fields)
    for field in fields:
        if field.numeric:
            found.append(Feature(field))
            continue
        ranks = rank_values(taken[field.name], goal, units)
        if len(ranks) > 1:
            found.append(Feature(field, ranks))
    return tuple(found)


def rank_values(values: Sequence[Any], goal: Matrix, units: NDArray[np.int64]) -> tuple[tuple[Any, float], ...]:
    """Return the values that enough privacy units have, each with its rank."""
    rows: dict[Any, list[int]] = {}
    for row, value in enumerate(values):
        rows.setdefault(key_of(value), []).append(row)
    frequent = [places for places in rows.values() if len(set(units[places].tolist())) >= LEAST][:VALUES]
    plain = [places for places in frequent if ordinary(values[places[0]]) and values[places[0]] is not ABSENT]
    if len(plain) < 2 or not goal.shape[1]:
        return tuple((values[places[0]], float(number)) for number, places in enumerate(plain))
    means = np.stack([goal[places].mean(axis=0) for places in plain])
    centred = (means - goal.mean(axis=0)) * np.sqrt([[len(places)] for places in plain])
    axis = np.linalg.svd(centred, full_matrices=False)[2][0]
    scores = (means - goal.mean(axis=0)) @ (axis * np.sign(axis[np.argmax(np.abs(axis))]))
    order = np.argsort(scores, kind="stable").tolist()
    return tuple((values[plain[place][0]], float(rank)) for rank, place in enumerate(order))


def number_leaves(
    left: NDArray[np.int64], right: NDArray[np.int64], nodes: NDArray[np.int64], units: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return a number for each node that is a leaf, neighbours together until they hold ``UNITS`` privacy units."""
    leaves = leaves_in_order(left, right)
    members = [set(units[nodes == node].tolist()) for node in leaves]
    after = [set[int]() for _ in leaves]
    for place in range(len(leaves) - 2, -1, -1):
        after[place] = after[place + 1] | members[place + 1]
    numbers = np.zeros(len(left), dtype=np.int64)
    current, held = 0, set[int]()
    for place, node in enumerate(leaves):
        numbers[node] = current
        held |= members[place]
        if len(held) >= UNITS and len(after[place]) >= UNITS:
            current, held = current + 1, set()
    return numbers


def leaves_in_order(left: NDArray[np.int64], right: NDArray[np.int64]) -> list[int]:
    """Return the leaves from left to right: neighbours are alike."""
    found, waiting = [], [0]
    while waiting:
        node = waiting.pop()
        if left[node] < 0:
            found.append(node)
        else:
            waiting += [int(right[node]), int(left[node])]
    return found
