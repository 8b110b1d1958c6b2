"""The plan depends on the recipe, the seed and earlier verdicts alone; quotas come out exact and the run ends."""

from __future__ import annotations

import itertools
from collections import Counter, deque
from dataclasses import dataclass
from random import Random

import pytest
from conftest import settle
from hypothesis import given, settings
from hypothesis import strategies as st

from textsynth import attributes
from textsynth.judge import Judge
from textsynth.plan import Plan
from textsynth.records import Candidate, Draw, Seed
from textsynth.seeds import SeedPool, SeedSpec
from textsynth.steer import Ended, Steering, acceptance, largest_remainder

QUOTA = {"label": {"a": 50, "b": 30, "c": 20}}


def new_plan(*, records=100, quotas=QUOTA, size=16, lag=3, seed=0, max_uses=None) -> Plan:
    kinds = {"product": ["router", "phone"], "n": {"range": [1, 9]}, "label": ["a", "b", "c"]}
    rows = [Seed(i, {"text": f"row {i}"}) for i in range(20)]
    return Plan(
        seed=seed,
        attributes={name: attributes.read(value) for name, value in kinds.items()},
        seeds=SeedPool(rows, SeedSpec(path="x", shots=2, max_uses=max_uses), ("product",)),
        steering=Steering(records=records, quotas=quotas, size=size, lag=lag),
    )


def accepted(draw: Draw, rates) -> bool:
    """Decide from the draw alone, as a model with a fixed answer per request does."""
    return Random(draw.sampling_seed).random() < rates[draw.attributes["label"]]


@dataclass
class Simulated:
    draws: list[Draw]
    kept: list[Draw]
    most_waiting: int


def simulate(plan: Plan, rates, *, patience: int, quotas=QUOTA, most: int = 10_000) -> Simulated:
    """Run plan and judge against each other; ``patience`` windows are judged only when so many wait, or none can be planned."""
    judge = Judge(filters={}, records=plan.steering.records, quotas=quotas)
    waiting: deque[list[Draw]] = deque()
    made, kept, longest = [], [], 0
    while not judge.complete and len(made) < most:
        window = plan.next_window()
        if window:
            made += window
            waiting.append(window)
            longest = max(longest, len(waiting))
        if waiting and (len(waiting) > patience or not window):
            judged = waiting.popleft()
            candidates = [
                Candidate(d, {"label": d.attributes["label"]} if accepted(d, rates) else None) for d in judged
            ]
            good = [v.candidate for v in settle(judge, candidates) if v.kept]
            plan.steering.judge(judged[0].window, [Ended(c.draw, c.record) for c in good])
            kept += [c.draw for c in good]
        elif not window:
            raise AssertionError("nothing planned, nothing waiting, and not complete")
    return Simulated(made, kept, longest)


def test_the_same_seed_gives_the_same_plan_and_another_seed_another():
    def first(seed):
        plan = new_plan(seed=seed)
        return [d for _ in range(3) for d in plan.next_window()]

    assert first(7) == first(7)
    assert first(7) != first(8)


def test_draws_are_numbered_in_order_and_their_sampling_seeds_differ():
    plan = new_plan()
    draws = [d for _ in range(3) for d in plan.next_window()]
    assert [d.index for d in draws] == list(range(48))
    assert [d.window for d in draws] == [0] * 16 + [1] * 16 + [2] * 16
    assert len({d.sampling_seed for d in draws}) == 48
    assert all(0 <= d.sampling_seed < 2**31 for d in draws)


def test_a_draw_does_not_depend_on_the_window_it_falls_into():
    small, large = new_plan(size=4, quotas={}), new_plan(size=16, quotas={})
    some = [d for _ in range(4) for d in small.next_window()]
    assert [(d.index, d.attributes, d.sampling_seed) for d in some] == [
        (d.index, d.attributes, d.sampling_seed) for d in large.next_window()
    ]


@pytest.mark.parametrize("lag", [1, 2, 5, 200])
@pytest.mark.parametrize("rates", [{"a": 0.9, "b": 0.9, "c": 0.3}, {"a": 0.2, "b": 0.5, "c": 1.0}])
def test_the_plan_does_not_depend_on_when_verdicts_arrive(lag, rates):
    runs = [simulate(new_plan(lag=lag), rates, patience=patience) for patience in (0, 1, 3, 10**6)]
    for other in runs[1:]:
        shared = min(len(runs[0].draws), len(other.draws))
        assert other.draws[:shared] == runs[0].draws[:shared]
        assert other.kept == runs[0].kept


@pytest.mark.parametrize("lag", [1, 3])
def test_no_more_windows_are_under_way_than_the_lag_allows(lag):
    plan = new_plan(records=1000, quotas={"label": {"a": 1000}}, lag=lag)
    windows = 0
    while plan.next_window():
        windows += 1
    assert windows == lag + 1
    plan.steering.judge(1, [])
    assert plan.next_window() == [], "verdicts count in order"
    plan.steering.judge(0, [])
    assert plan.next_window()[0].window == lag + 1


@pytest.mark.parametrize("patience", [0, 2, 100])
@pytest.mark.parametrize(
    "rates", [{"a": 1, "b": 1, "c": 1}, {"a": 0.9, "b": 0.9, "c": 0.3}, {"a": 0.3, "b": 0.9, "c": 0.05}]
)
def test_quotas_are_exact_at_the_end_whatever_each_value_is_accepted_at(rates, patience):
    done = simulate(new_plan(), rates, patience=patience)
    assert Counter(d.attributes["label"] for d in done.kept) == QUOTA["label"]
    ideal = sum(count / rates[value] for value, count in QUOTA["label"].items())
    assert len(done.draws) < 1.6 * ideal + 16 * 4, "not far more draws than the acceptance makes necessary"


def test_two_quotas_are_exact_together():
    both = {"label": {"a": 60, "b": 40}, "product": {"router": 50, "phone": 50}}
    plan = new_plan(quotas=both)
    judge = Judge(filters={}, records=100, quotas=both)
    kept = []
    for _ in range(500):
        if judge.complete:
            break
        window = plan.next_window()
        verdicts = settle(judge, [Candidate(d, dict(d.attributes)) for d in window])
        good = [v.candidate.record for v in verdicts if v.kept]
        plan.steering.judge(window[0].window, [Ended(d, r) for d, r in zip(window, good, strict=False)])
        kept += good
    assert {name: Counter(r[name] for r in kept) for name in both} == both


def test_without_losses_no_draw_is_made_too_many():
    done = simulate(new_plan(), {"a": 1, "b": 1, "c": 1}, patience=0)
    assert len(done.draws) == 100


@settings(max_examples=60, deadline=None)
@given(
    records=st.integers(1, 200),
    size=st.integers(1, 64),
    lag=st.integers(1, 12),
    patience=st.integers(0, 15),
    rate=st.floats(0.05, 1),
)
def test_planning_always_comes_to_its_end(records, size, lag, patience, rate):
    plan = new_plan(records=records, quotas={}, size=size, lag=lag)
    done = simulate(plan, dict.fromkeys("abc", rate), patience=patience, quotas={}, most=200_000)
    assert len(done.kept) == records
    assert all(count <= size for count in Counter(d.window for d in done.draws).values())
    assert done.most_waiting <= max(lag + 1, 1)


def test_seeds_that_are_used_up_end_the_plan():
    plan = new_plan(max_uses=1, quotas={})
    draws = []
    while window := plan.next_window():
        draws += window
    assert len(draws) == 10
    assert max(Counter(s.id for d in draws for s in d.seeds).values()) == 1


def test_a_limit_of_draws_is_never_passed():
    plan, left = new_plan(), 20
    while window := plan.next_window(left):
        left -= len(window)
    assert left == 0


def test_a_restored_plan_goes_on_with_the_same_draws():
    whole, resumed = new_plan(max_uses=3), new_plan(max_uses=3)
    rates = {"a": 0.5, "b": 0.9, "c": 0.7}
    for _ in range(2):
        window = whole.next_window()
        resumed.steering.next_size()
        resumed.restore(window)
        kept = [Ended(d, {"label": d.attributes["label"]}) for d in window if accepted(d, rates)]
        for plan in (whole, resumed):
            plan.steering.judge(window[0].window, kept)
    for _ in range(3):
        assert resumed.next_window() == whole.next_window()


# --- the numbers -----------------------------------------------------------------------------------------------------

shares = st.dictionaries(st.integers(), st.floats(0.001, 1000), min_size=1, max_size=12)


@given(shares, st.integers(0, 5000))
def test_largest_remainder_adds_up_and_is_never_off_by_one(wanted, total):
    counts = largest_remainder(wanted, total)
    whole = sum(wanted.values())
    assert list(counts) == list(wanted) and sum(counts.values()) == total
    assert all(abs(counts[v] - share / whole * total) < 1 + 1e-6 for v, share in wanted.items())


@given(shares, st.integers(0, 500))
def test_a_larger_share_never_gets_less(wanted, total):
    counts = largest_remainder(wanted, total)
    ranked = sorted(wanted, key=wanted.__getitem__)
    assert all(counts[low] <= counts[high] for low, high in itertools.pairwise(ranked) if wanted[low] < wanted[high])


def test_ties_go_to_the_earlier_value():
    assert largest_remainder({"x": 1, "y": 1, "z": 1}, 4) == {"x": 2, "y": 1, "z": 1}
    assert largest_remainder({"x": 0, "y": 3}, 3) == {"x": 0, "y": 3}


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_acceptance_is_a_share_that_can_be_divided_by(kept, dropped):
    assert 0.02 <= acceptance(kept, kept + dropped) <= 1


def test_values_that_look_alike_have_quotas_of_their_own():
    wanted = {"v": {1: 5, "1": 5}}
    judge = Judge(filters={}, records=10, quotas=wanted)
    batch = [Candidate(Draw(i, 0, {}, (), i), {"v": 1 if i < 7 else "1"}) for i in range(12)]
    kept = [v.candidate.record["v"] for v in settle(judge, batch) if v.kept]
    assert kept.count(1) == 5 and kept.count("1") == 5
