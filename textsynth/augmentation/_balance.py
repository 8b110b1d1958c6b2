"""How many rows each class has, is to have, and lacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import yaml

from textsynth.errors import RecipeError, unknown
from textsynth.export import split_sizes

Balance = Literal["equal", "real"] | Mapping[Any, int]
FEW = 5
"""Fewer real examples than this say little of a class."""


@dataclass(frozen=True, slots=True)
class ClassCount:
    """One class: its real rows, the rows wanted in the end (real ones included), what was made and what was judged.

    ``judged`` counts the draws that were kept or dropped for a fault; those beyond what was needed are not among them.
    """

    value: Any
    real: int
    wanted: int
    made: int = 0
    judged: int = 0

    @property
    def needed(self) -> int:
        """How many synthetic records the class is to get."""
        return max(0, self.wanted - self.real)

    @property
    def kept_share(self) -> float | None:
        """The share of judged draws that was kept; ``None`` if there were none."""
        return self.made / self.judged if self.judged else None

    def with_made(self, made: int, judged: int) -> ClassCount:
        """Return the same class with what a run made of it."""
        return replace(self, made=made, judged=judged)


def read_balance(text: str) -> Balance:
    """Read a balance as a command line gives it: ``equal``, ``real``, or ``label: count, ...``.

    Raises:
        RecipeError: neither of them.
    """
    if text == "equal":
        return "equal"
    if text == "real":
        return "real"
    try:
        found = yaml.safe_load(f"{{{text}}}")
    except yaml.YAMLError:
        found = None
    if not isinstance(found, dict) or not found or not all(type(count) is int for count in found.values()):
        raise RecipeError([f'balance: {text!r} must be equal, real, or "label: count, label: count"'])
    return found


def wanted_counts(classes: Mapping[Any, int], balance: Balance, records: int | None) -> list[ClassCount]:
    """Return how many rows each class is to have, the scarcest first.

    Args:
        classes: real rows by class.
        balance: as in ``augment``.
        records: how many synthetic records there are to be in all.

    Raises:
        RecipeError: a balance that does not fit the classes or the number of records.
    """
    if records is not None and records < 1:
        raise RecipeError([f"records: must be 1 or more, got {records}"])
    if isinstance(balance, Mapping):
        wanted = {**classes, **named_counts(classes, balance, records)}
    elif balance == "equal":
        wanted = level(classes, records)
    elif balance == "real":
        if records is None:
            raise RecipeError(
                ["balance: real keeps the shares of the classes, and needs the number of records"],
                hint="add --records N, or take --balance equal",
            )
        more = split_sizes({str(at): count for at, count in enumerate(classes.values())}, records)
        wanted = {value: count + more[str(at)] for at, (value, count) in enumerate(classes.items())}
    else:
        raise RecipeError([f"balance: must be equal, real or a count for each label, got {balance!r}"])
    order = sorted(classes, key=lambda value: (classes[value], str(value)))
    return [ClassCount(value, classes[value], wanted[value]) for value in order]


def named_counts(classes: Mapping[Any, int], balance: Mapping[Any, int], records: int | None) -> dict[Any, int]:
    """Return the counts asked for by the classes' own values; a command line gives all values as text."""
    if records is not None:
        raise RecipeError(["records: the balance says already how many each class gets; leave one of the two out"])
    known = {str(value): value for value in classes}
    lost = [unknown("balance", str(value), known) for value in balance if str(value) not in known]
    lost += [f"balance: {value}: must be 0 or more, got {count}" for value, count in balance.items() if count < 0]
    if lost:
        raise RecipeError(lost)
    return {known[str(value)]: int(count) for value, count in balance.items()}


def level(classes: Mapping[Any, int], records: int | None) -> dict[Any, int]:
    """Raise the smaller classes to the largest, or to as even a level as ``records`` more rows allow."""
    if records is None:
        return dict.fromkeys(classes, max(classes.values()))
    low, high = 0, max(classes.values()) + records
    while low < high:  # the highest level that the records reach everywhere
        middle = (low + high + 1) // 2
        low, high = (middle, high) if lacking(classes.values(), middle) <= records else (low, middle - 1)
    found = {value: max(count, low) for value, count in classes.items()}
    rest = records - lacking(classes.values(), low)
    for value in sorted(found, key=lambda value: (found[value], str(value)))[:rest]:
        found[value] += 1
    return found


def lacking(counts: Sequence[int] | Any, wanted: int) -> int:
    """Return how many rows are missing for every class to have ``wanted``."""
    return sum(max(0, wanted - count) for count in counts)
