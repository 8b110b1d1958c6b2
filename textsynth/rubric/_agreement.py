"""How far votes agree, and how much the order of a pair mattered: counted as they come, a few numbers in all."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import permutations

from textsynth.rubric._votes import OUTCOMES


class Agreement:
    """Agreement of the votes on one scale."""

    def __init__(self) -> None:
        self._pairs: dict[tuple[float, float], float] = defaultdict(float)

    def add(self, values: Sequence[float]) -> None:
        """Count the votes on one text; a single one says nothing."""
        for one, two in permutations(values, 2):
            self._pairs[one, two] += 1 / (len(values) - 1)

    def figures(self) -> dict[str, float]:
        """Return ``equal_votes``, the share of equal pairs, and Krippendorff's ``alpha``; what is unknown is left out."""
        if not self._pairs:
            return {}
        equal = sum(count for (one, two), count in self._pairs.items() if one == two)
        alpha = krippendorff(self._pairs)
        found = {"equal_votes": round(equal / sum(self._pairs.values()), 4)}
        return found if alpha is None else found | {"alpha": round(alpha, 4)}


class Orders:
    """What pairs were answered when they were shown in both orders."""

    def __init__(self) -> None:
        self._places: Counter[tuple[str, str]] = Counter()

    def add(self, forward: str, backward: str) -> None:
        """Count one pair: the place that won, and the one that won when the two had changed places."""
        self._places[forward, backward] += 1

    def figures(self) -> dict[str, float]:
        """Return ``orders_agree``, how often, and ``first_place_chosen`` where a place was chosen (.5: no bias)."""
        if not self._places:
            return {}
        agree = sum(count for pair, count in self._places.items() if pair in OUTCOMES)
        chosen = Counter[str]()
        for pair, count in self._places.items():
            for place in pair:
                chosen[place] += count
        decided = chosen["first"] + chosen["second"]
        first = {"first_place_chosen": round(chosen["first"] / decided, 4)} if decided else {}
        return {"orders_agree": round(agree / self._places.total(), 4)} | first


def krippendorff(pairs: Mapping[tuple[float, float], float]) -> float | None:
    """Return Krippendorff's alpha for interval data from coincidences (ordered pairs, 1/(m-1) each), at most 1.

    ``None`` where all values are equal, so that nothing can be said. Krippendorff 2011, Computing Krippendorff's
    Alpha-Reliability.
    """
    totals: dict[float, float] = defaultdict(float)
    for (one, _), count in pairs.items():
        totals[one] += count
    number = sum(totals.values())
    expected = sum(m * n * (a - b) ** 2 for a, m in totals.items() for b, n in totals.items())
    observed = sum(count * (one - two) ** 2 for (one, two), count in pairs.items())
    return 1 - (number - 1) * observed / expected if expected else None
