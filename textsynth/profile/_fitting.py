"""Learn a profile from records: split, find fields and what always holds, protect, derive, learn the joint."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textsynth.columns import ABSENT, Field, columns, infer, ordinary, type_strings
from textsynth.errors import RecipeError, unknown
from textsynth.profile import rare
from textsynth.profile._children import Child
from textsynth.profile._layout import Layout
from textsynth.profile._model import Model
from textsynth.profile._profile import Facts, Profile
from textsynth.profile.dependencies import find_rules
from textsynth.profile.splits import SIZES, Splits, check_sizes, data_hash, find_units, split
from textsynth.profile.text import Derived, Embeddings, Vectors, assign, cluster, derive, embed, whole_text
from textsynth.profile.traits import Ask, Trait, extract, propose
from textsynth.records import Record
from textsynth.tables import read

FEWEST = 50
"""Fewest rows that a distribution can be learned from."""
UNITS = 20
"""Fewest privacy units: a value is kept if some of those in train have it (see ``rare``)."""
TEXT_FILES = {".csv", ".tsv"}


def read_rows(
    source: str | Path, *, part: str = "train", limit: int | None = None, folder: Path | None = None
) -> list[Record]:
    """Return the records of a file, folder or Hugging Face dataset; the strings of a CSV file as what they stand for.

    Args:
        source: as for ``tables.stream``.
        part: split of a Hugging Face dataset.
        limit: the most rows.
        folder: what a relative path is relative to; the current folder if not given.

    Raises:
        RecipeError: the source cannot be read, or holds no rows.
    """
    rows = read(str(source), folder=folder or Path.cwd(), place="data", split=part, limit=limit)
    return type_strings(rows) if _holds_strings(Path(source), folder or Path.cwd()) else rows


def _holds_strings(path: Path, folder: Path) -> bool:
    place = folder / path.expanduser()
    if place.is_dir():
        return any(file.suffix in TEXT_FILES for file in place.rglob("*"))
    return place.suffix in TEXT_FILES


def fit(
    rows: Iterable[Mapping[str, Any]] | str | Path,
    *,
    key: str = "",
    label: str = "",
    protected: Sequence[str] = (),
    seed: int = 0,
    embeddings: Embeddings = "default",
    traits: Ask | None = None,
    sizes: Sequence[float] = SIZES,
    leaf: int | None = None,
    source: str = "",
) -> Profile:
    """Learn the distribution of records.

    Args:
        rows: records (nested ones and dialogues too), a ``datasets.Dataset``, or a path that ``read_rows`` reads.
        key: field that names the privacy unit (a person, a group); near-duplicates are one unit if not given.
        label: field that is drawn first, so that all else is conditional on it.
        protected: fields whose treatment bias measures look at.
        seed: of everything left to chance.
        embeddings: model for topic clusters of texts, ``None`` for no clusters, or unit vectors of all rows: an array
            (n × d) for the only text field, or one by field.
        traits: who answers questions about the texts, to propose and extract label-like attributes; none if not given.
        sizes: shares of train, steer and report.
        leaf: least rows of a tree's leaf; chosen on ``steer`` if not given.
        source: name of the data, for the profile.

    Raises:
        RecipeError: fewer than 50 rows, a field that is not there, or nothing that varies.
        MissingPackageError: scikit-learn or an embedding model's package is not installed.
        ModelError: the embedding model cannot be loaded.
    """
    check_sizes(sizes)
    if isinstance(rows, str | Path):
        source, rows = source or str(rows), read_rows(rows)
    records = check_rows(rows)
    check_names(records, key=key, label=label, protected=protected)
    units = find_units(records, key=key)
    check_units(units, key)
    splits = split(units, key=key, seed=seed, sizes=sizes)
    facts = Facts(
        source=source,
        data_hash=data_hash(records),
        rows=len(records),
        seed=seed,
        label=label,
        key=key,
        protected=tuple(protected),
        least=rare.draw_least(seed),
        embedder=embeddings if isinstance(embeddings, str) else "",
        versions=_versions(),
    )
    return _Fitting(records, units, splits, facts).run(embeddings, traits, leaf)


def check_rows(rows: Iterable[Mapping[str, Any]]) -> list[Record]:
    """Return the rows as a list of records, if they are such and enough."""
    records = list(rows)
    if len(records) < FEWEST:
        found = f"{len(records)} row" + ("" if len(records) == 1 else "s")
        raise RecipeError(
            [
                f"data: a distribution needs at least {FEWEST} rows, got {found}"
                if records
                else "data: there are no rows"
            ],
            hint=f"some hundreds of rows per class give a useful profile; {FEWEST} is the least",
        )
    wrong = next((place for place, row in enumerate(records) if not isinstance(row, Mapping)), None)
    if wrong is not None:
        raise RecipeError(
            [f"data: row {wrong} must be an object with named fields, got {type(records[wrong]).__name__}"]
        )
    return [dict(row) for row in records]


def check_units(units: NDArray[np.int64], key: str) -> None:
    """Raise ``RecipeError`` if too few people or groups are in the data for any value to be kept."""
    count = len(np.unique(units))
    if count < UNITS:
        what = f"different values of the key {key!r}" if key else "different rows (near-duplicates count once)"
        raise RecipeError([f"data: at least {UNITS} {what} are needed, got {count}"])


def check_names(records: Sequence[Record], *, key: str, label: str, protected: Sequence[str]) -> None:
    """Raise ``RecipeError`` for a key, label or protected field that no record has."""
    known = {name for row in records[:1000] for name in row}
    wanted = [("key", key), ("label", label), *(("protected", name) for name in protected)]
    missing = [(place, name) for place, name in wanted if name and name not in known]
    if not missing:
        return
    known |= {field.name for field in infer(records[:1000])}
    problems = [unknown(place, name, known) for place, name in missing if name not in known]
    if problems:
        raise RecipeError(problems)


def _versions() -> dict[str, str]:
    found = {}
    for name in ("textsynth", "numpy", "scikit-learn"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


class _Fitting:
    """One fit: the train rows and what is learned of them step by step."""

    def __init__(self, records: Sequence[Record], units: NDArray[np.int64], splits: Splits, facts: Facts) -> None:
        self.splits, self.facts = splits, facts
        self.train = [records[row] for row in splits.train]
        self.steer = [records[row] for row in splits.steer]
        self.units = units[splits.train]
        self.rows = len(records)
        self.notes: list[str] = []

    def run(self, embeddings: Embeddings, ask: Ask | None, leaf: int | None) -> Profile:
        """Learn everything."""
        raw = infer(self.train, key=self.facts.key)
        self._refuse_constant(raw)
        taken = columns(self.train, raw)
        raw = self._common_keys(raw, taken)
        fields, held_back = self._protect(raw, taken)
        steered = columns(self.steer, raw)
        derived = self._derive(fields, taken, embeddings)
        steer_derived = self._derive_steer(fields, steered, derived, embeddings)
        traits = self._traits(fields, taken, steered, derived, steer_derived, ask)
        derived = replace(
            derived, fields=derived.fields + tuple(trait_field(t, derived.columns[t.column]) for t in traits)
        )
        shown, more = self._protect(derived.fields, derived.columns)
        layout = self._layout(fields, shown, taken | derived.columns)
        model = self._learn(layout, taken | derived.columns, steered | steer_derived, leaf)
        children = self._children(fields, taken, derived.columns, layout, model)
        return Profile(
            fields=fields,
            derived=tuple(shown),
            layout=layout,
            model=model,
            children=children,
            rare=tuple(held_back + more),
            splits=self.splits,
            facts=replace(self.facts, notes=tuple(self.notes)),
            centroids=derived.centroids,
            traits=traits,
            assigned={name: _numbers(derived.columns[f"{name}#cluster"]) for name in derived.centroids},
        )

    def _refuse_constant(self, fields: Sequence[Field]) -> None:
        if all(f.kind == "constant" and not (f.nullable or f.optional or f.empty) for f in fields):
            names = ", ".join(f.name for f in fields[:5])
            raise RecipeError([f"data: no field varies ({names}): there is no distribution to learn"])

    def _common_keys(self, fields: Sequence[Field], taken: Mapping[str, Sequence[Any]]) -> tuple[Field, ...]:
        """Leave out keys that too few units have: a key can be a name too."""
        kept = tuple(f for f in fields if rare.holders(taken[f.name], self.units) >= self.facts.least)
        if len(kept) < len(fields):
            self.notes.append(
                f"{len(fields) - len(kept)} fields that fewer than {self.facts.least} units have are left out"
            )
        return kept

    def _protect(
        self, fields: Sequence[Field], taken: Mapping[str, Sequence[Any]]
    ) -> tuple[tuple[Field, ...], list[rare.Rare]]:
        pairs = [rare.protect(each, taken[each.name], self.units, self.facts.least) for each in fields]
        return tuple(each for each, _ in pairs), [lost for _, lost in pairs if lost]

    def _derive(self, fields: Sequence[Field], taken: Mapping[str, Sequence[Any]], embeddings: Embeddings) -> Derived:
        plain = derive(taken, fields)
        vectors = embed(taken, fields, self._own(embeddings, self.splits.train), len(self.train))
        topics = cluster(taken, fields, vectors, least=self.facts.least, seed=self.facts.seed)
        return Derived(plain.fields + topics.fields, plain.columns | topics.columns, topics.centroids)

    def _own(self, embeddings: Embeddings, rows: NDArray[np.int64]) -> Embeddings:
        """Return the part of given vectors that belongs to some rows."""
        if embeddings is None or isinstance(embeddings, str):
            return embeddings
        given: dict[str, Vectors] | Vectors
        if isinstance(embeddings, Mapping):
            for name, vectors in embeddings.items():
                self._check_vectors(name, vectors)
            given = {name: np.asarray(vectors)[rows] for name, vectors in embeddings.items()}
        else:
            self._check_vectors("the text", embeddings)
            given = np.asarray(embeddings)[rows]
        return given

    def _check_vectors(self, name: str, vectors: Any) -> None:
        if np.ndim(vectors) != 2 or len(vectors) != self.rows:
            shape = " x ".join(map(str, np.shape(vectors)))
            raise RecipeError(
                [f"embeddings of {name!r}: one vector for each of {self.rows} rows is needed, got {shape}"]
            )

    def _derive_steer(
        self, fields: Sequence[Field], taken: Mapping[str, Sequence[Any]], of: Derived, embeddings: Embeddings
    ) -> dict[str, list[Any]]:
        made = derive(taken, fields).columns
        vectors = embed(taken, fields, self._own(embeddings, self.splits.steer), len(self.steer)) if self.steer else {}
        for name, centroids in of.centroids.items():
            made[f"{name}#cluster"] = assign(taken[name], vectors[name], centroids) if name in vectors else []
        return made

    def _traits(
        self,
        fields: Sequence[Field],
        taken: Mapping[str, Sequence[Any]],
        steered: Mapping[str, Sequence[Any]],
        derived: Derived,
        steer_derived: dict[str, list[Any]],
        ask: Ask | None,
    ) -> tuple[Trait, ...]:
        """Have traits proposed and extracted; add their columns."""
        found: tuple[Trait, ...] = ()
        for each in (f for f in fields if ask and f.kind in {"text", "dialogue"}):
            assert ask is not None
            texts = [whole_text(value, each) for value in taken[each.name] if ordinary(value)]
            random = np.random.default_rng(self.facts.seed)
            shown = [texts[place] for place in random.permutation(len(texts))[:50]]
            traits = propose(each.name, shown, ask, seed=self.facts.seed)
            derived.columns.update(_read_traits(each, taken[each.name], traits, ask))
            steer_derived.update(_read_traits(each, steered[each.name], traits, ask))
            found += traits
        return found

    def _layout(self, fields: Sequence[Field], derived: Sequence[Field], taken: Mapping[str, Sequence[Any]]) -> Layout:
        dependencies, orders = find_rules(taken, fields, seed=self.facts.seed)
        return Layout.of((*fields, *derived), dependencies, orders)

    def _learn(
        self,
        layout: Layout,
        taken: Mapping[str, Sequence[Any]],
        steered: Mapping[str, Sequence[Any]],
        leaf: int | None,
    ) -> Model:
        levels = {f.name: f.values for f in layout.fields if f.kind == "ordinal"}
        target = next((d.given for d in layout.dependencies if d.then == self.facts.label), self.facts.label)
        return Model.fit(
            layout.take_apart(taken),
            layout.parts,
            levels=levels,
            units=self.units,
            target=target or None,
            steer=layout.take_apart(steered) if self.steer else None,
            seed=self.facts.seed,
            leaf=leaf,
        )

    def _children(
        self,
        fields: Sequence[Field],
        taken: Mapping[str, Sequence[Any]],
        derived: Mapping[str, Sequence[Any]],
        layout: Layout,
        model: Model,
    ) -> tuple[Child, ...]:
        lists = [each for each in fields if each.kind == "list"]
        if not lists or model.trees is None:
            return ()
        codes = model.encode(layout.take_apart({**taken, **derived}))
        made = [
            Child.fit(
                each, taken[each.name], parent=codes, parent_names=model.names, units=self.units, seed=self.facts.seed
            )
            for each in lists
        ]
        self.notes += [
            f"{f.name}: its items are not learned" for f, child in zip(lists, made, strict=True) if not child
        ]
        return tuple(child for child in made if child)


def _numbers(clusters: Sequence[Any]) -> NDArray[np.int16]:
    """Return cluster numbers, -1 where there is no text."""
    return np.array([number if isinstance(number, int) else -1 for number in clusters], dtype=np.int16)


def trait_field(trait: Trait, values: Sequence[Any]) -> Field:
    """Return the field of a trait's column."""
    seen = {value for value in values if ordinary(value)}
    return Field(
        name=trait.column,
        kind="categorical",
        values=tuple(option for option in trait.options if option in seen),
        nullable=None in values,
        optional=ABSENT in values,
        empty="" in values,
        rows=len(values),
        distinct=len(seen),
    )


def _read_traits(each: Field, values: Sequence[Any], traits: Sequence[Trait], ask: Ask) -> dict[str, list[Any]]:
    """Return one column per trait; the state of the text where there is none."""
    filled = [place for place, value in enumerate(values) if ordinary(value)]
    answers = extract([whole_text(values[place], each) for place in filled], traits, ask)
    found: dict[str, list[Any]] = {}
    for trait in traits:
        column = [value if not ordinary(value) and not isinstance(value, list) else "" for value in values]
        for place, answer in zip(filled, answers, strict=True):
            column[place] = answer[trait.column]
        found[trait.column] = column
    return found
