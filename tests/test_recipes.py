"""The ready recipes: each is whole, says what it makes, and runs on the scripted engine to its end."""

from __future__ import annotations

import pytest

import textsynth as ts
from textsynth import recipes, registry
from textsynth.cli import main
from textsynth.errors import RecipeError

UNWRITABLE = {"code", "sql", "grounded", "multihop"}
"""What the scripted engine cannot write: programs that pass their tests, questions that a text answers."""


def test_every_method_has_a_ready_recipe():
    used = {method for name in recipes.names() for method in recipes.methods(name)}
    assert used >= set(registry.names("methods")) - {"record"}


@pytest.mark.parametrize("name", recipes.names())
def test_a_ready_recipe_runs_to_its_end(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    target = tmp_path / "mine" / "mine.yaml"
    recipes.copy(name, target)
    assert len(recipes.purpose(name)) > 20
    made = ts.run(target, folder=tmp_path / "run", dry_run=True)
    totals = made.totals
    assert totals.kept + sum(totals.reasons.values()) + totals.open == totals.draws
    assert made.complete or (name in UNWRITABLE and made.stopped_by.startswith("limits."))


def test_a_copied_recipe_takes_its_data_along_and_overwrites_nothing(tmp_path):
    target = tmp_path / "a" / "pairs.yaml"
    assert main(["init", "--from", "preference", str(target)]) == 0
    assert {path.name for path in target.parent.iterdir()} == {"pairs.yaml", "tasks.jsonl", "recipe.schema.json"}
    before = target.read_text()
    with pytest.raises(RecipeError, match="exists already"):
        recipes.copy("preference", target)
    assert target.read_text() == before
    assert main(["init", "--from", "preferance", str(tmp_path / "b.yaml")]) == 2
    assert main(["init", str(tmp_path / "noending")]) == 2


@pytest.mark.parametrize("name", registry.names("methods"))
def test_a_method_is_shown_with_its_options(name, capsys):
    assert main(["methods", name]) == 0
    assert name in capsys.readouterr().out


def test_the_list_of_methods_names_them_all(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["methods"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in registry.names("methods"))
