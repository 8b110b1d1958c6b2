"""Texts that nearly repeat one kept before: most of their word sequences are the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textsynth.filters import Filter, Setting, drop
from textsynth.minhash import BLOCK, Match, MinHashIndex, Sketches
from textsynth.records import Candidate, Drop
from textsynth.text import check_threshold, require_fields


@dataclass(kw_only=True)
class NearDuplicate(Filter):
    """Drops a record whose text shares most of its word shingles with a record kept before.

    The score is the exact Jaccard similarity of the two shingle sets; MinHash only proposes whom to compare with, and
    finds at least 99 % of the pairs at the threshold, nearly all above it. Texts of fewer than ``shingle + 2`` words
    are compared by their shorter shingles too, texts without words not at all. Memory a kept record: 270 bytes and 4
    per word, at the default threshold.

    Args:
        threshold: the least similarity that counts as a repetition, above 0 and at most 1.
        shingle: words per shingle.
        fields: the fields whose text is compared; by default all free-text fields.
    """

    threshold: float = 0.8
    shingle: int = 3
    fields: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse options out of their range."""
        check_threshold(self.threshold)
        if not 1 <= self.shingle <= 20:
            raise ValueError(f"shingle must be between 1 and 20 words, got {self.shingle}")

    def prepare(self, setting: Setting) -> None:
        """Check that the fields exist and start with an empty memory."""
        super().prepare(setting)
        require_fields(self.fields, setting.schema.properties)
        self._index = MinHashIndex(threshold=self.threshold, shingle=self.shingle)
        self._checked: Sequence[Candidate] = ()
        self._sketches = self._sketch(())

    def check(self, batch: Sequence[Candidate]) -> Sequence[Drop | None]:
        """Name the most similar draw, kept before or earlier in the batch and not itself a repetition."""
        self._checked, self._sketches = tuple(batch), self._sketch(batch)
        return [self._drop(match) if match else None for match in self._index.screen(self._sketches)]

    def keep(self, batch: Sequence[Candidate]) -> None:
        """Remember the texts kept; those of the batch checked last are not read again."""
        rows = {id(candidate): row for row, candidate in enumerate(self._checked)}
        if all(id(candidate) in rows for candidate in batch):
            self._index.add(self._sketches, [rows[id(candidate)] for candidate in batch])
            return
        for start in range(0, len(batch), BLOCK):
            self._index.add(self._sketch(batch[start : start + BLOCK]))

    def _sketch(self, batch: Sequence[Candidate]) -> Sketches:
        texts = [self.setting.text(candidate.record or {}, self.fields) for candidate in batch]
        return self._index.sketch(texts, [candidate.draw.index for candidate in batch])

    def _drop(self, match: Match) -> Drop:
        detail = f"{match.score:.2f} similar to draw {match.id} (threshold {self.threshold:g})"
        return drop(detail, score=match.score, culprit=str(match.id))
