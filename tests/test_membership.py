import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tests import planted
from tests.real_texts import by_name, columns, embed, rows, texts
from textsynth.measure.attacks import area, attack, residual_risk
from textsynth.measure.membership import echo, inference, plant, text_membership, vector_membership

REAL, HOLDOUT, OTHER = (texts(f"complaints_{name}") for name in ("real", "holdout", "other"))
KINDS = {
    name: "number" if isinstance(value, int | float) else "category" for name, value in rows("adult_real")[0].items()
}


def failed(values):
    return {value.name.removeprefix("privacy.") for value in values if value.passed is False}


def attacks(made):
    return [*vector_membership(*map(embed, (made, REAL, HOLDOUT))), *text_membership(made, REAL, HOLDOUT)]


def table_attacks(made):
    return inference(columns(made), columns(rows("adult_real")), columns(rows("adult_holdout")), kinds=KINDS)


def test_real_texts_and_rows_pass():
    assert failed(attacks(OTHER)) == set()
    assert failed(table_attacks(rows("adult_other"))) == set()


def test_copies_are_told():
    found = by_name(attacks(REAL))
    assert all(value.passed is False for value in found.values())
    assert found["membership.nearest"].value > 0.97
    assert found["membership.nearest"].detail["tpr_at_1_fpr"] > 0.9
    assert all(value.low <= value.value <= value.high for value in found.values())


def test_shuffled_and_thinned_copies_are_told():
    assert "membership.nearest" in failed(attacks(planted.drop_words(REAL, 0.3)))
    assert "membership.language_model" in failed(attacks(planted.markov(REAL, 2)))


def test_area_is_that_of_the_roc_curve():
    random = np.random.default_rng(1)
    members, others = random.integers(0, 9, 80) + 0.0, random.integers(0, 7, 120) + 0.0
    expected = roc_auc_score([1] * 80 + [0] * 120, np.concatenate([members, others]))
    assert area(members, others) == pytest.approx(expected)


def test_chance_scores_pass_and_better_ones_do_not():
    random = np.random.default_rng(2)
    passed = [attack("x", random.normal(size=300), random.normal(size=300), "chance").passed for _ in range(40)]
    assert sum(passed) >= 38
    assert attack("x", random.normal(size=300) + 0.5, random.normal(size=300), "a shift").passed is False


def test_residual_risk_takes_the_control_off():
    found = residual_risk(600, 1000, 200, 1000)
    assert found.value == pytest.approx((0.6 - 0.2) / 0.8)
    assert found.interval.low < found.value < found.interval.high
    same = residual_risk(300, 1000, 300, 1000)
    assert same.value == 0 and same.interval.low < 0 < same.interval.high


def test_copied_rows_give_secrets_away():
    found = by_name(table_attacks(rows("adult_real")))
    assert found["inference"].passed is False and found["inference"].value > 0.9
    assert found["linkability"].passed is False
    assert set(found["inference"].detail["columns"]) == set(KINDS)
    assert "inference" in failed(table_attacks(planted.perturb(rows("adult_real"), 0.1)))


def test_what_holds_for_everyone_is_no_leak():
    assert failed(table_attacks(planted.independent_columns(rows("adult_real")))) == set()


RECORDS = [{"id": number, "text": text} for number, text in enumerate(REAL)]


def test_canaries_are_planted_as_often_as_said():
    planted_ = plant(RECORDS, "text", repeats=(1, 3), each=5, seed=1)
    every = [record["text"] for record in planted_.records]
    assert len(every) == len(RECORDS) + 5 * 1 + 5 * 3
    assert [every.count(text) for text in planted_.canaries] == list(planted_.repeats) == [1] * 5 + [3] * 5
    assert not set(planted_.controls) & set(every)
    assert {record["id"] for record in planted_.records} == {record["id"] for record in RECORDS}
    assert planted_ == plant(RECORDS, "text", repeats=(1, 3), each=5, seed=1)
    assert any(
        text.startswith(" ".join(planted_.canaries[0].split()[:15])) for text in map(" ".join, map(str.split, REAL))
    )


def test_echoed_canaries_are_found_by_how_often_they_were_planted():
    given = plant(RECORDS, "text", each=20)
    clean = echo(given, OTHER)
    assert failed(clean) == set() and clean[0].value == 0
    often = [text for text, times in zip(given.canaries, given.repeats, strict=True) if times == 16]
    found = by_name(echo(given, [*OTHER, *(f"I think that {' '.join(text.split()[17:26])} yes" for text in often)]))
    assert found["canaries"].passed is False
    assert found["canaries"].detail["rates"] == {"1": 0.0, "4": 0.0, "16": 1.0}
    assert found["canaries.x16"].passed is False and found["canaries.x16"].value > 0.95
    assert found["canaries.x1"].passed


def test_texts_too_short_for_canaries_are_refused():
    with pytest.raises(ValueError, match="at least 15 words in 'text', the 1 records have none"):
        plant([{"text": "too short"}], "text")


def test_nothing_to_measure_is_said_so():
    few = embed(["a b"] * 4)
    values = [*vector_membership(few, few, few), *text_membership(["a"], ["a"], ["a"])]
    values += [*inference({"a": [1]}, {"a": [1]}, {"a": [1]}, kinds={"a": "number"}), *echo(plant(RECORDS, "text"), [])]
    assert all(value.value is None and value.meaning.startswith("Not measured") for value in values)
