"""Near-duplicates of text: word shingles, MinHash and a hash table of bands, a whole window at a time in numpy.

A text is the set of its word shingles, each a 32-bit hash. MinHash (Broder, 1997) and banding (Leskovec, Rajaraman and
Ullman, Mining of Massive Datasets, section 3.4) find the few stored texts worth a look; the exact Jaccard similarity of
the sets decides. Hashes are the same in every process. Nothing is kept in Python objects: a stored text of n shingles
takes ``4 n + 12 bands + 16`` bytes, and up to an eighth more as the arrays grow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from textsynth.keytable import Array as Array
from textsynth.keytable import Column, KeyTable, sorted_pairs
from textsynth.text import check_threshold, word_bytes

BLOCK = 256  # texts to sketch at once where there are many: enough to use numpy well, few enough for the cache
_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)
_SPACE = 32
_PAIRS = 4096  # verified at once, so that a window of repetitions takes no more memory than others
_BASE = 0x9FB21C651E98DF25  # any odd number whose bits look random


def choose_bands(threshold: float, permutations: int, recall: float = 0.99) -> tuple[int, int]:
    """Return (bands, rows): the most rows a band can have for a pair *at* the threshold to be found with ``recall``.

    A pair of similarity s shares at least one of b bands of r rows with probability ``1 - (1 - s**r)**b``; more rows
    mean fewer chance candidates to verify. At 0.8 and 128 permutations: 21 bands of 6, recall 0.998 at 0.8 and higher
    above.
    """
    for rows in range(permutations, 1, -1):
        bands = permutations // rows
        if 1 - (1 - threshold**rows) ** bands >= recall:
            return bands, rows
    return permutations, 1


@dataclass(frozen=True, slots=True)
class Match:
    """A stored text and its exact Jaccard similarity to the one asked about, 0 to 1."""

    id: int
    score: float


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a window of texts, end to end: their 64-bit hashes, and how many each text has."""

    hashes: Array
    counts: Array

    @property
    def rows(self) -> Array:
        """Which text each word belongs to."""
        return np.repeat(np.arange(len(self.counts)), self.counts)


@dataclass(frozen=True, slots=True)
class Sketches:
    """A window of texts, ready to compare: ``shingles[ends[i - 1]:ends[i]]`` is the sorted set of text ``i`` (uint32).

    ``bands`` has a row per text and a 32-bit key per band; of a text without words it says nothing.
    """

    ids: Array
    shingles: Array
    ends: Array
    bands: Array

    def __len__(self) -> int:
        """Count the texts, with those without words."""
        return len(self.ids)

    def shingle_set(self, row: int) -> Array:
        """Return the sorted shingle hashes of one text."""
        return self.shingles[self.ends[row - 1] if row else 0 : self.ends[row]]

    def filled(self) -> Array:
        """Return the rows of the texts that have any words."""
        return np.flatnonzero(np.diff(self.ends, prepend=0))


def hash_words(texts: Sequence[str]) -> Words:
    """Hash every word of every text: a polynomial in a fixed odd number modulo 2**64, by one running sum of bytes."""
    parts = [word_bytes(text) for text in texts]
    letters = np.frombuffer(b" ".join([b"", *parts, b""]), dtype=np.uint8)
    inside = letters != _SPACE
    edges = np.flatnonzero(inside[1:] != inside[:-1])
    starts, ends = edges[0::2] + 1, edges[1::2]
    longest = 1 << (len(letters) - 1).bit_length()
    sums = np.cumsum(letters * _powers(_BASE, longest)[: len(letters)])
    hashes = _mix((sums[ends] - sums[starts - 1]) * _powers(pow(_BASE, -1, 2**64), longest)[starts])
    bounds = np.cumsum([0, *(len(part) + 1 for part in parts)])
    return Words(hashes=hashes, counts=np.diff(np.searchsorted(starts, bounds + 1)))


def hash_grams(words: Words, order: int) -> tuple[Array, Array]:
    """Return the 64-bit hashes of all runs of ``order`` words inside one text, and the word number each starts at."""
    count = max(len(words.hashes) - order + 1, 0)
    factors = _constants(order, seed=order)
    mixed = np.zeros(count, dtype=np.uint64)
    for offset in range(order):
        mixed += words.hashes[offset : offset + count] * factors[offset]
    rows = words.rows
    inside = np.flatnonzero(rows[:count] == rows[order - 1 : order - 1 + count])
    return _mix(mixed[inside]), inside


@dataclass(frozen=True, slots=True)
class Pairs:
    """Rows of a window, each with the number of a text that may be near it."""

    rows: Array
    others: Array


class MinHashIndex:
    """Texts kept so far, to be asked which of them a new text nearly repeats.

    Args:
        threshold: the least Jaccard similarity of two texts' shingle sets that counts as near, above 0 and at most 1.
        shingle: words per shingle. A text of fewer than ``shingle + 2`` words has the shorter ones as well, so that two
            short texts can be alike in part, and a text of one word has a set at all.
        permutations: values per sketch, shared out over the bands by ``choose_bands``.
    """

    def __init__(self, *, threshold: float = 0.8, shingle: int = 3, permutations: int = 128) -> None:
        """Choose the bands and start empty."""
        check_threshold(threshold)
        if shingle < 1:
            raise ValueError(f"shingle must be at least 1 word, got {shingle}")
        self.threshold, self.shingle = threshold, shingle
        self.bands, self.rows = choose_bands(threshold, permutations)
        self._reach = threshold * (1 - 1e-9)  # at best, the smaller of two sets lies in the larger
        self._multipliers = _constants(self.bands * self.rows, seed=1).astype(np.uint32) | np.uint32(1)
        self._ids, self._ends = Column(np.int64), Column(np.int64)
        self._shingles = Column(np.uint32)
        self._table = KeyTable()

    def __len__(self) -> int:
        """Count the texts stored."""
        return len(self._ids)

    def sketch(self, texts: Sequence[str], ids: Iterable[int]) -> Sketches:
        """Make the sketches of a window of texts (some hundreds at most); nothing is remembered."""
        shingles, ends = self._shingle_sets(hash_words(texts))
        filled = np.flatnonzero(np.diff(ends, prepend=0))
        bands = np.zeros((len(texts), self.bands), dtype=np.uint32)
        bands[filled] = self._band_keys(shingles, np.concatenate([[0], ends])[filled])
        return Sketches(ids=np.fromiter(ids, np.int64, len(texts)), shingles=shingles, ends=ends, bands=bands)

    def query(self, sketches: Sketches) -> list[Match | None]:
        """Return, per text, the most similar stored text at or above the threshold; of equals, the one stored first."""
        found: list[Match | None] = [None] * len(sketches)
        pairs = self._candidates(sketches)
        for start in range(0, len(pairs.rows), _PAIRS):
            chunk = Pairs(pairs.rows[start : start + _PAIRS], pairs.others[start : start + _PAIRS])
            for row, match in self._verify(sketches, chunk):
                best = found[row]
                if best is None or match.score > best.score:
                    found[row] = match
        return found

    def screen(self, sketches: Sketches) -> list[Match | None]:
        """Like ``query``, but each text is also compared with the earlier texts of the window that found no match."""
        found, inner = self.query(sketches), _inner_pairs(sketches)
        earlier: dict[int, list[int]] = {}
        for row, other in zip(inner.rows.tolist(), inner.others.tolist(), strict=True):
            earlier.setdefault(row, []).append(other)
        for row, others in earlier.items():
            standing = [other for other in others if found[other] is None]
            match, best = self._best(sketches, row, standing), found[row]
            if match is not None and (best is None or match.score > best.score):
                found[row] = match
        return found

    def add(self, sketches: Sketches, rows: Sequence[int] | None = None) -> None:
        """Store the given rows (by default all) of a window; texts without words are left out."""
        filled = sketches.filled()
        chosen = filled if rows is None else filled[np.isin(filled, rows)]
        if len(chosen):
            sets = [sketches.shingle_set(row) for row in chosen.tolist()]
            self._ends.append(len(self._shingles) + np.cumsum([len(s) for s in sets]))
            self._shingles.append(np.concatenate(sets))
            self._ids.append(sketches.ids[chosen])
            self._table.add(sketches.bands[chosen].ravel())

    def _shingle_sets(self, words: Words) -> tuple[Array, Array]:
        """Return the sorted distinct shingles of each text, end to end, and where each text's end."""
        hashes, rows = _shingles(words, self.shingle)
        short = words.counts < self.shingle + 2
        if short.any():
            only = Words(words.hashes[np.repeat(short, words.counts)], np.where(short, words.counts, 0))
            parts = [(hashes, rows)] + [_shingles(only, order) for order in range(1, self.shingle)]
            hashes, rows = np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
            order = np.argsort(rows, kind="stable")
            hashes, rows = hashes[order], rows[order]
        ends = np.searchsorted(rows, np.arange(len(words.counts)), side="right")
        for start, end in pairwise([0, *ends.tolist()]):  # numpy sorts some hundred numbers ten times as fast as more
            hashes[start:end].sort()
        first = np.flatnonzero((hashes[1:] != hashes[:-1]) | (rows[1:] != rows[:-1])) + 1
        first = np.concatenate([[0], first])[: len(hashes)]
        return hashes[first], np.searchsorted(first, ends)

    def _band_keys(self, shingles: Array, starts: Array) -> Array:
        """Return the band keys (texts × bands) of consecutive non-empty sets; permuting h is ``h * odd number``.

        One band at a time, so that its values stay in the processor's cache.
        """
        values = np.empty((self.bands, self.rows, len(starts)), dtype=np.uint32)
        if len(starts):
            permuted = np.empty((self.rows, len(shingles)), dtype=np.uint32)
            for band, factors in enumerate(self._multipliers.reshape(self.bands, self.rows, 1)):
                np.multiply(shingles, factors, out=permuted)
                np.minimum.reduceat(permuted, starts, axis=1, out=values[band])
        weights = _constants(self.bands * self.rows, seed=2).reshape(self.bands, self.rows, 1)
        return (_mix((values * weights).sum(axis=1)) >> _HALF).astype(np.uint32).T

    def _candidates(self, sketches: Sketches) -> Pairs:
        """Return the stored texts that share a band with each row and are long enough to be near."""
        filled = sketches.filled()
        asked, entries = self._table.find(sketches.bands[filled].ravel())
        pairs = _distinct(filled[asked // self.bands], entries // self.bands)
        ends = self._ends.view()
        lengths = ends[pairs.others] - np.where(pairs.others, ends[pairs.others - 1], 0)
        queries = np.diff(sketches.ends, prepend=0)[pairs.rows]
        near = (self._reach * queries <= lengths) & (self._reach * lengths <= queries)
        return Pairs(pairs.rows[near], pairs.others[near])

    def _verify(self, sketches: Sketches, pairs: Pairs) -> Iterator[tuple[int, Match]]:
        """Yield the pairs whose exact similarity is at or above the threshold, by row, then in the order of storing."""
        if not len(pairs.rows):
            return
        shingles, ends, ids = self._shingles.view(), self._ends.view(), self._ids.view()
        starts = np.where(pairs.others, ends[pairs.others - 1], 0)
        sizes = ends[pairs.others] - starts
        first = np.cumsum(sizes) - sizes
        values = shingles[np.arange(sizes.sum()) + np.repeat(starts - first, sizes)]
        queries = np.diff(sketches.ends, prepend=0)
        owners = np.repeat(np.arange(len(sketches)), queries).astype(np.uint64) << _HALF
        table = owners | sketches.shingles  # sorted: by row, then by shingle
        wanted = np.repeat(pairs.rows.astype(np.uint64) << _HALF, sizes) | values
        at = np.minimum(np.searchsorted(table, wanted), len(table) - 1)
        shared = np.add.reduceat(table[at] == wanted, first, dtype=np.int64)
        scores = shared / (queries[pairs.rows] + sizes - shared)
        for k in np.flatnonzero(scores >= self.threshold).tolist():
            yield int(pairs.rows[k]), Match(id=int(ids[pairs.others[k]]), score=float(scores[k]))

    def _best(self, sketches: Sketches, row: int, others: Sequence[int]) -> Match | None:
        """Return the most similar of some rows of the same window at or above the threshold; of equals, the first."""
        query = sketches.shingle_set(row)
        sets = {k: sketches.shingle_set(k) for k in others}
        near = [k for k, s in sets.items() if self._reach * len(query) <= len(s) <= len(query) / self._reach]
        if not near:
            return None
        scores = jaccard(query, [sets[k] for k in near])
        top = int(np.argmax(scores))
        return Match(int(sketches.ids[near[top]]), float(scores[top])) if scores[top] >= self.threshold else None


def jaccard(query: Array, others: Sequence[Array]) -> Array:
    """Return the exact Jaccard similarity of one sorted, non-empty set to each of the others (also non-empty)."""
    sizes = np.array([len(other) for other in others])
    values = np.concatenate(others)
    at = np.minimum(np.searchsorted(query, values), len(query) - 1)
    shared = np.add.reduceat(query[at] == values, np.cumsum(sizes) - sizes, dtype=np.int64)
    scores: Array = shared / (len(query) + sizes - shared)
    return scores


def _inner_pairs(sketches: Sketches) -> Pairs:
    """Return the rows of a window with the earlier rows that share a band with them."""
    filled = sketches.filled()
    rows = np.repeat(filled, sketches.bands.shape[1])
    keys, rows = sorted_pairs(sketches.bands[filled].ravel(), rows)
    equal, shift, later, earlier = np.arange(len(keys)), 1, [rows[:0]], [rows[:0]]
    while len(equal := equal[equal < len(keys) - shift]):
        equal = equal[keys[equal] == keys[equal + shift]]
        apart = equal[rows[equal] != rows[equal + shift]]
        earlier.append(rows[apart])
        later.append(rows[apart + shift])
        shift += 1
    return _distinct(np.concatenate(later), np.concatenate(earlier))


def _distinct(rows: Array, others: Array) -> Pairs:
    """Return the distinct pairs (row, other), by row, then by other."""
    packed = np.unique(rows.astype(np.uint64) << _HALF | others.astype(np.uint64))
    return Pairs((packed >> _HALF).astype(np.int64), (packed & _LOW).astype(np.int64))


def _shingles(words: Words, order: int) -> tuple[Array, Array]:
    """Return the 32-bit hash of every shingle of ``order`` words, and the row of its text."""
    grams, starts = hash_grams(words, order)
    return (grams >> _HALF).astype(np.uint32), words.rows[starts]


def _mix(values: Array) -> Array:
    """Spread the bits of 64-bit values (the finaliser of MurmurHash3, Appleby 2011)."""
    values = (values ^ values >> np.uint64(33)) * np.uint64(0xFF51AFD7ED558CCD)
    values = (values ^ values >> np.uint64(33)) * np.uint64(0xC4CEB9FE1A85EC53)
    values ^= values >> np.uint64(33)
    return values


@lru_cache(maxsize=64)
def _constants(count: int, *, seed: int) -> Array:
    """Return fixed odd 64-bit numbers (SplitMix64's stream)."""
    steps = np.arange(1, count + 1, dtype=np.uint64) + np.uint64(seed << 32)
    return _mix(steps * np.uint64(0x9E3779B97F4A7C15)) | np.uint64(1)


@lru_cache(maxsize=24)
def _powers(base: int, count: int) -> Array:
    """Return the powers 0 to ``count - 1`` of ``base`` modulo 2**64."""
    series = np.full(count, base, dtype=np.uint64)
    series[0] = 1
    return np.cumprod(series, dtype=np.uint64)
