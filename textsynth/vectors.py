"""Nearest neighbours among vectors of length 1: exact up to ``EXACT`` vectors, by faiss IVF-SQ8 beyond."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

EXACT = 100_000
"""Up to here every vector is compared; then faiss, if it is installed, proposes whom to compare with."""
BLOCK = 16_384
PROBES = 24
PROPOSED = 16


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The nearest stored vector per query: its id (-1 if there is none) and the cosine, both of shape (n,)."""

    ids: NDArray[np.int64]
    scores: Vectors


class VectorIndex:
    """Vectors with ids, searched by cosine. Memory a vector of d dimensions: 4 d bytes, beyond ``EXACT`` d more.

    Args:
        dimension: length of a vector.
        exact: number of vectors up to which every one is compared.
    """

    def __init__(self, dimension: int, *, exact: int = EXACT) -> None:
        self.dimension, self._exact = dimension, exact
        self._vectors = np.empty((1024, dimension), dtype=np.float32)
        self._ids = np.empty(1024, dtype=np.int64)
        self._count = 0
        self._coarse: Any = None
        self._tried = False

    def __len__(self) -> int:
        return self._count

    def add(self, vectors: Vectors, ids: Sequence[int]) -> None:
        """Store vectors of length 1, one row per id."""
        end = self._count + len(ids)
        if end > len(self._ids):
            size = max(end, len(self._ids) * 3 // 2)
            self._vectors = np.concatenate([self._vectors[: self._count], self._room(size)])
            self._ids = np.resize(self._ids, size)
        self._vectors[self._count : end], self._ids[self._count : end] = vectors, ids
        self._count = end
        if self._coarse is not None:
            self._coarse.add(np.ascontiguousarray(vectors, dtype=np.float32))
        elif self._count > self._exact and not self._tried:
            self._tried = True  # the first ones teach it, however they came
            self._coarse = train(self._vectors[: self._exact])
            if self._coarse is not None:
                self._coarse.add(self._vectors[self._exact : self._count])

    def search(self, vectors: Vectors) -> Neighbours:
        """Return the nearest stored vector of each row; the one stored first among equals."""
        best = np.full(len(vectors), -1, dtype=np.int64)
        scores = np.full(len(vectors), -1.0, dtype=np.float32)
        if len(vectors) and self._coarse is not None:
            self._propose(vectors, best, scores)
        else:
            self._compare(vectors, best, scores)
        ids = np.where(best >= 0, self._ids[np.maximum(best, 0)], -1)
        return Neighbours(ids, scores)

    def _compare(self, vectors: Vectors, best: NDArray[np.int64], scores: Vectors) -> None:
        rows = np.arange(len(vectors))
        for first in range(0, self._count if len(vectors) else 0, BLOCK):
            table = vectors @ self._vectors[first : min(first + BLOCK, self._count)].T
            at = table.argmax(axis=1)
            found = table[rows, at]
            better = found > scores
            best[better], scores[better] = at[better] + first, found[better]

    def _propose(self, vectors: Vectors, best: NDArray[np.int64], scores: Vectors) -> None:
        _, proposed = self._coarse.search(np.ascontiguousarray(vectors, dtype=np.float32), PROPOSED)
        for row, some in enumerate(proposed):
            members = np.sort(some[some >= 0])
            found = self._vectors[members] @ vectors[row]
            if len(found):
                best[row], scores[row] = members[found.argmax()], found.max()

    def _room(self, size: int) -> Vectors:
        return np.empty((size - self._count, self.dimension), dtype=np.float32)


def train(vectors: Vectors) -> Any:
    """Return a faiss index of the vectors, the same each time; ``None`` where faiss is not installed."""
    try:
        import faiss
    except ImportError:
        return None
    lists = max(16, int(4 * np.sqrt(len(vectors))))
    index = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(vectors.shape[1]),
        vectors.shape[1],
        lists,
        faiss.ScalarQuantizer.QT_8bit,
        faiss.METRIC_INNER_PRODUCT,
    )
    index.cp.seed, index.cp.niter = 7, 10
    sample = vectors[:: max(1, len(vectors) // (lists * 40))]
    index.train(np.ascontiguousarray(sample))
    index.add(vectors)
    index.nprobe = PROBES
    return index
