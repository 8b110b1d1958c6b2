"""A word n-gram model of texts: how probable each word of a text is after the words before it. All in numpy, on hashes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textsynth.minhash import Words, hash_grams

Floats = NDArray[np.float64]
Hashes = NDArray[np.uint64]
_DISCOUNT = 0.75


@dataclass(frozen=True, slots=True)
class _Counts:
    """How often each key occurs; keys are sorted."""

    keys: Hashes
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, keys: Hashes) -> _Counts:
        """Count keys."""
        found, counts = np.unique(keys, return_counts=True)
        return cls(found, counts)

    def get(self, keys: Hashes) -> Floats:
        """Return the count of each key, 0 for those that do not occur."""
        if not len(self.keys):
            return np.zeros(len(keys))
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[at] == keys, self.counts[at], 0).astype(np.float64)


@dataclass(frozen=True, slots=True)
class _Order:
    """Counts of n-grams, of the contexts they begin with, and of the different words that follow each context."""

    grams: _Counts
    contexts: _Counts
    kinds: _Counts


class WordModel:
    """Probabilities of words by interpolated absolute discounting (Ney et al. 1994), orders 1 to ``order``.

    A word never seen has the probability of one of the words seen once. About 60 bytes a distinct n-gram.

    Args:
        words: the texts learnt from.
        order: the longest n-grams; 3 is a trigram model.
    """

    def __init__(self, words: Words, *, order: int = 3) -> None:
        self._single = _Counts.of(words.hashes)
        self._total = len(words.hashes)
        self._orders = [_learn(words, n) for n in range(2, order + 1)]

    def logs(self, words: Words) -> list[Floats]:
        """Return, per order, the natural log probability of every word; a text's first words use what precedes them."""
        chance = (self._single.get(words.hashes) + _DISCOUNT) / (self._total + _DISCOUNT * (len(self._single.keys) + 1))
        found = [np.log(chance)]
        for n, order in enumerate(self._orders, 2):
            grams, starts = hash_grams(words, n)
            at = starts + n - 1
            contexts = _contexts(words, n)[starts]
            seen = order.contexts.get(contexts)
            known = np.maximum(seen, 1)
            own = np.maximum(order.grams.get(grams) - _DISCOUNT, 0) / known
            rest = np.where(seen > 0, _DISCOUNT * order.kinds.get(contexts) / known, 1.0)
            chance = chance.copy()
            chance[at] = own + rest * chance[at]
            found.append(np.log(chance))
        return found

    def means(self, words: Words) -> Floats:
        """Return, per order (rows) and text (columns), the mean log probability of a word; nan for texts without words."""
        texts = len(words.counts)
        counts = np.where(words.counts, words.counts, np.nan)
        return np.stack([np.bincount(words.rows, weights=logs, minlength=texts) / counts for logs in self.logs(words)])


def _contexts(words: Words, order: int) -> Hashes:
    """Return the hash of the ``order - 1`` words from each word on; 0 where the text ends before."""
    found = np.zeros(len(words.hashes), dtype=np.uint64)
    grams, starts = hash_grams(words, order - 1)
    found[starts] = grams
    return found


def _learn(words: Words, order: int) -> _Order:
    grams, starts = hash_grams(words, order)
    contexts = _contexts(words, order)[starts]
    _, first = np.unique(grams, return_index=True)
    return _Order(grams=_Counts.of(grams), contexts=_Counts.of(contexts), kinds=_Counts.of(contexts[first]))


def part(words: Words, rows: NDArray[np.int64]) -> Words:
    """Return the words of some of the texts, given by row in ascending order."""
    kept = np.zeros(len(words.counts), dtype=np.bool_)
    kept[rows] = True
    return Words(words.hashes[np.repeat(kept, words.counts)], words.counts[rows])
