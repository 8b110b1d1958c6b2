"""Learning related tables: splits by root row, then one profile per table, each child given its context."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textsynth.columns import columns
from textsynth.errors import RecipeError
from textsynth.profile.dependencies import find_dependencies, key_of
from textsynth.profile.related._context import Context, Place, rank_values, usable
from textsynth.profile.related._keys import KeyMaker
from textsynth.profile.related._relations import Links, Relation, Tables, check, in_order, link
from textsynth.profile.related._sample import CONTEXT, UNIT, Carried, RelatedProfile, Table, columns_of
from textsynth.profile.splits import SIZES, SPLITS, Rows, check_sizes, split
from textsynth.records import Record

INNER = (0.78, 0.2, 0.02)
"""Of the rows learned from, the shares that a table's own profile learns, chooses its trees by, and does not need."""
MOST_CARRIED = 5
FEWEST, ENOUGH, LEAF = 20, 60, 10
"""A table of so few rows is learned as if each stood there more often, up to ``ENOUGH``; leaves count different rows.

Trees of children have leaves of ``LEAF`` rows. Chosen on the steer rows, which are few, they would often be too coarse to
tell one context from another; a context already holds rows of enough privacy units.
"""


def fit_related(
    tables: Tables,
    relations: Sequence[Relation],
    *,
    keys: Mapping[str, str] | None = None,
    seed: int = 0,
    sizes: Sequence[float] = SIZES,
) -> RelatedProfile:
    """Learn tables whose keys match, from their train and steer rows; of the report rows only keys are looked at.

    Args:
        tables: rows by name; siblings in the order that matters (of turns: as they were spoken).
        relations: which column names the rows of which table. A child's first one is that along which its rows are
            drawn, and by which it shares its root's split.
        keys: the key of each table that has one; those of parents are known from the relations.
        seed: of everything left to chance.
        sizes: shares of train, steer and report.

    Raises:
        RecipeError: see ``check``; sizes that cannot be.
    """
    keys = {**(keys or {}), **{relation.parent: relation.parent_key for relation in relations}}
    check_sizes(sizes)
    check(tables, relations, keys)
    links = link(tables, relations)
    units, splits = divide(tables, links, seed, sizes)
    chosen = {name: np.sort(np.concatenate([splits["train"][name], splits["steer"][name]])) for name in tables}
    fitting = Fitting(tables, links, keys, units, seed)
    made = {name: fitting.table(name, chosen[name]) for name in in_order(list(tables), relations)}
    return RelatedProfile(made, tuple(each.counted(chosen[each.relation.parent]) for each in links), splits, seed)


def divide(
    tables: Tables, links: Sequence[Links], seed: int, sizes: Sequence[float]
) -> tuple[dict[str, NDArray[np.int64]], dict[str, dict[str, Rows]]]:
    """Return the privacy unit of each row (the root row above it, -1 for an orphan), and the splits by unit."""
    units: dict[str, NDArray[np.int64]] = {}
    splits: dict[str, dict[str, Rows]] = {part: {} for part in SPLITS}
    roots: dict[str, str] = {}
    parts: dict[str, NDArray[np.int64]] = {}
    for name in in_order(list(tables), [each.relation for each in links]):
        above = [each for each in links if each.relation.child == name]
        if above:
            parents = above[0].parents
            units[name] = np.where(parents >= 0, units[above[0].relation.parent][parents], -1)
            roots[name] = roots[above[0].relation.parent]
        else:
            units[name], roots[name] = np.arange(len(tables[name])), name
            shared = split(units[name], seed=seed, sizes=sizes)
            parts[name] = np.empty(len(tables[name]), dtype=np.int64)
            for number, part in enumerate(SPLITS):
                parts[name][shared.rows(part)] = number
        own = np.where(units[name] >= 0, parts[roots[name]][units[name]], -1)
        for number, part in enumerate(SPLITS):
            splits[part][name] = np.flatnonzero(own == number)
    return units, splits


class Fitting:
    """Learns one table after the other."""

    def __init__(
        self,
        tables: Tables,
        links: Sequence[Links],
        keys: Mapping[str, str],
        units: Mapping[str, NDArray[np.int64]],
        seed: int,
    ) -> None:
        self._tables, self._links, self._keys, self._units, self._seed = tables, links, keys, units, seed

    def table(self, name: str, chosen: Rows) -> Table:
        """Learn a table from the rows ``chosen``."""
        from textsynth.profile import fit

        rows, key = self._tables[name], self._keys.get(name, "")
        above = self._above(name)
        order = chosen if not above else chosen[np.argsort(above[0].parents[chosen], kind="stable")]
        own, units = [self._bare(name, number) for number in order.tolist()], self._units[name][order]
        context, carried = None, tuple[Carried, ...]()
        extra: dict[str, list[Any]] = {**self._counted(name, order)}
        if above:
            place, ancestors = Place.of(above[0].parents[order]), self._ancestors(above[0], order)
            context, leaves = Context.fit(ancestors, own, place, units, self._seed)
            extra[CONTEXT] = leaves.tolist()
            carried = find_carried(ancestors, own, units)
            extra |= {each.name: [row.get(each.column) for row in ancestors[each.level]] for each in carried}
        extra[UNIT] = units.tolist()
        full = [{**{column: values[n] for column, values in extra.items()}, **row} for n, row in enumerate(own)]
        times = -(-ENOUGH // len(full)) if FEWEST <= len(full) < ENOUGH else 1
        try:
            profile = fit(
                full * times,
                key=UNIT,
                label=CONTEXT if above else "",
                seed=self._seed,
                embeddings=None,
                sizes=INNER,
                leaf=LEAF * times if above or times > 1 else None,
            )
        except RecipeError as error:
            raise RecipeError([f"tables.{name}: {text}" for text in error.problems], hint=error.hint) from None
        texts = tuple(field.name for field in profile.text_fields)
        maker = KeyMaker.of([row[key] for row in rows], name) if key else None
        kept = tuple(column for column in columns_of(rows) if column not in texts)
        return Table(name, len(rows), kept, texts, key, maker, profile, context, carried)

    def _above(self, name: str) -> list[Links]:
        return [each for each in self._links if each.relation.child == name]

    def _bare(self, name: str, number: int) -> Record:
        """Return a row without its keys."""
        keys = {self._keys.get(name, ""), *(each.relation.child_key for each in self._above(name))}
        return {column: value for column, value in self._tables[name][number].items() if column not in keys}

    def _counted(self, name: str, order: Rows) -> dict[str, list[int]]:
        """Return the numbers of children of rows, by relation."""
        found = {}
        for each in self._links:
            if each.relation.parent == name:
                counts = np.bincount(each.parents[each.parents >= 0], minlength=len(self._tables[name]))
                found[each.relation.counted] = counts[order].tolist()
        return found

    def _ancestors(self, first: Links, order: Rows) -> list[list[Record]]:
        """Return the parents of rows, with their numbers of children, their parents, and so on."""
        levels, numbers = [], order
        while True:
            parents = first.parents[numbers]
            name = first.relation.parent
            present, inverse = np.unique(parents, return_inverse=True)
            counted = self._counted(name, present)
            bare = [
                {**self._bare(name, number), **{column: values[n] for column, values in counted.items()}}
                for n, number in enumerate(present.tolist())
            ]
            levels.append([bare[place] for place in inverse.tolist()])
            above = self._above(name)
            if not above:
                return levels
            first, numbers = above[0], parents


def find_carried(
    ancestors: Sequence[Sequence[Record]], own: Sequence[Record], units: NDArray[np.int64]
) -> tuple[Carried, ...]:
    """Return the columns of ancestors that determine a column of the rows or are determined by one, the nearest first.

    Their profile finds that rule again and enforces it. Columns with nulls are left out.
    """
    fields = usable(own)
    taken = columns(own, fields)
    found: list[Carried] = []
    for level, rows in enumerate(ancestors):
        above = [field for field in usable(rows) if field.closed and len(field.path) == 1]
        above = [field for field in above if not (field.nullable or field.optional or field.empty)]
        theirs = columns(rows, above)
        for field in above:
            name = Carried(level, field.name).name
            pair = {name: theirs[field.name], **{other.name: taken[other.name] for other in fields}}
            frequent = {key_of(value) for value, _ in rank_values(theirs[field.name], np.empty((len(own), 0)), units)}
            some = [replace(field, name=name), *fields]
            rules = find_dependencies(pair, some, {name: frequent, **{other.name: set() for other in fields}})
            if any(name in {rule.given, rule.then} for rule in rules):
                found.append(Carried(level, field.path[0]))
    return tuple(found[:MOST_CARRIED])
