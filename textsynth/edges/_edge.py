"""What an edge case is, what a recipe may ask for, and the ways there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, Field, model_validator

from textsynth.edges._bounds import BOUNDARY_RULES
from textsynth.edges._breaks import INVALID_RULES
from textsynth.errors import unknown
from textsynth.records import Record

BOUNDARY = tuple(rule.way for rule in BOUNDARY_RULES)
INVALID = tuple(rule.way for rule in INVALID_RULES)


@dataclass(frozen=True, slots=True)
class Edge:
    """One edge case.

    Args:
        record: the whole record.
        field: where the case lies, as a path: ``name``, ``address.street``, ``tags[2]``; empty for the record itself.
        way: the name of the way, one of ``ways(schema)``.
        base: position, in the records given, of the one it was derived from.
        keyword: the schema's keyword that is at its bound or broken.
    """

    record: Record
    field: str
    way: str
    base: int
    keyword: str = ""


@dataclass(frozen=True, slots=True)
class Ways:
    """The ways that a schema offers, with the number of fields each is open to, and those that it doesn't offer."""

    boundary: Mapping[str, int]
    invalid: Mapping[str, int]
    left_out: tuple[str, ...] = field(default=())


class EdgeSpec(BaseModel):
    """``edge_cases`` of a recipe: shares of the accepted records' number, and the ways, all of them by default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    boundary: float = Field(default=0.0, ge=0, le=1, description="valid records at a bound, as a share of the records")
    invalid: float = Field(default=0.0, ge=0, le=1, description="records invalid in one way, as a share of the records")
    ways: tuple[str, ...] = Field(default=(), description="names of ways; all that the schema offers by default")

    @model_validator(mode="after")
    def check_ways(self) -> EdgeSpec:
        """Every way is known."""
        for place, name in enumerate(self.ways):
            if name not in {*BOUNDARY, *INVALID}:
                raise ValueError(unknown(f"ways[{place}]", name, {*BOUNDARY, *INVALID}))
        return self
