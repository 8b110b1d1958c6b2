"""Which of several answers is better: compared two by two in both orders, or each scored by itself."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from random import Random
from statistics import fmean
from typing import Any

from textsynth.methods.preference._ways import Answer
from textsynth.prompts import Prompt
from textsynth.records import Completion, Draw, Drop, Record, Request
from textsynth.rubric import Judgement, Panel, written

MOST_VOTES, JUDGING = 99, 10_000
"""The judge's requests begin behind those of the answers; each pair has ``MOST_VOTES * 2`` numbers."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Which answer is better, by how much (0 to 1), and what the judge said."""

    chosen: Answer
    rejected: Answer
    margin: float
    judgement: Record | None = None


@dataclass(frozen=True)
class Jury:
    """Asks for votes on answers.

    Args:
        model: whom it asks; empty for the run's own model.
        pairs: how many pairs of answers are compared; ``None`` for all.
    """

    panel: Panel
    model: str
    template: Prompt
    pairs: int | None

    def compare(
        self, draw: Draw, variables: Mapping[str, Any], answers: Sequence[Answer]
    ) -> Generator[Request, Completion, Outcome | Drop]:
        """Compare the answers two by two in both orders; the pair that is furthest apart in wins is the outcome."""
        every = list(combinations(range(len(answers)), 2))
        chosen = every if self.pairs is None else Random(draw.sampling_seed).sample(every, min(self.pairs, len(every)))
        judged: dict[tuple[int, int], Judgement] = {}
        for number, (one, two) in enumerate(sorted(chosen)):
            texts = (answers[one].text, answers[two].text)
            judgement = yield from self._votes(draw, variables, texts, number)
            if judgement.usable:
                judged[one, two] = judgement
        if not judged:
            return Drop("judgement_broken", judgement.problem)
        wins = {at: mean_wins(judged, at) for pair in judged for at in pair}
        pair = max(judged, key=lambda pair: (abs(wins[pair[0]] - wins[pair[1]]), -pair[0], -pair[1]))
        best, worst = sorted(pair, key=lambda at: -wins[at])
        judgement = judged[pair] if best == pair[0] else judged[pair].turned()
        margin = max(0.0, 2 * judgement.wins - 1)
        return Outcome(answers[best], answers[worst], round(margin, 4), written(self.panel.rubric, judgement))

    def score(
        self, draw: Draw, variables: Mapping[str, Any], answers: Sequence[Answer]
    ) -> Generator[Request, Completion, Outcome | Drop]:
        """Score every answer by itself; the best and the worst are the outcome."""
        judged: list[tuple[float, Answer, Judgement]] = []
        for at, answer in enumerate(answers):
            judgement = yield from self._votes(draw, variables, (answer.text,), at)
            if judgement.usable:
                judged.append((self._share(judgement), answer, judgement))
        if len(judged) < 2:
            return Drop("judgement_broken", judgement.problem)
        best, worst = max(judged, key=lambda one: one[0]), min(judged, key=lambda one: one[0])
        said = {"chosen": written(self.panel.rubric, best[2]), "rejected": written(self.panel.rubric, worst[2])}
        return Outcome(best[1], worst[1], round(best[0] - worst[0], 4), said)

    def _share(self, judgement: Judgement) -> float:
        """Return the mean score over all scales, 0 for the lowest and 1 for the highest."""
        return fmean((judgement.mean(name) - 1) / (scale.best - 1) for name, scale in self.panel.rubric.scales.items())

    def _votes(
        self, draw: Draw, variables: Mapping[str, Any], texts: Sequence[str], number: int
    ) -> Generator[Request, Completion, Judgement]:
        """Ask for every vote on one text, or on two of them in both orders."""
        answers: dict[int, Completion] = {}
        for question in range(self.panel.questions):
            order = self.panel.order(draw.sampling_seed, question // self.panel.rubric.width)
            shown = texts[::-1] if question % self.panel.rubric.width else texts
            own = {"first": shown[0], "second": shown[-1], "rubric": self.panel.rubric.lines(order)}
            step = JUDGING + number * 2 * MOST_VOTES + question
            sampling = self.panel.sampling(draw.sampling_seed, step)
            messages = self.template.render({**variables, **own})
            answers[question] = yield Request(
                draw.index, step, messages, self.panel.rubric.schema(order), sampling, model=self.model
            )
        return self.panel.judge(answers)


def mean_wins(judged: Mapping[tuple[int, int], Judgement], at: int) -> float:
    """Return the mean of an answer's wins over the pairs that it is in."""
    return fmean(
        judgement.wins if pair[0] == at else 1 - judgement.wins for pair, judgement in judged.items() if at in pair
    )
