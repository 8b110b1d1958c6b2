"""Texts that repeat themselves: loops of words, the same sentence again, the same lines."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from textsynth.filters import Filter, Setting, drop
from textsynth.minhash import BLOCK, Array, Words, hash_grams, hash_words
from textsynth.records import Candidate, Drop
from textsynth.text import require_fields, words

_READ = 60_000  # characters that are read
_LONGEST = 8  # words of the longest unit of a loop
_LONG = 50  # words from which shares of a text mean something
_OFTEN = 3  # times a run of words must stand in a text before its share counts
_TOP = {2: 0.20, 3: 0.18, 4: 0.16, 8: 0.14}
_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # any odd number whose bits look random
_SENTENCE = re.compile(r"(?:[^.!?\n]|[.!?](?=\S))+")
_MASK = re.compile(r"x+|_+")


@dataclass(kw_only=True)
class Repetition(Filter):
    """Drops a record whose text repeats itself.

    In a text of any length: a word ``loops + 2`` times in a row, two to eight words ``loops`` times in a row, a
    sentence of three words or more ``loops`` times. In one of 50 words or more also, after Rae et al. 2021 (Gopher),
    table A1, in words where they count characters: more than 30 % of the lines repeat an earlier one, or one run of 2,
    3, 4 or (ours) 8 words that stands there three times has more than 20, 18, 16 or 14 % of the words. Masked words
    (``XXXX``, ``____``) repeat nothing. Nothing is remembered.

    Cannot see: repetition in other words, or after the first 60,000 characters. A chorus counts as repetition, and so
    does laughter in a script without spaces, where each character is a word.

    Args:
        loops: how often in a row is too often.
        max_lines: the largest share of lines that repeat an earlier one.
        fields: the fields whose text is joined and read; by default all free-text fields.
    """

    loops: int = 3
    max_lines: float = 0.30
    fields: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse numbers out of range."""
        if self.loops < 2:
            raise ValueError(f"loops must be at least 2, got {self.loops}")
        if not 0 <= self.max_lines <= 1:
            raise ValueError(f"max_lines must be between 0 and 1, got {self.max_lines:g}")

    def prepare(self, setting: Setting) -> None:
        """Check that the fields exist."""
        super().prepare(setting)
        require_fields(self.fields, setting.schema.properties)

    def check(self, batch: Sequence[Candidate]) -> Sequence[Drop | None]:
        """Name what each text repeats; the score is how often, or what share."""
        texts = [self.setting.text(candidate.record or {}, self.fields)[:_READ] for candidate in batch]
        blocks = [texts[start : start + BLOCK] for start in range(0, len(texts), BLOCK)]
        return [found for block in blocks for found in self._check(block)]

    def _check(self, texts: Sequence[str]) -> list[Drop | None]:
        """Look closer only at the texts whose word hashes, taken all at once, show something that comes back."""
        hashed = hash_words(texts)
        masks = _masks()
        masked = masks[np.minimum(np.searchsorted(masks, hashed.hashes), len(masks) - 1)] == hashed.hashes
        long = hashed.counts >= _LONG
        most = {3: _most_often(hashed, masked, 3)}
        if long.any():
            most[2] = _most_often(hashed, masked, 2)
            rare = masked | np.repeat(most[3] < _OFTEN, hashed.counts)  # a longer run is no more frequent
            most |= {order: _most_often(hashed, rare, order) for order in _TOP if order > 3 and not rare.all()}
        looks: list[tuple[Array, Callable[[str], Drop | None]]] = [
            (self._looping(hashed, masked), self._loop),
            (most[3] >= self.loops, self._sentence),
            (long & np.array(["\n" in text for text in texts], dtype=bool), self._lines),
            (long & _top_heavy(most, hashed.counts), self._shares),
        ]
        found: list[Drop | None] = [None] * len(texts)
        for rows, look in looks:
            for row in np.flatnonzero(rows).tolist():
                found[row] = found[row] or look(texts[row])
        return found

    def _need(self, size: int) -> int:
        """Return how many words in a row must equal the word ``size`` places before, in a loop of so many words."""
        return (self.loops + 1 if size == 1 else self.loops - 1) * size

    def _looping(self, hashed: Words, masked: Array) -> Array:
        """Return, per text, whether a run of words in it comes back at once."""
        found = np.zeros(len(hashed.counts), dtype=bool)
        rows = hashed.rows
        for size in range(1, min(_LONGEST, len(rows) - 1) + 1):
            same = (hashed.hashes[size:] == hashed.hashes[:-size]) & (rows[size:] == rows[:-size]) & ~masked[size:]
            need = self._need(size)
            if np.count_nonzero(same) >= need:
                sums = np.cumsum(np.concatenate([[0], same]))
                found[rows[size:][np.flatnonzero(sums[need:] - sums[:-need] == need)]] = True
        return found

    def _loop(self, text: str) -> Drop | None:
        found = words(text)
        for size in range(1, _LONGEST + 1):
            need, run = self._need(size), 0
            for place in range(size, len(found)):
                run = run + 1 if found[place] == found[place - size] and not _MASK.fullmatch(found[place]) else 0
                if run >= need:
                    unit = " ".join(found[place - size + 1 : place + 1])[:60]
                    return drop(f'"{unit}" {need // size + 1} times in a row', score=float(need // size + 1))
        return None

    def _sentence(self, text: str) -> Drop | None:
        counts = Counter(" ".join(part.lower().split()) for part in _SENTENCE.findall(text))
        for sentence, count in counts.items():
            if count >= self.loops and len(list(_unmasked(sentence))) >= 3:
                return drop(f'{count} times "{sentence[:60]}"', score=float(count))
        return None

    def _lines(self, text: str) -> Drop | None:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        share = 1 - len(set(lines)) / max(len(lines), 1)
        if share <= self.max_lines:
            return None
        return drop(f"{share:.2f} of the lines repeat (max_lines {self.max_lines:g})", score=share)

    def _shares(self, text: str) -> Drop | None:
        found = words(text)
        for size, most in _TOP.items():
            gram, count = _most_frequent(found, size)
            share = count * size / len(found)
            if count >= _OFTEN and share > most:
                return drop(f'{share:.2f} of the words are "{gram[:60]}" (at most {most:g})', score=share)
        return None


def _most_frequent(found: list[str], size: int) -> tuple[str, int]:
    """Return the run of ``size`` words without a mask that stands there most often, of equals the first."""
    grams = zip(*(found[k:] for k in range(size)), strict=False)
    counts = Counter(gram for gram in grams if not any(map(_MASK.fullmatch, gram)))
    gram, count = max(counts.items(), key=lambda item: item[1], default=((), 0))
    return " ".join(gram), count


def _unmasked(sentence: str) -> Iterator[str]:
    return (word for word in words(sentence) if not _MASK.fullmatch(word))


def _top_heavy(most: Mapping[int, Array], lengths: Array) -> Array:
    """Return, per text, whether one run of a few words has too large a share of it."""
    found = np.zeros(len(lengths), dtype=bool)
    for order, counts in most.items():
        found |= (counts >= _OFTEN) & (counts * order > _TOP[order] * lengths)
    return found


def _most_often(hashed: Words, masked: Array, order: int) -> Array:
    """Return, per text, how often the most frequent run of ``order`` words without a mask stands in it, or 0 if once.

    Counting in a table of few slots first leaves few runs to be sorted: those that share a slot with another.
    """
    grams, starts = hash_grams(hashed, order)
    masks = [masked[k : k + len(masked) - order + 1] for k in range(order)] if len(starts) else [masked[:0]]
    clean = ~np.any(masks, axis=0)[starts]
    keys = grams[clean] & np.uint64(2**64 - BLOCK) | hashed.rows[starts[clean]].astype(np.uint64)
    slots = (keys * _SPREAD >> np.uint64(48)).astype(np.int64)
    keys = np.sort(keys[np.bincount(slots, minlength=2**16)[slots] > 1])
    first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])[: len(keys)])
    most = np.zeros(len(hashed.counts), dtype=np.int64)
    np.maximum.at(most, (keys[first] & np.uint64(BLOCK - 1)).astype(np.int64), np.diff(first, append=len(keys)))
    return most


@lru_cache(maxsize=1)
def _masks() -> Array:
    """Return the sorted hashes of masked words."""
    return np.sort(hash_words([letter * length for letter in "x_" for length in range(1, 65)]).hashes)
