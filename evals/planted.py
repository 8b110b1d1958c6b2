"""Does ``evaluate`` see planted failures, and does it let real data pass?

Failures (``tests/planted.py``) are made of real texts and rows; a real holdout in the synthetic rows' place must pass
every gate. ``--null`` counts how often it does over random splits, per gate.

    python evals/planted.py                 # the matrix failure × gate; about 15 minutes; evals/results/planted.json
    python evals/planted.py --null          # 10 splits of each dataset; about 20 minutes; evals/results/planted_null.json
    python evals/planted.py adult           # only the datasets whose name begins so; the results of others stay
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from xxhash import xxh3_128_hexdigest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from tests import planted  # noqa: E402
from textsynth import models  # noqa: E402
from textsynth.evaluation import Evaluation, evaluate  # noqa: E402
from textsynth.evaluation._embed import embed  # noqa: E402

DATA = HERE.parent.parent / "shared" / "data"
RESULTS = HERE / "results"
Row = dict[str, Any]
ADULT = (
    "age workclass fnlwgt education education_num marital_status occupation relationship race sex capital_gain "
    "capital_loss hours_per_week native_country income"
).split()
NUMBERS = {"age", "fnlwgt", "education_num", "capital_gain", "capital_loss", "hours_per_week"}
COMPLAINT = {
    "received": "Date received",
    "product": "Product",
    "issue": "Issue",
    "company": "Company",
    "state": "State",
    "via": "Submitted via",
    "response": "Company response to consumer",
    "timely": "Timely response?",
    "narrative": "Consumer complaint narrative",
}


@dataclass(frozen=True)
class Dataset:
    """Real rows, their text field if they have one, how many rows make a set, and what ``evaluate`` is told."""

    name: str
    rows: list[Row]
    size: int
    text: str
    options: dict[str, Any]


def banking(data: Path) -> Dataset:
    rows = [row for part in ("train", "test") for row in csv.DictReader((data / f"banking77/{part}.csv").open())]
    return Dataset("banking77", distinct(rows, "text"), 900, "text", {"label": "category"})


def complaints(data: Path) -> Dataset:
    text = (data / "cfpb_complaints/complaints_sample.csv").read_text().split("\n", 2)[2]
    rows = [
        {name: row[source] for name, source in COMPLAINT.items()}
        for row in csv.DictReader(io.StringIO(text))
        if row["Consumer complaint narrative"].strip()
    ]
    return Dataset("complaints", distinct(rows, "narrative"), 450, "narrative", {"label": "product"})


def adult(data: Path) -> Dataset:
    rows = []
    for line in (data / "uci_adult/adult.data").read_text().splitlines():
        if line.strip():
            row = dict(zip(ADULT, line.split(", "), strict=True))
            rows.append({name: int(value) if name in NUMBERS else value for name, value in row.items()})
    return Dataset("adult", rows, 2000, "", {"label": "income", "protected": ["sex", "race"]})


def distinct(rows: Sequence[Row], text: str) -> list[Row]:
    """Return the rows whose text did not occur before: twins on both sides of a split would be copies (trap 3)."""
    return list({" ".join(row[text].lower().split()): row for row in rows}.values())


class Embedded:
    """Vectors of texts by the default model, kept in textsynth's cache folder so that a text is embedded once."""

    def __init__(self, name: str) -> None:
        self.file = models.cache_folder() / "evals" / f"{name}_vectors.npz"
        self.known: dict[str, Any] = {}
        if self.file.exists():
            kept = np.load(self.file)
            self.known = dict(zip(kept["keys"].tolist(), kept["vectors"], strict=True))

    def take(self, texts: Sequence[str]) -> Any:
        """Return one vector per text."""
        keys = [xxh3_128_hexdigest(text.encode()) for text in texts]
        fresh = {key: text for key, text in zip(keys, texts, strict=True) if key not in self.known}
        if fresh:
            vectors = embed(list(fresh.values()), "default", said=lambda done: None)
            self.known |= dict(zip(fresh, vectors, strict=True))
            self.file.parent.mkdir(parents=True, exist_ok=True)
            np.savez(self.file, keys=np.array(list(self.known)), vectors=np.stack(list(self.known.values())))
        return np.stack([self.known[key] for key in keys])


@dataclass
class Result:
    """What ``evaluate`` made of one case."""

    dataset: str
    case: str
    rows: int
    seconds: float
    gates: dict[str, dict[str, Any]]

    @property
    def failed(self) -> list[str]:
        """The gates that do not hold."""
        return [name for name, gate in self.gates.items() if not gate["passed"]]

    @property
    def told(self) -> str:
        """The gates that do not hold, with the values and the ends."""
        shown = [(name, self.gates[name]) for name in self.failed]
        return ", ".join(f"{name} {gate['value']:.4f} not in {gate['low']}..{gate['high']}" for name, gate in shown)


def measure(data: Dataset, case: str, sets: Sequence[list[Row]], embedded: Embedded, **options: Any) -> Result:
    """Evaluate one case; texts come with their vectors."""
    began = time.monotonic()
    given = dict(zip(("synthetic", "real", "holdout"), sets, strict=True))
    if data.text and data.text in sets[0][0]:
        options["vectors"] = {name: embedded.take([row[data.text] for row in rows]) for name, rows in given.items()}
        options["text_fields"] = [data.text]
    found = evaluate(given["synthetic"], real=given["real"], holdout=given["holdout"], **options)
    return Result(data.name, case, len(sets[0]), time.monotonic() - began, gates(found))


def gates(found: Evaluation) -> dict[str, dict[str, Any]]:
    return {
        value.name: {
            "value": value.value,
            "real": value.real,
            "low": value.gate.low,
            "high": value.gate.high,
            "passed": value.passed,
        }
        for value in found.values
        if value.passed is not None and value.gate
    }


def split(data: Dataset, seed: int) -> list[list[Row]]:
    """Return real rows, holdout rows, as many others, and the rest."""
    rows = random.Random(seed).sample(data.rows, len(data.rows))
    return [
        rows[: data.size],
        rows[data.size : 2 * data.size],
        rows[2 * data.size : 3 * data.size],
        rows[2 * data.size :],
    ]


def cases(data: Dataset, seed: int) -> Iterator[tuple[str, list[list[Row]], dict[str, Any]]]:
    """Yield the name of each case, the three sets of rows and the options."""
    real, holdout, others, rest = split(data, seed)
    yield "real holdout", [others, real, holdout], data.options
    if not data.text:
        for name, make in planted.TABLE_FAILURES.items():
            yield name, [make(real), real, holdout], data.options
        yield "one category", [planted.one_category(rest, "education")[: data.size], real, holdout], data.options
        return
    bare = lambda rows: [{data.text: row[data.text]} for row in rows]  # noqa: E731
    for name, change in planted.TEXT_FAILURES.items():
        made = [{data.text: text} for text in change([row[data.text] for row in real])]
        yield name, [made, bare(real), bare(holdout)], {}
    yield "mode collapse (100 texts)", [bare(planted.collapse(others)), bare(real), bare(holdout)], {}
    label = data.options["label"]
    common = commonest(data.rows, label)
    alike = [row for row in rest if row[label] == common]
    yield "one category", [bare(alike[: data.size]), bare(real), bare(holdout)], {}


def commonest(rows: Sequence[Row], label: str) -> Any:
    """Return the commonest category that fewer than three in ten rows have."""
    counts = Counter(row[label] for row in rows)
    return next(value for value, count in counts.most_common() if count < 0.3 * len(rows))


def matrix(results: Sequence[Result]) -> str:
    """Return failures × gates as a Markdown table per dataset: the value, bold if the gate fails."""
    lines = []
    for name in dict.fromkeys(result.dataset for result in results):
        mine = [result for result in results if result.dataset == name]
        columns = [
            gate for gate in dict.fromkeys(g for r in mine for g in r.gates) if any(gate in r.failed for r in mine)
        ]
        lines += ["", f"{name}", "", "| case | rows | gates failed | " + " | ".join(columns) + " |"]
        lines += ["|---" * (len(columns) + 3) + "|"]
        for result in mine:
            cells = [cell(result.gates.get(column)) for column in columns]
            lines.append(
                f"| {result.case} | {result.rows:,} | {len(result.failed)} of {len(result.gates)} | {' | '.join(cells)} |"
            )
    return "\n".join(lines)


def cell(gate: dict[str, Any] | None) -> str:
    if gate is None:
        return ""
    return f"{gate['value']:.3f}" if gate["passed"] else f"**{gate['value']:.3f}**"


def null(data: Dataset, splits: int, embedded: Embedded) -> list[Result]:
    """Evaluate real rows against real rows over random splits."""
    found = []
    for seed in range(splits):
        real, holdout, others, _ = split(data, seed)
        found.append(measure(data, f"split {seed}", [others, real, holdout], embedded, seed=seed, **data.options))
        print(
            f"{data.name} {seed}: {', '.join(found[-1].failed) or 'passes'} ({found[-1].seconds:.0f} s)",
            file=sys.stderr,
        )
    return found


def alarms(results: Sequence[Result]) -> str:
    """Return false alarms per gate and how many splits pass all gates, as a Markdown table."""
    lines = ["| dataset | splits | pass all gates | gates | false alarms |", "|---|---|---|---|---|"]
    for name in dict.fromkeys(result.dataset for result in results):
        mine = [result for result in results if result.dataset == name]
        counts = Counter(gate for result in mine for gate in result.failed)
        shown = ", ".join(f"{gate} {count}" for gate, count in counts.most_common()) or "none"
        passing = sum(not result.failed for result in mine)
        lines.append(f"| {name} | {len(mine)} | {passing} | {len(mine[0].gates)} | {shown} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("only", nargs="?", default="")
    parser.add_argument("--null", action="store_true", help="real rows against real rows")
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--data", type=Path, default=DATA)
    options = parser.parse_args()
    makers: dict[str, Callable[[Path], Dataset]] = {"adult": adult, "banking77": banking, "complaints": complaints}
    results = list[Result]()
    for name, make in makers.items():
        if not name.startswith(options.only):
            continue
        data, embedded = make(options.data), Embedded(name)
        if options.null:
            mine = null(data, options.splits, embedded)
        else:
            mine = []
            for case, sets, told in cases(data, seed=1):
                mine.append(measure(data, case, sets, embedded, **told))
                failed = ", ".join(mine[-1].failed) or "passes"
                print(f"{name}, {case}: {failed} ({mine[-1].seconds:.0f} s)", file=sys.stderr)
        results += mine
        keep(RESULTS / ("planted_null.json" if options.null else "planted.json"), name, mine)
    print(alarms(results) if options.null else matrix(results))


def keep(file: Path, name: str, results: Sequence[Result]) -> None:
    """Write the results of one dataset in the place of its former ones."""
    kept = json.loads(file.read_text()) if file.exists() else {}
    rounded = [asdict(result) | {"seconds": round(result.seconds), "failed": result.failed} for result in results]
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(dict(sorted((kept | {name: rounded}).items())), indent=1) + "\n")


if __name__ == "__main__":
    main()
