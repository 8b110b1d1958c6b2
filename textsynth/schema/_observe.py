"""The schema of rows that came without one: what types each field has, and which fields are a closed set or free text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from textsynth.schema._record import RecordSchema

CHOICES = 100
"""Most values of a closed set; each must stand in 20 rows on average."""
REPEATS = 20
KEYS = 200
"""Most keys of an object with fields of its own; one with more is a map, whose keys are data."""
DEPTH = 16
WORDS = 2.0
"""Least mean number of words of a field that counts as free text."""
KINDS = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
    dict: "object",
    list: "array",
}


@dataclass(slots=True)
class Observation:
    """What was seen at one place: types, strings while they are few, fields, items."""

    types: Counter[str] = field(default_factory=Counter)
    strings: Counter[str] | None = field(default_factory=Counter)
    words: int = 0
    fields: dict[str, Observation] = field(default_factory=dict)
    items: Observation | None = None

    def see(self, value: Any, depth: int = 0) -> None:
        """Take in one more value."""
        kind = KINDS.get(type(value), "other")
        self.types[kind] += 1
        if kind == "string":
            self._see_text(value)
        elif kind == "object" and depth < DEPTH and len(self.fields) <= KEYS:
            for name, item in value.items():
                if name not in self.fields:
                    self.fields[name] = Observation()
                self.fields[name].see(item, depth + 1)
        elif kind == "array" and depth < DEPTH:
            self.items = self.items or Observation()
            for item in value:
                self.items.see(item, depth + 1)

    def _see_text(self, text: str) -> None:
        self.words += text.count(" ") + 1
        if self.strings is not None:
            self.strings[text] += 1
            if len(self.strings) > CHOICES:
                self.strings = None

    @property
    def opaque(self) -> bool:
        """Whether some value is no JSON value (a date, bytes, an image)."""
        return bool(self.types["other"]) or any(
            part.opaque for part in (*self.fields.values(), *filter(None, [self.items]))
        )

    @property
    def choices(self) -> list[str]:
        """The closed set of strings, if that is what they are."""
        few = self.strings is not None and self.types["string"] >= REPEATS * max(len(self.strings), 1)
        return sorted(self.strings or ()) if few and all(len(text) <= CHOICES for text in self.strings or ()) else []

    @property
    def free_text(self) -> bool:
        """Whether there is running text here, at any depth."""
        inner = (*self.fields.values(), *filter(None, [self.items]))
        own = self.types["string"] and not self.choices and self.words >= WORDS * self.types["string"]
        return bool(own) or any(part.free_text for part in inner)

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of what was seen."""
        types = sorted(set(self.types) - {"other"} - ({"integer"} if "number" in self.types else set()))
        found: dict[str, Any] = {"type": types[0] if len(types) == 1 else types} if types else {}
        if self.choices and types in (["string"], ["null", "string"]):
            return {"enum": [*self.choices, *([None] if "null" in types else [])]}
        if self.fields and len(self.fields) <= KEYS:
            total = self.types["object"]
            found["properties"] = {name: part.schema() for name, part in self.fields.items()}
            found["required"] = [name for name, part in self.fields.items() if part.types.total() == total]
            found["additionalProperties"] = False
        if self.items is not None:
            found["items"] = self.items.schema()
        return found


@dataclass(frozen=True)
class Observed:
    """A schema made from rows, the fields that hold running text, those that hold no JSON values, and the number of rows."""

    schema: RecordSchema
    text_fields: tuple[str, ...]
    opaque: tuple[str, ...]
    rows: int


def observe(rows: Iterable[Mapping[str, Any]]) -> Observed:
    """Read every row once and return the schema that all of them follow.

    Where no field holds running text, all strings that are not a closed set count as text.
    """
    seen, count = Observation(), 0
    for row in rows:
        seen.see(dict(row))
        count += 1
    opaque = tuple(name for name, part in seen.fields.items() if part.opaque)
    for name in opaque:
        del seen.fields[name]
    schema = RecordSchema({"type": "object", "properties": {}, **seen.schema()})
    running = tuple(name for name, part in seen.fields.items() if part.free_text)
    return Observed(schema, running or schema.text_fields, opaque, count)
