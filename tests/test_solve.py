"""The method solve: keys confirmed by solutions that did not see them, shortcuts and difficulty."""

from __future__ import annotations

import json

import pytest

import textsynth as ts
from textsynth.assemble import assemble
from textsynth.errors import RecipeError
from textsynth.methods.solve import Difficulty, Solve, read_answer, turn
from textsynth.recipe import read
from textsynth.records import Completion, Draw, Seed

CHOICES = ["Moss grows", "Metal reacts", "Paint", "Sunlight"]
ITEM = {"question": "Why do roofs turn green?", "answer": "B", "choices": CHOICES, "kind": "multiple_choice"}
ITEM |= {"passage": "Copper roofs turn green because the metal reacts."}


def made(tmp_path, **options):
    file = tmp_path / "items.jsonl"
    file.write_text(json.dumps(ITEM))
    recipe = {"model": "scripted", "records": 1, "method": {"solve": options}, "seeds": {"path": str(file), "shots": 1}}
    return assemble(read(recipe)).method


def play(method, answer, item=ITEM):
    """Answer each request by the function ``answer`` of the request; return the requests and the candidate."""
    draw = Draw(0, 0, {}, (Seed(0, item),), 5)
    steps, asked = method.run(draw), []
    try:
        request = next(steps)
        while True:
            asked.append(request)
            request = steps.send(Completion(0, request.step, json.dumps({"answer": answer(request)}), "stop"))
    except StopIteration as stop:
        return asked, stop.value


def letter_of(request, option):
    """Return the letter beside an option in a request's prompt."""
    lines = request.messages[-1]["content"].splitlines()
    return next(line[0] for line in lines if line.endswith(f". {option}"))


def knows(request):
    """Answer by what is asked, not by its place; without the question, say another option."""
    return letter_of(request, "Metal reacts" if "roofs" in request.messages[-1]["content"] else "Paint")


def test_a_key_that_the_solutions_confirm_is_kept(tmp_path):
    method = made(tmp_path, k=3, options_only=4)
    asked, candidate = play(method, knows)
    record = candidate.record
    assert record["solutions"] == ["B", "B", "B"] and record["agreement"] == 1.0 and record["options_only"] == 0.0
    assert {name: record[name] for name in ("question", "answer", "choices")} == {
        n: ITEM[n] for n in ("question", "answer", "choices")
    }
    assert len(asked) == 7 and len({request.step for request in asked}) == 7
    assert len({request.sampling.seed for request in asked}) == 7
    assert all(request.sampling.temperature == 0.7 for request in asked)


def test_no_solution_sees_the_key_and_options_stand_in_another_order_each_time(tmp_path):
    asked, _ = play(made(tmp_path, k=4, options_only=0), knows)
    prompts = [request.messages[-1]["content"] for request in asked]
    assert len({letter_of(request, "Metal reacts") for request in asked}) == 4
    assert all("B" not in prompt.split("Question:")[1].replace("B. ", "") for prompt in prompts)
    assert json.loads(asked[0].schema)["properties"]["answer"]["enum"] == ["A", "B", "C", "D"]
    assert all(ITEM["passage"] in prompt for prompt in prompts)


def test_an_answer_that_another_is_agreed_on_is_dropped_with_both_named(tmp_path):
    _, candidate = play(made(tmp_path, k=3), lambda request: letter_of(request, "Paint"))
    assert candidate.failure.reason == "key_disagreement" and candidate.failure.score == 0
    assert "0 of 3 solutions give the key 'B'; 3 give 'C'" in candidate.failure.detail


@pytest.mark.parametrize(
    ("least", "right", "kept"), [(None, 2, True), (None, 1, False), (1.0, 2, False), (0.3, 1, True)]
)
def test_the_share_that_must_agree_can_be_told(tmp_path, least, right, kept):
    turns = iter(range(9))
    method = made(tmp_path, k=3, options_only=0, least=least)
    _, candidate = play(method, lambda r: letter_of(r, "Metal reacts" if next(turns) < right else "Paint"))
    assert (candidate.record is not None) is kept


def test_a_favourite_letter_is_no_knowledge(tmp_path):
    _, candidate = play(made(tmp_path, k=4), lambda request: "B")
    assert candidate.failure.reason == "key_disagreement" and candidate.failure.score == 0.25


def test_an_item_that_is_right_without_its_question_is_dropped(tmp_path):
    asked, candidate = play(made(tmp_path, k=1, options_only=4), lambda request: letter_of(request, "Metal reacts"))
    assert candidate.failure.reason == "answered_without_question" and candidate.failure.score == 1.0
    alone = [request.messages[-1]["content"] for request in asked[1:]]
    assert not any("roofs" in prompt for prompt in alone) and all("Metal reacts" in prompt for prompt in alone)


def test_difficulty_is_the_solve_rate_of_the_stated_model_without_the_passage(tmp_path):
    address = "http://127.0.0.1:9/v1"
    method = made(tmp_path, k=1, options_only=0, difficulty={"model": address, "k": 4})
    turns = iter(range(9))
    asked, candidate = play(method, lambda r: letter_of(r, "Metal reacts" if next(turns) < 3 else "Paint"))
    assert candidate.record["solve_rate"] == 0.5 and candidate.record["difficulty"] == "medium"
    assert [request.model for request in asked] == ["", *[address] * 4]
    assert not any(ITEM["passage"] in request.messages[-1]["content"] for request in asked[1:])
    assert method.models() == [address]
    assert [Difficulty().name(rate) for rate in (0, 0.25, 0.5, 0.75, 1)] == ["hard", "hard", "medium", "easy", "easy"]


def test_other_kinds_are_compared_by_their_own_rule(tmp_path):
    method = made(tmp_path, k=3)
    one = {"kind": "numeric", "question": "How long?", "answer": "100", "tolerance": 0.05}
    says = iter(["98", "1,000", "101 m"])
    asked, candidate = play(method, lambda request: next(says), one)
    assert candidate.record["agreement"] == pytest.approx(2 / 3) and candidate.record["options_only"] is None
    assert json.loads(asked[0].schema)["properties"]["answer"]["type"] == "string"


def test_thought_comes_before_the_answer_where_it_is_asked_for(tmp_path):
    asked, _ = play(made(tmp_path, k=1, options_only=0, reasoning=200), knows)
    schema = json.loads(asked[0].schema)
    assert (
        list(schema["properties"]) == ["reasoning", "answer"] and schema["properties"]["reasoning"]["maxLength"] == 200
    )
    plain, _ = play(made(tmp_path, k=1, options_only=0), knows)
    assert asked[0].sampling.max_tokens > plain[0].sampling.max_tokens


def test_a_rubric_passes_unchecked(tmp_path):
    asked, candidate = play(made(tmp_path), knows, {"kind": "rubric", "question": "Why?", "answer": "So."})
    assert asked == [] and candidate.record["agreement"] is None and candidate.record["solutions"] == []


def test_code_is_solved_by_passing_its_tests(tmp_path):
    method = made(tmp_path, k=1)
    one = {"kind": "code", "question": "Write one().", "answer": "def one(): return 1", "tests": ["assert one() == 1"]}
    steps = method.run(Draw(0, 0, {}, (Seed(0, one),), 5))
    request = next(steps)
    trial = steps.send(Completion(0, request.step, json.dumps({"answer": "def one():\n    return 1"}), "stop"))
    said = method.workers()[trial.model](trial)
    with pytest.raises(StopIteration) as stop:
        steps.send(Completion(0, trial.step, said, "stop"))
    assert stop.value.value.record["agreement"] == 1.0


def test_an_engine_error_ends_the_draw(tmp_path):
    steps = made(tmp_path).run(Draw(0, 0, {}, (Seed(0, ITEM),), 5))
    request = next(steps)
    with pytest.raises(StopIteration) as stop:
        steps.send(Completion(0, request.step, "", "error", error="gone"))
    assert stop.value.value.failure.reason == "engine_error"


def test_turning_and_reading_undo_each_other():
    for by in range(6):
        turned = turn(CHOICES, by)
        for at, option in enumerate(turned):
            assert CHOICES["ABCD".index(read_answer(ITEM, "ABCD"[at], by))] == option
    assert read_answer(ITEM, "E", 0) == "" and read_answer(ITEM, None, 0) == ""


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"k": 0}, "k must be at least 1"),
        ({"least": 60}, "least must be between 0 and 1"),
        ({"temperature": 0}, "temperature must be above 0"),
        ({"model": "some-model"}, "must be a server's address"),
    ],
)
def test_options_out_of_range_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        Solve(**options)
    with pytest.raises(ValueError, match="hard must be below easy"):
        Difficulty(easy=0.2, hard=0.5)


def test_items_must_be_given():
    with pytest.raises(RecipeError, match="'question' must be given"):
        ts.check({"model": "scripted", "records": 1, "method": "solve"})


def test_in_a_chain_it_follows_the_item(tmp_path):
    text = json.dumps({"question": "Which metal turns green on roofs?", "answer": "Copper"})
    row = {"text": "Copper roofs turn green because the metal reacts with air.", "document": "roofs"}
    (tmp_path / "pages.jsonl").write_text(json.dumps(row))
    recipe = {"model": "scripted", "records": 1, "engine": {"texts": [text]}, "filters": [],
              "steps": [{"item": {"kind": "exact"}}, {"solve": {"k": 2}}],
              "seeds": {"path": str(tmp_path / "pages.jsonl"), "shots": 1}}  # fmt: skip
    run = ts.run(recipe, folder=tmp_path / "run")
    (record,) = run.records()
    assert record["agreement"] == 1.0 and record["solutions"] == ["Copper", "Copper"] and record["answer"] == "Copper"
    assert record["source"]["document"] == "roofs"
