"""From what the caller gave to what is compared: rows, the fields they share, texts with their vectors."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textsynth.columns import Field, infer, type_strings
from textsynth.errors import RecipeError
from textsynth.evaluation import _data
from textsynth.evaluation._data import Data, Numbers, Row, Three
from textsynth.evaluation._derived import derive, take_apart
from textsynth.evaluation._embed import embed
from textsynth.evaluation._steps import Options, Texts, dialogue_field
from textsynth.measure.canaries import Planted
from textsynth.measure.table import KINDS

Vectors = NDArray[np.float32]
EMBEDDED = 5000
"""Texts of each set that are embedded here; vectors that are given may be more."""
DIALOGUES = 300
"""Dialogues of each set whose turns are embedded one by one."""
_FEWEST = 10  # texts of each set
_SETS = ("synthetic", "real", "holdout")


@dataclass(frozen=True, slots=True)
class Chosen:
    """Row numbers: ``equal`` as many of each set; ``audited`` as many real as held-out ones."""

    equal: Three[Numbers]
    audited: Three[Numbers]


def choose(rows: Three[Numbers], most: int, *, seed: int) -> Chosen:
    """Choose which rows are compared, at most ``most`` of each set; the equal ones are among the audited."""
    audited = _data.equal_real(rows, most, seed=seed)
    return Chosen(_data.equal(audited, most, seed=seed), audited)


def prepare(given: Three[Any], options: Options, *, text_fields: Sequence[str] | None, limit: int | None) -> Data:
    """Read and check the rows, infer the fields on the real ones, take them apart.

    Raises:
        RecipeError: see ``evaluate``.
    """
    notes: list[str] = []
    synthetic, real = read(given.synthetic, "synthetic", limit), read(given.real, "real", limit)
    held, holdout = None, list[Row]()
    if given.holdout is None:
        _data.check_sizes({"synthetic": len(synthetic), "real": len(real) // 2})
        held = _data.split_half(real, seed=options.seed)
        chosen = set(held.tolist())
        holdout = [real[row] for row in held]
        real = [row for number, row in enumerate(real) if number not in chosen]
        notes.append(
            "No holdout was given: the real rows were split in two halves, rows that say the same on one side."
        )
    else:
        holdout = read(given.holdout, "holdout", limit)
        _data.check_sizes({"synthetic": len(synthetic), "real": len(real), "holdout": len(holdout)})
    rows = Three(synthetic, real, holdout)
    fields = _data.shared_fields(rows, infer(real), notes)
    known = [each.name for each in fields]
    _data.require_names("label", [options.label] if options.label else [], known)
    _data.require_names("protected", options.protected, known)
    if held is None and (said := _data.check_overlap(real, holdout)):
        notes.append(said)
    texts = _data.text_names(fields, text_fields)
    fields = tuple(_kind_of(each, options, texts) for each in fields)
    made = derive(fields, take_apart(real, fields, ()))
    columns: Three[Mapping[str, Sequence[Any]]] = rows.map(lambda some: take_apart(some, fields, made))
    return Data(rows, (*fields, *(each for each, _ in made)), texts, columns, notes, held)


def _kind_of(known: Field, options: Options, texts: Sequence[str]) -> Field:
    """Return the field as it is measured: a label or protected one as categories, a named text as text."""
    if known.name in {options.label, *options.protected} and known.kind not in KINDS:
        return replace(known, kind="categorical")
    if known.name in texts and known.kind != "dialogue":
        return replace(known, kind="text")
    return known


def read(source: Any, place: str, limit: int | None) -> list[Row]:
    """Read the rows of one set; a CSV's strings as what they stand for."""
    rows = _data.read(source, place=place, limit=limit)
    is_table = isinstance(source, str | Path) and Path(source).suffix in {".csv", ".tsv"}
    return type_strings(rows) if is_table else rows


def read_canaries(source: Planted | str | Path | None) -> Planted | None:
    """Return what was planted, from its JSON file if need be: an object with canaries, repeats and controls.

    Raises:
        RecipeError: no such file, or not of that form.
    """
    if source is None or isinstance(source, Planted):
        return source
    try:
        data = json.loads(Path(source).read_text(encoding="utf-8"))
        return Planted((), *(tuple(data[name]) for name in ("canaries", "repeats", "controls")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecipeError(
            [f"canaries: {str(source)!r} cannot be read: {error!r}"],
            hint='it must be a JSON object: {"canaries": [...], "repeats": [...], "controls": [...]}',
        ) from error


def check_vectors(vectors: Mapping[str, NDArray[np.float32]] | None, data: Data) -> Three[Vectors] | None:
    """Return the vectors that were given, one row of length 1 per row of data.

    Raises:
        RecipeError: a set lacks its vectors, or has another number of them than rows.
    """
    if vectors is None:
        return None
    needed = _SETS[:2] if data.held is not None else _SETS
    counts = dict(zip(_SETS, map(len, data.rows), strict=True))
    if data.held is not None:
        counts["real"] += counts["holdout"]
    wrong = [
        f"vectors[{name!r}]: one vector per row is needed, {counts[name]:,}, got {len(vectors.get(name, ())):,}"
        for name in needed
        if len(vectors.get(name, ())) != counts[name]
    ]
    if wrong:
        raise RecipeError(wrong)
    real = np.asarray(vectors["real"], dtype=np.float32)
    if data.held is None:
        return Three(*(_unit(np.asarray(vectors[name], dtype=np.float32)) for name in _SETS))
    kept = np.setdiff1d(np.arange(len(real)), data.held)
    return Three(np.asarray(vectors["synthetic"], dtype=np.float32), real[kept], real[data.held]).map(_unit)


def _unit(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors if np.allclose(lengths, 1, atol=1e-3) else vectors / np.maximum(lengths, 1e-12)


def arrange_texts(
    data: Data,
    options: Options,
    given: Three[Vectors] | None,
    *,
    model: str | None,
    sample: int,
    said: Callable[[str, int, int], None],
) -> Texts | None:
    """Return the texts of the rows with their vectors; ``None`` if there are none to speak of.

    Args:
        model: embedding model for want of ``given`` vectors.
        said: told which set's texts are being embedded, how many there are, how many are done.
    """
    if not data.texts:
        return None
    written = data.written()
    filled = written.map(_data.with_words)
    if min(map(len, filled)) < _FEWEST:
        return None
    chosen = choose(filled, sample if given or model is None else min(sample, EMBEDDED), seed=options.seed)
    texts = chosen.equal.pair(written, _pick)
    audited = choose(filled, sample, seed=options.seed).audited.pair(written, _pick)
    vectors = _vectors(chosen, written, given, model, said)
    labels = (
        chosen.equal.pair(data.columns, lambda rows, some: _pick(rows, some[options.label])) if options.label else None
    )
    dialogues = _dialogues(data, chosen.equal)
    return Texts(
        compared=texts,
        audited=audited,
        every=filled.pair(written, _pick),
        vectors=vectors and chosen.audited.pair(chosen.equal, np.searchsorted).pair(vectors, lambda at, some: some[at]),
        audited_vectors=vectors,
        labels=labels,
        dialogues=dialogues,
        turns=_turns(dialogues, model, said, seed=options.seed) if dialogues and model and given is None else None,
    )


def _pick(rows: Numbers, values: Sequence[Any]) -> list[Any]:
    return [values[row] for row in rows]


def _vectors(
    chosen: Chosen,
    written: Three[list[str]],
    given: Three[Vectors] | None,
    model: str | None,
    said: Callable[[str, int, int], None],
) -> Three[Vectors] | None:
    """Return the vectors of the audited rows."""
    if given is not None:
        return given.pair(chosen.audited, lambda some, rows: some[rows])
    if model is None:
        return None
    found = []
    for name, rows, texts in zip(_SETS, chosen.audited, written, strict=True):
        found.append(embed(_pick(rows, texts), model, said=partial(said, name, len(rows))))
    return Three(*found)


def _turns(
    dialogues: Three[list[Any]], model: str, said: Callable[[str, int, int], None], *, seed: int
) -> Three[list[Vectors]]:
    """Return the vectors of the turns of some dialogues, one array per dialogue."""
    found = []
    for name, every in zip(_SETS, dialogues, strict=True):
        chosen = [every[row] for row in _data.some(np.arange(len(every)), DIALOGUES, seed=seed)]
        texts = [turn["content"] for dialogue in chosen for turn in dialogue]
        vectors = embed(texts, model, said=partial(said, f"{name} turns of", len(texts)))
        found.append(np.split(vectors, np.cumsum([len(dialogue) for dialogue in chosen])[:-1]))
    return Three(*found)


def _dialogues(data: Data, rows: Three[Numbers]) -> Three[list[Any]] | None:
    known = dialogue_field(data)
    if known is None:
        return None
    return data.columns.pair(rows, lambda some, at: [_dialogue(some[known.name][row], known) for row in at])


def _dialogue(turns: Any, known: Field) -> list[dict[str, str]]:
    """Return the turns with the keys ``role`` and ``content``."""
    if not isinstance(turns, list | tuple):
        return []
    pairs = [(turn.get(known.role_key), turn.get(known.content_key)) for turn in turns if isinstance(turn, Mapping)]
    return [{"role": str(role), "content": str(content)} for role, content in pairs]
