"""What texts share with a fixed set of sources: passages, n-grams, and which source is nearest.

Sources are read in blocks (``read_sources``) into indexes that keep hashes and numbers alone, 12 bytes a gram; a window of
texts is then looked up in one go. Hashes are 64 bits and the same in every process: among a million grams and a million
looked up, the odds that any two different ones meet are about 1e-7.
"""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

import numpy as np
from xxhash import xxh3_64_intdigest

from textsynth.minhash import BLOCK, Array, Words, hash_grams, hash_words
from textsynth.text import word_bytes

GRAM = 8
"""Words looked up at once; a shorter passage says nothing about where it comes from."""
_MOST_PAIRS = 1 << 18  # of one text: beyond, of its commonest grams only the first source is looked at
_MOST_WORDS = 1 << 31
_SHINGLE = 3


@dataclass(frozen=True, slots=True)
class Source:
    """A text to compare with, and where it comes from: its row in the file or set called ``label``."""

    label: str
    row: int
    text: str


class Index(Protocol):
    """What ``read_sources`` fills: source number k is the k-th text added."""

    def add(self, words: Words) -> None:
        """Take in a block of texts."""


class Catalogue:
    """Where each source comes from, by number: ``name`` is ``label:row``. 12 bytes a source."""

    def __init__(self) -> None:
        self._labels: dict[str, int] = {}
        self._of, self._rows = array("I"), array("Q")

    def __len__(self) -> int:
        """Count the sources."""
        return len(self._rows)

    def add(self, label: str, row: int) -> None:
        """Name the next source."""
        self._of.append(self._labels.setdefault(label, len(self._labels)))
        self._rows.append(row)

    def name(self, number: int) -> str:
        """Return ``label:row``."""
        return f"{list(self._labels)[self._of[number]]}:{self._rows[number]}"

    def counts(self) -> dict[str, int]:
        """Return the number of sources by label."""
        found = np.bincount(np.frombuffer(self._of, dtype=np.uint32), minlength=len(self._labels)) if self._of else ()
        return dict(zip(self._labels, map(int, found), strict=True))


def read_sources(sources: Iterable[Source], indexes: Sequence[Index]) -> Catalogue:
    """Add every text that has words and differs in them from all before to the indexes; return the names.

    While reading, about 100 bytes are held for each text.

    Raises:
        ValueError: more than 2 billion words.
    """
    catalogue, seen, total = Catalogue(), set[int](), 0
    for block in _blocks(sources):
        texts = []
        for source in block:
            found = word_bytes(source.text).split()
            key = xxh3_64_intdigest(b" ".join(found))
            if found and key not in seen:
                seen.add(key)
                texts.append(source.text)
                catalogue.add(source.label, source.row)
        words = hash_words(texts)
        total += len(words.hashes)
        if total > _MOST_WORDS:
            raise ValueError(
                f"the sources hold more than {_MOST_WORDS:,} words, too many for one index (12 bytes each)"
            )
        for index in indexes:
            index.add(words)
    return catalogue


def _blocks(sources: Iterable[Source]) -> Iterator[list[Source]]:
    iterator = iter(sources)
    return iter(lambda: list(itertools.islice(iterator, BLOCK)), [])


class Postings:
    """A multimap from 64-bit hashes to numbers below 2**32, sorted when first asked: 12 bytes an entry, 44 while sorting.

    A table of 4 to 8 bytes an entry (at least 64 kB) rules out nearly all hashes that are not there at a glance.
    """

    def __init__(self) -> None:
        self._new_keys, self._new_values = bytearray(), bytearray()
        self._keys, self._values = np.zeros(0, dtype=np.uint64), np.zeros(0, dtype=np.uint32)
        self._seen, self._shift = np.zeros(1 << 16, dtype=np.bool_), np.uint64(48)

    def __len__(self) -> int:
        """Count the entries."""
        return len(self._keys) + len(self._new_keys) // 8

    def add(self, keys: Array, values: Array) -> None:
        """Add one entry per key."""
        self._new_keys += keys.astype(np.uint64).data.cast("B")
        self._new_values += values.astype(np.uint32).data.cast("B")

    def meet(self, keys: Array, owners: Array) -> tuple[Array, Array]:
        """Return all pairs (number of a key asked for, value of an entry with that key).

        Where the keys of one owner have more than 2**18 entries, the commonest keys give only their first.
        """
        self._sort()
        asked = np.flatnonzero(self._seen[keys >> self._shift])
        first = np.searchsorted(self._keys, keys[asked])
        counts = np.searchsorted(self._keys, keys[asked], side="right") - first
        counts = _within_bounds(counts, owners[asked])
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.repeat(asked, counts), self._values[np.repeat(first, counts) + within].astype(np.int64)

    def _sort(self) -> None:
        """Sort what was added since the last look-up."""
        if not self._new_keys:
            return
        keys = np.concatenate([self._keys, np.frombuffer(self._new_keys, dtype=np.uint64)])
        values = np.concatenate([self._values, np.frombuffer(self._new_values, dtype=np.uint32)])
        self._new_keys, self._new_values = bytearray(), bytearray()
        order = np.argsort(keys, kind="stable")
        self._keys, self._values = keys[order], values[order]
        bits = min(max(len(keys).bit_length() + 2, 16), 28)
        self._seen, self._shift = np.zeros(1 << bits, dtype=np.bool_), np.uint64(64 - bits)
        self._seen[self._keys >> self._shift] = True


def _within_bounds(counts: Array, owners: Array) -> Array:
    """Take one entry only of each owner's commonest keys, where all of its entries would be too many."""
    if counts.sum() <= _MOST_PAIRS:
        return counts
    totals = np.bincount(owners, weights=counts)
    for owner in np.flatnonzero(totals > _MOST_PAIRS).tolist():
        mine = np.flatnonzero(owners == owner)
        mine = mine[np.argsort(counts[mine], kind="stable")]
        beyond = mine[np.cumsum(counts[mine]) > _MOST_PAIRS]
        counts[beyond] = np.minimum(counts[beyond], 1)
    return counts


@dataclass(frozen=True, slots=True)
class Passage:
    """``words`` words of a text, from its word number ``start``, that stand in the source ``id`` too."""

    id: int
    start: int
    words: int


@dataclass(frozen=True, slots=True)
class Runs:
    """The passages that a window of texts shares with sources, one per entry: all arrays are of the same length.

    ``rows`` says in which text, ``starts`` from which of its words, ``sources`` with which source, ``theirs`` from which
    of the source's words, ``lengths`` for how many words.
    """

    rows: Array
    starts: Array
    sources: Array
    theirs: Array
    lengths: Array

    def __len__(self) -> int:
        """Count the passages."""
        return len(self.rows)

    def pick(self, chosen: Array) -> Runs:
        """Return some of the passages."""
        return Runs(*(a[chosen] for a in (self.rows, self.starts, self.sources, self.theirs, self.lengths)))


class Passages:
    """Finds passages of at least ``span`` words that a text shares with one of a fixed set of sources.

    Every run of ``min(span, 8)`` words of a source is kept as a 64-bit hash with its place: 16 to 20 bytes a word.

    Args:
        span: words in a row; of a text or source with fewer, all its words.
        texts: sources to begin with; more can be added.
    """

    def __init__(self, span: int, texts: Sequence[str] = ()) -> None:
        self.span, self.gram = span, min(span, GRAM)
        self._postings = Postings()
        self._added: list[Array] = []
        self.counts, self._ends = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        self._total = 0
        for start in range(0, len(texts), BLOCK):
            self.add(hash_words(texts[start : start + BLOCK]))

    def add(self, words: Words) -> None:
        """Take in more sources."""
        grams, starts = hash_grams(words, self.gram)
        self._postings.add(grams, starts + self._total)
        self._added.append(words.counts)
        self._total += len(words.hashes)

    def __len__(self) -> int:
        """Count the grams kept."""
        return len(self._postings)

    def runs(self, words: Words) -> Runs:
        """Return every passage of at least ``gram`` words, each as long as it goes."""
        if self._added:
            self.counts = np.concatenate([self.counts, *self._added])
            self._ends = np.cumsum(self.counts)
            self._added.clear()
        grams, starts = hash_grams(words, self.gram)
        rows = words.rows
        asked, there = self._postings.meet(grams, rows[starts])
        here, there, lengths = self._join(starts[asked], there)
        mine, sources = rows[here], np.searchsorted(self._ends, there, side="right")
        begins, theirs = np.cumsum(words.counts) - words.counts, self._ends - self.counts
        return Runs(mine, here - begins[mine], sources, there - theirs[sources], lengths)

    def find(self, texts: Sequence[str]) -> list[Passage | None]:
        """Return the longest passage of each text that is long enough; of equals, the one in the first source."""
        words = hash_words(texts)
        return self.longest(self.runs(words), words)

    def longest(self, runs: Runs, words: Words) -> list[Passage | None]:
        """Return, per text, the longest of the passages that are long enough."""
        best: list[Passage | None] = [None] * len(words.counts)
        needed = np.minimum(self.span, np.minimum(words.counts[runs.rows], self.counts[runs.sources]))
        enough = runs.pick(np.flatnonzero(runs.lengths >= needed))
        for k in _best_of_rows(enough.rows, enough.lengths, enough.sources).tolist():
            found = Passage(id=int(enough.sources[k]), start=int(enough.starts[k]), words=int(enough.lengths[k]))
            best[enough.rows[k]] = found
        return best

    def _join(self, here: Array, there: Array) -> tuple[Array, Array, Array]:
        """Join the pairs of places that follow each other: where each run starts in both, and its words."""
        order = np.lexsort((here, there - here))
        here, there = here[order], there[order]
        broken = (np.diff(here) != 1) | (np.diff(there) != 1)
        first = np.concatenate([[0], np.flatnonzero(broken) + 1])[: len(here)]
        return here[first], there[first], np.diff(first, append=len(here)) + self.gram - 1


def _best_of_rows(rows: Array, scores: Array, sources: Array) -> Array:
    """Return, for each row that occurs, where its highest score stands; of equals, the one of the first source."""
    order = np.lexsort((sources, -scores, rows))
    best: Array = order[np.flatnonzero(np.diff(rows[order], prepend=-1))]
    return best


def shared_grams(runs: Runs, words: Words, n: int) -> Array:
    """Return, per text, the share of its n-grams that stand in some source; 0 for texts of fewer than n words.

    ``n`` must not be less than the passages' ``gram``.
    """
    long = runs.pick(np.flatnonzero(runs.lengths >= n))
    if not len(long):
        return np.zeros(len(words.counts))
    ends = np.cumsum(words.counts)
    starts = (ends - words.counts)[long.rows] + long.starts
    size = len(words.hashes) + 1
    changes = np.bincount(starts, minlength=size) - np.bincount(starts + long.lengths - n + 1, minlength=size)
    covered = np.concatenate([[0], np.cumsum(np.cumsum(changes) > 0)])
    found = covered[ends] - covered[ends - words.counts]
    return np.asarray(found / np.maximum(words.counts - n + 1, 1))


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The nearest source of each text and its Jaccard similarity; -1 and 0 where no source shares a shingle with it."""

    ids: Array
    scores: Array


class Nearest:
    """Finds the source whose set of word shingles has the highest Jaccard similarity to a text's: exactly, 12 bytes a word.

    A text of fewer than 5 words has its single words and pairs in its set too, so that two short texts can be alike in part.
    """

    def __init__(self) -> None:
        self._postings = Postings()
        self._sizes: list[Array] = [np.zeros(0, dtype=np.int64)]
        self._count = 0

    def __len__(self) -> int:
        """Count the sources."""
        return self._count

    def add(self, words: Words) -> None:
        """Take in more sources."""
        shingles, rows = shingle_sets(words)
        self._postings.add(shingles, rows + self._count)
        self._sizes.append(np.bincount(rows, minlength=len(words.counts)))
        self._count += len(words.counts)

    def find(self, words: Words, *, but: Array | None = None) -> Neighbours:
        """Return the nearest source of each text, of equals the first; ``but`` names one per text that does not count."""
        if len(self._sizes) > 1:
            self._sizes = [np.concatenate(self._sizes)]
        shingles, rows = shingle_sets(words)
        asked, sources = self._postings.meet(shingles, rows)
        pairs, shared = np.unique(rows[asked] * max(self._count, 1) + sources, return_counts=True)
        mine, sources = pairs // max(self._count, 1), pairs % max(self._count, 1)
        sizes = np.bincount(rows, minlength=len(words.counts))
        scores = shared / (sizes[mine] + self._sizes[0][sources] - shared)
        if but is not None:
            other = np.flatnonzero(sources != but[mine])
            mine, sources, scores = mine[other], sources[other], scores[other]
        found = Neighbours(np.full(len(words.counts), -1), np.zeros(len(words.counts)))
        best = _best_of_rows(mine, scores, sources)
        found.ids[mine[best]], found.scores[mine[best]] = sources[best], scores[best]
        return found


def shingle_sets(words: Words) -> tuple[Array, Array]:
    """Return the distinct shingles of all texts as 64-bit hashes, and the row of the text each belongs to."""
    parts = [hash_grams(words, _SHINGLE)]
    rows = words.rows
    short = np.flatnonzero(words.counts[rows] < _SHINGLE + 2)
    if len(short):
        only = Words(words.hashes[short], np.where(words.counts < _SHINGLE + 2, words.counts, 0))
        for order in range(1, _SHINGLE):
            grams, starts = hash_grams(only, order)
            parts.append((grams, short[starts]))
    hashes, owners = np.concatenate([h for h, _ in parts]), rows[np.concatenate([s for _, s in parts])]
    order_of = np.lexsort((hashes, owners))
    hashes, owners = hashes[order_of], owners[order_of]
    new = (np.diff(hashes, prepend=np.uint64(0)) != 0) | (np.diff(owners, prepend=-1) != 0)
    return hashes[new], owners[new]


class Sample:
    """Some of the sources as they were hashed, each with the same chance: to compare sources with each other.

    Args:
        size: how many at most.
        seed: of the choice (reservoir sampling, Vitter 1985, algorithm R).
    """

    def __init__(self, size: int, *, seed: int = 0) -> None:
        self._size, self._random, self._count = size, Random(seed), 0
        self._kept: dict[int, tuple[int, Array]] = {}

    def add(self, words: Words) -> None:
        """Take in more sources."""
        for row, hashes in enumerate(np.split(words.hashes, np.cumsum(words.counts)[:-1]) if len(words.counts) else ()):
            number = self._count + row
            slot = number if number < self._size else self._random.randrange(number + 1)
            if slot < self._size:
                self._kept[slot] = (number, hashes.copy())
        self._count += len(words.counts)

    def distances(self, nearest: Nearest) -> Array:
        """Return the distance (1 - similarity) of each source in the sample to the nearest *other* one of all."""
        if self._count < 2 or not self._kept:
            return np.zeros(0)
        numbers, parts = zip(*self._kept.values(), strict=True)
        found = []
        for start in range(0, len(parts), BLOCK):
            block = parts[start : start + BLOCK]
            words = Words(np.concatenate(block), np.array([len(part) for part in block]))
            found.append(1 - nearest.find(words, but=np.array(numbers[start : start + BLOCK])).scores)
        return np.concatenate(found)
