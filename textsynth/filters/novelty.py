"""Texts that say in the same order what a seed or a kept one says: Self-Instruct's filter, exact."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from textsynth.filters import Filter, Setting, drop
from textsynth.overlap import common_words
from textsynth.records import Candidate, Drop
from textsynth.text import check_threshold, require_fields, words

_USUAL = "instruction"


@dataclass(kw_only=True)
class Novelty(Filter):
    """Drops a record whose text is too much like a seed's or a kept one's, by ROUGE-L: Self-Instruct's novelty filter.

    ROUGE-L (Lin 2004) is twice the longest common subsequence of words over the words of both, exact, without stemming.
    It sees words in the same order with others between them, as in instructions of one frame ("Write a poem about
    ..."); near_duplicate sees longer shared passages. Texts without words are not judged. Memory a kept record: some
    12 bytes and 70 a word. Among 10,000 kept instructions a look takes some tenths of a millisecond.

    Cannot see: the same task in other words; see ``semantic_duplicate``.

    Args:
        threshold: the least ROUGE-L that is too much, above 0 and at most 1 (the paper's is .7).
        fields: the fields whose text is compared; by default ``instruction`` if there is one, else all of free text.
    """

    threshold: float = 0.7
    fields: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse a threshold out of its range."""
        check_threshold(self.threshold)

    def prepare(self, setting: Setting) -> None:
        """Check that the fields exist, and remember the seeds."""
        super().prepare(setting)
        require_fields(self.fields, setting.schema.properties)
        usual = (_USUAL,) if _USUAL in setting.schema.properties else None
        self._fields = self.fields if self.fields is not None else usual
        self._known = Texts(self.threshold)
        for seed in setting.seeds:
            self._known.add(f"seed:{seed.id}", words(setting.text(seed.row, self._fields)))

    def check(self, batch: Sequence[Candidate]) -> Sequence[Drop | None]:
        """Name the seed or draw that is most like each text: kept before, or earlier in the batch and itself new."""
        fresh = Texts(self.threshold)
        answers: list[Drop | None] = []
        for candidate in batch:
            read = words(self.setting.text(candidate.record or {}, self._fields))
            found = [match for match in (self._known.nearest(read), fresh.nearest(read)) if match]
            if not found:
                fresh.add(str(candidate.draw.index), read)
            answers.append(self._drop(max(found, key=lambda match: match.score)) if found else None)
        return answers

    def keep(self, batch: Sequence[Candidate]) -> None:
        """Remember the texts kept."""
        for candidate in batch:
            text = self.setting.text(candidate.record or {}, self._fields)
            self._known.add(str(candidate.draw.index), words(text))

    def _drop(self, match: Match) -> Drop:
        whom = match.id.replace(":", " ") if match.id.startswith("seed:") else f"draw {match.id}"
        return drop(
            f"ROUGE-L {match.score:.2f} with {whom} (threshold {self.threshold:g})", score=match.score, culprit=match.id
        )


@dataclass(frozen=True, slots=True)
class Match:
    """A remembered text, and its ROUGE-L with the one asked about."""

    id: str
    score: float


class Texts:
    """Texts as lists of words, and the one most like another at or above a threshold, exact.

    A common subsequence is no longer than the words that both have, so only texts that share enough words, counted by
    an inverted index over words and how often each came before in its text, are compared word by word.
    """

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self._ids: list[str] = []
        self._texts: list[list[str]] = []
        self._lengths = array("i")
        self._places: dict[tuple[str, int], array[int]] = {}

    def add(self, name: str, read: list[str]) -> None:
        """Remember a text under its name; one without words is not."""
        if not read:
            return
        for token in numbered(read):
            self._places.setdefault(token, array("i")).append(len(self._ids))
        self._ids.append(name)
        self._texts.append(read)
        self._lengths.append(len(read))

    def nearest(self, read: list[str]) -> Match | None:
        """Return the text with the greatest ROUGE-L, the earliest of equals, if that is at least the threshold."""
        lists = [
            np.frombuffer(self._places[token], dtype=np.int32) for token in numbered(read) if token in self._places
        ]
        if not lists:
            return None
        shared = np.bincount(np.concatenate(lists), minlength=len(self._ids))
        bounds = 2 * shared / (np.frombuffer(self._lengths, dtype=np.int32) + len(read))
        near = np.flatnonzero(bounds >= self.threshold)
        best: Match | None = None
        best_at = 0
        for at in near[np.argsort(-bounds[near], kind="stable")]:
            if best is not None and bounds[at] < best.score:
                break
            score = 2 * common_words(read, self._texts[at]) / (len(read) + len(self._texts[at]))
            if score >= self.threshold and (best is None or (score, -at) > (best.score, -best_at)):
                best, best_at = Match(self._ids[at], score), int(at)
        return best


def numbered(read: Sequence[str]) -> list[tuple[str, int]]:
    """Return each word with how often it came before, so that sharing is counted as often as a word stands in both."""
    seen: dict[str, int] = {}
    found = []
    for word in read:
        found.append((word, seen.get(word, 0)))
        seen[word] = seen.get(word, 0) + 1
    return found
