"""What each structured-output backend of vLLM really enforces, as data; ``tests`` prove it on the backends' own matchers.

A keyword that is missing here for a backend is taken out of the decoding schema and checked after decoding instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from textsynth.schema._chars import ESCAPED, Ranges

Backend = Literal["guidance", "xgrammar", "outlines"]
CHOSEN_FROM: tuple[Backend, ...] = ("guidance", "xgrammar")
"""Tried when none is named; the first where they are equal. outlines is slow and enforces least."""

BASIC = frozenset(
    {"type", "properties", "required", "items", "prefixItems", "minItems", "maxItems", "enum", "const", "anyOf"}
    | {"$ref", "minLength", "maxLength", "additionalProperties", "pattern"}
)
MORE = BASIC | {"minimum", "maximum", "minProperties", "maxProperties", "patternProperties", "more items"}


@dataclass(frozen=True, slots=True)
class Abilities:
    """What one backend can do.

    Args:
        keywords: those it enforces in the form that ``constrain`` writes; ``more items`` are those after ``prefixItems``.
        unwritable: characters that a pattern must not ask for, because it is matched against the text of the JSON.
        longest: the largest count it takes in ``{n,m}`` of a pattern.
        endless_decimals: whether a number may go on after the point until the tokens run out.
        key_patterns: how many ``patternProperties`` it follows in one object.
    """

    keywords: frozenset[str]
    unwritable: Ranges = ()
    longest: int = 10**6
    endless_decimals: bool = True
    key_patterns: int = 100


ABILITIES: dict[Backend, Abilities] = {
    # Of multipleOf it writes nothing below zero.
    "guidance": Abilities(
        keywords=MORE | {"multipleOf"},
    ),
    # Strings with a bound hold neither quotes nor newlines, but may hold a raw tab, which is no JSON.
    "xgrammar": Abilities(
        keywords=MORE,
        unwritable=ESCAPED,
        longest=128,
        endless_decimals=False,
        key_patterns=1,
    ),
    "outlines": Abilities(keywords=BASIC, unwritable=ESCAPED),
}
