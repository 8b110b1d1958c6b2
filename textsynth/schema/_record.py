"""The schema of a record as an object: its fields, and the whole check of a record against it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ValidationError

from textsynth.errors import SchemaError
from textsynth.registry import contain
from textsynth.schema._compile import compile_schema
from textsynth.schema._fit import is_prose
from textsynth.schema._merge import both_of, same
from textsynth.schema._problems import Problem, to_problem
from textsynth.schema._references import follow, plain_references
from textsynth.schema._regex import read
from textsynth.schema._upgrade import modern

DYNAMIC = ('"$dynamicRef"', '"$recursiveRef"')
SINGLE_VALUES = {"boolean": (True, False), "null": (None,)}


class RecordSchema:
    """A JSON Schema that was found valid.

    Args:
        document: the schema, of any draft; ``self.document`` is the same in 2020-12, references as plain pointers.
        name: what a record is called.
        model: the pydantic class it came from, whose own validators are part of the check.
        place: where it stands, for messages.

    Raises:
        SchemaError: the document breaks its meta-schema, or refers to something that is not inside it.
    """

    def __init__(
        self,
        document: Mapping[str, Any],
        *,
        name: str = "record",
        model: type[BaseModel] | None = None,
        place: str = "schema",
    ) -> None:
        text = json_text(document, place)
        given = json.loads(text)
        self.document = modern(plain_references(given, place=place))
        self.name, self.model = name, model
        checker = compile_schema(given, place=place)
        self._checker = checker if any(word in text for word in DYNAMIC) else compile_schema(self.document, place=place)
        self._fields: dict[str, Any] = {}

    @cached_property
    def properties(self) -> dict[str, dict[str, Any]]:
        """The top-level properties in order, references followed; those of ``allOf`` and of unions' branches included.

        A property that several branches of a union describe is the union of what they say.
        """
        found: dict[str, Any] = {}
        for part in self._conjuncts(self.document):
            for name, inner in part.get("properties", {}).items():
                found[name] = both_of(found.get(name), inner)
        for part in list(self._conjuncts(self.document)):
            for name, branches in self._in_branches(part).items():
                found.setdefault(name, branches[0] if len(branches) == 1 else {"anyOf": branches})
        return {name: self.deref(inner) for name, inner in found.items()}

    @cached_property
    def required(self) -> tuple[str, ...]:
        """The names of the top-level properties that must be there."""
        names = [name for part in self._conjuncts(self.document) for name in part.get("required", ())]
        return tuple(dict.fromkeys(names))

    @cached_property
    def text_fields(self) -> tuple[str, ...]:
        """The top-level fields that hold free text at any depth: strings with neither a closed set nor a format.

        A pattern counts as free text if it leaves room for words.
        """
        return tuple(name for name, part in self.properties.items() if self._has_text(part, frozenset()))

    def problems(self, record: Any, constants: Mapping[str, Any] | None = None) -> list[Problem]:
        """Return every way in which ``record`` breaks the schema or differs from ``constants``; empty if none.

        Formats are asserted (a date is a real day). A record that fits costs one call into native code.
        """
        found = check(self._checker, record)
        if constants and isinstance(record, dict):
            for name, value in constants.items():
                if name in record and not same(record[name], value):
                    found.append(Problem((name,), "const", f"{record[name]!r} differs from the drawn {value!r}"))
        if self.model is not None and not found:
            by_model, failure = contain(lambda: self._model_problems(record))
            return by_model if by_model is not None else [Problem((), "pydantic", failure)]
        return found

    def field_problems(self, name: str, value: Any) -> list[Problem]:
        """Return why ``value`` cannot stand in the top-level field ``name``; empty if it can."""
        if name not in self._fields:
            part = {"properties": {name: self.properties.get(name, True)}}
            self._fields[name] = compile_schema(part, root=self.document)
        return check(self._fields[name], {name: value})

    def choices(self, name: str) -> tuple[Any, ...] | None:
        """Return the closed set of values of a top-level field (enum, const, boolean, with null), or ``None``."""
        return self._choices(self.properties.get(name, {}), frozenset())

    def deref(self, part: Any) -> dict[str, Any]:
        """Follow references until something else stands there; what stands beside them is kept over it."""
        seen = set()
        while isinstance(part, Mapping) and "$ref" in part and part["$ref"] not in seen:
            seen.add(part["$ref"])
            beside = {key: value for key, value in part.items() if key != "$ref"}
            target = follow(self.document, part["$ref"])
            part = {**target, **beside} if isinstance(target, Mapping) else beside
        return dict(part) if isinstance(part, Mapping) else {}

    def _conjuncts(self, part: Any, seen: frozenset[str] = frozenset()) -> Iterator[dict[str, Any]]:
        """Yield a subschema and, through references and ``allOf``, everything that holds along with it."""
        if not isinstance(part, Mapping) or part.get("$ref", "") in seen - {""}:
            return
        yield dict(part)
        seen |= {str(part.get("$ref", ""))}
        if "$ref" in part:
            yield from self._conjuncts(follow(self.document, part["$ref"]), seen)
        for member in part.get("allOf", ()):
            yield from self._conjuncts(member, seen)

    def _in_branches(self, part: Mapping[str, Any], depth: int = 0) -> dict[str, list[Any]]:
        """Return what the branches of a subschema's unions say about each property."""
        found: dict[str, list[Any]] = {}
        for branch in (*part.get("anyOf", ()), *part.get("oneOf", ())):
            for inner in self._conjuncts(branch):
                said = [inner.get("properties", {})]
                if depth < 3:
                    said += [{n: s} for n, many in self._in_branches(inner, depth + 1).items() for s in many]
                for name, schema in ((n, s) for properties in said for n, s in properties.items()):
                    if schema not in found.setdefault(name, []):
                        found[name].append(schema)
        return found

    def _choices(self, part: Mapping[str, Any], seen: frozenset[str]) -> tuple[Any, ...] | None:
        if "const" in part:
            return (part["const"],)
        if "enum" in part:
            return tuple(part["enum"])
        kinds = part.get("type")
        kinds = [kinds] if isinstance(kinds, str) else kinds or []
        if kinds and all(kind in SINGLE_VALUES for kind in kinds):
            return tuple(value for kind in kinds for value in SINGLE_VALUES[kind])
        for member in part.get("allOf", ()):
            if (values := self._choices_of(member, seen)) is not None:
                return values
        for key in ("anyOf", "oneOf"):
            branches = [self._choices_of(branch, seen) for branch in part.get(key, ())]
            if branches and all(branch is not None for branch in branches):
                return distinct(value for branch in branches for value in branch or ())
        return None

    def _choices_of(self, part: Any, seen: frozenset[str]) -> tuple[Any, ...] | None:
        reference = str(part.get("$ref", "")) if isinstance(part, Mapping) else ""
        return None if reference in seen - {""} else self._choices(self.deref(part), seen | {reference})

    def _has_text(self, part: Mapping[str, Any], seen: frozenset[str]) -> bool:
        if self._choices(part, frozenset()) is not None or "format" in part:
            return False
        kinds = part.get("type", ())
        if "pattern" in part:
            node = read(part["pattern"])
            return node is None or is_prose(node)
        if kinds == "string" or "string" in kinds:
            return True
        inner = [*part.get("properties", {}).values(), *part.get("prefixItems", ())]
        inner += [part[key] for key in ("items", "additionalProperties") if isinstance(part.get(key), Mapping)]
        inner += [branch for key in ("anyOf", "oneOf", "allOf") for branch in part.get(key, ())]
        for item in inner:
            reference = str(item.get("$ref", "")) if isinstance(item, Mapping) else ""
            if reference not in seen - {""} and self._has_text(self.deref(item), seen | {reference}):
                return True
        return False

    def _model_problems(self, record: Any) -> list[Problem]:
        assert self.model is not None
        try:
            self.model.model_validate_json(json.dumps(record))
        except ValidationError as error:
            return [Problem(tuple(item["loc"]), "pydantic", item["msg"]) for item in error.errors()]
        return []


def check(checker: Any, record: Any) -> list[Problem]:
    """Return what is wrong with a record; one that is no JSON (half a surrogate pair, a set) is wrong as a whole."""
    try:
        return [] if checker.is_valid(record) else [to_problem(error) for error in checker.iter_errors(record)]
    except ValueError as error:
        return [Problem((), "type", f"no JSON: {error}")]


def distinct(values: Iterator[Any]) -> tuple[Any, ...]:
    """Return the values in order, each once; unlike in Python, ``True`` is not 1."""
    found: list[Any] = []
    for value in values:
        if not any(same(value, other) for other in found):
            found.append(value)
    return tuple(found)


def json_text(document: Mapping[str, Any], place: str) -> str:
    """Return a schema as JSON text.

    Raises:
        SchemaError: something in it is no JSON: a YAML date, a key that is not text, an endless number.
    """
    try:
        return json.dumps(document, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise SchemaError(
            f"{place}: a schema must be JSON: {error}", hint="put dates of a YAML file in quotes"
        ) from None
