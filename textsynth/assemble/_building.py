"""The engine and the filters that a recipe names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from typing import Any

from textsynth import registry
from textsynth.engines import Engine
from textsynth.engines.workers import Workers
from textsynth.errors import Problems
from textsynth.filters import Filter
from textsynth.methods import Method
from textsynth.recipe import Named, Recipe


def named(package: str, part: Named, place: str, recipe: Recipe) -> Any:
    """Build the class that the recipe names in one of the four places to extend."""
    cls = registry.load(package, part.name, place=place, folder=recipe.folder)
    return registry.build(cls, part.options, place=f"{place}.{part.name}")


def build_engine(recipe: Recipe, *, dry_run: bool) -> Engine:
    """Build the engine the model needs; options that are not ours go into its ``options``, if it has some."""
    name = "scripted" if dry_run else recipe.engine_name
    cls = registry.load("engines", name, place="engine.kind", folder=recipe.folder)
    options = {key: value for key, value in recipe.engine.items() if key != "kind"}
    own = {f.name for f in fields(cls)}
    if dry_run:
        options = {}
    if "options" in own:
        passed = {key: options.pop(key) for key in list(options) if key not in own}
        options["options"] = passed
    found: Engine = registry.build(cls, {"model": recipe.model, **options}, place="engine")
    return found


WATCH = "adherence"
"""The filter that every run with a profile has."""


def build_filters(recipe: Recipe, problems: Problems) -> dict[str, Filter]:
    """Build the filters by name, the schema's always first."""
    built: dict[str, Filter] = {}
    watching = recipe.profile is not None and all(part.name != WATCH for part in recipe.filters)
    for position, part in enumerate((Named(name="schema"), *recipe.filters, *[Named(name=WATCH)] * watching)):
        place = f"filters[{position - 1}]"
        if part.name in built:
            problems.found.append(f"{place}: {part.name} stands twice")
            continue
        made = problems.attempt(partial(named, "filters", part, place, recipe), place)
        if made is not None:
            built[part.name] = made
    return built


def build_others(
    recipe: Recipe, filters: Mapping[str, Filter], method: Method, problems: Problems, *, dry_run: bool
) -> dict[str, Engine]:
    """Build what answers requests beside the run's own engine, by the name in ``Request.model``: other models, and workers."""
    asked = {item.asked_model: f"filters.{name}.model" for name, item in filters.items() if item.asked_model}
    asked = dict.fromkeys(method.models(), "method: model") | asked
    found: dict[str, Engine] = {name: Workers({name: work}) for name, work in method.workers().items()}
    for model, place in asked.items():
        other = recipe.model_copy(update={"model": model, "engine": {}})
        made = problems.attempt(partial(build_engine, other, dry_run=dry_run), place)
        if made is not None and other.engine_name == "vllm" and not dry_run:
            problems.found.append(
                f"{place}: {model!r} would be a second model in this process: serve it and give its URL "
                "(http://host:port/v1), or leave model out to ask the run's own"
            )
        elif made is not None:
            found[model] = made
    return found
