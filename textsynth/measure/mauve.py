"""MAUVE: the area under the divergence frontier of two sets of vectors, over clusters of both together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textsynth.measure.measured import Gate, Measured
from textsynth.measure.sampled import choose

Vectors = NDArray[np.float32]
Floats = NDArray[np.float64]
MOST = 5000
_VARIANCE = 0.9
_SCALE = 5.0
_POINTS = 25
_RESTARTS = 3
_ROUNDS = 20
_SLACK = 0.1
_FEWEST = 20


def mauve(
    synthetic: Vectors, train: Vectors, holdout: Vectors | None = None, *, most: int = MOST, seed: int = 0
) -> list[Measured]:
    """Return ``fidelity.text.mauve``, 0 to 1 (alike); vectors are n × d.

    Pillutla et al. 2021, MAUVE: Measuring the Gap: unit vectors, reduced to the axes that hold 90 % of the variance,
    clustered together (k-means, one cluster per ten texts of a set); between the two histograms the frontier
    ``exp(-5 KL)`` against all mixtures of both, and the area below it. The value is the median of three clusterings;
    ``low`` and ``high`` are the least and greatest of them. Few texts make it optimistic: read it beside real against
    real at the same size, and never alone (copies score best of all). Sets are brought to one size of ``most`` at most.
    """
    parts = [part for part in (synthetic, train, holdout) if part is not None]
    size = min(most, *map(len, parts))
    if size < _FEWEST:
        meaning = f"Not measured: every set needs at least {_FEWEST} texts."
        return [Measured(name="fidelity.text.mauve", value=None, size=size, meaning=meaning)]
    made, real, *others = [part[choose(len(part), size, seed=seed)] for part in parts]
    areas = _areas(made, real, seed)
    usual, gate, beside = None, None, ""
    if others:
        usual = float(np.median(_areas(others[0], real, seed).values))
        gate = Gate(low=usual - _SLACK, advice="The mix of kinds of texts differs: compare clusters and attributes.")
        beside = f"; real texts nobody used score {usual:.3f}"
    value = float(np.median(areas.values))
    return [
        Measured(
            name="fidelity.text.mauve",
            value=value,
            real=usual,
            size=size,
            low=min(areas.values),
            high=max(areas.values),
            gate=gate,
            meaning=f"MAUVE of synthetic and real texts is {value:.3f} of 1{beside} ({size:,} of each).",
            detail={"frontier": areas.frontier, "restarts": areas.values},
        )
    ]


@dataclass(frozen=True, slots=True)
class _Areas:
    """One area per restart, and the frontier of the first."""

    values: list[float]
    frontier: list[list[float]]


def _areas(made: Vectors, real: Vectors, seed: int) -> _Areas:
    points = _reduce(np.concatenate([real, made]))
    clusters = max(2, len(real) // 10)
    frontiers = []
    for restart in range(_RESTARTS):
        nearest = _cluster(points, clusters, np.random.default_rng([seed, restart]))
        histograms = [np.bincount(part, minlength=clusters) for part in np.split(nearest, [len(real)])]
        frontiers.append(_frontier(*(counts / counts.sum() for counts in histograms)))
    return _Areas([_area(points) for points in frontiers], frontiers[0].tolist())


def _reduce(vectors: Vectors) -> Vectors:
    """Return unit vectors on the principal axes that hold 90 % of their variance."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    centred = unit - unit.mean(axis=0)
    values, axes = np.linalg.eigh(centred.T @ centred)
    values, axes = np.maximum(values[::-1], 0), axes[:, ::-1]
    shares = np.cumsum(values) / max(float(values.sum()), 1e-12)
    return np.asarray(centred @ axes[:, : int(np.searchsorted(shares, _VARIANCE)) + 1], dtype=np.float32)


def _cluster(points: Vectors, clusters: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Return each point's cluster: k-means (Lloyd 1982) from points drawn at random; an empty cluster keeps its centre."""
    centres = points[random.choice(len(points), clusters, replace=False)]
    nearest = np.zeros(len(points), dtype=np.int64)
    for _ in range(_ROUNDS):
        before = nearest
        nearest = (points @ centres.T - (centres**2).sum(axis=1) / 2).argmax(axis=1)
        if np.array_equal(before, nearest):
            break
        counts = np.bincount(nearest, minlength=clusters)
        order = np.argsort(nearest, kind="stable")
        filled = np.flatnonzero(counts)
        starts = np.concatenate([[0], np.cumsum(counts[filled])[:-1]])
        centres = centres.copy()
        centres[filled] = np.add.reduceat(points[order], starts, axis=0) / counts[filled, None]
    return nearest


def _frontier(real: Floats, made: Floats) -> Floats:
    """Return points (x, y) of the divergence frontier, from (1, 0) side to (0, 1), in the order of the mixtures."""
    weights = np.linspace(1e-6, 1 - 1e-6, _POINTS)
    mixed = weights[:, None] * real + (1 - weights[:, None]) * made
    x, y = (np.exp(-_SCALE * _divergence(part, mixed)) for part in (made, real))
    return np.concatenate([[[1.0, 0.0]], np.column_stack([x, y]), [[0.0, 1.0]]])


def _divergence(part: Floats, mixed: Floats) -> Floats:
    """Return the Kullback-Leibler divergences from each mixture (rows) to a histogram."""
    some = part > 0
    found: Floats = np.sum(part[some] * np.log(part[some] / mixed[:, some]), axis=1)
    return found


def _area(frontier: Floats) -> float:
    order = np.lexsort((-frontier[:, 1], frontier[:, 0]))
    return float(np.trapezoid(frontier[order, 1], frontier[order, 0]))
