"""Writing one text by a constrained request, and the schema of the methods that write texts."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterable, Mapping
from pathlib import Path
from typing import Any

from textsynth.methods import Setting
from textsynth.methods._fields import SEED_STEP, parse
from textsynth.records import Completion, Draw, Drop, Message, Request
from textsynth.schema import RecordSchema, load

REFUSAL = re.compile(
    r"\A\W*(?:i'm |i am )?(?:very |so )?sorry\b|\bas an ai\b|\A\W*i (?:can't|cannot|am unable)", re.IGNORECASE
)
"""How a model begins that does not do what it was asked."""

TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
CUT = "raise the greatest length of the text in the schema, or ask for shorter ones"
"""The advice for the drop reason ``cut_text``."""
_ENDS = ".!?…:;)]\"'”’»。！？"


def with_fields(given: RecordSchema | None, fields: Mapping[str, Mapping[str, Any]]) -> RecordSchema:
    """Return the recipe's schema with ``fields`` before its own, all required; of those it has, its own words stand."""
    document: dict[str, Any] = given.document if given else {"type": "object", "additionalProperties": False}
    theirs = document.get("properties", {})
    properties = {name: theirs.get(name, part) for name, part in fields.items()} | theirs
    required = dict.fromkeys([*fields, *document.get("required", [])])
    return load(document | {"properties": properties, "required": list(required)}, folder=Path(), place="schema")


def without_fields(schema: RecordSchema, names: set[str]) -> RecordSchema:
    """Return the schema without some of its top-level fields."""
    document = schema.document
    properties = {name: part for name, part in document.get("properties", {}).items() if name not in names}
    required = [name for name in document.get("required", []) if name not in names]
    return load(document | {"properties": properties, "required": required}, folder=Path(), place="schema")


def cut(setting: Setting, texts: Mapping[str, Any], together: Iterable[str]) -> Drop | None:
    """Return which text the decoder ended in the middle of a sentence, because it reached its greatest length.

    Args:
        together: the fields that one request asked for; their lengths are bounded together.
    """
    asked = json.loads(setting.decoding(frozenset(together))).get("properties", {})
    for name, text in texts.items():
        most = asked.get(name, {}).get("maxLength")
        if most and isinstance(text, str) and len(text) >= most and text.rstrip()[-1:] not in _ENDS:
            return Drop("cut_text", f"{name} reached {most} characters and ends ...{text[-40:]!r}")
    return None


def ask_text(
    setting: Setting, draw: Draw, step: int, messages: tuple[Message, ...], name: str
) -> Generator[Request, Completion, str | Drop]:
    """Have the model write the text field ``name`` by itself; return it, or why there is none."""
    done = yield Request(
        draw.index,
        step,
        messages,
        setting.decoding(frozenset({name})),
        setting.sampling(draw).with_seed((draw.sampling_seed + SEED_STEP * step) % 2**31),
    )
    parsed = parse(done)
    value = parsed.fields.get(name)
    if not isinstance(value, str) or not value.strip():
        return parsed.problem or Drop("schema", f"{name}: a text was asked for, got {done.text[:60]!r}")
    if wrong := cut(setting, {name: value}, [name]):
        return wrong
    text = value.strip()
    if problems := setting.schema.field_problems(name, text):
        return Drop("schema", f"{name}: {problems[0].message}")
    return text
