"""The JSON Schema of the records that a profile describes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from textsynth.columns import Field, from_numbers

_FORMATS = {"%Y-%m-%d": "date"}
_MOST = 500
"""Longest closed set that is written out."""


def of_fields(fields: Sequence[Field]) -> dict[str, Any]:
    """Return the schema of an object with these fields; nested paths make nested objects."""
    root: dict[str, Any] = _empty()
    for field in (f for f in fields if f.name.endswith("#object")):
        home = _object(root, field.path, required=not field.optional)
        if field.nullable:
            home["type"] = ["object", "null"]
    for field in fields:
        if field.derived or not field.path:
            continue
        home = _object(root, field.path[:-1], required=True) if len(field.path) > 1 else root
        home["properties"][field.path[-1]] = of_field(field)
        if not field.optional:
            home["required"].append(field.path[-1])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **root}


def _empty() -> dict[str, Any]:
    return {"type": "object", "properties": {}, "required": [], "additionalProperties": False}


def _object(home: dict[str, Any], path: tuple[str, ...], *, required: bool) -> dict[str, Any]:
    """Return the schema of the object at a path, made if need be."""
    for key in path:
        if key not in home["properties"]:
            home["properties"][key] = _empty()
            if required:
                home["required"].append(key)
        home = home["properties"][key]
    return home


def of_field(field: Field) -> dict[str, Any]:
    """Return the schema of one field's values."""
    made = _plain(field)
    if field.nullable and "type" in made and made["type"] != "null":
        made["type"] = [made["type"], "null"]
    if field.nullable and "enum" in made:
        made["enum"] = [*made["enum"], None]
    if not field.empty or "enum" in made or made.get("type") in ("array", ["array", "null"]):
        return {**made, "enum": [*made["enum"], ""]} if field.empty and "enum" in made else made
    return {"anyOf": [made, {"const": ""}]} if field.type != "array" else made


def _plain(field: Field) -> dict[str, Any]:
    if field.pattern and field.type == "string":
        return {"type": "string", "pattern": f"^({field.pattern})$"}
    if field.closed and field.values and len(field.values) <= _MOST:
        return {"enum": list(field.values)}
    if field.kind == "options":
        return {"type": "array", "items": {"enum": list(field.values)}, "uniqueItems": True}
    if field.kind == "list":
        return {"type": "array", "items": _items(field)}
    if field.kind == "dialogue":
        turn = {field.role_key: {"enum": list(field.roles)}, field.content_key: {"type": "string"}}
        item = {"type": "object", "properties": turn, "required": list(turn), "additionalProperties": False}
        return {"type": "array", "items": item}
    return _scalar(field)


def _items(field: Field) -> dict[str, Any]:
    if len(field.items) == 1 and not field.items[0].path:
        return of_field(field.items[0])
    inner = of_fields(field.items)
    del inner["$schema"]
    return inner


def _scalar(field: Field) -> dict[str, Any]:
    if field.kind == "datetime" and field.type == "integer":
        return {"type": "integer"}
    if field.kind == "datetime":
        form = _FORMATS.get(field.format, "date-time" if "T%H:%M:%SZ" in field.format or field.format == "iso" else "")
        return {"type": "string", **({"format": form} if form else {})}
    if field.kind in {"integer", "float"}:
        limits = {}
        if field.low is not None and field.high is not None:
            limits = dict(zip(("minimum", "maximum"), from_numbers([field.low, field.high], field), strict=True))
        return {"type": "integer" if field.type == "integer" else "number", **limits}
    if field.type in {"integer", "number", "boolean", "null"}:
        return {"type": field.type}
    return {} if field.type in {"mixed", "object", "array"} else {"type": "string"}
