"""Older drafts in the words of 2020-12, the one internal form.

A keyword that an older draft did not know yet but that stands in such a schema (``const`` in draft 4) means what it means
now: that is what its author wanted, and what editors make of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

SUBSCHEMA_MAPS = frozenset(
    {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"}
)
VALUES = frozenset({"enum", "const", "default", "examples"})
LATEST = "https://json-schema.org/draft/2020-12/schema"
DRAFT_4 = re.compile(r"draft-0[34]/")
REF_ALONE = re.compile(r"draft-0[3-7]/")


def is_draft_4(root: Mapping[str, Any]) -> bool:
    """Return whether a document is of a draft that writes ``id`` for ``$id``."""
    return DRAFT_4.search(str(root.get("$schema", ""))) is not None


def ref_stands_alone(root: Mapping[str, Any]) -> bool:
    """Return whether a document is of a draft in which everything beside ``$ref`` is ignored."""
    return REF_ALONE.search(str(root.get("$schema", ""))) is not None


def modern(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema of any draft as one of 2020-12."""
    made: dict[str, Any] = upgrade(document, ref_alone=ref_stands_alone(document))
    return {**made, "$schema": LATEST} if "$schema" in made else made


def upgrade(part: Any, *, ref_alone: bool) -> Any:
    """Return one subschema with the forms of draft 4 to 2019-09 written as in 2020-12."""
    if isinstance(part, list):
        return [upgrade(item, ref_alone=ref_alone) for item in part]
    if not isinstance(part, Mapping):
        return part
    if ref_alone and isinstance(part.get("$ref"), str):
        kept = {"$ref", "$schema", "definitions", "$defs", "title", "description"}
        part = {key: value for key, value in part.items() if key in kept}
    made: dict[str, Any] = {}
    for key, value in part.items():
        if key in VALUES:
            made[key] = value
        elif key in SUBSCHEMA_MAPS and isinstance(value, Mapping):
            made[key] = {name: upgrade(inner, ref_alone=ref_alone) for name, inner in value.items()}
        else:
            made[key] = upgrade(value, ref_alone=ref_alone)
    return exclusive_bounds(tuples(dependencies(made)))


def exclusive_bounds(part: dict[str, Any]) -> dict[str, Any]:
    """Write draft 4's ``exclusiveMinimum: true`` as a number."""
    for flag, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(part.get(flag), bool) and part.pop(flag) and bound in part:
            part[flag] = part.pop(bound)
    return part


def tuples(part: dict[str, Any]) -> dict[str, Any]:
    """Write a list under ``items`` as ``prefixItems``."""
    if isinstance(part.get("items"), list):
        part["prefixItems"] = part.pop("items")
        if "additionalItems" in part:
            part["items"] = part["additionalItems"]
        if not part["prefixItems"]:
            del part["prefixItems"]
    part.pop("additionalItems", None)
    return part


def dependencies(part: dict[str, Any]) -> dict[str, Any]:
    """Split ``dependencies`` into its two later forms."""
    given = part.get("dependencies")
    if isinstance(given, Mapping):
        del part["dependencies"]
        names = {key: value for key, value in given.items() if isinstance(value, list)}
        schemas = {key: value for key, value in given.items() if not isinstance(value, list)}
        part |= ({"dependentRequired": names} if names else {}) | ({"dependentSchemas": schemas} if schemas else {})
    return part
