"""Two schemas in one: what ``allOf`` and the siblings of ``$ref`` or ``anyOf`` mean, where it can be said in plain keywords."""

from __future__ import annotations

from collections.abc import Mapping
from math import lcm
from typing import Any

LARGER = {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"}
SMALLER = {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"}


def merge(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a schema that asks for both, and the keywords of ``other`` that could not be brought in."""
    made, lost = dict(one), []
    for key, value in other.items():
        if key not in made or made[key] == value:
            made[key] = value
        elif not combine(made, key, value):
            lost.append(key)
    return made, lost


def combine(made: dict[str, Any], key: str, value: Any) -> bool:
    """Bring one keyword that both have into ``made``; False if plain keywords cannot say it."""
    held = made[key]
    if key in LARGER or key in SMALLER:
        made[key] = max(held, value) if key in LARGER else min(held, value)
    elif key == "required":
        made[key] = list(dict.fromkeys([*held, *value]))
    elif key == "type":
        both = common_types(held, value)
        made[key] = both[0] if len(both) == 1 else both
    elif key == "enum":
        made[key] = [v for v in held if v in value]
    elif key == "multipleOf" and isinstance(held, int) and isinstance(value, int):
        made[key] = lcm(held, value)
    elif key in {"properties", "$defs", "patternProperties"}:
        made[key] = {**held, **{name: both_of(held.get(name), part) for name, part in value.items()}}
    elif key == "allOf":
        made[key] = [*held, *value]
    elif key in {"additionalProperties", "items"} and isinstance(value, bool | Mapping):
        made[key] = both_of(held, value)
    elif key in {"anyOf", "oneOf"}:
        made.setdefault("allOf", [])
        made["allOf"] = [*made["allOf"], {key: value}]
    else:
        return key in {"description", "title", "default", "examples", "$comment", "$id", "$schema"}
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


def common_types(one: Any, other: Any) -> list[str]:
    """Return the types both allow; an integer is a number."""
    first = [one] if isinstance(one, str) else list(one)
    second = [other] if isinstance(other, str) else list(other)
    both = [t for t in first if t in second]
    if "integer" in first + second and "integer" not in both and {"number"} & set(first + second):
        wide_first, wide_second = "number" in first or "integer" in first, "number" in second or "integer" in second
        both = both + ["integer"] if wide_first and wide_second and "number" not in both else both
    return both
