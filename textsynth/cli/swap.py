"""``textsynth swap``: the same draws written twice, with one attribute exchanged."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from textsynth.cli import DONE
from textsynth.errors import RecipeError


def add(commands: Any) -> None:
    """Add the command."""
    says = "write the same draws twice with one attribute exchanged, to see whether it changes what is written"
    one: argparse.ArgumentParser = commands.add_parser("swap", help=says, description=says)
    one.add_argument("recipe")
    one.add_argument("--field", required=True, help="a drawn attribute")
    one.add_argument("--values", required=True, metavar="A,B", help="the two values that are exchanged")
    one.add_argument("-n", "--pairs", type=int, default=50, metavar="N")
    one.add_argument("--to", type=Path, required=True, metavar="FILE.jsonl", help="for textsynth evaluate --swaps")
    one.add_argument("--dry-run", action="store_true", help="use the scripted engine instead of the model")


def command(options: argparse.Namespace) -> int:
    """Write the pairs."""
    import yaml

    from textsynth.cli.commands import engine_output
    from textsynth.cli.show import note
    from textsynth.recipe import StrictLoader, read
    from textsynth.swaps import make_swaps

    values = yaml.load(f"[{options.values}]", Loader=StrictLoader)
    if len(values) != 2 or values[0] == values[1]:
        raise RecipeError([f"--values: two different values are needed, as A,B; got {options.values!r}"])
    if options.pairs < 1:
        raise RecipeError([f"-n: must be 1 or more, got {options.pairs}"])
    with engine_output(None):
        found = make_swaps(
            read(options.recipe),
            field=options.field,
            values=(values[0], values[1]),
            pairs=options.pairs,
            dry_run=options.dry_run,
        )
    options.to.parent.mkdir(parents=True, exist_ok=True)
    options.to.write_text("".join(json.dumps(pair, ensure_ascii=False) + "\n" for pair in found), encoding="utf-8")
    note(f"{len(found)} of {options.pairs} pairs: {options.to}; next: textsynth evaluate ... --swaps {options.to}")
    return DONE
