"""What a field of a record is: its place, its kind and the facts of that kind."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Literal, final

Kind = Literal[
    "constant",
    "id",
    "boolean",
    "categorical",
    "ordinal",
    "integer",
    "float",
    "datetime",
    "options",
    "list",
    "dialogue",
    "text",
]
JsonType = Literal["string", "integer", "number", "boolean", "null", "mixed", "date", "datetime", "array", "object"]
Granularity = Literal["", "month", "day", "minute", "second", "microsecond"]


@final
class Absent:
    """The type of ``ABSENT``; there is one value of it in a process, whatever copies or pickles it."""

    _one: Absent | None = None

    def __new__(cls) -> Absent:
        """Return the one value."""
        if cls._one is None:
            cls._one = super().__new__(cls)
        return cls._one

    def __reduce__(self) -> str:
        return "ABSENT"

    def __repr__(self) -> str:
        return "ABSENT"

    def __bool__(self) -> bool:
        return False


ABSENT: Final = Absent()
"""The key is not there. ``None`` is null, ``""`` and ``[]`` are empty: three different things."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a record, or one derived column.

    Args:
        name: its JSON path, keys joined by dots; a derived column has ``#`` in it (``narrative#words``).
        path: the keys from the record down; empty for the items of a list of plain values.
        kind: what it is for modelling.
        type: the JSON type of its values; ``date`` and ``datetime`` are Python objects, ``mixed`` several scalar types.
        nullable: whether null was seen.
        optional: whether the key was seen absent in a record (or in its object) that could hold it.
        empty: whether ``""`` (or, of a list, ``[]``) was seen beside ordinary values.
        values: the closed set of a constant, boolean, categorical, ordinal or options, commonest first (an ordinal's in
            its order).
        low: least ordinary value of an integer, float or (as seconds since 1970) datetime, inclusive.
        high: the greatest one.
        scale: decimals of a float.
        format: of a datetime in a string, for ``strptime``; ``iso`` for ISO 8601 with an offset.
        granularity: the finest unit in which a datetime varies.
        pattern: regular expression of an id (or of a categorical's codes): literals and classes with counts only.
        sequential: whether an integer id counts rows.
        roles: of a dialogue, in the order of first use.
        role_key: the key of a turn that names its role.
        content_key: the key of a turn that holds its text.
        items: of a list: the fields of one item.
        left_out: keys inside that are not modelled.
        rows: number of values seen, with null, absent and empty.
        nulls: how many of them were null.
        absents: how many absent.
        empties: how many empty.
        distinct: how many distinct ordinary values.
    """

    name: str
    path: tuple[str, ...] = ()
    kind: Kind
    type: JsonType = "string"
    nullable: bool = False
    optional: bool = False
    empty: bool = False
    values: tuple[Any, ...] = ()
    low: float | None = None
    high: float | None = None
    scale: int = 0
    format: str = ""
    granularity: Granularity = ""
    pattern: str = ""
    sequential: bool = False
    roles: tuple[str, ...] = ()
    role_key: str = ""
    content_key: str = ""
    items: tuple[Field, ...] = ()
    left_out: tuple[str, ...] = ()
    rows: int = 0
    nulls: int = 0
    absents: int = 0
    empties: int = 0
    distinct: int = 0

    @property
    def numeric(self) -> bool:
        """Whether its values are points on a line: integer, float, datetime."""
        return self.kind in {"integer", "float", "datetime"}

    @property
    def closed(self) -> bool:
        """Whether its values are a closed set of scalars."""
        return self.kind in {"constant", "boolean", "categorical", "ordinal"}

    @property
    def derived(self) -> bool:
        """Whether it is computed from a field rather than one itself."""
        return "#" in self.name

    def as_data(self) -> dict[str, Any]:
        """Return it as JSON values, without what is at its default."""
        plain = {f.name: f.default for f in fields(self)}
        found = {key: value for key, value in asdict(self).items() if value != plain[key] and key != "items"}
        return found | ({"items": [item.as_data() for item in self.items]} if self.items else {})

    @classmethod
    def of_data(cls, data: dict[str, Any]) -> Field:
        """Return the field that ``as_data`` made ``data`` of."""
        known = {f.name for f in fields(cls)}
        found: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in data.items() if key in known}
        return cls(**found | {"items": tuple(cls.of_data(item) for item in data.get("items", ()))})
