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
TEXT = Shape("string")
MESSAGES = Shape("list", items=Shape("struct", fields={"role": TEXT, "content": TEXT}))


@dataclass(kw_only=True)
class Messages(Form):
    """A column ``messages``, and the other fields of the record as columns beside it.

    A record that has ``messages`` (the method dialogue makes them) keeps them as its schema declares them, whatever
    keys they have. Of any other, one exchange is made: what the user says and what the assistant answers.

    Args:
        user: the name of a field, or a text with ``{field}`` in it. Without options the fields must be named
            prompt and completion, instruction and response (or output), question and answer, or input and output.
        assistant: likewise.
        system: a first message with the role ``system``: a text, in which ``{field}`` may stand. A conversation that
            already begins with one keeps its own.
    """

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
        return self._given(fields) if COLUMN in fields else self._made(fields)

    def _given(self, fields: Mapping[str, Shape]) -> Layout:
        """Lay out records that have messages."""
        if self.user or self.assistant:
            raise ExportError(
                f"user, assistant: the record has the field {COLUMN!r}; got {self.user!r} and {self.assistant!r}",
                hint="leave them out, or rename the field",
            )
        require_messages(fields[COLUMN])
        system = parse(self.system, "system")

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
