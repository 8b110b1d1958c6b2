import json

import pytest

from tests import planted
from tests.real_texts import by_name, texts
from textsynth.measure.memory import memorised, replayed
from textsynth.pii import Detector

REAL, HOLDOUT, OTHER = (texts(f"complaints_{name}") for name in ("real", "holdout", "other"))


def failed(values):
    return {value.name.removeprefix("privacy.") for value in values if value.passed is False}


def test_real_texts_pass():
    assert failed(memorised(OTHER, REAL, HOLDOUT)) == set()
    assert failed(memorised(HOLDOUT, REAL, HOLDOUT)) == set()


@pytest.mark.parametrize(
    ("failure", "gates"),
    [
        ("copies", {"ngrams", "passages", "longest_copy"}),
        ("one character changed", {"ngrams", "passages"}),
        ("10 % of words dropped", {"ngrams", "passages"}),
        ("30 % of words dropped", {"ngrams"}),
        ("Markov order 2", {"ngrams"}),
        ("sentences recombined", {"ngrams", "passages"}),
    ],
)
def test_texts_made_of_train_texts_are_seen(failure, gates):
    assert gates <= failed(memorised(planted.TEXT_FAILURES[failure](REAL), REAL, HOLDOUT))


def test_shares_and_places_are_those_of_the_words():
    words = [f"w{number}" for number in range(100)]
    train, holdout = [" ".join(words[:40]), "other text of few words"], [" ".join(words[60:]), "nothing"]
    made = [" ".join(["x", *words[5:25], "y"]), " ".join(words[70:79])]
    found = by_name(memorised(made, train, holdout))
    assert found["ngrams"].detail["train"] == pytest.approx((13 / 15 + 0) / 2)
    assert found["ngrams"].detail["holdout"] == pytest.approx((0 + 1) / 2)
    assert found["passages"].detail == {"train": 0.5, "holdout": 0.0, "holdout_in_train": 0.0}
    assert found["longest_copy"].value == 20
    assert found["longest_copy"].detail["longest"][0] == {"synthetic": 0, "train": 0, "words": 20}


def test_one_long_passage_among_real_texts_is_seen():
    train, holdout, other = (texts(f"banking_{name}") for name in ("real", "holdout", "other"))
    made = [*other[:199], "I write to you: " + " ".join(REAL[3].split()[:70])]
    found = by_name(memorised(made, [*train, REAL[3]], [*holdout, HOLDOUT[3]]))
    assert found["longest_copy"].passed is False and found["longest_copy"].value > 60
    assert found["longest_copy"].detail["longest"][0]["synthetic"] == 199
    assert found["longest_copy"].detail["longest"][0]["train"] == 200
    assert found["passages"].passed


def people(count, *, of, every=3):
    """Texts in which some have an e-mail address and a telephone number of their own."""
    return [
        f"{text} Write to {of}{number}@mail{number}.org or call (415) 555-{2000 + number + 500 * (of == 'ann'):04}."
        if number % every == 0
        else text
        for number, text in enumerate(OTHER[:count])
    ]


def test_personal_values_inside_texts_are_found_and_not_shown():
    train, holdout = people(90, of="ann"), people(90, of="bob")
    leaked = [f"My friend said that ann{number}@mail{number}.org never answers." for number in range(0, 60, 3)]
    found = replayed([*OTHER[90:], *leaked], train, holdout)[0]
    assert found.passed is False
    assert found.value == 20 and found.real == 0
    assert found.detail["types"]["EMAIL_ADDRESS"] == {"train": 20, "holdout": 0}
    assert "ann0" not in json.dumps(found.as_data())


def test_public_values_and_those_of_the_holdout_cancel():
    train, holdout = ([f"{text} Mail help@bank.com." for text in people(60, of=name)] for name in ("ann", "bob"))
    made = [
        "Write to help@bank.com",
        *(f"bob{number}@mail{number}.org" for number in range(0, 60, 3)),
        train[0],
        train[3],
    ]
    found = replayed(made, train, holdout)[0]
    assert found.passed and found.value < 0
    assert found.real == 20


def test_only_the_types_asked_for_are_looked_for():
    train, holdout = people(60, of="ann"), people(60, of="bob")
    found = replayed(train, train, holdout, detector=Detector({"EMAIL_ADDRESS"}))[0]
    assert set(found.detail["types"]) == {"EMAIL_ADDRESS"}
    assert replayed(OTHER, REAL, HOLDOUT)[0].passed


def test_nothing_to_measure_is_said_so():
    values = [*memorised([], REAL, HOLDOUT), *replayed(OTHER, [], HOLDOUT)]
    assert all(value.value is None and value.meaning.startswith("Not measured") for value in values)
