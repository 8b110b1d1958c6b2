"""Asking the model for fields: one constrained request, and again for just those that failed."""

from __future__ import annotations

import json
from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from pydantic_core import from_json

from textsynth.methods import Setting
from textsynth.records import Candidate, Completion, Draw, Drop, Message, Record, Request

SEED_STEP = 7919
"""Added to the sampling seed per step, so that asking again does not give the same text again."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What could be read of a completion, and what is wrong with the text as a whole (empty: nothing)."""

    fields: Record
    problem: Drop | None


def parse(done: Completion) -> Parsed:
    """Read the JSON object in a completion; of one that was cut, the fields that are surely whole."""
    if done.finish_reason == "error":
        return Parsed({}, Drop("engine_error", done.error))
    try:
        value = msgspec.json.decode(done.text)
        if isinstance(value, dict):
            return Parsed(value, None)
        return Parsed({}, Drop("invalid_json", f"a JSON object was asked for, got {done.text[:60]!r}"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        cut = done.finish_reason == "length"
        reason = Drop("truncated", f"cut after {done.tokens} tokens") if cut else Drop("invalid_json", str(error))
        return Parsed(whole_fields(done.text), reason)


def whole_fields(text: str) -> Record:
    """Return the leading fields of a broken JSON object; the last one may be cut, so it is left out."""
    try:
        value = from_json(text, allow_partial="trailing-strings")
    except ValueError:
        return {}
    if not isinstance(value, dict) or not value:
        return {}
    value.popitem()
    return value


def write_fields(
    setting: Setting,
    draw: Draw,
    messages: tuple[Message, ...],
    *,
    step: int = 0,
    known: Mapping[str, Any] | None = None,
) -> Generator[Request, Completion, Candidate]:
    """Have the model write every free field that ``known`` lacks; ask again for those that fail, the rest held.

    Args:
        step: number of the first request in this draw.
        known: fields that are settled already, beside the drawn ones.
    """
    constants = setting.constants(draw)
    record: Record = {**(known or {}), **constants}
    free = [name for name in setting.free_fields if name not in record]
    missing = free
    failure: Drop | None = None
    for attempt in range(setting.repairs + 1 if missing else 0):
        fresh = attempt == 0 or len(missing) == len(free)
        asked = messages if fresh else ask_again(messages, record, missing, failure)
        done = yield Request(
            draw.index,
            step + attempt,
            asked,
            setting.decoding(frozenset(missing)),
            setting.sampling(draw).with_seed((draw.sampling_seed + SEED_STEP * (step + attempt)) % 2**31),
        )
        parsed = parse(done)
        record.update({n: setting.complete(n, value, draw) for n, value in parsed.fields.items() if n in missing})
        failure, missing = judge(setting, record, constants, parsed, free)
        if not missing:
            break
        for name in missing:
            record.pop(name, None)
        if failure is not None and failure.reason == "engine_error":
            break
    if missing:
        return Candidate(draw, None, failure)
    return Candidate(draw, {name: record[name] for name in setting.schema.properties if name in record})


def judge(
    setting: Setting, record: Record, constants: Record, parsed: Parsed, free: Sequence[str]
) -> tuple[Drop | None, list[str]]:
    """Return what is wrong with the record so far and which of the ``free`` fields must be written again."""
    if parsed.problem and parsed.problem.reason == "engine_error":
        return parsed.problem, list(free)
    problems = setting.schema.problems(record, constants)
    if parsed.problem is None and not problems:
        return None, []
    absent = [name for name in free if name not in record and name in setting.schema.required]
    failed = {p.field for p in problems}
    bad = list(free) if failed - set(free) else [name for name in free if name in failed or name in absent]
    if not problems and not bad:
        return None, []  # cut after its last required field: what is there is a valid record
    worst = problems[0]
    reason = parsed.problem or Drop("schema", f"{worst.field or 'record'}: {worst.message}")
    return reason, bad or list(free)


def ask_again(
    messages: tuple[Message, ...], record: Mapping[str, Any], missing: Collection[str], failure: Drop | None
) -> tuple[Message, ...]:
    """Return the same request, with what is settled and what was wrong added to its last message."""
    last = messages[-1]
    names = ", ".join(missing)
    text = (
        f"{last['content']}\n\nPart of the record is written already:\n{json.dumps(record, ensure_ascii=False)}\n"
        f"Write only what is missing: {names}."
    )
    if failure is not None and failure.reason == "schema":
        text += f" An earlier attempt was refused: {failure.detail}."
    return (*messages[:-1], {"role": last["role"], "content": text})
