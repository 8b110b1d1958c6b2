"""Which fields records have and of what kind each is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from textsynth.columns._dates import find_granularity, parse_format, to_seconds
from textsynth.columns._field import ABSENT, Field, JsonType
from textsynth.columns._numbers import ordinary
from textsynth.columns._patterns import find_pattern
from textsynth.columns._rows import OBJECT, column
from textsynth.columns._scales import find_scale

DEPTH = 8
KEYS = 200
"""Most keys of an object with fields of its own; one with more is a map, whose keys are data."""
UNIQUE = 0.98
"""Least share of distinct values of an id."""
ONCE = 0.05
"""A field where more than this share of rows hold a value that occurs once may be text (the rule of mostlyai-engine)."""
COMMON = 5
DENSE = 2.5
"""Unique whole numbers that leave out at most this many times as many count rows: of a split, half the rows are seen."""
ORDINALS = 20
"""Most distinct whole numbers of an ordinal."""
OPTIONS = 60
ROLE_KEYS = ("role", "speaker", "from", "author", "sender", "id", "name", "who", "agent")
CONTENT_KEYS = ("content", "text", "utterance", "value", "message", "body")
_IDENTIFIER = re.compile(
    r"(?i:(?:^|[^a-z])(?:uu?id|id|guid|key|identifier|number|no|nr|code|reference|ref)s?$)|[a-z]I[dD]$"
)
_TYPES: dict[type, JsonType] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    datetime: "datetime",
    date: "date",
    dict: "object",
    list: "array",
}


def infer(rows: Iterable[Mapping[str, Any]], *, key: str = "") -> tuple[Field, ...]:
    """Return the fields of records, in the order in which their keys first occur.

    A nested object gives the fields inside it (``address.city``) and, where it is sometimes null, absent or empty, a
    column ``address#object``: true, null or absent.

    Args:
        key: name of the field that identifies a person or group; it is an ``id``, whatever its values look like.

    Raises:
        ValueError: two different paths have the same name, or there are no rows.
    """
    values = list(rows)
    if not values:
        raise ValueError("no rows: there is nothing to learn the fields from")
    fields = _inside((), [dict(row) for row in values], 0)
    twice = [name for name, count in Counter(field.name for field in fields).items() if count > 1]
    if twice:
        raise ValueError(f"two fields have the path {twice[0]!r}: rename a key that has a dot in it")
    return tuple(_as_id(field, values) if field.name == key else field for field in fields)


def _as_id(field: Field, rows: Sequence[Mapping[str, Any]]) -> Field:
    texts = sorted({str(value) for value in column(rows, field) if ordinary(value)})
    return replace(field, kind="id", values=(), pattern=find_pattern(texts))


def _inside(path: tuple[str, ...], objects: Sequence[Mapping[str, Any]], depth: int) -> list[Field]:
    found = []
    for name in dict.fromkeys(name for item in objects for name in item):
        found += _at((*path, name), [item.get(name, ABSENT) for item in objects], depth)
    return found


def _at(path: tuple[str, ...], values: list[Any], depth: int) -> list[Field]:
    """Return the field at a path, or the fields inside the objects there."""
    there = [value for value in values if isinstance(value, Mapping)]
    others = [value for value in values if ordinary(value) and not isinstance(value, Mapping)]
    if not there or others or depth >= DEPTH or len({key for item in there for key in item}) > KEYS:
        return [infer_column(".".join(path), path, values)]
    filled = [item for item in there if item]
    if not filled:
        return [infer_column(".".join(path), path, values)]
    inner = _inside(path, there, depth + 1)
    if len(filled) == len(values):
        return inner
    state = Field(
        name=".".join(path) + OBJECT,
        path=path,
        kind="constant",
        type="object",
        values=(True,),
        **_states(values) | {"empty": False},
        distinct=1,
    )
    return [state, *inner]


def _states(values: Sequence[Any]) -> dict[str, Any]:
    nulls = sum(value is None for value in values)
    absents = sum(value is ABSENT for value in values)
    empties = sum(isinstance(value, str | list | tuple | dict) and not value for value in values)
    return {
        "nullable": nulls > 0,
        "optional": absents > 0,
        "empty": empties > 0,
        "rows": len(values),
        "nulls": nulls,
        "absents": absents,
        "empties": empties,
    }


def infer_column(name: str, path: tuple[str, ...], values: Sequence[Any]) -> Field:
    """Return the field that a column of values makes; ``ABSENT``, null and empty ones say nothing about its kind."""
    base = Field(name=name, path=path, kind="constant", type="null", **_states(values))
    filled = [value for value in values if ordinary(value)]
    if not filled:
        return _nothing(base, values)
    types = {_TYPES.get(type(value), "mixed") for value in filled}
    if types == {"integer", "number"}:
        types = {"number"}
    if any(isinstance(value, Decimal) for value in filled):
        filled, types = [float(v) for v in filled], {"number"}
    if len(types) > 1:
        return _mixed(base, filled)
    kind = next(iter(types))
    makers = {"array": _list, "string": _string, "integer": _number, "number": _number}
    makers |= {"boolean": _boolean, "date": _date_object, "datetime": _date_object}
    return makers.get(kind, _mixed)(replace(base, type=kind), filled)


def _nothing(base: Field, values: Sequence[Any]) -> Field:
    """A field without ordinary values: always null, empty, or one of them."""
    empty = next((v for v in values if isinstance(v, str | list | dict) and not v), None)
    kind: JsonType = "null" if empty is None else _TYPES[type(empty)]
    return replace(base, type=kind)


def _counted(filled: Sequence[Any]) -> Counter[Any]:
    return Counter(filled)


def by_count(counts: Counter[Any]) -> tuple[Any, ...]:
    """Return the values, commonest first; of equals, by their text."""
    return tuple(sorted(counts, key=lambda value: (-counts[value], str(value))))


def _mixed(base: Field, filled: Sequence[Any]) -> Field:
    """Values of several types: a closed set if they are few scalars, else as text, which no column model learns."""
    base = replace(base, type="mixed" if not any(isinstance(v, dict | list) for v in filled) else "object")
    if base.type == "mixed":
        counts = _counted([(type(value).__name__, value) for value in filled])
        if len(counts) <= max(20, len(filled) // 20):
            values = tuple(value for _, value in by_count(counts))
            return replace(base, kind="categorical", values=values, distinct=len(counts))
    return replace(base, kind="text", distinct=len({str(v) for v in filled}))


def _boolean(base: Field, filled: Sequence[Any]) -> Field:
    counts = _counted(filled)
    return replace(
        base, kind="boolean" if len(counts) > 1 else "constant", values=by_count(counts), distinct=len(counts)
    )


def _number(base: Field, filled: Sequence[Any]) -> Field:
    counts = _counted(filled)
    base = replace(base, distinct=len(counts))
    if len(counts) == 1 and len(filled) > 1:
        return replace(base, kind="constant", values=(filled[0],))
    low, high = float(min(counts)), float(max(counts))
    whole = all(float(value).is_integer() for value in counts)
    if base.type == "integer" and low > 1e7 and high < 1e8 and (form := parse_format([str(v) for v in counts])):
        return _datetime(base, [to_seconds(str(value), form) for value in counts], len(counts), form)
    base = replace(base, low=low, high=high)
    if whole and base.type == "integer" and _counts_or_names(base, counts, len(filled)):
        sequential = high - low + 1 <= DENSE * len(counts)
        return replace(base, kind="id", sequential=sequential, pattern=find_pattern([str(v) for v in counts]))
    if whole and len(counts) <= ORDINALS and high - low <= 3 * ORDINALS and len(filled) >= 3 * len(counts):
        return replace(base, kind="ordinal", values=tuple(sorted(counts)))
    if whole:
        return replace(base, kind="integer")
    return replace(base, kind="float", scale=max(_decimals(value) for value in counts))


def _counts_or_names(base: Field, counts: Counter[Any], n: int) -> bool:
    """Whether whole numbers are ids: unique, and rows counted, or of one number of digits and named as an id."""
    if len(counts) < UNIQUE * n or n < 20 or min(counts) < 0:
        return False
    if max(counts) - min(counts) + 1 <= DENSE * len(counts):
        return True
    return bool(_IDENTIFIER.search(base.path[-1] if base.path else base.name))


def _decimals(value: float) -> int:
    text = repr(float(value))
    if "e" in text:
        return min(15, max(0, -int(text.partition("e")[2]) + len(text.partition("e")[0].partition(".")[2])))
    return len(text.partition(".")[2]) if not float(value).is_integer() else 0


def _date_object(base: Field, filled: Sequence[Any]) -> Field:
    return _datetime(base, [to_seconds(value, "") for value in filled], len(set(filled)), "")


def _datetime(base: Field, seconds: Sequence[float], distinct: int, form: str) -> Field:
    facts: dict[str, Any] = {"low": min(seconds), "high": max(seconds), "granularity": find_granularity(seconds)}
    return replace(base, kind="datetime", format=form, distinct=distinct, **facts)


def _string(base: Field, filled: Sequence[Any]) -> Field:
    counts = _counted(filled)
    base = replace(base, distinct=len(counts))
    if len(counts) == 1 and len(filled) > 1:
        return replace(base, kind="constant", values=(filled[0],))
    if form := parse_format(list(counts)):
        memo = {text: to_seconds(text, form) for text in counts}
        return _datetime(base, list(memo.values()), len(counts), form)
    if scale := find_scale(counts):
        return replace(base, kind="ordinal", values=scale)
    return _words(base, counts, len(filled))


def _words(base: Field, counts: Counter[str], n: int) -> Field:
    """Tell ids, categories and text apart."""
    once = sum(count == 1 for count in counts.values()) / n
    repeated = sum(count for count in counts.values() if count >= COMMON) / n
    words = sum(text.count(" ") + 1 for text in counts) / len(counts)
    pattern = find_pattern(list(counts)) if words < 2 else ""
    if len(counts) >= UNIQUE * n and pattern:
        return replace(base, kind="id", pattern=pattern)
    if (once > ONCE and repeated < 0.5 and (words >= 1.5 or (len(counts) > n / 2 and not pattern))) or _long(counts):
        return replace(base, kind="text")
    return replace(base, kind="categorical", values=by_count(counts), pattern=pattern if len(counts) > 50 else "")


def _long(counts: Counter[str]) -> bool:
    """Whether there are many values of the length of sentences."""
    return len(counts) > 200 and sum(map(len, counts)) > 60 * len(counts)


def _list(base: Field, filled: Sequence[Any]) -> Field:
    items = [item for value in filled for item in value]
    if all(isinstance(item, Mapping) for item in items):
        return _dialogue(base, filled, items) or _objects(base, items)
    if all(isinstance(item, str | int | float | bool) for item in items):
        counts = _counted(items)
        repeats = any(len(set(value)) < len(value) for value in filled)
        if len(counts) <= OPTIONS and not repeats and len(items) >= COMMON * len(counts):
            kind = _TYPES[type(items[0])]
            inner = Field(name=base.name + "[]", kind="categorical", type=kind, values=by_count(counts))
            return replace(base, kind="options", values=by_count(counts), items=(inner,), distinct=len(counts))
    return replace(base, kind="list", items=(infer_column(base.name + "[]", (), items),), distinct=len(filled))


def _objects(base: Field, items: Sequence[Mapping[str, Any]]) -> Field:
    return replace(base, kind="list", items=tuple(_inside((), items, 1)), distinct=len(items))


def _dialogue(base: Field, filled: Sequence[Any], items: Sequence[Mapping[str, Any]]) -> Field | None:
    """Return the field of a dialogue if every item has a role out of a small set and a text."""
    keys = list(dict.fromkeys(key for item in items for key in item))
    role, content = (next((k for k in names if k in keys), "") for names in (ROLE_KEYS, CONTENT_KEYS))
    if not role or not content or role == content:
        return None
    roles: list[Any] = [item.get(role) for item in items]
    texts: list[Any] = [item.get(content) for item in items]
    if not all(isinstance(v, str) for v in (*roles, *texts)) or len(set(roles)) > 10:
        return None
    if len(set(roles)) > len(items) / 3 or sum(" " in text for text in texts) < len(texts) / 3:
        return None
    rest = tuple(key for key in keys if key not in {role, content})
    facts: dict[str, Any] = {
        "roles": tuple(dict.fromkeys(roles)),
        "role_key": role,
        "content_key": content,
        "left_out": rest,
    }
    return replace(base, kind="dialogue", distinct=len(filled), **facts)
