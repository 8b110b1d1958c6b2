import json
import math
import random
import subprocess
import sys
import time
import tracemalloc
from collections import Counter

import numpy as np
import pytest
from test_filters import candidates, make, setting, stream

from textsynth.errors import RecipeError
from textsynth.measure.compression import Compression
from textsynth.measure.diversity import Diversity
from textsynth.measure.growth import Growth
from textsynth.measure.ngrams import DistinctGrams, HashSet, Sample, read, self_bleu, self_repetition
from textsynth.measure.phrases import SLOT, opening, opening_key, skeleton
from textsynth.measure.spread import Coverage, Vendi
from textsynth.text import words

NAMES = ["Ann Lee", "Bob", "Carla Diaz", "Omar", "Wei"]


def prose(count, *, seed=0, vocabulary=400, low=0, high=25):
    """Random texts over a skewed vocabulary: some n-grams repeat, some texts are empty or very short."""
    rng = random.Random(seed)
    weights = [1 / (rank + 1) for rank in range(vocabulary)]
    names = [f"w{number}" for number in range(vocabulary)]
    return [" ".join(rng.choices(names, weights, k=rng.randint(low, high))) for _ in range(count)]


def unit(rng, count, dimension=32):
    vectors = rng.standard_normal((count, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def grams(text, order):
    found = words(text)
    return [tuple(found[start : start + order]) for start in range(len(found) - order + 1)]


def bleu(references, hypothesis):
    """BLEU from the definition (Papineni et al. 2002) with smoothing method 1 of Chen and Cherry (2014)."""
    precisions = []
    for order in range(1, 5):
        counts = Counter(grams(hypothesis, order))
        most = Counter()
        for reference in references:
            most |= Counter(grams(reference, order))
        matched = sum(min(count, most[gram]) for gram, count in counts.items())
        if order == 1 and not matched:
            return 0.0
        precisions.append((matched or 0.1) / max(sum(counts.values()), 1))
    length = len(words(hypothesis))
    closest = min((len(words(reference)) for reference in references), key=lambda n: (abs(n - length), n))
    penalty = 1 if length > closest else math.exp(1 - closest / length)
    return penalty * math.exp(sum(map(math.log, precisions)) / 4)


# measures -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "texts", [prose(80), prose(80, vocabulary=5, high=8), ["a b c d e", "a b c d e", "f"], ["", ""]]
)
def test_self_bleu_is_the_mean_bleu_of_each_text_against_all_others(texts):
    expected = [bleu(texts[:at] + texts[at + 1 :], text) for at, text in enumerate(texts)]
    assert self_bleu(texts) == pytest.approx(sum(expected) / len(texts), abs=1e-9)


def test_self_bleu_needs_two_texts():
    assert self_bleu([]) is None and self_bleu(["only one"]) is None
    assert self_bleu(["the same four words here"] * 3) == pytest.approx(1)


def test_self_repetition_follows_the_definition():
    texts = prose(60, vocabulary=12)
    holders = Counter(gram for text in texts for gram in set(grams(text, 4)))
    expected = [math.log(1 + sum(holders[gram] - 1 for gram in grams(text, 4))) for text in texts]
    assert self_repetition(texts) == pytest.approx(sum(expected) / len(texts))
    assert self_repetition([]) is None


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_distinct_grams_are_counted_exactly(order):
    texts, counted = prose(700), DistinctGrams(order)
    seen = set()
    for start in range(0, len(texts), 64):
        part = texts[start : start + 64]
        fresh = {gram for text in part for gram in grams(text, order)} - seen
        assert counted.add(read(part)) == len(fresh)
        seen |= fresh
    assert counted.exact and counted.distinct == len(seen)
    assert counted.value() == len(seen) / sum(len(grams(text, order)) for text in texts)


def test_distinct_grams_beyond_the_limit_are_estimated_in_bounded_memory():
    exact, estimated = DistinctGrams(2), DistinctGrams(2, most=4096)
    for start in range(0, 6000, 200):
        part = read(prose(200, seed=start, vocabulary=3000))
        exact.add(part)
        estimated.add(part)
    assert exact.distinct > 5 * 4096 and not estimated.exact
    assert len(estimated._held) <= 4096
    assert estimated.distinct == pytest.approx(exact.distinct, rel=4 / math.sqrt(2048))
    assert estimated.total == exact.total


def test_a_hash_set_agrees_with_a_set():
    rng = np.random.default_rng(1)
    ours, theirs = HashSet(), set()
    for _ in range(40):
        values = rng.integers(1, 20_000, 700).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        values = np.concatenate([values, np.array([1, 2**64 - 1], dtype=np.uint64)])
        assert ours.has(values).tolist() == [value in theirs for value in values.tolist()]
        assert ours.add(values) == len(set(values.tolist()) - theirs)
        theirs |= set(values.tolist())
    assert len(ours) == len(theirs)


def test_a_sample_depends_on_order_alone_and_is_spread_over_all_texts():
    texts = [str(number) for number in range(5000)]
    whole, parts = Sample(most=300), Sample(most=300)
    whole.add(texts)
    for start in range(0, 5000, 64):
        parts.add(texts[start : start + 64])
    held = [int(text) for text in whole.texts()]
    assert whole.texts() == parts.texts() and len(held) == 300 and held == sorted(held)
    assert 2200 < np.mean(held) < 2800


def test_vendi_is_the_entropy_of_the_whole_kernel_whatever_the_windows():
    vectors = unit(np.random.default_rng(2), 350)
    values = np.linalg.eigvalsh(vectors.astype(np.float64) @ vectors.T / len(vectors))
    values = values[values > 1e-12]
    whole, parts = Vendi(), Vendi()
    whole.add(vectors)
    for start in range(0, 350, 64):
        parts.add(vectors[start : start + 64])
    assert whole.value() == pytest.approx(math.exp(-(values * np.log(values)).sum()), rel=1e-5)
    assert whole.value() == parts.value() and whole.value() == whole.value()
    pairs = 1 - vectors.astype(np.float64) @ vectors.T
    assert whole.distance() == pytest.approx(pairs.mean(), abs=1e-5)


def test_vendi_of_what_is_all_alike_and_all_different():
    alike, different = Vendi(), Vendi()
    alike.add(np.repeat(np.eye(8, dtype=np.float32)[:1], 20, axis=0))
    different.add(np.eye(8, dtype=np.float32))
    assert alike.value() == pytest.approx(1) and alike.distance() == pytest.approx(0)
    assert different.value() == pytest.approx(8)
    assert Vendi().value() is None and Vendi().distance() is None


def test_coverage_counts_the_clusters_of_the_seeds_that_are_reached():
    rng = np.random.default_rng(3)
    centres = np.eye(32, dtype=np.float32)[:8]

    def near(chosen, count):
        vectors = centres[rng.choice(chosen, count)] + 0.05 * rng.standard_normal((count, 32)).astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    some = Coverage(clusters=8, reference=near(range(8), 400))
    some.add(near([0, 1], 200))
    every = Coverage(clusters=8, reference=near(range(8), 400))
    every.add(near(range(8), 200))
    away = Coverage(clusters=8, reference=near(range(8), 400))
    away.add(np.repeat(np.eye(32, dtype=np.float32)[20:21], 50, axis=0))
    assert some.value().covered == 0.25 and some.value().evenness == pytest.approx(1 / 3, abs=0.02)
    assert every.value().covered == 1 and every.value().evenness > 0.95 and every.value().outside < 0.1
    assert away.value().outside == 1
    assert some.value().fitted_on == "400 seeds"


def test_coverage_without_seeds_is_fitted_on_the_first_records():
    vectors = unit(np.random.default_rng(4), 2300)
    whole, parts = Coverage(), Coverage()
    whole.add(vectors)
    assert parts.value() is None
    for start in range(0, 2300, 64):
        parts.add(vectors[start : start + 64])
        assert start != 640 or parts.value().fitted_on == "704 first records"
    assert whole.value() == parts.value()
    assert whole.value().clusters == 50 and whole.value().fitted_on == "2000 first records"


def test_compression_sees_a_repetition_far_back():
    far = [" ".join(random.Random(number).choices("abcdefgh", k=200)) for number in range(600)]
    once, twice = Compression(), Compression()
    once.add(far)
    twice.add(far + far)
    assert twice.value() > 1.8 * once.value()  # the first copy is 240 kB back, beyond the 32 kB of gzip
    assert once.value() == once.value() and Compression().value() is None


def test_growth_says_when_to_stop():
    growth = Growth()
    assert growth.says().startswith("too few records")
    for point in range(30):
        growth.add(100, 1000, 600 if point < 20 else 10)
    assert growth.says().startswith("levelled off at 2000 records: 1%")
    assert growth.value()["records_a_point"] == 100


def test_a_long_growth_curve_is_thinned():
    growth = Growth()
    while growth.step < 800:
        growth.add(min(growth.room, 64), 10, 4)
    assert len(growth.curve()) == 32
    assert growth.says().startswith("still growing: 40% of the word sequences in the last 800 records")


def test_openings_and_skeletons():
    assert opening('  "As an AI, I can"') == '"As an AI'
    assert opening_key("As an  AI...") == opening_key("as AN ai, yes") != opening_key("As an owl")
    assert opening_key("...") is None and opening("") == ""
    assert (
        skeleton("Dear Ann Lee, your order A-17 of 3 May shipped") == f"Dear {SLOT} your order {SLOT} of {SLOT} shipped"
    )
    assert skeleton("Bob 12 and Ann") == ""
    assert skeleton("Dear Bob your order 99 of 12 June shipped") == f"Dear {SLOT} your order {SLOT} of {SLOT} shipped"


# all together -------------------------------------------------------------------------------------------------------


def test_the_report_does_not_depend_on_how_texts_were_divided_and_is_json():
    texts, vectors = prose(500), unit(np.random.default_rng(5), 500)
    whole, parts = Diversity(), Diversity()
    whole.add(texts, vectors)
    for start in range(0, 500, 37):
        parts.add(texts[start : start + 37], vectors[start : start + 37])
    assert json.loads(json.dumps(whole.report())) == whole.report() == parts.report()
    assert whole.report()["not_measured"] == []
    assert [point["records"] for point in whole.report()["vendi_growth"]] == [100, 200, 400]


def test_what_was_not_measured_is_named():
    report = Diversity().report()
    assert report["records"] == 0 and report["distinct_1"] is None and report["self_bleu"] is None
    assert "vendi, mean_distance, coverage: no embedding model was named" in report["not_measured"]
    assert "vendi" not in report


def test_templated_text_is_seen_and_an_overused_opening_is_named_with_its_ban():
    measured = Diversity()
    measured.add([f"Dear {NAMES[n % 5]}, your order {n} was shipped." for n in range(40)])
    measured.add(prose(60, low=5))
    report = measured.report()
    assert report["templates"]["top"][0]["count"] == 40
    measured.add([f"As an AI model I say {text}" for text in prose(60, seed=9, low=5)])
    overused = measured.report()["openings"]["overused"]
    assert overused == ['38% begin "as an ai"; ban it: sampling: {banned: ["As an AI"]}']


# the filter ---------------------------------------------------------------------------------------------------------


def test_by_default_it_only_measures():
    made = make("diversity")
    assert stream(made, ["the same few words again"] * 130) == [None] * 130
    assert made.measured()["records"] == 130 and made.measured()["openings"]["share_of_top_10"] == 1


def test_novelty_refuses_what_adds_nothing_also_within_a_window():
    made = make("diversity", novelty=0.5, order=2)
    texts = ["one two three four five", "one two three four six", "six five four three two", "hi", "one two three"]
    found = made.check(candidates(texts))
    assert [answer and answer.score for answer in found] == [None, 0.25, None, None, 0.0]
    assert found[1].detail == "0.25 of its 4 runs of 2 words are new (novelty 0.5)"
    made.keep(candidates(texts[2:3]))
    assert [answer and answer.score for answer in made.check(candidates(texts))] == [None, 0.25, 0.0, None, 0.0]


def test_openings_refuses_the_one_that_is_used_too_often():
    made = make("diversity", openings=0.2, after=10)
    texts = [f"word{number} starts here" for number in range(9)] + [f"As an AI, number {n}" for n in range(4)]
    found = made.check(candidates(texts))
    assert found[:11] == [None] * 11  # with the second, 2 of 11 begin so
    assert found[11].detail == '"As an AI" already opens 18.2% of 11 records (openings 0.2)'
    assert found[12].score == found[11].score == pytest.approx(2 / 11)


def test_windows_and_resume_lead_to_the_same_state():
    texts = ["As an AI " * (n % 3 == 0) + text for n, text in enumerate(prose(600, vocabulary=40, high=10))]
    options = {"novelty": 0.3, "order": 2, "openings": 0.05}
    run = make("diversity", **options)
    found = stream(run, texts)
    kept = [item for item, answer in zip(candidates(texts), found, strict=True) if answer is None]
    assert 50 < len(kept) < 550 and {answer.detail.split()[-2] for answer in found if answer} == {
        "(novelty",
        "(openings",
    }
    resumed = make("diversity", **options)
    resumed.keep(kept)
    later = candidates(prose(64, seed=7, vocabulary=40, high=10))
    assert resumed.check(later) == run.check(later) == run.check(later)
    assert resumed.measured() == run.measured()


def test_what_is_found_is_the_same_in_another_process():
    code = (
        "import json; from test_diversity import *; made = make('diversity', novelty=0.3, order=2);"
        "stream(made, prose(200, vocabulary=40)); print(json.dumps(made.measured()))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, cwd=__file__.rpartition("/")[0], check=True
        ).stdout
        for _ in range(2)
    }
    assert len(outputs) == 1 and len(outputs.pop()) > 500


@pytest.mark.parametrize(
    "text",
    ["a" * 1_000_000, "a " * 500_000, "\ud800 word \x00", "\u202eabc", "", "\u0301", "… " * 300_000, "A1" * 500_000,
     "\u0e01" * 1_000_000],
    ids=["one", "words", "surrogate", "rtl", "empty", "mark", "ellipses", "digits", "thai"],
)  # fmt: skip
def test_hostile_strings_take_no_time_and_break_nothing(text):
    made = make("diversity", novelty=0.1, openings=0.9)
    started = time.process_time()
    made.check(candidates([text]))
    made.keep(candidates([text, "and a good one"]))
    assert made.measured()["records"] in {1, 2}
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"novelty": 20}, "novelty must be between 0 and 1, got 20 (did you mean 0.2?)"),
        ({"openings": 0}, "openings must be above 0"),
        ({"openings": -1}, "openings must be between 0 and 1, got -1"),
        ({"order": 0}, "order must be between 1 and 20 words, got 0"),
        ({"after": 0}, "after must be at least 1 record, got 0"),
        ({"model": "http://127.0.0.1:1/v1"}, "no embedding model"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(RecipeError) as found:
        make("diversity", **options)
    assert message in str(found.value)


def test_memory_a_record_stays_within_what_is_stated():
    made = make("diversity")
    made.keep(candidates(prose(100)))
    batch = candidates([f"opening{n} of{n} its{n} own{n}" for n in range(20_000)])
    tracemalloc.start()
    for start in range(0, len(batch), 64):
        made.keep(batch[start : start + 64])
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    grams_and_sample = 4 * 20_000 * 4 * 32 + 4000 * 300
    assert used < 20_000 * 220 + grams_and_sample


def test_fields_can_be_chosen():
    made = make("diversity", fields=["subject"], given=setting())
    made.keep(candidates(["not read at all"]))
    assert made.measured()["records"] == 0
    with pytest.raises(ValueError, match="unknown name"):
        make("diversity", fields=["sobject"])
