"""Planted failures: datasets that are wrong in one known way, made of real rows. A measure that is worth its name sees them.

Each generator takes real rows and gives as many synthetic ones, unless said otherwise; the same seed gives the same rows.
"""

from __future__ import annotations

import random
import re
import string
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Row = dict[str, Any]
Texts = Sequence[str]
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")


def copies(texts: Texts, seed: int = 0) -> list[str]:
    """The texts themselves, in another order."""
    return random.Random(seed).sample(list(texts), len(texts))


def one_character(texts: Texts, seed: int = 0) -> list[str]:
    """Each text with one letter changed."""
    chance = random.Random(seed)
    return [_change(text, chance) for text in texts]


def _change(text: str, chance: random.Random) -> str:
    letters = [at for at, letter in enumerate(text) if letter.isalpha()]
    if not letters:
        return text + "!"
    at = chance.choice(letters)
    other = chance.choice([letter for letter in string.ascii_lowercase if letter != text[at].lower()])
    return text[:at] + other + text[at + 1 :]


def drop_words(texts: Texts, share: float, seed: int = 0) -> list[str]:
    """Each text without a share of its words, chosen at random (at least one word is left)."""
    chance = random.Random(seed)
    found = []
    for text in texts:
        words = text.split()
        kept = sorted(chance.sample(range(len(words)), max(1, round(len(words) * (1 - share)))))
        found.append(" ".join(words[at] for at in kept))
    return found


def shuffle_words(texts: Texts, seed: int = 0) -> list[str]:
    """Each text with its words in another order."""
    chance = random.Random(seed)
    return [" ".join(chance.sample(text.split(), len(text.split()))) for text in texts]


def markov(texts: Texts, order: int, seed: int = 0) -> list[str]:
    """As many texts, written word by word by a Markov chain of this order learnt from the texts."""
    chance = random.Random(seed)
    table: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for text in texts:
        words = [*[""] * order, *text.split(), "\0"]
        for at in range(len(words) - order):
            table[tuple(words[at : at + order])].append(words[at + order])
    longest = max(len(text.split()) for text in texts)
    return [_walk(table, order, longest, chance) for _ in texts]


def _walk(table: Mapping[tuple[str, ...], Sequence[str]], order: int, longest: int, chance: random.Random) -> str:
    words = [""] * order
    while len(words) < longest + order:
        word = chance.choice(table[tuple(words[-order:])])
        if word == "\0":
            break
        words.append(word)
    return " ".join(words[order:])


def recombine_sentences(texts: Texts, seed: int = 0) -> list[str]:
    """Texts of as many sentences as real ones, each sentence from another text."""
    chance = random.Random(seed)
    split = [[part for part in _SENTENCE.split(text) if part.strip()] for text in texts]
    pool = [part for parts in split for part in parts]
    return [" ".join(chance.choice(pool) for _ in parts) or text for parts, text in zip(split, texts, strict=True)]


def collapse(rows: Sequence[Any], kinds: int = 100, seed: int = 0) -> list[Any]:
    """As many rows, of which only ``kinds`` differ."""
    chance = random.Random(seed)
    chosen = chance.sample(list(rows), min(kinds, len(rows)))
    return (chosen * (len(rows) // len(chosen) + 1))[: len(rows)]


def one_category(rows: Sequence[Row], field: str) -> list[Row]:
    """The rows of the commonest value of a field; fewer than there were."""
    common = Counter(row[field] for row in rows).most_common(1)[0][0]
    return [row for row in rows if row[field] == common]


def independent_columns(rows: Sequence[Row], seed: int = 0) -> list[Row]:
    """Every column shuffled by itself: right one by one, wrong together."""
    chance = random.Random(seed)
    columns = {name: chance.sample([row[name] for row in rows], len(rows)) for name in rows[0]}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def perturb(rows: Sequence[Row], share: float, seed: int = 0) -> list[Row]:
    """Each row with a share of its cells replaced by those of other rows (mostlyai-qa's flip10, flip30, flip50)."""
    chance = random.Random(seed)
    names = list(rows[0])
    found = []
    for row in rows:
        changed = [name for name in names if chance.random() < share]
        found.append(row | {name: chance.choice(rows)[name] for name in changed})
    return found


TEXT_FAILURES: dict[str, Callable[[Texts], list[str]]] = {
    "copies": copies,
    "one character changed": one_character,
    "10 % of words dropped": lambda texts: drop_words(texts, 0.1),
    "30 % of words dropped": lambda texts: drop_words(texts, 0.3),
    "words shuffled": shuffle_words,
    "Markov order 1": lambda texts: markov(texts, 1),
    "Markov order 2": lambda texts: markov(texts, 2),
    "sentences recombined": recombine_sentences,
}
"""Made of the real texts. Mode collapse and one category are made of rows that are neither real nor holdout."""

TABLE_FAILURES: dict[str, Callable[[Sequence[Row]], list[Row]]] = {
    "copies": lambda rows: copies(rows),  # type: ignore[arg-type,return-value]
    "independent columns": independent_columns,
    "10 % of cells changed": lambda rows: perturb(rows, 0.1),
    "30 % of cells changed": lambda rows: perturb(rows, 0.3),
    "50 % of cells changed": lambda rows: perturb(rows, 0.5),
}
"""Made of the real rows."""
