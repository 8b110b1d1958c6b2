"""Which patterns and formats a decoder can follow: told by the regular expression itself and, for guidance, by llguidance."""

from __future__ import annotations

import importlib.util
import re
from functools import cache

import jsonschema_rs

WORD_EDGE = re.compile(r"\\[bB]")
ANCHORED = re.compile(r"\^.*\$", re.DOTALL)
EMPTY = ("Unsatisfiable schema", "Regex is empty")
"""How llguidance says that no text fits, as opposed to that it cannot tell."""
CHECKED_FORMATS = frozenset(
    {"idn-email", "idn-hostname", "uri-reference", "iri", "iri-reference", "uri-template", "json-pointer"}
    | {"relative-json-pointer", "regex"}
)


@cache
def is_regular(pattern: str) -> bool:
    """Return whether a pattern is a regular expression in the strict sense, which is what decoders can follow."""
    try:
        jsonschema_rs.validator_for({"pattern": pattern}, pattern_options=jsonschema_rs.RegexOptions())
    except (jsonschema_rs.ValidationError, ValueError):
        return False
    return WORD_EDGE.search(pattern) is None


@cache
def is_anchored(pattern: str) -> bool:
    """Return whether a pattern holds for the whole text: ``^`` and ``$`` around it, and no branch outside them."""
    if not ANCHORED.fullmatch(pattern):
        return False
    depth, escaped, in_class = 0, False, False
    for character in pattern[1:-1]:
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif in_class or character == "[":
            in_class = character != "]"
        elif character in "()":
            depth += 1 if character == "(" else -1
        elif character == "|" and depth == 0:
            return False
    return not escaped


@cache
def guidance_refusal(schema: str) -> str:
    """Return why llguidance does not compile a schema (JSON text); empty if it does, or where it is not installed."""
    if importlib.util.find_spec("llguidance") is None:
        return ""
    from llguidance import LLMatcher

    return str(LLMatcher.validate_grammar(LLMatcher.grammar_from_json_schema(schema)))
