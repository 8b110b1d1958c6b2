"""Conversations as chat templates take them: a list of messages, each with a role and content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from textsynth.errors import ExportError
from textsynth.export import Form, Layout, Shape
from textsynth.export._template import field_or_text, pair, parse, require_used
from textsynth.records import Record
from textsynth.schema import RecordSchema

COLUMN = "messages"
TOOLS = "tools"
TEXT = Shape("string")
MESSAGES = Shape("list", items=Shape("struct", fields={"role": TEXT, "content": TEXT}))
OBJECTS = Shape("list", items=Shape("object"))
CONFUSING = {
    "prompt": "TRL reads it in place of the messages",
    "completion": "TRL may read it in place of the messages",
    "chosen": "TRL may take the row for a preference pair",
    "rejected": "TRL may take the row for a preference pair",
    "conversations": "TRL reads it in place of the messages",
    "input_ids": "TRL takes the row for one that is tokenized already",
    "chat_template_kwargs": "TRL hands it to the chat template",
}
"""Columns that may not stand beside messages, and why."""


@dataclass(kw_only=True)
class Messages(Form):
    """A column ``messages``, and the other fields of the record as columns beside it.

    A record that has ``messages`` (the method dialogue makes them) keeps them as its schema declares them, whatever
    keys they have. Of any other, one exchange is made: what the user says and what the assistant answers.

    Messages with tool calls, and the ``tools`` beside them, are lists of objects with just the keys they have, as
    ``apply_chat_template`` and TRL take them (``datasets.Json``). It decodes floats by ujson, which changes the last
    digits of some: write such arguments as strings if every digit counts.

    Args:
        user: the name of a field, or a text with ``{field}`` in it. Without options the fields must be named
            prompt and completion, instruction and response (or output), question and answer, or input and output.
        assistant: likewise.
        system: a first message with the role ``system``: a text, in which ``{field}`` may stand. A conversation that
            already begins with one keeps its own.
    """

    tasks = ("text-generation",)

    user: str = ""
    assistant: str = ""
    system: str = ""

    def __post_init__(self) -> None:
        """Check that the texts can be read."""
        field_or_text(self.user, "user")
        field_or_text(self.assistant, "assistant")
        parse(self.system, "system")

    def layout(self, schema: RecordSchema) -> Layout:
        """Return the messages and the fields that are not in them."""
        fields = self.fields(schema)
        require_used(parse(self.system, "system"), "system", fields)
        layout = self._given(fields) if COLUMN in fields else self._made(fields)
        refuse_confusing(layout.columns)
        return layout

    def _given(self, fields: Mapping[str, Shape]) -> Layout:
        """Lay out records that have messages."""
        if self.user or self.assistant:
            raise ExportError(
                f"user, assistant: the record has the field {COLUMN!r}; got {self.user!r} and {self.assistant!r}",
                hint="leave them out, or rename the field",
            )
        require_messages(fields[COLUMN])
        system = parse(self.system, "system")
        if has_calls(fields[COLUMN]):
            objects = {name: OBJECTS for name in (COLUMN, TOOLS) if name in fields}
            fields = {**fields, **objects}

        def row(record: Record) -> Record:
            messages = record.get(COLUMN) or []
            if any(message and message.get("role") == "system" for message in messages[:1]):
                return record
            return {**record, COLUMN: [{"role": "system", "content": system.render(record)}, *messages]}

        return Layout(fields, row if self.system else lambda record: record)

    def _made(self, fields: Mapping[str, Shape]) -> Layout:
        """Lay out records of which one exchange is made. A text that is a whole message is no column as well."""
        user, assistant = pair((self.user, self.assistant), ("user", "assistant"), fields)
        system = parse(self.system, "system")
        turns = [*([("system", system)] if self.system else []), ("user", user), ("assistant", assistant)]
        gone = {text.sole_field for text in (user, assistant) if fields.get(text.sole_field, MESSAGES).kind == "string"}
        others = {name: shape for name, shape in fields.items() if name not in gone}

        def row(record: Record) -> Record:
            messages = [{"role": role, "content": text.render(record)} for role, text in turns]
            return {COLUMN: messages, **{name: value for name, value in record.items() if name not in gone}}

        return Layout({COLUMN: MESSAGES} | others, row)


def require_messages(shape: Shape) -> None:
    """Raise ``ExportError`` unless a column holds a list of objects with a role and content."""
    fields = shape.items.fields if shape.items is not None else {}
    if any(fields.get(name, MESSAGES).kind != "string" for name in ("role", "content")):
        what = shape.why or f"a {shape.kind}"
        raise ExportError(
            f"{COLUMN}: it must be a list of objects with the strings role and content, got {what}",
            hint="rename the field, or export in the form records",
        )


def has_calls(shape: Shape) -> bool:
    """Whether the messages of a column may call tools."""
    return shape.items is not None and "tool_calls" in shape.items.fields


def refuse_confusing(columns: Mapping[str, Shape]) -> None:
    """Raise ``ExportError`` if a column beside the messages has a name that trainers read in another way."""
    for name, shape in columns.items():
        why = CONFUSING.get(name, "")
        if name == TOOLS and shape.kind not in {"list", "json"}:
            why = f"TRL wants a list of tools there, and it is a {shape.kind}"
        if why:
            raise ExportError(
                f"{name}: a column of this name cannot stand beside {COLUMN!r}: {why}",
                hint="rename the field, name it in user or assistant, or export in the form records",
            )
