"""Engines turn requests into completions; each file is one engine, named in a recipe by its file name.

An engine never blocks the caller and never raises for one bad request: that is a ``Completion`` with an error.
It raises ``EngineError`` only when it cannot start or has stopped for good.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from textsynth.records import Completion, EngineStatus, Request


class Engine(Protocol):
    """What the loop needs of an engine. All methods are called from one thread, the loop's."""

    def start(self, *, backend: str) -> None:
        """Make ready to answer; ``backend`` is the structured-output backend that the lint chose. May take minutes."""

    def room(self) -> int:
        """Return how many more requests it wants queued now, so that no slot ever waits for the loop."""

    def submit(self, requests: Sequence[Request]) -> None:
        """Queue requests in this order and return at once."""

    def collect(self, timeout: float) -> list[Completion]:
        """Return what has finished since the last call; if nothing has, wait up to ``timeout`` seconds for it."""

    def cancel(self) -> None:
        """Forget every request that is queued or running; their completions will not come."""

    def status(self) -> EngineStatus:
        """Return what it is doing now."""

    def close(self) -> None:
        """Free everything. Calling it twice is harmless."""
