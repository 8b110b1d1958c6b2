"""Two schemas in one: what ``allOf`` and the siblings of ``$ref`` or ``anyOf`` mean, where plain keywords can say it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from math import lcm
from typing import Any

LARGER = {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"}
SMALLER = {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"}
WORDS = {"description", "title", "default", "examples", "$comment", "$id", "$schema"}


def merge(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a schema that asks for both, and the keywords of ``other`` that could not be brought in."""
    one, other = apart(one, other)
    made, lost = dict(one), []
    for key, value in other.items():
        if key not in made or same_value(made[key], value):
            made[key] = value
        elif not combine(made, key, value):
            lost.append(key)
    return made, lost


def apart(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Write out what each schema says about the properties and positions that only the other one names."""
    return written_out(one, other), written_out(other, one)


def written_out(part: Mapping[str, Any], other: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return ``part`` with its ``additionalProperties`` and ``items`` said for each name and position of ``other``."""
    names = [name for name in other.get("properties", {}) if name not in part.get("properties", {})]
    extra = part.get("additionalProperties", True)
    if names and extra is not True:
        free = {name: extra for name in names if not matches(part.get("patternProperties", {}), name)}
        part = {**part, "properties": {**part.get("properties", {}), **free}}
    first, length = part.get("prefixItems", []), len(other.get("prefixItems", []))
    if len(first) < length and "items" in part:
        part = {**part, "prefixItems": [*first, *[part["items"]] * (length - len(first))]}
    return part


def matches(patterns: Mapping[str, Any], name: str) -> bool:
    """Return whether a name fits one of the patterns."""
    return any(fits(pattern, name) for pattern in patterns)


def fits(pattern: str, name: str) -> bool:
    """Return whether a name fits a pattern; one that Python cannot read fits nothing."""
    try:
        return re.search(pattern, name) is not None
    except re.error:
        return False


def same_value(one: Any, other: Any) -> bool:
    """Return whether two JSON values are written alike; unlike in Python, ``True`` is not 1."""
    return bool(one == other) and json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def combine(made: dict[str, Any], key: str, value: Any) -> bool:
    """Bring one keyword that both have into ``made``; False if plain keywords cannot say it."""
    held = made[key]
    if key in LARGER or key in SMALLER:
        made[key] = max(held, value) if key in LARGER else min(held, value)
    elif key in {"anyOf", "oneOf", "allOf"}:
        made["allOf"] = [*made.get("allOf", []), *(value if key == "allOf" else [{key: value}])]
    elif key in COMBINED:
        made[key] = COMBINED[key](held, value)
    elif key == "multipleOf" and isinstance(held, int) and isinstance(value, int):
        made[key] = lcm(held, value)
    else:
        return key in WORDS
    return True


def both_of(one: Any, other: Any) -> Any:
    """Return a schema that asks for both of two subschemas, either of which may be a boolean or absent."""
    if one is None or one is True:
        return other
    if other is True:
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
    return [value for value in one if any(same_value(value, v) for v in other)]


def common_types(one: Any, other: Any) -> Any:
    """Return the types both allow; an integer is a number."""
    first = [one] if isinstance(one, str) else list(one)
    second = [other] if isinstance(other, str) else list(other)
    both = [kind for kind in first if kind in second or (kind == "integer" and "number" in second)]
    both += [kind for kind in second if kind == "integer" and "number" in first and "integer" not in both]
    return both[0] if len(both) == 1 else both


def in_order(one: list[str], other: list[str]) -> list[str]:
    """Return the names of both, each once."""
    return list(dict.fromkeys([*one, *other]))


COMBINED = {
    "required": in_order,
    "type": common_types,
    "enum": common_values,
    "properties": both_of_each,
    "$defs": both_of_each,
    "patternProperties": both_of_each,
    "prefixItems": both_by_position,
    "additionalProperties": both_of,
    "items": both_of,
}
