"""Every place of a record with all that the schema says about it, and changes of a record at one place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from textsynth.schema import RecordSchema
from textsynth.schema._merge import same
from textsynth.schema._names import matching
from textsynth.schema._upgrade import SUBSCHEMA_MAPS, VALUES

Path = tuple[str | int, ...]
View = Mapping[str, Any]

DEEPEST = 12
ITEMS = 8
"""Items of one array that are looked at."""
TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str, "integer": (int, float), "number": (int, float), "array": list, "object": dict, "null": type(None),
    "boolean": bool,
}  # fmt: skip


class Removed:
    """What stands for "no value here": the property is taken away."""


REMOVED = Removed()


@dataclass(frozen=True, slots=True)
class Site:
    """One value of a record, with every subschema that speaks about it.

    Args:
        path: the steps to it.
        value: the value itself.
        views: the subschemas, references followed, those of a union's branches that may be meant included.
        required: whether the object around it must have it.
        dependent: whether the object around it must have it because of another property.
    """

    path: Path
    value: Any
    views: tuple[View, ...]
    required: bool = False
    dependent: bool = False

    @property
    def template(self) -> str:
        """The path with positions in arrays left open: ``tags[]``."""
        return path_text(tuple(step if isinstance(step, str) else -1 for step in self.path))

    def said(self, keyword: str) -> list[Any]:
        """Return the distinct values of a keyword over all views."""
        found: list[Any] = []
        for view in self.views:
            if keyword in view and not any(same(view[keyword], known) for known in found):
                found.append(view[keyword])
        return found

    @property
    def closed(self) -> bool:
        """Whether only listed values may stand here."""
        return any("enum" in view or "const" in view for view in self.views)

    @property
    def types(self) -> frozenset[str]:
        """The types that the views name."""
        return frozenset(kind for view in self.views for kind in types_of(view))


@dataclass(frozen=True, slots=True)
class Change:
    """A record's value at ``path`` replaced, or taken away with ``REMOVED``.

    Args:
        at: where the case lies: ``path``, or a property in it.
        beyond: what would stand there one step further, which the schema must refuse; ``None`` if there is no such step.
    """

    path: Path
    value: Any
    at: Path
    beyond: tuple[Any] | None = None


def types_of(view: View) -> tuple[str, ...]:
    """Return the types that a subschema names."""
    kinds = view.get("type", ())
    return (kinds,) if isinstance(kinds, str) else tuple(kinds)


def path_text(path: Path) -> str:
    """Write a path: ``address.street``, ``tags[2]``; ``[]`` for an open position."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += "[]" if step < 0 else f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text


def put(node: Any, path: Path, value: Any) -> Any:
    """Return ``node`` with another value at ``path``; nothing is changed in place."""
    if not path:
        return value
    step, rest = path[0], path[1:]
    if isinstance(node, dict):
        if value is REMOVED and not rest:
            return {key: item for key, item in node.items() if key != step}
        return {**node, step: put(node.get(str(step)), rest, value)}
    copy, place = list(node), int(step)
    if value is REMOVED and not rest:
        del copy[place]
    else:
        copy[place] = put(copy[place], rest, value)
    return copy


def sites(schema: RecordSchema, record: Mapping[str, Any]) -> Iterator[Site]:
    """Yield the record and every value in it, outermost first."""
    yield from inside(schema, Site((), record, expand(schema, [schema.document], record)))


def inside(schema: RecordSchema, site: Site) -> Iterator[Site]:
    """Yield a site and those below it."""
    yield site
    if len(site.path) >= DEEPEST:
        return
    if isinstance(site.value, dict):
        required = {name for names in site.said("required") for name in names}
        dependent = {name for said in site.said("dependentRequired") for key in said if key in site.value
                     for name in said[key]}  # fmt: skip
        for name, value in site.value.items():
            parts = [part for view in site.views for part in property_parts(view, name)]
            below = Site((*site.path, name), value, expand(schema, parts, value), name in required, name in dependent)
            yield from inside(schema, below)
    elif isinstance(site.value, list):
        for place, value in enumerate(site.value[:ITEMS]):
            parts = [part for view in site.views for part in item_parts(view, place)]
            yield from inside(schema, Site((*site.path, place), value, expand(schema, parts, value), required=True))


def property_parts(view: View, name: str) -> list[Any]:
    """Return what a subschema says about one property."""
    parts = [view["properties"][name]] if name in view.get("properties", {}) else []
    parts += matching(view.get("patternProperties", {}), name)
    return parts or [view[key] for key in ("additionalProperties", "unevaluatedProperties") if key in view]


def item_parts(view: View, place: int) -> list[Any]:
    """Return what a subschema says about one item."""
    first = view.get("prefixItems", ())
    if place < len(first):
        return [first[place]]
    return [view["items"]] if "items" in view else []


def expand(schema: RecordSchema, parts: Iterable[Any], value: Any) -> tuple[View, ...]:
    """Return the subschemas in ``parts`` with all that hold along with them for ``value``."""
    found: list[View] = []
    seen: set[int] = set()
    waiting = list(parts)
    while waiting:
        part = waiting.pop(0)
        if not isinstance(part, Mapping) or id(part) in seen:
            continue
        seen.add(id(part))
        view = schema.deref(part)
        found.append(view)
        waiting += view.get("allOf", ())
        waiting += [
            branch for key in ("anyOf", "oneOf") for branch in view.get(key, ()) if may_be(schema, branch, value)
        ]
        waiting += [view[key] for key in ("then", "else") if key in view]
        if isinstance(value, dict):
            waiting += [inner for name, inner in view.get("dependentSchemas", {}).items() if name in value]
    return tuple(found)


def may_be(schema: RecordSchema, branch: Any, value: Any) -> bool:
    """Return whether a branch may be the one that a value follows: by types, constants and required properties."""
    if not isinstance(branch, Mapping):
        return False
    view = schema.deref(branch)
    if not fits_type(view, value) or not fits_values(view, value):
        return False
    if isinstance(value, dict):
        inner = view.get("properties", {})
        return all(name in value for name in view.get("required", ())) and all(
            fits_values(schema.deref(inner[name]), item) for name, item in value.items() if name in inner
        )
    return True


def fits_type(view: View, value: Any) -> bool:
    """Return whether a value has a type that the subschema names."""
    kinds = types_of(view)
    if isinstance(value, bool):
        return not kinds or "boolean" in kinds
    return not kinds or any(isinstance(value, TYPES[kind]) for kind in kinds if kind in TYPES and kind != "boolean")


def fits_values(view: View, value: Any) -> bool:
    """Return whether a value is among those that the subschema lists."""
    listed = [view["const"]] if "const" in view else view.get("enum")
    return listed is None or any(same(item, value) for item in listed)


def subschemas(part: Any) -> Iterator[View]:
    """Yield every subschema of a document."""
    if isinstance(part, list):
        for item in part:
            yield from subschemas(item)
    if not isinstance(part, Mapping):
        return
    yield part
    for key, value in part.items():
        if key in SUBSCHEMA_MAPS and isinstance(value, Mapping):
            for inner in value.values():
                yield from subschemas(inner)
        elif key not in VALUES:
            yield from subschemas(value)
