"""Planted failures are flagged, each by gates that are named here; real data passes every gate.

At size and over many splits: evals/planted.py.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import planted
from textsynth.evaluation import GROUPS, evaluate

DATA = Path(__file__).parent / "data" / "evaluate"


def load(name):
    return [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text().splitlines()]


def flagged(found):
    return {value.name for value in found.failed}


def of(gates):
    return sorted({gate.partition(".")[0] for gate in gates})


def judge(kind, synthetic, groups=GROUPS):
    """Evaluate the texts of rows, or whole rows of a table; few groups are fast."""
    sets = {name: load(f"{kind}_{name}") for name in ("real", "holdout")}
    if kind != "adult":
        field = "text" if kind == "banking" else "narrative"
        sets = {name: [{"text": row[field]} for row in rows] for name, rows in sets.items()}
    return evaluate(synthetic, **sets, groups=groups)


def texts(kind, part="real"):
    return [row["text" if kind == "banking" else "narrative"] for row in load(f"{kind}_{part}")]


@pytest.mark.parametrize(
    ("kind", "failure", "gates"),
    [
        ("banking", "copies", {"privacy.closest_share", "privacy.identical", "privacy.ngrams"}),
        ("banking", "one character changed", {"privacy.closest_share", "privacy.authenticity"}),
        ("banking", "10 % of words dropped", {"privacy.closest_share"}),
        ("banking", "30 % of words dropped", {"privacy.closest_share"}),
        ("banking", "words shuffled", {"fidelity.text.word_order"}),
        ("banking", "Markov order 1", {"fidelity.detection.text"}),
        ("complaints", "Markov order 2", {"privacy.ngrams"}),
        ("complaints", "sentences recombined", {"privacy.ngrams", "privacy.passages"}),
    ],
)
def test_texts_made_of_real_ones_are_flagged(kind, failure, gates):
    made = planted.TEXT_FAILURES[failure](texts(kind))
    assert gates <= flagged(judge(kind, [{"text": text} for text in made], of(gates)))


def test_mode_collapse_is_flagged():
    made = planted.collapse([{"text": text} for text in texts("banking", "other")], kinds=25)[:200]
    gates = {"fidelity.text.recall", "diversity.duplicates"}
    assert gates <= flagged(judge("banking", made, of(gates)))


def test_one_category_is_flagged():
    made = [{"text": row["text"]} for row in planted.one_category(load("banking_other"), "category")]
    gates = {"fidelity.text.recall", "fidelity.text.coverage"}
    assert gates <= flagged(judge("banking", made, of(gates)))


@pytest.mark.parametrize(
    ("failure", "gates"),
    [
        ("copies", {"privacy.closest_share", "privacy.identical"}),
        ("independent columns", {"fidelity.accuracy.bivariate", "fidelity.detection.table"}),
        ("10 % of cells changed", {"privacy.closest_share", "privacy.equal_cells"}),
        ("30 % of cells changed", {"privacy.closest_share", "privacy.equal_cells"}),
        ("50 % of cells changed", {"privacy.equal_cells"}),
    ],
)
def test_rows_made_of_real_ones_are_flagged(failure, gates):
    assert gates <= flagged(judge("adult", planted.TABLE_FAILURES[failure](load("adult_real")), of(gates)))


@pytest.mark.parametrize("kind", ["banking", "complaints", "adult"])
def test_real_data_passes_every_gate(kind):
    rows = load(f"{kind}_other")
    found = judge(kind, rows if kind == "adult" else [{"text": text} for text in texts(kind, "other")])
    assert found.passed and not found.failed
    assert {value.group for value in found.values if value.passed} >= {"fidelity", "privacy"}
