"""Two schemas in one: what ``allOf`` and the siblings of ``$ref`` or ``anyOf`` mean, where plain keywords can say it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from math import lcm
from typing import Any

from textsynth.schema._names import matching

LARGER = {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"}
SMALLER = {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"}
WORDS = {"description", "title", "default", "examples", "$comment", "$schema"}


def merge(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a schema that asks for both, and the keywords of ``other`` that could not be brought in."""
    one, other = written_out(one, other), written_out(other, one)
    made, lost = dict(one), []
    for key, value in other.items():
        if key not in made or same(made[key], value):
            made[key] = value
        elif not combine(made, key, value):
            lost.append(key)
    return made, lost


def written_out(part: Mapping[str, Any], other: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return ``part`` with what it says about the rest said for each name and position that only ``other`` has."""
    extra, patterns = part.get("additionalProperties", True), part.get("patternProperties", {})
    if extra is not True:
        own = part.get("properties", {})
        names = [name for name in other.get("properties", {}) if name not in own and not matching(patterns, name)]
        foreign = [pattern for pattern in other.get("patternProperties", {}) if pattern not in patterns]
        part = {**part, "properties": {**own, **dict.fromkeys(names, extra)}} if names else part
        part = {**part, "patternProperties": {**patterns, **dict.fromkeys(foreign, extra)}} if foreign else part
    first, length = part.get("prefixItems", []), len(other.get("prefixItems", []))
    if len(first) < length and "items" in part:
        part = {**part, "prefixItems": [*first, *[part["items"]] * (length - len(first))]}
    return part


def combine(made: dict[str, Any], key: str, value: Any) -> bool:
    """Bring one keyword that both have into ``made``; False if plain keywords cannot say it."""
    held = made[key]
    if key in LARGER or key in SMALLER:
        made[key] = max(held, value) if key in LARGER else min(held, value)
    elif key in {"anyOf", "oneOf", "allOf"}:
        made["allOf"] = [*made.get("allOf", []), *(value if key == "allOf" else [{key: value}])]
    elif key == "const":
        made["enum"] = []
    elif key in COMBINED:
        made[key] = COMBINED[key](held, value)
    else:
        return key in WORDS
    return True


def both_of(one: Any, other: Any) -> Any:
    """Return a schema that asks for both of two subschemas, either of which may be a boolean or absent."""
    if one is None or one is True or same(one, other):
        return other
    if other is None or other is True:
        return one
    if one is False or other is False:
        return False
    return {"allOf": [one, other]}


def both_of_each(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return subschemas by name that ask for both where both have the name."""
    return {**one, **{name: both_of(one.get(name), part) for name, part in other.items()}}


def both_by_position(one: list[Any], other: list[Any]) -> list[Any]:
    """Return subschemas by position that ask for both where both have the position."""
    longer = one if len(one) > len(other) else other
    return [*(both_of(a, b) for a, b in zip(one, other, strict=False)), *longer[min(len(one), len(other)) :]]


def common_values(one: list[Any], other: list[Any]) -> list[Any]:
    """Return the values that stand in both."""
    return [value for value in one if any(same(value, item) for item in other)]


def common_types(one: Any, other: Any) -> Any:
    """Return the types both allow; an integer is a number."""
    first = [one] if isinstance(one, str) else list(one)
    second = [other] if isinstance(other, str) else list(other)
    both = [kind for kind in first if kind in second or (kind == "integer" and "number" in second)]
    both += [kind for kind in second if kind == "integer" and "number" in first and "integer" not in both]
    return both[0] if len(both) == 1 else both


def common_multiple(one: float, other: float) -> int | float:
    """Return the least number of which every multiple is one of both."""
    first, second = Fraction(str(one)), Fraction(str(other))
    below = first.denominator * second.denominator
    found = Fraction(lcm(first.numerator * second.denominator, second.numerator * first.denominator), below)
    return int(found) if found.denominator == 1 else float(found)


def in_order(one: list[str], other: list[str]) -> list[str]:
    """Return the names of both, each once."""
    return list(dict.fromkeys([*one, *other]))


def same(one: Any, other: Any) -> bool:
    """Return whether two JSON values are equal; unlike in Python, ``True`` is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other)


COMBINED: dict[str, Callable[[Any, Any], Any]] = {
    "required": in_order,
    "type": common_types,
    "enum": common_values,
    "multipleOf": common_multiple,
    "properties": both_of_each,
    "$defs": both_of_each,
    "definitions": both_of_each,
    "patternProperties": both_of_each,
    "dependentRequired": lambda one, other: {k: in_order(one.get(k, []), other.get(k, [])) for k in {**one, **other}},
    "prefixItems": both_by_position,
    "additionalProperties": both_of,
    "items": both_of,
    "propertyNames": both_of,
}
