"""How well are repeated person records found, typing errors and gaps included, beside splink in the same run?

The FEBRL sets: dataset2 was used to choose how many candidates are compared. How many fields agree in the true pairs of
dataset1, dataset2 and dataset3 was counted before the keys of blocking were chosen, so only 4a with 4b is wholly unseen.
The filter judges one record after the other in windows of 64, in
the order of the file, as in a run; whoever it blames is taken for the same person, and all pairs within such a group
count. Splink sees all records at once, learns m and u from them, and its best threshold of those tried is chosen on dataset2.

    python evals/records.py                  # about 2 minutes; writes evals/results/records.json
    python evals/records.py --no-peers       # the filter alone; writes nothing
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
import time
import tracemalloc
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from textsynth import registry
from textsynth.filters import Filter, Setting
from textsynth.records import Candidate, Draw
from textsynth.schema import RecordSchema

HERE = Path(__file__).resolve().parent
DATA = HERE.parent.parent / "shared" / "data" / "febrl"
RESULTS = HERE / "results" / "records.json"
SETS = {
    "dataset2 (development)": ["dataset2.csv"],
    "dataset1": ["dataset1.csv"],
    "dataset3": ["dataset3.csv"],
    "dataset4a+b": ["dataset4a.csv", "dataset4b.csv"],
}
WINDOW = 64
PROBABILITIES = (0.5, 0.9, 0.99, 0.999, 0.9999, 0.999999)

Row = dict[str, Any]
Pairs = set[tuple[int, int]]


@dataclass
class Outcome:
    """What one method found in one set: by pairs of records, with the time and Python memory a record."""

    data: str
    method: str
    records: int
    precision: float
    recall: float
    f1: float
    microseconds: float
    bytes: float = 0.0


def load(names: Sequence[str], folder: Path) -> list[Row]:
    """Read the files one after the other; empty values become ``None``."""
    rows = []
    for name in names:
        with (folder / name).open(newline="") as file:
            rows += [
                {k: v.strip() or None for k, v in row.items()} for row in csv.DictReader(file, skipinitialspace=True)
            ]
    return rows


def within(groups: Iterable[Sequence[int]]) -> Pairs:
    return {pair for group in groups for pair in combinations(sorted(group), 2)}


def truth(rows: Sequence[Row]) -> Pairs:
    groups = defaultdict(list)
    for number, row in enumerate(rows):
        groups[row["rec_id"].split("-")[1]].append(number)
    return within(groups.values())


def score(found: Pairs, true: Pairs) -> dict[str, float]:
    hits = len(found & true)
    precision, recall = hits / max(len(found), 1), hits / len(true)
    return {"precision": precision, "recall": recall, "f1": 2 * precision * recall / max(precision + recall, 1e-9)}


def build(rows: Sequence[Row]) -> Filter:
    """Make the filter with its defaults: fields and kinds are guessed from the column names."""
    document = {"type": "object", "properties": {name: {"type": "string"} for name in rows[0] if name != "rec_id"}}
    made: Filter = registry.build(registry.load("filters", "record_duplicate", place="eval"), {}, place="eval")
    made.prepare(Setting(RecordSchema(document), [], ()))
    return made


def judge(made: Filter, rows: Sequence[Row]) -> Pairs:
    """Judge and keep window by window; return all pairs of each kept record and those it was blamed for."""
    groups: dict[int, list[int]] = {}
    for start in range(0, len(rows), WINDOW):
        here = range(start, min(start + WINDOW, len(rows)))
        batch = [Candidate(Draw(i, i // WINDOW, {}, (), i), {**rows[i]}) for i in here]
        answers = made.check(batch)
        made.keep([item for item, answer in zip(batch, answers, strict=True) if answer is None])
        for number, answer in zip(here, answers, strict=True):
            groups.setdefault(int(answer.culprit) if answer else number, []).append(number)
    return within(groups.values())


def ours(name: str, rows: Sequence[Row]) -> Outcome:
    began = time.perf_counter()
    found = judge(build(rows), rows)
    seconds = time.perf_counter() - began
    tracemalloc.start()
    memory = build(rows)
    empty = tracemalloc.get_traced_memory()[0]
    kept = memory
    kept.keep([Candidate(Draw(i, 0, {}, (), i), row) for i, row in enumerate(rows)])
    used = (tracemalloc.get_traced_memory()[0] - empty) / len(rows)
    tracemalloc.stop()
    result = score(found, truth(rows))
    return Outcome(name, "record_duplicate", len(rows), **result, microseconds=seconds / len(rows) * 1e6, bytes=used)


def splinked(rows: Sequence[Row]) -> list[tuple[float, int, int]]:
    """Return splink's scored pairs: its documented recipe for persons, six blocking rules, EM on three of them."""
    import pandas as pd
    import splink.comparison_library as compare
    from splink import DuckDBAPI, Linker, SettingsCreator, block_on

    logging.getLogger("splink").setLevel(logging.ERROR)
    frame = pd.DataFrame([{"unique_id": number, **row} for number, row in enumerate(rows)]).drop(columns="rec_id")
    rules = [
        block_on("given_name", "surname"),
        block_on("date_of_birth"),
        block_on("soc_sec_id"),
        block_on("postcode", "surname"),
        block_on("postcode", "given_name"),
        block_on("suburb", "street_number"),
    ]
    settings = SettingsCreator(
        link_type="dedupe_only",
        blocking_rules_to_generate_predictions=rules,
        comparisons=[
            compare.NameComparison("given_name").configure(term_frequency_adjustments=True),
            compare.NameComparison("surname").configure(term_frequency_adjustments=True),
            compare.DamerauLevenshteinAtThresholds("date_of_birth", [1, 2]),
            compare.DamerauLevenshteinAtThresholds("soc_sec_id", [1, 2]),
            compare.ExactMatch("street_number"),
            compare.JaroWinklerAtThresholds("address_1", [0.9, 0.8]),
            compare.DamerauLevenshteinAtThresholds("postcode", [1, 2]),
            compare.ExactMatch("state"),
        ],
    )
    database = DuckDBAPI()
    linker = Linker(database.register(frame), settings)
    linker.training.estimate_probability_two_random_records_match(rules[:3], recall=0.9)
    linker.training.estimate_u_using_random_sampling(max_pairs=1e6, seed=1)
    for rule in rules[:3]:
        linker.training.estimate_parameters_using_expectation_maximisation(rule)
    pairs = linker.inference.predict(threshold_match_probability=min(PROBABILITIES)).as_pandas_dataframe()
    scores = pairs["match_probability"], pairs["unique_id_l"], pairs["unique_id_r"]
    return [(p, min(a, b), max(a, b)) for p, a, b in zip(*scores, strict=True)]


def peer(name: str, rows: Sequence[Row], threshold: float | None) -> tuple[Outcome, float]:
    """Score splink at a threshold, or at the best one of ``PROBABILITIES`` where none is given."""
    began = time.perf_counter()
    pairs, true = splinked(rows), truth(rows)
    seconds = time.perf_counter() - began
    levels = PROBABILITIES if threshold is None else (threshold,)
    results = {level: score({(a, b) for p, a, b in pairs if p >= level}, true) for level in levels}
    best = max(results, key=lambda level: results[level]["f1"])
    method = f"splink, probability >= {best:g}"
    return Outcome(name, method, len(rows), **results[best], microseconds=seconds / len(rows) * 1e6), best


def show(outcome: Outcome) -> None:
    memory = f"{outcome.bytes:8.0f}" if outcome.bytes else "       -"
    print(
        f"{outcome.data:24} {outcome.method:32} {outcome.precision:9.4f} {outcome.recall:7.4f} {outcome.f1:7.4f} "
        f"{outcome.microseconds:8.0f} {memory}",
        flush=True,
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, default=DATA)
    options.add_argument("--no-peers", action="store_true")
    given = options.parse_args()
    print(f"{'data':24} {'method':32} {'precision':>9} {'recall':>7} {'F1':>7} {'us/rec':>8} {'B/rec':>8}")
    outcomes, threshold = [], None
    for name, files in SETS.items():
        rows = load(files, given.data)
        outcomes.append(ours(name, rows))
        show(outcomes[-1])
        if not given.no_peers:
            found, threshold = peer(name, rows, threshold)
            outcomes.append(found)
            show(found)
    if not given.no_peers:
        RESULTS.write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=1) + "\n")


if __name__ == "__main__":
    main()
