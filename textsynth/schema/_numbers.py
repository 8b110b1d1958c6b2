"""Numbers within bounds that every decoder can write: whole, or with six decimals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import TYPE_CHECKING, Any

from textsynth.schema._decoding import Impossible, Schema

if TYPE_CHECKING:
    from textsynth.schema._rewrite import Rewriting

LIMITS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
FREE = 10**9
"""Numbers without a bound stay this close to zero, or to the bound they have."""
LARGEST = 2**53 - 1
"""Every whole number up to here is the same in every JSON reader."""
STEP = Fraction(1, 10**6)
STEPS = (STEP, Fraction(1, 10**9), Fraction(1, 10**12))
MOST_LISTED = 256
"""So many multiples are written as a list of values, which every decoder gets right."""


@dataclass(frozen=True, slots=True)
class Range:
    """The multiples of ``step`` from ``low`` to ``high``, which are such themselves."""

    low: Fraction
    high: Fraction
    step: Fraction

    def values(self) -> list[int | float]:
        """Return them all, in order."""
        count = int((self.high - self.low) / self.step) + 1
        return [plain(self.low + self.step * i) for i in range(count)]

    @property
    def count(self) -> int:
        """How many there are; none if the range is empty."""
        return max(0, int((self.high - self.low) // self.step) + 1)


def number_schema(rewriting: Rewriting, flat: Mapping[str, Any], kind: str, path: str) -> Schema:
    """Return the plain form of an integer or number: a list if it is short, else with inclusive bounds."""
    step = Fraction(str(flat["multipleOf"])) if "multipleOf" in flat else None
    if kind == "integer":
        inside = inner_range(flat, Fraction(step.numerator) if step else Fraction(1))
    else:
        inside = next(
            (r for s in ([step] if step else STEPS) if (r := inner_range(flat, s)).count), inner_range(flat, STEP)
        )
    if inside.count == 0:
        raise Impossible(path, "multipleOf" if step else "minimum", "no number is within the bounds")
    for key in LIMITS:
        if key in flat:
            rewriting.notes.find(path, key, "enforced")
    note_bounds(rewriting, flat, inside, path)
    if inside.count <= MOST_LISTED and (kind == "integer" or step):
        if step:
            rewriting.notes.find(path, "multipleOf", "enforced")
        return one_of(inside.values())
    made: Schema = {"type": kind}
    if "minimum" not in rewriting.can.keywords:
        for key in (*LIMITS, "multipleOf"):
            if key in flat:
                rewriting.notes.find(path, key, "checked", f"{rewriting.backend} does not enforce it")
        return made
    made |= {"minimum": plain(inside.low), "maximum": plain(inside.high)}
    return with_step(rewriting, made, inside, step, path)


def with_step(rewriting: Rewriting, made: Schema, inside: Range, step: Fraction | None, path: str) -> Schema:
    """Add ``multipleOf`` where the decoder can; it also ends decimals that would go on for ever."""
    endless = made["type"] == "number" and rewriting.can.endless_decimals
    able = "multipleOf" in rewriting.can.keywords and inside.high >= 0
    if step is not None and not able:
        rewriting.notes.find(path, "multipleOf", "checked", f"{rewriting.backend} does not enforce it here")
    if not able or (step is None and (not endless or inside.low < 0)):
        return made
    made["multipleOf"] = plain(inside.step)
    if step is None:
        rewriting.notes.bound(path, "multipleOf", "six decimals")
        return made
    rewriting.notes.find(path, "multipleOf", "enforced")
    if inside.low < 0:
        made["minimum"] = 0
        rewriting.notes.bound(path, "minimum", "0, because decoding writes no negative multiples")
    return made


def inner_range(flat: Mapping[str, Any], step: Fraction) -> Range:
    """Return the multiples of ``step`` that the bounds allow, near zero or near the one bound there is."""
    lows = [ceil(exact(flat["minimum"]) / step)] if "minimum" in flat else []
    highs = [floor(exact(flat["maximum"]) / step)] if "maximum" in flat else []
    lows += [floor(exact(flat["exclusiveMinimum"]) / step) + 1] if "exclusiveMinimum" in flat else []
    highs += [ceil(exact(flat["exclusiveMaximum"]) / step) - 1] if "exclusiveMaximum" in flat else []
    free = max(1, int(FREE / step))
    low = max(lows) if lows else min(-free, max(highs, default=0) - free)
    high = min(highs) if highs else max(free, low + free if lows else free)
    most = int(LARGEST / step)
    return Range(max(low, -most) * step, min(high, most) * step, step)


def note_bounds(rewriting: Rewriting, flat: Mapping[str, Any], inside: Range, path: str) -> None:
    """Report bounds that the schema does not have."""
    if not {"minimum", "exclusiveMinimum"} & set(flat):
        rewriting.notes.bound(path, "minimum", str(plain(inside.low)))
    if not {"maximum", "exclusiveMaximum"} & set(flat):
        rewriting.notes.bound(path, "maximum", str(plain(inside.high)))


def exact(value: float) -> Fraction:
    """Return a number of JSON as it is written."""
    return Fraction(str(value))


def plain(value: Fraction) -> int | float:
    """Return a number as JSON writes it: whole ones without a point."""
    return int(value) if value.denominator == 1 else float(value)


def one_of(values: list[Any]) -> Schema:
    """Return the schema of a closed set of values."""
    return {"const": values[0]} if len(values) == 1 else {"enum": values}
