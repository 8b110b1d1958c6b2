"""Verdicts: every drop has a reason and a culprit that stands, quotas are a gate, a broken filter costs only what it breaks on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from conftest import Oracle, settle

from textsynth.filters import Filter, drop
from textsynth.judge import FIRST_STEP, Hearing, Judge
from textsynth.records import Candidate, Completion, Draw, Drop, Edit


def candidate(index: int, record: dict[str, Any] | None, failure: Drop | None = None) -> Candidate:
    return Candidate(Draw(index, 0, {}, (), index), record, failure)


def batch(*texts: str) -> list[Candidate]:
    return [candidate(i, {"text": text}) for i, text in enumerate(texts)]


@dataclass
class Repeats(Filter):
    """Drops a text whose first letter was kept before or stands earlier in the batch."""

    def __post_init__(self) -> None:
        self.kept: dict[str, int] = {}

    def check(self, batch: Sequence[Candidate]) -> list[Drop | None]:
        first: dict[str, int] = {}
        found: list[Drop | None] = []
        for item in batch:
            letter = item.record["text"][0]
            known = self.kept.get(letter, first.get(letter))
            first.setdefault(letter, item.draw.index)
            found.append(None if known is None else drop("same letter", score=1.0, culprit=str(known)))
        return found

    def keep(self, batch: Sequence[Candidate]) -> None:
        for item in batch:
            self.kept.setdefault(item.record["text"][0], item.draw.index)


@dataclass
class Bad(Filter):
    """Drops texts with an exclamation mark."""

    def check(self, batch: Sequence[Candidate]) -> list[Drop | None]:
        return [drop("shouted") if "!" in item.record["text"] else None for item in batch]


@dataclass
class Answers(Filter):
    """Answers whatever a function says."""

    say: Callable[[Sequence[Candidate]], Any]

    def check(self, batch: Sequence[Candidate]) -> Any:
        return self.say(batch)


def judge(*, records: int = 100, quotas: Any = None, **filters: Filter) -> Judge:
    return Judge(filters=filters, records=records, quotas=quotas or {})


def reasons(verdicts) -> list[str]:
    return [v.drop.reason if v.drop else "kept" for v in verdicts]


def test_every_candidate_gets_one_verdict_in_order():
    items = [candidate(3, None, Drop("truncated", "cut")), *batch("a!", "b"), candidate(9, None)]
    verdicts = settle(judge(bad=Bad()), items)
    assert [v.candidate for v in verdicts] == items
    assert reasons(verdicts) == ["truncated", "bad", "kept", "no_record"]
    assert verdicts[0].drop.detail == "cut" and verdicts[1].drop.detail == "shouted"


def test_the_first_filter_that_objects_gives_the_reason():
    assert reasons(settle(judge(bad=Bad(), repeats=Repeats()), batch("a", "a!"))) == ["kept", "bad"]
    assert reasons(settle(judge(repeats=Repeats(), bad=Bad()), batch("a", "a!"))) == ["kept", "repeats"]


def test_a_filter_may_name_its_own_reason():
    own = Answers(lambda items: [Drop("policy", "no") for _ in items])
    assert reasons(settle(judge(own=own), batch("a"))) == ["policy"]


def test_a_candidate_whose_culprit_a_later_filter_drops_is_judged_again():
    verdicts = settle(judge(repeats=Repeats(), bad=Bad()), batch("a!", "ab", "ac"))
    assert reasons(verdicts) == ["bad", "kept", "repeats"]
    assert verdicts[2].drop.culprit == "1", "the culprit stands in the dataset"


def test_a_chain_of_dropped_culprits_ends_with_the_first_that_stands():
    verdicts = settle(judge(repeats=Repeats(), bad=Bad()), batch("a1!", "a2!", "a3!", "a4", "a5", "b"))
    assert reasons(verdicts) == ["bad", "bad", "bad", "kept", "repeats", "kept"]
    assert verdicts[4].drop.culprit == "3"


def test_a_culprit_beyond_its_quota_is_no_culprit():
    made = judge(quotas={"label": {"x": 0, "y": 2}}, repeats=Repeats())
    items = [candidate(0, {"text": "a", "label": "x"}), candidate(1, {"text": "a", "label": "y"})]
    assert reasons(settle(made, items)) == ["quota", "kept"]


def test_what_was_kept_before_is_remembered_and_restored():
    made, resumed = judge(repeats=Repeats()), judge(repeats=Repeats())
    kept = [v.candidate for v in settle(made, batch("a", "b")) if v.kept]
    resumed.restore(kept)
    later = [candidate(5, {"text": "bc"}), candidate(6, {"text": "c"})]
    assert settle(resumed, later) == settle(made, later)
    assert resumed.kept == made.kept == 3


def test_filters_that_only_blame_each_other_come_to_an_end():
    others = {0: "1", 1: "0", 2: "2"}
    blame = Answers(lambda items: [drop("x", culprit=others[i.draw.index]) for i in items])
    assert reasons(settle(judge(blame=blame), batch("a", "b", "c"))) == ["blame"] * 3


def test_quotas_are_a_gate_and_nothing_passes_a_full_one():
    made = judge(records=3, quotas={"label": {"x": 1, "y": 2}})
    labels = ["x", "x", "y", "z", "y", "y"]
    verdicts = settle(made, [candidate(i, {"label": value}) for i, value in enumerate(labels)])
    assert reasons(verdicts) == ["kept", "quota", "kept", "quota", "kept", "surplus"]
    assert "label = 'x'" in verdicts[1].drop.detail
    assert made.complete and made.kept == 3


def test_true_and_one_are_different_quota_values():
    made = judge(records=2, quotas={"v": {True: 1, 0: 1}})
    assert reasons(settle(made, [candidate(0, {"v": 1}), candidate(1, {"v": True}), candidate(2, {"v": 0})])) == [
        "quota",
        "kept",
        "kept",
    ]


def test_what_comes_after_the_last_record_is_surplus():
    made = judge(records=2)
    assert reasons(settle(made, batch("a", "b", "c"))) == ["kept", "kept", "surplus"]
    assert reasons(settle(made, [candidate(7, {"text": "d"})])) == ["surplus"]


# --- broken filters --------------------------------------------------------------------------------------------------


def raises_on_x(items):
    return [None for item in items if not 1 // ("x" not in item.record["text"])] or [None] * len(items)


@pytest.mark.parametrize(
    ("say", "expected"),
    [
        pytest.param(raises_on_x, ["kept", "filter_error", "kept", "kept"], id="raises on one"),
        pytest.param(
            lambda items: [
                drop("bad") if "y" in i.record["text"] else None for i in items if "x" not in i.record["text"]
            ],
            ["kept", "filter_error", "own", "kept"],
            id="no answer for one",
        ),
        pytest.param(lambda items: [None], ["kept"] * 4, id="one answer whatever is asked"),
        pytest.param(lambda items: [], ["filter_error"] * 4, id="no answers"),
        pytest.param(lambda items: None, ["filter_error"] * 4, id="None"),
        pytest.param(lambda items: 1 / 0, ["filter_error"] * 4, id="always raises"),
        pytest.param(lambda items: [True for _ in items], ["filter_error"] * 4, id="answers of another kind"),
        pytest.param(
            lambda items: (
                1 / 0 if len(items) > 1 else [drop("odd") if "y" in i.record["text"] else None for i in items]
            ),
            ["kept", "kept", "own", "kept"],
            id="breaks on batches, answers one by one",
        ),
    ],
)
def test_a_broken_filter_costs_only_the_candidates_it_breaks_on(say, expected):
    verdicts = settle(judge(own=Answers(say)), batch("a", "x", "y", "z"))
    assert reasons(verdicts) == expected
    for verdict in verdicts:
        if verdict.drop and verdict.drop.reason == "filter_error":
            assert verdict.drop.detail.startswith("Answers: ")


def test_other_filters_still_judge_what_a_broken_one_leaves():
    verdicts = settle(judge(own=Answers(raises_on_x), bad=Bad()), batch("a!", "x", "b"))
    assert reasons(verdicts) == ["bad", "filter_error", "kept"]
    assert "ZeroDivisionError" in verdicts[1].drop.detail


# edits, questions, slow work, cost ------------------------------------------------------------------------------------


def test_an_edited_record_goes_on_changed_and_the_filters_after_it_see_the_change():
    seen: list[str] = []

    def shorten(items):
        return [Edit({"text": item.record["text"][0]}, "shortened") for item in items]

    def look(items):
        seen.extend(item.record["text"] for item in items)
        return [None] * len(items)

    items = batch("abc", "def")
    verdicts = settle(judge(cut=Answers(shorten), look=Answers(look)), items)
    assert seen == ["a", "d"] and [v.candidate.record["text"] for v in verdicts] == ["a", "d"]
    assert [v.remarks for v in verdicts] == [("cut: shortened",)] * 2
    assert items[0].record == {"text": "abc"}, "what was handed in is as it was"


def test_what_is_remembered_is_the_edited_record():
    made = judge(cut=Answers(lambda items: [Edit({"text": "z"}, "same") for _ in items]), repeats=Repeats())
    assert reasons(settle(made, batch("a", "b"))) == ["kept", "repeats"]
    assert reasons(settle(made, [candidate(9, {"text": "c"})])) == ["repeats"]


def test_questions_are_asked_once_per_window_and_answers_reach_the_filter_by_its_own_steps():
    made = judge(bad=Bad(), oracle=Oracle(), repeats=Repeats())
    hearing = Hearing(made.judge(batch("a", "b!", "c")))
    questions = hearing.proceed()
    assert [(q.draw, q.step) for q in questions] == [(0, 2 * FIRST_STEP), (2, 2 * FIRST_STEP)]
    assert [name for name, _ in made.addressed(questions)] == ["oracle", "oracle"]
    assert hearing.proceed() == [] and hearing.verdicts is None, "one answer is missing"
    hearing.answer(Completion(0, 2 * FIRST_STEP, "no", "stop"))
    hearing.answer(Completion(7, 0, "never asked", "stop"))
    assert hearing.proceed() == [] and hearing.verdicts is None
    hearing.answer(Completion(2, 2 * FIRST_STEP, "yes", "stop"))
    assert hearing.proceed() == []
    assert reasons(hearing.verdicts) == ["oracle", "bad", "kept"]


def test_a_candidate_judged_again_is_not_asked_about_again():
    made = judge(oracle=Oracle(), repeats=Repeats(), bad=Bad())
    hearing = Hearing(made.judge(batch("a!", "ab")))
    for question in hearing.proceed():
        hearing.answer(Completion(question.draw, question.step, "yes", "stop"))
    assert hearing.proceed() == []
    assert reasons(hearing.verdicts) == ["bad", "kept"], "the second is judged again without its culprit"


@dataclass
class Slow(Answers):
    """Is ready only after it was asked twice."""

    asked: int = 0

    def begin(self, batch: Sequence[Candidate]) -> None:
        self.asked = 0

    def ready(self, batch: Sequence[Candidate]) -> bool:
        self.asked += 1
        return self.asked > 2


def test_slow_work_is_waited_for_and_a_filter_that_cannot_say_is_not():
    made, items = judge(slow=Slow(lambda items: [None] * len(items))), batch("a")
    made.begin(items)
    assert [made.ready(items) for _ in range(3)] == [False, False, True]

    @dataclass
    class Broken(Slow):
        def ready(self, batch: Sequence[Candidate]) -> bool:
            raise RuntimeError("no idea")

    assert judge(broken=Broken(lambda items: [None] * len(items))).ready(items)
    assert made.ready([candidate(0, None)]), "nothing to judge, nothing to wait for"


def test_the_report_counts_what_each_filter_did():
    made = judge(bad=Bad(), cut=Answers(lambda items: [Edit(item.record, "seen") for item in items]))
    settle(made, batch("a", "b!", "c"))
    found = made.report()
    assert {name: (c["checked"], c["dropped"], c["edited"]) for name, c in found.items()} == {
        "bad": (3, 1, 0),
        "cut": (2, 0, 2),
    }
    assert all(c["seconds"] > 0 and c["measured"] == {} for c in found.values())
