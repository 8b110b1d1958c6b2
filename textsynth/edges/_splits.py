"""Edge cases as further splits of the dataset: plain rows, and the schemas that describe them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from textsynth.edges._edge import BOUNDARY, INVALID, Edge, EdgeSpec
from textsynth.edges._make import boundary, invalid
from textsynth.records import Record
from textsynth.schema import RecordSchema

CASE = "edge_case"
"""The column that names the case; with underscores behind it where the record has a field of that name."""


def edge_splits(spec: EdgeSpec, schema: RecordSchema, records: Sequence[Record], seed: int) -> dict[str, list[Record]]:
    """Return the rows of the splits ``boundary`` and ``invalid``, each only if it is asked for and the schema offers any.

    A boundary row is the record with the column ``edge_case`` (``longest_text: title``), and fits
    ``boundary_schema``; an invalid row has ``record`` (as JSON text, since no column can hold it), ``edge_case`` (the
    way alone) and ``field``, and fits ``invalid_schema``.
    """
    counts = split_counts(spec, len(records))
    wanted = [way for way in spec.ways if way in BOUNDARY], [way for way in spec.ways if way in INVALID]
    made: dict[str, list[Record]] = {}
    if counts["boundary"] and (wanted[0] or not spec.ways):
        name = case_column(schema)
        edges = boundary(schema, records, counts["boundary"], seed, only=wanted[0])
        made["boundary"] = [{**edge.record, name: label(edge)} for edge in edges]
    if counts["invalid"] and (wanted[1] or not spec.ways):
        edges = invalid(schema, records, counts["invalid"], seed, only=wanted[1])
        made["invalid"] = [
            {"record": json.dumps(edge.record, ensure_ascii=False), CASE: edge.way, "field": edge.field}
            for edge in edges
        ]
    return {name: rows for name, rows in made.items() if rows}


def as_text(rows: Sequence[Record], schema: RecordSchema) -> list[Record]:
    """Return rows of the split ``boundary`` in the form of ``invalid``: for records that no columns can hold."""
    name, made = case_column(schema), []
    for row in rows:
        way, _, field = row[name].partition(": ")
        record = {key: value for key, value in row.items() if key != name}
        made.append({"record": json.dumps(record, ensure_ascii=False), CASE: way, "field": field})
    return made


def split_counts(spec: EdgeSpec, records: int) -> dict[str, int]:
    """Return how many cases of each kind the shares are of so many records.

    Both together are rounded to the nearest whole number, each to that or the one above (Hamilton's largest remainder).
    """
    exact = {"boundary": spec.boundary * records, "invalid": spec.invalid * records}
    counts = {name: math.floor(size) for name, size in exact.items()}
    total = math.floor(sum(exact.values()) + 0.5)
    for name in sorted(exact, key=lambda n: counts[n] - exact[n])[: total - sum(counts.values())]:
        counts[name] += 1
    return counts


def label(edge: Edge) -> str:
    """Return what a boundary row says about its case."""
    return f"{edge.way}: {edge.field}" if edge.field else edge.way


def case_column(schema: RecordSchema) -> str:
    """Return the name of the column for the case, which is no field of the record."""
    name = CASE
    while name in schema.properties:
        name += "_"
    return name


def boundary_schema(schema: RecordSchema) -> RecordSchema:
    """Return the schema of the rows of the split ``boundary``: the record's with one column more."""
    name, document = case_column(schema), schema.document
    properties = {**document.get("properties", {}), name: {"type": "string"}}
    required = [*document.get("required", ()), name]
    return RecordSchema({**document, "properties": properties, "required": required}, name=schema.name)


def invalid_schema() -> RecordSchema:
    """Return the schema of the rows of the split ``invalid``."""
    names = ("record", CASE, "field")
    properties = {name: {"type": "string"} for name in names}
    return RecordSchema({"type": "object", "properties": properties, "required": list(names)}, name="invalid")
