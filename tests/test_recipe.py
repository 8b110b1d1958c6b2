"""Recipes are read strictly, come back equal from YAML, and every mistake is found before anything heavy loads."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import jsonschema
import pytest
import yaml
from conftest import ROOT

import textsynth as ts
from textsynth import recipe as recipes
from textsynth.cli import main
from textsynth.errors import RecipeError
from textsynth.recipe import StrictLoader, from_yaml, read, to_yaml

SMALL = {"model": "scripted", "records": 5, "schema": {"text": "text<=80", "n": "int 0..9"}, "prompt": "Write."}


def problems(source) -> tuple[str, ...]:
    with pytest.raises(RecipeError) as caught:
        read(source)
    return caught.value.problems


def found(recipe) -> str:
    with pytest.raises(RecipeError) as caught:
        ts.check(recipe)
    return "\n".join(caught.value.problems)


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


# --- reading ---------------------------------------------------------------------------------------------------------


def test_an_unknown_key_is_named_with_the_nearest_one():
    (problem,) = problems({**SMALL, "recods": 3})
    assert problem.startswith("recods: unknown name 'recods' (did you mean records?)")


@pytest.mark.parametrize(
    ("part", "place", "meant"),
    [
        ({"seeds": {"pth": "a.jsonl", "path": "a.jsonl"}}, "seeds.pth", "path"),
        ({"sampling": {"temprature": 1}}, "sampling.temprature", "temperature"),
        ({"export": {"folder": "out", "splts": {}}}, "export.splts", "splits"),
    ],
)
def test_an_unknown_key_inside_a_part_is_named_with_the_nearest_one(part, place, meant):
    (problem,) = problems({**SMALL, **part})
    assert problem.startswith(f"{place}: ") and f"did you mean {meant}?" in problem


def test_all_problems_come_at_once_each_with_place_rule_and_value():
    wrong = {**SMALL, "records": 0, "seed": "x", "sampling": {"temperature": 9, "max_tokens": 0}, "promt": "hi"}
    listed = problems(wrong)
    places = {line.split(":")[0] for line in listed}
    assert places == {"promt", "records", "seed", "sampling.temperature", "sampling.max_tokens"}
    assert "records: input should be greater than or equal to 1, got 0" in listed
    assert "sampling.temperature: input should be less than or equal to 5, got 9" in listed


@pytest.mark.parametrize(
    ("key", "value", "place"),
    [
        ("records", "many", "records"),
        ("filters", "near_duplicate", "filters"),
        ("attributes", ["a"], "attributes"),
        ("quotas", {"n": {"a": "half"}}, "quotas.n.a"),
        ("limits", {"minutes": -1}, "limits.minutes"),
        ("backend", "xgramar", "backend"),
        ("name", "a b/c", "name"),
        ("export", {"splits": {"train": 0.5}}, "export"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named_with_its_place(key, value, place):
    assert any(line.startswith(f"{place}: ") for line in problems({**SMALL, key: value}))


@pytest.mark.parametrize("model", ["no such thing", "./nowhere", "a/b/c", "~/nowhere-at-all"])
def test_a_model_that_cannot_be_meant_is_refused(model):
    (problem,) = problems({**SMALL, "model": model})
    assert repr(model) in problem


@pytest.mark.parametrize(
    "attribute",
    [{"range": [5, 1]}, {"range": [1]}, {"dates": ["2024-01-02", "2024-01-01"]}, {"dates": ["soon", "later"]}],
)
def test_a_wrong_attribute_is_one_line_with_its_place(attribute):
    (problem, *rest) = problems({**SMALL, "attributes": {"a": attribute}})
    for line in (problem, *rest):
        assert line.startswith("attributes.a") and "\n" not in line and "pydantic" not in line


def test_a_recipe_comes_from_a_mapping_a_file_or_itself(tmp_path):
    path = written(tmp_path, yaml.safe_dump(SMALL))
    recipe = read(path)
    assert recipe.name == "mine" and recipe.folder == tmp_path
    assert read(str(path)) == recipe
    assert read(recipe) is recipe
    assert read(SMALL).folder == Path.cwd()


def test_a_file_name_that_is_no_run_name_is_made_one(tmp_path):
    path = tmp_path / "my tickets (1).yaml"
    path.write_text(yaml.safe_dump(SMALL))
    assert read(path).name == "my-tickets-1"


def test_no_file_says_how_to_start(tmp_path):
    with pytest.raises(RecipeError) as caught:
        read(tmp_path / "none.yaml")
    assert "none.yaml" in caught.value.message and "textsynth init" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("records: 3\nrecords: 4\n", "'records' stands twice"),
        ("records: 3\nquotas:\n  a: {x: 1, x: 2}\n", "'x' stands twice"),
        ("records: [3\n", "line"),
        ("records: 3\nprompt: {{ product }}\n", "line 2"),
        ("- records\n", "must be a mapping"),
        ("", "must be a mapping"),
    ],
)
def test_yaml_that_is_wrong_is_named_with_its_place(tmp_path, text, part):
    assert part in "\n".join(problems(written(tmp_path, text)))


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"prompt: caf\xe9\n")
    assert "not valid YAML" in problems(path)[0]


def test_words_stay_words_and_dates_stay_text():
    data = yaml.load("{a: [no, yes, on, off, n, y], b: 2024-01-31, c: [true, False], d: 12:30}", Loader=StrictLoader)
    assert data == {"a": ["no", "yes", "on", "off", "n", "y"], "b": "2024-01-31", "c": [True, False], "d": 750}


def test_loading_with_the_strict_loader_leaves_other_yaml_alone():
    assert yaml.safe_load("[no, 2024-01-31]") == [False, date(2024, 1, 31)]


# --- there and back --------------------------------------------------------------------------------------------------

KINDS = {
    "list": ["a", "no", "2024-01-01", "on", "", "null", "1"],
    "mixed": [1, 1.5, True, None, "x"],
    "constant": "only",
    "weights": {"weights": {"a": 3, "no": 0.25}},
    "weights of numbers": {"weights": {1: 1, 2: 2}},
    "choices with weights": {"choices": [True, False], "weights": [1, 9]},
    "whole range": {"range": [1, 5]},
    "range": {"range": [0.5, 2.0], "step": 0.25},
    "dates": {"dates": ["2024-01-01", "2024-12-31"]},
    "column": {"column": "product", "path": "rows.jsonl", "split": "train"},
    "given": {"given": "list", "cases": {"a": [1, 2], "no": "x"}, "otherwise": {"range": [1, 3]}},
    "given true": {"given": "flag", "cases": {True: ["a"], False: {"weights": {"b": 1, "c": 2}}}},
    "given number": {"given": "n", "cases": {1: ["a"], 2: {"given": "n", "cases": {2: ["deep"]}}}},
    "nested structures": [{"x": [1, {"y": "no"}]}, {"x": []}],
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_attribute_comes_back_equal_from_yaml(kind):
    recipe = read({**SMALL, "attributes": {"a": KINDS[kind]}})
    assert from_yaml(to_yaml(recipe.as_data()), recipe.folder) == recipe


def test_a_recipe_with_every_key_comes_back_equal_from_yaml():
    recipe = read(
        {
            **SMALL,
            "name": "all-of-it",
            "method": {"dialogue": {"turns": [2, 4]}},
            "variables": {"topic": "no", "list": [1, "2024-01-01"]},
            "seeds": {"path": "a.jsonl", "columns": {"text": "body"}, "max_uses": 3, "match": ["n"]},
            "attributes": {"n": {"range": [0, 9]}},
            "quotas": {"n": {1: 0.5, 2: 0.5}, "flag": {True: 0.25, False: 0.75}},
            "filters": ["refusal", {"length": {"min_words": 3}}, "mine:Own"],
            "sampling": {"max_tokens": 64, "top_k": 5},
            "repairs": 0,
            "backend": "guidance",
            "engine": {"latency": 0.5, "faults": {"error": 0.1}},
            "limits": {"draws": 10, "minutes": 1e-05},
            "windows": {"size": 3, "lag": 1},
            "export": {"folder": "out", "format": {"classification": {"label": "n"}}, "splits": {"a": 0.5, "b": 0.5}},
            "seed": 7,
            "license": "CC0-1.0",
            "language": "no",
        }
    )
    assert from_yaml(to_yaml(recipe.as_data()), recipe.folder) == recipe


def test_reading_the_same_recipe_twice_draws_the_same_from_a_column(tmp_path):
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps({"p": i}) + "\n" for i in range(37)))
    recipe = read({**SMALL, "attributes": {"p": {"column": "p", "path": "rows.jsonl"}}}).at(tmp_path)
    first = ts.check(recipe).plan.next_window()
    assert ts.check(recipe).plan.next_window() == first


# --- the JSON Schema of recipes --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recipe_schema():
    schema = json.loads(recipes.json_schema())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_starter_recipe_fits_the_schema_for_editors(tmp_path, recipe_schema):
    path = tmp_path / "start.yaml"
    assert main(["init", str(path)]) == 0
    data = yaml.load(path.read_text(), Loader=StrictLoader)
    recipe_schema.validate(data)
    assert json.loads((tmp_path / "recipe.schema.json").read_text()) == recipe_schema.schema
    ts.check({**data, "model": "scripted"})


@pytest.mark.parametrize("wrong", [{"recods": 1}, {"records": 0}, {"seeds": {"shots": 1}}, {"export": {"splts": {}}}])
def test_the_schema_for_editors_refuses_what_reading_refuses(recipe_schema, wrong):
    assert recipe_schema.is_valid(SMALL)
    assert not recipe_schema.is_valid({**SMALL, **wrong})
    problems({**SMALL, **wrong})


@pytest.mark.parametrize("name", sorted(p.name for p in (ROOT / "textsynth" / "demo").glob("*.yaml")))
def test_demo_recipes_fit_the_schema_for_editors(recipe_schema, name):
    recipe_schema.validate(yaml.load((ROOT / "textsynth" / "demo" / name).read_text(), Loader=StrictLoader))


# --- what check finds ------------------------------------------------------------------------------------------------


def test_mistakes_of_all_parts_are_found_together():
    text = found(
        {
            **SMALL,
            "schema": {"text": "text<=80", "n": "int 0..9", "label": ["a", "b"]},
            "prompt": "About {{ topik }} and {{ other }} in {{ third }}.",
            "variables": {"topic": "cats"},
            "seeds": {"path": "no-such-file.jsonl"},
            "attributes": {"n": {"range": [5, 12]}},
            "quotas": {"label": {"a": 0.5, "b": 0.4}},
            "filters": ["near_duplicat", {"near_duplicate": {"threshold": 85}}, {"length": {"min_word": 3}}],
            "export": {"folder": "out", "format": {"classification": {"text": "text", "label": "lable"}}},
        }
    )
    assert "seeds.path: no such file: 'no-such-file.jsonl'" in text
    assert "other" in text and "third" in text and "topik (did you mean topic?)" in text
    assert "attributes.n: 12 contradicts the schema" in text
    assert "quotas.label: shares must add up to 1, or counts to records (5); got 0.9" in text
    assert "filters[0]: unknown name 'near_duplicat' (did you mean near_duplicate?)" in text
    assert "filters[1].near_duplicate: " in text and "85" in text
    assert "filters[2].length.min_word: unknown name 'min_word' (did you mean min_words?)" in text
    assert "lable" in text and "label" in text.split("lable", 1)[1]


def test_seeds_that_do_not_fit_are_named_by_row_and_field(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "fine", "n": 3}\n{"text": "fine", "n": 12}\n{"text": 5, "n": 1}\n')
    text = found({**SMALL, "seeds": {"path": str(path), "shots": 1}})
    assert "seeds row 1, field n: " in text and "12" in text
    assert "seeds row 2, field text: " in text
    assert "row 0" not in text


@pytest.mark.parametrize(
    ("quotas", "part"),
    [
        ({"n": {1: 2, 2: 2}}, "got 4"),
        ({"n": {1: -0.5, 2: 1.5}}, "0 or more"),
        ({"m": {1: 1.0}}, "unknown name 'm'"),
        ({"n": {}}, "0 or more"),
        ({"n": {1: 2.5, 2: 2.5}}, "got 5"),
        ({"n": {50: 1.0}}, "quotas.n: 50 contradicts the schema"),
    ],
)
def test_quotas_that_cannot_be_met(quotas, part):
    assert part in found({**SMALL, "quotas": quotas})


def test_quota_and_attribute_must_name_the_same_values():
    recipe = {**SMALL, "attributes": {"n": [1, 2, 3]}, "quotas": {"n": {1: 0.5, 2: 0.5}}}
    assert "quotas.n: quota and attribute must name the same values" in found(recipe)
    ranged = {**SMALL, "attributes": {"n": {"range": [1, 2]}}, "quotas": {"n": {1: 0.5, 2: 0.5}}}
    assert "quotas.n: the attribute 'n' must be a list or weights" in found(ranged)


def test_shares_become_exact_counts_and_counts_stay():
    shares = ts.check({**SMALL, "records": 10, "quotas": {"n": {1: 1 / 3, 2: 2 / 3}}})
    assert shares.quotas == {"n": {1: 3, 2: 7}}
    counts = ts.check({**SMALL, "quotas": {"n": {1: 4, 2: 1}}})
    assert counts.quotas == {"n": {1: 4, 2: 1}}


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"schema": None}, "a schema is needed"),
        ({"schema": {"text": "txt"}}, "did you mean text?"),
        ({"schema": "nowhere.json"}, "nowhere.json"),
        ({"method": "dialog"}, "did you mean dialogue?"),
        ({"method": {"dialogue": {"turns": 0}}}, "turns must be"),
        ({"method": {"dialogue": {"roles": {"a": "hi"}}}}, "roles must be two"),
        ({"method": {"dialogue": {}}, "schema": {"messages": "str"}}, "messages"),
        ({"prompt": "records/from_exampels"}, "did you mean records/from_examples?"),
        ({"prompt": "Write {% if %}"}, "line 1"),
        ({"prompt": "Write {{ 1 / 0 }}"}, "cannot be rendered"),
        ({"prompt": "Write {{ ''.__class__ }}"}, "cannot be rendered"),
        ({"filters": ["duplicate", "duplicate"]}, "filters[1]: duplicate stands twice"),
        ({"filters": [{"duplicate": {"fields": ["txt"]}}]}, "did you mean text?"),
        ({"filters": ["nowhere_module:Thing"]}, "cannot import 'nowhere_module'"),
        ({"engine": {"faults": {"error": 2}}}, "faults must be shares"),
        ({"engine": {"latencyy": 1}}, "did you mean latency?"),
        ({"engine": {"kind": "vlm"}}, "did you mean vllm?"),
        ({"export": {"format": "record"}}, "did you mean records?"),
    ],
)
def test_each_mistake_is_found_with_its_value(change, part):
    assert part in found({**SMALL, **change})


@pytest.mark.parametrize(
    "source", ["class Own:\n    def check(self", "raise RuntimeError('at import')", "Own = None", "class Own: pass"]
)
@pytest.mark.parametrize("where", ["filters", "engine"])
def test_a_module_of_the_users_that_breaks_is_a_recipe_error(tmp_path, monkeypatch, source, where):
    monkeypatch.syspath_prepend(tmp_path)
    name = f"own_{where}_{abs(hash(source))}"
    (tmp_path / f"{name}.py").write_text(source)
    change = {"filters": [f"{name}:Own"]} if where == "filters" else {"engine": {"kind": f"{name}:Own"}}
    assert where in found({**SMALL, **change})


def test_checking_loads_nothing_heavy(tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"text": "one", "n": 1}\n{"text": "two", "n": 2}\n')
    (tmp_path / "mine.yaml").write_text(
        yaml.safe_dump({**SMALL, "model": "default", "seeds": {"path": "rows.jsonl", "shots": 1}, "export": {}})
    )
    script = (
        "import sys, textsynth\n"
        "heavy = {'torch', 'vllm', 'transformers', 'datasets', 'pyarrow', 'pandas'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        f"textsynth.check({str(tmp_path / 'mine.yaml')!r})\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
