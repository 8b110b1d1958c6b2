"""How close kept records are to real ones, in numbers that are cheap enough to take after every window."""

from __future__ import annotations

import math
from dataclasses import dataclass

from textsynth.measure.neighbourhood import Vectors, radii_of, score

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
        self._radii = radii_of(steer, NEIGHBOURS)

    def read(self, vectors: Vectors) -> list[Reading]:
        """Return recall and coverage of texts (see ``measure.neighbourhood``), with what real ones score as their limit."""
        count = min(len(vectors), len(self.train))
        ours, real = (score(some, self.steer, self._radii, NEIGHBOURS) for some in (vectors, self.train[:count]))
        found = []
        for name, value, best in (("recall", ours.recall, real.recall), ("coverage", ours.coverage, real.coverage)):
            error = math.sqrt(value * (1 - value) / len(self.steer))
            found.append(Reading(name, value, error, best - TOLERANCE, True))
        return found
