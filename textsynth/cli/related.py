"""``textsynth related``: learn tables whose keys match, and sample them together."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from textsynth.cli import DONE

FIT = "learn related tables: records, numbers of children, keys"
SAMPLE = "draw related tables whose keys match"


def add(commands: Any) -> None:
    """Add the command with its two sub-commands."""
    what = "learn tables whose keys match, and sample them together"
    one = commands.add_parser("related", help=what, description=what)
    steps = one.add_subparsers(dest="step", required=True, metavar="STEP")
    fit = steps.add_parser("fit", help=FIT, description=FIT)
    fit.add_argument(
        "tables", type=Path, metavar="TABLES.yaml", help="tables: {NAME: {path:, key:, parents: {column: NAME}}}"
    )
    fit.add_argument("-o", "--to", type=Path, required=True, metavar="FOLDER", help="where the profile goes")
    fit.add_argument("--seed", type=int, default=0, metavar="N", help="same seed, same profile")
    sample = steps.add_parser("sample", help=SAMPLE, description=SAMPLE)
    sample.add_argument("profile", type=Path, metavar="PROFILE", help="folder that fit wrote")
    sample.add_argument(
        "-n", type=int, default=1000, metavar="N", help="rows of the first table without a parent (1000)"
    )
    sample.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="where the dataset goes")
    sample.add_argument(
        "--files",
        choices=("arrow", "parquet"),
        default="arrow",
        help="arrow: one DatasetDict for load_from_disk (default); parquet: one file and configuration per table",
    )
    sample.add_argument("--seed", type=int, default=0, metavar="N", help="same seed, same rows")
    for step in (fit, sample):
        step.add_argument("--json", action="store_true", help="the result as one JSON line on standard output")


def command(options: argparse.Namespace) -> int:
    """Run the sub-command."""
    return fit(options) if options.step == "fit" else sample(options)


def fit(options: argparse.Namespace) -> int:
    """Learn the tables that a YAML file names."""
    from textsynth.profile.related import fit_related, read_tables

    source = read_tables(options.tables)
    learned = fit_related(source.tables, source.relations, keys=source.keys, seed=options.seed)
    learned.save(options.to)
    if options.json:
        facts = [each.as_data() for each in learned.facts]
        print(
            json.dumps(
                {"event": "result", "profile": str(options.to), "relations": facts, "texts": learned.text_fields}
            )
        )
        return DONE
    tell_facts(learned.facts)
    tell_texts(learned.text_fields)
    tell_done("profile", options.to)
    return DONE


def sample(options: argparse.Namespace) -> int:
    """Draw rows of all tables and write them."""
    import numpy as np

    from textsynth.cli import show
    from textsynth.profile.related import RelatedProfile, write_tables

    learned = RelatedProfile.load(options.profile)
    drawn = learned.sample(options.n, np.random.default_rng(options.seed))
    write_tables(drawn, options.to, options.files)
    rows = {name: len(table) for name, table in drawn.items()}
    if options.json:
        print(json.dumps({"event": "result", "dataset": str(options.to), "rows": rows, "texts": learned.text_fields}))
        return DONE
    table = show.grid("Sampled", "table", "rows", right=["rows"])
    for name, count in rows.items():
        table.add_row(name, f"{count:,}")
    show.out.print(table)
    tell_texts(learned.text_fields)
    tell_done("dataset", options.to)
    return DONE


def tell_facts(facts: Sequence[Any]) -> None:
    """Show what the real data says about each relation."""
    from textsynth.cli import show

    numbers = ("fewest", "most", "mean", "childless", "orphans", "no key")
    table = show.grid("Relations", "key", "of", *numbers, right=numbers)
    for each in facts:
        table.add_row(
            f"{each.relation.child}.{each.relation.child_key}",
            each.relation.parent,
            f"{each.least:,}",
            f"{each.most:,}",
            f"{each.mean:.2f}",
            f"{each.childless:.0%}",
            f"{each.orphans:,}",
            f"{each.missing:,}",
        )
    show.out.print(table)
    for each in facts:
        if each.orphans:
            show.note(
                f"note: {each.orphans:,} of {each.rows:,} rows of {each.relation.child} have a {each.relation.child_key} "
                f"that no row of {each.relation.parent} has; nothing is learned from such orphans"
            )


def tell_texts(texts: Any) -> None:
    """Show which fields a model has to write."""
    from textsynth.cli import show

    named = ", ".join(f"{table}.{field}" for table, fields in texts.items() for field in fields)
    if named:
        show.note(f"left for a model to write: {named}")


def tell_done(what: str, folder: Path) -> None:
    """Say where the result is."""
    from rich.markup import escape

    from textsynth.cli import show

    show.out.print(f"{what}: [bold]{escape(str(folder))}[/]")
