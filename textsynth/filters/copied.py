"""Texts taken over from a seed: the whole of it, nearly all of it, or one long passage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from textsynth.filters import Filter, Setting, drop
from textsynth.minhash import BLOCK, Array, Match, MinHashIndex, hash_grams, hash_words
from textsynth.records import Candidate, Drop, Seed
from textsynth.text import check_threshold, join_text, require_fields, strings, words

_GRAM = 8  # words looked up at once; a shorter passage says nothing about where it comes from
_BITS = 22  # of a gram's hash, for a first look that rules out most
_QUOTED = 80  # characters of a passage that are shown
_SHIFT = np.uint64(64 - _BITS)


@dataclass(kw_only=True)
class Copied(Filter):
    """Drops a record that repeats a seed, whether or not that seed was shown to the model for it.

    Two rules: the texts' word shingles are alike (``near_duplicate``'s measure), or they share ``span`` words in a row.
    Where either text is shorter than ``span``, the whole of it must lie in the other, and at least 8 words.

    Args:
        threshold: the least Jaccard similarity that counts as a copy, above 0 and at most 1.
        span: words in a row that count as a copy (13: Brown et al. 2020, Language Models are Few-Shot Learners, C).
        fields: the fields whose text is compared; by default all free-text fields. Of seeds that have none of them,
            every string is read.
    """

    threshold: float = 0.8
    span: int = 13
    fields: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse options out of their range."""
        check_threshold(self.threshold)
        if self.span < 2:
            raise ValueError(f"span must be at least 2 words, got {self.span}")

    def prepare(self, setting: Setting) -> None:
        """Check that the fields exist and read every seed once; of seeds with the same words, the first."""
        super().prepare(setting)
        require_fields(self.fields, setting.schema.properties)
        distinct: dict[str, int] = {}
        for seed in setting.seeds:
            distinct.setdefault(" ".join(words(self._seed_text(seed))), seed.id)
        texts, ids = list(distinct), list(distinct.values())
        self._index, self._passages = MinHashIndex(threshold=self.threshold), Passages(self.span, texts, ids)
        for start in range(0, len(texts), BLOCK):
            self._index.add(self._index.sketch(texts[start : start + BLOCK], ids[start : start + BLOCK]))

    def check(self, batch: Sequence[Candidate]) -> Sequence[Drop | None]:
        """Name the seed each text is most similar to, or else shares its longest passage with."""
        texts = [self.setting.text(candidate.record or {}, self.fields) for candidate in batch]
        matches = self._index.query(self._index.sketch(texts, range(len(texts))))
        passages = self._passages.find(texts)
        return [
            self._near(match) if match else self._passage(text, passage) if passage else None
            for text, match, passage in zip(texts, matches, passages, strict=True)
        ]

    def _seed_text(self, seed: Seed) -> str:
        fields = self.setting.text_fields if self.fields is None else self.fields
        return join_text(seed.row, fields) or "\n".join(strings(seed.row))

    def _near(self, match: Match) -> Drop:
        detail = f"{match.score:.2f} similar to seed {match.id} (threshold {self.threshold:g})"
        return drop(detail, score=match.score, culprit=f"seed:{match.id}")

    def _passage(self, text: str, passage: Passage) -> Drop:
        quote = " ".join(words(text)[passage.start : passage.start + passage.words])
        shown = quote[:_QUOTED] + "..." * (len(quote) > _QUOTED)
        detail = f'{passage.words} words in a row from seed {passage.id} (span {self.span}): "{shown}"'
        return drop(detail, score=float(passage.words), culprit=f"seed:{passage.id}")


@dataclass(frozen=True, slots=True)
class Passage:
    """``words`` words of a text, from its word number ``start``, that stand in the source ``id`` too."""

    id: int
    start: int
    words: int


class Passages:
    """Finds passages of at least ``span`` words that a text shares with one of a fixed set of sources.

    Every run of ``min(span, 8)`` words of a source is kept as a 64-bit hash with its place, sorted: 12 bytes a word.

    Args:
        span: words in a row; of a text or source with fewer, all its words.
        texts: the sources.
        ids: what ``find`` calls each of them.
    """

    def __init__(self, span: int, texts: Sequence[str], ids: Sequence[int]) -> None:
        """Read and sort the sources, in blocks."""
        self.span, self.gram, self._ids = span, min(span, _GRAM), tuple(ids)
        blocks = [hash_words(texts[start : start + BLOCK]) for start in range(0, len(texts), BLOCK)]
        self._counts = np.concatenate([np.zeros(0, dtype=np.int64), *(block.counts for block in blocks)])
        offsets = np.cumsum([0, *(len(block.hashes) for block in blocks)]).tolist()
        grams = [hash_grams(block, self.gram) for block in blocks]
        hashes = np.concatenate([np.zeros(0, dtype=np.uint64), *(found for found, _ in grams)])
        places = [found + offset for (_, found), offset in zip(grams, offsets, strict=False)]
        order = np.argsort(hashes, kind="stable")
        self._grams = hashes[order]
        self._places = np.concatenate([np.zeros(0, dtype=np.int64), *places]).astype(np.uint32)[order]
        self._seen = np.zeros(1 << _BITS, dtype=np.bool_)
        self._seen[self._grams >> _SHIFT] = True

    def find(self, texts: Sequence[str]) -> list[Passage | None]:
        """Return the longest passage of each text that is long enough; of equals, the one in the first source."""
        found = hash_words(texts)
        here, there = self._meet(*hash_grams(found, self.gram))
        best: list[Passage | None] = [None] * len(texts)
        if not len(here):
            return best
        starts, sources, lengths = self._runs(here, there)
        rows = np.searchsorted(np.cumsum(found.counts), starts, side="right")
        starts -= (np.cumsum(found.counts) - found.counts)[rows]
        enough = lengths >= np.minimum(self.span, np.minimum(found.counts[rows], self._counts[sources]))
        for k in np.lexsort((sources, -lengths))[::-1].tolist():  # the best comes last
            if enough[k]:
                best[rows[k]] = Passage(id=self._ids[sources[k]], start=int(starts[k]), words=int(lengths[k]))
        return best

    def _meet(self, grams: Array, places: Array) -> tuple[Array, Array]:
        """Return all pairs (place in the texts, place in the sources) at which the same gram starts."""
        some = np.flatnonzero(self._seen[grams >> _SHIFT])
        grams, places = grams[some], places[some]
        first = np.searchsorted(self._grams, grams)
        counts = np.searchsorted(self._grams, grams, side="right") - first
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.repeat(places, counts), self._places[np.repeat(first, counts) + within].astype(np.int64)

    def _runs(self, here: Array, there: Array) -> tuple[Array, Array, Array]:
        """Join the pairs that follow each other: where in the texts each run starts, its source, and its words."""
        order = np.lexsort((here, there - here))
        here, there = here[order], there[order]
        broken = (np.diff(here) != 1) | (np.diff(there) != 1)
        first = np.concatenate([[0], np.flatnonzero(broken) + 1])
        lengths = np.diff(first, append=len(here)) + self.gram - 1
        return here[first], np.searchsorted(np.cumsum(self._counts), there[first], side="right"), lengths
