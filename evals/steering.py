"""Does steering help? The same recipe steered and unsteered, at equal generated tokens, judged on rows neither has read.

    python evals/steering.py --model FOLDER [--data banking77 cfpb] [--seeds 0 1 2] [--tokens 8000]

Both make records from a profile of the train rows, with real train rows as examples, until the token budget is spent. The
unsteered run draws from the profile and keeps what it accepts. The steered one draws for what is lacking, chooses between
two temperatures, and leaves out a fifth of what it accepted. Distances are to the ``report`` split, which is read here only,
and taken at equal size: the unsteered records are subsampled (mean of ten draws), and beside them stand all of them, and real
train rows. A classifier (logistic regression on embeddings) learns the label from each and is tested on the report rows.
"""

from __future__ import annotations

import argparse
import csv
import json
import platform
import re
import statistics
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import textsynth as ts
from textsynth import embeddings, profile
from textsynth.measure.frechet import frechet
from textsynth.measure.neighbourhood import neighbourhood

ROOT = Path(__file__).parent.parent
SHARE = 0.8
"""Of the records accepted, which the steered run keeps."""
DRAWS = 10
PROMPT = """---
purpose: one text with its label, short
system: You write texts like the ones before, never copies. You answer with one JSON object.
shot:
  user: "{% for n in SHOWN %}{{ n }}: {{ seed[n] }}; {% endfor %}{{ seed['TEXT'].split() | length }} words"
  assistant: "{{ answer | json }}"
---
{% for n in SHOWN %}{{ n }}: {{ attributes[n] }}; {% endfor %}{{ attributes['TEXT#words'] }} words
"""
"""Short, since a CPU spends most of its time on reading prompts."""


@dataclass(frozen=True)
class Task:
    """A dataset: where it lies, its text, its label, the structured fields that are compared, and the tokens of a run."""

    name: str
    text: str
    label: str
    fields: tuple[str, ...]
    shown: tuple[str, ...]
    tokens: int
    max_tokens: int
    window: int


TASKS = {
    "banking77": Task("banking77", "text", "category", ("category",), ("category",), 3500, 64, 24),
    "cfpb": Task(
        "cfpb",
        "narrative",
        "product",
        ("product", "issue", "state", "response", "tags"),
        ("product", "issue"),
        10_000,
        110,
        12,
    ),
}


def rows_of(task: Task, data: Path) -> list[dict[str, Any]]:
    """Return the real rows: all banking77 training queries, or the CFPB complaints with a narrative (its first sentences)."""
    if task.name == "banking77":
        return list(csv.DictReader((data / "banking77" / "train.csv").open(encoding="utf-8")))
    lines = (data / "cfpb_complaints" / "complaints_sample.csv").read_text(encoding="utf-8").split("\n", 2)[2]
    names = {
        "product": "Product", "issue": "Issue", "state": "State", "response": "Company response to consumer",
        "tags": "Tags",
    }  # fmt: skip
    found: dict[str, dict[str, Any]] = {}
    for row in csv.DictReader(lines.splitlines(keepends=True)):
        narrative = first_sentences(row["Consumer complaint narrative"], 50)
        if narrative:
            found.setdefault(narrative, {new: row[old] for new, old in names.items()} | {"narrative": narrative})
    return list(found.values())


def first_sentences(text: str, words: int) -> str:
    """Return whole sentences up to about so many words; a longer first sentence is cut."""
    kept: list[str] = []
    for sentence in re.split(r"(?<=[.!?])\s+", " ".join(text.split())):
        if kept and len(" ".join([*kept, sentence]).split()) > words:
            break
        kept.append(sentence)
    return " ".join(" ".join(kept).split()[: words * 3 // 2])


def recipe(
    task: Task, model: str, folder: Path, *, seed: int, tokens: int, records: int, steer: dict[str, Any] | None
) -> dict[str, Any]:
    """The recipe of both; only ``steer`` and the number of records differ."""
    return {
        "name": f"{task.name}-{'steered' if steer else 'unsteered'}",
        "model": model,
        "records": records,
        "profile": {"folder": str(folder / "profile"), "data": str(folder / "data.jsonl"), "shots": 2},
        "prompt": PROMPT.replace("TEXT", task.text).replace("SHOWN", repr(list(task.shown))),
        "filters": [
            "refusal",
            "encoding",
            "repetition",
            "duplicate",
            "near_duplicate",
            "copied",
            {"label_agreement": {"label": task.label}},
        ],
        "sampling": {"max_tokens": task.max_tokens},
        "steer": steer or False,
        "windows": {"size": task.window, "lag": 2},
        "limits": {"tokens": tokens, "acceptance": 0},
        "seed": seed,
    }


def judge(task: Task, made: list[dict[str, Any]], report: list[dict[str, Any]], embedder: Any) -> dict[str, float]:
    """Return the distances of records to the report rows, and what a classifier learnt from them."""
    ours, real = (embedder.take([str(row[task.text]) for row in rows]) for rows in (made, report))
    found = {m.name.rpartition(".")[2]: m.value for m in [*frechet(ours, real), *neighbourhood(ours, real)]}
    found = {name: found[name] for name in ("mmd", "frechet", "recall", "coverage")}
    found["attributes"] = statistics.mean(distance(name, made, report) for name in task.fields)
    learnt = tstr(ours, [r[task.label] for r in made], real, [r[task.label] for r in report])
    found |= {"tstr_f1": learnt[0], "tstr_accuracy": learnt[1]}
    return {name: float(value) for name, value in found.items()}


def distance(name: str, made: list[dict[str, Any]], report: list[dict[str, Any]]) -> float:
    """Return the total variation distance of one field's values."""
    values = {str(row.get(name)) for row in (*made, *report)}
    share = [
        np.array([sum(str(r.get(name)) == v for r in rows) / len(rows) for v in sorted(values)])
        for rows in (made, report)
    ]
    return float(np.abs(share[0] - share[1]).sum() / 2)


def tstr(ours: Any, labels: list[str], real: Any, truth: list[str]) -> tuple[float, float]:
    """Return macro F1 and accuracy on report rows of a classifier that learnt from ours."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import accuracy_score, f1_score

    said = LogisticRegression(C=10, max_iter=300).fit(ours, labels).predict(real)
    return float(f1_score(truth, said, average="macro")), float(accuracy_score(truth, said))


def mean(many: list[dict[str, float]]) -> dict[str, float]:
    """Return the mean of each value."""
    return {name: statistics.mean(each[name] for each in many) for name in many[0]}


def compare(task: Task, model: str, folder: Path, *, seed: int, tokens: int, arms: bool) -> dict[str, Any]:
    """Run both with one seed and judge them."""
    embedder = embeddings.load()
    learnt = profile.Profile.load(folder / "profile")
    data = [json.loads(line) for line in (folder / "data.jsonl").read_text(encoding="utf-8").splitlines()]
    report, train = ([data[at] for at in learnt.split(name).tolist()] for name in ("report", "train"))
    steer: dict[str, Any] = {"pool": 1 / SHARE, "arms": {"cooler": {"temperature": 0.7}} if arms else {}}
    given = partial(recipe, task, model, folder, seed=seed, tokens=tokens)
    plain = run(given(records=100_000, steer=None), folder / f"u{seed}")
    size = max(round(SHARE * len(plain["records"])), 30)
    guided = run(given(records=size, steer=steer), folder / f"{'s' if arms else 'n'}{seed}")
    size = len(guided["records"])
    random = np.random.default_rng(seed)

    def some(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [rows[at] for at in random.permutation(len(rows))[:size]]

    return {
        "seed": seed,
        "size": size,
        "steered": judge(task, guided["records"], report, embedder),
        "unsteered": mean([judge(task, some(plain["records"]), report, embedder) for _ in range(DRAWS)]),
        "unsteered_all": judge(task, plain["records"], report, embedder),
        "real": mean([judge(task, some(train), report, embedder) for _ in range(DRAWS)]),
        "runs": {
            name: {k: v for k, v in each.items() if k != "records"}
            for name, each in (("steered", guided), ("unsteered", plain))
        },
    }


def run(wanted: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Make one run; return its records and what it cost."""
    started = time.monotonic()
    done = ts.run(wanted, folder=folder)
    totals = done.ledger.totals()
    return {
        "records": [record for _, record in done.ledger.kept()],
        "kept": totals.kept, "draws": totals.draws, "tokens": totals.tokens, "reasons": totals.reasons,
        "seconds": round(time.monotonic() - started, 1), "stop": done.ledger.fact("stopped_by"),
        "arms": (done.ledger.fact("steering") or {}).get("arms", {}),
    }  # fmt: skip


def table(task: str, results: list[dict[str, Any]]) -> str:
    """Return the table of one dataset: mean over seeds and, for the two runs, the spread."""
    lines = [
        f"\n{task}: {len(results)} seeds, {[r['size'] for r in results]} records each",
        f"{'':12}" + "".join(f"{n:>19}" for n in SHOWN),
    ]
    for measure in results[0]["steered"]:
        cells = []
        for side in SHOWN:
            values = [r[side][measure] for r in results]
            cells.append(f"{statistics.mean(values):.4f} ± {statistics.pstdev(values):.4f}")
        better = sum((r["steered"][measure] > r["unsteered"][measure]) == (measure in HIGHER) for r in results)
        lines.append(
            f"{measure:12}" + "".join(f"{cell:>19}" for cell in cells) + f"   better in {better} of {len(results)}"
        )
    return "\n".join(lines)


SHOWN = ("steered", "unsteered", "unsteered_all", "real")
HIGHER = ("recall", "coverage", "tstr_f1", "tstr_accuracy")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--tokens", type=int, help="generated tokens of each run (default: by task)")
    parser.add_argument("--no-arms", action="store_true", help="one temperature only")
    parser.add_argument("--work", type=Path, help="folder of the runs; the same one goes on where it stopped")
    parser.add_argument("--out", type=Path, default=ROOT / "evals" / "results" / "steering.json")
    options = parser.parse_args()
    work = options.work or Path(tempfile.mkdtemp(prefix="steering-"))
    found: dict[str, Any] = {"model": Path(options.model).name, "machine": platform.processor() or platform.machine()}
    if options.out.exists():
        found = json.loads(options.out.read_text(encoding="utf-8")) | found
    for name in options.tasks:
        task, folder = TASKS[name], work / name
        folder.mkdir(parents=True, exist_ok=True)
        rows = rows_of(task, options.data)
        if not (folder / "profile" / "profile.json").exists():
            (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
            profile.fit(folder / "data.jsonl", label=task.label, seed=1).save(folder / "profile")
        tokens = options.tokens or task.tokens
        results = []
        for seed in options.seeds:
            results.append(compare(task, options.model, folder, seed=seed, tokens=tokens, arms=not options.no_arms))
            title = f"{name}, one temperature" if options.no_arms else name
            print(table(title, results), flush=True)
            found[title] = {"rows": len(rows), "tokens": tokens, "seeds": results}
            options.out.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
