"""What patterns read: the text with look-alike digits, spaces and dashes made ASCII, and the way back.

Accents and letters stay as they are, since names and streets need them.
"""

from __future__ import annotations

import sys
import unicodedata
from dataclasses import dataclass
from functools import cache

_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63"
_SPACES = "\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_GONE = frozenset(
    "\u00ad\ufeff"
    + "".join(map(chr, [*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2065)]))
    + "".join(map(chr, [*range(0x2066, 0x2070), *range(0xFE00, 0xFE10)]))
)


@dataclass(frozen=True, slots=True)
class Folded:
    """The folded text, and, only where characters went out of it, the original offset of each that stayed."""

    text: str
    offsets: list[int] | None = None

    def original(self, start: int, end: int) -> slice:
        """Return the span of the original that `text[start:end]` came from; `end` must be beyond `start`."""
        if self.offsets is None:
            return slice(start, end)
        return slice(self.offsets[start], self.offsets[end - 1] + 1)


@cache
def _table() -> dict[int, str]:
    """Return what each look-alike becomes: decimal digits of every script, full-width ASCII, spaces, dashes."""
    table = {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
    table |= {0x17F: "s", 0x212A: "k", 0x130: "i", 0x131: "i"}  # what case-blind patterns take for s, k and i
    table |= dict.fromkeys(map(ord, _DASHES), "-") | dict.fromkeys(map(ord, _SPACES), " ")
    for code in range(128, sys.maxunicode + 1):
        if (digit := unicodedata.decimal(chr(code), None)) is not None:
            table[code] = str(digit)
    return table


@cache
def _lookalikes() -> frozenset[str]:
    return frozenset(map(chr, _table()))


def fold(text: str) -> Folded:
    """Fold a text; ASCII comes back as it is."""
    if text.isascii():
        return Folded(text)
    offsets = None
    if not _GONE.isdisjoint(text):
        offsets = [i for i, char in enumerate(text) if char not in _GONE]
        text = "".join([text[i] for i in offsets])
    if not _lookalikes().isdisjoint(text):
        text = text.translate(_table())
    return Folded(text, offsets)
