"""The gate: which rules can have a match in a text, in one pass over its bytes.

With Hyperscan (`pip install textsynth[pii]`, Linux on x86) all gates are one automaton at hundreds of
megabytes a second; without it every rule looks for itself, with the same findings, more slowly.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

from textsynth.pii.rule import Rule

Gate = Callable[[str], Iterable[int]]
"""Takes a text and returns the indexes of the rules that are to look at it."""


@lru_cache(maxsize=8)
def open_gate(rules: tuple[Rule, ...]) -> Gate:
    """Return the fastest gate there is on this machine; half a second to make with Hyperscan, so it is kept."""
    if not rules or importlib.util.find_spec("hyperscan") is None:
        every = range(len(rules))
        return lambda text: every
    return _hyperscan_gate(rules)


def _hyperscan_gate(rules: Sequence[Rule]) -> Gate:
    import hyperscan

    flags = hyperscan.HS_FLAG_CASELESS | hyperscan.HS_FLAG_SINGLEMATCH | hyperscan.HS_FLAG_DOTALL
    database: Any = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile([rule.gate.encode("latin-1") for rule in rules], ids=list(range(len(rules))), flags=flags)
    database.scratch = hyperscan.Scratch(database)
    scan = database.scan
    hits: list[int] = []

    def note(rule: int, start: int, end: int, flags: int, context: object) -> None:
        hits.append(rule)

    def gate(text: str) -> Iterable[int]:
        hits.clear()
        scan(text.encode("utf-8", "surrogatepass"), note)
        return sorted(hits)

    return gate
