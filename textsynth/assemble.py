"""From a recipe to the parts of a run, and every mistake that can be found before the first token.

``assemble`` collects all problems and raises them together; it loads neither torch nor vllm.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import xxhash

from textsynth import attributes, prompts, registry, seeds
from textsynth.attributes import Attribute, Choice
from textsynth.engines import Engine
from textsynth.errors import Problems, RecipeError, SchemaError, unknown
from textsynth.export import Form
from textsynth.filters import Filter
from textsynth.filters import Setting as FilterSetting
from textsynth.methods import STANDARD_VARIABLES, Method
from textsynth.methods import Setting as MethodSetting
from textsynth.plan import Plan
from textsynth.recipe import Named, Recipe, to_yaml
from textsynth.records import Seed
from textsynth.schema import Decoding, RecordSchema, constrain
from textsynth.schema import load as load_schema
from textsynth.seeds import SeedPool
from textsynth.steer import Steering, largest_remainder

STEERED_LAG, FREE_LAG = 8, 256
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


def assemble(recipe: Recipe, *, dry_run: bool = False) -> Parts:
    """Build the parts of a run from its recipe.

    Args:
        dry_run: use the scripted engine whatever the model is.

    Raises:
        RecipeError: every mistake that was found, each with place, value and rule.
    """
    problems = Problems()
    method = problems.attempt(lambda: named("methods", recipe.method, "method", recipe), "method")
    engine = problems.attempt(lambda: build_engine(recipe, dry_run=dry_run), "engine")
    schema = problems.attempt(lambda: record_schema(recipe, method), "schema") if method else None
    form = problems.attempt(lambda: export_form(recipe, schema), "export.format") if schema else None
    filters = build_filters(recipe, problems)
    judges = build_judges(recipe, filters, problems, dry_run=dry_run)
    if schema is None or method is None:
        raise problems.error()
    drawn = problems.attempt(lambda: drawn_attributes(recipe, schema), "attributes")
    names = tuple(drawn or recipe.attributes)
    rows = problems.attempt(lambda: seed_rows(recipe, schema, names, method), "seeds") or []
    quotas = problems.attempt(lambda: quota_counts(recipe, schema), "quotas") or {}
    decoding = problems.attempt(lambda: choose_decoding(recipe, schema, names), "schema")
    prompt = problems.attempt(lambda: main_prompt(recipe, method), "prompt")
    problems.attempt(lambda: check_variables(recipe, prompt, names, method), "prompt")
    if problems.found or not (decoding and prompt and engine) or drawn is None:
        raise problems.error()
    for_method = method_setting(recipe, schema, decoding, prompt, names)
    problems.attempt(lambda: method.prepare(for_method), "method")
    text_fields = tuple(name for name in schema.text_fields if name not in names)
    for name, item in filters.items():
        setting = FilterSetting(schema, rows, text_fields, recipe.seed, recipe.folder)
        prepare = partial(item.prepare, setting)
        problems.attempt(prepare, f"filters.{name}")
    problems.attempt(lambda: trial(recipe, make_plan(recipe, drawn, rows, quotas), method), "prompt")
    if problems.found:
        raise problems.error()
    return Parts(
        recipe=recipe,
        schema=schema,
        decoding=decoding,
        method=method,
        filters=filters,
        judges=judges,
        plan=make_plan(recipe, drawn, rows, quotas),
        engine=engine,
        form=form,
        prompt=prompt,
        seeds=tuple(rows),
        quotas=quotas,
        data=written_out(recipe, prompt),
        fingerprint=fingerprint(recipe, schema, prompt, method, rows),
    )


def make_plan(
    recipe: Recipe, drawn: Mapping[str, Attribute], rows: Sequence[Seed], quotas: Mapping[str, Mapping[Any, int]]
) -> Plan:
    """Build a plan that has planned nothing yet."""
    lag = recipe.windows.lag or (STEERED_LAG if quotas else FREE_LAG)
    steering = Steering(records=recipe.records, quotas=quotas, size=recipe.windows.size, lag=lag)
    pool = SeedPool(rows, recipe.seeds, tuple(drawn)) if recipe.seeds else None
    return Plan(seed=recipe.seed, attributes=drawn, seeds=pool, steering=steering)


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


def record_schema(recipe: Recipe, method: Method) -> RecordSchema:
    """Load the recipe's schema and let the method complete it."""
    given = None
    if recipe.record_schema is not None:
        given = load_schema(recipe.record_schema, folder=recipe.folder)
        if given.document.get("type") != "object" and not given.properties:
            raise SchemaError("schema: a record must be an object with properties", hint="wrap it: {value: ...}")
    return method.record_schema(given)


def export_form(recipe: Recipe, schema: RecordSchema) -> Form | None:
    """Build the form the dataset is exported in, and check that the schema has what it needs."""
    if recipe.export is None:
        return None
    found: Form = named("export", recipe.export.form, "export.format", recipe)
    found.check(schema)
    return found


def written_out(recipe: Recipe, prompt: prompts.Prompt) -> dict[str, Any]:
    """Return the recipe as data that needs no schema or prompt file; a class of the user's stays named."""
    data = recipe.as_data() | {"prompt": prompt.dump()}
    if recipe.record_schema is not None and not (
        isinstance(recipe.record_schema, Mapping) and "python" in recipe.record_schema
    ):
        data["schema"] = load_schema(recipe.record_schema, folder=recipe.folder).document
    return data


def drawn_attributes(recipe: Recipe, schema: RecordSchema) -> dict[str, Attribute]:
    """Return the attributes in order, those that quotas add included, checked among themselves and with the schema."""
    only_quota = {
        name: Choice(choices=tuple(q)) for name, q in recipe.quotas.items() if q and name not in recipe.attributes
    }
    drawn = {**only_quota, **recipe.attributes}
    found: list[str] = []
    for name, attribute in drawn.items():
        try:
            attribute.resolve(recipe.folder, f"attributes.{name}")
        except RecipeError as error:
            found += error.problems
        except ValueError as error:
            found.append(str(error))
    found += attributes.problems(drawn)
    if found:
        raise RecipeError(found)
    for name, attribute in drawn.items():
        if name in schema.properties:
            place = f"attributes.{name}" if name in recipe.attributes else f"quotas.{name}"
            found += contradictions(name, attribute, schema, place)
    if found:
        raise RecipeError(found)
    return drawn


def contradictions(name: str, attribute: Attribute, schema: RecordSchema, place: str) -> list[str]:
    """Return the values of an attribute that its field does not allow (the first few)."""
    wrong = []
    for value in attribute.values():
        for problem in schema.field_problems(name, value):
            wrong.append(f"{place}: {value!r} contradicts the schema: {problem.message}")
    return wrong[:5] + ([f"{place}: and {len(wrong) - 5} more values"] if len(wrong) > 5 else [])


def quota_counts(recipe: Recipe, schema: RecordSchema) -> dict[str, dict[Any, int]]:
    """Return the exact number of records wanted per value: shares are rounded, counts must add up."""
    found: list[str] = []
    counts = {}
    for name, shares in recipe.quotas.items():
        place = f"quotas.{name}"
        attribute = recipe.attributes.get(name)
        if name not in schema.properties:
            found.append(unknown(place, name, schema.properties) + " (quotas are over fields of the record)")
        elif attribute is not None and not isinstance(attribute, Choice):
            found.append(f"{place}: the attribute {name!r} must be a list or weights to have a quota")
        elif attribute is not None and (stray := set(map(repr, shares)) ^ set(map(repr, attribute.values()))):
            found.append(
                f"{place}: quota and attribute must name the same values; only in one of them: {sorted(stray)}"
            )
        elif not shares or any(s < 0 for s in shares.values()):
            found.append(f"{place}: shares must be 0 or more, got {shares}")
        elif abs(sum(shares.values()) - 1) < 1e-6:
            counts[name] = largest_remainder(shares, recipe.records)
        elif sum(shares.values()) == recipe.records and all(float(s).is_integer() for s in shares.values()):
            counts[name] = {value: int(share) for value, share in shares.items()}
        else:
            total = sum(shares.values())
            found.append(f"{place}: shares must add up to 1, or counts to records ({recipe.records}); got {total:g}")
    if found:
        raise RecipeError(found)
    return counts


def choose_decoding(recipe: Recipe, schema: RecordSchema, drawn: tuple[str, ...]) -> Decoding:
    """Lint the schema, choose the backend and refuse what cannot be generated."""
    written = [name for name in drawn if name in schema.properties]
    if recipe.method.name == "dialogue":
        written.append("messages")
    return constrain(schema, max_tokens=recipe.sampling.max_tokens, backend=recipe.backend, omit=written)


def seed_rows(recipe: Recipe, schema: RecordSchema, names: Sequence[str], method: Method) -> list[Seed]:
    """Read the seeds, checked against the schema and against what is asked of them."""
    if recipe.seeds is None:
        return []
    rows = seeds.load(recipe.seeds, schema, names, recipe.folder, whole=method.seeds_are_records)
    if wrong := seeds.check(recipe.seeds, rows, recipe.records):
        raise RecipeError(wrong)
    return rows


def main_prompt(recipe: Recipe, method: Method) -> prompts.Prompt:
    """Load the recipe's template, or the one that suits it when it names none."""
    suits = method.default_prompt
    if recipe.seeds is not None and recipe.seeds.shots and suits == "records/from_schema":
        suits = "records/from_examples"
    return prompts.load(recipe.prompt or suits, folder=recipe.folder)


def build_filters(recipe: Recipe, problems: Problems) -> dict[str, Filter]:
    """Build the filters by name, the schema's always first."""
    built: dict[str, Filter] = {}
    for position, part in enumerate((Named(name="schema"), *recipe.filters)):
        place = f"filters[{position - 1}]"
        if part.name in built:
            problems.found.append(f"{place}: {part.name} stands twice")
            continue
        made = problems.attempt(partial(named, "filters", part, place, recipe), place)
        if made is not None:
            built[part.name] = made
    return built


def build_judges(
    recipe: Recipe, filters: Mapping[str, Filter], problems: Problems, *, dry_run: bool
) -> dict[str, Engine]:
    """Build the engines of filters that ask a model of their own."""
    found: dict[str, Engine] = {}
    for name, item in filters.items():
        if item.asked_model:
            place = f"filters.{name}.model"
            other = recipe.model_copy(update={"model": item.asked_model, "engine": {}})
            made = problems.attempt(partial(build_engine, other, dry_run=dry_run), place)
            if made is not None and other.engine_name == "vllm" and not dry_run:
                problems.found.append(
                    f"{place}: {item.asked_model!r} would be a second model in this process: serve it and give its URL "
                    "(http://host:port/v1), or leave model out to ask the run's own"
                )
            elif made is not None:
                found[name] = made
    return found


def method_setting(
    recipe: Recipe, schema: RecordSchema, decoding: Decoding, prompt: prompts.Prompt, names: tuple[str, ...]
) -> MethodSetting:
    """Build what the method may know, with the decoding schemas computed once per set of fields."""
    texts: dict[frozenset[str], str] = {}

    def decoding_text(wanted: frozenset[str]) -> str:
        if wanted not in texts:
            omit = [name for name in schema.properties if name not in wanted]
            limited = constrain(schema, max_tokens=recipe.sampling.max_tokens, backend=decoding.backend, omit=omit)
            texts[wanted] = limited.text()
        return texts[wanted]

    return MethodSetting(
        schema=schema,
        decoding=decoding_text,
        attributes=names,
        prompt=prompt,
        variables=recipe.variables,
        sampling=recipe.sampling.sampling(in_process=recipe.engine_name == "vllm"),
        repairs=recipe.repairs,
        load_prompt=lambda text: load_prompt(recipe, text),
    )


def load_prompt(recipe: Recipe, text: str) -> prompts.Prompt:
    """Load a template that a method's options name."""
    return prompts.load(text, folder=recipe.folder, place="method")


def check_variables(recipe: Recipe, prompt: prompts.Prompt | None, names: Sequence[str], method: Method) -> None:
    """Refuse variables that a template uses and nothing gives: all of them, in one message per template."""
    standard = {**STANDARD_VARIABLES, **method.variables()}
    wrong = [
        f"{name}: templates know {name!r} as {standard[name]}; give the attribute or variable another name"
        for name in dict.fromkeys([*recipe.variables, *names])
        if name in standard
    ]
    known = {*standard, *recipe.variables, *names}
    used = [*([prompt] if prompt else []), *(load_prompt(recipe, text) for text in method.templates())]
    wrong += [
        f"prompt {item.name}: undefined variables: {', '.join(lost)}; defined: {', '.join(sorted(known))}"
        for item in used
        if (lost := item.undefined(known))
    ]
    if wrong:
        raise RecipeError(wrong)


def trial(recipe: Recipe, plan: Plan, method: Method) -> None:
    """Make the first request without sending it: templates that fail on real values are found here."""
    next(method.run(plan.draw(0, 0, {name: next(iter(shares)) for name, shares in recipe.quotas.items()})), None)


def fingerprint(
    recipe: Recipe, schema: RecordSchema, prompt: prompts.Prompt, method: Method, rows: Sequence[Seed]
) -> dict[str, Any]:
    """Return what the data depends on, as plain data: a run folder takes only draws of one fingerprint."""
    data = recipe.as_data()
    for harmless in ("records", "limits", "export", "license", "language", "name", "engine"):
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
