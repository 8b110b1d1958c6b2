"""Between the columns of records and the columns of the joint distribution.

Constants, ids and what a dependency determines are left out of the joint; dates go in as seconds, the greater of two
ordered fields as its distance, a closed-set list as one column per option.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from textsynth.columns import ABSENT, Field, from_numbers, ordinary, to_numbers
from textsynth.profile.dependencies import Dependency, Order

_EMPTY: dict[str, Any] = {"array": list, "object": dict}
STEPS = {"": None, "month": 86400.0, "day": 86400.0, "minute": 60.0, "second": 1.0, "microsecond": None}


@dataclass(frozen=True, slots=True)
class Part:
    """One column of the joint: what it is made of and how.

    Args:
        name: of the column.
        field: the field it belongs to.
        how: its value, its number, its distance from ``other``, whether it has ``option``, or only its state.
        kind: for the codec.
        step: between neighbouring numbers, for the codec.
    """

    name: str
    field: str
    how: Literal["value", "number", "distance", "has", "state"]
    kind: str
    step: float | None = None
    other: str = ""
    option: Any = None


@dataclass(frozen=True, slots=True)
class Layout:
    """The fields (derived ones included), what is enforced between them, and the parts of the joint."""

    fields: tuple[Field, ...]
    dependencies: tuple[Dependency, ...]
    orders: tuple[Order, ...]
    parts: tuple[Part, ...]

    @classmethod
    def of(cls, fields: Sequence[Field], dependencies: Sequence[Dependency], orders: Sequence[Order]) -> Layout:
        """Lay out the joint."""
        looked_up = {dependency.then for dependency in dependencies}
        orders = [o for o in orders if not {o.low, o.high} & looked_up]
        below = {order.high: order.low for order in orders if order.how == "distance"}
        parts = [p for f in fields if f.name not in looked_up for p in _parts(f, below.get(f.name, ""))]
        return cls(tuple(fields), tuple(dependencies), tuple(orders), tuple(parts))

    def field(self, name: str) -> Field:
        """Return the field of a name."""
        return next(field for field in self.fields if field.name == name)

    def take_apart(self, columns: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
        """Return the columns of the joint for columns of records."""
        numbers = {f.name: to_numbers(columns[f.name], f) for f in self.fields if f.numeric and f.name in columns}
        found = {}
        for part in self.parts:
            values = columns[part.field]
            if part.how == "number":
                found[part.name] = _with_states(values, numbers[part.field])
            elif part.how == "distance":
                gaps = np.maximum(numbers[part.field] - numbers[part.other], 0.0)
                found[part.name] = _with_states(values, gaps)
            elif part.how == "has":
                found[part.name] = [part.option in v if ordinary(v) else _state(v) for v in values]
            elif part.how == "state":
                found[part.name] = [True if ordinary(v) else _state(v) for v in values]
            else:
                found[part.name] = [v if ordinary(v) else _state(v) for v in values]
        return found

    def put_together(
        self, joint: Mapping[str, Sequence[Any]], rows: int, held: Sequence[Mapping[str, Any]] | None = None
    ) -> dict[str, list[Any]]:
        """Return columns of records for columns of the joint: every field but ids, lists, dialogues and texts.

        Args:
            joint: values by part.
            rows: how many.
            held: the fixed values of each row, by field; they stand exactly in the result.
        """
        numbers: dict[str, Any] = {}
        found: dict[str, list[Any]] = {}
        for part in self._in_order():
            values = joint[part.name]
            if part.how == "value":
                found[part.field] = _with_empty(self.field(part.field), values)
            elif part.how in {"number", "distance"}:
                field = self.field(part.field)
                base = numbers[part.other] if part.how == "distance" else 0.0
                numbers[part.field], found[part.field] = _numbers(field, values, base)
        for field in self.fields:
            if field.kind == "options":
                found[field.name] = self._options(field, joint)
            elif field.kind == "constant" and field.name not in found:
                found[field.name] = [_constant(field) for _ in range(rows)]
        fixed = self._hold(held, found, numbers) if held else {}
        for order in self.orders:
            self._mend(order, found, numbers, fixed)
        for dependency in self.dependencies:
            found[dependency.then] = dependency.look_up(found[dependency.given])
        return found

    def states(self, joint: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
        """Return the columns that say of ids, texts and lists only whether they are there: True, null, absent, empty."""
        return {part.field: list(joint[part.name]) for part in self.parts if part.how == "state"}

    def _in_order(self) -> list[Part]:
        """Return the parts, each distance after what it counts from."""
        left, done, found = list(self.parts), set[str](), list[Part]()
        while left:
            ready = [part for part in left if part.how != "distance" or part.other in done]
            found += ready
            done |= {part.field for part in ready}
            left = [part for part in left if part not in ready]
        return found

    def _options(self, field: Field, joint: Mapping[str, Sequence[Any]]) -> list[Any]:
        parts = [part for part in self.parts if part.field == field.name and part.how == "has"]
        found: list[Any] = []
        for row in zip(*(joint[part.name] for part in parts), strict=True):
            states = [value for value in row if not isinstance(value, bool)]
            if len(states) * 2 > len(row):
                found.append(states[0] if states[0] != "" else [])
            else:
                some = [part.option for part, value in zip(parts, row, strict=True) if value is True]
                found.append(some or ([] if field.empty else [field.values[0]]))
        return found

    def _hold(
        self, held: Sequence[Mapping[str, Any]], found: dict[str, list[Any]], numbers: dict[str, Any]
    ) -> dict[str, Any]:
        """Put fixed values in their place; return, by field, in which rows it is fixed."""
        fixed: dict[str, Any] = {}
        for name in sorted({name for each in {id(h): h for h in held}.values() for name in each if name in found}):
            rows = [row for row, each in enumerate(held) if name in each]
            for row in rows:
                found[name][row] = held[row][name]
            fixed[name] = np.isin(np.arange(len(held)), rows)
            if name in numbers:
                numbers[name] = to_numbers(found[name], self.field(name))
        return fixed

    def _mend(
        self, order: Order, found: dict[str, list[Any]], numbers: dict[str, Any], fixed: Mapping[str, Any]
    ) -> None:
        """Move the greater of two fields up to the lesser where the order is broken; where it is fixed, the lesser down."""
        low, high = numbers[order.low], numbers[order.high]
        wrong = low > high
        down = wrong & fixed.get(order.high, False) & ~np.asarray(fixed.get(order.low, False))
        for name, rows, values in ((order.low, down, high), (order.high, wrong & ~down, low)):
            if rows.any():
                field = self.field(name)
                for row, value in zip(np.flatnonzero(rows).tolist(), from_numbers(values[rows], field), strict=True):
                    found[name][row] = value
                numbers[name] = np.where(rows, values, numbers[name])


def _parts(field: Field, below: str) -> list[Part]:
    states = field.nullable or field.optional or field.empty
    if field.kind in {"id", "list"} or (field.kind == "text" and field.type == "object"):
        return (
            [Part(f"{field.name}#state", field.name, "state", "categorical")] if states and field.kind == "id" else []
        )
    if field.kind in {"text", "dialogue"}:
        return []
    if field.kind == "constant":
        return [Part(field.name, field.name, "value", "categorical")] if states and field.values else []
    if field.kind == "options":
        return [Part(f"{field.name}#has:{v}", field.name, "has", "categorical", option=v) for v in field.values]
    if field.numeric:
        step = STEPS[field.granularity] if field.kind == "datetime" else None
        if below:
            return [Part(f"{field.name}#after:{below}", field.name, "distance", field.kind, step, other=below)]
        return [Part(field.name, field.name, "number", field.kind, step)]
    return [Part(field.name, field.name, "value", "ordinal" if field.kind == "ordinal" else "categorical")]


def _state(value: Any) -> Any:
    return value if value is None or value is ABSENT else ""


def _with_states(values: Sequence[Any], numbers: Any) -> list[Any]:
    plain: list[Any] = numbers.tolist()
    if np.isfinite(numbers).all():
        return plain
    return [_state(v) if not ordinary(v) else (n if n == n else None) for v, n in zip(values, plain, strict=True)]


def _numbers(field: Field, values: Sequence[Any], base: Any) -> tuple[Any, list[Any]]:
    """Return numbers (NaN for states) and the field's values."""
    try:
        numbers = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        plain = [v if isinstance(v, int | float) else np.nan for v in values]
        numbers = np.array(plain, dtype=np.float64)
    known = np.isfinite(numbers)
    numbers = numbers + base
    lost = known & ~np.isfinite(numbers)
    numbers[lost] = field.low if field.low is not None else 0.0
    if field.low is not None and field.high is not None:
        numbers = np.clip(numbers, field.low, field.high)
    if known.all():
        return numbers, from_numbers(numbers, field)
    found: list[Any] = list(values)
    for row, value in zip(np.flatnonzero(known).tolist(), from_numbers(numbers[known], field), strict=True):
        found[row] = value
    return numbers, found


def _with_empty(field: Field, values: Sequence[Any]) -> list[Any]:
    """Return the values with what is empty as an empty object or list, where the field has such."""
    if not field.empty or field.type not in {"array", "object"}:
        return list(values)
    return [_EMPTY[field.type]() if isinstance(value, str) and not value else value for value in values]


def _constant(field: Field) -> Any:
    """Return the one value of a constant; of one without a value, its state: null, empty or absent."""
    if field.values:
        return field.values[0]
    if field.nullable:
        return None
    if field.optional or not field.empty:
        return ABSENT
    return _EMPTY.get(field.type, str)()
