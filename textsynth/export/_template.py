"""Texts made from the fields of a record: a field's name, or words with ``{field}`` in them. Nothing more than that."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from string import Formatter

from textsynth.errors import ExportError
from textsynth.export._encode import json_text
from textsynth.export._features import Shape
from textsynth.export._form import require
from textsynth.records import Record

PAIRS = (
    ("prompt", "completion"),
    ("instruction", "response"),
    ("instruction", "output"),
    ("question", "answer"),
    ("input", "output"),
)
"""Pairs of field names that are what they are called, and need no option."""


@dataclass(frozen=True, slots=True)
class Template:
    """Words and fields in turn. A text is itself, an absent or null field nothing, anything else its JSON."""

    pieces: tuple[tuple[str, str | None], ...]

    @property
    def fields(self) -> list[str]:
        """The names of the fields used."""
        return [name for _, name in self.pieces if name is not None]

    @property
    def sole_field(self) -> str:
        """The name of the field that is the whole text; empty if there are words or other fields."""
        return self.fields[0] if len(self.pieces) == 1 and self.pieces[0][0] == "" and self.fields else ""

    def render(self, record: Record) -> str:
        """Return the text for one record."""
        return "".join(words + ("" if name is None else as_text(record.get(name))) for words, name in self.pieces)


def parse(text: str, place: str) -> Template:
    """Read ``text`` as words with ``{field}`` in them; ``{{`` and ``}}`` stand for braces.

    Raises:
        ValueError: unbalanced braces, or anything but a name between them.
    """
    pieces = []
    try:
        for words, name, spec, conversion in Formatter().parse(text):
            if name == "" or spec or conversion:
                raise ValueError("only the name of a field can stand between braces")
            pieces.append((words, name))
    except ValueError as error:
        hint = "write {{ and }} for braces that are meant"
        raise ValueError(f"{place}: {text!r} is no text with {{field}} in it: {error} ({hint})") from None
    return Template(tuple(pieces))


def field_or_text(text: str, place: str) -> Template:
    """Read ``text`` as the name of a field if it has no braces, else as ``parse`` does."""
    return parse(text, place) if "{" in text or "}" in text else Template((("", text),))


def as_text(value: object) -> str:
    """Return a value as it stands in a text."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json_text(value)


def pair(chosen: tuple[str, str], places: tuple[str, str], fields: Collection[str]) -> tuple[Template, Template]:
    """Return the templates for two options, by default those of a pair of fields that are named so.

    Raises:
        ExportError: one option without the other, a field that does not exist, or no default that fits.
    """
    if not any(chosen):
        chosen = next((names for names in PAIRS if set(names) <= set(fields)), ("", ""))
    if not all(chosen):
        known = ", ".join(" and ".join(names) for names in PAIRS)
        raise ExportError(
            f"{places[0]}, {places[1]}: both must be given, got {chosen[0]!r} and {chosen[1]!r}; "
            f"fields of the record: {', '.join(fields)}",
            hint=f"name two fields, or write texts with {{field}} in them; no option is needed for {known}",
        )
    first, second = (field_or_text(text, place) for text, place in zip(chosen, places, strict=True))
    require_used(first, places[0], fields)
    require_used(second, places[1], fields)
    return first, second


def require_used(template: Template, place: str, fields: Collection[str]) -> None:
    """Raise ``ExportError`` unless every field that a template uses exists."""
    for name in template.fields:
        require(fields, {place: name})


def kept(keep: tuple[str, ...], fields: Mapping[str, Shape], made: Collection[str]) -> dict[str, Shape]:
    """Return the columns of the fields that are carried along beside the columns ``made`` by the form.

    Raises:
        ExportError: a field that does not exist, or one whose name a made column has.
    """
    require(fields, {f"keep[{i}]": name for i, name in enumerate(keep)})
    for i, name in enumerate(keep):
        if name in made:
            raise ExportError(f"keep[{i}]: {name!r} is already the name of a column that this form makes")
    return {name: fields[name] for name in keep}
