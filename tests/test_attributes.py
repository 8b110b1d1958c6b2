"""Attributes draw what the recipe says, with the shares it says, and refuse what cannot be drawn."""

from __future__ import annotations

import json
from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import textsynth as ts
from textsynth.attributes import problems, read
from textsynth.errors import RecipeError

SMALL = {"model": "scripted", "records": 5, "schema": {"text": "text<=80", "n": "int 0..9"}, "prompt": "Write."}


def drawn(value, times: int = 4000, seed: int = 1) -> list:
    attribute, random = read(value), Random(seed)
    return [attribute.draw(random, {}) for _ in range(times)]


def found(attributes) -> str:
    with pytest.raises(RecipeError) as caught:
        ts.check({**SMALL, "attributes": attributes})
    return "\n".join(caught.value.problems)


def test_weights_decide_the_shares():
    counts = Counter(drawn({"weights": {"a": 6, "b": 3, "c": 1, "never": 0}}))
    assert set(counts) == {"a", "b", "c"}
    for value, share in {"a": 0.6, "b": 0.3, "c": 0.1}.items():
        assert counts[value] / 4000 == pytest.approx(share, abs=0.03)  # four standard deviations


def test_a_list_draws_evenly_and_keeps_types():
    counts = Counter(map(repr, drawn([1, 1.5, True, None, "1"])))
    assert set(counts) == {"1", "1.5", "True", "None", "'1'"}
    assert all(count / 4000 == pytest.approx(0.2, abs=0.03) for count in counts.values())


def test_a_constant_is_drawn_each_time():
    assert set(drawn("x", 5)) == {"x"} and set(drawn(3, 5)) == {3}


def test_whole_ranges_include_both_ends_and_stay_whole():
    values = drawn({"range": [1, 4]})
    assert set(values) == {1, 2, 3, 4} and all(isinstance(v, int) for v in values)


def test_other_ranges_stay_between_the_ends():
    values = drawn({"range": [0.5, 2]})
    assert all(0.5 <= v <= 2 for v in values) and len(set(values)) > 3900


@given(
    low=st.integers(-50, 50),
    steps=st.integers(0, 40),
    step=st.sampled_from([1, 2, 5, 0.1, 0.25, 0.05]),
    at=st.integers(),
)
def test_steps_start_at_the_low_end_and_never_pass_the_high_one(low, steps, step, at):
    high = low + steps * step
    value = read({"range": [low, high], "step": step}).draw(Random(at), {})
    assert low <= value <= high + 1e-9
    assert (value - low) / step == pytest.approx(round((value - low) / step), abs=1e-6)


def test_steps_reach_both_ends_without_rounding_dust():
    assert set(drawn({"range": [0, 1], "step": 0.1})) == {0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0}
    assert set(drawn({"range": [0, 10], "step": 4})) == {0, 4, 8}


def test_dates_are_days_as_text_with_both_ends():
    assert set(drawn({"dates": ["2024-02-28", "2024-03-01"]})) == {"2024-02-28", "2024-02-29", "2024-03-01"}


def test_a_column_is_drawn_as_often_as_its_values_stand_there(tmp_path):
    rows = ["router"] * 6 + ["phone"] * 2 + [None]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps({"p": p, "other": 1}) + "\n" for p in rows))
    attribute, random = read({"column": "p", "path": "rows.jsonl"}), Random(0)
    attribute.resolve(tmp_path, "attributes.p")
    counts = Counter(attribute.draw(random, {}) for _ in range(4000))
    assert set(counts) == {"router", "phone"} and counts["router"] / 4000 == pytest.approx(0.75, abs=0.03)
    assert list(attribute.values()) == ["router", "phone"]


def test_a_conditional_draws_from_the_case_of_the_other_value():
    attribute = read(
        {
            "given": "product",
            "cases": {"phone": ["screen", "battery"], 7: {"range": [1, 2]}},
            "otherwise": {"given": "tone", "cases": {"calm": "manual"}},
        }
    )
    random = Random(0)
    assert {attribute.draw(random, {"product": "phone"}) for _ in range(50)} == {"screen", "battery"}
    assert {attribute.draw(random, {"product": 7}) for _ in range(50)} == {1, 2}
    assert attribute.draw(random, {"product": "tv", "tone": "calm"}) == "manual"
    assert set(attribute.values()) == {"screen", "battery", 1, 2, "manual"}
    assert attribute.conditions() == ("product", "tone")


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ({"weights": {"a": -1, "b": 2}}, "weights must be 0 or more"),
        ({"weights": {"a": 0}}, "not all 0"),
        ({"weights": ["a"]}, "map each value to its weight"),
        ({"weights": {"a": 1}, "rnge": 1}, "only key"),
        ({"choices": ["a", "b"], "weights": [1]}, "one weight per choice"),
        ({"range": [3, 1]}, "range must be [low, high]"),
        ({"range": [1, 3], "step": 0}, "greater than 0"),
        ({"dates": ["2024-02-01", "2024-01-01"]}, "dates must be [first, last]"),
        ({"valus": [1]}, "needs one of weights, choices, range, dates, column, given"),
        ([], "at least 1 item"),
    ],
)
def test_what_cannot_be_drawn_is_refused(value, part):
    with pytest.raises(RecipeError) as caught:
        ts.check({**SMALL, "attributes": {"a": value}})
    assert part in caught.value.message and all(p.startswith("attributes.a") for p in caught.value.problems)


def test_conditions_must_stand_above_and_cover_every_value():
    good = {"n": read([1, 2]), "a": read({"given": "n", "cases": {1: "x", 2: "y"}})}
    assert problems(good) == []
    assert "it must stand above" in problems(dict(reversed(good.items())))[0]
    assert "no case for [2]" in problems({**good, "a": read({"given": "n", "cases": {1: "x"}})})[0]
    assert "did you mean n?" not in problems({**good, "a": read({"given": "m", "cases": {1: "x"}})})[0]
    nested = {"given": "n", "cases": {1: "x"}, "otherwise": {"given": "lost", "cases": {1: "x"}}}
    assert "unknown name 'lost'" in problems({**good, "a": read(nested)})[0]


def test_a_condition_on_an_open_set_needs_otherwise():
    cases = {"given": "size", "cases": {18.0: "x", 80.0: "y"}}
    assert "attributes.a.given" in found({"size": {"range": [18.0, 80.0]}, "a": cases})
    assert "attributes.a.given" in found(
        {"size": {"dates": ["2024-01-01", "2024-01-09"]}, "a": {"given": "size", "cases": {"2024-01-01": 1}}}
    )
    assert ts.check({**SMALL, "attributes": {"size": {"range": [18.0, 80.0]}, "a": {**cases, "otherwise": "z"}}})


def test_a_condition_on_a_whole_range_must_cover_what_lies_between():
    attributes = {"n": {"range": [1, 3]}, "a": {"given": "n", "cases": {1: "x", 3: "y"}}}
    assert "no case for [2] of 'n'" in found(attributes)


def test_a_condition_on_a_column_must_cover_its_values(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"p": "a"}\n{"p": "b"}\n')
    attributes = {"p": {"column": "p", "path": str(path)}, "x": {"given": "p", "cases": {"a": 1}}}
    assert "no case for ['b'] of 'p'" in found(attributes)


def test_columns_that_cannot_be_read_are_found_with_everything_else(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"product": null}\n{"product": null}\n')
    text = found(
        {
            "a": {"column": "produkt", "path": str(path)},
            "b": {"column": "product", "path": str(path)},
            "c": {"column": "x", "path": "no-such.csv"},
            "d": {"given": "a", "cases": {1: 2}, "otherwise": {"column": "x", "path": "gone.csv"}},
        }
    )
    assert "attributes.a.column: unknown name 'produkt' (did you mean product?)" in text
    assert "attributes.b.column: 'product' holds no values" in text
    assert "attributes.c: no such file: 'no-such.csv'" in text
    assert "attributes.d.otherwise: no such file: 'gone.csv'" in text


@pytest.mark.parametrize(
    "value", [{"range": [5, 12]}, [3, "four"], {"weights": {11: 1}}, {"given": "m", "cases": {1: 3, 2: -1}}]
)
def test_values_that_the_schema_does_not_allow_are_found(value):
    assert "attributes.n: " in found({"m": [1, 2], "n": value})


def test_a_range_that_misses_an_enum_in_the_middle_is_found():
    with pytest.raises(RecipeError, match="attributes.n: 2 contradicts the schema"):
        ts.check({**SMALL, "schema": {"text": "str", "n": [1, 3]}, "attributes": {"n": {"range": [1, 3]}}})


def test_many_wrong_values_are_summed_up():
    text = found({"n": [f"v{i}" for i in range(40)]})
    assert text.count("contradicts the schema") == 5 and "and 35 more values" in text


@settings(max_examples=50)
@given(st.lists(st.integers(0, 20), min_size=1, max_size=8).filter(any), st.integers())
def test_a_choice_of_weight_zero_is_never_drawn(weights, seed):
    attribute, random = read({"choices": list(range(len(weights))), "weights": weights}), Random(seed)
    assert all(weights[attribute.draw(random, {})] > 0 for _ in range(100))
