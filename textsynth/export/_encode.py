"""From the values of a record to what an Arrow column takes, exactly or not at all.

An encoder never changes a value silently: what a column cannot hold (an integer beyond 64 bits, an undeclared key) is a
``Misfit`` with the place inside the record. An absent optional field becomes null.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from textsynth.export._features import Shape

Encoder = Callable[[Any], Any]
HALF_PAIR = re.compile("[\ud800-\udfff]")
"""Code points that UTF-8 cannot write; a model can ask for one with an escape in its JSON."""


class Misfit(ValueError):
    """A value that its column cannot hold; ``path`` leads to it from the record."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule
        self.path = ""

    def below(self, name: str) -> Misfit:
        """Put one more step before the path."""
        self.path = name + ("." if self.path and not self.path.startswith("[") else "") + self.path
        return self


def row_encoder(columns: Mapping[str, Shape]) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Return a function that turns a row of JSON values into a row of storable ones, every column present.

    Raises (the function): Misfit.
    """
    return struct_encoder(columns)


def encoder(shape: Shape) -> Encoder:
    """Return the function that makes a value of ``shape`` storable; it is never called with ``None``."""
    if shape.kind == "list" and shape.items is not None:
        return list_encoder(encoder(shape.items))
    if shape.kind == "struct":
        return struct_encoder(shape.fields)
    if shape.kind == "label":
        return label_encoder(shape)
    simple: dict[str, Encoder] = {"json": json_text, "object": json_text, "int64": whole, "float64": real}
    return simple.get(shape.kind, unchanged)


def struct_encoder(fields: Mapping[str, Shape]) -> Encoder:
    """Return the encoder of an object: one value per declared field, no other key."""
    encoders = [(name, encoder(shape)) for name, shape in fields.items()]

    def encode(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise Misfit(f"expected an object, got {value!r}")
        found: dict[str, Any] = {}
        present = 0
        for name, part in encoders:
            item = value.get(name)
            present += name in value
            try:
                found[name] = None if item is None else part(item)
            except Misfit as misfit:
                raise misfit.below(name) from None
        if present < len(value):
            stray = next(key for key in value if key not in fields)
            raise Misfit("the schema does not declare this key").below(stray)
        return found

    return encode


def list_encoder(item: Encoder) -> Encoder:
    """Return the encoder of an array."""

    def encode(value: Any) -> list[Any]:
        if not isinstance(value, list | tuple):
            raise Misfit(f"expected an array, got {value!r}")
        position = 0
        found: list[Any] = []
        try:
            for position, part in enumerate(value):  # noqa: B007
                found.append(None if part is None else item(part))
        except Misfit as misfit:
            raise misfit.below(f"[{position}]") from None
        return found

    return encode


def label_encoder(shape: Shape) -> Encoder:
    """Return the encoder of a label: its number, or its text while the names are not known."""
    if shape.names is None:
        return label_text
    numbers = {name: number for number, name in enumerate(shape.names)}

    def encode(value: Any) -> int:
        try:
            return numbers[label_text(value)]
        except KeyError:
            raise Misfit(f"{value!r} is none of the labels {list(numbers)}") from None

    return encode


def label_text(value: Any) -> str:
    """Return the name of a label: a string as it is, a number or boolean as JSON writes it."""
    return value if isinstance(value, str) else json_text(value)


def json_text(value: Any) -> str:
    """Return ``value`` as compact JSON text that reads back to an equal value; half a surrogate pair is escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return HALF_PAIR.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def whole(value: Any) -> int:
    """Return an integer; JSON Schema counts 3.0 as one."""
    number = int(value) if isinstance(value, float) and value.is_integer() else value
    if isinstance(number, bool) or not isinstance(number, int) or not -(2**63) <= number < 2**63:
        raise Misfit(f"expected an integer of 64 bits, got {value!r}")
    return number


def real(value: Any) -> float:
    """Return a float that equals ``value``."""
    try:
        number = float(value) if isinstance(value, int) and not isinstance(value, bool) else value
    except OverflowError:
        number = None
    if not isinstance(number, float) or number != value:
        raise Misfit(f"expected a number that a float holds exactly, got {value!r}")
    return number


def unchanged(value: Any) -> Any:
    """Return ``value``: Arrow checks strings and booleans itself."""
    return value
