"""References inside a document as plain pointers from its root: ``#/$defs/NAME``. Nothing is ever fetched.

``$id``, ``$anchor`` and relative addresses are resolved once, here; the rest of the package knows pointers alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote, urldefrag, urljoin

from textsynth.errors import SchemaError
from textsynth.schema._upgrade import SUBSCHEMA_MAPS, VALUES, is_draft_4, ref_stands_alone

Steps = tuple[str | int, ...]

METASCHEMAS = ("http://json-schema.org/", "https://json-schema.org/")
"""References to these are left as they are: the checker has them built in."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where every ``$id`` and anchor of a document stands."""

    root: Mapping[str, Any]
    resources: dict[str, Steps] = field(default_factory=dict)
    anchors: dict[tuple[str, str], Steps] = field(default_factory=dict)


def plain_references(document: Mapping[str, Any], *, place: str = "schema") -> dict[str, Any]:
    """Return the document with every reference as a pointer into what ``upgrade`` will make of it.

    Raises:
        SchemaError: a reference leads out of the document, or to nothing.
    """
    addresses = Addresses(document)
    addresses.resources[""] = ()
    collect(document, "", (), addresses)
    made: dict[str, Any] = relink(document, "", (), addresses, place)
    return made


def own_address(part: Mapping[str, Any], root: Mapping[str, Any]) -> str:
    """Return the ``$id`` of a subschema, if it has one that counts."""
    if "$ref" in part and ref_stands_alone(root):
        return ""
    found = part.get("id" if is_draft_4(root) else "$id")
    return found if isinstance(found, str) else ""


def collect(part: Any, base: str, steps: Steps, addresses: Addresses) -> None:
    """Note the addresses of a subschema and of everything in it."""
    if not isinstance(part, Mapping):
        for position, item in enumerate(part if isinstance(part, list) else ()):
            collect(item, base, (*steps, position), addresses)
        return
    own, fragment = urldefrag(own_address(part, addresses.root))
    if own:
        base = urljoin(base, own)
        addresses.resources.setdefault(base, steps)
    for name in (fragment, part.get("$anchor"), part.get("$dynamicAnchor")):
        if isinstance(name, str) and name:
            addresses.anchors.setdefault((base, name), steps)
    for place, inner in inside(part):
        collect(inner, base, (*steps, *place), addresses)


def inside(part: Mapping[str, Any]) -> Iterator[tuple[Steps, Any]]:
    """Yield everything in a subschema that may hold subschemas, with the steps to it."""
    for key, value in part.items():
        if key in SUBSCHEMA_MAPS and isinstance(value, Mapping):
            yield from (((key, name), inner) for name, inner in value.items())
        elif key not in VALUES:
            yield (key,), value


def relink(part: Any, base: str, steps: Steps, addresses: Addresses, place: str) -> Any:
    """Return a subschema with its references as pointers, and without the addresses that these replace."""
    if isinstance(part, list):
        return [relink(item, base, (*steps, i), addresses, place) for i, item in enumerate(part)]
    if not isinstance(part, Mapping):
        return part
    address = own_address(part, addresses.root)
    base = urljoin(base, urldefrag(address).url)
    dropped = {"$anchor", "$dynamicAnchor", "$recursiveAnchor"} | ({"$id", "id"} if address else set())
    made: dict[str, Any] = {}
    for key, value in part.items():
        if key in {"$ref", "$dynamicRef", "$recursiveRef"} and isinstance(value, str):
            made["$ref"] = target(value, base, steps, addresses, place)
        elif key in SUBSCHEMA_MAPS and isinstance(value, Mapping):
            made[key] = {n: relink(inner, base, (*steps, key, n), addresses, place) for n, inner in value.items()}
        elif key not in dropped:
            made[key] = value if key in VALUES else relink(value, base, (*steps, key), addresses, place)
    return made


def target(reference: str, base: str, steps: Steps, addresses: Addresses, place: str) -> str:
    """Return what a reference stands for as a pointer from the root."""
    url, fragment = urldefrag(urljoin(base, reference))
    where = f"{place}: keyword $ref at {json_path(steps)}: {reference!r}"
    if url not in addresses.resources:
        if url.startswith(METASCHEMAS):
            return urljoin(base, reference)
        raise SchemaError(
            f"{where} is outside the document, and nothing is fetched", hint="copy what it points to into $defs"
        )
    start = addresses.resources[url]
    if fragment and not fragment.startswith("/"):
        if (url, fragment) not in addresses.anchors:
            raise SchemaError(f"{where} points to no $anchor of the document")
        found = addresses.anchors[url, fragment]
    else:
        found = (*start, *(unescaped(step) for step in fragment.split("/")[1:]))
    moved = after_upgrade(addresses.root, found)
    if moved is None:
        raise SchemaError(f"{where} points to nothing")
    return "#" + "".join(f"/{escaped(str(step))}" for step in moved)


def after_upgrade(root: Any, steps: Steps) -> Steps | None:
    """Return where a place of the document will be once ``upgrade`` has renamed keywords; ``None`` if it isn't there."""
    made: list[str | int] = []
    part, is_name = root, False
    for step in steps:
        try:
            inner = part[int(step)] if isinstance(part, list) else part[step]
        except (KeyError, IndexError, ValueError, TypeError):
            return None
        renamed: str | int = step
        if isinstance(part, Mapping) and not is_name:
            if step in {"items", "additionalItems"} and isinstance(part.get("items"), list):
                renamed = "prefixItems" if step == "items" else "items"
            elif step == "dependencies":
                renamed = "dependentSchemas"
        is_name = not is_name and isinstance(part, Mapping) and step in SUBSCHEMA_MAPS
        made.append(renamed)
        part = inner
    return tuple(made)


def follow(root: Any, reference: str) -> Any:
    """Return what a plain reference stands for; of one to a meta-schema, a schema that allows everything."""
    if not reference.startswith("#"):
        return True
    found = root
    for step in reference.split("/")[1:]:
        name = unescaped(step)
        found = found[int(name)] if isinstance(found, list) else found[name]
    return found


def escaped(step: str) -> str:
    """Write one step of a JSON pointer in a URL fragment."""
    return quote(step.replace("~", "~0").replace("/", "~1"), safe="!$&'()*+,;=:@~._-")


def unescaped(step: str) -> str:
    """Read one step of a JSON pointer in a URL fragment."""
    return unquote(step).replace("~1", "/").replace("~0", "~")


def json_path(steps: Steps) -> str:
    """Return a place in a document as a JSON path."""
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
