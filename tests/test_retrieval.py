"""Retrieved seeds are near to what was drawn, unlike each other, evenly used, and never two of one privacy unit."""

from __future__ import annotations

import math
import time
from collections import Counter
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textsynth.records import Seed
from textsynth.seeds import SeedPool, SeedSpec


def pool(rows, attributes=(), *, vectors=None, derived=None, units=None, records=0, **spec) -> SeedPool:
    found = SeedSpec(path="rows.jsonl", **{"choose": "retrieved", **spec})
    seeds = [Seed(i, row) for i, row in enumerate(rows)]
    return SeedPool(seeds, found, attributes, vectors=vectors, derived=derived, units=units, records=records)


def ids(seeds) -> list[int]:
    return [seed.id for seed in seeds]


def unit_rows(count: int, kinds: int) -> np.ndarray:
    """``kinds`` directions in turn, each with a little noise."""
    random = np.random.default_rng(0)
    found = np.eye(8)[np.arange(count) % kinds] + 0.05 * random.standard_normal((count, 8))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


ROWS = [{"text": f"row {i}", "label": "abcde"[i % 5], "tone": "xy"[i % 2], "age": i} for i in range(100)]


def test_seeds_agree_with_the_drawn_categories_as_far_as_any_do():
    made = pool(ROWS, ["label", "tone"], shots=4)
    for number in range(30):
        chosen = made.choose(Random(number), {"label": "c", "tone": "y"})
        assert len(chosen) == 4 and all(s.row["label"] == "c" and s.row["tone"] == "y" for s in chosen)


def test_seeds_of_a_value_that_no_seed_has_agree_in_the_rest():
    made = pool(ROWS, ["label", "tone"], shots=3)
    assert all(seed.row["tone"] == "x" for seed in made.choose(Random(0), {"label": "unseen", "tone": "x"}))


def test_numbers_are_near_in_units_of_their_range():
    made = pool([{"text": f"row {i}", "age": i} for i in range(1000)], ["age"], shots=5)
    for number in range(20):
        assert all(abs(seed.row["age"] - 300) < 60 for seed in made.choose(Random(number), {"age": 300}))


def test_a_missing_number_is_near_to_missing_ones_only():
    rows = [{"text": "a", "age": None if i % 4 == 0 else i} for i in range(40)]
    made = pool(rows, ["age"], shots=3)
    assert all(seed.row["age"] is None for seed in made.choose(Random(0), {"age": None}))
    assert all(seed.row["age"] is not None for seed in made.choose(Random(0), {"age": 20}))


def test_derived_values_count_like_columns():
    derived = [{"text#words": i} for i in range(200)]
    rows = [{"text": f"row {i}", "label": "ab"[i % 2]} for i in range(200)]
    made = pool(rows, ["label"], derived=derived, shots=3)
    chosen = made.choose(Random(1), {"label": "b", "text#words": 150})
    assert all(seed.row["label"] == "b" and abs(seed.id - 150) < 70 for seed in chosen)


def test_seeds_of_a_wanted_cluster_come_before_all_else():
    derived = [{"text#cluster": i // 3} for i in range(100)]
    made = pool(ROWS, ["label", "tone", "age"], derived=derived, shots=3)
    for number in range(20):
        asked = {"label": "a", "tone": "x", "age": 99, "text#cluster": 4}
        assert ids(made.choose(Random(number), asked)) == [12, 13, 14]


@pytest.mark.parametrize("choose", ["retrieved", "diverse"])
def test_vectors_make_the_choice_take_one_of_each_kind(choose):
    made = pool([{"text": f"row {i}"} for i in range(60)], vectors=unit_rows(60, 3), choose=choose, shots=3)
    for number in range(20):
        assert {i % 3 for i in ids(made.choose(Random(number), {}))} == {0, 1, 2}


def test_without_vectors_shared_words_make_seeds_alike():
    kinds = ["alpha beta gamma delta", "one two three four", "red green blue yellow"]
    made = pool([{"text": f"{kinds[i % 3]} {i}"} for i in range(60)], shots=3)
    for number in range(20):
        assert {i % 3 for i in ids(made.choose(Random(number), {}))} == {0, 1, 2}


def test_what_must_match_does_even_where_fewer_seeds_have_it():
    rows = [*ROWS, {"text": "rare", "label": "z", "tone": "x", "age": 3}]
    made = pool(rows, ["label", "tone"], match=["label"], shots=3, records=50)
    for number in range(30):
        assert ids(made.choose(Random(number), {"label": "z", "tone": "x"})) == [100]
    assert len(made.choose(Random(0), {"label": "nowhere", "tone": "x"})) == 3


@pytest.mark.parametrize("choose", ["retrieved", "random", "diverse", "matching"])
def test_no_draw_gets_two_seeds_of_one_privacy_unit(choose):
    units = [i // 10 for i in range(100)]
    made = pool(ROWS, ["label"], units=units, shots=4, choose=choose)
    for number in range(40):
        chosen = [units[i] for i in ids(made.choose(Random(number), {"label": "a"}))]
        assert len(chosen) == len(set(chosen)) > 0


def test_a_unit_with_all_near_seeds_does_not_keep_others_out():
    rows = [{"text": f"row {i}", "label": "a" if i < 90 else "b"} for i in range(100)]
    made = pool(rows, ["label"], units=[0] * 90 + list(range(1, 11)), shots=3)
    chosen = ids(made.choose(Random(0), {"label": "a"}))
    assert len(chosen) == 3 and sum(i < 90 for i in chosen) == 1


@settings(max_examples=40, deadline=None)
@given(count=st.integers(1, 40), shots=st.integers(1, 4), records=st.integers(1, 60))
def test_by_default_no_seed_is_shown_more_than_twice_its_share_while_others_are_left(count, shots, records):
    rows = [{"text": f"t{i}", "label": "ab"[i % 2]} for i in range(count)]
    made, uses = pool(rows, ["label"], shots=min(shots, count), records=records), Counter()
    share = math.ceil(2 * min(shots, count) * records / count)
    for number in range(records):
        uses.update(ids(made.choose(Random(number), {"label": "a"})))
    assert max(uses.values()) <= share and made.draws_left() > 10**12


def test_beyond_the_share_a_run_goes_on_with_the_least_used():
    made, uses = pool(ROWS[:10], ["label"], shots=2, records=1), Counter()
    for number in range(100):
        uses.update(ids(made.choose(Random(number), {"label": "a"})))
    assert sum(uses.values()) == 200 and max(uses.values()) - min(uses.values()) <= 1


def test_max_uses_is_never_exceeded():
    made, uses = pool(ROWS[:10], ["label"], shots=3, max_uses=2, match=["label"]), Counter()
    while chosen := made.choose(Random(len(uses)), {"label": "a"}):
        uses.update(ids(chosen))
    assert uses == {i: 2 for i in range(10)}


@pytest.mark.parametrize("spec", [{}, {"max_uses": 3}, {"match": ["label"]}])
def test_a_restored_pool_goes_on_as_if_it_had_never_stopped(spec):
    derived = [{"text#cluster": i % 7} for i in range(100)]
    options = {"shots": 3, "records": 10, "derived": derived, "units": [i // 2 for i in range(100)], **spec}
    whole, resumed = pool(ROWS, ["label", "age"], **options), pool(ROWS, ["label", "age"], **options)
    asked = [{"label": "abcde"[n % 5], "age": n, "text#cluster": n % 7} for n in range(60)]
    for number in range(30):
        resumed.restore(whole.choose(Random(number), asked[number]))
    for number in range(30, 60):
        assert ids(whole.choose(Random(number), asked[number])) == ids(resumed.choose(Random(number), asked[number]))


def test_equal_seeds_take_turns():
    made, counts = pool(LIKE, ["label"], shots=2), Counter()
    for number in range(2000):
        counts.update(ids(made.choose(Random(number), {"label": "a"})))
    assert set(counts) == set(range(50)) and max(counts.values()) < 3 * min(counts.values())


LIKE = [{"text": "the same words", "label": "a"} for _ in range(50)]


def test_there_may_be_no_shots_and_no_seeds():
    assert pool(ROWS, ["label"], shots=0).choose(Random(0), {"label": "a"}) == ()
    assert pool([], ["label"], shots=2).choose(Random(0), {"label": "a"}) == ()


def test_a_draw_among_ten_thousand_seeds_costs_little():
    random = Random(0)
    rows = [{"text": f"row {i}", "label": random.choice("abcdefgh"), "age": random.random()} for i in range(10_000)]
    derived = [{"text#words": random.randrange(200), "text#cluster": random.randrange(30)} for _ in rows]
    vectors = np.random.default_rng(0).standard_normal((10_000, 384)).astype(np.float32)
    made = pool(rows, ["label", "age"], vectors=vectors, derived=derived, shots=4, records=1000)
    asked = {"label": "a", "age": 0.4, "text#words": 50, "text#cluster": 3}
    best = math.inf
    for _ in range(5):
        start = time.process_time()
        for number in range(50):
            made.choose(Random(number), asked)
        best = min(best, (time.process_time() - start) / 50)
    assert best < 1e-3, "0.2 ms on a core of its own; the bound leaves room for a busy machine"
