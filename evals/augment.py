"""Does augmentation help a classifier of scarce classes? Beside plain repetition, and beside the same without label check.

Five random intents of banking77 are thinned to ten real examples each, the others stay as they are; then each of the five is
filled to ``--wanted``. (``--set sms``: ten spam messages beside 500 ham.) Two classifiers, both logistic regression, learn
from the result and are scored on the real test set: one on TF-IDF of words, one on embeddings. The label check of textsynth
uses such a classifier on the thinned real rows, so the second is not independent of it; the first is.

    python evals/augment.py --model FOLDER      # 3 seeds; writes evals/results/augment.json
    python evals/augment.py --dry-run --seeds 1 # only whether it runs
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from scipy.sparse import spmatrix
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from textsynth import embeddings

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "evals" / "results" / "augment.json"
FEW = 10
HAM = 500
VARIANTS = ("thinned", "repeated", "no label check", "label check", "all real rows")
Row = dict[str, str]


@dataclass(frozen=True)
class Task:
    """Real rows to learn from, whole and thinned, rows to test on, and the classes that were thinned."""

    whole: list[Row]
    thinned: list[Row]
    test: list[Row]
    scarce: tuple[str, ...]


@dataclass
class Outcome:
    """Scores of one variant and seed: macro-F1 over the thinned classes and over all, by classifier."""

    seed: int
    variant: str
    rows: int
    scarce_f1: dict[str, float] = field(default_factory=dict)
    all_f1: dict[str, float] = field(default_factory=dict)


@dataclass
class Making:
    """What one run cost: records made of those wanted, the share kept, minutes."""

    seed: int
    variant: str
    wanted: int
    made: int
    kept_share: dict[str, float | None]
    minutes: float


def banking(data: Path, seed: int, classes: int) -> Task:
    parts = {}
    for part in ("train", "test"):
        with (data / f"banking77/{part}.csv").open(newline="", encoding="utf-8") as lines:
            parts[part] = [{"text": row["text"], "label": row["category"]} for row in csv.DictReader(lines)]
    random = Random(seed)
    labels = sorted({row["label"] for row in parts["train"]})
    used = set(labels if classes >= len(labels) else random.sample(labels, classes))
    scarce = tuple(sorted(random.sample(sorted(used), 5)))
    whole = [row for row in parts["train"] if row["label"] in used]
    return Task(whole, thin(whole, scarce, random), [r for r in parts["test"] if r["label"] in used], scarce)


def sms(data: Path, seed: int, classes: int) -> Task:
    lines = (data / "sms_spam/SMSSpamCollection").read_text(encoding="utf-8").splitlines()
    parts = [line.split("\t", 1) for line in lines]
    rows = [{"label": label, "text": text} for label, text in parts if label in {"ham", "spam"}]
    rows = list({row["text"]: row for row in rows}.values())  # the same message in both halves would be a leak
    random = Random(seed)
    random.shuffle(rows)
    half = len(rows) // 2
    ham = [row for row in rows[:half] if row["label"] == "ham"][:HAM]
    whole = ham + [row for row in rows[:half] if row["label"] == "spam"]
    return Task(whole, thin(whole, ("spam",), random), rows[half:], ("spam",))


def thin(rows: Sequence[Row], scarce: Sequence[str], random: Random) -> list[Row]:
    """Leave ``FEW`` random rows of each scarce class."""
    kept = {id(row) for label in scarce for row in random.sample([row for row in rows if row["label"] == label], FEW)}
    return [row for row in rows if row["label"] not in scarce or id(row) in kept]


def repeat(task: Task, wanted: int) -> list[Row]:
    """Show the rows of scarce classes again and again until each class has ``wanted``."""
    more = []
    for label in task.scarce:
        real = [row for row in task.thinned if row["label"] == label]
        more += [real[at % len(real)] for at in range(wanted - len(real))]
    return task.thinned + more


def make(task: Task, check: str, seed: int, folder: Path, options: argparse.Namespace) -> tuple[list[Row], Making]:
    """Augment the thinned rows with the command, in a process of its own; return the synthetic rows."""
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "thinned.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in task.thinned), encoding="utf-8")
    balance = ", ".join(f"{label}: {options.wanted}" for label in task.scarce)
    command = [sys.executable, "-m", "textsynth.cli", "augment", str(data), "--label", "label", "--text", "text"]
    command += ["--balance", balance, "--seed", str(seed), "--model", options.model, "--label-check", check, "--json"]
    command += ["--folder", str(folder / "run"), "--to", str(folder / "dataset"), "--minutes", str(options.minutes)]
    start = time.monotonic()
    done = subprocess.run(
        command + (["--dry-run"] if options.dry_run else []),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    if done.returncode not in {0, 3}:
        raise SystemExit(done.stdout[-2000:] + done.stderr[-2000:])
    result = json.loads(done.stdout.splitlines()[-1])
    shares = {item["value"]: item["kept_share"] for item in result["classes"] if item["value"] in task.scarce}
    minutes = round((time.monotonic() - start) / 60, 2)
    variant = "label check" if check == "classifier" else "no label check"
    made = Making(seed, variant, result["needed"], result["made"], shares, minutes)
    return synthetic(folder / "dataset") if made.made else [], made


def synthetic(folder: Path) -> list[Row]:
    from datasets import disable_progress_bars, load_dataset

    disable_progress_bars()
    data = load_dataset("parquet", data_files=str(folder / "data" / "*.parquet"), split="train")
    return [{"text": row["text"], "label": row["label"]} for row in data if row["synthetic"]]


def score(outcome: Outcome, learn: Sequence[Row], task: Task) -> Outcome:
    """Fit both classifiers and score them on the test rows."""
    labels = sorted({row["label"] for row in task.test})
    for name, (rows, test) in features(learn, task.test).items():
        model = LogisticRegression(C=10, max_iter=300)
        model.fit(rows, [row["label"] for row in learn])
        told = model.predict(test)
        real = [row["label"] for row in task.test]
        each = dict(zip(labels, f1_score(real, told, labels=labels, average=None, zero_division=0), strict=True))
        outcome.scarce_f1[name] = round(float(np.mean([each[label] for label in task.scarce])), 4)
        outcome.all_f1[name] = round(float(np.mean(list(each.values()))), 4)
    return outcome


def features(
    learn: Sequence[Row], test: Sequence[Row]
) -> dict[str, tuple[np.ndarray | spmatrix, np.ndarray | spmatrix]]:
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    learnt = words.fit_transform([row["text"] for row in learn])
    return {
        "tf-idf": (learnt, words.transform([row["text"] for row in test])),
        "embedding": (vectors(learn), vectors(test)),
    }


KNOWN: dict[str, np.ndarray] = {}


def vectors(rows: Sequence[Row]) -> np.ndarray:
    """Return embeddings, each text embedded once."""
    fresh = sorted({row["text"] for row in rows} - set(KNOWN))
    if fresh:
        KNOWN.update(zip(fresh, embeddings.load("default").take(fresh), strict=True))
    return np.stack([KNOWN[row["text"]] for row in rows])


def main() -> None:
    options = arguments()
    outcomes, makings = [], []
    for seed in range(options.seeds):
        task = {"banking77": banking, "sms": sms}[options.set](options.data, seed, options.classes)
        learn = {"thinned": task.thinned, "repeated": repeat(task, options.wanted), "all real rows": task.whole}
        for variant, check in (("no label check", "none"), ("label check", "classifier")):
            if variant in options.variants:
                made, cost = make(task, check, seed, options.work / f"{options.set}-{seed}-{check}", options)
                learn[variant] = task.thinned + made
                makings.append(cost)
                print(cost, flush=True)
        for variant in VARIANTS:
            if variant in learn:
                rows = learn[variant]
                outcomes.append(score(Outcome(seed, variant, len(rows)), rows, task))
                print(outcomes[-1], flush=True)
    show(outcomes)
    if not options.dry_run:
        facts = {"set": options.set, "wanted": options.wanted, "classes": options.classes, "few": FEW}
        model = Path(options.model).name
        found = {**facts, "model": model, "scores": list(map(asdict, outcomes)), "runs": list(map(asdict, makings))}
        write(options.results, found)


def show(outcomes: Sequence[Outcome]) -> None:
    """Print mean and spread over the seeds."""
    print(
        f"\n{'variant':<16}{'rows':>8}{'scarce tf-idf':>18}{'scarce embedding':>18}{'all tf-idf':>18}{'all embedding':>18}"
    )
    for variant, count in Counter(one.variant for one in outcomes).items():
        some = [one for one in outcomes if one.variant == variant]
        cells = [spread([o.scarce_f1[c] for o in some]) for c in ("tf-idf", "embedding")]
        cells += [spread([o.all_f1[c] for o in some]) for c in ("tf-idf", "embedding")]
        print(f"{variant:<16}{some[0].rows:>8}{''.join(f'{cell:>18}' for cell in cells)}   ({count} seeds)")


def spread(values: Sequence[float]) -> str:
    return f"{statistics.mean(values):.3f} ± {statistics.stdev(values) if len(values) > 1 else 0:.3f}"


def write(file: Path, found: dict[str, Any]) -> None:
    """Keep earlier results of other sets and models beside the new ones."""
    old = json.loads(file.read_text()) if file.exists() else []
    rest = [one for one in old if (one["set"], one["model"]) != (found["set"], found["model"])]
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps([*rest, found], indent=1) + "\n")
    print(f"wrote {file}")


def arguments() -> argparse.Namespace:
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    top.add_argument("--set", choices=("banking77", "sms"), default="banking77")
    top.add_argument("--model", default="default", help="as in a recipe")
    top.add_argument("--seeds", type=int, default=3)
    top.add_argument("--classes", type=int, default=77, help="of banking77, the thinned ones among them")
    top.add_argument("--wanted", type=int, default=60, help="rows per thinned class in the end")
    top.add_argument("--minutes", type=float, default=60, help="most minutes of one run")
    top.add_argument("--variants", nargs="*", default=VARIANTS, choices=VARIANTS, help="which of those that are made")
    top.add_argument("--work", type=Path, default=Path("runs/eval-augment"), help="runs are kept here and gone on with")
    top.add_argument("--results", type=Path, default=RESULTS)
    top.add_argument("--dry-run", action="store_true")
    return top.parse_args()


if __name__ == "__main__":
    main()
