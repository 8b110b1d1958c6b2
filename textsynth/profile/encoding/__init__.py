"""Values of one column ↔ small integer codes, such that what is special about a value survives.

A value that occurs often is a code of its own and comes back exactly: the zeros of a gain, a price of 9.99. Other
numbers share fine bins and come back anywhere in their bin, at the field's own step, never on such a spike. Null,
absent and empty are codes. A value of too few privacy units is not stored: neither as a value nor as the edge of a bin.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from textsynth.columns import ABSENT
from textsynth.profile.encoding._closed import Closed
from textsynth.profile.encoding._numbers import Numbers
from textsynth.profile.encoding._values import Codes, Floats, objects

__all__ = ["NUMBERS", "RARE", "Codec", "Codes", "Floats"]

NUMBERS = frozenset({"integer", "float", "datetime"})
"""The kinds that are coded by size."""
RARE = "_RARE_"
"""What stands for a rare value where the column has no frequent one."""

_NULL, _ABSENT, _EMPTY, _OTHER = "null", "absent", "empty", "other"


@dataclass(frozen=True, slots=True)
class Codec:
    """How one column becomes codes ``0 … card - 1`` and back. Made by :meth:`fit`.

    Args:
        kind: the field's kind.
        body: the codes of its values.
        specials: names of the codes after those: null, absent, empty, other (a rare or unknown value).
    """

    kind: str
    body: Closed | Numbers
    specials: tuple[str, ...]

    @classmethod
    def fit(
        cls,
        values: Sequence[Any],
        kind: str,
        *,
        units: Sequence[Any] | None = None,
        step: float | None = None,
        levels: Sequence[Any] | None = None,
        rare: int = 5,
        seed: int = 0,
    ) -> Codec:
        """Learn the codes of a column.

        Args:
            values: one per row; ``None`` is null, ``ABSENT`` a missing key, ``""`` empty: each has its own code.
                Datetimes come as epoch numbers (seconds).
            kind: ``integer``, ``float`` and ``datetime`` are coded by size, every other kind is a closed set.
            units: the privacy unit of each row; every row is one if not given.
            step: distance between neighbouring values (1 for integers, 0.01 for cents, 86400 for dates); found from
                the values if not given.
            levels: the order of an ordinal's values; as ``sorted`` puts them if not given.
            rare: a value of fewer units than this, plus 0, 1 or 2 by chance, is not stored.
            seed: of that chance.
        """
        places = [_special(value, kind) for value in values]
        seen = {place for place in places if place}
        least = rare + int(np.random.default_rng(seed).integers(3)) if rare else 0
        plain = [value for value, place in zip(values, places, strict=True) if not place]
        owners = None
        if units is not None:
            owners = [unit for unit, place in zip(units, places, strict=True) if not place]
        body = (
            Numbers.fit(plain, kind, owners=owners, step=step, least=least)
            if kind in NUMBERS
            else Closed.fit(plain, kind, owners=owners, levels=levels, least=least)
        )
        other = {_OTHER} if kind not in NUMBERS or not body.card else set()
        return cls(kind, body, tuple(name for name in (_EMPTY, _NULL, _ABSENT, _OTHER) if name in seen | other))

    @property
    def card(self) -> int:
        """Number of codes."""
        return self.body.card + len(self.specials)

    @property
    def ordered(self) -> bool:
        """Whether the codes are in the order of the values (those of null, absent, empty come after them)."""
        return self.body.ordered

    def labels(self) -> list[str]:
        """One readable name per code: a value, ``17 … 21``, ``(null)``, ``(absent)``, ``(empty)``, ``(other)``."""
        return [*self.body.labels(), *(f"({name})" for name in self.specials)]

    def encode(self, values: Sequence[Any]) -> Codes:
        """Return one code per value, int32 (n,). A number never seen takes the nearest code, another value ``other``.

        A special that the train rows did not show (a null where there was none) counts as ``other`` if there is such
        a code, else as the code of the most frequent value.
        """
        codes = np.zeros(len(values), dtype=np.int32)
        places = [_special(value, self.kind) for value in values]
        plain = [i for i, place in enumerate(places) if not place]
        if plain:
            found = self.body.encode([values[i] for i in plain] if len(plain) < len(values) else values)
            codes[plain] = np.where(found < 0, self._special_code(_OTHER), found)
        for name in {place for place in places if place}:
            codes[[i for i, place in enumerate(places) if place == name]] = self._special_code(name)
        return codes

    def decode(self, codes: Codes, random: np.random.Generator) -> list[Any]:
        """Return one value per code, as Python values. A bin gives any of its numbers, ``other`` a frequent value."""
        codes = np.asarray(codes)
        first = self.body.card
        other = first + self.specials.index(_OTHER) if _OTHER in self.specials else -1
        others = np.flatnonzero(codes == other)
        if len(others) and first:
            codes = codes.copy()
            codes[others] = random.choice(first, size=len(others), p=self.body.weights)
        if not self.specials or int(codes.max(initial=0)) < first:
            return self.body.decode(codes, random)
        drawn = np.empty(len(codes), dtype=object)
        plain = codes < first
        drawn[plain] = objects(self.body.decode(codes[plain], random))
        for place, name in enumerate(self.specials):
            drawn[codes == first + place] = {_NULL: None, _ABSENT: ABSENT, _EMPTY: "", _OTHER: RARE}[name]
        return list(drawn.tolist())

    def as_data(self) -> dict[str, Any]:
        """Return it as JSON values; holds no rare value."""
        return {"kind": self.kind, "specials": list(self.specials)} | self.body.as_data()

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Codec:
        """Make it from what :meth:`as_data` returned."""
        body = Numbers.from_data(data) if data["kind"] in NUMBERS else Closed.from_data(data)
        return cls(data["kind"], body, tuple(data["specials"]))

    def _special_code(self, name: str) -> int:
        for known in (name, _OTHER):
            if known in self.specials:
                return self.body.card + self.specials.index(known)
        return int(np.argmax(self.body.weights))


def _special(value: Any, kind: str) -> str:
    """Return the name of a special value; an empty string for any other."""
    if value is None:
        return _NULL
    if value is ABSENT:
        return _ABSENT
    if isinstance(value, str):
        if not value:
            return _EMPTY
        return _OTHER if kind in NUMBERS else ""
    if isinstance(value, float) and not math.isfinite(value):
        return _NULL
    return ""
