"""From a record's JSON Schema to the columns of a dataset: declared once, before the run, never guessed from the rows.

A ``Shape`` is one column or one part of it, free of any library. What no Arrow column can hold exactly (values of
different kinds, recursion, maps with free keys, tuples of different kinds, anything goes) becomes JSON text in a string
column, and ``json_columns`` says which and why. It is text and not ``datasets.Json``: that type (datasets 5.2) changes
about half of all floats, given as objects or as text, and returns a value with an integer from 2**64 on as a string.

Dates and times stay strings: Arrow's timestamps would change their spelling, drop offsets, and come back as objects
that JSON cannot write.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, Literal

from textsynth.schema import RecordSchema

Schema = Mapping[str, Any] | bool
EXTRA = "additional_properties"
"""The column of the fields that a record has beyond those of its schema, where the schema lets them in."""

Kind = Literal["string", "int64", "float64", "bool", "null", "label", "list", "struct", "json", "object"]

TYPES = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})
SCALARS: dict[frozenset[str], Kind] = {
    frozenset(): "null",
    frozenset({"string"}): "string",
    frozenset({"boolean"}): "bool",
    frozenset({"integer"}): "int64",
    frozenset({"number"}): "float64",
    frozenset({"integer", "number"}): "float64",
}


@dataclass(frozen=True, slots=True)
class Shape:
    """A column, or a part of one; every part may be null.

    ``items`` belongs to a list, ``fields`` to a struct, ``names`` to a label (``None``: the values seen, sorted) and
    ``why`` to JSON text. An ``object`` is stored as JSON text too, but comes back as an object that keeps its own keys
    (``datasets.Json``): for messages with tool calls, which chat templates take in no other way.
    """

    kind: Kind
    items: Shape | None = None
    fields: Mapping[str, Shape] = field(default_factory=dict)
    names: tuple[str, ...] | None = None
    why: str = ""


def read_columns(schema: RecordSchema, *, as_json: Collection[str] = ()) -> dict[str, Shape]:
    """Return the columns of records that follow ``schema``, in the order of its properties.

    Args:
        as_json: names of columns to write as JSON text whatever the schema says; ``EXTRA`` asks for that column.
    """
    reader = Reader(schema)
    found = {name: reader.shape(part) for name, part in reader.fields(schema.document).items()}
    if any(is_map(view) for view in reader.views(schema.document)):
        found[EXTRA] = Shape("json", why="the fields that the schema does not name, as one object")
    return found | {name: Shape("json", why="asked for by as_json") for name in as_json}


class Reader:
    """Reads the parts of one schema document."""

    def __init__(self, schema: RecordSchema) -> None:
        self.schema = schema
        self._recursive: dict[str, bool] = {}

    def shape(self, part: Schema) -> Shape:
        """Return the shape of what ``part`` allows."""
        types = self.types(part)
        kinds = types - {"null"}
        if any(self._is_recursive(ref) for ref in self._refs(part)):
            return Shape("json", why="it contains itself")
        if kinds in SCALARS:
            return Shape(SCALARS[kinds])
        if kinds == {"object"}:
            return self._struct(part)
        if kinds == {"array"}:
            return self._list(part)
        allowed = "any value" if types == TYPES else " or ".join(sorted(kinds))
        return Shape("json", why=f"it may be {allowed}")

    def _struct(self, part: Schema) -> Shape:
        fields = self.fields(part)
        if any(is_map(view) for view in self.views(part)):
            return Shape("json", why="its keys are free")
        if not fields:
            return Shape("json", why="its keys are not declared")
        return Shape("struct", fields={name: self.shape(value) for name, value in fields.items()})

    def _list(self, part: Schema) -> Shape:
        items = self.shape(self._items(part))
        if items.kind == "json":
            return Shape("json", why=f"of its items: {items.why}")
        return Shape("list", items=items)

    def types(self, part: Schema, within: frozenset[str] = frozenset()) -> frozenset[str]:
        """Return the JSON types that ``part`` allows; a number that must be whole is ``integer`` alone."""
        if isinstance(part, bool):
            return TYPES if part else frozenset()
        named = part.get("type", TYPES)
        found = frozenset([named] if isinstance(named, str) else named)
        found |= {"integer"} if "number" in found else set()
        if "const" in part or "enum" in part:
            found &= frozenset().union(*map(types_of, part.get("enum", [part.get("const")])))
        if "$ref" in part and part["$ref"] not in within:
            found &= self.types(self._resolve(part["$ref"]), within | {part["$ref"]})
        for branch in part.get("allOf", ()):
            found &= self.types(branch, within)
        for word in ("anyOf", "oneOf"):
            if word in part:
                found &= frozenset().union(*(self.types(branch, within) for branch in part[word]))
        return found

    def fields(self, part: Schema) -> dict[str, Schema]:
        """Return the properties that objects of ``part`` may have, also those declared in its branches.

        A property that several places declare gets a schema that combines them.
        """
        if isinstance(part, bool):
            return {}
        found: dict[str, Schema] = dict(part.get("properties", {}))
        for view in self._parents(part):
            found = {**found, **{n: both(found.get(n, True), s) for n, s in self.fields(view).items()}}
        for branches in alternatives(part):
            options = [self.fields(branch) for branch in branches]
            for name in dict.fromkeys(name for option in options for name in option):
                either: Schema = {"anyOf": [option[name] for option in options if name in option]}
                everywhere = all(name in option for option in options)
                found[name] = either if name not in found else both(found[name], either) if everywhere else found[name]
        return found

    def _items(self, part: Schema) -> Schema:
        """Return a schema for every item of the arrays that ``part`` allows."""
        if isinstance(part, bool):
            return part
        found = reduce(both, (self._items(view) for view in self._parents(part)), own_items(part))
        for branches in alternatives(part):
            found = both(found, {"anyOf": [self._items(branch) for branch in branches]})
        return found

    def _parents(self, part: Mapping[str, Any]) -> list[Schema]:
        """Return the schemas that hold in addition to ``part``."""
        return [*([self._resolve(part["$ref"])] if "$ref" in part else []), *part.get("allOf", ())]

    def views(self, part: Schema) -> Iterator[Mapping[str, Any]]:
        """Yield ``part`` and every schema in it that describes the same value."""
        if isinstance(part, bool):
            return
        yield part
        for view in (*self._parents(part), *(branch for branches in alternatives(part) for branch in branches)):
            yield from self.views(view)

    def _refs(self, part: Schema) -> Iterator[str]:
        """Yield the references in ``part`` that describe the same value; stops at one that is recursive."""
        if isinstance(part, bool):
            return
        if "$ref" in part:
            yield part["$ref"]
            if self._is_recursive(part["$ref"]):
                return
        views = (*self._parents(part), *(branch for branches in alternatives(part) for branch in branches))
        for view in views:
            yield from self._refs(view)

    def _is_recursive(self, ref: str) -> bool:
        if ref not in self._recursive:
            self._recursive[ref] = ref == "#" or self._reaches(ref)
        return self._recursive[ref]

    def _reaches(self, ref: str) -> bool:
        """Whether what ``ref`` points to contains ``ref`` again, directly or through others."""
        seen: set[str] = set()
        waiting = list(references(self._resolve(ref)))
        while waiting:
            other = waiting.pop()
            if other == ref or other == "#":
                return True
            if other not in seen:
                seen.add(other)
                waiting += references(self._resolve(other))
        return False

    def _resolve(self, ref: str) -> Schema:
        return self.schema.deref({"$ref": ref})


def both(first: Schema, second: Schema) -> Schema:
    """Return a schema that asks for both."""
    if first is True or second is True:
        return second if first is True else first
    return {"allOf": [first, second]}


def own_items(part: Mapping[str, Any]) -> Schema:
    """Return what ``items`` and ``prefixItems`` of this very schema say about every item."""
    items = part.get("items", True)
    heads = part.get("prefixItems", [])
    if isinstance(items, list):  # the tuples of draft 7
        items, heads = part.get("additionalItems", True), items
    if not heads:
        return items if isinstance(items, Mapping | bool) else True
    closed = items is False or part.get("maxItems", math.inf) <= len(heads)
    return {"anyOf": list(heads) if closed else [*heads, items]}


def alternatives(part: Mapping[str, Any]) -> list[list[Schema]]:
    """Return the groups of branches of which a value follows some, not necessarily all."""
    groups = [part[word] for word in ("anyOf", "oneOf") if word in part]
    conditional = [part[word] for word in ("if", "then", "else") if word in part]
    dependent = list(part.get("dependentSchemas", {}).values())
    return groups + [[True, *group] for group in (conditional, dependent) if group]


def is_map(part: Mapping[str, Any]) -> bool:
    """Whether a schema says outright that undeclared keys may come."""
    free = (part.get(word, False) is not False for word in ("additionalProperties", "unevaluatedProperties"))
    return any(free) or bool(part.get("patternProperties"))


def types_of(value: Any) -> frozenset[str]:
    """Return the JSON types of a value; a whole float is both kinds of number."""
    if isinstance(value, float):
        return frozenset({"number", "integer"} if value.is_integer() else {"number"})
    names = {bool: "boolean", int: "integer", str: "string", list: "array", dict: "object", type(None): "null"}
    return frozenset({names[type(value)]})


def references(part: Any) -> Iterator[str]:
    """Yield every ``$ref`` at any depth of a schema."""
    if isinstance(part, Mapping):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def json_columns(columns: Mapping[str, Shape]) -> dict[str, str]:
    """Return the paths (``a.b``, ``a[].b``) that hold JSON text, with the reason for each."""
    return dict(found for name, shape in columns.items() for found in json_paths(name, shape))


def json_paths(path: str, shape: Shape) -> Iterable[tuple[str, str]]:
    """Yield the paths of JSON text in ``shape``, itself included."""
    if shape.kind == "json":
        yield path, shape.why
    if shape.items is not None:
        yield from json_paths(f"{path}[]", shape.items)
    for name, part in shape.fields.items():
        yield from json_paths(f"{path}.{name}", part)


def to_features(columns: Mapping[str, Shape]) -> Any:
    """Return the columns as ``datasets.Features``; a label whose names are not known yet is a string."""
    from datasets import Features

    return Features({name: to_feature(shape) for name, shape in columns.items()})


def to_feature(shape: Shape) -> Any:
    """Return one column as a feature."""
    from datasets import ClassLabel, Json, List, Value

    if shape.kind == "label" and shape.names is not None:
        return ClassLabel(names=list(shape.names))
    if shape.kind == "list" and shape.items is not None:
        return List(to_feature(shape.items))
    if shape.kind == "object":
        return Json()
    if shape.kind == "struct":
        return {name: to_feature(part) for name, part in shape.fields.items()}
    return Value("string" if shape.kind in {"json", "label"} else shape.kind)
