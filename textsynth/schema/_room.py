"""Bounds for strings that have none: what ``max_tokens`` can hold, shared out among the fields that want it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from math import inf
from typing import Any

from textsynth.schema._decoding import Notes, Schema
from textsynth.schema._fit import fit, length
from textsynth.schema._regex import Node, read, write

CHARS_PER_TOKEN = 3
LEAST_LENGTH = 16
SCALARS = {"integer": 8, "number": 10, "boolean": 5, "null": 4}
KEY_LENGTH = 20
"""Characters of a key that the model chooses, about."""


@dataclass(frozen=True, slots=True)
class OpenString:
    """A string without an upper bound, as it stands in the decoding schema; ``node`` is its pattern, if it has one."""

    made: Schema
    path: str
    node: Node | None
    longest: int


@dataclass(slots=True)
class Room:
    """Collects the open strings of a rewriting and closes them in the end."""

    _open: dict[int, OpenString] = field(default_factory=dict)
    _share: dict[int, int] = field(default_factory=dict)
    _fixed: dict[int, int] = field(default_factory=dict)

    def add(self, made: Schema, path: str, node: Node | None = None, longest: int = 0) -> None:
        """Note an open string."""
        self._open[id(made)] = OpenString(made, path, node, longest)

    def close(self, document: Schema, max_tokens: int, notes: Notes) -> None:
        """Give every open string its share of what ``max_tokens`` can hold."""
        budget, definitions = max_tokens * CHARS_PER_TOKEN, document.get("$defs", {})
        fixed = self._cost(document, definitions)
        if fixed > budget:
            notes.bound(
                "$",
                "max_tokens",
                f"nothing: the longest record has about {fixed} characters, {max_tokens} tokens hold {budget}",
            )
        self._allot(document, max(budget - fixed, budget // 2), definitions)
        for key, string in self._open.items():
            if key in self._share:
                self._bound(string, self._share[key], max_tokens, notes)

    def _bound(self, string: OpenString, share: int, max_tokens: int, notes: Notes) -> None:
        most = max(share, LEAST_LENGTH, string.made.get("minLength", 0) + LEAST_LENGTH)
        if string.node is None:
            string.made["maxLength"] = most
        else:
            most = max(most, length(string.node).least + LEAST_LENGTH)
            fitted = fit(string.node, 0, most)
            if fitted is None:
                return
            string.made["pattern"] = write(fitted, longest=string.longest)
        notes.bound(string.path, "maxLength", f"{most} characters, from max_tokens {max_tokens}")

    def _parts(self, schema: Schema) -> list[tuple[Any, int]]:
        """Return what stands inside an object or array, each with how often it may."""
        inside = [(part, 1) for part in schema.get("properties", {}).values()]
        keys = schema.get("maxProperties", 1)
        inside += [(part, keys) for part in schema.get("patternProperties", {}).values()]
        inside += [(part, 1) for part in schema.get("prefixItems", ())]
        more = max(1, schema.get("maxItems", 1) - len(schema.get("prefixItems", ())))
        inside += [(schema[key], n) for key, n in (("items", more), ("additionalProperties", keys)) if key in schema]
        return [(part, max(1, count)) for part, count in inside if isinstance(part, dict)]

    def _cost(self, schema: Schema, definitions: dict[str, Schema]) -> int:
        """Return the characters of the longest text of a schema, open strings left out."""
        if id(schema) not in self._fixed:
            self._fixed[id(schema)] = self._count(schema, definitions)
        return self._fixed[id(schema)]

    def _count(self, schema: Schema, definitions: dict[str, Schema]) -> int:
        if "$ref" in schema:
            return self._cost(definitions[schema["$ref"].rsplit("/", 1)[-1]], definitions)
        if "const" in schema or "enum" in schema:
            values = [schema["const"]] if "const" in schema else schema["enum"]
            return max(len(json.dumps(value, ensure_ascii=False)) for value in values)
        if "anyOf" in schema:
            return max(self._cost(branch, definitions) for branch in schema["anyOf"])
        if schema["type"] == "string":
            most = length(node).most if (node := read(schema.get("pattern", ""))) and "pattern" in schema else inf
            most = min(most, schema.get("maxLength", inf))
            return 2 if id(schema) in self._open else 2 + int(most) if most < inf else LEAST_LENGTH
        names = sum(len(name) + 4 for name in schema.get("properties", {}))
        names += KEY_LENGTH * schema.get("maxProperties", 0) if "properties" not in schema else 0
        inside = sum(count * (self._cost(part, definitions) + 1) for part, count in self._parts(schema))
        return SCALARS.get(schema["type"], 2) + names + inside

    def _allot(self, schema: Schema, room: int, definitions: dict[str, Schema]) -> None:
        """Share out ``room`` characters among the open strings of a schema."""
        if room >= self._share.get(id(schema), 1 << 60):
            return
        self._share[id(schema)] = room
        if "$ref" in schema:
            self._allot(definitions[schema["$ref"].rsplit("/", 1)[-1]], room, definitions)
        for branch in schema.get("anyOf", ()):
            self._allot(branch, room, definitions)
        parts = [(part, count) for part, count in self._parts(schema) if self._wants(part, definitions, frozenset())]
        for part, count in parts:
            self._allot(part, room // len(parts) // count, definitions)

    def _wants(self, schema: Schema, definitions: dict[str, Schema], seen: frozenset[str]) -> bool:
        """Return whether there is an open string in a schema."""
        if id(schema) in self._open:
            return True
        if "$ref" in schema:
            name = schema["$ref"].rsplit("/", 1)[-1]
            return name not in seen and self._wants(definitions[name], definitions, seen | {name})
        inside = [*schema.get("anyOf", ()), *(part for part, _ in self._parts(schema))]
        return any(self._wants(part, definitions, seen) for part in inside)
