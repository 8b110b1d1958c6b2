"""Methods, fed by hand: what is asked again and what is held, turn by turn, and the same again from the same answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

import textsynth as ts
from textsynth.records import Candidate, Completion, Draw, Request

RECORD = {
    "model": "scripted",
    "records": 5,
    "schema": {"title": "str 3..40", "body": "text 3..80", "n": "int 0..9", "product": "str"},
    "prompt": "Write about a {{ product }}.",
    "attributes": {"product": ["router"], "tone": ["calm"]},
}
DIALOGUE = {
    "model": "scripted",
    "records": 5,
    "method": {"dialogue": {"turns": 4}},
    "schema": {"solved": "bool", "topic": ["a", "b"]},
    "attributes": {"topic": ["a"]},
}
WHOLE = {"title": "A title", "body": "Some body text", "n": 4}


class Played:
    """A method's draw, answered from a list of texts (or completions' facts)."""

    def __init__(self, recipe: dict[str, Any], answers: list[Any], index: int = 0) -> None:
        parts = ts.check(recipe)
        self.draw: Draw = parts.plan.draw(index, 0, {name: next(iter(q)) for name, q in parts.quotas.items()})
        self.parts = parts
        self.requests: list[Request] = []
        self.completions: list[Completion] = []
        self.candidate: Candidate | None = None
        steps, waiting = parts.method.run(self.draw), list(answers)
        try:
            request = next(steps)
            while True:
                self.requests.append(request)
                if not waiting:
                    return
                facts = waiting.pop(0)
                facts = facts if isinstance(facts, dict) and "text" in facts else {"text": facts}
                text = facts["text"] if isinstance(facts["text"], str) else json.dumps(facts["text"])
                done = Completion(
                    request.draw, request.step, text, facts.get("finish", "stop"), error=facts.get("error", "")
                )
                self.completions.append(done)
                request = steps.send(done)
        except StopIteration as stop:
            self.candidate = stop.value
        assert not waiting, "the method asked for less than was answered"

    def asked(self, at: int = -1) -> set[str]:
        """Return the fields that a request's schema has."""
        return set(json.loads(self.requests[at].schema)["properties"])

    def said(self, at: int = -1) -> str:
        return self.requests[at].messages[-1]["content"]


# --- records ---------------------------------------------------------------------------------------------------------


def test_one_good_answer_is_a_record_with_the_drawn_constants():
    played = Played(RECORD, [WHOLE])
    assert played.candidate.record == {**WHOLE, "product": "router"}
    assert list(played.candidate.record) == ["title", "body", "n", "product"], "in the schema's order"
    assert played.asked() == {"title", "body", "n"}, "the model writes only what is free"
    assert played.said() == "Write about a router."


def test_the_model_cannot_change_a_constant():
    played = Played(RECORD, [{**WHOLE, "product": "phone"}])
    assert played.candidate.record["product"] == "router"


def test_only_the_fields_that_fail_are_asked_again_and_the_rest_is_held():
    played = Played(RECORD, [{**WHOLE, "n": 12}, {"n": 5, "title": "Another title"}])
    assert played.asked(0) == {"title", "body", "n"} and played.asked(1) == {"n"}
    assert played.candidate.record == {**WHOLE, "n": 5, "product": "router"}
    assert "Write only what is missing: n." in played.said(1) and "A title" in played.said(1)
    assert played.requests[1].sampling.seed != played.requests[0].sampling.seed


def test_a_truncated_answer_keeps_its_whole_fields():
    played = Played(
        RECORD, [{"text": '{"title": "A title", "body": "Some bo', "finish": "length"}, {"body": "ok text", "n": 1}]
    )
    assert played.asked(1) == {"body", "n"}
    assert played.candidate.record == {"title": "A title", "body": "ok text", "n": 1, "product": "router"}


def test_an_answer_broken_in_the_middle_is_written_again():
    played = Played(RECORD, ['{"title": "A title", "body": "Some body", oops', WHOLE])
    assert played.asked(1) == {"title", "body", "n"}
    assert played.candidate.record == {**WHOLE, "product": "router"}


@pytest.mark.parametrize("text", ["", "no JSON", "[1, 2]", '"text"', "{", "null", "{}"])
def test_an_answer_without_any_field_is_asked_again_from_the_start(text):
    played = Played(RECORD, [text, WHOLE])
    assert played.asked(1) == played.asked(0) and played.said(1) == played.said(0)
    assert played.candidate.record == {**WHOLE, "product": "router"}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"text": "not JSON"}, "invalid_json"),
        ({"text": "[]"}, "invalid_json"),
        ({"text": '{"title": "A', "finish": "length"}, "truncated"),
        ({"text": {**WHOLE, "n": 99}}, "schema"),
    ],
)
def test_when_repairs_are_used_up_the_last_failure_is_the_reason(answer, reason):
    played = Played({**RECORD, "repairs": 2}, [answer] * 3)
    assert played.candidate.record is None and played.candidate.failure.reason == reason
    assert len(played.requests) == 3
    none = Played({**RECORD, "repairs": 0}, [answer])
    assert none.candidate.failure.reason == reason


def test_the_reason_names_the_field_that_failed():
    played = Played({**RECORD, "repairs": 0}, [{**WHOLE, "n": 99}])
    assert played.candidate.failure.detail.startswith("n: ") and "99" in played.candidate.failure.detail


def test_an_engine_error_is_not_asked_again():
    played = Played(RECORD, [{"text": "", "finish": "error", "error": "500 from the server"}])
    assert len(played.requests) == 1
    assert (played.candidate.failure.reason, played.candidate.failure.detail) == ("engine_error", "500 from the server")
    later = Played(RECORD, [{**WHOLE, "n": 99}, {"text": "", "finish": "error", "error": "gone"}])
    assert later.candidate.failure.reason == "engine_error"


def test_a_wrong_record_as_a_whole_is_written_again_entirely():
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
        "additionalProperties": False,
        "not": {"properties": {"a": {"const": 1}, "b": {"const": 1}}},
    }
    recipe = {"model": "scripted", "records": 1, "schema": schema, "prompt": "x", "filters": []}
    played = Played(recipe, [{"a": 1, "b": 1}, {"a": 1, "b": 2}])
    assert played.requests[1].schema == played.requests[0].schema and played.said(1) == "x"
    assert played.candidate.record == {"a": 1, "b": 2}


def test_optional_fields_may_be_absent():
    recipe = {**RECORD, "schema": {"title": "str", "note?": "str"}, "prompt": "x", "attributes": {}}
    assert Played(recipe, [{"title": "x"}]).candidate.record == {"title": "x"}
    assert Played(recipe, [{"text": '{"title": "x", "note": "lo', "finish": "length"}]).candidate.record == {
        "title": "x"
    }


def test_when_every_field_is_drawn_nothing_is_asked():
    recipe = {**RECORD, "schema": {"product": "str"}, "prompt": "x", "filters": []}
    played = Played(recipe, [])
    assert played.requests == [] and played.candidate.record == {"product": "router"}


@pytest.mark.parametrize("step", [0, 1, 2])
def test_each_request_has_its_step_and_its_own_seed(step):
    played = Played(RECORD, [{**WHOLE, "n": 99}] * 3)
    assert played.requests[step].step == step
    assert len({r.sampling.seed for r in played.requests}) == 3
    assert all(0 <= r.sampling.seed < 2**31 for r in played.requests)


# --- dialogues -------------------------------------------------------------------------------------------------------

TURNS = ["Hello, my router is dead.", "Is the light on?", "No, it is off.", "Then we send a new one."]


def test_every_turn_is_a_request_and_the_fields_are_filled_in_at_the_end():
    played = Played(DIALOGUE, [*TURNS, {"solved": True}])
    assert len(played.requests) == 5
    assert played.candidate.record == {
        "messages": [
            {"role": role, "content": text}
            for role, text in zip(["user", "assistant", "user", "assistant"], TURNS, strict=True)
        ],
        "solved": True,
        "topic": "a",
    }
    assert [r.schema is None for r in played.requests] == [True] * 4 + [False]
    assert played.asked() == {"solved"}
    assert "Customer: Hello, my router is dead.\nAgent: Is the light on?" in played.said()


def test_each_speaker_sees_its_own_words_as_the_assistants():
    played = Played(DIALOGUE, [*TURNS, {"solved": True}])
    third = played.requests[2].messages
    assert [m["role"] for m in third] == ["system", "user", "assistant", "user"]
    assert third[2]["content"] == TURNS[0] and third[3]["content"] == TURNS[1]
    fourth = played.requests[3].messages
    assert [m["role"] for m in fourth] == ["system", "user", "assistant", "user"]
    assert fourth[0]["content"] != third[0]["content"]


def test_a_dialogue_without_further_fields_needs_no_closing_request():
    recipe = {name: value for name, value in DIALOGUE.items() if name not in {"schema", "attributes"}}
    played = Played(recipe, TURNS)
    assert list(played.candidate.record) == ["messages"] and len(played.requests) == 4


def test_the_number_of_turns_is_drawn_between_its_bounds():
    recipe = {name: value for name, value in DIALOGUE.items() if name not in {"schema", "attributes"}}
    recipe |= {"method": {"dialogue": {"turns": [2, 5]}}}
    parts = ts.check(recipe)
    lengths = set()
    for index in range(40):
        draw, steps, count = parts.plan.draw(index, 0, {}), None, 0
        steps = parts.method.run(draw)
        try:
            request = next(steps)
            while True:
                count += 1
                request = steps.send(Completion(draw.index, request.step, f"Turn number {count}.", "stop"))
        except StopIteration as stop:
            assert len(stop.value.record["messages"]) == count
        lengths.add(count)
    assert lengths == {2, 3, 4, 5}


@pytest.mark.parametrize("said", ["Customer: Hello.", "customer :  Hello.", "User: Hello.", '"Hello."', "\n Hello. \n"])
def test_the_speakers_name_and_quotes_are_not_part_of_a_turn(said):
    played = Played(DIALOGUE, [said, *TURNS[1:], {"solved": True}])
    assert played.candidate.record["messages"][0]["content"] == "Hello."


def test_a_turn_that_was_cut_ends_with_its_last_whole_sentence():
    cut = {"text": "Hello there! My router is 3.5 years old. And now it", "finish": "length"}
    played = Played(DIALOGUE, [cut, *TURNS[1:], {"solved": True}])
    assert played.candidate.record["messages"][0]["content"] == "Hello there! My router is 3.5 years old."


def test_a_cut_turn_without_a_sentence_is_asked_again():
    played = Played(DIALOGUE, [{"text": "Hello there my", "finish": "length"}, *TURNS, {"solved": True}])
    assert [r.step for r in played.requests] == [0, 1, 100, 200, 300, 400]
    assert played.requests[1].messages == played.requests[0].messages
    assert played.requests[1].sampling.seed != played.requests[0].sampling.seed


def test_a_repeated_turn_is_asked_again_and_then_drops_the_dialogue():
    again = Played(DIALOGUE, [TURNS[0], TURNS[1], TURNS[0], TURNS[2], TURNS[3], {"solved": False}])
    assert [m["content"] for m in again.candidate.record["messages"]] == TURNS
    dropped = Played({**DIALOGUE, "repairs": 1}, [TURNS[0], TURNS[0], TURNS[0]])
    assert dropped.candidate.failure.reason == "repeated_turn" and "turn 1" in dropped.candidate.failure.detail


def test_silence_drops_the_dialogue_after_the_repairs():
    dropped = Played({**DIALOGUE, "repairs": 1}, [TURNS[0], "", "Agent:"])
    assert dropped.candidate.failure.reason == "empty_turn"


def test_an_engine_error_ends_a_dialogue_at_once():
    ended = Played(DIALOGUE, [TURNS[0], {"text": "", "finish": "error", "error": "lost"}])
    assert (ended.candidate.failure.reason, ended.candidate.failure.detail) == ("engine_error", "lost")


def test_failed_closing_fields_are_asked_again_and_the_dialogue_is_never_rewritten():
    recipe = {**DIALOGUE, "schema": {"solved": "bool", "stars": "int 1..5", "topic": ["a", "b"]}}
    played = Played(recipe, [*TURNS, {"solved": True, "stars": 9}, {"stars": 4}])
    assert played.asked(4) == {"solved", "stars"} and played.asked(5) == {"stars"}
    assert played.candidate.record["stars"] == 4
    whole = {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
        "additionalProperties": False,
        "not": {"properties": {"a": {"const": 1}, "b": {"const": 1}}},
    }
    again = Played({**DIALOGUE, "schema": whole, "attributes": {}}, [*TURNS, {"a": 1, "b": 1}, {"a": 1, "b": 2}])
    assert again.asked(5) == {"a", "b"}
    assert [m["content"] for m in again.candidate.record["messages"]] == TURNS


def test_the_system_prompt_can_be_the_first_message():
    recipe = {**DIALOGUE, "method": {"dialogue": {"turns": 2, "keep_system": True}}}
    played = Played(recipe, [*TURNS[:2], {"solved": True}])
    roles = [m["role"] for m in played.candidate.record["messages"]]
    assert roles == ["system", "user", "assistant"]
    assert not played.parts.schema.problems(played.candidate.record)


@pytest.mark.parametrize(
    ("recipe", "answers"),
    [
        (RECORD, [{**WHOLE, "n": 12}, {"text": '{"n": ', "finish": "length"}, {"n": 5}]),
        (DIALOGUE, [TURNS[0], "", *TURNS[1:], {"solved": 3}, {"solved": True}]),
    ],
)
def test_the_same_answers_give_the_same_requests_and_the_same_record(recipe, answers):
    first, second = Played(recipe, answers), Played(recipe, answers)
    assert first.requests == second.requests and first.candidate == second.candidate
    for at in range(len(answers)):
        assert Played(recipe, answers[:at]).requests == first.requests[: at + 1]


def test_records_of_both_methods_fit_their_schema():
    for recipe, answers in ((RECORD, [WHOLE]), (DIALOGUE, [*TURNS, {"solved": True}])):
        played = Played(recipe, answers)
        assert played.parts.schema.problems(played.candidate.record) == []
