"""Can a classifier tell synthetic rows from real ones? Not real rows; copies are told by an AUC far below one half."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tests.adult import DATA, HOLDOUT, OTHER, REAL, perturb
from textsynth.measure.detection import area, detect, detect_texts
from textsynth.measure.table import Column, Table
from textsynth.text import words


def test_the_area_is_that_of_scikit_learn_and_its_variance_that_of_repeated_samples():
    random = np.random.default_rng(0)
    truth = np.arange(300) % 3 == 0
    found = []
    for _ in range(200):
        scores = np.round(random.normal(truth * 0.8, 1), 1)  # with ties
        found.append(area(scores, truth))
        assert found[-1].value == pytest.approx(roc_auc_score(truth, scores))
    assert np.mean([each.variance for each in found]) == pytest.approx(np.var([each.value for each in found]), rel=0.25)


def test_other_real_rows_are_not_told_apart():
    (value,) = detect(OTHER, real=REAL, holdout=HOLDOUT)
    assert value.name == "fidelity.detection.table" and value.passed
    assert 0.4 < value.real < 0.6 and value.low < value.value < value.high
    assert f"AUC {value.value:.3f}" in value.meaning and "400 rows of each side" in value.meaning


def test_copies_fall_below_the_gate_and_the_sentence_says_why():
    (value,) = detect(REAL, real=REAL)
    assert value.value < 0.2 and value.passed is False
    assert "repeat real ones" in value.meaning


def test_independent_columns_are_told_apart():
    (value,) = detect(perturb(REAL, 1), real=REAL)
    assert value.value > 0.8 and value.passed is False


def test_the_column_that_gives_rows_away_is_named():
    columns = [
        Column(c.name, c.kind, np.round(c.values, -1), c.states, c.labels) if c.name == "age" else c
        for c in OTHER.columns
    ]
    (value,) = detect(Table(tuple(columns), len(OTHER)), real=REAL)
    assert value.passed is False
    assert value.detail["importances"][0]["name"] == "age"
    assert value.meaning.count("what gives them away most is age") == 1


def test_few_rows_are_not_measured():
    (value,) = detect(OTHER.take(np.arange(20)), real=REAL)
    assert value.value is None and value.meaning == "Not measured: it needs 50 rows of each side, got 20."


def texts(name):
    lines = (DATA / f"banking_{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines]


def bag(some):
    found = np.zeros((len(some), 64), dtype=np.float32)
    for at, text in enumerate(some):
        for word in words(text):
            found[at, sum(word.encode()) * 31 % 64] += 1
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_texts_are_told_by_their_vectors_and_by_cheap_features():
    real, other = texts("real")[:150], texts("other")[:150]
    (honest,) = detect_texts(bag(other), real=bag(real))
    assert honest.passed and honest.name == "fidelity.detection.text"
    shouted = [[text.count("!") for text in some] for some in ([text + "!" for text in other], real)]
    (value,) = detect_texts(bag(other), real=bag(real), features={"exclamation marks": shouted})
    assert value.passed is False and value.detail["importances"][0]["name"] == "exclamation marks"
