"""How like the real rows: the formulas by hand, real data passes, planted failures do not."""

from __future__ import annotations

import numpy as np
import pytest

from tests.adult import HOLDOUT, OTHER, REAL, by_name, perturb, rows, table
from textsynth.measure.fidelity import Rows as Coded
from textsynth.measure.fidelity import accuracy, agree, choose, coherence, similarity
from textsynth.measure.table import Table

WAYS = ("univariate", "bivariate", "trivariate")


def categories(**columns):
    return Table.of(columns, dict.fromkeys(columns, "categorical"))


def test_accuracy_is_one_minus_half_the_difference_of_shares_and_its_maximum_what_the_sizes_allow():
    real = categories(a=["x"] * 60 + ["y"] * 40)
    synthetic = categories(a=["x"] * 20 + ["y"] * 30)
    value = by_name(accuracy(synthetic, real=real))["fidelity.accuracy.univariate"]
    assert value.value == pytest.approx(1 - 0.2)
    assert value.detail["maximum"] == pytest.approx(1 - np.sqrt(2 / np.pi * 0.24 * (1 / 50 + 1 / 100)))
    assert value.real is None and value.size == 50
    assert value.detail["columns"][0]["shares"] == {"synthetic": [0.4, 0.6], "real": [0.6, 0.4]}


def test_pairs_see_what_single_columns_do_not():
    real = categories(a=["x", "y"] * 100, b=["x", "y"] * 100)
    synthetic = categories(a=["x", "y"] * 100, b=["x", "x", "y", "y"] * 50)
    values = by_name(accuracy(synthetic, real=real))
    assert values["fidelity.accuracy.univariate"].value == 1
    assert values["fidelity.accuracy.bivariate"].value == pytest.approx(0.5)
    assert values["fidelity.accuracy.bivariate"].detail["worst"][0]["columns"] == ["a", "b"]


def test_more_missing_values_lower_the_accuracy():
    real = categories(a=["x"] * 90 + [None] * 10)
    synthetic = categories(a=["x"] * 50 + [None] * 50)
    assert accuracy(synthetic, real=real)[0].value == pytest.approx(0.6)


def test_other_real_rows_pass_and_the_sentence_holds_the_numbers():
    values = by_name(accuracy(OTHER, real=REAL, holdout=HOLDOUT))
    for way in WAYS:
        value = values[f"fidelity.accuracy.{way}"]
        assert value.passed and value.low < value.value < value.high
        assert abs(value.real - value.detail["maximum"]) < 0.02
    pair = values["fidelity.accuracy.bivariate"]
    assert pair.meaning == (
        f"Two columns taken together agree with the real ones to {pair.value * 100:.1f} %; "
        f"real data reaches {pair.real * 100:.1f} %."
    )


@pytest.mark.parametrize(
    ("synthetic", "failing"),
    [
        pytest.param(REAL, {"bivariate", "trivariate"}, id="copies are better than real data"),
        pytest.param(perturb(REAL, 0.1), {"bivariate", "trivariate"}, id="one cell in ten exchanged"),
        pytest.param(perturb(REAL, 1), {"bivariate", "trivariate"}, id="independent columns"),
        pytest.param(REAL.take(np.zeros(400, dtype=np.int64)), set(WAYS), id="one row repeated"),
    ],
)
def test_planted_failures_are_flagged(synthetic, failing):
    values = by_name(accuracy(synthetic, real=REAL, holdout=HOLDOUT))
    assert {way for way in WAYS if values[f"fidelity.accuracy.{way}"].passed is False} == failing


def test_the_interval_is_about_that_of_resampled_rows():
    pair = by_name(accuracy(perturb(OTHER, 1), real=REAL))["fidelity.accuracy.bivariate"]
    random = np.random.default_rng(0)
    other = perturb(OTHER, 1)
    drawn = []
    for _ in range(30):
        synthetic, real = (each.take(random.integers(len(each), size=len(each))) for each in (other, REAL))
        drawn.append(by_name(accuracy(synthetic, real=real))["fidelity.accuracy.bivariate"].value)
    assert 0.7 < (pair.high - pair.low) / (2 * 1.96 * np.std(drawn)) < 1.6


def test_the_expected_maximum_is_what_samples_of_one_distribution_reach():
    random = np.random.default_rng(1)
    found = []
    for _ in range(50):
        sides = [Coded([random.choice(5, size, p=[0.4, 0.3, 0.15, 0.1, 0.05])], [5]) for size in (300, 200)]
        found.append(agree([(0,)], *sides))
    assert np.mean([each.values[0] for each in found]) == pytest.approx(
        np.mean([e.maxima[0] for e in found]), abs=0.005
    )


def test_many_triples_are_drawn_and_the_value_says_so():
    assert len(choose(40, 3, seed=0)) == 1500 and choose(40, 3, seed=0) == choose(40, 3, seed=0)
    assert len(choose(20, 3, seed=0)) == 1140
    many = {f"c{at}": list(np.random.default_rng(at).integers(3, size=40)) for at in range(23)}
    value = accuracy(categories(**many), real=categories(**many))[2]
    assert "1,500 of 1,771 combinations" in value.meaning


def test_too_few_rows_are_not_measured_and_say_why():
    for value in accuracy(OTHER.take(np.arange(5)), real=REAL):
        assert value.value is None and "got 5" in value.meaning


def test_shapes_and_trends_are_those_of_sdmetrics():
    # KSComplement, TVComplement, ContingencySimilarity and CorrelationSimilarity of sdmetrics 0.32 on these rows
    real = Table.of(
        {"n": [1, 2, 3, 4], "m": [1, 2, 3, 5], "c": [*"aabb"]}, {"n": "float", "m": "float", "c": "categorical"}
    )
    made = Table.of(
        {"n": [1, 1, 2, 2], "m": [5, 4, 1, 1], "c": [*"abbb"]}, {"n": "float", "m": "float", "c": "categorical"}
    )
    shapes, trends = similarity(made, real=real)
    assert shapes.detail["columns"] == {"n": 0.5, "m": 0.75, "c": 0.75}
    numbers = 1 - abs(np.corrcoef([1, 2, 3, 4], [1, 2, 3, 5])[0, 1] - np.corrcoef([1, 1, 2, 2], [5, 4, 1, 1])[0, 1]) / 2
    found = {tuple(pair["columns"]): pair["similarity"] for pair in trends.detail["worst"]}
    assert found[("n", "m")] == pytest.approx(numbers)
    assert found[("n", "c")] == pytest.approx(1 - 0.75)


def test_shapes_of_real_rows_stand_beside():
    for value in similarity(perturb(REAL, 1), real=REAL, holdout=HOLDOUT):
        assert 0 < value.value <= 1 and 0.8 < value.real <= 1 and value.gate is None
    assert similarity(perturb(REAL, 1), real=REAL)[0].value == pytest.approx(1)  # no column has changed


def sequences(count, stay, seed):
    random = np.random.default_rng(seed)
    keys, states = [], []
    for group in range(count):
        state = random.integers(4)
        for _ in range(8):
            keys.append(group)
            states.append(f"s{state}")
            state = state if random.random() < stay else random.integers(4)
    return categories(state=states), keys


def test_rows_that_do_not_follow_each_other_as_real_ones_do_are_flagged():
    (real, real_keys), (held, held_keys) = sequences(150, 0.9, 1), sequences(150, 0.9, 2)
    sides = {"real": real, "real_keys": real_keys, "holdout": held, "holdout_keys": held_keys}
    good, keys = sequences(150, 0.9, 3)
    assert all(value.passed for value in coherence(good, keys=keys, **sides))
    bad, keys = sequences(150, 0.0, 4)
    assert {value.name for value in coherence(bad, keys=keys, **sides) if value.passed is False} >= {
        "fidelity.coherence.next",
        "fidelity.coherence.variety",
    }


def test_groups_that_are_too_few_are_not_measured():
    one = table(rows("real")[:40])
    values = coherence(one, keys=[0] * 40, real=one, real_keys=[0] * 40)
    assert {value.value for value in values} == {None}
