import numpy as np
import pytest
from scipy.linalg import sqrtm

from tests.real_texts import by_name, embed, texts
from textsynth.measure.frechet import frechet


def points(count, *, seed, at=0.0, width=1.0):
    return (at + width * np.random.default_rng(seed).normal(size=(count, 6))).astype(np.float32)


def test_value_is_that_of_the_formula():
    made, real = points(400, seed=1, at=0.5, width=1.3), points(400, seed=2)
    first, second = np.cov(made.T.astype(float)), np.cov(real.T.astype(float))
    apart = ((made.astype(float).mean(0) - real.astype(float).mean(0)) ** 2).sum()
    expected = apart + np.trace(first + second - 2 * sqrtm(first @ second).real)
    found = by_name(frechet(made, real))["frechet"]
    assert found.value == pytest.approx(expected, rel=1e-4)
    assert found.low < found.value < found.high


def test_fewer_texts_than_dimensions():
    parts = [embed(texts(f"banking_{name}")[:50], dimension=128) for name in ("other", "real", "holdout")]
    found = by_name(frechet(*parts))["frechet"]
    assert found.value > 0 and found.real > 0 and found.passed


def test_shifted_texts_fail_and_their_ratio_is_shown():
    found = by_name(frechet(points(500, seed=1, at=0.4), points(500, seed=2), points(500, seed=3)))
    assert found["frechet"].passed is False
    assert found["frechet"].detail["ratio"] > 5
    assert found["mmd"].low > 0


def test_mmd_is_about_zero_for_real_texts():
    values = [by_name(frechet(points(300, seed=s), points(300, seed=s + 50)))["mmd"] for s in range(10)]
    assert sum(value.low <= 0 <= value.high for value in values) >= 8
    assert abs(np.mean([value.value for value in values])) < 0.002


def test_few_texts_repeated_fail():
    real, holdout = (embed(texts(f"banking_{name}")) for name in ("real", "holdout"))
    assert by_name(frechet(embed((texts("banking_other")[:8] * 25)[:200]), real, holdout))["frechet"].passed is False


def test_too_few_texts_are_said_so():
    assert all(value.value is None for value in frechet(points(10, seed=1), points(99, seed=2)))
