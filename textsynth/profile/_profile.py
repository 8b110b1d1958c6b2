"""What was learned from real data, and records drawn from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textsynth.columns import ABSENT, Field, draw_pattern, draw_texts, ordinary, pattern_size, rebuild, widen
from textsynth.errors import RecipeError
from textsynth.profile import _schema
from textsynth.profile._children import Child
from textsynth.profile._conditions import Fixed, Resolver, allot
from textsynth.profile._layout import Layout
from textsynth.profile._model import Model, other_code
from textsynth.profile.dependencies import Dependency, Order
from textsynth.profile.encoding import Codes
from textsynth.profile.rare import Rare
from textsynth.profile.splits import Rows, Split, Splits
from textsynth.profile.text import Vectors, joins, nearest_centroid
from textsynth.profile.traits import Trait
from textsynth.records import Record


@dataclass(frozen=True, slots=True)
class Sample:
    """Attributes drawn from a profile.

    Args:
        columns: one list of values per attribute, in the order of the fields; derived columns (``text#words``) too.
            A field that a model writes (text, dialogue) and an id have none; a nested list has its items.
        unseen: one sentence per condition that never occurred in the train rows, with what was done.
        rows: how many rows.
        states: of fields without a column: whether they are there (True), null, absent or empty.
    """

    columns: dict[str, list[Any]]
    unseen: list[str]
    rows: int
    states: dict[str, list[Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Facts:
    """Where a profile comes from.

    Args:
        source: path or name of the data; empty if it was given as rows.
        data_hash: of all rows, in order (see ``data_hash``).
        rows: how many rows there were.
        seed: of everything left to chance.
        label: the field that is drawn first.
        key: the field that names the privacy unit.
        protected: fields whose treatment bias measures look at.
        least: how many units must hold a value for it to be kept.
        embedder: name of the embedding model; empty if vectors were given or none.
        versions: of textsynth and the packages that learned.
        notes: what a reader should know.
    """

    source: str = ""
    data_hash: str = ""
    rows: int = 0
    seed: int = 0
    label: str = ""
    key: str = ""
    protected: tuple[str, ...] = ()
    least: int = 5
    embedder: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Profile:
    """The learned distribution of records. Made by ``fit``; holds no text and no rare value of the real data.

    Args:
        fields: of the records, as seen in the train rows, rare values taken out.
        derived: columns derived from texts, dialogues and lists.
        layout: how columns become the joint's and back.
        model: the joint distribution.
        children: the items of nested lists.
        rare: what was held back.
        splits: row numbers.
        facts: where it comes from.
        centroids: of topic clusters, unit vectors float32 (K, d), by text field.
        traits: label-like attributes that a model proposed.
        assigned: the topic cluster of each train row, int16 (n,), -1 for none, by text field.
    """

    fields: tuple[Field, ...]
    derived: tuple[Field, ...]
    layout: Layout
    model: Model
    children: tuple[Child, ...]
    rare: tuple[Rare, ...]
    splits: Splits
    facts: Facts
    centroids: dict[str, Vectors] = field(default_factory=dict)
    traits: tuple[Trait, ...] = ()
    assigned: dict[str, NDArray[np.int16]] = field(default_factory=dict)

    @property
    def dependencies(self) -> tuple[Dependency, ...]:
        """Functional dependencies, enforced in every sample."""
        return self.layout.dependencies

    @property
    def orders(self) -> tuple[Order, ...]:
        """Order constraints, enforced in every sample."""
        return self.layout.orders

    @property
    def label(self) -> str:
        """The label field; empty if none was named."""
        return self.facts.label

    @property
    def seed(self) -> int:
        """The seed it was fitted with."""
        return self.facts.seed

    @property
    def text_fields(self) -> tuple[Field, ...]:
        """Fields that a model writes: texts and dialogues."""
        return tuple(each for each in self.fields if each.kind in {"text", "dialogue"})

    def field(self, name: str) -> Field:
        """Return a field or derived column by its name. Raise ``KeyError`` if there is none."""
        for each in (*self.fields, *self.derived):
            if each.name == name:
                return each
        raise KeyError(name)

    def split(self, name: Split) -> Rows:
        """Return the row numbers of ``train``, ``steer`` or ``report`` in the source, int64, ascending."""
        return self.splits.rows(name)

    def clusters(self, texts: Sequence[str], field: str, *, vectors: Vectors | None = None) -> NDArray[np.int64]:
        """Return the topic cluster of each text of a field, int64 (n,).

        Args:
            texts: any texts, real or synthetic.
            field: the text field whose clusters are meant.
            vectors: their unit vectors, float32 (n, d), by the same embedding model; computed if not given.

        Raises:
            RecipeError: the field has no clusters.
        """
        if field not in self.centroids:
            raise RecipeError(
                [f"clusters: {field!r} has none; fields with clusters: {', '.join(self.centroids) or 'none'}"]
            )
        if vectors is None:
            from textsynth.embeddings import load

            vectors = load(self.facts.embedder or "default").take(texts)
        return nearest_centroid(vectors, self.centroids[field])

    def sample(
        self,
        n: int,
        *,
        random: np.random.Generator | None = None,
        fixed: Fixed = None,
        weights: Mapping[str, Mapping[Any, float]] | None = None,
    ) -> Sample:
        """Draw the attributes of ``n`` records from p(rest | fixed).

        Args:
            n: how many.
            random: the source of chance; a generator seeded with 0 if not given.
            fixed: values by field, exact in the result, for all rows or one mapping per row.
            weights: shares of the values of a field (``{"income": {">50K": .5, "<=50K": .5}}``), met to the row.

        Raises:
            RecipeError: a field that cannot be fixed, or a value outside its domain.
        """
        random = random or np.random.default_rng(0)
        drawn = self._draw(n, random, _merge(fixed, weights, n, random))
        return drawn[0]

    def _draw(self, n: int, random: np.random.Generator, fixed: Fixed) -> tuple[Sample, Codes]:
        if n < 0:
            raise RecipeError([f"n: must be 0 or more, got {n}"])
        resolver = Resolver(self.layout, self.model)
        conditions = resolver.resolve(fixed, n, random)
        drawn = self.model.draw(n, random, None if conditions is None else conditions.codes)
        joint = self.model.decode(drawn.codes, random)
        held = None if conditions is None else [conditions.rows[number] for number in conditions.which]
        found = self.layout.put_together(joint, n, held)
        self._fresh_codes(found, drawn.codes, random)
        self._agree(found, random)
        names = [each.name for each in (*self.fields, *self.derived) if each.name in found]
        sample = Sample(
            {name: found[name] for name in names}, resolver.unseen(conditions, drawn), n, self.layout.states(joint)
        )
        for child in self.children:
            sample.columns[child.field] = self._items(child, sample, drawn.codes, random)
        return sample, drawn.codes

    def _fresh_codes(self, found: dict[str, list[Any]], codes: Codes, random: np.random.Generator) -> None:
        """Put fresh codes of a field's form in place of its rare values."""
        for each in (f for f in self.fields if f.kind == "categorical" and f.pattern and f.name in self.model.codecs):
            rare = other_code(self.model.codecs[each.name])
            rows = np.flatnonzero(codes[:, self.model.names.index(each.name)] == rare).tolist()
            for row, text in zip(rows, draw_texts(each.pattern, len(rows), random), strict=True):
                found[each.name][row] = text

    def _agree(self, found: dict[str, list[Any]], random: np.random.Generator) -> None:
        """Give the columns of one text one state: null, absent or empty in all of them or in none."""
        for first, others in joins(self.derived).items():
            if first not in found:
                continue
            for other in others:
                if other in found:
                    _take_states(found[first], found[other])
                if other in found and "#trait:" not in other:  # a trait can be unknown of a text that is there
                    _fill(found[first], found[other], random)
        for state in (each for each in self.fields if each.name.endswith("#object") and each.name in found):
            inner = [
                f for f in self.fields if f.path[: len(state.path)] == state.path and f.name in found and f is not state
            ]
            for each in inner:
                if not each.optional and len(each.path) == len(state.path) + 1:
                    _stay(found[state.name], found[each.name], random)

    def _items(self, child: Child, sample: Sample, codes: Codes, random: np.random.Generator) -> list[Any]:
        sizes = sample.columns[f"{child.field}#length"]
        lengths = [int(size) if ordinary(size) else 0 for size in sizes]
        items = child.sample(lengths, codes, self.model.names, random)
        return [
            some if ordinary(size) else (size if size is None or size is ABSENT else [])
            for size, some in zip(sizes, items, strict=True)
        ]

    def records(
        self,
        n: int,
        *,
        random: np.random.Generator | None = None,
        fixed: Fixed = None,
        weights: Mapping[str, Mapping[Any, float]] | None = None,
    ) -> list[Record]:
        """Draw ``n`` JSON records: attributes, constants, fresh unique ids; text fields and dialogues are left out.

        A text that is null or empty is in the record. Arguments and errors as for ``sample``.
        """
        random = random or np.random.default_rng(0)
        return self.as_records(self.sample(n, random=random, fixed=fixed, weights=weights), random=random)

    def as_records(self, sample: Sample, *, random: np.random.Generator | None = None) -> list[Record]:
        """Return a sample as JSON records, with fresh unique ids, without texts."""
        random = random or np.random.default_rng(0)
        found = dict(sample.columns)
        for each in self.fields:
            if each.kind == "id":
                found[each.name] = fresh_ids(each, sample.rows, random, sample.states.get(each.name))
            elif each.kind in {"text", "dialogue"}:
                found[each.name] = self._unwritten(each, sample)
        return rebuild(found, self.fields, rows=sample.rows)

    def _unwritten(self, each: Field, sample: Sample) -> list[Any]:
        """Return null and empty where the text is so, else nothing."""
        states = next(
            (
                sample.columns[d.name]
                for d in self.derived
                if d.name.startswith(f"{each.name}#") and d.name in sample.columns
            ),
            None,
        )
        if states is None:
            return [ABSENT] * sample.rows
        empty: Any = [] if each.kind == "dialogue" else ""
        return [None if s is None else empty if isinstance(s, str) and not s else ABSENT for s in states]

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema (draft 2020-12) of a record: types, closed sets without rare values, ranges, formats."""
        return _schema.of_fields(self.fields)

    def save(self, folder: str | Path) -> None:
        """Write the profile to a folder: ``profile.json`` for people, ``profile.npz`` for loading."""
        from textsynth.profile.store import save

        save(self, Path(folder))

    @staticmethod
    def load(folder: str | Path) -> Profile:
        """Read a profile from a folder. Raise ``RecipeError`` for a folder that is none, or a damaged one."""
        from textsynth.profile.store import load

        return load(Path(folder))


def _merge(
    fixed: Fixed, weights: Mapping[str, Mapping[Any, float]] | None, n: int, random: np.random.Generator
) -> Fixed:
    if not weights:
        return fixed
    rows = allot(weights, n, random)
    if not fixed:
        return rows
    given = [fixed] * n if isinstance(fixed, Mapping) else fixed
    return [{**weighted, **each} for weighted, each in zip(rows, given, strict=True)]


def _take_states(first: list[Any], other: list[Any]) -> None:
    """Make ``other`` null, absent or empty wherever ``first`` is."""
    for row, value in enumerate(first):
        if not ordinary(value):
            other[row] = value


def _fill(first: list[Any], other: list[Any], random: np.random.Generator) -> None:
    """Give ``other`` a value, that of another row, where ``first`` has one and it has none."""
    lost = [row for row, (one, two) in enumerate(zip(first, other, strict=True)) if ordinary(one) and not ordinary(two)]
    plain = [value for value in other if ordinary(value)] if lost else []
    for row in lost if plain else ():
        other[row] = plain[int(random.integers(len(plain)))]


def _stay(state: list[Any], values: list[Any], random: np.random.Generator) -> None:
    """Give a key that its object always has a value wherever the object is there."""
    lost = [
        row for row, (there, value) in enumerate(zip(state, values, strict=True)) if there is True and value is ABSENT
    ]
    plain = [value for value in values if value is not ABSENT] if lost else []
    for row in lost if plain else ():
        values[row] = plain[int(random.integers(len(plain)))]


def fresh_ids(each: Field, n: int, random: np.random.Generator, states: Sequence[Any] | None = None) -> list[Any]:
    """Return ``n`` new ids that follow the field's pattern, all different; null, absent and empty where ``states`` say so.

    An id that counts rows counts from its first number; a pattern with too little room gets longer by some digits.
    """
    if each.sequential:
        made: list[Any] = [int(each.low or 0) + row for row in range(n)]
    elif each.type == "integer":
        made = _whole_ids(each, n, random)
    else:
        made = _pattern_ids(each, n, random)
    if states is None:
        return made
    return [value if state is True else state for value, state in zip(made, states, strict=True)]


def _whole_ids(each: Field, n: int, random: np.random.Generator) -> list[Any]:
    digits = max((len(text) for text in draw_pattern(each.pattern, 1, random)), default=9) if each.pattern else 9
    digits = max(digits, len(str(n * 2)))
    low = 10 ** (digits - 1)
    found: dict[int, None] = {}
    while len(found) < n:
        found |= dict.fromkeys(random.integers(low, 10 * low, size=n - len(found) + 8).tolist())
    return list(found)[:n]


def _pattern_ids(each: Field, n: int, random: np.random.Generator) -> list[Any]:
    if each.pattern:
        pattern = each.pattern
        while pattern_size(pattern) < 2 * n and widen(pattern) != pattern:
            pattern = widen(pattern)
        return list(draw_pattern(pattern, n, random))
    name = each.path[-1] if each.path else each.name
    return [f"{name}-{row + 1}" for row in range(n)]
