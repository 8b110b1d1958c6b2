"""One request writes one record, held to the schema; fields that fail are asked for again alone."""

from __future__ import annotations

from dataclasses import dataclass

from textsynth.methods import Method, Steps
from textsynth.methods._fields import write_fields
from textsynth.records import Draw


@dataclass
class Record(Method):
    """Records of your schema from a prompt, seeds and drawn attributes: one request writes one record. The default method."""

    default_prompt = "records/from_schema"

    def run(self, draw: Draw) -> Steps:
        """Ask for all free fields at once."""
        messages = self.setting.prompt(draw).render(self.setting.template_variables(draw))
        return (yield from write_fields(self.setting, draw, messages))
