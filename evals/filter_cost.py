"""What do the filters cost a record, one by one and together?

    python evals/filter_cost.py                # 2,000 records of 100 words and 2,000 of 12, on the scripted engine
    python evals/filter_cost.py --embeddings   # the same with the filters that embed texts (in a process of their own)

The scripted engine answers with real texts: narratives of complaints cut to 100 words, and bank queries. The time is each
filter's own, in the process of the run, as ``textsynth run --profile`` prints it. A record that one filter drops costs the
later ones nothing. Figures go to ``results/filter_cost.json``.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
from pathlib import Path

import textsynth as ts

FILTERS = [
    "refusal",
    "boilerplate",
    "encoding",
    "repetition",
    "language",
    {"length": {"min_words": 3}},
    "duplicate",
    "near_duplicate",
    "copied",
    {"contamination": {"benchmarks": {"banking77": "BENCHMARK"}}},
    {"pii": "drop"},
    "diversity",
]
EMBEDDING = ["semantic_duplicate"]


def long_texts(folder: Path, count: int) -> list[str]:
    """Return passages of 100 words from complaints."""
    with (folder / "cfpb_complaints" / "complaints_sample.csv").open(newline="", encoding="utf-8") as lines:
        for _ in range(2):
            next(lines)
        words = " ".join(row["Consumer complaint narrative"] for row in csv.DictReader(lines)).split()
    return [" ".join(words[at : at + 100]) for at in range(0, len(words) - 100, 100)][:count]


def short_texts(folder: Path, count: int) -> list[str]:
    """Return the queries of customers, 12 words on average."""
    with (folder / "banking77" / "train.csv").open(newline="", encoding="utf-8") as lines:
        return [row["text"] for row in csv.DictReader(lines)][:count]


def run(texts: list[str], filters: list, data: Path) -> dict[str, dict]:
    """Make a run whose model answers with the texts; return each filter's cost."""
    benchmark = str((data / "banking77" / "test.csv").resolve())
    with tempfile.TemporaryDirectory() as scratch:
        seeds = Path(scratch) / "seeds.jsonl"
        seeds.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts[:400:10]))
        recipe = {
            "model": "scripted",
            "records": len(texts),
            "schema": {"text": "str 1..2000"},
            "prompt": "Write.",
            "seeds": {"path": str(seeds), "shots": 1},
            "filters": json.loads(json.dumps(filters).replace("BENCHMARK", benchmark)),
            "engine": {"texts": [json.dumps({"text": text}) for text in texts]},
            "limits": {"draws": len(texts), "acceptance": 0},
        }
        made = ts.run(recipe, folder=Path(scratch) / "run")
        return made.ledger.fact("filters")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--records", type=int, default=2000)
    parser.add_argument("--embeddings", action="store_true")
    given = parser.parse_args()
    filters = FILTERS + (EMBEDDING if given.embeddings else [])
    results = {}
    for name, read in (("100 words", long_texts), ("short", short_texts)):
        texts = read(given.data, given.records)
        costs = run(texts, filters, given.data)
        each = {key: 1e6 * cost["seconds"] / max(1, cost["checked"]) for key, cost in costs.items()}
        results[name] = {
            "records": len(texts),
            "us_per_record": each,
            "dropped": {key: cost["dropped"] for key, cost in costs.items()},
            "together_us": 1e6 * sum(cost["seconds"] for cost in costs.values()) / len(texts),
        }
    print("| filter | µs, 100 words | µs, short |\n|---|---:|---:|")
    for key in results["short"]["us_per_record"]:
        print(
            f"| {key} | {results['100 words']['us_per_record'][key]:.1f} | {results['short']['us_per_record'][key]:.1f} |"
        )
    print(f"| together | {results['100 words']['together_us']:.1f} | {results['short']['together_us']:.1f} |")
    name = "filter_cost_embeddings" if given.embeddings else "filter_cost"
    (Path(__file__).parent / "results" / f"{name}.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
