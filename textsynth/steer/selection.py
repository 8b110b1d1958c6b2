"""Which of a pool of accepted records to keep, so that together they are as close to real data as can be."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
FEATURES = 512
"""Random Fourier features of the Gaussian kernel on embeddings (Rahimi and Recht 2007)."""


def fourier(vectors: Matrix, *, bandwidth: float, seed: int = 0) -> Matrix:
    """Return features (n × ``FEATURES``) whose inner products approximate a Gaussian kernel of this bandwidth."""
    random = np.random.default_rng(seed)
    waves = random.standard_normal((vectors.shape[1], FEATURES), dtype=np.float32) / np.float32(bandwidth)
    shifts = random.uniform(0, 2 * np.pi, FEATURES).astype(np.float32)
    found: Matrix = np.sqrt(np.float32(2 / FEATURES)) * np.cos(vectors @ waves + shifts)
    return found


def median_distance(vectors: Matrix, *, most: int = 500) -> float:
    """Return the median distance between rows: the usual bandwidth (Gretton et al. 2012)."""
    some = vectors[:: max(1, len(vectors) // most)][:most]
    squares = (some**2).sum(axis=1)
    apart = np.sqrt(np.maximum(squares[:, None] + squares[None, :] - 2 * some @ some.T, 0))
    return float(np.median(apart[np.triu_indices(len(some), 1)])) or 1.0


def eliminate(features: Matrix, goal: NDArray[np.float32], keep: int) -> list[int]:
    """Return which rows to leave out, in order, so that the mean of ``keep`` rows comes close to ``goal``.

    Each step leaves out the row without which the squared distance of the mean from the goal is least: the maximum mean
    discrepancy when rows are kernel features. Cost: rows left out × rows × features.

    Args:
        features: n × f.
        goal: the mean wanted, of length f.
        keep: how many rows remain.
    """
    total, left = features.sum(axis=0, dtype=np.float64), len(features)
    squares = (features.astype(np.float64) ** 2).sum(axis=1)
    inside = np.ones(len(features), dtype=bool)
    out: list[int] = []
    while left > keep:
        wanted = total - (left - 1) * goal  # |total - x - (n-1) goal|² is to be least
        cost = squares - 2 * (features @ wanted.astype(np.float32)).astype(np.float64)
        at = int(np.where(inside, cost, np.inf).argmin())
        inside[at] = False
        total -= features[at]
        left -= 1
        out.append(at)
    return out
