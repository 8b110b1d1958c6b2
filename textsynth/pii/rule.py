"""A rule: what to look for, when to look at all, and what a match turns out to be."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from textsynth.pii.findings import Finding, Level

SCORES: dict[Level, float] = {"valid": 1.0, "shaped": 0.6, "context": 0.8, "model": 0.85}

Judge = Callable[[re.Match[str]], Finding | None]


@dataclass(frozen=True, slots=True)
class Rule:
    """One pattern and the function that judges its matches.

    Args:
        types: The types its findings can have.
        gate: A Hyperscan expression over bytes, caseless, that hits in every text where `pattern` can match.
        pattern: Gives the exact spans. Every part is bounded, so that its time is linear in the text.
        judge: Says what a match is, or None where it is nothing.
    """

    types: tuple[str, ...]
    gate: str
    pattern: re.Pattern[str]
    judge: Judge


def gate_words(words: str) -> str:
    """Return alternatives of a pattern for a gate, which reads bytes: a letter beyond ASCII is up to three of any kind."""
    return re.sub(r"[^\x00-\x7f]", ".{1,3}", words)


def found(kind: str, match: re.Match[str], level: Level, group: int | str = 0, score: float | None = None) -> Finding:
    """Return the finding for a group of a match, with the score of its level."""
    start, end = match.span(group)
    return Finding(kind, start, end, SCORES[level] if score is None else score, level)


def is_near(match: re.Match[str], words: re.Pattern[str], *, before: int = 48, after: int = 0) -> bool:
    """Return whether one of the words stands within so many characters before or after the match."""
    text, start, end = match.string, *match.span()
    if words.search(text, max(0, start - before), start) is not None:
        return True
    return after > 0 and words.search(text, end, min(len(text), end + after)) is not None


def digits_of(text: str) -> str:
    """Return the ASCII digits of a text, in order."""
    return "".join([char for char in text if "0" <= char <= "9"])


def always(kind: str, level: Level, group: int | str = 0) -> Judge:
    """Return a judge that takes every match."""
    return lambda match: found(kind, match, level, group)
