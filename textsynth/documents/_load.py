"""From files to chunks."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from textsynth.documents._chunks import ChunkSpec, chunk
from textsynth.documents._read import SUFFIXES, Document, read
from textsynth.errors import RecipeError

_MAGIC = re.compile(r"[*?\[]")


def is_documents(source: str) -> bool:
    """Return whether a source names documents by its ending: a file, or a pattern such as ``docs/**/*.md``."""
    return Path(source).suffix.lower() in SUFFIXES


def load(source: str, spec: ChunkSpec, *, folder: Path, place: str) -> list[dict[str, Any]]:
    """Return the chunks of all documents of a source as rows: document, title, section, start, end, text.

    Args:
        source: a file, a folder or a pattern, relative to ``folder``.
        place: where in the recipe the source is named, for messages.

    Raises:
        RecipeError: no such file, one that cannot be read, or no chunk in any.
    """
    rows = [asdict(part) for document in read_all(source, folder=folder, place=place) for part in chunk(document, spec)]
    if not rows:
        raise RecipeError(
            [f"{place}: no chunk of at least {spec.least} words in {source!r}"],
            hint="lower seeds.chunk.least, or keep what is left out: seeds: {chunk: {keep: [code, back_matter]}}",
        )
    return rows


def read_all(source: str, *, folder: Path, place: str) -> Iterator[Document]:
    """Yield every document of a source in the order of their paths, named by these without their ending
    (with it where two would be called the same)."""
    files = _files(source, folder)
    if not files:
        raise RecipeError(
            [f"{place}: no documents at {source!r} (looked in {folder})"],
            hint=f"give a file, a folder or a pattern; endings that can be read: {', '.join(SUFFIXES)}",
        )
    root = _root(source, folder)
    shown = [file.relative_to(root) for file in files]
    bare = Counter(path.with_suffix("") for path in shown)
    for file, path in zip(files, shown, strict=True):
        name = path.with_suffix("") if bare[path.with_suffix("")] == 1 else path
        try:
            yield read(file, name.as_posix())
        except (ValueError, OSError) as error:
            raise RecipeError([f"{place}: {file}: {error}"]) from error


def _root(source: str, folder: Path) -> Path:
    """Return the folder that names of documents are relative to: the last one before a file or a wildcard."""
    path = folder / Path(source).expanduser()
    if path.is_dir():
        return path
    fixed = list(itertools.takewhile(lambda part: not _MAGIC.search(part), path.parts[:-1]))
    return Path(*fixed)


def _files(source: str, folder: Path) -> list[Path]:
    path = folder / Path(source).expanduser()
    if path.is_file():
        return [path]
    if path.is_dir():
        return sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not _MAGIC.search(source):
        return []
    base = Path(path.anchor) if Path(source).expanduser().is_absolute() else folder
    return sorted(p for p in base.glob(str(path.relative_to(base))) if p.suffix.lower() in SUFFIXES and p.is_file())
