"""Counts over everything a judge was asked about."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from textsynth.rubric import Agreement, Judgement, Orders


class Tally:
    """Counts over everything judged: a few numbers per scale, whatever the number of records."""

    def __init__(self) -> None:
        self._window: set[int] = set()
        self._records: Counter[str] = Counter()
        self._votes: Counter[str] = Counter()
        self._sums: dict[str, float] = defaultdict(float)
        self._agreement: dict[str, Agreement] = defaultdict(Agreement)
        self._orders = Orders()

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
            for places in (vote.places or {}).values():
                self._orders.add(*places)
        for name in judgement.votes[0].values if judgement.usable else ():
            self._sums[name] += judgement.mean(name)
            self._agreement[name].add(judgement.values(name))

    def summary(self) -> dict[str, Any]:
        """Return the counts as JSON values; what nothing is known of is left out."""
        records, votes = self._records.total(), self._votes.total()
        if not records:
            return {}
        found: dict[str, Any] = {"judged": records, "broken": self._records["broken"]}
        found["broken_votes"] = round(self._votes["broken"] / votes, 4)
        found["scales"] = {name: self._scale(name) for name in self._sums}
        return found | self._orders.figures()

    def _scale(self, name: str) -> dict[str, float]:
        return {"mean": round(self._sums[name] / self._records["usable"], 4)} | self._agreement[name].figures()
