"""The line to one or more OpenAI-compatible servers: a thread with an asyncio loop and one HTTP session.

The caller's thread appends requests to a backlog and takes completions from a queue. In the loop, workers refill every
free slot from the backlog at once. What fails is asked again at once and a bounded number of times; its slot is free
for others meanwhile. Nothing here is done per record that could be done per tick.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Coroutine, Sequence
from time import monotonic
from typing import Any, TypeVar

import aiohttp
from yarl import URL

from textsynth.engines._limiter import Host, Job, Limiter
from textsynth.engines._served_turn import ServedTurn
from textsynth.engines._wire import (
    Failure,
    Listing,
    Terms,
    backoff,
    choose_model,
    encode_body,
    read_completion,
    read_failure,
    read_listing,
)
from textsynth.errors import EngineError
from textsynth.records import Completion, EngineStatus, Request

PUSHBACKS_PER_RETRY = 5  # being told "later" is no failure: it counts a fifth of one
START_WITHIN = 5.0  # seconds for a server to answer at the start
UNREACHABLE_AFTER = 60.0  # seconds without any server that accepts a connection
HOPELESS_AFTER = 64  # requests that fail for good in a row, with no answer between them
TICK = 0.1  # seconds between looks at what is overdue
_TRY = aiohttp.ClientTimeout(total=5.0)
HAND_OVER = 0.005  # seconds for which completions gather before the waiting caller is woken

T = TypeVar("T")


class Link:
    """The thread, its loop and all that lives there. Public methods are the caller's thread's, the rest the loop's.

    Shared between the two are only deques, flags and counters with one writer each.
    """

    def __init__(self, addresses: Sequence[str], terms: Terms) -> None:
        self._terms = terms
        self._hosts = [Host(address, Limiter(terms.concurrency)) for address in addresses]
        self._urls = {host.address: URL(host.address + "/chat/completions") for host in self._hosts}
        self._base: dict[str, Any] = {}
        self.context_length: int | None = None
        self._user_turn = ServedTurn()
        self._notes: list[str] = []
        self._backlog: deque[Request] = deque()
        self._again: deque[Job] = deque()
        self._delayed: dict[Job, asyncio.TimerHandle] = {}
        self._sent: dict[Job, None] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._done: deque[Completion] = deque()
        self._news = threading.Event()
        self._hand_over: asyncio.TimerHandle | None = None
        self._idle = True
        self._submitted = self._finished = self._retries = 0
        self._lost_in_a_row = 0
        self._fatal: EngineError | None = None
        self._busy = self._began = self._changed = self._ended_at = self._ticked = 0.0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="textsynth-server", daemon=True)
        self._closed = False

    # the caller's side

    def open(self) -> None:
        self._thread.start()
        self._await(self._connect())

    def capacity(self) -> int:
        return min(self._terms.concurrency, sum(host.limiter.limit for host in self._hosts))

    def outstanding(self) -> int:
        return self._submitted - self._finished

    def submit(self, requests: Sequence[Request]) -> None:
        self._submitted += len(requests)
        self._backlog.extend(requests)
        if self._idle and not self._closed:
            self._idle = False
            self._loop.call_soon_threadsafe(self._fill)

    def collect(self, timeout: float) -> list[Completion]:
        self._news.clear()  # before looking, so that nothing is missed
        if not self._done and self._fatal is None:
            self._news.wait(timeout)
        done = [self._done.popleft() for _ in range(len(self._done))]
        if not done and self._fatal is not None:
            raise self._fatal
        return done

    def cancel(self) -> None:
        if not self._closed:
            self._await(self._drop())
        self._done.clear()
        self._finished = self._submitted

    def status(self) -> EngineStatus:
        until = self._ended_at or monotonic()
        running = max(until - self._began, 1e-9) if self._began else 1.0
        busy, facts = self._busy / running, {"model_source": f"{self._base.get('model', '')}, as the server names it"}
        return EngineStatus(len(self._sent), self.capacity(), busy, self._retries, list(self._notes), facts)

    def close(self) -> None:
        if self._thread.is_alive():
            self._await(self._disconnect())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._closed, self._ended_at = True, self._changed
        self._loop.close()  # harmless the second time

    def _await(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    # the loop's side: start and end

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _connect(self) -> None:
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if self._terms.key:
            headers["Authorization"] = f"Bearer {self._terms.key}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=4.0),  # vLLM closes idle connections after 5 s
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10.0),
        )
        listings = await asyncio.gather(*(self._list_models(host) for host in self._hosts))
        model = choose_model(listings, self._terms.model_name)
        self._base = {"model": model.name, **self._terms.extra_body}
        self._notes += model.notes
        self.context_length = model.context_length
        self._ticking = self._loop.call_later(TICK, self._tick)

    async def _disconnect(self) -> None:
        if hasattr(self, "_ticking"):
            self._ticking.cancel()
        await self._drop()
        if hasattr(self, "_session"):
            await self._session.close()
            await asyncio.sleep(0.01)  # lets the transports close

    async def _drop(self) -> None:
        self._backlog.clear()
        self._again.clear()
        for handle in self._delayed.values():
            handle.cancel()
        self._delayed.clear()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for host in self._hosts:
            host.in_flight = 0  # a task cancelled before its first step could not count itself out
        self._idle = True

    async def _list_models(self, host: Host) -> Listing:
        """Ask a server for its models, for up to 5 s."""
        until = monotonic() + START_WITHIN
        while True:
            try:
                async with self._session.get(URL(host.address + "/models"), timeout=_TRY) as response:
                    listing = read_listing(host.address, response.status, await response.read())
                    if isinstance(listing, Failure):
                        raise self._denied(listing.text)
                    return listing
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                host.trouble = str(error) or type(error).__name__
            if monotonic() > until:
                return Listing(host.address, {}, silent=host.trouble)
            await asyncio.sleep(0.25)

    # the loop's side: requests

    def _tick(self) -> None:
        """See to what no answer triggers: lost requests, servers to try again, the end of patience with all of them."""
        now = monotonic()
        if now - self._ticked < 3 * TICK:  # else this process was held up: first read what has come meanwhile
            self._cut_overdue(now)
        self._ticked = now
        gone = [host.refused_since for host in self._hosts if host.refused_since is not None]
        if len(gone) == len(self._hosts) and now - max(gone) > UNREACHABLE_AFTER:
            self._fail(f"no server accepts connections since {UNREACHABLE_AFTER:.0f} s ({self._hosts[0].trouble})")
        self._fill()
        self._ticking = self._loop.call_later(TICK, self._tick)

    def _cut_overdue(self, now: float) -> None:
        slowest = {host.address: host.patience.slowest() for host in self._hosts}
        for job in list(self._sent):
            if now - job.sent > self._allowed(job, slowest[job.host.address]) and job.task is not None:
                job.overdue = True
                job.task.cancel()

    def _allowed(self, job: Job, slowest: dict[int, float]) -> float:
        if self._terms.timeout is not None:
            return self._terms.timeout
        max_tokens = job.request.sampling.max_tokens
        return job.host.patience.allowed(max_tokens=max_tokens, sent=job.sent, losses=job.losses, slowest=slowest)

    def _fill(self) -> None:
        while (job := self._take()) is not None:
            task = self._loop.create_task(self._work(job))
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            broken = EngineError(f"the server engine broke: {error!r}", hint="please report this")
            broken.__cause__ = error
            self._stop(broken)

    def _take(self) -> Job | None:
        """Return the next request with the server that gets it, or ``None`` if there is neither or no slot."""
        host = self._freest()
        if host is None:
            return None
        if self._again:
            job = self._again.popleft()
            job.host = host
        else:
            self._idle = True  # set before looking, so that submit() either is seen here or sees this
            if not self._backlog:
                return None
            self._idle = False
            job = Job(self._backlog.popleft(), host)
        host.in_flight += 1
        return job

    def _freest(self) -> Host | None:
        if self._fatal is not None or sum(host.in_flight for host in self._hosts) >= self._terms.concurrency:
            return None
        now = monotonic()
        free = [host for host in self._hosts if host.room(now) > 0]
        return min(free, key=lambda host: host.load(now)) if free else None

    async def _work(self, first: Job) -> None:
        """Serve one slot: request after request, until there is none or the slot has gone."""
        job: Job | None = first
        while job is not None:
            await self._try(job)
            job = self._take()

    async def _try(self, job: Job) -> None:
        job.task, job.sent = asyncio.current_task(), monotonic()
        self._account(job.sent)
        self._sent[job] = None
        try:
            outcome = await self._exchange(job)
        finally:
            now = monotonic()
            self._account(now)
            del self._sent[job]
            job.host.in_flight -= 1
        if isinstance(outcome, Completion):
            self._succeed(job, outcome, now)
        else:
            self._stumble(job, outcome, now)

    def _account(self, now: float) -> None:
        """Add the share of filled slots since the last change to the mean."""
        if self._began == 0.0:
            self._began = self._changed = now
        self._busy += (now - self._changed) * min(1.0, len(self._sent) / self.capacity())
        self._changed = now

    async def _exchange(self, job: Job) -> Completion | Failure:
        try:
            user = job.request.turn == "user"
            named = (self._session, job.host.address, str(self._base["model"]))
            ends = await self._user_turn.get(*named) if user else None
            body = encode_body(job.request, self._base, self._terms.structured, ends)
        except EngineError as error:
            self._stop(error)
            return Failure("denied", error.message)
        except (TypeError, ValueError) as error:
            return Failure("final", f"the request cannot be written as JSON: {error}")
        try:
            async with self._session.post(self._urls[job.host.address], data=body, allow_redirects=False) as response:
                payload = await response.read()
        except asyncio.CancelledError:
            if not job.overdue:
                raise
            asyncio.current_task().uncancel()  # type: ignore[union-attr]
            job.overdue = False
            job.losses += 1
            return Failure("failed", f"no answer within {monotonic() - job.sent:.1f} s")
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            return Failure("refused", str(error))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Failure("failed", f"connection lost: {error or type(error).__name__}")
        if response.status != 200:
            return read_failure(response.status, payload, response.headers.get("Retry-After"))
        return read_completion(job.request, payload, monotonic() - job.sent)

    # the loop's side: outcomes

    def _succeed(self, job: Job, completion: Completion, now: float) -> None:
        host = job.host
        host.answered()
        self._lost_in_a_row = 0
        seconds, before = completion.seconds, host.limiter.limit
        host.limiter.answered(seconds=seconds, tokens=completion.tokens, in_flight=host.in_flight + 1, now=now)
        host.patience.answered(max_tokens=job.request.sampling.max_tokens, sent=job.sent, seconds=seconds)
        self._finish(completion)
        if host.limiter.limit > before:
            self._fill()

    def _finish(self, completion: Completion) -> None:
        self._done.append(completion)
        self._finished += 1
        if self._hand_over is None:
            self._hand_over = self._loop.call_later(HAND_OVER, self._announce)

    def _announce(self) -> None:
        self._hand_over = None
        self._news.set()

    def _stumble(self, job: Job, failure: Failure, now: float) -> None:
        """Ask again later, or give up."""
        host = job.host
        if failure.kind == "refused":
            host.failed(now, refused=True)
            host.trouble = failure.text
            self._retries += 1
            self._again.append(job)  # nobody has seen the request: this is no failure of it
        elif failure.kind == "pushback":
            self._push_back(job, failure, now)
        elif failure.kind == "failed":
            host.failed(now, refused=False)
            job.failures += 1
            self._retry(job, failure, job.failures, self._terms.retries)
        elif failure.kind == "denied":
            self._stop(self._denied(failure.text))  # the request stays open: the next run asks it again
        else:
            host.answered()
            self._give_up(job, failure)

    def _push_back(self, job: Job, failure: Failure, now: float) -> None:
        host = job.host
        host.answered()
        host.limiter.pushed_back(now)
        host.blocked += 1
        self._loop.call_later(host.limiter.penalty(), self._unblock, host)
        job.pushbacks += 1
        self._retry(job, failure, job.pushbacks, PUSHBACKS_PER_RETRY * self._terms.retries)

    def _unblock(self, host: Host) -> None:
        host.blocked -= 1
        self._fill()

    def _retry(self, job: Job, failure: Failure, times: int, allowed: int) -> None:
        if times > allowed:
            self._give_up(job, failure)
        else:
            self._retries += 1
            self._delayed[job] = self._loop.call_later(backoff(times, failure), self._resume, job)

    def _resume(self, job: Job) -> None:
        del self._delayed[job]
        self._again.append(job)
        self._fill()

    def _give_up(self, job: Job, failure: Failure) -> None:
        text = self._terms.hide(failure.text)
        self._finish(Completion(job.request.draw, job.request.step, "", "error", error=text))
        self._lost_in_a_row += 1
        if self._lost_in_a_row >= HOPELESS_AFTER:
            self._fail(f"{HOPELESS_AFTER} requests in a row failed for good, the last with: {text}")

    def _denied(self, text: str) -> EngineError:
        named = self._terms.key_name
        hint = f"check the key in {named}" if named else "name the variable that holds the key with api_key_env"
        return EngineError(f"engine.model: the server refuses access: {self._terms.hide(text)}", hint=hint)

    def _fail(self, why: str) -> None:
        hint = "everything answered so far is safe in the ledger: the same command goes on from here"
        self._stop(EngineError(f"engine.model: {why}", hint=hint, retryable=True))

    def _stop(self, error: EngineError) -> None:
        if self._fatal is None:
            self._fatal = error
            self._news.set()
