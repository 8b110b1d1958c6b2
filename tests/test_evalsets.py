"""The pair: nothing is shared across the split, benchmarks stand on neither side, and every scorer says the same."""

from __future__ import annotations

import importlib.util
import json
import py_compile
import random
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from datasets import load_dataset

import textsynth as ts
from textsynth import evalsets
from textsynth.errors import ExportError, RecipeError
from textsynth.evalsets._entries import Entry, connect
from textsynth.evalsets._figures import binomial_tail, chi_square_tail, key_positions, longest_option
from textsynth.evalsets._leaks import near
from textsynth.evalsets._select import select
from textsynth.evalsets._write import Function, write_items
from textsynth.evalspec import EvalsetSpec
from textsynth.records import Completion

WORDS = "river copper engine garden winter market signal harbour lantern meadow bridge candle".split()
DOCUMENTS, PER_DOCUMENT = 10, 4


def question(document, number):
    """A question of 14 words that no other shares three words in a row with."""
    rng = random.Random(f"{document} {number}")
    return " ".join(f"{rng.choice(WORDS)}{rng.randrange(10_000)}" for _ in range(14)) + "?"


def make_run(folder, **changes):
    """Return a run of the scripted engine with four items from each of ten documents."""
    rows, texts = [], []
    for document in range(DOCUMENTS):
        for number in range(PER_DOCUMENT):
            text = f"Passage {document}-{number} tells of the {WORDS[document]} in some more words than six."
            rows.append({"text": text, "document": f"d{document}", "section": str(number)})
            wrong = [f"wrong {document} {number} {k}" for k in range(3)]
            texts.append(
                {"question": question(document, number), "answer": f"right {document} {number}", "wrong": wrong}
            )
    folder.mkdir(exist_ok=True)
    (folder / "pages.jsonl").write_text("\n".join(map(json.dumps, rows)))
    recipe = {
        "name": "exam", "model": "scripted", "records": len(rows), "filters": ["duplicate"], "license": "CC0-1.0",
        "method": {"item": {"support": 0}}, "engine": {"texts": [json.dumps(text) for text in texts]},
        "seeds": {"path": str(folder / "pages.jsonl"), "shots": 1, "max_uses": 1}, "limits": {"acceptance": 0},
    }  # fmt: skip
    return ts.run(recipe | changes, folder=folder / "run")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("exam"))


def spec(items=8, **more):
    return EvalsetSpec(**{"items": items, "embeddings": None, **more})


def documents(rows):
    return {row["source"]["document"] for row in rows}


# --- the split ---------------------------------------------------------------------------------------------------------


def test_no_document_stands_on_both_sides_and_all_rows_are_accounted_for(run, tmp_path):
    made = evalsets.build(run, spec(), tmp_path)
    assert len(made.items) == 8 and made.complete
    assert documents(made.items).isdisjoint(documents(made.train))
    lost = made.facts["parted by"]["rows tied to eval"]
    assert len(made.train) + lost == run.accepted and lost >= 8
    assert len({item["id"] for item in made.items}) == 8


def test_rows_that_are_tied_through_others_are_one_group():
    keys = [{"document:a"}, {"document:a", "seeds:1"}, {"seeds:1"}, {"document:b"}, set(), set()]
    groups = connect([Entry({}, frozenset(own), True) for own in keys])
    assert groups[0] == groups[1] == groups[2] and len(set(groups)) == 4


def test_topics_and_any_field_part_too(tmp_path):
    entries = [{"topic": "x", "author": "n"}, {"topic": "X ", "author": "m"}, {"topic": "y", "author": "m"}]
    rows = tmp_path / "rows.jsonl"
    rows.write_text("\n".join(map(json.dumps, entries)))
    from textsynth.evalsets._entries import read_rows

    assert len(set(connect(read_rows(str(rows), ["topic"], folder=Path())))) == 2
    assert len(set(connect(read_rows(str(rows), ["topic", "author"], folder=Path())))) == 1


def test_what_was_drawn_for_a_record_ties_it_too(tmp_path):
    drawn = make_run(tmp_path, attributes={"entity": ["Ada", "Bob", "Cy"]})
    entities = {
        record["question"]: drawn.ledger.draw(index).attributes["entity"] for index, record in drawn.ledger.kept()
    }
    made = evalsets.build(drawn, spec(3, by=("entity",)), tmp_path / "out")
    eval_side, train_side = ({entities[row["question"]] for row in rows} for rows in (made.items, made.train))
    assert eval_side and train_side and eval_side.isdisjoint(train_side)


def entry(document, difficulty="easy", answer="A", eligible=True, **more):
    record = {"question": "?", "answer": answer, "difficulty": difficulty, **more}
    return Entry(record, frozenset({f"document:{document}"}), eligible)


def test_quotas_are_met_exactly_where_the_items_allow_it():
    entries = [entry(at, "easy" if at % 3 else "hard", topic="t" if at % 2 else "u") for at in range(60)]
    wanted = spec(20, difficulty={"easy": 0.75, "hard": 0.25}, topics={"t": 0.5, "u": 0.5})
    chosen, missing = select(entries, connect(entries), wanted)
    assert missing == {} and len(chosen) == 20
    assert Counter(entries[at].record["difficulty"] for at in chosen) == {"easy": 15, "hard": 5}
    assert Counter(entries[at].record["topic"] for at in chosen) == {"t": 10, "u": 10}
    assert chosen == select(entries, connect(entries), wanted)[0]
    assert chosen != select(entries, connect(entries), wanted.model_copy(update={"seed": 1}))[0]


def test_what_cannot_be_found_is_named(run, tmp_path):
    entries = [entry(at, "easy") for at in range(30)]
    chosen, missing = select(entries, connect(entries), spec(10, difficulty={"easy": 0.5, "hard": 0.5}))
    assert len(chosen) == 5 and missing == {"items": 5, "difficulty=hard": 5}
    made = evalsets.build(run, spec(1000), tmp_path)
    assert not made.complete and made.missing == {"items": 1000 - run.accepted}
    assert any("no training row is left" in note for note in made.notes) and not (tmp_path / "train").exists()


def test_groups_that_lose_the_least_training_rows_are_taken_first():
    entries = [entry("big", eligible=at == 0) for at in range(20)] + [entry(f"s{at}") for at in range(5)]
    chosen, _ = select(entries, connect(entries), spec(5))
    assert chosen == [20, 21, 22, 23, 24]


def test_right_options_are_spread_evenly_whatever_was_dropped(run, tmp_path):
    made = evalsets.build(run, spec(12), tmp_path)
    assert Counter(item["answer"] for item in made.items) == dict.fromkeys("ABCD", 3)
    by_question = {record["question"]: record for record in run.records()}
    for item in made.items:
        before = by_question[item["question"]]
        assert sorted(item["choices"]) == sorted(before["choices"])
        assert item["choices"]["ABCD".index(item["answer"])] == before["choices"]["ABCD".index(before["answer"])]
    assert made.facts["right option stands at"]["chi-square"] == 0


# --- what is left out --------------------------------------------------------------------------------------------------


def test_what_holds_a_benchmark_item_is_on_neither_side_and_counted(run, tmp_path):
    whole = list(run.records())
    planted = [whole[3]["question"], f"Before it {whole[17]['question']} after it"]
    bench = tmp_path / "bench.jsonl"
    bench.write_text("\n".join(json.dumps({"q": text}) for text in planted))
    made = evalsets.build(run, spec(benchmarks={"bench": str(bench)}), tmp_path / "out")
    questions = {row["question"] for row in [*made.items, *made.train]}
    assert whole[3]["question"] not in questions and whole[17]["question"] not in questions
    assert made.facts["benchmarks"] == {"compared with": "bench", "items with bench": 2, "training rows with bench": 0}
    assert "items with bench" in (tmp_path / "out" / "train" / "README.md").read_text()
    with pytest.raises(RecipeError, match="evalset.benchmarks.gone"):
        evalsets.build(run, spec(benchmarks={"gone": str(tmp_path / "no.jsonl")}), tmp_path / "other")


def test_a_passage_that_holds_a_benchmark_item_is_not_trained_on(run, tmp_path):
    made = evalsets.build(run, spec(), tmp_path / "one")
    passage = made.train[0]["passage"]
    (tmp_path / "bench.jsonl").write_text(json.dumps({"q": passage}))
    again = evalsets.build(run, spec(benchmarks=(str(tmp_path / "bench.jsonl"),)), tmp_path / "two")
    assert passage not in {row["passage"] for row in again.train} and len(again.train) < len(made.train)


def test_training_rows_that_repeat_an_eval_item_are_left_out(run, tmp_path):
    first = evalsets.build(run, spec(40), tmp_path / "one")
    taken = first.items[0]["question"]
    swapped = taken.split()
    swapped[5] = "another"
    rows = [
        {"text": f"Somebody wrote: {taken} and that was that, at the end of the day."},
        {"text": " ".join(swapped)},
        {"text": "Nothing of the eval set stands in this row, not a word."},
        {
            "text": "A row of a document that the eval set was made from.",
            "document": first.items[0]["source"]["document"],
        },
    ]
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    made = evalsets.build(run, spec(40, near=0.5), tmp_path / "two", train=str(file))
    assert [item["question"] for item in made.items] == [item["question"] for item in first.items]
    assert [row["text"] for row in made.train] == [rows[2]["text"]]
    shared = made.facts["shared across the split"]
    assert shared["n-grams"] == 1 and shared["rows left out"] == 2 and made.facts["parted by"]["rows tied to eval"] == 1


def test_another_run_gives_the_training_rows(run, tmp_path):
    other = make_run(tmp_path / "other", seed=5)
    made = evalsets.build(run, spec(by=("document",)), tmp_path / "out", train=other)
    assert documents(made.items).isdisjoint(documents(made.train))
    assert 0 < len(made.train) < other.accepted


def test_near_duplicates_are_found_inside_rows():
    item = {"question": "Why do the old copper roofs of the town turn green over the years?"}
    rows = [{"a": "short"}, {"a": ["x", "Why do the old copper roofs of the town turn green over years?"]}]
    assert list(near([item], rows, 0.7)) == [1]


# --- figures -----------------------------------------------------------------------------------------------------------


def test_the_longest_option_is_compared_with_chance():
    items = [{"choices": ["long one", "b", "c", "d"], "answer": "A"} for _ in range(20)]
    found = longest_option(items)
    assert found.rate == 1 and found.chance == 0.25 and found.p < 1e-6
    even = longest_option([{"choices": ["aa", "bb"], "answer": "A"}] * 10)
    assert even.rate == 0.5 and even.p > 0.5
    assert longest_option([{"answer": "x"}]) is None


def test_positions_are_tested_against_equal_shares():
    items = [{"choices": list("abcd"), "answer": letter} for letter in "ABCD" * 5]
    assert key_positions(items).chi_square == 0 and key_positions(items).p == 1
    skewed = key_positions([{"choices": list("abcd"), "answer": "A"}] * 20)
    assert skewed.chi_square == 60 and skewed.p < 1e-10 and skewed.counts["A"] == 20


@pytest.mark.parametrize("freedom", range(1, 8))
def test_tails_are_those_of_scipy(freedom):
    from scipy import stats

    for value in (0.1, 1.0, 7.8, 30.0):
        assert chi_square_tail(value, freedom) == pytest.approx(stats.chi2.sf(value, freedom), rel=1e-9)
    assert binomial_tail(40, 15, 0.25) == pytest.approx(stats.binom.sf(14, 40, 0.25), rel=1e-9)


# --- what is written ---------------------------------------------------------------------------------------------------

MIXED = [
    {"kind": "multiple_choice", "question": "Which?", "choices": ["x", "y", "z"], "answer": "B"},
    {"kind": "exact", "question": "Who?", "answer": "The Queen"},
    {"kind": "numeric", "question": "How many?", "answer": "12", "tolerance": 0.1},
    {"kind": "json", "question": "What?", "answer": '{"a": 1}'},
    {"kind": "code", "question": "one()?", "answer": "def one(): return 1", "tests": ["assert one() == 1"]},
    {"kind": "rubric", "question": "Why?", "answer": "So.", "criteria": ["It says so.", "It is short."]},
]
SAID = [["B", "y", "the answer is C", ""], ["queen", "a king"], ["about 12.5", "20"], ['{"a": 1.0}', "{}"],
        ["```python\ndef one(): return 1\n```", "def one(): return 2"], ["So."]]  # fmt: skip


def written(folder, rows=MIXED):
    whole = [{"id": f"set-{number}", **row} for number, row in enumerate(rows)]
    return write_items(whole, folder, "mixed", "hidden", lambda: "# card\n")


def load_module(path):
    found = importlib.util.spec_from_file_location("written_scoring", path)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def answering(texts):
    return lambda requests: [Completion(r.draw, r.step, text, "stop") for r, text in zip(requests, texts, strict=True)]


def test_the_written_scorer_says_of_every_response_what_ours_says(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ALLOW_CODE_EVAL", "1")
    items = written(tmp_path)
    scoring = load_module(tmp_path / "lm_eval" / "mixed" / "utils.py")
    docs = list(scoring.load_items()["test"])
    assert len(docs) == 5
    for at, doc in enumerate(docs):
        assert scoring.doc_to_text(doc) == items[at]["prompt"] and scoring.doc_to_target(doc) == items[at]["answer"]
        for said in SAID[at]:
            ours = evalsets.score([items[at]], answering([said]))
            assert scoring.process_results(doc, [said]) == {"acc": float(ours.right[0])}
    monkeypatch.delenv("HF_ALLOW_CODE_EVAL")
    with pytest.raises(RuntimeError, match="HF_ALLOW_CODE_EVAL"):
        scoring.process_results(docs[4], ["x"])


def test_the_score_has_a_standard_error_and_leaves_rubrics_to_a_judge(tmp_path):
    items = written(tmp_path)
    said = ["B", "nobody", "12", '{"a": 1}', "def one(): return 2", "So."]
    found = evalsets.score(items, answering(said))
    assert found.whole.items == 5 and found.whole.accuracy == 0.6 and found.unscored == 1
    assert found.whole.stderr == pytest.approx((0.6 * 0.4 / 4) ** 0.5)
    assert found.by_kind["exact"].accuracy == 0 and found.responses == said
    verdicts = ['{"met": "yes"}', '{"met": "no"}']
    assert evalsets.score(items, answering(said), judge=answering(verdicts)).right[-1] is False
    assert evalsets.score(items, answering(said), judge=answering(verdicts[:1] * 2)).right[-1] is True


def test_failed_requests_are_not_scored():
    item = MIXED[0] | {"id": "0", "prompt": "?"}
    failed = lambda requests: [Completion(0, 0, "", "error", error="gone")]  # noqa: E731
    assert evalsets.score([item], failed).right == [None]


def test_the_items_are_asked_greedily_with_their_prompt(tmp_path):
    items, asked = written(tmp_path), []
    evalsets.score(items, lambda requests: asked.extend(requests) or answering([""] * 6)(requests))
    assert [r.messages[0]["content"] for r in asked] == [item["prompt"] for item in items]
    assert all(r.sampling.temperature == 0 and r.sampling.max_tokens == 384 for r in asked)


def test_task_files_are_read_and_hold_the_same_settings(tmp_path):
    written(tmp_path, MIXED[:3])
    py_compile.compile(str(tmp_path / "inspect_task.py"), cfile=str(tmp_path / "x.pyc"), doraise=True)

    class Loader(yaml.SafeLoader):
        """Reads ``!function`` as its name."""

    Loader.add_constructor("!function", lambda loader, node: Function(loader.construct_scalar(node)))
    folder = tmp_path / "lm_eval" / "mixed"
    task = yaml.load((folder / "mixed.yaml").read_text(), Loader=Loader)
    assert task["task"] == "mixed" and task["generation_kwargs"]["max_gen_toks"] == 32
    scoring = load_module(folder / "utils.py")
    named = [value for value in task.values() if isinstance(value, Function)]
    assert len(named) == 4 and all(callable(getattr(scoring, name.removeprefix("utils."))) for name in named)
    assert "max_tokens=32" in (tmp_path / "inspect_task.py").read_text()
    assert "mixed_rubric" not in (tmp_path / "inspect_task.py").read_text()


@pytest.mark.skipif(find_spec("inspect_ai") is None, reason="inspect-ai is not installed; evals/harnesses.py runs it")
def test_inspect_loads_the_task(tmp_path):
    written(tmp_path)
    task = load_module(tmp_path / "inspect_task.py").mixed()
    assert len(task.dataset) == 5


@pytest.mark.skipif(find_spec("lm_eval") is None, reason="lm-eval is not installed; evals/harnesses.py runs it")
def test_lm_eval_loads_the_task(tmp_path):
    from lm_eval.tasks import TaskManager

    written(tmp_path)
    assert "mixed" in TaskManager(include_path=str(tmp_path / "lm_eval")).all_tasks


def test_passages_are_shown_only_on_request(tmp_path):
    row = {"id": "0", **MIXED[1], "passage": "Long ago there was a queen.", "solutions": ["The Queen"]}
    (hidden,) = write_items([row], tmp_path / "a", "a", "hidden", lambda: "")
    (shown,) = write_items([row], tmp_path / "b", "b", "shown", lambda: "")
    assert row["passage"] not in hidden["prompt"] and row["passage"] in shown["prompt"]
    assert "solutions" not in hidden


def test_somebody_elses_folder_is_not_touched_and_an_earlier_set_is_replaced(tmp_path):
    written(tmp_path / "eval")
    write_items([{"id": "0", **MIXED[0]}], tmp_path / "eval", "other", "hidden", lambda: "")
    assert [path.name for path in (tmp_path / "eval" / "lm_eval").iterdir()] == ["other"]
    (tmp_path / "eval" / "mine.txt").write_text("x")
    with pytest.raises(ExportError, match=r"mine\.txt"):
        written(tmp_path / "eval")


def test_both_cards_carry_the_same_table_and_the_training_rows_load(run, tmp_path):
    made = evalsets.build(run, spec(), tmp_path)
    tables = []
    for side in ("eval", "train"):
        text = (tmp_path / side / "README.md").read_text()
        tables.append([line for line in text.splitlines() if line.startswith("| ")])
        assert yaml.safe_load(text.split("---\n")[1])["license"] == "cc0-1.0"
    assert tables[0] == tables[1] and len(tables[0]) > 10
    assert any("right option stands at" in line for line in tables[0])
    loaded = load_dataset(str(tmp_path / "train"), split="train")
    assert loaded.num_rows == len(made.train) and loaded[0]["question"] == made.train[0]["question"]
    assert evalsets.load_items(tmp_path) == evalsets.load_items(tmp_path / "eval") == made.items


def test_the_training_form_can_be_chosen(run, tmp_path):
    form = {"prompt_completion": {"prompt": "question", "completion": "answer"}}
    evalsets.build(run, spec(train=form), tmp_path)
    assert set(load_dataset(str(tmp_path / "train"), split="train").column_names) >= {"prompt", "completion"}


def test_records_that_are_no_items_are_refused(tmp_path):
    other = ts.run(
        {"model": "scripted", "records": 2, "schema": {"text": "str"}, "prompt": "x", "filters": []},
        folder=tmp_path / "r",
    )
    with pytest.raises(RecipeError, match="'question' is missing"):
        evalsets.build(other, spec(), tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"difficulty": {"easy": 0.5}}, "add up to 1"),
        ({"by": ()}, "at least one"),
        ({"items": 0}, "greater than"),
        ({"itemz": 3}, "itemz"),
    ],
)
def test_a_spec_that_cannot_be_is_refused(options, said):
    with pytest.raises(ValueError, match=said):
        EvalsetSpec(**{"items": 5, **options})


def test_the_same_in_other_words_is_left_out(run, tmp_path):
    item = {"question": "What is the capital city of France?", "answer": "Paris"}
    rows = [{"text": "Which city is the capital of France?"}, {"text": "How deep is the ocean near Japan?"}]
    from textsynth.evalsets._leaks import shared_with

    found = shared_with([item], rows, EvalsetSpec(items=1, similarity=0.9), run.parts.schema)
    assert list(found.found) == [0] and found.by_rule()["meaning"] == 1
