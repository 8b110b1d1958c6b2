"""Counterfactual pairs, read and measured: how far does exchanging one attribute move what is written?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from textsynth.columns import columns
from textsynth.errors import RecipeError
from textsynth.evaluation import _data
from textsynth.evaluation._data import Data, write_rows
from textsynth.evaluation._embed import embed
from textsynth.evaluation._steps import Step
from textsynth.measure.counterfactual import swap
from textsynth.measure.measured import Measured

MOST = 500
"""Real texts of each group that are embedded."""
KEYS = {"attribute", "values", "first", "second"}

Pair = Mapping[str, Any]


def read_swaps(source: Sequence[Pair] | str | Path | None) -> list[Pair]:
    """Return the pairs that ``textsynth swap`` wrote, one object per line.

    Raises:
        RecipeError: a row that is none.
    """
    if source is None:
        return []
    rows: list[Pair] = [*(_data.read(source, place="swaps", limit=None) if isinstance(source, str | Path) else source)]
    for number, row in enumerate(rows):
        if lost := KEYS - set(row):
            raise RecipeError(
                [f"swaps row {number}: it lacks {', '.join(sorted(lost))}"],
                hint="textsynth swap RECIPE --field FIELD --values A,B --to FILE.jsonl writes such pairs",
            )
    return rows


def swap_steps(pairs: Sequence[Pair], data: Data, *, model: str | None, seed: int) -> Iterator[Step]:
    """Yield one step per attribute that was exchanged."""
    if model is None or not data.texts:
        return
    for attribute in dict.fromkeys(pair["attribute"] for pair in pairs):
        some = [pair for pair in pairs if pair["attribute"] == attribute]
        yield Step("bias", f"swapped {attribute}", partial(_measure, attribute, some, data, model, seed))


def _measure(attribute: str, pairs: Sequence[Pair], data: Data, model: str, seed: int) -> list[Measured]:
    first, second = (write_rows([pair[side] for pair in pairs], data) for side in ("first", "second"))
    known = next((field for field in data.fields if field.name == attribute), None)
    groups: list[list[str]] = [[], []]
    if known is not None:
        values = columns(data.rows.real, [known])[attribute]
        for at, value in enumerate(pairs[0]["values"]):
            rows = [row for row, found in zip(data.rows.real, values, strict=True) if found == value]
            groups[at] = write_rows(rows[:MOST], data)
    embedded = [embed(texts, model, said=lambda done: None) for texts in (first, second, *groups)]
    real = {"real_first": embedded[2], "real_second": embedded[3]} if all(groups) else {}
    return [swap(embedded[0], embedded[1], attribute=attribute, seed=seed, **real)]
