"""Several votes on one rubric: how each is drawn, and what all of them come to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

import xxhash

from textsynth.records import Completion, Record, Sampling
from textsynth.rubric._scales import Rubric
from textsynth.rubric._votes import Judgement, Vote


@dataclass(frozen=True)
class Panel:
    """How often a rubric is asked about, and how the answers are written.

    Question ``step`` of a text is order ``step % width`` of vote ``step // width``.

    Args:
        votes: an odd number.
        max_tokens: most tokens of one answer.
        temperature: how freely the model answers; with 0 all votes would be the same.
    """

    rubric: Rubric
    votes: int = 1
    max_tokens: int = 200
    temperature: float = 0.7

    def __post_init__(self) -> None:
        """Refuse numbers out of their range."""
        if self.votes < 1 or self.votes % 2 == 0:
            raise ValueError(f"votes must be an odd number of at least 1, got {self.votes}")
        if not 0 <= self.temperature <= 2:
            raise ValueError(f"temperature must be between 0 and 2, got {self.temperature:g}")
        if self.votes > 1 and self.temperature == 0:
            raise ValueError("votes above 1 need a temperature above 0: at 0 every vote is the same answer")
        if self.max_tokens < self.rubric.least_tokens:
            raise ValueError(
                f"max_tokens must be at least {self.rubric.least_tokens} for these scales, got {self.max_tokens}"
            )

    @property
    def questions(self) -> int:
        """The questions about one text, or pair."""
        return self.votes * self.rubric.width

    def sampling(self, seed: int, step: int) -> Sampling:
        """Return how the answer to a question is drawn."""
        return Sampling(max_tokens=self.max_tokens, temperature=self.temperature, seed=mixed(seed, f"judge {step}"))

    def order(self, seed: int, vote: int) -> list[str]:
        """Return the scales in the order of one vote: they or their reverse, from any of them on.

        So each stands first as often as the others, and there are no more schemas to decode by than twice the scales.
        """
        random = Random(mixed(seed, f"order {vote}"))
        names = list(self.rubric.scales)
        if random.random() < 0.5:
            names.reverse()
        at = random.randrange(len(names))
        return names[at:] + names[:at]

    def judge(self, answers: Mapping[int, Completion]) -> Judgement:
        """Read the answers about one text, by the step each was asked in."""
        votes, broken = list[Vote](), list[str]()
        for vote in range(self.votes):
            steps = range(vote * self.rubric.width, (vote + 1) * self.rubric.width)
            told = [self.rubric.read(answers.get(step)) for step in steps]
            problems = [answer for answer in told if isinstance(answer, str)]
            read: list[Record] = [answer for answer in told if isinstance(answer, dict)]
            if problems:
                broken.append(problems[0])
            else:
                votes.append(self.rubric.vote(read))
        return Judgement(votes, broken)


def mixed(seed: int, purpose: str) -> int:
    """Return 31 bits that depend on a draw's seed and on what they are for."""
    return xxhash.xxh3_64_intdigest(f"llm_judge {seed} {purpose}".encode()) & 0x7FFFFFFF
