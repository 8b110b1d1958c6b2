"""The rewriting of a schema into the plain form: references, ``allOf``, unions and closed sets; then by type.

References stay references, to definitions of the decoding schema; one that stands inside itself ends after ``LEVELS``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from textsynth.errors import SchemaError
from textsynth.schema._backends import ABILITIES, Backend
from textsynth.schema._compile import compile_schema
from textsynth.schema._conditions import CONDITION, unions_for
from textsynth.schema._containers import array_schema, closed, object_schema
from textsynth.schema._decoding import Impossible, Notes, Schema
from textsynth.schema._exclusive import excludes
from textsynth.schema._keywords import ABOUT, ANNOTATIONS, BOTH, BY_TYPE, KEYWORDS, OWN
from textsynth.schema._merge import merge
from textsynth.schema._numbers import number_schema, one_of
from textsynth.schema._references import follow
from textsynth.schema._room import Room
from textsynth.schema._strings import string_schema

LEVELS = 2
"""How often a reference may stand inside itself."""
MOST_BRANCHES = 64
"""Unions that multiply to more branches than this are left to the check."""
MOST_PARTS = 20_000


class Rewriting:
    """One pass over a schema for one backend, collecting findings, bounds, open strings and definitions."""

    def __init__(self, root: Schema, backend: Backend) -> None:
        self.root, self.backend, self.can = root, backend, ABILITIES[backend]
        self.notes, self.room = Notes(), Room()
        self.definitions: dict[str, Schema] = {}
        self._names: dict[tuple[str, int], str | None] = {}
        self._entered: list[tuple[str, int]] = []
        self._parts = 0

    def rewrite(self, part: Any, path: str) -> Schema:
        """Return the plain form of one subschema.

        Raises:
            Impossible: no value can be written for it.
        """
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise SchemaError(f"schema: at {path}: the schema is too large to be written out for the decoder")
        if part is False:
            raise Impossible(path, "false", "nothing is allowed here")
        if part is True or not set(part) & (KEYWORDS | OWN):
            return self._anything(path)
        if "$ref" in part or "allOf" in part:
            return self._shared(part, path)
        return self._nested(part, path)

    def flatten(self, part: Mapping[str, Any], path: str) -> Schema:
        """Bring the target of ``$ref`` and the members of ``allOf`` into one schema.

        References that are brought in stay entered until the caller has rewritten the result.
        """
        flat = {key: value for key, value in part.items() if key not in {"$ref", "allOf", BOTH}}
        members = [(key, member) for key in ("allOf", BOTH) for member in part.get(key, ())]
        if "$ref" in part:
            members.insert(0, ("$ref", self._enter(part["$ref"], path)))
        for keyword, member in members:
            if member is False:
                raise Impossible(path, keyword, "nothing is allowed here")
            lost: list[str] = []
            if isinstance(member, Mapping):
                inner = self.flatten(member, path)
                flat, lost = merge(flat, inner if keyword == BOTH else closed(inner))
            for key in lost:
                self.notes.find(path, key, "checked", "said twice, differently")
            if keyword != BOTH:
                self.notes.find(path, keyword, "enforced")
        return flat

    def rewrite_flat(self, flat: Schema, path: str) -> Schema:
        """Return the plain form of a subschema that has neither ``$ref`` nor ``allOf``."""
        self._note_unknown(flat, path)
        if "const" in flat or "enum" in flat:
            return self._closed_set(flat, path)
        if unions := self._conditions(flat, path):
            rest = {key: value for key, value in flat.items() if key not in CONDITION}
            return self._nested({BOTH: [rest, *unions]}, path)
        for key in ("anyOf", "oneOf"):
            if key in flat:
                return self._union(flat, key, path)
        kinds = self._kinds(flat, path)
        self._note_idle(flat, kinds, path)
        if len(kinds) == 1:
            return self._typed(flat, kinds[0], path)
        return self._some_of([{**flat, "type": kind} for kind in kinds], "type", path)

    # --- references ----------------------------------------------------------------------------------------------------

    def _nested(self, part: Mapping[str, Any], path: str) -> Schema:
        """Rewrite a subschema in place; the references it brings in are left again afterwards."""
        before = len(self._entered)
        try:
            return self.rewrite_flat(self.flatten(part, path), path)
        finally:
            del self._entered[before:]

    def _enter(self, reference: str, path: str) -> Any:
        """Return what a reference stands for, unless it stands too deep inside itself."""
        if sum(entered == reference for entered, _ in self._entered) > LEVELS:
            raise Impossible(path, "$ref", f"recursion ends after {LEVELS} levels")
        self._entered.append((reference, self._level()))
        if not reference.startswith("#"):
            self.notes.find(path, "$ref", "checked", "a meta-schema is not written out")
        return follow(self.root, reference)

    def _level(self) -> int:
        """Return how many times something has been entered again so far."""
        return max((level for _, level in self._entered), default=0)

    def _shared(self, part: Mapping[str, Any], path: str) -> Schema:
        """Return a reference to the definition of a subschema, which is rewritten once per level of recursion."""
        text = json.dumps({key: value for key, value in part.items() if key not in ANNOTATIONS}, sort_keys=True)
        key = (text, self._level())
        if key in self._entered:
            key = (text, key[1] + 1)
        if key[1] > LEVELS:
            raise Impossible(path, "$ref", f"recursion ends after {LEVELS} levels")
        if key not in self._names:
            self._define(key, part, path)
        name = self._names[key]
        if name is None:
            raise Impossible(path, "$ref", "nothing can be written for it")
        return {"$ref": f"#/$defs/{name}"}

    def _define(self, key: tuple[str, int], part: Mapping[str, Any], path: str) -> None:
        """Rewrite a subschema as a definition."""
        label = str(part.get("$ref", "")).rsplit("/", 1)[-1] or path
        name = base = re.sub(r"\W+", "_", label).strip("_") or "part"
        while name in self.definitions:
            name = f"{base}_{len(self.definitions)}"
        self.definitions[name] = {}
        self._names[key] = None
        self._entered.append(key)
        try:
            self.definitions[name] = self._nested(part, path)
            self._names[key] = name
        finally:
            self._entered.pop()
            if self._names[key] is None:
                del self.definitions[name]

    # --- closed sets, unions, types ------------------------------------------------------------------------------------

    def _anything(self, path: str) -> Schema:
        """Return a bounded stand-in for a schema that allows everything."""
        self.notes.bound(path, "type", "anything is allowed here; text, numbers, booleans and null are written")
        return {"anyOf": [self._typed({}, kind, path) for kind in ("string", "number", "boolean", "null")]}

    def _closed_set(self, flat: Schema, path: str) -> Schema:
        """Keep those values that the other keywords allow."""
        values = [flat["const"]] if "const" in flat else list(flat["enum"])
        rest = {key: value for key, value in flat.items() if key in KEYWORDS and key != "enum"}
        if set(rest) - {"const"} or "const" in flat:
            whole = rest | ({"enum": flat["enum"]} if "enum" in flat else {})
            checker = compile_schema(whole, root=self.root)
            values = [value for value in values if checker.is_valid(value)]
        if not values:
            raise Impossible(path, "enum", "no value of the set is allowed by the other keywords")
        for key in rest | {key: None for key in ("enum",) if key in flat}:
            self.notes.find(path, key, "enforced")
        return one_of(values)

    def _conditions(self, flat: Schema, path: str) -> list[Schema]:
        """Return conditions as unions where that is exact and small; the others are left to the check."""
        unions, said = unions_for(flat)
        branches = union_size(flat)
        for union in unions:
            branches *= len(union["anyOf"])
        if branches > MOST_BRANCHES:
            unions, said = [], []
        for key in CONDITION:
            if key in flat:
                enforced = key in said
                note = "" if enforced else "decoding cannot enforce it"
                self.notes.find(path, key, "enforced" if enforced else "checked", note)
        return unions

    def _union(self, flat: Schema, key: str, path: str) -> Schema:
        """Merge what stands beside a union into each branch."""
        base = {k: v for k, v in flat.items() if k != key and k in KEYWORDS | OWN}
        if union_size(base) * len(flat[key]) > MOST_BRANCHES:
            for other in ({"anyOf", "oneOf", "allOf"} - {key}) & set(base):
                self.notes.find(path, other, "checked", "too many combinations of branches")
                del base[other]
        branches = [branch for branch in flat[key] if branch is not False]
        merged = [{BOTH: [base, b]} if base and b is not True else base or b for b in branches]
        self.notes.find(path, key, "enforced")
        if key == "oneOf" and len(branches) > 1:
            self._check_overlap(branches, merged, path)
        return self._some_of(merged, key, path)

    def _check_overlap(self, branches: list[Any], merged: list[Any], path: str) -> None:
        """Note whether some value that is written for one branch of ``oneOf`` may fit another one too."""
        for position, part in enumerate(merged):
            try:
                made = self.rewrite(part, path)
            except Impossible:
                continue
            for other in branches[:position] + branches[position + 1 :]:
                if not excludes(other, made, self.root, self.definitions):
                    self.notes.find(path, "oneOf", "checked", "that only one branch fits is checked afterwards")
                    return

    def _some_of(self, branches: list[Any], keyword: str, path: str) -> Schema:
        """Return those branches for which something can be written."""
        made: list[Schema] = []
        for branch in branches:
            try:
                rewritten = self.rewrite(branch, path)
            except Impossible as error:
                self.notes.left_out(error, "no branch for it")
                continue
            if rewritten not in made:
                made.append(rewritten)
        if not made:
            raise Impossible(path, keyword, "nothing can be written for any branch")
        return made[0] if len(made) == 1 else {"anyOf": made}

    def _kinds(self, flat: Schema, path: str) -> list[str]:
        """Return the types a value may have; without ``type``, the one that the other keywords are about."""
        named = flat.get("type")
        if named is not None:
            self.notes.find(path, "type", "enforced")
            kinds = [named] if isinstance(named, str) else list(named)
            if not kinds:
                raise Impossible(path, "type", "no type is allowed")
            return [kind for kind in kinds if not (kind == "integer" and "number" in kinds)]
        about = next((ABOUT[key] for key in flat if key in ABOUT), None)
        if about is None:
            return ["string", "number", "boolean", "null"]
        self.notes.bound(path, "type", f"{about}, which the other keywords are about")
        return [about]

    def _typed(self, flat: Schema, kind: str, path: str) -> Schema:
        """Return the plain form of a schema of one type."""
        if kind == "object":
            return object_schema(self, flat, path)
        if kind == "array":
            return array_schema(self, flat, path)
        if kind == "string":
            return string_schema(self, flat, path)
        if kind in {"integer", "number"}:
            return number_schema(self, flat, kind, path)
        return {"type": kind}

    # --- notes ---------------------------------------------------------------------------------------------------------

    def _note_idle(self, flat: Schema, kinds: list[str], path: str) -> None:
        """Note keywords that concern none of the types that are written."""
        relevant = {key for kind in kinds for key in BY_TYPE[kind]}
        for key in flat:
            if key in ABOUT and key not in relevant:
                self.notes.find(path, key, "enforced", f"concerns {ABOUT[key]}s, of which none is written")

    def _note_unknown(self, flat: Schema, path: str) -> None:
        """Note keywords that do not exist but look as if they were meant to."""
        for key in flat:
            if key in KEYWORDS | ANNOTATIONS | OWN or key.startswith("x-"):
                continue
            same_letters = [known for known in KEYWORDS if known.lower() == key.lower()]
            if match := (same_letters or get_close_matches(key, KEYWORDS, n=1, cutoff=0.8)):
                note = f"unknown keyword: nobody looks at it (did you mean {match[0]}?)"
                self.notes.find(path, key, "unsupported", note)


def union_size(flat: Mapping[str, Any]) -> int:
    """Return how many branches the unions of a schema multiply to."""
    size = 1
    for member in (flat, *(m for m in flat.get("allOf", ()) if isinstance(m, Mapping))):
        for key in ("anyOf", "oneOf"):
            size *= max(1, len(member.get(key, ())))
    return size
