"""The decoding schema: what it says of every keyword, the bounds it adds, and what is left when fields are drawn."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_schema_matchers import Guidance, lets_through, walk

from textsynth.errors import SchemaError
from textsynth.schema import Decoding, RecordSchema, constrain, short_form
from textsynth.schema._fit import fit, length
from textsynth.schema._formats import PATTERNS
from textsynth.schema._regex import Chars, Choice, Node, Repeat, read, write

TICKET = {"subject": "str<=80", "body": "text", "priority": ["low", "high"], "tags": "list[str]", "opened": "date"}


def ticket() -> RecordSchema:
    return RecordSchema(short_form(TICKET))


def of(**properties: Any) -> RecordSchema:
    return RecordSchema({"type": "object", "properties": properties, "required": list(properties)})


def statuses(decoding: Decoding) -> dict[tuple[str, str], str]:
    return {(f.path, f.keyword): f.status for f in decoding.findings}


def added(decoding: Decoding) -> set[tuple[str, str]]:
    return {(b.path, b.keyword) for b in decoding.bounds}


def test_order_is_the_schemas_and_words_about_it_are_gone() -> None:
    part = {"type": "string", "maxLength": 5, "title": "T", "description": "D", "default": "x", "x-own": 1}
    decoding = constrain(of(b=part, a=part), max_tokens=100)
    assert list(decoding.document["properties"]) == ["b", "a"]
    assert decoding.document["properties"]["a"] == {"type": "string", "maxLength": 5}
    assert json.loads(decoding.text()) == decoding.document
    assert " " not in decoding.text()


def test_every_keyword_has_a_finding_at_its_place_in_the_record() -> None:
    lines = {"type": "array", "items": {"$ref": "#/$defs/line"}, "uniqueItems": True}
    line = {"type": "object", "properties": {"price": {"type": "number", "minimum": 0}}, "required": ["price"]}
    schema = RecordSchema(
        {
            "type": "object",
            "properties": {"lines": lines, "phone": {"type": "string", "format": "phone", "maxlength": 9}},
            "$defs": {"line": line},
        }
    )
    decoding = constrain(schema, max_tokens=100)
    assert statuses(decoding) == {
        ("$", "type"): "enforced",
        ("$", "properties"): "enforced",
        ("$.lines", "type"): "enforced",
        ("$.lines", "items"): "enforced",
        ("$.lines", "uniqueItems"): "checked",
        ("$.lines[]", "$ref"): "enforced",
        ("$.lines[]", "type"): "enforced",
        ("$.lines[]", "properties"): "enforced",
        ("$.lines[]", "required"): "enforced",
        ("$.lines[].price", "type"): "enforced",
        ("$.lines[].price", "minimum"): "enforced",
        ("$.phone", "type"): "enforced",
        ("$.phone", "format"): "unsupported",
        ("$.phone", "maxlength"): "unsupported",
    }
    notes = {f.keyword: f.note for f in decoding.findings if f.status == "unsupported"}
    assert "neither decoding nor the check" in notes["format"]
    assert "did you mean maxLength?" in notes["maxlength"]


def test_what_has_no_bound_gets_one_and_it_is_reported() -> None:
    decoding = constrain(ticket(), max_tokens=400)
    fields = decoding.document["properties"]
    assert fields["subject"]["maxLength"] == 80
    assert fields["tags"]["maxItems"] == 8
    assert 100 < fields["body"]["maxLength"] <= 1200
    assert fields["tags"]["items"]["maxLength"] < fields["body"]["maxLength"]
    assert {("$.body", "maxLength"), ("$.tags", "maxItems"), ("$.tags[]", "maxLength")} <= added(decoding)
    assert ("$.subject", "maxLength") not in added(decoding)
    more = constrain(ticket(), max_tokens=800).document["properties"]
    assert more["body"]["maxLength"] > fields["body"]["maxLength"]


def test_a_record_that_max_tokens_cannot_hold_is_told_about() -> None:
    schema = of(body={"type": "string", "maxLength": 5000}, note={"type": "string"})
    assert ("$", "max_tokens") in added(constrain(schema, max_tokens=100))
    assert ("$", "max_tokens") not in added(constrain(schema, max_tokens=4000))


@pytest.mark.parametrize(
    ("part", "low", "high"),
    [
        ({"type": "integer"}, -(10**9), 10**9),
        ({"type": "integer", "minimum": 5}, 5, 10**9 + 5),
        ({"type": "integer", "maximum": -5}, -(10**9) - 5, -5),
        ({"type": "integer", "minimum": -(2**80), "maximum": 2**80}, -(2**53) + 1, 2**53 - 1),
        ({"type": "integer", "exclusiveMinimum": 0.5, "exclusiveMaximum": 900}, 1, 899),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 1}, 0.000001, 1),
    ],
)
def test_numbers_end_on_both_sides(part: dict[str, Any], low: float, high: float) -> None:
    made = constrain(of(v=part), max_tokens=50).document["properties"]["v"]
    assert (made["minimum"], made["maximum"]) == (low, high)


def test_decimals_end_where_the_decoder_would_go_on() -> None:
    part = {"type": "number", "minimum": 0, "maximum": 10}
    assert not lets_through(constrain(of(v=part), max_tokens=50, backend="guidance"), {"v": 0.12345678})
    assert "multipleOf" not in constrain(of(v=part), max_tokens=50, backend="xgrammar").document["properties"]["v"]


def test_the_backend_that_enforces_more_is_chosen_and_guidance_where_they_are_equal() -> None:
    assert constrain(ticket(), max_tokens=100).backend == "guidance"
    assert constrain(of(v={"type": "integer", "minimum": 0, "multipleOf": 7}), max_tokens=100).backend == "guidance"
    assert constrain(ticket(), max_tokens=100, backend="outlines").backend == "outlines"


def test_fields_that_are_drawn_are_not_written() -> None:
    decoding = constrain(ticket(), max_tokens=100, omit={"priority", "opened"})
    assert list(decoding.document["properties"]) == ["subject", "body", "tags"]
    assert decoding.document["required"] == ["subject", "body", "tags"]
    assert constrain(ticket(), max_tokens=100, omit=set(TICKET)).document == {
        "type": "object",
        "properties": {},
        "additionalProperties": False,
    }
    alone = constrain(ticket(), max_tokens=100, omit=set(TICKET) - {"body"})
    assert list(json.loads(walk(alone, 0))) == ["body"]


def test_what_may_concern_a_drawn_field_is_left_to_the_check() -> None:
    schema = RecordSchema(
        {
            "type": "object",
            "properties": {"kind": {"enum": ["a", "b"]}, "x": {"type": "integer"}, "y": {"type": "integer"}},
            "required": ["kind"],
            "if": {"properties": {"kind": {"const": "a"}}},
            "then": {"required": ["x"]},
            "anyOf": [{"required": ["x"]}, {"properties": {"kind": {"const": "b"}}, "required": ["y"]}],
            "minProperties": 2,
        }
    )
    found = statuses(constrain(schema, max_tokens=100, omit={"kind"}))
    assert {found["$", key] for key in ("if", "then", "anyOf", "minProperties")} == {"checked"}
    whole = statuses(constrain(schema, max_tokens=100))
    assert {whole["$", key] for key in ("if", "then", "anyOf")} == {"enforced"}


def test_a_union_of_records_keeps_its_branches_without_the_drawn_field() -> None:
    branches = [
        {"properties": {"kind": {"const": k}, f: {"type": "integer"}}, "required": ["kind", f]} for k, f in ("ax", "by")
    ]
    schema = RecordSchema({"type": "object", "oneOf": branches})
    decoding = constrain(schema, max_tokens=100, omit={"kind"})
    assert lets_through(decoding, {"x": 1})
    assert lets_through(decoding, {"y": 1})
    assert not lets_through(decoding, {"kind": "a", "x": 1})


def test_recursion_ends_after_a_few_levels() -> None:
    tree = {
        "type": "object",
        "properties": {"n": {"type": "integer"}, "next": {"$ref": "#/$defs/tree"}},
        "required": ["n"],
    }
    decoding = constrain(RecordSchema({"$ref": "#/$defs/tree", "$defs": {"tree": tree}}), max_tokens=100)

    def chain(levels: int) -> dict[str, Any]:
        return {"n": 1, "next": chain(levels - 1)} if levels > 1 else {"n": 1}

    assert lets_through(decoding, chain(3))
    assert not lets_through(decoding, chain(9))
    assert any("recursion ends" in bound.note for bound in decoding.bounds)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"properties": {"a": False}, "required": ["a"]}, r"keyword false at \$.a"),
        ({"properties": {"a": {"type": "integer", "minimum": 5, "maximum": 3}}, "required": ["a"]}, r"minimum at \$.a"),
        (
            {"properties": {"a": {"minLength": 5, "maxLength": 3, "type": "string"}}, "required": ["a"]},
            "above maxLength 3",
        ),
        (
            {"properties": {"a": {"type": "string", "pattern": "^a{9}$", "maxLength": 3}}, "required": ["a"]},
            "no text of it",
        ),
        ({"properties": {"a": {"enum": ["x"], "type": "integer"}}, "required": ["a"]}, "no value of the set"),
        ({"properties": {"a": {"allOf": [{"type": "integer"}, {"type": "string"}]}}, "required": ["a"]}, "no type"),
        ({"properties": {"a": {"allOf": [{"const": 1}, {"const": 2}]}}, "required": ["a"]}, "no value of the set"),
        ({"additionalProperties": False, "required": ["a"]}, r"\$.a"),
        ({"properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "recursion|nothing can be written"),
    ],
)
def test_what_cannot_be_generated_is_refused_before_the_run(document: dict[str, Any], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        constrain(RecordSchema({"type": "object", **document}), max_tokens=100)


def test_an_optional_field_for_which_nothing_fits_is_left_out_and_reported() -> None:
    schema = RecordSchema(
        {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer", "minimum": 2, "maximum": 1}},
        }
    )
    decoding = constrain(schema, max_tokens=100)
    assert list(decoding.document["properties"]) == ["a"]
    assert any("b is left out" in bound.note for bound in decoding.bounds)


def test_many_unions_do_not_multiply_without_end() -> None:
    unions = [{"anyOf": [{"properties": {f"p{i}{j}": {"type": "integer"}}} for j in range(6)]} for i in range(6)]
    decoding = constrain(RecordSchema({"type": "object", "allOf": unions}), max_tokens=100)
    assert len(decoding.text()) < 100_000
    assert "checked" in statuses(decoding).values()


def test_mutual_recursion_through_members_stays_small() -> None:
    names = "abcdef"
    parts = {
        n: {
            "allOf": [
                {"type": "object", "properties": {m: {"$ref": f"#/$defs/{m}"} for m in names}},
                {"properties": {"v": {"type": "integer"}}},
            ]
        }
        for n in names
    }
    decoding = constrain(RecordSchema({"$ref": "#/$defs/a", "$defs": parts}), max_tokens=100)
    assert len(decoding.text()) < 100_000
    Guidance(decoding.text())


# --- patterns ----------------------------------------------------------------------------------------------------------


def texts(node: Node) -> st.SearchStrategy[str]:
    """Return a strategy for the texts of a tree."""
    if isinstance(node, Chars):
        return st.sampled_from(node.ranges).flatmap(lambda pair: st.integers(max(1, pair[0]), pair[1])).map(chr)
    if isinstance(node, Repeat):
        most = int(min(node.most, node.least + 5))
        return st.lists(texts(node.part), min_size=node.least, max_size=most).map("".join)
    if isinstance(node, Choice):
        return st.one_of([texts(option) for option in node.options])
    return st.tuples(*(texts(part) for part in node.parts)).map("".join) if node.parts else st.just("")  # type: ignore[union-attr]


@pytest.mark.parametrize("name", PATTERNS)
def test_every_text_that_is_written_for_a_format_is_valid(name: str) -> None:
    checker = jsonschema_rs.validator_for({"format": name}, validate_formats=True)
    node = read(PATTERNS[name])
    assert node is not None

    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(texts(node))
    def prove(text: str) -> None:
        assert checker.is_valid(text)

    prove()


REGULAR = [
    r"^\d{3}-\d{4}$",
    "abc",
    "^a",
    "b$",
    "^a|b$",
    r"^[\w.-]+@[\w-]+\.\w{2,}$",
    r"^[^\s/]+(/[^\s/]+)*$",
    "^(a*b*)*$",
]
REGULAR += [
    "^$",
    "(^a$)|(^b$)",
    r"^v?\d+(\.\d+){0,2}(-[0-9A-Za-z.-]+)?$",
    r"^\S+$",
    r"^[\]\\^-]+$",
    "^a{2,}b?$",
    "^[[]$",
    "",
]


@pytest.mark.parametrize("pattern", REGULAR)
def test_a_pattern_in_plain_form_matches_the_same_and_fitted_to_a_length_never_more(pattern: str) -> None:
    node = read(pattern)
    assert node is not None
    meant, plain = (jsonschema_rs.validator_for({"pattern": p}) for p in (pattern, write(node)))
    fitted = fit(node, 0, 30)
    assert fitted is not None
    assert length(fitted).most <= 30

    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(texts(node), texts(fitted), st.text(alphabet="ab:/ .-@1A_v", max_size=6))
    def prove(text: str, short: str, other: str) -> None:
        assert meant.is_valid(text) and plain.is_valid(text)
        assert meant.is_valid(short) and len(short) <= 30
        assert meant.is_valid(other) == plain.is_valid(other)

    prove()


@pytest.mark.parametrize(
    "pattern", [r"(?=a)a", r"(a)\1", r"\ba", r"^\p{L}$", "(^a)b|c$d", "(?i)a", "[", "a{3,1}", "*a"]
)
def test_what_is_no_regular_language_or_no_pattern_has_no_plain_form(pattern: str) -> None:
    assert read(pattern) is None
