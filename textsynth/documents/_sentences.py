"""Sentences of running text, with their positions.

By rules, without a model: a sentence ends at ``.``, ``!`` or ``?`` before white space and a capital, digit, quote or code,
unless the full stop belongs to an abbreviation or an initial; it ends at a blank line and before an item of a list.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a text: from ``start`` up to ``end``."""

    start: int
    end: int

    def of(self, text: str) -> str:
        """Return the piece."""
        return text[self.start : self.end]


_ABBREVIATIONS = frozenset(
    "e.g i.e etc vs cf al approx resp no nos fig figs sec secs ch eq vol pp p mr mrs ms dr prof st inc ltd co corp jr sr "
    "jan feb mar apr jun jul aug sep sept oct nov dec u.s u.k a.m p.m dept est".split()
)
_ITEM = r"(?:[-*+•]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)]|#\.)[ \t]"
_BREAK = re.compile(rf"\n[ \t]*\n\s*|\n(?=[ \t]*{_ITEM})")
_END = re.compile(r"[.!?…。！？][\"'”’»)\]`*_]*(?=\s+[\"'“‘«(\[`*_:<]*[^\Wa-z_]|\s*$)|[。！？]")
_LAST_WORD = re.compile(r"[^\s(\[\"'“`*]+$")


def sentences(text: str) -> list[Span]:
    """Return the sentences of a text in order; between them stands white space alone."""
    found: list[Span] = []
    at = 0
    for gap in [*_BREAK.finditer(text), None]:
        stop = gap.start() if gap else len(text)
        found += _within(text, at, stop)
        at = gap.end() if gap else stop
    return found


def _within(text: str, start: int, stop: int) -> list[Span]:
    """Return the sentences of one paragraph or item."""
    cuts = [m.end() for m in _END.finditer(text, start, stop) if not _is_abbreviation(text, start, m.start())]
    found = []
    for cut in [*cuts, stop]:
        piece = text[start:cut]
        if piece.strip():
            left = start + len(piece) - len(piece.lstrip())
            found.append(Span(left, left + len(piece.strip())))
        start = cut
    return found


def _is_abbreviation(text: str, start: int, dot: int) -> bool:
    """Return whether the full stop at ``dot`` belongs to the word before it."""
    if text[dot] != ".":
        return False
    word = _LAST_WORD.search(text, max(start, dot - 12), dot)
    if word is None:
        return _is_number(text, start, dot)
    said = word[0]
    return said.lower() in _ABBREVIATIONS or (len(said) == 1 and said.isupper()) or _is_number(text, start, dot)


def _is_number(text: str, start: int, dot: int) -> bool:
    """Return whether all that stands before the full stop is the number of an item ("12.")."""
    return bool(re.fullmatch(r"\s*\(?(?:\d{1,3}|[a-zA-Z]|#)", text[start:dot]))
