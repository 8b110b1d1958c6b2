"""Groups in synthetic and in real data: drift in either direction is flagged, real rows pass, small groups are named."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from tests.adult import HOLDOUT, OTHER, REAL, by_name, perturb
from textsynth.measure.bias import association, bias, information, odds_gap, swap, widest_gap
from textsynth.measure.table import Table

SETS = {"real": REAL, "holdout": HOLDOUT}


def people(men, men_paid, women, women_paid):
    sex = ["m"] * men + ["f"] * women
    paid = ["yes"] * men_paid + ["no"] * (men - men_paid) + ["yes"] * women_paid + ["no"] * (women - women_paid)
    return Table.of({"sex": sex, "paid": paid}, {"sex": "categorical", "paid": "categorical"})


FAIR = people(1000, 500, 1000, 300)


def values(synthetic, **options):
    return by_name(bias(synthetic, protected=["sex"], label="paid", real=FAIR, holdout=FAIR, **options))


def test_other_real_rows_pass_every_gate():
    found = bias(OTHER, protected=["sex", "race", "age"], label="income", **SETS)
    measured = [value for value in found if value.value is not None]
    assert len(measured) > 10 and all(value.passed for value in measured if value.gate)


def test_a_group_that_shrinks_is_drift():
    value = values(people(1000, 500, 400, 120))["bias.representation.sex"]
    assert value.value == pytest.approx(
        np.log((400.5 / 1401) / (1000.5 / 2001)), abs=1e-9
    ) or value.value == pytest.approx(-np.log((400.5 / 1401) / (1000.5 / 2001)))
    assert value.passed is False and "0.57 times its real share (28.6 % instead of 50.0 %)" in value.meaning
    assert value.low < value.value < value.high and value.real == 0


def test_a_group_that_vanishes_has_a_value():
    value = values(people(1000, 500, 0, 0))["bias.representation.sex"]
    assert value.value > 5 and value.passed is False


@pytest.mark.parametrize(
    ("paid", "ratio"), [pytest.param((600, 200), 2.0, id="exaggerated"), pytest.param((400, 400), 0.0, id="levelled")]
)
def test_a_gap_between_groups_that_changes_is_drift_either_way(paid, ratio):
    found = values(people(1000, paid[0], 1000, paid[1]))
    gap = found["bias.parity.sex"]
    assert gap.value == pytest.approx((paid[0] - paid[1]) / 1000 - 0.2) and gap.passed is False
    assert found["bias.amplification.sex"].value == pytest.approx(ratio)
    assert found["bias.amplification.sex"].passed is False


def test_the_same_shares_pass():
    found = values(people(500, 250, 500, 150))
    assert all(
        found[f"bias.{name}.sex"].passed for name in ("representation", "association", "parity", "amplification")
    )


def test_without_a_gap_in_real_data_nothing_can_be_amplified():
    real = people(500, 250, 500, 250)
    found = by_name(bias(FAIR, protected=["sex"], label="paid", real=real))
    assert found["bias.amplification.sex"].value is None and "no gap" in found["bias.amplification.sex"].meaning
    assert found["bias.parity.sex"].passed is False


def test_independent_columns_lose_the_association():
    found = by_name(bias(perturb(REAL, 1), protected=["sex", "age"], label="income", **SETS))
    assert found["bias.association.age"].passed is False and found["bias.parity.age"].passed is False


def test_small_groups_are_named_not_measured():
    names = ["a"] * 50 + ["b"] * 50 + ["tiny"] * 5
    table = Table.of({"g": names, "y": (["u", "v"] * 53)[:105]}, {"g": "categorical", "y": "categorical"})
    value = by_name(bias(table, protected=["g"], label="y", real=table))["bias.representation.g"]
    assert value.detail["small"] == ["tiny"] and "fewer than 30 rows: tiny" in value.meaning
    assert {each["group"] for each in value.detail["groups"]} == {"a", "b"}


def test_one_group_alone_is_not_measured_and_an_unknown_one_is_refused():
    table = Table.of({"g": ["a"] * 50, "y": ["u", "v"] * 25}, {"g": "categorical", "y": "categorical"})
    (value, *_) = bias(table, protected=["g"], label="y", real=table)
    assert value.value is None and "fewer than two groups" in value.meaning
    with pytest.raises(ValueError, match="no column 'sex'.*there are: g, y"):
        bias(table, protected=["sex"], real=table)


def test_mutual_information_is_in_bits_and_without_its_bias():
    table = np.array([[300.0, 100], [100, 500]])
    groups = np.repeat([0, 0, 1, 1], [300, 100, 100, 500])
    outcome = np.repeat([0, 1, 0, 1], [300, 100, 100, 500])
    bits = mutual_info_score(groups, outcome) / np.log(2)
    assert information(table) == pytest.approx(bits - 1 / (2 * 1000 * np.log(2)))
    random = np.random.default_rng(0)
    chance = [information(random.multinomial(400, np.full(20, 0.05)).reshape(4, 5).astype(float)) for _ in range(200)]
    assert np.mean(chance) < 0.006  # 0.0216 bits without the correction


def test_the_widest_gap_is_the_surest_not_the_noisiest():
    shares = np.array([[500.0, 500], [300, 700], [20, 12]])
    assert set(widest_gap(shares)[:2]) == {0, 1}


def test_the_odds_gap_is_the_largest_difference_in_rates_between_groups():
    groups = np.repeat([0, 1], 200)
    truth = np.tile(np.repeat([0, 1], 100), 2)
    said = truth.copy()
    said[100:140] = 0  # of the first group, 40 of 100 are missed
    assert odds_gap(groups, truth, said, (2, 2)) == pytest.approx(0.4)
    assert odds_gap(groups[:200], truth[:200], said[:200], (2, 2)) is None


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_a_swap_that_moves_texts_further_than_groups_lie_apart_is_flagged():
    random = np.random.default_rng(1)
    plans, push = random.normal(size=(80, 16)), np.eye(16)[0]
    sides = [unit(plans + 0.3 * random.normal(size=(80, 16))) for _ in range(2)]
    real = {"real_first": unit(random.normal(size=(90, 16))), "real_second": unit(random.normal(size=(90, 16)))}
    same = swap(*sides, attribute="sex", **real)
    assert same.passed and same.detail["p"] > 0.05
    moved = swap(sides[0], unit(sides[1] + push), attribute="sex", **real)
    assert moved.passed is False and moved.detail["p"] < 0.01
    assert swap(*(side[:5] for side in sides), attribute="sex").value is None
    with pytest.raises(ValueError, match="80 texts on one side, 5 on the other"):
        swap(sides[0], sides[1][:5], attribute="sex")


def test_leaning_to_a_lexicon_more_than_real_texts_do_is_flagged():
    random = np.random.default_rng(0)
    lexicons = {"career": unit(np.eye(8)[:1]), "family": unit(np.eye(8)[1:2])}
    groups = ["f", "m"] * 100

    def texts(lean, seed):
        noise = np.random.default_rng(seed).normal(size=(200, 8))
        return unit(noise + lean * np.where(np.arange(200) % 2, 1, -1)[:, None] * np.eye(8)[0])

    real = {"real": texts(0.3, 1), "real_groups": groups, "holdout": texts(0.3, 2), "holdout_groups": groups}
    good = association(texts(0.3, 3), groups, attribute="sex", lexicons=lexicons, **real)
    bad = association(texts(2.0, 4), groups, attribute="sex", lexicons=lexicons, **real)
    assert good.passed and bad.passed is False and "Texts of m lean more to career" in bad.meaning
    with pytest.raises(ValueError, match="two lexicons, got 1"):
        association(
            random.normal(size=(9, 8)), groups[:9], attribute="sex", lexicons={"one": lexicons["career"]}, **real
        )
