"""Synthetic rows beside real ones: what is measured, what is not and why, and the command."""

from __future__ import annotations

import csv
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset

from tests.conftest import PROGRAM, ROOT
from textsynth.errors import RecipeError
from textsynth.evaluation import Evaluation, Missing, evaluate
from textsynth.measure.canaries import plant
from textsynth.measure.measured import Gate, Measured
from textsynth.text import words

DATA = Path(__file__).parent / "data" / "evaluate"
PLOTTED = {"marginals", "pairs", "privacy"}


def load(name):
    return [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text().splitlines()]


REAL, HOLDOUT, OTHER = (load(f"adult_{name}") for name in ("real", "holdout", "other"))
TEXTS = {name: load(f"banking_{name}") for name in ("real", "holdout", "other")}
COMPLAINTS = {name: load(f"complaints_{name}") for name in ("real", "holdout", "other")}


def bag(rows, key="text"):
    """Vectors of texts without a model: hashed words."""
    found = np.zeros((len(rows), 64), dtype=np.float32)
    for at, row in enumerate(rows):
        for word in words(row[key]):
            found[at, sum(word.encode()) * 31 % 64] += 1
    return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def adult():
    return evaluate(OTHER, real=REAL, holdout=HOLDOUT, label="income", protected=["sex"])


@pytest.fixture(scope="module")
def banking():
    sets = {"synthetic": TEXTS["other"][:200], "real": TEXTS["real"], "holdout": TEXTS["holdout"]}
    vectors = {name: bag(rows) for name, rows in sets.items()}
    rejected = TEXTS["other"][200:240]
    vectors["rejected"] = bag(rejected)
    synthetic = sets.pop("synthetic")
    return evaluate(synthetic, **sets, label="category", vectors=vectors, rejected=rejected)


def test_a_table_is_measured_in_every_group_it_can_be(adult):
    assert {"fidelity", "utility", "privacy", "bias"} <= {value.group for value in adult.values}
    names = [value.name for value in adult.values]
    assert len(set(names)) == len(names)
    assert {"fidelity.accuracy.bivariate", "fidelity.detection.table", "privacy.closest_share"} <= set(names)
    assert adult.sizes == {"synthetic": 400, "real": 500, "holdout": 500, "compared": 400}
    assert adult.value("fidelity.accuracy.univariate").size == 400
    assert adult.value("privacy.identical").size == 400
    assert any("400 rows of each set" in note for note in adult.notes)
    assert "texts" in {missing.what for missing in adult.missing}


def test_the_verdict_comes_first_and_says_what_to_do():
    good = Measured(name="fidelity.a", value=0.9, real=0.95, size=200, meaning="It is fine.", gate=Gate(low=0.8))
    bad = Measured(
        name="privacy.b",
        value=0.7,
        real=0.5,
        size=200,
        meaning="70 % are near",
        gate=Gate(high=0.6, advice="use more seeds"),
    )
    open_one = Measured(name="bias.c", value=1.0, size=200, meaning="No gate.")
    assert Evaluation(values=(good, open_one), sizes={}).verdict == [
        "Good enough: all 1 gates hold.",
        "Fidelity: 1 of 1 gates hold.",
    ]
    found = Evaluation(values=(good, bad, open_one), sizes={})
    assert not found.passed and found.failed == [bad]
    assert found.verdict == [
        "Not good enough: 1 of 2 gates fail.",
        "Fidelity: 1 of 1 gates hold.",
        "Privacy: 0 of 1 gates hold; not b 0.7 (real data 0.5) (alarms: that they hold is no proof of privacy).",
        "Use more seeds (b).",
    ]
    nothing = Evaluation(values=(open_one,), sizes={}, missing=(Missing("texts", "none"),))
    assert not nothing.passed and "texts: none" in nothing.verdict[0]


def test_json_holds_everything_and_comes_back(adult, banking, tmp_path):
    for found in (adult, banking):
        data = found.as_data()
        text = json.dumps(data, allow_nan=False)
        again = Evaluation.load(found.save(tmp_path / "sub" / "e.json"))
        assert again.as_data() == data == json.loads(text)
        assert again.passed is found.passed and again.verdict == found.verdict
    with pytest.raises(RecipeError, match="no saved evaluation"):
        Evaluation.load(tmp_path / "none.json")


def test_plots_have_the_form_that_is_written_down(adult, banking):
    plots = adult.as_data()["plots"]
    assert plots.keys() >= PLOTTED
    assert len(plots["marginals"]) == 15 and len(plots["pairs"]["excess"]) == 15
    for each in plots["marginals"]:
        assert len(each["bins"]) == len(each["real"]) == len(each["synthetic"]) == len(each["holdout"])
        assert sum(each["real"]) == pytest.approx(1) and sum(each["synthetic"]) == pytest.approx(1)
    assert [m["accuracy"] for m in plots["marginals"]] == sorted(m["accuracy"] for m in plots["marginals"])
    groups = {each["group"]: each for each in plots["bias"]}
    assert set(groups) == {"Male", "Female"} and groups["Male"]["outcome"] == ">50K"
    assert groups["Male"]["outcome_real"] > groups["Female"]["outcome_real"]
    assert {each["of"] for each in plots["importances"]} == {"fidelity.detection.table"}
    drawn = banking.as_data()["plots"]
    assert set(drawn["map"]["sets"]) == {"real", "holdout", "synthetic", "rejected"}
    for points in drawn["map"]["sets"].values():
        assert len(points["x"]) == len(points["y"]) == len(points["text"])
    assert {example["why"] for example in drawn["examples"]} == {"nearest", "typical"}
    scores = [example["similarity"] for example in drawn["examples"] if example["why"] == "nearest"]
    assert scores == sorted(scores, reverse=True)
    assert {"growth", "lengths", "privacy"} <= drawn.keys()


def test_texts_are_measured_by_words_and_by_given_vectors(banking):
    names = {value.name for value in banking.values}
    assert {"fidelity.text.recall", "fidelity.text.word_order", "privacy.ngrams", "diversity.vendi"} <= names
    assert any(name.startswith("utility.text") for name in names)


def test_without_embeddings_only_what_needs_them_is_missing():
    found = evaluate(TEXTS["other"][:150], real=TEXTS["real"], holdout=TEXTS["holdout"], embeddings=None)
    names = {value.name for value in found.values}
    assert "fidelity.text.word_order" in names and "fidelity.text.recall" not in names
    assert "texts by embedding" in {missing.what for missing in found.missing}


def bare(rows):
    return [{"text": row["text"]} for row in rows]


def test_without_a_holdout_real_is_split_and_privacy_is_left_out():
    found = evaluate(bare(TEXTS["other"]), real=bare(TEXTS["real"] + TEXTS["holdout"]), embeddings=None)
    assert found.sizes["real"] + found.sizes["holdout"] == 400
    assert found.values and not [value for value in found.values if value.group == "privacy"]
    assert any("split in two halves" in note for note in found.notes)
    assert "privacy" in {missing.what for missing in found.missing}


def test_twins_stay_on_one_side_of_the_split():
    rows = [{"said": f"this is the sentence that number {at // 2} says"} for at in range(400)]
    found = evaluate(rows, real=rows, embeddings=None, text_fields=["said"])
    assert found.sizes["real"] == found.sizes["holdout"] == 200
    assert found.value("diversity.duplicates").real == 0.5


def test_the_same_seed_gives_the_same_values():
    sets = {"real": bare(TEXTS["real"]), "holdout": bare(TEXTS["holdout"][:150])}
    once, again, other = (
        evaluate(bare(TEXTS["other"]), **sets, embeddings=None, seed=seed).as_data() for seed in (1, 1, 2)
    )
    assert once == again != other


def test_mixed_records_have_rows_and_texts_measured():
    sets = {name: COMPLAINTS[name] for name in ("real", "holdout")}
    vectors = {name: bag(rows, "narrative") for name, rows in {**sets, "synthetic": COMPLAINTS["other"]}.items()}
    found = evaluate(COMPLAINTS["other"], **sets, vectors=vectors, groups=["privacy"])
    names = {value.name for value in found.values}
    assert {"privacy.rows.closest_share", "privacy.closest_share"} <= names
    assert {value.group for value in found.values} == {"privacy"}
    kinds = {each["name"]: each["kind"] for each in found.fields}
    assert kinds["narrative"] == "text" and kinds["received"] == "datetime" and "narrative#words" in kinds
    received = next(m for m in found.plots["marginals"] if m["field"] == "received")
    assert received["bins"][0].startswith("≥ 20")


def test_absent_and_null_cells_are_compared_like_others():
    def row(at, seed):
        chance = np.random.default_rng([at, seed])
        found = {"a": int(chance.integers(9)), "b": float(chance.normal()), "c": "xyz"[chance.integers(3)]}
        return found if at % 3 else {"a": None, "b": found["b"]}

    sets = [[row(at, seed) for at in range(150)] for seed in range(3)]
    found = evaluate(sets[0], real=sets[1], holdout=sets[2], groups=["privacy"])
    assert found.value("privacy.identical").value == 0 and found.passed
    copied = evaluate([dict(row) for row in sets[1]], real=sets[1], holdout=sets[2], groups=["privacy"])
    assert copied.value("privacy.identical").value == 1 and not copied.passed


def test_dialogues_nested_objects_and_lists_are_measured():
    def chat(rows, at):
        turns = [
            {"role": ("user", "assistant")[n % 2], "content": rows[(at + n) % len(rows)]["text"]}
            for n in range(2 + at % 3)
        ]
        extra = {"meta": {"channel": ("web", "app")[at % 2]}} if at % 5 else {"meta": None}
        return {"chat": turns, "tags": ["a", "b"][: at % 3], **extra}

    sets = {name: [chat(rows, at) for at in range(150)] for name, rows in TEXTS.items()}
    found = evaluate(sets["other"], real=sets["real"], holdout=sets["holdout"], embeddings=None)
    names = {value.name for value in found.values}
    assert "fidelity.dialogue.turns" in names and "fidelity.text.word_order" in names
    fields = {each["name"] for each in found.fields}
    assert {"chat#turns", "chat#roles", "chat#words", "meta.channel", "tags#length"} <= fields
    assert not [missing for missing in found.missing if missing.what in {"dialogues", "fields alone and together"}]


def test_canaries_are_looked_for_when_named(tmp_path):
    planted = plant(TEXTS["real"], "text", repeats=(1, 4), each=5, seed=1)
    file = tmp_path / "canaries.json"
    facts = {"canaries": planted.canaries, "repeats": planted.repeats, "controls": planted.controls}
    file.write_text(json.dumps(facts))
    leaking = [{"text": text} for text in planted.canaries * 3] + [
        {"text": row["text"]} for row in TEXTS["other"][:150]
    ]
    found = evaluate(leaking, real=TEXTS["real"], holdout=TEXTS["holdout"], canaries=file, embeddings=None)
    assert any("canaries" in value.name and value.passed is False for value in found.values)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"synthetic": OTHER[:50]}, r"synthetic: at least 100 rows are needed, got 50"),
        ({"real": REAL[:80]}, r"real: at least 90 rows"),
        ({"holdout": HOLDOUT[:9]}, r"holdout: at least 10 rows"),
        ({"holdout": REAL}, r"500 of 500 holdout rows are also real rows"),
        ({"holdout": HOLDOUT[:400] + REAL[:100]}, r"100 of 500 holdout rows are also real rows"),
        (
            {"synthetic": [{"other": 1}] * 200},
            r"synthetic: no field in common with real; synthetic has other; real has age",
        ),
        ({"label": "incom"}, r"label: unknown name 'incom' \(did you mean income\?\)"),
        ({"protected": ["gender"]}, r"protected: unknown name 'gender'"),
        ({"groups": ["private"]}, r"groups: unknown name 'private' \(did you mean privacy\?\)"),
        ({"text_fields": ["story"]}, r"text: unknown name 'story'"),
        ({"synthetic": ["a", "b"]}, r"synthetic: each row must be an object"),
        ({"embeddings": "scripted"}, r"embeddings: 'scripted' is no embedding model"),
        ({"synthetic": "nowhere.csv"}, r"no such file: 'nowhere.csv'"),
    ],
)
def test_mistakes_are_named_before_anything_is_measured(change, says):
    given = {"synthetic": OTHER, "real": REAL, "holdout": HOLDOUT} | change
    with pytest.raises(RecipeError, match=says):
        evaluate(given.pop("synthetic"), **given)


def test_vectors_must_be_one_per_row():
    with pytest.raises(RecipeError, match=r"vectors\['real'\]: one vector per row is needed, 200, got 199"):
        evaluate(
            TEXTS["other"],
            real=TEXTS["real"],
            holdout=TEXTS["holdout"],
            vectors={
                "synthetic": bag(TEXTS["other"]),
                "real": bag(TEXTS["real"])[1:],
                "holdout": bag(TEXTS["holdout"]),
            },
        )


def run(*arguments):
    command = [*PROGRAM, "evaluate", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120)


def test_the_command_shows_the_verdict_first_and_says_so_in_its_exit_code(tmp_path):
    sets = ("--real", DATA / "adult_real.jsonl", "--holdout", DATA / "adult_holdout.jsonl", "--embeddings", "none")
    good = run(DATA / "adult_other.jsonl", *sets, "--to", tmp_path)
    assert good.returncode == 0, good.stdout + good.stderr
    assert good.stdout.startswith("Good enough: all")
    assert "accuracy.bivariate" in good.stdout and "Not measured" in good.stdout
    assert Evaluation.load(tmp_path / "evaluation.json").passed
    bad = run(DATA / "adult_real.jsonl", *sets, "--json", "--groups", "privacy")
    assert bad.returncode == 3
    events = [json.loads(line) for line in bad.stdout.splitlines()]
    assert events[-1]["event"] == "result" and events[-1]["passed"] is False
    assert {event["step"] for event in events if event["event"] == "progress"} >= {"identical rows"}
    wrong = run(DATA / "adult_other.jsonl", "--real", "nowhere.jsonl")
    assert wrong.returncode == 2 and "nowhere.jsonl" in wrong.stderr and "Traceback" not in wrong.stderr


def test_a_csv_and_a_hugging_face_dataset_are_read_like_a_list(tmp_path, adult):
    with (tmp_path / "synthetic.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(OTHER[0]))
        writer.writeheader()
        writer.writerows(OTHER)
    found = evaluate(tmp_path / "synthetic.csv", real=Dataset.from_list(REAL), holdout=HOLDOUT, groups=["privacy"])
    name = "privacy.equal_cells"
    assert found.value(name).value == adult.value(name).value
    kinds = {each["name"]: each["kind"] for each in found.fields}
    assert kinds["age"] == "integer" and kinds["education"] == "categorical"
