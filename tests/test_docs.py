"""The README cannot lie: its recipe checks and runs, its Python runs, its filter filters, its commands exist."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

import textsynth as ts
from textsynth.cli import parser
from textsynth.cli.commands import COMMANDS
from textsynth.recipe import StrictLoader

EVALUATE = ROOT / "tests" / "data" / "evaluate"
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    sys.modules.pop("my_filters", None)


def test_recipe_runs_on_the_scripted_engine(here):
    (here / "recipe.yaml").write_text(blocks("yaml")[0])
    made = ts.run("recipe.yaml", folder="run", dry_run=True)
    assert made.complete and made.accepted == 100
    shares = [record["priority"] for record in made.records()]
    assert (shares.count("low"), shares.count("normal"), shares.count("high")) == (50, 30, 20)
    (place,) = made.export()
    assert Path(place) == here / "out" / "tickets"


def test_recipe_from_real_data_runs_with_a_profile(here):
    rows = [
        json.loads(x) for n in ("real", "other") for x in (EVALUATE / f"complaints_{n}.jsonl").read_text().splitlines()
    ]
    (here / "real.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    ts.fit(str(here / "real.jsonl"), label="product", embeddings=None).save(here / "profile")
    recipe = yaml.load(blocks("yaml")[1], StrictLoader) | {"records": 40, "model": "scripted", "filters": ["duplicate"]}
    made = ts.run(recipe, folder=here / "run")
    assert made.complete and made.accepted == 40
    assert {name: rows.num_rows for name, rows in made.edge_cases().items()} == {"boundary": 4, "invalid": 2}


def test_python_runs(here):
    python = [block for block in blocks("python") if "my_filters.py" not in block]
    assert len(python) == 1
    exec(compile(python[0], "README.md", "exec"), {"__name__": "readme"})


def test_filter_of_ones_own(here):
    code = next(block for block in blocks("python") if "my_filters.py" in block)
    assert len([line for line in code.splitlines() if line.strip() and not line.startswith("#")]) <= 12
    (here / "my_filters.py").write_text(code)
    filters = yaml.load(blocks("yaml")[2], StrictLoader)["filters"]
    texts = [
        '{"text": "THIS IS ALL SHOUTED OUT"}',
        '{"text": "this is said in a calm voice"}',
        '{"text": "So is this, calmly"}',
    ]
    recipe = {"model": "scripted", "records": 2, "schema": {"text": "str"}, "prompt": "Say.", "filters": filters}
    made = ts.run({**recipe, "engine": {"texts": texts}}, folder=here / "run")
    shouted = [row for row in made.rejected if row["reason"] == "my_filters:NoShouting"]
    assert shouted and all(row["detail"] == "83% capitals" and row["score"] > 0.4 for row in shouted)
    assert made.accepted == 2 and not any(record["text"].isupper() for record in made.records())


def test_every_command_named_exists_and_every_command_has_help():
    commands = next(block for block in README.split("```") if "textsynth init" in block)
    named = set(re.findall(r"^textsynth (\w+)", commands, re.MULTILINE))
    assert named and named <= set(COMMANDS)
    for command in COMMANDS:
        with pytest.raises(SystemExit) as left:
            parser().parse_args([command, "--help"])
        assert left.value.code == 0


def test_the_file_tree_names_what_is_there():
    tree = README.split("## The house")[1].split("```")[1]
    assert set(re.findall(r"(\w+\.py)", tree)) == {p.name for p in (ROOT / "textsynth").glob("*.py")} - {"__init__.py"}
    assert all(
        (ROOT / "textsynth" / name).is_dir()
        for name in ("cli", "methods", "engines", "filters", "export", "schema", "demo")
    )


def test_readme_is_short_and_shows_real_output():
    assert len(README.splitlines()) <= 200
    assert "DEMO_OUTPUT" not in README and "ended as" in README
