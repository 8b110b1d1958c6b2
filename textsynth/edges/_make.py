"""Edge cases in an exact number, spread evenly over fields and ways, each checked by the schema itself."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, zip_longest
from random import Random
from typing import Any

from xxhash import xxh3_64_intdigest

from textsynth.edges._bounds import BOUNDARY_RULES
from textsynth.edges._breaks import INVALID_RULES
from textsynth.edges._edge import BOUNDARY, INVALID, Edge, Ways
from textsynth.edges._rule import Context, Rule
from textsynth.edges._sites import Change, Site, path_text, put, sites, subschemas
from textsynth.errors import unknown
from textsynth.records import Record
from textsynth.schema import RecordSchema

POOL = 1000
"""Records that edge cases are derived from, or as many as edge cases are asked for if that is more."""
VALUES = 200
"""Values kept of each field for filling others."""
TRIES = 24
"""Changes of one value that are tried for one way; records without success after which a way counts as not offered."""

Judge = Callable[[RecordSchema, Record, Rule, Change], str]


@dataclass
class Cell:
    """One way at one field, with the places of the records where it may be made."""

    template: str
    rule: Rule
    places: list[tuple[int, Site]] = field(default_factory=list)


@dataclass
class Pool:
    """The records that edge cases are derived from, their values by field, and the seed."""

    schema: RecordSchema
    records: Sequence[Record]
    seed: int
    values: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))

    def random(self, *parts: object) -> Random:
        """Return random numbers that depend on the seed and ``parts`` alone."""
        return Random(xxh3_64_intdigest(repr(parts).encode(), seed=self.seed % 2**64))

    def cells(self, rules: Sequence[Rule], count: int) -> list[Cell]:
        """Return the cells there may be, with their places in a random order of the records."""
        chosen = self.random("bases").sample(range(len(self.records)), min(len(self.records), max(POOL, count)))
        found: dict[tuple[str, str], Cell] = {}
        for base in chosen:
            if self.schema.problems(self.records[base]):
                continue
            for site in sites(self.schema, self.records[base]):
                template = site.template
                if len(self.values[template]) < VALUES:
                    self.values[template].append(site.value)
                for rule in rules:
                    if applies(rule, site):
                        cell = found.setdefault((template, rule.way), Cell(template, rule))
                        cell.places.append((base, site))
        return list(found.values())


def ways(schema: RecordSchema, records: Sequence[Record] = ()) -> Ways:
    """Return which ways ``schema`` offers and which it does not.

    Args:
        records: valid ones; each way is then tried on them, and counted by fields. Without them, a way is judged by the
            schema's words alone and counted by subschemas, and may still turn out impossible.
    """
    if records:
        found = {
            kind: Counter(cell.rule.way for cell, _ in open_cells(Pool(schema, records, 0), rules, judge, 0))
            for kind, rules, judge in (("boundary", BOUNDARY_RULES, at_bound), ("invalid", INVALID_RULES, broken_once))
        }
    else:
        parts = list(subschemas(schema.document))
        found = {
            kind: Counter(rule.way for rule in rules for part in parts if rule.offers(part))
            for kind, rules in (("boundary", BOUNDARY_RULES), ("invalid", INVALID_RULES))
        }
    left_out = [way for way in (*BOUNDARY, *INVALID) if way not in found["boundary"] and way not in found["invalid"]]
    return Ways(dict(sorted(found["boundary"].items())), dict(sorted(found["invalid"].items())), tuple(left_out))


def boundary(
    schema: RecordSchema, records: Sequence[Record], count: int, seed: int, *, only: Sequence[str] = ()
) -> list[Edge]:
    """Return valid records at a bound of their schema.

    Each passes the schema's own check, and one step further does not, where a keyword sets the bound.

    Args:
        records: accepted ones to derive from; those that the schema refuses are passed over.
        count: how many; exact, unless no way is offered at all, which gives none. Spread evenly over fields and ways.
            Cases repeat only when there are no further ones.
        only: names of ways; by default all that the schema offers.

    Raises:
        ValueError: a name in ``only`` that is no way of boundary records.
    """
    return make(Pool(schema, records, seed), chosen(BOUNDARY_RULES, only), at_bound, count)


def invalid(
    schema: RecordSchema, records: Sequence[Record], count: int, seed: int, *, only: Sequence[str] = ()
) -> list[Edge]:
    """Return records with exactly one problem each, at ``field`` and with ``keyword``. Arguments as in ``boundary``.

    Raises:
        ValueError: a name in ``only`` that is no way of invalid records.
    """
    return make(Pool(schema, records, seed), chosen(INVALID_RULES, only), broken_once, count)


def chosen(rules: Sequence[Rule], only: Sequence[str]) -> list[Rule]:
    """Return the rules with the names in ``only``, all if it is empty."""
    known = [rule.way for rule in rules]
    for place, name in enumerate(only):
        if name not in known:
            raise ValueError(unknown(f"only[{place}]", name, known))
    return [rule for rule in rules if not only or rule.way in only]


def make(pool: Pool, rules: Sequence[Rule], judge: Judge, count: int) -> list[Edge]:
    """Deal ``count`` cases out over the cells in turn; a cell without further cases drops out."""
    if count <= 0:
        return []
    streams = [edges for _, edges in open_cells(pool, rules, judge, count)]
    made: list[Edge] = []
    seen: set[int] = set()
    while streams and len(made) < count:
        going = []
        for edges in streams:
            edge = next((edge for edge in edges if identity(edge.record) not in seen), None)
            if edge is not None:
                seen.add(identity(edge.record))
                made.append(edge)
                going.append(edges)
        streams = going
    different = len(made)
    made += [made[k % different] for k in range(count - different)] if different else []
    return made[:count]


def identity(record: Record) -> int:
    """Return a number for a record's content."""
    return xxh3_64_intdigest(json.dumps(record, sort_keys=True).encode())


def open_cells(pool: Pool, rules: Sequence[Rule], judge: Judge, count: int) -> list[tuple[Cell, Iterator[Edge]]]:
    """Return the cells that give at least one case, each with all its cases; first one of every way, then the next."""
    by_way: dict[str, list[tuple[Cell, Iterator[Edge]]]] = defaultdict(list)
    cells = pool.cells(rules, count)
    pool.random("order").shuffle(cells)
    for number, cell in enumerate(cells):
        edges = cases(pool, cell, judge, number / len(cells))
        for first in islice(edges, 1):
            by_way[cell.rule.way].append((cell, before(first, edges)))
    turns = zip_longest(*(by_way[rule.way] for rule in rules))
    return [pair for turn in turns for pair in turn if pair is not None]


def before(first: Edge, rest: Iterator[Edge]) -> Iterator[Edge]:
    """Yield an edge and then the rest."""
    yield first
    yield from rest


def cases(pool: Pool, cell: Cell, judge: Judge, part: float) -> Iterator[Edge]:
    """Yield a cell's cases: one of each record, then a second of each; ``part`` (0 to 1) says with which to begin."""
    start = int(part * len(cell.places))
    waiting = [attempts(pool, cell, judge, *place) for place in cell.places[start:] + cell.places[:start]]
    failures, found = 0, False
    while waiting:
        going = []
        for attempt in waiting:
            edge = next(attempt, None)
            if edge is not None:
                found = True
                yield edge
                going.append(attempt)
            elif not found:
                failures += 1
                if failures >= TRIES:
                    return
        waiting = going


def attempts(pool: Pool, cell: Cell, judge: Judge, base: int, site: Site) -> Iterator[Edge]:
    """Yield the cases that the changes of one value give."""
    record, rule = pool.records[base], cell.rule
    context = Context(pool.values, pool.random(cell.template, rule.way, base))
    for change in islice(rule.changes(site, context), TRIES):
        made = put(record, change.path, change.value)
        if made != record and (keyword := judge(pool.schema, made, rule, change)):
            yield Edge(made, path_text(change.at), rule.way, base, keyword)


def applies(rule: Rule, site: Site) -> bool:
    """Return whether a rule may have something to do at a site."""
    if rule.way in ANYWHERE:
        return True
    return any(rule.offers(view) for view in site.views)


ANYWHERE = frozenset({"absent", "null", "missing_required", "missing_dependent"})
"""Ways whose reason does not stand in the subschema of the value itself."""


def at_bound(schema: RecordSchema, made: Record, rule: Rule, change: Change) -> str:
    """Return the keyword at its bound if the record is valid and one step further is not, else nothing."""
    if schema.problems(made):
        return ""
    if change.beyond is None:
        return rule.keywords[0]
    further = schema.problems(put(made, change.path, change.beyond[0]))
    return next((p.keyword for p in further if p.keyword in rule.keywords and p.path == change.at), "")


def broken_once(schema: RecordSchema, made: Record, rule: Rule, change: Change) -> str:
    """Return the broken keyword if the record has exactly one problem, of the rule's kind and in the right place."""
    found = schema.problems(made)
    right = len(found) == 1 and found[0].keyword in rule.keywords and found[0].path == change.at
    return found[0].keyword if right else ""
