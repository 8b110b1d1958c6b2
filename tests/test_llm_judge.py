"""The judge: votes and pairs are counted as documented, a broken answer is a reason, and a resumed run asks nothing twice."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import pytest

import textsynth as ts
from textsynth import registry
from textsynth.engines.scripted import Scripted
from textsynth.errors import RecipeError
from textsynth.filters import Setting
from textsynth.judge import FIRST_STEP
from textsynth.records import Candidate, Completion, Draw, Seed
from textsynth.schema import RecordSchema, constrain

SCHEMA = RecordSchema({"type": "object", "properties": {"text": {"type": "string"}, "label": {"enum": ["a", "b"]}}})
SEEDS = [{"text": "a real one", "label": "a"}, {"text": "another", "label": "b"}]


def make(*, seeds=(), **options):
    options = {"scales": {"fit": "the text fits the label"}} | options
    made = registry.build(registry.load("filters", "llm_judge", place="filters[0]"), options, place="llm_judge")
    made.prepare(Setting(SCHEMA, [Seed(i, row) for i, row in enumerate(seeds)], ("text",)))
    return made


def candidate(index=0, text="some text", **attributes):
    return Candidate(Draw(index, 0, attributes, (), 1000 + index), {"text": text, "label": "a"})


def said(request, answer, finish="stop"):
    text = answer if isinstance(answer, str) else json.dumps({"rationale": "because", **answer})
    return Completion(request.draw, request.step, text, finish, tokens=9)


def judged(made, answers, batch=None):
    """The verdicts after the judge gave these answers, in the order of the questions."""
    batch = batch or [candidate()]
    requests = made.ask(batch)
    made.hear([said(*pair) for pair in zip(requests, answers, strict=True)])
    return list(made.check(batch))


# --- scores ----------------------------------------------------------------------------------------------------------


def test_a_record_is_kept_when_the_mean_of_the_votes_reaches_least():
    made = make(votes=3, least=3)
    assert judged(made, [{"fit": 2}, {"fit": 3}, {"fit": 4}]) == [None]
    (drop,) = judged(made, [{"fit": 2}, {"fit": 3}, {"fit": 3}])
    assert drop.score == pytest.approx(8 / 3)
    assert drop.detail == 'fit 2.7 of 5 (least 3, 3 votes): "because"'


def test_the_scale_that_falls_short_most_is_named_with_its_own_least_and_hardest_rationale():
    made = make(votes=3, scales={"fit": {"description": "fits", "least": 4.5}, "style": "reads well"})
    answers = [
        {"fit": 4, "style": 3, "rationale": "nearly"},
        {"fit": 1, "style": 3, "rationale": "off topic"},
        {"fit": 4, "style": 3},
    ]
    (drop,) = judged(made, answers)
    assert (
        drop.score == 3 and drop.detail.startswith("fit 3.0 of 5 (least 4.5, 3 votes)") and "off topic" in drop.detail
    )


def test_the_questions_differ_in_seed_carry_the_rubric_and_are_the_same_every_time():
    made = make(votes=3, scales={"fit": {"description": "fits", "anchors": {1: "another topic", 5: "plain"}}})
    requests = made.ask([candidate(7, product="router"), candidate(8)])
    assert [(r.draw, r.step) for r in requests] == [(d, s) for d in (7, 8) for s in range(3)]
    assert len({r.sampling.seed for r in requests}) == 6 and all(0 <= r.sampling.seed < 2**31 for r in requests)
    text = requests[0].messages[-1]["content"]
    assert "- fit: fits (1 = another topic; 5 = plain)" in text and "some text" in text and "product: router" in text
    assert make(votes=3, scales=made.scales).ask([candidate(7, product="router"), candidate(8)]) == requests


@pytest.mark.parametrize("options", [{}, {"reason": "none"}, {"against": "seeds"}])
def test_the_answer_schema_is_enforced_whole_by_decoding(options):
    made = make(seeds=SEEDS, scales={"fit": "fits", "style": "reads well"}, **options)
    text = made.ask([candidate()])[0].schema
    for backend in ("guidance", "xgrammar"):
        decoding = constrain(RecordSchema(json.loads(text)), max_tokens=200, backend=backend)
        assert {f.status for f in decoding.findings} <= {"enforced"}
    keys = list(json.loads(text)["properties"])
    assert keys == ([] if made.reason == "none" else ["rationale"]) + ["fit", "style"]


# --- broken answers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "finish", "words"),
    [
        ("", "stop", "no JSON"),
        ('{"fit": ', "length", "cut after 9 tokens"),
        ("", "error", "error: "),
        ("[4]", "stop", "fit is none of 1, 2, 3, 4, 5"),
        ('{"fit": 9}', "stop", "fit is none of"),
        ('{"fit": true}', "stop", "fit is none of"),
        ('{"fit": [4]}', "stop", "fit is none of"),
        ("[" * 100_000, "stop", "no JSON"),
    ],
)
def test_an_answer_that_cannot_be_read_is_a_reason(answer, finish, words):
    made = make()
    (request,) = made.ask([candidate()])
    made.hear([said(request, answer, finish)])
    (drop,) = made.check([candidate()])
    assert drop.reason == "judgement_broken" and words in drop.detail and len(drop.detail) < 300


def test_a_minority_of_broken_votes_is_left_out_and_counted():
    made = make(votes=3)
    assert judged(made, [{"fit": 4}, "oops", {"fit": 4}]) == [None]
    (drop,) = judged(made, ["oops", "oops", {"fit": 4}], [candidate(1)])
    assert drop.reason == "judgement_broken" and "1 of 3 votes" in drop.detail
    measured = made.measured()
    assert (measured["judged"], measured["broken"], measured["broken_votes"]) == (2, 1, 0.5)


def test_without_any_answer_a_record_is_broken_and_an_empty_batch_is_empty():
    made = make()
    assert made.check([]) == [] and made.ask([]) == []
    assert made.check([candidate()])[0].reason == "judgement_broken"
    assert made.check([Candidate(candidate().draw, None)]) == [None]


@pytest.mark.parametrize("text", ["x" * 1_000_000, "\ud800", "\0", "", "\u0301", "\u202e</record> {{ 7*7 }}"])
def test_hostile_text_is_asked_about_in_bounds(text):
    began = time.monotonic()
    (request,) = make().ask([candidate(text=text)])
    assert len(request.messages[-1]["content"].encode()) < 60_000 and time.monotonic() - began < 1


def test_a_record_nested_too_deep_is_broken_and_does_not_hurt_the_others():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    made, bad = make(), Candidate(candidate(0).draw, {"text": deep})
    requests = made.ask([bad, candidate(1)])
    made.hear([said(request, {"fit": 5}) for request in requests])
    first, second = made.check([bad, candidate(1)])
    assert first.reason == "judgement_broken" and second is None


# --- pairs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "score"),
    [(("first", "second"), 1), (("second", "first"), 0), (("equal", "equal"), 0.5), (("first", "first"), 0.5)],
)
def test_a_pair_is_asked_in_both_orders_and_only_agreement_counts(answers, score):
    made = make(seeds=SEEDS, against="seeds", least=1)
    (drop,) = judged(made, [{"fit": place} for place in answers])
    assert (drop.score if drop else 1) == score


def test_pairs_show_an_example_with_the_same_drawn_values_both_ways():
    made = make(seeds=SEEDS, against="seeds")
    one, two = (r.messages[-1]["content"] for r in made.ask([candidate(3, label="b")]))
    assert one.index("some text") < one.index("another") and two.index("another") < two.index("some text")
    assert "a real one" not in one


def test_position_bias_is_measured():
    made = make(seeds=SEEDS, against="seeds", votes=3)
    places = ["first", "first", "first", "second", "first", "equal"]
    judged(made, [{"fit": place} for place in places])
    measured = made.measured()
    assert measured["orders_agree"] == pytest.approx(1 / 3, abs=1e-3)
    assert measured["first_place_chosen"] == pytest.approx(4 / 5)


# --- measures --------------------------------------------------------------------------------------------------------


def test_means_and_agreement_count_a_record_once_however_often_its_window_is_judged_again():
    made = make(votes=3)
    first, second, later = candidate(0), candidate(1), candidate(5)
    judged(made, [{"fit": 4}] * 3 + [{"fit": 1}, {"fit": 1}, {"fit": 4}], [first, second])
    once = made.measured()
    judged(made, [{"fit": 4}] * 3, [first])
    assert made.measured() == once
    assert once["scales"]["fit"]["mean"] == 3 and once["scales"]["fit"]["equal_votes"] == pytest.approx(2 / 3, abs=1e-3)
    judged(made, [{"fit": 5}] * 3, [later])
    assert made.measured()["judged"] == 3


# --- options ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scales": {}}, "at least one scale"),
        ({"scales": {"rationale": "x"}}, "another name"),
        ({"scales": {"fit": {"description": "x", "best": 3}}}, "best"),
        ({"scales": {"fit": {"description": " "}}}, "must have a description"),
        ({"scales": {"fit": {"description": "x", "anchors": {7: "y"}}}}, "scores of 1 to 5, got 7"),
        ({"votes": 2}, "odd number"),
        ({"votes": 3, "temperature": 0}, "temperature above 0"),
        ({"least": 0.5}, "between 1 and 5, got 0.5"),
        ({"least": 3, "against": "seeds"}, "between 0 and 1, got 3"),
        ({"max_tokens": 20}, "max_tokens must be at least"),
    ],
)
def test_options_that_cannot_work_are_refused(options, words):
    with pytest.raises(RecipeError, match=words):
        make(**options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"against": "seeds"}, "gives no seeds"),
        ({"prompt": "Judge {{ recrd }}"}, "recrd"),
        ({"prompt": "judge/rubrik"}, "judge/rubric"),
        ({"model": "some/model"}, "second model in this process"),
    ],
)
def test_mistakes_in_a_recipe_are_found_before_the_run(options, words):
    with pytest.raises(RecipeError, match=words):
        ts.check(recipe(**options))


# --- whole runs ------------------------------------------------------------------------------------------------------


def recipe(*, faults=None, records=20, latency=0.0, **options):
    return {
        "model": "scripted",
        "records": records,
        "schema": {"text": "str 5..60", "label": ["a", "b"]},
        "prompt": "Write a {{ label }}.",
        "attributes": {"label": ["a", "b"]},
        "windows": {"size": 8, "lag": 2},
        "limits": {"draws": 400, "acceptance": 0},
        "engine": {"faults": faults or {}, "latency": latency},
        "filters": [{"llm_judge": {"scales": {"fit": "the text fits the label"}, **options}}],
    }


def completions(folder):
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as db:
        return db.execute("select draw, step from completions").fetchall()


@pytest.mark.parametrize("options", [{}, {"model": "scripted"}, {"votes": 3}])
def test_a_run_keeps_what_the_judge_lets_through_and_says_why_not(options, tmp_path):
    run = ts.run(recipe(faults={"truncated": 0.1, "error": 0.05}, **options), folder=tmp_path / "run")
    assert run.accepted == 20
    assert run.reasons["llm_judge"] > 0
    steps = [step for _, step in completions(tmp_path / "run") if step >= FIRST_STEP]
    assert len(steps) >= 20 * options.get("votes", 1)


def test_a_judge_that_always_breaks_costs_records_and_not_the_run(tmp_path):
    given = recipe(model="scripted", records=5) | {"limits": {"draws": 40, "acceptance": 0}}
    given["engine"] = {"faults": {}}
    given["filters"][0]["llm_judge"]["prompt"] = "{{ record[:1] / 2 if index > 0 else '' }}"
    run = ts.run(given, folder=tmp_path / "run")
    assert run.accepted <= 1 and run.reasons["judgement_broken"] >= 39


def test_pairs_run_with_seeds(tmp_path):
    (tmp_path / "seeds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in SEEDS))
    given = recipe(against="seeds", records=10) | {"seeds": {"path": str(tmp_path / "seeds.jsonl"), "shots": 1}}
    run = ts.run(given, folder=tmp_path / "run")
    assert run.accepted == 10


RUN = "import sys, json, textsynth as ts; ts.run(json.loads(sys.argv[1]), folder=sys.argv[2])"


@pytest.mark.parametrize("options", [{}, {"model": "scripted"}])
def test_a_killed_run_goes_on_to_the_same_records_and_pays_no_judgement_twice(options, tmp_path, monkeypatch):
    slow = recipe(votes=3, records=60, latency=0.05, **options)
    child = subprocess.Popen([sys.executable, "-c", RUN, json.dumps(slow), str(tmp_path / "killed")])
    before: list = []
    ends = time.monotonic() + 30
    while len([s for _, s in before if s >= FIRST_STEP]) < 30 and time.monotonic() < ends:
        time.sleep(0.05)
        try:
            before = completions(tmp_path / "killed")
        except sqlite3.Error:
            continue
    child.send_signal(signal.SIGKILL)
    child.wait()
    before = completions(tmp_path / "killed")
    assert len([s for _, s in before if s >= FIRST_STEP]) >= 30
    asked: list[tuple[int, int]] = []
    submit = Scripted.submit

    def count(engine, requests):
        asked.extend((request.draw, request.step) for request in requests)
        submit(engine, requests)

    monkeypatch.setattr(Scripted, "submit", count)
    resumed = ts.run(slow, folder=tmp_path / "killed")
    assert asked and not set(asked) & set(before) and len(set(asked)) == len(asked)
    whole = ts.run(slow, folder=tmp_path / "whole")
    assert list(resumed.records()) == list(whole.records())
