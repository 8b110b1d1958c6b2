"""Same meaning in other words is a duplicate; a swapped name, number, order or a negation is a new record."""

import pytest

from textsynth import registry
from textsynth.errors import RecipeError
from textsynth.filters import Setting
from textsynth.filters.semantic_duplicate import agree, concordance
from textsynth.records import Candidate, Draw, Seed
from textsynth.schema import RecordSchema

SCHEMA = RecordSchema({"type": "object", "properties": {"text": {"type": "string"}, "more": {"type": "string"}}})


def make(*, seeds=(), **options):
    made = registry.build(registry.load("filters", "semantic_duplicate", place="filters"), options, place="filters")
    rows = [Seed(n, {"text": text}) for n, text in enumerate(seeds)]
    made.prepare(Setting(SCHEMA, rows, ("text",)))
    return made


def batch(*texts, first=0):
    return [Candidate(Draw(first + n, 0, {}, (), n), {"text": text}) for n, text in enumerate(texts)]


PIN = "How do I change the PIN of my card?"
SAME = "How can I change the PIN of my card?"
OTHER = "When will my new card arrive in the mail?"


def test_the_same_in_other_words_is_dropped_with_its_culprit_and_cosine():
    made = make()
    assert made.check(batch(PIN, OTHER)) == [None, None]
    made.keep(batch(PIN, OTHER))
    same, new = made.check(batch(SAME, "My transfer has not come through yet.", first=7))
    assert new is None and same.culprit == "0" and 0.92 <= same.score <= 1
    assert same.detail.startswith(f"cosine {same.score:.3f} with draw 0, same names and numbers, word order 1.00")


def test_earlier_members_of_the_window_count_unless_they_are_dropped_themselves():
    found = make().check(batch(PIN, SAME, OTHER, SAME))
    assert [drop and drop.culprit for drop in found] == [None, "0", None, "0"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Please send 40 euros to my account.", "Please send 60 euros to my account."),
        ("I met Anna in the town of Leeds.", "I met Maria in the town of Leeds."),
        ("The bank called Peter before Paul arrived.", "The bank called Paul before Peter arrived."),
        ("The card does work in the shop.", "The card does not work in the shop."),
        ("I can pay with the app.", "I can't pay with the app."),
    ],
)
def test_a_swapped_name_number_order_or_negation_is_a_new_record(one, other):
    assert agree(one, other) < 0.9 and agree(other, one) < 0.9
    assert make(threshold=0.5).check(batch(one, other)) == [None, None]


def test_agreement_is_one_for_the_same_words_and_for_none_in_common():
    assert agree(PIN, PIN) == agree(PIN, "Completely different words") == 1
    assert concordance(["a", "b", "c"], ["c", "b", "a"]) == -1
    assert concordance(["a", "b", "c", "d"], ["a", "b", "d", "c"]) == pytest.approx(1 - 2 / 6)
    assert concordance([], ["a"]) == 1


def test_resuming_gives_the_same_answers_and_work_ahead_changes_none():
    made, resumed = make(), make()
    made.keep(batch(PIN, OTHER))
    for item in batch(PIN, OTHER):
        resumed.keep([item])
    later = batch(SAME, "Where is the nearest cash machine?", "", first=9)
    resumed.begin(later)
    assert made.check(later) == resumed.check(later)
    assert resumed.ready(later) and resumed.check(later)[2] is None


def test_the_threshold_can_come_from_the_seeds():
    seeds = [f"{what} {n}?" for n in range(30) for what in ("How do I top up account", "Where is card number")]
    made = make(threshold="seeds", seeds=seeds)
    made.start()
    assert 0.8 < made.measured()["threshold_from_seeds"] <= 1
    with pytest.raises(ValueError, match="seeds needs at least 50 of them to calibrate from, got 2"):
        make(threshold="seeds", seeds=seeds[:2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 92}, "threshold must be between 0 and 1, got 92 (did you mean 0.92?)"),
        ({"order": 2}, "order must be between -1 and 1, got 2"),
        ({"model": "http://host/v1"}, "model: "),
        ({"threshold": "seed"}, "threshold"),
    ],
)
def test_options_that_cannot_work_are_refused(options, message):
    with pytest.raises(RecipeError) as error:
        make(**options)
    assert message in str(error.value)
