"""Word n-grams of a growing set of texts: which are new, how many are distinct, and how much texts take from each other.

Texts are read as ``textsynth.text.word_bytes`` reads them: folded words without punctuation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from textsynth.minhash import BLOCK, Array, Words, hash_grams, hash_words

_SMALLEST = 1 << 10  # slots of an empty set
_FILL = 0.5  # of a set's slots that may be taken
_EPSILON = 0.1  # what BLEU's smoothing method 1 counts instead of no match (Chen and Cherry 2014)


class HashSet:
    """A set of 64-bit hashes in one array, open addressing with linear probing: 16 to 32 bytes a member."""

    def __init__(self) -> None:
        self._slots = np.zeros(_SMALLEST, dtype=np.uint64)
        self._count = 0

    def __len__(self) -> int:
        """Count the members."""
        return self._count

    def has(self, hashes: Array) -> Array:
        """Return, per hash, whether it is a member."""
        hashes = np.maximum(hashes, np.uint64(1))  # 0 marks an empty slot
        found: Array = _probe(self._slots, hashes) == hashes
        return found

    def add(self, hashes: Array) -> int:
        """Add hashes, repeated or not; return how many were not members before."""
        fresh = np.unique(np.maximum(hashes[~self.has(hashes)], np.uint64(1)))
        self._room(self._count + len(fresh))
        _insert(self._slots, fresh)
        self._count += len(fresh)
        return len(fresh)

    def thin(self, mask: np.uint64) -> None:
        """Forget the members that have any bit of ``mask``."""
        kept = self._slots[(self._slots != 0) & (self._slots & mask == 0)]
        self._slots, self._count = np.zeros(_SMALLEST, dtype=np.uint64), len(kept)
        self._room(len(kept))
        _insert(self._slots, kept)

    def _room(self, count: int) -> None:
        size = len(self._slots)
        while count > _FILL * size:
            size *= 2
        if size > len(self._slots):
            members = self._slots[self._slots != 0]
            self._slots = np.zeros(size, dtype=np.uint64)
            _insert(self._slots, members)


def _places(slots: Array, hashes: Array) -> Array:
    shift = np.uint64(64 - (len(slots).bit_length() - 1))  # the high bits: the low ones are used up by thinning
    return (hashes >> shift).astype(np.int64)


def _probe(slots: Array, hashes: Array) -> Array:
    """Return what stands where each hash is or would be: the hash itself, or 0."""
    at, found, open_ = _places(slots, hashes), np.zeros_like(hashes), np.arange(len(hashes))
    while len(open_):
        there = slots[at]
        found[open_] = there
        on = (there != hashes[open_]) & (there != 0)
        at, open_ = (at[on] + 1) & (len(slots) - 1), open_[on]
    return found


def _insert(slots: Array, hashes: Array) -> None:
    """Add distinct hashes that are not there yet; of those that want the same slot one gets it, the others go on."""
    at = _places(slots, hashes)
    while len(hashes):
        free = slots[at] == 0
        slots[at[free]] = hashes[free]
        on = slots[at] != hashes
        hashes, at = hashes[on], (at[on] + 1) & (len(slots) - 1)


class DistinctGrams:
    """How many n-grams of one order there are, and how many of them are distinct.

    Exact up to ``most`` distinct ones. Beyond, only those whose hash ends in enough zeros are held (Flajolet 1990, On
    adaptive sampling), with a standard error of about ``1 / sqrt(most / 2)``: 0.14 % by default, in at most 32 MB.
    """

    def __init__(self, order: int, *, most: int = 1 << 20) -> None:
        self.order, self.total = order, 0
        self._most, self._held, self._rate = most, HashSet(), 1

    @property
    def exact(self) -> bool:
        """Whether every n-gram is held."""
        return self._rate == 1

    @property
    def distinct(self) -> int:
        """How many distinct n-grams were added, exact or estimated."""
        return len(self._held) * self._rate

    def add(self, words: Words) -> int:
        """Add a window of texts; return how many of their n-grams are new (exact or estimated)."""
        grams, _ = hash_grams(words, self.order)
        self.total += len(grams)
        before = self.distinct
        self._held.add(grams[grams & np.uint64(self._rate - 1) == 0] if self._rate > 1 else grams)
        added = self.distinct - before
        while len(self._held) > self._most:
            self._rate *= 2
            self._held.thin(np.uint64(self._rate - 1))
        return added

    def value(self) -> float | None:
        """Return distinct-n (Li et al. 2016): distinct n-grams of all n-grams, or ``None`` if there are none."""
        return self.distinct / self.total if self.total else None


class Sample:
    """A uniform sample of texts that depends on their order of coming alone; ``most`` texts at most, each cut.

    Args:
        most: texts held; of ``2 * most`` at a time at most.
        characters: of each text that are held.
    """

    def __init__(self, *, most: int = 2000, characters: int = 4000) -> None:
        self.seen = 0
        self._most, self._characters = most, characters
        self._held: list[tuple[int, int, str]] = []
        self._limit = 1 << 64

    def add(self, texts: Sequence[str]) -> None:
        """Add texts; those whose place in a fixed random order is too low are not held."""
        keys = _random(np.arange(self.seen, self.seen + len(texts), dtype=np.uint64)).tolist()
        for number, (key, text) in enumerate(zip(keys, texts, strict=True), self.seen):
            if key < self._limit:
                self._held.append((key, number, text[: self._characters]))
        self.seen += len(texts)
        if len(self._held) >= 2 * self._most:
            self._held = sorted(self._held)[: self._most]
            self._limit = self._held[-1][0]

    def texts(self) -> list[str]:
        """Return the texts held, in the order of their coming."""
        chosen = sorted(self._held)[: self._most]
        return [text for _, _, text in sorted(chosen, key=lambda item: item[1])]


def _random(numbers: Array) -> Array:
    """Spread numbers over 64 bits (SplitMix64, Steele et al. 2014)."""
    mixed = (numbers + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ mixed >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ mixed >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    spread: Array = mixed ^ mixed >> np.uint64(31)
    return spread


@dataclass(frozen=True, slots=True)
class _Counted:
    """The n-grams of each text: for every distinct pair of text and n-gram, the n-gram's number and how often."""

    rows: Array
    grams: Array
    counts: Array


def read(texts: Sequence[str]) -> Words:
    """Hash the words of any number of texts, in blocks."""
    blocks = [hash_words(texts[start : start + BLOCK]) for start in range(0, len(texts), BLOCK)]
    empty = np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.int64)
    return Words(
        hashes=np.concatenate([empty[0], *(block.hashes for block in blocks)]),
        counts=np.concatenate([empty[1], *(block.counts for block in blocks)]),
    )


def _count(words: Words, order: int) -> _Counted:
    hashes, starts = hash_grams(words, order)
    _, numbers = np.unique(hashes, return_inverse=True)
    pairs, counts = np.unique(numbers.astype(np.int64) * len(words.counts) + words.rows[starts], return_counts=True)
    return _Counted(rows=pairs % len(words.counts), grams=pairs // len(words.counts), counts=counts)


def self_bleu(texts: Sequence[str], *, orders: int = 4) -> float | None:
    """Return the mean BLEU of each text against all others (Zhu et al. 2018, Texygen), in time linear in the words.

    Exact: of each n-gram the highest and the second highest count in any one text are enough to know what the *other*
    texts hold at most. Brevity penalty by the closest length, shorter of equals; smoothing method 1 of Chen and Cherry
    (2014). Needs two texts; ``None`` otherwise. Grows with the number of texts: compare at the same number only.
    """
    words = read(texts)
    if len(words.counts) < 2:
        return None
    logs = np.zeros(len(words.counts))
    for order in range(1, orders + 1):
        matches = _matches(_count(words, order), len(words.counts))
        if order == 1:
            none = matches == 0
        logs += np.log(np.where(matches, matches, _EPSILON) / np.maximum(words.counts - order + 1, 1)) / orders
    lengths = np.maximum(words.counts, 1)
    penalty = np.exp(np.minimum(0, 1 - _closest(words.counts) / lengths))
    return float(np.mean(np.where(none, 0, penalty * np.exp(logs))))


def _matches(counted: _Counted, texts: int) -> Array:
    """Return, per text, its n-grams that another text has, each as often as the most that one other text has it."""
    order = np.lexsort((-counted.counts, counted.grams))
    grams, counts, rows = counted.grams[order], counted.counts[order], counted.rows[order]
    first = np.flatnonzero(np.diff(grams, prepend=-1))
    sizes = np.diff(first, append=len(grams))
    second = np.where(sizes > 1, counts[np.minimum(first + 1, len(counts) - 1)], 0)
    others = np.repeat(counts[first], sizes)
    others[first] = second
    return np.bincount(rows, weights=np.minimum(counts, others), minlength=texts)


def _closest(lengths: Array) -> Array:
    """Return, per text, the length of another text that is closest to its own; of two equally close, the shorter."""
    order = np.argsort(lengths, kind="stable")
    ordered = lengths[order].astype(np.float64)
    below = np.concatenate([[-np.inf], ordered[:-1]])
    above = np.concatenate([ordered[1:], [np.inf]])
    closest = np.empty(len(lengths))
    closest[order] = np.where(ordered - below <= above - ordered, below, above)
    return closest


def self_repetition(texts: Sequence[str], *, order: int = 4) -> float | None:
    """Return the mean over texts of ``log(1 + sum of N)`` (Salkar et al. 2022), ``None`` without texts.

    The sum runs over the n-grams of the text, N being the number of *other* texts that have the n-gram.
    """
    if not texts:
        return None
    words = read(texts)
    counted = _count(words, order)
    others = np.bincount(counted.grams) - 1
    sums = np.bincount(counted.rows, weights=others[counted.grams] * counted.counts, minlength=len(texts))
    return float(np.mean(np.log1p(sums)))
