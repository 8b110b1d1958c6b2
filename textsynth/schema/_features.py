"""``datasets.Features`` as JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textsynth.errors import SchemaError

SCALARS: dict[str, dict[str, Any]] = {
    "string": {"type": "string"},
    "large_string": {"type": "string"},
    "string_view": {"type": "string"},
    "bool": {"type": "boolean"},
    "null": {"type": "null"},
    "date32": {"type": "string", "format": "date"},
    "date64": {"type": "string", "format": "date"},
}
STARTS: dict[str, dict[str, Any]] = {
    "float": {"type": "number"},
    "decimal": {"type": "number"},
    "timestamp": {"type": "string", "format": "date-time"},
    "time32": {"type": "string", "format": "time"},
    "time64": {"type": "string", "format": "time"},
    "duration": {"type": "string", "format": "duration"},
}


def to_json_schema(features: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a record with these features; all fields are required.

    Raises:
        SchemaError: a feature that is not text, number, boolean, time, list or struct (an image, say).
    """
    return struct(features, "schema")


def struct(features: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Return the schema of an object."""
    if not features:
        raise SchemaError(f"{place}: a record must have at least one field")
    properties = {name: feature_schema(part, f"{place}.{name}") for name, part in features.items()}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def feature_schema(feature: Any, place: str) -> dict[str, Any]:
    """Return the schema of one feature."""
    if isinstance(feature, Mapping):
        return struct(feature, place)
    if isinstance(feature, list):
        return {"type": "array", "items": feature_schema(feature[0], f"{place}[]")}
    kind = type(feature).__name__
    if kind == "ClassLabel":
        return {"enum": list(feature.names)}
    if kind == "Translation":
        return struct(dict.fromkeys(feature.languages, "string"), place)
    if kind in {"List", "LargeList", "Sequence"}:
        return array(feature, place)
    if kind == "Value" or isinstance(feature, str):
        return value_schema(str(getattr(feature, "dtype", feature)), place)
    raise SchemaError(f"{place}: the feature {kind} cannot be generated as text or structured data")


def array(feature: Any, place: str) -> dict[str, Any]:
    """Return the schema of a list, with its length if that is fixed."""
    length = getattr(feature, "length", -1)
    schema: dict[str, Any] = {"type": "array", "items": feature_schema(feature.feature, f"{place}[]")}
    return schema | ({"minItems": length, "maxItems": length} if length >= 0 else {})


def value_schema(dtype: str, place: str) -> dict[str, Any]:
    """Return the schema of a scalar by its Arrow type."""
    if dtype in SCALARS:
        return dict(SCALARS[dtype])
    if dtype.startswith(("int", "uint")):
        bits = int(dtype.removeprefix("u").removeprefix("int"))
        low, high = (0, 2**bits - 1) if dtype.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        return {"type": "integer"} | (
            {"minimum": low, "maximum": high} if bits <= 32 else {"minimum": 0} if low == 0 else {}
        )
    for start, schema in STARTS.items():
        if dtype.startswith(start):
            return dict(schema)
    raise SchemaError(f"{place}: values of type {dtype} cannot be generated")
