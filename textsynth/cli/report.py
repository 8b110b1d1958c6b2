"""``textsynth report``: a run, an evaluation or both as one HTML page, with its numbers as JSON beside it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textsynth.cli import DONE
from textsynth.errors import RecipeError

if TYPE_CHECKING:
    from textsynth.runs import Run

PAGE = "report.html"
NOT_FAULTS = frozenset({"quota", "surplus", "unselected"})
"""Reasons of drops that say nothing against the record."""


def add(commands: Any) -> None:
    """Add the command's arguments to the parser of all commands."""
    one: argparse.ArgumentParser = commands.add_parser(
        "report",
        help="write a run and how good it is as one HTML page",
        description="Write a run, an evaluation or both as one self-contained HTML page, with the same numbers as JSON "
        "beside it.",
    )
    one.add_argument("run", type=Path, nargs="?", metavar="RUN", help="run folder")
    one.add_argument(
        "--evaluation",
        type=Path,
        metavar="FILE",
        help="what textsynth evaluate --to wrote (default: the one in the run's folder, if it is of these records)",
    )
    one.add_argument("--real", metavar="DATA", help="measure the run against these rows, which it was made from")
    one.add_argument("--holdout", metavar="DATA", help="and against these real rows, which nothing was made from")
    one.add_argument("--label", default="", metavar="FIELD", help="field that a classifier is trained to predict")
    one.add_argument(
        "--protected", default="", metavar="A,B", help="fields whose groups must be treated as in real data"
    )
    one.add_argument("--to", type=Path, metavar="FILE", help=f"the page (default: {PAGE} in the run's folder)")


def command(options: argparse.Namespace) -> int:
    """Write the page and say where it is."""
    from textsynth.cli.show import note
    from textsynth.report import page
    from textsynth.runs import Run

    target = check(options)
    evaluation = read(options.evaluation) if options.evaluation else None
    run = Run(options.run) if options.run else None
    try:
        if run is not None and evaluation is None:
            evaluation = measure(run, options) if options.real else measured_before(run) or measure_fitted(run)
        for place in page.write(target, run=run, evaluation=evaluation):
            note(f"written: {place}")
    finally:
        if run is not None:
            run.close()
    return DONE


def check(options: argparse.Namespace) -> Path:
    """Return where the page goes.

    Raises:
        RecipeError: options that do not go together.
    """
    problems = []
    if options.run is None and options.evaluation is None:
        problems.append("report: name a run folder, --evaluation FILE, or both")
    if options.real and options.evaluation:
        problems.append("--real: measures anew, --evaluation: reads what was measured; give one of them")
    if options.real and options.run is None:
        problems.append(
            "--real: needs a run to measure; for other data: textsynth evaluate DATA --real ... --to FOLDER"
        )
    if options.holdout and not options.real:
        problems.append("--holdout: needs --real, the rows that the run was made from")
    folder = options.run or (options.evaluation or Path()).parent
    target: Path = options.to or folder / PAGE
    if target.suffix.lower() not in {".html", ".htm"}:
        problems.append(f"--to: the page must end in .html, got {str(target)!r}")
    elif options.evaluation and target.with_suffix(".json").resolve() == options.evaluation.resolve():
        problems.append(f"--to: its numbers would overwrite {str(options.evaluation)!r}; choose another name")
    if problems:
        raise RecipeError(problems)
    return target


def read(file: Path) -> dict[str, Any]:
    """Return a saved evaluation.

    Raises:
        RecipeError: no such file, or not an evaluation.
    """
    from textsynth.evaluation import Evaluation

    return Evaluation.load(file).as_data()


def measure(run: Run, options: argparse.Namespace) -> dict[str, Any]:
    """Measure a run's records against the real ones that the command names."""
    from textsynth.cli.evaluate import split

    return compare(run, options.real, options.holdout, label=options.label, protected=split(options.protected))


def measure_fitted(run: Run) -> dict[str, Any] | None:
    """Measure a finished run with a profile against its real rows: the ``report`` split is read now, once."""
    from textsynth.profile import Profile

    real = run.real() if run.complete else None
    if real is None or run.recipe.profile is None:
        return None
    facts = Profile.load(run.recipe.folder / run.recipe.profile.folder).facts
    return compare(run, *real, label=facts.label, protected=facts.protected)


def compare(run: Run, real: Any, holdout: Any, *, label: str, protected: Sequence[str]) -> dict[str, Any]:
    """Measure a run's records, showing each step; what came of it is kept in the run's folder."""
    from textsynth.cli.evaluate import FILE, Steps
    from textsynth.evaluation import evaluate

    with Steps(as_json=False) as steps:
        found = evaluate(
            list(run.records()),
            real=real,
            holdout=holdout,
            label=label,
            protected=protected,
            rejected=rejected(run) or None,
            on_progress=steps.update,
        )
    found.save(run.folder / FILE)
    return found.as_data()


def measured_before(run: Run) -> dict[str, Any] | None:
    """Return the evaluation in the run's folder, if there is one and it is of all the records there are now."""
    from textsynth.cli.evaluate import FILE
    from textsynth.cli.show import note

    file = run.folder / FILE
    found = read(file) if file.is_file() else None
    if found is None or found["sizes"].get("synthetic") == run.accepted:
        return found
    note(f"{file} is of other records than the run holds now: left out; --real DATA measures anew")
    return None


def rejected(run: Run) -> list[dict[str, Any]]:
    """Return the records that were dropped for a fault of theirs."""
    rows = (row for row in run.ledger.dropped() if row["record"] is not None and row["reason"] not in NOT_FAULTS)
    return [json.loads(row["record"]) for row in rows]
