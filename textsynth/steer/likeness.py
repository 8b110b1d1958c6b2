"""How close kept records are to real ones, in numbers that are cheap enough to take after every window."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

NEIGHBOURS = 5
"""The k of recall and coverage."""
TOLERANCE = 0.05
"""How far recall and coverage may stay below what real data scores."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One number after one window: its value, standard error, the limit it should reach and on which side of it."""

    name: str
    value: float
    error: float
    limit: float
    higher_is_better: bool

    @property
    def met(self) -> bool:
        """Whether the limit is reached."""
        return self.value >= self.limit if self.higher_is_better else self.value <= self.limit

    def better_than(self, other: Reading) -> bool:
        """Return whether this is better than an earlier reading by more than the standard error of both."""
        gain = self.value - other.value if self.higher_is_better else other.value - self.value
        return gain > math.hypot(self.error, other.error)


class Reference:
    """Embedded real texts that kept ones are compared with.

    Args:
        steer: n × d unit rows: the split that steers.
        train: m × d unit rows, which stand in for the synthetic texts to learn what real data scores.
    """

    def __init__(self, steer: Vectors, train: Vectors) -> None:
        self.steer, self.train = steer, train
        self._radii = radii(steer)

    def read(self, vectors: Vectors) -> list[Reading]:
        """Return recall and coverage of texts (Kynkäänniemi et al. 2019; Naeem et al. 2020), beside those of real ones."""
        count = min(len(vectors), len(self.train))
        ours, real = self._shares(vectors), self._shares(self.train[:count])
        return [
            Reading(name, value, math.sqrt(value * (1 - value) / len(self.steer)), best - TOLERANCE, True)
            for (name, value), best in zip(ours.items(), real.values(), strict=True)
        ]

    def _shares(self, vectors: Vectors) -> dict[str, float]:
        apart = distances(self.steer, vectors)
        recall = (apart <= radii(vectors)[None, :]).any(axis=1).mean()
        coverage = (apart <= self._radii[:, None]).any(axis=1).mean()
        return {"recall": float(recall), "coverage": float(coverage)}


def distances(one: Vectors, other: Vectors) -> NDArray[np.float32]:
    """Return the Euclidean distances between unit rows, n × m."""
    found: NDArray[np.float32] = np.sqrt(np.maximum(2 - 2 * (one @ other.T), 0))
    return found


def radii(vectors: Vectors) -> NDArray[np.float32]:
    """Return each row's distance to its k-th neighbour among the others."""
    apart = distances(vectors, vectors)
    np.fill_diagonal(apart, np.inf)
    k = min(NEIGHBOURS, len(vectors) - 1)
    found: NDArray[np.float32] = np.partition(apart, k - 1, axis=1)[:, k - 1]
    return found
