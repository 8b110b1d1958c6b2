"""What the answers of a judge come to: the votes on one text, or on two of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

LOST, TIED, WON = 0.0, 0.5, 1.0
PLACES = ("first", "second", "equal")
OUTCOMES = {("first", "second"): WON, ("second", "first"): LOST, ("equal", "equal"): TIED}
"""What a text gets that stood first in one order and second in the other, by the two answers that agree."""


@dataclass(frozen=True, slots=True)
class Vote:
    """One usable vote: a value by scale (``None`` where two orders disagree), a rationale, and, of pairs, which place won.

    ``places`` holds per scale the answers in both orders; the text that is judged stood first in the first of them.
    """

    values: Mapping[str, float | None]
    rationale: str = ""
    places: Mapping[str, tuple[str, str]] | None = None

    def turned(self) -> Vote:
        """Return the vote of a pair as the other text's."""
        values = {name: None if value is None else WON - value for name, value in self.values.items()}
        places = {name: (backward, forward) for name, (forward, backward) in (self.places or {}).items()}
        return Vote(values, self.rationale, places)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one text got: its usable votes, and what is wrong with each of the others."""

    votes: Sequence[Vote]
    broken: Sequence[str]

    @property
    def usable(self) -> bool:
        """Whether at least half of the votes can be read."""
        return len(self.votes) > 0 and len(self.votes) >= len(self.broken)

    @property
    def problem(self) -> str:
        """How many votes could be read, and what is wrong with the first that could not."""
        counted = f"{len(self.votes)} of {len(self.votes) + len(self.broken)} votes could be read"
        return f"{counted}; the first that could not: {self.broken[0]}" if self.broken else counted

    def values(self, scale: str) -> list[float]:
        """Return the values of one scale that count."""
        return [value for vote in self.votes if (value := vote.values[scale]) is not None]

    def mean(self, scale: str) -> float:
        """Return the mean of one scale; a comparison that no two orders agree on is a tie."""
        return fmean(self.values(scale) or [TIED])

    @property
    def wins(self) -> float:
        """The mean over all scales and votes of a pair, 0 to 1; where two orders disagree it is a tie."""
        return fmean(TIED if value is None else value for vote in self.votes for value in vote.values.values())

    def turned(self) -> Judgement:
        """Return the judgement of a pair as the other text's."""
        return Judgement([vote.turned() for vote in self.votes], self.broken)

    def rationale(self, scale: str) -> str:
        """Return what the vote said that was hardest on this scale."""
        counted = [vote for vote in self.votes if vote.values[scale] is not None] or self.votes
        return min(counted, key=lambda vote: vote.values[scale] or 0.0).rationale
