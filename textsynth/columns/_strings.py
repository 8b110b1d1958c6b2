"""The strings of a CSV file as the values they stand for."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from textsynth.records import Record

_WHOLE = re.compile(r"\s*[+-]?(0|[1-9]\d{0,17})\s*")
_NUMBER = re.compile(r"\s*[+-]?(0|[1-9]\d*)?(\.\d+)?([eE][+-]?\d+)?\s*")
_TRUTH = re.compile(r"true|false", re.IGNORECASE)


def type_strings(rows: Sequence[Record]) -> list[Record]:
    """Return rows of strings, as a CSV reader gives them, with every column that holds but numbers or booleans as such.

    A whole column decides: one value that is no number leaves it text. Numbers with leading zeros (zip codes, phone
    numbers) stay text. An empty cell stays ``""``; dates stay text and are recognised by ``infer``.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    readers = {name: reader for name in names if (reader := choose_reader([row.get(name) for row in rows]))}
    return [{name: _read(value, readers.get(name)) for name, value in row.items()} for row in rows]


def choose_reader(values: Sequence[Any]) -> Callable[[str], Any] | None:
    """Return what turns the strings of one column into values; ``None`` if they stay strings."""
    texts = {value for value in values if value not in ("", None)}
    if not texts or not all(isinstance(text, str) for text in texts):
        return None
    if all(_WHOLE.fullmatch(text) for text in texts):
        return int
    if all(_NUMBER.fullmatch(text) and text.strip(" +-") for text in texts):
        return float
    if all(_TRUTH.fullmatch(text) for text in texts):
        return _truth
    return None


def _truth(text: str) -> bool:
    return text.lower() == "true"


def _read(value: Any, reader: Callable[[str], Any] | None) -> Any:
    return reader(value) if reader and isinstance(value, str) and value else value
