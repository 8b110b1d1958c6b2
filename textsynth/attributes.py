"""Attributes: values drawn before generation, exact in the result.

Each kind is a small pydantic model that reads itself from the recipe and draws one value from a seeded generator.
In a recipe an attribute is a list, a constant, or a mapping with one of the keys ``weights``, ``range``, ``dates``,
``column`` or ``given``.
"""

from __future__ import annotations

import bisect
import itertools
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from textsynth import tables
from textsynth.errors import unknown

MOST_LISTED = 1000
"""How many numbers of a range are listed one by one."""


class Attribute(BaseModel, ABC):
    """One attribute: how to draw its value and which values it can take."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @abstractmethod
    def draw(self, random: Random, drawn: Mapping[str, Any]) -> Any:
        """Return one value, given the attributes drawn before it."""

    @abstractmethod
    def values(self) -> Iterator[Any]:
        """Yield every value if the set is closed, else the extreme ones; used to check them against the schema."""

    def closed(self) -> bool:
        """Return whether ``values`` yields every value."""
        return True

    def resolve(self, folder: Path, place: str) -> None:
        """Read what lies in files (a dataset's column)."""

    def content(self) -> list[Any]:
        """Return what was read from files; it is part of what a run folder must not mix."""
        return []

    def as_data(self) -> dict[str, Any]:
        """Return plain data that ``read`` reads back."""
        return self.model_dump(exclude_defaults=True)

    def conditions(self) -> tuple[str, ...]:
        """Return the attributes this one depends on."""
        return ()


class Choice(Attribute):
    """A closed set with weights (equal for a plain list)."""

    choices: tuple[Any, ...] = Field(min_length=1)
    weights: tuple[float, ...] = ()
    _cumulative: list[float] = PrivateAttr()

    @model_validator(mode="after")
    def check_weights(self) -> Choice:
        """Weights are non-negative and not all zero; their running sum is kept for drawing."""
        weights = self.weights or (1.0,) * len(self.choices)
        if len(weights) != len(self.choices):
            raise ValueError(f"there must be one weight per choice, got {len(weights)} for {len(self.choices)} choices")
        if any(w < 0 for w in weights) or sum(weights) <= 0:
            raise ValueError(f"weights must be 0 or more and not all 0, got {list(weights)}")
        self._cumulative = list(itertools.accumulate(weights))
        return self

    def draw(self, random: Random, drawn: Mapping[str, Any]) -> Any:
        """Return a choice with probability proportional to its weight."""
        at = bisect.bisect_right(self._cumulative, random.random() * self._cumulative[-1])
        return self.choices[min(at, len(self.choices) - 1)]

    def values(self) -> Iterator[Any]:
        """Yield every choice."""
        yield from self.choices


class Range(Attribute):
    """A number drawn evenly from ``[low, high]``: whole if both ends are, in steps if ``step`` is given."""

    range: tuple[int | float, int | float]
    step: int | float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def check_order(self) -> Range:
        """The lower end comes first."""
        if self.range[0] > self.range[1]:
            raise ValueError(f"range must be [low, high], got {list(self.range)}")
        return self

    def draw(self, random: Random, drawn: Mapping[str, Any]) -> Any:
        """Return a number of the range."""
        low, high = self.range
        if self.step is not None:
            return round(low + random.randint(0, int((high - low) / self.step + 1e-9)) * self.step, 10)
        return (
            random.randint(low, high) if isinstance(low, int) and isinstance(high, int) else random.uniform(low, high)
        )

    def values(self) -> Iterator[Any]:
        """Yield every number if they are whole or in steps, and few; else the two ends."""
        yield from self._listed() or self.range

    def closed(self) -> bool:
        """Whole or in steps, and few."""
        return bool(self._listed())

    def _listed(self) -> list[int | float]:
        low, high = self.range
        step = self.step or (1 if isinstance(low, int) and isinstance(high, int) else 0)
        count = int((high - low) / step + 1e-9) + 1 if step else 0
        return [round(low + at * step, 10) for at in range(count)] if count <= MOST_LISTED else []


class Dates(Attribute):
    """A day drawn evenly between two, as ``YYYY-MM-DD``."""

    dates: tuple[date, date]

    @model_validator(mode="after")
    def check_order(self) -> Dates:
        """The earlier day comes first."""
        if self.dates[0] > self.dates[1]:
            raise ValueError(f"dates must be [first, last], got {[d.isoformat() for d in self.dates]}")
        return self

    def draw(self, random: Random, drawn: Mapping[str, Any]) -> Any:
        """Return a day as text."""
        first, last = self.dates
        return (first + timedelta(days=random.randint(0, (last - first).days))).isoformat()

    def values(self) -> Iterator[Any]:
        """Yield the first and the last day."""
        yield from (d.isoformat() for d in self.dates)

    def closed(self) -> bool:
        """Only the two ends are listed."""
        return False


class Column(Attribute):
    """A value drawn from a column of a dataset, as often as it stands there."""

    column: str
    path: str
    split: str = "train"
    _values: list[Any] = PrivateAttr(default_factory=list)

    def resolve(self, folder: Path, place: str) -> None:
        """Read the column."""
        rows = tables.read(self.path, folder=folder, place=place, split=self.split)
        if self.column not in rows[0]:
            raise ValueError(unknown(f"{place}.column", self.column, rows[0]))
        self._values[:] = [row[self.column] for row in rows if row.get(self.column) is not None]
        if not self._values:
            raise ValueError(f"{place}.column: {self.column!r} holds no values in {self.path!r}")

    def content(self) -> list[Any]:
        """Return the column."""
        return self._values

    def draw(self, random: Random, drawn: Mapping[str, Any]) -> Any:
        """Return the value of a random row."""
        return random.choice(self._values)

    def values(self) -> Iterator[Any]:
        """Yield each distinct value."""
        yield from Counter(self._values) if all(map(hashable, self._values)) else self._values


class Conditional(Attribute):
    """An attribute whose kind depends on the value of another, drawn before it."""

    given: str
    cases: dict[Any, Any]
    otherwise: Any = None
    _cases: dict[Any, Attribute] = PrivateAttr()
    _otherwise: Attribute | None = PrivateAttr()

    @model_validator(mode="after")
    def read_cases(self) -> Conditional:
        """Each case is an attribute of its own."""
        self._cases = {value: read(case) for value, case in self.cases.items()}
        self._otherwise = None if self.otherwise is None else read(self.otherwise)
        return self

    def resolve(self, folder: Path, place: str) -> None:
        """Resolve every case."""
        for value, case in self._cases.items():
            case.resolve(folder, f"{place}.cases.{value}")
        if self._otherwise:
            self._otherwise.resolve(folder, f"{place}.otherwise")

    def content(self) -> list[Any]:
        """Return the columns of every case."""
        return [case.content() for case in self._every_case()]

    def draw(self, random: Random, drawn: Mapping[str, Any]) -> Any:
        """Return a value of the case that the other attribute's value selects."""
        case = self._cases.get(drawn[self.given], self._otherwise)
        if case is None:
            raise KeyError(drawn[self.given])
        return case.draw(random, drawn)

    def values(self) -> Iterator[Any]:
        """Yield the values of every case."""
        for case in self._every_case():
            yield from case.values()

    def closed(self) -> bool:
        """Every case is a closed set."""
        return all(case.closed() for case in self._every_case())

    def conditions(self) -> tuple[str, ...]:
        """Return the other attribute, and those of the cases."""
        return (self.given, *(c for case in self._every_case() for c in case.conditions()))

    def missing(self, values: Iterator[Any]) -> list[Any]:
        """Return those values of the other attribute for which there is no case."""
        return [] if self._otherwise else [v for v in values if not (hashable(v) and v in self._cases)]

    def _every_case(self) -> list[Attribute]:
        return [*self._cases.values(), *([self._otherwise] if self._otherwise else [])]


def hashable(value: Any) -> bool:
    """Return whether ``value`` can be counted."""
    return isinstance(value, str | int | float | bool | None)


KINDS: dict[str, type[Attribute]] = {
    "choices": Choice,
    "range": Range,
    "dates": Dates,
    "column": Column,
    "given": Conditional,
}


def read(value: Any) -> Attribute:
    """Read an attribute as it stands in a recipe.

    Raises:
        ValueError: a mapping that has none of the known keys (pydantic reports it with its place).
    """
    if isinstance(value, Attribute):
        return value
    if isinstance(value, list | tuple):
        return Choice(choices=tuple(value))
    if not isinstance(value, Mapping):
        return Choice(choices=(value,))
    if "weights" in value and "choices" not in value:
        if set(value) != {"weights"} or not isinstance(value["weights"], Mapping):
            raise ValueError("weights must be the only key and map each value to its weight: {weights: {a: 3, b: 1}}")
        return Choice(choices=tuple(value["weights"]), weights=tuple(value["weights"].values()))
    for key, kind in KINDS.items():
        if key in value:
            return kind.model_validate(value)
    raise ValueError(f"an attribute needs one of weights, {', '.join(KINDS)}, or is a list; got the keys {list(value)}")


def problems(attributes: Mapping[str, Attribute]) -> list[str]:
    """Return what is wrong between attributes: unknown or later conditions, and values without a case."""
    found = []
    for position, (name, attribute) in enumerate(attributes.items()):
        before = list(attributes)[:position]
        for wanted in attribute.conditions():
            if wanted not in before:
                found.append(unknown(f"attributes.{name}.given", wanted, before) + " (it must stand above)")
        if isinstance(attribute, Conditional) and attribute.given in before:
            other = attributes[attribute.given]
            lost = attribute.missing(other.values())
            if not (other.closed() or attribute.otherwise is not None):
                found.append(
                    f"attributes.{name}.given: {attribute.given!r} has more values than can be listed; add otherwise:"
                )
            elif lost:
                found.append(
                    f"attributes.{name}.cases: no case for {lost} of {attribute.given!r}; add them or otherwise:"
                )
    return found
