import numpy as np
import pytest

from tests import planted
from tests.real_texts import by_name, columns, embed, rows, texts
from textsynth.measure.copying import identical, table_copying, text_copying
from textsynth.measure.gower import column_groups, encode, nearest

KINDS = {
    name: "number" if isinstance(value, int | float) else "category" for name, value in rows("adult_real")[0].items()
}


def text_values(made, kind="complaints"):
    return by_name(text_copying(embed(made), *(embed(texts(f"{kind}_{name}")) for name in ("real", "holdout"))))


def table_values(made):
    return by_name(
        table_copying(columns(made), columns(rows("adult_real")), columns(rows("adult_holdout")), kinds=KINDS)
    )


def failed(values):
    return {name for name, value in values.items() if value.passed is False}


def test_real_texts_and_rows_pass():
    for kind in ("complaints", "banking"):
        assert failed(text_values(texts(f"{kind}_other"), kind)) == set()
    assert failed(table_values(rows("adult_other"))) == set()
    assert failed(by_name(identical(rows("adult_other"), rows("adult_real"), rows("adult_holdout")))) == set()


def test_copies_of_texts_raise_every_alarm():
    real = texts("complaints_real")
    found = text_values(real)
    assert failed(found) == {"closest_share", "nearest_ratio", "authenticity", "nearer", "near_copies"}
    assert found["closest_share"].value == 1 and found["authenticity"].value == 0
    assert identical(real, real, texts("complaints_holdout"))[0].value == 1


@pytest.mark.parametrize("failure", ["one character changed", "10 % of words dropped", "30 % of words dropped"])
def test_spoilt_copies_of_texts_are_seen_though_none_is_identical(failure):
    made = planted.TEXT_FAILURES[failure](texts("complaints_real"))
    assert {"closest_share", "nearer", "authenticity"} <= failed(text_values(made))
    assert identical(made, texts("complaints_real"), texts("complaints_holdout"))[0].value < 0.02


def test_few_copies_among_many_real_texts_are_seen():
    made = [*texts("complaints_real")[:16], *texts("complaints_other")[16:]]
    assert {"near_copies", "nearest_ratio"} <= failed(text_values(made))
    assert identical(made, texts("complaints_real"), texts("complaints_holdout"))[0].passed is False


def test_texts_copied_from_the_holdout_raise_no_alarm():
    found = text_values(texts("complaints_holdout"))
    assert found["closest_share"].value == 0
    assert failed(found) == set()


def test_few_texts_repeated_widen_the_interval_instead_of_raising_an_alarm():
    fresh = texts("complaints_other")
    once, often = text_values(fresh)["closest_share"], text_values((fresh[:16] * 10)[:160])["closest_share"]
    assert often.passed
    assert often.high - often.low > 2 * (once.high - once.low)


@pytest.mark.parametrize(("share", "more"), [(0.1, {"identical"}), (0.3, set()), (0.5, set())])
def test_perturbed_rows_are_seen(share, more):
    made = planted.perturb(rows("adult_real"), share)
    found = table_values(made) | by_name(identical(made, rows("adult_real"), rows("adult_holdout")))
    assert {"equal_cells"} | more <= failed(found)
    if share < 0.5:
        assert {"closest_share", "closest_share.columns"} <= failed(found)


def test_independent_columns_are_the_null_of_the_closest_share():
    made = planted.independent_columns(rows("adult_real"))
    found = table_values(made)
    assert failed(found) == set()
    assert found["closest_share"].value == pytest.approx(found["closest_share"].real, abs=0.08)


def test_copies_on_some_columns_alone_are_seen():
    some = ("age", "workclass", "fnlwgt", "education", "education-num", "occupation", "hours-per-week")
    other = rows("adult_other")
    mixed = [
        {**row, **{name: real[name] for name in some}} for row, real in zip(other, rows("adult_real"), strict=False)
    ]
    assert "equal_cells" in failed(table_values(mixed))


def test_gower_distance_is_that_of_the_definition():
    parts = [
        {"n": [0.0, 10.0, None], "c": ["a", "b", None]},
        {"n": [0.0, 5.0, None, 20.0], "c": ["a", "a", None, ""]},
    ]
    made, real = encode(parts, {"n": "number", "c": "category"}, sizes=(9, 9), seed=0)
    near = nearest(made, real)[0]
    assert near.rows.tolist() == [0, 1, 2]
    assert near.first.tolist() == pytest.approx([0, (0.25 + 1) / 2, 0])
    assert near.second.tolist() == pytest.approx([0.125, (0.5 + 1) / 2, 1])


def test_correlated_columns_are_put_together():
    random = np.random.default_rng(0)
    base = random.integers(5, size=400)
    table = {"a": base, "b": base + 10, "x": random.integers(5, size=400), "y": random.integers(5, size=400)}
    given = {name: [str(value) for value in values] for name, values in table.items()}
    encoded = encode([given, given], dict.fromkeys(given, "category"), sizes=(400, 400), seed=0)[1]
    groups = [set(group.tolist()) for group in column_groups(encoded, seed=0)]
    assert len(groups) == 6
    assert {0, 1} in groups[:3]


def test_identical_compares_canonical_forms_and_scales_the_control():
    train, holdout = [{"a": "One  two", "b": 1}, {"a": "x", "b": 2}] * 10, [{"a": "y", "b": 3}]
    found = identical([{"b": 1.0, "a": "one two"}, {"a": "y", "b": 3}], train, holdout)[0]
    assert found.value == 0.5 and found.detail["rows"] == [0]
    assert found.detail["control"] == 10 and found.passed


def test_too_few_rows_and_unknown_columns_are_said_so():
    assert all(value.value is None for value in text_copying(*[embed(["a b", "c d"])] * 3))
    assert all(value.value is None for value in table_copying(*[{"a": [1]}] * 3, kinds={"a": "number"}))
    with pytest.raises(ValueError, match="'age' must be in synthetic, train and holdout"):
        table_copying(
            {"sex": ["M"] * 30},
            columns(rows("adult_real")),
            columns(rows("adult_holdout")),
            kinds={"sex": "category", "age": "number"},
        )
