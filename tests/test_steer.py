"""Cells, arms, likeness and selection: do they fill gaps, find the better way, and leave out what is too many?"""

from __future__ import annotations

from collections import Counter
from random import Random

import numpy as np
import pytest

from textsynth.records import Draw
from textsynth.steer import OVERSAMPLE, Arms, Cells, Ended, Wanted
from textsynth.steer.cells import chance_distance, one_way
from textsynth.steer.likeness import Reading, Reference
from textsynth.steer.selection import eliminate, fourier, median_distance


def rows_of(random: Random, count: int) -> list[dict]:
    """Records of three labels; the topic follows the label in half of them."""
    found = []
    for _ in range(count):
        label = random.choices("abc", (6, 3, 1))[0]
        topic = label if random.random() < 0.5 else random.choice("abc")
        found.append({"label": label, "text#cluster": "abc".index(topic), "text#words": random.randint(1, 200)})
    return found


def draw(index: int, attributes: dict, arm: str = "") -> Draw:
    return Draw(index, 0, attributes, (), 0, arm)


def simulate(*, steered: bool, windows: int = 25, size: int = 20) -> Cells:
    """Keep what a stubborn model makes: whatever it is asked, half of its texts are of topic 0, and label c fails twice of three."""
    random, cells = Random(1), Cells(Wanted(rows_of(Random(2), 5000)))
    for number in range(windows):
        rows = rows_of(random, size * OVERSAMPLE)
        chosen = cells.choose(rows, size) if steered else list(range(size))
        draws = [draw(number * size + at, rows[row]) for at, row in enumerate(chosen)]
        cells.plan(draws)
        ended = []
        for each in draws:
            topic = 0 if random.random() < 0.5 else each.attributes["text#cluster"]
            lost = each.attributes["label"] == "c" and random.random() < 2 / 3
            ended.append(Ended(each, None if lost else {}, {"text#cluster": topic}, 10))
        cells.learn(ended)
    return cells


def test_steering_brings_every_attribute_closer_where_the_model_has_its_own_mind():
    steered, free = simulate(steered=True), simulate(steered=False)
    for target in steered.targets[:2]:
        assert steered.distance(target) < 0.5 * free.distance(target), target.names
    number = next(t for t in steered.targets if t.names == ("text#words",))
    assert steered.distance(number) < free.distance(number) + 0.1, "what was right is not spoilt"


def test_what_is_asked_for_is_counted_by_what_was_seen():
    cells = Cells(Wanted(rows_of(Random(2), 2000)))
    one = draw(0, {"label": "a", "text#cluster": 2, "text#words": 5})
    cells.plan([one])
    cells.learn([Ended(one, {"label": "a"}, {"text#cluster": 0})])
    by_cell = {gap.cell: gap.got for gap in cells.gaps(100)}
    assert by_cell["text#cluster = 0"] == 1 and by_cell["text#cluster = 2"] == 0


def test_a_pair_that_is_wrong_together_is_found_although_each_alone_is_right():
    target = [{"x": a, "y": a} for a in "ab"] * 500
    cells = Cells(Wanted(target))
    draws = [draw(at, {"x": "ab"[at % 2], "y": "ab"[at // 2 % 2]}) for at in range(200)]
    cells.plan(draws)
    cells.learn([Ended(each, {}) for each in draws])
    assert all(cells.excess(each) <= 0 for each in cells.targets)
    assert [pair.names for pair in cells.worst()] == [("x", "y")]


def test_choosing_is_the_same_again_and_returns_each_row_once():
    cells = simulate(steered=True, windows=3)
    rows = rows_of(Random(5), 160)
    chosen = cells.choose(rows, 20)
    assert chosen == cells.choose(rows, 20) and len(set(chosen)) == 20


def test_numbers_fall_into_ranges_of_equal_mass_and_states_into_their_own():
    target = one_way("n", [{"n": value} for value in range(1000)] + [{"n": None}] * 10)
    assert target.cell(-5) == 0 and target.cell(10**6) == 9 and target.cell(None) == ("None",)
    assert max(target.shares.values()) < 0.11


def test_chance_explains_the_distance_of_a_fair_sample():
    random = np.random.default_rng(0)
    shares = np.array([0.5, 0.3, 0.2])
    seen = [np.abs(random.multinomial(200, shares) / 200 - shares).sum() / 2 for _ in range(2000)]
    assert chance_distance(shares, 200) == pytest.approx(np.mean(seen), rel=0.05)


def test_the_arm_that_gives_more_per_token_is_asked_more_and_more():
    random, arms = Random(3), Arms(["", "hot", "dear"])
    chosen = []
    for index in range(300):
        name = arms.choose(random)
        chosen.append(name)
        kept = random.random() < {"": 0.3, "hot": 0.8, "dear": 0.9}[name]
        tokens = {"": 10, "hot": 10, "dear": 40}[name]
        arms.learn([Ended(draw(index, {}, name), {} if kept else None, {}, tokens)], [True])
    assert Counter(chosen[150:])["hot"] > 100
    assert sum(one.draws for one in arms.yields.values()) == 300


def unit(points: np.ndarray) -> np.ndarray:
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def test_recall_and_coverage_fall_when_half_of_the_real_texts_are_missed():
    random = np.random.default_rng(0)
    both = unit(random.normal(size=(600, 16)) + np.where(np.arange(600)[:, None] % 2, 3, -3))
    reference = Reference(both[:200], both[200:400])
    good = {r.name: r for r in reference.read(both[400:])}
    half = {r.name: r for r in reference.read(both[401::2])}
    assert all(r.met for r in good.values())
    assert not half["recall"].met and not half["coverage"].met


def test_better_means_by_more_than_the_standard_error():
    before = Reading("recall", 0.5, 0.03, 0.8, True)
    assert not Reading("recall", 0.53, 0.03, 0.8, True).better_than(before)
    assert Reading("recall", 0.6, 0.03, 0.8, True).better_than(before)
    assert Reading("attributes", 0.1, 0.01, 0.05, False).better_than(Reading("attributes", 0.2, 0.01, 0.05, False))


def test_leaving_out_brings_the_rest_closer_than_chance_does():
    random = np.random.default_rng(0)
    real = unit(random.normal(size=(300, 8)) + 1)
    pool = np.vstack([unit(random.normal(size=(150, 8)) + 1), unit(random.normal(size=(150, 8)) - 1)])
    width = median_distance(real)
    features, goal = fourier(pool, bandwidth=width), fourier(real, bandwidth=width).mean(axis=0)
    out = eliminate(features, goal, 150)
    assert len(set(out)) == 150
    assert sum(at >= 150 for at in out) > 120, "it is the strange half that goes"
    kept = np.setdiff1d(np.arange(300), out)

    def apart(rows: np.ndarray) -> float:
        return float(((features[rows].mean(axis=0) - goal) ** 2).sum())

    assert apart(kept) < 0.2 * min(apart(random.permutation(300)[:150]) for _ in range(20))


def test_nothing_is_left_out_of_a_pool_that_is_not_too_large():
    features = np.eye(3, dtype=np.float32)
    assert eliminate(features, features.mean(axis=0), 3) == []
