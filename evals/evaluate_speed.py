"""How long does ``evaluate`` take on 100,000 rows or texts of each set, and how much memory?

Every case is a process of its own; the rows are made of real ones (Adult with five more columns; banking77 queries
joined), so that values repeat as they do in real data. Texts come with given vectors.

    python evals/evaluate_speed.py             # all cases, about 10 minutes; writes evals/results/evaluate_speed.json
    python evals/evaluate_speed.py rows        # only the cases whose name begins so; writes nothing
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
DATA = HERE.parent.parent / "shared" / "data"
RESULTS = HERE / "results" / "evaluate_speed.json"
CASES = {"rows 10,000 x 20": 10_000, "rows 100,000 x 20": 100_000, "texts 10,000": 10_000, "texts 100,000": 100_000}
LIMITS = {"seconds": 300, "megabytes": 4096}
NAMES = (
    "age workclass fnlwgt education education_num marital_status occupation relationship race sex capital_gain "
    "capital_loss hours_per_week native_country income"
).split()
NUMBERS = {"age", "fnlwgt", "education_num", "capital_gain", "capital_loss", "hours_per_week"}


def make_rows(data: Path, count: int, chance: random.Random) -> list[dict[str, Any]]:
    """Return rows of 20 columns: Adult's fifteen, some cells exchanged, and five that follow from them."""
    lines = (data / "uci_adult/adult.data").read_text().split("\n")
    real = [dict(zip(NAMES, line.split(", "), strict=True)) for line in lines if line.strip()]
    found = []
    for _ in range(count):
        row: dict[str, Any] = dict(chance.choice(real))
        other = chance.choice(real)
        row |= {name: other[name] for name in chance.sample(NAMES, 3)}
        row = {name: int(value) if name in NUMBERS else value for name, value in row.items()}
        row["joined"] = str(date(2024, 1, 1) - timedelta(days=int(chance.expovariate(1 / 900))))
        row["wage"] = round(row["hours_per_week"] * chance.lognormvariate(2.5, 0.5), 2)
        row["region"] = f"region {int(chance.expovariate(1 / 8))}"
        row["active"] = chance.random() < row["age"] / 100
        row["score"] = None if chance.random() < 0.1 else chance.randrange(1, 6)
        found.append(row)
    return found


def make_texts(data: Path, count: int, chance: random.Random) -> list[dict[str, Any]]:
    """Return messages of two to six real sentences."""
    with (data / "banking77/train.csv").open() as file:
        parts = [row["text"] for row in csv.DictReader(file)]
    return [{"text": " ".join(chance.sample(parts, chance.randrange(2, 7)))} for _ in range(count)]


def make_vectors(rows: list[dict[str, Any]]) -> Any:
    """Return 384 dimensions per text: the mean of random vectors of its words, which keeps texts alike that share words."""
    known: dict[str, Any] = {}
    found = np.empty((len(rows), 384), dtype=np.float32)
    for at, row in enumerate(rows):
        words = row["text"].split()
        for word in words:
            if word not in known:
                known[word] = np.random.default_rng(sum(word.encode()) * 7919 + len(word)).normal(size=384)
        found[at] = np.mean([known[word] for word in words], axis=0)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def prepare(case: str, data: Path, folder: Path) -> None:
    """Write the three sets of a case."""
    make = make_rows if case.startswith("rows") else make_texts
    for number, name in enumerate(("synthetic", "real", "holdout")):
        rows = make(data, CASES[case], random.Random(number))
        with (folder / f"{name}.jsonl").open("w") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
        if make is make_texts:
            np.save(folder / f"{name}.npy", make_vectors(rows))


def child(case: str, folder: Path) -> None:
    """Evaluate one case in this process; print what it took."""
    from textsynth.evaluation import Progress, evaluate

    began, steps = time.monotonic(), list[tuple[str, float]]()

    def note(progress: Progress) -> None:
        steps.append((progress.step, progress.seconds))

    sets = {name: folder / f"{name}.jsonl" for name in ("real", "holdout")}
    options: dict[str, Any] = {"label": "income", "protected": ["sex", "race"]}
    if case.startswith("texts"):
        vectors = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("synthetic", "real", "holdout")}
        options = {"vectors": vectors}
    found = evaluate(folder / "synthetic.jsonl", **sets, **options, on_progress=note)
    wall, used = time.monotonic() - began, resource.getrusage(resource.RUSAGE_SELF)
    spent = sorted(((b[1] - a[1], a[0]) for a, b in zip(steps, [*steps[1:], ("", wall)], strict=True)), reverse=True)
    told = {
        "seconds": round(wall, 1),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        "megabytes": used.ru_maxrss // 1024,
        "values": len(found.values),
        "not_measured": [f"{missing.what}: {missing.why}" for missing in found.missing],
        "slowest": [f"{step} {seconds:.1f} s" for seconds, step in spent[:5]],
        "load": round(os.getloadavg()[0], 1),
    }
    print(json.dumps(told))


def measure(case: str, data: Path) -> dict[str, Any]:
    """Run one case in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        prepare(case, data, Path(folder))
        command = [sys.executable, __file__, "--child", case, "--folder", folder]
        done = subprocess.run(command, capture_output=True, text=True, timeout=1800)
    if done.returncode:
        raise SystemExit(f"{case}: {done.stderr[-3000:]}")
    return {"case": case, **json.loads(done.stdout.splitlines()[-1])}


def table(results: list[dict[str, Any]]) -> str:
    lines = [
        "| case (of each set) | seconds | CPU seconds | peak MB | values | slowest steps | load |",
        "|---" * 7 + "|",
    ]
    for one in results:
        shown = (one["case"], one["seconds"], one["cpu_seconds"], one["megabytes"], one["values"])
        lines.append(f"| {' | '.join(map(str, shown))} | {'; '.join(one['slowest'])} | {one['load']} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("only", nargs="?", default="")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.folder)
        return
    results = []
    for case in CASES:
        if case.startswith(options.only):
            results.append(measure(case, options.data))
            print(table(results[-1:]).splitlines()[-1], file=sys.stderr)
    print(table(results))
    if not options.only:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps({"limits": LIMITS, "cases": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
