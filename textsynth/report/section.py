"""What a page is made of: sections with pictures, tables and examples. The template places them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Key:
    """A mark of a plot and what it stands for."""

    mark: str
    means: str


@dataclass(frozen=True, slots=True)
class Panel:
    """A picture under its title, with a line below it."""

    title: str
    svg: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Grid:
    """A table: ``right`` names the columns of numbers."""

    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    right: frozenset[str] = frozenset()
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """Texts beside each other: (whose, text) each, under a line of facts. ``flag`` marks what must be looked at."""

    note: str
    texts: tuple[tuple[str, str], ...]
    name: str = ""
    flag: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """One section of the page. ``missing`` says why it is empty; ``legend`` says what the marks in it stand for."""

    name: str
    title: str
    lead: str = ""
    missing: str = ""
    panels: tuple[Panel, ...] = ()
    size: Literal["small", "large", "wide"] = "small"
    grids: tuple[Grid, ...] = ()
    examples: tuple[Example, ...] = ()
    legend: tuple[Key, ...] = ()
    code: str = ""
