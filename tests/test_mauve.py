import numpy as np
import pytest

from tests.real_texts import embed, texts
from textsynth.measure.mauve import mauve


def points(count, *, seed, at=0.0):
    return (np.random.default_rng(seed).normal(size=(count, 8)) + at).astype(np.float32)


def value(*parts, **options):
    return mauve(*parts, **options)[0]


def test_same_texts_score_one_and_other_ones_nearly_zero():
    real = points(400, seed=1)
    assert value(real, real).value == pytest.approx(1.0, abs=1e-6)
    far = points(400, seed=2)
    far[:, 0], real[:, 0] = far[:, 0] + 30, real[:, 0] - 30
    assert value(far, real).value < 0.02


def test_real_texts_score_high_and_pass():
    found = value(*(points(600, seed=seed) for seed in range(3)))
    assert found.value > 0.9 and found.real > 0.9 and found.passed
    assert found.low <= found.value <= found.high


def test_more_difference_scores_lower():
    random = np.random.default_rng(0)
    axes = random.normal(size=(6, 8)) * 4
    parts = [(axes[random.choice(6, 400, p=p)] + random.normal(size=(400, 8))).astype(np.float32) for p in
             ([1 / 6] * 6, [0.3, 0.3, 0.1, 0.1, 0.1, 0.1], [0.5, 0.5, 0, 0, 0, 0])]  # fmt: skip
    scores = [value(part, parts[0]).value for part in parts]
    assert scores[0] > scores[1] > scores[2]


def test_one_kind_of_text_fails():
    real, holdout = (embed(texts(f"banking_{name}")) for name in ("real", "holdout"))
    few = embed((texts("banking_other")[:8] * 25)[:200])
    assert value(few, real, holdout).passed is False


def test_frontier_runs_from_one_corner_to_the_other():
    frontier = value(points(200, seed=1), points(200, seed=2)).detail["frontier"]
    assert frontier[0] == [1.0, 0.0] and frontier[-1] == [0.0, 1.0]
    assert all(0 <= x <= 1 and 0 <= y <= 1 for x, y in frontier)


def test_same_seed_same_value():
    parts = points(200, seed=1), points(200, seed=2)
    assert value(*parts, seed=3).value == value(*parts, seed=3).value
    assert value(parts[0][:5], parts[1]).value is None
