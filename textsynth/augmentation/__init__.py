"""Augment: fill the scarce classes of a labelled dataset to a wanted balance with text that is checked for its label.

``augment`` counts the classes, works out how many records each one needs, has a run make exactly those from real examples
of the class, and gives back the real rows with the made ones beside them, told apart by one column.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from textsynth import api
from textsynth.augmentation._balance import FEW, Balance, ClassCount, read_balance, wanted_counts
from textsynth.augmentation._recipe import Check, Source, build, write_rows
from textsynth.augmentation._result import Augmentation
from textsynth.errors import RecipeError, unknown
from textsynth.records import Record
from textsynth.schema import observe
from textsynth.validate import read_source
from textsynth.windows import Progress

__all__ = ["Augmentation", "Balance", "ClassCount", "augment", "read_balance"]

LabelCheck = Literal["classifier", "none"]
CHECKS: dict[LabelCheck, tuple[Check, ...]] = {
    "classifier": ("semantic_duplicate", "label_agreement"),
    "none": ("semantic_duplicate",),
}
MOST_CLASSES = 200
"""More values than this are no classes: each would get a handful of records, and a table nobody reads."""


def augment(
    data: Any,
    *,
    label: str,
    text: str | Sequence[str] = (),
    balance: Balance = "equal",
    records: int | None = None,
    model: str = "default",
    seed: int = 0,
    folder: str | Path | None = None,
    marker: str = "synthetic",
    label_check: LabelCheck = "classifier",
    split: str = "train",
    on_progress: Callable[[Progress], None] | None = None,
    mode: Literal["run", "dry_run", "plan"] = "run",
    **recipe: Any,
) -> Augmentation:
    """Make the records that the scarce classes of a dataset lack, or go on with a run that was interrupted.

    Every synthetic record has a drawn label, is written from real examples of that label, and is dropped if it repeats a
    real row or another record, or if a classifier trained on the real rows finds that another label fits better. Other
    structured fields take the values that a real row of the class has together; columns of identifiers stay empty.

    Args:
        data: a file (JSONL, JSON, CSV, TSV, Parquet), a folder, the id of a Hugging Face dataset, a ``datasets.Dataset``,
            or a list of dictionaries.
        label: the column with the class.
        text: the column or columns that the model writes; by default those that hold running text.
        balance: ``equal`` raises the smaller classes to the size of the largest (with ``records``: the smallest first,
            as far as those go); ``real`` spreads ``records`` as the real rows are; or how many rows each class is to have
            in the end, real ones included.
        records: how many synthetic records there are to be in all.
        model: as in a recipe.
        seed: same seed, same plan.
        folder: the run folder, by default ``runs/augment-<name of the data>``.
        marker: the column that tells synthetic rows from real ones.
        label_check: ``none`` leaves out the classifier.
        split: of a Hugging Face dataset.
        on_progress: called a few times a second.
        mode: ``dry_run`` uses the scripted engine, whose texts no classifier checks; ``plan`` makes nothing.
        recipe: further keys of a recipe: ``sampling``, ``limits``, ``engine``, ``filters``, ... With ``profile`` (a folder
            of ``textsynth fit``) the structured fields are drawn from it, given the label, in the place of real rows.

    Returns:
        What was wanted and made by class; ``run`` is ``None`` if no class lacks anything.

    Raises:
        RecipeError: a column that is not there, no text, more than 200 classes, a balance that cannot be.
        LedgerError, EngineError, ModelError: as ``textsynth.run``; what was made stays in the folder.
    """
    rows = read(data, split)
    source = describe(rows, label, (text,) if isinstance(text, str) and text else tuple(text), marker)
    counts = wanted_counts(source.classes, balance, records)
    notes = [*source.notes, *remarks(counts)]
    found = Augmentation(source, tuple(counts), tuple(notes), marker, seed)
    if mode == "plan" or not found.needed:
        return found
    name = Path(data).stem if isinstance(data, str | Path) else "data"
    target = Path(folder) if folder is not None else Path("runs") / f"augment-{name}"
    files = write_rows(target, source, counts)
    checks = CHECKS[label_check] if mode == "run" else ()
    options = {"model": model, "seed": seed, "name": safe_name(f"augment-{name}"), **recipe}
    wanted = build(source, counts, files, checks, options)
    made = api.run(wanted.at(target.resolve()), folder=target, on_progress=on_progress, dry_run=mode == "dry_run")
    return found.with_run(made)


def read(data: Any, split: str) -> list[Record]:
    """Return the rows as JSON values, every column in each, ``None`` where it has none; a class by its name."""
    source = read_source(data, Path.cwd(), split, None, "data")
    names = {
        name: list(feature.names)
        for name, feature in (source.features or {}).items()
        if getattr(feature, "names", None) and hasattr(feature, "int2str")
    }
    rows = [{name: as_json(value, names.get(name)) for name, value in row.items()} for row in source.rows()]
    if not rows:
        raise RecipeError(["data: no rows"])
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return [{name: row.get(name) for name in columns} for row in rows]


def as_json(value: Any, names: Sequence[str] | None = None) -> Any:
    """Return a value as JSON has it: dates as ISO text, the number of a class as its name, nothing for no number."""
    if isinstance(value, float) and value != value:
        return None
    if names and isinstance(value, int) and 0 <= value < len(names):
        return names[value]
    return value.isoformat() if hasattr(value, "isoformat") else value


def describe(rows: Sequence[Record], label: str, text: tuple[str, ...], marker: str) -> Source:
    """Find out which columns are text, which are structured and which are left empty.

    Raises:
        RecipeError: a column that is not there or cannot be what it should be.
    """
    columns = list(rows[0])
    lost = [unknown("label", label, columns)] if label not in columns else []
    lost += [unknown("text", name, columns) for name in text if name not in columns]
    if lost:
        raise RecipeError(lost)
    if marker in columns:
        raise RecipeError(
            [f"marker: the data has a column {marker!r} already"], hint="name another one: --marker made_up"
        )
    if label in text:
        raise RecipeError([f"text: {label!r} is the label, and cannot be written by the model too"])
    if odd := next((row[label] for row in rows if not isinstance(row[label], str | int | float | None)), None):
        raise RecipeError([f"label: {label!r} must hold one text or number a row, got {odd!r}"])
    observed = observe(rows)
    chosen = text or tuple(name for name in observed.text_fields if name != label)
    if not chosen:
        raise RecipeError([f"text: none of {columns} holds running text"], hint="name the column: --text NAME")
    source = Source.of(rows, label, chosen, observed)
    if len(source.classes) > MOST_CLASSES:
        raise RecipeError([f"label: {label!r} has {len(source.classes)} values; at most {MOST_CLASSES} can be classes"])
    if len(source.classes) < 2:
        raise RecipeError([f"label: {label!r} has only the value {next(iter(source.classes), None)!r}: no class lacks"])
    return source


def remarks(counts: Sequence[ClassCount]) -> list[str]:
    """Return what the user should know of classes with very few real rows."""
    few = [f"{count.value} ({count.real})" for count in counts if count.needed and count.real < FEW]
    if not few:
        return []
    return [
        f"fewer than {FEW} real examples: {', '.join(few)}; what is made for them will be little but variations of those, "
        "and the classifier can hardly check them"
    ]


def safe_name(text: str) -> str:
    """Return ``text`` as the name of a run may be."""
    return "".join(c if c.isalnum() or c in "_.-" else "-" for c in text)
