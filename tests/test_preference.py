"""The method preference: who wins is decided in both orders, ties and useless answers are reasons, the known order is used."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

import textsynth as ts
from textsynth import recipes, registry
from textsynth.assemble import assemble
from textsynth.errors import RecipeError
from textsynth.methods.preference import Preference
from textsynth.recipe import read
from textsynth.records import Completion, Draw, Request, Seed

TASK = "Name three rivers of France."
GOOD = "The Seine, the Loire and the Rhone are rivers of France."
WORSE = "There are some rivers there, I suppose."
TWO = [{"name": "good"}, {"name": "other", "temperature": 1.2}]
BUILT = [{"name": "good"}, {"name": "bad", "degrade": "vague"}]


def method(**options):
    """The method as a recipe makes it."""
    engine, repairs = options.pop("engine", {}), options.pop("repairs", 0)
    made = {
        "model": "scripted",
        "records": 4,
        "attributes": {"instruction": [TASK]},
        "method": {"preference": options},
        "filters": [],
        "repairs": repairs,
        "engine": engine,
    }
    return assemble(read(made)).method


def play(made: Preference, answer: Callable[[Request], str | Completion], draw: Draw | None = None):
    """Run one draw on the answers of a function; return the candidate and all requests."""
    steps = made.run(draw or Draw(3, 0, {"instruction": TASK}, (), 77))
    asked: list[Request] = []
    try:
        request = next(steps)
        while True:
            asked.append(request)
            said = answer(request)
            done = (
                said if isinstance(said, Completion) else Completion(request.draw, request.step, said, "stop", tokens=7)
            )
            request = steps.send(done)
    except StopIteration as stop:
        return stop.value, asked


def fixed(*texts: str, judge: Callable[[str, str], str] = lambda first, second: "equal"):
    """Answers in turn; a judge that sees both texts."""
    left = list(texts)

    def answer(request: Request) -> str:
        if request.schema is None:
            return left.pop(0)
        text = request.messages[-1]["content"]
        first, second = (text.split(f"<{tag}>\n")[1].split(f"\n</{tag}>")[0] for tag in ("first", "second"))
        return json.dumps(dict.fromkeys(json.loads(request.schema)["properties"], judge(first, second)))

    return answer


def prefers(*order: str) -> Callable[[str, str], str]:
    return lambda first, second: "first" if order.index(first) < order.index(second) else "second"


# --- judged ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("texts", [(GOOD, WORSE), (WORSE, GOOD)])
def test_the_answer_that_wins_in_both_orders_is_chosen_whichever_came_first(texts):
    candidate, asked = play(method(answers=TWO), fixed(*texts, judge=prefers(GOOD, WORSE)))
    record = candidate.record
    assert (record["prompt"], record["chosen"], record["rejected"], record["margin"]) == (TASK, GOOD, WORSE, 1.0)
    ways = ["good", "other"] if texts[0] == GOOD else ["other", "good"]
    assert [record["chosen_way"], record["rejected_way"]] == ways
    assert record["judgement"]["votes"] == [{"scale": "helpful", "forward": "first", "backward": "second"}]
    answers, judged = asked[:2], asked[2:]
    assert [request.sampling.temperature for request in answers] == [1.0, 1.2]
    assert len(judged) == 2 and len({request.step for request in asked}) == 4
    assert len({request.sampling.seed for request in asked}) == 4


@pytest.mark.parametrize("place", ["first", "second", "equal"])
def test_a_judge_that_looks_at_the_place_alone_makes_a_tie(place):
    candidate, _ = play(method(answers=TWO), fixed(GOOD, WORSE, judge=lambda first, second: place))
    assert candidate.record is None and candidate.failure.reason == "tie" and candidate.failure.score == 0


def test_the_margin_is_wins_less_losses_over_votes_and_scales():
    places = iter(
        ["first", "second", "first", "first", "second", "first"]
    )  # a win, a tie, a loss; and again, and a win
    made = method(answers=TWO, votes=3)
    candidate, _ = play(made, fixed(GOOD, WORSE, judge=lambda a, b: next(places)))
    assert candidate.failure.reason == "tie"
    places = iter(["first", "second", "first", "first", "first", "second"])
    candidate, _ = play(made, fixed(GOOD, WORSE, judge=lambda a, b: next(places)))
    assert candidate.record["margin"] == pytest.approx(2 / 3, abs=1e-3)
    places = iter(["first", "second", "first", "first", "first", "second"])
    candidate, _ = play(method(answers=TWO, votes=3, least=0.7), fixed(GOOD, WORSE, judge=lambda a, b: next(places)))
    assert candidate.failure.reason == "tie" and "least is 0.7" in candidate.failure.detail


def test_of_more_answers_the_one_with_most_wins_stands_against_the_one_with_fewest():
    texts = ["a plain answer here", "quite another one", "something else again", "and the last text"]
    ways = [{"name": name} for name in "wxyz"]
    order = [texts[2], texts[0], texts[3], texts[1]]
    candidate, asked = play(method(answers=ways), fixed(*texts, judge=prefers(*order)))
    assert (candidate.record["chosen"], candidate.record["rejected"]) == (order[0], order[-1])
    assert (candidate.record["chosen_way"], candidate.record["rejected_way"]) == ("y", "x")
    assert len([request for request in asked if request.schema]) == 2 * 6
    candidate, asked = play(method(answers=ways, pairs=2), fixed(*texts, judge=prefers(*order)))
    assert len([request for request in asked if request.schema]) == 2 * 2
    assert order.index(candidate.record["chosen"]) < order.index(candidate.record["rejected"])


def test_scores_make_a_pair_of_the_best_and_the_worst():
    def answer(request):
        if request.schema is None:
            return GOOD if request.step < 100 else WORSE
        return json.dumps({"helpful": 2 if WORSE in request.messages[-1]["content"] else 5})

    candidate, asked = play(method(answers=TWO, by="scores"), answer)
    assert (candidate.record["chosen"], candidate.record["margin"]) == (GOOD, 0.75)
    assert candidate.record["judgement"]["rejected"] == {"scores": {"helpful": 2.0}, "votes": [{"helpful": 2}]}
    assert len(asked) == 4
    candidate, _ = play(
        method(answers=TWO, by="scores"), lambda r: '{"helpful": 3}' if r.schema else GOOD[: r.step + 30]
    )
    assert candidate.failure.reason == "tie"


def test_a_judgement_that_cannot_be_read_is_a_reason():
    candidate, _ = play(method(answers=TWO), lambda r: "no" if r.schema else [GOOD, WORSE][r.step // 100])
    assert candidate.failure.reason == "judgement_broken" and "no JSON" in candidate.failure.detail


# --- by construction -------------------------------------------------------------------------------------------------


def test_by_construction_the_degraded_answer_is_rejected_unasked():
    candidate, (first, second) = play(method(answers=BUILT, by="construction"), fixed(GOOD, WORSE))
    record = candidate.record
    assert (record["chosen"], record["rejected"], record["margin"]) == (GOOD, WORSE, 1.0)
    assert (record["chosen_way"], record["rejected_way"]) == ("good", "bad") and "judgement" not in record
    assert first.messages[-1]["content"].strip() == TASK
    assert GOOD in second.messages[-1]["content"] and "vague" in second.messages[-1]["content"]


def test_by_construction_every_kind_of_degrading_has_its_turn():
    ways = [{}, {"degrade": "vague"}, {"degrade": "rude"}, {"degrade": "wrong_detail"}]
    made = method(answers=ways, by="construction")
    kinds = [
        play(made, fixed(GOOD, WORSE), Draw(i, 0, {"instruction": TASK}, (), i))[0].record["rejected_way"]
        for i in range(60)
    ]
    assert set(kinds) == {"degrade vague", "degrade rude", "degrade wrong_detail"}
    assert min(map(kinds.count, set(kinds))) > 8


@pytest.mark.parametrize(
    ("judge", "reason"),
    [
        (prefers(GOOD, WORSE), None),
        (prefers(WORSE, GOOD), "judgement_disagrees"),
        (lambda first, second: "first", "tie"),
    ],
)
def test_with_both_the_judge_must_agree_with_the_construction(judge, reason):
    candidate, _ = play(method(answers=BUILT, by="both"), fixed(GOOD, WORSE, judge=judge))
    assert (candidate.failure.reason if candidate.failure else None) == reason


# --- answers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        ("  ", "empty_answer"),
        ("I'm sorry, but I can't help with that.", "refused_answer"),
        (GOOD.upper(), "equal_answers"),
        (Completion(3, 100, "It is a long", "length", tokens=9), "cut_answer"),
        (Completion(3, 100, "", "error", error="down"), "engine_error"),
    ],
)
def test_an_answer_that_is_of_no_use_is_a_reason(second, reason):
    candidate, _ = play(method(answers=TWO), lambda r: GOOD if r.step == 0 else second)
    assert candidate.record is None and candidate.failure.reason == reason


@pytest.mark.parametrize(
    ("degrade", "text", "reason"),
    [
        ("shorten", GOOD + " And many more.", "not_degraded"),
        ("shorten", "The Seine.", None),
        ("off_topic", GOOD.replace("Rhone", "Oise").replace("Seine", "Lot"), "not_degraded"),
        ("wrong_detail", GOOD.replace("Rhone", "Rhine"), None),
        ("wrong_detail", GOOD, "equal_answers"),
    ],
)
def test_a_degraded_answer_must_differ_as_far_as_words_tell(degrade, text, reason):
    made = method(answers=[{}, {"degrade": degrade}], by="construction")
    candidate, _ = play(made, fixed(GOOD, text))
    assert (candidate.failure.reason if candidate.failure else None) == reason


def test_a_useless_answer_is_tried_again_with_another_seed():
    candidate, asked = play(method(answers=TWO, repairs=2), fixed(GOOD, "", GOOD, WORSE, judge=prefers(GOOD, WORSE)))
    assert candidate.record["rejected"] == WORSE
    tries = [request for request in asked if 100 <= request.step < 200]
    assert len({request.sampling.seed for request in tries}) == 3


def test_a_cut_answer_may_be_trimmed_to_its_last_whole_sentence():
    def answer(request):
        if request.schema:
            return json.dumps({"helpful": "first" if request.step % 2 == 0 else "second"})
        cut = Completion(3, request.step, 'It is 3.5 km. He said "go." And\n2. then it was', "length", tokens=9)
        return cut if request.step == 0 else WORSE

    candidate, asked = play(method(answers=TWO, cut="trim", answer_tokens=9), answer)
    assert candidate.record["chosen"] == 'It is 3.5 km. He said "go."'
    assert {request.sampling.max_tokens for request in asked[:2]} == {9}


def test_ways_reach_the_request_and_name_the_answers():
    ways = [
        {"persona": "a terse sailor"},
        {"system": "You answer in verse.", "model": "http://127.0.0.1:9/v1"},
        {"temperature": 0.3},
    ]
    made = method(answers=ways, judge="http://127.0.0.1:8/v1")
    assert made.models() == ["http://127.0.0.1:9/v1", "http://127.0.0.1:8/v1"]
    texts = ["a sailor's word", "a poem of sorts", "the third thing"]
    candidate, asked = play(made, fixed(*texts, judge=prefers(*texts)))
    assert "a terse sailor" in asked[0].messages[0]["content"]
    assert asked[1].messages[0]["content"] == "You answer in verse." and asked[1].model == "http://127.0.0.1:9/v1"
    assert asked[2].sampling.temperature == 0.3
    assert {request.model for request in asked if request.schema} == {"http://127.0.0.1:8/v1"}
    assert candidate.record["chosen_way"] == "persona a terse sailor"


def test_as_messages_the_pair_is_conversational():
    candidate, _ = play(method(answers=BUILT, by="construction", form="messages"), fixed(GOOD, WORSE))
    assert candidate.record["prompt"] == [{"role": "user", "content": TASK}]
    assert candidate.record["rejected"] == [{"role": "assistant", "content": WORSE}]


def test_every_record_fits_the_schema_of_the_method():
    for options in ({}, {"by": "scores", "reason": "short"}, {"reason": "short"}, {"form": "messages"}):
        made = method(answers=TWO, votes=3, **options)

        def answer(request):
            if not request.schema:
                return [GOOD, WORSE][request.step // 100]
            text = request.messages[-1]["content"]
            best = ("first" if text.index(GOOD) < text.index(WORSE) else "second") if "<second>" in text else None
            told = best or (5 if GOOD in text else 1)
            return json.dumps({"rationale": "so", "helpful": told})

        candidate, _ = play(made, answer)
        assert made.setting.schema.problems(candidate.record) == []


# --- recipes ---------------------------------------------------------------------------------------------------------


def test_its_own_template_makes_the_prompt_without_a_field():
    made = {
        "model": "scripted",
        "records": 4,
        "attributes": {"river": ["Seine", "Lot"]},
        "prompt": "How long is the {{ river }}?",
        "method": {"preference": {"answers": BUILT, "by": "construction"}},
        "filters": [],
    }
    steps = assemble(read(made)).method
    candidate, _ = play(steps, fixed(GOOD, WORSE), Draw(0, 0, {"river": "Lot"}, (), 5))
    assert candidate.record["prompt"] == "How long is the Lot?"


def test_the_prompt_comes_from_the_seeds_and_what_is_no_text_is_a_reason():
    made = method(answers=BUILT, by="construction")
    candidate, _ = play(made, fixed(GOOD, WORSE), Draw(0, 0, {}, (Seed(0, {"instruction": TASK}),), 5))
    assert candidate.record["prompt"] == TASK
    candidate, asked = play(made, fixed(), Draw(0, 0, {}, (Seed(0, {"instruction": None}),), 5))
    assert candidate.failure.reason == "no_input" and not asked


def chain(**options):
    return {
        "model": "scripted",
        "records": 12,
        "attributes": {"topic": ["tea", "rain"]},
        "steps": [
            {"method": "record", "schema": {"instruction": "str 10..60"}, "prompt": "A task about {{ topic }}."},
            {"preference": options},
        ],
        "filters": [],
        "limits": {"draws": 400, "acceptance": 0},
    }


def test_in_a_chain_it_answers_what_the_step_before_wrote(tmp_path):
    run = ts.run(chain(answers=[*TWO, {"degrade": "vague"}]), folder=tmp_path / "run")
    rows = list(run.records())
    assert len(rows) == 12 and run.reasons["tie"] > 0
    assert all(row["prompt"] == row["instruction"] and row["chosen"] != row["rejected"] for row in rows)
    again = ts.run(chain(answers=[*TWO, {"degrade": "vague"}]), folder=tmp_path / "again")
    assert list(again.records()) == rows
    found = Preference(answers=[*registry_ways()]).summary(rows)
    assert found["margin"]["mean"] == 1 and sum(found["chosen"].values()) == 12
    assert (
        0 <= found["degraded_rejected"] <= 1 and 0 < found["orders_agree"] <= 1 and 0 < found["first_place_chosen"] < 1
    )


def registry_ways():
    return registry.build(Preference, {"answers": [*TWO, {"degrade": "vague"}]}, place="method").answers


def test_the_summary_of_scores_tells_agreement_by_side(tmp_path):
    run = ts.run(chain(answers=TWO, by="scores", votes=3), folder=tmp_path / "run")
    found = Preference(by="scores").summary(run.records())
    assert found["scores"]["chosen"]["helpful"]["mean"] > found["scores"]["rejected"]["helpful"]["mean"]
    assert Preference().summary([]) == {}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"answers": [{}]}, "2 to 16 ways"),
        ({"answers": [{}, {}]}, "two are 'plain'"),
        ({"answers": [{"degrade": "rude"}, {"degrade": "vague"}]}, "without degrade"),
        ({"answers": [{}, {"degrade": "bad"}]}, "degrade"),
        ({"answers": [{}, {"temperature": 9}]}, "between 0 and 5, got 9"),
        ({"answers": [{}, {"model": "gpt"}]}, "server's address"),
        ({"by": "construction"}, "needs a way with degrade"),
        ({"judge": "some/model"}, "server's address"),
        ({"judge_tokens": 8}, "judge_tokens must be at least 32"),
        ({"votes": 4}, "odd number"),
        ({"least": 1}, "below 1"),
        ({"most_alike": 0}, "most_alike"),
        ({"pairs": 0}, "pairs must be at least 1"),
        ({"field": "task"}, "'task' must be given"),
        ({"compare": "preference/comparison"}, "did you mean preference/compare"),
        ({"compare": "Which? {{ frist }}"}, "frist"),
    ],
)
def test_options_that_cannot_work_are_refused_before_the_run(options, words):
    with pytest.raises(RecipeError, match=words):
        method(**options)


def test_the_ready_recipe_runs_to_its_end(tmp_path):
    (path, _) = recipes.copy("preference", tmp_path / "preference.yaml")
    run = ts.run(path, folder=tmp_path / "run", dry_run=True)
    assert run.accepted == read(path).records
