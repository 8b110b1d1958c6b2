"""The items of nested lists: each drawn given its record's attributes, the item before it and its position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textsynth.columns import ABSENT, Field, columns, ordinary, rebuild
from textsynth.profile._layout import Layout, Part
from textsynth.profile._model import Model, information
from textsynth.profile.dependencies import find_rules
from textsynth.profile.encoding import NUMBERS, Codes

CONTEXT = 5
"""How many of the record's columns an item depends on: those with most mutual information."""
FEWEST = 20
"""Fewest items to learn from."""
LEAF = 50
"""Least items of a leaf."""
WIDE = 60
"""Most codes of such a column."""
POSITIONS = 8
BEFORE = "before:"
POSITION = "#position"
START = "(start)"


@dataclass(frozen=True, slots=True)
class Child:
    """What was learned of one list field.

    Args:
        field: its name.
        layout: of the items.
        model: over the context (codes of the record), position, the item before, and the item.
        context: the parts of the record that the items depend on.
    """

    field: str
    layout: Layout
    model: Model
    context: tuple[str, ...]

    @classmethod
    def fit(
        cls,
        field: Field,
        values: Sequence[Any],
        *,
        parent: Codes,
        parent_names: Sequence[str],
        units: NDArray[np.int64],
        seed: int,
    ) -> Child | None:
        """Learn the items of a list; ``None`` if they hold nothing that can be learned without a model, or are few."""
        rows = [row for row, value in enumerate(values) if ordinary(value)]
        items = [item for row in rows for item in values[row]]
        taken = columns(items, field.items)
        layout = Layout.of(field.items, *find_rules(taken, field.items, seed=seed))
        if not layout.parts or len(items) < FEWEST:
            return None
        owner = np.repeat(rows, [len(values[row]) for row in rows])
        position = np.concatenate([np.arange(len(values[row])) for row in rows])
        own = layout.take_apart(taken)
        chosen = _choose_context(parent, parent_names, own, owner)
        table: dict[str, list[Any]] = {name: parent[owner, parent_names.index(name)].tolist() for name in chosen}
        table[POSITION] = np.minimum(position, POSITIONS).tolist()
        for name, column in own.items():
            table[BEFORE + name] = _before(column, position)
        table |= own
        parts = [Part(name, name, "value", "categorical") for name in table if name not in own]
        before = [_before_part(part) for part in layout.parts]
        parts = [part for part in parts if not part.name.startswith(BEFORE)] + before + list(layout.parts)
        levels = {f.name: f.values for f in field.items if f.kind == "ordinal"}
        model = Model.fit(
            table,
            parts,
            levels=levels,
            units=units[owner],
            target=None,
            steer=None,
            seed=seed,
            leaf=LEAF,
            given=[p.name for p in parts if p not in layout.parts],
        )
        return cls(field.name, layout, model, tuple(chosen))

    def sample(
        self, lengths: Sequence[int], parent: Codes, parent_names: Sequence[str], random: np.random.Generator
    ) -> list[list[Any]]:
        """Return one list of items per row, of the given lengths; ``parent`` has the codes of the records, int32 (n, d)."""
        found: list[list[Any]] = [[] for _ in lengths]
        sizes, names = np.asarray(lengths), self.model.names
        own = [names.index(part.name) for part in self.layout.parts]
        last = np.full((len(sizes), len(own)), -1, dtype=np.int32)
        for place in range(int(sizes.max(initial=0))):
            rows = np.flatnonzero(sizes > place)
            fixed = self._given(place, parent[rows], parent_names, last[rows], random)
            last[rows] = self.model.draw(len(rows), random, fixed).codes[:, own]
            joint = self._decode(last[rows], random)
            for row, item in zip(rows.tolist(), self._items(joint, len(rows)), strict=True):
                found[row].append(item)
        return found

    def _given(
        self, place: int, parent: Codes, parent_names: Sequence[str], last: Codes, random: np.random.Generator
    ) -> Codes:
        """Return what the items at a position are drawn by, as codes; the item's own columns are free (-1)."""
        names, codecs = self.model.names, self.model.codecs
        fixed = np.full((len(parent), len(names)), -1, dtype=np.int32)
        for name in self.context:
            fixed[:, names.index(name)] = codecs[name].encode(parent[:, parent_names.index(name)].tolist())
        fixed[:, names.index(POSITION)] = codecs[POSITION].encode([min(place, POSITIONS)])[0]
        before = self._decode(last, random) if place else {}
        for part in self.layout.parts:
            codec = codecs[BEFORE + part.name]
            start = ABSENT if codec.kind in NUMBERS else START
            fixed[:, names.index(BEFORE + part.name)] = codec.encode(before.get(part.name, [start] * len(parent)))
        return fixed

    def _decode(self, codes: Codes, random: np.random.Generator) -> dict[str, list[Any]]:
        """Return the values of an item's columns."""
        parts = enumerate(self.layout.parts)
        return {part.name: self.model.codecs[part.name].decode(codes[:, place], random) for place, part in parts}

    def _items(self, joint: Mapping[str, Sequence[Any]], rows: int) -> list[Any]:
        made = self.layout.put_together(joint, rows)
        if len(self.layout.fields) == 1 and not self.layout.fields[0].path:
            return made[self.layout.fields[0].name]
        return list(rebuild(made, self.layout.fields, rows=rows))


def _before(column: Sequence[Any], position: NDArray[np.int64]) -> list[Any]:
    numeric = any(isinstance(value, int | float) and not isinstance(value, bool) for value in column)
    start = ABSENT if numeric else START
    return [start if p == 0 else column[i - 1] for i, p in enumerate(position.tolist())]


def _before_part(part: Part) -> Part:
    return Part(
        BEFORE + part.name, part.field, part.how, part.kind if part.kind in NUMBERS else "categorical", part.step
    )


def _choose_context(
    parent: Codes, names: Sequence[str], own: Mapping[str, Sequence[Any]], owner: NDArray[np.int64]
) -> list[str]:
    """Return the record's columns that say most of the items."""
    scores = {}
    for place, name in enumerate(names):
        codes = parent[owner, place]
        if codes.max(initial=0) < WIDE:
            scores[name] = sum(_information(codes, _coarse(column)) for column in own.values())
    return sorted(scores, key=lambda name: (-scores[name], name))[:CONTEXT]


def _coarse(column: Sequence[Any]) -> NDArray[np.int64]:
    """Return at most some 20 codes for a column: values, or ranks in tenths."""
    names = [repr(value) for value in column]
    known, codes = np.unique(names, return_inverse=True)
    if len(known) <= 20:
        return np.asarray(codes, dtype=np.int64)
    if all(isinstance(value, int | float) for value in column):
        order = np.argsort(np.argsort(np.array(column, dtype=np.float64), kind="stable"), kind="stable")
        return np.asarray(order * 10 // len(column), dtype=np.int64)
    return np.asarray(codes % 20, dtype=np.int64)


def _information(one: NDArray[Any], other: NDArray[np.int64]) -> float:
    table = np.zeros((int(one.max()) + 1, int(other.max()) + 1))
    np.add.at(table, (one, other), 1.0)
    return information(table)
