"""The schema the decoder is held to, and a finding per keyword of the user's.

Rewritten into a plain form in which the backend is right: references, closed objects, inclusive bounds, anchored patterns,
``anyOf``. What that form cannot say is taken out and named; the whole schema is checked after decoding in any case.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from textsynth.errors import SchemaError
from textsynth.schema._backends import CHOSEN_FROM, Backend
from textsynth.schema._conditions import CONDITION
from textsynth.schema._decoding import Decoding, Impossible, Schema
from textsynth.schema._keywords import CLOSED
from textsynth.schema._record import RecordSchema
from textsynth.schema._rewrite import Rewriting

DRAWN = "it may concern a field that is drawn, so it is left to the check"


def constrain(
    schema: RecordSchema, *, max_tokens: int, backend: Backend | None = None, omit: Collection[str] = ()
) -> Decoding:
    """Return the decoding schema of a record.

    Args:
        max_tokens: most tokens of one completion; bounds for what has none are derived from it.
        backend: by default the one that enforces most of this schema (guidance where they are equal).
        omit: top-level fields that the model does not write. To ask for some fields alone, omit all others; where
            nothing is left, the document is an object without properties.

    Raises:
        SchemaError: no value can be generated; the message names path and keyword.
    """
    if backend is None:
        tried = [constrain(schema, max_tokens=max_tokens, backend=one, omit=omit) for one in CHOSEN_FROM]
        return min(tried, key=lambda decoding: decoding.unenforced)
    rewriting = Rewriting(schema.document, backend)
    try:
        document = without_fields(rewriting, frozenset(omit)) if omit else rewriting.rewrite(schema.document, "$")
    except Impossible as error:
        raise SchemaError(
            f"schema: keyword {error.keyword} at {error.path}: {error.why}", hint="such a record cannot be generated"
        ) from None
    document = with_definitions(document, rewriting.definitions)
    rewriting.room.close(document, max_tokens, rewriting.notes)
    return Decoding(backend, document, rewriting.notes.findings, rewriting.notes.bounds)


def without_fields(rewriting: Rewriting, omit: frozenset[str]) -> Schema:
    """Return the decoding schema of what is left of a record without some of its fields."""
    flat = stripped(rewriting, rewriting.flatten(rewriting.root, "$"), omit)
    return rewriting.rewrite_flat({"type": "object", **flat, CLOSED: True}, "$")


def stripped(rewriting: Rewriting, flat: Schema, omit: frozenset[str]) -> Schema:
    """Return a flat schema of an object without the omitted fields, and without what may concern them."""
    for key in (*CONDITION, "minProperties", "maxProperties", "propertyNames"):
        if key in flat:
            rewriting.notes.find("$", key, "checked", DRAWN)
    gone = {*CONDITION, "minProperties", "maxProperties", "propertyNames"}
    made = {key: value for key, value in flat.items() if key not in gone}
    made["properties"] = {name: part for name, part in flat.get("properties", {}).items() if name not in omit}
    made["required"] = [name for name in flat.get("required", ()) if name not in omit]
    for key in ("anyOf", "oneOf", "allOf"):
        if key in flat:
            rewriting.notes.find("$", key, "checked", DRAWN)
            made[key] = [stripped_branch(rewriting, branch, omit) for branch in flat[key]]
    return made


def stripped_branch(rewriting: Rewriting, branch: Any, omit: frozenset[str]) -> Any:
    """Return a branch of a record's union without the omitted fields."""
    return stripped(rewriting, rewriting.flatten(branch, "$"), omit) if isinstance(branch, Mapping) else branch


def with_definitions(document: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """Return the document with the definitions it uses; one that is used at the top stands there itself."""
    if set(document) == {"$ref"}:
        document = dict(definitions[document["$ref"].rsplit("/", 1)[-1]])
    used: dict[str, Schema] = {}
    open_parts: list[Any] = [document]
    while open_parts:
        part = open_parts.pop()
        inside = part.values() if isinstance(part, dict) else part
        open_parts += [item for item in inside if isinstance(item, dict | list)]
        reference = part.get("$ref") if isinstance(part, dict) else None
        if isinstance(reference, str) and reference.startswith("#/$defs/"):
            name = reference.rsplit("/", 1)[-1]
            if name not in used:
                used[name] = definitions[name]
                open_parts.append(used[name])
    return {**document, "$defs": used} if used else document
