"""``datasets.Features`` as JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textsynth.errors import SchemaError

DTYPES = {
    "string": {"type": "string"},
    "large_string": {"type": "string"},
    "bool": {"type": "boolean"},
    "null": {"type": "null"},
    "date32": {"type": "string", "format": "date"},
    "date64": {"type": "string", "format": "date"},
}


def to_json_schema(features: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a record with these features; all fields are required.

    Raises:
        SchemaError: a feature that is not text, number, boolean, time, list or struct (an image, say).
    """
    return struct(features, "schema")


def struct(features: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Return the schema of an object."""
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
    if kind in {"List", "LargeList", "Sequence"}:
        return array(feature, place)
    if kind == "Value":
        return value_schema(str(feature.dtype), place)
    raise SchemaError(f"{place}: the feature {kind} cannot be generated as text or structured data")


def array(feature: Any, place: str) -> dict[str, Any]:
    """Return the schema of a list, with its length if that is fixed."""
    length = getattr(feature, "length", -1)
    schema: dict[str, Any] = {"type": "array", "items": feature_schema(feature.feature, f"{place}[]")}
    return schema | ({"minItems": length, "maxItems": length} if length is not None and length >= 0 else {})


def value_schema(dtype: str, place: str) -> dict[str, Any]:
    """Return the schema of a scalar by its Arrow type."""
    if dtype in DTYPES:
        return dict(DTYPES[dtype])
    if dtype.startswith(("int", "uint")):
        bits = int(dtype.removeprefix("u").removeprefix("int"))
        low, high = (0, 2**bits - 1) if dtype.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        return {"type": "integer"} | ({"minimum": low, "maximum": high} if bits <= 32 else {})
    if dtype.startswith(("float", "decimal")):
        return {"type": "number"}
    if dtype.startswith("timestamp"):
        return {"type": "string", "format": "date-time"}
    if dtype.startswith("time"):
        return {"type": "string", "format": "time"}
    raise SchemaError(f"{place}: values of type {dtype} cannot be generated")
