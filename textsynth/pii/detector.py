"""The detector: the gate, the rules that it lets through, and the merge of what they found with names."""

from __future__ import annotations

import importlib.util
from bisect import bisect_left
from collections.abc import Collection, Sequence
from functools import cached_property

from textsynth.errors import MissingPackageError
from textsynth.pii import identity, money, network, people, phone, places
from textsynth.pii.findings import Finding, NameFinder
from textsynth.pii.folding import Folded, fold
from textsynth.pii.gate import Gate, open_gate
from textsynth.pii.rule import Rule
from textsynth.pii.types import TYPES

RULES: tuple[Rule, ...] = (
    *network.RULES, *money.RULES, *identity.RULES, *phone.RULES, *places.RULES, *people.RULES,
)  # fmt: skip


class Detector:
    """Finds personal data in strings: patterns, checksums and context words, and the names a model knows.

    Time is linear in the text; nothing is kept between calls but the compiled patterns (about 5 MB).

    Args:
        types: Which types to look for (names of `TYPES`); all by default.
        names: Finds names of persons, places and organisations. Without it only set phrases do ("my name is").

    Cannot see: a number written out in words or split over fields; a national phone number that no word near it
    announces and that has no North American form; numbers of countries that have no rule here; an address
    without number, street word or post code; a name outside a set phrase when no finder of names is given;
    plain dates and ages, which are no personal data by themselves. The context words are English and a few
    of the larger European languages.
    """

    def __init__(self, types: Collection[str] | None = None, *, names: NameFinder | None = None) -> None:
        chosen = frozenset(TYPES if types is None else types)
        if unknown := sorted(chosen - TYPES.keys()):
            raise ValueError(f"unknown type {unknown[0]!r}: the types are {', '.join(TYPES)}")
        if "PHONE_NUMBER" in chosen and importlib.util.find_spec("phonenumbers") is None:
            raise MissingPackageError("phonenumbers", extra="pii", needed_for="finding telephone numbers")
        self.types = chosen
        self._names = names
        self._rules = tuple(rule for rule in RULES if not chosen.isdisjoint(rule.types))

    @cached_property
    def _gate(self) -> Gate:
        return open_gate(self._rules)

    def find(self, texts: Sequence[str]) -> list[list[Finding]]:
        """Return the findings of each text, sorted by start, none overlapping another."""
        found = [self._find_one(text) for text in texts]
        if self._names is not None:
            named = self._names.find(texts)
            found = [self._merge(own, extra, text) for own, extra, text in zip(found, named, texts, strict=True)]
        return found

    def _find_one(self, text: str) -> list[Finding]:
        folded = Folded(text) if text.isascii() else fold(text)
        read = folded.text
        found: list[Finding] = []
        for index in self._gate(read):
            rule = self._rules[index]
            judge = rule.judge
            for match in rule.pattern.finditer(read):
                if (finding := judge(match)) is not None:
                    found.append(finding)
        if not found:
            return found
        kept = choose([finding for finding in found if finding.type in self.types])
        return kept if folded.offsets is None else [_moved(finding, folded) for finding in kept]

    def _merge(self, own: list[Finding], named: Sequence[Finding], text: str) -> list[Finding]:
        """Add the names that no pattern has taken, and cut off those parts that one has."""
        if not named:
            return own
        merged = list(own)
        for name in named:
            if name.type in self.types and (rest := _uncovered(name, own, text)) is not None:
                merged.append(rest)
        return choose(merged)


def choose(findings: list[Finding]) -> list[Finding]:
    """Return findings that do not overlap, sorted by start: the more certain wins, then the longer, then the earlier."""
    if len(findings) < 2:
        return findings
    starts: list[int] = []
    kept: list[Finding] = []
    for finding in sorted(findings, key=lambda f: (-f.score, f.start - f.end, f.start, f.type)):
        at = bisect_left(starts, finding.start)
        if (at and kept[at - 1].end > finding.start) or (at < len(kept) and kept[at].start < finding.end):
            continue
        starts.insert(at, finding.start)
        kept.insert(at, finding)
    return kept


def _moved(finding: Finding, folded: Folded) -> Finding:
    span = folded.original(finding.start, finding.end)
    return Finding(finding.type, span.start, span.stop, finding.score, finding.level)


def _uncovered(name: Finding, own: Sequence[Finding], text: str) -> Finding | None:
    """Return the part of a name that no pattern finding covers, or None where too little of it is left."""
    start, end = name.start, name.end
    for taken in own:
        if taken.start < end and start < taken.end:
            if taken.start - start >= end - taken.end:
                end = taken.start
            else:
                start = taken.end
            if start >= end:
                return None
    part = text[start:end]
    if sum(map(str.isalpha, part)) < 2:
        return None
    start += len(part) - len(part.lstrip(" \t\n,.;:"))
    end -= len(part) - len(part.rstrip(" \t\n,;:"))
    return Finding(name.type, start, end, name.score, name.level)
