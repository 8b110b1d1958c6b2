"""What the records of dialogues are, and figures over them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from textsynth.errors import SchemaError
from textsynth.records import Record
from textsynth.schema import RecordSchema
from textsynth.toolset import Tool

TEXT = {"type": "string", "minLength": 1}


def message_schema(roles: list[str], *, tools: bool) -> dict[str, Any]:
    """Return the schema of one message; with tools an assistant's may have calls in place of words."""
    properties: dict[str, Any] = {"role": {"enum": roles}, "content": dict(TEXT)}
    if tools:
        function = strict({"name": dict(TEXT), "arguments": {"type": "object"}})
        call = strict({"id": dict(TEXT), "type": {"const": "function"}, "function": function})
        properties |= {
            "content": {"type": "string"},
            "tool_calls": {"type": "array", "items": call, "minItems": 1},
            "tool_call_id": dict(TEXT),
            "name": dict(TEXT),
        }
    return strict(properties) | {"required": ["role", "content"]}


def strict(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of an object with exactly these properties."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def count_figures(records: Iterable[Record]) -> dict[str, Any]:
    """Return the figures of dialogues: messages, how they ended, calls, which tools, and whether arguments are valid."""
    count, messages, ended, calls, valid, refused = 0, 0, Counter[str](), Counter[str](), 0, 0
    known: dict[str, Tool | None] = {}
    for record in records:
        count += 1
        messages += len(record["messages"])
        ended.update([record["ended"]] if "ended" in record else [])
        refused += record.get("refused_calls", 0)
        declared = {item["function"]["name"]: item["function"] for item in record.get("tools", ())}
        for call in calls_of(record):
            calls[call["name"]] += 1
            valid += is_valid(call, declared, known)
    total = sum(calls.values())
    found: dict[str, Any] = {"messages per dialogue": round(messages / count, 2)} if count else {}
    if ended:
        found["ended by goal"] = round(ended["goal"] / count, 3)
    if total:
        found["calls per dialogue"] = round(total / count, 2)
        found["calls with valid arguments"] = round(valid / total, 3)
        found["calls valid at the first attempt"] = round(total / (total + refused), 3)
        found["calls by tool"] = dict(calls.most_common())
    return found


def calls_of(record: Record) -> Iterable[dict[str, Any]]:
    """Yield the functions that a record's messages call, with their arguments."""
    for message in record["messages"]:
        for call in message.get("tool_calls") or ():
            yield call["function"]


def is_valid(call: Mapping[str, Any], declared: Mapping[str, Any], known: dict[str, Tool | None]) -> bool:
    """Whether a call's arguments follow the schema that its record declares; ``known`` holds the tools seen before."""
    function = declared.get(call["name"])
    key = json.dumps(function, sort_keys=True)
    if key not in known:
        known[key] = read_declared(function)
    tool = known[key]
    return tool is not None and not tool.argument_problem(call["arguments"])


def read_declared(function: Mapping[str, Any] | None) -> Tool | None:
    """Return a record's declaration as a tool; ``None`` if it is none."""
    if function is None:
        return None
    try:
        return Tool(function["name"], function["description"], RecordSchema(function["parameters"]))
    except SchemaError:
        return None
