"""What measures share: a seeded choice of rows, intervals of shares, and how far chance alone moves a share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
SURE = 3.0
"""Standard errors that a gate allows for chance: there are some thirty gates, and real data is to pass them all."""


@dataclass(frozen=True, slots=True)
class Interval:
    """The ends of a 95 % interval."""

    low: float
    high: float


def choose(count: int, most: int, *, seed: int) -> Rows:
    """Return ``min(count, most)`` row numbers in order, each row with the same chance."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng([seed, count]).choice(count, most, replace=False))


def wilson(hits: float, total: float) -> Interval:
    """Return the 95 % interval of a share (Wilson 1927); ``total`` may be an effective number."""
    if total <= 0:
        return Interval(0.0, 1.0)
    z, share = 1.959964, hits / total
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return Interval(max(0.0, centre - half), min(1.0, centre + half))


def difference_error(share: float, count: int, other: int) -> float:
    """Return the standard error of the difference of two shares near ``share`` on ``count`` and ``other`` rows."""
    held = min(max(share, 0.02), 0.98)  # a share of 0 or 1 has no spread that could be seen
    return math.sqrt(held * (1 - held) * (1 / max(count, 1) + 1 / max(other, 1)))


def clustered_error(values: Floats, groups: Rows) -> float:
    """Return the standard error of the mean of values that are alike inside groups (Liang and Zeger 1986)."""
    if len(values) < 2:
        return math.inf
    _, numbers = np.unique(groups, return_inverse=True)
    sums = np.bincount(numbers, weights=values - values.mean())
    spread = float(np.sqrt(np.sum(sums**2))) / len(values)
    return max(spread, float(values.std()) / math.sqrt(len(values)))


def around(value: float, error: float) -> Interval:
    """Return the 95 % interval of a value with a standard error."""
    return Interval(value - 1.959964 * error, value + 1.959964 * error)


def equal_parts(sizes: Sequence[int], most: int) -> int:
    """Return the size that all parts can be brought to."""
    return min(*sizes, most)
