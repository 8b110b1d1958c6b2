"""Fresh keys of the form that a table's keys have."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from textsynth.columns import draw_pattern, find_pattern
from textsynth.columns._patterns import pattern_size, widen

ROOMY = 1e6
"""A form with so many times more texts than keys follow it gives fresh keys by chance."""
COUNTED = re.compile(r".*?(?P<number>\d+)", re.DOTALL)
EITHER = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True, slots=True)
class KeyMaker:
    """How fresh keys are made.

    Args:
        start: the number to count on from, above every real key and round: nothing but their length shows.
        whole: whether keys are numbers, not texts.
        head: what stands before the number in a text.
        width: digits that a number in a text is filled up to with zeros.
        pattern: a regular expression that keys are drawn by instead.
    """

    start: int
    whole: bool = False
    head: str = ""
    width: int = 0
    pattern: str = ""

    @classmethod
    def of(cls, values: Sequence[Any], table: str) -> KeyMaker:
        """Find the form of a table's keys."""
        if all(isinstance(value, int) and not isinstance(value, bool) for value in values):
            return cls(above(max(abs(value) for value in values), len(values)), whole=True)
        texts = [str(value) for value in values]
        numbers = [match["number"] for text in texts if (match := COUNTED.fullmatch(text))]
        heads = {text.removesuffix(number) for text, number in zip(texts, numbers, strict=False)}
        if len(numbers) == len(texts) and len(heads) == 1:
            widths = {len(number) for number in numbers}
            width = widths.pop() if len(widths) == 1 else 0
            return cls(above(max(map(int, numbers)), len(texts)), head=heads.pop(), width=width)
        if pattern := find_pattern(texts):
            return cls(0, pattern=roomy(pattern, texts))
        return cls(above(0, len(texts)), head=f"{table}-")

    def make(self, n: int, random: np.random.Generator) -> list[Any]:
        """Return ``n`` different keys."""
        if self.pattern:
            return list(draw_pattern(self.pattern, n, random))
        numbers = range(self.start, self.start + n)
        return list(numbers) if self.whole else [f"{self.head}{number:0{self.width}d}" for number in numbers]

    def as_data(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)

    @classmethod
    def of_data(cls, data: Mapping[str, Any]) -> KeyMaker:
        """Return the maker that ``as_data`` made ``data`` of."""
        return cls(**data)


def roomy(pattern: str, texts: Sequence[str]) -> str:
    """Return the pattern, each of its forms longer by one character if it would soon give a key that is there already."""
    forms = EITHER.split(pattern)
    held = [sum(re.fullmatch(form, text) is not None for text in texts) for form in forms]
    wide = [
        form if pattern_size(form) >= ROOMY * count else widen(form) for form, count in zip(forms, held, strict=True)
    ]
    return "|".join(wide)


def above(largest: int, rows: int) -> int:
    """Return the first key to count from: the next multiple of a power of ten that leaves room for ``rows``, or ten times it."""
    unit = int(10 ** max(0, len(str(largest)) - 1))
    start = (largest // unit + 1) * unit
    return start if start + rows < 10 * unit else 10 * unit
