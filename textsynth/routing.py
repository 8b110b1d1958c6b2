"""Requests on their way to whoever answers them, and completions on their way back; what was answered before is not asked again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

import msgspec
import xxhash

from textsynth.engines import Engine
from textsynth.ledger import Ledger
from textsynth.records import Completion, Request

T = TypeVar("T")
TICK = 0.05
"""Longest wait for the engine in one turn, seconds."""


class Router:
    """Keeps the run's engine full, and hands what is addressed to others to them.

    Args:
        engine: answers every request that names nobody else.
        others: further models and workers, by the name in ``Request.model``.
        speaker: says which model and adapter the engine is, for the keys of its requests.
        ledger: every completion is noted there.
        earlier: the ledger of another run; a request that was answered there is answered from it.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        others: Mapping[str, Engine],
        speaker: str,
        ledger: Ledger,
        earlier: Ledger | None = None,
    ) -> None:
        self.engine, self.others = engine, others
        self.generated = 0
        """Tokens that were generated for this process; those of ``earlier`` are not among them."""
        self._speaker, self._ledger, self._earlier = speaker, ledger, earlier
        self._urgent: deque[Request] = deque()
        self._fresh: deque[Request] = deque()
        self._elsewhere: dict[str, deque[Request]] = {name: deque() for name in others}
        self._keys: dict[tuple[int, int], bytes] = {}
        self._known: list[Completion] = []

    @property
    def engines(self) -> list[Engine]:
        """All engines, the run's own last."""
        return [*self.others.values(), self.engine]

    def ask(self, request: Request) -> None:
        """Queue what a draw under way asks, before all that new draws ask."""
        self._elsewhere.get(request.model, self._urgent).append(request)

    def begin(self, request: Request) -> None:
        """Queue what a new draw asks."""
        self._elsewhere.get(request.model, self._fresh).append(request)

    def feed(self, plan: Callable[[], bool]) -> None:
        """Keep the engines full; ``plan`` makes new draws, as long as the run's engine has room and it returns True."""
        room = self.engine.room()
        while room > len(self._urgent) + len(self._fresh) and plan():
            pass
        batch: list[Request] = []
        while len(batch) < room and (self._urgent or self._fresh):
            batch.append(self._urgent.popleft() if self._urgent else self._fresh.popleft())
        self._submit(self.engine, batch)
        for name, engine in self.others.items():
            waiting = self._elsewhere[name]
            self._submit(engine, [waiting.popleft() for _ in range(min(engine.room(), len(waiting)))])

    def collect(self) -> Iterator[Completion]:
        """Yield what was answered, noted in the ledger; only the run's engine is waited for, and only if nothing else is there."""
        known, self._known = self._known, []
        yield from map(self._note, known)
        for engine in self.others.values():
            for done in engine.collect(0):
                self.generated += done.tokens
                yield self._note(done)
        for done in self.engine.collect(0 if known else TICK):
            self.generated += done.tokens
            yield self._note(done)

    def converse(
        self, steps: Generator[Request, Completion, T], told: Mapping[int, Completion], *, waiting: Callable[[], None]
    ) -> T:
        """Answer everything that one generator asks, while nothing else is under way; return what it returns.

        Args:
            told: answers by step that are there already.
            waiting: called while an answer is waited for.
        """
        try:
            request = next(steps)
            while True:
                request = steps.send(told.get(request.step) or self._answer(request, waiting))
        except StopIteration as stop:
            found: T = stop.value
            return found

    def _answer(self, request: Request, waiting: Callable[[], None]) -> Completion:
        self.ask(request)
        while True:
            self.feed(lambda: False)
            for done in self.collect():
                self._ledger.tick()
                return done
            waiting()

    def _submit(self, engine: Engine, batch: list[Request]) -> None:
        """Hand requests to an engine, but for those that an earlier run has answered."""
        unanswered = []
        for request in batch:
            key = self._keys[request.draw, request.step] = request_key(request, self._speaker)
            found = self._earlier.answer(key) if self._earlier else None
            if found is None:
                unanswered.append(request)
            else:
                self._known.append(replace(found, draw=request.draw, step=request.step))
        if unanswered:
            engine.submit(unanswered)

    def _note(self, done: Completion) -> Completion:
        self._ledger.add_completion(done, self._keys.pop((done.draw, done.step), None))
        return done


def request_key(request: Request, speaker: str) -> bytes:
    """Return 16 bytes that are the same for requests that ask the same of the same model, whichever draw asks."""
    asked = (request.model or speaker, request.turn, request.messages, request.schema, request.sampling)
    return xxhash.xxh3_128_digest(msgspec.json.encode(asked))
