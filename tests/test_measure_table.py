"""Columns as measures see them: what is a value, what is missing and why, bins, matrices."""

from __future__ import annotations

from datetime import date, datetime

import numpy as np
import pytest

from tests.adult import OTHER, REAL
from textsynth.columns import ABSENT
from textsynth.measure.table import Bins, Table, encode, find_edges


def test_null_absent_empty_and_unreadable_are_four_things():
    table = Table.of({"n": [1, None, ABSENT, "", "x", float("nan")]}, {"n": "integer"})
    assert table.column("n").states.tolist() == [0, 1, 2, 3, 4, 1]
    (cut,) = Bins.fit(table)
    assert [cut.labels[code] for code in cut.codes(table.column("n"))] == [
        "≥ 1",
        "(n/a)",
        "(absent)",
        "(empty)",
        "(other)",
        "(n/a)",
    ]


def test_a_missing_category_is_a_bin_of_its_own_and_an_unknown_one_is_other():
    real = Table.of({"c": ["a"] * 6 + ["b"] * 5 + ["rare"] * 4 + [None] * 5}, {"c": "categorical"})
    (cut,) = Bins.fit(real)
    assert cut.categories == ("a", "b")
    new = Table.of({"c": ["b", "rare", "never seen", None, ABSENT, ""]}, {"c": "categorical"})
    assert [cut.labels[code] for code in cut.codes(new.columns[0])] == [
        "b",
        "(other)",
        "(other)",
        "(n/a)",
        "(absent)",
        "(empty)",
    ]


def test_only_the_ten_most_frequent_categories_are_bins():
    values = [f"c{at:02d}" for at in range(12) for _ in range(20 - at)]
    (cut,) = Bins.fit(Table.of({"c": values}, {"c": "options"}))
    assert cut.categories == tuple(f"c{at:02d}" for at in range(10))


def test_ten_ranges_hold_about_as_many_numbers_each_and_a_spike_is_one():
    random = np.random.default_rng(0)
    values = np.concatenate([np.zeros(900), random.normal(100, 10, 100)])
    edges = find_edges(values)
    assert edges[0] == 0 and len(edges) == 11 and (edges[1:] > 1).all()
    counts = np.histogram(random.permutation(np.arange(1000.0)), bins=find_edges(np.arange(1000.0)))[0]
    assert counts.min() > 90


def test_values_outside_the_real_range_fall_into_the_outermost_bins():
    (cut,) = Bins.fit(Table.of({"n": list(range(100))}, {"n": "float"}))
    codes = cut.codes(Table.of({"n": [-1e9, 1e9]}, {"n": "float"}).columns[0])
    assert codes.tolist() == [0, cut.own - 1]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1970-01-02", "1970-01-01T00:00:10"], [86400, 10]),
        ([date(1970, 1, 2), datetime(1970, 1, 1, 0, 0, 10)], [86400, 10]),
        (["02/13/1970", "01/02/1970"], [43 * 86400, 86400]),
        (["1970-01-01T01:00:00+01:00", None], [0, None]),
    ],
)
def test_dates_become_seconds(values, expected):
    column = Table.of({"d": values}, {"d": "datetime"}).columns[0]
    assert [None if np.isnan(value) else value for value in column.values] == expected


def test_a_format_that_is_given_is_used():
    table = Table.of({"d": ["01/02/1970"]}, {"d": "datetime"}, formats={"d": "%d/%m/%Y"})
    assert table.columns[0].values.tolist() == [31 * 86400]


def test_columns_that_cannot_be_measured_are_left_out_and_lengths_must_agree():
    assert Table.of({"a": [1], "t": ["text"]}, {"a": "integer", "t": "text"}).names == ("a",)
    with pytest.raises(ValueError, match="same number of values"):
        Table.of({"a": [1], "b": [1, 2]}, {"a": "integer", "b": "integer"})
    with pytest.raises(ValueError, match="no measured column 'x'; there are: a"):
        Table.of({"a": [1]}, {"a": "integer"}).column("x")


def test_stacking_keeps_every_value_though_labels_differ():
    one, other = (Table.of({"c": values}, {"c": "categorical"}) for values in (["b", None], ["a", "c"]))
    both = Table.stack(one, None, other).columns[0]
    assert [both.labels[code] if code >= 0 else None for code in both.values] == ["b", None, "a", "c"]


def test_numbers_and_text_of_the_same_value_are_one_category():
    column = Table.of({"c": [1, "1", True, "true"]}, {"c": "categorical"}).columns[0]
    assert column.labels == ("1", "true") and column.values.tolist() == [0, 0, 1, 1]


def test_matrices_use_one_code_per_category_in_all_tables():
    found = encode(REAL, OTHER)
    at = found.names.index("sex")
    for matrix, given in zip(found.matrices, (REAL, OTHER), strict=True):
        column = given.column("sex")
        assert set(matrix[column.values == column.labels.index("Male"), at]) == {0.0}  # the most frequent
    assert found.categorical[at] and not found.categorical[found.names.index("age")]


def test_many_categories_and_missing_ones_have_codes():
    values = [f"v{at}" for at in range(300)] + [None, ABSENT]
    found = encode(Table.of({"c": values}, {"c": "categorical"}))
    assert len(np.unique(found.matrices[0])) == 302 and not found.categorical[0]


def test_two_kinds_of_missing_numbers_get_a_feature_that_tells_them_apart():
    found = encode(Table.of({"n": [1, None, ABSENT]}, {"n": "float"}))
    assert found.names == ("n", "n") and len(np.unique(found.matrices[0][:, 1])) == 3
