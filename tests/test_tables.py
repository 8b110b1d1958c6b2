"""Rows come out the same whatever file they lie in; a wrong one is named by its line."""

from __future__ import annotations

import json
import tracemalloc

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from textsynth import tables
from textsynth.errors import RecipeError

ROWS = [{"text": "Grüße, „Welt“", "n": 1}, {"text": "two\nlines", "n": 2}]


def read(source, folder, **options):
    return tables.read(str(source), folder=folder, place="seeds.path", **options)


def refusal(source, folder, **options) -> str:
    with pytest.raises(RecipeError) as caught:
        read(source, folder, **options)
    assert caught.value.problems[0].startswith("seeds.path: ")
    return caught.value.message


def write_jsonl(path):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n\n" for row in ROWS), encoding="utf-8")


def write_json(path):
    path.write_text(json.dumps(ROWS), encoding="utf-8")


def write_csv(path, comma=","):
    rows = [f'"{row["text"]}"{comma}{row["n"]}\n' for row in ROWS]
    path.write_text(f"text{comma}n\n" + "".join(rows), encoding="utf-8")


def write_tsv(path):
    write_csv(path, "\t")


def write_parquet(path):
    parquet.write_table(pa.Table.from_pylist(ROWS), path)


WRITERS = {"jsonl": write_jsonl, "json": write_json, "csv": write_csv, "tsv": write_tsv, "parquet": write_parquet}


@pytest.mark.parametrize("kind", WRITERS)
def test_every_kind_of_file_gives_the_same_rows(tmp_path, kind):
    WRITERS[kind](tmp_path / f"rows.{kind}")
    rows = [tables.typed(row, {"n": {"integer"}, "text": {"string"}}) for row in read(f"rows.{kind}", tmp_path)]
    assert rows == ROWS


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "tsv"])
def test_a_byte_order_mark_is_not_part_of_the_first_name(tmp_path, kind):
    path = tmp_path / f"rows.{kind}"
    WRITERS[kind](path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert list(read(path, tmp_path)[0]) == ["text", "n"]


def test_a_folder_gives_the_rows_of_all_its_files_in_order(tmp_path):
    folder = tmp_path / "data"
    (folder / "deep").mkdir(parents=True)
    write_jsonl(folder / "a.jsonl")
    write_parquet(folder / "deep" / "b.parquet")
    (folder / "README.md").write_text("not a row")
    assert read("data", tmp_path) == ROWS + ROWS


def test_a_folder_of_texts_gives_a_row_for_each(tmp_path):
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "b.md").write_text("zweiter ß", encoding="utf-8")
    (folder / "a.txt").write_text("first", encoding="utf-8")
    assert read(folder, tmp_path) == [{"text": "first", "path": "a.txt"}, {"text": "zweiter ß", "path": "b.md"}]
    (folder / "c.txt").write_bytes(b"\xff\xfe\x00")
    assert "c.txt" in refusal(folder, tmp_path)


def test_a_saved_dataset_gives_the_rows_of_all_splits(tmp_path):
    from datasets import Dataset, DatasetDict

    Dataset.from_list(ROWS).save_to_disk(str(tmp_path / "one"))
    DatasetDict({"a": Dataset.from_list(ROWS), "b": Dataset.from_list(ROWS)}).save_to_disk(str(tmp_path / "both"))
    assert read("one", tmp_path) == ROWS
    assert read("both", tmp_path) == ROWS + ROWS


def test_a_limit_reads_no_further(tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"a": 1}\n{"a": 2}\nnot json\n')
    assert read("rows.jsonl", tmp_path, limit=2) == [{"a": 1}, {"a": 2}]
    assert "line 3" in refusal("rows.jsonl", tmp_path, limit=3)


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("a.jsonl", b'{"a": 1}\n\n{"a": \n', "line 3"),
        ("a.jsonl", b'{"a": 1}\n[1, 2]\n', "line 2: each row must be a JSON object, got [1, 2]"),
        ("a.jsonl", b'{"a": "\xff"}\n', "a.jsonl"),
        ("a.json", b'{"a": 1', "a.json"),
        ("a.json", b'[{"a": 1}, 5]', "each row must be a JSON object, got 5"),
        ("a.csv", b"a,b\n1,2\n1,2,3\n", "line 3: it must have 2 columns"),
        ("a.csv", b"a,b\n1\n", "line 2: it must have 2 columns"),
        ("a.parquet", b"no parquet", "a.parquet"),
        ("a.xlsx", b"", "the ending must be one of .jsonl"),
        ("a.jsonl", b"\n", "holds no rows"),
        ("a.json", b"[]", "holds no rows"),
        ("a.csv", b"a,b\n", "holds no rows"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_place_inside(tmp_path, name, content, part):
    (tmp_path / name).write_bytes(content)
    assert part in refusal(name, tmp_path)


def test_what_is_not_there_is_named_with_where_it_was_looked_for(tmp_path):
    assert str(tmp_path) in refusal("rows.jsonl", tmp_path)
    assert "no such file" in refusal("./rows", tmp_path)
    (tmp_path / "empty").mkdir()
    assert "holds no rows" in refusal("empty", tmp_path)


@pytest.mark.parametrize(
    ("text", "types", "value"),
    [
        ("7", {"integer"}, 7),
        ("7.5", {"number"}, 7.5),
        ("7", {"number"}, 7.0),
        ("7", {"integer", "number"}, 7),
        ("7.5", {"integer", "number"}, 7.5),
        ("TRUE", {"boolean"}, True),
        ("false", {"boolean"}, False),
        ("", {"integer", "null"}, None),
        ("", {"string", "null"}, ""),
        ("7", {"string", "integer"}, "7"),
        ("seven", {"integer"}, "seven"),
        ("yes", {"boolean"}, "yes"),
        ("7", set(), "7"),
        (7, {"string"}, 7),
    ],
)
def test_csv_values_become_what_their_field_allows(text, types, value):
    read_value = tables.typed({"a": text}, {"a": types})["a"]
    assert read_value == value and type(read_value) is type(value)


def test_a_stream_reads_no_further_than_it_is_asked_and_says_at_once_what_is_missing(tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"a": 1}\n{"a": 2}\nnot json\n')
    rows = tables.stream("rows.jsonl", folder=tmp_path, place="reference")
    assert [next(rows), next(rows)] == [{"a": 1}, {"a": 2}]
    with pytest.raises(RecipeError, match="line 3"):
        next(rows)
    with pytest.raises(RecipeError, match="reference: no such file"):
        tables.stream("none.jsonl", folder=tmp_path, place="reference")


def write_large(path, rows):
    """Write some hundred bytes a row; Parquet as one row group."""
    texts = [f"{number} " + "long text of a row " * 20 for number in range(rows)]
    if path.suffix == ".parquet":
        parquet.write_table(pa.table({"text": texts}), path, row_group_size=rows, use_dictionary=False)
    elif path.suffix == ".csv":
        path.write_text("text\n" + "\n".join(texts) + "\n")
    else:
        path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_the_memory_of_a_stream_does_not_grow_with_the_file(tmp_path, kind):
    path = tmp_path / f"rows.{kind}"
    write_large(path, 20_000)  # 8 MB
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    most, last = 0, ""
    for count, row in enumerate(tables.stream(path.name, folder=tmp_path, place="x"), 1):
        last = row["text"]
        if count % 1000 == 0:
            most = max(most, pa.total_allocated_bytes() - before)
    most += tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 20_000 and last.startswith("19999 ")
    assert most < 4_000_000
