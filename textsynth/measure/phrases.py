"""How texts begin and what mould they are cast in: counts of openings and of skeletons, the common ones by their words."""

from __future__ import annotations

import re
from dataclasses import dataclass

from xxhash import xxh3_64_intdigest

from textsynth.text import words

_WORDS = 3  # of an opening
_READ = 200  # characters at the start of a text that are looked at
_MASKED = 12  # words of a skeleton
_FIXED = 3  # of them that are not slots, or it is no mould
_NAMED = 10  # times a phrase must come for its words to be kept
_SHOWN = 60  # characters of a phrase that are kept
_RAW_WORDS = re.compile(rf"\S+(?:\s+\S+){{0,{_WORDS - 1}}}")
_SLOT = re.compile(
    r"(?<!\S)(?:[^\s\d]*\d\S*|(?<=\s)[A-Z]\S*)"
)  # a word with a digit; a capitalised word that is not the first
_SLOTS = re.compile(r"…(?:\s+…)+")
SLOT = "…"


@dataclass(frozen=True, slots=True)
class Common:
    """A phrase as first written when it had become common, and how many texts have it."""

    phrase: str
    count: int
    share: float


class Phrases:
    """Counts phrases by the hash of their folded form; about 110 bytes a distinct phrase, 150 more a common one."""

    def __init__(self) -> None:
        self.total = 0
        self._counts: dict[int, int] = {}
        self._forms: dict[int, str] = {}

    def __len__(self) -> int:
        """Count the distinct phrases."""
        return len(self._counts)

    def add(self, key: int, phrase: str) -> None:
        """Count one phrase by its key."""
        self.total += 1
        count = self._counts.get(key, 0) + 1
        self._counts[key] = count
        if count == _NAMED:
            self._forms[key] = phrase[:_SHOWN]

    def count(self, key: int) -> int:
        """Return how often the phrase with this key was added."""
        return self._counts.get(key, 0)

    def top(self, most: int) -> list[Common]:
        """Return the most common phrases that came at least ten times, most frequent first."""
        ranked = sorted(self._forms, key=lambda key: (-self._counts[key], self._forms[key]))[:most]
        return [Common(self._forms[k], self._counts[k], self._counts[k] / self.total) for k in ranked]

    def share_of_top(self, most: int) -> float | None:
        """Return the share of all texts that have one of the ``most`` most common phrases."""
        return sum(sorted(self._counts.values(), reverse=True)[:most]) / self.total if self.total else None


def phrase_key(phrase: str) -> int:
    """Return a hash of a phrase, the same in every process."""
    return xxh3_64_intdigest(phrase.encode("utf-8", "replace"))


def opening(text: str) -> str:
    """Return the first three words of a text as they are written."""
    found = _RAW_WORDS.search(text, 0, _READ)
    return found.group().rstrip(",.;:!?") if found else ""


def opening_key(text: str) -> int | None:
    """Return a hash of the first three words of a text, folded; ``None`` if there are no words."""
    found = words(text[:_READ])[:_WORDS]
    return phrase_key(" ".join(found)) if found else None


def skeleton(text: str) -> str:
    """Return the first twelve words of a text with numbers and names (capitalised words) each made one slot.

    Empty if fewer than three words remain.
    """
    masked = _SLOTS.sub(SLOT, _SLOT.sub(SLOT, text[:_READ].strip()))
    found = masked.split()[:_MASKED]
    return " ".join(found) if len(found) - found.count(SLOT) >= _FIXED else ""
