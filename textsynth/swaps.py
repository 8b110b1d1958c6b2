"""Counterfactual pairs: the same draw written twice, with one attribute exchanged and all else equal.

``textsynth.measure.counterfactual.swap`` measures how far that moves what the model writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, TypedDict

from textsynth.assemble import Parts, assemble
from textsynth.errors import RecipeError, unknown
from textsynth.methods import Steps
from textsynth.recipe import Recipe
from textsynth.records import Candidate, Draw, Record, Request


class Swap(TypedDict):
    """One pair: the attribute exchanged, its two values, and the record written for each."""

    attribute: str
    values: list[Any]
    first: Record
    second: Record


def make_swaps(
    recipe: Recipe, *, field: str, values: tuple[Any, Any], pairs: int = 50, dry_run: bool = False
) -> list[Swap]:
    """Write ``pairs`` draws twice each, once with each value of an attribute; examples and sampling seed are the same.

    Pairs of which a record is not valid are left out. Filters are not asked.

    Args:
        field: a drawn attribute of the recipe.
        values: the two values that are exchanged.
        dry_run: use the scripted engine instead of the model.

    Raises:
        RecipeError: the attribute is not drawn, or a value contradicts the schema.
    """
    parts = assemble(recipe, dry_run=dry_run)
    drawn = [name for name in (*(parts.plan.joint.names if parts.plan.joint else ()), *parts.plan.attributes)]
    if field not in drawn:
        raise RecipeError(
            [unknown("field", field, drawn)], hint="only what is drawn before generation can be exchanged"
        )
    wrong = [
        p.message
        for value in values
        if field in parts.schema.properties
        for p in parts.schema.field_problems(field, value)
    ]
    if wrong:
        raise RecipeError([f"values: {message}" for message in wrong])
    draws = [replace(d, attributes={**d.attributes, field: v}) for d in take(parts, pairs) for v in values]
    found = list(write(parts, draws))
    return [
        Swap(attribute=field, values=list(values), first=one, second=other)
        for one, other in zip(found[::2], found[1::2], strict=True)
        if one is not None and other is not None
    ]


def take(parts: Parts, count: int) -> Iterator[Draw]:
    """Yield the first draws of the plan."""
    taken = 0
    while taken < count and (window := parts.plan.next_window()):
        for draw in window[: count - taken]:
            yield draw
            taken += 1


def write(parts: Parts, draws: Sequence[Draw]) -> list[Record | None]:
    """Return the record of each draw, ``None`` where none came; draws are told apart by their place."""
    waiting: dict[int, Steps] = {}
    found: dict[int, Record | None] = {}
    queue: list[Request] = []

    def move(at: int, steps: Steps, answer: Any) -> None:
        try:
            request = next(steps) if answer is None else steps.send(answer)
        except StopIteration as stop:
            candidate: Candidate = stop.value
            found[at] = candidate.record
            return
        waiting[at] = steps
        queue.append(request)

    try:
        for at, draw in enumerate(draws):
            move(at, parts.method.run(replace(draw, index=at)), None)
        if queue:
            parts.engine.start(backend=parts.decoding.backend)
        while waiting:
            room = parts.engine.room()
            batch, queue[:] = queue[:room], queue[room:]
            parts.engine.submit(batch)
            for done in parts.engine.collect(0.05):
                move(done.draw, waiting.pop(done.draw), done)
    finally:
        parts.engine.close()
    return [found[at] for at in range(len(draws))]
