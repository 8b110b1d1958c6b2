"""Texts that are too easy or too hard to read, by their school grade."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from textsynth.filters import Filter, Setting, drop
from textsynth.records import Candidate, Drop
from textsynth.text import require_fields

_READ = 20_000  # characters that are read
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_ENDS = re.compile(r"[.!?…]+[\"'”’)\]]*(?:\s+|\Z)|\n\s*\n")
_CLOSING = "\"'”’)]"
_UNSPACED = re.compile("[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff]")


@dataclass(kw_only=True)
class Readability(Filter):
    """Drops a record whose text needs fewer or more years of school than the bounds say.

    The grade is that of the Automated Readability Index (Smith and Senter 1967), ``4.71 characters/words + 0.5
    words/sentences - 21.43``, or of Coleman and Liau 1975, ``0.0588 letters per 100 words - 0.296 sentences per 100
    words - 15.8``; both count letters and digits, not syllables. Grades can be below 0 and above 18. Nothing is
    remembered.

    Cannot see: whether a text makes sense. The formulas were fitted to English; in other languages they only rank.
    Texts of fewer than ``min_words`` words and scripts written without spaces are not judged; of long texts the first
    20,000 characters are. In text full of masks, addresses or headers the grade means little.

    Args:
        min_grade, max_grade: the bounds; at least one must be given.
        formula: ``ari`` or ``coleman_liau``.
        min_words: words below which a text is not judged: one short sentence says little.
        fields: the fields whose text is joined and read; by default all free-text fields.
    """

    min_grade: float | None = None
    max_grade: float | None = None
    formula: Literal["ari", "coleman_liau"] = "ari"
    min_words: int = 20
    fields: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse bounds that are missing or that no text can meet."""
        if self.min_grade is None and self.max_grade is None:
            raise ValueError("give min_grade, max_grade or both (years of school, such as max_grade 9), got neither")
        if self.min_grade is not None and self.max_grade is not None and self.min_grade > self.max_grade:
            raise ValueError(f"max_grade must be at least min_grade {self.min_grade:g}, got {self.max_grade:g}")
        if self.min_words < 1:
            raise ValueError(f"min_words must be at least 1, got {self.min_words}")

    def prepare(self, setting: Setting) -> None:
        """Check that the fields exist."""
        super().prepare(setting)
        require_fields(self.fields, setting.schema.properties)

    def check(self, batch: Sequence[Candidate]) -> Sequence[Drop | None]:
        """Name the bound that each text breaks; the score is its grade."""
        return [self._check(self.setting.text(candidate.record or {}, self.fields)[:_READ]) for candidate in batch]

    def _check(self, text: str) -> Drop | None:
        found = _WORD.findall(text)
        if len(found) < self.min_words or (not text.isascii() and _UNSPACED.search(text)):
            return None
        grade = _grade(text, found, self.formula)
        if self.min_grade is not None and grade < self.min_grade:
            return drop(f"grade {grade:.1f}, below min_grade {self.min_grade:g}", score=grade)
        if self.max_grade is not None and grade > self.max_grade:
            return drop(f"grade {grade:.1f}, above max_grade {self.max_grade:g}", score=grade)
        return None


def _grade(text: str, found: list[str], formula: str) -> float:
    letters = sum(map(len, found)) / len(found)
    text = text.strip()
    unfinished = text.rstrip(_CLOSING)[-1:] not in (".", "!", "?", "…")  # the last sentence has no mark
    sentences = (len(_ENDS.findall(text)) + unfinished) / len(found)
    if formula == "ari":
        return 4.71 * letters + 0.5 / sentences - 21.43
    return 5.88 * letters - 29.6 * sentences - 15.8
