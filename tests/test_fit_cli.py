"""The commands ``fit`` and ``sample`` on files, as a user runs them."""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from datasets import Dataset

from tests.shop import CURRENCY, orders
from textsynth.cli import fit as command
from textsynth.errors import RecipeError
from textsynth.profile import fit, read_rows

PEOPLE = [
    {
        "age": 20 + n * 7 % 60,
        "zip": f"0{1000 + n * 37 % 9000}",
        "job": ["cook", "nurse", "clerk"][n % 3],
        "pay": round(1000 + n * 13.37 % 900, 2),
        "since": f"2020-{1 + n % 12:02d}-{1 + n % 28:02d}",
        "member": n % 2 == 0,
        "mark": "a" if n % 3 == 2 and n % 2 else ["?", ""][n // 3 % 2],
    }
    for n in range(300)
]


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    command.add(parser.add_subparsers(dest="command"))
    return command.command(parser.parse_args(arguments))


@pytest.fixture
def people(tmp_path: Path) -> Path:
    file = tmp_path / "people.csv"
    with file.open("w", newline="") as lines:
        writer = csv.DictWriter(lines, list(PEOPLE[0]))
        writer.writeheader()
        writer.writerows(PEOPLE)
    return file


def test_fit_show_and_sample(people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "made"
    assert run("fit", str(people), "-o", str(folder), "--label", "job", "--no-embeddings") == 0
    shown = capsys.readouterr().out
    for expected in ("7 fields of 300 rows", "label job", "train", "180", "nurse", "integer", "%Y-%m-%d"):
        assert expected in shown
    assert run("fit", "--show", str(folder)) == 0
    assert capsys.readouterr().out == shown
    assert run("sample", str(folder), "-n", "20", "--fix", "job=nurse", "--fix", "age=41") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(rows) == 20
    assert {(row["job"], row["age"]) for row in rows} == {("nurse", 41)}
    assert {type(row[name]) for row in rows for name in ("zip", "since", "mark")} == {str}
    assert {type(row["pay"]) for row in rows} == {float}
    assert {row["member"] for row in rows} <= {True, False}


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_samples_are_written_and_read_back(ending: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, folder, file = tmp_path / "orders.jsonl", tmp_path / "p", tmp_path / "out" / f"made.{ending}"
    data.write_text("".join(json.dumps(row) + "\n" for row in orders(300)))
    run("fit", str(data), "-o", str(folder), "--key", "customer", "--no-embeddings")
    run("sample", str(folder), "-n", "40", "--share", "gift=true:.5,false:.5", "--to", str(file))
    rows = read_rows(file)
    assert len(rows) == 40
    assert sum(row["gift"] is True for row in rows) == 20
    assert all(row["currency"] == CURRENCY[row["country"]] for row in rows)
    assert "left out, for a model to write: note" in capsys.readouterr().err


def test_the_same_rows_from_any_source_give_the_same_profile(people: Path, tmp_path: Path) -> None:
    jsonl, table = tmp_path / "people.jsonl", tmp_path / "people.parquet"
    jsonl.write_text("".join(json.dumps(row) + "\n" for row in PEOPLE))
    parquet.write_table(pa.Table.from_pylist(PEOPLE), table)
    made = [fit(source, embeddings=None) for source in (str(people), jsonl, table)]
    made.append(fit(Dataset.from_list(PEOPLE), embeddings=None))
    for other in made[1:]:
        assert other.fields == made[0].fields
        assert other.records(10) == made[0].records(10)
        assert other.facts.data_hash == made[0].facts.data_hash


def test_unseen_conditions_are_said(people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("fit", str(people), "-o", str(tmp_path / "p"), "--no-embeddings")
    run("sample", str(tmp_path / "p"), "-n", "5", "--fix", "job=cook", "--fix", "mark=a")
    assert "unseen: job='cook', mark='a': never in the train rows" in capsys.readouterr().err


def test_traits_come_from_the_model_that_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "notes.jsonl"
    rows = [{"note": row["note"] or "Nothing to add", "gift": row["gift"]} for row in orders(120)]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run("fit", str(data), "-o", str(tmp_path / "p"), "--no-embeddings", "--traits", "scripted", "--json")
    traits = json.loads(capsys.readouterr().out)["traits"]
    assert traits
    assert all(trait["field"] == "note" and trait["options"][-1] == "other" for trait in traits)


def test_facts_as_json(people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("fit", str(people), "-o", str(tmp_path / "p"), "--no-embeddings", "--audit", "--json", "--seed", "3")
    data = json.loads(capsys.readouterr().out)
    assert data == json.loads((tmp_path / "p" / "profile.json").read_text())
    assert (data["splits"]["train"], data["splits"]["steer"], data["splits"]["report"]) == (150, 30, 120)
    assert data["facts"]["seed"] == 3
    assert data["facts"]["source"] == str(people)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit"], "no data is named"),
        (["fit", "nothing.csv"], "no such file"),
        (["fit", "{people}", "-o", "{people}"], "is a file"),
        (["fit", "{people}", "-o", "{folder}"], "holds other files"),
        (["fit", "{people}", "-o", "{new}", "--limit", "20"], "at least 50 rows, got 20"),
        (["fit", "{people}", "-o", "{new}", "--key", "jop"], "did you mean job"),
        (["fit", "--show", "{new}"], "is no profile"),
        (["sample", "{new}"], "is no profile"),
        (["sample", "{new}", "--to", "a.xlsx"], "must end in"),
    ],
)
def test_mistakes_are_named(arguments: list[str], message: str, people: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("mine")
    places = {"people": str(people), "folder": str(tmp_path / "other"), "new": str(tmp_path / "new")}
    with pytest.raises(RecipeError, match=message):
        run(*(argument.format(**places) for argument in arguments))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--fix", "job"], "must be FIELD=VALUE"),
        (["--fix", "job=cook", "--fix", "job=nurse"], "is given twice"),
        (["--fix", "job=coock"], "did you mean cook"),
        (["--share", "job=cook"], "must be FIELD=VALUE:SHARE"),
    ],
)
def test_bad_conditions_are_named(given: list[str], message: str, people: Path, tmp_path: Path) -> None:
    run("fit", str(people), "-o", str(tmp_path / "p"), "--no-embeddings")
    with pytest.raises(RecipeError, match=message):
        run("sample", str(tmp_path / "p"), *given)
