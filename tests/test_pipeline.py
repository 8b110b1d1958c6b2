"""Golden runs: exactly N, everything accounted for, same seed same bytes, and nothing lost or doubled by kill -9."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
import yaml
from conftest import PROGRAM, ROOT

import textsynth as ts
from textsynth.errors import LedgerError
from textsynth.ledger import Ledger


def digest(folder: Path) -> list[tuple]:
    """Return everything a run decided: draws, completions and verdicts, without times."""
    db = sqlite3.connect(folder / "ledger.sqlite")
    rows = []
    for query in (
        "SELECT idx, window, attributes, seeds, sampling_seed FROM draws WHERE idx IN (SELECT draw FROM verdicts WHERE reason != 'surplus') ORDER BY idx",
        "SELECT draw, step, text, finish FROM completions WHERE draw IN (SELECT draw FROM verdicts WHERE reason != 'surplus') ORDER BY draw, step",
        "SELECT draw, reason, detail, score, culprit, record FROM verdicts WHERE reason != 'surplus' ORDER BY draw",
    ):
        rows += db.execute(query).fetchall()
    db.close()
    return rows


def test_exactly_n_with_quotas_and_all_counts_add_up(scripted, tmp_path):
    made = ts.run(scripted, folder=tmp_path / "run")
    totals = made.totals
    assert made.complete and totals.kept == 60
    assert Counter(r["priority"] for r in made.records()) == {"low": 30, "normal": 18, "high": 12}
    assert totals.kept + sum(totals.reasons.values()) + totals.open == totals.draws
    assert totals.open == 0
    assert {"refusal", "engine_error"} <= set(totals.reasons)
    assert all(not made.parts.schema.problems(record) for record in made.records())
    assert made.rejected.num_rows == sum(totals.reasons.values())


def test_drawn_attributes_are_exact_in_every_record(scripted, tmp_path):
    made = ts.run(scripted, folder=tmp_path / "run")
    for index, record in made.ledger.kept():
        draw = made.ledger.draw(index)
        assert {name: record[name] for name in ("opened", "priority")} == {
            name: draw.attributes[name] for name in ("opened", "priority")
        }


def test_same_seed_gives_the_same_bytes_whatever_the_concurrency(either, tmp_path):
    first = ts.run(either, folder=tmp_path / "a")
    fewer = {**either, "engine": {**either["engine"], "concurrency": 3, "latency": 0.001}}
    second = ts.run(fewer, folder=tmp_path / "b")
    assert digest(first.folder) == digest(second.folder)
    other = ts.run({**either, "seed": 1}, folder=tmp_path / "c")
    assert list(other.records()) != list(first.records())


@pytest.mark.parametrize("moment", range(4))
def test_kill_at_any_moment_then_the_same_command_gives_the_same_dataset(either, moment, tmp_path):
    whole = ts.run(either, folder=tmp_path / "whole")
    slow = {**either, "engine": {**either["engine"], "latency": 0.05, "concurrency": 16}}
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(slow, sort_keys=False))
    command = [*PROGRAM, "run", str(recipe), "--folder", str(tmp_path / "killed"), "--json"]
    chance = random.Random(moment)
    kills = 0
    while kills < 3:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
        wait_for(lambda: (tmp_path / "killed" / "ledger.sqlite").exists())
        time.sleep(chance.uniform(0.05, 0.5))
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
    before = answered(tmp_path / "killed")
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert kills > 0
    assert digest(tmp_path / "killed") == digest(tmp_path / "whole")
    assert before <= answered(tmp_path / "killed"), "an answer that had been paid for was lost"
    assert list(ts.load_run(tmp_path / "killed").records()) == list(whole.records())


def wait_for(condition, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened in time"
        time.sleep(0.01)


def answered(folder: Path) -> set[tuple]:
    db = sqlite3.connect(folder / "ledger.sqlite")
    try:
        return set(db.execute("SELECT draw, step, text FROM completions"))
    except sqlite3.OperationalError:
        return set()
    finally:
        db.close()


def test_a_finished_run_does_nothing_and_asks_for_nothing(scripted, tmp_path):
    first = ts.run(scripted, folder=tmp_path / "run")
    before = answered(first.folder)
    again = ts.run({**scripted, "engine": {"texts": ["never asked"]}}, folder=tmp_path / "run")
    assert again.accepted == 60 and answered(again.folder) == before


def test_more_records_can_be_asked_for_and_keep_what_was_accepted(scripted, tmp_path):
    plain = {k: v for k, v in scripted.items() if k != "quotas"}
    first = list(ts.run(plain, folder=tmp_path / "run").records())
    more = ts.run({**plain, "records": 90}, folder=tmp_path / "run")
    assert more.accepted == 90 and list(more.records())[:60] == first
    with pytest.raises(LedgerError, match="already holds 90 accepted"):
        ts.run(plain, folder=tmp_path / "run")


def test_a_changed_recipe_is_refused_with_what_changed(scripted, tmp_path):
    ts.run(scripted, folder=tmp_path / "run")
    with pytest.raises(LedgerError) as refused:
        ts.run({**scripted, "prompt": "Write about {{ product }} differently."}, folder=tmp_path / "run")
    assert "prompt.body: Write a ticket" in refused.value.message and "--folder" in refused.value.hint


def test_two_processes_on_one_folder(scripted, tmp_path):
    holder = Ledger(tmp_path / "run", write=True)
    with pytest.raises(LedgerError, match=f"in use by process {os.getpid()}"):
        ts.run(scripted, folder=tmp_path / "run")
    holder.close()
    assert ts.run(scripted, folder=tmp_path / "run").complete


def test_damaged_ledger_and_folder_that_cannot_be_written(scripted, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "ledger.sqlite").write_bytes(b"this is not a database, it is a text" * 200)
    with pytest.raises(LedgerError, match="damaged"):
        ts.run(scripted, folder=tmp_path / "run")
    assert (tmp_path / "run" / "ledger.sqlite").read_bytes().startswith(b"this is not")
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match="cannot be written"):
        ts.run(scripted, folder=tmp_path / "file" / "run")


def test_disk_full_loses_nothing_that_was_committed(scripted, tmp_path):
    """A file size limit stands for a full disk: SQLite reports either the same way."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump({**scripted, "records": 3000, "quotas": {}}, sort_keys=False))
    command = [*PROGRAM, "run", str(recipe), "--folder", str(tmp_path / "run"), "--json"]
    limited = subprocess.run(
        ["bash", "-c", 'ulimit -f 600; trap "" XFSZ; exec "$@"', "-", *command],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert limited.returncode == 1, limited.stdout[-500:]
    assert "Traceback" not in limited.stderr and "goes on" in limited.stderr
    before = answered(tmp_path / "run")
    assert before
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and before <= answered(tmp_path / "run")


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"draws": 30}, "limits.draws: 30"),
        ({"tokens": 500}, "limits.tokens: 500"),
        ({"minutes": 0.002}, "limits.minutes"),
    ],
)
def test_limits_stop_the_run_and_are_named(scripted, limits, said, tmp_path):
    slow = {**scripted, "engine": {"latency": 0.05, "concurrency": 8}, "limits": limits}
    made = ts.run(slow, folder=tmp_path / "run")
    assert said in made.stopped_by and not made.complete
    totals = made.totals
    assert totals.kept + sum(totals.reasons.values()) + totals.open == totals.draws
    finished = ts.run({**scripted, "engine": {}, "limits": {}}, folder=tmp_path / "run")
    assert finished.complete and finished.accepted == 60


def test_hopeless_run_stops_and_says_what_would_help(scripted, tmp_path):
    bad = {**scripted, "engine": {"faults": {"malformed": 1.0}}, "limits": {"acceptance": 0.1, "windows": 2}}
    made = ts.run(bad, folder=tmp_path / "run")
    assert made.accepted == 0 and made.stopped_by.startswith("limits.acceptance: 0 of the last")
    assert made.advice().startswith("invalid_json:")


def test_why_shows_plan_prompt_text_verdict_and_culprit(scripted, tmp_path):
    made = ts.run({**scripted, "engine": {"faults": {"repeat": 0.4}}}, folder=tmp_path / "run")
    rows = [row for row in made.rejected if row["reason"] in {"duplicate", "near_duplicate"}]
    found = made.why(rows[0]["index"])
    assert found.requests[0].messages[0]["content"].startswith("Write a ticket about a ")
    assert json.loads(found.completions[-1].text)["title"]
    assert made.why(int(found.drop.culprit)).state == "kept"
    with pytest.raises(LedgerError, match="no draw 99999"):
        made.why(99999)


def test_truncated_and_broken_completions_keep_their_raw_text(scripted, tmp_path):
    made = ts.run({**scripted, "repairs": 0, "engine": {"faults": {"truncated": 0.5}}}, folder=tmp_path / "run")
    cut = [row for row in made.rejected if row["reason"] == "truncated"]
    assert cut and all(row["text"].startswith("{") and not row["text"].endswith("}") for row in cut)


def test_only_failed_fields_are_asked_for_again(scripted, tmp_path):
    made = ts.run({**scripted, "engine": {"faults": {"truncated": 0.5}}}, folder=tmp_path / "run")
    for index, record in made.ledger.kept():
        found = made.why(index)
        if len(found.requests) == 2 and '"title"' not in found.requests[1].schema:
            first = json.loads(found.completions[0].text.split('","body"')[0] + '"}')
            assert record["title"] == first["title"]
            assert json.dumps(record["title"], ensure_ascii=False) in found.requests[1].messages[-1]["content"]
            return
    pytest.fail("no record had only some fields asked for again")


def test_every_dialogue_turn_is_a_request_of_its_own(tmp_path):
    from conftest import DIALOGUE

    made = ts.run({**DIALOGUE, "engine": {}}, folder=tmp_path / "run")
    for index, record in made.ledger.kept():
        roles = [m["role"] for m in record["messages"]]
        assert roles == ["user", "assistant", "user", "assistant", "user"][: len(roles)] and 3 <= len(roles) <= 5
        assert isinstance(record["solved"], bool)
        assert len(made.why(index).completions) == len(roles) + 1


def test_stream_yields_records_while_a_loop_runs(scripted, tmp_path):
    async def collect() -> list[dict]:
        return [record async for record in ts.stream(scripted, folder=tmp_path / "run")]

    streamed = asyncio.run(collect())
    assert len(streamed) == 60 and streamed == list(ts.load_run(tmp_path / "run").records())


def test_stream_left_early_can_be_continued(scripted, tmp_path):
    async def first() -> dict:
        async for record in ts.stream({**scripted, "engine": {"latency": 0.02}}, folder=tmp_path / "run"):
            return record

    record = asyncio.run(first())
    whole = ts.run({**scripted, "engine": {}}, folder=tmp_path / "run")
    assert whole.complete and next(whole.records()) == record


def test_synthesize_inside_a_running_event_loop(tmp_path):
    async def notebook() -> int:
        made = ts.synthesize({"text": "str 5..40"}, prompt="Write.", records=5, model="scripted")
        return made.dataset.num_rows

    assert asyncio.run(notebook()) == 5


def test_preview_forecasts_draws_and_tokens(scripted):
    from textsynth.runs import forecast

    made = ts.preview(scripted, records=10)
    scaled = forecast(made, 1000)
    low, middle, high = scaled.acceptance
    assert made.accepted == 10 and 0 < low < middle <= high <= 1
    assert scaled.draws[0] <= scaled.draws[1] <= scaled.draws[2] and scaled.draws[1] >= 1000
    assert scaled.tokens[1] > 1000 and scaled.disk_bytes > 10_000


def test_seeds_run_out_is_a_stated_limit(scripted, tmp_path):
    rows = [
        {"title": f"Ticket number {i}", "body": f"It does not work since day {i}.", "priority": "low"}
        for i in range(40)
    ]
    (tmp_path / "seeds.jsonl").write_text("\n".join(map(json.dumps, rows)))
    recipe = {
        **{k: v for k, v in scripted.items() if k != "quotas"},
        "records": 20,
        "prompt": "records/from_examples",
        "seeds": {"path": str(tmp_path / "seeds.jsonl"), "shots": 2, "max_uses": 1},
        "engine": {"faults": {"malformed": 0.7}},
        "repairs": 0,
    }
    made = ts.run(recipe, folder=tmp_path / "run")
    assert made.stopped_by.startswith("seeds.max_uses") and made.totals.draws == 20
    shown = Counter(seed.id for draw in made.ledger.draws() for seed in draw.seeds)
    assert max(shown.values()) == 1
