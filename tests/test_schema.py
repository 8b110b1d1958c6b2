"""Every way to say a schema, the messages for those that are none, and the check of records."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from pydantic import BaseModel, Field, field_validator, model_validator

from textsynth.errors import SchemaError
from textsynth.schema import RecordSchema, load, short_form, to_json_schema

HERE = Path(__file__).parent


class Part(BaseModel):
    name: str = Field(max_length=20)


class Order(BaseModel):
    number: int = Field(ge=1)
    status: Literal["open", "sent"]
    day: date
    note: str | None = None
    parts: list[Part]

    @field_validator("number")
    @classmethod
    def even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("must be even")
        return value

    @model_validator(mode="after")
    def whole(self) -> Order:
        if self.status == "sent" and not self.parts:
            raise KeyError("a validator that breaks")
        return self


ORDER = {"number": 2, "status": "open", "day": "2024-02-29", "parts": []}


# --- the short form ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("str", {"type": "string"}),
        ("str<=80", {"type": "string", "maxLength": 80}),
        ("str >= 3", {"type": "string", "minLength": 3}),
        ("text 20..600", {"type": "string", "minLength": 20, "maxLength": 600}),
        ("int 0..10", {"type": "integer", "minimum": 0, "maximum": 10}),
        ("int>=-5", {"type": "integer", "minimum": -5}),
        ("float<=1.5", {"type": "number", "maximum": 1.5}),
        ("bool", {"type": "boolean"}),
        ("date?", {"type": ["string", "null"], "format": "date"}),
        ("url", {"type": "string", "format": "uri"}),
        ("list[str<=20]<=5", {"type": "array", "items": {"type": "string", "maxLength": 20}, "maxItems": 5}),
        ("list[list[int]]", {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}}),
        (["low", "high", None], {"enum": ["low", "high", None]}),
    ],
)
def test_a_short_type_is_this_schema(value: Any, expected: dict[str, Any]) -> None:
    assert short_form({"f": value})["properties"]["f"] == expected


def test_fields_are_required_closed_and_may_be_nested() -> None:
    made = short_form({"a": "str", "b?": "int", "c": {"d": "bool"}})
    assert made["required"] == ["a", "c"]
    assert list(made["properties"]) == ["a", "b", "c"]
    assert made["additionalProperties"] is False
    assert made["properties"]["c"]["required"] == ["d"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"f": "strng"}, r"schema.f: unknown type 'strng' \(did you mean str\?\); known: str, text, int"),
        ({"f": "integer"}, r"unknown type 'integer' \(did you mean int\?\)"),
        ({"f": "String"}, r"unknown type 'String' \(did you mean str\?\)"),
        ({"f": "str<80"}, "cannot read the type 'str<80'"),
        ({"f": "int 9..1"}, "the lower bound 9 is above the upper bound 1"),
        ({"f": "str>=-1"}, "a length must be a whole number of 0 or more"),
        ({"f": "date<=3"}, "date takes no bounds"),
        ({"f": "int<=3<=4"}, "<= stands twice"),
        ({"f": "list[strng]"}, r"schema.f\[\]: unknown type"),
        ({"f": []}, "must name the values"),
        ({"f": [True, False]}, 'put such words in quotes'),
        ({"f": ["a", "a"]}, "must differ"),
        ({"f": 3}, "cannot read 3"),
        ({3: "str"}, "must be text, got 3"),
        ({"a": "str", "a?": "str"}, "differ from the others"),
        ({"o": {"i": "xyz"}}, "schema.o.i: unknown type"),
        ({}, "at least one field"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_short_form_is_named_with_place_and_value(fields: dict[Any, Any], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        short_form(fields)


# --- sources -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "properties": {"a": {"type": "string"}}},
        {"type": "object", "properties": {"a": {"type": "string"}}},
        {"properties": {"a": {"type": "string"}}, "required": ["a"]},
        {"$ref": "#/$defs/x", "$defs": {"x": {"type": "object", "properties": {"a": {"type": "string"}}}}},
        {"allOf": [{"properties": {"a": {"type": "string"}}}]},
        {"oneOf": [{"properties": {"a": {"type": "string"}}}]},
        {"a": "str"},
    ],
)
def test_json_schema_and_short_form_are_told_apart(source: dict[str, Any]) -> None:
    schema = load(source, folder=HERE)
    assert list(schema.properties) == ["a"]
    assert schema.problems({"a": 1})[0].field == "a"


def test_fields_may_be_called_like_keywords() -> None:
    fields = {"type": "str", "properties": {"x": "int"}, "definitions": "text", "anyOf": ["a", "b"], "file": "str"}
    assert list(load(fields, folder=HERE).properties) == list(fields)
    assert list(load({"file": "str"}, folder=HERE).properties) == ["file"]


@pytest.mark.parametrize(("name", "dump"), [("s.json", json.dumps), ("s.yaml", yaml.safe_dump)])
def test_a_file_is_read_beside_the_recipe(tmp_path: Path, name: str, dump: Any) -> None:
    (tmp_path / name).write_text(dump({"title": "Ticket", "type": "object", "properties": {"a": {"type": "string"}}}))
    for source in (name, {"file": name}, Path(name)):
        schema = load(source, folder=tmp_path)
        assert (schema.name, list(schema.properties)) == ("Ticket", ["a"])


def test_a_class_is_imported_and_its_validators_are_part_of_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, str(HERE)])
    schema = load({"python": "test_schema:Order"}, folder=tmp_path)
    assert schema.name == "Order"
    assert schema.required == ("number", "status", "day", "parts")
    assert schema.choices("status") == ("open", "sent")
    assert schema.problems(ORDER) == []
    (odd,) = schema.problems({**ORDER, "number": 3})
    assert (odd.field, odd.keyword, odd.message) == ("number", "pydantic", "Value error, must be even")
    (broken,) = schema.problems({**ORDER, "status": "sent"})
    assert (broken.field, broken.keyword) == ("", "pydantic")
    assert "a validator that breaks" in broken.message
    assert schema.problems({**ORDER, "day": "2023-02-29"})[0].keyword == "format"


def test_features_of_a_dataset_become_fields(tmp_path: Path) -> None:
    import datasets

    features = datasets.Features(
        {
            "text": datasets.Value("string"),
            "label": datasets.ClassLabel(names=["no", "yes"]),
            "tags": datasets.List(datasets.Value("string"), length=2),
            "turns": [{"n": datasets.Value("uint8"), "day": datasets.Value("date32")}],
            "at": datasets.Value("timestamp[s]"),
            "score": datasets.Value("float32"),
        }
    )
    made = to_json_schema(features)["properties"]
    assert made["label"] == {"enum": ["no", "yes"]}
    assert made["tags"] == {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2}
    assert made["turns"]["items"]["properties"]["n"] == {"type": "integer", "minimum": 0, "maximum": 255}
    assert made["turns"]["items"]["properties"]["day"] == {"type": "string", "format": "date"}
    assert (made["at"]["format"], made["score"]) == ("date-time", {"type": "number"})
    row = {"text": "a", "label": 1, "tags": ["x", "y"], "turns": [], "at": None, "score": 0.5}
    data = datasets.Dataset.from_list([row], features=features)
    data.save_to_disk(str(tmp_path / "saved"))
    data.to_parquet(str(tmp_path / "rows.parquet"))
    for name in ("saved", "rows.parquet"):
        assert load({"features": name}, folder=tmp_path).document["properties"] == made
    assert list(load(features, folder=tmp_path).properties) == list(features)
    with pytest.raises(SchemaError, match=r"schema\.picture: the feature Image cannot be generated"):
        to_json_schema(datasets.Features({"picture": datasets.Image()}))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("missing.json", "no such file"),
        ({"file": "missing.yaml"}, "no such file"),
        ({"features": "missing/folder"}, "is no saved dataset or Parquet file"),
        (3, "cannot read a int as a schema"),
        (int, "cannot read int as a schema"),
        (
            {"type": "object", "properties": {"a": {"type": "strin"}}},
            r"place: not a valid JSON Schema at \$.properties.a.type",
        ),
        ({"type": "object", "properties": {"a": {"minLength": -1}}}, "minLength"),
        ({"type": "object", "properties": {"a": {"pattern": "("}}}, r"\$.properties.a.pattern"),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/none"}}}, "points to nothing"),
        ({"type": "object", "properties": {"a": {"$ref": "#none"}}}, r"points to no \$anchor"),
        (
            {"type": "object", "properties": {"a": {"$ref": "https://example.com/s.json#/x"}}},
            r"keyword \$ref at \$.properties.a: 'https://example.com/s.json#/x' is outside the document",
        ),
        ({"$schema": "https://example.com/meta", "type": "object"}, "Unknown meta-schema"),
        ({"type": "object", "properties": {"day": {"enum": [date(2024, 1, 1)]}}}, "must be JSON"),
    ],
)
def test_what_is_no_schema_is_refused_with_place_and_rule(source: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=message):
        load(source, folder=tmp_path, place="place")


# --- references and drafts ---------------------------------------------------------------------------------------------


def test_ids_anchors_and_relative_references_become_plain_pointers() -> None:
    schema = RecordSchema(
        {
            "$id": "https://example.com/root.json",
            "type": "object",
            "properties": {
                "a": {"$ref": "item.json"},
                "b": {"$ref": "#word"},
                "c": {"$ref": "item.json#/properties/n"},
                "d": {"$ref": "#/$defs/odd~1na%25me"},
            },
            "$defs": {
                "item": {"$id": "item.json", "type": "object", "properties": {"n": {"type": "integer"}}},
                "word": {"$anchor": "word", "type": "string"},
                "odd/na%me": {"type": "boolean"},
            },
        }
    )
    assert [part.get("type") for part in schema.properties.values()] == ["object", "string", "integer", "boolean"]
    assert schema.document["properties"]["a"] == {"$ref": "#/$defs/item"}
    assert {p.field for p in schema.problems({"a": {"n": "x"}, "b": 1, "c": "x", "d": 0})} == {"a", "b", "c", "d"}


def test_references_that_run_in_a_circle_come_to_an_end() -> None:
    loop = {"type": "object", "properties": {"a": {"$ref": "#/$defs/x"}}}
    schema = RecordSchema({**loop, "$defs": {"x": {"$ref": "#/$defs/y"}, "y": {"$ref": "#/$defs/x"}}})
    assert (schema.choices("a"), schema.text_fields) == (None, ())
    schema.problems({"a": 1})
    union = RecordSchema({**loop, "$defs": {"x": {"anyOf": [{"$ref": "#/$defs/x"}, {"type": "null"}]}}})
    assert union.choices("a") is None


@pytest.mark.parametrize("draft", ["draft-04/schema#", "draft-06/schema#", "draft-07/schema#"])
def test_older_drafts_mean_what_they_meant(draft: str) -> None:
    exclusive = {"minimum": 0, "exclusiveMinimum": True} if "04" in draft else {"exclusiveMinimum": 0}
    schema = RecordSchema(
        {
            "$schema": f"http://json-schema.org/{draft}",
            "type": "object",
            "definitions": {
                "pair": {"type": "array", "items": [{"type": "integer"}, {"$ref": "#/definitions/pair/items/0"}]}
            },
            "properties": {
                "n": {"type": "number", **exclusive},
                "pair": {
                    "$ref": "#/definitions/pair",
                    "description": "siblings of $ref count for nothing",
                    "maxItems": 0,
                },
                "id": {"type": "string", "format": "uuid"},
                "closed": {"type": "array", "items": [{"type": "integer"}], "additionalItems": False},
            },
            "dependencies": {"n": ["id"], "pair": {"required": ["n"]}},
        }
    )
    assert not schema.problems({"pair": [1, 2], "n": 1, "id": "2c5ea4c0-4067-41e9-8bad-9b1deb4d3b7d"})
    wrong = [{"n": 0, "id": ""}, {"n": 1}, {"pair": [1, "x"]}, {"pair": [1]}, {"closed": [1, 2]}, {"id": "x"}]
    assert all(schema.problems(record) for record in wrong)


# --- the check ---------------------------------------------------------------------------------------------------------


FORMATS = {
    "date": ("2024-02-29", "2024-02-31"),
    "date-time": ("2024-02-29T10:00:00Z", "2024-02-31T10:00:00Z"),
    "time": ("10:00:00Z", "25:00:00Z"),
    "email": ("a@b.example", "a b"),
    "uuid": ("2c5ea4c0-4067-41e9-8bad-9b1deb4d3b7d", "2c5e"),
    "ipv4": ("1.2.3.4", "1.2.3.256"),
    "ipv6": ("::1", "::g"),
    "uri": ("https://a.example", "a b"),
    "hostname": ("a.example", "-a."),
    "duration": ("P1D", "1D"),
    "regex": ("a+", "("),
    "json-pointer": ("/a", "a"),
}


@pytest.mark.parametrize(
    "draft", ["", "http://json-schema.org/draft-04/schema#", "http://json-schema.org/draft-07/schema#"]
)
@pytest.mark.parametrize("name", FORMATS)
def test_formats_are_asserted_whatever_the_draft(name: str, draft: str) -> None:
    top = {"$schema": draft} if draft else {}
    schema = RecordSchema({**top, "type": "object", "properties": {"v": {"type": "string", "format": name}}})
    valid, invalid = FORMATS[name]
    assert not schema.problems({"v": valid})
    assert [(p.field, p.keyword) for p in schema.problems({"v": invalid})] == [("v", "format")]


def test_a_problem_says_field_keyword_value_and_rule() -> None:
    part = {"type": "string", "maxLength": 3}
    document = short_form({"a": "str", "n": "int"})
    document["properties"] |= {"union": {"anyOf": [part, {"type": "null"}]}, "list": {"type": "array", "items": part}}
    schema = RecordSchema(document)
    found = schema.problems({"n": "x", "union": "abcd", "list": ["ab", "abcd"], "extra": 1})
    assert {(p.path, p.keyword) for p in found} == {
        (("a",), "required"),
        (("n",), "type"),
        (("union",), "maxLength"),  # of the branch that was meant, not "no branch fits"
        (("list", 1), "maxLength"),
        (("extra",), "additionalProperties"),
    }
    assert '"abcd" is longer than 3 characters' in {p.message for p in found}
    assert [p.field for p in schema.problems([])] == [""]


def test_constants_must_be_equal_and_true_is_not_one() -> None:
    schema = RecordSchema({"type": "object", "properties": {"a": {}, "b": {}}})
    assert not schema.problems({"a": 1.0, "b": {"x": [1]}}, {"a": 1, "b": {"x": [1]}})
    assert [p.field for p in schema.problems({"a": True, "b": {"x": [True]}}, {"a": 1, "b": {"x": [1]}})] == ["a", "b"]


@pytest.mark.parametrize("record", [{"a": "\ud800"}, {"a": {1, 2}}, {1: "a"}, {"a": float("nan")}])
def test_what_is_no_json_is_a_problem_and_no_exception(record: Any) -> None:
    assert RecordSchema(short_form({"a": "int"})).problems(record)


def test_one_field_is_checked_alone() -> None:
    schema = RecordSchema(
        {
            "$ref": "#/$defs/record",
            "$defs": {
                "record": {"type": "object", "properties": {"a": {"$ref": "#/$defs/level"}, "b": {"type": "string"}},
                           "required": ["a", "b"], "additionalProperties": False},
                "level": {"enum": ["low", "high"]},
            },
        }
    )  # fmt: skip
    assert schema.field_problems("a", "low") == []
    assert [(p.field, p.keyword) for p in schema.field_problems("a", "middle")] == [("a", "enum")]
    assert schema.choices("a") == ("low", "high")
    assert (schema.required, schema.text_fields) == (("a", "b"), ("b",))


def test_choices_are_the_closed_sets() -> None:
    properties = {
        "enum": ({"enum": ["a", None]}, ("a", None)),
        "const": ({"const": 3}, (3,)),
        "bool": ({"type": "boolean"}, (True, False)),
        "nullable": ({"type": ["boolean", "null"]}, (True, False, None)),
        "union": ({"anyOf": [{"$ref": "#/$defs/e"}, {"type": "null"}]}, ("x", "y", None)),
        "wrapped": ({"allOf": [{"$ref": "#/$defs/e"}]}, ("x", "y")),
        "open": ({"anyOf": [{"$ref": "#/$defs/e"}, {"type": "string"}]}, None),
        "text": ({"type": "string"}, None),
    }
    parts = {name: part for name, (part, _) in properties.items()}
    schema = RecordSchema({"type": "object", "properties": parts, "$defs": {"e": {"enum": ["x", "y"]}}})
    assert {name: schema.choices(name) for name in parts} == {name: values for name, (_, values) in properties.items()}
    assert schema.choices("unknown") is None


def test_free_text_is_what_has_neither_a_set_nor_a_format() -> None:
    free = {
        "string": {"type": "string"},
        "nullable": {"type": ["string", "null"]},
        "list": {"type": "array", "items": {"type": "string"}},
        "deep": {"type": "object", "properties": {"x": {"anyOf": [{"type": "integer"}, {"type": "string"}]}}},
        "map": {"type": "object", "additionalProperties": {"type": "string"}},
        "roomy pattern": {"type": "string", "pattern": r"^[A-Z].*\.$"},
        "not blank": {"type": "string", "pattern": r"\S"},
        "tree": {"$ref": "#/$defs/tree"},
    }
    other = {
        "enum": {"type": "string", "enum": ["a"]},
        "date": {"type": "string", "format": "date"},
        "code": {"type": "string", "pattern": "^[A-Z]{3}-[0-9]+$"},
        "number": {"type": "number"},
        "list of dates": {"type": "array", "items": {"type": "string", "format": "date"}},
    }
    tree = {"type": "object", "properties": {"child": {"$ref": "#/$defs/tree"}, "label": {"type": "string"}}}
    schema = RecordSchema({"type": "object", "properties": {**free, **other}, "$defs": {"tree": tree}})
    assert schema.text_fields == tuple(free)


def test_properties_of_members_and_branches_are_fields_too() -> None:
    def branch(kind: str, name: str) -> dict[str, Any]:
        return {"properties": {"kind": {"const": kind}, name: {"type": "string"}}, "required": ["kind", name]}

    schema = RecordSchema(
        {
            "allOf": [{"properties": {"id": {"type": "integer"}}, "required": ["id"]}],
            "oneOf": [branch("a", "x"), branch("b", "y")],
        }
    )
    assert list(schema.properties) == ["id", "kind", "x", "y"]
    assert (schema.required, schema.choices("kind")) == (("id",), ("a", "b"))
    assert schema.field_problems("kind", "b") == [] != schema.field_problems("kind", "c")


def test_importing_loads_nothing_heavy() -> None:
    code = "import sys, textsynth.schema; print([m for m in ('torch', 'vllm', 'datasets', 'xgrammar', 'llguidance') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
