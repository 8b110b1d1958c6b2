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
from dataclasses import dataclass
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
MOST_PAIRS = 100
"""Pairs that are watched: those that say most about each other (mutual information)."""
WORST = 3
"""How many pairs are steered at a time: those farthest from what chance explains."""
TRUST = 4
"""As many answers as it takes to believe what was seen of a cell as much as what is usual."""
OVERSAMPLE = 4
"""Rows to choose from per draw; with many more, rows that are odd in several ways at once would be preferred."""
OTHER = ("(other)",)

Floats = NDArray[np.float64]


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


class Tally:
    """What became of one target's cells: counts by cell, cells the target does not have together at the end.

    Args:
        target: of one attribute or two.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.place = {cell: at for at, cell in enumerate(target.shares)}
        size = len(self.place) + 1
        self.shares = np.array([*target.shares.values(), 0.0])
        self.kept, self.waiting, self.asked = np.zeros(size), np.zeros(size), np.zeros(size)
        self.seen = np.zeros((size, size)) if len(target.names) == 1 else np.zeros(size)
        """How often asking for a cell (row) gave a kept record of a cell (column); of a pair, of the same cell."""

    def at(self, cell: Hashable) -> int:
        """Return the place of a cell."""
        return self.place.get(cell, len(self.place))

    def answer(self, asked: Hashable, seen: Hashable | None) -> None:
        """Count a draw that asked for a cell; ``seen`` is the cell of what was kept."""
        row = self.at(asked)
        self.waiting[row] -= 1
        self.asked[row] += 1
        if seen is None:
            return
        column = self.at(seen)
        self.kept[column] += 1
        if self.seen.ndim == 2:
            self.seen[row, column] += 1
        else:
            self.seen[row] += row == column

    def chances(self, usual: float) -> Floats:
        """Return the chance that asking for a cell (row) gives a kept record of a cell (column); of a pair, of that cell.

        Little evidence is drawn towards getting what was asked for with the ``usual`` chance.
        """
        prior = TRUST * usual * (np.eye(len(self.asked)) if self.seen.ndim == 2 else np.ones(len(self.asked)))
        total = self.asked + TRUST
        found: Floats = (self.seen + prior) / (total[:, None] if self.seen.ndim == 2 else total)
        return found

    def expected(self, chances: Floats) -> Floats:
        """Return how many kept records each cell should have when what is under way has ended."""
        coming = self.waiting @ chances if chances.ndim == 2 else self.waiting * chances
        found: Floats = self.kept + coming
        return found


@dataclass(frozen=True, slots=True)
class Gap:
    """One cell that has too few or too many records: names and cell as text, the number wanted by now, the number kept."""

    cell: str
    wanted: float
    got: int


class Wanted:
    """The targets: of each attribute, and of the pairs that are watched.

    Args:
        rows: many rows drawn from the distribution wanted (attribute → value); their shares are the targets.
    """

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        names = list(rows[0]) if rows else []
        self.targets = [target for name in names if len((target := one_way(name, rows)).shares) > 1]
        self.pairs = strongest(self.targets, rows)


class Cells:
    """Deficits by cell, and the choice of rows by them.

    Args:
        wanted: the targets.
    """

    def __init__(self, wanted: Wanted) -> None:
        self.targets, self.pairs = wanted.targets, wanted.pairs
        self._by_name = {target.names[0]: target for target in self.targets}
        self._tallies = {target.names: Tally(target) for target in (*self.targets, *self.pairs)}
        self._judged = self._kept = 0

    @property
    def kept(self) -> int:
        """How many kept records are counted."""
        return self._kept

    def plan(self, draws: Sequence[Draw]) -> None:
        """Count draws that are under way."""
        for draw in draws:
            for target, cell in self._cells(draw.attributes):
                tally = self._tallies[target.names]
                tally.waiting[tally.at(cell)] += 1

    def learn(self, ended: Sequence[Ended]) -> None:
        """Count draws that were judged, which ``plan`` counted before."""
        self._judged += len(ended)
        for each in ended:
            kept = each.record is not None
            self._kept += kept
            seen = {t.names: c for t, c in self._cells({**each.draw.attributes, **each.observed})} if kept else {}
            for target, cell in self._cells(each.draw.attributes):
                self._tallies[target.names].answer(cell, seen.get(target.names))

    def choose(self, rows: Sequence[Mapping[str, Any]], count: int) -> list[int]:
        """Return which ``count`` of the rows to ask for next, in order: those that bring the cells closest to the target.

        Greedy: each choice lowers most the sum over targets of the squared distance between what is kept or expected and
        what is wanted, each cell's by its share (Pearson's chi-squared by the number of cells). What asking for a cell
        gives is expected as it was seen so far, so that a model's own preferences are made up for.
        """
        usual = (self._kept + 1) / (self._judged + 1)
        tallies = [self._tallies[target.names] for target in (*self.targets, *self.worst())]
        chances = [tally.chances(usual) for tally in tallies]
        now = [tally.expected(chance) for tally, chance in zip(tallies, chances, strict=True)]
        goal = max(float(each.sum()) for each in now) + count * usual if now else 0.0
        asked = [np.array([tally.at(self._cell(tally.target, row)) for row in rows]) for tally in tallies]
        free, chosen = np.ones(len(rows), dtype=bool), list[int]()
        for _ in range(min(count, len(rows))):
            worth = np.zeros(len(rows))
            for tally, chance, kept, cells in zip(tallies, chances, now, asked, strict=True):
                worth += gain(tally, chance, kept, goal)[cells]
            at = int(np.where(free, worth, -np.inf).argmax())
            free[at] = False
            chosen.append(at)
            for chance, kept, cells in zip(chances, now, asked, strict=True):
                if chance.ndim == 2:
                    kept += chance[cells[at]]
                else:
                    kept[cells[at]] += chance[cells[at]]
        return sorted(chosen)

    def lacking(self, each: Ended) -> bool:
        """Return whether a kept record lies in a cell that had too few, of what was seen in it."""
        values = each.observed or each.draw.attributes
        cells = [(t, t.cell(values[t.names[0]])) for t in self.targets if t.names[0] in values]
        return any(self._count(t, cell) < t.shares.get(cell, 0) * (self._kept + 1) for t, cell in cells)

    def _count(self, target: Target, cell: Hashable) -> int:
        tally = self._tallies[target.names]
        return int(tally.kept[tally.at(cell)])

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
        tally = self._tallies[target.names]
        return float(np.abs(tally.kept / max(self._kept, 1) - tally.shares).sum() / 2)

    def gaps(self, most: int = 10) -> list[Gap]:
        """Return the cells of one attribute that are farthest from what is wanted by now."""
        found = [
            Gap(f"{target.names[0]} = {shown(target, cell)}", share * self._kept, self._count(target, cell))
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


def gain(tally: Tally, chances: Floats, kept: Floats, goal: float) -> Floats:
    """Return, by cell, how much asking for it lowers the target's distance: the squared differences by share and cells."""
    weight = 1 / ((tally.shares + 1 / max(goal, 1)) * len(tally.shares))
    short = (goal * tally.shares - kept) * weight
    if chances.ndim == 2:
        found: Floats = 2 * chances @ short - chances**2 @ weight
        return found
    return 2 * chances * short - chances**2 * weight


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


def strongest(targets: Sequence[Target], rows: Sequence[Mapping[str, Any]]) -> list[Target]:
    """Return the cells of two attributes together, for the ``MOST_PAIRS`` pairs that say most about each other."""
    tallies = [Tally(target) for target in targets]
    codes = [np.array([t.at(t.target.cell(row.get(t.target.names[0]))) for row in rows]) for t in tallies]
    found = []
    for a, b in itertools.combinations(range(len(targets)), 2):
        width = len(tallies[b].shares)
        if len(targets[a].shares) * len(targets[b].shares) <= MOST_PAIRED:
            joint, counts = np.unique(codes[a] * width + codes[b], return_counts=True)
            shares, (one, other) = counts / len(rows), np.divmod(joint, width)
            said = float(shares @ np.log(shares / (tallies[a].shares[one] * tallies[b].shares[other])))
            found.append((-said, a, b, one, other, shares))
    return [
        pair_of(targets[a], targets[b], one, other, shares)
        for _, a, b, one, other, shares in sorted(found, key=lambda each: each[:3])[:MOST_PAIRS]
    ]


def pair_of(a: Target, b: Target, one: Any, other: Any, shares: Floats) -> Target:
    """Return the target of two attributes from the places of their cells and the share of each pair."""
    first, second = list(a.shares), list(b.shares)
    cells: dict[Hashable, float] = {(first[i], second[j]): float(p) for i, j, p in zip(one, other, shares, strict=True)}
    return Target((a.names[0], b.names[0]), cells)


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
