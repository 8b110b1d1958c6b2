"""What does each method yield with a real model? Every ready recipe is run as it is, but for the model.

Prints a table (draws, kept, reasons of the drops, tokens, time), and three kept and three dropped items of each; writes
evals/results/methods.json, one entry per recipe and model, so that single recipes can be run again.

    python evals/methods.py                               # all, with the default model
    python evals/methods.py instruct evolve --model FOLDER --records 10
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from textsynth import recipes

RESULTS = Path(__file__).resolve().parent / "results" / "methods.json"
SHOWN = 3
LONGEST = 240


def main() -> None:
    """Run the recipes named, one process each (vLLM leaves memory behind)."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("names", nargs="*", default=[])
    options.add_argument("--model", default="default")
    options.add_argument("--records", type=int, default=0)
    options.add_argument("--one", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.one:
        run_one(given.one, given.model, given.records)
        return
    for name in given.names or recipes.names():
        command = [sys.executable, __file__, "--one", name, "--model", given.model, "--records", str(given.records)]
        subprocess.run(command, check=False)
    print(markdown(read_results()))


def run_one(name: str, model: str, records: int) -> None:
    """Run one recipe in a folder of its own and note what came of it."""
    import textsynth as ts
    from textsynth.recipe import read

    with tempfile.TemporaryDirectory() as place:
        target = Path(place) / f"{name}.yaml"
        recipes.copy(name, target)
        recipe = read(target)
        changed = {"model": model} if recipe.model == "default" else {}
        if records and not recipe.quotas:
            changed["records"] = records
        made = ts.run(recipe.model_copy(update=changed).at(target.parent), folder=Path(place) / "run")
        found = summary(made, Path(model).name)
        made.close()
    results = read_results()
    results[f"{name} {Path(model).name}"] = found
    RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")


def summary(made: Any, model: str) -> dict[str, Any]:
    """Return counts, cost and examples of a run."""
    totals = made.totals
    sessions = made.ledger.fact("sessions", [])
    dropped = [row for row in made.rejected if row["reason"] not in {"surplus", "quota"}]
    return {
        "model": model,
        "seed": made.recipe.seed,
        "machine": f"{platform.machine()}, {len_cpus()} cores, no GPU",
        "method": [step.method.name for step in made.recipe.chain],
        "records": made.recipe.records,
        "draws": totals.draws,
        "kept": totals.kept,
        "reasons": totals.reasons,
        "tokens": totals.tokens,
        "prompt_tokens": totals.prompt_tokens,
        "seconds": round(sum(session["seconds"] for session in sessions), 1),
        "stopped_by": made.stopped_by,
        "figures": made.figures,
        "kept_items": spread(list(made.records())),
        "dropped_items": [
            {"reason": row["reason"], "detail": row["detail"], "item": row["record"] or row["text"]}
            for row in spread(dropped)
        ],
    }


def len_cpus() -> int:
    """Return how many cores this process may use."""
    import os

    return len(os.sched_getaffinity(0))


def spread(items: list[Any]) -> list[Any]:
    """Return the first, the middle and the last of a list: not chosen by looking at them."""
    places = sorted({0, len(items) // 2, len(items) - 1})[:SHOWN] if items else []
    return [items[at] for at in places]


def read_results() -> dict[str, Any]:
    """Return what was written before."""
    return json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}


def markdown(results: dict[str, Any]) -> str:
    """Return the tables for evals/README.md."""
    lines = [
        "| recipe | model | kept | draws | yield | dropped | generated tokens | s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for key, row in sorted(results.items()):
        judged = row["kept"] + sum(n for reason, n in row["reasons"].items() if reason not in {"surplus", "quota"})
        reasons = ", ".join(f"{name} {count}" for name, count in row["reasons"].items())
        lines.append(
            f"| {key.split()[0]} | {row['model']} | {row['kept']} of {row['records']} | {row['draws']} | "
            f"{row['kept'] / max(1, judged):.0%} | {reasons} | {row['tokens']:,} | {row['seconds']:.0f} |"
        )
    for key, row in sorted(results.items()):
        lines += ["", f"**{key}**", ""]
        lines += [f"- kept: {shorten(item)}" for item in row["kept_items"]]
        lines += [
            f"- dropped, {item['reason']} ({shorten(item['detail'] or '', 100)}): {shorten(item['item'])}"
            for item in row["dropped_items"]
        ]
    return "\n".join(lines)


def shorten(item: Any, most: int = LONGEST) -> str:
    """Return an item on one line, cut, safe for Markdown."""
    text = item if isinstance(item, str) else json.dumps(item, ensure_ascii=False)
    line = " ".join(text.split()).replace("`", "'").replace("|", "\\|")
    return f"`{line[:most]}{'…' if len(line) > most else ''}`"


if __name__ == "__main__":
    main()
