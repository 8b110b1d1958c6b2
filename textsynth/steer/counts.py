"""What was planned, judged and kept, window by window: how many draws the next one needs and which values they get."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from textsynth.records import Draw, Record
from textsynth.steer.arms import Arms
from textsynth.steer.cells import Cells

LEAST_RATE = 0.02
"""The acceptance assumed at worst when the number of draws still needed is estimated."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A judged draw: the record if it was kept, what was seen in it, and the tokens that were generated for it."""

    draw: Draw
    record: Record | None
    observed: Mapping[str, Any] = field(default_factory=dict)
    tokens: int = 0


@dataclass(slots=True)
class WindowCount:
    """What one window planned and, once judged, kept; per quota field and value."""

    draws: Sequence[Draw]
    planned: int
    cells: dict[str, Counter[Hashable]]
    ended: Sequence[Ended] | None = None
    kept: int = 0
    kept_cells: dict[str, Counter[Hashable]] = field(default_factory=dict)


class Steering:
    """Counts by window and what follows from them.

    Args:
        records: how many accepted records are wanted.
        quotas: per field, the exact number wanted of each value (they add up to ``records``).
        size: draws in a full window.
        lag: how many windows may be planned beyond the last judged one.
        cells: what the records should look like together, if that is known.
        arms: the ways of asking to choose among, if there are several.
    """

    def __init__(
        self,
        *,
        records: int,
        quotas: Mapping[str, Mapping[Any, int]],
        size: int,
        lag: int,
        cells: Cells | None = None,
        arms: Arms | None = None,
    ) -> None:
        self.records, self.size, self.lag = records, size, lag
        self.quotas = dict(quotas)
        self.cells, self.arms = cells, arms
        self.learners: list[Callable[[Sequence[Ended]], None]] = []
        """Called with each window's draws in order, once plans may know how they ended."""
        self._first = 0
        """Number of the oldest window that is still counted one by one."""
        self._windows: deque[WindowCount] = deque()
        self._known = WindowCount((), 0, {f: Counter() for f in quotas}, kept_cells={f: Counter() for f in quotas})
        """The sum over all windows before ``_first``: what a plan may know."""

    def share(self, name: str, counts: Mapping[Any, int]) -> None:
        """Want so many records of each value of a field; before any window is planned."""
        self.quotas[name] = counts
        self._known.cells[name], self._known.kept_cells[name] = Counter(), Counter()

    @property
    def planned_windows(self) -> int:
        """How many windows have been planned so far; the number of the next one."""
        return self._first + len(self._windows)

    def next_size(self) -> int:
        """Return how many draws the next window should have; 0 while verdicts must be waited for or N is reached.

        A window is planned from the verdicts of the windows before ``_first`` and from an expectation for those after.
        When the expectation already reaches N, one more window's verdicts are taken into account, and so on.
        """
        while len(self._windows) > self.lag:
            if not self._advance():
                return 0
        while self._expected() >= self.records:
            if not self._windows or not self._advance():
                return 0
        missing = self.records - self._expected()
        return min(self.size, math.ceil(missing / self._rate()))

    def share_out(self, size: int, random: Random) -> dict[str, list[Any]]:
        """Return, for each quota field, the values of the next window's draws: by deficit, in random order."""
        return {name: self._values(name, size, random) for name in self.quotas}

    def plan(self, draws: Sequence[Draw]) -> None:
        """Count a window that has been planned."""
        cells = {name: Counter(key(d.attributes.get(name)) for d in draws) for name in self.quotas}
        self._windows.append(WindowCount(draws, len(draws), cells))
        if self.cells:
            self.cells.plan(draws)

    def judge(self, number: int, ended: Sequence[Ended]) -> None:
        """Count the draws of window ``number``, all of which have been judged."""
        window = self._windows[number - self._first]
        kept = [each.record for each in ended if each.record is not None]
        window.ended, window.kept = ended, len(kept)
        window.kept_cells = {name: Counter(key(r.get(name)) for r in kept) for name in self.quotas}

    def _advance(self) -> bool:
        """Take the oldest window's verdicts into account; False if it has not been judged yet."""
        if self._windows[0].ended is None:
            return False
        window, known = self._windows.popleft(), self._known
        self._learn(window.ended or ())
        self._first += 1
        known.planned += window.planned
        known.kept += window.kept
        for name in self.quotas:
            known.cells[name] += window.cells[name]
            known.kept_cells[name] += window.kept_cells[name]
        return True

    def _learn(self, ended: Sequence[Ended]) -> None:
        """Have arms and cells learn; whether something was lacking is asked before it is counted."""
        if self.arms:
            self.arms.learn(ended, [self.cells is None or self.cells.lacking(each) for each in ended])
        if self.cells:
            self.cells.learn(ended)
        for learner in self.learners:
            learner(ended)

    def _rate(self) -> float:
        return acceptance(self._known.kept, self._known.planned)

    def _expected(self) -> float:
        """Return how many records the planned windows should yield."""
        return self._known.kept + self._rate() * sum(w.planned for w in self._windows)

    def _values(self, name: str, size: int, random: Random) -> list[Any]:
        """Share ``size`` draws among the values of a quota in proportion to what each still needs (largest remainder)."""
        needs = {value: self._need(name, value) for value in self.quotas[name]}
        if sum(needs.values()) <= 0:
            needs = {value: float(count) for value, count in self.quotas[name].items()}
        counts = largest_remainder(needs, size)
        values = [value for value, count in counts.items() for _ in range(count)]
        random.shuffle(values)
        return values

    def _need(self, name: str, value: Any) -> float:
        """Return how many more draws with this value are needed, at the acceptance this value has had."""
        cell = key(value)
        kept, judged = self._known.kept_cells[name][cell], self._known.cells[name][cell]
        rate = acceptance(kept, judged)
        waiting = sum(w.cells[name][cell] for w in self._windows)
        return max(0.0, (self.quotas[name][value] - kept) / rate - waiting)


def acceptance(kept: int, judged: int) -> float:
    """Return the share kept so far, smoothed towards 1 while little is known, and never below ``LEAST_RATE``."""
    return max(LEAST_RATE, (kept + 1) / (judged + 1))


def largest_remainder(shares: Mapping[Any, float], total: int) -> dict[Any, int]:
    """Round ``shares`` to whole numbers that add up to ``total`` (Hamilton's method; ties go to the earlier one)."""
    whole = sum(shares.values())
    exact = {value: share / whole * total for value, share in shares.items()}
    counts = {value: math.floor(number) for value, number in exact.items()}
    left = total - sum(counts.values())
    for value in sorted(exact, key=lambda v: counts[v] - exact[v])[:left]:
        counts[value] += 1
    return counts


def key(value: Any) -> Hashable:
    """Return something that can be counted for a JSON value; ``True``, ``1`` and ``"1"`` stay apart."""
    return value if isinstance(value, str) else (repr(value),)
