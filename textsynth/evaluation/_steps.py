"""Which measures are taken of what: one step each, named as progress shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textsynth.columns import Field
from textsynth.evaluation import _diversity
from textsynth.evaluation._data import Data, Numbers, Three, some
from textsynth.measure import copying, membership, memory, structure, utility
from textsynth.measure.bias import bias
from textsynth.measure.canaries import Planted, echo
from textsynth.measure.detection import MOST as DETECTED
from textsynth.measure.detection import detect, detect_texts
from textsynth.measure.fidelity import accuracy
from textsynth.measure.frechet import frechet
from textsynth.measure.inference import inference
from textsynth.measure.mauve import mauve
from textsynth.measure.measured import Measured
from textsynth.measure.neighbourhood import neighbourhood
from textsynth.measure.predictions import Predictions, predict
from textsynth.measure.similarity import similarity
from textsynth.measure.table import Table
from textsynth.text import count_words

Vectors = NDArray[np.float32]

COLUMNS = 3
"""Fewest fields (derived ones apart) of a table in which nearness of rows says anything."""


@dataclass(frozen=True, slots=True)
class Step:
    """One measure, or a few that are taken together, of one group (see ``Measured``)."""

    group: str
    title: str
    measure: Callable[[], Sequence[Measured]]


@dataclass(frozen=True, slots=True)
class Options:
    """What the caller asked for."""

    label: str = ""
    protected: tuple[str, ...] = ()
    seed: int = 0
    canaries: Planted | None = None


@dataclass(frozen=True, slots=True)
class Tables:
    """Rows as tables.

    Args:
        compared: as many rows of each set, with derived columns.
        audited: columns without derived ones; as many real as held-out rows, more if the synthetic rows are few.
        every: the same columns of all rows.
        kinds: measuring kind of the audited columns.
    """

    compared: Three[Table]
    audited: Three[dict[str, list[Any]]]
    every: Three[dict[str, list[Any]]]
    kinds: dict[str, str]


@dataclass(frozen=True, slots=True)
class Texts:
    """Rows as texts, those without words left out.

    Args:
        compared: as many texts of each set.
        audited: as many real as held-out texts.
        every: all texts.
        vectors: of the compared texts; ``None`` without embeddings.
        audited_vectors: of the audited texts.
        labels: of the compared texts, if a label is named.
        dialogues: the compared rows' dialogues, if a field is one.
        turns: vectors of the turns of some of them, one array per dialogue.
    """

    compared: Three[list[str]]
    audited: Three[list[str]]
    every: Three[list[str]]
    vectors: Three[Vectors] | None = None
    audited_vectors: Three[Vectors] | None = None
    labels: Three[list[Any]] | None = None
    dialogues: Three[list[Any]] | None = None
    turns: Three[list[Vectors]] | None = None


def make_tables(data: Data, compared: Three[Numbers], audited: Three[Numbers]) -> Tables | None:
    """Return the tables of the rows; ``None`` if there are but texts, of which other measures say more."""
    kinds = data.kinds(derived=False)
    if not kinds and data.texts:
        return None
    every = data.columns.map(lambda some: {name: list(some[name]) for name in kinds})
    return Tables(data.table(compared), data.chosen(kinds, audited), every, kinds)


def table_steps(tables: Tables, options: Options, *, prefix: str) -> Iterator[Step]:
    """Yield what is measured of tables; names of what texts are measured by too begin with ``prefix``."""
    (made, real, holdout), seed = tables.compared, options.seed
    label = options.label if options.label in real.names else ""
    protected = [name for name in options.protected if name in real.names]
    yield Step("fidelity", "fields alone and together", lambda: accuracy(made, real=real, holdout=holdout, seed=seed))
    yield Step("fidelity", "shapes and pair trends", lambda: similarity(made, real=real, holdout=holdout))
    yield Step("fidelity", "telling rows apart", lambda: detect(made, real=real, holdout=holdout, seed=seed))
    three: dict[str, Any] = {"label": label, "real": real, "holdout": holdout, "seed": seed}

    @cache
    def learnt() -> Predictions | None:
        """Return what models say of the holdout, for utility and bias alike; nothing where they cannot learn."""
        try:
            return predict(made, **three)
        except ValueError:
            return None

    if label and len(real.names) > 1:
        yield Step("utility", "training on rows", lambda: utility.utility(made, **three, predictions=learnt()))
    if protected:
        said = learnt if label else lambda: None
        yield Step("bias", "bias", lambda: bias(made, protected=protected, **three, predictions=said()))
    rows, kinds = tables.audited, tables.kinds
    if len(kinds) >= COLUMNS:
        near = lambda: _named(copying.table_copying(*rows, kinds=kinds, seed=seed), prefix)  # noqa: E731
        yield Step("privacy", "distance to the closest row", near)
        yield Step("privacy", "inference attacks", lambda: inference(*rows, kinds=kinds, seed=seed))


def identical_rows(tables: Tables) -> Step:
    """Return the step that looks for rows that are a real one cell by cell."""
    return Step("privacy", "identical rows", lambda: copying.identical(*tables.every.map(_as_rows)))


def _named(values: Sequence[Measured], prefix: str) -> Sequence[Measured]:
    """Return the values with ``prefix`` for their group: texts have values of the same names."""
    return [replace(value, name=value.name.replace("privacy.", prefix, 1)) for value in values]


def _as_rows(some: dict[str, list[Any]]) -> list[str]:
    """Return each row as one string, its cells apart."""
    return ["\1".join(map(_cell, values)) for values in zip(*some.values(), strict=True)]


def _cell(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def text_steps(texts: Texts, options: Options) -> Iterator[Step]:
    """Yield what is measured of texts, and of their vectors."""
    three, seed = texts.compared, options.seed
    yield Step("fidelity", "length and structure", lambda: structure.structure(*three))
    yield Step("fidelity", "word order", lambda: structure.word_order(*three, seed=seed))
    yield Step("fidelity", "vocabulary", lambda: structure.vocabulary(*three))
    yield Step("diversity", "diversity", lambda: _diversity.diversity(three, texts.vectors))
    if texts.dialogues:
        dialogues, turns = texts.dialogues, list(texts.turns or ())
        yield Step("fidelity", "dialogues", lambda: structure.dialogues(*dialogues, vectors=turns))
    if texts.vectors:
        yield from _vector_steps(texts, texts.vectors, seed)
    if options.label and texts.labels:
        yield Step("utility", "training on texts", lambda: _utility(texts, seed))
    yield from _audit_texts(texts, options)


def _vector_steps(texts: Texts, vectors: Three[Vectors], seed: int) -> Iterator[Step]:
    yield Step("fidelity", "precision, recall, density, coverage", lambda: neighbourhood(*vectors, seed=seed))
    yield Step("fidelity", "Fréchet distance", lambda: frechet(*vectors, seed=seed))
    yield Step("fidelity", "MAUVE", lambda: mauve(*vectors, seed=seed))
    yield Step("fidelity", "telling texts apart", lambda: _detect_texts(texts.compared, vectors, seed))


def _detect_texts(texts: Three[list[str]], vectors: Three[Vectors], seed: int) -> Sequence[Measured]:
    """Tell texts apart; features are counted of no more texts than are learnt from."""
    rows = some(np.arange(len(texts.real)), DETECTED, seed=seed)
    made, real, holdout = vectors.map(lambda each: each[rows])
    counted = features(texts.map(lambda each: [each[row] for row in rows]))
    return detect_texts(made, real=real, holdout=holdout, features=counted, seed=seed)


def _audit_texts(texts: Texts, options: Options) -> Iterator[Step]:
    seed = options.seed
    if vectors := texts.audited_vectors:
        yield Step("privacy", "distance to the closest text", lambda: copying.text_copying(*vectors, seed=seed))
        yield Step("privacy", "membership by nearness", lambda: membership.vector_membership(*vectors, seed=seed))
    yield Step(
        "privacy", "membership by a language model", lambda: membership.text_membership(*texts.audited, seed=seed)
    )
    yield Step("privacy", "identical texts", lambda: copying.identical(*texts.every))
    yield Step("privacy", "memorised passages", lambda: memory.memorised(*texts.audited, seed=seed))
    yield Step("privacy", "personal values", lambda: memory.replayed(*texts.audited))
    if planted := options.canaries:
        yield Step("privacy", "canaries", lambda: echo(planted, texts.every.synthetic, seed=seed))


def _utility(texts: Texts, seed: int) -> Sequence[Measured]:
    assert texts.labels is not None
    vectors = list(texts.vectors or [None] * 3)
    made, real, holdout = (
        utility.Labelled(some, labels, found)
        for some, labels, found in zip(texts.compared, texts.labels, vectors, strict=True)
    )
    return utility.utility_of_texts(made, real=real, holdout=holdout, seed=seed)


def features(texts: Three[list[str]]) -> dict[str, list[list[float]]]:
    """Return cheap features of the texts by name, each as values of the synthetic, real and held-out ones."""
    return {name: [[float(count(text)) for text in each] for each in texts] for name, count in _FEATURES.items()}


_FEATURES: dict[str, Callable[[str], float]] = {
    "words": count_words,
    "characters a word": lambda text: len(text) / max(1, count_words(text)),
    "sentence marks": lambda text: sum(map(text.count, ".!?")),
    "commas": lambda text: text.count(","),
    "capitals": lambda text: sum(map(str.isupper, text)) / max(1, len(text)),
    "digits": lambda text: sum(map(str.isdigit, text)) / max(1, len(text)),
    "lines": lambda text: text.count("\n"),
    "distinct words": lambda text: len(set(text.lower().split())) / max(1, len(text.split())),
    "ends in a mark": lambda text: float(text.rstrip()[-1:] in ".!?\"'"),
    "double spaces": lambda text: float("  " in text),
}


def dialogue_field(data: Data) -> Field | None:
    """Return the first dialogue among the text fields."""
    return next((each for each in data.fields if each.kind == "dialogue" and each.name in data.texts), None)
