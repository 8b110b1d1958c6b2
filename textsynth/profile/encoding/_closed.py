"""Closed sets: one code per value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from textsynth.profile.encoding._values import Codes, Floats, key, objects, shares, short


@dataclass(frozen=True, slots=True)
class Closed:
    """One code per value. ``values`` are in order if ``ordered``, else the most frequent first."""

    values: tuple[Any, ...]
    weights: Floats
    ordered: bool
    places: dict[Any, int] = field(repr=False, compare=False)

    @classmethod
    def of(cls, values: Iterable[Any], weights: Floats, ordered: bool) -> Closed:
        """Return the codes of ``values``; ``weights`` are their shares."""
        values = tuple(values)
        return cls(values, weights, ordered, {key(value): code for code, value in enumerate(values)})

    @classmethod
    def fit(
        cls,
        values: Sequence[Any],
        kind: str,
        *,
        owners: Sequence[Any] | None,
        levels: Sequence[Any] | None,
        least: int,
    ) -> Closed:
        """Return the codes of the values that at least ``least`` owners have; of a boolean or a constant, all."""
        keys = [key(value) for value in values]
        counts = Counter(keys)
        holders = counts if owners is None else Counter(key for key, _ in set(zip(keys, owners, strict=True)))
        first = dict(zip(reversed(keys), reversed(values), strict=True))
        kept = [key for key in counts if holders[key] >= least or kind in {"boolean", "constant"}]
        kept.sort(key=lambda key: (-counts[key], str(key)))
        if kind == "ordinal":
            rank = {key(level): place for place, level in enumerate(levels if levels is not None else _sorted(first))}
            kept.sort(key=lambda key: rank.get(key, len(rank)))
        weights = np.array([counts[key] for key in kept], dtype=np.float64)
        return cls.of([first[key] for key in kept], weights / max(weights.sum(), 1.0), kind == "ordinal")

    @property
    def card(self) -> int:
        """Number of codes."""
        return len(self.values)

    def labels(self) -> list[str]:
        """The values as text."""
        return [str(value) for value in self.values]

    def encode(self, values: Sequence[Any]) -> Codes:
        """Return the codes, int32 (n,); -1 for an unknown value."""
        get, plain = self.places.get, set(map(type, values)) <= {str}
        found = [get(value, -1) for value in values] if plain else [get(key(value), -1) for value in values]
        return np.array(found, dtype=np.int32)

    def decode(self, codes: Codes, random: np.random.Generator) -> list[Any]:
        """Return the values."""
        return list(objects(self.values)[codes].tolist())

    def as_data(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"values": list(self.values), "weights": short(self.weights), "ordered": self.ordered}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Closed:
        """Make it from what :meth:`as_data` returned."""
        return cls.of(data["values"], shares(data["weights"]), data["ordered"])


def _sorted(first: Mapping[Any, Any]) -> list[Any]:
    values = list(first.values())
    try:
        return sorted(values)
    except TypeError:
        return sorted(values, key=repr)
