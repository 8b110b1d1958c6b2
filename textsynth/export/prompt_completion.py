"""Pairs for fine-tuning: what is asked and what is to be answered."""

from __future__ import annotations

from dataclasses import dataclass

from textsynth.export import Form, Layout, Shape
from textsynth.export._template import field_or_text, kept, pair
from textsynth.records import Record
from textsynth.schema import RecordSchema


@dataclass(kw_only=True)
class PromptCompletion(Form):
    """Two columns of text, ``prompt`` and ``completion``.

    Args:
        prompt: the name of a field, or a text with ``{field}`` in it. Without options the fields must be named
            prompt and completion, instruction and response (or output), question and answer, or input and output.
        completion: likewise.
        keep: fields of the record that become columns beside the two.
    """

    prompt: str = ""
    completion: str = ""
    keep: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that both texts can be read."""
        field_or_text(self.prompt, "prompt")
        field_or_text(self.completion, "completion")

    def layout(self, schema: RecordSchema) -> Layout:
        """Return the two columns and those kept."""
        fields = self.fields(schema)
        prompt, completion = pair((self.prompt, self.completion), ("prompt", "completion"), fields)
        made = {"prompt": Shape("string"), "completion": Shape("string")}
        columns = made | kept(self.keep, fields, made)

        def row(record: Record) -> Record:
            others = {name: record[name] for name in self.keep if name in record}
            return {"prompt": prompt.render(record), "completion": completion.render(record), **others}

        return Layout(columns, row)
