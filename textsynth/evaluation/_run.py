"""The whole measurement: what was given is arranged, then measured step by step."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textsynth import embeddings as models
from textsynth.errors import RecipeError, TextsynthError
from textsynth.evaluation import _plots
from textsynth.evaluation._arrange import (
    EMBEDDED,
    Chosen,
    arrange_texts,
    check_vectors,
    choose,
    prepare,
    read,
    read_canaries,
)
from textsynth.evaluation._data import Data, Three, require_names, with_words, write_rows
from textsynth.evaluation._embed import embed
from textsynth.evaluation._evaluation import GROUPS, Evaluation, Missing
from textsynth.evaluation._steps import (
    COLUMNS,
    Options,
    Step,
    Tables,
    Texts,
    identical_rows,
    make_tables,
    table_steps,
    text_steps,
)
from textsynth.evaluation._swaps import read_swaps, swap_steps
from textsynth.measure.canaries import Planted
from textsynth.measure.measured import Measured

Rows = Any
"""A list of records, a ``datasets.Dataset``, or a path or name that ``textsynth.tables`` reads."""

SAMPLE = 100_000
"""Rows of each set that are compared, by default."""
_FEW = 100


@dataclass(frozen=True, slots=True)
class Progress:
    """What is being measured: step ``done`` of ``total`` (counted from 0), after ``seconds``."""

    step: str
    done: int
    total: int
    seconds: float


OnProgress = Callable[[Progress], None]


def evaluate(
    synthetic: Rows,
    *,
    real: Rows,
    holdout: Rows = None,
    label: str = "",
    protected: Sequence[str] = (),
    text_fields: Sequence[str] | None = None,
    embeddings: str | None = "default",
    vectors: Mapping[str, NDArray[np.float32]] | None = None,
    canaries: Planted | str | Path | None = None,
    rejected: Rows = None,
    swaps: Sequence[Mapping[str, Any]] | str | Path | None = None,
    groups: Sequence[str] = GROUPS,
    seed: int = 0,
    sample: int = SAMPLE,
    limit: int | None = None,
    on_progress: OnProgress | None = None,
) -> Evaluation:
    """Measure synthetic records against the real ones they were made from and against real ones held out.

    Each set is a list of records, a ``datasets.Dataset`` or a path (JSONL, CSV, Parquet, a folder). Fields are inferred
    on the real rows. Real and held-out rows are brought to the same number; what needs all pairs of rows is measured
    on a sample and says so.

    Args:
        real: rows that the synthetic ones were made from.
        holdout: real rows of the same source that nothing was made from. Without them the real rows are split in two,
            duplicates on one side, and what needs unseen rows is not measured.
        label: field that a classifier is trained to predict.
        protected: fields whose groups must be treated as in the real data.
        text_fields: fields that are read as text; by default those inferred to be text or dialogue.
        embeddings: name of the embedding model; ``None`` for no measures by embedding.
        vectors: embeddings of the texts instead, one row per row of ``synthetic``, ``real`` and ``holdout`` (keys),
            and of ``rejected`` if wanted on the map.
        canaries: what ``textsynth.measure.canaries.plant`` planted in the real rows, or its JSON file.
        rejected: candidates that filters dropped, for the map.
        swaps: pairs that ``textsynth.swaps.make_swaps`` wrote, or their file.
        groups: which groups of measures are taken: fidelity, utility, diversity, privacy, bias.
        sample: most rows of each set that are compared.
        limit: most rows of each set that are read.
        on_progress: called before each step.

    Raises:
        RecipeError: too few rows, no shared fields, unknown names, or a holdout that is part of real.
        ModelError, MissingPackageError: the embedding model cannot be loaded.
    """
    check_model(embeddings)
    require_names("groups", groups, GROUPS)
    options = Options(label, tuple(protected), seed, read_canaries(canaries))
    pairs = read_swaps(swaps)
    data = prepare(Three(synthetic, real, holdout), options, text_fields=text_fields, limit=limit)
    given = check_vectors(vectors, data)
    work = Work(on_progress or _ignore, [name for name in groups if name != "privacy" or data.held is None])
    compared = choose(data.rows.map(lambda rows: np.arange(len(rows))), sample, seed=seed)
    tables = make_tables(data, compared.equal, compared.audited)
    texts = arrange_texts(data, options, given, model=embeddings, sample=sample, said=work.embedding)
    steps: list[Step] = []
    if tables:
        steps += table_steps(tables, options, prefix="privacy.rows." if texts else "privacy.")
        steps += [] if texts else [identical_rows(tables)]
    if texts:
        steps += text_steps(texts, options)
        steps += swap_steps(pairs, data, model=embeddings, seed=seed)
    work.measure(steps)
    sets = _map_sets(data, texts, rejected, vectors, model=embeddings, said=work.embedding)
    return Evaluation(
        values=tuple(sorted(work.values, key=lambda value: GROUPS.index(value.group))),
        sizes=_sizes(data, compared, texts),
        fields=tuple({"name": each.name, "kind": each.kind} for each in data.fields),
        notes=(*data.notes, *_cuts(data, compared, texts)),
        missing=(*not_measured(data, tables, texts, options, groups, swapped=bool(pairs)), *work.missing),
        plots=_draw(data, tables, texts, sets, work.values),
    )


def _sizes(data: Data, compared: Chosen, texts: Texts | None) -> dict[str, int]:
    names = ("synthetic", "real", "holdout")
    sizes = dict(zip(names, map(len, data.rows), strict=True)) | {"compared": len(compared.equal.real)}
    return sizes | ({"texts": len(texts.compared.real)} if texts else {})


def _cuts(data: Data, compared: Chosen, texts: Texts | None) -> list[str]:
    """Say of what is compared if it is not everything."""
    given, used = list(map(len, data.rows)), len(compared.equal.real)
    notes = []
    if max(given) > used:
        audited = len(compared.audited.real)
        notes.append(
            f"Fidelity, utility, diversity and bias compare {used:,} rows of each set, privacy {audited:,} real rows with as "
            f"many held-out ones, drawn without replacement from {given[0]:,} synthetic, {given[1]:,} real and {given[2]:,} holdout rows."
        )
    if texts and len(texts.compared.real) < used:
        notes.append(
            f"Of texts {len(texts.compared.real):,} of each set are compared: those with words, {EMBEDDED:,} at most where they are embedded here."
        )
    if len(data.rows.holdout) < _FEW:
        notes.append(
            f"A holdout of {given[2]} rows says little: intervals are wide and only gross faults are found; hold out {_FEW} or more."
        )
    return notes


def not_measured(
    data: Data, tables: Tables | None, texts: Texts | None, options: Options, groups: Sequence[str], *, swapped: bool
) -> list[Missing]:
    """Return what was not measured for want of something, with the reason; groups that were not asked for are left out."""
    few = not tables or len(tables.kinds) < COLUMNS
    unswapped = "" if swapped else "it needs texts written twice for the same attributes but one: textsynth swap"
    found = [
        ("fidelity", "fields", "no field but text has values that can be counted" if tables is None else ""),
        ("fidelity", "texts", "no field of free text with words in ten rows or more of each set" if texts is None else ""),
        ("fidelity", "texts by embedding", "no embedding model was named" if texts and texts.vectors is None else ""),
        ("utility", "utility", "no label was named" if not options.label else ""),
        ("privacy", "privacy", "it needs a holdout: real rows that nothing was made from" if data.held is not None else ""),
        ("privacy", "nearness of rows and inference attacks", f"fewer than {COLUMNS} fields" if few else ""),
        ("privacy", "canaries", "none were planted, or none were named" if options.canaries is None else ""),
        ("bias", "bias", "no protected field was named" if not options.protected else ""),
        ("bias", "bias by swapped attributes", unswapped),
    ]  # fmt: skip
    return [Missing(what, why) for group, what, why in found if why and group in groups]


def _map_sets(
    data: Data,
    texts: Texts | None,
    rejected: Rows,
    vectors: Mapping[str, NDArray[np.float32]] | None,
    *,
    model: str | None,
    said: Callable[[str, int, int], None],
) -> dict[str, tuple[Sequence[str], NDArray[np.float32]]]:
    """Return texts and vectors of every set of the map; rejected ones are those that have the text fields."""
    if texts is None or texts.vectors is None:
        return {}
    sets = {
        name: (getattr(texts.compared, name), getattr(texts.vectors, name)) for name in ("real", "holdout", "synthetic")
    }
    if rejected is None or (vectors is not None and "rejected" not in vectors):
        return sets
    written = write_rows(read(rejected, "rejected", None), data)
    if vectors is not None:
        return sets | {"rejected": (written, np.asarray(vectors["rejected"], dtype=np.float32))}
    filled = [written[row] for row in with_words(written)[: _plots.POINTS]]
    if not filled or model is None:
        return sets
    return sets | {"rejected": (filled, embed(filled, model, said=partial(said, "rejected", len(filled))))}


def _draw(
    data: Data,
    tables: Tables | None,
    texts: Texts | None,
    sets: Mapping[str, tuple[Sequence[str], NDArray[np.float32]]],
    values: Sequence[Measured],
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if tables:
        found |= _plots.table_plots(tables.compared, data.fields)
    if texts:
        found |= _plots.text_plots(texts.compared, texts.vectors)
    if sets:
        found["map"] = _plots.draw_map(sets)
    return found | _plots.value_plots(values)


def check_model(name: str | None) -> None:
    """Raise an error for an embedding model that cannot be used."""
    if name is None:
        return
    if wrong := models.problem(name):
        raise RecipeError([f"embeddings: {wrong}"])


def _ignore(progress: Progress) -> None:
    """Take no notice."""


@dataclass(slots=True)
class Work:
    """Takes one step after another and keeps what came of them."""

    on_progress: OnProgress
    groups: Sequence[str]
    began: float = field(default_factory=time.monotonic)
    values: list[Measured] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)

    def embedding(self, name: str, total: int, done: int) -> None:
        """Say how far the embedding of one set has come."""
        self.on_progress(Progress(f"embedding {name} texts", done, total, time.monotonic() - self.began))

    def measure(self, steps: Sequence[Step]) -> None:
        """Take the steps; one that cannot be taken is noted with its reason."""
        steps = [step for step in steps if step.group in self.groups]
        for number, step in enumerate(steps):
            self.on_progress(Progress(step.title, number, len(steps), time.monotonic() - self.began))
            try:
                found = step.measure()
            except (TextsynthError, ValueError) as error:
                self.missing.append(Missing(step.title, str(error)))
                continue
            for value in found:
                self._keep(value)

    def _keep(self, value: Measured) -> None:
        if value.value is None:
            self.missing.append(Missing(value.name, value.meaning))
        elif math.isnan(value.value):
            self.missing.append(Missing(value.name, "too few rows of each class to learn from or to test on"))
        else:
            self.values.append(value)
