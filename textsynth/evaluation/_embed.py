"""Texts of any length as one vector each: beyond what the model reads at once, the mean of the parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from textsynth import embeddings

Vectors = NDArray[np.float32]

WORDS = 160
"""Words of one part: about 256 word pieces of English, the limit of the default model."""
PARTS = 12
"""Most parts of one text that are embedded, spread evenly over it."""
_SLICE = 512


def embed(texts: Sequence[str], model: str, *, said: Callable[[int], None]) -> Vectors:
    """Return one vector of length 1 per text; ``said`` is told how many texts are done.

    Raises:
        ModelError, MissingPackageError: the model cannot be loaded.
    """
    embedder = embeddings.load(model)
    found = []
    for first in range(0, len(texts), _SLICE):
        some = texts[first : first + _SLICE]
        parts = [list(_parts(text)) for text in some]
        vectors = embedder.take([part for each in parts for part in each])
        found.append(_means(vectors, [len(each) for each in parts]))
        said(first + len(some))
    return np.concatenate(found) if found else np.empty((0, embedder.dimension), dtype=np.float32)


def _parts(text: str) -> Iterator[str]:
    """Yield the text, or its parts if it has more words than are read at once."""
    words = text.split()
    if len(words) <= WORDS:
        yield text
        return
    starts = range(0, len(words), WORDS)
    chosen = np.unique(np.linspace(0, len(starts) - 1, min(PARTS, len(starts))).round().astype(int))
    for number in chosen:
        yield " ".join(words[starts[number] : starts[number] + WORDS])


def _means(vectors: Vectors, counts: Sequence[int]) -> Vectors:
    starts = np.cumsum([0, *counts[:-1]])
    sums = np.add.reduceat(vectors, starts, axis=0)
    return np.asarray(sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12), dtype=np.float32)
