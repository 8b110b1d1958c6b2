"""Methods in a row: each step's draw holds the fields that the steps before it wrote; the record is all of them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import xxhash

from textsynth.methods import Method, Steps
from textsynth.records import Candidate, Completion, Draw, Record, Request

ROOM = 100_000
"""Numbers of requests that each step of the chain has for itself."""


@dataclass(frozen=True)
class Link:
    """A step of the chain: a prepared method under its name."""

    name: str
    method: Method


class Chain(Method):
    """The method of a recipe with ``steps``.

    Each step draws its tokens from a seed of its own, made from its name: what one step asks for does not depend on how
    many requests, or steps, there are before it. Drawn values that are fields of the record are put into it.
    """

    def __init__(self, links: Sequence[Link], fields: Sequence[str]) -> None:
        self.links, self._fields = tuple(links), tuple(fields)
        self._workers = [frozenset(link.method.workers()) for link in links]

    def templates(self) -> list[str]:
        """Return the templates that the steps' options name."""
        return [text for link in self.links for text in link.method.templates()]

    def models(self) -> list[str]:
        """Return the other models that the steps ask."""
        return [model for link in self.links for model in link.method.models()]

    def workers(self) -> Mapping[str, Callable[[Request], str]]:
        """Return the workers of all steps, each under its step's name."""
        return {
            worker_name(link, name): partial(self._work, function, name)
            for link in self.links
            for name, function in link.method.workers().items()
        }

    def summary(self, records: Iterable[Record]) -> Mapping[str, Any]:
        """Return the steps' figures by step."""
        rows = list(records)
        return {link.name: found for link in self.links if (found := dict(link.method.summary(rows)))}

    def run(self, draw: Draw) -> Steps:
        """Run the steps in their order; the first that fails ends the draw."""
        record: Record = {name: draw.attributes[name] for name in self._fields if name in draw.attributes}
        for place, link in enumerate(self.links):
            seed = xxhash.xxh3_64_intdigest(f"{draw.sampling_seed} {link.name}".encode()) & 0x7FFFFFFF
            inner = replace(draw, attributes={**draw.attributes, **record}, sampling_seed=seed)
            candidate = yield from self._numbered(place, link.method.run(inner))
            if candidate.record is None:
                failure = candidate.failure and replace(
                    candidate.failure, detail=f"step {link.name}: {candidate.failure.detail}"
                )
                return Candidate(draw, None, failure)
            record |= candidate.record
        ordered = [name for name in self._fields if name in record]
        return Candidate(draw, {name: record[name] for name in ordered})

    def _numbered(self, place: int, steps: Steps) -> Generator[Request, Completion, Candidate]:
        """Pass on a step's requests with numbers and workers of their own."""
        link, first = self.links[place], place * ROOM
        try:
            request = next(steps)
            while True:
                ours = request.model in self._workers[place]
                model = worker_name(link, request.model) if ours else request.model
                done = yield replace(request, step=first + request.step, model=model)
                request = steps.send(replace(done, step=done.step - first))
        except StopIteration as stop:
            candidate: Candidate = stop.value
            return candidate

    @staticmethod
    def _work(function: Callable[[Request], str], name: str, request: Request) -> str:
        return function(replace(request, model=name))


def worker_name(link: Link, name: str) -> str:
    """Return what a step's worker is called in the chain."""
    return f"{link.name}/{name}"
