"""The method judge: votes become a field, low records are dropped only on request, and what cannot be read is a reason."""

from __future__ import annotations

import json

import pytest

import textsynth as ts
from textsynth import recipes
from textsynth.errors import RecipeError
from textsynth.recipe import read

SCALES = {
    "fit": {"description": "it fits", "least": 2},
    "tone": {"description": "how it sounds", "levels": ["bad", "good"]},
}
ROWS = [{"text": f"text number {i}", "source": "paper"} for i in range(12)]


@pytest.fixture
def seeds(tmp_path):
    path = tmp_path / "seeds.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return {"path": str(path), "shots": 1}


def recipe(seeds, *, engine=None, **options):
    return {
        "model": "scripted",
        "records": 8,
        "method": {"judge": {"scales": {"fit": "it fits", "tone": SCALES["tone"]}, **options}},
        "schema": {"text": "str"},
        "seeds": seeds,
        "filters": [],
        "engine": engine or {},
        "limits": {"draws": 64, "acceptance": 0},
    }


def always(**answer):
    return {"texts": [json.dumps(answer)]}


def test_the_votes_and_their_means_are_written_beside_what_was_judged(seeds, tmp_path):
    run = ts.run(recipe(seeds, votes=3, reason="none"), folder=tmp_path / "run")
    assert run.accepted == 8
    for record in run.records():
        assert record["text"] in {row["text"] for row in ROWS} and "source" not in record
        judgement = record["judgement"]
        assert len(judgement["votes"]) == 3 and "rationale" not in judgement
        assert judgement["scores"]["fit"] == pytest.approx(
            sum(vote["fit"] for vote in judgement["votes"]) / 3, abs=1e-3
        )
        assert all(1 <= vote["tone"] <= 2 for vote in judgement["votes"])
    assert len({json.dumps(record["judgement"]["votes"]) for record in run.records()}) > 3


def asked(seeds, **options):
    """The requests of the first draw, as the method makes them."""
    from textsynth.assemble import assemble

    parts = assemble(read(recipe(seeds, **options)))
    (draw, *_) = parts.plan.next_window(None)
    steps, found = parts.method.run(draw), []
    try:
        request = next(steps)
        while True:
            found.append(request)
            from textsynth.engines.scripted import Scripted

            request = steps.send(Scripted().answer(request))
    except StopIteration as stop:
        return draw, found, stop.value


def test_votes_differ_in_seed_and_in_the_order_of_the_scales(seeds):
    draw, requests, candidate = asked(seeds, votes=9)
    assert [request.step for request in requests] == list(range(9)) and candidate.record
    assert len({request.sampling.seed for request in requests}) == 9
    orders = {tuple(json.loads(request.schema)["properties"]) for request in requests}
    assert orders == {("rationale", "fit", "tone"), ("rationale", "tone", "fit")}
    for request in requests:
        text = request.messages[-1]["content"]
        fit_first = text.index("- fit:") < text.index("- tone:")
        assert fit_first == (tuple(json.loads(request.schema)["properties"])[1] == "fit")
        assert draw.seeds[0].row["text"] in text and "paper" not in text
    _, given, _ = asked(seeds, votes=9, order="given")
    assert {tuple(json.loads(request.schema)["properties"])[1] for request in given} == {"fit"}


def test_fields_says_what_is_judged_and_another_model_may_judge(seeds):
    _, (request,), _ = asked(seeds, votes=1, fields=["source"], model="scripted")
    assert "paper" in request.messages[-1]["content"] and "text number" not in request.messages[-1]["content"]
    assert request.model == "scripted"


@pytest.mark.parametrize(("least", "kept"), [(None, 8), (3, 0), (2, 8)])
def test_a_record_is_dropped_only_if_it_is_judged_lower_than_least(least, kept, seeds, tmp_path):
    engine = always(rationale="so so", fit=2, tone="good")
    options = {"least": least} if least is not None else {}
    scales = {"fit": "it fits"}
    run = ts.run(
        recipe(seeds, engine=engine, votes=1, **options)
        | {"records": 8, "method": {"judge": {"scales": scales, "votes": 1, **options}}},
        folder=tmp_path / "run",
    )
    assert run.accepted == kept and (kept or run.reasons["judged_low"] == 64)


def test_a_scale_has_a_least_of_its_own_and_the_drop_names_it(seeds, tmp_path):
    made = recipe(seeds, engine=always(rationale="meh", fit=1, tone="bad"))
    made["method"] = {"judge": {"scales": SCALES, "votes": 1}}
    run = ts.run(made, folder=tmp_path / "run")
    assert run.accepted == 0 and run.reasons["judged_low"] == 64


def test_votes_that_cannot_be_read_are_a_reason(seeds, tmp_path):
    run = ts.run(recipe(seeds, engine={"texts": ["no judgement"]}), folder=tmp_path / "run")
    assert run.accepted == 0 and run.reasons["judgement_broken"] == 64


def test_after_other_steps_it_judges_what_they_wrote(tmp_path):
    made = {
        "model": "scripted",
        "records": 5,
        "attributes": {"topic": ["tea", "rain"]},
        "steps": [
            {"method": "record", "schema": {"text": "str 5..60"}, "prompt": "Write about {{ topic }}."},
            {"name": "first", "method": {"judge": {"votes": 1}}},
            {"name": "again", "method": {"judge": {"votes": 1, "into": "second", "fields": ["text"], "least": 2}}},
        ],
        "filters": [],
    }
    run = ts.run(made, folder=tmp_path / "run")
    rows = list(run.records())
    assert len(rows) == 5
    assert all(list(row) == ["text", "judgement", "second"] and row["second"]["scores"]["quality"] >= 2 for row in rows)


def test_agreement_is_summed_up_over_the_records(seeds, tmp_path):
    from textsynth.methods.judge import Judge

    run = ts.run(recipe(seeds, votes=3), folder=tmp_path / "run")
    found = Judge(scales={"fit": "it fits"}).summary(run.records())
    assert set(found) == {"fit", "tone"} and {"mean", "equal_votes", "alpha"} <= set(found["fit"])
    assert -1 < found["fit"]["alpha"] < 0.6, "the scripted engine answers at random"
    assert Judge().summary([]) == {}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"votes": 2}, "odd number"),
        ({"votes": 101}, "at most 99"),
        ({"least": 9}, "between 1 and 5, got 9"),
        ({"model": "some/model"}, "server's address"),
        ({"fields": ["txt"]}, "txt"),
        ({"fields": ["judgement"]}, "another field"),
        ({"scales": {}}, "at least one scale"),
        ({"max_tokens": 8}, "max_tokens must be at least"),
    ],
)
def test_options_that_cannot_work_are_refused_before_the_run(options, words, seeds):
    with pytest.raises(RecipeError, match=words):
        ts.check(recipe(seeds, **options))


def test_alone_it_must_be_said_what_is_judged(seeds):
    made = recipe(seeds)
    del made["schema"]
    with pytest.raises(RecipeError, match="nothing to judge"):
        ts.check(made)


def test_a_seed_without_the_field_is_a_reason_and_not_an_error(tmp_path):
    (tmp_path / "seeds.jsonl").write_text('{"text": "one"}\n{"text": null}\n')
    made = recipe({"path": str(tmp_path / "seeds.jsonl"), "shots": 1}, votes=1) | {"records": 6}
    run = ts.run(made, folder=tmp_path / "run")
    assert run.accepted == 6 and run.reasons["no_input"] > 0


def test_the_ready_recipe_runs_to_its_end(tmp_path):
    (path, _) = recipes.copy("judge", tmp_path / "judge.yaml")
    run = ts.run(path, folder=tmp_path / "run", dry_run=True)
    assert run.accepted == read(path).records
