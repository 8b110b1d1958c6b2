"""Labels that a text does not fit are found from real or accepted records, the same whatever batches they came in."""

from __future__ import annotations

import random

import numpy as np
import pytest

from textsynth import embeddings, registry
from textsynth.errors import RecipeError
from textsynth.filters import Setting
from textsynth.records import Candidate, Draw, Seed
from textsynth.schema import RecordSchema

WORDS = {
    "money": "bank cash coin loan debt rent price",
    "food": "bread soup rice apple cake salt fish",
    "sea": "ship wave sand tide sail port reef",
}
COMMON = "the a we my it for with to please near again soon".split()
ALL = sorted({*COMMON, *" ".join(WORDS.values()).split()})
DOCUMENT = {"type": "object", "properties": {"text": {"type": "string"}, "topic": {"enum": sorted(WORDS)}}}


class WordEmbedder:
    """Embeds a text as the normalised counts of a few known words."""

    def start(self): ...
    def close(self): ...
    def submit(self, texts): ...

    def ready(self, texts):
        return True

    def take(self, texts):
        found = np.full((len(texts), len(ALL)), 0.01, dtype=np.float32)
        for row, text in enumerate(texts):
            for word in text.split():
                if word in ALL:
                    found[row, ALL.index(word)] += 1
        return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.fixture(autouse=True)
def embedder(monkeypatch):
    monkeypatch.setattr(embeddings, "load", lambda name="default": WordEmbedder())
    monkeypatch.setattr(embeddings, "problem", lambda name: "")


def text(topic, number):
    rng = random.Random(f"{topic} {number}")
    return " ".join(rng.sample(WORDS[topic].split(), 2) + rng.sample(COMMON, 4))


def rows(count, start=0):
    return [{"text": text(topic, n), "topic": topic} for n in range(start, start + count) for topic in sorted(WORDS)]


def make(*, seeds=(), document=DOCUMENT, text_fields=("text",), **options):
    made = registry.build(registry.load("filters", "label_agreement", place="f"), options, place="label_agreement")
    made.prepare(Setting(RecordSchema(document), [Seed(i, row) for i, row in enumerate(seeds)], text_fields))
    made.start()
    return made


def batch(records, start=0):
    return [Candidate(Draw(start + i, 0, {}, (), i), record) for i, record in enumerate(records)]


def test_a_text_under_a_wrong_label_is_dropped_with_both_probabilities():
    made = make(seeds=rows(20))
    right = rows(10, 500)
    wrong = [row | {"topic": "sea"} for row in right if row["topic"] == "food"]
    assert made.check(batch(right)) == [None] * len(right)
    answers = made.check(batch(wrong, 100))
    assert all(answers) and all(answer.score < 0.2 for answer in answers)
    assert "topic 'sea' has probability" in answers[0].detail and "'food'" in answers[0].detail
    measured = made.measured()
    assert measured["learnt_from"] == "seeds" and measured["held_out_accuracy"] > 0.9
    assert measured["confusion"]["sea"]["food"] == 10 and measured["checked"] == 40


def test_checking_again_changes_nothing_and_counts_nothing_twice():
    made = make(seeds=rows(20))
    items = batch([row | {"topic": "sea"} for row in rows(5, 500)])
    first = made.check(items)
    assert made.check(items) == first and made.measured()["checked"] == len(items)


def test_without_real_rows_it_learns_from_what_was_kept_at_fixed_numbers_whatever_the_batches():
    whole, parts = make(), make()
    kept = batch(rows(60))
    wrong = batch([row | {"topic": "sea"} for row in rows(8, 900)], 1000)
    assert whole.check(wrong) == [None] * len(wrong)
    whole.keep(kept)
    for start in range(0, len(kept), 7):
        parts.check(kept[start : start + 7])
        parts.keep(kept[start : start + 7])
    assert any(whole.check(wrong)) and parts.check(wrong) == whole.check(wrong)
    assert whole.measured()["learnt_from"] == "accepted records" and whole.measured()["rows"] == 100


def test_a_reference_file_is_learnt_from(tmp_path):
    import json

    path = tmp_path / "real.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows(20)))
    made = make(reference=str(path))
    assert made.check(batch([{"text": text("food", 999), "topic": "sea"}]))[0]


@pytest.mark.parametrize("value", [None, ["sea"], {"a": 1}, "unheard of"])
def test_what_cannot_be_judged_passes(value):
    assert make(seeds=rows(20)).check(batch([{"text": "ship", "topic": value}, {"text": "ship"}, {}])) == [None] * 3


@pytest.mark.parametrize("said", ["x" * 1_000_000, "\ud800", "\0", "", "\u0301", "\u202e"])
def test_hostile_text_is_survived(said):
    made = make(seeds=rows(20))
    assert len(made.check(batch([{"text": said, "topic": "sea"}]))) == 1
    assert made.check([]) == [] and made.check([Candidate(Draw(0, 0, {}, (), 0), None)]) == [None]


@pytest.mark.parametrize(
    ("options", "document", "words"),
    [
        ({"label": "topik"}, DOCUMENT, "topic"),
        ({"threshold": 20}, DOCUMENT, "0.2"),
        ({}, {"properties": {"text": {"type": "string"}}}, "no field has a closed set"),
        ({}, {"properties": {**DOCUMENT["properties"], "kind": {"enum": [1, 2]}}}, "several fields could be it"),
        ({"reference": "nowhere.jsonl"}, DOCUMENT, "no such file"),
    ],
)
def test_options_that_cannot_work_are_refused(options, document, words):
    with pytest.raises((RecipeError, ValueError), match=words):
        make(document=document, **options)
