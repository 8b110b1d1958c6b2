"""How many requests a server gets at once and how long it may take: both learnt from its answers. No clock, no sockets.

``Limiter`` finds the smallest number in flight that keeps the server's throughput; ``Patience`` says when a request
counts as lost. Times are seconds on any monotonic clock, handed in by the caller.
"""

from __future__ import annotations

from asyncio import Task
from collections import deque
from dataclasses import dataclass, field
from math import ceil, sqrt
from typing import Literal

from textsynth.records import Request

START = 32  # in flight before anything is known
TOLERATED = 0.10  # share of pushbacks that changes nothing: one in twenty at random is no sign of overload
FIRST_REST = 8  # epochs between two trials; doubles with each trial that changed nothing
LONGEST_REST = 24


@dataclass(slots=True)
class _Epoch:
    """A stretch of answers under one limit, counted from ``start`` once ``skip`` answers of before have drained.

    It ends after a whole multiple of the limit: then its length is right for a steady stream as well as for bursts of
    equal latencies.
    """

    start: float
    skip: int = 0
    answers: int = 0
    tokens: int = 0
    in_flight: int = 0


@dataclass(frozen=True, slots=True)
class _Cut:
    """A cut whose effect is not known yet: the limit and share before, and the share that it should bring."""

    limit: int
    share: float
    expected: float


class Limiter:
    """The number of requests one server may have in flight, ``limit``, between 1 and ``most``.

    It measures throughput in epochs of about one ``limit`` of answers. It doubles while throughput follows; where
    twice as many bring nothing (they queue at the server) it goes back, then feels its way down in steps of 15 % while
    98 % is kept, and rests one step above the smallest that did. Later it tries up or down now and then, ever more
    rarely.

    Pushbacks (429, 503) are judged by their share of all answers: below 10 % nothing changes, above that the limit is
    cut by that share, at most by half. For this to hit the mark the caller leaves a slot that was pushed back empty
    for ``penalty()`` seconds, so that each slot too many is counted once per latency. A share that a cut doesn't lower
    is not about how many are in flight: the cut is taken back and the share counts as the server's background.
    """

    def __init__(self, most: int, start: int = START) -> None:
        self.most = most
        self.limit = min(start, most)
        self._epoch = _Epoch(0.0)
        self._look: Literal["base", "first", "second"] = "base"
        self._base_limit = self._top = self.limit
        self._base_rate, self._base_epochs = 0.0, 0
        self._doubted = False
        self._direction: Literal["up", "down"] = "up"
        self._factor = 2.0
        self._rest = FIRST_REST
        self._countdown = 0
        self._background = 0.0
        self._cut_from: _Cut | None = None
        self._judged = 0
        self._pushed = 0
        self._latency = 0.1

    def answered(self, *, seconds: float, tokens: int, in_flight: int, now: float) -> None:
        """Count a request that succeeded: how long it took, its tokens, how many were in flight with it."""
        self._latency += 0.05 * (seconds - self._latency)
        self._judge_pushback(0, now)
        epoch = self._epoch
        if epoch.skip > 0:
            epoch.skip -= 1
            epoch.start = now
            return
        epoch.answers += 1
        epoch.tokens += tokens or 1
        epoch.in_flight += in_flight
        if epoch.answers >= self._epoch_size():
            self._end_epoch(now)

    def pushed_back(self, now: float) -> None:
        """Count a request that the server refused because it has too many."""
        self._judge_pushback(1, now)

    def penalty(self) -> float:
        """Return for how many seconds a slot stays empty after a pushback: about one latency."""
        return min(max(self._latency, 0.02), 2.0)

    def _epoch_size(self) -> int:
        least = max(192, 3 * self.limit) if self._look == "second" else 16
        return ceil(least / self.limit) * self.limit

    def _judge_pushback(self, pushed: int, now: float) -> None:
        self._judged += 1
        self._pushed += pushed
        if self._judged < max(64, self.limit) and self._pushed < max(32, self.limit // 2):
            return
        share, count = self._pushed / self._judged, self._judged
        self._judged = self._pushed = 0
        if self._cut_from is not None:
            self._check_cut(self._cut_from, share, now)
            return
        self._background += 0.2 * min(0.0, share - self._background)
        excess = (share - self._background) / (1 - self._background)
        # three standard deviations above the tolerated share, so that chance alone never cuts
        if excess > TOLERATED + 3 * sqrt(TOLERATED * (1 - TOLERATED) / count):
            self._cut(share, excess, now)

    def _cut(self, share: float, excess: float, now: float) -> None:
        before, tried = self.limit, self._look != "base" and self._direction == "up"
        target = max(1, round(before * max(0.5, 1 - excess)), self._base_limit if tried else 1)
        if share <= 0.5 and target < before:
            self._cut_from = _Cut(before, share, expected=max(0.0, 1 - (1 - share) * before / target))
        self._base_rate = 0.0
        self._factor = 1.25
        self._settle(min(target, before), "up", now, rest=self._rest if tried else 2)

    def _check_cut(self, cut: _Cut, share: float, now: float) -> None:
        self._cut_from = None
        if share > (cut.share + cut.expected) / 2:
            self._background = min(cut.share, share)
            self._factor = 2.0
            self._settle(cut.limit, "up", now, rest=2)

    def _end_epoch(self, now: float) -> None:
        epoch = self._epoch
        rate = epoch.tokens / max(now - epoch.start, 1e-6)
        if epoch.in_flight < 0.8 * (1 - self._background) * self.limit * epoch.answers:
            self._restart(self._look, now)  # the caller had too little to send: nothing learnt about the limit
        elif self._look == "base":
            self._measure_base(rate, now)
        elif self._look == "first" and not (self._direction == "up" and rate >= self._needed(0.75)):
            self._restart("second", now)  # the first look includes the change itself
        else:
            self._decide(rate, now)

    def _measure_base(self, rate: float, now: float) -> None:
        self._doubted = rate < 0.6 * self._base_rate and not self._doubted
        if self._doubted:  # once this slow may be a pause of the machine, twice is the server
            self._restart("base", now)
            return
        self._base_epochs = min(self._base_epochs + 1, 8) if self._base_rate else 1
        self._base_rate += (rate - self._base_rate) / self._base_epochs
        self._base_limit = self.limit
        if self._countdown > 0:
            self._countdown -= 1
            self._restart("base", now)
        else:
            self._try(now)

    def _needed(self, share: float) -> float:
        """Return the rate at which a step up counts as followed by ``share`` of what it could bring at most."""
        return self._base_rate * (1 + share * (self.limit / self._base_limit - 1))

    def _decide(self, rate: float, now: float) -> None:
        needed = self._needed(0.13) if self._direction == "up" else 0.98 * self._base_rate
        if rate < needed:
            self._turn(now)
            return
        self._base_limit = self.limit
        if self._direction == "up":
            self._rest = FIRST_REST
            self._base_epochs = 3
            self._base_rate = rate  # going down, every step is held against the rate at the top
        self._try(now)

    def _try(self, now: float) -> None:
        up = min(self.most, ceil(self.limit * self._factor))
        target = up if self._direction == "up" else max(1, int(self.limit * 0.85))
        if target == self.limit:
            self._turn(now)
            return
        self._restart("first", now, skip=self.limit - target)
        self.limit = target

    def _turn(self, now: float) -> None:
        """Rest at the last good limit; the next trial goes the other way."""
        self._factor = min(self._factor, 1.5)
        if self._direction == "up":
            self._top = self._base_limit
            self._settle(self._base_limit, "down", now, rest=0 if self._rest == FIRST_REST else self._rest)
        else:
            self._settle(min(self._top, ceil(self._base_limit / 0.85)), "up", now, rest=self._rest)

    def _settle(self, limit: int, then: Literal["up", "down"], now: float, *, rest: int) -> None:
        skip = self.limit - limit
        self.limit = self._base_limit = limit
        self._direction = then
        self._countdown = rest
        if rest == self._rest:
            self._rest = min(self._rest * 2, LONGEST_REST)
        self._restart("base", now, skip=skip)

    def _restart(self, look: Literal["base", "first", "second"], now: float, *, skip: int = 0) -> None:
        self._look = look
        self._epoch = _Epoch(now, max(0, skip))


@dataclass(slots=True)
class _Latencies:
    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=256))
    last_sent: float = 0.0


class Patience:
    """How many seconds a request may take before it counts as lost and is asked again.

    Asking too late leaves a slot idle; asking too early pays for an answer twice. So the limit follows what the server
    shows, apart for each size of answer (``max_tokens``, by powers of two):

    - below 16 answers seen: 600 s;
    - when a request sent later has been answered already: max(1 s, 3 x the slowest of the last 256);
    - when none has (the whole server may be pausing): max(5 s, 5 x the slowest).

    It is asked again and again while a request is under way: one lost in the first second of a run is found as soon as
    16 others have come back. Each loss of the same request doubles its limit.
    """

    UNKNOWN = 600.0
    ENOUGH = 16

    def __init__(self) -> None:
        self._seen: dict[int, _Latencies] = {}

    def answered(self, *, max_tokens: int, sent: float, seconds: float) -> None:
        """Learn from a request that succeeded."""
        size = max_tokens.bit_length()
        seen = self._seen.get(size)
        if seen is None:
            seen = self._seen[size] = _Latencies()
        seen.seconds.append(seconds)
        if sent > seen.last_sent:
            seen.last_sent = sent

    def slowest(self) -> dict[int, float]:
        """Return the slowest recent answer of each size that has been seen often enough."""
        return {size: max(seen.seconds) for size, seen in self._seen.items() if len(seen.seconds) >= self.ENOUGH}

    def allowed(self, *, max_tokens: int, sent: float, losses: int, slowest: dict[int, float]) -> float:
        """Return the seconds that a request sent at ``sent`` and lost ``losses`` times before may take."""
        size = max_tokens.bit_length()
        if size not in slowest:
            return self.UNKNOWN
        overtaken = self._seen[size].last_sent > sent
        seconds = max(1.0, 3 * slowest[size]) if overtaken else max(5.0, 5 * slowest[size])
        return seconds * float(2**losses)


@dataclass(slots=True, eq=False)
class Host:
    """One server: where it is, what it bears, and how it fares."""

    address: str
    limiter: Limiter
    patience: Patience = field(default_factory=Patience)
    in_flight: int = 0
    blocked: int = 0  # slots left empty for a moment after a pushback
    failures: int = 0  # in a row
    trouble: str = ""
    refused_since: float | None = None
    retry_at: float = 0.0

    def room(self, now: float) -> int:
        """Return how many more requests it may have now; a server that refuses connections gets one at a time."""
        if self.refused_since is not None:
            return 1 - self.in_flight if now >= self.retry_at else 0
        return self.limiter.limit - self.in_flight - self.blocked

    def load(self, now: float) -> tuple[bool, float]:
        """Return the order in which servers are chosen: first those that don't fail, then the freest."""
        return now < self.retry_at, self.in_flight / self.limiter.limit

    def failed(self, now: float, *, refused: bool) -> None:
        """Count a failure; after some in a row others are preferred for a while."""
        if refused and self.refused_since is not None and now < self.retry_at:
            return  # one of many that were on their way when it went
        self.failures += 1
        if refused:
            self.refused_since = now if self.refused_since is None else self.refused_since
            self.retry_at = now + min(0.1 * 2 ** min(self.failures, 6), 5.0)
        elif self.failures >= 8:
            self.retry_at = now + 2.0

    def answered(self) -> None:
        """Count any answer that shows the server is well."""
        self.failures = 0
        self.refused_since = None
        self.retry_at = 0.0


@dataclass(slots=True, eq=False)
class Job:
    """A request on its way, over all its tries. ``task`` is what waits for the answer; it can be cancelled."""

    request: Request
    host: Host
    task: Task[None] | None = None
    sent: float = 0.0
    failures: int = 0
    pushbacks: int = 0
    losses: int = 0
    overdue: bool = False
