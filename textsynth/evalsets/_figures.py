"""Shortcuts that a whole set can have: the longest option, the place of the right one, the options alone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from textsynth.answers import LETTERS
from textsynth.records import Record


@dataclass(frozen=True, slots=True)
class Longest:
    """How often the longest option is the right one, beside chance; ``p`` is the odds of as many by chance.

    Of items where several options are the longest, each counts in part.
    """

    rate: float
    chance: float
    p: float
    items: int


@dataclass(frozen=True, slots=True)
class Positions:
    """How often each letter is right; ``chi_square`` against equal shares (Pearson 1900), with the odds of as much by chance."""

    counts: dict[str, int]
    chi_square: float
    p: float


def longest_option(items: Sequence[Record]) -> Longest | None:
    """Return how often the longest option is right; ``None`` without multiple-choice items."""
    asked = [item for item in items if item.get("choices")]
    if not asked:
        return None
    hits, chances = 0.0, list[float]()
    for item in asked:
        lengths = [len(option) for option in item["choices"]]
        longest = [at for at, length in enumerate(lengths) if length == max(lengths)]
        hits += (LETTERS.find(item["answer"]) in longest) / len(longest)
        chances.append(1 / len(lengths))
    chance = sum(chances) / len(chances)
    return Longest(hits / len(asked), chance, binomial_tail(len(asked), math.floor(hits), chance), len(asked))


def key_positions(items: Sequence[Record]) -> Positions | None:
    """Return where the right options stand, over the items with the commonest number of options."""
    sizes = Counter(len(item["choices"]) for item in items if item.get("choices"))
    if not sizes:
        return None
    size = sizes.most_common(1)[0][0]
    keys = Counter(item["answer"] for item in items if len(item.get("choices") or ()) == size)
    counts = {letter: keys[letter] for letter in LETTERS[:size]}
    expected = sum(counts.values()) / size
    value = sum((count - expected) ** 2 / expected for count in counts.values())
    return Positions(counts, value, chi_square_tail(value, size - 1))


def mean(items: Sequence[Record], name: str) -> float | None:
    """Return the mean of a field over the items that have it."""
    values = [float(item[name]) for item in items if isinstance(item.get(name), int | float)]
    return sum(values) / len(values) if values else None


def binomial_tail(trials: int, hits: int, share: float) -> float:
    """Return the odds of at least ``hits`` in ``trials`` independent ones of a given share."""
    odds = (math.comb(trials, k) * share**k * (1 - share) ** (trials - k) for k in range(hits, trials + 1))
    return min(1.0, sum(odds))


def chi_square_tail(value: float, freedom: int) -> float:
    """Return the odds of a chi-square of at least ``value`` (upper incomplete gamma function, by its recurrence)."""
    half = value / 2
    at, tail = (1.0, math.exp(-half)) if freedom % 2 == 0 else (0.5, math.erfc(math.sqrt(half)))
    while at < freedom / 2:
        tail += half**at * math.exp(-half) / math.gamma(at + 1)
        at += 1
    return min(1.0, tail)
