"""The short form of a schema: one line per field, ``body: text 20..600``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from textsynth.errors import SchemaError, nearest

TYPES: dict[str, dict[str, Any]] = {
    "str": {"type": "string"},
    "text": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "time": {"type": "string", "format": "time"},
    "datetime": {"type": "string", "format": "date-time"},
    "email": {"type": "string", "format": "email"},
    "uuid": {"type": "string", "format": "uuid"},
    "url": {"type": "string", "format": "uri"},
}
MEANT = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "array": "list", "double": "float"}
"""What other languages call them."""
NUMBER = r"-?\d+(?:\.\d+)?"
BOUNDS = rf"(?:(?:<=|>=)\s*{NUMBER}\s*)*|{NUMBER}\s*\.\.\s*{NUMBER}"
SHAPE = re.compile(rf"(?P<type>[A-Za-z]\w*)\s*(?P<bounds>{BOUNDS})\s*(?P<null>\??)", re.ASCII)
LIST = re.compile(rf"list\s*\[(?P<inner>.+)\]\s*(?P<bounds>{BOUNDS})\s*(?P<null>\??)", re.ASCII)
LIMITS = {"string": ("minLength", "maxLength"), "array": ("minItems", "maxItems")}
GRAMMAR = "TYPE, TYPE<=80, TYPE 3..80, list[TYPE]<=5, a list of values, or nested fields; ? at the end allows null"


def short_form(fields: Mapping[str, Any], *, place: str = "schema") -> dict[str, Any]:
    """Return the JSON Schema of an object with these fields; all are required save those whose name ends in ``?``.

    Raises:
        SchemaError: a type that does not exist (with the nearest match) or bounds that make no sense.
    """
    if not fields:
        raise SchemaError(f"{place}: a record must have at least one field")
    properties, required = {}, []
    for key, value in fields.items():
        if not isinstance(key, str):
            raise SchemaError(f"{place}: a field's name must be text, got {key!r}", hint="put it in quotes")
        name = key.removesuffix("?")
        if not name or name in properties:
            raise SchemaError(f"{place}: a field's name must be there and differ from the others, got {key!r}")
        properties[name] = field_schema(value, f"{place}.{name}")
        if name == key:
            required.append(name)
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def field_schema(value: Any, place: str) -> dict[str, Any]:
    """Return the schema of one field."""
    if isinstance(value, Mapping):
        return short_form(value, place=place)
    if isinstance(value, list):
        return closed_set(value, place)
    if isinstance(value, str):
        return type_schema(value.strip(), place)
    raise SchemaError(f"{place}: cannot read {value!r}", hint=f"a field is {GRAMMAR}")


def closed_set(values: list[Any], place: str) -> dict[str, Any]:
    """Return the schema of a field that has one of these values."""
    if not values or not all(value is None or isinstance(value, str | int | float) for value in values):
        hint = "write [low, high]; put dates and the like in quotes"
        raise SchemaError(f"{place}: a list must name the values the field may have, got {values}", hint=hint)
    if any(isinstance(value, bool) for value in values):
        hint = 'YAML reads yes, no, on and off as these; put such words in quotes ("yes"), or write bool'
        raise SchemaError(f"{place}: true and false cannot stand in a list of values, got {values}", hint=hint)
    if len({repr(value) for value in values}) < len(values):
        raise SchemaError(f"{place}: the values of a list must differ, got {values}")
    return {"enum": list(values)}


def type_schema(text: str, place: str) -> dict[str, Any]:
    """Return the schema of a type written as text."""
    if whole := LIST.fullmatch(text):
        inner = type_schema(whole["inner"].strip(), f"{place}[]")
        return nullable(bounded({"type": "array", "items": inner}, whole["bounds"], place), whole["null"])
    shape = SHAPE.fullmatch(text)
    if shape is None:
        raise SchemaError(f"{place}: cannot read the type {text!r}", hint=f"a field is {GRAMMAR}")
    if shape["type"] not in TYPES:
        lower = shape["type"].lower()
        guess = f" (did you mean {MEANT[lower]}?)" if lower in MEANT else nearest(lower, [*TYPES, "list"])
        raise SchemaError(f"{place}: unknown type {shape['type']!r}{guess}; known: {', '.join([*TYPES, 'list'])}")
    return nullable(bounded(dict(TYPES[shape["type"]]), shape["bounds"], place), shape["null"])


def bounded(schema: dict[str, Any], bounds: str, place: str) -> dict[str, Any]:
    """Add bounds such as ``<=80``, ``>=3`` or ``3..80`` to a type."""
    bounds = bounds.strip()
    if not bounds:
        return schema
    if schema["type"] == "boolean" or "format" in schema:
        raise SchemaError(f"{place}: {schema.get('format', 'bool')} takes no bounds, got {bounds!r}")
    low, high = LIMITS.get(schema["type"], ("minimum", "maximum"))
    found: dict[str, int | float] = {}
    if ".." in bounds:
        found[low], found[high] = (number(part) for part in bounds.split(".."))
    for sign, value in re.findall(rf"(<=|>=)\s*({NUMBER})", bounds):
        key = high if sign == "<=" else low
        if key in found:
            raise SchemaError(f"{place}: {sign} stands twice in {bounds!r}")
        found[key] = number(value)
    if found.get(low, float("-inf")) > found.get(high, float("inf")):
        raise SchemaError(f"{place}: the lower bound {found[low]} is above the upper bound {found[high]}")
    if low != "minimum" and any(v < 0 or not isinstance(v, int) for v in found.values()):
        raise SchemaError(f"{place}: a length must be a whole number of 0 or more, got {bounds!r}")
    return schema | found


def number(text: str) -> int | float:
    """Read a bound."""
    return float(text) if "." in text else int(text)


def nullable(schema: dict[str, Any], mark: str) -> dict[str, Any]:
    """Allow null if the type ended in ``?``."""
    return schema | {"type": [schema["type"], "null"]} if mark else schema
