"""What was learned of related tables, and samples of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textsynth.columns import ABSENT, Field
from textsynth.errors import RecipeError, unknown
from textsynth.profile._profile import Profile
from textsynth.profile.dependencies import key_of
from textsynth.profile.related._context import MISSING, POSITIONS, Context, Place, encode
from textsynth.profile.related._keys import KeyMaker
from textsynth.profile.related._relations import Relation, RelationFacts
from textsynth.profile.splits import SPLITS, Rows
from textsynth.records import Record

CONTEXT = "(context)"
UNIT = "(unit)"


@dataclass(frozen=True, slots=True)
class Carried:
    """A column of an ancestor that stands in its descendant's profile: ``level`` 0 is the parent, 1 its parent."""

    level: int
    column: str

    @property
    def name(self) -> str:
        """What it is called there."""
        return f"({'parent ' * (self.level + 1)}{self.column})"


@dataclass(frozen=True, slots=True)
class Table:
    """What was learned of one table.

    Args:
        name: of the table.
        rows: how many there were.
        columns: of its records, in order, keys included, texts left out.
        texts: fields that a model writes later.
        key: its own key; empty if it has none.
        maker: of fresh keys.
        profile: of its own columns, of its numbers of children and, for a child, of its context.
        context: for a child, what its rows depend on.
        carried: for a child, the columns of ancestors that determine some of its own.
    """

    name: str
    rows: int
    columns: tuple[str, ...]
    texts: tuple[str, ...]
    key: str
    maker: KeyMaker | None
    profile: Profile
    context: Context | None
    carried: tuple[Carried, ...] = ()


@dataclass(frozen=True, slots=True)
class RelatedProfile:
    """The learned distribution of related tables. Made by ``fit_related``.

    Args:
        tables: by name, parents first.
        facts: of each relation, in the order given.
        splits: row numbers, int64, by split and table; all descendants of a row along first relations are where it is.
        seed: it was fitted with.
    """

    tables: dict[str, Table]
    facts: tuple[RelationFacts, ...]
    splits: dict[str, dict[str, Rows]]
    seed: int

    @property
    def text_fields(self) -> dict[str, tuple[str, ...]]:
        """The fields of each table that a model writes later; samples do not have them."""
        return {name: table.texts for name, table in self.tables.items()}

    @property
    def relations(self) -> tuple[Relation, ...]:
        """The relations, in the order given."""
        return tuple(facts.relation for facts in self.facts)

    def split(self, name: str) -> dict[str, Rows]:
        """Return the row numbers, by table, of split ``train``, ``steer`` or ``report``."""
        if name not in SPLITS:
            raise RecipeError([unknown("split", name, SPLITS)])
        return self.splits[name]

    def sample(self, n_parents: int, random: np.random.Generator) -> dict[str, list[Record]]:
        """Return rows of each table, parents first; every key is fresh, every foreign key resolves.

        Args:
            n_parents: rows of the first table without a parent; further ones are in proportion to their real sizes.
            random: the source of chance.

        Raises:
            RecipeError: ``n_parents`` is below 1.
        """
        if n_parents < 1:
            raise RecipeError([f"n_parents: must be 1 or more, got {n_parents}"])
        drawn = Drawing(self, random)
        roots = [name for name in self.tables if not drawn.above(name)]
        for name in self.tables:
            if name in roots:
                share = self.tables[name].rows / self.tables[roots[0]].rows
                drawn.draw_root(name, max(1, round(n_parents * share)))
            else:
                drawn.draw_child(name)
        return {name: drawn.records(name) for name in self.tables}

    def save(self, folder: str | Path) -> None:
        """Write it to a folder: ``related.json`` for people, ``related.npz`` and one profile per table for loading."""
        from textsynth.profile.related._store import save

        save(self, Path(folder))

    @staticmethod
    def load(folder: str | Path) -> RelatedProfile:
        """Read it from a folder. Raise ``RecipeError`` for a folder that is none, or a damaged one."""
        from textsynth.profile.related._store import load

        return load(Path(folder))


class Drawing:
    """One sample under way: the rows so far by table, their keys, and the row numbers of their parents."""

    def __init__(self, learned: RelatedProfile, random: np.random.Generator) -> None:
        self._learned, self._random = learned, random
        self._rows: dict[str, list[Record]] = {}
        self._keys: dict[str, list[object]] = {}
        self._parents: dict[Relation, NDArray[np.int64]] = {}

    def above(self, name: str) -> list[RelationFacts]:
        """Return the relations in which a table is the child."""
        return [facts for facts in self._learned.facts if facts.relation.child == name]

    def records(self, name: str) -> list[Record]:
        """Return the finished rows of a table: its columns in order, keys in place."""
        table = self._learned.tables[name]
        foreign = {}
        for facts in self.above(name):
            keys = self._keys[facts.relation.parent]
            foreign[facts.relation.child_key] = [
                keys[parent] if parent >= 0 else None for parent in self._parents[facts.relation].tolist()
            ]
        own = {table.key: self._keys[name]} if table.key else {}
        placed = {**foreign, **own}
        return [
            {
                column: placed[column][number] if column in placed else row[column]
                for column in table.columns
                if column in placed or column in row
            }
            for number, row in enumerate(self._rows[name])
        ]

    def draw_root(self, name: str, n: int) -> None:
        """Draw rows of a table without a parent."""
        self._finish(name, self._learned.tables[name].profile.records(n, random=self._random))

    def draw_child(self, name: str) -> None:
        """Draw the rows of a table along its first relation, position by position, and deal out its other keys."""
        first, *others = self.above(name)
        counts = self._counts(first)
        parents = np.repeat(np.arange(len(counts)), counts)
        place = Place.of(parents)
        self._parents[first.relation] = parents
        table = self._learned.tables[name]
        rows: list[Record] = [{}] * len(parents)
        for position in range(POSITIONS + 1):
            later = position == POSITIONS
            here = np.flatnonzero(place.position >= position if later else place.position == position)
            if len(here):
                drawn = self._draw_at(table, first.relation, here, place, rows, later=later)
                for number, row in zip(here.tolist(), drawn, strict=True):
                    rows[number] = row
        self._finish(name, rows)
        for facts in others:
            self._parents[facts.relation] = self._deal(facts, len(rows), parents)

    def _draw_at(
        self,
        table: Table,
        relation: Relation,
        here: NDArray[np.int64],
        place: Place,
        rows: list[Record],
        *,
        later: bool,
    ) -> list[Record]:
        """Draw the rows ``here``, each given its context; those ``later`` than all told apart follow the last of these."""
        assert table.context is not None
        parents = self._parents[relation][here]
        before = np.full((len(here), len(table.context.own)), MISSING)
        if place.position[here[0]] > 0:
            back = place.position[here] - (POSITIONS - 1) if later else 1
            before = encode(table.context.own, [rows[number] for number in (here - back).tolist()])
        ancestors = self._ancestors(relation, parents)
        matrix = table.context.matrix(ancestors, before, Place(place.position[here], place.siblings[here]))
        leaves = within(table.context.leaves(matrix), table.profile.field(CONTEXT))
        fixed = conditions(table, ancestors, leaves)
        return table.profile.records(len(here), random=self._random, fixed=fixed)

    def _ancestors(self, relation: Relation, parents: NDArray[np.int64]) -> list[list[Record]]:
        """Return the parent of each row, its parent along the first relation, and so on."""
        levels = []
        while True:
            rows = self._rows[relation.parent]
            levels.append([rows[number] for number in parents.tolist()])
            above = self.above(relation.parent)
            if not above:
                return levels
            relation = above[0].relation
            parents = self._parents[relation][parents]

    def _counts(self, facts: RelationFacts) -> NDArray[np.int64]:
        """Return the number of children drawn for each parent row, within what the real data shows."""
        drawn = [row.get(facts.relation.counted, facts.least) for row in self._rows[facts.relation.parent]]
        return np.clip(np.asarray(drawn, dtype=np.int64), facts.least, facts.most)

    def _deal(self, facts: RelationFacts, n: int, first: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the parent of each of ``n`` rows, such that each parent gets about as many as were drawn for it."""
        counts = self._counts(facts)
        wanted = self._random.random(n) >= facts.missing / facts.rows
        stubs = self._random.permutation(np.repeat(np.arange(len(counts)), counts))
        short = int(wanted.sum()) - len(stubs)
        if short > 0:
            share = counts / counts.sum() if counts.sum() else None
            stubs = np.concatenate([stubs, self._random.choice(len(counts), size=short, p=share)])
        found = np.full(n, -1, dtype=np.int64)
        found[wanted] = stubs[: int(wanted.sum())]
        return apart(first, found, self._random) if facts.unique else found

    def _finish(self, name: str, rows: list[Record]) -> None:
        table = self._learned.tables[name]
        self._rows[name] = rows
        if table.maker is not None:
            self._keys[name] = table.maker.make(len(rows), self._random)


def conditions(
    table: Table, ancestors: Sequence[Sequence[Record]], leaves: NDArray[np.int64]
) -> list[dict[str, Any]] | None:
    """Return what the rows of a table are held to, equal conditions as one object; ``None`` if to nothing."""
    columns: list[tuple[str, list[Any]]] = []
    if table.profile.field(CONTEXT).kind != "constant":
        columns.append((CONTEXT, leaves.tolist()))
    for carried in table.carried:
        known = {key_of(value) for value in table.profile.field(carried.name).values}
        values = [row.get(carried.column, ABSENT) for row in ancestors[carried.level]]
        columns.append((carried.name, [value if key_of(value) in known else ABSENT for value in values]))
    shared: dict[Any, dict[str, Any]] = {}
    found = []
    for row in zip(*(column for _, column in columns), strict=True):
        key = tuple(map(key_of, row))
        if key not in shared:
            shared[key] = {name: value for (name, _), value in zip(columns, row, strict=True) if value is not ABSENT}
        found.append(shared[key])
    return found or None


def within(leaves: NDArray[np.int64], field: Field) -> NDArray[np.int64]:
    """Return the leaves that the profile knows: the nearest for another."""
    known = np.array(sorted(int(value) for value in field.values), dtype=np.int64)
    if len(known):
        above = np.clip(np.searchsorted(known, leaves), 0, len(known) - 1)
        below = np.maximum(above - 1, 0)
        return np.where(np.abs(known[below] - leaves) < np.abs(known[above] - leaves), known[below], known[above])
    low, high = (0 if end is None else int(end) for end in (field.low, field.high))
    return np.clip(leaves, low, high)


def apart(first: NDArray[np.int64], second: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.int64]:
    """Return ``second`` with values exchanged between rows until no pair stands twice, as far as 50 rounds bring it."""
    found = second.copy()
    for _ in range(50):
        order = np.lexsort((found, first))
        same = (np.diff(first[order]) == 0) & (np.diff(found[order]) == 0)
        twice = order[1:][same]
        if not len(twice):
            break
        others = random.integers(len(found), size=len(twice))
        for row, other in zip(twice.tolist(), others.tolist(), strict=True):
            found[row], found[other] = found[other], found[row]
    return found


def children_per_parent(
    parents: Sequence[Record], key: str, children: Sequence[Record], foreign: str
) -> NDArray[np.int64]:
    """Return how many rows of ``children`` name each row of ``parents``, int64 (parents,)."""
    place = {row[key]: number for number, row in enumerate(parents)}
    named = [place[row[foreign]] for row in children if row.get(foreign) in place]
    return np.bincount(np.array(named, dtype=np.int64), minlength=len(parents))


def columns_of(rows: Sequence[Mapping[str, object]]) -> tuple[str, ...]:
    """Return the columns of a table in the order in which they first occur."""
    return tuple(dict.fromkeys(name for row in rows for name in row))
