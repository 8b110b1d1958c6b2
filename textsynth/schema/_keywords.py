"""The keywords of JSON Schema: which type each is about, and which say nothing about a value."""

from __future__ import annotations

ANNOTATIONS = frozenset(
    {"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$comment", "$schema", "$id"}
    | {"$anchor", "$defs", "definitions", "contentEncoding", "contentMediaType", "contentSchema", "$vocabulary"}
)
NUMERIC = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
BY_TYPE = {
    "object": ("properties", "required", "additionalProperties", "patternProperties", "propertyNames", "minProperties",
               "maxProperties", "dependentRequired", "dependentSchemas", "unevaluatedProperties"),
    "array": ("items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains", "minContains", "maxContains",
              "unevaluatedItems"),
    "string": ("minLength", "maxLength", "pattern", "format"),
    "integer": NUMERIC,
    "number": NUMERIC,
    "boolean": (),
    "null": (),
}  # fmt: skip
ABOUT = {key: kind for kind, keys in reversed(BY_TYPE.items()) for key in keys}
GENERAL = ("type", "enum", "const", "anyOf", "oneOf", "allOf", "not", "if", "then", "else", "$ref")
KEYWORDS = frozenset({*ABOUT, *GENERAL})

BOTH, CLOSED = "$both", "$closed"
OWN = frozenset({BOTH, CLOSED})
"""Keywords of ours inside a rewriting, of which nothing is reported: like ``allOf``, and "no properties but these"."""
