"""How much of two texts is the same words in the same order: the longest common subsequence, exact."""

from __future__ import annotations

from collections.abc import Sequence


def common_words(first: Sequence[str], second: Sequence[str]) -> int:
    """Return the length of the longest common subsequence, by bit-parallel counting (Hyyrö 2004)."""
    places: dict[str, int] = {}
    for at, word in enumerate(first):
        places[word] = places.get(word, 0) | 1 << at
    every = (1 << len(first)) - 1
    open_places = every  # a 0 where the subsequence grew
    for word in second:
        matched = open_places & places.get(word, 0)
        open_places = ((open_places + matched) | (open_places - matched)) & every
    return len(first) - open_places.bit_count()


def rouge_l(first: Sequence[str], second: Sequence[str]) -> float:
    """Return ROUGE-L of two lists of words (Lin 2004): twice the common ones over all, 0 to 1; of two empty lists 0."""
    total = len(first) + len(second)
    return 2 * common_words(first, second) / total if total else 0.0
