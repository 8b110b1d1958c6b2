"""Texts that are too short or too long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textsynth.filters import Filter, Setting, drop
from textsynth.records import Candidate, Drop
from textsynth.text import count_words, require_fields


@dataclass(kw_only=True)
class Length(Filter):
    """Drops a record whose text is outside the bounds given; by default only one whose text is empty.

    Args:
        min_chars, max_chars: bounds on characters, white space at the ends not counted.
        min_words, max_words: bounds on words; in scripts written without spaces each character counts as one.
        fields: the fields whose text is joined and measured; by default all free-text fields.
    """

    min_chars: int = 1
    max_chars: int | None = None
    min_words: int = 0
    max_words: int | None = None
    fields: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse bounds that no text can meet."""
        for unit in ("chars", "words"):
            least, most = getattr(self, f"min_{unit}"), getattr(self, f"max_{unit}")
            if least < 0:
                raise ValueError(f"min_{unit} must not be negative, got {least}")
            if most is not None and most < max(least, 1):
                raise ValueError(f"max_{unit} must be at least {max(least, 1)} (min_{unit} is {least}), got {most}")

    def prepare(self, setting: Setting) -> None:
        """Check that the fields exist. A record type without any free text has nothing to measure."""
        super().prepare(setting)
        require_fields(self.fields, setting.schema.properties)

    def check(self, batch: Sequence[Candidate]) -> Sequence[Drop | None]:
        """Name the bound that each text breaks; the score is its length."""
        if self.fields is None and not self.setting.text_fields:
            return [None] * len(batch)
        return [self._check(candidate) for candidate in batch]

    def _check(self, candidate: Candidate) -> Drop | None:
        if candidate.record is None:
            return None
        text = self.setting.text(candidate.record, self.fields).strip()
        if problem := _outside(len(text), "chars", self.min_chars, self.max_chars):
            return problem
        if not self.min_words and self.max_words is None:
            return None
        return _outside(count_words(text), "words", self.min_words, self.max_words)


def _outside(count: int, unit: str, least: int, most: int | None) -> Drop | None:
    """Word the drop of a text with ``count`` characters or words, or return ``None`` if that is within bounds."""
    if count < least:
        return drop(f"{count} {unit}, fewer than min_{unit} {least}" if count else "empty text", score=float(count))
    if most is not None and count > most:
        return drop(f"{count} {unit}, more than max_{unit} {most}", score=float(count))
    return None
