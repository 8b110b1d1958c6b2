"""The rewriting of one type at a time: object, array, string, number. What stands inside is left to ``rewrite``."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from math import ceil, floor, inf
from typing import Any

from textsynth.schema._backends import ABILITIES, FORMATS, Backend
from textsynth.schema._decoding import Impossible, Notes, Schema
from textsynth.schema._merge import both_of, fits
from textsynth.schema._patterns import CHECKED_FORMATS, EMPTY, guidance_refusal, is_anchored, is_regular

LENGTHS, RANGE = ("minLength", "maxLength"), ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
LEAST_LENGTH, MOST_ITEMS, MOST_PROPERTIES = 16, 8, 6
INTEGER_BOUND = 10**9
CHARS_PER_TOKEN = 3


class ByType(Notes, ABC):
    """Rewrites a schema of one type for one backend."""

    def __init__(self, backend: Backend) -> None:
        super().__init__()
        self.backend, self.can = backend, ABILITIES[backend]
        self._open: list[tuple[Schema, str]] = []

    @abstractmethod
    def rewrite(self, part: Any, path: str) -> Schema:
        """Return the plain form of a subschema.

        Raises:
            Impossible: no value of it can be written.
        """

    def typed(self, flat: Schema, kind: str, path: str) -> Schema:
        """Return the plain form of a schema of one type."""
        makers: dict[str, Callable[[Schema, str], Schema]] = {
            "object": self._object,
            "array": self._array,
            "string": self._string,
            "integer": self._integer,
            "number": self._number,
        }
        return makers[kind](flat, path) if kind in makers else {"type": kind}

    def bound_strings(self, max_tokens: int) -> None:
        """Give every string without an upper bound its share of what ``max_tokens`` can hold."""
        share = max(LEAST_LENGTH, max_tokens * CHARS_PER_TOKEN // max(1, len(self._open)))
        for part, path in self._open:
            length = max(share, part.get("minLength", 0) + LEAST_LENGTH)
            if "pattern" in part and self._refusal({**part, "maxLength": length}):
                self.find(path, "pattern", "enforced", f"without a bound: {self.backend} cannot tell how long it gets")
                continue
            part["maxLength"] = length
            self.bound(path, "maxLength", f"{length} characters, from max_tokens {max_tokens}")

    def _keep(self, flat: Schema, made: Schema, keys: Collection[str], path: str) -> None:
        """Copy those keywords that the backend enforces; the others are left to the check."""
        for key in keys:
            if key not in flat:
                continue
            if key in self.can.keywords:
                made[key] = flat[key]
                self.find(path, key, "enforced")
            else:
                self.find(path, key, "checked", f"{self.backend} does not enforce it")

    def _leave(self, flat: Schema, keys: Collection[str], path: str) -> None:
        """Note those keywords that no decoding enforces."""
        for key in keys:
            if key in flat and flat[key] is not False:
                self.find(path, key, "checked", "decoding cannot enforce it")

    # --- objects ---------------------------------------------------------------------------------------------------

    def _object(self, flat: Schema, path: str) -> Schema:
        required = list(flat.get("required", ()))
        properties = self._properties(named_properties(flat), required, path)
        made: Schema = {"type": "object", "properties": properties}
        kept = [name for name in required if name in properties]
        if kept:
            made["required"] = kept
        for key in ("properties", "required"):
            if key in flat:
                self.find(path, key, "enforced")
        closed = flat.get("additionalProperties", True) is False and not flat.get("patternProperties")
        if closed or len(properties) >= max(1, flat.get("minProperties", 0)):
            made["additionalProperties"] = False
            self._close(flat, path)
        else:
            self._map(flat, made, path)
        self._count_keys(flat, made, path)
        self._leave(flat, ("propertyNames", "dependentRequired", "dependentSchemas"), path)
        if "unevaluatedProperties" in flat:
            self.find(path, "unevaluatedProperties", "checked", "decoding cannot enforce it")
        return made

    def _properties(self, given: Mapping[str, Any], required: list[str], path: str) -> Schema:
        """Rewrite the properties; an optional one for which nothing can be written is left out."""
        made = {}
        for name, part in given.items():
            try:
                made[name] = self.rewrite(part, f"{path}.{name}")
            except Impossible as error:
                if name in required:
                    raise
                self.find(error.path, error.keyword, "checked", f"left out: {error.why}")
        return made

    def _close(self, flat: Schema, path: str) -> None:
        """Note that no other keys are generated."""
        if "additionalProperties" in flat:
            closed = flat["additionalProperties"] is False
            self.find(path, "additionalProperties", "enforced", "" if closed else "no further keys are generated")
        if "patternProperties" in flat:
            self.find(path, "patternProperties", "enforced", "no further keys are generated")

    def _map(self, flat: Schema, made: Schema, path: str) -> None:
        """An object with keys of the model's choice: by pattern where the backend can, else any."""
        extra, patterns = flat.get("additionalProperties", True), flat.get("patternProperties", {})
        if patterns and "patternProperties" in self.can.keywords:
            self._keys_by_pattern(patterns, made, path)
        elif extra is False or (patterns and extra is True):
            made["additionalProperties"] = False
            self.find(path, "patternProperties", "enforced", f"{self.backend} cannot follow it: no keys are generated")
        else:
            made["additionalProperties"] = self.rewrite(extra, f"{path}.*")
            if patterns:
                self.find(path, "patternProperties", "checked", f"{self.backend} does not enforce it")
        if "additionalProperties" in flat:
            self.find(path, "additionalProperties", "enforced")

    def _keys_by_pattern(self, patterns: Mapping[str, Any], made: Schema, path: str) -> None:
        """Let the model choose keys of these patterns only."""
        usable = {k: p for k, p in patterns.items() if p is not False and is_regular(k)}
        made["patternProperties"] = {k: self.rewrite(p, f"{path}.{k}") for k, p in usable.items()}
        made["additionalProperties"] = False
        if len(usable) == len(patterns):
            self.find(path, "patternProperties", "enforced")
        else:
            note = "no keys are generated for those patterns that are not regular or are forbidden"
            self.find(path, "patternProperties", "checked" if usable else "enforced", note)

    def _count_keys(self, flat: Schema, made: Schema, path: str) -> None:
        """Keep the bounds on the number of keys, and add one where keys are of the model's choice."""
        self._keep(flat, made, ("minProperties", "maxProperties"), path)
        names, free = len(made["properties"]), made["additionalProperties"] is not False or made.get("patternProperties")
        least, most = flat.get("minProperties", 0), flat.get("maxProperties", inf)
        if max(least, len(made.get("required", ()))) > (most if free else min(most, names)):
            raise Impossible(path, "minProperties", "there cannot be as many properties as it asks for")
        if not free and names <= most:
            made.pop("maxProperties", None)
        if free and "maxProperties" not in flat and "maxProperties" in self.can.keywords:
            made["maxProperties"] = max(MOST_PROPERTIES, least, names)
            self.bound(path, "maxProperties", f"{made['maxProperties']} keys")

    # --- arrays ----------------------------------------------------------------------------------------------------

    def _array(self, flat: Schema, path: str) -> Schema:
        least, most = flat.get("minItems", 0), flat.get("maxItems", inf)
        if least > most:
            raise Impossible(path, "minItems", f"it is above maxItems {most}")
        made: Schema = {"type": "array"}
        given = flat.get("prefixItems", [])
        first = [self.rewrite(part, f"{path}[{i}]") for i, part in enumerate(given) if i < most]
        if given:
            self.find(path, "prefixItems", "enforced")
        if first:
            made["prefixItems"] = first
        made["items"] = self._items(flat, len(first), path)
        self._keep(flat, made, ("minItems", "maxItems"), path)
        if made["items"] is False:
            self._end_after(first, made)
        elif "maxItems" not in made:
            made["maxItems"] = max(MOST_ITEMS, least, len(first))
            self.bound(path, "maxItems", f"{made['maxItems']} items")
        if first:
            made.setdefault("minItems", len(first))
        if "items" in flat:
            self.find(path, "items", "enforced")
        self._leave(flat, ("uniqueItems", "contains", "minContains", "maxContains", "unevaluatedItems"), path)
        return made

    def _items(self, flat: Schema, first: int, path: str) -> Any:
        """Rewrite the schema of the items after the first; where nothing can be written, the array stays short."""
        given, needed = flat.get("items", not flat.get("prefixItems")), flat.get("minItems", 0) > first
        if flat.get("maxItems", inf) <= first:
            return False
        try:
            return self.rewrite(True if given is False and "items" not in flat and needed else given, f"{path}[]")
        except Impossible as error:
            if needed:
                raise
            if given is not False:
                self.find(error.path, error.keyword, "checked", f"left out: {error.why}")
            return False

    def _end_after(self, first: list[Schema], made: Schema) -> None:
        """Let an array have no items beyond the first."""
        made.pop("maxItems", None)
        if not first:
            made["maxItems"] = 0

    # --- strings ---------------------------------------------------------------------------------------------------

    def _string(self, flat: Schema, path: str) -> Schema:
        if flat.get("minLength", 0) > flat.get("maxLength", inf):
            raise Impossible(path, "minLength", f"it is above maxLength {flat['maxLength']}")
        made: Schema = {"type": "string"}
        self._pattern(flat, made, path)
        self._format(flat, made, path)
        shape = "pattern" if "pattern" in made else "format" if "format" in made else ""
        lengths = [key for key in LENGTHS if key in flat]
        if shape and lengths and shape not in self.can.with_length:
            for key in lengths:
                self.find(path, key, "checked", f"{self.backend} cannot combine it with {shape}")
            return made
        self._keep(flat, made, lengths, path)
        self._settle(made, path)
        fixed = made.get("format") in FORMATS - {"email", "uri", "hostname"}
        if "maxLength" not in made and not fixed and (not shape or shape in self.can.with_length):
            self._open.append((made, path))
        return made

    def _pattern(self, flat: Schema, made: Schema, path: str) -> None:
        """Keep the pattern if the backend is right about it."""
        if "pattern" not in flat:
            return
        pattern = flat["pattern"]
        if is_regular(pattern) and (not self.can.anchored_only or is_anchored(pattern)):
            made["pattern"] = pattern
            self.find(path, "pattern", "enforced")
        else:
            self.find(path, "pattern", "checked", f"{self.backend} does not enforce this kind of pattern")

    def _format(self, flat: Schema, made: Schema, path: str) -> None:
        """Keep the format if the backend is right about it and no pattern stands in its place."""
        name = flat.get("format")
        if name is None:
            return
        if name in CHECKED_FORMATS:
            self.find(path, "format", "checked", "checked afterwards")
        elif name not in FORMATS:
            self.find(path, "format", "unsupported", "unknown format: neither decoding nor the check looks at it")
        elif "pattern" in made or name not in self.can.formats:
            self.find(path, "format", "checked", f"{self.backend} does not enforce it here")
            if "pattern" not in made and name in self.can.nearly:
                made["format"] = name
        else:
            made["format"] = name
            self.find(path, "format", "enforced")

    def _settle(self, made: Schema, path: str) -> None:
        """Take out of a string what the backend cannot compile: the lengths first, then the pattern or format."""
        refusal = self._refusal(made)
        if any(word in refusal for word in EMPTY):
            raise Impossible(path, "pattern" if "pattern" in made else "format", "no text fits it and the other keywords")
        for keys in (LENGTHS, ("pattern", "format")):
            dropped = [key for key in keys if key in made] if refusal else []
            for key in dropped:
                del made[key]
                self.revoke(path, key, f"{self.backend} cannot compile it here")
            refusal = self._refusal(made)

    def _refusal(self, made: Schema) -> str:
        """Return why guidance refuses a string; only a pattern, or a format with a length, can be too hard for it."""
        hard = "pattern" in made or ("format" in made and ("minLength" in made or "maxLength" in made))
        return guidance_refusal(json.dumps(made)) if hard and self.backend == "guidance" else ""

    # --- numbers ---------------------------------------------------------------------------------------------------

    def _integer(self, flat: Schema, path: str) -> Schema:
        """Write the bounds of an integer as the whole numbers they come to."""
        whole = {key: value for key, value in flat.items() if key not in RANGE}
        lows = [ceil(flat.get("minimum", -inf)) if "minimum" in flat else -inf]
        lows += [floor(flat["exclusiveMinimum"]) + 1] if "exclusiveMinimum" in flat else []
        highs = [floor(flat["maximum"]) if "maximum" in flat else inf]
        highs += [ceil(flat["exclusiveMaximum"]) - 1] if "exclusiveMaximum" in flat else []
        low, high = max(lows), min(highs)
        step = flat.get("multipleOf", 1)
        if low > high or (-inf < low and high < inf and isinstance(step, int) and -(-low // step) * step > high):
            raise Impossible(path, "minimum", "no whole number lies between the bounds")
        bounds = {"minimum": low, "maximum": high}
        whole |= {key: value for key, value in bounds.items() if abs(value) != inf}
        made = self._number(whole, path, kind="integer")
        for key in ("exclusiveMinimum", "exclusiveMaximum", "minimum", "maximum"):
            if key in flat and key not in whole:
                self._keep({key: flat[key]}, {}, (key,), path)
        return made

    def _number(self, flat: Schema, path: str, kind: str = "number") -> Schema:
        low, high = self._range(flat, path)
        made: Schema = {"type": kind}
        self._keep(flat, made, (*RANGE, "multipleOf"), path)
        if "minimum" not in self.can.keywords:
            return made
        if low == -inf:
            made["minimum"] = min(-INTEGER_BOUND, 0 if high == inf else floor(high) - INTEGER_BOUND)
            self.bound(path, "minimum", str(made["minimum"]))
        if high == inf:
            made["maximum"] = max(INTEGER_BOUND, 0 if low == -inf else ceil(low) + INTEGER_BOUND)
            self.bound(path, "maximum", str(made["maximum"]))
        return made

    def _range(self, flat: Schema, path: str) -> tuple[float, float]:
        """Return the bounds of a number.

        Raises:
            Impossible: nothing lies between them.
        """
        low = max(flat.get("minimum", -inf), flat.get("exclusiveMinimum", -inf))
        high = min(flat.get("maximum", inf), flat.get("exclusiveMaximum", inf))
        open_end = low == flat.get("exclusiveMinimum") or high == flat.get("exclusiveMaximum")
        if low > high or (low == high and open_end):
            raise Impossible(path, "minimum", "no number lies between the bounds")
        return low, high


def named_properties(flat: Schema) -> dict[str, Any]:
    """Return the properties that have a name: given or required ones, with what pattern or rest says about them."""
    patterns, extra = flat.get("patternProperties", {}), flat.get("additionalProperties", True)
    given = dict(flat.get("properties", {}))
    for name in flat.get("required", ()):
        given.setdefault(name, True if any(fits(p, name) for p in patterns) else extra)
    for pattern, part in patterns.items():
        for name in given:
            if fits(pattern, name):
                given[name] = both_of(given[name], part)
    return given
