"""Where rows come from: a run folder, an exported folder, a file, a dataset of the hub; with licence and identity."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import yaml
from xxhash import xxh3_128

from textsynth import tables
from textsynth.errors import ExportError, LedgerError, RecipeError
from textsynth.ledger import FILE, Ledger
from textsynth.mixing._spec import SourceSpec
from textsynth.recipe import ExportSpec
from textsynth.records import Record
from textsynth.runs import Run

Rows = Iterator[tuple[int, Record]]
DATA = {".jsonl", ".json", ".csv", ".tsv", ".parquet", ".arrow", ".txt", ".md", ".rst"}


@dataclass(frozen=True)
class Opened:
    """A source that was found.

    Args:
        name: in the mixture.
        path: as the user wrote it.
        kind: run, export, file or hub.
        origin: what identifies the very rows: the run's fingerprint, a hash of the files, or the hub's name and split.
        license: as stated, else as its card says.
        attribution: as stated, else as a run's recipe says.
        rows: yields row numbers (of a run: draw numbers) and rows, columns renamed; can be called again.
    """

    name: str
    path: str
    kind: str
    origin: str
    license: str
    attribution: str
    rows: Callable[[], Rows]

    def first(self) -> Record:
        """Return the first row.

        Raises:
            RecipeError: there is none.
        """
        for _, row in self.rows():
            return row
        raise RecipeError([f"sources.{self.name}: {self.path!r} has no rows"])


def open_source(name: str, spec: SourceSpec, folder: Path) -> Opened:
    """Find out what a source is.

    Raises:
        RecipeError: nothing there, a split that it does not have, or a column that is not there.
    """
    path = folder / Path(spec.path).expanduser()
    place = f"sources.{name}"
    if (path / FILE).is_file():
        found = open_run(name, spec, path)
    elif (path / "README.md").is_file() and ((path / "data").is_dir() or (path / "dataset_dict.json").is_file()):
        found = open_export(name, spec, path)
    else:
        origin = file_hash(path) if path.exists() else f"hub:{spec.path}/{spec.split}"

        def rows() -> Rows:
            return enumerate(tables.stream(spec.path, folder=folder, place=place, split=spec.split))

        kind = "file" if path.exists() else "hub"
        found = Opened(name, spec.path, kind, origin, spec.license, spec.attribution, rows)
    renamed = Opened(**{**vars(found), "rows": renaming(found.rows, spec)})
    first = next(iter(found.rows()), None)
    if first is not None and (lost := [c for c in spec.columns.values() if c not in first[1]]):
        raise RecipeError([f"{place}.columns: {lost[0]!r} is no column of it; it has {', '.join(first[1])}"])
    return renamed


def renaming(rows: Callable[[], Rows], spec: SourceSpec) -> Callable[[], Rows]:
    """Return the same rows with the columns named as in the mixture, as many as were asked for."""
    names = {column: name for name, column in spec.columns.items()}

    def renamed() -> Rows:
        for index, row in islice(rows(), spec.limit):
            moved = {names[c]: value for c, value in row.items() if c in names}
            yield index, {c: value for c, value in row.items() if c not in names and c not in moved} | moved

    return renamed


def open_run(name: str, spec: SourceSpec, path: Path) -> Opened:
    """Open a run folder: its kept records in the form of its own export.

    Raises:
        RecipeError: it is no run that can be read, or nothing was kept.
    """
    try:
        with closing(Run(path)) as run:
            recipe, facts = run.recipe, run.ledger.fact("fingerprint", run.ledger.fact("recipe"))
            layout = run.form(recipe.export or ExportSpec()).layout(run.parts.schema)
            if not run.accepted:
                raise RecipeError([f"sources.{name}: the run in {spec.path!r} has kept no record yet"])
    except (LedgerError, ExportError) as error:
        raise RecipeError([f"sources.{name}: {error.message}"], hint=error.hint) from None

    def rows() -> Rows:
        with closing(Ledger(path)) as ledger:
            for index, record in ledger.kept():
                for row in layout.rows(record):
                    yield index, row

    origin = f"run:{xxh3_128(json.dumps(facts, sort_keys=True).encode()).hexdigest()}"
    attribution = spec.attribution or (recipe.seeds.attribution if recipe.seeds else "")
    return Opened(name, spec.path, "run", origin, spec.license or recipe.license, attribution, rows)


def open_export(name: str, spec: SourceSpec, path: Path) -> Opened:
    """Open a folder with a card: one split of it.

    Raises:
        RecipeError: it has no such split.
    """
    parts = split_files(path)
    if spec.split not in parts:
        raise RecipeError(
            [f"sources.{name}.split: {spec.path!r} has no split {spec.split!r}; it has {', '.join(parts) or 'none'}"]
        )
    files = parts[spec.split]

    def rows() -> Rows:
        place = f"sources.{name}"
        return enumerate(row for file in files for row in tables.read_path(file, place=place))

    card = card_facts(path / "README.md")
    origin = file_hash(*files)
    stated = spec.license or str(card.get("license_name") or card.get("license") or "")
    return Opened(name, spec.path, "export", origin, stated, spec.attribution, rows)


def split_files(path: Path) -> dict[str, list[Path]]:
    """Return the files of each split of an exported folder, in order."""
    found: dict[str, list[Path]] = {}
    if (path / "dataset_dict.json").is_file():
        names = json.loads((path / "dataset_dict.json").read_text(encoding="utf-8"))["splits"]
        return {name: [path / name] for name in names}
    for file in sorted((path / "data").iterdir()):
        if file.suffix in {".parquet", ".jsonl"}:
            found.setdefault(file.stem.split("-")[0], []).append(file)
    return found


def card_facts(file: Path) -> dict[str, Any]:
    """Return the metadata of a dataset card; nothing if it has none that can be read."""
    text = file.read_text(encoding="utf-8", errors="replace")
    if not text.startswith("---\n"):
        return {}
    try:
        found = yaml.safe_load(text[4:].partition("\n---")[0])
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}


def file_hash(*paths: Path) -> str:
    """Return the xxh3-128 of files and of all data files in folders."""
    digest = xxh3_128()
    for path in paths:
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file() and p.suffix in DATA)
        for file in files:
            with file.open("rb") as data:
                while block := data.read(1 << 20):
                    digest.update(block)
    return f"xxh3:{digest.hexdigest()}"
