"""Corpora on real input: each recipe of evals/recipes/ is run with the model given, and looked at.

Prints counts, cost and examples, and writes evals/results/corpora.json, one entry per recipe; a run that is there is gone
on with, so a killed one loses nothing. What a recipe must show is checked on its records, not taken from the run:
for ``peps_qa`` that every quote stands in its passage and its document at the place stated.

    python evals/corpora.py peps_qa --model FOLDER        # a recipe, a model folder; the run lies in runs/NAME
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from methods import markdown, summary

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "corpora.json"


def main() -> None:
    """Run one recipe and note what came of it."""
    import textsynth as ts
    from textsynth.cli.commands import engine_output
    from textsynth.cli.progress import Live
    from textsynth.recipe import read

    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("name")
    options.add_argument("--model", required=True)
    options.add_argument("--records", type=int, default=0)
    options.add_argument("--runs", type=Path, default=HERE.parent / "runs")
    given = options.parse_args()
    recipe = read(HERE / "recipes" / f"{given.name}.yaml")
    changed: dict[str, Any] = {"model": given.model} | ({"records": given.records} if given.records else {})
    recipe = recipe.model_copy(update=changed).at(HERE / "recipes")
    folder = given.runs / given.name
    with engine_output(folder) as out, Live(out, as_json=False) as live:
        made = ts.run(recipe, folder=folder, on_progress=live.update)
    found = summary(made, Path(given.model).name) | {"checked": CHECKS.get(given.name, nothing)(made.records())}
    results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    results[f"{given.name} {Path(given.model).name}"] = found
    RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    print(markdown(results))
    print(json.dumps({"figures": found["figures"], "checked": found["checked"]}, indent=1))


def nothing(records: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return no checks."""
    return {}


def check_spans(records: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return how many quotes stand in their documents exactly where the record says."""
    root = HERE.parent.parent / "shared" / "data" / "peps"
    documents: dict[str, str] = {}
    quotes = exact = 0
    for record in records:
        for citation in record["citations"]:
            name = f"{citation['document']}.rst"
            if name not in documents:
                documents[name] = (root / name).read_text(encoding="utf-8")
            quotes += 1
            exact += documents[name][citation["start"] : citation["end"]] == citation["quote"]
    return {"quotes": quotes, "exact": exact, "documents": len(documents)}


CHECKS: dict[str, Callable[[Iterable[dict[str, Any]]], dict[str, Any]]] = {"peps_qa": check_spans}


if __name__ == "__main__":
    main()
