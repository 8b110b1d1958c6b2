"""The command line: what each command writes, and the exit code a script can rely on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import PROGRAM

from textsynth import prompts
from textsynth.cli import main

RECIPE = {
    "name": "tickets",
    "model": "scripted",
    "records": 30,
    "schema": {"title": "str 5..60", "body": "text 20..200", "priority": ["low", "high"], "product": "str"},
    "prompt": "Write a ticket about a {{ product }}.",
    "attributes": {"product": ["router", "phone"]},
    "quotas": {"priority": {"low": 0.5, "high": 0.5}},
    "windows": {"size": 8, "lag": 2},
    "engine": {"faults": {"truncated": 0.1, "refusal": 0.2}},
    "export": {"folder": "out", "splits": {"train": 0.8, "test": 0.2}, "files": "jsonl"},
}


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


def save(folder: Path, name: str = "tickets.yaml", **changes: object) -> str:
    data = {key: value for key, value in {**RECIPE, **changes}.items() if value is not None}
    (folder / name).write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    return name


def called(capfd, *arguments: str) -> tuple[int, str, str]:
    capfd.readouterr()
    code = main(list(arguments))
    out, err = capfd.readouterr()
    assert "Traceback" not in err and "Traceback" not in out
    return code, out, err


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory) -> Path:
    """Return the folder of a finished run, made once; its recipe's folder holds what was exported."""
    folder = tmp_path_factory.mktemp("finished")
    command = [*PROGRAM, "run", save(folder), "--folder", "first", "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (folder / "stdout.txt").write_text(done.stdout)
    return folder / "first"


# --- init, schema, check ---------------------------------------------------------------------------------------------


def test_init_writes_a_recipe_that_checks_and_runs(here, capfd):
    assert called(capfd, "init", "sub/my first.yaml")[0] == 0
    assert {p.name for p in (here / "sub").iterdir()} == {"my first.yaml", "recipe.schema.json"}
    code, out, _ = called(capfd, "check", "sub/my first.yaml")
    assert code == 0 and "ok my-first: 100 records" in out
    code, out, _ = called(capfd, "run", "sub/my first.yaml", "--dry-run")
    assert code == 0 and "100 of 100 records" in out
    assert not (here / "runs").exists() and not (here / "sub" / "out").exists(), "a dry run leaves nothing behind"


def test_init_never_overwrites(here, capfd):
    (here / "recipe.yaml").write_text("mine")
    code, _, err = called(capfd, "init")
    assert code == 2 and "exists already" in err and "textsynth init NAME.yaml" in err
    assert (here / "recipe.yaml").read_text() == "mine"


def test_init_where_nothing_can_be_written(here, capfd):
    (here / "file").write_text("")
    code, _, err = called(capfd, "init", "file/recipe.yaml")
    assert code == 2 and "cannot be written" in err


def test_schema_prints_json(capfd):
    code, out, _ = called(capfd, "schema")
    assert code == 0 and "records" in json.loads(out)["properties"]


def test_check_shows_what_is_enforced_and_what_was_added(here, capfd):
    code, out, _ = called(
        capfd, "check", save(here, schema={"text": "str", "product": "str"}, quotas=None, export=None)
    )
    assert code == 0 and "ok tickets: 30 records from scripted" in out and "maxLength" in out


def test_check_as_json_can_be_read_by_a_program(here, capfd):
    code, out, _ = called(capfd, "check", save(here), "--json")
    found = json.loads(out)
    assert code == 0 and found["fields"] == ["title", "body", "priority", "product"]
    assert all(len(row) == 4 for row in found["findings"])


@pytest.mark.parametrize("command", ["check", "run", "preview"])
def test_a_wrong_recipe_exits_with_2_and_says_place_value_and_next_step(here, capfd, command):
    name = save(here, records=0, fliters=[], sampling={"temperature": 9})
    code, out, err = called(capfd, command, name)
    assert code == 2 and out == ""
    assert "records: input should be greater than or equal to 1, got 0" in err
    assert "fliters" in err and "did you mean filters?" in err
    assert "sampling.temperature" in err and "got 9" in err
    assert not (here / "runs").exists()


def test_mistakes_across_parts_come_together_with_the_next_step(here, capfd):
    name = save(here, seeds={"path": "none.jsonl"}, prompt="{{ produkt }}", filters=["mine.filters:Own"])
    code, _, err = called(capfd, "check", name)
    assert code == 2
    assert "no such file: 'none.jsonl'" in err and "did you mean product?" in err
    assert "put the module beside the recipe or install it" in err


def test_a_missing_recipe_names_init(here, capfd):
    code, _, err = called(capfd, "check", "none.yaml")
    assert code == 2 and "none.yaml" in err and "textsynth init" in err


def test_an_error_as_json_can_be_read_by_a_program(here, capfd):
    code, out, _ = called(capfd, "run", "none.yaml", "--json")
    found = json.loads(out)
    assert code == 2 and found["event"] == "error" and found["kind"] == "RecipeError" and found["hint"]


@pytest.mark.parametrize(
    "arguments", [[], ["nothing"], ["run"], ["preview", "x", "-n", "0"], ["show", "x", "-n", "-1"], ["why", "x", "y"]]
)
def test_a_wrong_command_exits_with_2(arguments, capfd):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "Traceback" not in capfd.readouterr().err


def test_markup_in_a_users_text_is_shown_as_it_is(here, capfd):
    code, _, err = called(capfd, "check", save(here, model="[red]no[/red] [/x]"))
    assert code == 2 and "[red]no[/red] [/x]" in err


# --- run -------------------------------------------------------------------------------------------------------------


def test_a_run_as_json_is_lines_with_the_result_last(run_folder):
    lines = [json.loads(line) for line in (run_folder.parent / "stdout.txt").read_text().splitlines()]
    assert {line["event"] for line in lines} <= {"progress", "result"}
    result = lines[-1]
    assert result["event"] == "result" and result["kept"] == 30 and result["open"] == 0
    assert result["kept"] + sum(result["reasons"].values()) == result["draws"]
    assert result["exported"] == [str(run_folder.parent / "out")]


def test_a_run_exports_where_the_recipe_says(run_folder):
    rows = [
        json.loads(line)
        for path in sorted((run_folder.parent / "out").rglob("*.jsonl"))
        for line in path.read_text().splitlines()
    ]
    assert len(rows) == 30 and set(rows[0]) == {"title", "body", "priority", "product"}
    assert (run_folder.parent / "out" / "README.md").is_file()


def test_a_run_sums_up_and_the_same_command_changes_nothing(here, capfd):
    name = save(here)
    code, out, _ = called(capfd, "run", name)
    assert code == 0 and "Run tickets: 30 of 30 records" in out and "kept" in out and "dataset: " in out
    again, second, _ = called(capfd, "run", name)
    assert again == 0 and "30 of 30 records" in second
    assert (here / "runs" / "tickets" / "ledger.sqlite").is_file()


def test_a_limit_exits_with_3_and_a_raised_one_goes_on(here, capfd):
    code, out, _ = called(capfd, "run", save(here, limits={"draws": 12}))
    assert code == 3 and "stopped by limits.draws: 12" in out
    assert not (here / "out").exists() or code == 3
    code, out, _ = called(capfd, "run", save(here, limits={"draws": 500}))
    assert code == 0 and "30 of 30 records" in out


def test_no_export_writes_no_dataset(here, capfd):
    assert called(capfd, "run", save(here), "--no-export")[0] == 0
    assert not (here / "out").exists()


def test_another_recipe_in_the_same_folder_is_refused_with_what_changed(here, capfd):
    assert called(capfd, "run", save(here, records=5, quotas=None), "--no-export")[0] == 0
    code, _, err = called(capfd, "run", save(here, records=5, quotas=None, seed=3), "--no-export")
    assert code == 1 and "seed" in err and "--folder" in err


def test_a_dry_run_needs_no_model(here, capfd):
    code, out, _ = called(capfd, "run", save(here, model="owner/some-model", engine={"gpu_memory": 1}), "--dry-run")
    assert code == 0 and "30 of 30 records" in out


def test_what_the_engine_prints_goes_to_its_log(here, capfd):
    source = """
import os
from dataclasses import dataclass
from textsynth.engines.scripted import Scripted

@dataclass
class Loud(Scripted):
    def start(self, *, backend):
        print("python noise")
        os.write(1, b"native noise\\n")
        os.write(2, b"native trouble\\n")
"""
    (here / "loud_engine.py").write_text(source)
    name = save(here, engine={"kind": "loud_engine:Loud"})
    done = subprocess.run([*PROGRAM, "run", name, "--json"], cwd=here, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["event"] for line in done.stdout.splitlines()][-1] == "result"
    assert "noise" not in done.stdout and done.stderr == ""
    log = (here / "runs" / "tickets" / "engine.log").read_text()
    assert {"python noise", "native noise", "native trouble"} <= set(log.splitlines())


def test_a_closed_pipe_is_no_error(here):
    done = subprocess.run(
        f"{sys.executable} -m textsynth.cli schema | head -1", shell=True, capture_output=True, text=True, cwd=here
    )
    assert done.stdout == "{\n" and "Traceback" not in done.stderr and "Exception" not in done.stderr


def test_the_version_is_printed(capfd):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0 and capfd.readouterr().out.startswith("textsynth ")


# --- preview ---------------------------------------------------------------------------------------------------------


def test_preview_shows_records_and_a_forecast_and_leaves_nothing(here, capfd):
    code, out, _ = called(capfd, "preview", save(here), "-n", "6")
    assert code == 0 and "Preview tickets: 6 of 6 records" in out and "Forecast for 30 records" in out
    assert out.count('"priority"') >= 6
    assert [p.name for p in here.iterdir()] == ["tickets.yaml"]


def test_preview_as_json(here, capfd):
    code, out, _ = called(capfd, "preview", save(here), "--json", "-n", "4")
    result = json.loads(out.splitlines()[-1])
    assert code == 0 and len(result["records"]) == 4
    low, middle, high = result["forecast"]["draws"]
    assert 30 <= low <= middle <= high


@pytest.mark.parametrize(
    "quotas", [{"priority": {"low": 0, "high": 0}}, {"priority": {}}, {"priority": {"low": 0.5, "high": 0.4}}]
)
def test_preview_of_quotas_that_make_no_sense_is_a_wrong_recipe(here, capfd, quotas):
    code, _, err = called(capfd, "preview", save(here, quotas=quotas))
    assert code == 2 and "quotas.priority" in err


# --- looking at a run ------------------------------------------------------------------------------------------------


def test_show_sums_up_and_shows_records(run_folder, capfd):
    code, out, _ = called(capfd, "show", str(run_folder), "-n", "3")
    assert code == 0 and "30 of 30 records" in out and out.count('"title"') == 3
    assert '"title"' not in called(capfd, "show", str(run_folder), "-n", "0")[1]


def test_why_shows_a_draw_from_plan_to_verdict(run_folder, capfd):
    from textsynth import load_run

    opened = load_run(run_folder)
    dropped = next(row["index"] for row in opened.ledger.dropped() if row["reason"] == "refusal")
    kept = next(index for index, _ in opened.ledger.kept())
    opened.close()
    code, out, _ = called(capfd, "why", str(run_folder), str(dropped))
    assert code == 0 and f"draw {dropped} " in out and "refusal" in out and "language model" in out
    assert "Write a ticket about a " in out, "the prompt is made again"
    code, out, _ = called(capfd, "why", str(run_folder), str(kept))
    assert code == 0 and "kept" in out and "record {" in out


@pytest.mark.parametrize("index", ["9999", "-1"])
def test_why_of_a_draw_that_is_not_there_names_those_that_are(run_folder, capfd, index):
    code, _, err = called(capfd, "why", str(run_folder), index)
    assert code == 1 and f"has no draw {index}" in err and "0 to " in err


@pytest.mark.parametrize("command", [["show"], ["why"], ["export"], ["diff"]])
def test_an_unknown_run_folder_exits_with_1(here, capfd, command):
    rest = {"why": ["0"], "diff": ["other"]}.get(command[0], [])
    code, _, err = called(capfd, *command, "no-run", *rest)
    assert code == 1 and "no-run" in err
    assert not (here / "no-run").exists(), "looking makes nothing"


def test_diff_of_a_run_with_itself_and_with_another(run_folder, here, capfd):
    code, out, _ = called(capfd, "diff", str(run_folder), str(run_folder))
    assert code == 0 and "the same" in out and "records that are the same in both: 30" in out
    called(capfd, "run", save(here, seed=5), "--no-export")
    code, out, _ = called(capfd, "diff", str(run_folder), "runs/tickets")
    assert code == 0 and "seed: " in out and "mean words" in out and "low" in out


def test_export_to_another_place_in_other_files(run_folder, here, capfd):
    code, out, _ = called(
        capfd, "export", str(run_folder), "--to", "again", "--format", "records", "--files", "parquet"
    )
    assert code == 0 and "dataset: again" in out
    assert list((here / "again").rglob("*.parquet")) and not list((here / "again").rglob("*.jsonl"))


def test_an_export_form_that_does_not_fit_or_exist_says_so(run_folder, here, capfd):
    code, _, err = called(capfd, "export", str(run_folder), "--to", "x", "--format", "classification")
    assert code == 1 and "text" in err
    code, _, err = called(capfd, "export", str(run_folder), "--to", "x", "--format", "mesages")
    assert code == 2 and "did you mean messages?" in err
    assert not (here / "x").exists()


# --- prompts and models ----------------------------------------------------------------------------------------------


def test_prompts_lists_the_library_and_shows_one(capfd):
    code, out, _ = called(capfd, "prompts")
    assert code == 0 and all(name in out for name in prompts.library())
    code, out, _ = called(capfd, "prompts", "text/for_label")
    assert code == 0 and "label" in out and "{{" in out
    code, _, err = called(capfd, "prompts", "text/for_lable")
    assert code == 2 and "did you mean text/for_label?" in err


def test_models_lists_what_is_here(here, capfd, monkeypatch):
    monkeypatch.setenv("TEXTSYNTH_CACHE", str(here / "cache"))
    monkeypatch.setenv("HF_HUB_CACHE", str(here / "hub"))
    code, out, _ = called(capfd, "models")
    assert code == 0 and "textsynth models default" in out
    own = here / "cache" / "models" / "smollm2-135m-instruct"
    own.mkdir(parents=True)
    (own / "config.json").write_text("{}")
    assert "default" in called(capfd, "models")[1]
    code, _, err = called(capfd, "models", "default")
    assert code == 0 and os.fspath(own) in err
    code, _, err = called(capfd, "models", "a b c")
    assert code == 2 and "'a b c'" in err
