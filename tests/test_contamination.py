"""`contamination` finds benchmark items in records, names them, and leaves alone what only looks like them."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest

from textsynth import registry
from textsynth.errors import RecipeError
from textsynth.filters import Setting
from textsynth.records import Candidate, Draw
from textsynth.schema import RecordSchema

SCHEMA = RecordSchema({"type": "object", "properties": {"body": {"type": "string"}, "turns": {"type": "array"}}})


def run_of(start, count, letter="q"):
    return " ".join(f"{letter}{number}" for number in range(start, start + count))


ITEMS = [
    {"question": run_of(0, 30), "label": "card_arrival", "choices": [run_of(0, 9, "c"), "yes"]},
    {"question": run_of(100, 10), "label": "other"},
    {"question": "How do I locate my card?", "label": "card_arrival"},
    {"question": "Why is that?", "label": "other"},
]


@pytest.fixture
def bench(tmp_path):
    (tmp_path / "bench.jsonl").write_text("".join(json.dumps(item) + "\n" for item in ITEMS))
    return tmp_path


def contamination(folder, **options):
    cls = registry.load("filters", "contamination", place="filters[0]")
    made = registry.build(cls, {"benchmarks": {"B": "bench.jsonl"}, **options}, place="filters[0].contamination")
    made.prepare(replace(Setting(SCHEMA, (), ("body", "turns")), folder=folder))
    return made


def candidates(*texts):
    records = [text if isinstance(text, dict) else {"body": text} for text in texts]
    return [Candidate(Draw(index, 0, {}, (), index), record) for index, record in enumerate(records)]


def culprits(made, *texts):
    return [found and found.culprit for found in made.check(candidates(*texts))]


def test_an_item_is_found_by_one_gram_of_13_words_and_named(bench):
    made = contamination(bench)
    found = made.check(
        candidates(f"so {run_of(5, 14).upper()}, and more", f"so {run_of(5, 12)} and more", run_of(0, 30))
    )
    assert [answer and answer.culprit for answer in found] == ["B:0", None, "B:0"]
    assert found[0].score == pytest.approx(2 / 18) and found[2].score == 1
    assert found[0].detail == f'11% of the 13-grams of B:0, 14 words in a row: "{run_of(5, 14)}"'


def test_items_of_8_to_12_words_must_stand_there_whole(bench):
    made = contamination(bench)
    assert culprits(made, f"a {run_of(100, 10)} b", f"a {run_of(100, 9)} b", f"a {run_of(0, 9, 'c')}") == [
        "B:1",
        None,
        "B:0",
    ]


def test_items_of_4_to_7_words_must_be_the_whole_text_and_shorter_ones_are_none(bench):
    made = contamination(bench)
    texts = ["how do I locate my card", "How do I locate my card today", "Why is that?", "card_arrival", "yes", ""]
    assert culprits(made, *texts) == ["B:2", None, None, None, None, None]


def test_every_string_of_a_record_is_looked_at_alone_at_any_depth(bench):
    made = contamination(bench)
    deep = {"body": "fine", "turns": [{"text": "hello"}, [{"text": "How do I locate my card?"}]]}
    split = {"body": run_of(0, 7), "turns": [run_of(7, 7)]}
    assert culprits(made, deep, split, {"other": run_of(0, 30)}, {}) == ["B:2", None, None, None]
    assert culprits(contamination(bench, fields=["body"]), deep) == [None]


def test_a_threshold_asks_for_a_share_of_the_item(bench):
    made = contamination(bench, threshold=0.5)
    assert culprits(made, run_of(0, 20), run_of(0, 21), f"{run_of(0, 17)} z {run_of(14, 16)}") == [None, "B:0", "B:0"]
    twice = f"{run_of(0, 17)} z {run_of(0, 17)}"  # 5 of 18 n-grams, however often
    assert culprits(made, twice) == [None]


@pytest.mark.parametrize("n", [3, 5, 8, 10])
def test_n_can_be_shorter(bench, n):
    made = contamination(bench, n=n)
    assert culprits(made, f"a {run_of(10, n)} b", f"a {run_of(10, n - 1)} b") == ["B:0", None]


def test_the_item_with_the_largest_share_is_named(tmp_path):
    (tmp_path / "bench.jsonl").write_text(
        json.dumps({"q": run_of(0, 40)})
        + "\n"
        + json.dumps({"q": run_of(0, 20)})
        + "\n"
        + json.dumps({"q": run_of(0, 20)})
    )
    assert culprits(contamination(tmp_path), run_of(0, 20)) == ["B:1"]


def test_the_frame_that_many_items_share_does_not_count(tmp_path):
    frame = run_of(0, 15, "frame")
    rows = [{"q": f"{frame} {run_of(100 * number, 15)}"} for number in range(12)]
    (tmp_path / "bench.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = contamination(tmp_path)
    assert culprits(made, f"{frame} my own words", f"{frame} {run_of(300, 3)}", run_of(300, 15)) == [None, "B:3", "B:3"]
    (tmp_path / "bench.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:10]))
    assert culprits(contamination(tmp_path), f"{frame} my own words") == ["B:0"]


def test_columns_choose_what_is_an_item(bench):
    assert culprits(contamination(bench, columns=["choices"]), run_of(0, 30), run_of(0, 9, "c")) == [None, "B:0"]


def test_several_benchmarks_as_a_list_are_named_as_written(bench):
    (bench / "two.csv").write_text(f"a,b\n{run_of(500, 20)},{run_of(600, 20)}\n")
    made = contamination(bench, benchmarks=["bench.jsonl", "two.csv"])
    assert culprits(made, run_of(0, 30), run_of(600, 20)) == ["bench.jsonl:0", "two.csv:0"]
    assert made.measured()["items"] == {"bench.jsonl": 4, "two.csv": 2}


def test_a_limit_reads_no_further(bench):
    made = contamination(bench, limit=1)
    assert culprits(made, run_of(0, 30), run_of(100, 10)) == ["B:0", None]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"benchmarks": {"X": "gone.jsonl"}}, "benchmarks.X: no such file: 'gone.jsonl'"),
        ({"benchmarks": {"X": "bad.jsonl"}}, "line 2"),
        ({"columns": ["label"]}, "benchmarks.B: no text of at least 4 words in the columns label"),
        ({"fields": ["bodi"]}, "fields: unknown name 'bodi' (did you mean body?)"),
    ],
)
def test_what_cannot_be_read_is_said_before_the_run(bench, options, message):
    (bench / "bad.jsonl").write_text('{"q": "one two three four"}\n{"q": \n')
    with pytest.raises(ValueError) as error:
        contamination(bench, **options)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"benchmarks": []}, "benchmarks must name at least one file or dataset, got none"),
        ({"n": 2}, "n must be at least 3 words, got 2"),
        ({"threshold": 50}, "threshold must be above 0 and at most 1, got 50 (did you mean 0.5?)"),
        ({"similarity": 0}, "similarity must be above 0 and at most 1, got 0"),
        ({"limit": 0}, "limit must be at least 1 row, got 0"),
    ],
)
def test_options_out_of_range_are_refused(bench, options, message):
    with pytest.raises(RecipeError) as error:
        contamination(bench, **options)
    assert message in str(error.value)


def test_checking_remembers_nothing_and_keeps_order(bench):
    made = contamination(bench)
    batch = [
        *candidates(run_of(0, 30), "own words", "How do I locate my card?"),
        Candidate(Draw(9, 0, {}, (), 9), None),
    ]
    first = made.check(batch)
    assert [found and found.culprit for found in first] == ["B:0", None, "B:2", None]
    made.keep(batch[1:2])
    assert made.check(batch) == first and made.check([]) == []
    assert made.measured()["records_without"] == 1


def test_no_text_is_hostile(bench):
    repeated = "same " * 40
    with (bench / "bench.jsonl").open("a") as file:
        file.write(json.dumps({"question": repeated}) + "\n")
    made = contamination(bench)
    for text in ["x" * 1_000_000, "same " * 200_000, "\ud800 \x00 b", "\u0301" * 1000, "\u202e left", "我" * 100_000]:
        began = time.perf_counter()
        found = made.check(candidates(text))[0]
        assert (found is not None) == text.startswith("same")
        assert time.perf_counter() - began < 3
