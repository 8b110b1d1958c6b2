"""How tables hang together: which column names the rows of which table, what is wrong with it, and what it looks like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textsynth.errors import RecipeError, unknown
from textsynth.profile.dependencies import key_of
from textsynth.profile.rare import LEAST
from textsynth.records import Record

Tables = Mapping[str, Sequence[Record]]


@dataclass(frozen=True, slots=True)
class Relation:
    """``child[child_key]`` names the row of ``parent`` whose ``parent_key`` is the same.

    The first relation of a child is the one that its rows are drawn along.
    """

    parent: str
    parent_key: str
    child: str
    child_key: str

    def __str__(self) -> str:
        return f"{self.child}.{self.child_key} → {self.parent}.{self.parent_key}"

    @property
    def counted(self) -> str:
        """The name of the parent's column with the number of children, beside its own columns."""
        return f"(children: {self.child} by {self.child_key})"


@dataclass(frozen=True, slots=True)
class RelationFacts:
    """What the real data says about one relation.

    Args:
        relation: which.
        rows: rows of the child table.
        orphans: child rows whose key no parent row has; left out if the table is drawn along this relation.
        missing: child rows without a key (null or absent); treated alike.
        unique: whether no two rows of the child table have the same keys in all its relations.
        least: fewest children of a parent row; of the five rows with fewest, the one with most: no single row shows.
        most: most children of one; of the five rows with most, the one with fewest.
        mean: mean number of children.
        childless: share of parent rows without children. These four are of the rows that are learned from.
    """

    relation: Relation
    rows: int
    orphans: int
    missing: int
    unique: bool
    least: int = 0
    most: int = 0
    mean: float = 0.0
    childless: float = 0.0

    @property
    def one_to_one(self) -> bool:
        """Whether a parent row never has more than one child."""
        return self.most <= 1

    def as_data(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)

    @classmethod
    def of_data(cls, data: Mapping[str, Any]) -> RelationFacts:
        """Return the facts that ``as_data`` made ``data`` of."""
        return cls(**{**data, "relation": Relation(**data["relation"])})


@dataclass(frozen=True, slots=True)
class Links:
    """One relation resolved: for each child row the number of its parent row, -1 if it has none."""

    relation: Relation
    parents: NDArray[np.int64]
    facts: RelationFacts

    def counted(self, chosen: NDArray[np.int64]) -> RelationFacts:
        """Return the facts with the numbers of children of the parent rows ``chosen``."""
        found = np.bincount(self.parents[self.parents >= 0], minlength=int(chosen.max()) + 1)
        counts = np.sort(found[chosen])
        return replace(
            self.facts,
            least=int(counts[min(LEAST, len(counts)) - 1]),
            most=int(counts[max(0, len(counts) - LEAST)]),
            mean=float(counts.mean()),
            childless=float((counts == 0).mean()),
        )


def check(tables: Tables, relations: Sequence[Relation], keys: Mapping[str, str]) -> None:
    """Find every mistake in the tables' names and keys.

    Raises:
        RecipeError: a table or column that is not there (with the nearest match), rows without a parent key or with the
            same one, a table that is its own ancestor, no rows.
    """
    wrong = [f"tables.{name}: no rows" for name, rows in tables.items() if not rows]
    wrong += [
        unknown("relations", name, tables) for r in relations for name in (r.parent, r.child) if name not in tables
    ]
    wrong += [unknown("keys", name, tables) for name in keys if name not in tables]
    if not wrong:
        columns = {name: dict.fromkeys(column for row in rows for column in row) for name, rows in tables.items()}
        wanted = [(r.parent, r.parent_key) for r in relations] + [(r.child, r.child_key) for r in relations]
        for table, key in dict.fromkeys([*wanted, *keys.items()]):
            if key not in columns[table]:
                wrong.append(unknown(f"tables.{table}", key, columns[table]))
        unique = dict.fromkeys([*((r.parent, r.parent_key) for r in relations), *keys.items()])
        wrong += [
            text for table, key in unique if key in columns[table] for text in check_key(table, key, tables[table])
        ]
        wrong += [f"relations: {child} is its own ancestor: tables may not refer to themselves"
                  for child in cyclic(tables, relations)]  # fmt: skip
    if wrong:
        raise RecipeError(list(dict.fromkeys(wrong)))


def check_key(table: str, key: str, rows: Sequence[Record]) -> list[str]:
    """Return what keeps a column from naming the rows of its table."""
    values = [row.get(key) for row in rows]
    empty = sum(value is None or value == "" for value in values)
    twice = Counter(key_of(value) for value in values if value is not None and value != "")
    again = sum(count - 1 for count in twice.values())
    found = [f"tables.{table}: {empty:,} of {len(rows):,} rows have no key {key!r}"] if empty else []
    if again:
        value = next(value for value in values if value is not None and value != "" and twice[key_of(value)] > 1)
        found.append(
            f"tables.{table}: {again:,} rows repeat a key {key!r}, for example {value!r}; a key must be unique"
        )
    return found


def cyclic(tables: Tables, relations: Sequence[Relation]) -> list[str]:
    """Return the tables that are their own ancestors."""
    above = {name: {r.parent for r in relations if r.child == name} for name in tables}
    for _ in tables:
        above = {name: parents.union(*(above[p] for p in parents)) for name, parents in above.items()}
    return [name for name, parents in above.items() if name in parents]


def in_order(tables: Sequence[str], relations: Sequence[Relation]) -> list[str]:
    """Return the tables, each after all its parents."""
    done: list[str] = []
    while len(done) < len(tables):
        done += [
            name for name in tables if name not in done and all(r.parent in done for r in relations if r.child == name)
        ]
    return done


def form(keys: Sequence[Any], foreign: Sequence[Any]) -> Callable[[Any], Any]:
    """Return by what keys are compared: by type and value, or as text if the two tables write them in other types."""
    return str if not {type(key) for key in keys} & {type(value) for value in foreign} else key_of


def link(tables: Tables, relations: Sequence[Relation]) -> list[Links]:
    """Resolve every relation and count what does not resolve."""
    found = []
    for relation in relations:
        keys = [row[relation.parent_key] for row in tables[relation.parent]]
        values = [row.get(relation.child_key) for row in tables[relation.child]]
        given = [value is not None and value != "" for value in values]
        name = form(keys, [value for value, there in zip(values, given, strict=True) if there])
        place = {name(key): number for number, key in enumerate(keys)}
        parents = np.array(
            [place.get(name(value), -1) if there else -1 for value, there in zip(values, given, strict=True)],
            dtype=np.int64,
        )
        own = [r for r in relations if r.child == relation.child]
        pairs = {tuple(key_of(row.get(r.child_key)) for r in own) for row in tables[relation.child]}
        facts = RelationFacts(
            relation,
            rows=len(values),
            orphans=int(sum(there and parent < 0 for there, parent in zip(given, parents.tolist(), strict=True))),
            missing=len(values) - sum(given),
            unique=len(own) > 1 and len(pairs) == len(values),
        )
        found.append(Links(relation, parents, facts))
    return found
