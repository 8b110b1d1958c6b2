"""Records that describe someone or something a kept record describes already, typing errors and gaps allowed for."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import combinations

import numpy as np
from xxhash import xxh3_64_intdigest

from textsynth.errors import MissingPackageError
from textsynth.filters import Filter, Setting, drop
from textsynth.filters.record_duplicate._comparators import HABITS, Kind, Level, guess, level, read
from textsynth.keytable import KeyTable
from textsynth.records import Candidate, Drop, Record
from textsynth.text import require_fields

_SEPARATOR = "\x1f"  # counts as white space, so no canonical value contains it
_KEYED = 10  # fields whose values and pairs of values are keys
_COMPARED = 8  # records that one is compared with, those with most keys in common
_TOGETHER = 64  # members of a window that one key brings together
_PRIOR = 100  # how many records the expected u-probabilities count for
_SLOTS = 1 << 16
_SWAPPED = 4.0  # bits that it costs to take two fields for swapped: one record in sixteen, at most, has any
_PLACES = 16.0  # bits that agreeing places can make together: who shares a street shares its town


@dataclass(frozen=True, kw_only=True)
class Compared:
    """How one field is compared, where its kind alone does not say it.

    Args:
        kind: the comparator.
        m: how often two records of one person agree in it exactly, above 0 and below 1.
        u: how often those of two persons do; by default what was seen says so, value by value.
    """

    kind: Kind
    m: float | None = None
    u: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is no probability."""
        for name, value in (("m", self.m), ("u", self.u)):
            if value is not None and not 0 < value < 1:
                raise ValueError(f"fields: {name} must be above 0 and below 1, got {value:g}")


@dataclass(slots=True)
class Evidence:
    """What the fields of two records say together: the sum in bits, and how each compares."""

    bits: float
    levels: dict[str, Level]
    swapped: tuple[str, ...] = ()

    def worded(self) -> str:
        """Name the fields that agree, are close, differ; those that say nothing are left out."""
        parts = [f"{' and '.join(self.swapped)} swapped"] if self.swapped else []
        for word in ("agree", "close", "differ"):
            names = [name for name, found in self.levels.items() if found == word and name not in self.swapped]
            parts += [f"{word}: {', '.join(names)}"] if names else []
        return "; ".join(parts)


@dataclass(slots=True)
class _Entry:
    """A record as it is compared: its canonical values, and the 32-bit keys by which it is found."""

    values: list[str]
    keys: list[int]


class _Frequencies:
    """How often each value of each field was seen, in a fixed table of counts; values that meet there share a count."""

    def __init__(self, fields: int) -> None:
        self.records = 0
        self._counts = [array("I", bytes(4 * _SLOTS)) for _ in range(fields)]

    def add(self, values: Sequence[str]) -> None:
        self.records += 1
        for counts, value in zip(self._counts, values, strict=True):
            if value:
                counts[_hash(value) % _SLOTS] += 1

    def chance(self, field: int, value: str, expected: float) -> float:
        """Return the u-probability of ``value``: how likely a record of someone else has it too."""
        others = max(self._counts[field][_hash(value) % _SLOTS] - 1, 0)
        return (others + _PRIOR * expected) / (self.records + _PRIOR)


@dataclass(kw_only=True)
class RecordDuplicate(Filter):
    """Drops a record that describes the same person or thing as one kept before, typing errors and gaps allowed for.

    Each field is compared by its kind: ``name`` (Jaro-Winkler, words in any order), ``date`` (one wrong digit, day and
    month swapped), ``code`` (one wrong, missing or swapped character in ten), ``address`` (edits, words in any order),
    ``number`` (within 1 %), ``category`` (exact), ``text`` (words in common). A value that is missing says nothing.
    Two fields of one kind are also compared crosswise: given name and surname may have been swapped. The score is the
    sum over the fields of log2(m / u) (Fellegi and Sunter, A Theory for Record Linkage, 1969), less log2 of the number
    of records kept: the odds, in bits, that the two are one, if a repetition is as likely as not. m is how often two
    records of one person agree (or are close, or differ) in the field, by kind; u how often those of different persons
    do, learnt from the frequency of each value among the records kept. All places together count for 16 bits at most.

    A record is compared with at most 8 kept ones: those that share most of its values and pairs of values, in any
    field of the same kind. A value or pair of values that 64 records share finds no more of them. Memory a kept
    record: about 1 KB with ten fields (660 bytes of keys, the values as text), and 256 KB a field.

    Cannot see: repetitions with not even one rare value or two values unchanged; that members of a household are not
    one person where only what they share was filled in; that values stand for the same (Bill, William); nested fields.

    Args:
        fields: the fields compared and their kinds; by default every top-level field that holds single values, its
            kind guessed from name and schema. Instead of a kind: ``{kind: name, m: 0.9, u: 0.01}``.
        threshold: the least score, in bits, that counts as the same; 10 are odds of a thousand to one.
    """

    fields: dict[str, Kind | Compared] | None = None
    threshold: float = 10.0

    def __post_init__(self) -> None:
        """Refuse options out of their range."""
        if self.fields is not None and len(self.fields) < 1:
            raise ValueError("fields must name at least one field, got none (leave it out to have them chosen)")
        if not 0 <= self.threshold <= 200:
            raise ValueError(f"threshold must be between 0 and 200 bits, got {self.threshold:g}")

    def prepare(self, setting: Setting) -> None:
        """Check that the fields exist, choose them if none are given, and start with an empty memory."""
        super().prepare(setting)
        if find_spec("rapidfuzz") is None:
            raise MissingPackageError("rapidfuzz", extra="records", needed_for="record_duplicate")
        schema = setting.schema
        require_fields(None if self.fields is None else list(self.fields), schema.properties)
        chosen = {n: guess(n, p, choices=schema.choices(n) is not None) for n, p in schema.properties.items()}
        given = self.fields or {name: kind for name, kind in chosen.items() if kind}
        self._fields = {n: k if isinstance(k, Compared) else Compared(kind=k) for n, k in given.items()}
        self._names, self._rules = list(self._fields), list(self._fields.values())
        self._crossed = [
            (i, j)
            for i, j in combinations(range(len(self._rules)), 2)
            if self._rules[i].kind == self._rules[j].kind and self._rules[i].kind in ("name", "address")
        ]
        self._seen = _Frequencies(len(self._rules))
        self._ids, self._values = array("q"), list[str]()
        self._table, self._owners = KeyTable(), array("I")
        self._checked: dict[int, tuple[Record, _Entry]] = {}

    def check(self, batch: Sequence[Candidate]) -> Sequence[Drop | None]:
        """Name the likeliest draw, kept before or earlier in the batch and not itself a repetition."""
        self._checked = {c.draw.index: (c.record, self._read(c.record)) for c in batch if c.record is not None}
        entries = [self._checked[c.draw.index][1] if c.record is not None else _Entry([], []) for c in batch]
        window = [(c.draw.index, entry) for c, entry in zip(batch, entries, strict=True)]
        shared, here = self._find(entries), dict[int, list[int]]()
        answers: list[Drop | None] = []
        for row, entry in enumerate(entries):
            near = Counter(other for key in entry.keys for other in here.get(key, ()))
            answers.append(self._best(entry, shared[row], near, window))
            for key in entry.keys if answers[-1] is None else ():
                if len(rows := here.setdefault(key, [])) < _TOGETHER:
                    rows.append(row)
        return answers

    def keep(self, batch: Sequence[Candidate]) -> None:
        """Remember the records kept; those of the batch checked last are not read again."""
        keys: list[int] = []
        for candidate in batch:
            if candidate.record is None:
                continue
            record, entry = self._checked.get(candidate.draw.index, (None, _Entry([], [])))
            entry = entry if record is candidate.record else self._read(candidate.record)
            self._owners.extend([len(self._ids)] * len(entry.keys))
            self._ids.append(candidate.draw.index)
            self._values.append(_SEPARATOR.join(entry.values))
            self._seen.add(entry.values)
            keys += entry.keys
        for start in range(0, len(keys), 4096):
            self._table.add(np.array(keys[start : start + 4096], dtype=np.uint32))

    def compare(self, one: Sequence[str], other: Sequence[str]) -> Evidence:
        """Weigh two records, given as their canonical values in the order of the fields."""
        levels: dict[int, Level] = {}
        bits = [0.0] * len(self._rules)
        for i, rule in enumerate(self._rules):
            if one[i] and other[i]:
                levels[i] = level(rule.kind, one[i], other[i])
                bits[i] = self._bits(i, levels[i], one[i], other[i])
        swapped = self._swap(one, other, levels, bits)
        places = sum(b for b, rule in zip(bits, self._rules, strict=True) if rule.kind == "address")
        total = sum(bits) - max(places - _PLACES, 0.0) - math.log2(max(self._seen.records, 1))
        named = {self._names[i]: found for i, found in levels.items()}
        return Evidence(total, named, tuple(self._names[i] for i in swapped))

    def _bits(self, i: int, found: Level, one: str, other: str) -> float:
        """Return log2(m / u) of one field's outcome."""
        rule, habit = self._rules[i], HABITS[self._rules[i].kind]
        agree = habit.agree if rule.m is None else rule.m
        close = habit.close * (1 - agree) / (1 - habit.agree)
        if found == "differ":
            return math.log2((1 - agree - close) / (1 - (habit.chance if rule.u is None else rule.u) - habit.near))
        chance = self._seen.chance(i, one, habit.chance) if rule.u is None else rule.u
        if found == "agree":
            return math.log2(agree / chance)
        if rule.u is None:
            chance = max(chance, self._seen.chance(i, other, habit.chance))
        return math.log2(close / min(habit.near + 2 * chance, 0.5))

    def _swap(self, one: Sequence[str], other: Sequence[str], levels: dict[int, Level], bits: list[float]) -> list[int]:
        """Cross the first two fields of one kind that differ as they stand; one value at least must be the other's."""
        for i, j in self._crossed:
            if not ((one[i] and one[i] == other[j]) or (one[j] and one[j] == other[i])):
                continue
            crossed: list[float] = []
            for a, b in ((i, j), (j, i)):
                found = level(self._rules[i].kind, one[a], other[b]) if one[a] and other[b] else None
                crossed.append(self._bits(a, found, one[a], other[b]) if found else 0.0)
            if "differ" in (levels.get(i), levels.get(j)) and sum(crossed) - _SWAPPED > bits[i] + bits[j]:
                bits[i], bits[j] = crossed[0] - _SWAPPED, crossed[1]
                return [i, j]
        return []

    def _best(
        self, entry: _Entry, stored: Counter[int], near: Counter[int], batch: Sequence[tuple[int, _Entry]]
    ) -> Drop | None:
        """Weigh the records with most keys in common; the likeliest at or above the threshold, of equals the first."""
        asked = [(count, -index, 0) for index, count in stored.items()]
        asked += [(count, -row, -1) for row, count in near.items()]
        best, culprit = None, 0
        for _, index, inside in sorted(asked, reverse=True)[:_COMPARED]:
            values = batch[-index][1].values if inside else self._values[-index].split(_SEPARATOR)
            evidence, number = self.compare(entry.values, values), batch[-index][0] if inside else self._ids[-index]
            if best is None or (evidence.bits, -number) > (best.bits, -culprit):
                best, culprit = evidence, number
        if best is None or best.bits < self.threshold:
            return None
        detail = f"same as draw {culprit} by {best.bits:.1f} bits (threshold {self.threshold:g}): {best.worded()}"
        return drop(detail, score=best.bits, culprit=str(culprit))

    def _find(self, entries: Sequence[_Entry]) -> list[Counter[int]]:
        """Count, per entry, the keys it shares with each stored record."""
        keys = np.array([key for entry in entries for key in entry.keys], dtype=np.uint32)
        rows = np.repeat(np.arange(len(entries)), [len(entry.keys) for entry in entries])
        asked, found = self._table.find(keys)
        shared = [Counter[int]() for _ in entries]
        owners = np.frombuffer(self._owners, dtype=np.uint32)[found]
        for row, owner in zip(rows[asked].tolist(), owners.tolist(), strict=True):
            shared[row][owner] += 1
        return shared

    def _read(self, record: Record) -> _Entry:
        values = [read(rule.kind, record.get(name)) for name, rule in self._fields.items()]
        kinds = [rule.kind for rule in self._rules]
        marked = [(_hash(f"{kind}:{value}"), kind) for kind, value in zip(kinds, values, strict=True) if value]
        marked = marked[:_KEYED]
        single = [number & 0xFFFFFFFF for number, kind in marked if kind not in ("category", "number")]
        pairs = [(a ^ b * 3) if a < b else (b ^ a * 3) for (a, _), (b, _) in combinations(marked, 2)]
        return _Entry(values, sorted({*single, *(pair >> 16 & 0xFFFFFFFF for pair in pairs)}))


def _hash(text: str) -> int:
    return xxh3_64_intdigest(text.encode("utf-8", "surrogatepass"))
