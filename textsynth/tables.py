"""Rows of a dataset, whatever file they lie in: JSONL, JSON, CSV, TSV, Parquet, a folder, or a Hugging Face dataset.

Values are taken as they are; a CSV's strings are read as the types of a record schema by ``typed``.
"""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from textsynth.errors import RecipeError

Row = dict[str, Any]
SUFFIXES = (".jsonl", ".json", ".csv", ".tsv", ".parquet")


def read(source: str, *, folder: Path, place: str, split: str = "train", limit: int | None = None) -> list[Row]:
    """Return the rows that ``stream`` yields, as a list."""
    return list(stream(source, folder=folder, place=place, split=split, limit=limit))


def stream(source: str, *, folder: Path, place: str, split: str = "train", limit: int | None = None) -> Iterator[Row]:
    """Yield the rows of ``source``: a file or folder (relative to ``folder``), or the id of a Hugging Face dataset.

    Memory does not depend on the number of rows, except for JSON (one list) and a folder of texts (one file at a time);
    a dataset of the hub is read from its memory-mapped cache.

    Args:
        place: where in the recipe the source is named, for messages.
        split: of a Hugging Face dataset.
        limit: the most rows to read.

    Raises:
        RecipeError: no such file (at once), an unreadable one (with its line), no rows, or a dataset that cannot be loaded.
    """
    path = folder / Path(source).expanduser()
    if path.exists():
        rows = read_path(path, place=place)
    elif path.suffix in SUFFIXES or source.startswith((".", "/", "~")):
        raise RecipeError([f"{place}: no such file: {source!r} (looked in {folder})"])
    else:
        rows = read_hub(source, split, place=place)
    return some_rows(itertools.islice(rows, limit), source, place=place)


def some_rows(rows: Iterator[Row], source: str, *, place: str) -> Iterator[Row]:
    """Yield the rows, or say that there are none."""
    first = next(rows, None)
    if first is None:
        raise RecipeError([f"{place}: {source!r} holds no rows"])
    yield first
    yield from rows


def read_path(path: Path, *, place: str) -> Iterator[Row]:
    """Yield the rows of a file, of every data file in a folder, or of its text files (one row each: ``text``)."""
    if path.is_file():
        yield from read_file(path, place=place)
    elif (path / "dataset_dict.json").exists() or (path / "state.json").exists():
        yield from saved_dataset(path)
    elif files := sorted(p for p in path.rglob("*") if p.suffix in SUFFIXES):
        for file in files:
            yield from read_file(file, place=place)
    else:
        for file in sorted(p for p in path.rglob("*") if p.suffix in {".txt", ".md", ".rst"}):
            try:
                yield {"text": file.read_text(encoding="utf-8-sig"), "path": str(file.relative_to(path))}
            except (ValueError, OSError) as error:
                raise RecipeError([f"{place}: {file}: {error}"]) from error


def read_file(path: Path, *, place: str) -> Iterator[Row]:
    """Yield the rows of one file by its ending."""
    readers: dict[str, Callable[[Path], Iterator[Row]]] = {
        ".jsonl": read_jsonl,
        ".json": read_json,
        ".csv": read_csv,
        ".tsv": read_csv,
        ".parquet": read_parquet,
    }
    if path.suffix not in readers:
        raise RecipeError([f"{place}: cannot read {path.name!r}: the ending must be one of {', '.join(SUFFIXES)}"])
    try:
        yield from readers[path.suffix](path)
    except (ValueError, OSError, csv.Error) as error:
        raise RecipeError([f"{place}: {path}: {error}"]) from error


def read_jsonl(path: Path) -> Iterator[Row]:
    """Yield one object per line; a bad line is named by its number."""
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    yield object_row(json.loads(line))
                except ValueError as error:
                    raise ValueError(f"line {number}: {error}") from error


def read_json(path: Path) -> Iterator[Row]:
    """Yield the objects of a JSON list, or one object."""
    value = json.loads(path.read_text(encoding="utf-8-sig"))
    yield from map(object_row, value if isinstance(value, list) else [value])


def object_row(value: Any) -> Row:
    """Return ``value`` if it is an object."""
    if not isinstance(value, dict):
        raise ValueError(f"each row must be a JSON object, got {json.dumps(value)[:60]}")
    return value


def read_csv(path: Path) -> Iterator[Row]:
    """Yield the lines of a CSV (or tab-separated) file with a header; a line of another width is named."""
    csv.field_size_limit(1 << 30)
    with path.open(newline="", encoding="utf-8-sig") as lines:
        reader = csv.DictReader(lines, delimiter="\t" if path.suffix == ".tsv" else ",")
        for row in reader:
            if None in row or None in row.values():
                raise ValueError(f"line {reader.line_num}: it must have {len(reader.fieldnames or ())} columns")
            yield dict(row)


def read_parquet(path: Path) -> Iterator[Row]:
    """Yield the rows of a Parquet file, some in memory at a time, however large its row groups are."""
    import pyarrow.parquet as parquet

    with parquet.ParquetFile(path, buffer_size=1 << 20) as file:
        for batch in file.iter_batches(batch_size=1024):
            yield from batch.to_pylist()


def saved_dataset(path: Path) -> Iterator[Row]:
    """Yield the rows of a folder written by ``save_to_disk`` (all splits)."""
    from datasets import DatasetDict, load_from_disk

    found = load_from_disk(str(path))
    for dataset in found.values() if isinstance(found, DatasetDict) else [found]:
        yield from dataset


def read_hub(name: str, split: str, *, place: str) -> Iterator[Row]:
    """Yield the rows of a dataset on the Hugging Face hub (or in its cache)."""
    from datasets import load_dataset
    from huggingface_hub.errors import HfHubHTTPError

    try:
        yield from load_dataset(name, split=split)
    except (OSError, ValueError, HfHubHTTPError) as error:
        raise RecipeError(
            [f"{place}: {name!r} is neither a file here nor a Hugging Face dataset that can be loaded: {error}"],
            hint="give a path that exists (relative to the recipe) or the id of a dataset",
        ) from error


def typed(row: Mapping[str, Any], types: Mapping[str, set[str]]) -> Row:
    """Read the strings of a CSV row as the JSON types their fields allow; what does not parse stays a string."""
    return {name: typed_value(value, types.get(name, set())) for name, value in row.items()}


def typed_value(value: Any, types: set[str]) -> Any:
    """Read one string as null, boolean, integer or number if its field is of such a type and not also a string."""
    if not isinstance(value, str) or "string" in types:
        return value
    if value == "" and "null" in types:
        return None
    if "boolean" in types and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    for kind, convert in (("integer", int), ("number", float)):
        if kind in types:
            try:
                return convert(value)
            except ValueError:
                continue
    return value
