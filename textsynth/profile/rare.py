"""Values that too few people have are not kept: neither as a category nor as the end of a range.

A category is kept if at least ``least`` privacy units have it (5, plus 0, 1 or 2 by chance, so that the limit itself
tells nothing; the scheme of mostlyai-engine). A sampled rare category becomes one of the frequent ones, those that go
with the rest of the record; where a large part of a column are rare codes of one form (zip codes), a fresh code of that
form. A number or date beyond the ``least``-th smallest or largest unit's is never emitted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textsynth.columns import ABSENT, Field, columns, ordinary, to_numbers

LEAST = 5
UNWRITTEN = 0.7
"""Share of rare rows from which on a category of words (names of people) is text, for a model to write."""
NOTHING = "null, empty or absent: no value is frequent"
PATTERNED = 0.2
"""Share of rare rows from which on a category of codes with a pattern gives fresh codes instead of its frequent ones."""


@dataclass(frozen=True, slots=True)
class Rare:
    """What was held back of one field.

    Args:
        field: its name.
        values: how many distinct rare values (categories), or how many rows beyond the limits (numbers).
        rows: how many rows hold them.
        how: what is emitted instead.
    """

    field: str
    values: int
    rows: int
    how: str


def draw_least(seed: int) -> int:
    """Return how many units must hold a value: ``LEAST`` plus 0, 1 or 2, the same as ``Codec.fit`` draws."""
    return LEAST + int(np.random.default_rng(seed).integers(3))


def protect(field: Field, values: Sequence[Any], units: NDArray[np.int64], least: int) -> tuple[Field, Rare | None]:
    """Return the field without its rare values, and what was held back (``None`` if nothing)."""
    if field.closed:
        return _protect_closed(field, values, units, least)
    if field.numeric:
        return _protect_range(field, to_numbers(values, field), units, least)
    if field.kind in {"options", "list"}:
        return _protect_items(field, values, units, least)
    if field.kind == "dialogue":
        turns = [(turn.get(field.role_key), unit) for value, unit in _given(values, units) for turn in value]
        kept = _held(turns, least)
        return replace(field, roles=tuple(role for role in field.roles if role in kept)), None
    return replace(field, low=None if not field.sequential else field.low, high=None), None


def holders(values: Sequence[Any], units: NDArray[np.int64]) -> int:
    """Return how many units have the key at all, with whatever value."""
    return len({unit for value, unit in zip(values, units.tolist(), strict=True) if value is not ABSENT})


def _given(values: Sequence[Any], units: NDArray[np.int64]) -> Iterable[tuple[Any, int]]:
    return ((value, unit) for value, unit in zip(values, units.tolist(), strict=True) if ordinary(value))


def _held(pairs: Iterable[tuple[Any, int]], least: int) -> dict[Any, int]:
    """Return the values that at least ``least`` units hold, and by how many."""
    holders = Counter(value for value, _ in set(pairs))
    return {value: count for value, count in holders.items() if count >= least}


def _protect_closed(
    field: Field, values: Sequence[Any], units: NDArray[np.int64], least: int
) -> tuple[Field, Rare | None]:
    if field.kind == "boolean" or field.type == "object":
        return field, None
    given = list(_given(values, units))
    held = _held(given, least)
    kept = tuple(value for value in field.values if value in held)
    lost = sum(value not in held for value, _ in given)
    pattern = field.pattern if lost > PATTERNED * len(given) else ""
    if not lost:
        return replace(field, pattern=""), None
    if lost > UNWRITTEN * len(given) and not pattern and field.type == "string":
        rare = Rare(
            field.name, len(field.values), len(given), "nothing: nearly all values are rare, so a model writes it"
        )
        return replace(field, kind="text", values=(), pattern=""), rare
    if not kept and not pattern:
        return _unknown(field), Rare(field.name, len(field.values), lost, NOTHING)
    how = f"a fresh code of the form {pattern}" if pattern else "a frequent value, by its share"
    return replace(field, values=kept, pattern=pattern), Rare(field.name, len(field.values) - len(kept), lost, how)


def _unknown(field: Field) -> Field:
    """Return a field none of whose values can be kept: always null, empty or absent, as it was for nearly all."""
    return replace(field, kind="constant", values=(), low=None, high=None, pattern="")


def _protect_range(
    field: Field, numbers: NDArray[np.float64], units: NDArray[np.int64], least: int
) -> tuple[Field, Rare | None]:
    known = np.isfinite(numbers)
    order = np.argsort(numbers[known], kind="stable")
    ranked, owners = numbers[known][order], units[known][order]
    low, high = _limit(ranked, owners, least, field), _limit(ranked[::-1], owners[::-1], least, field)
    if low is None or high is None or low > high:
        return _unknown(field), Rare(field.name, len(ranked), len(ranked), NOTHING)
    beyond = int(((ranked < low) | (ranked > high)).sum())
    found = replace(field, low=low, high=high)
    return found, Rare(field.name, beyond, beyond, "a value within the limits") if beyond else None


def _limit(ranked: NDArray[np.float64], owners: NDArray[np.int64], least: int, field: Field) -> float | None:
    """Return the value of the ``least``-th unit from the start, or a point next to it if few have that very value."""
    firsts = np.sort(np.unique(owners, return_index=True)[1])
    if len(firsts) < least:
        return None
    place = int(firsts[least - 1])
    value = float(ranked[place])
    if len(set(owners[ranked == value].tolist())) >= least or place + 1 >= len(ranked):
        return value
    middle = (value + float(ranked[place + 1])) / 2
    if field.kind == "float":
        return round(middle, field.scale)
    return float(np.floor(middle) if ranked[0] <= ranked[-1] else np.ceil(middle))


def _protect_items(
    field: Field, values: Sequence[Any], units: NDArray[np.int64], least: int
) -> tuple[Field, Rare | None]:
    """Protect what stands in the items of a list; the units of an item are those of its row."""
    given = list(_given(values, units))
    items = [item for value, _ in given for item in value]
    owners = np.array([unit for value, unit in given for _ in value], dtype=np.int64)
    found, lost = [], 0
    for inner in field.items:
        column = columns(items, [inner])[inner.name] if inner.path else list(items)
        if holders(column, owners) < least:
            lost += len(items) - column.count(ABSENT)
            continue
        kept, rare = protect(inner, column, owners, least)
        found.append(kept)
        lost += rare.rows if rare else 0
    values_kept = tuple(found[0].values) if field.kind == "options" else ()
    rare = Rare(field.name, lost, lost, "frequent values") if lost else None
    return replace(field, items=tuple(found), values=values_kept), rare
