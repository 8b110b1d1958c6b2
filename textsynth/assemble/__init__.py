"""From a recipe to the parts of a run, and every mistake that can be found before the first token.

``assemble`` collects all problems and raises them together; it loads neither torch nor vllm.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import xxhash

from textsynth import prompts
from textsynth.assemble._asking import build_arms, check_variables, load_prompt, main_prompt, method_setting, trial
from textsynth.assemble._building import build_engine, build_filters, build_judges, named
from textsynth.assemble._content import (
    check_edge_cases,
    choose_decoding,
    drawn_attributes,
    export_form,
    quota_counts,
    record_schema,
    seed_rows,
)
from textsynth.assemble._fitted import (
    Fitted,
    Purpose,
    find_watch,
    load_fitted,
    make_goal,
    make_pool,
    make_steering,
    pick,
    real_rows,
    seed_spec,
)
from textsynth.attributes import Attribute
from textsynth.engines import Engine
from textsynth.errors import Problems
from textsynth.export import Form
from textsynth.filters import Filter
from textsynth.filters import Setting as FilterSetting
from textsynth.goal import Goal
from textsynth.methods import Method
from textsynth.plan import Plan
from textsynth.recipe import Recipe, to_yaml
from textsynth.records import Seed
from textsynth.schema import Decoding, RecordSchema
from textsynth.schema import load as load_schema
from textsynth.seeds import SeedSpec

if TYPE_CHECKING:
    from textsynth.filters.adherence import Adherence

__all__ = ["Parts", "assemble", "build_engine", "named", "pick", "real_rows"]

PROFILE_LAG, STEERED_LAG, FREE_LAG = 2, 8, 256
SHOWING = {"shots", "choose", "match", "max_uses"}
"""What of the seeds' options decides which rows a draw shows; the rows themselves are hashed."""


@dataclass(frozen=True)
class Parts:
    """Everything a run is made of, checked.

    ``judges`` are the engines of filters that ask another model than the run's. ``data`` is the recipe with schema and prompt written out, as the ledger keeps it; ``fingerprint`` is what must not
    change within one run folder.
    """

    recipe: Recipe
    schema: RecordSchema
    decoding: Decoding
    method: Method
    filters: Mapping[str, Filter]
    judges: Mapping[str, Engine]
    plan: Plan
    engine: Engine
    form: Form | None
    prompt: prompts.Prompt
    seeds: tuple[Seed, ...]
    quotas: Mapping[str, Mapping[Any, int]]
    watch: Adherence | None
    goal: Goal | None
    data: Mapping[str, Any]
    fingerprint: Mapping[str, Any]

    @property
    def facts(self) -> dict[str, Any]:
        """What a run folder says of the run, beside its draws."""
        local = self.recipe.engine_name == "vllm"
        return {
            "recipe": to_yaml(self.data),
            "folder": str(self.recipe.folder),
            "findings": [[f.path, f.keyword, f.status, f.note] for f in self.decoding.findings],
            "backend": self.decoding.backend if local else "the server, as far as it obeys",
            "seeds_rows": len(self.seeds),
        }


def assemble(recipe: Recipe, *, dry_run: bool = False, purpose: Purpose = "run") -> Parts:
    """Build the parts of a run from its recipe.

    Args:
        dry_run: use the scripted engine whatever the model is.
        purpose: ``read`` a run that was made: seeds and the data behind a profile are not read again.

    Raises:
        RecipeError: every mistake that was found, each with place, value and rule.
    """
    problems = Problems()
    method = problems.attempt(lambda: named("methods", recipe.method, "method", recipe), "method")
    engine = problems.attempt(lambda: build_engine(recipe, dry_run=dry_run), "engine")
    fitted = problems.attempt(lambda: load_fitted(recipe, purpose), "profile")
    if recipe.profile is not None and fitted is None:
        raise problems.error()
    schema = problems.attempt(lambda: record_schema(recipe, method, fitted), "schema") if method else None
    form = problems.attempt(lambda: export_form(recipe, schema), "export.format") if schema else None
    filters = build_filters(recipe, problems)
    judges = build_judges(recipe, filters, problems, dry_run=dry_run)
    if schema is None or method is None:
        raise problems.error()
    drawn = problems.attempt(lambda: drawn_attributes(recipe, schema, fitted), "attributes")
    joint = fitted.joint if fitted else None
    names = (*(joint.names if joint else ()), *(recipe.attributes if drawn is None else drawn))
    known = (*names, *(joint.derived if joint else ()))
    spec = seed_spec(recipe, fitted) if purpose == "run" else None
    rows = problems.attempt(lambda: seed_rows(recipe, spec, schema, names, method, fitted), "seeds") or []
    problems.attempt(lambda: check_edge_cases(recipe, schema), "edge_cases")
    quotas = problems.attempt(lambda: quota_counts(recipe, schema), "quotas") or {}
    partial_fields = joint.partial if joint else frozenset()
    whole = [name for name in names if name not in partial_fields]
    decoding = problems.attempt(lambda: choose_decoding(recipe, schema, whole, method), "schema")
    prompt = problems.attempt(lambda: main_prompt(recipe, method), "prompt")
    arms = (problems.attempt(lambda: build_arms(recipe, prompt), "steer.arms") if prompt else None) or {}
    problems.attempt(lambda: check_variables(recipe, [a.prompt for a in arms.values()], known, method), "prompt")
    if problems.found or not (decoding and prompt and engine) or drawn is None:
        raise problems.error()
    for_method = method_setting(recipe, schema, decoding, arms, names, partial_fields)
    problems.attempt(lambda: method.prepare(for_method), "method")
    text_fields = tuple(name for name in schema.text_fields if name not in names)
    for name, item in filters.items():
        setting = FilterSetting(
            schema, rows, text_fields, recipe.seed, recipe.folder, fitted.profile if fitted else None
        )
        prepare = partial(item.prepare, setting)
        problems.attempt(prepare, f"filters.{name}")
    problems.attempt(lambda: trial(recipe, make_plan(recipe, drawn, rows, spec, quotas, fitted), method), "prompt")
    if problems.found:
        raise problems.error()
    plan = make_plan(recipe, drawn, rows, spec, quotas, fitted)
    return Parts(
        recipe=recipe,
        schema=schema,
        decoding=decoding,
        method=method,
        filters=filters,
        judges=judges,
        plan=plan,
        engine=engine,
        form=form,
        prompt=prompt,
        seeds=tuple(rows),
        quotas=quotas,
        watch=find_watch(filters),
        goal=make_goal(recipe, fitted, plan.steering, filters) if purpose == "run" else None,
        data=written_out(recipe, prompt),
        fingerprint=fingerprint(recipe, schema, prompt, method, rows),
    )


def make_plan(
    recipe: Recipe,
    drawn: Mapping[str, Attribute],
    rows: Sequence[Seed],
    spec: SeedSpec | None,
    quotas: Mapping[str, Mapping[Any, int]],
    fitted: Fitted | None,
) -> Plan:
    """Build a plan that has planned nothing yet."""
    steered = PROFILE_LAG if fitted and recipe.steer else STEERED_LAG if quotas else FREE_LAG
    steering = make_steering(recipe, quotas, fitted, recipe.windows.lag or steered)
    joint = fitted.joint if fitted else None
    names = (*(joint.names if joint else ()), *drawn)
    pool = make_pool(recipe, spec, rows, names, fitted)
    return Plan(seed=recipe.seed, attributes=drawn, seeds=pool, steering=steering, joint=joint)


def written_out(recipe: Recipe, prompt: prompts.Prompt) -> dict[str, Any]:
    """Return the recipe as data that needs no schema or prompt file; a class of the user's stays named."""
    data = recipe.as_data() | {"prompt": prompt.dump()}
    if recipe.record_schema is not None and not (
        isinstance(recipe.record_schema, Mapping) and "python" in recipe.record_schema
    ):
        data["schema"] = load_schema(recipe.record_schema, folder=recipe.folder).document
    return data


def fingerprint(
    recipe: Recipe, schema: RecordSchema, prompt: prompts.Prompt, method: Method, rows: Sequence[Seed]
) -> dict[str, Any]:
    """Return what the data depends on, as plain data: a run folder takes only draws of one fingerprint."""
    data = recipe.as_data()
    for harmless in ("records", "limits", "export", "license", "language", "name", "engine", "edge_cases"):
        data.pop(harmless, None)
    roles = {text: load_prompt(recipe, text).sha256 for text in method.templates()}
    shown = {key: value for key, value in data.get("seeds", {}).items() if key in SHOWING}
    columns = [attribute.content() for attribute in recipe.attributes.values()]
    seed_rows = json.dumps([seed.row for seed in rows], ensure_ascii=False, default=str)
    return data | {
        "schema": json.loads(json.dumps(schema.document)),
        "prompt": {"name": prompt.name, **prompt.texts(), **roles},
        "seeds": shown | {"rows": len(rows), "hash": xxhash.xxh3_64_hexdigest(seed_rows.encode())},
        "columns": xxhash.xxh3_64_hexdigest(json.dumps(columns, default=str).encode()),
        "adapter": recipe.engine.get("lora", ""),
    }
