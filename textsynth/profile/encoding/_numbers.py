"""Numbers: frequent ones are codes of their own (spikes), the others share bins of equal mass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textsynth.profile.encoding._values import Codes, Floats, objects, shares, short

SPIKE = 0.02
"""Share of the rows from which on a number is a code of its own, whatever the others are."""
SPIKES = 1024
"""Most spikes below that share; they are taken if they make up half of the column's other rows."""
BINS = 100
"""Most bins of what is no spike; each has at least ``BIN`` rows."""
BIN = 25
PARTS = 5
"""Into how many parts of equal mass a bin is divided when a value is drawn from it."""
DECIMALS = 8


@dataclass(frozen=True, slots=True)
class Scale:
    """The grid on which a field's numbers lie: ``size / 10 ** decimals`` apart; ``size`` 0 is no grid."""

    size: int
    decimals: int
    whole: bool

    @classmethod
    def fit(cls, values: Floats, kind: str, step: float | None) -> Scale:
        """Return the coarsest grid that holds all values; none if they have more than ``DECIMALS`` decimals."""
        whole = kind == "integer" or (kind == "datetime" and bool(np.all(values == np.floor(values))))
        if step is not None:
            decimals = max(0, -int(Decimal(repr(step)).normalize().as_tuple().exponent))
            return cls(round(step * 10**decimals), decimals, whole)
        if not np.abs(values).max(initial=0.0) < 2**53:
            return cls(0, 0, whole)
        for decimals in range(DECIMALS + 1):
            scaled = values * 10**decimals
            if np.all(np.abs(scaled - np.rint(scaled)) <= 1e-9 * np.maximum(1.0, np.abs(scaled))):
                return cls(int(np.gcd.reduce(np.rint(scaled).astype(np.int64), initial=0)) or 1, decimals, whole)
        return cls(0, 0, whole)

    def steps(self, values: Floats) -> Floats:
        """Return the values as numbers of steps (as they are without a grid)."""
        return np.rint(values * (10**self.decimals / self.size)) if self.size else values

    def values(self, steps: Floats) -> Floats:
        """Invert :meth:`steps`."""
        return np.round(steps * self.size / 10**self.decimals, self.decimals) if self.size else steps

    def plain(self, values: Floats) -> list[Any]:
        """Return the values as Python numbers: whole ones as ``int``."""
        return list((values.astype(np.int64) if self.whole else values).tolist())


@dataclass(frozen=True, slots=True)
class Numbers:
    """Spikes and bins in the order of their size.

    Args:
        scale: the field's grid.
        spikes: the numbers that are codes of their own, ascending, in steps.
        knots: (bins, PARTS + 1): where the parts of each bin end, in steps, the spikes taken out of the count.
        weights: share of each code.
        turn: for each code its place in ``spikes``, or ``-1 - place`` in ``knots``.
        codes: the inverse: the code of each spike, then of each bin.
    """

    scale: Scale
    spikes: Floats
    knots: Floats
    weights: Floats
    turn: NDArray[np.int64] = field(repr=False)
    codes: NDArray[np.int64] = field(repr=False)

    @classmethod
    def of(cls, scale: Scale, spikes: Floats, knots: Floats, weights: Floats) -> Numbers:
        """Put spikes and bins in order. ``weights`` are in the order of the codes, or spikes first and in no order."""
        where = np.concatenate([spikes, _with_spikes(knots[:, PARTS // 2], spikes, scale)])
        order = np.argsort(where, kind="stable")
        codes = np.empty(len(order), dtype=np.int64)
        codes[order] = np.arange(len(order))
        turn = np.where(order < len(spikes), order, len(spikes) - 1 - order)
        return cls(scale, spikes, knots, weights, turn, codes)

    @classmethod
    def fit(
        cls, values: Sequence[Any], kind: str, *, owners: Sequence[Any] | None, step: float | None, least: int
    ) -> Numbers:
        """Find step, spikes and bins."""
        numbers = np.array(values, dtype=np.float64)
        scale = Scale.fit(numbers, kind, step)
        steps = scale.steps(numbers)
        ids = (
            np.arange(len(steps))
            if owners is None
            else np.unique(objects(list(map(str, owners))), return_inverse=True)[1]
        )
        spikes = _spikes(steps, ids, least)
        rest = ~np.isin(steps, spikes)
        knots = _knots(_without_spikes(steps[rest], spikes, scale), ids[rest], least, scale)
        made = cls.of(scale, spikes, knots, np.empty(0))
        counts = np.bincount(made._encode(steps), minlength=made.card).astype(np.float64) if made.card else np.empty(0)
        return cls.of(scale, spikes, knots, counts / max(counts.sum(), 1.0))

    @property
    def card(self) -> int:
        """Number of codes."""
        return len(self.spikes) + len(self.knots)

    @property
    def ordered(self) -> bool:
        """Always: the codes follow the size."""
        return True

    def labels(self) -> list[str]:
        """The spikes, and the bins as ``17 … 21``."""
        spikes = self.scale.plain(self.scale.values(self.spikes))
        ends = self.scale.values(_with_spikes(self.knots[:, [0, -1]] + [[0.5, -0.5]], self.spikes, self.scale))
        return [
            f"{spikes[turn]:g}" if turn >= 0 else "{:.10g} … {:.10g}".format(*ends[-1 - turn]) for turn in self.turn
        ]

    def encode(self, values: Sequence[Any]) -> Codes:
        """Return the codes, int32 (n,): of the spike, else of the bin, else the nearest."""
        if not self.card:
            return np.full(len(values), -1, dtype=np.int32)
        return self._encode(self.scale.steps(np.array(values, dtype=np.float64)))

    def _encode(self, steps: Floats) -> Codes:
        if len(self.knots):
            ranks = _without_spikes(steps, self.spikes, self.scale)
            codes = self.codes[len(self.spikes) + np.searchsorted(self.knots[1:, 0], ranks, side="right")]
        else:
            middles = (self.spikes[1:] + self.spikes[:-1]) / 2
            codes = self.codes[np.searchsorted(middles, steps)]
        if len(self.spikes):
            place = np.minimum(np.searchsorted(self.spikes, steps), len(self.spikes) - 1)
            codes = np.where(self.spikes[place] == steps, self.codes[place], codes)
        return codes.astype(np.int32)

    def decode(self, codes: Codes, random: np.random.Generator) -> list[Any]:
        """Return one number per code."""
        turn = self.turn[codes]
        steps = self.spikes[np.maximum(turn, 0)] if len(self.spikes) else np.zeros(len(turn))
        binned = np.flatnonzero(turn < 0)
        if len(binned):
            part = random.random(len(binned)) * PARTS
            row, left = -1 - turn[binned], part.astype(np.int64)
            low, high = self.knots[row, left], self.knots[row, left + 1]
            ranks = low + (part - left) * (high - low)
            if self.scale.size:
                ranks = np.clip(np.rint(ranks), np.ceil(self.knots[row, 0]), np.floor(self.knots[row, -1]))
            steps[binned] = _with_spikes(ranks, self.spikes, self.scale)
        return self.scale.plain(self.scale.values(steps))

    def as_data(self) -> dict[str, Any]:
        """Return it as JSON values."""
        scale = [self.scale.size, self.scale.decimals, self.scale.whole]
        numbers = {"spikes": self.spikes.tolist(), "knots": self.knots.tolist(), "weights": short(self.weights)}
        return {"scale": scale} | numbers

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Numbers:
        """Make it from what :meth:`as_data` returned."""
        knots = np.array(data["knots"], dtype=np.float64).reshape(-1, PARTS + 1)
        spikes = np.array(data["spikes"], dtype=np.float64)
        return cls.of(Scale(*data["scale"]), spikes, knots, shares(data["weights"]))


def _spikes(steps: Floats, ids: NDArray[np.int64], least: int) -> Floats:
    """Return the numbers that become codes of their own, ascending."""
    values, inverse, counts = np.unique(steps, return_inverse=True, return_counts=True)
    pairs = np.unique(np.stack([inverse, ids], axis=1), axis=0)
    safe = np.bincount(pairs[:, 0], minlength=len(values)) >= max(least, 1)
    large = safe & (counts >= SPIKE * len(steps))
    frequent = safe & ~large
    others = counts[~large].sum()
    if frequent.sum() <= SPIKES and counts[frequent].sum() >= others / 2:
        large |= frequent
    return np.asarray(values[large], dtype=np.float64)


def _without_spikes(steps: Floats, spikes: Floats, scale: Scale) -> Floats:
    """Count the steps as if the spikes were not there: a bin then has no place for one."""
    return steps - np.searchsorted(spikes, steps) if scale.size else steps


def _with_spikes(ranks: Floats, spikes: Floats, scale: Scale) -> Floats:
    """Invert :func:`_without_spikes`."""
    return ranks + np.searchsorted(spikes - np.arange(len(spikes)), ranks, side="right") if scale.size else ranks


def _knots(ranks: Floats, ids: NDArray[np.int64], least: int, scale: Scale) -> Floats:
    """Return where bins of equal mass, and their parts, begin and end. No end is a value; few rows make no bin."""
    order = np.argsort(ranks, kind="stable")
    ranks, ids = ranks[order], ids[order]
    safe = max(least, 1)
    low, high = _reach(ids, safe), len(ids) - _reach(ids[::-1], safe)
    if low >= high:
        return np.empty((0, PARTS + 1))
    bins = int(np.clip(len(ranks) // BIN, 1, BINS))
    ends = _between(ranks, np.linspace(0, len(ranks), bins + 1)[1:-1], scale)
    ends = np.unique(np.concatenate([[_between(ranks, [low], scale)[0]], ends, [_between(ranks, [high], scale)[0]]]))
    counts = np.diff(np.searchsorted(ranks, ends))
    ends = np.concatenate([ends[:-1][counts >= safe], ends[-1:]])
    places = np.searchsorted(ranks, ends).astype(np.float64)
    parts = places[:-1, None] + np.diff(places)[:, None] * np.linspace(0, 1, PARTS + 1)
    knots = _between(ranks, parts.ravel(), scale).reshape(parts.shape)
    knots[:, 0], knots[:, -1] = ends[:-1], ends[1:]
    return np.maximum.accumulate(np.minimum(knots, ends[1:, None]), axis=1)


def _reach(ids: NDArray[np.int64], least: int) -> int:
    """Return how many rows it takes from the start to meet ``least`` different units."""
    firsts = np.sort(np.unique(ids, return_index=True)[1])
    return int(firsts[least - 1]) if len(firsts) >= least else len(ids)


def _between(ranks: Floats, places: Sequence[float] | Floats, scale: Scale) -> Floats:
    """Return a point between the rows before and after each place; half a step on where both have one value."""
    right = np.clip(np.rint(np.asarray(places)).astype(np.int64), 1, max(len(ranks) - 1, 1))
    middle = (ranks[right - 1] + ranks[np.minimum(right, len(ranks) - 1)]) / 2
    return np.asarray(np.floor(middle) + 0.5 if scale.size else middle)
