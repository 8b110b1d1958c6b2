"""Fields that a method takes over unchanged, beside those it writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from textsynth.methods import Setting
from textsynth.records import Draw, Drop, Record
from textsynth.schema import RecordSchema, load


def extended(given: RecordSchema | None, fields: Mapping[str, Mapping[str, Any]]) -> RecordSchema:
    """Return the recipe's schema (of fields that are taken over) with the method's own ``fields`` after them, all required."""
    document: dict[str, Any] = given.document if given else {"type": "object", "additionalProperties": False}
    properties = {name: part for name, part in document.get("properties", {}).items() if name not in fields}
    required = dict.fromkeys([*document.get("required", []), *fields])
    return load(
        document | {"properties": properties | dict(fields), "required": list(required)}, folder=Path(), place="schema"
    )


def copied(setting: Setting, draw: Draw, names: Iterable[str]) -> Record | Drop:
    """Return the fields of these names that the draw gives, or why one does not fit the schema."""
    found: Record = {}
    for name in names:
        value = setting.given(draw, name)
        if value is None and name not in setting.schema.required:
            continue
        if problems := setting.schema.field_problems(name, value):
            return Drop("no_input", f"{name}: {problems[0].message}")
        found[name] = value
    return found
