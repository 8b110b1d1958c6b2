"""``textsynth augment``: fill the scarce classes of a labelled dataset."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any, Literal

from textsynth.cli import DONE, LIMITED


def add(commands: Any) -> None:
    """Add the command and its options."""
    what = "fill the scarce classes of a labelled dataset to a wanted balance, checked for their label"
    one = commands.add_parser("augment", help=what, description=what)
    one.add_argument("data", help="a JSONL, JSON, CSV, TSV or Parquet file, a folder, or a Hugging Face dataset id")
    one.add_argument("--label", required=True, metavar="FIELD", help="the column with the class")
    one.add_argument("--text", default="", metavar="FIELD,FIELD", help="columns to write (default: running text)")
    one.add_argument("--to", type=Path, metavar="FOLDER", help="where the dataset goes (default: dataset in the run)")
    one.add_argument(
        "--balance",
        default="equal",
        metavar="WANTED",
        help='equal (default), real (needs --records), or "label: count, label: count", real rows included',
    )
    one.add_argument("--records", type=int, metavar="N", help="how many synthetic records to make in all")
    one.add_argument("--model", default="default", help="as in a recipe")
    one.add_argument("--seed", type=int, default=0, metavar="N", help="same seed, same plan")
    one.add_argument("--split", default="train", help="which split of a Hugging Face dataset")
    one.add_argument("--folder", type=Path, metavar="RUN", help="the run folder (default: runs/augment-NAME)")
    one.add_argument(
        "--profile", type=Path, metavar="FOLDER", help="draw the structured fields from what textsynth fit learnt"
    )
    one.add_argument("--minutes", type=float, metavar="N", help="stop after so many; the same command goes on")
    one.add_argument("--marker", default="synthetic", metavar="FIELD", help="the column that tells what was made")
    one.add_argument(
        "--label-check",
        choices=("classifier", "none"),
        default="classifier",
        help="drop what a classifier trained on the real rows takes for another class (default), or not",
    )
    one.add_argument("--dry-run", action="store_true", help="use the scripted engine instead of the model")
    one.add_argument("--json", action="store_true", help="progress and result as JSON lines on standard output")


def command(options: argparse.Namespace) -> int:
    """Augment a dataset; the same command goes on with a run that was interrupted."""
    from textsynth import api
    from textsynth.augmentation import Augmentation, augment, read_balance
    from textsynth.cli.commands import engine_output
    from textsynth.cli.progress import Live

    trial = options.dry_run and options.folder is None
    folder = api.temporary_folder() if trial else options.folder

    more = {"profile": str(options.profile.resolve())} if options.profile else {}

    def make(mode: Literal["run", "dry_run", "plan"], on_progress: Any = None) -> Augmentation:
        return augment(
            options.data,
            label=options.label,
            text=[name.strip() for name in options.text.split(",") if name.strip()],
            balance=read_balance(options.balance),
            records=options.records,
            model=options.model,
            seed=options.seed,
            folder=folder,
            marker=options.marker,
            label_check=options.label_check,
            split=options.split,
            on_progress=on_progress,
            mode=mode,
            limits={"minutes": options.minutes},
            **more,
        )

    found = make("plan")
    if found.needed:
        log = folder or Path("runs") / f"augment-{Path(options.data).stem}"
        with engine_output(log) as out, Live(out, as_json=options.json) as live:
            found = make("dry_run" if options.dry_run else "run", live.update)
    places = found.export(options.to) if found.accepted and not (options.dry_run and options.to is None) else []
    tell(found, places, as_json=options.json)
    if found.run is not None:
        found.run.close()
    if trial:
        shutil.rmtree(str(folder), ignore_errors=True)
    return DONE if found.complete else LIMITED


def tell(found: Any, places: list[str], *, as_json: bool) -> None:
    """Show what was wanted and made, by class."""
    from rich.markup import escape

    from textsynth.cli import show

    if as_json:
        print(json.dumps({"event": "result", **found.as_data(), "exported": places}), flush=True)
        return
    title = f"\n{found.accepted:,} of {found.needed:,} records that {found.source.label} lacks"
    numbers = ("real", "wanted", "made", "kept share")
    table = show.grid(title, "class", *numbers, right=numbers)
    for count in found.counts:
        if count.needed:
            kept = "" if count.kept_share is None else f"{count.kept_share:.0%}"
            table.add_row(escape(str(count.value)), f"{count.real:,}", f"{count.wanted:,}", f"{count.made:,}", kept)
    if found.needed:
        show.out.print(table)
        if enough := sum(not count.needed for count in found.counts):
            show.out.print(f"[dim]{enough} more classes have enough[/]")
    else:
        show.out.print(f"no class of {escape(found.source.label)} is scarce: nothing to make")
    for note in found.notes:
        show.note(f"note: {note}")
    if found.run is not None and not found.complete:
        show.out.print(f"[bold yellow]stopped by {escape(found.run.stopped_by)}[/]; the same command goes on")
        show.out.print(f"what would help most: {escape(found.run.advice())}")
    show.exported(places)
