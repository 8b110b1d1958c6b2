"""Plain functions as an engine: what a method runs beside the model (code, a user's tool), in threads of its own.

A request's ``model`` is the function's name. What it returns is the completion's text, so that it stands in the ledger
like an answer of a model and is not run again when a run is resumed.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from textsynth.errors import unknown
from textsynth.records import Completion, EngineStatus, Request

SHOWN = 500
"""Characters of an error's text that are kept."""


@dataclass
class Workers:
    """Answers from functions of a request.

    A function that raises, or returns anything but text, costs its request an error, never the run. Functions run at once
    must bear it: each gets one request, in any order. One that never returns holds its thread, and a run waits for it.

    Args:
        functions: by the name that requests call them by.
        threads: requests worked on at once.
    """

    functions: Mapping[str, Callable[[Request], str]] = field(default_factory=dict)
    threads: int = 4

    def __post_init__(self) -> None:
        """Check the number of threads."""
        if self.threads < 1:
            raise ValueError(f"threads must be at least 1, got {self.threads}")
        self._lock = threading.Condition()
        self._done: deque[Completion] = deque()
        self._open = 0
        self._generation = 0
        self._busy, self._began = 0.0, time.monotonic()
        self._pool: ThreadPoolExecutor | None = None

    def start(self, *, backend: str) -> None:
        """Make the threads; each begins with its first request."""
        self._pool = ThreadPoolExecutor(self.threads, "textsynth-worker")
        self._began = time.monotonic()

    def room(self) -> int:
        """Return how many more requests keep every thread busy, with as many again waiting."""
        return max(0, 2 * self.threads - self._open)

    def submit(self, requests: Sequence[Request]) -> None:
        """Queue the requests."""
        if self._pool is None:
            self.start(backend="")
        assert self._pool is not None
        with self._lock:
            self._open += len(requests)
            generation = self._generation
        for request in requests:
            self._pool.submit(self._work, request, generation)

    def collect(self, timeout: float) -> list[Completion]:
        """Return what is finished; wait up to ``timeout`` seconds if nothing is."""
        with self._lock:
            if not self._done:
                self._lock.wait(timeout)
            done = list(self._done)
            self._done.clear()
        return done

    def cancel(self) -> None:
        """Forget everything; what runs now ends unheard."""
        with self._lock:
            self._generation += 1
            self._open = 0
            self._done.clear()

    def status(self) -> EngineStatus:
        """Return how many requests are being worked on."""
        lived = max(time.monotonic() - self._began, 1e-9) * self.threads
        return EngineStatus(
            min(self._open, self.threads), self.threads, min(1.0, self._busy / lived), facts={"name": "workers"}
        )

    def close(self) -> None:
        """Drop what waits and let the threads end after what they are doing."""
        self.cancel()
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def _work(self, request: Request, generation: int) -> None:
        if generation != self._generation:
            return
        began = time.monotonic()
        done = self.answer(request)
        with self._lock:
            self._busy += time.monotonic() - began
            if generation == self._generation:
                self._open -= 1
                self._done.append(done)
                self._lock.notify_all()

    def answer(self, request: Request) -> Completion:
        """Return the completion of one request, in the caller's thread."""
        began = time.monotonic()
        try:
            function = self.functions[request.model]
        except KeyError:
            return failed(request, unknown("worker", request.model, self.functions))
        try:
            text = function(request)
        except Exception as error:  # noqa: BLE001  a user's function that breaks costs its candidate, never the run
            return failed(request, f"{type(error).__name__}: {error}")
        if not isinstance(text, str):
            return failed(request, f"{request.model} must return text, got {type(text).__name__}")
        return Completion(request.draw, request.step, text, "stop", seconds=time.monotonic() - began)


def failed(request: Request, why: str) -> Completion:
    """Return the completion of a request that gave nothing."""
    return Completion(request.draw, request.step, "", "error", error=why[:SHOWN])
