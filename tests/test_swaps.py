"""Counterfactual pairs: everything but one attribute is the same, and what depends on it is measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import textsynth as ts
from textsynth.cli import WRONG, main
from textsynth.errors import RecipeError
from textsynth.evaluation._swaps import read_swaps
from textsynth.recipe import read
from textsynth.swaps import make_swaps

RECIPE = {
    "model": "scripted",
    "records": 50,
    "schema": {"text": "text 10..80", "sex": ["Male", "Female"]},
    "prompt": "Write a letter of a {{ sex }} customer in a {{ tone }} tone.",
    "attributes": {"sex": ["Male", "Female"], "tone": ["calm", "angry"]},
}


def test_a_pair_differs_in_the_attribute_and_in_what_the_model_wrote_for_it_only():
    pairs = make_swaps(read(RECIPE), field="sex", values=("Male", "Female"), pairs=20)
    assert len(pairs) == 20
    assert all(p["first"]["sex"] == "Male" and p["second"]["sex"] == "Female" for p in pairs)
    assert pairs == make_swaps(read(RECIPE), field="sex", values=("Male", "Female"), pairs=20)
    assert all(set(p["first"]) == set(p["second"]) == {"text", "sex"} for p in pairs)


@pytest.mark.parametrize(
    ("field", "values", "said"), [("sexx", ("a", "b"), "did you mean sex"), ("sex", ("Male", "Robot"), "Robot")]
)
def test_an_attribute_or_value_that_cannot_be_is_refused_before_the_model_loads(field, values, said):
    with pytest.raises(RecipeError, match=said):
        make_swaps(read(RECIPE), field=field, values=values)


def test_the_command_writes_pairs_that_evaluation_reads(tmp_path, capsys):
    recipe = tmp_path / "r.json"
    recipe.write_text(json.dumps(RECIPE))
    arguments = [
        "swap",
        str(recipe),
        "--field",
        "sex",
        "--values",
        "Male,Female",
        "-n",
        "12",
        "--to",
        str(tmp_path / "s.jsonl"),
    ]
    assert main(arguments) == 0
    assert "12 of 12 pairs" in capsys.readouterr().err
    assert len(read_swaps(tmp_path / "s.jsonl")) == 12
    assert main([*arguments[:5], "Male", *arguments[6:]]) == WRONG


def test_a_file_of_something_else_is_refused(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"text": "no pair"}\n')
    with pytest.raises(RecipeError, match="swaps row 0: it lacks attribute"):
        read_swaps(tmp_path / "x.jsonl")


def test_a_swap_that_changes_what_is_written_is_seen_and_one_that_does_not_is_not():
    rows = [
        json.loads(line)
        for line in (Path(__file__).parent / "data/evaluate/banking_other.jsonl").read_text().splitlines()
    ]
    real = [{"text": row["text"], "sex": ("Male", "Female")[at % 2]} for at, row in enumerate(rows)]
    pair = {"attribute": "sex", "values": ["Male", "Female"]}
    same = [pair | {"first": row, "second": row} for row in real[:40]]
    other = [
        pair | {"first": row, "second": row | {"text": "She lost her handbag and wants a pink card."}}
        for row in real[:40]
    ]
    found = {}
    for name, swaps in (("same", same), ("other", other)):
        done = ts.evaluate(
            real[:150], real=real[150:300], holdout=real[300:450], swaps=swaps, groups=["bias"], protected=["sex"]
        )
        found[name] = next(v for v in done.values if v.name == "bias.swap.sex")
    assert found["same"].value == 0 and found["same"].passed
    assert found["other"].value > 0.4 and not found["other"].passed
