"""From a recipe to the parts of a run, and every mistake that can be found before the first token.

``assemble`` collects all problems and raises them together; it loads neither torch nor vllm.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from textsynth import attributes, prompts, registry, seeds
from textsynth.attributes import Attribute, Choice
from textsynth.engines import Engine
from textsynth.errors import RecipeError, SchemaError, TextsynthError, unknown
from textsynth.export import Form
from textsynth.filters import Filter
from textsynth.filters import Setting as FilterSetting
from textsynth.methods import STANDARD_VARIABLES, Method
from textsynth.methods import Setting as MethodSetting
from textsynth.plan import Plan
from textsynth.recipe import Named, Recipe
from textsynth.records import Seed
from textsynth.schema import Decoding, RecordSchema, constrain
from textsynth.schema import load as load_schema
from textsynth.seeds import SeedPool
from textsynth.steer import Steering, largest_remainder

T = TypeVar("T")
STEERED_LAG, FREE_LAG = 8, 256


@dataclass(frozen=True)
class Parts:
    """Everything a run is made of, checked.

    ``data`` is the recipe with schema and prompt written out, as the ledger keeps it; ``fingerprint`` is what must not
    change within one run folder.
    """

    recipe: Recipe
    schema: RecordSchema
    decoding: Decoding
    method: Method
    filters: Mapping[str, Filter]
    plan: Plan
    engine: Engine
    form: Form | None
    prompt: prompts.Prompt
    seeds: tuple[Seed, ...]
    quotas: Mapping[str, Mapping[Any, int]]
    data: Mapping[str, Any]
    fingerprint: Mapping[str, Any]


class Problems:
    """Collects what is wrong instead of stopping at the first thing."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.hints: list[str] = []

    def attempt(self, make: Callable[[], T], place: str) -> T | None:
        """Return what ``make`` returns; note its error and return ``None`` if it fails."""
        try:
            return make()
        except RecipeError as error:
            self.found += error.problems
            self.hints += [error.hint] if error.hint else []
        except TextsynthError as error:
            self.found.append(error.message if error.message.startswith(place) else f"{place}: {error.message}")
            self.hints += [error.hint] if error.hint else []
        except ValueError as error:
            self.found.append(f"{place}: {error}")
        return None

    def stop(self) -> None:
        """Raise everything found so far, if anything was."""
        if self.found:
            raise RecipeError(self.found, hint="; ".join(dict.fromkeys(self.hints)))


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
    form = problems.attempt(lambda: export_form(recipe), "export.format")
    if schema is None or method is None:
        problems.stop()
    assert schema is not None and method is not None
    drawn = problems.attempt(lambda: drawn_attributes(recipe, schema), "attributes")
    names = tuple(drawn or recipe.attributes)
    rows: list[Seed] = []
    if recipe.seeds is not None:
        spec = recipe.seeds
        rows = (
            problems.attempt(
                lambda: seeds.load(spec, schema, names, recipe.folder, whole=method.seeds_are_records), "seeds"
            )
            or []
        )
        problems.found += seeds.check(spec, rows, recipe.records) if rows else []
    quotas = problems.attempt(lambda: quota_counts(recipe, schema), "quotas") or {}
    decoding = problems.attempt(lambda: choose_decoding(recipe, schema, names), "schema")
    prompt = problems.attempt(
        lambda: prompts.load(recipe.prompt or default_prompt(recipe, method), folder=recipe.folder), "prompt"
    )
    filters = build_filters(recipe, problems)
    if form is not None:
        problems.attempt(lambda: form.check(schema), "export.format")
    problems.stop()
    assert decoding and prompt and engine and drawn is not None
    setting = method_setting(recipe, schema, decoding, prompt, names)
    problems.found += undefined_variables(recipe, setting, method)
    problems.attempt(lambda: method.prepare(setting), "method")
    text_fields = tuple(name for name in schema.text_fields if name not in names)
    filter_setting = FilterSetting(schema, rows, text_fields)
    for place, item in filters.items():
        problems.attempt(lambda item=item: item.prepare(filter_setting), f"filters.{place}")  # type: ignore[misc]
    problems.stop()
    lag = recipe.windows.lag or (STEERED_LAG if quotas else FREE_LAG)
    steering = Steering(records=recipe.records, quotas=quotas, size=recipe.windows.size, lag=lag)
    pool = SeedPool(rows, recipe.seeds, names) if recipe.seeds else None
    plan = Plan(seed=recipe.seed, attributes=drawn, seeds=pool, steering=steering)
    trial(recipe, plan, method, problems)
    fresh = SeedPool(rows, recipe.seeds, names) if recipe.seeds else None
    plan = Plan(seed=recipe.seed, attributes=drawn, seeds=fresh, steering=steering)
    return Parts(
        recipe=recipe,
        schema=schema,
        decoding=decoding,
        method=method,
        filters=filters,
        plan=plan,
        engine=engine,
        form=form,
        prompt=prompt,
        seeds=tuple(rows),
        quotas=quotas,
        data=written_out(recipe, prompt),
        fingerprint=fingerprint(recipe, schema, prompt, setting, method, rows),
    )


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


def export_form(recipe: Recipe) -> Form | None:
    """Build the form the dataset is exported in."""
    if recipe.export is None:
        return None
    found: Form = named("export", recipe.export.form, "export.format", recipe)
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
    drawn = dict(recipe.attributes)
    found = attributes.problems(drawn)
    for name, attribute in drawn.items():
        try:
            attribute.resolve(recipe.folder, f"attributes.{name}")
        except ValueError as error:
            found.append(str(error))
    if found:
        raise RecipeError(found)
    for name, shares in recipe.quotas.items():
        drawn.setdefault(name, Choice(choices=tuple(shares)))
    for name, attribute in drawn.items():
        if name in schema.properties:
            found += contradictions(name, attribute, schema)
    if found:
        raise RecipeError(found)
    return drawn


def contradictions(name: str, attribute: Attribute, schema: RecordSchema) -> list[str]:
    """Return the values of an attribute that its field does not allow (the first few)."""
    wrong = []
    for value in attribute.values():
        for problem in schema.field_problems(name, value):
            wrong.append(f"attributes.{name}: {value!r} contradicts the schema: {problem.message}")
    return wrong[:5] + ([f"attributes.{name}: and {len(wrong) - 5} more values"] if len(wrong) > 5 else [])


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


def default_prompt(recipe: Recipe, method: Method) -> str:
    """Return the template used when the recipe names none."""
    if recipe.seeds is not None and recipe.seeds.shots and method.default_prompt == "records/from_schema":
        return "records/from_examples"
    return method.default_prompt


def build_filters(recipe: Recipe, problems: Problems) -> dict[str, Filter]:
    """Build the filters by name, the schema's always first."""
    built: dict[str, Filter] = {}
    for position, part in enumerate((Named(name="schema"), *recipe.filters)):
        place = f"filters[{position - 1}]"
        if part.name in built:
            problems.found.append(f"{place}: {part.name} stands twice")
            continue
        made = problems.attempt(lambda part=part, place=place: named("filters", part, place, recipe), place)  # type: ignore[misc]
        if made is not None:
            built[part.name] = made
    return built


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
        load_prompt=lambda text: prompts.load(text, folder=recipe.folder, place="method"),
    )


def undefined_variables(recipe: Recipe, setting: MethodSetting, method: Method) -> list[str]:
    """Return every variable that a template uses and nothing gives, in one message per template."""
    known = {*STANDARD_VARIABLES, *setting.variables, *setting.attributes, *method.variables()}
    used = [setting.prompt, *(setting.load_prompt(text) for text in method.templates())]
    return [
        f"prompt {prompt.name}: undefined variables: {', '.join(lost)}; defined: {', '.join(sorted(known))}"
        for prompt in used
        if (lost := prompt.undefined(known))
    ]


def trial(recipe: Recipe, plan: Plan, method: Method, problems: Problems) -> None:
    """Make the first request without sending it: templates that fail on real values are found here."""
    quota = {name: next(iter(shares)) for name, shares in recipe.quotas.items()}
    draw = problems.attempt(lambda: plan.draw(0, 0, quota), "attributes")
    if draw is not None:
        problems.attempt(lambda: next(method.run(draw), None), "prompt")
    problems.stop()


def fingerprint(
    recipe: Recipe,
    schema: RecordSchema,
    prompt: prompts.Prompt,
    setting: MethodSetting,
    method: Method,
    rows: list[Seed],
) -> dict[str, Any]:
    """Return what the data depends on, as plain data: a run folder takes only draws of one fingerprint."""
    import xxhash

    data = recipe.as_data()
    for harmless in ("records", "limits", "export", "license", "language", "name", "engine"):
        data.pop(harmless, None)
    roles = {text: setting.load_prompt(text).sha256 for text in method.templates()}
    seed_rows = json.dumps([seed.row for seed in rows], ensure_ascii=False, default=str)
    return data | {
        "schema": json.loads(json.dumps(schema.document)),
        "prompt": {"name": prompt.name, "system": prompt.system, "body": prompt.body, **roles},
        "seeds": {**data.get("seeds", {}), "rows": len(rows), "hash": xxhash.xxh3_64_hexdigest(seed_rows.encode())},
        "adapter": recipe.engine.get("lora", ""),
    }
