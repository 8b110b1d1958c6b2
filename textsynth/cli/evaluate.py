"""``textsynth evaluate``: synthetic rows measured against real ones and against real ones held out."""

from __future__ import annotations

import argparse
import json
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textsynth.cli import DONE, LIMITED
from textsynth.errors import RecipeError

if TYPE_CHECKING:
    from textsynth.evaluation import Evaluation, Progress
    from textsynth.measure.measured import Measured

FILE = "evaluation.json"
LOG_SECONDS = 5.0
"""Seconds between lines on progress when the output is no terminal."""


def add(commands: Any) -> None:
    """Add the command's arguments to the parser of all commands."""
    says = "measure synthetic rows against real ones and against real ones held out"
    one: argparse.ArgumentParser = commands.add_parser(
        "evaluate",
        help=says,
        description=says + ". Exit code 0 if every gate holds, 3 if one does not.",
    )
    one.add_argument("synthetic", metavar="SYNTHETIC", help="JSONL, CSV, Parquet, a folder or a Hugging Face dataset")
    one.add_argument("--real", required=True, help="the rows that the synthetic ones were made from")
    one.add_argument("--holdout", help="real rows that nothing was made from; without them privacy is not measured")
    one.add_argument("--label", default="", metavar="FIELD", help="field that a classifier is trained to predict")
    one.add_argument(
        "--protected", default="", metavar="A,B", help="fields whose groups must be treated as in real data"
    )
    one.add_argument("--text", metavar="F,G", help="fields read as text (default: those that look like free text)")
    one.add_argument("--embeddings", default="default", metavar="NAME", help="embedding model, or none")
    one.add_argument("--canaries", type=Path, metavar="FILE", help="JSON of what was planted in the real rows")
    one.add_argument("--rejected", metavar="DATA", help="rows that filters dropped, for the map")
    one.add_argument("--swaps", type=Path, metavar="FILE", help="pairs that textsynth swap wrote")
    one.add_argument("--groups", default="", metavar="A,B", help="only fidelity, utility, diversity, privacy or bias")
    one.add_argument("--seed", type=int, default=0, metavar="N")
    one.add_argument("--sample", type=int, default=100_000, metavar="N", help="most rows of each set compared")
    one.add_argument("--limit", type=int, metavar="N", help="most rows of each set read")
    one.add_argument(
        "--to",
        type=Path,
        metavar="FOLDER",
        help=f"write {FILE} (every value, the data of all plots) and the page report.html",
    )
    one.add_argument("--json", action="store_true", help="progress and result as JSON lines")


def command(options: argparse.Namespace) -> int:
    """Evaluate, show the verdict, the values and what was not measured."""
    from textsynth.evaluation import GROUPS, evaluate

    check(options)
    with Steps(as_json=options.json) as steps:
        found = evaluate(
            options.synthetic,
            real=options.real,
            holdout=options.holdout,
            label=options.label,
            protected=split(options.protected),
            text_fields=None if options.text is None else split(options.text),
            embeddings=None if options.embeddings == "none" else options.embeddings,
            canaries=options.canaries,
            rejected=options.rejected,
            swaps=options.swaps,
            groups=split(options.groups) or GROUPS,
            seed=options.seed,
            sample=options.sample,
            limit=options.limit,
            on_progress=steps.update,
        )
    place = None if options.to is None else found.save(options.to / FILE)
    if place is not None and find_spec("matplotlib"):
        from textsynth.report import page

        page.write(place.parent / "report.html", evaluation=found.as_data())
    if options.json:
        print(json.dumps({"event": "result", **found.as_data()}, allow_nan=False), flush=True)
    else:
        show(found, place)
    return DONE if found.passed else LIMITED


def check(options: argparse.Namespace) -> None:
    """Raise ``RecipeError`` for numbers that make no sense."""
    for name in ("sample", "limit"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise RecipeError([f"--{name} must be at least 1, got {value}"])


def split(text: str) -> list[str]:
    """Return the names of a list with commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


class Steps:
    """Shows what is being measured: one line that changes in a terminal, some lines in a log, JSON lines for machines."""

    def __init__(self, *, as_json: bool) -> None:
        from rich.console import Console

        self.as_json = as_json
        self.console = Console(stderr=True, highlight=False)
        self.status = self.console.status("reading")
        self._said, self._step = time.monotonic(), ""

    def __enter__(self) -> Steps:
        if self.console.is_terminal and not self.as_json:
            self.status.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.status.stop()

    def update(self, progress: Progress) -> None:
        """Show one step."""
        line = f"{progress.step} ({progress.done:,} of {progress.total:,}, {progress.seconds:.0f} s)"
        if self.as_json:
            told = {name: getattr(progress, name) for name in progress.__dataclass_fields__}
            print(json.dumps({"event": "progress", **told}), flush=True)
        elif self.console.is_terminal:
            self.status.update(line)
        elif progress.step != self._step and time.monotonic() - self._said >= LOG_SECONDS:
            self._said = time.monotonic()
            print(line, file=sys.stderr, flush=True)
        self._step = progress.step


def show(found: Evaluation, place: Path | None) -> None:
    """Show the verdict, then every value, then what was not measured and the notes."""
    from rich.markup import escape

    from textsynth.cli.show import note, out

    first, *rest = found.verdict
    out.print(f"[bold {'green' if found.passed else 'red'}]{escape(first)}[/]")
    for line in rest:
        out.print(f"  {escape(line)}")
    group = ""
    for value in found.values:
        if value.group != group:
            group = value.group
            out.print(f"\n[bold]{group:<28}[/][dim]{'value':>8} {'real':>8}   {'95 %':<15} gate[/]")
        show_value(value)
    if found.missing:
        out.print("\n[bold]Not measured[/]")
    for missing in found.missing:
        out.print(f"  {escape(missing.what)}: {escape(missing.why)}", style="dim")
    for line in found.notes:
        note(line)
    if place is not None:
        note(f"written: {place}")


def show_value(value: Measured) -> None:
    """Show the numbers of one value, and what it says under them."""
    import textwrap

    from rich.markup import escape

    from textsynth.cli.show import out
    from textsynth.evaluation import spoken

    numbers = f"{number(value.value):>8} {number(value.real):>8}   {interval(value):<15}"
    out.print(f"{escape(spoken(value.name)):<28}{numbers} {gate(value)}")
    for line in textwrap.wrap(value.meaning, max(40, out.width - 2)):
        out.print(f"  {escape(line)}", style="dim")


def number(value: float | None) -> str:
    """Write a number as short as it can be read."""
    if value is None:
        return ""
    return f"{value:.3f}" if abs(value) < 100 else f"{value:,.0f}"


def interval(value: Measured) -> str:
    """Write the 95 % interval."""
    return "" if value.low is None or value.high is None else f"{number(value.low)}–{number(value.high)}"


def gate(value: Measured) -> str:
    """Say whether the gate holds, and if not, what it asks."""
    if value.passed is None or value.gate is None:
        return ""
    if value.passed:
        return "[green]ok[/]"
    ends = [f"≥ {number(value.gate.low)}"] if value.gate.low is not None else []
    ends += [f"≤ {number(value.gate.high)}"] if value.gate.high is not None else []
    return f"[red]not {' and '.join(ends)}[/]"
