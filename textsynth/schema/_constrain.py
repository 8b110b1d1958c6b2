"""The schema the decoder is held to: rewritten into a plain form in which the backend is right, with a finding per keyword.

What the backend cannot enforce is taken out and named; the whole schema is checked after decoding in any case. Objects
are closed (a model should not invent keys), references are kept, recursion ends after a few levels, and whatever has no
bound gets one from ``max_tokens``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import jsonschema_rs

from textsynth.errors import SchemaError
from textsynth.schema._backends import ABILITIES, BACKENDS, FORMATS, Backend
from textsynth.schema._merge import merge
from textsynth.schema._record import RecordSchema, compile_schema, pointer

Status = Literal["enforced", "checked", "unsupported"]
Schema = dict[str, Any]

ANNOTATIONS = frozenset(
    "title description default examples deprecated readOnly writeOnly $comment $schema $id id $anchor $defs definitions "
    "contentEncoding contentMediaType contentSchema markdownDescription enumDescriptions".split()
)
BY_TYPE = {
    "object": ("properties", "required", "additionalProperties", "patternProperties", "propertyNames", "minProperties",
               "maxProperties", "dependentRequired", "dependentSchemas", "unevaluatedProperties"),
    "array": ("items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains", "minContains", "maxContains",
              "unevaluatedItems"),
    "string": ("minLength", "maxLength", "pattern", "format"),
    "integer": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "boolean": (),
    "null": (),
}  # fmt: skip
TYPE_OF = {key: kind for kind, keys in reversed(BY_TYPE.items()) for key in keys}
COMBINERS = ("not", "if", "then", "else")
WORD_EDGE = re.compile(r"\\[bB]")
ANCHORED = re.compile(r"\^.*\$", re.DOTALL)
BOTH = "$both"
"""Our own keyword inside a rewriting: like ``allOf``, but nothing the user wrote, so nothing is reported."""
LEVELS = 2
"""How often a reference may stand inside itself."""
CHARS_PER_TOKEN = 3
LEAST_LENGTH, MOST_ITEMS, MOST_PROPERTIES = 16, 8, 6
INTEGER_BOUND = 10**9
PYTHON_TYPES = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
    list: "array",
    dict: "object",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What becomes of one keyword: enforced while decoding, checked afterwards, or looked at by nobody."""

    path: str
    keyword: str
    status: Status
    note: str = ""


@dataclass(frozen=True, slots=True)
class Decoding:
    """What is sent to the decoder, and what that enforces. ``bounds`` are those that were added."""

    backend: Backend
    document: Schema
    findings: tuple[Finding, ...]
    bounds: tuple[Finding, ...]

    def text(self) -> str:
        """Return the decoding schema as compact JSON."""
        return json.dumps(self.document, ensure_ascii=False, separators=(",", ":"))

    @property
    def enforced(self) -> int:
        """How many keywords are enforced while decoding."""
        return sum(f.status == "enforced" for f in self.findings)


class Impossible(Exception):
    """Raised inside the rewriting where no value can be written: the branch or property is left out, if it may be."""

    def __init__(self, path: str, keyword: str, why: str) -> None:
        super().__init__(why)
        self.path, self.keyword, self.why = path, keyword, why


def constrain(
    schema: RecordSchema, *, max_tokens: int, backend: Backend | None = None, omit: Collection[str] = ()
) -> Decoding:
    """Return the decoding schema of a record.

    Args:
        max_tokens: most tokens of one completion; bounds for what has none are derived from it.
        backend: by default the one that enforces most of this schema (guidance where they are equal).
        omit: top-level fields that the model does not write.

    Raises:
        SchemaError: no value can be generated; the message names path and keyword.
    """
    if backend is None:
        tried = [constrain(schema, max_tokens=max_tokens, backend=b, omit=omit) for b in BACKENDS[:2]]
        return max(tried, key=lambda d: d.enforced)
    rewriting = Rewriting(schema, backend)
    try:
        document = rewriting.top(frozenset(omit))
    except Impossible as error:
        raise SchemaError(
            f"schema: keyword {error.keyword} at {error.path}: {error.why}", hint="such a record cannot be generated"
        ) from None
    rewriting.bound_strings(max_tokens)
    return Decoding(backend, document, tuple(dict.fromkeys(rewriting.findings)), tuple(dict.fromkeys(rewriting.bounds)))


class Rewriting:
    """One pass over a schema for one backend, collecting findings, bounds and definitions."""

    def __init__(self, schema: RecordSchema, backend: Backend) -> None:
        self.root: Schema = schema.document
        self.backend, self.can = backend, ABILITIES[backend]
        self.findings: list[Finding] = []
        self.bounds: list[Finding] = []
        self._open: list[tuple[Schema, str]] = []
        self._definitions: dict[str, Schema] = {}
        self._names: dict[tuple[str, int], str | None] = {}
        self._entered: list[tuple[str, int]] = []

    def top(self, omit: frozenset[str]) -> Schema:
        """Return the whole decoding schema, without the omitted top-level fields."""
        flat = self._flatten(self.root, "$")
        if omit:
            for key in ("anyOf", "oneOf", *COMBINERS, "dependentRequired", "dependentSchemas"):
                if key in flat:
                    self._find("$", key, "checked", "it may concern a drawn field, so it is left to the check")
                    del flat[key]
            flat["properties"] = {n: p for n, p in flat.get("properties", {}).items() if n not in omit}
            flat["required"] = [n for n in flat.get("required", ()) if n not in omit]
            flat.setdefault("type", "object")
            flat["additionalProperties"] = False
            for key in ("minProperties", "maxProperties"):
                flat.pop(key, None)
        made = self._rewrite(flat, "$")
        if self._definitions:
            made["$defs"] = self._definitions
        return made

    def bound_strings(self, max_tokens: int) -> None:
        """Give every string without an upper bound its share of what ``max_tokens`` can hold."""
        share = max(LEAST_LENGTH, max_tokens * CHARS_PER_TOKEN // max(1, len(self._open)))
        for part, path in self._open:
            part["maxLength"] = max(share, part.get("minLength", 0) + LEAST_LENGTH)
            self._bound(path, "maxLength", f"{part['maxLength']} characters, from max_tokens {max_tokens}")

    # --- one subschema -------------------------------------------------------------------------------------------------

    def _rewrite(self, part: Any, path: str) -> Schema:
        """Return the plain form of one subschema."""
        if part is False:
            raise Impossible(path, "false", "nothing is allowed here")
        if part is True or not (set(part) - ANNOTATIONS):
            return self._anything(path)
        if "$ref" in part and not (set(part) - ANNOTATIONS - {"$ref"}):
            return self._reference(part["$ref"], path)
        before = len(self._entered)
        try:
            return self._rewrite_flat(self._flatten(part, path), path)
        finally:
            del self._entered[before:]

    def _rewrite_flat(self, flat: Schema, path: str) -> Schema:
        """Return the plain form of a subschema that has neither ``$ref`` nor ``allOf``."""
        for key in COMBINERS:
            if key in flat:
                self._find(path, key, "checked", "decoding cannot enforce it")
        if "const" in flat or "enum" in flat:
            return self._closed_set(flat, path)
        for key in ("anyOf", "oneOf"):
            if key in flat:
                return self._union(flat, key, path)
        kinds = self._kinds(flat, path)
        if len(kinds) == 1:
            return self._typed(flat, kinds[0], path)
        return self._some_of([({**flat, "type": kind}, path) for kind in kinds], path, "type")

    def _flatten(self, part: Mapping[str, Any], path: str) -> Schema:
        """Bring the target of ``$ref`` and the members of ``allOf`` into one schema.

        References that are brought in stay in ``_entered`` until the caller has rewritten the result.
        """
        flat = {key: value for key, value in part.items() if key not in {"$ref", "allOf", BOTH}}
        members = [(key, member) for key in ("allOf", BOTH) for member in part.get(key, ())]
        if "$ref" in part:
            members.insert(0, ("$ref", self._enter(part["$ref"], path)))
        for keyword, member in members:
            if member is False:
                raise Impossible(path, keyword, "nothing is allowed here")
            if not isinstance(member, Mapping):
                continue
            flat, lost = merge(flat, self._flatten(member, path))
            for key in lost:
                self._find(path, key, "checked", "said twice, differently")
            if keyword != BOTH:
                self._find(path, keyword, "checked" if lost else "enforced")
        return flat

    def _enter(self, reference: str, path: str) -> Any:
        """Return what a reference stands for, unless it stands too deep inside itself."""
        if sum(entered == reference for entered, _ in self._entered) > LEVELS:
            raise Impossible(path, "$ref", f"recursion ends after {LEVELS} levels")
        self._entered.append((reference, max((level for _, level in self._entered), default=0)))
        return pointer(self.root, reference)

    def _reference(self, reference: str, path: str) -> Schema:
        """Return a reference to the rewritten definition; one that stands inside itself is followed ``LEVELS`` deep."""
        level = max((lvl for _, lvl in self._entered), default=0)
        if (reference, level) in self._entered:
            level += 1
        if level > LEVELS:
            raise Impossible(path, "$ref", f"recursion ends after {LEVELS} levels")
        key = (reference, level)
        if key not in self._names:
            self._define(key, path)
        name = self._names[key]
        if name is None:
            raise Impossible(path, "$ref", f"nothing can be written for {reference}")
        self._find(path, "$ref", "enforced")
        return {"$ref": f"#/$defs/{name}"}

    def _define(self, key: tuple[str, int], path: str) -> None:
        reference, level = key
        name = re.sub(r"\W+", "_", reference.rsplit("/", 1)[-1]).strip("_") or "root"
        while name in self._definitions:
            name += "_"
        self._names[key] = name
        self._definitions[name] = {}
        self._entered.append(key)
        try:
            self._definitions[name] = self._rewrite(pointer(self.root, reference), path)
        except Impossible:
            del self._definitions[name]
            self._names[key] = None
            raise
        finally:
            self._entered.pop()

    def _anything(self, path: str) -> Schema:
        """Return a bounded stand-in for a schema that allows everything."""
        self._bound(path, "type", "anything is allowed here; generated are text, numbers, booleans and null")
        kinds: list[Schema] = [self._typed({}, kind, path) for kind in ("string", "number", "boolean", "null")]
        return {"anyOf": kinds}

    def _closed_set(self, flat: Schema, path: str) -> Schema:
        """Keep those values that the other keywords allow."""
        values = [flat["const"]] if "const" in flat else list(flat["enum"])
        rest = {k: v for k, v in flat.items() if k not in {"enum", *ANNOTATIONS}}
        if set(rest) - {"const"}:
            whole = {**rest, "$defs": self.root.get("$defs", {}), "definitions": self.root.get("definitions", {})}
            valid = compile_schema(whole)
            values = [value for value in values if valid.is_valid(value)]
        if not values:
            raise Impossible(path, "enum", "no value of the set is allowed by the other keywords")
        for key in flat:
            if key not in ANNOTATIONS and key not in COMBINERS:
                self._find(path, key, "enforced")
        return {"const": values[0]} if len(values) == 1 else {"enum": values}

    def _union(self, flat: Schema, key: str, path: str) -> Schema:
        """Merge what stands beside a union into each branch."""
        base = {k: v for k, v in flat.items() if k != key and k not in ANNOTATIONS and k not in COMBINERS}
        if key == "oneOf":
            self._find(path, key, "checked", "that only one branch fits is checked afterwards")
        else:
            self._find(path, key, "enforced")
        branches = []
        for position, branch in enumerate(flat[key]):
            if branch is False:
                continue
            both = {BOTH: [base, branch]} if base and branch is not True else base or branch
            branches.append((both, f"{path}.{key}[{position}]"))
        return self._some_of(branches, path, key)

    def _some_of(self, branches: list[tuple[Any, str]], path: str, keyword: str) -> Schema:
        """Return those branches for which something can be written."""
        made: list[Schema] = []
        for branch, inner in branches:
            try:
                rewritten = self._rewrite(branch, inner)
            except Impossible as error:
                self._find(error.path, error.keyword, "checked", error.why)
                continue
            if rewritten not in made:
                made.append(rewritten)
        if not made:
            raise Impossible(path, keyword, "nothing can be written for any branch")
        return made[0] if len(made) == 1 else {"anyOf": made}

    def _kinds(self, flat: Schema, path: str) -> list[str]:
        """Return the types a value may have; without ``type``, the one that the other keywords are about."""
        named = flat.get("type")
        if isinstance(named, str):
            self._find(path, "type", "enforced")
            return [named]
        if isinstance(named, list):
            if not named:
                raise Impossible(path, "type", "no type is allowed")
            self._find(path, "type", "enforced")
            return ["number" if k == "number" else k for k in named if not (k == "integer" and "number" in named)]
        about = next((TYPE_OF[key] for key in flat if key in TYPE_OF), None)
        if about is None:
            return ["string", "number", "boolean", "null"]
        self._bound(path, "type", f"no type is given; {about} is generated, which the other keywords are about")
        return [about]

    def _typed(self, flat: Schema, kind: str, path: str) -> Schema:
        """Return the plain form of a schema of one type."""
        makers = {"object": self._object, "array": self._array, "string": self._string}
        if kind in makers:
            return makers[kind](flat, path)
        if kind in {"integer", "number"}:
            return self._number(flat, kind, path)
        return {"type": kind}

    # --- by type -------------------------------------------------------------------------------------------------------

    def _keep(self, flat: Schema, made: Schema, keys: Collection[str], path: str) -> None:
        """Copy those keywords that the backend enforces; the others are left to the check."""
        for key in keys:
            if key not in flat:
                continue
            if key in self.can.keywords:
                made[key] = flat[key]
                self._find(path, key, "enforced")
            else:
                self._find(path, key, "checked", f"{self.backend} does not enforce it")

    def _object(self, flat: Schema, path: str) -> Schema:
        required = list(flat.get("required", ()))
        extra = flat.get("additionalProperties", True)
        patterns = flat.get("patternProperties", {})
        given = dict(flat.get("properties", {}))
        for name in required:
            if name not in given:
                given[name] = next((p for key, p in patterns.items() if re.search(key, name)), extra)
        properties = self._properties(given, required, path)
        made: Schema = {"type": "object", "properties": properties}
        kept = [name for name in required if name in properties]
        if kept:
            made["required"] = kept
        for key in ("properties", "required"):
            if key in flat:
                self._find(path, key, "enforced")
        if properties or extra is False and not patterns:
            made["additionalProperties"] = False
            self._close(flat, path)
        else:
            self._map(flat, made, path)
        self._keep(flat, made, ("minProperties", "maxProperties"), path)
        if "maxProperties" in made and len(properties) <= made["maxProperties"]:
            del made["maxProperties"]
        for key in ("propertyNames", "dependentRequired", "dependentSchemas", "unevaluatedProperties"):
            if key in flat:
                self._find(path, key, "enforced" if made.get(key) else "checked", "decoding cannot enforce it")
        return made

    def _properties(self, given: Mapping[str, Any], required: list[str], path: str) -> Schema:
        """Rewrite the properties; an optional one for which nothing can be written is left out."""
        made = {}
        for name, part in given.items():
            try:
                made[name] = self._rewrite(part, f"{path}.{name}")
            except Impossible as error:
                if name in required:
                    raise
                self._find(error.path, error.keyword, "checked", f"left out: {error.why}")
        return made

    def _close(self, flat: Schema, path: str) -> None:
        """Note that no other keys are generated."""
        if "additionalProperties" in flat:
            closed = flat["additionalProperties"] is False
            self._find(path, "additionalProperties", "enforced", "" if closed else "no further keys are generated")
        if "patternProperties" in flat:
            self._find(path, "patternProperties", "enforced", "no such keys are generated")

    def _map(self, flat: Schema, made: Schema, path: str) -> None:
        """An object with keys of the model's choice: by pattern where the backend can, else any."""
        extra, patterns = flat.get("additionalProperties", True), flat.get("patternProperties", {})
        if patterns and "patternProperties" in self.can.keywords:
            usable = {k: p for k, p in patterns.items() if p is not False and is_regular(k)}
            made["patternProperties"] = {k: self._rewrite(p, f"{path}.{k}") for k, p in usable.items()}
            made["additionalProperties"] = False
            note = "" if len(usable) == len(patterns) else "no keys are generated for patterns that are not regular"
            self._find(path, "patternProperties", "enforced", note)
        elif extra is False or (patterns and extra is True):
            made["additionalProperties"] = False
            self._find(
                path, "patternProperties", "checked", f"{self.backend} does not enforce it: no keys are generated"
            )
        else:
            made["additionalProperties"] = self._rewrite(extra, f"{path}.*")
        if "additionalProperties" in flat:
            self._find(path, "additionalProperties", "enforced")
        if "maxProperties" not in flat and made["additionalProperties"] is not False | ("patternProperties" in made):
            self._limit_keys(flat, made, path)

    def _limit_keys(self, flat: Schema, made: Schema, path: str) -> None:
        if "maxProperties" in self.can.keywords:
            made["maxProperties"] = max(MOST_PROPERTIES, flat.get("minProperties", 0))
            self._bound(path, "maxProperties", f"{made['maxProperties']} keys")

    def _array(self, flat: Schema, path: str) -> Schema:
        made: Schema = {"type": "array"}
        first = flat.get("prefixItems", [])
        if first:
            made["prefixItems"] = [self._rewrite(part, f"{path}[{i}]") for i, part in enumerate(first)]
            self._find(path, "prefixItems", "enforced")
        least = flat.get("minItems", 0)
        made["items"] = self._items(flat, least > len(first), path)
        self._keep(flat, made, ("minItems", "maxItems"), path)
        if made["items"] is False:
            made.pop("maxItems", None) if first else made.update(maxItems=0)
        elif "maxItems" not in made:
            made["maxItems"] = max(MOST_ITEMS, least, len(first))
            self._bound(path, "maxItems", f"{made['maxItems']} items")
        if first and "minItems" not in made:
            made["minItems"] = len(first)
        if "items" in flat:
            self._find(path, "items", "enforced")
        for key in ("uniqueItems", "contains", "minContains", "maxContains", "unevaluatedItems"):
            if key in flat and flat[key] is not False:
                self._find(path, key, "checked", "decoding cannot enforce it")
        return made

    def _items(self, flat: Schema, needed: bool, path: str) -> Any:
        """Rewrite the schema of the items; where nothing can be written for one, the array stays short."""
        given = flat.get("items", not flat.get("prefixItems"))
        if given is False:
            return False
        try:
            return self._rewrite(given, f"{path}[]")
        except Impossible as error:
            if needed:
                raise
            self._find(error.path, error.keyword, "checked", f"left out: {error.why}")
            return False

    def _string(self, flat: Schema, path: str) -> Schema:
        made: Schema = {"type": "string"}
        shape = self._shape(flat, made, path)
        lengths = [key for key in ("minLength", "maxLength") if key in flat]
        if shape and lengths and shape not in self.can.with_length:
            for key in lengths:
                self._find(path, key, "checked", f"{self.backend} cannot combine it with {shape}")
            return made
        self._keep(flat, made, lengths, path)
        fixed = made.get("format") in FORMATS - {"email", "uri", "hostname"}
        if "maxLength" not in made and not fixed and (not shape or shape in self.can.with_length):
            self._open.append((made, path))
        return made

    def _shape(self, flat: Schema, made: Schema, path: str) -> str:
        """Keep the pattern, else the format, if the backend is right about it; return which."""
        if "pattern" in flat:
            pattern = flat["pattern"]
            if is_regular(pattern) and (not self.can.anchored_only or ANCHORED.fullmatch(pattern)):
                made["pattern"] = pattern
                self._find(path, "pattern", "enforced")
            else:
                self._find(path, "pattern", "checked", f"{self.backend} does not enforce this kind of pattern")
        if "format" in flat:
            if flat["format"] not in FORMATS:
                known = flat["format"] in CHECKED_FORMATS
                note = "checked afterwards" if known else "unknown format: neither decoding nor the check looks at it"
                self._find(path, "format", "checked" if known else "unsupported", note)
            elif "pattern" in made or flat["format"] not in self.can.formats:
                self._find(path, "format", "checked", f"{self.backend} does not enforce it here")
                if "pattern" not in made and "format" in self.can.keywords and self.backend == "xgrammar":
                    made["format"] = flat["format"]
            else:
                made["format"] = flat["format"]
                self._find(path, "format", "enforced")
        return "pattern" if "pattern" in made else "format" if "format" in made else ""

    def _number(self, flat: Schema, kind: str, path: str) -> Schema:
        made: Schema = {"type": kind}
        self._keep(flat, made, BY_TYPE[kind], path)
        if "minimum" not in self.can.keywords:
            return made
        low = made.get("minimum", made.get("exclusiveMinimum"))
        high = made.get("maximum", made.get("exclusiveMaximum"))
        if low is None:
            made["minimum"] = min(-INTEGER_BOUND, 0 if high is None else int(high) - INTEGER_BOUND)
            self._bound(path, "minimum", str(made["minimum"]))
        if high is None:
            made["maximum"] = max(INTEGER_BOUND, 0 if low is None else int(low) + INTEGER_BOUND)
            self._bound(path, "maximum", str(made["maximum"]))
        return made

    # --- notes ---------------------------------------------------------------------------------------------------------

    def _find(self, path: str, keyword: str, status: Status, note: str = "") -> None:
        self.findings.append(Finding(path, keyword, status, "" if status == "enforced" and not note else note))

    def _bound(self, path: str, keyword: str, note: str) -> None:
        self.bounds.append(Finding(path, keyword, "enforced", f"added: {note}"))


@cache
def is_regular(pattern: str) -> bool:
    """Return whether a pattern is a regular expression in the strict sense, which is what decoders can follow."""
    try:
        jsonschema_rs.validator_for({"pattern": pattern}, pattern_options=jsonschema_rs.RegexOptions())
    except (jsonschema_rs.ValidationError, ValueError):
        return False
    return WORD_EDGE.search(pattern) is None


CHECKED_FORMATS = frozenset(
    "idn-email idn-hostname uri-reference iri iri-reference uri-template json-pointer relative-json-pointer regex".split()
)
