"""Parts of real data that share no privacy unit."""

from __future__ import annotations

import numpy as np
import pytest

from tests.shop import orders
from textsynth.errors import RecipeError
from textsynth.profile.splits import AUDIT_SIZES, data_hash, find_units, split


def test_parts_are_disjoint_complete_and_of_the_wanted_sizes() -> None:
    parts = split(np.arange(1000), seed=1)
    every = np.concatenate([parts.train, parts.steer, parts.report])
    assert sorted(every.tolist()) == list(range(1000))
    assert [len(parts.train), len(parts.steer), len(parts.report)] == [600, 200, 200]
    audit = split(np.arange(1000), sizes=AUDIT_SIZES)
    assert [len(audit.train), len(audit.steer), len(audit.report)] == [500, 100, 400]


def test_the_seed_decides() -> None:
    assert np.array_equal(split(np.arange(300), seed=4).train, split(np.arange(300), seed=4).train)
    assert not np.array_equal(split(np.arange(300), seed=4).train, split(np.arange(300), seed=5).train)


def test_rows_of_one_key_stay_together() -> None:
    rows = orders(600, customers=120)
    parts = split(find_units(rows, key="customer"), key="customer")
    owners = [{rows[row]["customer"] for row in part} for part in (parts.train, parts.steer, parts.report)]
    assert not owners[0] & owners[1]
    assert not (owners[0] | owners[1]) & owners[2]
    assert parts.unit == "key customer"


def test_rows_without_a_key_are_units_of_their_own() -> None:
    rows = [{"who": None, "n": n} for n in range(50)] + [{"n": n} for n in range(50)]
    assert len(set(find_units(rows, key="who").tolist())) == 100


def test_near_duplicates_stay_together() -> None:
    rows = [
        {"text": f"Number {n} is about {n * 7} apples and {n * 13} pears in a big basket of wood"} for n in range(300)
    ]
    base = "the quick brown fox jumps over the lazy dog and runs far away into the deep dark forest to sleep"
    rows[10]["text"], rows[200]["text"], rows[299]["text"] = base, base + " now", base.upper()
    units = find_units(rows)
    assert units[10] == units[200] == units[299]
    assert len(set(units.tolist())) == 298


def test_equal_rows_of_a_large_table_are_one_unit_but_not_of_a_small_domain() -> None:
    wide = [{"a": n, "b": n * n} for n in range(200)] + [{"a": 5, "b": 25}]
    assert len(set(find_units(wide).tolist())) == 200
    narrow = [{"a": n % 2, "b": n % 3 == 0} for n in range(200)]
    assert len(set(find_units(narrow).tolist())) == 200


def test_the_hash_knows_values_and_order() -> None:
    rows = orders(20)
    assert data_hash(rows) == data_hash(orders(20))
    assert data_hash(rows) != data_hash(rows[::-1])
    rows[3]["gift"] = not rows[3]["gift"]
    assert data_hash(rows) != data_hash(orders(20))


@pytest.mark.parametrize("sizes", [(0.5, 0.5), (0.6, 0.6, 0.2), (1.0, 0.0, 0.0)])
def test_sizes_are_checked(sizes: tuple[float, ...]) -> None:
    with pytest.raises(RecipeError, match="three shares"):
        split(np.arange(100), sizes=sizes)
