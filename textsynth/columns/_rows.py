"""Records to columns and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from textsynth.columns._field import ABSENT, Field
from textsynth.records import Record

OBJECT = "#object"
"""Ending of the name of a column that says, where it varies, whether a nested object is there: True, null or absent."""


def columns(rows: Sequence[Mapping[str, Any]], fields: Sequence[Field]) -> dict[str, list[Any]]:
    """Return one list of values per field, in the order of the rows; ``ABSENT`` where the key is not there.

    A key inside an object that is null or absent counts as absent. A nested list is one value. Columns derived from
    text are not made here.
    """
    return {field.name: column(rows, field) for field in fields if not field.derived or is_object(field)}


def is_object(field: Field) -> bool:
    """Whether the column says if a nested object is there."""
    return field.name.endswith(OBJECT)


def column(rows: Sequence[Mapping[str, Any]], field: Field) -> list[Any]:
    """Return the values of one field."""
    if is_object(field):
        return [_state(follow(row, field.path)) for row in rows]
    if len(field.path) == 1:
        key = field.path[0]
        return [row.get(key, ABSENT) for row in rows]
    return [follow(row, field.path) for row in rows]


def follow(value: Any, path: Sequence[str]) -> Any:
    """Return what stands at a path inside a record; ``ABSENT`` if nothing does."""
    for key in path:
        if not isinstance(value, Mapping) or key not in value:
            return ABSENT
        value = value[key]
    return value


def _state(value: Any) -> Any:
    return True if isinstance(value, Mapping) else value


def rebuild(columns: Mapping[str, Sequence[Any]], fields: Sequence[Field], *, rows: int) -> list[Record]:
    """Return ``rows`` records of the columns of ``fields``: the inverse of ``columns``.

    Fields without a column are left out; what is ``ABSENT`` is no key; an object is made where something stands in it.
    """
    found: list[Record] = [{} for _ in range(rows)]
    states = {field.path: columns[field.name] for field in fields if is_object(field) and field.name in columns}
    order = sorted((f for f in fields if is_object(f) and f.name in columns), key=lambda f: len(f.path))
    for field in order:
        _place_objects(found, field.path, columns[field.name])
    for field in fields:
        if field.name not in columns or field.derived:
            continue
        values = columns[field.name]
        if len(field.path) == 1:
            key = field.path[0]
            for record, value in zip(found, values, strict=True):
                if value is not ABSENT:
                    record[key] = value
        elif field.path:
            _place(found, field.path, values, states)
    return found


def _place_objects(records: list[Record], path: tuple[str, ...], values: Sequence[Any]) -> None:
    for record, value in zip(records, values, strict=True):
        if value is not ABSENT:
            home = _home(record, path)
            if home is not None:
                home[path[-1]] = {} if value is True else value


def _place(
    records: list[Record],
    path: tuple[str, ...],
    values: Sequence[Any],
    states: Mapping[tuple[str, ...], Sequence[Any]],
) -> None:
    above = [states[path[:n]] for n in range(1, len(path)) if path[:n] in states]
    for row, (record, value) in enumerate(zip(records, values, strict=True)):
        if value is not ABSENT and all(state[row] is True for state in above):
            home = _home(record, path)
            if home is not None:
                home[path[-1]] = value


def _home(record: Record, path: tuple[str, ...]) -> Record | None:
    """Return the object that holds the last key of a path, made if need be; ``None`` where null stands in its place."""
    for key in path[:-1]:
        inner = record.setdefault(key, {})
        if not isinstance(inner, dict):
            return None
        record = inner
    return record
