"""What always holds between fields of the real rows, and is enforced instead of learned.

A functional dependency ``A → B``: rows with the same A have the same B. B is then left out of the joint distribution
and looked up. An order ``A ≤ B`` of two numbers or dates: B is learned as its distance from A, which is never negative.
Both must hold on all train rows but one in a thousand, and must not be explained by chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from textsynth.columns import ABSENT, Field, ordinary, to_numbers

EXCEPTIONS = 0.001
GROUP = 5
"""Least mean number of rows per value of the determining field."""
CHANCE = -30.0
"""Greatest log probability that independent fields would agree as well."""
CROSSED = 0.05
"""An order is news only if shuffled rows would break it this often."""
MOST_FIELDS = 120
LOOK = 2000

Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Dependency:
    """``given`` determines ``then``. ``table`` has one pair of values per value of ``given``; ``ABSENT`` is possible.

    Args:
        given: name of the field that determines.
        then: name of the field that is looked up.
        table: pairs (value of ``given``, value of ``then``), of values that are not rare.
        weights: train rows of each pair.
        exceptions: train rows that disagree; they are not reproduced.
    """

    given: str
    then: str
    table: tuple[tuple[Any, Any], ...]
    weights: tuple[int, ...]
    exceptions: int = 0

    def look_up(self, values: Sequence[Any]) -> list[Any]:
        """Return what each value determines; ``ABSENT`` where the table does not know it."""
        known = {key_of(given): then for given, then in self.table}
        return [known.get(key_of(value), ABSENT) for value in values]

    def sources(self, then: Any) -> tuple[list[Any], NDArray[np.float64]]:
        """Return the values that determine ``then``, and their shares among the train rows that have it."""
        pairs = [(g, w) for (g, t), w in zip(self.table, self.weights, strict=True) if key_of(t) == key_of(then)]
        weights = np.array([weight for _, weight in pairs], dtype=np.float64)
        return [given for given, _ in pairs], weights / max(weights.sum(), 1.0)


@dataclass(frozen=True, slots=True)
class Order:
    """``low`` ≤ ``high`` in every row that has both. ``how``: learned as a distance, or mended after sampling."""

    low: str
    high: str
    how: Literal["distance", "clip"]
    exceptions: int = 0


def key_of(value: Any) -> Any:
    """Return what tells values apart in a dictionary: True from 1 and 1 from 1.0."""
    return value if type(value) is str else (type(value).__name__, repr(value))


def find_rules(
    columns: Mapping[str, Sequence[Any]], fields: Sequence[Field], *, seed: int = 0
) -> tuple[tuple[Dependency, ...], tuple[Order, ...]]:
    """Return the dependencies and orders to enforce between fields from which rare values are taken out.

    Columns that say whether an object is there, derived ones and codes with a pattern are not looked at.
    """
    own = [field for field in fields if not field.derived and not field.pattern]
    closed = [field for field in own if field.closed and field.values]
    numeric = [field for field in own if field.numeric and field.low is not None]
    allowed = {field.name: {key_of(value) for value in field.values} for field in closed}
    return find_dependencies(columns, closed + numeric, allowed), find_orders(columns, numeric, seed=seed)


def find_dependencies(
    columns: Mapping[str, Sequence[Any]], fields: Sequence[Field], allowed: Mapping[str, set[Any]]
) -> tuple[Dependency, ...]:
    """Return the dependencies to enforce: no field is both determined and determining, none is determined twice.

    Args:
        columns: the train rows.
        fields: which of them to look at; closed ones can determine, numbers and dates be determined too.
        allowed: for each closed field the keys (``key_of``) of the values that are not rare.
    """
    some = [field for field in fields if field.closed or field.numeric][:MOST_FIELDS]
    codes = {field.name: _factorise(columns[field.name]) for field in some}
    some = [field for field in some if len(np.unique(codes[field.name])) > 1]
    givers, determined, found = set[str](), set[str](), list[Dependency]()
    for given in sorted((f for f in some if f.closed), key=lambda f: -f.distinct):
        if given.name in determined:
            continue
        for then in some:
            busy = then.name in determined or then.name in givers or then.name == given.name
            if busy or not _determines(codes[given.name], codes[then.name]):
                continue
            found.append(_table(given, then, columns, codes, allowed[given.name]))
            determined.add(then.name)
            givers.add(given.name)
    return tuple(found)


def _factorise(values: Sequence[Any]) -> Codes:
    known: dict[Any, int] = {}
    return np.array([known.setdefault(key_of(value), len(known)) for value in values], dtype=np.int64)


def _determines(given: Codes, then: Codes) -> bool:
    if _broken(given[:LOOK], then[:LOOK]) > max(EXCEPTIONS * len(given), 0):
        return False
    groups = np.bincount(given)
    if len(given) < GROUP * len(groups) or len(np.unique(then)) > len(groups):
        return False
    if _broken(given, then) > EXCEPTIONS * len(given):
        return False
    most = np.bincount(then).max() / len(then)
    return bool((len(given) - len(groups)) * np.log(most) < CHANCE)


def _broken(given: Codes, then: Codes) -> int:
    """Return how many rows differ from the commonest value of their group."""
    pairs, counts = np.unique(given * (int(then.max()) + 1) + then, return_counts=True)
    best = np.zeros(int(given.max()) + 1, dtype=np.int64)
    np.maximum.at(best, pairs // (int(then.max()) + 1), counts)
    return int(len(given) - best.sum())


def _table(
    given: Field, then: Field, columns: Mapping[str, Sequence[Any]], codes: Mapping[str, Codes], allowed: set[Any]
) -> Dependency:
    one, other = codes[given.name], codes[then.name]
    width = int(other.max()) + 1
    pairs, firsts, counts = np.unique(one * width + other, return_index=True, return_counts=True)
    best: dict[int, int] = {}
    for place in np.argsort(counts, kind="stable").tolist():
        best[int(pairs[place] // width)] = place
    rows, weights = [], []
    for place in (best[group] for group in sorted(best)):
        left, right = columns[given.name][firsts[place]], columns[then.name][firsts[place]]
        if key_of(left) in allowed if ordinary(left) else counts[place] >= 2 * GROUP:
            rows.append((left, right))
            weights.append(int(counts[place]))
    return Dependency(given.name, then.name, tuple(rows), tuple(weights), _broken(one, other))


def find_orders(columns: Mapping[str, Sequence[Any]], fields: Sequence[Field], *, seed: int = 0) -> tuple[Order, ...]:
    """Return the orders to enforce: each field is the greater of at most one, the one whose other field is nearest."""
    some = [field for field in fields if field.numeric][:MOST_FIELDS]
    numbers = {field.name: to_numbers(columns[field.name], field) for field in some}
    random = np.random.default_rng(seed)
    found: dict[str, tuple[float, Order]] = {}
    for place, high in enumerate(some):
        for low in some:
            if low.name == high.name or (low.kind == "datetime") != (high.kind == "datetime"):
                continue
            order, gap = _order(low, high, numbers, random)
            equal = gap == 0.0 and some.index(low) > place
            if order and not equal and (high.name not in found or gap < found[high.name][0]):
                found[high.name] = (gap, order)
    return _without_cycles([order for _, order in found.values()])


def _order(
    low: Field, high: Field, numbers: Mapping[str, NDArray[np.float64]], random: np.random.Generator
) -> tuple[Order | None, float]:
    a, b = numbers[low.name], numbers[high.name]
    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < 50:
        return None, 0.0
    x, y = a[both], b[both]
    broken = int((x > y).sum())
    if broken > EXCEPTIONS * len(x) or (x > random.permutation(y)).mean() < CROSSED:
        return None, 0.0
    alone = bool((np.isfinite(b) & ~np.isfinite(a)).any())
    return Order(low.name, high.name, "clip" if alone else "distance", broken), float((y - x).mean())


def _without_cycles(orders: Sequence[Order]) -> tuple[Order, ...]:
    above: dict[str, str] = {}
    kept = []
    for order in orders:
        place: str | None = order.low
        while place is not None and place != order.high:
            place = above.get(place)
        if place is None:
            above[order.high] = order.low
            kept.append(order)
    return tuple(kept)
