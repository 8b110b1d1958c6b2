"""The training rows of a pair, as a dataset with the same card table as the eval set."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from textsynth import export
from textsynth.evalspec import EvalsetSpec
from textsynth.export._write import is_ours
from textsynth.recipe import Named, read_named
from textsynth.records import Record
from textsynth.runs import Run
from textsynth.schema import RecordSchema, observe


def train_schema(run: Run, train: Run | str | Path | None, rows: Sequence[Record]) -> RecordSchema:
    """Return the schema of the training rows: that of the run they come from, or what the rows of a dataset show."""
    if train is None or isinstance(train, Run):
        return (train or run).parts.schema
    return observe(rows).schema


def train_folder(
    rows: Sequence[Record],
    schema: RecordSchema,
    spec: EvalsetSpec,
    folder: Path,
    run: Run,
    make_card: Callable[[], str],
) -> None:
    """Write the training rows in the form that is asked for; without any, an earlier folder of ours is taken away.

    Raises:
        ExportError: the form does not fit the rows, or the folder cannot be written.
    """
    if not rows:
        if is_ours(folder):
            shutil.rmtree(folder)
        return
    named = Named(**read_named(spec.train))
    form = export.build(named.name, named.options, folder=run.recipe.folder, place="evalset.train")
    dataset = export.to_dataset(rows, form, schema, {"train": 1.0}, spec.seed)
    export.write(dataset, folder, "parquet", make_card())
