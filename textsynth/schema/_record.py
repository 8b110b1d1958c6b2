"""The schema of a record as an object: its fields, and the whole check of a record against it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jsonschema_rs
from pydantic import BaseModel, ValidationError

from textsynth.errors import SchemaError
from textsynth.schema._upgrade import SUBSCHEMA_MAPS, modern

LOCAL_METASCHEMAS = ("http://json-schema.org/draft", "https://json-schema.org/draft")


@dataclass(frozen=True, slots=True)
class Problem:
    """One way in which a record breaks its schema: where, which keyword, and the value and rule in words."""

    path: tuple[str | int, ...]
    keyword: str
    message: str

    @property
    def field(self) -> str:
        """The top-level field concerned; empty when it is the record as a whole."""
        return str(self.path[0]) if self.path else ""


class RecordSchema:
    """A JSON Schema that was found valid.

    Args:
        document: the schema, of any draft; ``self.document`` is the same in 2020-12.
        name: what a record is called.
        model: the pydantic class it came from, whose own validators are part of the check.

    Raises:
        SchemaError: the document breaks its meta-schema, or refers to something that is not inside it.
    """

    def __init__(
        self, document: Mapping[str, Any], *, name: str = "record", model: type[BaseModel] | None = None
    ) -> None:
        refuse_remote(document)
        compile_schema(document)
        self.document = modern(document)
        self.name, self.model = name, model
        self._validator = compile_schema(self.document)
        self._fields: dict[str, Any] = {}

    @cached_property
    def properties(self) -> dict[str, Any]:
        """The top-level properties in order, references followed."""
        top = self.deref(self.document)
        return {name: self.deref(part) for name, part in top.get("properties", {}).items()}

    @cached_property
    def required(self) -> tuple[str, ...]:
        """The names of the top-level properties that must be there."""
        return tuple(self.deref(self.document).get("required", ()))

    @cached_property
    def text_fields(self) -> tuple[str, ...]:
        """The top-level fields that hold free text at any depth: strings with neither a closed set nor a format."""
        return tuple(name for name, part in self.properties.items() if self._has_text(part, frozenset()))

    def problems(self, record: Any, constants: Mapping[str, Any] | None = None) -> list[Problem]:
        """Return every way in which ``record`` breaks the schema or differs from ``constants``; empty if none.

        Formats are asserted (a date is a real day). A record that fits costs one call into native code.
        """
        found = [] if self._validator.is_valid(record) else [to_problem(e) for e in self._validator.iter_errors(record)]
        if constants and isinstance(record, dict):
            for name, value in constants.items():
                if name in record and not same(record[name], value):
                    found.append(Problem((name,), "const", f"{record[name]!r} differs from the drawn {value!r}"))
        if self.model is not None and not found:
            found = self._model_problems(record)
        return found

    def field_problems(self, name: str, value: Any) -> list[Problem]:
        """Return why ``value`` cannot stand in the top-level field ``name``; empty if it can."""
        if name not in self._fields:
            part = self.deref(self.document).get("properties", {}).get(name, True)
            shared = {key: self.document[key] for key in ("$schema", "$defs", "definitions") if key in self.document}
            wrapped = {**shared, "properties": {name: part}}
            self._fields[name] = compile_schema(
                wrapped if "$ref" not in json.dumps(part) else {**self.document, **wrapped}
            )
        return [p for p in map(to_problem, self._fields[name].iter_errors({name: value})) if p.field == name]

    def choices(self, name: str) -> tuple[Any, ...] | None:
        """Return the closed set of values of a top-level field (enum, const, boolean, with null), or ``None``."""
        return self._choices(self.properties.get(name, {}))

    def deref(self, part: Any) -> dict[str, Any]:
        """Follow references until something else stands there; siblings of ``$ref`` are kept over it."""
        seen = set()
        while isinstance(part, Mapping) and "$ref" in part and part["$ref"] not in seen:
            seen.add(part["$ref"])
            rest = {key: value for key, value in part.items() if key != "$ref"}
            target = pointer(self.document, part["$ref"])
            part = {**target, **rest} if isinstance(target, Mapping) else rest
        return dict(part) if isinstance(part, Mapping) else {}

    def _choices(self, part: Mapping[str, Any]) -> tuple[Any, ...] | None:
        if "const" in part:
            return (part["const"],)
        if "enum" in part:
            return tuple(part["enum"])
        kinds = part.get("type")
        if kinds in ("boolean", ["boolean"]):
            return (True, False)
        if kinds in ("null", ["null"]):
            return (None,)
        branches = [self._choices(self.deref(b)) for b in (*part.get("anyOf", ()), *part.get("oneOf", ()))]
        if branches and all(b is not None for b in branches):
            return tuple(value for branch in branches for value in branch or ())
        return None

    def _has_text(self, part: Mapping[str, Any], seen: frozenset[str]) -> bool:
        if self._choices(part) is not None or "format" in part or "pattern" in part:
            return False
        kinds = part.get("type")
        if kinds == "string" or (isinstance(kinds, list) and "string" in kinds):
            return True
        inner = [*part.get("properties", {}).values(), *part.get("prefixItems", ())]
        inner += [part[key] for key in ("items", "additionalProperties") if isinstance(part.get(key), Mapping)]
        inner += [branch for key in ("anyOf", "oneOf", "allOf") for branch in part.get(key, ())]
        for item in inner:
            reference = str(item.get("$ref", "")) if isinstance(item, Mapping) else ""
            if reference in seen and reference:
                continue
            if self._has_text(self.deref(item), seen | {reference}):
                return True
        return False

    def _model_problems(self, record: Any) -> list[Problem]:
        assert self.model is not None
        try:
            self.model.model_validate_json(json.dumps(record))
        except ValidationError as error:
            return [Problem(tuple(e["loc"]), "pydantic", e["msg"]) for e in error.errors()]
        return []


def same(one: Any, other: Any) -> bool:
    """Return whether two JSON values are equal; unlike in Python, ``True`` is not 1."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def to_problem(error: Any) -> Problem:
    """Translate jsonschema-rs's error; a missing property is located at its own name."""
    path = tuple(error.instance_path)
    keyword = next((str(p) for p in reversed(error.schema_path) if isinstance(p, str)), "false")
    if keyword == "required" and hasattr(error.kind, "property"):
        path = (*path, error.kind.property)
    if type(error.kind).__name__.endswith("AdditionalProperties"):
        unexpected = getattr(error.kind, "unexpected", None)
        path = (*path, unexpected[0]) if unexpected else path
    message = str(error.message)
    return Problem(path, keyword, message if len(message) <= 300 else message[:297] + "...")


def compile_schema(document: Mapping[str, Any]) -> Any:
    """Compile a schema for checking, with formats asserted.

    Raises:
        SchemaError: it breaks its meta-schema, has a pattern that is no regular expression, or a dangling ``$ref``.
    """
    try:
        return jsonschema_rs.validator_for(dict(document), validate_formats=True, ignore_unknown_formats=True)
    except jsonschema_rs.ValidationError as error:
        place = "$" + "".join(f".{p}" for p in error.instance_path)
        raise SchemaError(f"schema: not a valid JSON Schema at {place}: {str(error.message)[:300]}") from None
    except (jsonschema_rs.ReferencingError, ValueError) as error:
        raise SchemaError(
            f"schema: keyword $ref: {str(error)[:300]}", hint="every $ref must stand for #/$defs/NAME"
        ) from None


def walk(part: Any, path: str = "$") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every subschema with its path; values of ``enum``, ``const``, ``default`` and ``examples`` are not schemas."""
    if isinstance(part, Mapping):
        yield path, part
        for key, value in part.items():
            if key in SUBSCHEMA_MAPS and isinstance(value, Mapping):
                for name, inner in value.items():
                    yield from walk(inner, f"{path}.{key}.{name}")
            elif key not in {"enum", "const", "default", "examples"}:
                yield from walk(value, f"{path}.{key}")
    elif isinstance(part, list):
        for position, item in enumerate(part):
            yield from walk(item, f"{path}[{position}]")


def refuse_remote(document: Mapping[str, Any]) -> None:
    """Refuse references that lead out of the document; nothing is ever fetched."""
    own = str(document.get("$id", document.get("id", ""))).rstrip("#")
    for path, part in walk(document):
        reference = part.get("$ref")
        if not isinstance(reference, str) or reference.startswith(("#", *LOCAL_METASCHEMAS)):
            continue
        if own and reference.split("#")[0] == own:
            continue
        if any(reference == other.get("$id") or reference == other.get("id") for _, other in walk(document)):
            continue
        raise SchemaError(
            f"schema: keyword $ref at {path}: {reference!r} is outside the document, and nothing is fetched",
            hint="copy what it points to into $defs",
        )


def pointer(document: Mapping[str, Any], reference: str) -> Any:
    """Return what a reference inside the document stands for: a JSON pointer, an ``$anchor`` or an ``$id``.

    Raises:
        SchemaError: nothing is there.
    """
    fragment = reference.split("#", 1)[1] if "#" in reference else None
    if fragment == "":
        return document
    if fragment is None or not fragment.startswith("/"):
        for _, part in walk(document):
            if reference in (part.get("$id"), part.get("id")) or (fragment and part.get("$anchor") == fragment):
                return part
        return {}
    found: Any = document
    for step in fragment.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~").replace("%25", "%").replace("%24", "$")
        try:
            found = found[int(name)] if isinstance(found, list) else found[name]
        except (KeyError, IndexError, ValueError, TypeError):
            raise SchemaError(f"schema: keyword $ref: {reference!r} points to nothing") from None
    return found
