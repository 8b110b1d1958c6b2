"""Dates and times as seconds since 1970 and back, in the format of the source."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from textsynth.columns._field import Field, Granularity

_EPOCH = datetime(1970, 1, 1)
COMPACT = "%Y%m%d"
"""Also of whole numbers: 20240131."""
FORMATS = (
    "%Y-%m-%d",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M:%SZ",
    "%Y-%m-%dT%H:%M:%S.%f",
    "%Y-%m-%d %H:%M:%S.%f",
    "%Y-%m-%dT%H:%M:%S.%fZ",
    "%Y/%m/%d",
    "%Y/%m/%d %H:%M:%S",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%m/%d/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%d/%m/%Y %H:%M",
    "%d.%m.%Y",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d-%m-%Y",
    "%d-%b-%Y",
    "%d %b %Y",
    "%d %B %Y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%Y-%m",
    COMPACT,
    "%a %b %d %H:%M:%S %Y",
)
ISO = "iso"
_LOOKS = re.compile(r"\s*(\d{1,4}[-/. ]|[A-Z][a-z]{2,8},? \w|(19|20)\d{6}$)")
_DIGITS = re.compile(r"(19|20)\d{6}")
_OFFSET = re.compile(r"[+-]\d\d:?\d\d$")


def parse_format(texts: Sequence[str]) -> str:
    """Return the format in which every text is a date or time; empty if there is none.

    Day first or month first is decided by all texts; where both fit, the month comes first.
    """
    if not texts or not _LOOKS.match(texts[0]):
        return ""
    for form in FORMATS:
        if _reads(texts[0], form) and all(_reads(text, form) for text in texts):
            return form
    if _OFFSET.search(texts[0]) and all(_reads(text, ISO) for text in texts):
        return ISO
    return ""


def _reads(text: str, form: str) -> bool:
    try:
        parse(text, form)
    except ValueError:
        return False
    return True


def parse(text: str, form: str) -> datetime:
    """Return a text as a time without zone (an offset is converted to UTC). Raise ``ValueError`` if it is none."""
    text = text.strip()
    if (form == "%Y-%m-%d" and len(text) != 10) or (form == COMPACT and not _DIGITS.fullmatch(text)):
        raise ValueError(text)
    if form != ISO:
        return datetime.strptime(text, form)
    found = datetime.fromisoformat(text)
    return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found


def to_seconds(value: Any, form: str) -> float:
    """Return a date, a time or a text in the format ``form`` as seconds since 1970, without zone or in UTC."""
    if isinstance(value, datetime):
        value = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    elif isinstance(value, date):
        value = datetime(value.year, value.month, value.day)
    else:
        value = parse(str(value), form)
    return float((value - _EPOCH) / timedelta(seconds=1))


def from_seconds(seconds: float, field: Field) -> Any:
    """Return seconds since 1970 as the field writes them: rounded down to its granularity, of its type and format."""
    found = _EPOCH + timedelta(seconds=round(seconds, 6))
    found = _round(found, field.granularity)
    if field.type == "date":
        return found.date()
    if field.type == "datetime":
        return found
    if field.type == "integer":
        return int(found.strftime(field.format))
    return found.isoformat() + "+00:00" if field.format == ISO else found.strftime(field.format)


def _round(time: datetime, granularity: Granularity) -> datetime:
    if granularity in {"month", "day"}:
        return time.replace(hour=0, minute=0, second=0, microsecond=0, day=1 if granularity == "month" else time.day)
    if granularity == "minute":
        return time.replace(second=0, microsecond=0)
    return time.replace(microsecond=0) if granularity == "second" else time


def find_granularity(seconds: Sequence[float]) -> Granularity:
    """Return the coarsest unit of which all times are whole multiples."""
    if all(s % 86400 == 0 for s in seconds):
        first = all((_EPOCH + timedelta(seconds=s)).day == 1 for s in seconds)
        return "month" if first and len(set(seconds)) > 2 else "day"
    if all(s % 60 == 0 for s in seconds):
        return "minute"
    return "second" if all(s == int(s) for s in seconds) else "microsecond"
