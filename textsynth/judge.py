"""The verdicts: filters in their order, then quotas and the number wanted, over one window at a time in index order.

A candidate dropped because of another member of its window that is itself not kept is judged again without it, so a
culprit always stands in the dataset.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from textsynth.filters import Filter
from textsynth.records import Candidate, Drop, Record, Verdict
from textsynth.registry import contain
from textsynth.steer import key


class Judge:
    """Filters with what they remember, and how many records are still wanted.

    Args:
        filters: by the name that is a drop's reason, in order.
        records: how many records are wanted.
        quotas: exact number wanted per field and value.
    """

    def __init__(self, *, filters: Mapping[str, Filter], records: int, quotas: Mapping[str, Mapping[Any, int]]) -> None:
        self.filters, self.records = filters, records
        self.kept = 0
        self.notes: list[str] = []
        """What the user should know of filters that broke while remembering."""
        self._room: dict[str, Counter[Hashable]] = {
            name: Counter({key(value): count for value, count in counts.items()}) for name, counts in quotas.items()
        }

    @property
    def complete(self) -> bool:
        """Whether all records wanted have been kept."""
        return self.kept >= self.records

    def restore(self, candidates: Sequence[Candidate]) -> None:
        """Take over records that were kept before the run was resumed."""
        for item in candidates:
            self._count(item.record or {})
        self._remember(candidates)

    def judge(self, window: Sequence[Candidate]) -> list[Verdict]:
        """Return one verdict per candidate, in the same order."""
        drops: dict[int, Drop | None] = {}
        pending = []
        for item in window:
            if item.record is None:
                drops[item.draw.index] = item.failure or Drop("no_record")
            else:
                pending.append(item)
        while pending:
            pending = self._pass(pending, drops)
        return [Verdict(item, drops[item.draw.index]) for item in window]

    def _pass(self, pending: Sequence[Candidate], drops: dict[int, Drop | None]) -> list[Candidate]:
        """Judge the pending candidates; return those whose culprit was not kept after all."""
        ours = {str(item.draw.index) for item in pending}
        found: dict[int, Drop] = {}
        survivors = list(pending)
        for name, judging in self.filters.items():
            survivors = self._apply(name, judging, survivors, found)
        kept = []
        for item in survivors:
            drop = drops[item.draw.index] = self._gate(item.record or {})
            if drop is None:
                kept.append(item)
                self._count(item.record or {})
        self._remember(kept)
        standing = {str(item.draw.index) for item in kept}
        orphans = []
        for item in pending:
            drop = found.get(item.draw.index)
            if drop is not None and drop.culprit in ours and drop.culprit not in standing:
                orphans.append(item)
            elif drop is not None:
                drops[item.draw.index] = drop
        if len(orphans) < len(pending):
            return orphans
        drops.update(found)  # they only blame each other: judging again would not end
        return []

    def _apply(self, name: str, judging: Filter, batch: list[Candidate], found: dict[int, Drop]) -> list[Candidate]:
        """Run one filter over a batch; note its drops and return the rest."""
        answers, error = ask(judging, batch)
        if answers is None:
            batch, alone = self._isolate(judging, batch, found, error)
            answers = ask(judging, batch)[0] or alone
        rest = []
        for item, drop in zip(batch, answers, strict=True):
            if drop is None:
                rest.append(item)
            else:
                found[item.draw.index] = drop if drop.reason else replace(drop, reason=name)
        return rest

    def _isolate(
        self, judging: Filter, batch: list[Candidate], found: dict[int, Drop], error: str
    ) -> tuple[list[Candidate], list[Drop | None]]:
        """Drop the candidates a broken filter breaks on as ``filter_error``; return the others, with its answer for each."""
        rest, alone = [], []
        for item in batch:
            answers, own = ask(judging, [item])
            if answers is None:
                found[item.draw.index] = Drop("filter_error", f"{type(judging).__name__}: {own or error}")
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
            _, error = contain(partial(judging.keep, kept))
            if error:
                self.notes.append(f"filter {name} could not remember what was kept: {error}")


def ask(judging: Filter, batch: Sequence[Candidate]) -> tuple[list[Drop | None] | None, str]:
    """Return a filter's answers, or ``None`` and what is wrong: it raised, or did not give a drop or ``None`` for each."""
    if not batch:
        return [], ""
    answers, error = contain(lambda: list(judging.check(batch)))
    if answers is None:
        return None, error
    if len(answers) != len(batch):
        return None, f"{len(answers)} answers for {len(batch)} candidates"
    if strange := [a for a in answers if not (a is None or isinstance(a, Drop))]:
        return None, f"check must return a Drop or None for each candidate, got {strange[0]!r}"
    return answers, ""
