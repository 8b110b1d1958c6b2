"""How near does the joint model come to Adult (UCI, 15 columns), and how near does real data come to itself?

The 48,842 rows are divided at random into train (22,000), steer (4,842; chooses the size of the leaves) and a holdout of
22,000 that nothing but the measures sees. As many rows as train has are drawn and measured with the product's measures:
accuracy (mean of uni- and bivariate), telling apart (C2ST), share of rows nearer to train than to the holdout (Gower),
and income predicted from the other columns, learnt on drawn rows and tested on the holdout. Beside each stands what
real rows score in the drawn rows' place. Three divisions; on the first also other leaf sizes and two simple generators.
The constants of the trees were chosen on the first division, so its figures are not untouched; those of the other two are.

    python evals/adult.py              # everything, about 15 minutes; writes evals/results/adult.json
    python evals/adult.py trees        # only the three divisions (others: the rest; speed: the times)
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from textsynth.measure.copying import table_copying
from textsynth.measure.detection import detect
from textsynth.measure.fidelity import accuracy
from textsynth.measure.measured import Measured
from textsynth.measure.table import Table
from textsynth.measure.utility import utility
from textsynth.profile.encoding import Codec
from textsynth.profile.trees import Trees

HERE = Path(__file__).resolve().parent
DATA = HERE.parent.parent / "shared" / "data" / "uci_adult"
RESULTS = HERE / "results" / "adult.json"
NAMES = (
    "age workclass fnlwgt education education_num marital_status occupation relationship race sex capital_gain "
    "capital_loss hours_per_week native_country income"
).split()
NUMBERS = {"age", "fnlwgt", "education_num", "capital_gain", "capital_loss", "hours_per_week"}
KINDS = {name: "integer" if name in NUMBERS else "categorical" for name in NAMES}
MEASURED = {name: "number" if name in NUMBERS else "category" for name in NAMES}
TRAIN = 22_000
COMPARED = 6_000  # drawn rows whose nearest rows are looked up, among all of train and of the holdout
PUBLISHED = {  # examples/benchmark-examples.csv of mostlyai-qa: accuracy, C2ST AUC, closest share
    "mostlyai": (0.984, 0.523, 0.502),
    "synthpop": (0.990, 0.497, 0.551),
    "gretel": (0.867, 0.975, 0.501),
    "ctgan": (0.845, 0.973, 0.495),
}
FIGURES = {
    "accuracy": "fidelity.accuracy.overall",
    "univariate": "fidelity.accuracy.univariate",
    "bivariate": "fidelity.accuracy.bivariate",
    "trivariate": "fidelity.accuracy.trivariate",
    "c2st": "fidelity.detection.table",
    "closest": "privacy.closest_share",
    "tstr": "utility.tstr",
}

Columns = dict[str, list[Any]]


@dataclass(frozen=True)
class Joint:
    """The model with the codes of its columns."""

    codecs: dict[str, Codec]
    trees: Trees

    @classmethod
    def fit(
        cls, train: Columns, steer: Columns | None, seed: int, leaf: int | None = None, label: str = "income"
    ) -> Joint:
        """Learn codes and trees of the train rows."""
        codecs = {name: Codec.fit(values, KINDS[name.split(".")[0]], seed=seed) for name, values in train.items()}
        codes, apart = (
            None if part is None else np.stack([codecs[name].encode(values) for name, values in part.items()], axis=1)
            for part in (train, steer)
        )
        cards, ordered = [codec.card for codec in codecs.values()], [codec.ordered for codec in codecs.values()]
        names = list(codecs)
        return cls(
            codecs, Trees.fit(codes, cards, ordered, names=names, target=label, steer=apart, seed=seed, leaf=leaf)
        )

    def sample(self, n: int, random: np.random.Generator) -> Columns:
        """Draw rows."""
        codes = self.trees.sample(n, random).codes
        return {name: codec.decode(codes[:, j], random) for j, (name, codec) in enumerate(self.codecs.items())}


@dataclass(frozen=True)
class Division:
    """The rows of one seed."""

    train: Columns
    steer: Columns
    holdout: Columns
    seed: int


def read(folder: Path) -> Columns:
    rows = []
    for name in ("adult.data", "adult.test"):
        for line in (folder / name).read_text(encoding="utf-8").splitlines():
            cells = [cell.strip() for cell in line.split(",")]
            if len(cells) == len(NAMES):
                rows.append([*cells[:-1], cells[-1].rstrip(".")])
    columns = dict(zip(NAMES, map(list, zip(*rows, strict=True)), strict=True))
    return {
        name: [None if cell == "?" else int(cell) if name in NUMBERS else cell for cell in cells]
        for name, cells in columns.items()
    }


def take(columns: Columns, rows: np.ndarray) -> Columns:
    return {name: [values[row] for row in rows.tolist()] for name, values in columns.items()}


def divide(columns: Columns, seed: int) -> Division:
    rows = np.random.default_rng(seed).permutation(len(columns["age"]))
    parts = rows[:TRAIN], rows[2 * TRAIN :], rows[TRAIN : 2 * TRAIN]
    return Division(*(take(columns, part) for part in parts), seed)


def by_trees(division: Division, leaf: int | None = None) -> tuple[Columns, dict[str, Any]]:
    model = Joint.fit(division.train, division.steer, division.seed, leaf)
    told = {"leaf": model.trees.leaf, "choice": [dict(each) for each in model.trees.choice]}
    return model.sample(TRAIN, np.random.default_rng(division.seed + 1)), told


def by_copies(division: Division) -> tuple[Columns, dict[str, Any]]:
    return take(division.train, np.random.default_rng(division.seed).integers(TRAIN, size=TRAIN)), {}


def by_columns(division: Division) -> tuple[Columns, dict[str, Any]]:
    random = np.random.default_rng(division.seed)
    return {name: take({name: v}, random.permutation(TRAIN))[name] for name, v in division.train.items()}, {}


def measure(drawn: Columns, division: Division) -> dict[str, Measured]:
    made, real, apart = (Table.of(part, KINDS) for part in (drawn, division.train, division.holdout))
    found = accuracy(made, real=real, holdout=apart) + detect(made, real=real, holdout=apart)
    found += utility(made, label="income", real=real, holdout=apart)
    parts = (drawn, division.train, division.holdout)
    found += table_copying(*parts, kinds=MEASURED, most=COMPARED, references=TRAIN)
    return {each.name: each for each in found}


def evaluate(
    name: str, make: Callable[..., tuple[Columns, dict[str, Any]]], division: Division, **options: Any
) -> dict:
    start = time.perf_counter()
    drawn, told = make(division, **options)
    seconds = time.perf_counter() - start
    found = measure(drawn, division)
    row: dict[str, Any] = {"generator": name, "seed": division.seed, "seconds": round(seconds, 1)} | told
    for short, long in FIGURES.items():
        each = found[long]
        row[short], row[f"{short}_real"] = each.value, each.real
        row[f"{short}_interval"] = [each.low, each.high]
    for short in ("univariate", "bivariate", "accuracy"):
        row[f"{short}_max"] = found[FIGURES[short]].detail.get("maximum")
    show(row)
    return row


def show(row: dict[str, Any]) -> None:
    cells = [f"{row['generator']:<22} {row['seed']}"]
    for short in ("accuracy", "c2st", "closest", "tstr"):
        real = row[f"{short}_real"]
        cells.append(f"{short} {row[short]:.4f} ({'-' if real is None else format(real, '.4f')})")
    print("  ".join(cells), f"{row['seconds']:.1f} s", flush=True)


def speed(columns: Columns) -> dict[str, Any]:
    """Time the main job: 32,561 rows in, 32,561 out; then 100,000 rows of 20 columns, five of them from other rows."""
    random = np.random.default_rng(0)
    rows = random.permutation(32_561)
    train, steer = take(columns, rows[:26_049]), take(columns, rows[26_049:])
    times = {"adult": timed(train, steer, 32_561)}
    rows = random.integers(len(columns["age"]), size=(2, 100_000))
    large, other = take(columns, rows[0]), take(columns, rows[1])
    large |= {f"{name}.again": other[name] for name in ("age", "occupation", "race", "hours_per_week", "fnlwgt")}
    times["100,000 × 20"] = timed(large, None, 100_000)
    for name, each in times.items():
        print(name, each)
    return times


def timed(train: Columns, steer: Columns | None, n: int) -> dict[str, float]:
    marks = [(time.perf_counter(), time.process_time())]
    model = Joint.fit(train, steer, 0)
    marks.append((time.perf_counter(), time.process_time()))
    model.sample(n, np.random.default_rng(0))
    marks.append((time.perf_counter(), time.process_time()))
    (a, b), (c, d), (e, f) = marks
    whole = {"fit_seconds": c - a, "fit_cpu": d - b, "sample_seconds": e - c, "sample_cpu": f - d}
    return {name: round(value, 2) for name, value in whole.items()} | {"rows_per_cpu_second": round(n / (f - d))}


def summarise(rows: list[dict[str, Any]]) -> dict[str, Any]:
    own = [row for row in rows if row["generator"] == "trees"]
    return {
        short: {
            "mean": round(statistics.mean(row[short] for row in own), 4),
            "spread": round(statistics.pstdev(row[short] for row in own), 4),
            "real": [row[f"{short}_real"] for row in own],
        }
        for short in FIGURES
        if own
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", nargs="?", default="all", choices=["all", "trees", "others", "speed"])
    parser.add_argument("--data", type=Path, default=DATA)
    options = parser.parse_args()
    columns = read(options.data)
    done = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {"runs": []}
    if options.part in {"all", "speed"}:
        done["speed"] = speed(columns)
    cases: list[tuple[str, Callable[..., Any], int, dict[str, Any]]] = []
    if options.part in {"all", "trees"}:
        cases += [("trees", by_trees, seed, {}) for seed in range(3)]
    if options.part in {"all", "others"}:
        cases += [("independent columns", by_columns, 0, {}), ("bootstrap copy", by_copies, 0, {})]
        cases += [(f"trees, leaf {leaf}", by_trees, 0, {"leaf": leaf}) for leaf in (200, 50, 5)]
    for name, make, seed, how in cases:
        row = evaluate(name, make, divide(columns, seed), **how)
        done["runs"] = [each for each in done["runs"] if (each["generator"], each["seed"]) != (name, seed)] + [row]
        done |= {"trees": summarise(done["runs"]), "published": PUBLISHED}
        RESULTS.write_text(json.dumps(done, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(done.get("speed" if options.part == "speed" else "trees"), indent=1))
    if options.part == "speed":
        RESULTS.write_text(json.dumps(done, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
