"""From what the user has to a ``RecordSchema``: a pydantic class, a JSON Schema, its file, Features, or the short form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from textsynth.errors import SchemaError
from textsynth.registry import import_object
from textsynth.schema._features import to_json_schema
from textsynth.schema._record import RecordSchema
from textsynth.schema._short import short_form

SCHEMA_KEYS = {"$schema", "$ref", "$defs", "definitions", "anyOf", "oneOf", "allOf"}


def load(source: Any, *, folder: Path, place: str = "schema") -> RecordSchema:
    """Return the schema in ``source``.

    Args:
        source: a pydantic class, ``datasets.Features``, a JSON Schema, the short form, a path, or a mapping with the one
            key ``python`` (``module:Class``), ``file`` or ``features`` (a dataset whose features are taken).
        folder: what paths are relative to.

    Raises:
        SchemaError: it cannot be read, or is not a valid JSON Schema (with place and rule).
    """
    if isinstance(source, RecordSchema):
        return source
    if isinstance(source, type) and issubclass(source, BaseModel):
        return RecordSchema(source.model_json_schema(), name=source.__name__, model=source)
    if type(source).__name__ == "Features":
        return RecordSchema(to_json_schema(source))
    if isinstance(source, str | Path):
        return from_file(folder / Path(source).expanduser(), place)
    if not isinstance(source, Mapping):
        raise SchemaError(f"{place}: cannot read a {type(source).__name__} as a schema")
    if len(source) == 1 and isinstance(next(iter(source.values())), str):
        ((key, value),) = source.items()
        if key == "python" and ":" in value:
            return load(import_object(value, place=place, folder=folder), folder=folder, place=place)
        if key == "file":
            return from_file(folder / Path(value).expanduser(), place)
        if key == "features":
            return RecordSchema(to_json_schema(dataset_features(folder / Path(value).expanduser(), place)))
    return from_mapping(source, place)


def from_mapping(source: Mapping[str, Any], place: str) -> RecordSchema:
    """Tell a JSON Schema from the short form."""
    if SCHEMA_KEYS & set(source) or (
        source.get("type") == "object" and isinstance(source.get("properties", {}), Mapping)
    ):
        return RecordSchema(source, name=str(source.get("title", "record")))
    return RecordSchema(short_form(source, place=place))


def from_file(path: Path, place: str) -> RecordSchema:
    """Read a schema from a JSON or YAML file."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        data = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except OSError as error:
        raise SchemaError(
            f"{place}: no such file: {str(path)!r}"
            if isinstance(error, FileNotFoundError)
            else f"{place}: {path}: {error}",
            hint="a class is named {python: module:Class}",
        ) from error
    except (ValueError, yaml.YAMLError) as error:
        raise SchemaError(f"{place}: {path.name} is not valid {path.suffix.lstrip('.') or 'YAML'}: {error}") from error
    if not isinstance(data, Mapping):
        raise SchemaError(f"{place}: {path.name} must hold an object, got {type(data).__name__}")
    return from_mapping(data, place)


def dataset_features(path: Path, place: str) -> Any:
    """Return the features of a saved dataset or a Parquet file."""
    from datasets import DatasetDict, Features, load_from_disk

    try:
        if path.is_file():
            import pyarrow.parquet as parquet

            return Features.from_arrow_schema(parquet.read_schema(path))
        found = load_from_disk(str(path))
    except (OSError, ValueError) as error:
        raise SchemaError(f"{place}.features: {str(path)!r} is no saved dataset or Parquet file: {error}") from error
    return (next(iter(found.values())) if isinstance(found, DatasetDict) else found).features
