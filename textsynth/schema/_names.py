"""Which names of properties a pattern or a schema of names is about."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from textsynth.schema._compile import compile_schema


def matching(patterns: Mapping[str, Any], name: str) -> list[Any]:
    """Return what ``patternProperties`` say about a name."""
    return [part for pattern, part in patterns.items() if matches(pattern, name)]


@cache
def matches(pattern: str, name: str) -> bool:
    """Return whether a name fits a pattern as the check reads it."""
    return bool(compile_schema({"pattern": pattern}).is_valid(name))
