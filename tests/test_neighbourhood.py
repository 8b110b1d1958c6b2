import numpy as np
import pytest

from tests.real_texts import by_name, embed, texts
from textsynth.measure.neighbourhood import neighbourhood


def points(count, *, seed=0, at=0.0, width=1.0):
    random = np.random.default_rng(seed)
    return (at + width * random.normal(size=(count, 8))).astype(np.float32)


def naive(made, real, k):
    """The definitions with whole distance matrices."""
    apart = lambda a, b: np.sqrt(((a[:, None].astype(float) - b[None]) ** 2).sum(-1))  # noqa: E731
    reach = [np.sort(apart(some, some), axis=1)[:, k] for some in (made, real)]
    across = apart(made, real)
    inside = across <= reach[1][None]
    return {
        "precision": inside.any(1).mean(),
        "recall": (across <= reach[0][:, None]).any(0).mean(),
        "density": inside.sum() / k / len(made),
        "coverage": inside.any(0).mean(),
    }


@pytest.mark.parametrize("width", [0.6, 1.0, 1.5])
def test_values_are_those_of_the_definitions(width):
    made, real = points(300, seed=1, width=width), points(300, seed=2)
    found = by_name(neighbourhood(made, real))
    for name, value in naive(made, real, 5).items():
        assert found[name].value == pytest.approx(value, abs=0.004), name


def test_more_than_one_block_gives_the_same_as_the_definitions():
    made, real = points(1100, seed=1, at=0.3), points(1100, seed=2)
    found = by_name(neighbourhood(made, real))
    for name, value in naive(made, real, 5).items():
        assert found[name].value == pytest.approx(value, abs=0.002), name


def test_holdout_passes_and_is_the_real_value():
    parts = [points(500, seed=seed) for seed in range(3)]
    found = neighbourhood(*parts)
    assert all(value.passed for value in found)
    again = by_name(neighbourhood(parts[2], parts[1], parts[2]))
    assert all(value.value == value.real for value in again.values())


def test_missing_mode_fails_recall_and_coverage():
    real, holdout = (np.concatenate([points(200, seed=s), points(200, seed=s + 9, at=8)]) for s in (1, 2))
    found = by_name(neighbourhood(points(400, seed=3), real, holdout))
    assert found["recall"].passed is False and found["recall"].value < 0.6
    assert found["coverage"].passed is False
    assert found["precision"].passed


def test_few_texts_repeated_fail_recall_and_coverage():
    fresh = texts("banking_other")
    made = embed((fresh[:20] * 10)[:200])
    found = by_name(neighbourhood(made, embed(texts("banking_real")), embed(texts("banking_holdout"))))
    assert found["recall"].passed is False and found["coverage"].passed is False


def test_crowding_and_straying_fail_density():
    real, holdout = points(500, seed=1), points(500, seed=2)
    assert by_name(neighbourhood(points(500, seed=3, width=0.4), real, holdout))["density"].passed is False
    assert by_name(neighbourhood(points(500, seed=3, width=1.6), real, holdout))["density"].passed is False


def test_sets_are_brought_to_one_size():
    found = neighbourhood(points(900, seed=1), points(120, seed=2), points(300, seed=3), most=100)
    assert {value.size for value in found} == {100}


def test_without_holdout_there_is_no_real_value_and_too_few_texts_are_said_so():
    assert all(value.real is None for value in neighbourhood(points(50), points(50, seed=1)))
    few = neighbourhood(points(5), points(50, seed=1))
    assert all(value.value is None and "more than 5" in value.meaning for value in few)
