"""Any OpenAI-compatible server, or several at once, as an engine. How it works inside is told in ``_link``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from textsynth.engines._link import Link
from textsynth.engines._wire import Structured, Terms
from textsynth.errors import EngineError
from textsynth.records import Completion, EngineStatus, Request


@dataclass
class Server:
    """Completions from OpenAI-compatible servers over HTTP.

    Args:
        model: address of the server up to and including ``/v1``.
        urls: addresses of more servers that serve the same model; the freest gets the next request.
        model_name: the model asked for; empty takes the first that the server lists.
        concurrency: the most requests in flight, all servers together; the engine finds how many are of use.
        retries: how often one request is asked again after a failure; being told to wait (429, 503) counts a fifth.
        timeout: seconds until a request counts as lost; ``None`` learns it from the answers (see ``Patience``).
        api_key_env: name of the environment variable that holds the key; the key itself is never stored or shown.
        structured: how the record schema is sent: OpenAI's ``response_format``, vLLM's ``structured_outputs``, or not.
        extra_body: fields added to every request as they are.
    """

    model: str
    urls: tuple[str, ...] = ()
    model_name: str = ""
    concurrency: int = 256
    retries: int = 6
    timeout: float | None = None
    api_key_env: str = ""
    structured: Structured = "response_format"
    extra_body: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the options."""
        for url in self.addresses():
            parts = urlsplit(url)
            if "@" in parts.netloc:
                raise ValueError(
                    "server address must not hold a name or password; put the key in api_key_env's variable"
                )
            if parts.scheme not in {"http", "https"} or not parts.netloc:
                raise ValueError(f"server address must read http(s)://host:port/v1, got {url!r}")
        if self.concurrency < 1:
            raise ValueError(f"concurrency must be at least 1, got {self.concurrency}")
        if self.retries < 0:
            raise ValueError(f"retries must be 0 or more, got {self.retries}")
        if self.timeout is not None and self.timeout <= 0:
            raise ValueError(f"timeout must be more than 0 seconds, got {self.timeout}")
        self._link: Link | None = None

    def addresses(self) -> list[str]:
        """Return the address of every server once, without a slash at the end."""
        return list(dict.fromkeys(url.rstrip("/") for url in (self.model, *self.urls)))

    @property
    def context_length(self) -> int | None:
        """The model's context in tokens if the server told it, else ``None``. Known after ``start``."""
        return self._link.context_length if self._link else None

    def start(self, *, backend: str) -> None:
        """Ask every server for its models; ``backend`` is the server's own business here.

        Raises:
            EngineError: no server answers within 5 s, the key is refused or missing, or no model name can be found.
        """
        key = os.environ.get(self.api_key_env, "") if self.api_key_env else ""
        if self.api_key_env and not key:
            raise EngineError(
                f"engine.api_key_env: the environment variable {self.api_key_env} is not set or empty",
                hint=f"export {self.api_key_env}=... before the run, or remove api_key_env",
            )
        terms = Terms(
            model_name=self.model_name,
            concurrency=self.concurrency,
            retries=self.retries,
            timeout=self.timeout,
            structured=self.structured,
            extra_body=self.extra_body,
            key_name=self.api_key_env,
            key=key,
        )
        link = Link(self.addresses(), terms)
        try:
            link.open()
        except BaseException:
            link.close()
            raise
        self._link = link

    def room(self) -> int:
        """Return how many more requests it wants: as many in flight as are of use, and as many again waiting."""
        link = self._running()
        return max(0, 2 * link.capacity() - link.outstanding())

    def submit(self, requests: Sequence[Request]) -> None:
        """Queue requests and return at once."""
        self._running().submit(requests)

    def collect(self, timeout: float) -> list[Completion]:
        """Return what has finished; wait up to ``timeout`` seconds if nothing has.

        Raises:
            EngineError: no server is left, or none of many answers was one. What had finished was returned before.
        """
        return self._running().collect(timeout)

    def cancel(self) -> None:
        """Forget all requests, cut those that are under way."""
        if self._link is not None:
            self._link.cancel()

    def status(self) -> EngineStatus:
        """Return what is in flight, how many may be, the mean share of filled slots, and notes."""
        return EngineStatus() if self._link is None else self._link.status()

    def close(self) -> None:
        """Stop the thread and close all connections."""
        if self._link is not None:
            self._link.close()

    def _running(self) -> Link:
        if self._link is None:
            raise EngineError("the engine has not been started", hint="call start() first")
        return self._link
