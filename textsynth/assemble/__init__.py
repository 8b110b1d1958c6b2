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

from textsynth.assemble._asking import load_prompt, trial
from textsynth.assemble._building import build_engine, build_filters, build_others, named
from textsynth.assemble._content import (
    check_edge_cases,
    choose_decoding,
    drawn_attributes,
    export_form,
    quota_counts,
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
from textsynth.assemble._steps import (
    Step,
    build_steps,
    check_templates,
    prepare_methods,
    run_method,
    whole_schema,
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
from textsynth.topics import FIELD

if TYPE_CHECKING:
    from textsynth.filters.adherence import Adherence

__all__ = ["Parts", "assemble", "build_engine", "named", "pick", "real_rows"]

PROFILE_LAG, STEERED_LAG, FREE_LAG = 2, 8, 256
SHOWING = {"shots", "choose", "match", "max_uses", "grown"}
"""What of the seeds' options decides which rows a draw shows; the rows themselves are hashed."""


@dataclass(frozen=True)
class Parts:
    """Everything a run is made of, checked.

    ``others`` are the engines beside the run's own, by the name in ``Request.model``. ``data`` is the recipe with schemas and
    prompts written out, as the ledger keeps it; ``fingerprint`` is what must not change within one run folder.
    """

    recipe: Recipe
    schema: RecordSchema
    decoding: Decoding
    method: Method
    filters: Mapping[str, Filter]
    others: Mapping[str, Engine]
    plan: Plan
    engine: Engine
    form: Form | None
    steps: tuple[Step, ...]
    seeds: tuple[Seed, ...]
    quotas: Mapping[str, Mapping[Any, int]]
    watch: Adherence | None
    goal: Goal | None
    data: Mapping[str, Any]
    fingerprint: Mapping[str, Any]

    @property
    def speaker(self) -> str:
        """What answers requests of the run's own model: the model and its adapter."""
        return f"{self.recipe.model} {self.recipe.engine.get('lora', '')}"

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
    engine = problems.attempt(lambda: build_engine(recipe, dry_run=dry_run), "engine")
    fitted = problems.attempt(lambda: load_fitted(recipe, purpose), "profile")
    if recipe.profile is not None and fitted is None:
        raise problems.error()
    steps = build_steps(recipe, fitted, problems)
    filters = build_filters(recipe, problems)
    if len(steps) < len(recipe.chain):
        raise problems.error()
    schema = problems.attempt(lambda: whole_schema(recipe, steps), "steps")
    if schema is None:
        raise problems.error()
    form = problems.attempt(lambda: export_form(recipe, schema), "export.format")
    owned = {name for step in steps for name in step.method.own_fields}
    drawn = problems.attempt(lambda: drawn_attributes(recipe, schema, fitted, owned), "attributes")
    joint = fitted.joint if fitted else None
    names = (*(joint.names if joint else ()), *(recipe.attributes if drawn is None else drawn))
    names = (*names, *([FIELD] if recipe.topics else []))
    known = (*names, *(joint.derived if joint else ()))
    spec = seed_spec(recipe, fitted) if purpose == "run" else None
    rows = problems.attempt(lambda: seed_rows(recipe, spec, names, steps, fitted), "seeds") or []
    problems.attempt(lambda: check_edge_cases(recipe, schema), "edge_cases")
    quotas = problems.attempt(lambda: quota_counts(recipe, schema), "quotas") or {}
    partial_fields = joint.partial if joint else frozenset()
    whole = [name for name in names if name not in partial_fields]
    decoding = problems.attempt(lambda: choose_decoding(recipe, schema, whole, steps), "schema")
    check_templates(recipe, steps, known, problems)
    if problems.found or not (decoding and engine) or drawn is None:
        raise problems.error()
    prepare_methods(recipe, steps, decoding, names, partial_fields, rows if purpose == "run" else None, problems)
    carried = {name for step in steps for name in step.method.carried_fields()}
    text_fields = tuple(name for name in schema.text_fields if name not in names and name not in carried)
    for name, item in filters.items():
        setting = FilterSetting(
            schema, rows, text_fields, recipe.seed, recipe.folder, fitted.profile if fitted else None
        )
        prepare = partial(item.prepare, setting)
        problems.attempt(prepare, f"filters.{name}")
    if problems.found:
        raise problems.error()
    method = run_method(steps, schema)
    others = build_others(recipe, filters, method, problems, dry_run=dry_run)
    steered = {name: counts for name, counts in quotas.items() if name not in owned}
    arms = list(steps[0].arms)
    problems.attempt(
        lambda: trial(recipe, make_plan(recipe, drawn, rows, spec, steered, fitted), method, arms), "prompt"
    )
    if problems.found:
        raise problems.error()
    plan = make_plan(recipe, drawn, rows, spec, steered, fitted)
    return Parts(
        recipe=recipe,
        schema=schema,
        decoding=decoding,
        method=method,
        filters=filters,
        others=others,
        plan=plan,
        engine=engine,
        form=form,
        steps=tuple(steps),
        seeds=tuple(rows),
        quotas=quotas,
        watch=find_watch(filters),
        goal=make_goal(recipe, fitted, plan.steering, filters) if purpose == "run" else None,
        data=written_out(recipe, steps),
        fingerprint=fingerprint(recipe, schema, steps, rows),
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
    grown = spec is not None and spec.grown > 0
    learns = (fitted and recipe.steer) or grown
    steered = PROFILE_LAG if learns else STEERED_LAG if quotas or recipe.topics else FREE_LAG
    steering = make_steering(recipe, quotas, fitted, recipe.windows.lag or steered)
    joint = fitted.joint if fitted else None
    names = (*(joint.names if joint else ()), *drawn)
    pool = make_pool(recipe, spec, rows, names, fitted)
    return Plan(seed=recipe.seed, attributes=drawn, seeds=pool, steering=steering, joint=joint)


def written_out(recipe: Recipe, steps: Sequence[Step]) -> dict[str, Any]:
    """Return the recipe as data that needs no schema or prompt file; a class of the user's stays named."""
    data = recipe.as_data()
    for shown, step in zip(data["steps"] if recipe.steps else [data], steps, strict=True):
        shown["prompt"] = step.prompt.dump()
        given = step.spec.record_schema
        if given is not None and not (isinstance(given, Mapping) and "python" in given):
            shown["schema"] = load_schema(given, folder=recipe.folder).document
    return data


def fingerprint(recipe: Recipe, schema: RecordSchema, steps: Sequence[Step], rows: Sequence[Seed]) -> dict[str, Any]:
    """Return what the data depends on, as plain data: a run folder takes only draws of one fingerprint."""
    data = recipe.as_data()
    for harmless in ("records", "limits", "export", "license", "language", "name", "engine", "edge_cases", "evalset"):
        data.pop(harmless, None)
    shown = {key: value for key, value in data.get("seeds", {}).items() if key in SHOWING}
    columns = [attribute.content() for attribute in recipe.attributes.values()]
    seed_rows = json.dumps([seed.row for seed in rows], ensure_ascii=False, default=str)
    return data | {
        "schema": json.loads(json.dumps(schema.document)),
        "prompt": prompt_texts(recipe, steps[0]),
        **({"prompts": {step.name: prompt_texts(recipe, step) for step in steps}} if recipe.steps else {}),
        "seeds": shown | {"rows": len(rows), "hash": xxhash.xxh3_64_hexdigest(seed_rows.encode())},
        "columns": xxhash.xxh3_64_hexdigest(json.dumps(columns, default=str).encode()),
        "adapter": recipe.engine.get("lora", ""),
    }


def prompt_texts(recipe: Recipe, step: Step) -> dict[str, str]:
    """Return the texts of a step's template, and the hashes of those that its method's options name."""
    roles = {text: load_prompt(recipe, text).sha256 for text in step.method.templates()}
    return {"name": step.prompt.name, **step.prompt.texts(), **roles}
