"""Judgements as they stand in a record, their schemas, and what those of many records say together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from statistics import fmean
from typing import Any

from textsynth.records import Record
from textsynth.rubric._agreement import Agreement, Orders
from textsynth.rubric._scales import RATIONALE, Rubric
from textsynth.rubric._votes import OUTCOMES, PLACES, Judgement


def written(rubric: Rubric, judgement: Judgement) -> Record:
    """Return a judgement as a field of a record.

    Scores: ``scores``, the mean by scale, and ``votes``, the scores of each vote. Places: ``wins``, the mean by scale, and
    ``votes``, for each vote and scale the answers with the judged text in the first place (``forward``) and in the second
    one (``backward``). ``rationale`` is what the vote said that was hardest on the worst scale.
    """
    means = {name: round(judgement.mean(name), 4) for name in rubric.scales}
    thought = {RATIONALE: judgement.rationale(min(means, key=lambda name: means[name]))}
    if rubric.form == "scores":
        votes: list[Record] = [
            {name: int(vote.values[name] or 0) for name in rubric.scales} for vote in judgement.votes
        ]
    else:
        votes = [
            {"scale": name, "forward": forward, "backward": backward}
            for vote in judgement.votes
            for name, (forward, backward) in (vote.places or {}).items()
        ]
    found: Record = {"scores" if rubric.form == "scores" else "wins": means, "votes": votes}
    return found | (thought if rubric.reason == "short" else {})


def written_schema(rubric: Rubric) -> dict[str, Any]:
    """Return the schema of what ``written`` returns."""
    means = closed({name: {"type": "number"} for name in rubric.scales})
    if rubric.form == "scores":
        vote = closed({name: {"type": "integer", "minimum": 1, "maximum": s.best} for name, s in rubric.scales.items()})
    else:
        place = {"enum": list(PLACES)}
        vote = closed({"scale": {"enum": list(rubric.scales)}, "forward": place, "backward": place})
    thought = {RATIONALE: {"type": "string"}} if rubric.reason == "short" else {}
    votes = {"type": "array", "items": vote, "minItems": 1}
    return closed({"scores" if rubric.form == "scores" else "wins": means, "votes": votes, **thought})


def score_figures(judgements: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Return, by scale, the mean of written scores and how far the votes agree."""
    means: dict[str, list[float]] = defaultdict(list)
    agreement: dict[str, Agreement] = defaultdict(Agreement)
    for judgement in judgements:
        for name, mean in judgement["scores"].items():
            means[name].append(mean)
            agreement[name].add([vote[name] for vote in judgement["votes"]])
    return {name: {"mean": round(fmean(values), 3)} | agreement[name].figures() for name, values in means.items()}


def place_figures(judgements: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return how often the orders of written places agree, how often the first place won, and how far votes agree."""
    orders, agreement = Orders(), defaultdict[str, Agreement](Agreement)
    for judgement in judgements:
        values: dict[str, list[float]] = defaultdict(list)
        for vote in judgement["votes"]:
            orders.add(vote["forward"], vote["backward"])
            if (value := OUTCOMES.get((vote["forward"], vote["backward"]))) is not None:
                values[vote["scale"]].append(value)
        for name, counted in values.items():
            agreement[name].add(counted)
    scales = {name: found for name, one in agreement.items() if (found := one.figures())}
    return orders.figures() | ({"scales": scales} if scales else {})


def closed(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of an object that has all these properties and no other."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }
