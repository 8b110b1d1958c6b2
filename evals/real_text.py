"""What do the filters find in real text? ``textsynth validate`` over complaints, customer turns, SMS and bank queries.

    python evals/real_text.py --data ../shared/data            # all four sets: tables and five examples per reason
    python evals/real_text.py --data ../shared/data --only sms # one of them

The rows are written as JSON Lines first (the sets come as CSV with a preamble, as tab-separated lines and as CSV), then
the command is run as a user would run it. Figures go to ``results/real_text.json``.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

FILTERS = (
    "refusal, boilerplate, encoding, repetition, {language: {languages: [en]}}, duplicate, near_duplicate, {pii: drop}"
)


def cfpb(folder: Path) -> Iterator[dict]:
    """Yield the complaints that have a narrative, with their product."""
    with (folder / "cfpb_complaints" / "complaints_sample.csv").open(newline="", encoding="utf-8") as lines:
        for _ in range(2):
            next(lines)
        for row in csv.DictReader(lines):
            narrative = next((row[name] for name in row if name and "narrative" in name.lower()), "")
            if narrative.strip():
                yield {"text": narrative, "product": row.get("Product") or row.get("product")}


def multidogo(folder: Path) -> Iterator[dict]:
    """Yield the customer turns of three domains."""
    for file in sorted((folder / "multidogo").glob("*.tsv")):
        with file.open(newline="", encoding="utf-8") as lines:
            for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
                yield {"text": row["utterance"], "domain": file.name.split("_")[0]}


def sms(folder: Path) -> Iterator[dict]:
    """Yield the messages with their label."""
    for line in (folder / "sms_spam" / "SMSSpamCollection").read_text(encoding="utf-8").strip().split("\n"):
        label, _, text = line.partition("\t")
        yield {"text": text, "label": label}


def banking77(folder: Path) -> Iterator[dict]:
    """Yield the customers' queries of the training set with their intent."""
    with (folder / "banking77" / "train.csv").open(newline="", encoding="utf-8") as lines:
        yield from ({"text": row["text"], "label": row["category"]} for row in csv.DictReader(lines))


SETS = {"cfpb": cfpb, "multidogo": multidogo, "sms": sms, "banking77": banking77}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--only", choices=list(SETS))
    parser.add_argument("--filters", default=FILTERS)
    parser.add_argument("--examples", default="5")
    given = parser.parse_args()
    results = {}
    for name, read in SETS.items():
        if given.only not in {None, name}:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch) / f"{name}.jsonl"
            file.write_text("".join(json.dumps(row) + "\n" for row in read(given.data)))
            base = [sys.executable, "-m", "textsynth.cli", "validate", str(file), "--fields", "text"]
            print(f"\n=== {name}", flush=True)
            command = [*base, "--filters", given.filters, "--examples", given.examples, "--profile"]
            subprocess.run(command, check=True)
            done = subprocess.run([*command, "--json"], check=True, capture_output=True, text=True)
            found = json.loads(done.stdout.splitlines()[-1])
            results[name] = {key: found[key] for key in ("rows", "kept", "reasons", "seconds")}
    if given.only is None:
        target = Path(__file__).parent / "results" / "real_text.json"
        target.write_text(json.dumps({"filters": given.filters, "sets": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
