"""Kinds of fields, and records taken apart and put together again."""

from __future__ import annotations

import copy
import json
import pickle
import re
from datetime import date, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textsynth.columns import (
    ABSENT,
    Field,
    columns,
    draw_pattern,
    find_pattern,
    from_numbers,
    infer,
    infer_column,
    rebuild,
    to_numbers,
    type_strings,
)


def kind_of(values: list[Any], name: str = "x") -> Field:
    return infer([{name: value} for value in values])[0]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["one"] * 60, "constant"),
        ([f"ORD-{n:06d}" for n in range(60)], "id"),
        (list(range(1000, 1060)), "id"),
        ([True, False, True] * 20, "boolean"),
        (["red", "green", "blue"] * 20, "categorical"),
        (["low", "high", "medium"] * 20, "ordinal"),
        ([1, 2, 3, 4, 5] * 12, "ordinal"),
        ([n * n for n in range(60)] * 2, "integer"),
        ([n / 4 for n in range(60)], "float"),
        ([f"2024-0{1 + n % 9}-1{n % 10}" for n in range(60)], "datetime"),
        ([["a", "b"], ["c"], []] * 20, "options"),
        ([[{"sku": f"s{n}", "n": n}] for n in range(60)], "list"),
        (
            [[{"role": "user", "content": f"Say {n} again"}, {"role": "bot", "content": "No way"}] for n in range(60)],
            "dialogue",
        ),
        ([f"This is the sentence number {n}." for n in range(60)], "text"),
        ([f"Anna Name{n}" for n in range(60)], "text"),
    ],
)
def test_kinds(values: list[Any], kind: str) -> None:
    assert kind_of(values).kind == kind


def test_facts_of_kinds() -> None:
    assert kind_of([f"ORD-{n:04d}-X" for n in range(10, 99)]).pattern == r"ORD-\d{4}-X"
    assert kind_of(["high", "low", "medium"] * 20).values == ("low", "medium", "high")
    assert kind_of([0.25, 1.5, 3.0] * 20).scale == 2
    day = kind_of(["31/12/2023", "01/02/2024", "15/02/2024"] * 20)
    assert (day.kind, day.format, day.granularity) == ("datetime", "%d/%m/%Y", "day")
    compact = kind_of([20240131, 20231224, 19990101] * 20)
    assert (compact.kind, compact.format, compact.type) == ("datetime", "%Y%m%d", "integer")
    assert kind_of([20241399 + n for n in range(60)]).kind != "datetime"
    assert kind_of([f"2024-0{m}-01" for m in (1, 2, 5, 7)] * 20).granularity == "month"
    assert kind_of([f"2024-01-01T10:{m:02d}:00Z" for m in range(60)]).granularity == "minute"
    assert kind_of([datetime(2024, 1, 1, 5, m) for m in range(60)]).type == "datetime"


def test_named_ids_and_plain_numbers() -> None:
    spread = [1318032 + 37 * n * n for n in range(60)]
    assert kind_of(spread, "Complaint ID").kind == "id"
    assert kind_of(spread, "customerId").kind == "id"
    assert kind_of(spread, "amount paid").kind == "integer"
    every_other = kind_of([n for n in range(200) if n % 2 or n % 5 == 0], "row")
    assert (every_other.kind, every_other.sequential) == ("id", True)


def test_key_is_an_id_whatever_it_looks_like() -> None:
    assert infer([{"who": name} for name in "abc" * 20], key="who")[0].kind == "id"


def test_repeated_values_are_categories_though_some_occur_once() -> None:
    names = ["ACME HOLDING INC", "BETA BANK AND SONS", "GAMMA LLC"] * 40 + [f"SMALL FIRM NUMBER {n}" for n in range(12)]
    assert kind_of(names).kind == "categorical"


def test_null_absent_and_empty_are_three_things() -> None:
    rows = [{"a": "x"}, {"a": None}, {}, {"a": ""}] * 20 + [{"a": "y"}] * 20
    field = infer(rows)[0]
    assert (field.nullable, field.optional, field.empty) == (True, True, True)
    assert (field.nulls, field.absents, field.empties, field.rows) == (20, 20, 20, 100)
    taken = columns(rows, [field])["a"]
    assert taken[1] is None
    assert taken[2] is ABSENT
    assert taken[3] == ""
    assert rebuild({"a": taken}, [field], rows=100) == rows


def test_absent_is_one_value_and_false() -> None:
    assert pickle.loads(pickle.dumps(ABSENT)) is ABSENT
    assert copy.deepcopy(ABSENT) is ABSENT
    assert not ABSENT


def test_csv_strings() -> None:
    rows = [{"zip": "01234", "n": "7", "x": "1.50", "ok": "True", "day": "2024-01-05", "mark": " ?", "gap": ""}]
    rows += [{"zip": "90210", "n": "-3", "x": "2", "ok": "false", "day": "2024-01-06", "mark": " A", "gap": "4"}]
    typed = type_strings(rows)
    assert typed[0] == {"zip": "01234", "n": 7, "x": 1.5, "ok": True, "day": "2024-01-05", "mark": " ?", "gap": ""}
    assert typed[1]["gap"] == 4


def test_nested_objects_have_paths_and_a_state_only_where_it_varies() -> None:
    rows: list[dict[str, Any]] = [{"a": {"b": {"c": n % 3}, "d": n % 2 == 0}, "e": {"f": n % 4}} for n in range(60)]
    rows[3]["e"], rows[4]["e"] = None, {}
    del rows[5]["e"]
    fields = infer(rows)
    assert [field.name for field in fields] == ["a.b.c", "a.d", "e#object", "e.f"]
    state = fields[2]
    assert (state.nullable, state.optional) == (True, True)
    assert rebuild(columns(rows, fields), fields, rows=60) == rows


def test_dialogues_under_other_names_and_what_is_left_out() -> None:
    turns = [{"speaker": s, "utterance": f"I say {s} now", "frames": [1]} for s in ("USER", "SYSTEM")]
    field = kind_of([turns] * 60)
    assert (field.kind, field.roles, field.role_key, field.content_key) == (
        "dialogue",
        ("USER", "SYSTEM"),
        "speaker",
        "utterance",
    )
    assert field.left_out == ("frames",)


def test_two_paths_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="a.b"):
        infer([{"a.b": 1, "a": {"b": 2}}] * 3)


def test_fields_survive_as_data() -> None:
    rows = [{"n": n, "l": [{"q": n % 3, "s": "ab"[n % 2]}] * (n % 3), "t": ["u", "v"][: n % 3]} for n in range(90)]
    for field in infer(rows):
        assert Field.of_data(json.loads(json.dumps(field.as_data()))) == field


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=30))
def test_dates_and_numbers_come_back(numbers: list[int]) -> None:
    days = [date.fromordinal(700000 + n % 40000).isoformat() for n in numbers]
    field = infer_column("d", ("d",), days)
    if field.kind == "datetime":
        assert from_numbers(to_numbers(days, field), field) == days
    field = infer_column("n", ("n",), numbers)
    assert from_numbers(to_numbers(numbers, field), Field(name="n", kind="integer", type="integer")) == numbers


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
    max_leaves=6,
)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(["k", "l", "m"]), JSON, max_size=3), min_size=1, max_size=8))
def test_any_records_come_back(rows: list[dict[str, Any]]) -> None:
    fields = infer(rows)
    assert rebuild(columns(rows, fields), fields, rows=len(rows)) == rows


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(0, 99999), min_size=30, max_size=60, unique=True),
    st.sampled_from(["AB-{}", "{}/x", "q{:05d}"]),
)
def test_patterns_fit_and_give_fresh_texts(numbers: list[int], form: str) -> None:
    texts = [form.format(number) for number in numbers]
    pattern = find_pattern(texts)
    assert pattern
    fresh = draw_pattern(pattern, 5, np.random.default_rng(0))
    assert len(set(fresh)) == 5
    assert all(re.fullmatch(pattern, text) for text in fresh)


def test_patterns_have_alternatives_and_limits() -> None:
    codes = [f"{n}XX" for n in range(100, 400)] + [f"{n:05d}" for n in range(10000, 10900, 3)]
    pattern = find_pattern(codes)
    assert sorted(len(form) > 0 for form in pattern.split("|")) == [True, True]
    assert find_pattern(["free text", "other words here"]) == ""
    with pytest.raises(ValueError, match="only 10 different"):
        draw_pattern(r"A\d", 11, np.random.default_rng(0))
