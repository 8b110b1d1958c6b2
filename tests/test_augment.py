"""Augmentation makes exactly what scarce classes lack, from real rows of the class, and says which rows were made."""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import textsynth as ts
from textsynth.augmentation import augment, read_balance
from textsynth.augmentation._balance import wanted_counts
from textsynth.cli.augment import add, command
from textsynth.errors import ExportError, LedgerError, RecipeError
from textsynth.profile import fit

ROOT = Path(__file__).parent.parent
WORDS = "card money lost phone bank transfer pending charge fee abroad limit pin code app top up refund".split()


def tickets(**counts: int) -> list[dict]:
    random, rows = Random(0), []
    for topic, count in counts.items():
        for _ in range(count):
            text = " ".join(random.choice(WORDS) for _ in range(8))
            channel = random.choice(["web", "phone"])
            waited = random.randrange(5) + (100 if channel == "phone" else 0)
            rows.append({"text": text, "topic": topic, "channel": channel, "waited": waited})
    random.shuffle(rows)
    return [{"id": f"T{1000 + at}", **row} for at, row in enumerate(rows)]


ROWS = tickets(fees=30, cards=12, limits=6)


def made(data, tmp_path, **options):
    return augment(data, **{"label": "topic", "mode": "dry_run", "folder": tmp_path / "run", **options})


def refused(data, **options) -> str:
    with pytest.raises(RecipeError) as caught:
        augment(data, **{"label": "topic", "mode": "plan", **options})
    return str(caught.value)


def wanted(classes, balance="equal", records=None) -> dict:
    return {count.value: count.wanted for count in wanted_counts(classes, balance, records)}


# --- how many --------------------------------------------------------------------------------------------------------


def test_equal_raises_all_classes_to_the_largest():
    assert wanted({"a": 5, "b": 50, "c": 20}) == {"a": 50, "b": 50, "c": 50}


def test_with_a_number_of_records_the_smallest_classes_are_filled_first():
    assert wanted({"a": 5, "b": 50, "c": 20}, records=10) == {"a": 15, "b": 50, "c": 20}
    assert wanted({"a": 5, "b": 50, "c": 20}, records=24) == {"a": 25, "b": 50, "c": 24}


@given(
    st.dictionaries(st.text(max_size=3), st.integers(1, 500), min_size=2, max_size=20),
    st.sampled_from(["equal", "real"]),
    st.integers(1, 2000),
)
def test_a_number_of_records_is_shared_out_exactly(classes, balance, records):
    found = wanted_counts(classes, balance, records)
    assert sum(count.needed for count in found) == records
    if balance == "equal":
        filled = [count.wanted for count in found if count.needed]
        assert max(filled) - min(filled) <= 1
        assert all(count.real >= max(filled) - 1 for count in found if not count.needed)


def test_real_keeps_the_shares():
    assert wanted({"a": 10, "b": 30}, "real", 100) == {"a": 35, "b": 105}


def test_counts_by_name_are_those_in_the_end():
    assert wanted({1: 5, 2: 50}, {"1": 30}) == {1: 30, 2: 50}
    assert [c.needed for c in wanted_counts({"a": 5, "b": 50}, {"a": 8, "b": 20}, None)] == [3, 0]


def test_a_balance_is_read_as_it_is_written():
    assert read_balance("equal") == "equal" and read_balance("real") == "real"
    assert read_balance("fees: 40, lost card: 30") == {"fees": 40, "lost card": 30}


@pytest.mark.parametrize("text", ["even", "fees", "fees: many", "fees: 3.5", "{", ""])
def test_a_balance_that_is_none_is_refused(text):
    with pytest.raises(RecipeError, match="must be equal, real, or"):
        read_balance(text)


# --- what is made ----------------------------------------------------------------------------------------------------


def test_each_class_gets_exactly_what_it_lacks(tmp_path):
    found = made(ROWS, tmp_path)
    assert {c.value: (c.real, c.wanted, c.made) for c in found.counts} == {
        "limits": (6, 30, 24),
        "cards": (12, 30, 18),
        "fees": (30, 30, 0),
    }
    assert found.complete and found.accepted == found.needed == 42
    assert Counter(record["topic"] for record in found.records()) == {"limits": 24, "cards": 18}


def test_structured_fields_come_together_from_a_real_row_of_the_class(tmp_path):
    real = {(row["topic"], row["channel"], row["waited"]) for row in ROWS}
    records = list(made(ROWS, tmp_path).records())
    assert {(r["topic"], r["channel"], r["waited"]) for r in records} <= real
    assert len({(r["channel"], r["waited"]) for r in records}) > 5


def test_the_model_sees_real_rows_of_the_class_only(tmp_path):
    found = made(ROWS, tmp_path)
    real = {row["text"]: row["topic"] for row in ROWS}
    for index in range(42):
        draw = found.run.why(index).draw
        assert len(draw.seeds) == 3
        assert {real[seed.row["text"]] for seed in draw.seeds} == {draw.attributes["topic"]}
        assert all("id" not in seed.row for seed in draw.seeds)


def test_the_prompt_shows_class_and_fields_but_not_how_rows_are_drawn(tmp_path):
    found = made(ROWS, tmp_path)
    said = found.run.why(0).requests[0].messages[-1]["content"]
    drawn = found.run.why(0).draw.attributes
    assert f'"{drawn["topic"]}"' in said and f"channel: {drawn['channel']}" in said and "combination" not in said


def test_columns_may_have_the_names_that_templates_use(tmp_path):
    rows = [
        {"label": r["topic"], "text": r["text"], "index": at, "combination": r["channel"]} for at, r in enumerate(ROWS)
    ]
    found = made(rows, tmp_path, label="label")
    assert found.complete and any("index" in note for note in found.notes)
    assert {record["combination"] for record in found.records()} == {"web", "phone"}


def test_structured_fields_may_be_drawn_from_a_profile_given_the_class(tmp_path):
    rows = tickets(fees=60, cards=24, limits=12)
    fit(rows, label="topic", embeddings=None).save(tmp_path / "profile")
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    profile = {"folder": str(tmp_path / "profile"), "data": str(tmp_path / "rows.jsonl")}
    found = made(rows, tmp_path, profile=profile)
    assert found.complete and Counter(record["topic"] for record in found.records()) == {"limits": 48, "cards": 36}
    assert {record["channel"] for record in found.records()} == {"web", "phone"}
    said = found.run.why(0).requests[0].messages[-1]["content"]
    assert "length of text: " in said and "#" not in said


def test_several_text_fields_are_written(tmp_path):
    rows = [{**row, "reply": f"dear customer we look at {row['text']} soon"} for row in ROWS]
    found = made(rows, tmp_path, text=["text", "reply"])
    real = {row["reply"] for row in rows}
    assert found.complete and all(record["reply"] not in real and record["text"] for record in found.records())


def test_a_run_that_was_interrupted_goes_on_to_the_same_records(tmp_path):
    whole = list(made(ROWS, tmp_path / "whole").records())
    part = made(ROWS, tmp_path / "part", limits={"draws": 20}, windows={"size": 10})
    assert not part.complete and part.accepted == 20
    part.run.close()
    again = made(ROWS, tmp_path / "part", windows={"size": 10})
    assert again.complete and len(list(again.records())) == len(whole)


def test_other_data_is_not_mixed_into_a_run(tmp_path):
    made(ROWS, tmp_path).run.close()
    with pytest.raises(LedgerError):
        made(tickets(fees=30, cards=12, limits=7), tmp_path)
    assert made(ROWS, tmp_path).complete, "and the run is as it was"


@pytest.mark.parametrize("form", ["jsonl", "csv", "dataset"])
def test_data_comes_in_any_form(tmp_path, form):
    from datasets import ClassLabel, Dataset

    file = tmp_path / f"rows.{form}"
    if form == "jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    elif form == "csv":
        file.write_text("".join(",".join(map(str, row)) + "\n" for row in [ROWS[0], *[r.values() for r in ROWS]]))
    else:
        data = Dataset.from_list(ROWS)
        file = data.cast_column("topic", ClassLabel(names=sorted({row["topic"] for row in ROWS})))
    found = made(str(file) if form != "dataset" else file, tmp_path)
    assert found.complete and {c.value: c.made for c in found.counts} == {"limits": 24, "cards": 18, "fees": 0}


@settings(max_examples=5, deadline=None)
@given(labels=st.lists(st.sampled_from([1, 2, 3]), min_size=20, max_size=40).filter(lambda found: len(set(found)) > 1))
def test_labels_may_be_numbers(tmp_path_factory, labels):
    rows = [{"text": f"a text of number {at} and more", "stars": label} for at, label in enumerate(labels)]
    found = made(rows, tmp_path_factory.mktemp("numbers"), label="stars")
    assert found.complete and set(Counter([*labels, *(r["stars"] for r in found.records())]).values()) == {
        max(Counter(labels).values())
    }


# --- the dataset -----------------------------------------------------------------------------------------------------


def test_the_dataset_is_the_real_rows_then_the_synthetic_ones(tmp_path):
    from datasets import load_dataset

    found = made(ROWS, tmp_path)
    (place,) = found.export()
    data = load_dataset(place, split="train")
    assert data.num_rows == 48 + 42
    assert [{k: v for k, v in row.items() if k != "synthetic"} for row in data.select(range(48))] == ROWS
    assert data["synthetic"][:48] == [False] * 48 and data["synthetic"][48:] == [True] * 42
    assert data["id"][48:] == [None] * 42, "nobody invents identifiers"
    card = (tmp_path / "run/dataset/README.md").read_text()
    assert "| limits | 6 | 30 | 24 | 100% |" in card


def test_the_marker_may_have_another_name(tmp_path):
    rows = [{**row, "synthetic": "no"} for row in ROWS]
    assert "the data has a column 'synthetic' already" in refused(rows)
    assert set(made(rows, tmp_path, marker="generated").dataset["generated"]) == {True, False}


def test_what_json_does_not_have_is_left_out_and_said(tmp_path):
    day = datetime(2024, 5, 1)
    rows = [
        {**row, "photo": b"x", "waited": math.nan if at % 5 == 0 else row["waited"], "day": day}
        for at, row in enumerate(ROWS)
    ]
    found = made(rows, tmp_path)
    assert "left out of the dataset (no JSON values): photo" in found.notes
    assert found.dataset[0]["waited"] is None and "photo" not in found.dataset.column_names
    assert set(found.dataset["day"]) == {"2024-05-01T00:00:00"}


def test_rows_without_a_label_are_kept_and_teach_nothing(tmp_path):
    rows = [*ROWS, {**ROWS[0], "id": "T1", "text": "nobody knows what this is about", "topic": None}]
    found = made(rows, tmp_path)
    assert found.dataset.num_rows == 49 + 42 and "1 rows have no topic" in found.notes[0]
    assert not any(seed.row["topic"] is None for seed in found.run.why(0).draw.seeds)


# --- what cannot be --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"label": "topik"}, "label: unknown name 'topik' (did you mean topic?)"),
        ({"text": "txt"}, "text: unknown name 'txt' (did you mean text?)"),
        ({"text": "topic"}, "'topic' is the label"),
        ({"label": "text", "text": "channel"}, "has only"),
        ({"balance": {"fee": 50}}, "balance: unknown name 'fee' (did you mean fees?)"),
        ({"balance": {"fees": -1}}, "must be 0 or more"),
        ({"balance": {"fees": 50}, "records": 5}, "leave one of the two out"),
        ({"balance": "real"}, "add --records N"),
        ({"balance": "even"}, "must be equal, real or a count"),
        ({"records": 0}, "records: must be 1 or more, got 0"),
    ],
)
def test_a_wish_that_cannot_be_is_refused_before_anything_is_made(options, part):
    data = ROWS if options.get("label") != "text" else [{"text": "one", "channel": "a b c d e f"}] * 9
    assert part in refused(data, **options)


def test_too_many_values_are_no_classes():
    rows = [{"text": f"some words that make text {at}", "topic": f"t{at % 201}"} for at in range(402)]
    assert "has 201 values; at most 200 can be classes" in refused(rows)


def test_data_without_text_is_refused():
    assert "holds running text" in refused([{"topic": "ab"[i % 3 > 0], "n": i} for i in range(30)])


def test_very_few_examples_are_remarked_on():
    found = augment(tickets(fees=20, cards=3), label="topic", mode="plan")
    assert "fewer than 5 real examples: cards (3)" in found.notes[-1]


def test_nothing_is_made_where_nothing_is_scarce(tmp_path):
    found = augment(tickets(fees=9, cards=9), label="topic", folder=tmp_path / "run")
    assert found.needed == 0 and found.complete and found.run is None and not (tmp_path / "run").exists()
    with pytest.raises(ExportError, match="no class lacks"):
        found.export()


# --- the command -----------------------------------------------------------------------------------------------------


def typed(*arguments: str) -> argparse.Namespace:
    top = argparse.ArgumentParser()
    add(top.add_subparsers())
    return top.parse_args(["augment", *arguments])


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "tickets.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return str(file)


def test_the_command_shows_what_was_made_by_class(data, capfd, tmp_path):
    assert command(typed(data, "--label", "topic", "--dry-run", "--to", "filled")) == 0
    said = capfd.readouterr().out
    assert "42 of 42 records" in said and "limits" in said and "100%" in said and "1 more classes have enough" in said
    assert (tmp_path / "filled/README.md").exists() and not (tmp_path / "runs").exists()


def test_the_command_speaks_json(data, capfd):
    arguments = ("--label", "topic", "--dry-run", "--json", "--balance", "limits: 10", "--folder", "made")
    assert command(typed(data, *arguments)) == 0
    result = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert result["needed"] == result["made"] == 4
    assert result["classes"][0] == {"value": "limits", "real": 6, "wanted": 10, "made": 4, "kept_share": 1.0}


def test_the_command_says_that_nothing_is_scarce(data, capfd):
    assert command(typed(data, "--label", "topic", "--balance", "limits: 2")) == 0
    assert "no class of topic is scarce" in capfd.readouterr().out


# --- with a model ----------------------------------------------------------------------------------------------------


@pytest.mark.vllm
def test_a_real_model_writes_records_that_the_classifier_agrees_with(tmp_path):
    rows = [{"text": t, "intent": "card"} for t in CARDS] + [{"text": t, "intent": "rate"} for t in RATES]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = ["rows.jsonl", "--label", "intent", "--folder", "run", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "textsynth.cli", "augment", *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["made"] == len(CARDS) - len(RATES)
    run = ts.load_run(tmp_path / "run")
    assert not {record["text"] for record in run.records()} & {row["text"] for row in rows}
    learnt = run.ledger.fact("filters")["label_agreement"]["measured"]
    assert learnt["rows"] == len(rows) and learnt["labels"] == 2


CARDS = [
    "When will my new card arrive in the mail?",
    "I ordered a card two weeks ago and it is still not here.",
    "Can I track the card that you sent me?",
    "How long does delivery of a card take?",
    "My card has not come yet, where is it?",
    "Is there a way to know when my card will be delivered?",
    "The card I am waiting for is late.",
    "I still have not received my card.",
]
RATES = [
    "What exchange rate do you use for euros?",
    "The rate for my dollars was wrong.",
    "How do you calculate your exchange rates?",
    "Is the exchange rate better at the weekend?",
    "Where can I see the current rate for pounds?",
    "Why did I get a bad rate when I changed money?",
]
