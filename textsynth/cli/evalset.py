"""``textsynth evalset``: an eval set and the training rows that go with it; ``textsynth evalset score``: a model's result on it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from textsynth.cli import DONE, LIMITED
from textsynth.errors import RecipeError


def add(commands: Any) -> None:
    """Add the command and its options."""
    what = "make an eval set with checked answers and training rows that share nothing with it"
    one: argparse.ArgumentParser = commands.add_parser("evalset", help=what, description=what)
    one.add_argument("recipe", help="a recipe with evalset:, or the word score")
    one.add_argument("set", nargs="?", type=Path, help="with score: the folder of a written eval set")
    one.add_argument("--folder", type=Path, metavar="RUN", help="the run folder (default: runs/NAME)")
    one.add_argument("--to", type=Path, metavar="OUT", help="gets eval and train (default: evalset in the run)")
    one.add_argument("--items", type=int, metavar="N", help="how many items (default: the recipe's)")
    one.add_argument("--train", metavar="RUN|FILE", help="training rows from another run or dataset")
    one.add_argument("--model", default="default", help="with score: the model that answers, as in a recipe")
    one.add_argument("--judge", metavar="MODEL", help="with score: the model that grades rubrics")
    one.add_argument("--dry-run", action="store_true", help="use the scripted engine instead of the model")
    one.add_argument("--json", action="store_true", help="progress and result as JSON lines on standard output")


def command(options: argparse.Namespace) -> int:
    """Run the recipe and take the set from its records, or score a model."""
    if options.recipe == "score" and options.set is not None:
        return score(options)
    if options.set is not None:
        raise RecipeError(
            [f"evalset: {str(options.set)!r} is one name too many"], hint="textsynth evalset score FOLDER"
        )
    return make(options)


def make(options: argparse.Namespace) -> int:
    """Make the run, or go on with it, and write the pair."""
    from textsynth import api, evalsets
    from textsynth.cli.commands import engine_output
    from textsynth.cli.progress import Live
    from textsynth.recipe import read

    recipe = read(options.recipe)
    spec = wanted(recipe, options)
    folder = options.folder or Path("runs") / recipe.name
    with engine_output(folder) as out, Live(out, as_json=options.json) as live:
        run = api.run(recipe, folder=folder, on_progress=live.update, dry_run=options.dry_run)
    found = evalsets.build(run, spec, options.to or folder / "evalset", train=other(options.train))
    tell(found, as_json=options.json)
    run.close()
    return DONE if found.complete else LIMITED


def wanted(recipe: Any, options: argparse.Namespace) -> Any:
    """Return what the recipe says of its eval set, with the number of items asked for."""
    from textsynth.evalspec import EvalsetSpec

    spec = recipe.evalset
    if options.items is not None and options.items < 1:
        raise RecipeError([f"--items: must be 1 or more, got {options.items}"])
    if spec is None and options.items is None:
        raise RecipeError(
            ["evalset: the recipe does not say how many items are wanted"],
            hint="add evalset: {items: 100}, or give --items",
        )
    if spec is None:
        return EvalsetSpec(items=options.items)
    return spec if options.items is None else spec.model_copy(update={"items": options.items})


def other(source: str | None) -> Any:
    """Return the other run, if the folder is one, else the name of the dataset."""
    from textsynth.runs import Run

    return Run(source) if source and (Path(source) / "ledger.sqlite").is_file() else source


def tell(found: Any, *, as_json: bool) -> None:
    """Show what was made and what was left out."""
    from rich.markup import escape

    from textsynth.cli import show
    from textsynth.evalsets._card import rows

    if as_json:
        print(json.dumps({"event": "result", "folder": str(found.folder), **found.as_data()}), flush=True)
        return
    grid = show.grid(f"\n{found.name}: {len(found.items):,} eval items, {len(found.train):,} training rows",
                     "what", "detail", "value", right=("value",))  # fmt: skip
    for what, detail, value in rows(found.facts):
        grid.add_row(escape(what), escape(detail), f"{value:,}" if isinstance(value, int) else escape(str(value)))
    show.out.print(grid)
    for note in found.notes:
        show.note(f"note: {note}")
    show.out.print(f"written: [bold]{escape(str(found.folder))}[/] (eval, train)")


def score(options: argparse.Namespace) -> int:
    """Ask a model the items of a set and show its result."""
    from contextlib import ExitStack

    from textsynth.answering import Answering
    from textsynth.cli.commands import engine_output
    from textsynth.evalsets import load_items
    from textsynth.evalsets import score as score_items

    items = load_items(options.set)
    with ExitStack() as stack:
        stack.enter_context(engine_output(None))
        model = "scripted" if options.dry_run else options.model
        ask = stack.enter_context(Answering(model))
        judge = stack.enter_context(Answering(options.judge)) if options.judge else None
        found = score_items(items, ask, judge=judge)
    show_scores(found, options.model, as_json=options.json)
    return DONE


def show_scores(found: Any, model: str, *, as_json: bool) -> None:
    """Show accuracy and standard error, in all and by kind."""
    from rich.markup import escape

    from textsynth.cli import show

    parts = {"all": found.whole, **found.by_kind}
    if as_json:
        rows = {name: {"items": s.items, "accuracy": s.accuracy, "stderr": s.stderr} for name, s in parts.items()}
        print(json.dumps({"event": "result", "model": model, "unscored": found.unscored, "scores": rows}), flush=True)
        return
    grid = show.grid(
        f"\n{escape(model)}", "kind", "items", "right", "standard error", right=("items", "right", "standard error")
    )
    for name, each in parts.items():
        grid.add_row(name, f"{each.items:,}", f"{each.accuracy:.1%}", f"{each.stderr:.1%}")
    show.out.print(grid)
    if found.unscored:
        show.note(f"note: {found.unscored} items were not scored: rubrics need --judge MODEL, or the model failed")
