"""How long the texts of a pattern are, and patterns made narrower: to a length, or to an alphabet."""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

from textsynth.schema import _chars as chars
from textsynth.schema._chars import Ranges
from textsynth.schema._regex import Chars, Choice, Node, Repeat, Sequence, inner

PROSE_LENGTH = 20
"""A pattern that has room for so many characters, spaces among them, describes free text."""


@dataclass(frozen=True, slots=True)
class Length:
    """Fewest and most characters of the texts of a tree; ``most`` may be infinite."""

    least: int
    most: float


def length(node: Node) -> Length:
    """Return how short and how long the texts of a tree can be."""
    if isinstance(node, Chars):
        return Length(1, 1)
    if isinstance(node, Repeat):
        part = length(node.part)
        return Length(part.least * node.least, part.most * node.most if node.most and part.most else 0)
    parts = [length(part) for part in inner(node)]
    if isinstance(node, Choice):
        return Length(min(part.least for part in parts), max(part.most for part in parts))
    return Length(sum(part.least for part in parts), sum(part.most for part in parts))


def fit(node: Node, low: int, high: int) -> Node | None:
    """Return a tree of none but texts with ``low`` to ``high`` characters, ``None`` if no such part of it is found.

    Every text of the result is one of ``node``; some may be lost (``a+@b+`` in 21 characters becomes ten of each).
    """
    own = length(node)
    if own.least > high or own.most < low or low > high:
        return None
    if low <= own.least and own.most <= high:
        return node
    if isinstance(node, Choice):
        options = [fitted for option in node.options if (fitted := fit(option, low, high)) is not None]
        return Choice(tuple(options)) if options else None
    if isinstance(node, Sequence):
        return fit_sequence(node, low, high)
    return fit_repeat(node, low, high) if isinstance(node, Repeat) else None


def fit_repeat(node: Repeat, low: int, high: int) -> Node | None:
    """Fit a repetition: by the count alone if its part has one length, else about as many parts as each has characters."""
    part = length(node.part)
    if part.least == part.most:
        least, most = max(node.least, -(-low // part.least)), min(node.most, high // part.least)
        return Repeat(node.part, least, most) if least <= most else None
    if node.least == 0 and high < max(1, part.least):
        return Sequence(()) if low <= 0 else None
    most = int(max(node.least, 1, min(node.most, isqrt(high), high // max(1, part.least))))
    least = most if low > node.least * part.least else node.least
    fitted = fit(node.part, -(-low // least) if least else 0, high // most)
    return None if fitted is None else Repeat(fitted, least, most)


def fit_sequence(node: Sequence, low: int, high: int) -> Node | None:
    """Fit a sequence: what room there is goes in equal shares to the parts that can take it."""
    own = [length(part) for part in node.parts]
    lows, highs = [part.least for part in own], [part.least for part in own]
    room, need = high - sum(highs), low - sum(lows)
    growing = sorted((part.most - part.least, i) for i, part in enumerate(own) if part.most > part.least)
    for rank, (slack, position) in enumerate(growing):
        share = int(min(slack, room // (len(growing) - rank)))
        highs[position] += share
        room -= share
    for position in range(len(own)):
        grown = max(0, min(need, highs[position] - lows[position]))
        lows[position] += grown
        need -= grown
    fitted = [part for item, a, b in zip(node.parts, lows, highs, strict=True) if (part := fit(item, a, b)) is not None]
    return Sequence(tuple(fitted)) if need <= 0 and len(fitted) == len(own) else None


def without(node: Node, forbidden: Ranges) -> Node | None:
    """Return the tree of those texts that hold none of the forbidden characters, ``None`` if there are none."""
    if isinstance(node, Chars):
        left = chars.subtract(node.ranges, forbidden)
        return Chars(left) if left else None
    parts = [part for item in inner(node) if (part := without(item, forbidden)) is not None]
    if isinstance(node, Repeat):
        return Repeat(parts[0], node.least, node.most) if parts else None if node.least else Sequence(())
    if isinstance(node, Choice):
        return Choice(tuple(parts)) if parts else None
    return Sequence(tuple(parts)) if len(parts) == len(inner(node)) else None


def starts(node: Node) -> Ranges:
    """Return the characters that texts of a tree can begin with (of the empty text there is none)."""
    if isinstance(node, Chars):
        return node.ranges
    if not isinstance(node, Sequence):
        return chars.union(*(starts(part) for part in inner(node)))
    found: list[Ranges] = []
    for part in node.parts:
        found.append(starts(part))
        if length(part).least:
            break
    return chars.union(*found)


def is_prose(node: Node) -> bool:
    """Return whether texts of a tree can be free text: somewhere in them is room for words and spaces."""
    if isinstance(node, Repeat) and isinstance(node.part, Chars):
        return node.most >= PROSE_LENGTH and chars.overlap(node.part.ranges, chars.one(32))
    return any(is_prose(part) for part in inner(node))
