"""The forms that trainers take: which columns, from which fields, as plain text or as messages, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import textsynth as ts
from textsynth import embeddings, export, registry
from textsynth.errors import ExportError, RecipeError
from textsynth.schema import RecordSchema, load

datasets = pytest.importorskip("datasets")
DATA = Path(__file__).parent / "data" / "evaluate"
STRING, NUMBER = {"type": "string"}, {"type": "number"}
MESSAGE = {"type": "object", "properties": {"role": STRING, "content": STRING}, "additionalProperties": False}
TURNS = {"type": "array", "items": MESSAGE}


def schema(**fields: Any) -> RecordSchema:
    return load({"type": "object", "properties": fields, "additionalProperties": False}, folder=Path())


def rows(
    form: str, fields: dict[str, Any], *records: dict[str, Any], splits: dict[str, float] | None = None, **options: Any
) -> Any:
    """Return the rows of records in a form; by split if there are several."""
    made, known = export.build(form, options), schema(**fields)
    made.check(known)
    found = export.to_dataset(iter(records), made, known, splits or {"train": 1.0}, 0)
    return {name: part.to_list() for name, part in found.items()} if splits else found["train"].to_list()


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


INSTRUCT = {"instruction": STRING, "input": STRING, "response": STRING}
TASK = {"instruction": "Translate.", "input": "Hut", "response": "hat"}
PREFERENCE = {"prompt": STRING, "chosen": STRING, "rejected": STRING, "margin": NUMBER, "judgement": STRING}
PAIR = {"prompt": "Why?", "chosen": "Because.", "rejected": "No.", "margin": 0.25, "judgement": "clear"}
GROUNDED = {"question": STRING, "answer": STRING, "context": STRING}
QUESTION = {"question": "Who?", "answer": "Ann", "context": "Ann did it."}
CODE = {"problem": STRING, "tests": STRING, "solution": STRING}
PROGRAM = {"problem": "Add.", "tests": "assert add(1, 2) == 3", "solution": "def add(a, b): return a + b"}


# Each method's records need no option


@pytest.mark.parametrize(
    ("fields", "record", "prompt", "completion"),
    [
        (INSTRUCT, TASK, "Translate.\n\nHut", "hat"),
        (INSTRUCT, TASK | {"input": ""}, "Translate.", "hat"),
        (GROUNDED, QUESTION, "Who?", "Ann"),
        (CODE, PROGRAM, "Add.", PROGRAM["solution"]),
    ],
)
def test_pairs_of_every_method(fields, record, prompt, completion):
    assert rows("prompt_completion", fields, record) == [{"prompt": prompt, "completion": completion}]
    assert rows("prompts", fields, record) == [{"prompt": prompt}]
    chat = rows("prompt_completion", fields, record, style="chat")
    assert chat == [{"prompt": [user(prompt)], "completion": [assistant(completion)]}]


@pytest.mark.parametrize(
    ("method", "options", "form"),
    [
        *(
            (method, {}, form)
            for method in ("instruct", "grounded", "code")
            for form in ("prompt_completion", "prompts")
        ),
        *(("preference", {"form": style}, form) for style in ("text", "messages") for form in ("preference", "kto")),
        *(("preference", {"form": style}, "prompts") for style in ("text", "messages")),
    ],
)
def test_the_schema_of_a_method_needs_no_option(method, options, form):
    made = registry.build(registry.load("methods", method, place="method"), options, place=f"method.{method}")
    columns = export.build(form, {}).layout(made.record_schema(None)).columns
    kind = "list" if options.get("form") == "messages" else "string"
    assert columns["prompt"].kind == kind
    assert ("margin" in columns) == (form == "preference")


def test_a_named_prompt_is_nothing_but_that():
    (row,) = rows("prompt_completion", INSTRUCT, TASK, prompt="instruction", completion="response")
    assert row == {"prompt": "Translate.", "completion": "hat"}
    (row,) = rows("prompts", GROUNDED, QUESTION, prompt="{context}\n\n{question}")
    assert row == {"prompt": "Ann did it.\n\nWho?"}


def test_a_preference_keeps_its_margin_as_a_number():
    fields = PREFERENCE | {"margin": {"type": ["number", "null"]}}
    found = rows("preference", fields, PAIR, PAIR | {"margin": None}, keep=["judgement"])
    kept = {name: PAIR[name] for name in ("prompt", "chosen", "rejected", "judgement")}
    assert found == [kept | {"margin": 0.25}, kept | {"margin": 0.0}]
    strength = {"prompt": STRING, "chosen": STRING, "rejected": STRING, "strength": {"type": "integer"}}
    (row,) = rows(
        "preference", strength, {"prompt": "p", "chosen": "c", "rejected": "r", "strength": 2}, margin="strength"
    )
    assert row == {"prompt": "p", "chosen": "c", "rejected": "r", "margin": 2.0}
    (row,) = rows("preference", strength, {"prompt": "p", "chosen": "c", "rejected": "r", "strength": 2})
    assert "margin" not in row


def test_fields_that_hold_messages_stay_as_they_are():
    fields = {"prompt": TURNS, "chosen": TURNS, "rejected": TURNS}
    record = {"prompt": [user("Why?")], "chosen": [assistant("Because.")], "rejected": [assistant("No.")]}
    assert rows("preference", fields, record) == [record]
    system = {"role": "system", "content": "Be brief."}
    (row,) = rows("preference", fields, record, system="Be brief.")
    assert row == record | {"prompt": [system, user("Why?")]}
    (row,) = rows("prompts", fields, record | {"prompt": [system, user("Why?")]}, system="Not me.")
    assert row == {"prompt": [system, user("Why?")]}, "a conversation that begins with one keeps its own"


def test_one_field_of_messages_makes_messages_of_the_others():
    record = {"prompt": [user("Why?")], "completion": "Because."}
    (row,) = rows("prompt_completion", {"prompt": TURNS, "completion": STRING}, record)
    assert row == {"prompt": [user("Why?")], "completion": [assistant("Because.")]}


def test_a_system_message_makes_a_chat_with_fields_in_it():
    (row,) = rows("prompts", GROUNDED, QUESTION, system="Know: {context}", keep=["answer"])
    assert row == {"prompt": [{"role": "system", "content": "Know: Ann did it."}, user("Who?")], "answer": "Ann"}


def test_texts():
    assert rows("text", {"text": STRING}, {"text": "a"}) == [{"text": "a"}]
    assert rows("text", GROUNDED, QUESTION, text="Q: {question}\nA: {answer}") == [{"text": "Q: Who?\nA: Ann"}]


# KTO


def test_a_pair_becomes_a_good_and_a_bad_row():
    expected = [
        {"prompt": "Why?", "completion": "Because.", "label": True, "margin": 0.25},
        {"prompt": "Why?", "completion": "No.", "label": False, "margin": 0.25},
    ]
    assert rows("kto", PREFERENCE, PAIR, keep=["margin"]) == expected


@pytest.mark.parametrize("shares", [{"train": 0.5, "test": 0.5}, {"train": 0.8, "validation": 0.1, "test": 0.1}])
def test_a_pair_never_lies_in_two_splits(shares):
    records = [PAIR | {"prompt": f"Why {i}?"} for i in range(2500)]  # more than one chunk of rows
    found = rows("kto", PREFERENCE, *records, splits=shares)
    assert {name: len(part) for name, part in found.items()} == {n: 2 * round(s * 2500) for n, s in shares.items()}
    prompts = [{row["prompt"] for row in part} for part in found.values()]
    assert sum(map(len, prompts)) == len(set().union(*prompts)) == 2500
    for part in found.values():
        assert [row["label"] for row in part] == [True, False] * (len(part) // 2)
        assert [row["prompt"] for row in part[::2]] == [row["prompt"] for row in part[1::2]]
    singles = rows("preference", PREFERENCE, *records, splits=shares)
    assert [{row["prompt"] for row in part} for part in singles.values()] == prompts, "the same records as in any form"


def test_a_value_that_does_not_fit_is_told_by_its_record():
    with pytest.raises(ExportError, match="record 1, judgement"):
        rows("kto", PREFERENCE, PAIR, PAIR | {"judgement": 5}, keep=["judgement"])


def test_a_score_with_a_bound_says_what_is_good():
    fields = GROUNDED | {"score": {"type": ["number", "null"]}}
    records = [QUESTION | {"score": score} for score in (3, 4, 4.5)]
    found = rows("kto", fields, *records, score="score", bound=4)
    assert [row["label"] for row in found] == [False, True, True]
    assert found[0] == {"prompt": "Who?", "completion": "Ann", "label": False}
    with pytest.raises(ExportError, match="record 0, score: it says whether the answer is good"):
        rows("kto", fields, QUESTION | {"score": None}, score="score", bound=4)


def test_a_boolean_says_what_is_good():
    fields = CODE | {"passed": {"type": "boolean"}}
    found = rows("kto", fields, PROGRAM | {"passed": True}, PROGRAM | {"passed": False}, label="passed", style="chat")
    assert [row["label"] for row in found] == [True, False]
    assert found[0]["prompt"] == [user("Add.")] and found[0]["completion"] == [assistant(PROGRAM["solution"])]


# What is refused


@pytest.mark.parametrize(
    ("form", "fields", "options", "message"),
    [
        ("preference", GROUNDED, {}, "chosen: unknown name 'chosen'"),
        ("preference", {"chosen": STRING, "rejected": STRING}, {}, "prompt: it must be given"),
        ("preference", PREFERENCE, {"margin": "judgement"}, "margin: the field 'judgement' must hold numbers"),
        ("preference", PREFERENCE, {"keep": ["chosen"]}, "keep[0]: 'chosen' is already the name of a column"),
        ("preference", PREFERENCE | {"prompt": TURNS}, {"style": "text"}, "style: text was asked for, but 'prompt'"),
        ("prompts", PREFERENCE, {"keep": ["chosen"]}, "keep[0]: trainers would take a column 'chosen' for something"),
        ("prompts", GROUNDED | {"completions": STRING}, {"keep": ["completions"]}, "keep[0]: trainers would take"),
        ("prompts", GROUNDED, {"style": "text", "system": "Hi"}, "style: text was asked for, but system"),
        ("prompts", GROUNDED, {"system": "{contxt}"}, "system: unknown name 'contxt' (did you mean context?)"),
        ("prompts", {"title": STRING}, {}, "prompt: it must be given; fields of the record: title"),
        ("prompt_completion", GROUNDED | {"text": STRING}, {"keep": ["text"]}, "keep[0]: trainers would take a column"),
        ("text", GROUNDED, {}, "text: unknown name 'text'"),
        ("text", {"text": STRING, "messages": TURNS}, {"keep": ["messages"]}, "keep[0]: trainers would take"),
        ("kto", GROUNDED, {}, "label: unknown name 'label'"),
        ("kto", GROUNDED, {"label": "answer"}, "label: the field 'answer' must hold booleans, got string"),
        ("kto", GROUNDED, {"score": "answer", "bound": 1}, "score: the field 'answer' must hold numbers, got string"),
        ("kto", PREFERENCE | {"chosen": TURNS}, {"style": "text"}, "style: text was asked for, but 'chosen'"),
    ],
)
def test_what_does_not_fit_is_found_before_the_run(form, fields, options, message):
    with pytest.raises(ExportError) as caught:
        export.build(form, options).check(schema(**fields))
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    ("form", "options", "message"),
    [
        ("kto", {"score": "quality"}, "score, bound: one needs the other"),
        ("kto", {"score": "quality", "bound": 1, "label": "good"}, "score, label: only one of them"),
        ("kto", {"chosen": "a", "label": "good"}, "a pair has no completion, label or score"),
        ("preference", {"chosen": "{a"}, "chosen: '{a' is no text with {field} in it"),
        ("prompts", {"style": "verse"}, "style"),
    ],
)
def test_options_that_cannot_be_meant_are_found_at_once(form, options, message):
    with pytest.raises(RecipeError) as caught:
        export.build(form, options)
    assert message in caught.value.message


# A run


def test_the_card_counts_records_and_rows(tmp_path):
    recipe = {
        "model": "scripted",
        "records": 10,
        "schema": {"prompt": "str 5..60", "chosen": "str 5..60", "rejected": "str 5..60"},
        "prompt": "Write a question, a good answer and a bad one.",
        "export": {"format": "kto", "splits": {"train": 0.8, "test": 0.2}},
    }
    made = ts.run(recipe, folder=tmp_path / "run")
    (place,) = made.export()
    text = Path(place, "README.md").read_text()
    assert "10 records in 20 rows (train 16, test 4)" in text and "| kept | 10 |" in text
    assert "- text-generation" in text
    assert "10 records in 20 rows (train 16, test 4)" in made.card(), "also before anything is exported"
    read = datasets.load_dataset(place, cache_dir=str(tmp_path / "cache"))
    assert {name: len(part) for name, part in read.items()} == {"train": 16, "test": 4}
    made.close()


# Text classification


def test_a_classifier_is_fitted_on_the_classes_of_the_form(tmp_path):
    from sklearn.linear_model import LogisticRegression

    encode = embeddings.load().take
    records = [json.loads(line) for line in (DATA / "banking_real.jsonl").read_text().splitlines()]
    known = schema(text=STRING, category=STRING)
    form = export.build("classification", {"label": "category"})
    made = export.to_dataset(iter(records), form, known, {"train": 0.75, "test": 0.25}, 0)
    export.write(made, tmp_path / "dataset", "parquet", "# Banking\n")
    read = datasets.load_dataset(str(tmp_path / "dataset"), cache_dir=str(tmp_path / "cache"))
    names = read["train"].features["label"].names
    assert names == sorted({record["category"] for record in records})
    vectors = {name: encode(part["text"][:]) for name, part in read.items()}
    head = LogisticRegression(max_iter=1000).fit(vectors["train"], read["train"]["label"][:])
    accuracy = head.score(vectors["test"], read["test"]["label"][:])
    commonest = np.bincount(read["test"]["label"][:]).max() / len(read["test"])
    assert accuracy > max(0.6, commonest), f"{accuracy:.2f} of {len(names)} classes"
