"""What the answers of a judge come to: the votes on one record, and the counts over all of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from statistics import fmean
from typing import Any

BEST = 5
SCORES = tuple(range(1, BEST + 1))
LOST, TIED, WON = 0.0, 0.5, 1.0
PLACES = ("first", "second", "equal")
OUTCOMES = {("first", "second"): WON, ("second", "first"): LOST, ("equal", "equal"): TIED}
"""What a record gets that stood first in one order and second in the other, by the two answers that agree."""


@dataclass(frozen=True, slots=True)
class Vote:
    """One usable vote: a value by scale (``None`` where two orders disagree), the rationale, and, of pairs, which place won."""

    values: Mapping[str, float | None]
    rationale: str = ""
    places: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one record got: its usable votes, and what is wrong with each of the others."""

    votes: Sequence[Vote]
    broken: Sequence[str]

    @property
    def usable(self) -> bool:
        """Whether at least half of the votes can be read."""
        return len(self.votes) > 0 and len(self.votes) >= len(self.broken)

    def values(self, scale: str) -> list[float]:
        """Return the values of one scale that count."""
        return [value for vote in self.votes if (value := vote.values[scale]) is not None]

    def mean(self, scale: str) -> float:
        """Return the mean of one scale; a comparison that no two orders agree on is a tie."""
        return fmean(self.values(scale) or [TIED])

    def rationale(self, scale: str) -> str:
        """Return what the vote said that was hardest on this scale."""
        counted = [vote for vote in self.votes if vote.values[scale] is not None] or self.votes
        return min(counted, key=lambda vote: vote.values[scale] or 0.0).rationale


class Tally:
    """Counts over everything judged: a few numbers per scale, whatever the number of records."""

    def __init__(self) -> None:
        self._window: set[int] = set()
        self._records: Counter[str] = Counter()
        self._votes: Counter[str] = Counter()
        self._sums: dict[str, float] = defaultdict(float)
        self._pairs: dict[str, dict[tuple[float, float], float]] = {}
        self._places: Counter[tuple[str, str]] = Counter()

    def add(self, judged: Mapping[int, Judgement]) -> None:
        """Count records. Those of one window may come in parts or again, and count once."""
        if judged and self._window and min(judged) > max(self._window):
            self._window = set()
        for index in sorted(judged.keys() - self._window):
            self._window.add(index)
            self._count(judged[index])

    def _count(self, judgement: Judgement) -> None:
        self._records["usable" if judgement.usable else "broken"] += 1
        self._votes.update(usable=len(judgement.votes), broken=len(judgement.broken))
        for vote in judgement.votes:
            self._places.update(vote.places)
        for name in judgement.votes[0].values if judgement.usable else ():
            values = judgement.values(name)
            self._sums[name] += judgement.mean(name)
            pairs = self._pairs.setdefault(name, defaultdict(float))
            for one, two in permutations(values, 2):
                pairs[one, two] += 1 / (len(values) - 1)

    def summary(self) -> dict[str, Any]:
        """Return the counts as JSON values; what nothing is known of is left out."""
        records, votes = self._records.total(), self._votes.total()
        if not records:
            return {}
        found: dict[str, Any] = {"judged": records, "broken": self._records["broken"]}
        found["broken_votes"] = round(self._votes["broken"] / votes, 4)
        found["scales"] = {name: self._scale(name) for name in self._sums}
        return found | (self._order() if self._places else {})

    def _scale(self, name: str) -> dict[str, float]:
        pairs = self._pairs[name]
        found = {"mean": round(self._sums[name] / self._records["usable"], 4)}
        if pairs:
            found["equal_votes"] = round(sum(n for (a, b), n in pairs.items() if a == b) / sum(pairs.values()), 4)
            if (alpha := krippendorff(pairs)) is not None:
                found["alpha"] = round(alpha, 4)
        return found

    def _order(self) -> dict[str, float]:
        """How often both orders agree, and how often the first of two was chosen where one was (.5: no bias)."""
        consistent = sum(count for pair, count in self._places.items() if pair in OUTCOMES)
        chosen = Counter[str]()
        for pair, count in self._places.items():
            for place in pair:
                chosen[place] += count
        decided = chosen["first"] + chosen["second"]
        first = {"first_place_chosen": round(chosen["first"] / decided, 4)} if decided else {}
        return {"orders_agree": round(consistent / self._places.total(), 4)} | first


def krippendorff(pairs: Mapping[tuple[float, float], float]) -> float | None:
    """Return Krippendorff's alpha for interval data from coincidences (ordered pairs, 1/(m-1) each), at most 1.

    ``None`` where all values are equal, so that nothing can be said.
    """
    totals: dict[float, float] = defaultdict(float)
    for (one, _), count in pairs.items():
        totals[one] += count
    number = sum(totals.values())
    expected = sum(m * n * (a - b) ** 2 for a, m in totals.items() for b, n in totals.items())
    observed = sum(count * (one - two) ** 2 for (one, two), count in pairs.items())
    return 1 - (number - 1) * observed / expected if expected else None
