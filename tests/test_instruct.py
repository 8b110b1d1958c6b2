"""Instructions: the task is asked for with the seeds, refused by the paper's rules, and answered as in a chat."""

from __future__ import annotations

import json
from typing import Any

import pytest

import textsynth as ts
from textsynth.errors import RecipeError
from textsynth.records import Candidate, Completion, Request

GOOD = "Name three fruits that grow in cold countries."


def recipe(tmp_path: Any = None, **changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"model": "scripted", "records": 3, "method": "instruct", "repairs": 1}
    if tmp_path is not None:
        rows = [
            {"instruction": "Tell me a joke about cats.", "response": "A cat walks into a bar."},
            {"instruction": "Explain how rain is made.", "response": "Water rises, cools and falls."},
        ]
        (tmp_path / "tasks.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
        made["seeds"] = {"path": str(tmp_path / "tasks.jsonl"), "shots": 2}
    return {**made, **changes}


def play(wanted: dict[str, Any], *answers: Any) -> tuple[list[Request], Candidate | None]:
    """Answer the requests of draw 0 in turn: a text, a value (as JSON), or the facts of a completion."""
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


def test_seeds_are_shown_as_tasks_and_the_task_is_answered_in_a_chat(tmp_path):
    asked, candidate = play(recipe(tmp_path), {"instruction": GOOD}, "  Apples, pears and plums. ")
    task, answer = asked
    shown = [message["content"] for message in task.messages if message["role"] == "assistant"]
    assert sorted(shown) == [
        '{"instruction":"Explain how rain is made."}',
        '{"instruction":"Tell me a joke about cats."}',
    ]
    assert set(json.loads(task.schema)["properties"]) == {"instruction"}
    assert answer.schema is None and answer.messages[-1] == {"role": "user", "content": GOOD}
    assert answer.step != task.step and answer.sampling.seed != task.sampling.seed
    assert candidate.record == {"instruction": GOOD, "response": "Apples, pears and plums."}


def test_topic_and_persona_are_used_where_they_are_drawn():
    drawn = {"topic": ["Cooking > Baking"], "persona": ["a night nurse"], "tone": ["curt"]}
    asked, candidate = play(recipe(attributes=drawn), {"instruction": GOOD}, "Apples.")
    text = asked[0].messages[-1]["content"]
    assert "about Cooking: Baking" in text and "a night nurse" in text and "tone: curt" in text
    assert "persona:" not in text
    assert set(candidate.record) == {"instruction", "response"}


def test_the_opening_is_told_and_shown_with_each_seed(tmp_path):
    asked, _ = play(recipe(tmp_path, attributes={"opening": ["Suggest"]}), {"instruction": GOOD}, "Apples.")
    told = [message["content"] for message in asked[0].messages if message["role"] == "user"]
    assert sorted(told[:2]) == [
        'Write a new task that begins with "Explain".',
        'Write a new task that begins with "Tell".',
    ]
    assert told[-1].strip() == 'Write a new task that begins with "Suggest".'


def test_an_input_belongs_to_the_task_and_may_be_empty():
    wanted = recipe(method={"instruct": {"input": "optional"}})
    asked, candidate = play(wanted, {"instruction": "Sort these words by length.", "input": "pear, fig"}, "fig, pear")
    assert asked[1].messages[-1]["content"] == "Sort these words by length.\n\npear, fig"
    assert list(candidate.record) == ["instruction", "input", "response"]
    asked, candidate = play(wanted, {"instruction": GOOD, "input": ""}, "Apples.")
    assert asked[1].messages[-1]["content"] == GOOD and candidate.record["input"] == ""


def test_without_a_response_there_is_one_request():
    asked, candidate = play(recipe(method={"instruct": {"response": "none"}}), {"instruction": GOOD})
    assert len(asked) == 1 and candidate.record == {"instruction": GOOD}


@pytest.mark.parametrize(
    ("instruction", "reason"),
    [
        ("Sing now", "short_instruction"),
        ("word " * 151, "long_instruction"),
        ("- Name a fruit that is red.", "punctuation"),
        ("Describe the picture of a house.", "blocked_instruction"),
        ("Please GO TO the shop for milk.", "blocked_instruction"),
    ],
)
def test_an_instruction_that_is_none_is_dropped_before_it_is_answered(instruction, reason):
    asked, candidate = play(recipe(), {"instruction": instruction})
    assert len(asked) == 1 and candidate.record is None and candidate.failure.reason == reason
    assert reason in ts.check(recipe()).method.reasons


def test_a_blocked_word_counts_only_as_a_whole_and_the_list_can_be_emptied():
    _, candidate = play(recipe(), {"instruction": "Write a profile of a painter."}, "She paints.")
    assert candidate.record is not None
    free = recipe(method={"instruct": {"blocklist": []}})
    _, candidate = play(free, {"instruction": "Describe the picture of a house."}, "It is red.")
    assert candidate.record is not None


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("  ", "empty_response"),
        (GOOD.upper(), "repeated_instruction"),
        ({"text": "Apples, pe", "finish_reason": "length", "tokens": 5}, "truncated_response"),
        ({"text": "", "finish_reason": "error", "error": "gone"}, "engine_error"),
    ],
)
def test_a_response_that_is_none_drops_the_record(answer, reason):
    _, candidate = play(recipe(), {"instruction": GOOD}, answer)
    assert candidate.record is None and candidate.failure.reason == reason


def test_a_task_that_does_not_fit_is_asked_for_again():
    wanted = recipe(schema={"instruction": "str 10..60"})
    asked, candidate = play(wanted, {"instruction": "Short"}, {"instruction": GOOD}, "Apples.")
    assert asked[1].sampling.seed != asked[0].sampling.seed and candidate.record["instruction"] == GOOD


def test_a_task_that_the_decoder_cut_is_dropped_before_it_is_answered():
    wanted = recipe(schema={"instruction": "str 10..40"})
    asked, candidate = play(wanted, {"instruction": "Name three fruits that grow in cold coun"})
    assert len(asked) == 1 and candidate.failure.reason == "cut_text"
    _, candidate = play(wanted, {"instruction": "Name three fruits that grow in the cold."}, "Apples.")
    assert candidate.record["response"] == "Apples."


def test_an_instruction_that_is_drawn_is_only_answered():
    asked, candidate = play(recipe(attributes={"instruction": [GOOD]}), "Apples.")
    assert [request.schema for request in asked] == [None] and candidate.record == {
        "instruction": GOOD,
        "response": "Apples.",
    }


def test_the_answer_has_its_own_length_and_template(tmp_path):
    method = {"instruct": {"answer_tokens": 33, "answer": "In rhyme: {{ asked }}"}}
    asked, _ = play(recipe(method=method, sampling={"max_tokens": 50}), {"instruction": GOOD}, "Apples.")
    assert asked[0].sampling.max_tokens == 50 and asked[1].sampling.max_tokens == 33
    assert asked[1].messages[-1]["content"] == f"In rhyme: {GOOD}"


@pytest.mark.parametrize(
    "options", [{"min_words": 0}, {"min_words": 9, "max_words": 8}, {"answer_tokens": 1}, {"blocklist": [" "]}]
)
def test_options_that_cannot_work_are_refused(options):
    with pytest.raises(RecipeError, match="method.instruct: (min_words|answer_tokens|blocklist)"):
        ts.check(recipe(method={"instruct": options}))


def test_a_run_is_the_same_again_and_says_how_long_its_texts_are(tmp_path):
    wanted = recipe(tmp_path, records=12, filters=["refusal", "novelty"])
    first, second = ts.run(wanted, folder=tmp_path / "a"), ts.run(wanted, folder=tmp_path / "b")
    assert first.accepted == 12 and list(first.records()) == list(second.records())
    parts = ts.check(wanted)
    assert parts.method.summary([{"instruction": "one two", "response": "one"}]) == {
        "words of instruction": 2, "words of response": 1,
    }  # fmt: skip
