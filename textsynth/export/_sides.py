"""The sides of an exchange, prompt and answers, as plain texts or as lists of messages; all sides of a row alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from textsynth.errors import ExportError
from textsynth.export._features import Shape
from textsynth.export._template import Template, parse, require_used
from textsynth.records import Record

Style = Literal["auto", "text", "chat"]
Role = Literal["user", "assistant"]
TEXT = Shape("string")
MESSAGES = Shape("list", items=Shape("struct", fields={"role": TEXT, "content": TEXT}))


@dataclass(frozen=True, slots=True)
class Side:
    """One column: its shape, and what writes its value from a record."""

    shape: Shape
    write: Callable[[Record], Any]


@dataclass(frozen=True, slots=True)
class Speaker:
    """What makes sides of one style.

    Args:
        style: ``chat`` makes lists of messages, ``text`` plain texts, ``auto`` lists where a field used holds one.
        system: a text for a first message of the prompt with the role ``system``; only in a chat.
    """

    style: Style
    system: str
    fields: Mapping[str, Shape]

    def sides(self, **templates: Template) -> dict[str, Side]:
        """Return the columns by name; ``prompt`` is what the user says, every other what the assistant does.

        Raises:
            ExportError: messages where plain text was asked for, or a system message in it.
        """
        lists = [name for name, template in templates.items() if self.holds_messages(template)]
        chat = self.style == "chat" or (self.style == "auto" and bool(lists or self.system))
        if not chat and (lists or self.system):
            what = f"{templates[lists[0]].sole_field!r} holds messages" if lists else "system is a message"
            raise ExportError(f"style: text was asked for, but {what}", hint="leave style out, or set style: chat")
        if not chat:
            return {name: Side(TEXT, template.render) for name, template in templates.items()}
        return {name: self._spoken(name, template) for name, template in templates.items()}

    def holds_messages(self, template: Template) -> bool:
        """Whether a template is a field that holds messages."""
        shape = self.fields.get(template.sole_field, TEXT)
        parts = shape.items.fields if shape.kind == "list" and shape.items is not None else {}
        return all(parts.get(name, MESSAGES).kind == "string" for name in ("role", "content"))

    def _spoken(self, name: str, template: Template) -> Side:
        """Return a column of messages: the field's own, or one made of the text."""
        own = self.holds_messages(template)
        role: Role = "user" if name == "prompt" else "assistant"
        system = parse(self.system, "system") if name == "prompt" and self.system else None

        def write(record: Record) -> list[Any]:
            said = [{"role": role, "content": template.render(record)}]
            turns: list[Any] = (record.get(template.sole_field) or []) if own else said
            has_one = any(turn and turn.get("role") == "system" for turn in turns[:1])
            before = [{"role": "system", "content": system.render(record)}] if system and not has_one else []
            return [*before, *turns]

        return Side(self.fields[template.sole_field] if own else MESSAGES, write)


def speaker(style: Style, system: str, fields: Mapping[str, Shape]) -> Speaker:
    """Return what makes sides. Raises ``ExportError`` for a field that does not exist in ``system``."""
    require_used(parse(system, "system"), "system", fields)
    return Speaker(style, system, fields)


def write_sides(sides: Mapping[str, Side], record: Record) -> Record:
    """Return the row of all sides."""
    return {name: side.write(record) for name, side in sides.items()}


def shapes(sides: Mapping[str, Side]) -> dict[str, Shape]:
    """Return the columns of all sides."""
    return {name: side.shape for name, side in sides.items()}
