"""How widely embeddings are spread: Vendi score, mean distance and clusters reached, in memory that does not grow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from textsynth.minhash import Array

_BLOCK = 100  # vectors added to a sum at once, so that sums are the same however the vectors came
_FITTED = 2000  # vectors that clusters are fitted on
_ROUNDS = 25
_OUTSIDE = 0.02  # of the vectors held out that lie further out than the rim


class Vendi:
    """The running sum of outer products of unit vectors, and what follows from it: 8 bytes × d² whatever their number.

    The Vendi score (Friedman and Dieng 2023, The Vendi Score, with the cosine kernel) is the exponential of the entropy
    of the eigenvalues of ``X Xᵀ / n``, which are those of ``Xᵀ X / n`` (d × d).
    """

    def __init__(self) -> None:
        self.count = 0
        self._gram: Array | None = None
        self._mean: Array | None = None
        self._pending: list[Array] = []

    def add(self, vectors: Array) -> None:
        """Add vectors (n × d), normalised."""
        self._pending.extend(np.asarray(vectors, dtype=np.float32))
        self.count += len(vectors)
        while len(self._pending) >= _BLOCK:
            block, self._pending = np.stack(self._pending[:_BLOCK]), self._pending[_BLOCK:]
            self._gram, self._mean = self._sums(block)

    def value(self) -> float | None:
        """Return the Vendi score, from 1 (all alike) to the number of vectors; ``None`` without any."""
        if not self.count:
            return None
        values = np.linalg.eigvalsh(self._total()[0] / self.count)
        values = values[values > 1e-12]
        values /= values.sum()
        return float(np.exp(-np.sum(values * np.log(values))))

    def distance(self) -> float | None:
        """Return ``1 - |mean|²``: the mean cosine distance over all ordered pairs (remote-clique), self-pairs counted."""
        return float(1 - np.sum((self._total()[1] / self.count) ** 2)) if self.count else None

    def _total(self) -> tuple[Array, Array]:
        if self._pending:
            return self._sums(np.stack(self._pending))
        assert self._gram is not None and self._mean is not None
        return self._gram, self._mean

    def _sums(self, block: Array) -> tuple[Array, Array]:
        gram, mean = (block.T @ block).astype(np.float64), block.sum(axis=0, dtype=np.float64)
        return (gram, mean) if self._gram is None or self._mean is None else (self._gram + gram, self._mean + mean)


@dataclass(frozen=True, slots=True)
class Reached:
    """How much of the space the vectors reach.

    Args:
        clusters: how many there are.
        covered: share of them that at least one vector is in.
        evenness: entropy of the shares of the clusters over its maximum, 0 (all in one) to 1 (all equal).
        outside: share of the vectors that lie beyond the rim of their cluster.
        fitted_on: what the clusters were fitted on, and how many of them.
    """

    clusters: int
    covered: float
    evenness: float
    outside: float
    fitted_on: str


class Coverage:
    """Counts which clusters vectors fall into; clusters are fitted once, on a reference or on the first vectors.

    Memory: at most 2,000 vectors until the clusters are fitted, then the centres.

    Args:
        clusters: how many; one for every four vectors to fit on at most.
        reference: vectors (n × d, normalised) to fit on, such as those of the seeds.
    """

    def __init__(self, *, clusters: int = 50, reference: Array | None = None) -> None:
        self._clusters = clusters
        self._first: list[Array] = []
        self._fit: _Fit | None = None
        self._counts = np.zeros(0, dtype=np.int64)
        self._outside = 0
        if reference is not None and len(reference):
            self._use(_fit(reference[:_FITTED], clusters, name="seeds"))

    def add(self, vectors: Array) -> None:
        """Add vectors (n × d), normalised."""
        if self._fit is None:
            room = _FITTED - len(self._first)
            self._first.extend(np.asarray(vectors[:room], dtype=np.float32))
            vectors = vectors[room:]
            if len(self._first) == _FITTED:
                early = np.stack(self._first)
                self._use(_fit(early, self._clusters, name="first records"))
                self._first = []
                self._assign(early)
        if self._fit is not None:
            self._assign(vectors)

    def value(self) -> Reached | None:
        """Return what was reached so far; ``None`` without vectors."""
        if self._fit is None and self._first:
            early = Coverage(clusters=self._clusters)
            vectors = np.stack(self._first)
            early._use(_fit(vectors, self._clusters, name="first records"))
            early._assign(vectors)
            return early.value()
        total = int(self._counts.sum())
        if self._fit is None or not total:
            return None
        shares = self._counts[self._counts > 0] / total
        entropy = -np.sum(shares * np.log(shares))
        return Reached(
            clusters=len(self._counts),
            covered=len(shares) / len(self._counts),
            evenness=float(entropy / np.log(len(self._counts))) if len(self._counts) > 1 else 1.0,
            outside=self._outside / total,
            fitted_on=self._fit.name,
        )

    def _use(self, fit: _Fit) -> None:
        self._fit, self._counts = fit, np.zeros(len(fit.centres), dtype=np.int64)

    def _assign(self, vectors: Array) -> None:
        if self._fit is None or not len(vectors):
            return
        cosines = np.asarray(vectors, dtype=np.float32) @ self._fit.centres.T
        nearest = cosines.argmax(axis=1)
        self._counts += np.bincount(nearest, minlength=len(self._counts))
        self._outside += int(np.sum(cosines.max(axis=1) < self._fit.rim))


@dataclass(frozen=True, slots=True)
class _Fit:
    """Centres of clusters (unit vectors), the least cosine that is inside, and what they were fitted on."""

    centres: Array
    rim: float
    name: str


def _fit(vectors: Array, clusters: int, *, name: str) -> _Fit:
    """Cluster unit vectors by spherical k-means (Dhillon and Modha 2001), started at vectors far from each other.

    Each start is the vector furthest from those chosen before (Gonzalez 1985): no chance is in it. Every other vector
    is held out to find how far from the centres further vectors of the same kind lie.
    """
    vectors, name = np.asarray(vectors, dtype=np.float32), f"{len(vectors)} {name}"
    vectors, held_out = vectors[::2], vectors[1::2]
    centres = vectors[_far_apart(vectors, min(clusters, (len(vectors) + 1) // 2))]
    for _ in range(_ROUNDS):
        nearest = (vectors @ centres.T).argmax(axis=1)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, vectors)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        moved = np.where(lengths > 0, sums / np.maximum(lengths, 1e-12), centres)
        if np.array_equal(moved, centres):
            break
        centres = moved
    rim = float(np.quantile((held_out @ centres.T).max(axis=1), _OUTSIDE)) - 1e-6 if len(held_out) else -1.0
    return _Fit(centres, rim, name)


def _far_apart(vectors: Array, count: int) -> list[int]:
    chosen = [int((vectors @ vectors.mean(axis=0)).argmax())]
    nearest = vectors @ vectors[chosen[0]]
    while len(chosen) < count:
        chosen.append(int(nearest.argmin()))
        nearest = np.maximum(nearest, vectors @ vectors[chosen[-1]])
    return chosen
