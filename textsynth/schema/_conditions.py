"""Conditions as unions: ``if``, ``not`` and ``dependent...`` said as a choice of plain branches, where that is exact.

``dependentRequired: {a: [b]}`` is "without a, or with a and b". A condition can be denied in plain words if it is about
presence (``required``) or about the value of one property (``const``, ``enum``); of all others nothing is said here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from textsynth.schema._decoding import Schema

MOST_TRIGGERS = 4
"""Each trigger doubles the number of branches."""
CONDITION = ("if", "then", "else", "not", "dependentRequired", "dependentSchemas")
BESIDE = frozenset({"type", "title", "description", "$comment", "properties", "required"})


def unions_for(flat: Mapping[str, Any]) -> tuple[list[Schema], list[str]]:
    """Return unions that together mean what the conditions of a schema mean, and the keywords that they replace."""
    unions: list[Schema] = []
    said: list[str] = []
    for key, triggers in (("dependentRequired", required_with(flat)), ("dependentSchemas", schema_with(flat))):
        if key in flat and len(triggers) <= MOST_TRIGGERS:
            said.append(key)
            unions += [{"anyOf": [{"properties": {name: False}}, then]} for name, then in triggers.items()]
    if "not" in flat and (denied := denials(flat["not"])) is not None:
        said.append("not")
        unions.append({"anyOf": denied})
    if "if" in flat and (denied := denials(flat["if"])) is not None:
        said += [key for key in ("if", "then", "else") if key in flat]
        otherwise = flat.get("else", True)
        branches = [both(flat["if"], flat.get("then", True)), *(both(denial, otherwise) for denial in denied)]
        unions.append({"anyOf": branches})
    return unions, said


def required_with(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Return, for each trigger of ``dependentRequired``, what it asks for."""
    return {name: {"required": [name, *names]} for name, names in flat.get("dependentRequired", {}).items()}


def schema_with(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Return, for each trigger of ``dependentSchemas``, what it asks for."""
    return {name: both({"required": [name]}, then) for name, then in flat.get("dependentSchemas", {}).items()}


def both(one: Any, other: Any) -> Any:
    """Return a schema that asks for both."""
    return one if other is True else False if other is False else {"allOf": [one, other]}


def denials(condition: Any) -> list[Schema] | None:
    """Return branches that together mean ``not condition`` of an object, ``None`` where plain keywords cannot say it."""
    if (
        not isinstance(condition, Mapping)
        or not set(condition) <= BESIDE
        or condition.get("type", "object") != "object"
    ):
        return None
    properties, required = condition.get("properties", {}), condition.get("required", [])
    if not properties and not required:
        return None
    values = {name: closed_values(part) for name, part in properties.items()}
    if any(found is None for found in values.values()):
        return None
    return [*absent(required), *(other_value(name, found) for name, found in values.items())]


def absent(names: Iterable[str]) -> list[Schema]:
    """Return one branch per name, in which it does not occur."""
    return [{"properties": {name: False}} for name in names]


def other_value(name: str, values: Any) -> Schema:
    """Return the branch in which a property is there and has none of the values."""
    return {"required": [name], "properties": {name: {"not": {"enum": values}}}}


def closed_values(part: Any) -> list[Any] | None:
    """Return the values of a subschema that is nothing but ``const`` or ``enum``."""
    if not isinstance(part, Mapping) or not set(part) <= {"const", "enum", "type", "title", "description"}:
        return None
    if "type" in part and "const" not in part:
        return None
    return [part["const"]] if "const" in part else list(part["enum"]) if "enum" in part else None
