"""From a run to an eval set and the training rows that go with it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from textsynth.answers import LETTERS
from textsynth.errors import ExportError
from textsynth.evalsets import _leaks as leaks
from textsynth.evalsets._card import card
from textsynth.evalsets._entries import Entry, connect, read_rows, read_run
from textsynth.evalsets._figures import key_positions, longest_option, mean
from textsynth.evalsets._select import select
from textsynth.evalsets._train import train_folder, train_schema
from textsynth.evalsets._write import write_items
from textsynth.evalspec import EvalsetSpec
from textsynth.methods.item import position
from textsynth.records import Record
from textsynth.runs import Run
from textsynth.schema import RecordSchema


@dataclass(frozen=True)
class EvalSet:
    """What was made.

    Args:
        name: of the tasks.
        items: the eval items, as they stand in ``items.jsonl``.
        train: the training rows.
        missing: what was wanted and could not be found: items in all, and by ``field=value`` of a quota.
        facts: what both cards say, in order.
        notes: what the user should know.
        folder: where it lies.
    """

    name: str
    items: list[Record]
    train: list[Record]
    missing: Mapping[str, int]
    facts: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    folder: Path = field(default=Path())

    @property
    def complete(self) -> bool:
        """Whether every item wanted is there."""
        return not self.missing

    def as_data(self) -> dict[str, Any]:
        """Return the counts and figures as JSON values."""
        counts = {"name": self.name, "items": len(self.items), "train": len(self.train)}
        return {**counts, "missing": dict(self.missing), "facts": dict(self.facts), "notes": list(self.notes)}


def build(run: Run, spec: EvalsetSpec, out: str | Path, *, train: Run | str | Path | None = None) -> EvalSet:
    """Part the records of a run into eval items and training rows that share nothing, and write both.

    Rows that share a key (``spec.by``), directly or through other rows, lie on one side. What holds an item of a benchmark
    is left out of both; what repeats an eval item, in its words or in others, is left out of training.

    Args:
        run: its records are eval items (methods ``item`` and ``solve``).
        out: gets the folders ``eval`` and ``train``.
        train: another run, or a dataset, whose rows are the training rows; by default the run's other records are.

    Raises:
        RecipeError: records that are no items, a benchmark or dataset that cannot be read.
        ExportError: no items at all, or a folder that cannot be written.
    """
    others = read_others(run, spec, train)
    schema = train_schema(run, train, [entry.record for entry in others])
    pair = part(run, spec, others, schema)
    name = spec.name or re.sub(r"\W+", "_", run.recipe.name)
    target, notes = Path(out), remarks(pair.missing, pair.train, spec)
    whole = [{"id": f"{name}-{number:04d}", **record} for number, record in enumerate(pair.items)]
    items = write_items(whole, target / "eval", name, spec.context, lambda: card(name, "eval", pair.facts, notes, run))
    train_folder(pair.train, schema, spec, target / "train", run, lambda: card(name, "train", pair.facts, notes, run))
    return replace(pair, name=name, items=items, notes=notes, folder=target)


def part(run: Run, spec: EvalsetSpec, others: Sequence[Entry], schema: RecordSchema) -> EvalSet:
    """Choose the items and the training rows that share nothing with them, and count what was left out."""
    items = read_run(run, spec.by, eligible=True)
    held = benchmarks_in([entry.record for entry in items], spec, run, schema, leaks.ITEM)
    clean = [entry for at, entry in enumerate(items) if at not in held.found] + list(others)
    chosen, missing = select(clean, groups := connect(clean), spec)
    if not chosen:
        raise ExportError("evalset: no record fits, so there is no set to write", hint="see textsynth show RUN")
    touched = {groups[at] for at in chosen}
    side = [at for at, entry in enumerate(clean) if not others or not entry.eligible]
    pool = [clean[at].record for at in side if groups[at] not in touched]
    learnt = benchmarks_in(pool, spec, run, schema, None)
    rows = [row for at, row in enumerate(pool) if at not in learnt.found]
    picked = spread([clean[at].record for at in chosen])
    kept, shared = without_shared(rows, picked, spec, schema)
    tied = {"keys": ", ".join(spec.by), "groups": len(set(groups)), "rows tied to eval": len(side) - len(pool)}
    facts = {
        "records": {"kept by the run": run.accepted, "dropped by the run": run.reasons},
        "eval": {"wanted": spec.items, "written": len(chosen), "training rows": len(kept)},
        "parted by": tied,
        "benchmarks": benchmark_counts(spec, {"items": held, "training rows": learnt}),
        "shared across the split": shared,
        **figures(picked),
    }
    return EvalSet("", picked, kept, missing, facts)


def spread(items: Sequence[Record]) -> list[Record]:
    """Return the items with the right options of multiple choice evenly over the places, whatever was dropped before.

    What ``solve`` found stays true: it turned the options from one solution to the next.
    """
    found, seen = list[Record](), Counter[int]()
    for item in items:
        choices = list(item.get("choices") or ())
        if item["answer"] in LETTERS[: len(choices)] and choices:
            at, to = LETTERS.index(item["answer"]), position(seen[len(choices)], len(choices))
            seen[len(choices)] += 1
            choices[at], choices[to] = choices[to], choices[at]
            item = {**item, "choices": choices, "answer": LETTERS[to]}
        found.append(item)
    return found


def read_others(run: Run, spec: EvalsetSpec, train: Run | str | Path | None) -> list[Entry]:
    """Return the training rows that come from elsewhere."""
    if train is None:
        return []
    if isinstance(train, Run):
        return read_run(train, spec.by, eligible=False)
    return read_rows(str(train), spec.by, folder=Path())


def benchmarks_in(
    rows: Sequence[Record], spec: EvalsetSpec, run: Run, schema: RecordSchema, fields: Sequence[str] | None
) -> leaks.Overlap:
    """Return which rows hold an item of a benchmark in some fields (by default in any)."""
    return leaks.holds(rows, spec.benchmarks, spec, schema, folder=run.recipe.folder, fields=fields)


def benchmark_counts(spec: EvalsetSpec, sides: Mapping[str, leaks.Overlap]) -> dict[str, Any]:
    """Return what was compared with, and how many rows of each side were left out for each benchmark."""
    names = list(spec.benchmarks)
    counts = {f"{side} with {name}": held.by_source()[name] for side, held in sides.items() for name in names}
    return {"compared with": ", ".join(names) if names else "none", **counts}


def without_shared(
    rows: list[Record], items: list[Record], spec: EvalsetSpec, schema: RecordSchema
) -> tuple[list[Record], dict[str, int]]:
    """Return the training rows that repeat no eval item, and how many were left out by each check."""
    near = leaks.near(items, rows, spec.near)
    overlap = leaks.shared_with(items, rows, spec, schema)
    rules = overlap.by_rule()
    counts = {"near duplicates": len(near), "n-grams": rules["n-grams"], "same meaning": rules["meaning"]}
    kept = [row for at, row in enumerate(rows) if at not in near and at not in overlap.found]
    return kept, {**counts, "rows left out": len(rows) - len(kept)}


def figures(items: Sequence[Record]) -> dict[str, Any]:
    """Return what is known of the items as a set."""
    found: dict[str, Any] = {}
    means = {name: mean(items, name) for name in ("agreement", "options_only", "solve_rate")}
    if checked := {name: round(value, 3) for name, value in means.items() if value is not None}:
        found["means"] = checked
    if longest := longest_option(items):
        found["longest option is right"] = {
            "share": round(longest.rate, 3),
            "chance": round(longest.chance, 3),
            "p": round(longest.p, 4),
        }
    if positions := key_positions(items):
        rest = {"chi-square": round(positions.chi_square, 2), "p": round(positions.p, 4)}
        found["right option stands at"] = {**positions.counts, **rest}
    for name in ("difficulty", "topic", "kind"):
        values = [str(item[name]) for item in items if item.get(name)]
        if counts := {value: values.count(value) for value in sorted(set(values))}:
            found[name] = counts
    return found


def remarks(missing: Mapping[str, int], kept: Sequence[Record], spec: EvalsetSpec) -> tuple[str, ...]:
    """Return what the user should know."""
    notes = []
    if missing:
        lacking = ", ".join(f"{count} of {name}" for name, count in missing.items())
        notes.append(f"missing: {lacking}; raise records in the recipe and run again, the same command goes on")
    if not kept:
        notes.append(
            f"no training row is left: every row is tied to an eval item by {', '.join(spec.by)}; make items from more "
            "documents, ask for fewer, or give other rows with --train"
        )
    if spec.embeddings is not None and leaks.model_of(spec) is None:
        notes.append("the same in other words was not looked for: pip install 'textsynth[embeddings]'")
    return tuple(notes)
