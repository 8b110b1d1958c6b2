"""What texts share with sources is what a comparison word by word gives."""

from __future__ import annotations

import random
import time

import numpy as np
import pytest

from textsynth.minhash import hash_words
from textsynth.passages import Nearest, Passages, Postings, Sample, Source, read_sources, shared_grams, shingle_sets

WORDS = [f"w{number}" for number in range(12)]  # few, so that texts share passages by chance


def random_texts(rng, count, longest=40):
    return [" ".join(rng.choices(WORDS, k=rng.randint(0, longest))) for _ in range(count)]


def grams(text, n):
    words = text.split()
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def longest_common(one, other):
    """Return the length of the longest common run of words (dynamic programming)."""
    one, other = one.split(), other.split()
    best, row = 0, [0] * (len(other) + 1)
    for word in one:
        row = [0] + [row[j] + 1 if word == other[j] else 0 for j in range(len(other))]
        best = max([best, *row])
    return best


@pytest.mark.parametrize("span", [2, 3, 5])
def test_the_longest_passage_is_the_longest_common_run_of_words(span):
    rng = random.Random(span)
    sources, texts = random_texts(rng, 40), random_texts(rng, 60)
    for text, found in zip(texts, Passages(span, sources).find(texts), strict=True):
        lengths = [longest_common(text, source) for source in sources]
        enough = [
            length if length >= max(min(span, len(text.split()), len(source.split())), span) else 0
            for length, source in zip(lengths, sources, strict=True)
        ]
        if max(enough) == 0:
            assert found is None
        else:
            assert (found.words, found.id) == (max(enough), enough.index(max(enough)))
            quote = " ".join(text.split()[found.start : found.start + found.words])
            assert quote in sources[found.id]


def test_a_passage_never_runs_over_the_end_of_a_source():
    words = [f"v{number}" for number in range(40)]
    found = Passages(20, [" ".join(words[:10]), " ".join(words[10:])]).find([" ".join(words)])[0]
    assert (found.id, found.start, found.words) == (1, 10, 30)


@pytest.mark.parametrize("n", [3, 4, 6])
def test_the_share_of_shared_grams_is_the_share_of_all_that_stand_in_any_source(n):
    rng = random.Random(n)
    sources, texts = random_texts(rng, 15, 25), random_texts(rng, 60, 20)
    texts = [f"{text} {sources[row % 15]} {text}" if row % 2 else text for row, text in enumerate(texts)]
    known = {gram for source in sources for gram in grams(source, n)}
    passages, words = Passages(3, sources), hash_words(texts)
    expected = [np.mean([gram in known for gram in grams(text, n)]) if grams(text, n) else 0 for text in texts]
    assert shared_grams(passages.runs(words), words, n) == pytest.approx(expected)
    assert 0.05 < np.mean(expected) < 0.95


def shingles(text):
    orders = (1, 2, 3) if len(text.split()) < 5 else (3,)
    return {gram for order in orders for gram in grams(text, order)}


def test_the_nearest_source_is_the_one_of_the_highest_jaccard_similarity_and_of_equals_the_first():
    rng = random.Random(7)
    sources, texts = random_texts(rng, 80, 12), random_texts(rng, 120, 12)
    nearest = Nearest()
    for start in range(0, 80, 16):
        nearest.add(hash_words(sources[start : start + 16]))
    found = nearest.find(hash_words(texts))
    for text, number, score in zip(texts, found.ids, found.scores, strict=True):
        scores = [len(shingles(text) & shingles(s)) / max(len(shingles(text) | shingles(s)), 1) for s in sources]
        assert score == pytest.approx(max(scores))
        assert number == (scores.index(max(scores)) if max(scores) else -1)


def test_shingle_sets_have_no_shingle_twice():
    hashes, rows = shingle_sets(hash_words(["a a a a a a b", "a a a a a a b", "", "a"]))
    assert len(set(hashes[rows == 0])) == 2 and set(hashes[rows == 0]) == set(hashes[rows == 1])
    assert rows.tolist() == [0, 0, 1, 1, 3]


def test_sources_are_numbered_in_order_and_those_with_the_same_words_count_once():
    texts = ["One two", "", "one, TWO!", "three", *(f"text {number}" for number in range(600))]
    nearest = Nearest()
    names = read_sources((Source("a" if row < 4 else "b.csv", row, t) for row, t in enumerate(texts)), [nearest])
    assert len(names) == len(nearest) == 602 and names.counts() == {"a": 2, "b.csv": 600}
    found = nearest.find(hash_words(["one two", "three", "text 599"]))
    assert [names.name(number) for number in found.ids] == ["a:0", "a:3", "b.csv:603"]


def test_the_distances_among_sources_leave_each_out_of_its_own_comparison():
    texts = ["a b c d e f", "a b c d e x", "p q r s t u", "nothing like it at all"]
    for size, expected in ((10, [0.4, 0.4, 1.0, 1.0]), (0, [])):
        nearest, sample = Nearest(), Sample(size)
        read_sources([Source("seed", row, text) for row, text in enumerate(texts)], [nearest, sample])
        assert sorted(sample.distances(nearest)) == pytest.approx(expected)


def test_a_sample_has_the_size_asked_for_and_every_source_may_be_in_it():
    numbers = set()
    for seed in range(30):
        sample = Sample(20, seed=seed)
        sample.add(hash_words([f"word {number}" for number in range(100)]))
        assert len(sample._kept) == 20
        numbers |= {number for number, _ in sample._kept.values()}
    assert len(numbers) > 95


def test_a_million_entries_take_12_bytes_each_and_a_table_of_at_most_9():
    postings, rng = Postings(), np.random.default_rng(1)
    keys = rng.integers(0, 2**64, 1_000_000, dtype=np.uint64)
    postings.add(keys, np.arange(1_000_000))
    asked, found = postings.meet(keys[::1000], np.arange(1000))
    assert found.tolist() == list(range(0, 1_000_000, 1000)) and asked.tolist() == list(range(1000))
    assert postings._keys.nbytes + postings._values.nbytes == 12_000_000 and postings._seen.nbytes <= 9_000_000


def test_one_word_repeated_a_hundred_thousand_times_on_both_sides_takes_bounded_time():
    text = "same " * 100_000  # 10**10 pairs of places
    passages = Passages(13, [text])
    began = time.perf_counter()
    passages.find([text])
    assert time.perf_counter() - began < 3
