"""One text a row: for training on whole documents (language modelling)."""

from __future__ import annotations

from dataclasses import dataclass

from textsynth.export import Form, Layout, Shape
from textsynth.export._template import TRAINERS, field_or_text, kept, pick, used
from textsynth.records import Record
from textsynth.schema import RecordSchema


@dataclass(kw_only=True)
class Text(Form):
    """A column ``text``: every word of it is learnt (TRL's SFTTrainer, and whatever else reads plain texts).

    Args:
        text: the name of a field, or a text with ``{field}`` in it.
        keep: fields of the record that become columns beside it.
    """

    tasks = ("text-generation",)

    text: str = "text"
    keep: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that the text can be read."""
        field_or_text(self.text, "text")

    def layout(self, schema: RecordSchema) -> Layout:
        """Return the text and the columns kept."""
        fields = self.fields(schema)
        text = used(self.text, "text", fields)
        made = {"text": Shape("string")}

        def row(record: Record) -> Record:
            return {"text": text.render(record)} | pick(record, self.keep)

        return Layout(made | kept(self.keep, fields, made, TRAINERS), row)
