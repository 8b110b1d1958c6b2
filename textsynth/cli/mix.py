"""``textsynth mix``: one corpus from several sources, to stated proportions."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from textsynth.cli import DONE


def add(commands: Any) -> None:
    """Add the command and its options."""
    what = "mix runs and datasets to stated proportions, without repetitions, each row with its lineage"
    one: argparse.ArgumentParser = commands.add_parser("mix", help=what, description=what)
    one.add_argument("spec", metavar="MIX.yaml", help="sources: {NAME: {path:, share:}}, total, form, scarce, ...")
    one.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="where the dataset goes")
    one.add_argument("--json", action="store_true", help="the result as one JSON line on standard output")


def command(options: argparse.Namespace) -> int:
    """Mix and write."""
    from textsynth.cli.show import note
    from textsynth.mixing import mix

    found = mix(options.spec, say=note)
    found.export(options.to)
    tell(found, options.to, as_json=options.json)
    return DONE


def tell(found: Any, folder: Path, *, as_json: bool) -> None:
    """Show what each source gave and what was dropped."""
    from rich.markup import escape

    from textsynth.cli import show

    if as_json:
        print(json.dumps({"event": "result", **found.as_data(), "dataset": str(folder)}), flush=True)
        return
    numbers = ("read", "left", "wanted", "taken", "share")
    table = show.grid(f"\n{len(found):,} rows, {found.arrangement.name}", "source", *numbers, right=numbers)
    for each in found.shares:
        share = f"{each.taken / max(1, len(found)):.1%}"
        cells = (f"{n:,}" for n in (each.read, each.available, each.wanted, each.taken))
        table.add_row(escape(each.source), *cells, share)
    show.out.print(table)
    if found.repeats:
        table = show.grid("\nDropped", "reason", "row of", "repeats a row of", "rows", right=["rows"])
        for (reason, source, first), count in found.repeats.items():
            table.add_row(reason, escape(source), escape(first), f"{count:,}")
        show.out.print(table)
    for text in found.notes:
        show.note(f"note: {text}")
    show.out.print(f"dataset: [bold]{escape(str(folder))}[/]")
