"""Methods turn a draw into requests and the completions into a candidate; each file is one method.

``run`` is a generator: it yields a ``Request``, is sent its ``Completion``, and returns the ``Candidate``. Thousands of
them advance independently, one request at a time each. Given the same completions a method must do the same again:
that is how a run resumes in the middle of a dialogue and how ``why`` shows prompts that are stored nowhere.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from textsynth.prompts import Prompt
from textsynth.records import Candidate, Completion, Draw, Record, Request, Sampling
from textsynth.schema import RecordSchema

Steps = Generator[Request, Completion, Candidate]


@dataclass(frozen=True, slots=True)
class Arm:
    """A way of asking: the template and how tokens are picked."""

    prompt: Prompt
    sampling: Sampling


@dataclass(frozen=True)
class Setting:
    """What a method knows of the run.

    ``decoding`` returns the schema text that holds the decoder to the named top-level fields; it is computed once per set
    of names. ``attributes`` are the names drawn before generation; of the ``partial`` ones among them (objects with a text
    inside) the model writes what was not drawn. ``inputs`` are all fields that a draw gives: attributes, fields of earlier
    steps, columns of its seeds (``None``: not known, as when a finished run is read). ``own`` are the fields that the method writes itself, whatever was there. Files that
    options name are relative to ``folder``. ``arms`` are the ways of asking by name, the recipe's own
    under "". ``repairs`` is how often one draw may ask again.
    """

    schema: RecordSchema
    decoding: Callable[[frozenset[str]], str]
    attributes: tuple[str, ...]
    partial: frozenset[str]
    arms: Mapping[str, Arm]
    variables: Mapping[str, Any]
    repairs: int
    load_prompt: Callable[[str], Prompt]
    inputs: frozenset[str] | None = None
    own: frozenset[str] = frozenset()
    folder: Path = Path()

    @property
    def free_fields(self) -> tuple[str, ...]:
        """The top-level fields that the model writes: those that are not drawn, or not whole."""
        return tuple(n for n in self.schema.properties if n not in self.attributes or n in self.partial)

    def prompt(self, draw: Draw) -> Prompt:
        """Return the template of this draw."""
        return self.arms[draw.arm].prompt

    def sampling(self, draw: Draw) -> Sampling:
        """Return how this draw's tokens are picked, but for the seed."""
        return self.arms[draw.arm].sampling

    def constants(self, draw: Draw) -> dict[str, Any]:
        """Return the drawn values that are whole fields of the record."""
        wanted = self.schema.properties.keys() - self.partial - self.own
        return {name: value for name, value in draw.attributes.items() if name in wanted}

    def require(self, names: Iterable[str]) -> None:
        """Raise ``ValueError`` unless every named field is given by an attribute, an earlier step or the seeds."""
        if self.inputs is not None and (missing := [name for name in names if name not in self.inputs]):
            given = ", ".join(sorted(self.inputs)) or "nothing"
            raise ValueError(
                f"the field {missing[0]!r} must be given by an earlier step, an attribute or the seeds; given: {given}"
            )

    def given(self, draw: Draw, name: str) -> Any:
        """Return a field that this draw gives: as drawn or written by an earlier step, else of its first seed."""
        if name in draw.attributes:
            return draw.attributes[name]
        return draw.seeds[0].row.get(name) if draw.seeds else None

    def complete(self, name: str, value: Any, draw: Draw) -> Any:
        """Return what the model wrote for a field with the parts of it that were drawn put in."""
        return overlay(value, draw.attributes[name]) if name in self.partial and name in draw.attributes else value

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


def overlay(value: Any, drawn: Any) -> Any:
    """Return ``value`` with the keys of ``drawn`` in place of its own, at any depth of objects."""
    if not (isinstance(value, Mapping) and isinstance(drawn, Mapping)):
        return drawn
    return {**value, **{key: overlay(value[key], item) if key in value else item for key, item in drawn.items()}}


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

    own_fields: tuple[str, ...] = ()
    """The fields that the method itself writes, whatever the schema says."""

    seeds_are_records: bool = True
    """Whether seeds are examples of whole records, checked against the schema; else they are material for the templates."""

    reasons: ClassVar[Mapping[str, str]] = {}
    """The drop reasons of this method, each with the cheapest change that helps."""

    paper: ClassVar[str] = ""
    """Where the method was published: authors, year, title, arXiv number."""

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

    def carried_fields(self) -> tuple[str, ...]:
        """Return the fields of the record that are copied unchanged from seeds or attributes: no filter of texts reads them."""
        return ()

    def models(self) -> list[str]:
        """Return the other models that this method's requests name (``Request.model``): addresses of servers, or ``scripted``."""
        return []

    def workers(self) -> Mapping[str, Callable[[Request], str]]:
        """Return plain functions that answer requests, by the name in ``Request.model``.

        Each runs in a thread beside the engine; what it returns stands in the ledger like a completion, so it is not run
        again when a run is resumed. It gets a request and returns text; what it raises becomes an error's text.
        """
        return {}

    def summary(self, records: Iterable[Record]) -> Mapping[str, Any]:
        """Return figures over the kept records, for the dataset card and ``textsynth show``; none by default."""
        return {}

    def prepare(self, setting: Setting) -> None:
        """Learn about the run, once. Raise ``ValueError`` for options that cannot work here."""
        self.setting = setting

    @abstractmethod
    def run(self, draw: Draw) -> Steps:
        """Yield requests, receive completions, return the candidate."""
