"""The engine without a model: it replays given texts, or says something valid for each request's schema.

Part of the product: ``--dry-run``, tests and documentation run on it. The same request always gets the same answer;
latency and faults can be set.
"""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

import msgspec

from textsynth.engines._instances import instance, text
from textsynth.records import Completion, EngineStatus, Request

Fault = Literal["error", "truncated", "malformed", "refusal", "empty", "repeat"]


@dataclass
class Scripted:
    """Answers from a script.

    Args:
        model: as named in the recipe; not used.
        texts: answers by draw index, used in turn; empty: made from the schema.
        latency: seconds until an answer comes.
        faults: share of the answers with each fault, e.g. ``{truncated: .05}``. ``repeat`` says what an earlier request
            with the same schema was told.
        concurrency: requests in the engine at once.
    """

    model: str = "scripted"
    texts: list[str] = field(default_factory=list)
    latency: float = 0.0
    faults: dict[Fault, float] = field(default_factory=dict)
    concurrency: int = 64

    def __post_init__(self) -> None:
        """Check the shares."""
        if any(not 0 <= share <= 1 for share in self.faults.values()) or sum(self.faults.values()) > 1:
            raise ValueError(f"faults must be shares of 0 to 1 that add up to at most 1, got {self.faults}")
        self._backlog: deque[Request] = deque()
        self._running: list[tuple[float, int, int, Request]] = []
        self._schemas: dict[str, Any] = {}

    def start(self, *, backend: str) -> None:
        """Nothing to load."""

    def room(self) -> int:
        """Return how many more requests fit, with as many again waiting."""
        return max(0, 2 * self.concurrency - len(self._running) - len(self._backlog))

    def submit(self, requests: Sequence[Request]) -> None:
        """Queue the requests."""
        self._backlog.extend(requests)
        self._refill()

    def collect(self, timeout: float) -> list[Completion]:
        """Return the answers that are due."""
        if self._running and (early := self._running[0][0] - time.monotonic()) > 0:
            time.sleep(min(early, timeout))
        now, done = time.monotonic(), []
        while self._running and self._running[0][0] <= now:
            done.append(self.answer(heapq.heappop(self._running)[-1]))
        self._refill()
        return done

    def cancel(self) -> None:
        """Forget everything."""
        self._backlog.clear()
        self._running.clear()

    def status(self) -> EngineStatus:
        """Return what is running."""
        return EngineStatus(len(self._running), self.concurrency, 1.0, facts={"name": "scripted"})

    def close(self) -> None:
        """Nothing to free."""
        self.cancel()

    def _refill(self) -> None:
        due = time.monotonic() + self.latency
        while self._backlog and len(self._running) < self.concurrency:
            request = self._backlog.popleft()
            heapq.heappush(self._running, (due, request.draw, request.step, request))

    def answer(self, request: Request) -> Completion:
        """Return the answer to one request, with the fault that its number draws."""
        if self.texts:
            said = self.texts[request.draw % len(self.texts)]
            return Completion(request.draw, request.step, said, "stop", 10, len(said) // 4)
        random = Random(request.sampling.seed)
        fault = self._fault(random)
        if fault == "repeat":
            random = Random(7)
        if fault == "error":
            return Completion(request.draw, request.step, "", "error", error="scripted fault: the engine failed")
        said = self._say(request, random)
        if fault == "refusal":
            said = refuse(said)
        if fault == "empty":
            said = ""
        if fault in {"truncated", "malformed"}:
            cut = said[: max(1, len(said) * 6 // 10)]
            return Completion(
                request.draw, request.step, cut, "length" if fault == "truncated" else "stop", 10, len(cut) // 4
            )
        prompt_tokens = sum(len(m["content"]) for m in request.messages) // 4
        return Completion(request.draw, request.step, said, "stop", prompt_tokens, len(said) // 4, self.latency)

    def _fault(self, random: Random) -> str:
        at = random.random()
        for fault, share in self.faults.items():
            if at < share:
                return fault
            at -= share
        return ""

    def _say(self, request: Request, random: Random) -> str:
        if request.schema is None:
            return text(random, 20, 160) + ("?" if request.turn == "user" else ".")
        if request.schema not in self._schemas:
            self._schemas[request.schema] = msgspec.json.decode(request.schema)
        return msgspec.json.encode(instance(self._schemas[request.schema], random)).decode()


def refuse(said: str) -> str:
    """Put a refusal into the strings of a JSON answer."""
    words = "I'm sorry, but as an AI language model I cannot help with that."
    try:
        value = msgspec.json.decode(said)
    except msgspec.DecodeError:
        return words
    if not isinstance(value, dict):
        return words
    longest = max((k for k, v in value.items() if isinstance(v, str)), key=lambda k: len(value[k]), default=None)
    return msgspec.json.encode(value | ({longest: words} if longest else {})).decode()
