"""What the records are: schema, attributes, quotas, seeds, decoding."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from textsynth import attributes, edges, seeds
from textsynth.assemble._building import named
from textsynth.assemble._fitted import Fitted
from textsynth.assemble._steps import Step, written_by_methods
from textsynth.attributes import Attribute, Choice
from textsynth.errors import RecipeError, unknown
from textsynth.export import Form
from textsynth.recipe import Recipe
from textsynth.records import Seed
from textsynth.schema import Decoding, RecordSchema, constrain
from textsynth.seeds import SeedSpec
from textsynth.steer import largest_remainder
from textsynth.topics import FIELD


def drawn_attributes(
    recipe: Recipe, schema: RecordSchema, fitted: Fitted | None, owned: Collection[str]
) -> dict[str, Attribute]:
    """Return the attributes in order, those that quotas add included, checked among themselves and with the schema.

    A quota over one of the fields that methods write (``owned``) is only kept, not drawn.
    """
    if recipe.topics and FIELD in recipe.attributes:
        raise RecipeError([f"attributes.{FIELD}: topics draws it already"], hint="take one of the two out")
    joint = fitted.joint.names if fitted else ()
    if twice := [name for name in recipe.attributes if name in joint]:
        raise RecipeError(
            [f"attributes.{name}: the profile draws it already" for name in twice],
            hint="take it out, or set it there: profile: {fixed: {name: value}} or {weights: {name: {value: share}}}",
        )
    only_quota = {
        name: Choice(choices=tuple(q))
        for name, q in recipe.quotas.items()
        if q and name not in recipe.attributes and name not in joint and name not in owned
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


def seed_rows(
    recipe: Recipe,
    spec: SeedSpec | None,
    names: Sequence[str],
    steps: Sequence[Step],
    fitted: Fitted | None,
) -> list[Seed]:
    """Read the seeds, checked against the schema and against what is asked of them."""
    if spec is None:
        return []
    if fitted is not None and recipe.seeds is None:
        return fitted.seeds()
    first = steps[0]
    rows = seeds.load(spec, first.schema, names, recipe.folder, whole=first.method.seeds_are_records)
    if wrong := seeds.check(spec, rows, recipe.records):
        raise RecipeError(wrong)
    return rows


def check_edge_cases(recipe: Recipe, schema: RecordSchema) -> None:
    """Refuse edge cases that this schema does not offer."""
    spec = recipe.edge_cases
    if spec is None:
        return
    offered = edges.ways(schema)
    known = {"boundary": list(offered.boundary), "invalid": list(offered.invalid)}
    found = [
        f"edge_cases.ways: this schema offers no {way!r}; it offers {', '.join([*known['boundary'], *known['invalid']])}"
        for way in spec.ways
        if way not in offered.boundary and way not in offered.invalid
    ]
    for kind, share in (("boundary", spec.boundary), ("invalid", spec.invalid)):
        if share and not known[kind]:
            found.append(f"edge_cases.{kind}: this schema offers no way; give it bounds, patterns or closed sets")
    if found:
        raise RecipeError(found)


def choose_decoding(recipe: Recipe, schema: RecordSchema, drawn: Sequence[str], steps: Sequence[Step]) -> Decoding:
    """Lint the schema, choose the backend and refuse what cannot be generated."""
    written = [*(name for name in drawn if name in schema.properties), *written_by_methods(steps)]
    most = max((step.spec.sampling or recipe.sampling).max_tokens for step in steps)
    return constrain(schema, max_tokens=most, backend=recipe.backend, omit=written)


def export_form(recipe: Recipe, schema: RecordSchema) -> Form | None:
    """Build the form the dataset is exported in, and check that the schema has what it needs."""
    if recipe.export is None:
        return None
    found: Form = named("export", recipe.export.form, "export.format", recipe)
    found.check(schema)
    return found
