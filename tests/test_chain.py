"""Steps in a row, topics grown by the model, answers of an earlier run used again, workers."""

from __future__ import annotations

import sqlite3
from collections import Counter

import pytest

import textsynth as ts
from textsynth.errors import RecipeError, TextsynthError
from textsynth.recipe import read
from textsynth.records import Completion
from textsynth.topics import TopicSpec, grow

STEPS = [
    {"name": "ask", "method": "record", "schema": {"question": "str<=60"}, "prompt": "Ask about {{ place }}."},
    {"name": "reply", "method": "record", "schema": {"answer": "str<=80"}, "prompt": "Answer: {{ question }}"},
    {"name": "rate", "method": "record", "schema": {"score": "int 1..5"}, "prompt": "Rate: {{ question }}"},
]
RECIPE = {
    "model": "scripted",
    "records": 20,
    "attributes": {"place": ["sea", "wood"]},
    "filters": ["duplicate"],
    "windows": {"size": 8},
}


def completions(folder):
    database = sqlite3.connect(folder / "ledger.sqlite")
    found = {(draw, step): text for draw, step, text in database.execute("SELECT draw, step, text FROM completions")}
    database.close()
    return found


def changed(position, **keys):
    return [step | keys if at == position else step for at, step in enumerate(STEPS)]


def test_a_step_sees_the_fields_before_it_and_the_record_has_them_all(tmp_path):
    made = ts.run(RECIPE | {"steps": STEPS}, folder=tmp_path / "run")
    assert made.complete and made.accepted == 20
    assert all(list(record) == ["question", "answer", "score"] for record in made.records())
    index, record = next(made.ledger.kept())
    said = [request.messages[-1]["content"] for request in made.why(index).requests]
    assert said[1:] == [f"Answer: {record['question']}", f"Rate: {record['question']}"]


def test_a_drawn_value_that_is_a_field_of_the_record_stands_in_it(tmp_path):
    steps = changed(2, schema={"score": "int 1..5", "place": "str"})
    made = ts.run(RECIPE | {"steps": steps, "quotas": {"place": {"sea": 0.5, "wood": 0.5}}}, folder=tmp_path / "run")
    assert Counter(record["place"] for record in made.records()) == {"sea": 10, "wood": 10}


@pytest.mark.parametrize(
    "position, keys, again",
    [
        (0, {"schema": {"question": "str 70..90"}}, {0, 1, 2}),
        (
            0,
            {"prompt": "Ask now about {{ place }}."},
            {0},
        ),  # the scripted engine then says the same: nothing depends on it
        (1, {"prompt": "Answer now: {{ question }}"}, {1}),
        (2, {"prompt": "Rate now: {{ question }}"}, {2}),
    ],
)
def test_a_changed_step_regenerates_only_what_depends_on_it(tmp_path, position, keys, again):
    first = ts.run(RECIPE | {"steps": STEPS}, folder=tmp_path / "first")
    second = ts.run(RECIPE | {"steps": changed(position, **keys)}, folder=tmp_path / "second", reuse=tmp_path / "first")
    assert second.complete
    before, after = completions(first.folder), completions(second.folder)
    generated = sum(session["tokens"] for session in second.ledger.fact("sessions"))
    fresh = sum(c.tokens for i in range(20) for c in second.ledger.completions(i) if c.step // 100_000 in again)
    assert generated == fresh > 0
    assert all(before[key] == text for key, text in after.items() if key[1] // 100_000 not in again)


def test_the_changed_recipe_in_the_same_folder_says_how_to_reuse(tmp_path):
    ts.run(RECIPE | {"steps": STEPS}, folder=tmp_path / "run")
    with pytest.raises(TextsynthError, match=r"prompts\.reply\.body") as wrong:
        ts.run(RECIPE | {"steps": changed(1, prompt="Reply.")}, folder=tmp_path / "run")
    assert "--reuse" in wrong.value.hint


def test_an_interrupted_chain_goes_on_to_the_same_records(tmp_path):
    recipe = RECIPE | {"steps": STEPS, "topics": {"about": "the coast", "width": 2, "depth": 2}}
    whole = ts.run(recipe, folder=tmp_path / "whole")
    part = ts.run(recipe | {"limits": {"draws": 8}}, folder=tmp_path / "part")
    assert not part.complete and part.accepted == 8
    part.close()
    ended = ts.run(recipe, folder=tmp_path / "part")
    assert ended.complete and list(ended.records()) == list(whole.records())


def test_topics_are_drawn_evenly(tmp_path):
    topics = {"about": "food", "width": 2}
    recipe = RECIPE | {"schema": {"text": "str<=60"}, "prompt": "Write on {{ topic }}.", "topics": topics}
    made = ts.run(recipe, folder=tmp_path / "run")
    leaves = made.ledger.fact("topics")
    counts = Counter(record["topic"] for record in made.records())
    assert 2 <= len(leaves) <= 4 and set(counts) == set(leaves)
    assert max(counts.values()) - min(counts.values()) <= 1
    assert completions(made.folder)[-1, 0]


def test_a_topic_named_twice_is_asked_for_again(tmp_path):
    growing = grow(TopicSpec(about="sport", width=2, depth=1), seed=0, folder=tmp_path)
    first = next(growing)
    again = growing.send(Completion(-1, first.step, '{"topics": ["Ball > games", "ball  games"]}', "stop"))
    assert "Not these: Ball games." in again.messages[-1]["content"]
    assert again.sampling.seed != first.sampling.seed
    with pytest.raises(StopIteration) as ended:
        growing.send(Completion(-1, again.step, '{"topics": ["Rowing"]}', "stop"))
    assert ended.value.value == ("Ball games", "Rowing")


def test_a_model_that_names_no_topic_is_reported(tmp_path):
    recipe = RECIPE | {"schema": {"text": "str"}, "prompt": "On {{ topic }}.", "topics": {"about": "sport"}}
    with pytest.raises(TextsynthError, match="named no topic"):
        ts.run(recipe | {"engine": {"texts": ["no"]}}, folder=tmp_path / "run")


@pytest.mark.parametrize(
    "keys, message",
    [
        ({"steps": STEPS, "prompt": "Say."}, "prompt: with steps it belongs to one of them"),
        ({"steps": [STEPS[0], STEPS[0]]}, "two are called 'ask'"),
        ({"steps": changed(1, prompt="Answer: {{ answr }}")}, "undefined variables: answr"),
        ({"steps": changed(1, method="recrod")}, r"steps\[1\].method: unknown name 'recrod'"),
        ({"steps": changed(1, schema={"answer": "strr"})}, r"steps\[1\].schema"),
        ({"steps": [{"name": "x", "prompt": "Say."}]}, r"steps\[0\]"),
        ({"steps": STEPS, "topics": {"about": "a"}, "attributes": {"topic": ["b"]}}, "topics draws it already"),
    ],
)
def test_mistakes_in_steps_are_found_before_the_run(keys, message):
    with pytest.raises(RecipeError, match=message):
        ts.check(RECIPE | keys)


def test_a_run_with_steps_is_read_back_with_its_recipe(tmp_path):
    made = ts.run(RECIPE | {"steps": STEPS}, folder=tmp_path / "run")
    again = ts.load_run(made.folder)
    assert [step.method.name for step in again.recipe.chain] == ["record"] * 3
    assert again.why(3).state == "kept" and len(again.why(3).requests) == 3
    assert "ask, reply, rate" in again.card()


def test_short_forms_of_a_step():
    recipe = read(RECIPE | {"steps": ["record", {"dialogue": {"turns": 2}}]})
    named = [(step.method.name, step.method.options) for step in recipe.chain]
    assert named == [("record", {}), ("dialogue", {"turns": 2})]


WORKING = """
from dataclasses import dataclass
from textsynth.methods import Method
from textsynth.records import Candidate, Drop, Request


@dataclass
class Working(Method):
    '''Counts letters by a worker.'''

    default_prompt = "records/from_schema"
    own_fields = ("letters",)

    def workers(self):
        return {"count": lambda request: str(len(request.messages[-1]["content"]))}

    def run(self, draw):
        messages = ({"role": "user", "content": self.setting.given(draw, "question")},)
        done = yield Request(draw.index, 0, messages, None, self.setting.sampling(draw), model="count")
        if done.finish_reason == "error":
            return Candidate(draw, None, Drop("count", done.error))
        return Candidate(draw, {"letters": int(done.text)})
"""


def test_a_worker_answers_beside_the_engine(tmp_path, monkeypatch):
    (tmp_path / "working.py").write_text(WORKING)
    monkeypatch.chdir(tmp_path)
    steps = [STEPS[0], {"name": "count", "method": "working:Working", "schema": {"letters": "int"}}]
    made = ts.run(RECIPE | {"steps": steps}, folder=tmp_path / "run")
    assert made.complete and all(r["letters"] == len(r["question"]) for r in made.records())
    assert made.ledger.completions(0)[1].tokens == 0


def grown_recipe(tmp_path):
    (tmp_path / "seeds.jsonl").write_text("".join(f'{{"text": "seed number {n} says so"}}\n' for n in range(6)))
    return {
        "model": "scripted",
        "records": 48,
        "schema": {"text": "str 10..60"},
        "seeds": {"path": str(tmp_path / "seeds.jsonl"), "shots": 3, "grown": 2},
        "filters": ["duplicate"],
        "windows": {"size": 8},
        "engine": {"faults": {"truncated": 0.1}},
        "repairs": 0,
    }


def test_kept_records_are_shown_as_seeds_later_on_and_an_interruption_changes_nothing(tmp_path):
    recipe = grown_recipe(tmp_path)
    whole = ts.run(recipe, folder=tmp_path / "whole")
    kept = dict(whole.ledger.kept())
    shown = [[seed for seed in draw.seeds if seed.id >= 1_000_000_000] for draw in whole.ledger.draws()]
    assert not shown[0] and max(map(len, shown)) == 2
    assert all(kept[seed.id - 1_000_000_000] == seed.row for seeds in shown for seed in seeds)
    part = ts.run(recipe | {"limits": {"draws": 24}}, folder=tmp_path / "part")
    assert not part.complete
    part.close()
    ended = ts.run(recipe, folder=tmp_path / "part")
    assert list(ended.ledger.draws()) == list(whole.ledger.draws()) and list(ended.records()) == list(whole.records())
