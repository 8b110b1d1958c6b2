"""Whether what is written for one branch of ``oneOf`` can fit another branch too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textsynth.schema._compile import compile_schema
from textsynth.schema._decoding import Schema
from textsynth.schema._names import matching
from textsynth.schema._references import follow

TYPE_OF = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
    list: "array",
    dict: "object",
}
DEEPEST = 6


def excludes(other: Any, made: Schema, root: Schema, definitions: Mapping[str, Schema], depth: int = 0) -> bool:
    """Return whether surely no value of ``made`` (plain form) is valid for ``other`` (as the user wrote it)."""
    if other is False:
        return True
    if depth > DEEPEST or not isinstance(other, Mapping):
        return False
    if "$ref" in made:
        return excludes(other, definitions[made["$ref"].rsplit("/", 1)[-1]], root, definitions, depth + 1)
    if "anyOf" in made:
        return all(excludes(other, branch, root, definitions, depth + 1) for branch in made["anyOf"])
    if "const" in made or "enum" in made:
        checker = compile_schema(other, root=root)
        return not any(checker.is_valid(value) for value in made.get("enum", [made.get("const")]))
    beside = [follow(root, other["$ref"])] if "$ref" in other else []
    if any(excludes(member, made, root, definitions, depth + 1) for member in [*beside, *other.get("allOf", ())]):
        return True
    for key in ("anyOf", "oneOf"):
        if key in other and all(excludes(branch, made, root, definitions, depth + 1) for branch in other[key]):
            return True
    return other_type(other, made) or other_object(other, made, root, definitions, depth)


def other_type(other: Mapping[str, Any], made: Schema) -> bool:
    """Return whether ``other`` allows no value of the type that is written."""
    kind = made.get("type")
    if "const" in other or "enum" in other:
        kinds = {TYPE_OF[type(value)] for value in other.get("enum", [other.get("const")])}
    else:
        kinds = set([other["type"]] if isinstance(other.get("type"), str) else other.get("type", ()))
        if not kinds:
            return False
    numeric = {"integer", "number"}
    return kind not in kinds and not (kind in numeric and kinds & numeric)


def other_object(
    other: Mapping[str, Any], made: Schema, root: Schema, definitions: Mapping[str, Schema], depth: int
) -> bool:
    """Return whether an object that is written lacks a property that ``other`` requires, or has one it refuses."""
    if made.get("type") != "object" or "properties" not in made:
        return False
    names, required = made["properties"], made.get("required", [])
    if made["additionalProperties"] is False and not set(other.get("required", ())) <= set(names):
        return True
    for name in required:
        said = [other["properties"][name]] if name in other.get("properties", {}) else []
        said += matching(other.get("patternProperties", {}), name)
        for part in said or [other.get("additionalProperties", True)]:
            if name in names and excludes(part, names[name], root, definitions, depth + 1):
                return True
    return False
