"""The record as it is: one column per field."""

from __future__ import annotations

from dataclasses import dataclass

from textsynth.export import Form, Layout
from textsynth.schema import RecordSchema


@dataclass(kw_only=True)
class Records(Form):
    """One column per field of the record."""

    def layout(self, schema: RecordSchema) -> Layout:
        """Return the fields as they are."""
        return Layout(self.fields(schema), row=lambda record: record)
