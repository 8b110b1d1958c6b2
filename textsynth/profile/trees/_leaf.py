"""Is a drawn row nearer to the train rows than to rows kept apart? The share that chooses the size of the leaves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from textsynth.profile.encoding import Codes, Floats

LEAVES = (20, 50, 100, 200)
"""Sizes tried, smallest first; the first one that passes is taken."""
EXCESS = 0.01
"""By how much the share may exceed that of independent columns, besides one standard error."""
COMPARED = 4_000
"""Most rows of each side, and rows drawn."""
_BLOCK = 256


def measure_share(drawn: Codes, train: Codes, steer: Codes, cards: Sequence[int], ordered: Sequence[bool]) -> float:
    """Return the share of drawn rows whose nearest train row is nearer than the nearest steer row, ties half.

    The distance is Gower's over codes: 0 or 1 in a column without order, the difference of the ranks in one with.
    ``train`` and ``steer`` must be of equal size.
    """
    scales = [_ranks(np.concatenate([train[:, j], steer[:, j]]), cards[j]) for j in range(len(cards))]
    near, far = (_nearest(drawn, rows, scales, ordered) for rows in (train, steer))
    return float((near < far).mean() + (near == far).mean() / 2)


def standard_error(drawn: int) -> float:
    """Return the standard error of the difference between two shares of so many rows."""
    return math.sqrt(2 * 0.25 / max(drawn, 1))


def best_of(choice: Sequence[Mapping[str, Any]]) -> int:
    """Return which of the sizes tried to take: the one that passed, else the smallest whose share is lowest but for noise.

    Where no size passes, what the rows share is no matter of the leaves: larger ones would only lose what is real.
    """
    passed = [place for place, each in enumerate(choice) if each["passed"]]
    lowest = min(each["share"] for each in choice) + 2 * standard_error(COMPARED)
    return passed[0] if passed else next(place for place, each in enumerate(choice) if each["share"] <= lowest)


def _ranks(column: Codes, card: int) -> Floats:
    counts = np.bincount(column, minlength=card)
    return np.asarray((np.cumsum(counts) - counts / 2) / max(counts.sum(), 1))


def _nearest(queries: Codes, rows: Codes, scales: Sequence[Floats], ordered: Sequence[bool]) -> Floats:
    best = np.empty(len(queries))
    for start in range(0, len(queries), _BLOCK):
        block = queries[start : start + _BLOCK]
        distance = np.zeros((len(block), len(rows)), dtype=np.float32)
        for j, scale in enumerate(scales):
            if ordered[j]:
                left, right = scale[block[:, j]].astype(np.float32), scale[rows[:, j]].astype(np.float32)
                distance += np.abs(left[:, None] - right)
            else:
                distance += block[:, j, None] != rows[:, j]
        best[start : start + _BLOCK] = distance.min(axis=1)
    return best
