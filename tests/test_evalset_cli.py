"""``textsynth evalset``: from a recipe to a written pair, and a model's score on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from textsynth import evalsets
from textsynth.cli import DONE, LIMITED, WRONG, main

ROWS = 24


def recipe(folder: Path, **changes) -> Path:
    """Write a recipe whose scripted texts are both items and their solutions."""
    metals = [f"Metal{at}" for at in range(ROWS)]
    rows = [
        {"text": f"A roof of {m} turns green because the {m} reacts.", "document": f"d{at % 8}"}
        for at, m in enumerate(metals)
    ]
    (folder / "pages.jsonl").write_text("\n".join(map(json.dumps, rows)))
    texts = [
        json.dumps({"question": f"Which metal number {at} makes a roof turn green?", "answer": "reacts"})
        for at in range(ROWS)
    ]
    data = {
        "name": "roofs", "model": "scripted", "records": 16, "filters": ["duplicate"], "engine": {"texts": texts},
        "steps": [{"item": {"kind": "exact"}}, {"solve": {"k": 2, "difficulty": {"k": 1}}}],
        "seeds": {"path": "pages.jsonl", "shots": 1, "max_uses": 1}, "limits": {"acceptance": 0},
        "evalset": {"items": 4, "embeddings": None},
    }  # fmt: skip
    file = folder / "roofs.json"
    file.write_text(json.dumps(data | changes))
    return file


def call(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def result(capsys) -> dict:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return next(line for line in lines if line["event"] == "result")


def test_one_command_makes_the_run_the_set_and_its_training_rows(tmp_path, capsys):
    file = recipe(tmp_path)
    arguments = ("evalset", file, "--folder", tmp_path / "run", "--to", tmp_path / "out", "--json")
    assert call(*arguments) == DONE
    said = result(capsys)
    assert said["items"] == 4 and said["train"] > 0 and said["missing"] == {}
    assert said["facts"]["means"] == {"agreement": 1.0, "solve_rate": 1.0}
    assert said["facts"]["difficulty"] == {"easy": 4}
    items = (tmp_path / "out" / "eval" / "items.jsonl").read_text()
    assert call(*arguments) == DONE
    assert (tmp_path / "out" / "eval" / "items.jsonl").read_text() == items


def test_what_is_missing_is_told_and_ends_as_a_limit(tmp_path, capsys):
    file = recipe(tmp_path)
    assert call("evalset", file, "--folder", tmp_path / "run", "--items", 99) == LIMITED
    shown = capsys.readouterr()
    assert "16 eval items, 0 training rows" in shown.out
    assert "missing: 83 of items" in shown.err and "no training row is left" in shown.err
    assert (tmp_path / "run" / "evalset" / "eval" / "inspect_task.py").is_file()


def test_training_rows_come_from_a_file_or_another_run(tmp_path, capsys):
    file = recipe(tmp_path)
    (tmp_path / "mine.jsonl").write_text(json.dumps({"text": "Bread is baked from flour, water and some salt."}))
    arguments = ("evalset", file, "--folder", tmp_path / "run", "--to", tmp_path / "out", "--json", "--train")
    assert call(*arguments, tmp_path / "mine.jsonl") == DONE
    assert result(capsys)["train"] == 1
    assert call(*arguments, tmp_path / "run") == DONE
    assert result(capsys)["train"] > 1


def test_a_model_is_scored(tmp_path, capsys):
    rows = [
        {"id": "0", "kind": "exact", "question": "Which?", "answer": "x"},
        {"id": "1", "kind": "rubric", "question": "Why?", "answer": "x", "criteria": ["y"]},
    ]
    evalsets._build.write_items(rows, tmp_path / "eval", "s", "hidden", lambda: "")
    assert call("evalset", "score", tmp_path, "--dry-run", "--json") == DONE
    said = result(capsys)
    assert said["scores"]["all"]["items"] == 1 and said["unscored"] == 1
    assert call("evalset", "score", tmp_path / "eval", "--model", "scripted") == DONE
    assert "need --judge MODEL" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "arguments", "said"),
    [
        ({"evalset": None}, (), "does not say how many items"),
        ({}, ("--items", "0"), "must be 1 or more"),
        ({}, ("more",), "one name too many"),
        ({"evalset": {"items": 4, "by": []}}, (), "at least one"),
    ],
)
def test_a_mistake_is_told_before_anything_is_made(tmp_path, capsys, changes, arguments, said):
    file = recipe(tmp_path, **changes)
    assert call("evalset", file, *arguments, "--folder", tmp_path / "run") == WRONG
    assert said in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_a_folder_without_a_set_cannot_be_scored(tmp_path, capsys):
    assert call("evalset", "score", tmp_path) == WRONG
    assert "items.jsonl" in capsys.readouterr().err
