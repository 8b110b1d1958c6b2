"""Markdown for people: sections, tables, inline code that cannot break out, times in words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any


def section(title: str, lines: Iterable[str]) -> str:
    """Return a section, or nothing if it has no lines."""
    body = "\n".join(lines)
    return f"## {title}\n\n{body}" if body else ""


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """Return a Markdown table; numbers have thousands separated."""
    shown = [[f"{value:,}" if isinstance(value, int) else cell(value) for value in row] for row in rows]
    return [f"| {' | '.join(line)} |" for line in ([*head], ["---"] * len(head), *shown)] if shown else []


def cell(text: str) -> str:
    """Return text that stays within its cell."""
    return " ".join(text.split()).replace("|", "\\|")


def code(text: str) -> str:
    """Return text as inline code, in a fence longer than any inside."""
    fence = "`" * (1 + longest_fence(text))
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{space}{text}{space}{fence}" if text else ""


def longest_fence(text: str) -> int:
    """Return the length of the longest run of backticks in ``text``."""
    return max(map(len, re.findall(r"`+", text)), default=0)


def codes(names: Iterable[str]) -> str:
    """Return names as inline code, separated by commas."""
    return ", ".join(map(code, names))


def label(value: Any) -> str:
    """Return a quota's value as JSON would name it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def duration(seconds: float) -> str:
    """Return a time in at most two units."""
    whole = round(seconds)
    for size, unit, below in ((86400, "d", "h"), (3600, "h", "min"), (60, "min", "s")):
        if whole >= size:
            part = {"h": 3600, "min": 60, "s": 1}[below]
            return f"{whole // size} {unit} {whole % size // part} {below}"
    return f"{seconds:.1f} s"
