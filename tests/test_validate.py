"""Filters over existing data: nothing is lost, columns come back as they were, mistakes are named before anything is read twice."""

import datetime
import json

import pytest
from datasets import Dataset, Features, Value

import textsynth as ts
from textsynth.cli import main
from textsynth.errors import RecipeError
from textsynth.schema import observe

ROWS = [
    {"text": "Where is my new card, please tell me?", "label": "card", "n": 1, "tags": ["a", "b"], "more": {"x": None}},
    {"text": "where is my NEW card, please tell me?", "label": "card", "n": 2, "tags": [], "more": {"x": 1.5}},
    {"text": "The exchange rate was wrong on Monday.", "label": "rate", "n": 3, "tags": ["c"], "more": {"x": None}},
    {
        "text": "As an AI language model, I cannot help you with that request.",
        "label": "rate",
        "n": 4,
        "tags": [],
        "more": {},
    },
]


def test_every_row_is_kept_as_it_was_or_dropped_with_its_reason():
    found = ts.validate(ROWS, filters=["refusal", "duplicate"])
    assert found.kept.to_list() == [{**ROWS[0], "more": {"x": None}}, ROWS[2]]
    assert found.reasons == {"duplicate": 1, "refusal": 1} and found.rows == 4
    first, second = found.dropped.to_list()
    assert first["text"] == ROWS[1]["text"] and first["drop_row"] == 1 and first["drop_culprit"] == "0"
    assert second["drop_reason"] == "refusal" and second["drop_row"] == 3
    assert [found.row(n)["n"] for n in range(4)] == [1, 2, 3, 4]
    assert found.examples("refusal", 5) == [second] and found.examples("length", 5) == []
    assert found.filters["duplicate"]["checked"] == 3 and found.filters["duplicate"]["dropped"] == 1


def test_a_dataset_keeps_its_types_also_those_that_json_has_not():
    day = datetime.datetime(2024, 2, 29, 12, 30)
    features = Features(
        {"text": Value("string"), "when": Value("timestamp[s]"), "raw": Value("binary"), "n": Value("int8")}
    )
    rows = [{"text": f"message number {n // 2} of them", "when": day, "raw": b"\x00\xff", "n": n} for n in range(4)]
    found = ts.validate(Dataset.from_list(rows, features=features), filters=["duplicate"])
    assert found.kept.features == features and found.kept.to_list() == [rows[0], rows[2]]
    assert found.dropped.features["raw"] == Value("binary") and found.dropped["n"][:] == [1, 3]


def test_all_rows_may_be_dropped_and_none():
    nothing = ts.validate(ROWS[:1], filters=[{"length": {"min_words": 99}}])
    assert nothing.kept.num_rows == 0 and nothing.kept.column_names == list(ROWS[0])
    everything = ts.validate(ROWS, filters=[])
    assert everything.kept.num_rows == 4 and everything.dropped.num_rows == 0


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_files_are_read_by_their_ending(tmp_path, ending):
    rows = [{"text": row["text"], "label": row["label"]} for row in ROWS]
    file = tmp_path / f"rows.{ending}"
    data = Dataset.from_list(rows)
    {"jsonl": data.to_json, "csv": data.to_csv, "parquet": data.to_parquet}[ending](str(file))
    found = ts.validate(file, filters=["duplicate"], fields=["text"])
    assert found.kept.to_list() == [rows[0], rows[2], rows[3]]


def test_many_windows_give_the_same_as_one_pass_over_all(tmp_path):
    rows = [{"text": f"this is message {n % 700} and it says {n % 350}"} for n in range(2000)]
    found = ts.validate(rows, filters=["duplicate"])
    assert found.kept.to_list() == rows[:700] and found.rows == 2000
    assert found.dropped["drop_culprit"][:] == [str(n % 700) for n in range(700, 2000)]


def test_a_schema_is_a_filter_and_seeds_are_compared_with():
    found = ts.validate(ROWS, filters=["copied"], schema={"properties": {"n": {"maximum": 2}}}, seeds=ROWS[:1])
    assert found.reasons == {"schema": 2, "copied": 2}
    assert {row["drop_culprit"] for row in found.dropped.to_list() if row["drop_reason"] == "copied"} == {"seed:0"}


def test_questions_to_a_model_are_answered_by_the_engine_named():
    found = ts.validate(ROWS, filters=["conftest:Oracle"], model="scripted")
    assert found.rows == 4 and found.reasons == {}
    assert found.filters["conftest:Oracle"]["measured"] == {"answers": 4}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data": []}, "data: no rows"),
        ({"data": iter(ROWS)}, "a list of rows that can be read twice, got list_iterator"),
        ({"data": "nowhere.jsonl"}, "no such file: 'nowhere.jsonl'"),
        ({"data": [{"at": datetime.date(2024, 1, 1)}]}, "the columns at hold values that JSON does not have"),
        ({"fields": ["txt"]}, "unknown name 'txt' (did you mean text?)"),
        ({"filters": ["duplicat"]}, "unknown name 'duplicat' (did you mean duplicate?)"),
        ({"filters": ["duplicate", "duplicate"]}, "filters.duplicate: it stands twice"),
        ({"filters": [{"near_duplicate": {"threshold": 85}}]}, "got 85 (did you mean 0.85?)"),
        ({"filters": [{"length": {"fields": ["body"]}}]}, "filters.length: fields: unknown name 'body'"),
    ],
)
def test_mistakes_are_named(arguments, message):
    with pytest.raises(RecipeError) as error:
        ts.validate(**{"data": ROWS, "filters": ["duplicate"], **arguments})
    assert message in str(error.value)


def test_rows_that_share_no_types_are_read_as_what_they_are():
    rows = [{"a": 1, "b": "x y z"}, {"a": "one", "c": [1, {"d": True}]}, {"b": None}]
    observed = observe(rows)
    assert observed.rows == 3 and observed.text_fields == ("b",)
    assert observed.schema.properties["a"] == {"type": ["integer", "string"]}
    assert all(observed.schema.problems(row) == [] for row in rows)
    assert ts.validate(rows, filters=[]).kept.num_rows == 3


def test_few_values_that_repeat_are_a_closed_set():
    rows = [{"label": ["ham", "spam"][n % 2], "text": f"message {n}"} for n in range(60)]
    observed = observe(rows)
    assert observed.schema.properties["label"] == {"enum": ["ham", "spam"]} and observed.text_fields == ("text",)


def test_the_command_shows_reasons_examples_and_cost(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    code = main(
        ["validate", "rows.jsonl", "--filters", "refusal, {duplicate: {fields: [text]}}", "--profile", "--to", "out"]
    )
    out = capsys.readouterr().out
    assert code == 0 and "2 of 4 rows kept" in out and "same as row 0" in out and "µs a record" in out
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["dropped", "kept"]
    assert main(["validate", "rows.jsonl", "--json", "--filters", "duplicate"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["reasons"] == {"duplicate": 1}
    assert main(["validate", "rows.jsonl", "--filters", "{duplicate"]) == 2
    assert "is no list of filters" in capsys.readouterr().err
