"""How far apart two sets of vectors are as a whole: Fréchet distance and MMD, each beside what real data scores."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from textsynth.measure.measured import Gate, Measured
from textsynth.measure.neighbourhood import squares_of
from textsynth.measure.sampled import SURE, around, choose

Vectors = NDArray[np.float32]
Floats = NDArray[np.float64]
MOST = 20_000
_KERNEL_MOST = 2000
_FOLDS = 10
_RATIO = 1.25


def frechet(
    synthetic: Vectors, train: Vectors, holdout: Vectors | None = None, *, most: int = MOST, seed: int = 0
) -> list[Measured]:
    """Return ``fidelity.text.frechet`` and ``fidelity.text.mmd``; vectors are n × d.

    Fréchet distance of two normal distributions (Heusel et al. 2017, TTUR; Dowson and Landau 1982): ``|μ₁-μ₂|² +
    tr(Σ₁+Σ₂-2(Σ₁Σ₂)^½)``. It is biased upwards for few vectors, so only its ratio to real against real at the same size
    says anything: that is what is gated. MMD² (Gretton et al. 2012, A Kernel Two-Sample Test, unbiased, normal kernel
    as wide as the median distance between real texts) informs only. All sets are brought to one size, ``most`` at most
    and 2,000 for MMD. The Fréchet distance's interval is jackknifed over ten parts. Sets of fewer than 20 vectors give
    values of ``None``.
    """
    parts = [part for part in (synthetic, train, holdout) if part is not None]
    size = min(most, *map(len, parts))
    if size < 2 * _FOLDS:
        meaning = f"Not measured: every set needs at least {2 * _FOLDS} texts."
        return [Measured(name=f"fidelity.text.{n}", value=None, size=size, meaning=meaning) for n in ("frechet", "mmd")]
    made, real, *others = [part[choose(len(part), size, seed=seed)] for part in parts]
    return [_frechet(made, real, others), _mmd(made, real, others, seed)]


def _frechet(made: Vectors, real: Vectors, others: list[Vectors]) -> Measured:
    moments = [_Moments(part) for part in (made, real, *others)]
    value = moments[0].distance(moments[1])
    error = _jackknife(lambda fold: moments[0].without(fold).distance(moments[1].without(fold)))
    usual, gate, beside = None, None, ""
    if others:
        usual = moments[2].distance(moments[1])
        spread = _jackknife(lambda fold: moments[2].without(fold).distance(moments[1].without(fold)))
        advice = "Compare the marginals and the over-used words: the texts differ as a whole."
        gate = Gate(high=usual * _RATIO + SURE * spread, advice=advice)
        beside = f", {value / usual:.2f} times that of real texts nobody used ({usual:.4f})"
    interval = around(value, error)
    return Measured(
        name="fidelity.text.frechet",
        value=value,
        real=usual,
        size=len(made),
        low=max(0.0, interval.low),
        high=interval.high,
        gate=gate,
        meaning=f"The Fréchet distance of synthetic to real embeddings is {value:.4f}{beside} ({len(made):,} of each).",
        detail={} if usual is None else {"ratio": value / usual},
    )


class _Moments:
    """Mean and covariance of vectors, and the same without one tenth of them."""

    def __init__(self, vectors: Vectors) -> None:
        parts = [vectors[fold::_FOLDS].astype(np.float64) for fold in range(_FOLDS)]
        self._counts = [len(part) for part in parts]
        self._sums = [part.sum(axis=0) for part in parts]
        self._products = [part.T @ part for part in parts]
        self._use(sum(self._counts), sum(self._sums, start=np.zeros(1)), sum(self._products, start=np.zeros(1)))

    def _use(self, count: int, total: Floats, product: Floats) -> None:
        self.mean = total / count
        self.covariance = (product - count * np.outer(self.mean, self.mean)) / (count - 1)
        self._all = count, total, product

    def without(self, fold: int) -> _Moments:
        """Return the moments of the vectors that are not in a part."""
        rest = _Moments.__new__(_Moments)
        count, total, product = self._all
        rest._use(count - self._counts[fold], total - self._sums[fold], product - self._products[fold])
        return rest

    def distance(self, other: _Moments) -> float:
        """Return the Fréchet distance of two normal distributions."""
        values, axes = np.linalg.eigh(self.covariance)
        root = axes * np.sqrt(np.maximum(values, 0)) @ axes.T
        cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ other.covariance @ root), 0)).sum()
        apart = np.sum((self.mean - other.mean) ** 2)
        return float(apart + np.trace(self.covariance) + np.trace(other.covariance) - 2 * cross)


def _jackknife(value: Callable[[int], float]) -> float:
    """Return the standard error of a value from those without each of the parts (Efron and Stein 1981)."""
    found = np.array([value(fold) for fold in range(_FOLDS)])
    return float(np.sqrt((_FOLDS - 1) / _FOLDS * np.sum((found - found.mean()) ** 2)))


def _mmd(made: Vectors, real: Vectors, others: list[Vectors], seed: int) -> Measured:
    made, real, *others = [part[choose(len(part), _KERNEL_MOST, seed=seed)] for part in (made, real, *others)]
    squares = squares_of(real, real)
    width = float(np.median(squares[np.triu_indices(len(real), 1)]))
    within = np.exp(-squares / width)
    value, error = _discrepancy(made, real, within, width)
    usual = _discrepancy(others[0], real, within, width)[0] if others else None
    beside = "" if usual is None else f"; of real texts nobody used it is {usual:.5f}"
    interval = around(value, error)
    return Measured(
        name="fidelity.text.mmd",
        value=value,
        real=usual,
        size=len(made),
        low=interval.low,
        high=interval.high,
        meaning=f"The squared mean discrepancy of synthetic and real embeddings is {value:.5f}{beside}; 0 is no difference.",
    )


def _discrepancy(made: Vectors, real: Vectors, within: Vectors, width: float) -> tuple[float, float]:
    """Return unbiased MMD² and its standard error (two equal sets: each pair of rows is one observation)."""
    count = len(made)
    own, across = np.exp(-squares_of(made, made) / width), np.exp(-squares_of(made, real) / width)
    table = own + within - across - across.T
    np.fill_diagonal(table, 0)
    rows = table.sum(axis=1, dtype=np.float64) / (count - 1)
    return float(rows.mean()), float(2 * rows.std() / np.sqrt(count))
