"""The verdicts: filters in their order, then quotas and the number wanted, over one window at a time in index order.

A candidate dropped because of another member of its window that is itself not kept is judged again without it, so a
culprit always stands in the dataset.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

from textsynth.filters import Answer, Filter
from textsynth.records import Candidate, Completion, Drop, Edit, Record, Request, Verdict
from textsynth.registry import contain
from textsynth.steer import key

T = TypeVar("T")
FIRST_STEP = 1_000_000
"""Steps of a draw from here on are questions of filters: the n-th filter's have ``FIRST_STEP * (n + 1)`` added."""

Judging = Generator[list[Request], list[Completion], list[Verdict]]
"""One window under judgement: yields questions to a language model, receives their answers, returns the verdicts."""


@dataclass(slots=True)
class Cost:
    """What one filter did: records checked, dropped and edited, and the seconds its own code took."""

    checked: int = 0
    dropped: int = 0
    edited: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class Round:
    """One pass of a window through the filters: what was found, and what was changed, by draw index."""

    drops: dict[int, Drop] = field(default_factory=dict)
    remarks: dict[int, list[str]] = field(default_factory=dict)


class Hearing:
    """One window being judged, step by step: ``proceed`` until it asks nothing more, ``answer`` what it asked."""

    def __init__(self, steps: Judging) -> None:
        self.verdicts: list[Verdict] | None = None
        """The end, once everything has been answered."""
        self._steps = steps
        self._asked: dict[tuple[int, int], Completion | None] | None = None

    def proceed(self) -> list[Request]:
        """Go on as far as the answers allow; return new questions, none when some are open or all is decided."""
        if self._asked is not None and None in self._asked.values():
            return []
        try:
            if self._asked is None:
                questions = next(self._steps)
            else:
                questions = self._steps.send([answer for answer in self._asked.values() if answer is not None])
        except StopIteration as stop:
            self.verdicts = stop.value
            return []
        self._asked = {(request.draw, request.step): None for request in questions}
        return questions

    def answer(self, done: Completion) -> None:
        """Take in one answer; what was not asked is ignored."""
        if self._asked is not None and (done.draw, done.step) in self._asked:
            self._asked[done.draw, done.step] = done


class Judge:
    """Filters with what they remember, and how many records are still wanted.

    Args:
        filters: by the name that is a drop's reason, in order.
        records: how many records are wanted; ``None`` for all that are good.
        quotas: exact number wanted per field and value.
    """

    def __init__(
        self,
        *,
        filters: Mapping[str, Filter],
        records: int | None = None,
        quotas: Mapping[str, Mapping[Any, int]] | None = None,
    ) -> None:
        self.filters, self.records = filters, sys.maxsize if records is None else records
        self.kept = 0
        self.notes: list[str] = []
        """What the user should know of filters that broke while remembering."""
        self.costs = {name: Cost() for name in filters}
        self._room: dict[str, Counter[Hashable]] = {}
        for name, counts in (quotas or {}).items():
            self.limit(name, counts)

    def limit(self, name: str, counts: Mapping[Any, int]) -> None:
        """Keep no more records than ``counts`` says of each value of a field; before any is judged."""
        self._room[name] = Counter({key(value): count for value, count in counts.items()})

    @property
    def complete(self) -> bool:
        """Whether all records wanted have been kept."""
        return self.kept >= self.records

    def restore(self, candidates: Sequence[Candidate]) -> None:
        """Take over records that were kept before the run was resumed."""
        for item in candidates:
            self._count(item.record or {})
        self._remember(candidates)

    def begin(self, window: Sequence[Candidate]) -> None:
        """Let filters start slow work on a window that will be judged."""
        batch = [item for item in window if item.record is not None]
        for name, judging in self.filters.items() if batch else ():
            _, error = contain(partial(self._timed, name, partial(judging.begin, batch)))
            self._note(name, "could not begin its work", error)

    def ready(self, window: Sequence[Candidate]) -> bool:
        """Return whether that work is done; a filter that cannot say is not waited for."""
        batch = [item for item in window if item.record is not None]
        return all(contain(partial(f.ready, batch))[0] is not False for f in self.filters.values()) if batch else True

    def addressed(self, questions: Sequence[Request]) -> list[tuple[str, Request]]:
        """Return each question with the name of the filter that asks it."""
        names = list(self.filters)
        return [(names[request.step // FIRST_STEP - 1], request) for request in questions]

    def report(self) -> dict[str, dict[str, Any]]:
        """Return what each filter cost and what it measured, as JSON values."""
        found = {}
        for name, judging in self.filters.items():
            measured, error = contain(partial(measure, judging))
            self._note(name, "could not say what it measured", error)
            found[name] = asdict(self.costs[name]) | {"measured": measured or {}}
        return found

    def judge(self, window: Sequence[Candidate]) -> Judging:
        """Return one verdict per candidate, in the same order."""
        ends: dict[int, Verdict] = {}
        pending = []
        for item in window:
            if item.record is None:
                ends[item.draw.index] = Verdict(item, item.failure or Drop("no_record"))
            else:
                pending.append(item)
        heard: dict[tuple[int, int], Completion] = {}
        while pending:
            pending = yield from self._pass(pending, ends, heard)
        return [ends[item.draw.index] for item in window]

    def _pass(
        self, pending: Sequence[Candidate], ends: dict[int, Verdict], heard: dict[tuple[int, int], Completion]
    ) -> Generator[list[Request], list[Completion], list[Candidate]]:
        """Judge the pending candidates; return those whose culprit was not kept after all."""
        ours = {str(item.draw.index) for item in pending}
        found = Round()
        survivors = list(pending)
        for position, (name, judging) in enumerate(self.filters.items()):
            yield from self._hear(name, FIRST_STEP * (position + 1), survivors, heard)
            survivors = self._apply(name, judging, survivors, found)
        kept = []
        for item in survivors:
            drop = self._gate(item.record or {})
            ends[item.draw.index] = Verdict(item, drop, tuple(found.remarks.get(item.draw.index, ())))
            if drop is None:
                kept.append(item)
                self._count(item.record or {})
        self._remember(kept)
        standing = {str(item.draw.index) for item in kept}
        orphans = []
        for item in pending:
            drop = found.drops.get(item.draw.index)
            if drop is None:
                continue
            if drop.culprit in ours and drop.culprit not in standing:
                orphans.append(item)
            ends[item.draw.index] = Verdict(item, drop)
        return orphans if len(orphans) < len(pending) else []  # blaming only each other, they would never end

    def _hear(
        self, name: str, base: int, batch: list[Candidate], heard: dict[tuple[int, int], Completion]
    ) -> Generator[list[Request], list[Completion], None]:
        """Get the answers a filter needs; what was answered for this window before is not asked again."""
        judging = self.filters[name]
        asked, error = contain(lambda: self._timed(name, partial(judging.ask, batch))) if batch else ((), "")
        self._note(name, "could not ask its questions", error)
        if not asked:
            return
        asked = [replace(request, step=base + request.step) for request in asked]
        if fresh := [request for request in asked if (request.draw, request.step) not in heard]:
            heard.update({(answer.draw, answer.step): answer for answer in (yield fresh)})
        answers = [heard[request.draw, request.step] for request in asked]
        mine = [replace(answer, step=answer.step - base) for answer in answers]
        _, error = contain(partial(self._timed, name, partial(judging.hear, mine)))
        self._note(name, "could not take in its answers", error)

    def _apply(self, name: str, judging: Filter, batch: list[Candidate], found: Round) -> list[Candidate]:
        """Run one filter over a batch; note its drops and edits and return the rest."""
        cost = self.costs[name]
        cost.checked += len(batch)
        answers, error = self._timed(name, partial(ask, judging, batch))
        if answers is None:
            batch, alone = self._isolate(judging, batch, found, error)
            answers = ask(judging, batch)[0] or alone
        rest = []
        for item, answer in zip(batch, answers, strict=True):
            if isinstance(answer, Drop):
                cost.dropped += 1
                found.drops[item.draw.index] = answer if answer.reason else replace(answer, reason=name)
            elif isinstance(answer, Edit):
                cost.edited += 1
                found.remarks.setdefault(item.draw.index, []).append(f"{name}: {answer.detail}")
                rest.append(replace(item, record=answer.record))
            else:
                rest.append(item)
        return rest

    def _isolate(
        self, judging: Filter, batch: list[Candidate], found: Round, error: str
    ) -> tuple[list[Candidate], list[Answer]]:
        """Drop the candidates a broken filter breaks on as ``filter_error``; return the others, with its answer for each."""
        rest, alone = [], []
        for item in batch:
            answers, own = ask(judging, [item])
            if answers is None:
                found.drops[item.draw.index] = Drop("filter_error", f"{type(judging).__name__}: {own or error}")
            else:
                rest.append(item)
                alone += answers
        return rest, alone

    def _gate(self, record: Record) -> Drop | None:
        """Refuse what is beyond a quota or beyond the number wanted."""
        if self.complete:
            return Drop("surplus", f"{self.records} records were already accepted")
        for name, room in self._room.items():
            if room[key(record.get(name))] <= 0:
                return Drop("quota", f"{name} = {record.get(name)!r}: its quota was already filled")
        return None

    def _count(self, record: Record) -> None:
        self.kept += 1
        for name, room in self._room.items():
            room[key(record.get(name))] -= 1

    def _remember(self, kept: Sequence[Candidate]) -> None:
        for name, judging in self.filters.items() if kept else ():
            _, error = contain(partial(self._timed, name, partial(judging.keep, kept)))
            self._note(name, "could not remember what was kept", error)

    def _timed(self, name: str, call: Callable[[], T]) -> T:
        """Run a filter's code and add its time to the filter's cost."""
        started = time.perf_counter()
        try:
            return call()
        finally:
            self.costs[name].seconds += time.perf_counter() - started

    def _note(self, name: str, what: str, error: str) -> None:
        if error:
            self.notes.append(f"filter {name} {what}: {error}")


def measure(judging: Filter) -> dict[str, Any]:
    """Return a filter's measurements as a plain dictionary."""
    return dict(judging.measured())


def ask(judging: Filter, batch: Sequence[Candidate]) -> tuple[list[Answer] | None, str]:
    """Return a filter's answers, or ``None`` and what is wrong: it raised, or did not give one for each candidate."""
    if not batch:
        return [], ""
    answers, error = contain(lambda: list(judging.check(batch)))
    if answers is None:
        return None, error
    if len(answers) != len(batch):
        return None, f"{len(answers)} answers for {len(batch)} candidates"
    if strange := [a for a in answers if not (a is None or isinstance(a, Drop | Edit))]:
        return None, f"check must return a Drop, an Edit or None for each candidate, got {strange[0]!r}"
    return answers, ""
