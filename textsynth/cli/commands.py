"""One function per command; each takes the parsed arguments and returns the exit code."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from textsynth import api, models, prompts, registry
from textsynth import recipe as recipes
from textsynth.cli import DONE, LIMITED, augment, evalset, evaluate, fit, init, methods, mix, related, show, swap, tune
from textsynth.cli import report as report_page
from textsynth.cli.progress import Live
from textsynth.errors import RecipeError, unknown
from textsynth.export import write as write_dataset
from textsynth.recipe import ExportSpec
from textsynth.runs import Run, forecast
from textsynth.validate import Validation


def schema(options: argparse.Namespace) -> int:
    """Print the JSON Schema of recipes."""
    print(recipes.json_schema())
    return DONE


def check(options: argparse.Namespace) -> int:
    """Check a recipe and show what will be enforced, checked and assumed."""
    parts = api.check(options.recipe)
    if options.json:
        findings = [[f.path, f.keyword, f.status, f.note] for f in parts.decoding.findings]
        print(
            json.dumps(
                {"backend": parts.decoding.backend, "findings": findings, "fields": list(parts.schema.properties)}
            )
        )
    else:
        show.checked(parts)
    return DONE


def run(options: argparse.Namespace) -> int:
    """Make or continue a run, export it, sum it up."""
    recipe = recipes.read(options.recipe)
    if options.dry_run and options.folder is None:
        folder = api.temporary_folder()
    else:
        folder = options.folder or Path("runs") / recipe.name
    made, _ = make(recipe, folder, options)
    code = DONE if made.complete else LIMITED
    made.close()
    if options.dry_run and options.folder is None:
        shutil.rmtree(folder, ignore_errors=True)
    return code


def make(recipe: recipes.Recipe, folder: Path, options: argparse.Namespace) -> tuple[Run, list[str]]:
    """Run a recipe with live progress, export and sum up; return the run and where its dataset is."""
    with engine_output(folder) as out, Live(out, as_json=options.json) as live:
        reuse = getattr(options, "reuse", None)
        made = api.run(recipe, folder=folder, on_progress=live.update, dry_run=options.dry_run, reuse=reuse)
    places = []
    if made.accepted and recipe.export is not None and not (getattr(options, "no_export", False) or options.dry_run):
        places = made.export()
    if options.json:
        totals = made.totals
        result = {"kept": totals.kept, "draws": totals.draws, "reasons": totals.reasons, "open": totals.open}
        print(json.dumps({"event": "result", **result, "stopped_by": made.stopped_by, "exported": places}), flush=True)
    else:
        show.summary(made, places)
        show.tokens(made)
        if getattr(options, "profile", False):
            show.profile(made.ledger.fact("filters", {}))
    return made, places


def demo(options: argparse.Namespace) -> int:
    """Make the two shipped examples, load what was written back with ``datasets`` and show it."""
    from datasets import disable_progress_bars, load_dataset

    disable_progress_bars()
    folder = Path(__file__).parent.parent / "demo"
    for name in ("queries", "dialogues"):
        recipe = recipes.read(folder / f"{name}.yaml")
        target = Path("out") / recipe.name
        spec = recipe.export and recipe.export.model_copy(update={"folder": str(target.resolve())})
        made, places = make(recipe.model_copy(update={"export": spec}), Path("runs") / recipe.name, options)
        if not made.complete:
            return LIMITED
        if places and not options.json:
            show.loaded(load_dataset(places[0]), places[0])
    return DONE


def preview(options: argparse.Namespace) -> int:
    """Make a few records, show them, forecast the whole run."""
    recipe = recipes.read(options.recipe)
    with engine_output(None) as out, Live(out, as_json=options.json) as live:
        made = api.preview(recipe, records=options.records, on_progress=live.update, dry_run=options.dry_run)
    scaled = forecast(made, recipe.records)
    if options.json:
        facts = {name: getattr(scaled, name) for name in scaled.__dataclass_fields__}
        print(json.dumps({"event": "result", "records": list(made.records()), "forecast": facts}), flush=True)
    else:
        show.records(made, options.records)
        show.summary(made, [], title="Preview")
        show.forecast(scaled, made)
    code = DONE if made.complete else LIMITED
    made.close()
    shutil.rmtree(made.folder, ignore_errors=True)
    return code


def why(options: argparse.Namespace) -> int:
    """Explain one draw."""
    opened = api.load_run(options.run)
    show.explanation(opened, opened.why(options.index))
    return DONE


def show_run(options: argparse.Namespace) -> int:
    """Sum up a run and show some of its records."""
    opened = api.load_run(options.run)
    show.records(opened, options.records)
    show.summary(opened, [])
    return DONE


def export(options: argparse.Namespace) -> int:
    """Export a run, in the recipe's form or another one."""
    opened = api.load_run(options.run)
    given = opened.recipe.export or ExportSpec()
    changed: dict[str, object] = {"hub": options.hub or given.hub}
    if options.format:
        changed["form"] = recipes.Named(name=options.format)
    if options.files:
        changed["files"] = options.files
    if options.tokens or options.most:
        asked = {"model": options.tokens, "most": options.most}
        tokens = given.tokens or recipes.TokenSpec()
        changed["tokens"] = tokens.model_copy(update={name: value for name, value in asked.items() if value})
    places = opened.export(given.model_copy(update=changed), folder=options.to)
    show.exported(places)
    show.tokens(opened)
    return DONE


def show_prompts(options: argparse.Namespace) -> int:
    """List the library or show one template."""
    library = prompts.library()
    if options.name is None:
        show.library(library)
    elif options.name in library:
        show.prompt(library[options.name])
    else:
        raise RecipeError([unknown("prompts", options.name, library)])
    return DONE


def show_filters(options: argparse.Namespace) -> int:
    """List the filters or show one."""
    if options.name is None:
        show.filters({name: registry.load("filters", name, place="filters") for name in registry.names("filters")})
    else:
        show.filter_options(options.name, registry.load("filters", options.name, place="filters"))
    return DONE


def show_models(options: argparse.Namespace) -> int:
    """List the models on this machine, or fetch one."""
    if options.fetch is None:
        show.models(models.listing())
        return DONE
    if wrong := models.problem(options.fetch):
        raise RecipeError([f"models: {wrong}"])
    found = models.fetch(options.fetch, say=show.note)
    show.note(f"{found.name}: {found.location} ({found.source})")
    return DONE


def diff(options: argparse.Namespace) -> int:
    """Compare two runs."""
    show.difference(api.load_run(options.run), api.load_run(options.other))
    return DONE


@contextlib.contextmanager
def engine_output(folder: Path | None) -> Iterator[TextIO]:
    """Send what the engine's libraries write to a log in the run folder; yield the real standard output for us.

    vLLM and its native parts write to the process's own descriptors, over any display.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    real = [os.dup(1), os.dup(2)]
    log = open_log(folder)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    out = os.fdopen(os.dup(real[0]), "w", buffering=1)
    try:
        yield out
    finally:
        out.close()
        sys.stdout.flush()
        sys.stderr.flush()
        for target, saved in zip((1, 2), real, strict=True):
            os.dup2(saved, target)
            os.close(saved)


def open_log(folder: Path | None) -> int:
    """Open ``engine.log`` in the run folder for appending; where that cannot be, nothing is kept."""
    with contextlib.suppress(OSError):
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            return os.open(folder / "engine.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    return os.open(os.devnull, os.O_WRONLY)


def validate(options: argparse.Namespace) -> int:
    """Judge an existing dataset and show what was dropped, why, with examples."""
    with engine_output(None) as out, Live(out, as_json=options.json) as live:
        found = api.validate(
            options.data,
            filters=read_filters(options.filters),
            fields=options.fields.split(",") if options.fields else None,
            schema=options.schema,
            seeds=options.seeds,
            model=options.model,
            split=options.split,
            limit=options.limit,
            on_progress=live.update,
        )
    if options.to is not None:
        write_validation(found, options.to)
    if options.json:
        result = {"rows": found.rows, "kept": found.kept.num_rows, "reasons": found.reasons, "filters": found.filters}
        print(json.dumps({"event": "result", **result, "seconds": found.seconds}), flush=True)
    else:
        show.validation(found, options.examples)
        if options.profile:
            show.profile(found.filters)
    return DONE


def read_filters(text: str | None) -> list[Any]:
    """Read the list of filters on a command line, written as in a recipe but for the outer brackets."""
    import yaml

    if text is None:
        return list(recipes.DEFAULT_FILTERS)
    try:
        found: list[Any] = yaml.load(f"[{text}]", Loader=recipes.StrictLoader)
    except yaml.YAMLError as error:
        raise RecipeError(
            [f"--filters: {text!r} is no list of filters: {error}"],
            hint='write it as in a recipe: --filters "duplicate, {near_duplicate: {threshold: .7}}"',
        ) from None
    return found


def write_validation(found: Validation, folder: Path) -> None:
    """Write what was kept and what was dropped as datasets of their own."""
    from datasets import DatasetDict

    for name, part in (("kept", found.kept), ("dropped", found.dropped)):
        if part.num_rows:
            card = f"# {name}\n\n{part.num_rows:,} of {found.rows:,} rows, judged by {', '.join(found.filters)}.\n"
            place = write_dataset(DatasetDict({"train": part}), folder / name, "parquet", card)
            show.note(f"{name}: {place}")


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "init": init.command,
    "methods": methods.command,
    "check": check,
    "preview": preview,
    "run": run,
    "why": why,
    "show": show_run,
    "export": export,
    "filters": show_filters,
    "prompts": show_prompts,
    "models": show_models,
    "diff": diff,
    "demo": demo,
    "schema": schema,
    "validate": validate,
    "fit": fit.command,
    "sample": fit.command,
    "evaluate": evaluate.command,
    "augment": augment.command,
    "evalset": evalset.command,
    "mix": mix.command,
    "tune": tune.command,
    "related": related.command,
    "report": report_page.command,
    "swap": swap.command,
}
