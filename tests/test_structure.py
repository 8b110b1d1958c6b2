import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import ks_2samp, wasserstein_distance

from tests import planted
from tests.real_texts import by_name, texts
from textsynth.measure import ngrams
from textsynth.measure.structure import (
    dialogues,
    distance_js,
    distance_ks,
    distance_wasserstein,
    structure,
    vocabulary,
    word_order,
)
from textsynth.measure.wordmodel import WordModel

REAL, HOLDOUT, OTHER = (texts(f"complaints_{name}") for name in ("real", "holdout", "other"))


def test_distances_agree_with_scipy():
    random = np.random.default_rng(1)
    left, right = random.integers(0, 9, 200).astype(float), random.integers(2, 12, 300).astype(float)
    assert distance_ks(left, right) == pytest.approx(ks_2samp(left, right).statistic)
    assert distance_wasserstein(left, right) == pytest.approx(wasserstein_distance(left, right))
    counts = random.integers(0, 9, (2, 12)).astype(float)
    assert distance_js(*counts) == pytest.approx(jensenshannon(*counts, base=2))


def test_real_texts_pass():
    values = [*structure(OTHER, REAL, HOLDOUT), *word_order(OTHER, REAL, HOLDOUT), *vocabulary(OTHER, REAL, HOLDOUT)]
    assert [value.name for value in values if not value.passed] == []


def test_shorter_texts_and_sentences_are_seen():
    half = [text[: len(text) // 2] for text in OTHER]
    assert by_name(structure(half, REAL, HOLDOUT))["length"].passed is False
    endless = [text.replace(".", " ").replace("\n", " ") for text in OTHER]
    found = by_name(structure(endless, REAL, HOLDOUT))
    assert found["sentences"].passed is False and found["sentence_words"].passed is False
    longer = [" ".join(word * 2 for word in text.split()) for text in OTHER]
    assert by_name(structure(longer, REAL, HOLDOUT))["word_characters"].passed is False


@pytest.mark.parametrize("failure", ["words shuffled", "Markov order 1", "Markov order 2"])
def test_word_order_sees_shuffled_and_chained_words(failure):
    made = planted.TEXT_FAILURES[failure](REAL)
    assert by_name(word_order(made, REAL, HOLDOUT))["word_order"].passed is False


def test_shuffled_words_gain_less_and_chained_words_more_than_real_ones():
    middle = lambda some: word_order(some, REAL, HOLDOUT)[0].detail["quantiles"]["synthetic"][5]  # noqa: E731
    assert middle(planted.shuffle_words(OTHER)) < middle(OTHER) < middle(planted.markov(REAL, 2))


def test_word_model_is_a_distribution():
    model = WordModel(ngrams.read(["the cat sat", "the dog sat", "a cat ran away"]))
    words = ["the", "cat", "sat", "dog", "a", "ran", "away"]
    for context in ("the", "cat", "a cat"):
        chances = [np.exp(model.logs(ngrams.read([f"{context} {word}"]))[-1][-1]) for word in words]
        unseen = np.exp(model.logs(ngrams.read([f"{context} zebra"]))[-1][-1])
        assert sum(chances) + unseen == pytest.approx(1, abs=0.08)
        assert 0 < unseen < max(chances)
    assert model.means(ngrams.read(["the cat sat"]))[-1] > model.means(ngrams.read(["sat cat the"]))[-1]
    assert np.isnan(model.means(ngrams.read(["", "cat"]))[0, 0])


def test_over_and_under_used_words_are_named():
    made = ["as an assistant i must note: " + text.replace("credit", "loan") for text in OTHER]
    found = vocabulary(made, REAL, HOLDOUT)[0]
    assert any("assistant" in one["words"] for one in found.detail["over"])
    under = found.detail["under"][0]
    assert "credit" in under["words"] and under["synthetic"] < under["real"] and under["z"] < 0
    assert "credit" in found.meaning


def talk(*roles):
    return [{"role": role, "content": f"{role} says {number}"} for number, role in enumerate(roles)]


def test_dialogues_turns_and_roles():
    random = np.random.default_rng(0)
    real, holdout, other = ([talk(*["user", "agent"] * n) for n in random.integers(1, 6, 100)] for _ in range(3))
    assert all(value.passed for value in dialogues(other, real, holdout))
    short = {value.name: value for value in dialogues([talk("user", "agent")] * 100, real, holdout)}
    assert short["fidelity.dialogue.turns"].passed is False
    swapped = [talk(*["agent", "user"] * (len(one) // 2)) for one in other]
    found = {value.name: value for value in dialogues(swapped, real, holdout)}
    assert found["fidelity.dialogue.turns"].passed
    assert found["fidelity.dialogue.roles"].passed is False and "100 of 100" in found["fidelity.dialogue.roles"].meaning


def pairs(count, *, seed, mixed=False):
    """Two turns a dialogue, the second near the first unless mixed."""
    random = np.random.default_rng(seed)
    first = random.normal(size=(count, 16))
    second = first + random.normal(size=(count, 16))
    both = [some / np.linalg.norm(some, axis=1, keepdims=True) for some in (first, np.roll(second, int(mixed), axis=0))]
    return list(np.stack(both, axis=1).astype(np.float32))


def test_answers_that_do_not_fit_are_seen_by_adjacent_turns():
    given = [[talk("user", "agent")] * 200] * 3
    real, holdout = pairs(200, seed=1), pairs(200, seed=2)
    assert dialogues(*given, vectors=[pairs(200, seed=3), real, holdout])[-1].passed
    found = dialogues(*given, vectors=[pairs(200, seed=3, mixed=True), real, holdout])[-1]
    assert found.name == "fidelity.dialogue.adjacent" and found.passed is False


def test_nothing_to_measure_is_said_so():
    for values in (structure([], REAL), word_order([], REAL, HOLDOUT), vocabulary([""], REAL), dialogues([], [])):
        assert all(value.value is None and value.meaning.startswith("Not measured") for value in values)
    assert all(value.value is not None for value in structure([""], ["", "a"]))
