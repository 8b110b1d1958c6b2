"""Texts that add nothing to those kept before; and how varied the texts kept are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress, pairwise
from typing import Any

import numpy as np

from textsynth import embeddings
from textsynth.filters import Filter, Setting, drop
from textsynth.measure.diversity import Diversity as Measured
from textsynth.measure.ngrams import HashSet
from textsynth.measure.phrases import opening, opening_key
from textsynth.minhash import BLOCK, hash_grams, hash_words
from textsynth.records import Candidate, Drop
from textsynth.text import require_fields

_READ = 100_000  # characters of a record's text that are looked at
_SEEDS = 2000  # seeds embedded at most, for the clusters to reach


@dataclass(kw_only=True)
class Diversity(Filter):
    """Measures how varied the records kept are; drops one that adds nothing, if told to. By default it only measures.

    ``novelty`` asks of a text how many of its word n-grams (its distinct runs of ``order`` words) stand in no record
    kept before; a text of fewer words than ``order`` is not asked. ``openings`` lets no three first words be used by
    more than a share of the records. Measured: distinct-1 to 4, self-BLEU and self-repetition of a sample, ratio of
    compression, openings, templates, growth per hundred records; with ``model`` Vendi score, mean distance and clusters
    reached. Memory: at most 310 MB and 220 bytes a record; with ``novelty``, 16 to 32 bytes more per distinct n-gram.

    Cannot see: meaning, if no model is named (a paraphrase counts as new); whether what is new is any good (noise is
    most diverse); an opening that varies within its first three words; what stands after the first 100,000 characters of a text.

    Args:
        novelty: the least share of a text's n-grams that must be new, 0 (none) to 1.
        order: words per n-gram.
        openings: the largest share of the records that may begin with the same three words; 1 is no limit.
        after: from how many records on ``openings`` holds.
        model: the embedding model (``default``, a name or a folder); empty for none.
        fields: the fields whose text is measured; by default all free-text fields.
    """

    novelty: float = 0.0
    order: int = 4
    openings: float = 1.0
    after: int = 50
    model: str = ""
    fields: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse options out of their range."""
        for name in ("novelty", "openings"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                hint = f" (did you mean {value / 100:g}?)" if 1 < value <= 100 else ""
                raise ValueError(f"{name} must be between 0 and 1, got {value:g}{hint}")
        if self.openings == 0:
            raise ValueError("openings must be above 0, got 0 (1 is no limit)")
        if not 1 <= self.order <= 20:
            raise ValueError(f"order must be between 1 and 20 words, got {self.order}")
        if self.after < 1:
            raise ValueError(f"after must be at least 1 record, got {self.after}")
        if self.model and (problem := embeddings.problem(self.model)):
            raise ValueError(f"model: {problem}")

    def prepare(self, setting: Setting) -> None:
        """Check that the fields exist and start with an empty memory."""
        super().prepare(setting)
        require_fields(self.fields, setting.schema.properties)
        if self.model and (missing := embeddings.missing_package()):
            raise missing
        self._embedder = embeddings.load(self.model) if self.model else None
        self._measured: Measured | None = None
        self._seen = HashSet()

    def start(self) -> None:
        """Load the model."""
        if self._embedder is not None:
            self._embedder.start()

    def begin(self, batch: Sequence[Candidate]) -> None:
        """Have the texts embedded meanwhile."""
        if self._embedder is not None and (texts := self._wordy(batch)):
            self._embedder.submit(texts)

    def ready(self, batch: Sequence[Candidate]) -> bool:
        """Return whether they have been embedded."""
        return self._embedder is None or self._embedder.ready(self._wordy(batch))

    def check(self, batch: Sequence[Candidate]) -> Sequence[Drop | None]:
        """Name the share of n-grams that is new, or the opening that is used too often."""
        answers: list[Drop | None] = [None] * len(batch)
        if not self.novelty and self.openings == 1:
            return answers
        texts = self._texts(batch)
        grams = self._grams(texts) if self.novelty else [_Grams(0, set())] * len(texts)
        fresh: set[int] = set()  # n-grams that earlier members of the batch brought
        begun, before = Counter[int](), self._measured or Measured()
        kept = before.records
        for row, text in enumerate(texts):
            key = opening_key(text)
            if key is None:
                continue
            new = grams[row].unseen - fresh
            answers[row] = self._stale(grams[row].distinct, len(new))
            answers[row] = answers[row] or self._worn(text, before.opened(key) + begun[key], kept)
            if answers[row] is None:
                fresh |= new
                begun[key] += 1
                kept += 1
        return answers

    def keep(self, batch: Sequence[Candidate]) -> None:
        """Remember and measure the texts kept."""
        texts = self._wordy(batch) if self._embedder else self._texts(batch)
        measured = self._measured = self._measured or self._begun()
        for start in range(0, len(texts), BLOCK):
            block = texts[start : start + BLOCK]
            measured.add(block, self._embedder.take(block) if self._embedder else None)
            if self.novelty:
                self._seen.add(hash_grams(hash_words(block), self.order)[0])

    def measured(self) -> Mapping[str, Any]:
        """Return every measure of diversity over the records kept."""
        return (self._measured or Measured()).report()

    def close(self) -> None:
        """End the model's worker."""
        if self._embedder is not None:
            self._embedder.close()

    def _begun(self) -> Measured:
        """Start measuring, with the seeds' embeddings as what the records should reach."""
        texts = [self.setting.text(seed.row, self.fields) for seed in self.setting.seeds[:_SEEDS]]
        texts = [text for text in texts if _wordy(text)]
        return Measured(reference=self._embedder.take(texts) if self._embedder and texts else None)

    def _texts(self, batch: Sequence[Candidate]) -> list[str]:
        return [self.setting.text(candidate.record or {}, self.fields)[:_READ] for candidate in batch]

    def _wordy(self, batch: Sequence[Candidate]) -> list[str]:
        return [text for text in self._texts(batch) if _wordy(text)]

    def _grams(self, texts: Sequence[str]) -> list[_Grams]:
        """Return each text's n-grams: how many, and those that no record kept before has."""
        words = hash_words(texts)
        hashes, starts = hash_grams(words, self.order)
        ends = np.searchsorted(starts, np.cumsum(words.counts)).tolist()
        values, unseen = hashes.tolist(), (~self._seen.has(hashes)).tolist()
        return [
            _Grams(len(set(values[at:end])), set(compress(values[at:end], unseen[at:end])))
            for at, end in pairwise([0, *ends])
        ]

    def _stale(self, distinct: int, new: int) -> Drop | None:
        if not distinct or new / distinct >= self.novelty:
            return None
        share = new / distinct
        detail = f"{share:.2f} of its {distinct} runs of {self.order} words are new (novelty {self.novelty:g})"
        return drop(detail, score=share)

    def _worn(self, text: str, begun: int, kept: int) -> Drop | None:
        if kept < self.after or (begun + 1) / (kept + 1) <= self.openings:
            return None
        share = begun / kept
        detail = f'"{opening(text)[:60]}" already opens {share:.1%} of {kept} records (openings {self.openings:g})'
        return drop(detail, score=share)


@dataclass(frozen=True, slots=True)
class _Grams:
    """The n-grams of one text: how many distinct ones, and those that no record kept before has."""

    distinct: int
    unseen: set[int]


def _wordy(text: str) -> bool:
    return opening_key(text) is not None
