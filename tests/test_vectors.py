"""Nearest neighbours: exact while there are few, nearly always right beyond, whatever the order of adding."""

import numpy as np
import pytest

from textsynth.vectors import VectorIndex


def unit(count, dimension=32, seed=0):
    rows = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def near(vectors, noise, seed=1):
    rows = vectors + noise * unit(len(vectors), vectors.shape[1], seed)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_an_empty_index_knows_nobody():
    found = VectorIndex(8).search(unit(3, 8))
    assert found.ids.tolist() == [-1, -1, -1] and len(VectorIndex(8)) == 0
    assert VectorIndex(8).search(unit(0, 8)).ids.shape == (0,)


def test_the_nearest_is_found_with_its_cosine_and_of_equals_the_first():
    stored, index = unit(500), VectorIndex(32)
    index.add(stored, range(100, 600))
    queries = near(stored[::50], 0.3)
    found = index.search(queries)
    cosines = queries @ stored.T
    assert found.ids.tolist() == (cosines.argmax(axis=1) + 100).tolist()
    assert found.scores == pytest.approx(cosines.max(axis=1), abs=1e-6)
    index.add(stored, range(1000, 1500))
    assert index.search(stored[:5]).ids.tolist() == [100, 101, 102, 103, 104]


def test_it_does_not_matter_how_vectors_are_added():
    stored = unit(9000)
    whole, parts = VectorIndex(32, exact=4000), VectorIndex(32, exact=4000)
    whole.add(stored, range(9000))
    for start in range(0, 9000, 700):
        parts.add(stored[start : start + 700], range(start, min(start + 700, 9000)))
    queries = near(stored[::9], 0.5)
    one, other = whole.search(queries), parts.search(queries)
    assert one.ids.tolist() == other.ids.tolist() and len(whole) == len(parts) == 9000


def test_beyond_the_exact_limit_neighbours_are_still_found():
    stored, index = unit(12_000), VectorIndex(32, exact=4000)
    index.add(stored, range(12_000))
    queries = near(stored[::40], 0.4)
    truth = (queries @ stored.T).argmax(axis=1)
    assert (index.search(queries).ids == truth).mean() >= 0.98
