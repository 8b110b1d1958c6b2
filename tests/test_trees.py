"""Sequential trees: the joint comes back, train rows do not, conditions hold."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from textsynth.profile.encoding import Codec
from textsynth.profile.trees import Trees
from textsynth.profile.trees._leaf import measure_share

NUMBERS = ("age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week")
ROWS = [
    json.loads(line)
    for name in ("real", "holdout", "other")
    for line in (Path(__file__).parent / "data" / "evaluate" / f"adult_{name}.jsonl").read_text("utf-8").splitlines()
]
NAMES = list(ROWS[0])
KINDS = ["integer" if name in NUMBERS else "categorical" for name in NAMES]
CODECS = [Codec.fit([row.get(n) for row in ROWS], kind) for n, kind in zip(NAMES, KINDS, strict=True)]
CODES = np.stack([c.encode([row.get(n) for row in ROWS]) for c, n in zip(CODECS, NAMES, strict=True)], axis=1)
CARDS, ORDERED = [codec.card for codec in CODECS], [codec.ordered for codec in CODECS]
MIXED = np.random.default_rng(0).permutation(len(CODES))
TRAIN, STEER, APART = np.array_split(CODES[MIXED], 3)


def fit(codes=TRAIN, **options):
    return Trees.fit(codes, CARDS, ORDERED, names=NAMES, target="income", **options)


@pytest.fixture(scope="module")
def trees():
    return fit()


def random(seed=0):
    return np.random.default_rng(seed)


def table(codes, left, right):
    i, j = NAMES.index(left), NAMES.index(right)
    cells = np.bincount(codes[:, i] * CARDS[j] + codes[:, j], minlength=CARDS[i] * CARDS[j])
    return cells / len(codes)


def distance(one, other):
    return np.abs(one - other).sum() / 2


@pytest.mark.parametrize(
    ("left", "right"),
    [("income", "relationship"), ("relationship", "sex"), ("relationship", "marital-status"), ("occupation", "sex")],
)
def test_pairs_come_back_as_near_as_other_real_rows(trees, left, right):
    drawn = trees.sample(4 * len(TRAIN), random()).codes
    usual = distance(table(TRAIN, left, right), table(APART, left, right))
    assert distance(table(drawn, left, right), table(TRAIN, left, right)) < 1.2 * usual
    mixed = np.stack([random(j).permutation(column) for j, column in enumerate(TRAIN.T)], axis=1)
    assert distance(table(mixed, left, right), table(TRAIN, left, right)) > 1.2 * usual


def test_drawn_rows_are_not_nearer_to_train_than_to_other_rows(trees):
    drawn = trees.sample(2000, random()).codes
    size = min(len(TRAIN), len(APART))
    share = measure_share(drawn, TRAIN[:size], APART[:size], CARDS, ORDERED)
    assert share < 0.56
    assert measure_share(TRAIN[:size], TRAIN[:size], APART[:size], CARDS, ORDERED) > 0.9


def test_the_leaf_is_chosen_on_the_steer_rows():
    found = fit(steer=STEER)
    assert found.leaf == found.choice[-1]["leaf"]
    assert all(not entry["passed"] for entry in found.choice[:-1])
    assert {"leaf", "share", "null", "rows", "passed"} <= set(found.choice[0])


def test_the_same_seed_gives_the_same_rows_in_any_process(trees):
    again = fit()
    assert np.array_equal(trees.sample(500, random(5)).codes, again.sample(500, random(5)).codes)
    assert not np.array_equal(trees.sample(500, random(5)).codes, trees.sample(500, random(6)).codes)


def test_it_is_saved_as_plain_arrays_and_loads_without_scikit_learn(trees, tmp_path):
    path = tmp_path / "trees.npz"
    np.savez(path, **trees.as_arrays())
    start = time.perf_counter()
    with np.load(path, allow_pickle=False) as arrays:
        loaded = Trees.from_arrays(arrays)
    assert time.perf_counter() - start < 1
    assert np.array_equal(trees.sample(300, random(2)).codes, loaded.sample(300, random(2)).codes)
    assert loaded.names == trees.names and loaded.leaf == trees.leaf
    code = (
        "import sys, numpy as np; from textsynth.profile.trees import Trees; "
        f"Trees.from_arrays(np.load({str(path)!r})).sample(10, np.random.default_rng(0)); "
        "assert 'sklearn' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_train_row_is_stored(trees):
    arrays = [array for array in trees.as_arrays().values() if array.ndim]
    assert arrays and len(TRAIN) not in {array.shape[0] for array in arrays}


def condition(**values):
    fixed = np.full(len(NAMES), -1, dtype=np.int32)
    for name, value in values.items():
        place = NAMES.index(name.replace("_", "-"))
        fixed[place] = CODECS[place].encode([value])[0]
    return fixed


@pytest.mark.parametrize("values", [{"income": ">50K"}, {"sex": "Female"}, {"race": "Black", "sex": "Female"}])
def test_conditions_hold_and_the_rest_follows_them(trees, values):
    fixed = condition(**values)
    drawn = trees.sample(1500, random(), fixed)
    given = np.flatnonzero(fixed >= 0)
    assert (drawn.codes[:, given] == fixed[given]).all() and not drawn.unsupported.any()
    free = trees.sample(60_000, random(1)).codes
    exact = free[(free[:, given] == fixed[given]).all(axis=1)]
    for name in ("relationship", "marital-status", "age", "hours-per-week"):
        j = NAMES.index(name)
        one, other = (np.bincount(part[:, j], minlength=CARDS[j]) / len(part) for part in (drawn.codes, exact))
        # the usual distance of two samples of these sizes, and half as much again
        usual = np.sqrt(2 / np.pi * other * (1 - other) * (1 / len(exact) + 1 / len(drawn.codes))).sum() / 2
        assert distance(one, other) < 1.5 * usual + 0.02, name


def test_each_row_may_have_a_condition_of_its_own(trees):
    fixed = np.full((400, len(NAMES)), -1, dtype=np.int32)
    sex, job = NAMES.index("sex"), NAMES.index("occupation")
    fixed[:, sex] = np.arange(400) % 2
    fixed[::3, job] = 1 + np.arange(400)[::3] % 5
    drawn = trees.sample(400, random(), fixed).codes
    assert np.array_equal(np.where(fixed >= 0, drawn, -1), fixed)
    husbands = CODECS[NAMES.index("relationship")].encode(["Husband"])[0]
    male = CODECS[sex].encode(["Male"])[0]
    is_husband = drawn[:, NAMES.index("relationship")] == husbands
    assert (drawn[is_husband, sex] == male).mean() > 0.97 and is_husband.sum() > 40


def test_columns_given_first_are_conditioned_on_directly():
    trees = fit(given=["sex", "race"])
    assert [NAMES[j] for j in trees.order[:3]] == ["sex", "race", "income"]
    fixed = condition(sex="Female", race="White")
    assert (trees.sample(50, random(), fixed).codes[:, [NAMES.index("sex"), NAMES.index("race")]] >= 0).all()


def test_cells_that_never_occurred_are_told(trees):
    never = trees.sample(20, random(), condition(sex="Female", relationship="Husband"))
    sex, relation = NAMES.index("sex"), NAMES.index("relationship")
    together = ((TRAIN[:, sex] == never.codes[0, sex]) & (TRAIN[:, relation] == never.codes[0, relation])).any()
    assert never.unsupported[:, [sex, relation]].all() == (not together)
    unknown = trees.sample(20, random(), condition(race="Martian"))
    assert unknown.unsupported[:, NAMES.index("race")].all() and unknown.unsupported.sum() == 20


def test_a_fixed_code_beyond_its_column_is_refused(trees):
    fixed = np.full(len(NAMES), 99_999, dtype=np.int32)
    with pytest.raises(ValueError, match="number of codes"):
        trees.sample(3, random(), fixed)


def test_tiny_and_narrow_tables():
    for rows in (1, 3, 30):
        codes = (np.arange(2 * rows).reshape(rows, 2) % 2).astype(np.int32)
        trees = Trees.fit(codes, [2, 2], [False, True], names=["a", "b"], steer=codes[:1])
        assert trees.sample(7, random()).codes.shape == (7, 2)
    single = Trees.fit(np.zeros((5, 1), dtype=np.int32), [1], [True], names=["a"])
    assert single.sample(0, random()).codes.shape == (0, 1)
    assert Trees.from_arrays(single.as_arrays()).sample(3, random()).codes.tolist() == [[0]] * 3
    with pytest.raises(ValueError, match="at least one"):
        Trees.fit(np.zeros((0, 1), dtype=np.int32), [1], [True], names=["a"])


def test_a_dependency_is_kept_and_nothing_leaks_into_it():
    left = random().integers(0, 20, 3000)
    codes = np.stack([left, (left * 7) % 20, random(1).integers(0, 3, 3000)], axis=1).astype(np.int32)
    trees = Trees.fit(codes, [20, 20, 3], [False, False, True], names=["a", "b", "c"])
    drawn = trees.sample(5000, random()).codes
    assert (drawn[:, 1] == (drawn[:, 0] * 7) % 20).mean() > 0.97


def test_drawing_is_fast(trees):
    trees.sample(1000, random())
    start = time.process_time()
    trees.sample(50_000, random())
    assert time.process_time() - start < 1
