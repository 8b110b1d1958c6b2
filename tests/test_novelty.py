"""Novelty by ROUGE-L: the same as the plain definition, seeds and draws named, fast among many."""

from __future__ import annotations

import time
from random import Random

import pytest

from textsynth.filters import Setting
from textsynth.filters.novelty import Novelty, Texts
from textsynth.overlap import common_words, rouge_l
from textsynth.records import Candidate, Draw, Seed
from textsynth.schema import RecordSchema
from textsynth.text import words

SCHEMA = RecordSchema(
    {"type": "object", "properties": {"instruction": {"type": "string"}, "response": {"type": "string"}}}
)


def table(first: list[str], second: list[str]) -> int:
    """Return the longest common subsequence by the textbook's table."""
    row = [0] * (len(second) + 1)
    for word in first:
        before = 0
        for at, other in enumerate(second):
            before, row[at + 1] = row[at + 1], before + 1 if word == other else max(row[at + 1], row[at])
    return row[-1]


def some_text(random: Random, most: int = 14) -> list[str]:
    return random.choices("a b c d e f g h".split(), k=random.randint(0, most))


def test_the_common_subsequence_is_the_textbooks():
    random = Random(1)
    for _ in range(2000):
        first, second = some_text(random), some_text(random)
        assert common_words(first, second) == common_words(second, first) == table(first, second)
    long = [str(n % 70) for n in range(300)]
    assert common_words(long, long[::-1]) == table(long, long[::-1])


def test_rouge_l_is_the_balanced_measure_of_lin():
    first, second = words("police killed the gunman"), words("police kill the gunman")
    assert rouge_l(first, second) == pytest.approx(0.75)
    assert rouge_l(first, words("the gunman kill police")) == pytest.approx(0.5)
    assert rouge_l([], []) == 0


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.9, 1.0])
def test_the_nearest_text_is_what_comparing_with_all_finds(threshold):
    random = Random(int(threshold * 100))
    texts = [some_text(random) for _ in range(300)]
    known = Texts(threshold)
    for at, text in enumerate(texts):
        known.add(str(at), text)
    found = 0
    for _ in range(300):
        asked = some_text(random)
        scores = [(rouge_l(asked, text), -at) for at, text in enumerate(texts)]
        best, at = max(scores)
        match = known.nearest(asked)
        if best >= threshold:
            found += 1
            assert match is not None and (match.score, match.id) == (best, str(-at))
        else:
            assert match is None
    assert found, "the test has texts that are alike"


def candidate(index: int, instruction: str, response: str = "x") -> Candidate:
    draw = Draw(index, 0, {}, (), 1)
    return Candidate(draw, {"instruction": instruction, "response": response})


def prepared(**options) -> Novelty:
    made = Novelty(**options)
    seeds = [
        Seed(3, {"instruction": "Write a short poem about the autumn sea."}),
        Seed(4, {"instruction": "Name a fruit."}),
    ]
    made.prepare(Setting(SCHEMA, seeds, ("instruction", "response")))
    return made


def test_the_culprit_is_named_among_seeds_kept_and_the_same_batch():
    novelty = prepared()
    batch = [
        candidate(0, "Write a short poem about the winter sea."),
        candidate(1, "Explain why the sky is blue at noon."),
        candidate(2, "Explain why the sky is red at night."),
        candidate(3, "Explain why the sky is red at noon."),
    ]
    first = novelty.check(batch)
    assert first[0].culprit == "seed:3" and "seed 3" in first[0].detail and first[0].score == pytest.approx(7 / 8)
    assert first[1] is None
    assert first[2].culprit == "1" and "draw 1" in first[2].detail
    assert first[3].culprit == "1"
    assert novelty.check(batch) == first, "checking remembers nothing"
    novelty.keep([batch[1]])
    (again,) = novelty.check([candidate(9, "Explain why the sky is blue at noon!")])
    assert again.culprit == "1" and again.score == 1


def test_only_the_instruction_counts_unless_fields_say_otherwise():
    batch = [candidate(0, "Tell me about tea.", "The same answer in the same words again and again.")]
    batch += [candidate(1, "Which planets have rings?", "The same answer in the same words again and again.")]
    assert prepared().check(batch) == [None, None]
    assert prepared(fields=("response",)).check(batch)[1].culprit == "0"
    with pytest.raises(ValueError, match="instruction"):
        prepared(fields=("instructoin",))
    with pytest.raises(ValueError, match="did you mean 0.7"):
        Novelty(threshold=70)


def test_texts_without_words_are_not_judged():
    assert prepared().check([candidate(0, "?!"), candidate(1, "?!")]) == [None, None]


def test_ten_thousand_kept_cost_less_than_five_milliseconds_a_record():
    random = Random(2)
    verbs = [f"verb{n}" for n in range(60)]
    common = "write a the of in to for and list about give me an with your".split()
    vocabulary = common * 20 + verbs * 3 + [f"noun{n}" for n in range(3000)]
    known = Texts(0.7)
    for at in range(10_000):
        known.add(str(at), random.choices(vocabulary, k=random.randint(6, 25)))
    asked = [random.choices(vocabulary, k=random.randint(6, 25)) for _ in range(200)]
    started = time.perf_counter()
    for text in asked:
        known.nearest(text)
    assert (time.perf_counter() - started) / len(asked) < 0.005
