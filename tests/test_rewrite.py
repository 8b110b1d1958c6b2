"""Rewrites: each kind has its check, a failed one is asked for again, source and copied fields stay in the record."""

from __future__ import annotations

import json
from typing import Any

import pytest

import textsynth as ts
from textsynth.errors import RecipeError
from textsynth.methods.rewrite import names, numbers
from textsynth.records import Candidate, Completion, Request

SOURCE = "On Monday I paid 1,200 dollars to Peter Smith for the old boat."
GOOD = "Peter Smith got 1200 dollars from me for his used boat on Monday."


def recipe(text: str = SOURCE, *, repairs: int = 1, **options: Any) -> dict[str, Any]:
    return {
        "model": "scripted",
        "records": 3,
        "method": {"rewrite": options},
        "attributes": {"text": [text]},
        "repairs": repairs,
    }


def play(wanted: dict[str, Any], *answers: Any) -> tuple[list[Request], Candidate | None]:
    """Answer the requests of draw 0 in turn: the text of the rewrite, or the facts of a completion."""
    parts = ts.check(wanted)
    steps, asked = parts.method.run(parts.plan.draw(0, 0, {})), []
    try:
        request = next(steps)
        for answer in answers:
            asked.append(request)
            (field,) = json.loads(request.schema)["properties"]
            facts = (
                answer if isinstance(answer, dict) else {"text": json.dumps({field: answer}), "finish_reason": "stop"}
            )
            request = steps.send(Completion(request.draw, request.step, **facts))
        asked.append(request)
    except StopIteration as stop:
        return asked, stop.value
    return asked, None


def reason(wanted: dict[str, Any], text: str) -> str:
    """Return why a rewrite is dropped that is all the model says; empty if it is kept."""
    _, candidate = play(wanted | {"repairs": 0}, text)
    if candidate.failure:
        assert candidate.failure.reason in ts.check(wanted).method.reasons
    return candidate.failure.reason if candidate.failure else ""


def test_a_paraphrase_stands_beside_its_source():
    (request,), candidate = play(recipe(), GOOD)
    assert SOURCE in request.messages[-1]["content"]
    assert candidate.record == {"text": GOOD, "source": SOURCE}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (GOOD, ""),
        (SOURCE.upper(), "unchanged"),
        (SOURCE.replace("old", "used"), "unchanged"),
        (GOOD.replace("1200", "12"), "number_lost"),
        (GOOD.replace("Smith", "Miller"), "name_lost"),
        (f"{GOOD} It is a very good boat and I shall sail it around the whole world next summer.", "too_long"),
    ],
)
def test_a_paraphrase_says_the_same_otherwise(text, why):
    assert reason(recipe(), text) == why


def test_a_question_is_not_answered():
    wanted = recipe("Am I allowed to change my PIN at any machine?")
    assert reason(wanted, "No, you cannot change your PIN.") == "answered"
    assert reason(wanted, "May I set another PIN wherever I like?") == ""


def test_worked_examples_are_shown_as_answers_and_not_taken_for_one():
    (request,), _ = play(recipe(), GOOD)
    shown = [message["content"] for message in request.messages if message["role"] == "assistant"]
    assert shown and all(set(json.loads(text)) == {"text"} for text in shown)
    assert reason(recipe(), json.loads(shown[0])["text"]) == "copied_example"


def test_a_rewrite_that_fails_is_asked_for_again_until_repairs_are_used_up():
    asked, candidate = play(recipe(), SOURCE, GOOD)
    assert asked[0].sampling.seed != asked[1].sampling.seed and candidate.record["text"] == GOOD
    _, dropped = play(recipe(), SOURCE, SOURCE)
    assert dropped.failure.reason == "unchanged"
    _, broken = play(recipe(), {"text": "", "finish_reason": "error", "error": "gone"})
    assert broken.failure.reason == "engine_error"


@pytest.mark.parametrize(
    ("language", "text", "why"),
    [
        ("de", "Am Montag habe ich Peter Smith 1.200 Dollar für das alte Boot bezahlt.", ""),
        ("German", "On Monday, Peter Smith was given 1,200 dollars for the boat.", "not_translated"),
        ("de", "Am Montag habe ich Peter Smith viel Geld für das alte Boot bezahlt.", "number_lost"),
        ("ru", "В понедельник я заплатил Питеру Смиту 1200 долларов за старую лодку.", ""),
        ("ru", "Am Montag habe ich Peter Smith 1.200 Dollar für das alte Boot bezahlt.", "not_translated"),
        ("Japanese", "月曜日に、古い船の代金としてピーター・スミスに1200ドルを払いました。", ""),
    ],
)
def test_a_translation_is_in_the_other_language(language, text, why):
    wanted = recipe(kind="translate", language=language)
    assert reason(wanted, text) == why
    (request,), _ = play(wanted, text) if not why else ((play(wanted, text)[0][0],), None)
    assert {"de": "German", "ru": "Russian"}.get(language, language) in request.messages[-1]["content"]


def test_the_language_can_be_drawn():
    wanted = recipe(kind="translate") | {"schema": {"language": ["German"]}}
    wanted["attributes"] = {"text": [SOURCE], "language": ["German"]}
    text = "Am Montag habe ich Peter Smith 1.200 Dollar für das alte Boot bezahlt."
    assert play(wanted, text)[1].record == {"text": text, "source": SOURCE, "language": "German"}
    with pytest.raises(RecipeError, match="'language' must be given"):
        ts.check(recipe(kind="translate"))


def test_a_simplification_is_not_harder_to_read():
    wanted = recipe(
        "Owing to the inclement meteorological conditions, departure was postponed indefinitely.", kind="simplify"
    )
    assert reason(wanted, "The weather was bad. The ship did not leave.") == ""
    assert (
        reason(wanted, "Departure underwent indefinite postponement on account of meteorological inclemencies.")
        == "not_simpler"
    )


def counterfactual(text: str, value: str, values: list[str], **options: Any) -> dict[str, Any]:
    wanted = recipe(text, kind="counterfactual", attribute="label", **options) | {"schema": {"label": values}}
    return wanted | {"attributes": {"text": [text], "label": [value]}}


def test_a_counterfactual_swaps_the_value_and_keeps_the_rest():
    wanted = counterfactual("The food was great and the staff kind.", "positive", ["positive", "negative"])
    (request,), candidate = play(wanted, "The food was awful and the staff rude.")
    assert "is positive." in request.messages[-1]["content"] and "make it negative" in request.messages[-1]["content"]
    assert candidate.record == {
        "text": "The food was awful and the staff rude.",
        "source": "The food was great and the staff kind.",
        "label": "negative",
        "source_label": "positive",
    }
    assert reason(wanted, "Nobody should ever come here again, believe me.") == "too_different"


def test_a_value_that_stands_in_the_text_goes_and_the_other_comes():
    wanted = counterfactual("We spent a week in New York with friends.", "New York", ["New York", "Rome"])
    assert reason(wanted, "We spent a week in Rome with friends.") == ""
    assert reason(wanted, "We spent a week in New York and Rome with friends.") == "value_kept"
    assert reason(wanted, "We spent a week in Paris with friends.") == "value_missing"


def test_the_new_value_is_never_the_old_one():
    parts = ts.check(counterfactual("A text about it.", "b", ["a", "b", "c"]))
    seen = set()
    for index in range(40):
        steps = parts.method.run(parts.plan.draw(index, 0, {}))
        asked = next(steps)
        with pytest.raises(StopIteration) as stop:
            steps.send(Completion(asked.draw, asked.step, json.dumps({"text": "A text about that."}), "stop"))
        seen.add(stop.value.value.record["label"])
    assert seen == {"a", "c"}


def test_other_fields_are_copied_from_the_seed_and_no_filter_of_texts_reads_the_source(tmp_path):
    rows = [
        {"text": f"I would like to know about the thing called item {'abcdefgh'[n]}.", "label": "x"} for n in range(8)
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    wanted = {
        "model": "scripted",
        "records": 5,
        "method": "rewrite",
        "schema": {"text": "str 5..80", "label": ["x", "y"]},
        "seeds": {"path": str(tmp_path / "rows.jsonl"), "shots": 1},
        "filters": ["refusal", "copied"],
    }
    run = ts.run(wanted, folder=tmp_path / "run")
    assert run.accepted == 5
    sources = {row["text"] for row in rows}
    for row in run.records():
        assert row["source"] in sources and row["text"] not in sources and row["label"] == "x"


def test_it_rewrites_what_an_earlier_step_wrote():
    wanted = {
        "model": "scripted",
        "records": 3,
        "steps": [{"method": "record", "schema": {"text": "str 5..80"}}, {"rewrite": {"kind": "paraphrase"}}],
    }
    _, candidate = play(wanted, SOURCE, GOOD)
    assert candidate.record == {"text": GOOD, "source": SOURCE}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"language": "de"}, "language belongs to kind: translate"),
        ({"attribute": "label"}, "belong to kind: counterfactual"),
        ({"kind": "counterfactual"}, "attribute must name"),
        ({"kind": "counterfactual", "attribute": "mood"}, "values of 'mood' must be known"),
        ({"source": "text"}, "source must be another field"),
        ({"most_alike": 80}, "most_alike must be above 0"),
        ({"most_longer": 0.5}, "most_longer must be at least 1"),
        ({"field": "body"}, "'body' must be given"),
    ],
)
def test_what_cannot_work_is_refused_before_the_run(options, message):
    with pytest.raises(RecipeError, match=message):
        ts.check(recipe(**options))


def test_names_and_numbers_are_found_where_they_stand():
    assert names('Anna met Peter Müller in Rome. She saw NASA; I agreed. "Then" (Now) U.S.') == [
        "Peter",
        "Müller",
        "Rome",
        "NASA",
    ]
    assert numbers("1,000.5 at 12:30 in 1999, 7.") == ["10005", "1230", "1999", "7"]
