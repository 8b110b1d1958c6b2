"""YAML as people mean it, and plain data back to YAML."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from typing import Any

import yaml


def plain(value: Any) -> Any:
    """Return ``value`` in the types that YAML writes; keys keep their types."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def to_yaml(data: Mapping[str, Any]) -> str:
    """Write plain data as YAML, in its own order."""
    return yaml.safe_dump(dict(data), sort_keys=False, allow_unicode=True, width=100)


class StrictLoader(yaml.SafeLoader):
    """YAML as people mean it: a key that stands twice is an error, dates stay text, and ``no`` is a word."""


def unique_mapping(loader: StrictLoader, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
    """Build a mapping and refuse a key that stands twice."""
    found: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, Hashable):
            wrong = "a key must be a word or a number (text that begins with { or [ needs quotes, or | before it)"
            raise yaml.constructor.ConstructorError(None, None, wrong, key_node.start_mark)
        if key in found:
            raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", key_node.start_mark)
        found[key] = loader.construct_object(value_node, deep=True)
    return found


StrictLoader.add_constructor("tag:yaml.org,2002:map", unique_mapping)
LOOSE_TAGS = {"tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:bool"}
StrictLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in LOOSE_TAGS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
