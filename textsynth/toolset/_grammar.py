"""What decoding is held to where tools are in play: the assistant's turn, and each tool's result."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from textsynth.errors import SchemaError
from textsynth.schema import Backend, RecordSchema, constrain
from textsynth.toolset._tool import Toolset

STRICTEST: Backend = "xgrammar"
"""The backend whose form of a schema the others take as well."""
DEFINED = "#/$defs/"


@dataclass(frozen=True)
class Grammar:
    """Decoding schemas as text: ``turn`` says or calls, ``say`` only says, ``call`` only calls, ``results`` by tool name."""

    turn: str
    say: str
    call: str
    results: Mapping[str, str]

    @classmethod
    def of(cls, toolset: Toolset, *, letters: int, parallel: int, tokens: int) -> Grammar:
        """Build the schemas of one toolset, once.

        Args:
            letters: most characters of what is said.
            parallel: most calls in one turn.
            tokens: most tokens of a turn's calls, and of one result; strings without a bound get theirs from it.

        Raises:
            SchemaError: arguments or a result of which no value can be written, with tool, path and keyword.
        """
        definitions: dict[str, Any] = {}
        room = max(32, tokens // parallel)
        calls = []
        for number, tool in enumerate(toolset):
            arguments = plain(tool.parameters, room, f"tool {tool.name}: parameters", f"t{number}_", definitions)
            calls.append(closed({"name": {"const": tool.name}, "arguments": arguments}))
        call = calls[0] if len(calls) == 1 else {"anyOf": calls}
        say = closed({"say": {"type": "string", "minLength": 1, "maxLength": letters}})
        called = closed({"calls": {"type": "array", "items": call, "minItems": 1, "maxItems": parallel}})
        return cls(
            turn=compact(with_definitions({"anyOf": [say, called]}, definitions)),
            say=compact(say),
            call=compact(with_definitions(called, definitions)),
            results={tool.name: result_text(tool.name, tool.result, tokens) for tool in toolset if tool.result},
        )


def result_text(name: str, schema: RecordSchema, tokens: int) -> str:
    """Return the decoding schema of one tool's result, which may be any value: it is wrapped."""
    definitions: dict[str, Any] = {}
    made = plain(schema, tokens, f"tool {name}: result", "", definitions)
    return compact(with_definitions(closed({"result": made}), definitions))


def plain(schema: RecordSchema, tokens: int, place: str, prefix: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the decoding form of a schema; what it refers to goes to ``definitions`` under names with ``prefix``."""
    try:
        made = dict(constrain(schema, max_tokens=tokens, backend=STRICTEST).document)
    except SchemaError as error:
        raise SchemaError(f"{place}: {error.message.removeprefix('schema: ')}", hint=error.hint) from None
    for name, part in made.pop("$defs", {}).items():
        definitions[prefix + name] = renamed(part, prefix)
    found: dict[str, Any] = renamed(made, prefix)
    return found


def renamed(part: Any, prefix: str) -> Any:
    """Return a schema whose references point to definitions with a prefix."""
    if isinstance(part, list):
        return [renamed(item, prefix) for item in part]
    if not isinstance(part, dict):
        return part
    return {
        key: DEFINED + prefix + value.removeprefix(DEFINED)
        if key == "$ref" and isinstance(value, str) and value.startswith(DEFINED)
        else renamed(value, prefix)
        for key, value in part.items()
    }


def text_schema(letters: int, **before: Any) -> str:
    """Return the decoding schema of an object with the field ``text``, after the fields ``before``."""
    return compact(closed({**before, "text": {"type": "string", "minLength": 1, "maxLength": letters}}))


def closed(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of an object with exactly these properties."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def with_definitions(schema: dict[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema with its definitions, if there are any."""
    return schema | ({"$defs": dict(definitions)} if definitions else {})


def compact(schema: Mapping[str, Any]) -> str:
    """Return a schema as text."""
    return json.dumps(schema, ensure_ascii=False, separators=(",", ":"))
