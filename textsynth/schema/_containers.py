"""Objects and arrays: closed, ordered, and with an end."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Literal

from textsynth.schema import _chars as chars
from textsynth.schema._compile import compile_schema
from textsynth.schema._decoding import Impossible, Schema
from textsynth.schema._fit import fit, starts
from textsynth.schema._keywords import CLOSED
from textsynth.schema._merge import both_of
from textsynth.schema._names import matching
from textsynth.schema._regex import Node, write
from textsynth.schema._strings import shape, writable

if TYPE_CHECKING:
    from textsynth.schema._rewrite import Rewriting

MOST_ITEMS, MOST_PROPERTIES, LONGEST_KEY = 8, 6, 40
ANY_KEY = r"^[^\x00-\x1f\x7f]{1,40}$"


def closed(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema with ``unevaluated...: false`` said as ``additionalProperties`` or ``items``, where these are absent.

    Right as soon as everything that stands beside it is in the same schema.
    """
    extras = (("unevaluatedProperties", "additionalProperties"), ("unevaluatedItems", "items"))
    made = {**{extra: False for key, extra in extras if flat.get(key) is False}, **flat}
    return made | {"additionalProperties": False} if CLOSED in flat else made


def object_schema(rewriting: Rewriting, flat: Mapping[str, Any], path: str) -> Schema:
    """Return the plain form of an object: of named properties and no others, or of keys that the model chooses."""
    written, flat = flat, closed(flat)
    least, most = flat.get("minProperties", 0), flat.get("maxProperties")
    given = described(flat)
    if (most is not None and most < max(least, len(flat.get("required", ())))) or (
        not given and least and flat.get("additionalProperties") is False and not flat.get("patternProperties")
    ):
        raise Impossible(path, "minProperties", "more properties are asked for than are allowed")
    for key in ("additionalProperties", "unevaluatedProperties", "patternProperties"):
        if key in written:
            more = bool(given) and written[key] is not False
            rewriting.notes.find(path, key, "enforced", "no further keys are written" if more else "")
    named = names_listed(rewriting, flat, path) if not given else []
    if named:
        given = dict.fromkeys(named, flat.get("additionalProperties", True))
        flat = {**flat, "additionalProperties": False}
    made = of_names(rewriting, flat, given, path) if given else of_keys(rewriting, flat, path)
    if "properties" in made and made["additionalProperties"] is False:
        return counted(rewriting, flat, made, path)
    for key in ("minProperties", "maxProperties"):
        if key in flat:
            limit(rewriting, made, key, flat[key], path)
    return made


def counted(rewriting: Rewriting, flat: Mapping[str, Any], made: Schema, path: str) -> Schema:
    """Keep to the number of properties of a closed object; decoders can only count to one that is not required.

    So as many as needed are made required, and no more are offered than are allowed.
    """
    names, required = list(made["properties"]), list(made.get("required", ()))
    least, most = flat.get("minProperties", 0), flat.get("maxProperties", len(names))
    spare = [name for name in names if name not in required]
    if least > len(names):
        raise Impossible(path, "minProperties", f"{least} properties are asked for and {len(names)} can be written")
    one = 1 if "minProperties" in rewriting.can.keywords else 0
    raised = max(0, least - len(required) - (one if least < len(names) else 0))
    required, spare = required + spare[:raised], spare[raised:]
    room = most - len(required)
    dropped = spare[room:] if room < len(spare) and not (one and room == 1) else []
    if raised or dropped:
        rewriting.notes.bound(
            path, "required", f"written: {', '.join(required)}; left out: {', '.join(dropped) or 'none'}"
        )
    made["properties"] = {name: part for name, part in made["properties"].items() if name not in dropped}
    made |= {"required": required} if required else {}
    made |= {"minProperties": least} if least > len(required) else {}
    made |= {"maxProperties": most} if most < len(made["properties"]) else {}
    for key in ("minProperties", "maxProperties"):
        if key in flat:
            rewriting.notes.find(path, key, "enforced")
    return made


def limit(rewriting: Rewriting, made: Schema, key: str, value: int, path: str) -> None:
    """Keep a bound on the number of keys that the model chooses, where the decoder can."""
    if key not in rewriting.can.keywords:
        rewriting.notes.find(path, key, "checked", f"{rewriting.backend} does not enforce it")
        return
    made[key] = value
    repeats = key == "minProperties" and value > 1 + len(made.get("properties", ()))
    note = "a key may be written twice" if repeats else ""
    rewriting.notes.find(path, key, "checked" if repeats else "enforced", note)


def described(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of each property that is named, ``required`` ones last if nothing else names them."""
    patterns, extra = flat.get("patternProperties", {}), flat.get("additionalProperties", True)
    given: dict[str, Any] = {}
    for name in dict.fromkeys([*flat.get("properties", {}), *flat.get("required", ())]):
        said = [*([flat["properties"][name]] if name in flat.get("properties", {}) else []), *matching(patterns, name)]
        part: Any = True
        for one in said or [extra]:
            part = both_of(part, one)
        given[name] = part
    return given


def of_names(rewriting: Rewriting, flat: Mapping[str, Any], given: Mapping[str, Any], path: str) -> Schema:
    """Return an object of named properties; an optional one for which nothing can be written is left out."""
    required = list(dict.fromkeys(flat.get("required", ())))
    allowed = names_allowed(rewriting, flat, list(given), path)
    properties: dict[str, Schema] = {}
    for name, part in given.items():
        try:
            if name not in allowed:
                raise Impossible(f"{path}.{name}", "propertyNames", "the name is not allowed")
            properties[name] = rewriting.rewrite(part, f"{path}.{name}")
        except Impossible as error:
            if name in required:
                raise
            rewriting.notes.left_out(error, f"{name} is left out")
    made: Schema = {"type": "object", "properties": properties}
    if required:
        made["required"] = required
    for key in ("properties", "required"):
        if key in flat:
            rewriting.notes.find(path, key, "enforced")
    close(rewriting, flat, made, path)
    return made


def close(rewriting: Rewriting, flat: Mapping[str, Any], made: Schema, path: str) -> None:
    """Allow no other keys, unless so many are asked for that some must be invented."""
    made["additionalProperties"] = False
    open_ended = flat.get("additionalProperties", True) is not False and not flat.get("patternProperties")
    if flat.get("minProperties", 0) > len(made["properties"]):
        if not open_ended or "minProperties" not in rewriting.can.keywords:
            raise Impossible(
                path, "minProperties", "more properties are asked for than are allowed, or can be invented"
            )
        made["additionalProperties"] = rewriting.rewrite(flat.get("additionalProperties", True), f"{path}.*")
        made["required"] = list(made["properties"])
        if "propertyNames" in flat:
            rewriting.notes.find(path, "propertyNames", "checked", "names of further keys are not enforced")
        if "maxProperties" not in flat and "maxProperties" in rewriting.can.keywords:
            made["maxProperties"] = flat["minProperties"]
        rewriting.notes.bound(path, "required", "every named property, because minProperties asks for more")


def names_allowed(rewriting: Rewriting, flat: Mapping[str, Any], names: list[str], path: str) -> Collection[str]:
    """Return those names that ``propertyNames`` allows."""
    if "propertyNames" not in flat:
        return names
    rewriting.notes.find(path, "propertyNames", "enforced")
    checker = compile_schema({"allOf": [flat["propertyNames"]]}, root=rewriting.root)
    return [name for name in names if checker.is_valid(name)]


def names_listed(rewriting: Rewriting, flat: Mapping[str, Any], path: str) -> list[str]:
    """Return the names if ``propertyNames`` is a closed set of them."""
    names = flat.get("propertyNames")
    if not isinstance(names, Mapping) or flat.get("patternProperties") or flat.get("additionalProperties") is False:
        return []
    listed = rewriting.flatten(names, path).get("enum", [])
    return [name for name in listed if isinstance(name, str)]


def of_keys(rewriting: Rewriting, flat: Mapping[str, Any], path: str) -> Schema:
    """Return an object with keys of the model's choice: few, short, and of kinds that cannot be confused."""
    groups = [] if CLOSED in flat else key_groups(rewriting, flat, path)
    made: Schema = {"type": "object"}
    if not groups:
        return {**made, "properties": {}, "additionalProperties": False}
    if "patternProperties" in rewriting.can.keywords:
        made["patternProperties"] = {write(key, longest=rewriting.can.longest): value for key, value in groups}
        made["additionalProperties"] = False
    else:
        made["additionalProperties"] = groups[0][1]
    if "maxProperties" not in flat and "maxProperties" in rewriting.can.keywords:
        made["maxProperties"] = max(MOST_PROPERTIES, flat.get("minProperties", 0))
        rewriting.notes.bound(path, "maxProperties", f"{made['maxProperties']} keys")
    return made


def key_groups(rewriting: Rewriting, flat: Mapping[str, Any], path: str) -> list[tuple[Node, Schema]]:
    """Return the kinds of keys that are written, each with what stands under it."""
    extra, patterns = flat.get("additionalProperties", True), flat.get("patternProperties", {})
    wanted: list[tuple[Node | None, Any]] = [(writable(rewriting, key), part) for key, part in patterns.items()]
    key_form = None if patterns else name_form(rewriting, flat, path)
    if not patterns and extra is not False:
        wanted = [(key_form, extra)]
    if patterns and "propertyNames" in flat:
        rewriting.notes.find(path, "propertyNames", "checked", "decoding follows patternProperties")
    if patterns and "patternProperties" not in rewriting.can.keywords:
        rewriting.notes.bound(
            path, "patternProperties", f"no keys, because {rewriting.backend} cannot follow a pattern"
        )
        return []
    return disjoint(rewriting, wanted, path)


def disjoint(rewriting: Rewriting, wanted: list[tuple[Node | None, Any]], path: str) -> list[tuple[Node, Schema]]:
    """Return those kinds of keys that differ in their first character, each short enough.

    A kind that could be confused with others is not written; what it asks for is asked of these others too.
    """
    kept: list[tuple[Node, Any]] = []
    for node, part in wanted:
        key = fit(node, 1, LONGEST_KEY) if node is not None else None
        alike = [key is None or chars.overlap(starts(key), starts(other)) for other, _ in kept]
        if key is not None and not any(alike):
            kept.append((key, part))
            continue
        rewriting.notes.bound(path, "patternProperties", "only keys that no other pattern could match")
        kept = [(k, both_of(p, part) if same else p) for (k, p), same in zip(kept, alike, strict=True)]
    found: list[tuple[Node, Schema]] = []
    for key, part in kept:
        try:
            found.append((key, rewriting.rewrite(part, f"{path}.*")))
        except Impossible as error:
            rewriting.notes.left_out(error, "no such key")
    return found[: rewriting.can.key_patterns]


def name_form(rewriting: Rewriting, flat: Mapping[str, Any], path: str) -> Node | None:
    """Return what keys look like where the model chooses them."""
    anything = writable(rewriting, ANY_KEY)
    names = flat.get("propertyNames")
    if not isinstance(names, Mapping):
        rewriting.notes.bound(path, "propertyNames", f"keys of at most {LONGEST_KEY} characters")
        return anything
    said = rewriting.flatten(names, f"{path}.*")
    node = shape(rewriting, said, f"{path}.*") or anything
    node = (
        fit(node, max(1, said.get("minLength", 0)), min(LONGEST_KEY, said.get("maxLength", LONGEST_KEY)))
        if node
        else None
    )
    whole = node is not None and set(said) <= {"type", "pattern", "format", "minLength", "maxLength", "description"}
    able = whole and "patternProperties" in rewriting.can.keywords
    rewriting.notes.find(
        path, "propertyNames", "enforced" if able else "checked", "" if able else "decoding cannot follow it"
    )
    return node or anything


# --- arrays ------------------------------------------------------------------------------------------------------------


def array_schema(rewriting: Rewriting, flat: Mapping[str, Any], path: str) -> Schema:
    """Return the plain form of an array, with an end."""
    flat = closed(flat)
    least, most = flat.get("minItems", 0), flat.get("maxItems")
    flat, least = with_contained(rewriting, flat, least, path)
    if most is not None and least > most:
        raise Impossible(path, "minItems", f"at least {least} items are asked for and at most {most}")
    first = first_items(rewriting, flat, least, path)
    whole = len(first) == len(flat.get("prefixItems", ()))
    rest = rest_items(rewriting, flat, needed=least > len(first), path=path) if whole else False
    if first and rest is not False and "more items" not in rewriting.can.keywords:
        rest = False
        rewriting.notes.bound(path, "items", f"none after the named ones, because {rewriting.backend} cannot")
    made: Schema = {"type": "array", **({"prefixItems": first} if first else {}), "items": rest}
    if rest is False and least > len(first):
        raise Impossible(path, "minItems", f"{least} items are asked for and {len(first)} are possible")
    top = len(first) if rest is False else most if most is not None else most_items(rewriting, flat, made, least, path)
    if rest is not False or not first:
        made["maxItems"] = top
    made["minItems"] = least
    if first and "minItems" not in flat:
        made["minItems"] = max(least, min(len(first), top))
        rewriting.notes.bound(path, "minItems", f"{made['minItems']}: every named position is written")
    for key in ("minItems", "maxItems", "prefixItems", "items", "unevaluatedItems"):
        if key in flat:
            rewriting.notes.find(path, key, "enforced")
    for key in ("uniqueItems", "minContains", "maxContains"):
        if key in flat and flat[key] is not False:
            rewriting.notes.find(path, key, "checked", "decoding cannot enforce it")
    return {key: value for key, value in made.items() if (key, value) != ("minItems", 0)}


def with_contained(
    rewriting: Rewriting, flat: Mapping[str, Any], least: int, path: str
) -> tuple[Mapping[str, Any], int]:
    """Put what an array must contain first, where nothing else says what stands there."""
    if "contains" not in flat or flat.get("minContains") == 0:
        return flat, least
    if "prefixItems" in flat or flat.get("minContains", 1) != 1 or flat.get("items", True) is False:
        rewriting.notes.find(path, "contains", "checked", "decoding cannot enforce it")
        return flat, least
    rewriting.notes.find(path, "contains", "enforced")
    rewriting.notes.bound(path, "contains", "the first item is of the kind that must be contained")
    items = flat.get("items", True)
    return {**flat, "prefixItems": [both_of(items, flat["contains"])], "items": items}, max(least, 1)


def first_items(rewriting: Rewriting, flat: Mapping[str, Any], least: int, path: str) -> list[Schema]:
    """Rewrite the named positions, up to the first one at which nothing can stand."""
    made: list[Schema] = []
    for position, part in enumerate(flat.get("prefixItems", ())[: flat.get("maxItems")]):
        try:
            made.append(rewriting.rewrite(part, f"{path}[{position}]"))
        except Impossible as error:
            if position < least:
                raise
            rewriting.notes.left_out(error, "the array ends here")
            break
    return made


def rest_items(rewriting: Rewriting, flat: Mapping[str, Any], *, needed: bool, path: str) -> Schema | Literal[False]:
    """Rewrite the items after the named ones; where nothing can be written for one, the array stays short."""
    given = flat.get("items", needed or not flat.get("prefixItems"))
    if given is False or flat.get("maxItems") == 0:
        return False
    try:
        return rewriting.rewrite(given, f"{path}[]")
    except Impossible as error:
        if needed:
            raise
        rewriting.notes.left_out(error, "no item is written")
        return False


def most_items(rewriting: Rewriting, flat: Mapping[str, Any], made: Schema, least: int, path: str) -> int:
    """Return a bound for an array that has none: fewer inside other arrays, and no more than can differ."""
    most = MOST_ITEMS if "[]" not in path else MOST_ITEMS // 2
    most = max(most, least, len(made.get("prefixItems", ())))
    if flat.get("uniqueItems") is True and isinstance(made["items"], dict) and "enum" in made["items"]:
        most = max(least, min(most, len(made["items"]["enum"])))
    rewriting.notes.bound(path, "maxItems", f"{most} items")
    return most
