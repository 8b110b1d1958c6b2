"""Arms: several ways of asking (template, temperature, examples), and which one the next draws should use.

Thompson sampling (Thompson 1933): an arm is drawn with the probability that it is the best, by what is known of how many
accepted and novel records it gives per generated token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textsynth.steer.counts import Ended


@dataclass(slots=True)
class Yield:
    """What one arm gave: draws judged, records kept, those of them that were novel, tokens generated."""

    draws: int = 0
    kept: int = 0
    novel: int = 0
    tokens: int = 0


class Arms:
    """The yields of arms by name, and the choice among them.

    Args:
        names: the arms; the first is what the recipe itself says.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.yields = {name: Yield() for name in names}

    def learn(self, ended: Sequence[Ended], novel: Sequence[bool]) -> None:
        """Count judged draws; ``novel`` says which of them gave something that was lacking."""
        for each, new in zip(ended, novel, strict=True):
            found = self.yields[each.draw.arm]
            found.draws += 1
            found.kept += each.record is not None
            found.novel += each.record is not None and new
            found.tokens += each.tokens

    def choose(self, random: Random) -> str:
        """Return the arm whose sampled yield of novel records per token is highest; the first where all is equal."""
        judged = sum(one.draws for one in self.yields.values())
        usual = max(1.0, sum(one.tokens for one in self.yields.values()) / max(judged, 1))

        def sampled(name: str) -> float:
            one = self.yields[name]
            price = (one.tokens + 5 * usual) / (one.draws + 5)
            return random.betavariate(1 + one.novel, 1 + one.draws - one.novel) / price

        return max(self.yields, key=sampled)
