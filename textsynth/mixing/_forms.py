"""How rows of different sources become rows of one form, and which form suits them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from textsynth.errors import RecipeError
from textsynth.export._template import PAIRS
from textsynth.mixing._sources import Opened
from textsynth.mixing._spec import FORMS, LINEAGE
from textsynth.records import Record

Arranged = Record | str
"""A row in the form, or why it cannot be brought to it."""
SHAREGPT = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}


@dataclass(frozen=True, slots=True)
class Arrangement:
    """A form: its name, and what brings a row to it."""

    name: str
    arrange: Callable[[Mapping[str, Any]], Arranged]

    @staticmethod
    def compared(record: Record) -> Record:
        """Return what of a record is compared with others: of conversations what is said in them, but not what the system
        says, since that is often the same in all of them.
        """
        if not is_chat(record.get("messages")):
            return record
        turns = [turn for turn in record["messages"] if turn["role"] != "system"]
        return {"messages": [[turn.get("content"), turn.get("tool_calls")] for turn in turns]}


def agree_on(form: str | Sequence[str], sources: Sequence[Opened]) -> Arrangement:
    """Return the form asked for, or the first one that the first row of every source can be brought to.

    Raises:
        RecipeError: a source that does not fit, by name, with its columns.
    """
    firsts = {source.name: source.first() for source in sources}
    if form == "auto":
        found = next((a for a in map(arrangement, FORMS[1:]) if fits_all(a, firsts)), None)
        found = found or common_columns(firsts)
        if found is not None:
            return found
        raise mismatch("auto", {name: "no form and no column that all sources share" for name in firsts}, firsts)
    chosen = arrangement(form)
    wrong = {name: why for name, row in firsts.items() if isinstance(why := chosen.arrange(row), str)}
    if wrong:
        raise mismatch(chosen.name, wrong, firsts)
    return chosen


def mismatch(form: str, wrong: Mapping[str, str], firsts: Mapping[str, Record]) -> RecipeError:
    """Word the error for sources that cannot be brought to a form."""
    lines = [f"sources.{name}: {why}; its columns: {', '.join(firsts[name])}" for name, why in wrong.items()]
    hint = f"form {form}: map columns with columns: {{NAME: COLUMN}}, or name another form: messages, prompt_completion, text, or a list of columns"
    return RecipeError(lines, hint=hint)


def fits_all(arranging: Arrangement, firsts: Mapping[str, Record]) -> bool:
    """Whether every source's first row fits."""
    return all(not isinstance(arranging.arrange(row), str) for row in firsts.values())


def common_columns(firsts: Mapping[str, Record]) -> Arrangement | None:
    """Return the arrangement of the columns that all sources have; ``None`` if there are none."""
    first, *others = firsts.values()
    names = [name for name in first if name != LINEAGE and all(name in other for other in others)]
    return arrangement(names) if names else None


def arrangement(form: str | Sequence[str]) -> Arrangement:
    """Return what brings rows to a form."""
    named = {"messages": to_messages, "prompt_completion": to_pair, "text": to_text}
    if isinstance(form, str):
        return Arrangement(form, named[form])
    names = tuple(form)

    def to_columns(row: Mapping[str, Any]) -> Arranged:
        lost = [name for name in names if name not in row]
        return f"it has no column {lost[0]!r}" if lost else {name: row[name] for name in names}

    return Arrangement(f"columns {', '.join(names)}", to_columns)


def to_messages(row: Mapping[str, Any]) -> Arranged:
    """Return a row as ``messages`` (and ``tools``, if there are some): its own, a ShareGPT conversation, or one exchange."""
    tools = {"tools": row["tools"]} if row.get("tools") else {}
    if "messages" in row:
        found = row["messages"]
        return {"messages": found} | tools if is_chat(found) else "messages is no list of objects with a role"
    if "conversations" in row:
        return sharegpt(row["conversations"])
    pair = pair_of(row)
    if isinstance(pair, str):
        return pair
    system = row.get("system")
    head = [{"role": "system", "content": system}] if isinstance(system, str) and system else []
    prompt, completion = (as_turns(pair[0], "user"), as_turns(pair[1], "assistant"))
    return {"messages": [*head, *prompt, *completion]} | tools


def as_turns(value: Any, role: str) -> list[Any]:
    """Return a text as one message; messages as they are."""
    return list(value) if isinstance(value, list) else [{"role": role, "content": value}]


def is_chat(value: Any) -> bool:
    """Whether a value is a list of messages that is not empty."""
    return isinstance(value, list) and bool(value) and all(isinstance(m, Mapping) and m.get("role") for m in value)


def sharegpt(turns: Any) -> Arranged:
    """Return a conversation in the form of ShareGPT as messages."""
    if not isinstance(turns, list) or not turns or not all(isinstance(turn, Mapping) for turn in turns):
        return "conversations is no list of turns"
    roles = [SHAREGPT.get(str(turn.get("from"))) for turn in turns]
    if None in roles or not all(isinstance(turn.get("value"), str) for turn in turns):
        return "conversations has a turn without a known from and a value"
    return {"messages": [{"role": role, "content": t["value"]} for role, t in zip(roles, turns, strict=True)]}


def pair_of(row: Mapping[str, Any]) -> tuple[Any, Any] | str:
    """Return what is asked and what is answered, under any of the usual names, or why there is no such thing."""
    for first, second in PAIRS:
        if first in row and second in row:
            asked, answered = row[first], row[second]
            if all((isinstance(v, str) and v.strip()) or is_chat(v) for v in (asked, answered)):
                return with_input(row, first, asked), answered
            return f"{first} or {second} is empty or neither text nor messages"
    known = ", ".join(" and ".join(names) for names in PAIRS)
    return f"it has neither messages nor conversations nor a pair of columns ({known})"


def with_input(row: Mapping[str, Any], name: str, asked: Any) -> Any:
    """Return an instruction with its ``input`` below it, as instruction corpora have them."""
    more = row.get("input")
    return f"{asked}\n\n{more}" if name == "instruction" and isinstance(more, str) and more.strip() else asked


def to_pair(row: Mapping[str, Any]) -> Arranged:
    """Return a row as two texts; of messages, those that are one question and one answer."""
    if is_chat(row.get("messages")):
        turns = row["messages"]
        if [turn.get("role") for turn in turns] != ["user", "assistant"]:
            return "messages holds more than one question and one answer"
        texts = tuple(turn.get("content") for turn in turns)
        pair: tuple[Any, Any] | str = (texts[0], texts[1])
    else:
        pair = pair_of(row)
    if isinstance(pair, str):
        return pair
    if not all(isinstance(value, str) for value in pair):
        return "prompt and completion are not both text"
    return {"prompt": pair[0], "completion": pair[1]}


def to_text(row: Mapping[str, Any]) -> Arranged:
    """Return a row as one text."""
    text = row.get("text")
    return {"text": text} if isinstance(text, str) and text.strip() else "it has no text in a column text"
