"""Strings: lengths, and patterns and formats as plain patterns of bounded length."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import TYPE_CHECKING, Any

from textsynth.schema._decoding import Impossible, Schema
from textsynth.schema._fit import fit, length, without
from textsynth.schema._formats import CHECKED_ONLY, PATTERNS
from textsynth.schema._regex import Node, read, write

if TYPE_CHECKING:
    from textsynth.schema._rewrite import Rewriting


def string_schema(rewriting: Rewriting, flat: Mapping[str, Any], path: str) -> Schema:
    """Return the plain form of a string."""
    low, high = flat.get("minLength", 0), flat.get("maxLength")
    if high is not None and low > high:
        raise Impossible(path, "minLength", f"minLength {low} is above maxLength {high}")
    node = shape(rewriting, flat, path)
    made: Schema = {"type": "string"}
    lengths = [key for key in ("minLength", "maxLength") if key in flat]
    if node is None:
        for key in lengths:
            made[key] = flat[key]
            rewriting.notes.find(path, key, "enforced")
        if high is None:
            rewriting.room.add(made, path)
        return made
    return patterned(rewriting, made, node, flat, path)


def patterned(rewriting: Rewriting, made: Schema, node: Node, flat: Mapping[str, Any], path: str) -> Schema:
    """Return a string with a pattern that itself keeps to the lengths."""
    low, high = flat.get("minLength", 0), flat.get("maxLength", inf)
    own = length(node)
    if own.least > high or own.most < low:
        raise Impossible(path, "pattern", f"no text of it has {low} to {high} characters")
    fitted = node if high == inf and low <= own.least else fit(node, low, low + 256 if high == inf else high)
    for key in ("minLength", "maxLength"):
        if key in flat:
            note = "" if fitted else "cannot be combined with the pattern"
            rewriting.notes.find(path, key, "enforced" if fitted else "checked", note)
    node = fitted or node
    made["pattern"] = write(node, longest=rewriting.can.longest)
    if length(node).most == inf:
        rewriting.room.add(made, path, node, rewriting.can.longest)
    return made


def shape(rewriting: Rewriting, flat: Mapping[str, Any], path: str) -> Node | None:
    """Return what texts look like: by the pattern, else by the format, if that can be written."""
    node = None
    if "pattern" in flat:
        node = writable(rewriting, flat["pattern"])
        note = "" if node else "no regular expression that decoding can follow"
        rewriting.notes.find(path, "pattern", "enforced" if node else "checked", note)
    if "format" not in flat:
        return node
    name = flat["format"]
    if name not in PATTERNS and name not in CHECKED_ONLY:
        note = f"unknown format {name!r}: neither decoding nor the check afterwards looks at it"
        rewriting.notes.find(path, "format", "unsupported", note)
    elif node is not None or name in CHECKED_ONLY:
        rewriting.notes.find(path, "format", "checked", "decoding follows the pattern" if node else "")
    else:
        node = read(PATTERNS[name])
        rewriting.notes.find(path, "format", "enforced")
        rewriting.notes.bound(path, "format", f"a common form of {name}")
    return node


def writable(rewriting: Rewriting, pattern: str) -> Node | None:
    """Return the tree of a pattern without what the decoder cannot write; ``None`` if nothing is left."""
    node = read(pattern)
    return without(node, rewriting.can.unwritable) if node is not None and rewriting.can.unwritable else node
