"""How two values of a record's field are compared, by kind, and how likely each outcome is if the records are one.

Every value is first brought to a canonical text (``read``; empty when it says nothing), then two of them agree, are
close (what a typing error, an abbreviation or a swap of day and month makes of a value) or differ (``level``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from textsynth.text import fold

Kind = Literal["name", "date", "code", "address", "number", "category", "text"]
Level = Literal["agree", "close", "differ"]
_LONGEST = 120  # characters of a value that are read
_PUNCTUATION = re.compile(r"[^\w\s]+")
_SEPARATORS = re.compile(r"[\W_]+")
_DAY_FIRST = re.compile(r"(\d{1,2})[./\- ](\d{1,2})[./\- ](\d{4})$")
_YEAR_FIRST = re.compile(r"(\d{4})[./\- ]?(\d{1,2})[./\- ]?(\d{1,2})(?:[t ].*)?$")


@dataclass(frozen=True, slots=True)
class Habit:
    """What is expected of a kind of field before anything was seen.

    ``agree`` and ``close`` are the m-probabilities: how often two records of one person have such values. ``chance`` and
    ``near`` are the u-probabilities: how often two different persons' values agree, or are close.
    """

    agree: float
    close: float
    chance: float
    near: float


HABITS: Mapping[Kind, Habit] = {
    "name": Habit(agree=0.75, close=0.15, chance=0.01, near=0.01),
    "date": Habit(agree=0.85, close=0.10, chance=0.001, near=0.003),
    "code": Habit(agree=0.85, close=0.10, chance=0.001, near=0.0005),
    "address": Habit(agree=0.75, close=0.15, chance=0.01, near=0.01),
    "number": Habit(agree=0.85, close=0.05, chance=0.02, near=0.03),
    "category": Habit(agree=0.95, close=0.0, chance=0.2, near=0.0),
    "text": Habit(agree=0.70, close=0.20, chance=0.01, near=0.01),
}

_NAMES = re.compile(r"name|surname|author|first|last|middle|maiden")
_DATES = re.compile(r"date|birth|dob|day$")
_PLACES = re.compile(r"address|street|city|town|suburb|county|state|region|post_?code|zip|place|country")
_CODES = re.compile(r"(^|_)(id|no|nr|ssn|number|code|key|phone|tel|mobile|fax|e?mail|iban|account|plate|sku)(_|$)|_id")


def guess(name: str, part: Mapping[str, Any], *, choices: bool) -> Kind | None:
    """Return the kind that a field's name and schema suggest, or ``None`` where a value has no such comparison."""
    kinds = part.get("type", ())
    kinds = {kinds} if isinstance(kinds, str) else set(kinds)
    if choices:
        return "category"
    if kinds & {"object", "array", "null"} == kinds:
        return None
    plain = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().replace("-", "_").replace(" ", "_")
    if str(part.get("format", "")).startswith("date") or _DATES.search(plain):
        return "date"
    for pattern, kind in ((_PLACES, "address"), (_CODES, "code"), (_NAMES, "name")):
        if pattern.search(plain):
            return kind  # type: ignore[return-value]
    if kinds & {"number", "integer"}:
        return "number"
    return "code" if {"pattern", "format"} & set(part) else "text"


def read(kind: Kind, value: Any) -> str:
    """Return the canonical text of a value: equal texts agree. Empty for what is missing or no single value."""
    if value is None or isinstance(value, dict | list | tuple):
        return ""
    if kind == "number":
        return "" if isinstance(value, bool) else _number(value)
    text = fold(str(value)[:_LONGEST]) if not isinstance(value, int) or value.bit_length() < 400 else "large"
    if kind == "date":
        return _date(text)
    if kind == "code":
        return _SEPARATORS.sub("", text) or text
    return text if kind == "category" else " ".join(_PUNCTUATION.sub(" ", text).split())


def level(kind: Kind, one: str, other: str) -> Level:
    """Say how two canonical values compare."""
    if one == other:
        return "agree"
    return "close" if _CLOSE[kind](one, other) else "differ"


def _number(value: Any) -> str:
    try:
        number = float(value if isinstance(value, int | float) else value.replace(",", ""))
    except (ValueError, OverflowError):
        return ""
    return repr(number + 0.0) if math.isfinite(number) else ""


def _date(text: str) -> str:
    """Return ``YYYYMMDD`` for the usual ways to write a date in digits, else the text without its separators."""
    if found := _YEAR_FIRST.match(text):
        year, month, day = found.groups()
    elif found := _DAY_FIRST.match(text):
        day, month, year = found.groups()
    else:
        return _SEPARATORS.sub("", text)
    return f"{year}{int(month):02}{int(day):02}"


def _close_names(one: str, other: str) -> bool:
    from rapidfuzz.distance import JaroWinkler
    from rapidfuzz.fuzz import token_set_ratio

    return JaroWinkler.similarity(one, other) >= 0.88 or (" " in one + other and token_set_ratio(one, other) >= 90)


def _close_dates(one: str, other: str) -> bool:
    from rapidfuzz.distance import OSA

    swapped = one[:4] + one[6:8] + one[4:6] == other if len(one) == 8 else False
    return swapped or OSA.distance(one, other, score_cutoff=2) <= 1


def _close_codes(one: str, other: str) -> bool:
    from rapidfuzz.distance import OSA

    allowed = 1 + max(len(one), len(other)) // 10
    return min(len(one), len(other)) > 3 and OSA.distance(one, other, score_cutoff=allowed) <= allowed


def _close_places(one: str, other: str) -> bool:
    from rapidfuzz.distance import OSA
    from rapidfuzz.fuzz import token_set_ratio

    if one.isdigit() or other.isdigit():
        return max(len(one), len(other)) > 1 and OSA.distance(one, other, score_cutoff=1) <= 1
    return OSA.normalized_similarity(one, other) >= 0.75 or token_set_ratio(one, other) >= 88


def _close_texts(one: str, other: str) -> bool:
    from rapidfuzz.fuzz import token_sort_ratio

    return token_sort_ratio(one, other) >= 80


def _close_numbers(one: str, other: str) -> bool:
    return math.isclose(float(one), float(other), rel_tol=0.01)


_CLOSE = {
    "name": _close_names,
    "date": _close_dates,
    "code": _close_codes,
    "address": _close_places,
    "number": _close_numbers,
    "category": lambda one, other: False,
    "text": _close_texts,
}
