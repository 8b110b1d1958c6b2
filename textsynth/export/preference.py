"""A prompt with a better and a worse answer: for DPO and for reward models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from textsynth.errors import ExportError
from textsynth.export import Form, Layout, Shape, require
from textsynth.export._sides import Style, shapes, speaker, write_sides
from textsynth.export._template import TRAINERS, field_or_text, kept, parse, pick, prompt_of, used
from textsynth.records import Record
from textsynth.schema import RecordSchema

MARGIN = "margin"


@dataclass(kw_only=True)
class Preference(Form):
    """Three columns, ``prompt``, ``chosen`` and ``rejected`` (TRL's DPOTrainer and RewardTrainer), and the ``margin``.

    Args:
        prompt: the name of a field, or a text with ``{field}`` in it; by default the field prompt, instruction (with its
            input, if there is some, below it), question, problem or input.
        chosen: the better answer, likewise.
        rejected: the worse answer, likewise.
        margin: a field of numbers that says how much better, for reward models; by default ``margin``, if there is one.
            A null becomes 0, which asks for no margin.
        style: ``text``, or ``chat`` for lists of messages; ``auto`` is ``chat`` where a field holds messages.
        system: in a chat, a first message of the prompt with the role ``system``; ``{field}`` may stand in it.
        keep: fields of the record that become columns beside these.
    """

    tasks = ("text-generation",)

    prompt: str = ""
    chosen: str = "chosen"
    rejected: str = "rejected"
    margin: str = ""
    style: Style = "auto"
    system: str = ""
    keep: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that the texts can be read."""
        for place in ("prompt", "chosen", "rejected"):
            field_or_text(getattr(self, place), place)
        parse(self.system, "system")

    def layout(self, schema: RecordSchema) -> Layout:
        """Return the columns of the pair, its margin, and those kept."""
        fields = self.fields(schema)
        sides = speaker(self.style, self.system, fields).sides(
            prompt=prompt_of(self.prompt, fields),
            chosen=used(self.chosen, "chosen", fields),
            rejected=used(self.rejected, "rejected", fields),
        )
        margin = self.margin or (MARGIN if is_number(fields.get(MARGIN)) else "")
        made = shapes(sides) | margin_column(margin, fields)

        def row(record: Record) -> Record:
            found = write_sides(sides, record) | pick(record, self.keep)
            return found | {MARGIN: record.get(margin) or 0.0} if margin else found

        return Layout(made | kept(self.keep, fields, made, TRAINERS), row)


def is_number(shape: Shape | None) -> bool:
    """Whether a column holds numbers."""
    return shape is not None and shape.kind in {"int64", "float64"}


def margin_column(name: str, fields: Mapping[str, Shape]) -> dict[str, Shape]:
    """Return the column of the margin, if there is one. Raises ``ExportError`` for a field that holds no numbers."""
    if not name:
        return {}
    require(fields, {"margin": name})
    if not is_number(fields[name]):
        raise ExportError(f"margin: the field {name!r} must hold numbers, got {fields[name].why or fields[name].kind}")
    return {MARGIN: Shape("float64")}
