"""Methods turn a draw into requests and the completions into a candidate; each file is one method.

``run`` is a generator: it yields a ``Request``, is sent its ``Completion``, and returns the ``Candidate``. Thousands of
them advance independently, one request at a time each. Given the same completions a method must do the same again:
that is how a run resumes in the middle of a dialogue and how ``why`` shows prompts that are stored nowhere.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any

from textsynth.prompts import Prompt
from textsynth.records import Candidate, Completion, Draw, Request, Sampling
from textsynth.schema import RecordSchema

Steps = Generator[Request, Completion, Candidate]


@dataclass(frozen=True)
class Setting:
    """What a method knows of the run.

    ``decoding`` returns the schema text that holds the decoder to the named top-level fields; it is computed once per set
    of names. ``attributes`` are the names drawn before generation. ``repairs`` is how often one draw may ask again.
    """

    schema: RecordSchema
    decoding: Callable[[frozenset[str]], str]
    attributes: tuple[str, ...]
    prompt: Prompt
    variables: Mapping[str, Any]
    sampling: Sampling
    repairs: int
    load_prompt: Callable[[str], Prompt]

    @property
    def free_fields(self) -> tuple[str, ...]:
        """The top-level fields that the model writes: those that are not drawn."""
        return tuple(name for name in self.schema.properties if name not in self.attributes)

    def constants(self, draw: Draw) -> dict[str, Any]:
        """Return the drawn values that are fields of the record."""
        return {name: value for name, value in draw.attributes.items() if name in self.schema.properties}

    def template_variables(self, draw: Draw) -> dict[str, Any]:
        """Return what every template may use; see ``STANDARD_VARIABLES``."""
        return {
            **self.variables,
            **draw.attributes,
            "index": draw.index,
            "attributes": draw.attributes,
            "seeds": [seed.row for seed in draw.seeds],
            "fields": self.free_fields,
            "schema": self.schema.document,
        }


STANDARD_VARIABLES = {
    "index": "the draw's number, from 0",
    "attributes": "the drawn values by name; each is also a variable of its own",
    "seeds": "the examples of this draw, a list of rows",
    "fields": "the names of the fields that the model writes",
    "schema": "the record's JSON Schema",
}


class Method(ABC):
    """Base of all methods; subclasses are dataclasses whose fields are their options."""

    default_prompt: str = ""
    """The template used when the recipe names none."""

    seeds_are_records: bool = True
    """Whether seeds are examples of whole records, checked against the schema; else they are material for the templates."""

    setting: Setting

    def record_schema(self, given: RecordSchema | None) -> RecordSchema:
        """Return the schema of this method's records, from the recipe's (which may be absent).

        Raises:
            ValueError: the method needs a schema, or this one does not fit it.
        """
        if given is None:
            raise ValueError("a schema is needed: say which fields a record has")
        return given

    def variables(self) -> dict[str, str]:
        """Return the template variables this method offers beside the standard ones, with their meaning."""
        return {}

    def templates(self) -> list[str]:
        """Return the templates named in this method's own options, so that they are checked before the run."""
        return []

    def prepare(self, setting: Setting) -> None:
        """Learn about the run, once. Raise ``ValueError`` for options that cannot work here."""
        self.setting = setting

    @abstractmethod
    def run(self, draw: Draw) -> Steps:
        """Yield requests, receive completions, return the candidate."""
