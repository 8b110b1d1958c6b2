"""Training on synthetic data: real rows train as well as real ones, rows without the label's signal do not."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from tests.adult import DATA, HOLDOUT, OTHER, REAL, by_name, perturb
from tests.test_detection import bag
from textsynth.measure.table import Table
from textsynth.measure.utility import Labelled, Predictions, predict, score, utility, utility_of_texts

SETS = {"real": REAL, "holdout": HOLDOUT}


@pytest.fixture(scope="module")
def predictions():
    return predict(OTHER, label="income", **SETS)


def test_real_rows_in_the_synthetic_place_train_as_well(predictions):
    values = by_name(utility(OTHER, label="income", predictions=predictions, **SETS))
    tstr, ratio = values["utility.tstr"], values["utility.ratio"]
    assert tstr.value > 0.8 and tstr.low < tstr.value < tstr.high
    assert ratio.passed and ratio.value == pytest.approx(tstr.value / tstr.real)
    assert values["utility.augmentation"].passed and values["utility.trts"].value > 0.8
    assert f"AUC {tstr.value:.3f}; one that learnt from real data, {tstr.real:.3f}" in tstr.meaning


def test_the_auc_is_that_of_scikit_learn(predictions):
    assert predictions.names == ("<=50K", ">50K")
    expected = roc_auc_score(predictions.truth, predictions.synthetic[:, 1])
    assert score(predictions, predictions.synthetic) == pytest.approx(expected)


def test_accuracy_f1_and_recall_stand_in_the_detail(predictions):
    (tstr, *_) = utility(OTHER, label="income", predictions=predictions, **SETS)
    said = predictions.synthetic.argmax(axis=1)
    assert tstr.detail["synthetic"]["macro_f1"] == pytest.approx(f1_score(predictions.truth, said, average="macro"))
    assert tstr.detail["synthetic"]["accuracy"] == pytest.approx((said == predictions.truth).mean())


def test_independent_columns_teach_nothing():
    values = by_name(utility(perturb(REAL, 1), label="income", **SETS))
    assert 0.3 < values["utility.tstr"].value < 0.65
    assert values["utility.ratio"].passed is False


def test_the_f1_counts_classes_that_are_missed_where_the_auc_does_not():
    truth = np.repeat(np.arange(10), 20)
    right, half = np.eye(10)[truth], np.eye(10)[truth]
    half[::2] = 0.9 * half[::2] + np.roll(half[::2], 1, axis=1)  # the next class is a little more probable
    empty = np.zeros((0, 10))
    names = tuple("abcdefghij")
    found = Predictions("class", names, truth, half, right, right, empty, truth[:0], np.arange(200), tuple(range(10)))
    values = by_name(utility(OTHER, label="income", predictions=found, **SETS))
    assert values["utility.ratio"].passed and values["utility.f1"].passed is False
    assert values["utility.f1"].value == pytest.approx(f1_score(truth, half.argmax(axis=1), average="macro"))


def test_a_number_is_judged_by_its_share_of_variance():
    values = by_name(utility(OTHER, label="age", **SETS))
    assert "R²" in values["utility.tstr"].meaning
    assert 0.1 < values["utility.tstr"].value < 1 and values["utility.ratio"].value < 1.5


def test_several_classes_are_averaged_and_one_that_was_not_learnt_counts_as_chance():
    truth = np.repeat([0, 1, 2], 10)
    said = np.eye(3)[truth]
    said[:, 2] = 0  # the model has never seen the third
    empty = np.zeros((0, 3))
    found = Predictions("class", ("a", "b", "c"), truth, said, said, said, empty, truth[:0], np.arange(30), (0, 1, 2))
    assert score(found, said) == pytest.approx((1 + 1 + 0.5) / 3)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"real": REAL}, "tested on what was learnt from"),
        ({"real": REAL.select(["income"]), "holdout": HOLDOUT}, "no column beside 'income'"),
        ({"real": REAL.take(np.arange(9)), "holdout": HOLDOUT}, "got 400, 9, 500"),
        ({"real": REAL.take(np.zeros(99, dtype=int)), "holdout": HOLDOUT}, "one value only"),
    ],
)
def test_what_cannot_be_measured_says_why(arguments, why):
    for value in utility(OTHER, label="income", **arguments):
        assert value.value is None and why in value.meaning


def test_an_unknown_label_names_the_columns():
    with pytest.raises(ValueError, match="no measured column 'wage'"):
        utility(OTHER, label="wage", **SETS)


def labelled(name, most=200):
    lines = (DATA / f"banking_{name}.jsonl").read_text(encoding="utf-8").splitlines()[:most]
    rows = [json.loads(line) for line in lines]
    found = [row["text"] for row in rows]
    return Labelled(found, ["card" if "card" in row["category"] else "other" for row in rows], bag(found))


def test_texts_with_shuffled_labels_do_not_train():
    real, holdout, other = labelled("real"), labelled("holdout"), labelled("other")
    good = by_name(utility_of_texts(other, real=real, holdout=holdout))
    assert good["utility.text.tstr"].value > 0.7 and good["utility.text.ratio"].passed
    assert good["utility.text.f1"].passed
    wrong = Labelled(other.texts, list(np.random.default_rng(0).permutation(other.labels)), other.vectors)
    bad = by_name(utility_of_texts(wrong, real=real, holdout=holdout))
    assert bad["utility.text.ratio"].passed is False and bad["utility.text.f1"].passed is False


def test_texts_need_no_vectors_and_rows_without_a_label_are_left_out():
    real, holdout, other = labelled("real"), labelled("holdout"), labelled("other")
    some = Labelled([*other.texts, "odd one"], [*other.labels, None])
    values = by_name(utility_of_texts(some, real=real, holdout=holdout))
    assert values["utility.text.tstr"].value > 0.7
    assert set(values["utility.text.tstr"].detail["real"]["recall"]) == {"card", "other"}


def test_texts_without_a_holdout_are_not_measured():
    values = utility_of_texts(labelled("other"), real=labelled("real"))
    assert {value.value for value in values} == {None}


def test_rows_without_a_label_are_not_learnt_from():
    columns = {"x": list(range(200)), "y": ["a", "b", None, "b"] * 50}
    table = Table.of(columns, {"x": "integer", "y": "categorical"})
    found = predict(table, label="y", real=table, holdout=table)
    assert len(found.truth) == 150 and set(found.rows.tolist()).isdisjoint(range(2, 200, 4))
