"""From what the user has to a ``RecordSchema``: a pydantic class, a JSON Schema, its file, Features, or the short form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.errors import PydanticUserError

from textsynth.errors import SchemaError
from textsynth.registry import import_object
from textsynth.schema._features import to_json_schema
from textsynth.schema._keywords import ANNOTATIONS, KEYWORDS
from textsynth.schema._record import RecordSchema
from textsynth.schema._short import short_form

SOURCES = ("python", "file", "features")


def load(source: Any, *, folder: Path, place: str = "schema") -> RecordSchema:
    """Return the schema in ``source``.

    Args:
        source: a pydantic class, ``datasets.Features``, a JSON Schema, the short form, a path, or a mapping with the one
            key ``python`` (``module:Class``), ``file`` or ``features`` (a dataset whose features are taken).
        folder: what paths are relative to.
        place: where in the recipe it stands, for messages.

    Raises:
        SchemaError: it cannot be read, or is not a valid JSON Schema (with place and rule).
        RecipeError: ``python`` names something that cannot be imported.
    """
    if isinstance(source, RecordSchema):
        return source
    if isinstance(source, type) and issubclass(source, BaseModel):
        return from_model(source, place)
    if type(source).__name__ == "Features":
        return RecordSchema(to_json_schema(source), place=place)
    if isinstance(source, str | Path):
        return from_file(folder / Path(source).expanduser(), place)
    if not isinstance(source, Mapping):
        kind = source.__name__ if isinstance(source, type) else f"a {type(source).__name__}"
        raise SchemaError(f"{place}: cannot read {kind} as a schema", hint="a class must be a pydantic BaseModel")
    if len(source) == 1 and set(source) <= set(SOURCES) and isinstance(next(iter(source.values())), str):
        return from_named(source, folder, place)
    return from_mapping(source, place)


def from_named(source: Mapping[str, str], folder: Path, place: str) -> RecordSchema:
    """Read what ``python``, ``file`` or ``features`` names; a value that is none is a field of the short form."""
    ((key, value),) = source.items()
    if key == "python" and ":" in value:
        return load(import_object(value, place=f"{place}.{key}", folder=folder), folder=folder, place=place)
    path = folder / Path(value).expanduser()
    if key == "file" and (path.suffix or path.exists()):
        return from_file(path, place)
    if key == "features" and (path.suffix or "/" in value or path.exists()):
        return RecordSchema(to_json_schema(dataset_features(path, place)), place=place)
    return from_mapping(source, place)


def from_model(model: type[BaseModel], place: str) -> RecordSchema:
    """Return the schema of what a pydantic class accepts; its own validators are part of the check."""
    try:
        document = model.model_json_schema(mode="validation")
    except PydanticUserError as error:
        raise SchemaError(f"{place}: {model.__name__} has no JSON Schema: {error.message}") from error
    return RecordSchema(document, name=model.__name__, model=model, place=place)


def from_mapping(source: Mapping[str, Any], place: str) -> RecordSchema:
    """Tell a JSON Schema from the short form."""
    if is_json_schema(source):
        return RecordSchema(source, name=str(source.get("title", "record")), place=place)
    return RecordSchema(short_form(source, place=place), place=place)


def is_json_schema(source: Mapping[str, Any]) -> bool:
    """Return whether a mapping is a JSON Schema: it says so, or has what only a JSON Schema has.

    A field of the short form can be called ``properties``, ``type`` or ``definitions`` too.
    """
    if "$schema" in source or "$ref" in source or "$defs" in source:
        return True
    if any(isinstance(source.get(key), list) and has_mapping(source[key]) for key in ("anyOf", "oneOf", "allOf")):
        return True
    if source.get("type") == "object":
        return isinstance(source.get("properties", {}), Mapping)
    inner = source.get("properties")
    known = all(key in KEYWORDS or key in ANNOTATIONS for key in source)
    return known and isinstance(inner, Mapping) and all(isinstance(part, Mapping | bool) for part in inner.values())


def has_mapping(items: list[Any]) -> bool:
    """Return whether a list holds anything but plain values."""
    return any(isinstance(item, Mapping) for item in items)


def from_file(path: Path, place: str) -> RecordSchema:
    """Read a schema from a JSON or YAML file."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        data = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except FileNotFoundError as error:
        hint = "a class is named {python: module:Class}, fields are given as a mapping"
        raise SchemaError(f"{place}: no such file: {str(path)!r}", hint=hint) from error
    except OSError as error:
        raise SchemaError(f"{place}: cannot read {str(path)!r}: {error.strerror}") from error
    except (ValueError, yaml.YAMLError) as error:
        raise SchemaError(
            f"{place}: {path.name} is not valid {'JSON' if path.suffix == '.json' else 'YAML'}: {error}"
        ) from error
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
