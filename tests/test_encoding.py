"""Values ↔ codes: what is frequent comes back exactly, what is rare never does."""

import json
import time
from pathlib import Path

import numpy as np
import pytest

from textsynth.columns import ABSENT
from textsynth.profile.encoding import RARE, Codec

ROWS = [
    json.loads(line)
    for name in ("real", "holdout", "other")
    for line in (Path(__file__).parent / "data" / "evaluate" / f"adult_{name}.jsonl").read_text("utf-8").splitlines()
]


def column(name):
    return [row.get(name) for row in ROWS]


def again(codec):
    return Codec.from_data(json.loads(json.dumps(codec.as_data())))


def random(seed=0):
    return np.random.default_rng(seed)


def test_spikes_come_back_exactly_and_bins_never_give_one():
    values = column("capital-gain")
    codec = again(Codec.fit(values, "integer"))
    drawn = codec.decode(codec.encode(values), random())
    assert [value == 0 for value in drawn] == [value == 0 for value in values]
    assert all(isinstance(value, int) for value in drawn)


def test_numbers_in_bins_keep_their_code_and_their_distribution():
    values = column("fnlwgt")
    codec = again(Codec.fit(values, "integer"))
    codes = codec.encode(values)
    drawn = codec.decode(codes, random())
    assert np.array_equal(codec.encode(drawn), codes)
    assert np.mean([a == b for a, b in zip(values, drawn, strict=True)]) < 0.01
    quantiles = np.linspace(0.02, 0.98, 25)
    assert np.allclose(np.quantile(values, quantiles), np.quantile(drawn, quantiles), rtol=0.03)


def test_extremes_are_clipped_to_what_several_rows_reach():
    values = [*range(1000), 10**9, -(10**9)]
    drawn = again(Codec.fit(values, "integer")).decode(Codec.fit(values, "integer").encode(values), random())
    assert min(drawn) > -100 and max(drawn) < 1100


def test_no_rare_value_is_stored():
    values = ["common"] * 50 + ["often"] * 30 + ["Zaphod Beeblebrox"] * 4
    codec = Codec.fit(values, "categorical")
    assert "Zaphod" not in json.dumps(codec.as_data())
    drawn = codec.decode(codec.encode(values), random())
    assert set(drawn) == {"common", "often"}
    salaries = [50_000] * 100 + random().integers(20_000, 90_000, 400).tolist()
    stored = json.dumps(Codec.fit(salaries, "integer").as_data())
    rare = {value for value in salaries if salaries.count(value) < 5}
    assert not [value for value in rare if str(value) in stored.replace(".0,", ",").split(", ")]


def test_rare_counts_units_not_rows():
    values, units = ["a"] * 50 + ["b"] * 40, [*range(50)] + [1] * 40
    assert "b" not in Codec.fit(values, "categorical", units=units).labels()
    assert "b" in Codec.fit(values, "categorical").labels()
    numbers = [3] * 60 + [700] * 60
    assert "700" not in Codec.fit(numbers, "integer", units=[*range(60)] + [1] * 60).labels()


def test_a_column_of_rare_values_only_gives_a_mark():
    codec = again(Codec.fit([f"name {i}" for i in range(20)], "categorical"))
    assert codec.card == 1
    assert codec.decode(codec.encode(["name 3"]), random()) == [RARE]


@pytest.mark.parametrize("kind", ["integer", "float", "categorical", "ordinal"])
def test_null_absent_and_empty_are_three_things(kind):
    plain = [1, 2, 3] * 10 if kind in {"integer", "float"} else ["x", "y", "z"] * 10
    values = [*plain, None, ABSENT, "", None]
    codec = again(Codec.fit(values, kind))
    drawn = codec.decode(codec.encode(values), random())
    assert drawn[-4:] == [None, ABSENT, "", None]
    assert drawn[:-4] == plain


def test_true_one_and_one_point_are_told_apart():
    values = [True, 1, 1.0, "1", [1]] * 10
    codec = again(Codec.fit(values, "categorical"))
    assert [(type(v), v) for v in codec.decode(codec.encode(values), random())] == [(type(v), v) for v in values]


def test_ordinals_keep_their_order():
    values = ["low", "high", "medium"] * 10
    codec = again(Codec.fit(values, "ordinal", levels=["low", "medium", "high"]))
    assert codec.ordered and codec.encode(["low", "medium", "high"]).tolist() == [0, 1, 2]


def test_an_unknown_value_takes_the_nearest_code_or_other():
    codec = Codec.fit([10] * 20 + [20] * 20, "integer")
    assert codec.encode([-5, 12, 18, 999]).tolist() == [0, 0, 1, 1]
    words = Codec.fit(["a"] * 20, "categorical")
    assert words.labels()[words.encode(["b"])[0]] == "(other)"
    assert words.labels()[words.encode([None])[0]] == "(other)"


def test_values_stay_on_the_fields_grid():
    prices = (random().integers(100, 9000, 2000) * 5 / 100).tolist()
    drawn = Codec.fit(prices, "float").decode(Codec.fit(prices, "float").encode(prices), random())
    assert all(abs(value * 20 - round(value * 20)) < 1e-9 for value in drawn)
    days = (random().integers(10_000, 20_000, 2000) * 86_400).tolist()
    codec = again(Codec.fit(days, "datetime", step=86_400))
    assert all(value % 86_400 == 0 for value in codec.decode(codec.encode(days), random()))
    reals = random().normal(size=2000).tolist()
    drawn = Codec.fit(reals, "float").decode(Codec.fit(reals, "float").encode(reals), random())
    assert len({round(value, 9) for value in drawn}) > 1990 and not set(drawn) & set(reals)


def test_the_same_input_gives_the_same_codes_and_values():
    values = column("hours-per-week")
    first, second = (Codec.fit(values, "integer", seed=3) for _ in range(2))
    assert first.as_data() == second.as_data()
    assert first.decode(first.encode(values), random(4)) == second.decode(second.encode(values), random(4))


def test_decoding_is_fast():
    values = random().integers(0, 50_000, 20_000).tolist()
    codec = Codec.fit([*values, None], "integer")
    codes = np.resize(codec.encode(values), 100_000)
    start = time.process_time()
    codec.decode(codes, random())
    assert time.process_time() - start < 0.5


def test_few_or_no_rows_are_no_crash():
    for kind in ("integer", "float", "categorical"):
        codec = again(Codec.fit([], kind))
        assert codec.card == 1 and len(codec.decode(codec.encode([None, 5]), random())) == 2
        few = again(Codec.fit([1.5, 2.5], kind))
        assert len(few.decode(few.encode([1.5, 2.5, 9]), random())) == 3
