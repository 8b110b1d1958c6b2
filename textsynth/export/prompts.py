"""Prompts alone, with what reward functions need to judge an answer: for GRPO and other online training."""

from __future__ import annotations

from dataclasses import dataclass

from textsynth.export import Form, Layout
from textsynth.export._sides import Style, shapes, speaker, write_sides
from textsynth.export._template import TRAINERS, field_or_text, kept, parse, pick, prompt_of
from textsynth.records import Record
from textsynth.schema import RecordSchema

REWARDED = frozenset(
    {"prompts", "completions", "completion_ids", "trainer_state", "log_extra", "log_metric", "environments"}
)
"""What TRL's GRPOTrainer hands to reward functions itself, under these names."""


@dataclass(kw_only=True)
class Prompts(Form):
    """A column ``prompt`` (TRL's GRPOTrainer), and fields kept for reward functions, which get each by its name.

    Args:
        prompt: the name of a field, or a text with ``{field}`` in it; by default the field prompt, instruction (with its
            input, if there is some, below it), question, problem or input.
        style: ``text``, or ``chat`` for lists of messages; ``auto`` is ``chat`` where the field holds messages.
        system: in a chat, a first message with the role ``system``: a text, in which ``{field}`` may stand.
        keep: fields of the record that become columns beside it: the answer, the tests, whatever a reward needs.
    """

    tasks = ("text-generation",)

    prompt: str = ""
    style: Style = "auto"
    system: str = ""
    keep: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that the texts can be read."""
        field_or_text(self.prompt, "prompt")
        parse(self.system, "system")

    def layout(self, schema: RecordSchema) -> Layout:
        """Return the prompt and the columns kept."""
        fields = self.fields(schema)
        sides = speaker(self.style, self.system, fields).sides(prompt=prompt_of(self.prompt, fields))

        def row(record: Record) -> Record:
            return write_sides(sides, record) | pick(record, self.keep)

        return Layout(shapes(sides) | kept(self.keep, fields, sides, TRAINERS | REWARDED), row)
