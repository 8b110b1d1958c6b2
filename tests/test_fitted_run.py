"""Runs from a profile: attributes and examples come from real rows, the pool is cut to N, and a kill loses nothing."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import PROGRAM, ROOT
from test_filters import MIXED, candidate, setting
from test_pipeline import digest, wait_for

import textsynth as ts
from textsynth.errors import RecipeError
from textsynth.filters.adherence import Adherence, fits
from textsynth.methods import overlay
from textsynth.profile import Profile, fit
from textsynth.records import Draw, Drop

DATA = Path(__file__).parent / "data" / "evaluate"


def lines(*names: str) -> list[dict]:
    return [json.loads(line) for name in names for line in (DATA / f"{name}.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def complaints(tmp_path_factory) -> Path:
    """A folder with real complaints and a profile of them; the clusters come from made-up vectors."""
    folder = tmp_path_factory.mktemp("complaints")
    rows = lines("complaints_real", "complaints_holdout", "complaints_other")
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    fit(rows, label="product", embeddings=None).save(folder / "profile")
    return folder


@pytest.fixture
def recipe(complaints) -> dict:
    return {
        "model": "scripted",
        "records": 60,
        "profile": {"folder": str(complaints / "profile"), "data": str(complaints / "data.jsonl")},
        "filters": ["duplicate"],
        "windows": {"size": 16},
        "sampling": {"max_tokens": 60},
        "steer": {"pool": 1.5, "arms": {"hot": {"temperature": 1.4}, "plain": {"prompt": "records/from_schema"}}},
        "engine": {"faults": {"malformed": 0.05, "error": 0.03}},
    }


def test_a_fitted_run_gives_exactly_n_and_every_draw_ends_in_one_state(recipe, complaints, tmp_path):
    made = ts.run(recipe, folder=tmp_path / "run")
    totals = made.totals
    assert made.complete and totals.kept == 60 == made.dataset.num_rows
    assert totals.kept + sum(totals.reasons.values()) + totals.open == totals.draws and totals.open == 0
    assert 0 < totals.reasons["unselected"] <= 30
    assert all(not made.parts.schema.problems(record) for record in made.records())


def test_what_was_drawn_is_exact_and_what_is_shown_is_a_real_train_row(recipe, complaints, tmp_path):
    made = ts.run(recipe, folder=tmp_path / "run")
    profile, rows = (
        Profile.load(complaints / "profile"),
        lines("complaints_real", "complaints_holdout", "complaints_other"),
    )
    train = [rows[at] for at in profile.split("train")]
    for index, record in made.ledger.kept():
        draw = made.ledger.draw(index)
        drawn = {name: value for name, value in draw.attributes.items() if "#" not in name}
        assert drawn and drawn == {name: record[name] for name in drawn}
        assert record["narrative"] and "narrative" not in drawn
        assert {"narrative#words", "narrative#sentences"} <= draw.attributes.keys()
        assert 0 < len(draw.seeds) <= 3 and all(seed.row in train for seed in draw.seeds)
    assert {row["product"] for row in made.records()} <= {row["product"] for row in train}


def test_the_account_of_steering_says_what_was_asked_and_what_is_missing(recipe, tmp_path):
    made = ts.run(recipe, folder=tmp_path / "run")
    account = made.ledger.fact("steering")
    assert sum(one["draws"] for one in account["windows"]) == made.totals.draws - made.totals.reasons.get("surplus", 0)
    assert account["pool"] == 60 + made.totals.reasons["unselected"] and account["records"] == 60
    assert set(account["arms"]) == {"recipe", "hot", "plain"}
    assert {draw.arm for draw in made.ledger.draws()} <= {"", "hot", "plain"}
    assert all(set(gap) == {"cell", "wanted", "got"} for gap in account["gaps"])


@pytest.mark.parametrize("moment", range(2))
def test_killed_at_any_moment_the_same_command_gives_the_same_dataset(recipe, moment, tmp_path):
    whole = ts.run(recipe, folder=tmp_path / "whole")
    slow = {**recipe, "engine": {**recipe["engine"], "latency": 0.05, "concurrency": 16}}
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump(slow, sort_keys=False))
    command = [*PROGRAM, "run", str(file), "--folder", str(tmp_path / "killed"), "--json"]
    chance = random.Random(moment)
    for _ in range(2):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
        wait_for(lambda: (tmp_path / "killed" / "ledger.sqlite").exists())
        time.sleep(chance.uniform(1.0, 2.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    assert digest(tmp_path / "killed") == digest(whole.folder)


def test_more_records_than_before_take_the_pool_up_again(recipe, tmp_path):
    ts.run(recipe, folder=tmp_path / "run")
    more = ts.run({**recipe, "records": 80}, folder=tmp_path / "run")
    assert more.totals.kept == 80 and more.totals.open == 0


def test_without_steering_rows_are_drawn_as_they_come_and_nothing_is_left_out(recipe, tmp_path):
    made = ts.run({**recipe, "steer": False}, folder=tmp_path / "run")
    assert made.totals.kept == 60 and "unselected" not in made.totals.reasons
    assert made.ledger.fact("steering") is None


def test_values_may_be_fixed_and_rebalanced_and_quotas_given(recipe, tmp_path):
    profile = {**recipe["profile"], "fixed": {"timely": "Yes"}}
    made = ts.run(
        {**recipe, "profile": profile, "steer": False, "quotas": {"state": {"CA": 20, "TX": 40}}},
        folder=tmp_path / "run",
    )
    assert [sum(r["state"] == s for r in made.records()) for s in ("CA", "TX")] == [20, 40]
    assert {r["timely"] for r in made.records()} == {"Yes"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"profile": {"folder": "nowhere"}}, "is no profile"),
        ({"attributes": {"product": ["x"]}}, "the profile draws it already"),
        ({"profile": {"only": ["prodct"]}}, "did you mean product"),
        ({"profile": {"fixed": {"product": "Telescopes"}}}, "Telescopes"),
    ],
)
def test_what_contradicts_the_profile_is_said_before_anything_runs(recipe, change, said):
    changed = {**recipe, **{k: {**recipe[k], **v} if k == "profile" else v for k, v in change.items()}}
    with pytest.raises(RecipeError, match=said):
        ts.check(changed)


def test_other_data_than_the_profile_was_fitted_on_is_refused(recipe, complaints, tmp_path):
    (tmp_path / "other.jsonl").write_text((complaints / "data.jsonl").read_text() + "{}\n")
    with pytest.raises(RecipeError, match="is not what the profile was fitted on"):
        ts.check({**recipe, "profile": {**recipe["profile"], "data": str(tmp_path / "other.jsonl")}})


def test_purely_structured_records_need_no_model_and_no_data(tmp_path):
    rows = lines("adult_real", "adult_holdout", "adult_other")
    fit(rows, label="income").save(tmp_path / "profile")
    made = ts.run(
        {"model": "scripted", "records": 200, "profile": str(tmp_path / "profile"), "filters": []},
        folder=tmp_path / "run",
    )
    assert made.totals.kept == 200 and made.totals.requests == 0
    pairs = {(row["education"], row["education-num"]) for row in rows}
    assert {(r["education"], r["education-num"]) for r in made.records()} <= pairs


# adherence -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def adherence(complaints) -> Adherence:
    made = Adherence(least=0.6)
    base = setting()
    made.prepare(type(base)(base.schema, base.seeds, ("narrative",), profile=Profile.load(complaints / "profile")))
    return made


def asked(index: int, text: str | None, **attributes) -> object:
    item = candidate(index, {} if text is None else {"narrative": text})
    return type(item)(Draw(index, 0, {k.replace("__", "#"): v for k, v in attributes.items()}, (), index), item.record)


def test_adherence_drops_what_is_far_from_what_was_asked_for(adherence):
    text = "They took my money. I want it back."
    good, long = (
        asked(1, text, narrative__words=8, narrative__sentences=2),
        asked(2, text, narrative__words=80, narrative__sentences=9),
    )
    kept, dropped = adherence.check([good, long])
    assert kept is None and isinstance(dropped, Drop) and dropped.score == 0
    assert "narrative words 8 for 80" in dropped.detail
    adherence.keep([good])
    assert adherence.seen[1].values["narrative#words"] == 8 and 2 not in adherence.seen
    assert adherence.measured() == {"narrative#sentences": 0.5, "narrative#words": 0.5}


def test_adherence_holds_to_the_contract_of_filters(adherence):
    answers = list(adherence.check(MIXED))
    assert len(answers) == len(MIXED) and list(adherence.check([])) == []
    assert list(adherence.check(MIXED)) == answers


def test_a_cluster_fits_only_if_it_is_the_same_and_a_length_if_it_is_near():
    assert fits("text#words", 20, 24) and not fits("text#words", 20, 27) and fits("text#words", 1, 2)
    assert fits("text#cluster", 3, 3) and not fits("text#cluster", 3, 4)
    assert fits("text#roles", "a b", "a b") and not fits("text#words", "", 5)


def test_what_was_drawn_inside_an_object_replaces_what_the_model_wrote_there():
    written = {"text": "Hello.", "meta": {"lang": "xx", "topic": "cars"}}
    assert overlay(written, {"meta": {"lang": "en"}, "id": 7}) == {
        "text": "Hello.", "meta": {"lang": "en", "topic": "cars"}, "id": 7
    }  # fmt: skip


def test_vectors_of_a_record_are_of_length_one_whatever_the_number_of_texts(complaints):
    """The goal compares whole records: one vector each, of all texts."""
    made = Adherence()
    base = setting()
    rows = [{"a": f"text {i % 7} about a thing", "b": f"another {i % 5} word or two", "n": i % 3} for i in range(60)]
    random_ = np.random.default_rng(0)
    vectors = {name: random_.normal(size=(60, 4)).astype(np.float32) for name in ("a", "b")}
    profile = fit(rows, embeddings=None)
    made.prepare(type(base)(base.schema, base.seeds, ("a", "b"), profile=profile))
    if len(profile.text_fields) == 2:

        class Fake:
            def take(self, texts):
                found = vectors["a"] if texts[0].startswith("text") else vectors["b"]
                return found[: len(texts)] / np.linalg.norm(found[: len(texts)], axis=1, keepdims=True)

        made._embedder = Fake()
        assert np.allclose(np.linalg.norm(made.embed(rows[:10]), axis=1), 1, atol=1e-5)
