"""One way of making an edge case: what it needs of the schema, and the changes to try."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from textsynth.edges._sites import Change, Site, View


@dataclass(frozen=True, slots=True)
class Context:
    """What a rule may use beside the site: values of the other records by template, and its own random numbers."""

    values: Mapping[str, Sequence[Any]]
    random: Random


@dataclass(frozen=True, slots=True)
class Rule:
    """One way.

    Args:
        way: its name.
        keywords: those of the schema that are at their bound, or of which one is broken.
        offers: whether a subschema gives reason for it.
        changes: the changes to try at a site, best first.
    """

    way: str
    keywords: tuple[str, ...]
    offers: Callable[[View], bool]
    changes: Callable[[Site, Context], Iterator[Change]]


def has(*keywords: str) -> Callable[[View], bool]:
    """Return a test for subschemas with one of the keywords."""
    return lambda view: any(keyword in view for keyword in keywords)


def at(site: Site, value: Any, beyond: tuple[Any] | None = None) -> Change:
    """Return the change of a site's own value."""
    return Change(site.path, value, site.path, beyond)


def is_number(value: Any) -> bool:
    """Return whether a JSON value is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)
