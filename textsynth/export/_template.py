"""Texts made from the fields of a record: a field's name, or words with ``{field}`` in them. Nothing more than that."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
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
    ("problem", "solution"),
    ("input", "output"),
)
"""Pairs of field names that are what they are called, and need no option."""
PROMPTS = tuple(dict.fromkeys(prompt for prompt, _ in PAIRS))
MATERIAL = ("instruction", "input")
"""A field that asks, and the one with what it asks about, which stands below it where there is some."""
TRAINERS = frozenset(
    {"prompt", "completion", "chosen", "rejected", "messages", "conversations", "text", "images", "image", "input_ids"}
)
"""Columns by which TRL tells kinds of datasets apart; of several it takes any one, so a form has no more than its own."""


@dataclass(frozen=True, slots=True)
class Template:
    """Words and fields in turn. A text is itself, an absent or null field nothing, anything else its JSON.

    ``below`` names a field that follows after an empty line, where it is not empty.
    """

    pieces: tuple[tuple[str, str | None], ...]
    below: str = ""

    @property
    def fields(self) -> list[str]:
        """The names of the fields used."""
        return [name for _, name in self.pieces if name is not None] + ([self.below] if self.below else [])

    @property
    def sole_field(self) -> str:
        """The name of the field that is the whole text; empty if there are words or other fields."""
        whole = len(self.pieces) == 1 and self.pieces[0][0] == "" and len(self.fields) == 1
        return self.fields[0] if whole else ""

    def render(self, record: Record) -> str:
        """Return the text for one record."""
        text = "".join(words + ("" if name is None else as_text(record.get(name))) for words, name in self.pieces)
        more = as_text(record.get(self.below)) if self.below else ""
        return f"{text}\n\n{more}" if more.strip() else text


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
    named = any(chosen)
    if not named:
        chosen = next((names for names in PAIRS if set(names) <= set(fields)), ("", ""))
    if not all(chosen):
        known = ", ".join(" and ".join(names) for names in PAIRS)
        raise ExportError(
            f"{places[0]}, {places[1]}: both must be given, got {chosen[0]!r} and {chosen[1]!r}; "
            f"fields of the record: {', '.join(fields)}",
            hint=f"name two fields, or write texts with {{field}} in them; no option is needed for {known}",
        )
    return asking(chosen[0], places[0], fields, named=named), used(chosen[1], places[1], fields)


def prompt_of(chosen: str, fields: Collection[str]) -> Template:
    """Return the template of the option ``prompt``, by default the field that asks for something.

    Raises:
        ExportError: a field that does not exist, or no default that fits.
    """
    name = chosen or next((name for name in PROMPTS if name in fields), "")
    if not name:
        raise ExportError(
            f"prompt: it must be given; fields of the record: {', '.join(fields)}",
            hint=f"name a field, or write a text with {{field}} in it; no option is needed for {', '.join(PROMPTS)}",
        )
    return asking(name, "prompt", fields, named=bool(chosen))


def asking(text: str, place: str, fields: Collection[str], *, named: bool) -> Template:
    """Return the template of what is asked; where nobody named it, an instruction takes its input along."""
    found = used(text, place, fields)
    takes_input = not named and text == MATERIAL[0] and MATERIAL[1] in fields
    return replace(found, below=MATERIAL[1]) if takes_input else found


def used(text: str, place: str, fields: Collection[str]) -> Template:
    """Read the value of an option as a template of fields that exist. Raises ``ExportError`` for one that does not."""
    found = field_or_text(text, place)
    require_used(found, place, fields)
    return found


def require_used(template: Template, place: str, fields: Collection[str]) -> None:
    """Raise ``ExportError`` unless every field that a template uses exists."""
    for name in template.fields:
        require(fields, {place: name})


def kept(
    keep: tuple[str, ...], fields: Mapping[str, Shape], made: Collection[str], taken: Collection[str] = ()
) -> dict[str, Shape]:
    """Return the columns of the fields that are carried along beside the columns ``made`` by the form.

    Args:
        taken: names that mean something else to those who read the form.

    Raises:
        ExportError: a field that does not exist, or one whose name a made column has, or is taken.
    """
    require(fields, {f"keep[{i}]": name for i, name in enumerate(keep)})
    for i, name in enumerate(keep):
        if name in made:
            raise ExportError(f"keep[{i}]: {name!r} is already the name of a column that this form makes")
        if name in taken:
            raise ExportError(f"keep[{i}]: trainers would take a column {name!r} for something else: rename the field")
    return {name: fields[name] for name in keep}


def pick(record: Record, keep: tuple[str, ...]) -> Record:
    """Return the fields of a record that are carried along."""
    return {name: record[name] for name in keep if name in record}
