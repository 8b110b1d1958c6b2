"""What a Python caller uses: ``run`` and its shorter and streaming forms. Works in scripts, notebooks and servers.

Nothing here needs or starts an event loop; ``stream`` is for callers that have one.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from textsynth.assemble import Parts, assemble
from textsynth.pipeline import Pipeline
from textsynth.recipe import Limits, Recipe, Windows, read
from textsynth.records import Record
from textsynth.runs import Run
from textsynth.validate import validate
from textsynth.windows import Progress

__all__ = ["check", "load_run", "preview", "run", "stream", "synthesize", "validate"]
Source = Recipe | Mapping[str, Any] | str | Path
OnProgress = Callable[[Progress], None] | None


def check(recipe: Source) -> Parts:
    """Read a recipe and build its parts, loading no model.

    Args:
        recipe: a ``Recipe``, a mapping with its keys, or the path of a YAML file.

    Returns:
        The parts of the run; ``parts.decoding.findings`` says per keyword what decoding enforces.

    Raises:
        RecipeError: every mistake found, each with place, value and rule.
    """
    return assemble(read(recipe))


def run(
    recipe: Source,
    *,
    folder: str | Path | None = None,
    on_progress: OnProgress = None,
    dry_run: bool = False,
    reuse: str | Path | None = None,
) -> Run:
    """Make a run, or go on with the one in ``folder``, until all records are accepted or a limit is met.

    Args:
        folder: the run folder; by default ``runs/<name>`` under the current one.
        on_progress: called a few times a second with where the run stands.
        dry_run: use the scripted engine instead of the model.
        reuse: the folder of another run, of this recipe before it was changed: requests that were answered there are
            not asked again, so only what depends on the change is generated.

    Raises:
        RecipeError, LedgerError, EngineError, ModelError: see each; what was finished stays in the folder.
    """
    parts = assemble(read(recipe), dry_run=dry_run)
    target = Path(folder) if folder is not None else Path("runs") / parts.recipe.name
    for _ in kept_records(parts, target, on_progress, Path(reuse) if reuse else None):
        pass
    return Run(target, parts=parts)


def synthesize(
    schema: Any, *, prompt: str = "", records: int = 100, folder: str | Path | None = None, **recipe: Any
) -> Run:
    """Make records of ``schema`` (a pydantic class, JSON Schema, ``Features`` or short form) from a prompt.

    Args:
        prompt: template text, file or name; ``{{ name }}`` stands for an attribute.
        records: how many accepted records are wanted.
        folder: the run folder; by default a temporary one that is not continued.
        recipe: any other key of a recipe: ``model``, ``seeds``, ``attributes``, ``filters``, ...
    """
    wanted = read({"schema": schema, "prompt": prompt, "records": records, **recipe})
    return run(wanted, folder=folder if folder is not None else temporary_folder())


async def stream(recipe: Source, *, folder: str | Path | None = None) -> AsyncIterator[Record]:
    """Yield accepted records while the run goes on; the loop runs in a thread, the caller's event loop stays free.

    Leaving the iteration early stops the run; with a ``folder`` it can be continued.
    """
    import asyncio

    parts = await asyncio.to_thread(assemble, read(recipe))
    batches = kept_records(parts, Path(folder) if folder is not None else temporary_folder(), None)
    try:
        while (batch := await asyncio.to_thread(next, batches, None)) is not None:
            for record in batch:
                yield record
    finally:
        await asyncio.to_thread(batches.close)  # type: ignore[attr-defined]


def preview(recipe: Source, *, records: int = 10, on_progress: OnProgress = None, dry_run: bool = False) -> Run:
    """Make a few records in a temporary folder, to look at and to forecast from (``textsynth.runs.forecast``)."""
    whole = read(recipe)
    quotas: dict[str, dict[Any, float]] = {
        name: {value: n / whole.records for value, n in wanted.items()}
        if sum(wanted.values()) == whole.records
        else wanted
        for name, wanted in whole.quotas.items()
    }
    seeds = whole.seeds and whole.seeds.model_copy(update={"max_uses": None})
    limits = Limits(draws=max(20, 5 * records), acceptance=0)
    changed = {"records": records, "windows": Windows(size=records), "limits": limits, "quotas": quotas, "seeds": seeds}
    return run(whole.model_copy(update=changed), folder=temporary_folder(), on_progress=on_progress, dry_run=dry_run)


def load_run(folder: str | Path) -> Run:
    """Open a run folder for reading: its records, rejects, counts, card and export."""
    return Run(folder)


def kept_records(
    parts: Parts, folder: Path, on_progress: OnProgress, reuse: Path | None = None
) -> Iterator[list[Record]]:
    """Yield the records a run keeps, a window at a time."""
    with closing(Pipeline(parts, folder, on_progress=on_progress, reuse=reuse)) as pipeline:
        for kept in pipeline.records():
            yield [record for _, record in kept]


def temporary_folder() -> Path:
    """Return a new folder for a run nobody will continue."""
    return Path(tempfile.mkdtemp(prefix="textsynth-"))
