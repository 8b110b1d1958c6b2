"""A dataset in a folder, with its card: written beside the old one, swapped in whole, never over somebody's files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import msgspec

from textsynth.errors import ExportError
from textsynth.export._card import TAG, Files, complete, written_splits
from textsynth.export._disk import disk_errors, replacing

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

CARD = "README.md"
SHARD_BYTES = 500_000_000
"""Size of a file in memory above which a split is written to several; the hub's own limit."""


def write(
    dataset: DatasetDict, folder: Path, files: Files, card: str, beside: Mapping[str, Dataset] | None = None
) -> Path:
    """Write ``dataset`` and its card to ``folder``; an earlier export of ours there is replaced.

    Args:
        files: ``parquet`` and ``jsonl`` lie under ``data/``, one file per split (Parquet: more above 500 MB), and
            ``datasets.load_dataset(folder)`` reads them; ``arrow`` is for ``datasets.load_from_disk(folder)``. A split
            without rows is left out of ``parquet`` and ``jsonl`` if another has some: datasets could not load it.
        card: Markdown, with or without metadata in front; files and features are added to it.
        beside: datasets with other columns: ``load_dataset(folder, NAME)`` reads them, or ``load_from_disk``.

    Returns:
        The folder.

    Raises:
        ExportError: a folder with other files, a place that cannot be written, no room on the disk.
    """
    if files not in get_args(Files):
        raise ExportError(f"files: expected one of {', '.join(get_args(Files))}, got {files!r}")
    with disk_errors(folder):
        target = folder.resolve()
        refuse_foreign(target)
        with replacing(target) as fresh, quiet():
            write_data(dataset, fresh, files, beside or {})
            (fresh / CARD).write_text(complete(card, dataset, files, beside), encoding="utf-8", newline="\n")
    return folder


def write_data(dataset: DatasetDict, folder: Path, files: Files, beside: Mapping[str, Dataset]) -> None:
    """Write the splits' files below ``folder``."""
    if files == "arrow":
        whole = type(dataset)({**dataset, **beside})
        whole.save_to_disk(str(folder), num_shards={name: shards(split) for name, split in whole.items()})
        return
    (folder / "data").mkdir()
    for name, split in {**{name: dataset[name] for name in written_splits(dataset)}, **beside}.items():
        if files == "jsonl":
            write_lines(split, folder / "data" / f"{name}.jsonl")
            continue
        count = shards(split)
        for index in range(count):
            part = split.shard(count, index, contiguous=True) if count > 1 else split
            # with content-defined chunks, the default, Arrow ends the whole process when the disk is full
            file = folder / "data" / f"{name}-{index:05d}-of-{count:05d}.parquet"
            part.to_parquet(str(file), use_content_defined_chunking=False)


def shards(split: Dataset) -> int:
    """Return the number of files for a split; one even without rows, since ``load_from_disk`` fails on none."""
    return 1 + int(split.data.nbytes // SHARD_BYTES)


def write_lines(split: Dataset, file: Path) -> None:
    """Write one JSON object per line, labels by name.

    Not ``Dataset.to_json``: it rounds floats to ten digits.
    """
    labels = {n: feature for n, feature in split.features.items() if type(feature).__name__ == "ClassLabel"}
    encode = msgspec.json.Encoder().encode_lines
    with file.open("wb") as out:
        for batch in split.with_format("arrow").iter(batch_size=1000):
            rows = batch.to_pylist()
            for name, feature in labels.items():
                for row in rows:
                    row[name] = None if row[name] is None else feature.int2str(row[name])
            out.write(encode(rows))


def refuse_foreign(folder: Path) -> None:
    """Raise ``ExportError`` unless ``folder`` is absent, empty, or an export of ours with nothing else in it."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ExportError(f"{str(folder)!r} is a file", hint="name a folder")
    present = {path.name for path in folder.iterdir()}
    if not present:
        return
    if not is_ours(folder):
        hint = "nothing was touched: choose a new folder, or empty this one yourself"
        raise ExportError(f"{str(folder)!r} holds files that textsynth did not write", hint=hint)
    if stray := foreign_files(folder):
        shown = ", ".join(stray[:3]) + (", ..." if len(stray) > 3 else "")
        hint = "nothing was touched: move them away, or choose a new folder"
        raise ExportError(f"{str(folder)!r} is an earlier export, but other files lie in it: {shown}", hint=hint)


def is_ours(folder: Path) -> bool:
    """Whether the card in ``folder`` carries our tag."""
    import yaml

    try:
        text = (folder / CARD).read_text(encoding="utf-8")
        metadata = yaml.safe_load(text.split("---\n")[1]) if text.startswith("---\n") else None
    except (FileNotFoundError, UnicodeDecodeError, yaml.YAMLError, IndexError):
        return False
    return isinstance(metadata, dict) and TAG in (metadata.get("tags") or [])


def foreign_files(folder: Path) -> list[str]:
    """Return the names of the files in an export of ours that the export did not write."""
    index = folder / "dataset_dict.json"
    splits: list[str] = json.loads(index.read_text(encoding="utf-8"))["splits"] if index.is_file() else []
    patterns = [CARD, index.name, "data/*.parquet", "data/*.jsonl"]
    patterns += [f"{split}/{name}" for split in splits for name in ("data-*.arrow", "state.json", "dataset_info.json")]
    present = (path.relative_to(folder) for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return sorted(str(path) for path in present if not any(fits(path, pattern) for pattern in patterns))


def fits(path: Path, pattern: str) -> bool:
    """Whether the whole of ``path`` follows ``pattern``; ``Path.match`` alone looks at its end."""
    return len(path.parts) == len(Path(pattern).parts) and path.match(pattern)


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back the progress bars and log lines of datasets and the hub's client, and put them back as they were."""
    import datasets
    from huggingface_hub import utils

    shown = [bars for bars in (datasets, utils) if not bars.are_progress_bars_disabled()]
    levels = [(logs, logs.get_verbosity()) for logs in (datasets.logging, utils.logging)]
    for bars in shown:
        bars.disable_progress_bars()
    for logs, _ in levels:
        logs.set_verbosity_error()
    try:
        yield
    finally:
        for bars in shown:
            bars.enable_progress_bars()
        for logs, level in levels:
            logs.set_verbosity(level)
