"""Related tables as one ``DatasetDict``, one split per table, and as a folder that ``datasets`` loads table by table."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from textsynth.errors import ExportError
from textsynth.records import Record

if TYPE_CHECKING:
    from datasets import DatasetDict


def to_dataset_dict(tables: Mapping[str, Sequence[Record]]) -> DatasetDict:
    """Return one dataset per table, under its name.

    A key that a row lacks is null there. A column whose values have no common type (texts and numbers, say) is written as
    JSON text.

    Raises:
        ExportError: a table's name that cannot name a split.
    """
    from datasets import Dataset, DatasetDict

    for name in tables:
        if not re.fullmatch(r"\w+", name):
            raise ExportError(f"tables: {name!r} cannot name a split: letters, digits and underscores only")
    return DatasetDict({name: Dataset(arrow_table(rows)) for name, rows in tables.items()})


def arrow_table(rows: Sequence[Record]) -> Any:
    """Return rows as an Arrow table."""
    import pyarrow

    names = dict.fromkeys(name for row in rows for name in row)
    return pyarrow.table({name: arrow_column([row.get(name) for row in rows]) for name in names})


def arrow_column(values: list[Any]) -> Any:
    """Return values as an Arrow array, as JSON text if they have no common type."""
    import pyarrow

    try:
        array = pyarrow.array(values)
        if array.to_pylist() == values and not pyarrow.types.is_null(array.type):
            return array
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, OverflowError):
        pass
    texts = [None if value is None else json.dumps(value, ensure_ascii=False, default=str) for value in values]
    return pyarrow.array(texts, pyarrow.string())


def write_tables(
    tables: Mapping[str, Sequence[Record]], folder: Path, files: Literal["arrow", "parquet"] = "arrow"
) -> DatasetDict:
    """Write related tables to a folder and return them.

    Args:
        files: ``arrow`` is for ``datasets.load_from_disk(folder)``, which gives one DatasetDict; ``parquet`` writes one
            file per table and a card that names each as a configuration: ``datasets.load_dataset(folder, "orders")``.

    Raises:
        ExportError: a folder that is not empty, or cannot be written; a table's name that cannot name a split.
    """
    made = to_dataset_dict(tables)
    try:
        if folder.exists() and any(folder.iterdir()):
            raise ExportError(f"{str(folder)!r} is not empty", hint="choose another folder, or empty it")
        folder.mkdir(parents=True, exist_ok=True)
        if files == "arrow":
            made.save_to_disk(str(folder))
            return made
        for name, table in made.items():
            table.to_parquet(str(folder / f"{name}.parquet"))
        (folder / "README.md").write_text(card(made), encoding="utf-8")
    except OSError as error:
        raise ExportError(f"{str(folder)!r} cannot be written: {error.strerror or error}") from error
    return made


def card(made: DatasetDict) -> str:
    """Return the card of a folder of Parquet files: one configuration per table."""
    import yaml

    configs = [{"config_name": str(name), "data_files": f"{name}.parquet"} for name in made]
    lines = [f"- {name}: {table.num_rows:,} rows; {', '.join(table.column_names)}" for name, table in made.items()]
    head = yaml.safe_dump({"configs": configs, "tags": ["textsynth", "synthetic"]}, sort_keys=False)
    return f"---\n{head}---\n# Related tables\n\nSynthetic. Keys match across the tables.\n\n" + "\n".join(lines) + "\n"
