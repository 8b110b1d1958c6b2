"""Does tuning lower the held-out loss on a CPU, and does the memorisation alarm ring before the loss says stop?

A profile is fitted to 300 rows of banking77 (questions of bank customers, with their intent). ``learn``: the default model
is tuned for one pass over 80 of its train rows, as ``textsynth tune`` does it; the loss on held-out rows before and after,
and what the alarms measured. ``planted``: 16 rows are learnt over and over with a high rate, so that memorising is certain;
the look at which an alarm rings is compared with the one at which the loss alone would have stopped it.

    python evals/tune.py            # learn: some 3 minutes of one core; writes evals/results/tune.json
    python evals/tune.py planted    # some 5 minutes of one core
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

from textsynth.profile import fit
from textsynth.tuning import Look, Training, Tuned, tune

HERE = Path(__file__).resolve().parent
DATA = HERE.parent.parent / "shared" / "data" / "banking77" / "train.csv"
RESULTS = HERE / "results" / "tune.json"
ROWS, STEP = 300, 33
SETTINGS = {
    "learn": Training(epochs=1, limit=80, batch=4, looks=2, watched=16, texts=8, longest=256),
    "planted": Training(epochs=12, limit=16, batch=8, looks=8, patience=2, watched=16, texts=8, longest=256, rate=2e-3),
}


def main() -> None:
    """Tune as asked and write the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("part", nargs="?", default="learn", choices=[*SETTINGS])
    parser.add_argument("--model", default="default")
    options = parser.parse_args()
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        prepare(folder)
        for part in [options.part]:
            started = time.monotonic()
            made = tune(
                folder / "profile", to=folder / part, model=options.model, training=SETTINGS[part], on_look=tell
            )
            found[part] = figures(made, options.model) | {"seconds": round(time.monotonic() - started)}
            print(json.dumps({k: v for k, v in found[part].items() if k != "looks"}, indent=1))
            RESULTS.write_text(json.dumps(found, indent=1) + "\n")


def prepare(folder: Path) -> None:
    """Fit a profile to every 33rd row: the file is sorted by intent."""
    with DATA.open(newline="", encoding="utf-8") as lines:
        rows = [
            {"text": row["text"], "category": row["category"]} for row in islice(csv.DictReader(lines), 0, None, STEP)
        ]
    file = folder / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows[:ROWS]), encoding="utf-8")
    fit(rows[:ROWS], embeddings=None, source=str(file)).save(folder / "profile")


def tell(look: Look) -> None:
    """Print one look."""
    values = ", ".join(f"{a.name} {a.value:.3f} of {a.limit:.3f}" for a in look.alarms if a.value is not None)
    print(f"step {look.step}: held-out {look.heldout_loss:.3f}, train {look.train_loss:.3f}; {values}", flush=True)


def figures(made: Tuned, model: str) -> dict[str, Any]:
    """Return what is told of one tuning."""
    losses = [look.heldout_loss for look in made.looks]
    return {
        "model": model,
        "rows": made.facts["rows"],
        "heldout_loss_before": made.before.heldout_loss,
        "heldout_loss_kept": made.best.heldout_loss,
        "kept_step": made.kept,
        "stopped_by": made.stopped_by,
        "alarmed": made.alarmed,
        "loss_still_falling_at_stop": losses[-1] <= min(losses),
        "looks": [look.as_data() for look in made.looks],
    }


if __name__ == "__main__":
    main()
