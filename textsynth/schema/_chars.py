"""Sets of characters as sorted ranges of code points: what a character class of a pattern means, and how it is written."""

from __future__ import annotations

from collections.abc import Iterable

Ranges = tuple[tuple[int, int], ...]

LAST = 0x10FFFF
SURROGATES: Ranges = ((0xD800, 0xDFFF),)
ANY: Ranges = ((0, 0xD7FF), (0xE000, LAST))
"""Every character that can stand in a text: all code points but the surrogates."""
DIGIT: Ranges = ((48, 57),)
WORD: Ranges = ((48, 57), (65, 90), (95, 95), (97, 122))
SPACE: Ranges = ((9, 13), (32, 32))
WIDE_SPACE: Ranges = (
    *((9, 13), (32, 32), (0x85, 0x85), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029)),
    *((0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF)),
)
"""Everything that some dialect counts as white space; ``SPACE`` is what all of them do."""
LINE_ENDS: Ranges = ((10, 10), (13, 13), (0x2028, 0x2029))
ESCAPED: Ranges = ((0, 0x1F), (0x22, 0x22), (0x5C, 0x5C), (0x7F, 0x7F))
"""What JSON text writes with a backslash (and DEL)."""

MEANT = frozenset("\\^$.|?*+()[]{}")
MEANT_IN_CLASS = frozenset("\\^-[]")


def one(code: int) -> Ranges:
    """Return the set of one character."""
    return ((code, code),)


def single(ranges: Ranges) -> bool:
    """Return whether a set holds exactly one character."""
    return len(ranges) == 1 and ranges[0][0] == ranges[0][1]


def union(*sets: Iterable[tuple[int, int]]) -> Ranges:
    """Return the characters that are in any of the sets."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(pair for part in sets for pair in part):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def complement(ranges: Ranges) -> Ranges:
    """Return the characters that are not in the set."""
    found, start = [], 0
    for low, high in union(ranges, SURROGATES):
        if start < low:
            found.append((start, low - 1))
        start = high + 1
    return (*found, (start, LAST)) if start <= LAST else tuple(found)


def subtract(ranges: Ranges, other: Ranges) -> Ranges:
    """Return the characters of the first set that are not in the second."""
    return complement(union(complement(ranges), other))


def overlap(ranges: Ranges, other: Ranges) -> bool:
    """Return whether the two sets share a character."""
    return bool(subtract(ranges, complement(other)))


def render(ranges: Ranges) -> str:
    """Write a set as one literal character or a character class, in the syntax that all dialects share.

    A class of everything is no class in some of them: it leaves out NUL.
    """
    if single(ranges):
        return literal(ranges[0][0], MEANT)
    negated = ranges[-1][1] == LAST
    shown = complement(ranges) or one(0) if negated else ranges
    inner = "".join(span(low, high) for low, high in shown)
    return f"[^{inner}]" if negated else f"[{inner}]"


def span(low: int, high: int) -> str:
    """Write one range of a class."""
    first, last = literal(low, MEANT_IN_CLASS), literal(high, MEANT_IN_CLASS)
    return first if low == high else first + last if high == low + 1 else f"{first}-{last}"


def literal(code: int, meant: frozenset[str]) -> str:
    """Write one character, escaped where it would mean something else."""
    character = chr(code)
    if character in meant:
        return f"\\{character}"
    return character if character.isprintable() or code > 0xFFFF else f"\\u{code:04x}"
