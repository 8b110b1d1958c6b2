"""`copied` finds what was taken from seeds and from reference files, and says how much of them is in what was kept."""

from __future__ import annotations

import json
import random
import time
from dataclasses import replace

import pytest

from textsynth import registry
from textsynth.errors import RecipeError
from textsynth.filters import Setting
from textsynth.records import Candidate, Draw, Seed
from textsynth.schema import RecordSchema

LONG = [f"l{number}" for number in range(60)]
SCHEMA = RecordSchema({"type": "object", "properties": {"body": {"type": "string"}, "title": {"type": "string"}}})


def setting(*seeds, folder=None):
    found = Setting(SCHEMA, [Seed(row, {"body": text}) for row, text in enumerate(seeds)], ("body",))
    return replace(found, folder=folder) if folder else found


def copied(given, **options):
    made = registry.build(registry.load("filters", "copied", place="filters[0]"), options, place="filters[0].copied")
    made.prepare(given)
    return made


def candidates(*texts):
    return [Candidate(Draw(index, 0, {}, (), index), {"body": text}) for index, text in enumerate(texts)]


def culprits(made, *texts):
    return [found and found.culprit for found in made.check(candidates(*texts))]


def distinct(start, count):
    return " ".join(f"x{number}" for number in range(start, start + count))


@pytest.fixture
def reference(tmp_path):
    rows = [{"body": distinct(0, 30)}, {"body": "short one"}, {"body": distinct(100, 20), "n": 3}]
    (tmp_path / "real.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "more.csv").write_text(f"question,label\n{distinct(200, 20)},yes\n")
    return tmp_path


def test_reference_rows_are_named_by_file_and_row(reference):
    made = copied(setting(" ".join(LONG), folder=reference), reference=["real.jsonl", "more.csv"])
    texts = [
        distinct(3, 14),
        distinct(100, 19),
        distinct(200, 20) + " no",
        " ".join(LONG[:20]),
        "short one",
        "fresh text",
    ]
    found = made.check(candidates(*texts))
    expected = ["real.jsonl:0", "real.jsonl:2", "more.csv:0", "seed:0", "real.jsonl:1", None]
    assert [answer and answer.culprit for answer in found] == expected
    assert found[0].detail.startswith('14 words in a row from real.jsonl:0 (span 13): "x3 x4 ')
    assert found[0].detail.endswith("; 100% of its 8-grams stand in real examples")
    assert found[1].detail == "0.94 similar to real.jsonl:2 (threshold 0.8)"


def test_one_reference_may_be_given_as_a_string(reference):
    assert culprits(copied(setting(folder=reference), reference="more.csv"), distinct(200, 20)) == ["more.csv:0"]


@pytest.mark.parametrize(
    ("name", "part"), [("gone.jsonl", "reference: no such file: 'gone.jsonl'"), ("bad.jsonl", "line 2: ")]
)
def test_a_reference_that_cannot_be_read_is_named(tmp_path, name, part):
    (tmp_path / "bad.jsonl").write_text('{"body": "fine"}\n{"body": \n')
    with pytest.raises(ValueError) as error:
        copied(setting(folder=tmp_path), reference=name)
    assert part in str(error.value)


def test_what_is_pieced_together_is_found_by_the_share_of_its_grams():
    seeds = [distinct(start, 12) for start in range(0, 400, 20)]
    pieces = " ".join(distinct(start, 12) for start in range(0, 200, 20))  # ten runs of 12 words
    assert culprits(copied(setting(*seeds)), pieces) == ["seed:0"] or culprits(copied(setting(*seeds)), pieces) == [
        None
    ]
    longer = [distinct(start, 18) for start in range(0, 400, 20)]
    pieces = " ".join(distinct(start + 3, 12) for start in range(0, 200, 20))
    assert culprits(copied(setting(*longer)), pieces) == [None]
    made = copied(setting(*longer), overlap={8: 0.4})
    found = made.check(candidates(pieces, pieces + " " + distinct(900, 30)))
    assert found[0].score == pytest.approx(50 / 113) and found[1] is None
    assert found[0].detail == "44% of its 8-grams stand in real examples (overlap 0.4)"
    assert culprits(copied(setting(*longer), overlap={13: 0.1}, span=20), pieces) == [None]


def test_closer_than_real_examples_are_to_each_other():
    rng = random.Random(3)
    vocabulary = [f"v{number}" for number in range(400)]
    seeds = [" ".join(rng.choices(vocabulary, k=30)) for _ in range(40)]
    near = seeds[7].split()
    for place in range(2, 30, 6):
        near[place] = "changed"
    assert culprits(copied(setting(*seeds)), " ".join(near)) == [None]
    found = copied(setting(*seeds), closer=0.05).check(candidates(" ".join(near), "nothing of all this"))
    assert found[0].culprit == "seed:7" and found[1] is None
    assert found[0].detail.startswith("at distance 0.") and "at quantile 0.05" in found[0].detail
    same = [f"alike in all but one word which is {number} here" for number in range(40)]
    assert culprits(copied(setting(*same), closer=0.05), "alike in all but one word which is not here") == [None]


def test_the_card_says_how_near_what_was_kept_is_to_real_examples():
    seeds = [distinct(start, 20) for start in range(0, 200, 20)] + [distinct(0, 10) + " " + distinct(500, 10)]
    made = copied(setting(*seeds))
    assert made.measured() == {}
    batch = candidates(distinct(20, 10) + " " + distinct(900, 9), "nothing of all this here")
    assert list(made.check(batch)) == [None, None]
    made.keep(batch)
    found = made.measured()
    assert found["compared_with"] == {"seed": 11}
    assert found["longest_passage_words"] == {"median": 5.0, "p95": 9.5, "max": 10.0}
    assert found["overlap_8gram"] == {"mean": 0.125, "max": 0.25, "records_with_any": 0.5}
    assert found["overlap_13gram"] == {"mean": 0.0, "max": 0.0, "records_with_any": 0.0}
    assert found["nearest_distance"]["median"] == pytest.approx((1 - 8 / 27 + 1) / 2, abs=1e-3)
    assert found["real_to_real_distance"]["median"] == 1.0
    again = copied(setting(*seeds))
    again.keep(candidates(*(candidate.record["body"] for candidate in batch)))  # as on resume: nothing was checked
    assert again.measured() == found


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"overlap": {7: 0.5}}, "overlap: n-grams must have at least 8 words, got 7"),
        ({"overlap": {8: 50}}, "overlap: the share of 8-grams must be above 0 and at most 1, got 50"),
        ({"closer": 5}, "closer must be a quantile between 0 and 1, got 5"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(RecipeError) as error:
        copied(setting(), **options)
    assert message in str(error.value)


def test_no_text_is_hostile():
    hostile = [
        "x" * 1_000_000,
        "a " * 500_000,
        "\ud800 \x00 b",
        "",
        "\u0301" * 1000,
        "\u202e right to left",
        "我" * 100_000,
    ]
    made = copied(setting("a " * 1000, *hostile[2:6], " ".join(LONG)), overlap={8: 0.9}, closer=0.1)
    for text in hostile:
        began = time.perf_counter()
        (batch := candidates(text)) and made.keep(batch) if made.check(candidates(text)) == [None] else None
        assert time.perf_counter() - began < 3
    made.check([Candidate(Draw(0, 0, {}, (), 0), None)])
    made.measured()
