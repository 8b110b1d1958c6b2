"""How fast and in how much memory does ``textsynth validate`` judge a million short texts?

    python evals/validate_speed.py --data ../shared/data [--rows 1000000]

Each text joins two halves of real bank queries and SMS, 12 words on average; a tenth repeats an earlier one, some with personal
data in them as the SMS have. The command runs in a process of its own, reading JSON Lines and writing both datasets.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FILTERS = "duplicate, near_duplicate, {pii: drop}"


def halves(folder: Path) -> list[str]:
    with (folder / "banking77" / "train.csv").open(newline="", encoding="utf-8") as lines:
        texts = [row["text"] for row in csv.DictReader(lines)]
    sms = (folder / "sms_spam" / "SMSSpamCollection").read_text(encoding="utf-8").strip().split("\n")
    texts += [line.partition("\t")[2] for line in sms]
    found = []
    for text in texts:
        words = text.split()
        found += [" ".join(words[: len(words) // 2]), " ".join(words[len(words) // 2 :])]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--rows", type=int, default=1_000_000)
    given = parser.parse_args()
    rng, parts = random.Random(0), halves(given.data)
    with tempfile.TemporaryDirectory() as scratch:
        file, words, recent = Path(scratch) / "rows.jsonl", 0, [""]
        with file.open("w") as out:
            for _ in range(given.rows):
                text = rng.choice(recent) if rng.random() < 0.1 else f"{rng.choice(parts)} {rng.choice(parts)}"
                recent = [*recent[-999:], text]
                words += text.count(" ") + 1
                out.write(json.dumps({"text": text}) + "\n")
        command = [sys.executable, "-m", "textsynth.cli", "validate", str(file), "--filters", FILTERS, "--json"]
        began = time.perf_counter()
        done = subprocess.run(
            [*command, "--to", str(Path(scratch) / "out")], check=True, capture_output=True, text=True
        )
        took = time.perf_counter() - began
    found = json.loads(done.stdout.splitlines()[-1])
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3
    result = {
        "rows": found["rows"],
        "mean_words": words / given.rows,
        "kept": found["kept"],
        "reasons": found["reasons"],
        "rows_per_second_judging": found["rows"] / found["seconds"],
        "seconds_whole_command": took,
        "peak_mb": peak,
    }
    print(json.dumps(result, indent=1))
    (Path(__file__).parent / "results" / "validate_speed.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
