"""The method item: options in drawn places, quotes that stand in the passage, faults that are dropped."""

from __future__ import annotations

import json
from collections import Counter

import pytest

import textsynth as ts
from textsynth.answers import LETTERS
from textsynth.assemble import assemble
from textsynth.errors import RecipeError
from textsynth.methods.item import Item, position, run_tests
from textsynth.recipe import read
from textsynth.records import Completion, Draw, Seed

PASSAGE = (
    "The old bridge over the Tay was opened in 1878 by the railway company. It was 3,264 metres long at that time. "
    "Copper roofs turn green because the metal reacts with air and rain over many years."
)
GOOD = {
    "question": "Why does a copper roof become green?",
    "answer": "Metal reacts with rain",
    "wrong": ["Moss grows on it", "They are painted", "The sun bleaches it"],
}
ROW = {"text": PASSAGE, "document": "bridges", "section": "1", "start": 100, "end": 400}


def made(kind="multiple_choice", repairs=0, **options):
    recipe = {"model": "scripted", "records": 4, "repairs": repairs, "method": {"item": {"kind": kind, **options}}}
    recipe |= {"attributes": {"topic": ["bridges"]}}
    return assemble(read(recipe)).method


def draw(index=0, row=ROW, seed=3, **attributes):
    return Draw(index, 0, attributes, (Seed(0, row),) if row else (), seed)


def play(method, one, *said):
    """Drive the method by hand; return its requests and its candidate."""
    steps, asked = method.run(one), []
    answers = iter(said)
    try:
        request = next(steps)
        while True:
            asked.append(request)
            text = next(answers)
            text = text if isinstance(text, str) else json.dumps(text)
            request = steps.send(Completion(one.index, request.step, text, "stop"))
    except StopIteration as stop:
        return asked, stop.value


def test_an_item_has_its_key_where_the_draw_says_and_its_quote_in_the_passage():
    method = made()
    for index in range(8):
        (asked,), candidate = play(method, draw(index, seed=index), GOOD)
        record = candidate.record
        assert record["choices"][LETTERS.index(record["answer"])] == GOOD["answer"]
        assert sorted(record["choices"]) == sorted([GOOD["answer"], *GOOD["wrong"]])
        source = record["source"]
        assert source["quote"] in PASSAGE and source["document"] == "bridges"
        assert PASSAGE[source["start"] - 100 : source["end"] - 100] == source["quote"]
        assert " ".join(source["quote"].split()) in asked.messages[-1]["content"]
        assert method.setting.schema.problems(record, {}) == []


@pytest.mark.parametrize("choices", [2, 4, 5])
def test_positions_are_balanced_over_every_block_of_draws_and_not_in_a_row(choices):
    places = [position(index, choices) for index in range(choices * 50)]
    assert set(Counter(places).values()) == {50}
    assert all(sorted(places[at : at + choices]) == list(range(choices)) for at in range(0, len(places), choices))
    assert len({tuple(places[at : at + choices]) for at in range(0, len(places), choices)}) > 1


def told(**changes):
    return GOOD | changes


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (told(wrong=["Moss grows on it", "moss grows on IT!", "They are painted"]), "bad_choices"),
        (told(wrong=["Metal reacts with the rain", "bee", "sea"]), "bad_choices"),
        (told(wrong=["All of the above", "bee", "sea"]), "bad_choices"),
        (told(question="Does metal reacts with rain matter?"), "gives_away"),
        (told(question="What does the passage say of roofs?"), "points_at_passage"),
        (told(answer="Volcanic ash settles"), "unsupported"),
        (told(answer="x" * 80), "bad_answer"),
        ({"question": "Why is that so?"}, "invalid_json"),
        ("{", "invalid_json"),
    ],
)
def test_a_faulty_item_is_dropped_with_its_reason(said, reason):
    _, candidate = play(made(), draw(), said)
    assert candidate.record is None and candidate.failure.reason == reason
    assert reason in Item.reasons or reason == "invalid_json"


def test_a_faulty_item_is_asked_for_again_with_another_seed():
    asked, candidate = play(made(repairs=2), draw(), told(answer="Volcanic ash settles"), GOOD)
    assert candidate.record["question"] == GOOD["question"]
    assert len({request.sampling.seed for request in asked}) == 2
    assert len({request.step for request in asked}) == 2


def test_the_worked_example_is_not_taken_over():
    again = GOOD | {"question": "Why is the roof green?"}
    asked, candidate = play(made(repairs=1), draw(), told(question="Why do copper roofs turn GREEN"), again)
    assert any("copper roofs" in message["content"] for message in asked[0].messages)
    assert candidate.record["question"] == "Why is the roof green?"
    _, candidate = play(made(), draw(), told(question="Why do copper roofs turn green?"))
    assert candidate.failure.reason == "copied_prompt"


def test_a_numeric_item_needs_its_number_in_the_quote():
    method = made("numeric", tolerance=0.05)
    fact = next(
        seed
        for seed in range(20)
        if "3,264" in play(method, draw(seed=seed))[0][0].messages[-1]["content"].split("Fact:")[2]
    )
    said = {"question": "How long was the old bridge, in metres?", "answer": "3264"}
    _, candidate = play(method, draw(seed=fact), said)
    assert candidate.record["answer"] == "3264" and candidate.record["tolerance"] == 0.05
    _, candidate = play(method, draw(seed=fact), said | {"answer": "1878"})
    assert candidate.failure.reason == "unsupported"
    _, candidate = play(method, draw(seed=fact), said | {"answer": "many"})
    assert candidate.failure.reason == "bad_answer"


def test_an_exact_answer_stands_in_the_passage():
    said = {"question": "Who opened the old bridge?", "answer": "the railway company"}
    assert play(made("exact"), draw(), said)[1].record["answer"] == "the railway company"
    assert play(made("exact"), draw(), said | {"answer": "the queen"})[1].failure.reason == "unsupported"


def test_a_json_item_says_its_keys():
    pairs = [{"name": "opened", "value": "1878"}, {"name": "length", "value": "3,264 metres"}]
    _, candidate = play(
        made("json"), draw(), {"question": "When was the bridge opened, how long is it?", "answer": pairs}
    )
    assert candidate.record["question"].endswith("Give the keys opened, length.")
    assert json.loads(candidate.record["answer"]) == {"opened": "1878", "length": "3,264 metres"}


def test_the_solution_of_a_code_item_is_run():
    method = made("code")
    said = {
        "question": "Write the function double(x).",
        "answer": "def double(x):\n    return 2 * x",
        "tests": ["assert double(2) == 4", "assert double(0) == 0"],
    }
    steps = method.run(draw(row=None))
    next(steps)
    trial = steps.send(Completion(0, 0, json.dumps(said), "stop"))
    assert trial.model == "run_tests" and method.workers()["run_tests"](trial) == ""
    with pytest.raises(StopIteration) as stop:
        steps.send(Completion(0, 1, "", "stop"))
    assert stop.value.value.record["tests"] == said["tests"]
    broken = json.dumps({"source": "def double(x): return x", "tests": said["tests"]})
    assert "AssertionError" in run_tests(
        trial.__class__(0, 1, ({"role": "user", "content": broken},), None, trial.sampling)
    )
    steps = method.run(draw(row=None))
    next(steps)
    steps.send(Completion(0, 0, json.dumps(said), "stop"))
    with pytest.raises(StopIteration) as stop:
        steps.send(Completion(0, 1, "AssertionError: line 1", "stop"))
    assert stop.value.value.failure.reason == "bad_answer"


def test_a_rubric_item_has_criteria():
    said = {
        "question": "Why were bridges of iron given up?",
        "answer": "Steel is stronger.",
        "criteria": ["It names steel.", "It gives a reason."],
    }
    record = play(made("rubric"), draw(row=None, topic="bridges"), said)[1].record
    assert record["criteria"] == said["criteria"] and record["topic"] == "bridges" and record["source"]["start"] == -1


def test_draws_take_turns_among_kinds_and_an_attribute_goes_before():
    method = made(["exact", "numeric"])
    assert [method._kind(draw(index)) for index in range(4)] == ["exact", "numeric", "exact", "numeric"]
    assert method._kind(draw(0, kind="numeric")) == "numeric"


def test_a_passage_without_a_sentence_is_no_material():
    asked, candidate = play(made(), draw(row={"text": "only words without an end"}))
    assert asked == [] and candidate.failure.reason == "no_fact"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"choices": 1}, "choices must be 2 to 10"),
        ({"tolerance": 5}, "tolerance is a share"),
        ({"support": 2}, "support must"),
        ({"kind": ()}, "at least one kind"),
    ],
)
def test_options_out_of_range_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        Item(**options)


def test_a_schema_is_refused_and_a_dry_run_ends(tmp_path):
    seeds = tmp_path / "pages.jsonl"
    seeds.write_text(json.dumps(ROW))
    recipe = {"model": "scripted", "records": 8, "method": {"item": {"support": 0}}, "filters": ["duplicate"],
              "seeds": {"path": str(seeds), "shots": 1}}  # fmt: skip
    run = ts.run(recipe, folder=tmp_path / "run")
    assert run.accepted == 8 and sum(run.parts.method.summary(run.records())["positions"].values()) == 8
    with pytest.raises(RecipeError, match="leave the schema out"):
        ts.check(recipe | {"schema": {"question": "str"}})
