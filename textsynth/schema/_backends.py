"""What each structured-output backend of vLLM really enforces, as data; measured on the matchers, see ``tests``.

A keyword that is missing here for a backend is taken out of the decoding schema and checked after decoding instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Backend = Literal["guidance", "xgrammar", "outlines"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)

BASIC = frozenset(
    {"type", "properties", "required", "items", "prefixItems", "minItems", "maxItems", "enum", "const", "anyOf", "$ref"}
    | {"minLength", "maxLength", "additionalProperties"}
)
FORMATS = frozenset({"date", "time", "date-time", "email", "uuid", "ipv4", "ipv6", "uri", "hostname", "duration"})


@dataclass(frozen=True, slots=True)
class Abilities:
    """What one backend can do.

    ``keywords`` and ``formats`` are enforced; ``with_length`` are those of pattern and format that it can combine with a
    length; ``anchored_only`` says that it takes every pattern as if it were anchored.
    """

    keywords: frozenset[str]
    formats: frozenset[str]
    with_length: frozenset[str]
    anchored_only: bool


ABILITIES: dict[Backend, Abilities] = {
    "guidance": Abilities(
        keywords=BASIC
        | {"pattern", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
        | {"minProperties", "maxProperties", "patternProperties"},
        formats=FORMATS,
        with_length=frozenset({"pattern", "format"}),
        anchored_only=False,
    ),
    "xgrammar": Abilities(
        keywords=BASIC
        | {"pattern", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "propertyNames"}
        | {"minProperties", "maxProperties"},
        formats=FORMATS - {"date"},  # it lets 2024-02-31 through
        with_length=frozenset(),
        anchored_only=True,
    ),
    "outlines": Abilities(
        keywords=BASIC | {"pattern", "format"},
        formats=frozenset({"time", "date-time", "email", "uuid"}),
        with_length=frozenset(),
        anchored_only=True,
    ),
}
