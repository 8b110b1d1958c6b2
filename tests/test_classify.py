"""Labelled texts: the label is drawn, the attributes are told, and a check never shows the label."""

from __future__ import annotations

import json
from typing import Any

import pytest

import textsynth as ts
from textsynth.errors import RecipeError
from textsynth.records import Candidate, Completion, Request

SCHEMA = {"text": "str 3..80", "intent": ["lost_card", "change_pin", "exchange_rate"]}
TEXT = "My card fell into the river."


def recipe(**options: Any) -> dict[str, Any]:
    return {
        "model": "scripted",
        "records": 3,
        "method": {"classify": {"label": "intent", **options}},
        "schema": SCHEMA,
        "attributes": {"intent": ["lost_card"], "style": ["curt"]},
        "repairs": 0,
    }


def play(wanted: dict[str, Any], *answers: Any) -> tuple[list[Request], Candidate | None]:
    """Answer the requests of draw 0 in turn: a value (as JSON), a text, or the facts of a completion."""
    parts = ts.check(wanted)
    steps, asked = parts.method.run(parts.plan.draw(0, 0, {})), []
    try:
        request = next(steps)
        for answer in answers:
            asked.append(request)
            facts = answer if isinstance(answer, dict) and "finish_reason" in answer else {"text": answer}
            facts = {"text": "", "finish_reason": "stop", **facts}
            if not isinstance(facts["text"], str):
                facts["text"] = json.dumps(facts["text"])
            request = steps.send(Completion(request.draw, request.step, **facts))
        asked.append(request)
    except StopIteration as stop:
        return asked, stop.value
    return asked, None


def test_the_text_is_written_for_the_drawn_label_and_attributes():
    (request,), candidate = play(recipe(), {"text": TEXT})
    told = request.messages[-1]["content"]
    assert 'the intent "lost card"' in told and "style: curt" in told
    assert set(json.loads(request.schema)["properties"]) == {"text"}
    assert candidate.record == {"text": TEXT, "intent": "lost_card"}


def test_seeds_are_shown_with_their_own_labels(tmp_path):
    rows = [
        {"text": "Set a new PIN please.", "intent": "change_pin"},
        {"text": "It was stolen.", "intent": "lost_card"},
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (request,), _ = play(recipe() | {"seeds": {"path": str(tmp_path / "rows.jsonl"), "shots": 2}}, {"text": TEXT})
    said = [message["content"] for message in request.messages]
    at = said.index('{"text":"Set a new PIN please."}')
    assert '"change pin"' in said[at - 1]


def test_the_check_asks_without_the_label_and_drops_another_answer():
    wanted = recipe(check="ask")
    asked, candidate = play(wanted, {"text": TEXT}, {"label": "lost card"})
    assert candidate.record == {"text": TEXT, "intent": "lost_card"}
    question = asked[1]
    told = "\n".join(message["content"] for message in question.messages)
    assert TEXT in told and "curt" not in told
    assert told.count("lost card") == 1 and told.count("change pin") == 1, "the label is one choice among all"
    assert json.loads(question.schema)["properties"]["label"]["enum"] == ["lost card", "change pin", "exchange rate"]
    _, dropped = play(wanted, {"text": TEXT}, {"label": "change pin"})
    assert dropped.failure.reason == "label_disagreement" and dropped.failure.score == 0
    assert "'change pin'" in dropped.failure.detail and "label_disagreement" in ts.check(wanted).method.reasons


def test_the_label_must_have_no_fewer_votes_than_any_other():
    wanted = recipe(check="ask", votes=3)
    yes, no, other = {"label": "lost card"}, {"label": "change pin"}, {"label": "exchange rate"}
    asked, kept = play(wanted, {"text": TEXT}, yes, no, yes)
    assert kept.record and len({r.sampling.seed for r in asked}) == 4 and len({r.step for r in asked}) == 4
    assert play(wanted, {"text": TEXT}, no, yes, other)[1].record, "a tie is no disagreement"
    _, dropped = play(wanted, {"text": TEXT}, no, yes, no)
    assert dropped.failure.detail.startswith("1 of 3 votes") and dropped.failure.score == pytest.approx(1 / 3)
    assert play(wanted, {"text": TEXT}, "no JSON", "no JSON", yes)[1].record is None


def test_the_order_of_the_choices_changes_from_draw_to_draw():
    parts = ts.check(recipe(check="ask"))
    orders = set()
    for index in range(30):
        steps = parts.method.run(parts.plan.draw(index, 0, {}))
        first = next(steps)
        question = steps.send(Completion(first.draw, first.step, json.dumps({"text": TEXT}), "stop"))
        orders.add(question.messages[-1]["content"])
    assert len(orders) > 3


def test_another_model_can_check():
    wanted = recipe(check="ask", model="scripted")
    asked, _ = play(wanted, {"text": TEXT}, {"label": "lost card"})
    assert [request.model for request in asked] == ["", "scripted"]
    assert ts.check(wanted).method.models() == ["scripted"]


def test_an_engine_that_fails_is_said_so():
    _, dropped = play(recipe(check="ask"), {"text": TEXT}, {"finish_reason": "error", "error": "gone"})
    assert dropped.failure.reason == "engine_error"


def test_a_text_that_ends_at_its_greatest_length_is_cut():
    wanted = recipe() | {"schema": SCHEMA | {"text": "str 3..30"}}
    _, dropped = play(wanted, {"text": "My card fell into the river an"})
    assert dropped.failure.reason == "cut_text" and "30 characters" in dropped.failure.detail
    assert play(wanted, {"text": "My card fell into the rivers.."})[1].record
    assert play(wanted, {"text": "My card fell into the river a"})[1].record


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attributes": {"style": ["curt"]}}, "the label must be drawn"),
        (
            {"schema": {"text": "str 3..80"}, "method": {"classify": {"label": "intent", "check": "ask"}}},
            "list them in the schema",
        ),
        ({"method": {"classify": {"label": "intent", "votes": 3}}}, "belong to check: ask"),
        ({"method": {"classify": {"label": "intent", "check": "ask", "votes": 0}}}, "votes must be between"),
        ({"method": {"classify": {"label": "text"}}}, "different fields"),
    ],
)
def test_what_cannot_work_is_refused_before_the_run(change, message):
    with pytest.raises(RecipeError, match=message):
        ts.check(recipe() | change)


def test_quotas_draw_the_label_and_the_figures_are_by_label(tmp_path):
    quotas = {"intent": {"lost_card": 0.5, "change_pin": 0.25, "exchange_rate": 0.25}}
    wanted = {
        **recipe(),
        "records": 12,
        "quotas": quotas,
        "attributes": {"style": ["curt", "long"]},
        "filters": ["refusal"],
    }
    run = ts.run(wanted, folder=tmp_path / "run")
    labels = [row["intent"] for row in run.records()]
    assert {name: labels.count(name) for name in set(labels)} == {"lost_card": 6, "change_pin": 3, "exchange_rate": 3}
    found = ts.check(wanted).method.summary(
        [{"text": "one two", "intent": "a"}, {"text": "one two three", "intent": "a"}]
    )
    assert found == {"words of a": 2.5}
