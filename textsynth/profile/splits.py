"""Real data in three parts: ``train`` to learn from, ``steer`` to tune on, ``report`` to be read once at the end.

What belongs to one privacy unit stays together: the rows of one key, or rows that repeat or nearly repeat each other.
Twins across the parts would flatter every measure of fidelity and of privacy alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest, xxh3_128

from textsynth.columns import Field, columns, infer, ordinary
from textsynth.errors import RecipeError
from textsynth.minhash import MinHashIndex
from textsynth.text import strings

Split = Literal["train", "steer", "report"]
Rows = NDArray[np.int64]
SPLITS: tuple[Split, ...] = ("train", "steer", "report")
SIZES = (0.6, 0.2, 0.2)
AUDIT_SIZES = (0.5, 0.1, 0.4)
"""A larger report part: privacy measures want as many held-out rows as train rows."""
NEAR = 0.8
"""Least Jaccard similarity of two texts' word triples that makes them one unit."""
EQUAL = 0.1
"""Greatest share of rows without text that repeat others; if more do, it is chance."""
WINDOW = 512
SHOWN = 2000
"""From how many rows the text fields are found."""


@dataclass(frozen=True, slots=True)
class Splits:
    """Row numbers by part, ascending, and how units were told apart.

    Args:
        train: rows to learn from and to take seeds from.
        steer: rows to choose settings by.
        report: rows to be read once.
        unit: ``key NAME`` or ``near-duplicates``.
        units: how many units there are.
        largest: rows of the largest one.
    """

    train: Rows
    steer: Rows
    report: Rows
    unit: str
    units: int
    largest: int

    def rows(self, name: Split) -> Rows:
        """Return the row numbers of one part. Raise ``RecipeError`` for another name."""
        if name not in SPLITS:
            raise RecipeError([f"split {name!r}: must be one of {', '.join(SPLITS)}"])
        return {"train": self.train, "steer": self.steer, "report": self.report}[name]


def check_sizes(sizes: Sequence[float]) -> None:
    """Raise ``RecipeError`` unless there are three shares, each positive, that add up to 1."""
    if len(sizes) != 3 or min(sizes) <= 0 or abs(sum(sizes) - 1) > 1e-6:
        shown = ", ".join(f"{size:g}" for size in sizes)
        raise RecipeError([f"sizes: must be three shares above 0 that add up to 1, got {shown}"])


def find_units(rows: Sequence[Mapping[str, Any]], *, key: str = "") -> NDArray[np.int64]:
    """Return the number of each row's privacy unit, int64 (n,): rows of one key, or that repeat or nearly repeat.

    With a key, a row without one is a unit of its own. Without, two rows are one unit if their texts share at least
    ``NEAR`` of their word triples; rows without text, if they agree in everything but their ids. Where so many of those
    agree that it must be chance (a table of few values), each is a unit of its own.
    """
    if key:
        return _by_key(rows, key)
    fields = infer(rows[:SHOWN])
    texts = row_texts(rows, fields)
    parent = np.arange(len(rows))
    _join_equal(rows, [place for place, text in enumerate(texts) if not text], fields, parent)
    _join_near(texts, parent)
    return np.array([_root(parent, row) for row in range(len(rows))], dtype=np.int64)


def split(units: NDArray[np.int64], *, key: str = "", seed: int = 0, sizes: Sequence[float] = SIZES) -> Splits:
    """Share the units out by chance, so that the parts hold about their share of the rows."""
    check_sizes(sizes)
    _, number, counts = np.unique(units, return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(counts))
    before = np.cumsum(counts[order]) - counts[order] / 2
    bounds = np.cumsum(sizes)[:2] * len(units)
    part_of = np.empty(len(counts), dtype=np.int64)
    part_of[order] = np.searchsorted(bounds, before, side="right")
    parts = [np.flatnonzero(part_of[number] == part) for part in range(3)]
    unit = f"key {key}" if key else "near-duplicates"
    return Splits(parts[0], parts[1], parts[2], unit, len(counts), int(counts.max()))


def data_hash(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return 32 hexadecimal digits (xxh3-128) that change with any value or the order of the rows."""
    digest, encoder = xxh3_128(), msgspec.json.Encoder(enc_hook=str)
    for row in rows:
        digest.update(encoder.encode(row))
    return digest.hexdigest()


def row_texts(rows: Sequence[Mapping[str, Any]], fields: Sequence[Field]) -> list[str]:
    """Return all running text of each row: its text fields and dialogues, joined; empty where there is none."""
    wanted = [field for field in fields if field.kind in {"text", "dialogue"}]
    taken = columns(rows, wanted)
    parts = [[" ".join(strings(value)) if ordinary(value) else "" for value in taken[f.name]] for f in wanted]
    return ["\n".join(filter(None, texts)) for texts in zip(*parts, strict=True)] if parts else [""] * len(rows)


def _by_key(rows: Sequence[Mapping[str, Any]], key: str) -> NDArray[np.int64]:
    known: dict[str, int] = {}
    field = Field(name=key, path=(key,) if any(key in row for row in rows) else tuple(key.split(".")), kind="id")
    found = []
    for place, value in enumerate(columns(rows, [field])[key]):
        name = repr(value) if ordinary(value) else f"row {place}"
        found.append(known.setdefault(name, len(known)))
    return np.array(found, dtype=np.int64)


def _join_equal(
    rows: Sequence[Mapping[str, Any]], places: Sequence[int], fields: Sequence[Field], parent: Rows
) -> None:
    """Put those rows together that agree in all but ids, unless more than ``EQUAL`` of them do."""
    ids = {field.path[0] for field in fields if field.kind == "id" and len(field.path) == 1}
    encoder, firsts = msgspec.json.Encoder(enc_hook=str), dict[int, int]()
    pairs = []
    for place in places:
        row = rows[place]
        plain = {name: value for name, value in row.items() if name not in ids} if ids else row
        pairs.append((firsts.setdefault(xxh3_64_intdigest(encoder.encode(plain)), place), place))
    if len(places) - len(firsts) <= EQUAL * len(places):
        for first, place in pairs:
            _join(parent, first, place)


def _join_near(texts: Sequence[str], parent: Rows) -> None:
    """Put rows together whose texts nearly repeat each other."""
    index = MinHashIndex(threshold=NEAR)
    filled = [place for place, text in enumerate(texts) if text]
    for start in range(0, len(filled), WINDOW):
        some = filled[start : start + WINDOW]
        sketches = index.sketch([texts[place] for place in some], some)
        for place, match in zip(some, index.screen(sketches), strict=True):
            if match is not None:
                _join(parent, match.id, place)
        index.add(sketches)


def _join(parent: Rows, one: int, other: int) -> None:
    one, other = _root(parent, one), _root(parent, other)
    parent[max(one, other)] = min(one, other)


def _root(parent: Rows, row: int) -> int:
    while parent[row] != row:
        parent[row] = parent[parent[row]]
        row = int(parent[row])
    return row
