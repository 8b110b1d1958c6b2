"""``textsynth tune``: a LoRA adapter from a profile's train rows, stopped before it copies them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from textsynth.cli import DONE, positive

SHORT = {"longest_copy": "copy", "membership": "member"}
"""Names of alarms that would make the table too wide."""


def add(commands: Any) -> None:
    """Add the command and its options."""
    what = "train a LoRA adapter on a profile's train rows, stopped by a memorisation alarm; a recipe then names it"
    one: argparse.ArgumentParser = commands.add_parser("tune", help=what, description=what)
    one.add_argument("profile", help="folder of textsynth fit, or a recipe with a profile: its prompts are trained for")
    one.add_argument("-o", "--to", type=Path, required=True, metavar="ADAPTER", help="folder of the adapter")
    one.add_argument(
        "--data", default="", metavar="FILE", help="what the profile was fitted on (default: where it lay)"
    )
    one.add_argument("--model", default="default", help="default, a folder or a Hugging Face id")
    one.add_argument("--epochs", type=float, metavar="N", help="how often each row is seen at most (3)")
    one.add_argument("--rank", type=positive, metavar="N", help="of the adapter (16)")
    one.add_argument("--rate", type=float, metavar="X", help="highest learning rate (5e-4)")
    one.add_argument("--batch", type=positive, metavar="N", help="rows per step (8)")
    one.add_argument("--limit", type=positive, metavar="N", help="the most train rows (all)")
    one.add_argument("--looks", type=positive, metavar="N", help="how often the model is looked at (8)")
    one.add_argument("--patience", type=positive, metavar="N", help="looks without a lower held-out loss (2)")
    one.add_argument("--watched", type=positive, metavar="N", help="rows of each side that a look reads (64)")
    one.add_argument("--texts", type=positive, metavar="N", help="texts written at each look, to find copies (24)")
    one.add_argument(
        "--longest", type=positive, metavar="N", help="most tokens of a row; longer ones are left out (1024)"
    )
    one.add_argument("--membership", type=float, metavar="AUC", help="above this the membership alarm rings (0.7)")
    one.add_argument("--seed", type=int, metavar="N", help="same seed, same rows, order and texts (0)")
    one.add_argument("--overwrite", action="store_true", help="replace the adapter of another tuning in the folder")
    one.add_argument("--json", action="store_true", help="looks and result as JSON lines on standard output")


def command(options: argparse.Namespace) -> int:
    """Tune; the same command goes on with a tuning that was interrupted."""
    from textsynth.cli.commands import engine_output
    from textsynth.tuning import tune

    training = read_training(options)
    with engine_output(None) as out:

        def on_look(look: Any) -> None:
            text = json.dumps({"event": "look", **look.as_data()}) if options.json else line(look)
            print(text, file=out, flush=True)

        found = tune(
            options.profile,
            to=options.to,
            data=options.data,
            model=options.model,
            training=training,
            existing="replace" if options.overwrite else "resume",
            on_look=on_look,
            say=lambda text: None if options.json else print(text, file=out, flush=True),
        )
    tell(found, as_json=options.json)
    return DONE


def read_training(options: argparse.Namespace) -> Any:
    """Return the settings that were given; the others at their defaults."""
    from dataclasses import fields

    from textsynth.registry import build
    from textsynth.tuning import Training

    given = {each.name: getattr(options, each.name) for each in fields(Training)}
    return build(Training, {name: value for name, value in given.items() if value is not None}, place="tune")


def line(look: Any) -> str:
    """Return a look in one line."""
    rung = "; ALARM: " + ", ".join(alarm.name for alarm in look.ringing) if look.ringing else ""
    return (
        f"step {look.step} (epoch {look.epoch:.2f}): held-out loss {look.heldout_loss:.3f}, "
        f"train {look.train_loss:.3f}{rung}"
    )


def tell(found: Any, *, as_json: bool) -> None:
    """Show the looks, why it ended, and what a recipe needs."""
    from rich.markup import escape

    from textsynth.cli import show

    if as_json:
        print(json.dumps({"event": "result", **found.as_data(), "recipe": found.recipe_lines()}), flush=True)
        return
    names = [SHORT.get(alarm.name, alarm.name) for alarm in found.before.alarms]
    numbers = ("step", "epoch", "train", "held-out", *names)
    table = show.grid("\nLoss and alarms (! rings)", *numbers, "", right=numbers)
    for look in found.looks:
        cells = ["" if alarm.value is None else figure(alarm) for alarm in look.alarms]
        kept = "kept" if look.step == found.kept else ""
        table.add_row(
            str(look.step), f"{look.epoch:.2f}", f"{look.train_loss:.3f}", f"{look.heldout_loss:.3f}", *cells, kept
        )
    show.out.print(table)
    show.out.print(f"stopped: {escape(found.stopped_by)}")
    for note in found.notes:
        show.note(f"note: {note}")
    if found.kept == 0:
        show.note(
            "nothing was gained: the adapter kept is the untrained one; see stopped, and give more rows or a lower --rate"
        )
    show.out.print(f"adapter: [bold]{escape(str(found.folder))}[/]; in the recipe:\n{escape(found.recipe_lines())}")


def figure(alarm: Any) -> str:
    """Return an alarm's value, marked if it rings."""
    shown = f"{alarm.value:.3f}" if abs(alarm.value) < 2 else f"{alarm.value:.0f}"
    return f"[bold red]{shown}![/]" if alarm.rings else shown
