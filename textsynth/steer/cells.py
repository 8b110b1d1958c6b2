"""Cells: where the kept records differ from the distribution wanted, and which drawn rows would fill the gaps.

A cell is one value (or range of values) of one attribute, or of two together. What a text turned out to be (its embedding
cluster, its length) counts by what was seen in it, not by what was asked for; how often asking for a cell gives a kept
record of that cell is learnt, so that what is hard to get is asked for more often.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from textsynth.records import Draw

if TYPE_CHECKING:
    from textsynth.steer.counts import Ended

RANGES = 10
"""Into how many ranges of equal mass numbers are divided."""
MOST_VALUES = 100
"""Values of one attribute that are told apart; the rarer ones are one cell together."""
MOST_PAIRED = 1600
"""Cells of two attributes together; pairs with more are not steered."""
WORST = 3
"""How many pairs are steered at a time: those farthest from what chance explains."""
HORIZON = 4
"""Within how many windows a gap should be filled."""
LEAST_HIT = 0.05
"""The chance of getting what is asked for, at worst."""
OVERSAMPLE = 8
"""Rows to choose from per draw."""
OTHER = ("(other)",)


@dataclass(frozen=True, slots=True)
class Target:
    """The cells of one attribute (or of two) and the share of each in what is wanted.

    ``edges`` are the limits between ranges of a number, ``None`` for values that count one by one.
    """

    names: tuple[str, ...]
    shares: Mapping[Hashable, float]
    edges: tuple[float, ...] | None = None

    def cell(self, value: Any) -> Hashable:
        """Return the cell of one attribute's value."""
        if self.edges is not None and isinstance(value, int | float) and not isinstance(value, bool):
            return bisect_right(self.edges, value)
        found = value if isinstance(value, str) else (repr(value),)
        return found if self.edges is not None or found in self.shares else OTHER


@dataclass(slots=True)
class Tally:
    """How often a target's cells were asked for and judged, got, seen in kept records, and are still waited for."""

    asked: Counter[Hashable] = field(default_factory=Counter)
    hit: Counter[Hashable] = field(default_factory=Counter)
    kept: Counter[Hashable] = field(default_factory=Counter)
    waiting: Counter[Hashable] = field(default_factory=Counter)

    def chance(self, cell: Hashable, usual: float) -> float:
        """Return how often asking for this cell gave a kept record of it, drawn towards the ``usual`` chance."""
        return max(LEAST_HIT, (self.hit[cell] + 4 * usual) / (self.asked[cell] + 4))


@dataclass(frozen=True, slots=True)
class Gap:
    """One cell that has too few or too many records: names and cell as text, the number wanted by now, the number kept."""

    cell: str
    wanted: float
    got: int


class Cells:
    """Deficits by cell, and the choice of rows by them.

    Args:
        rows: many rows drawn from the distribution wanted (attribute → value); their shares are the target.
        records: how many kept records are wanted.
        size: draws in a full window.
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]], *, records: int, size: int) -> None:
        self.records, self.size = records, size
        names = list(rows[0]) if rows else []
        self.targets = [target for name in names if len((target := one_way(name, rows)).shares) > 1]
        self.pairs = [
            pair
            for one, other in itertools.combinations(self.targets, 2)
            if len(one.shares) * len(other.shares) <= MOST_PAIRED
            for pair in [two_way(one, other, rows)]
        ]
        self._by_name = {target.names[0]: target for target in self.targets}
        self._tallies = {target.names: Tally() for target in (*self.targets, *self.pairs)}
        self._judged = self._kept = self._planned = 0

    @property
    def kept(self) -> int:
        """How many kept records are counted."""
        return self._kept

    def plan(self, draws: Sequence[Draw]) -> None:
        """Count draws that are under way."""
        self._planned += len(draws)
        for draw in draws:
            for target, cell in self._cells(draw.attributes):
                self._tallies[target.names].waiting[cell] += 1

    def learn(self, ended: Sequence[Ended]) -> None:
        """Count draws that were judged, which ``plan`` counted before."""
        self._judged += len(ended)
        for each in ended:
            kept = each.record is not None
            self._kept += kept
            seen = {t.names: c for t, c in self._cells({**each.draw.attributes, **each.observed})} if kept else {}
            for target, cell in self._cells(each.draw.attributes):
                tally = self._tallies[target.names]
                tally.waiting[cell] -= 1
                tally.asked[cell] += 1
                tally.hit[cell] += seen.get(target.names) == cell
            for names, cell in seen.items():
                self._tallies[names].kept[cell] += 1

    def choose(self, rows: Sequence[Mapping[str, Any]], count: int, random: Random) -> list[int]:
        """Return which ``count`` of the rows to ask for next, in order: with a chance by what their cells lack.

        Weighted sampling without replacement (Efraimidis and Spirakis 2006).
        """
        weigh = [(target, self._ratios(target)) for target in (*self.targets, *self.worst())]
        keys = []
        for at, row in enumerate(rows):
            weight = math.prod(ratios.get(self._cell(target, row), 1.0) for target, ratios in weigh)
            keys.append((math.log(random.random() or 1e-300) / min(max(weight, 0.02), 50.0), at))
        return sorted(at for _, at in sorted(keys, reverse=True)[:count])

    def lacking(self, each: Ended) -> bool:
        """Return whether a kept record lies in a cell that had too few, of what was seen in it."""
        values = each.observed or each.draw.attributes
        cells = [(t, t.cell(values[t.names[0]])) for t in self.targets if t.names[0] in values]
        return any(self._tallies[t.names].kept[cell] < t.shares.get(cell, 0) * (self._kept + 1) for t, cell in cells)

    def worst(self) -> list[Target]:
        """Return the pairs farthest from the target beyond what chance explains, the worst first."""
        apart = sorted(((self.excess(pair), pair.names) for pair in self.pairs), reverse=True)
        chosen = [names for excess, names in apart[:WORST] if excess > 0]
        return [pair for names in chosen for pair in self.pairs if pair.names == names]

    def excess(self, target: Target) -> float:
        """Return the total variation distance of the kept records from the target, less what a fair sample would have."""
        return self.distance(target) - chance_distance(target.shares.values(), self._kept)

    def distance(self, target: Target) -> float:
        """Return the total variation distance between kept records and target, 0 to 1."""
        kept, total = self._tallies[target.names].kept, max(self._kept, 1)
        apart = sum(abs(kept[cell] / total - share) for cell, share in target.shares.items())
        outside = sum(count for cell, count in kept.items() if cell not in target.shares) / total
        return (apart + outside) / 2

    def gaps(self, most: int = 10) -> list[Gap]:
        """Return the cells of one attribute that are farthest from what is wanted by now."""
        found = [
            Gap(
                f"{target.names[0]} = {shown(target, cell)}", share * self._kept, self._tallies[target.names].kept[cell]
            )
            for target in self.targets
            for cell, share in target.shares.items()
        ]
        return sorted(found, key=lambda gap: -abs(gap.wanted - gap.got))[:most]

    def indicators(self, rows: Sequence[Mapping[str, Any]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return which cells of one attribute each row lies in (n × cells) and the share wanted of each cell.

        Both are scaled so that the squared distance of a mean from the shares is the attributes' mean squared distance.
        """
        scale = 1 / math.sqrt(max(len(self.targets), 1))
        wanted = [share * scale for target in self.targets for share in target.shares.values()]
        found = np.zeros((len(rows), len(wanted)), dtype=np.float32)
        first = 0
        for target in self.targets:
            place = {cell: first + at for at, cell in enumerate(target.shares)}
            for at, row in enumerate(rows):
                if (column := place.get(target.cell(row.get(target.names[0])))) is not None:
                    found[at, column] = scale
            first += len(target.shares)
        return found, np.array(wanted, dtype=np.float32)

    def _ratios(self, target: Target) -> dict[Hashable, float]:
        """Return, by cell, how much more often than by its share it should be asked for."""
        tally = self._tallies[target.names]
        usual = (sum(tally.hit.values()) + 1) / (sum(tally.asked.values()) + 1)
        waited = sum(count * tally.chance(cell, usual) for cell, count in tally.waiting.items())
        goal = min(max(self.records, 1), self._kept + waited + HORIZON * self.size * usual)
        needs = {}
        for cell, share in target.shares.items():
            chance = tally.chance(cell, usual)
            needs[cell] = max(0.0, share * goal - tally.kept[cell] - tally.waiting[cell] * chance) / chance
        total, most = sum(needs.values()), 8.0 if len(target.names) == 1 else 3.0
        if total <= 0:
            return {}
        return {c: min(max(need / total / target.shares[c], 1 / most), most) for c, need in needs.items()}

    def _cells(self, values: Mapping[str, Any]) -> list[tuple[Target, Hashable]]:
        single = {n: t.cell(values[n]) for n, t in self._by_name.items() if n in values}
        found: list[tuple[Target, Hashable]] = [(self._by_name[name], cell) for name, cell in single.items()]
        for pair in self.pairs:
            one, other = pair.names
            if one in single and other in single:
                found.append((pair, (single[one], single[other])))
        return found

    def _cell(self, target: Target, row: Mapping[str, Any]) -> Hashable:
        cells = tuple(self._by_name[name].cell(row.get(name)) for name in target.names)
        return cells[0] if len(cells) == 1 else cells


def one_way(name: str, rows: Sequence[Mapping[str, Any]]) -> Target:
    """Return the cells of one attribute: ranges of equal mass for a number of many values, else its values."""
    values = [row.get(name) for row in rows]
    numbers = sorted(v for v in values if isinstance(v, int | float) and not isinstance(v, bool))
    if len(set(numbers)) > MOST_VALUES // 2:
        at = [numbers[len(numbers) * part // RANGES] for part in range(1, RANGES)]
        open_target = Target((name,), {}, tuple(dict.fromkeys(at)))
    else:
        common = Counter(v if isinstance(v, str) else (repr(v),) for v in values).most_common(MOST_VALUES)
        open_target = Target((name,), dict.fromkeys((cell for cell, _ in common), 0.0))
    counts = Counter(open_target.cell(value) for value in values)
    return Target((name,), {c: n / len(values) for c, n in sorted(counts.items(), key=repr)}, open_target.edges)


def two_way(one: Target, other: Target, rows: Sequence[Mapping[str, Any]]) -> Target:
    """Return the cells of two attributes together."""
    counts: Counter[Hashable] = Counter(
        (one.cell(row.get(one.names[0])), other.cell(row.get(other.names[0]))) for row in rows
    )
    shares = {cell: count / len(rows) for cell, count in sorted(counts.items(), key=repr)}
    return Target((one.names[0], other.names[0]), shares)


def chance_distance(shares: Any, size: int) -> float:
    """Return the total variation distance that a fair sample of ``size`` has on average (multinomial, normal limit)."""
    return 0.5 * sum(math.sqrt(2 / math.pi * p * (1 - p) / max(size, 1)) for p in shares)


def chance_spread(shares: Any, size: int) -> float:
    """Return the standard error of the total variation distance of a sample of ``size`` (multinomial, normal limit)."""
    return 0.5 * math.sqrt((1 - 2 / math.pi) * sum(p * (1 - p) for p in shares) / max(size, 1))


def shown(target: Target, cell: Hashable) -> str:
    """Return a cell as a person reads it."""
    if target.edges is not None and isinstance(cell, int):
        low = "" if cell == 0 else f"{target.edges[cell - 1]:g}"
        high = "" if cell >= len(target.edges) else f"{target.edges[cell]:g}"
        return f"[{low}, {high})"
    return str(cell[0]) if isinstance(cell, tuple) else str(cell)
