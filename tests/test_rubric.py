"""Rubrics: what a judge is asked and held to, what its votes come to, and that agreement is what was published."""

from __future__ import annotations

import json
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textsynth.records import Completion
from textsynth.rubric import (
    Agreement,
    Orders,
    Panel,
    Rubric,
    Scale,
    krippendorff,
    place_figures,
    score_figures,
    written,
    written_schema,
)
from textsynth.schema import RecordSchema, constrain

SCALES = {
    "fit": "it fits",
    "tone": Scale(description="how it sounds", levels=("rude", "plain", "kind"), anchors={3: "warm"}),
}


def rubric(**options):
    return Rubric.of(options.pop("scales", SCALES), **({"form": "scores", "reason": "none"} | options))


def said(step, **answer):
    return Completion(0, step, json.dumps(answer), "stop", tokens=5)


def alpha_by_pairs(units):
    """Krippendorff's alpha as the mean squared difference within units over that of all values, pair by pair."""
    units = [unit for unit in units if len(unit) > 1]
    every = [value for unit in units for value in unit]
    if len(set(every)) < 2:
        return None
    within = sum(sum((a - b) ** 2 for a, b in permutations(unit, 2)) / (len(unit) - 1) for unit in units) / len(every)
    between = sum((a - b) ** 2 for a, b in permutations(every, 2)) / (len(every) * (len(every) - 1))
    return 1 - within / between


# --- agreement -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("observers", "alpha"),
    [
        # Krippendorff 2011, Computing Krippendorff's Alpha-Reliability, data C
        (["123321412...", "1233224125.3", ".3332342251.", "12332441251."], 0.849),
        # the computational example of the English Wikipedia's article on Krippendorff's alpha
        ([".....34121133.3", "1.213343.......", "..21344.21133.4"], 0.811),
    ],
)
def test_alpha_is_that_of_the_published_examples(observers, alpha):
    agreement = Agreement()
    for unit in zip(*observers, strict=True):
        agreement.add([float(value) for value in unit if value != "."])
    assert agreement.figures()["alpha"] == pytest.approx(alpha, abs=0.0006)


@given(st.lists(st.lists(st.integers(1, 5), max_size=5), max_size=12))
def test_alpha_is_that_of_counting_every_pair(units):
    agreement = Agreement()
    for unit in units:
        agreement.add(unit)
    expected = alpha_by_pairs(units)
    found = agreement.figures().get("alpha")
    assert found is None if expected is None else found == pytest.approx(expected, abs=1e-4)


def test_equal_votes_are_the_share_of_equal_pairs():
    agreement = Agreement()
    agreement.add([4, 4, 4])
    agreement.add([1, 1, 4])
    agreement.add([2])
    assert agreement.figures()["equal_votes"] == pytest.approx((6 / 2 + 2 / 2) / 6, abs=1e-4)
    assert Agreement().figures() == {} and krippendorff({(3.0, 3.0): 8}) is None


def test_a_judge_that_always_takes_the_first_place_agrees_with_itself_never():
    orders = Orders()
    for _ in range(4):
        orders.add("first", "first")
    assert orders.figures() == {"orders_agree": 0, "first_place_chosen": 1}
    orders.add("equal", "equal")
    orders.add("second", "first")
    assert orders.figures() == {"orders_agree": pytest.approx(1 / 3, abs=1e-4), "first_place_chosen": 0.9}


# --- rubrics ---------------------------------------------------------------------------------------------------------


def test_the_model_reads_each_scale_with_what_its_scores_mean():
    assert rubric().lines(["tone", "fit"]).splitlines() == [
        "- tone: how it sounds (rude; plain; kind = warm)",
        "- fit: it fits (1 = not at all; 5 = fully)",
    ]
    assert rubric(form="places").lines() == "- fit: it fits\n- tone: how it sounds"


@pytest.mark.parametrize("options", [{}, {"form": "places"}, {"reason": "short"}])
def test_what_decoding_is_held_to_is_enforced_whole_and_keeps_the_order(options):
    text = rubric(**options).schema(["tone", "fit"])
    for backend in ("guidance", "xgrammar", "outlines"):
        decoding = constrain(RecordSchema(json.loads(text)), max_tokens=200, backend=backend)
        assert {finding.status for finding in decoding.findings} <= {"enforced"}
    assert list(json.loads(text)["properties"])[-2:] == ["tone", "fit"]


def test_levels_are_scores_from_one_on():
    judgement = Panel(rubric(), votes=3).judge(
        {0: said(0, fit=4, tone="rude"), 1: said(1, fit=5, tone="kind"), 2: said(2, fit=5, tone="angry")}
    )
    assert judgement.mean("fit") == 4.5 and judgement.mean("tone") == 2 and judgement.usable
    assert judgement.problem.startswith("2 of 3 votes could be read") and "rude, plain, kind" in judgement.problem


@pytest.mark.parametrize(
    ("scale", "words"),
    [
        ({"description": " "}, "must have a description"),
        ({"description": "x", "levels": ("a",)}, "at least two different names"),
        ({"description": "x", "levels": ("a", "a")}, "at least two different names"),
        ({"description": "x", "levels": ("a", "b"), "anchors": {3: "y"}}, "scores of 1 to 2, got 3"),
    ],
)
def test_scales_that_cannot_be_asked_about_are_refused(scale, words):
    with pytest.raises(ValueError, match=words):
        rubric(scales={"x": Scale(**scale)})


def test_each_scale_stands_first_in_some_votes_and_there_are_few_orders():
    panel = Panel(rubric(scales=dict.fromkeys("abc", "good")), votes=1)
    orders = [tuple(panel.order(7, vote)) for vote in range(300)]
    assert {order[0] for order in orders} == set("abc") and len(set(orders)) == 6
    assert min(sum(order[0] == name for order in orders) for name in "abc") > 60
    assert orders == [tuple(panel.order(7, vote)) for vote in range(300)]
    assert len({panel.sampling(7, step).seed for step in range(100)}) == 100


# --- pairs and records -----------------------------------------------------------------------------------------------


def judged_pair(*votes):
    answers = {}
    for at, (forward, backward) in enumerate(votes):
        answers[2 * at] = said(2 * at, fit=forward, tone="equal")
        answers[2 * at + 1] = said(2 * at + 1, fit=backward, tone="equal")
    return Panel(rubric(form="places"), votes=len(votes)).judge(answers)


def test_wins_count_disagreeing_orders_as_ties_and_turn_with_the_pair():
    judgement = judged_pair(("first", "second"), ("first", "first"), ("first", "second"))
    assert judgement.wins == pytest.approx((1 + 0.5 + 1 + 3 * 0.5) / 6)
    assert judgement.turned().wins == pytest.approx(1 - judgement.wins)
    assert judgement.turned().votes[0].places == {"fit": ("second", "first"), "tone": ("equal", "equal")}


def test_what_is_written_fits_its_schema_and_is_read_back_as_figures():
    scores = Panel(rubric(reason="short"), votes=3).judge(
        {at: said(at, rationale=f"r{at}", fit=fit, tone="plain") for at, fit in enumerate((5, 2, 5))}
    )
    told = written(rubric(reason="short"), scores)
    assert told["scores"] == {"fit": 4, "tone": 2} and told["votes"][1] == {"fit": 2, "tone": 2}
    assert RecordSchema(written_schema(rubric(reason="short"))).problems(told) == []
    figures = score_figures([told])
    assert figures["fit"]["mean"] == 4 and figures["fit"]["equal_votes"] == pytest.approx(1 / 3, abs=1e-3)
    assert figures["tone"] == {"mean": 2, "equal_votes": 1.0}

    pair = written(rubric(form="places"), judged_pair(("first", "second"), ("first", "first"), ("second", "first")))
    assert RecordSchema(written_schema(rubric(form="places"))).problems(pair) == []
    figures = place_figures([pair])
    assert figures["orders_agree"] == pytest.approx(5 / 6, abs=1e-3) and figures["first_place_chosen"] == 0.6667
