"""Edge cases: valid at the bound, invalid in one way, exact in number, evenly spread, the same for the same seed."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any

import pytest
from datasets import load_from_disk
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError, field_validator

from textsynth.edges import (
    Edge,
    EdgeSpec,
    as_text,
    boundary,
    boundary_schema,
    edge_splits,
    invalid,
    invalid_schema,
    ways,
)
from textsynth.errors import ExportError
from textsynth.export import to_dataset
from textsynth.export.records import Records
from textsynth.schema import RecordSchema

DOCUMENT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "minLength": 3, "maxLength": 12},
        "code": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]+$", "maxLength": 9},
        "note": {"type": ["string", "null"]},
        "day": {"type": "string", "format": "date"},
        "moment": {"type": "string", "format": "date-time"},
        "clock": {"type": "string", "format": "time"},
        "stars": {"type": "integer", "minimum": 1, "maximum": 5},
        "share": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        "pack": {"type": "integer", "minimum": 1, "multipleOf": 6},
        "level": {"enum": ["low", "high", None]},
        "version": {"const": 2},
        "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True, "minItems": 1, "maxItems": 4},
        "pair": {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "items": False},
        "sizes": {"type": "array", "items": {"type": "integer"}, "contains": {"minimum": 100}},
        "either": {"anyOf": [{"type": "integer", "minimum": 10}, {"type": "string", "maxLength": 5}]},
        "place": {
            "type": "object",
            "properties": {
                "street": {"type": "string"},
                "geo": {"type": "object", "properties": {"lat": {"type": "number"}, "lon": {"type": "number"}}},
            },
            "dependentRequired": {"geo": ["street"]},
            "additionalProperties": False,
        },
        "extra": {
            "type": "object",
            "propertyNames": {"pattern": "^[a-z]+$"},
            "minProperties": 1,
            "maxProperties": 3,
            "additionalProperties": {"type": "integer"},
        },
    },
    "required": ["title", "stars"],
    "additionalProperties": False,
}
SCHEMA = RecordSchema(DOCUMENT)


def record(number: int) -> dict[str, Any]:
    """Return a valid record; every third lacks what is optional."""
    full: dict[str, Any] = {
        "title": f"Title {number}",
        "stars": 2 + number % 3,
        "code": f"AB-{number}",
        "note": "plain",
        "day": f"2024-03-{1 + number % 28:02d}",
        "moment": "2024-03-01T10:00:00Z",
        "clock": "10:00:00Z",
        "share": 0.25 + number / 1000,
        "pack": 12,
        "level": "low",
        "version": 2,
        "tags": [f"t{number}", "b"],
        "pair": [number, "x"],
        "sizes": [1, 100 + number],
        "either": 10 + number,
        "place": {"street": "Main", "geo": {"lat": 1.5, "lon": 2.5}},
        "extra": {"a": 1, "b": number},
    }
    return {name: full[name] for name in ("title", "stars")} if number % 3 == 2 else full


RECORDS = [record(number) for number in range(60)]


@pytest.fixture(scope="module")
def valid() -> list[Edge]:
    return boundary(SCHEMA, RECORDS, 600, 1)


@pytest.fixture(scope="module")
def broken() -> list[Edge]:
    return invalid(SCHEMA, RECORDS, 600, 1)


def at(edge: Edge) -> Any:
    """Return the value at an edge's field."""
    value: Any = edge.record
    for step in edge.field.replace("[", ".").replace("]", "").split("."):
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value


def test_boundary_records_are_valid_and_differ_from_their_base(valid: list[Edge]) -> None:
    assert len(valid) == 600
    for edge in valid:
        assert SCHEMA.problems(edge.record) == []
        assert edge.record != RECORDS[edge.base]


@pytest.mark.parametrize(
    ("way", "field", "expected"),
    [
        ("minimum", "stars", 1),
        ("maximum", "stars", 5),
        ("minimum", "pack", 6),
        ("just_above", "share", math.nextafter(0, 1)),
        ("just_below", "share", math.nextafter(1, 0)),
        ("minimum", "either", 10),
        ("latest_date", "day", "9999-12-31"),
        ("earliest_date", "day", {"0001-01-01", "1000-01-01"}),
        ("leap_day", "day", {"2024-02-29", "2000-02-29", "1904-02-29"}),
        ("year_end", "moment", {"1999-12-31T23:59:59Z", "2024-12-31T23:59:59Z"}),
        ("end_of_day", "clock", "23:59:59Z"),
        ("null", "note", None),
        ("null", "level", None),
        ("enum_member", "level", {"high", None}),
        ("empty_text", "note", ""),
        ("zero", "place.geo.lat", 0.0),
        ("minus_one", "pair[0]", -1),
        ("large_number", "pack", None),
    ],
)
def test_a_boundary_lies_where_the_schema_puts_it(valid: list[Edge], way: str, field: str, expected: Any) -> None:
    found = {json.dumps(at(edge)) for edge in valid if (edge.way, edge.field) == (way, field)}
    if way == "large_number":  # neither largest number is a multiple of 6
        assert not found
        return
    assert found
    allowed = expected if isinstance(expected, set) else {expected}
    assert found <= {json.dumps(value) for value in allowed}


@pytest.mark.parametrize(
    ("way", "field", "length"),
    [
        ("shortest_text", "title", 3),
        ("longest_text", "title", 12),
        ("longest_text", "code", 9),
        ("fewest_items", "tags", 1),
        ("most_items", "tags", 4),
        ("most_properties", "extra", 3),
        ("fewest_properties", "extra", 1),
        ("empty_array", "pair", 0),
    ],
)
def test_lengths_are_at_the_bound(valid: list[Edge], way: str, field: str, length: int) -> None:
    found = {len(at(edge)) for edge in valid if (edge.way, edge.field) == (way, field)}
    assert found == {length}


def test_unicode_absent_and_deep_cases_are_there(valid: list[Edge]) -> None:
    by_way: dict[str, list[Edge]] = {}
    for edge in valid:
        by_way.setdefault(edge.way, []).append(edge)
    assert any("\u0301" in at(edge) for edge in by_way["decomposed"])
    assert all(any(ord(sign) > 0xFFFF for sign in at(edge)) for edge in by_way["astral_plane"])
    assert any("\u200d" in at(edge) for edge in by_way["emoji_sequence"])
    assert all("\0" not in json.dumps(edge.record) for edge in valid)
    assert {"place", "place.geo", "place.geo.lat", "note"} <= {edge.field for edge in by_way["absent"]}
    assert {frozenset(edge.record) for edge in by_way["only_required"] if not edge.field} == {
        frozenset({"title", "stars"})
    }
    assert any(len(edge.record) > len(RECORDS[edge.base]) for edge in by_way["all_optional"])


def test_invalid_records_have_exactly_the_named_problem(broken: list[Edge]) -> None:
    assert len(broken) == 600
    for edge in broken:
        problems = SCHEMA.problems(edge.record)
        assert [problem.keyword for problem in problems] == [edge.keyword]
        steps = edge.field.replace("[", ".").replace("]", "").split(".")
        assert [str(step) for step in problems[0].path] == steps


KEYWORDS = {
    "wrong_type": "type", "null_not_allowed": "type", "missing_required": "required", "below_minimum": "minimum",
    "above_maximum": "maximum", "at_exclusive_minimum": "exclusiveMinimum", "at_exclusive_maximum": "exclusiveMaximum",
    "not_multiple": "multipleOf", "too_short": "minLength", "too_long": "maxLength", "pattern_broken": "pattern",
    "format_broken": "format", "outside_enum": "enum", "const_changed": "const", "extra_item": "items",
    "extra_property": "additionalProperties", "wrong_name": "propertyNames", "duplicate_items": "uniqueItems",
    "too_few_items": "minItems", "too_many_items": "maxItems", "nothing_contained": "contains", "no_branch": "anyOf",
    "too_few_properties": "minProperties", "too_many_properties": "maxProperties",
    "missing_dependent": "dependentRequired",
}  # fmt: skip


def test_every_way_is_made_of_a_schema_with_every_keyword(broken: list[Edge]) -> None:
    assert {edge.way: edge.keyword for edge in broken} == KEYWORDS
    dates = {at(edge) for edge in broken if (edge.way, edge.field) == ("format_broken", "day")}
    assert "2023-02-30" in dates


def test_ways_are_counted_by_field_and_the_others_listed() -> None:
    offered = ways(SCHEMA, RECORDS)
    assert set(offered.invalid) == set(KEYWORDS)
    assert offered.invalid["missing_required"] == 2
    assert offered.boundary["minimum"] == 3
    assert "forbidden" in offered.left_out
    small = ways(RecordSchema({"type": "object", "properties": {"on": {"type": "boolean"}}}))
    assert set(small.invalid) == {"wrong_type", "null_not_allowed"}
    assert {"too_long", "minimum", "leap_day", "enum_member"} <= set(small.left_out)


def test_cases_are_spread_evenly_and_do_not_repeat(valid: list[Edge], broken: list[Edge]) -> None:
    one_each = invalid(SCHEMA, RECORDS, sum(ways(SCHEMA, RECORDS).invalid.values()), 4)
    assert set(Counter(edge.way for edge in one_each)) == set(KEYWORDS)
    assert Counter(edge.way for edge in one_each) == ways(SCHEMA, RECORDS).invalid
    for edges in (valid, broken):
        assert len({json.dumps(edge.record) for edge in edges}) == len(edges)
        assert len({edge.base for edge in edges}) > 50


def test_the_same_seed_gives_the_same_cases(valid: list[Edge]) -> None:
    assert boundary(SCHEMA, RECORDS, 600, 1) == valid
    assert boundary(SCHEMA, RECORDS, 600, 2) != valid


def test_counts_are_exact_even_where_there_are_few_cases() -> None:
    schema = RecordSchema({"type": "object", "properties": {"on": {"type": "boolean"}}, "required": ["on"]})
    assert len(invalid(schema, [{"on": True}], 50, 0)) == 50
    assert boundary(schema, [{"on": True}], 0, 0) == []
    assert boundary(schema, [{"on": 3}], 5, 0) == []  # no valid record to derive from


def test_only_named_ways_are_made() -> None:
    edges = invalid(SCHEMA, RECORDS, 30, 0, only=["too_long", "format_broken"])
    assert {edge.way for edge in edges} == {"too_long", "format_broken"}
    with pytest.raises(ValueError, match="did you mean too_long"):
        invalid(SCHEMA, RECORDS, 1, 0, only=["to_long"])


def test_a_recipe_asks_by_share_and_mistakes_are_named() -> None:
    spec = EdgeSpec.model_validate({"boundary": 0.1, "invalid": 0.05, "ways": ["longest_text", "too_long"]})
    assert (spec.boundary, spec.invalid) == (0.1, 0.05)
    with pytest.raises(ValidationError, match="did you mean leap_day"):
        EdgeSpec.model_validate({"boundary": 0.1, "ways": ["leap_days"]})
    with pytest.raises(ValidationError, match="less than or equal to 1"):
        EdgeSpec.model_validate({"boundary": 10})


def test_validators_of_a_pydantic_class_are_part_of_the_check() -> None:
    class Person(BaseModel):
        name: str
        age: int

        @field_validator("age")
        @classmethod
        def no_giants(cls, age: int) -> int:
            """Refuse what no schema says."""
            if not 0 <= age < 150:
                raise ValueError("no such age")
            return age

    schema = RecordSchema(Person.model_json_schema(), model=Person)
    edges = boundary(schema, [{"name": "a", "age": n} for n in range(1, 20)], 60, 0)
    assert len(edges) == 60
    assert all(0 <= edge.record["age"] < 150 for edge in edges)
    assert "minus_one" not in {edge.way for edge in edges}
    assert "zero" in {edge.way for edge in edges}


def test_splits_become_datasets(tmp_path: Any) -> None:
    spec = EdgeSpec(boundary=0.25, invalid=0.15)
    splits = edge_splits(spec, SCHEMA, RECORDS, 3)
    assert {name: len(rows) for name, rows in splits.items()} == {"boundary": 15, "invalid": 9}
    bounds = Records(as_json=("level", "version", "either", "pair", "extra"))
    made = to_dataset(splits["boundary"], bounds, boundary_schema(SCHEMA), {"boundary": 1.0}, 0)
    made["invalid"] = to_dataset(splits["invalid"], Records(), invalid_schema(), {"invalid": 1.0}, 0)["invalid"]
    made.save_to_disk(str(tmp_path / "edges"))
    back = load_from_disk(str(tmp_path / "edges"))
    assert back["boundary"].num_rows == 15
    assert "edge_case" in back["boundary"].column_names
    for row in back["invalid"]:
        problems = SCHEMA.problems(json.loads(row["record"]))
        assert [KEYWORDS[row["edge_case"]]] == [problem.keyword for problem in problems]


def test_records_that_no_columns_hold_go_as_text() -> None:
    schema = RecordSchema({"type": "object", "properties": {"name": {"type": "string"}}})
    records = [{"name": "a", "undeclared": [1, "x", {"deep": None}]}] * 6
    rows = edge_splits(EdgeSpec(boundary=1.0), schema, records, 0)["boundary"]
    with pytest.raises(ExportError, match="undeclared"):
        to_dataset(rows, Records(), boundary_schema(schema), {"boundary": 1.0}, 0)
    texts = as_text(rows, schema)
    assert to_dataset(texts, Records(), invalid_schema(), {"boundary": 1.0}, 0)["boundary"].num_rows == 6
    assert [
        {**json.loads(text["record"]), "edge_case": row["edge_case"]} for text, row in zip(texts, rows, strict=True)
    ] == rows
    assert {text["edge_case"] for text in texts} <= set(ways(schema, records).boundary)


def test_a_field_called_edge_case_keeps_its_place() -> None:
    schema = RecordSchema(
        {"type": "object", "properties": {"edge_case": {"type": "string"}}, "required": ["edge_case"]}
    )
    rows = edge_splits(EdgeSpec(boundary=1.0), schema, [{"edge_case": "a"}] * 5, 0)["boundary"]
    assert set(rows[0]) == {"edge_case", "edge_case_"}
    assert "edge_case_" in boundary_schema(schema).properties


def test_references_unions_and_conditions_are_followed() -> None:
    schema = RecordSchema(
        {
            "$defs": {
                "card": {
                    "type": "object",
                    "properties": {"kind": {"const": "card"}, "digits": {"type": "string", "maxLength": 4}},
                    "required": ["kind", "digits"],
                },
                "cash": {"type": "object", "properties": {"kind": {"const": "cash"}}, "required": ["kind"]},
            },
            "type": "object",
            "properties": {
                "pay": {"oneOf": [{"$ref": "#/$defs/card"}, {"$ref": "#/$defs/cash"}]},
                "age": {"type": "integer"},
                "guardian": {"type": "string"},
            },
            "if": {"properties": {"age": {"maximum": 17}}},
            "then": {"required": ["guardian"]},
        }
    )
    records = [
        {"pay": {"kind": "card", "digits": "12"}, "age": 12, "guardian": "x"},
        {"pay": {"kind": "cash"}, "age": 40},
    ]
    found = {(edge.way, edge.field) for edge in boundary(schema, records, 200, 0)}
    assert ("longest_text", "pay.digits") in found
    wrong = {(edge.way, edge.field) for edge in invalid(schema, records, 200, 0)}
    assert {("too_long", "pay.digits"), ("missing_required", "guardian"), ("missing_required", "pay.digits")} <= wrong


@settings(max_examples=60, deadline=None)
@given(
    low=st.integers(-50, 50),
    width=st.integers(0, 30),
    step=st.sampled_from([1, 2, 7, 0.5]),
    exclusive=st.booleans(),
)
def test_number_bounds_hold_for_any_numbers(low: int, width: int, step: float, exclusive: bool) -> None:
    key = ("exclusiveMinimum", "exclusiveMaximum") if exclusive else ("minimum", "maximum")
    part = {"type": "number", key[0]: low, key[1]: low + width, "multipleOf": step}
    schema = RecordSchema({"type": "object", "properties": {"n": part}})
    start = [{"n": low + k / 2} for k in range(2 * width + 1)]
    fitting = [record for record in start if not schema.problems(record)]
    for edge in boundary(schema, fitting, 10, 0):
        assert schema.problems(edge.record) == []
        if edge.way in {"minimum", "just_above"}:
            assert edge.record["n"] == min(record["n"] for record in fitting)
        if edge.way in {"maximum", "just_below"}:
            assert edge.record["n"] == max(record["n"] for record in fitting)
    for edge in invalid(schema, fitting, 10, 0):
        assert len(schema.problems(edge.record)) == 1
