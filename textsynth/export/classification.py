"""Texts with their class: the form classifiers are trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from textsynth.errors import ExportError
from textsynth.export import Form, Layout, Shape, require
from textsynth.export._encode import label_text
from textsynth.export._template import field_or_text, kept, pick, used
from textsynth.records import Record
from textsynth.schema import RecordSchema

LABELS = {"string", "int64", "bool"}


@dataclass(kw_only=True)
class Classification(Form):
    """Two columns, ``text`` and ``label``; the label is a ``ClassLabel``.

    Its names are the values that the schema allows, in that order; if the schema leaves them open, those that occur,
    sorted. A record whose label is null keeps a null.

    Args:
        text: the name of a field, or a text with ``{field}`` in it.
        label: the name of a field of strings, integers or booleans.
        keep: fields of the record that become columns beside the two.
    """

    tasks = ("text-classification",)

    text: str = "text"
    label: str = "label"
    keep: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that the text can be read."""
        field_or_text(self.text, "text")

    def layout(self, schema: RecordSchema) -> Layout:
        """Return the two columns and those kept."""
        fields = self.fields(schema)
        text = used(self.text, "text", fields)
        made = {"text": Shape("string"), "label": label_shape(self.label, fields, schema)}
        columns = made | kept(self.keep, fields, made)

        def row(record: Record) -> Record:
            return {"text": text.render(record), "label": record.get(self.label)} | pick(record, self.keep)

        return Layout(columns, row)


def label_shape(name: str, fields: Mapping[str, Shape], schema: RecordSchema) -> Shape:
    """Return the label's column for the field ``name``.

    Raises:
        ExportError: there is no such field, or its values cannot be the names of classes.
    """
    require(fields, {"label": name})
    shape = fields[name]
    if shape.kind not in LABELS:
        what = shape.why or shape.kind
        raise ExportError(f"label: the field {name!r} must be a string, integer or boolean to be a class, got: {what}")
    if shape.kind == "bool":
        return Shape("label", names=("false", "true"))
    choices = schema.choices(name)
    if choices is None:
        return Shape("label")
    return Shape("label", names=tuple(dict.fromkeys(label_text(value) for value in choices if value is not None)))
