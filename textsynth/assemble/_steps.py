"""The steps of a recipe, each with its method, its template and the fields it writes; and the method they make together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from textsynth import prompts
from textsynth.assemble._asking import build_arms, check_variables, load_prompt, main_prompt
from textsynth.assemble._building import named
from textsynth.assemble._fitted import Fitted
from textsynth.errors import Problems, RecipeError, SchemaError
from textsynth.methods import Arm, Method
from textsynth.methods import Setting as MethodSetting
from textsynth.methods._chain import Chain, Link
from textsynth.recipe import Recipe, StepSpec
from textsynth.records import Seed
from textsynth.schema import Decoding, RecordSchema, constrain
from textsynth.schema import load as load_schema
from textsynth.topics import FIELD


@dataclass(frozen=True)
class Step:
    """One step, as far as it is known before the run: ``place`` is where it stands in the recipe ("" if it is alone)."""

    place: str
    spec: StepSpec
    method: Method
    schema: RecordSchema
    prompt: prompts.Prompt
    arms: Mapping[str, Arm]

    @property
    def name(self) -> str:
        """What the step is called in messages."""
        return self.spec.name or self.spec.method.name


def build_steps(recipe: Recipe, fitted: Fitted | None, problems: Problems) -> list[Step]:
    """Build every step; what is wrong goes to ``problems`` and such a step is left out."""
    found: list[Step] = []
    for position, spec in enumerate(recipe.chain):
        place = f"steps[{position}]." if recipe.steps else ""
        method = problems.attempt(partial(named, "methods", spec.method, f"{place}method", recipe), f"{place}method")
        if method is None:
            continue
        schema = problems.attempt(
            partial(step_schema, recipe, spec, method, fitted if position == 0 else None, f"{place}schema"),
            f"{place}schema",
        )
        prompt = problems.attempt(partial(main_prompt, recipe, spec, method, f"{place}prompt"), f"{place}prompt")
        arms = problems.attempt(partial(build_arms, recipe, spec, prompt), "steer.arms") if prompt else None
        if schema is not None and prompt is not None and arms is not None:
            found.append(Step(place, spec, method, schema, prompt, arms))
    return found


def step_schema(recipe: Recipe, spec: StepSpec, method: Method, fitted: Fitted | None, place: str) -> RecordSchema:
    """Load a step's schema, or the one a profile found, and let the method complete it."""
    if spec.record_schema is None:
        return method.record_schema(None if fitted is None else profile_schema(fitted, method))
    given = load_schema(spec.record_schema, folder=recipe.folder, place=place)
    if given.document.get("type") != "object" and not given.properties:
        raise SchemaError(f"{place}: a record must be an object with properties", hint="wrap it: {value: ...}")
    return method.record_schema(given)


def profile_schema(fitted: Fitted, method: Method) -> RecordSchema:
    """Return the schema of a profile's records, without what the method writes by itself."""
    document = fitted.profile.schema()
    own = method.own_fields
    properties = {name: part for name, part in document["properties"].items() if name not in own}
    required = [name for name in document.get("required", []) if name not in own]
    return load_schema(document | {"properties": properties, "required": required}, folder=Path(), place="profile")


def whole_schema(recipe: Recipe, steps: Sequence[Step]) -> RecordSchema:
    """Return the schema of the finished records: the fields of all steps, and ``topic`` where topics are drawn.

    Raises:
        RecipeError: a step's schema says more than can be joined with others.
    """
    alone = steps[0].schema
    if len(steps) == 1 and (recipe.topics is None or FIELD in alone.properties):
        return alone
    documents = [step.schema.document for step in steps]
    if recipe.topics is not None:
        text = {"type": "string", "minLength": 1}
        documents.insert(0, {"type": "object", "properties": {FIELD: text}, "required": [FIELD]})
    return load_schema(joined(documents), folder=Path(), place="steps")


JOINED = {"type", "properties", "required", "$defs", "additionalProperties", "title", "description", "$schema"}
"""The keywords of a step's schema that can stand beside another step's."""


def joined(documents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return one schema of objects that have the fields of all; a field that stands twice is as the last one says."""
    found: dict[str, Any] = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    definitions: dict[str, Any] = {}
    for document in documents:
        if strange := [key for key in document if key not in JOINED]:
            raise RecipeError(
                [f"steps: a schema with {strange[0]!r} at its top cannot be joined with those of other steps"],
                hint="put that part into a field of its own",
            )
        found["properties"] |= document.get("properties", {})
        found["required"] += [name for name in document.get("required", []) if name not in found["required"]]
        definitions |= document.get("$defs", {})
    return found | ({"$defs": definitions} if definitions else {})


def written_by_methods(steps: Sequence[Step]) -> list[str]:
    """Return the fields that no step leaves to constrained decoding of the recipe's schema."""
    owned = {name for step in steps for name in step.method.own_fields}
    decoded = {n for step in steps for n in step.schema.properties if n not in step.method.own_fields}
    return [
        name for name in dict.fromkeys(n for step in steps for n in step.method.own_fields) if name in owned - decoded
    ]


def check_templates(recipe: Recipe, steps: Sequence[Step], known: Sequence[str], problems: Problems) -> None:
    """Refuse variables that a step's templates use and nothing gives."""
    earlier: list[str] = list(known)
    for step in steps:
        templates = [arm.prompt for arm in step.arms.values()]
        problems.attempt(partial(check_variables, recipe, templates, list(earlier), step.method), f"{step.place}prompt")
        earlier += [name for name in step.schema.properties if name not in earlier]


def prepare_methods(
    recipe: Recipe,
    steps: Sequence[Step],
    decoding: Decoding,
    names: tuple[str, ...],
    partial_fields: frozenset[str],
    rows: Sequence[Seed] | None,
    problems: Problems,
) -> None:
    """Tell every method what it may know of the run; ``rows`` is ``None`` where a finished run is read."""
    before = list(names)
    inputs = {*names, *(column for seed in rows or () for column in seed.row)}
    for step in steps:
        setting = MethodSetting(
            schema=step.schema,
            decoding=decoder(recipe, step, decoding),
            attributes=tuple(before),
            partial=partial_fields,
            arms=step.arms,
            variables=recipe.variables,
            repairs=recipe.repairs,
            load_prompt=partial(load_prompt, recipe),
            inputs=None if rows is None else frozenset(inputs),
            own=frozenset(step.method.own_fields),
            folder=recipe.folder,
        )
        problems.attempt(partial(step.method.prepare, setting), f"{step.place}method")
        before += [name for name in step.schema.properties if name not in before]
        inputs |= step.schema.properties.keys()


def decoder(recipe: Recipe, step: Step, decoding: Decoding) -> Callable[[frozenset[str]], str]:
    """Return what gives the schema text for a set of fields, computed once per set."""
    texts: dict[frozenset[str], str] = {}
    most = (step.spec.sampling or recipe.sampling).max_tokens

    def decoding_text(wanted: frozenset[str]) -> str:
        if wanted not in texts:
            omit = [name for name in step.schema.properties if name not in wanted]
            texts[wanted] = constrain(step.schema, max_tokens=most, backend=decoding.backend, omit=omit).text()
        return texts[wanted]

    return decoding_text


def run_method(steps: Sequence[Step], schema: RecordSchema) -> Method:
    """Return the method of the run: the only step's, or the chain of all."""
    if len(steps) == 1 and schema is steps[0].schema:
        return steps[0].method
    return Chain([Link(step.name, step.method) for step in steps], list(schema.properties))
