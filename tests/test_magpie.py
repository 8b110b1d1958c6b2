"""Magpie: whose turn is asked for, what is no user's message, answers and several turns; and how a template ends a turn."""

from __future__ import annotations

from typing import Any

import pytest

import textsynth as ts
from textsynth.engines._user_turn import ANSWERED, ASKED, UserTurn, end_mark, user_turn
from textsynth.engines.scripted import Scripted
from textsynth.errors import EngineError, RecipeError
from textsynth.methods.magpie import whole_sentences
from textsynth.records import Candidate, Completion, Request, Sampling

RECIPE: dict[str, Any] = {
    "model": "scripted",
    "records": 10,
    "method": "magpie",
    "attributes": {"topic": ["Cooking > Baking"]},
    "filters": [],
    "windows": {"size": 4},
}
ASKS, SAYS = "How long should I bake a small loaf of bread?", "About thirty minutes."


def play(recipe: dict[str, Any], answers: list[Any]) -> tuple[Candidate, list[Request]]:
    """Drive one draw by hand; an answer is a text, or a text with how it ended."""
    parts = ts.check(recipe)
    steps, asked = parts.method.run(parts.plan.draw(0, 0, {})), []
    waiting = [answer if isinstance(answer, tuple) else (answer, "stop") for answer in answers]
    try:
        request = next(steps)
        while True:
            asked.append(request)
            text, finish = waiting.pop(0)
            error = "gone" if finish == "error" else ""
            request = steps.send(Completion(request.draw, request.step, text, finish, tokens=9, error=error))
    except StopIteration as stop:
        assert not waiting
        return stop.value, asked


def test_the_user_is_written_first_then_the_answer():
    candidate, (user, answer) = play(RECIPE, [f"  {ASKS}\n", SAYS])
    assert candidate.record == {"instruction": ASKS, "response": SAYS}
    assert user.turn == "user" and user.schema is None
    assert [m["role"] for m in user.messages] == ["system"] and "Cooking: Baking" in user.messages[0]["content"]
    assert answer.turn == "assistant" and answer.messages == ({"role": "user", "content": ASKS},)
    assert user.sampling.seed != answer.sampling.seed and user.step != answer.step
    assert user.sampling.max_tokens == 96 and user.sampling.temperature == 1.0


def test_without_a_topic_there_is_nothing_before_the_users_turn():
    candidate, (user, _) = play({**RECIPE, "attributes": {}}, [ASKS, SAYS])
    assert user.messages == () and candidate.record["instruction"] == ASKS


@pytest.mark.parametrize(
    "said",
    ["", "Hello", (ASKS, "length"), "I'm sorry, but I can't help with that request.", "How can I help you today?",
     "As an AI language model, I know about bread.", "Assistant: Here is your bread recipe.", "Sure! Here is what you do."],
)  # fmt: skip
def test_what_is_no_users_message_is_asked_for_again_then_dropped(said):
    candidate, asked = play({**RECIPE, "repairs": 1}, [said, ASKS, SAYS])
    assert candidate.record["instruction"] == ASKS
    assert asked[0].sampling.seed != asked[1].sampling.seed
    candidate, _ = play({**RECIPE, "repairs": 1}, [said, said])
    assert candidate.record is None and candidate.failure.reason == "bad_instruction"


def test_a_cut_answer_is_dropped_or_kept_up_to_its_last_sentence():
    cut = ("Mix the flour. Then add 2.5 g of", "length")
    candidate, _ = play(RECIPE, [ASKS, cut])
    assert candidate.failure.reason == "bad_answer"
    keep = {**RECIPE, "method": {"magpie": {"cut": "keep"}}}
    candidate, _ = play(keep, [ASKS, cut])
    assert candidate.record["response"] == "Mix the flour."
    candidate, _ = play(keep, [ASKS, ("no end in sight", "length")])
    assert candidate.failure.reason == "bad_answer"
    assert whole_sentences("Do this:\n\n1. Mix it.\n\n2. And") == "Do this:\n\n1. Mix it."
    assert whole_sentences("混ぜます。それから") == "混ぜます。"


def test_an_engine_error_ends_the_draw():
    for answers in ([("", "error")], [ASKS, ("", "error")]):
        candidate, _ = play(RECIPE, answers)
        assert candidate.failure.reason == "engine_error" and candidate.failure.detail == "gone"


def test_later_turns_go_on_from_the_answers():
    recipe = {**RECIPE, "method": {"magpie": {"turns": 2}}, "repairs": 1}
    candidate, asked = play(recipe, [ASKS, SAYS, ASKS, "And at which temperature?", "At 220 degrees."])
    texts = [ASKS, SAYS, "And at which temperature?", "At 220 degrees."]
    roles = ["user", "assistant"] * 2
    assert candidate.record == {"messages": [{"role": r, "content": t} for r, t in zip(roles, texts, strict=True)]}
    assert [request.turn for request in asked] == ["user", "assistant", "user", "user", "assistant"]
    second = asked[2].messages
    assert [m["role"] for m in second] == ["system", "user", "assistant"] and "several questions" in second[0][
        "content"
    ]
    assert [m["content"] for m in asked[4].messages] == texts[:3]
    assert len({request.step for request in asked}) == 5


def test_a_run_on_the_scripted_engine_makes_all_records(tmp_path):
    run = ts.run(RECIPE | {"export": {"folder": str(tmp_path / "out"), "format": "messages"}}, folder=tmp_path / "run")
    rows = list(run.records())
    assert len(rows) == 10 and all(row["instruction"].endswith("?") for row in rows)
    found = ts.check(RECIPE).method.summary(rows)
    assert found["median_instruction_words"] > 2 and found["median_response_words"] > 0
    assert Scripted().answer(Request(0, 0, (), None, Sampling(seed=5), turn="user")).text.endswith("?")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"turns": 0}, "turns must be between 1 and 20"),
        ({"instruction_tokens": 2}, "instruction_tokens must be at least 8"),
        ({"instruction_temperature": 0}, "instruction_temperature must be above 0"),
        ({"min_words": 0}, "min_words must be at least 1"),
    ],
)
def test_options_that_cannot_work_are_refused(options, message):
    with pytest.raises(RecipeError, match=message):
        ts.check({**RECIPE, "method": {"magpie": options}})


def test_fields_that_magpie_does_not_write_are_refused():
    with pytest.raises(RecipeError, match="magpie writes instruction and response alone"):
        ts.check({**RECIPE, "schema": {"label": "str"}})


# --- templates ---------------------------------------------------------------------------------------------------------


def test_the_mark_after_a_users_text_is_found():
    chatml = f"<|im_start|>user\n{ASKED}<|im_end|>\n<|im_start|>assistant\n{ANSWERED}<|im_end|>\n"
    assert end_mark(chatml, "m") == "<|im_end|>"
    assert end_mark(f"USER: {ASKED} ASSISTANT: {ANSWERED}", "m") == "ASSISTANT:"
    assert user_turn("<|im_end|>", 2, "<|im_end|>", special=True) == UserTurn(stop_tokens=(2,))
    assert user_turn("<|eot|><|head|>bot", 9, "<|eot|>", special=True) == UserTurn(stop_tokens=(9,))
    assert user_turn("ASSISTANT:", 7, "ASS", special=False) == UserTurn(stop=("ASSISTANT:",))


@pytest.mark.parametrize(
    "rendered",
    [
        f"{ASKED}<end>{ANSWERED}",
        f"<user>{ASKED} {ANSWERED}",
        f"<user>{ASKED}",
        f"<user>{ASKED}{ASKED}<end>{ANSWERED}",
        "x",
    ],
)
def test_a_template_that_marks_no_users_turn_is_refused(rendered):
    with pytest.raises(EngineError, match="model m: its chat template .*; magpie needs a template") as caught:
        end_mark(rendered, "m")
    assert "instruct" in caught.value.hint
