"""Retrieval: the seeds nearest to drawn attributes that are unlike each other.

Nearness is Gower's (1971) over the attributes a draw and a seed both have: 0 or 1 for a category, the difference over the
range for a number. Of the nearest ones, maximal marginal relevance (Carbonell and Goldstein 1998) picks those whose texts
are unlike each other. One draw among 10,000 seeds takes about 0.2 ms, and time grows with the number of seeds.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

NEAREST = 64
"""From how many of the nearest seeds the unlike ones are picked."""
RELEVANCE = 0.7
"""Weight of nearness against unlikeness (lambda of maximal marginal relevance)."""
WIDTH = 256
"""Numbers of a hashed bag of words, which stands in where no embeddings are given."""
WORDS = 200
"""Words of a text that are hashed."""
TIE = 1e-3
"""Differences of distance below this are a tie, broken at random."""
MISSING = 1e9
"""Where a missing number lies, in units of the range."""
CLUSTER = "#cluster"
"""A derived column with this ending outweighs all others: seeds of the wanted cluster come first."""


@dataclass(frozen=True, slots=True)
class Categories:
    """One value per seed as a number; ``codes`` tells the number of a value by its ``repr``."""

    at: NDArray[np.int32]
    codes: Mapping[str, int]

    def distances(self, wanted: Any) -> NDArray[Any]:
        """Return 0 for the same value and 1 for another one, per seed."""
        return np.not_equal(self.at, self.codes.get(repr(wanted), -1))


@dataclass(frozen=True, slots=True)
class Numbers:
    """One number per seed in units of their range; what is missing lies out of reach."""

    at: NDArray[np.float64]
    low: float
    width: float

    def distances(self, wanted: Any) -> NDArray[Any]:
        """Return the difference in units of the range, at most 1, per seed; between missing ones it is 0."""
        if not is_number(wanted):
            return np.less(self.at, MISSING)
        apart: NDArray[Any] = np.minimum(np.abs(self.at - (wanted - self.low) / self.width), 1)
        return apart


class Retrieval:
    """An index over the values and texts of seeds.

    Args:
        rows: the values of each seed by column.
        columns: which of them count; an attribute that is no column is left out of account.
        vectors: from numbers of seeds to their vectors of length 1, one row each.
        units: the number of each seed's privacy unit; no two of one unit are returned together.
    """

    def __init__(
        self,
        rows: Sequence[Mapping[str, Any]],
        columns: Sequence[str],
        vectors: Callable[[NDArray[np.intp]], NDArray[np.float32]],
        units: Sequence[int] | None = None,
    ) -> None:
        self.columns = {
            name: categories(values) if name.endswith(CLUSTER) else index_column(values)
            for name in columns
            for values in [[row.get(name) for row in rows]]
        }
        self._vectors = vectors
        self._units = np.arange(len(rows)) if units is None else np.asarray(units)
        self._numbers = np.arange(len(rows), dtype=np.uint32)

    def distances(self, random: Random, attributes: Mapping[str, Any]) -> NDArray[np.float64]:
        """Return Gower's distance of every seed from the attributes, 0 to 1, ties broken by ``random``."""
        names = [name for name in self.columns if name in attributes]
        heavy = [name for name in names if name.endswith(CLUSTER)]
        weights = {name: len(names) if name in heavy else 1 for name in names}
        found = self._ties(random)
        total = sum(weights.values())
        for name, weight in weights.items():
            found = found + self.columns[name].distances(attributes[name]) * (weight / total)
        return found

    def _ties(self, random: Random) -> NDArray[np.float64]:
        """Return different numbers from 0 to ``TIE``, by a random linear hash (Carter and Wegman 1979)."""
        factor, offset = np.uint32(random.getrandbits(32) | 1), np.uint32(random.getrandbits(32))
        found: NDArray[np.float64] = (self._numbers * factor + offset).astype(np.float64) * (TIE / 2**32)
        return found

    def pick(self, distances: NDArray[np.float64], count: int) -> list[int]:
        """Return up to ``count`` seeds of different units: near, and unlike each other; infinitely far ones never."""
        chosen: list[int] = []
        near, far = nearest(distances), distances
        while len(chosen) < count and len(near):
            chosen += self._marginal(near, far[near], count - len(chosen), chosen)
            if len(chosen) < count:  # all candidates are of units that are taken: look farther
                far = np.where(np.isin(self._units, self._units[chosen]), np.inf, far)
                near = nearest(far)
        return chosen

    def _marginal(self, near: NDArray[np.intp], far: NDArray[np.float64], count: int, before: list[int]) -> list[int]:
        """Pick greedily by maximal marginal relevance among the candidates ``near``; ``before`` were picked already."""
        texts, units = self._vectors(near), self._units[near]
        worth, alike = RELEVANCE * (1 - far), np.zeros(len(near))
        for text in self._vectors(np.array(before, dtype=np.intp)):
            alike = np.maximum(alike, likeness(texts, text))
        chosen: list[int] = []
        while len(chosen) < count:
            best = int((worth - (1 - RELEVANCE) * alike).argmax())
            if worth[best] == -np.inf:
                break
            chosen.append(int(near[best]))
            alike = np.maximum(alike, likeness(texts, texts[best]))
            worth[units == units[best]] = -np.inf
        return chosen


def likeness(texts: NDArray[np.float32], text: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return cosines, rounded so that the last bits of a machine's arithmetic decide nothing."""
    found: NDArray[np.float32] = np.round(texts @ text, 4)
    return found


def nearest(distances: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the ``NEAREST`` seeds, without those infinitely far, in order of their number."""
    found = np.arange(len(distances))
    if len(distances) > 16 * NEAREST:  # a bound that three times as many keep, from every eighth seed
        found = np.flatnonzero(distances <= np.partition(distances[::8], 3 * NEAREST // 8)[3 * NEAREST // 8])
        found = found if len(found) >= NEAREST else np.arange(len(distances))
    if len(found) > NEAREST:
        found = np.sort(found[np.argpartition(distances[found], NEAREST)[:NEAREST]])
    there: NDArray[np.intp] = found[np.isfinite(distances[found])]
    return there


def index_column(values: Sequence[Any]) -> Categories | Numbers:
    """Return a column's index: numbers if all are (missing ones aside) and they differ, else categories."""
    numbers = [float(value) for value in values if is_number(value)]
    others = any(isinstance(v, str | bool | list | tuple | dict) for v in values)
    if numbers and not others and min(numbers) < max(numbers):
        low, width = min(numbers), max(numbers) - min(numbers)
        scaled = [(value - low) / width if is_number(value) else MISSING for value in values]
        return Numbers(np.array(scaled, dtype=np.float64), low, width)
    return categories(values)


def categories(values: Sequence[Any]) -> Categories:
    """Return a column's index by equal values."""
    codes: dict[str, int] = {}
    return Categories(np.array([codes.setdefault(repr(v), len(codes)) for v in values], dtype=np.int32), codes)


def is_number(value: Any) -> bool:
    """Return whether a value is a number that can be compared."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


class HashedWords:
    """Stands in for embeddings: a vector of length 1 per text from its set of words, each at a place its checksum gives.

    A text is read when it first comes up, so that many seeds cost nothing before they are looked at.
    """

    def __init__(self, text: Callable[[int], str], count: int) -> None:
        self._text = text
        self._found = np.zeros((count, WIDTH), dtype=np.float32)
        self._known = np.zeros(count, dtype=bool)

    def __call__(self, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return the vectors of some texts, one row each."""
        for at in rows[~self._known[rows]]:
            self._found[at], self._known[at] = hashed(self._text(int(at))), True
        return self._found[rows]


def hashed(text: str) -> NDArray[np.float32]:
    """Return the vector of one text; of one without words it is 0."""
    found = np.zeros(WIDTH, dtype=np.float32)
    found[[zlib.crc32(word.encode("utf-8", "replace")) % WIDTH for word in set(text.lower().split()[:WORDS])]] = 1
    return found / np.float32(max(float(np.linalg.norm(found)), 1e-9))
