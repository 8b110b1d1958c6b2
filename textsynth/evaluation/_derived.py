"""Columns that say something countable of texts, dialogues and lists, so that a table can hold it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from textsynth.columns import Field, columns, ordinary, to_seconds
from textsynth.text import count_words, strings

_OPTIONS = 20  # values of a multiple choice that have a column of their own
_ROLES = 4  # first turns whose roles count


def derive(fields: Sequence[Field], real: Mapping[str, Sequence[Any]]) -> list[tuple[Field, Callable[[Any], Any]]]:
    """Return the derived fields with what makes a value of one: ``text#words``, ``chat#turns``, ``tags#has:red``."""
    return [made for known in fields for made in _derived(known, real[known.name])]


def take_apart(
    rows: Sequence[Mapping[str, Any]], fields: Sequence[Field], made: Sequence[tuple[Field, Callable[[Any], Any]]]
) -> dict[str, list[Any]]:
    """Return the columns of the rows: of every field and every derived one; dates as seconds since 1970."""
    found = columns(rows, fields)
    for known, make in made:
        source = found[known.name.partition("#")[0]]
        found[known.name] = [make(value) if ordinary(value) else value for value in source]
    for known in fields:
        if known.kind == "datetime":
            found[known.name] = _dates(found[known.name], known.format)
    return found


def _derived(known: Field, values: Sequence[Any]) -> Iterator[tuple[Field, Callable[[Any], Any]]]:
    if known.kind == "text":
        yield _number(known, "words"), _words
    elif known.kind == "dialogue":
        yield _number(known, "words"), _words
        yield _number(known, "turns"), _length
        yield _category(known, "roles"), lambda value: _roles(value, known.role_key)
    elif known.kind == "list":
        yield _number(known, "length"), _length
    elif known.kind == "options":
        yield _number(known, "length"), _length
        for option in known.values[:_OPTIONS]:
            yield _category(known, f"has:{option}"), partial(_has, option)


def _number(known: Field, what: str) -> Field:
    return replace(known, name=f"{known.name}#{what}", kind="integer", values=(), items=())


def _category(known: Field, what: str) -> Field:
    return replace(known, name=f"{known.name}#{what}", kind="categorical", values=(), items=())


def _words(value: Any) -> int:
    return sum(map(count_words, strings(value)))


def _items(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [value]


def _has(option: Any, value: Any) -> bool:
    return option in _items(value)


def _length(value: Any) -> int:
    return len(_items(value))


def _roles(value: Any, key: str) -> str:
    turns = [turn.get(key) if isinstance(turn, Mapping) else None for turn in _items(value)[:_ROLES]]
    return " ".join(map(str, turns))


def _dates(values: Sequence[Any], form: str) -> list[Any]:
    memo = {value: _seconds(value, form) for value in {value for value in values if isinstance(value, str)}}
    return [memo[value] if isinstance(value, str) else _seconds(value, form) for value in values]


def _seconds(value: Any, form: str) -> Any:
    """Return a date as seconds since 1970; what is none stays as it is and counts as unreadable."""
    if not ordinary(value):
        return value
    try:
        return to_seconds(value, form)
    except (ValueError, TypeError, AttributeError):
        return str(value)
