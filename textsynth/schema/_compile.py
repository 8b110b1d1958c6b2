"""Schemas compiled for checking: every keyword, every format, and nothing fetched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jsonschema_rs

from textsynth.errors import SchemaError
from textsynth.schema._references import json_path
from textsynth.schema._upgrade import SUBSCHEMA_MAPS, VALUES

ROOT = "urn:textsynth:record"


def compile_schema(document: Mapping[str, Any], *, place: str = "schema", root: Mapping[str, Any] | None = None) -> Any:
    """Compile a schema for checking, with formats asserted.

    Args:
        root: the document that plain references of ``document`` point into, where that is another one.

    Raises:
        SchemaError: it breaks its meta-schema, has a pattern that is no regular expression, or a dangling ``$ref``.
    """
    registry = None
    if root is not None:
        registry, document = jsonschema_rs.Registry([(ROOT, dict(root))]), based(document)
    try:
        return jsonschema_rs.validator_for(
            dict(document), validate_formats=True, ignore_unknown_formats=True, offline=True, registry=registry
        )
    except jsonschema_rs.ValidationError as error:
        where, message = json_path(tuple(error.instance_path)), str(error.message)[:300]
        raise SchemaError(f"{place}: not a valid JSON Schema at {where}: {message}") from None
    except jsonschema_rs.ReferencingError as error:
        raise SchemaError(
            f"{place}: keyword $ref: {str(error)[:300]}", hint="every $ref must stand for #/$defs/NAME"
        ) from None
    except ValueError as error:
        raise SchemaError(f"{place}: not a valid JSON Schema: {str(error)[:300]}") from None


def based(part: Any) -> Any:
    """Return a subschema whose plain references lead into the root document from outside it."""
    if isinstance(part, list):
        return [based(item) for item in part]
    if not isinstance(part, Mapping):
        return part
    made: dict[str, Any] = {}
    for key, value in part.items():
        if key == "$ref" and isinstance(value, str) and value.startswith("#"):
            made[key] = ROOT + value
        elif key in SUBSCHEMA_MAPS and isinstance(value, Mapping):
            made[key] = {name: based(inner) for name, inner in value.items()}
        else:
            made[key] = value if key in VALUES else based(value)
    return made
