"""Pairs for fine-tuning: what is asked and what is to be answered."""

from __future__ import annotations

from dataclasses import dataclass

from textsynth.export import Form, Layout
from textsynth.export._sides import Style, shapes, speaker, write_sides
from textsynth.export._template import TRAINERS, field_or_text, kept, pair, parse, pick
from textsynth.records import Record
from textsynth.schema import RecordSchema


@dataclass(kw_only=True)
class PromptCompletion(Form):
    """Two columns, ``prompt`` and ``completion``: for fine-tuning on completions alone (TRL's SFTTrainer).

    Plain texts are joined by trainers with nothing between: end the prompt with a line break where one should stand, or
    use the chat style, whose parts the model's chat template keeps apart.

    Args:
        prompt: the name of a field, or a text with ``{field}`` in it. Without options the fields must be named
            prompt and completion, instruction and response (or output), question and answer, problem and solution, or
            input and output; an instruction then has its input, if there is some, below it.
        completion: likewise.
        style: ``text``, or ``chat`` for lists of messages; ``auto`` is ``chat`` where a field holds messages.
        system: in a chat, a first message with the role ``system``: a text, in which ``{field}`` may stand.
        keep: fields of the record that become columns beside the two.
    """

    tasks = ("text-generation",)

    prompt: str = ""
    completion: str = ""
    style: Style = "auto"
    system: str = ""
    keep: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that the texts can be read."""
        field_or_text(self.prompt, "prompt")
        field_or_text(self.completion, "completion")
        parse(self.system, "system")

    def layout(self, schema: RecordSchema) -> Layout:
        """Return the two columns and those kept."""
        fields = self.fields(schema)
        prompt, completion = pair((self.prompt, self.completion), ("prompt", "completion"), fields)
        sides = speaker(self.style, self.system, fields).sides(prompt=prompt, completion=completion)

        def row(record: Record) -> Record:
            return write_sides(sides, record) | pick(record, self.keep)

        return Layout(shapes(sides) | kept(self.keep, fields, sides, TRAINERS), row)
