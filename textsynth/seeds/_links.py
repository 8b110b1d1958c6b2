"""Links: rare terms that chunks of different sections share, as what connects the steps of a question over several."""

from __future__ import annotations

import re
from collections.abc import Sequence

from textsynth.records import Record

MOST_SEEDS = 12
"""A term that stands in more seeds than this says little."""
MOST_LINKS = 8
"""Links kept per seed, the rarest first."""
_NAME = re.compile(
    r"(?<!\w)_*[A-Za-z]\w*(?:[._]\w+)+"  # module.name, snake_case, __dunder__
    r"|(?<!\w)\w*[a-z]\w*[A-Z]\w*"  # camelCase, IOError
    r"|(?<=[a-z,;] )[A-Z][\w-]{2,}(?:\s[A-Z][\w-]{2,}){0,2}"  # names inside a sentence
)
_SHORTEST = 4  # letters of a name: "e.g" is none


def with_links(rows: Sequence[Record]) -> list[Record]:
    """Return the rows with ``links``: the names that also stand in a row of another section or document, rarest first.

    A name is an identifier or a capitalised term inside a sentence; it links if at most ``MOST_SEEDS`` rows have it.
    """
    terms = [names(str(row.get("text") or "")) for row in rows]
    holders: dict[str, list[int]] = {}
    for at, found in enumerate(terms):
        for term in found:
            holders.setdefault(term, []).append(at)
    return [
        {
            **row,
            "links": [term for term in _by_rarity(found, holders) if _leads_on(at, holders[term], rows)][:MOST_LINKS],
        }
        for at, (row, found) in enumerate(zip(rows, terms, strict=True))
    ]


def names(text: str) -> list[str]:
    """Return the names in a text, each once, in order."""
    flat = " ".join(text.split())
    return list(dict.fromkeys(match[0] for match in _NAME.finditer(flat) if len(match[0]) >= _SHORTEST))


def place(row: Record) -> tuple[str, str]:
    """Return where a row comes from: its document and section."""
    return str(row.get("document", "")), str(row.get("section", ""))


def _by_rarity(found: list[str], holders: dict[str, list[int]]) -> list[str]:
    return sorted((term for term in found if len(holders[term]) <= MOST_SEEDS), key=lambda term: len(holders[term]))


def _leads_on(at: int, holding: list[int], rows: Sequence[Record]) -> bool:
    """Return whether another place holds the term too."""
    return any(place(rows[other]) != place(rows[at]) for other in holding)
