"""p(rest | fixed): the columns in sequence, weighted by how likely each fixed value is after what was drawn before it.

Sequential importance resampling (Gordon, Salmond and Smith 1993): many particles a row, each drawn in column order; at a
fixed column a particle's weight is the probability of the fixed code, and the particles of a row are drawn anew by their
weights. Rows with the same fixed codes share their particles. Columns that are fixed and drawn first need none of this.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from textsynth.profile.encoding import Codes, Floats
from textsynth.profile.trees._forest import Forest
from textsynth.profile.trees._growing import Ints

PARTICLES = 64
"""Least particles for each row."""
POOL = 2_000
"""Least particles for rows with the same fixed codes."""
MOST = 200_000
"""Most of them at a time; a condition of many rows is drawn in several goes."""
GENERATION = 250_000


def draw(forests: Sequence[Forest], order: Sequence[int], codes: Codes, random: np.random.Generator) -> Codes:
    """Fill the free cells (-1) of ``codes``, int32 (n, d); forests are in the order of the columns."""
    filled = codes.copy()
    direct = ~_needs_weights(codes, order)
    filled[direct] = _in_sequence(forests, order, codes[direct], random)
    rest = np.flatnonzero(~direct)
    if not len(rest):
        return filled
    patterns, which = np.unique(codes[rest], axis=0, return_inverse=True)
    counts = np.bincount(which.ravel(), minlength=len(patterns))
    sizes = np.clip(counts * PARTICLES, POOL if len(patterns) <= 50 else PARTICLES, max(MOST, 1))
    drawn = np.empty((len(rest), codes.shape[1]), dtype=np.int32)
    place = np.argsort(which.ravel(), kind="stable")
    starts = np.concatenate([[0], np.cumsum(counts)])
    for first, last in _batches(sizes):
        rows = place[starts[first] : starts[last]]
        particles = _weighted(forests, order, patterns[first:last], sizes[first:last], random)
        ends = np.cumsum(sizes[first:last])
        for i in range(first, last):
            own = particles[ends[i - first] - sizes[i] : ends[i - first]]
            chosen = random.choice(len(own), size=counts[i], replace=bool(counts[i] > len(own)))
            drawn[rows[starts[i] - starts[first] : starts[i + 1] - starts[first]]] = own[chosen]
    filled[rest] = drawn
    return filled


def _needs_weights(codes: Codes, order: Sequence[int]) -> NDArray[np.bool_]:
    """Return which rows have a fixed column after a free one."""
    fixed = codes[:, list(order)] >= 0
    return np.asarray((fixed[:, 1:] & ~np.logical_and.accumulate(fixed, axis=1)[:, :-1]).any(axis=1))


def _in_sequence(forests: Sequence[Forest], order: Sequence[int], codes: Codes, random: np.random.Generator) -> Codes:
    codes = codes.copy()
    for column in order:
        free = np.flatnonzero(codes[:, column] < 0)
        if len(free) == len(codes):
            codes[:, column] = forests[column].draw(codes, random)
        elif len(free):
            codes[free, column] = forests[column].draw(codes[free], random)
    return codes


def _batches(sizes: Ints) -> list[tuple[int, int]]:
    """Cut the patterns into runs of at most ``GENERATION`` particles, one pattern at least."""
    runs, first, total = [], 0, 0
    for i, size in enumerate(sizes.tolist()):
        if i > first and total + size > GENERATION:
            runs.append((first, i))
            first, total = i, 0
        total += size
    return [*runs, (first, len(sizes))]


def _weighted(
    forests: Sequence[Forest], order: Sequence[int], patterns: Codes, sizes: Ints, random: np.random.Generator
) -> Codes:
    """Return particles of each pattern, one after the other, all of equal weight."""
    fixed = np.repeat(patterns, sizes, axis=0)
    owner = np.repeat(np.arange(len(patterns)), sizes)
    last = max((place for place, column in enumerate(order) if (patterns[:, column] >= 0).any()), default=-1)
    codes, logs = fixed.copy(), np.zeros(len(fixed))
    for place, column in enumerate(order):
        given = fixed[:, column] >= 0
        codes[~given, column] = forests[column].draw(codes[~given], random)
        if given.any():
            share = forests[column].likelihood(codes[given], fixed[given, column], random)
            logs[given] += np.log(np.maximum(share, 1e-12))
            chosen = _resample(logs, owner, sizes, random, always=place == last)
            codes, logs = codes[chosen], np.where(chosen == np.arange(len(chosen)), logs, 0.0)
            logs = _level(logs, chosen, owner, len(sizes))
    return codes


def _level(logs: Floats, chosen: Ints, owner: Ints, patterns: int) -> Floats:
    """Set the weights of patterns that were drawn anew back to equal."""
    renewed = np.bincount(owner, weights=chosen != np.arange(len(chosen)), minlength=patterns) > 0
    return np.where(renewed[owner], 0.0, logs)


def _resample(logs: Floats, owner: Ints, sizes: Ints, random: np.random.Generator, *, always: bool) -> Ints:
    """Return which particle takes each place: drawn by weight (systematic) where few of a pattern's carry it all."""
    starts = np.cumsum(sizes) - sizes
    weights = np.exp(logs - np.maximum.reduceat(logs, starts)[owner])
    total = np.add.reduceat(weights, starts)
    effective = total**2 / np.add.reduceat(weights**2, starts)
    sums = np.cumsum(weights / total[owner])
    before = np.concatenate([[0.0], sums])[starts]
    rank = np.arange(len(owner)) - starts[owner]
    points = before[owner] + (rank + random.random(len(sizes))[owner]) / sizes[owner] * (1 - 1e-9)
    chosen = np.clip(np.searchsorted(sums, points), starts[owner], (starts + sizes - 1)[owner])
    renews = (effective < sizes * (1.0 if always else 0.5))[owner]
    return np.where(renews, chosen, np.arange(len(owner)))
