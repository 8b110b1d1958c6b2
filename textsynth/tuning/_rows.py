"""From real rows to prompts and completions, exactly as a run with the same profile asks and as decoding writes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import xxhash

from textsynth.assemble import Parts, assemble, pick, real_rows
from textsynth.columns import columns, rebuild
from textsynth.errors import RecipeError
from textsynth.joint import Joint
from textsynth.methods.record import Record as RecordMethod
from textsynth.profile import Profile
from textsynth.profile.text import derive
from textsynth.recipe import ProfileSpec, Recipe, parse, read
from textsynth.records import Draw, Message, Record, Sampling
from textsynth.schema import RecordSchema
from textsynth.text import join_text

FEWEST, FEWEST_HELD = 16, 8
"""Rows with text below which nothing can be learnt, or judged."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One real row: the messages that ask for it, what decoding would write, and its running text."""

    messages: tuple[Message, ...]
    completion: str
    text: str


@dataclass(frozen=True, slots=True)
class Pairs:
    """What is learnt from and what is held out, with where it comes from.

    Args:
        train: of the profile's train rows, in random order.
        heldout: of its steer rows.
        text_fields: fields whose text is compared when copies are looked for.
        sampling: how a run of the recipe picks tokens.
        model: who is tuned, as a recipe names it.
        facts: where the rows and the prompt come from; a tuning is only gone on with if they are the same.
    """

    train: tuple[Pair, ...]
    heldout: tuple[Pair, ...]
    text_fields: tuple[str, ...]
    sampling: Sampling
    model: str
    facts: Mapping[str, Any]


def read_pairs(profile: str | Path, *, data: str, model: str, limit: int | None, seed: int) -> Pairs:
    """Return the pairs of a profile's rows.

    Raises:
        RecipeError: no profile or recipe, no text fields, too few rows, or a recipe whose requests are not one per record.
    """
    recipe = tuning_recipe(profile, data, model)
    spec = recipe.profile
    assert spec is not None
    found = Profile.load(recipe.folder / spec.folder)
    if not found.text_fields:
        raise RecipeError(
            [f"profile {spec.folder!r} has no text fields: there is nothing that a model would write"],
            hint="textsynth sample PROFILE draws such records without a model",
        )
    parts = assemble(recipe, dry_run=True, purpose="read")
    rows = real_rows(recipe, found)
    asking = Asking(parts, found, Joint(found, only=spec.only, seed=recipe.seed))
    train = asking.pairs(pick(rows, found, "train"))
    heldout = asking.pairs(pick(rows, found, "steer"))
    Random(seed).shuffle(train)
    Random(seed).shuffle(heldout)
    refuse_few(train, heldout)
    train = train[:limit]
    step = parts.steps[0]
    facts = {
        "profile": str((recipe.folder / spec.folder).resolve()),
        "data_hash": found.facts.data_hash,
        "prompt": step.prompt.name,
        "prompt_sha256": step.prompt.sha256,
        "rows": {"train": len(train), "heldout": len(heldout)},
        "pairs": digest((*train, *heldout)),
        "model": recipe.model,
    }
    texts = tuple(name for name in parts.schema.text_fields if name in asking.free)
    return Pairs(tuple(train), tuple(heldout), texts, step.arms[""].sampling, recipe.model, facts)


def digest(pairs: Sequence[Pair]) -> str:
    """Return 32 hexadecimal digits that change with any prompt or completion, or their order."""
    found = xxhash.xxh3_128()
    for pair in pairs:
        found.update(f"{pair.messages}\0{pair.completion}\0".encode())
    return found.hexdigest()


def tuning_recipe(profile: str | Path, data: str, model: str) -> Recipe:
    """Return the recipe whose prompts are trained for: the user's, or the plainest one with the profile; never with examples.

    Raises:
        RecipeError: a recipe without a profile, of another method or several steps, or with attributes of its own.
    """
    path = Path(profile)
    if path.suffix not in {".yaml", ".yml"}:
        return parse(
            {
                "records": 1,
                "model": model,
                "steer": False,
                "filters": [],
                "profile": {"folder": str(path.resolve()), "data": absolute(data), "shots": 0},
            },
            Path.cwd(),
        )
    recipe = read(path)
    place = f"recipe {path.name}"
    if recipe.profile is None:
        raise RecipeError([f"{place}: it has no profile, so there are no real rows to learn from"])
    if len(recipe.chain) > 1 or recipe.chain[0].method.name != "record" or recipe.topics is not None:
        raise RecipeError(
            [f"{place}: only the method record, alone and without topics, asks for a real row in one request"]
        )
    if recipe.attributes or recipe.seeds is not None:
        part = "attributes" if recipe.attributes else "seeds"
        raise RecipeError([f"{place}: {part}: a real row has no such thing"], hint=f"leave {part} out of this recipe")
    changes: dict[str, Any] = {"steer": None, "filters": (), "export": None, "quotas": {}, "engine": {}}
    changes["profile"] = without_examples(recipe.profile, absolute(data))
    if model != "default":
        changes["model"] = model
    return recipe.model_copy(update=changes)


def without_examples(spec: ProfileSpec, data: str) -> ProfileSpec:
    """Return the same profile with nothing fixed, reweighted or shown."""
    return spec.model_copy(update={"shots": 0, "fixed": {}, "weights": {}} | ({"data": data} if data else {}))


def absolute(data: str) -> str:
    """Return a path as an absolute one; what is no path stays."""
    return str(Path(data).resolve()) if data and Path(data).exists() else data


def refuse_few(train: Sequence[Pair], heldout: Sequence[Pair]) -> None:
    """Raise ``RecipeError`` unless there are rows enough to learn from and to judge by."""
    for name, rows, fewest in (("train", train, FEWEST), ("steer", heldout, FEWEST_HELD)):
        if len(rows) < fewest:
            raise RecipeError(
                [f"profile: {len(rows)} {name} rows have text, at least {fewest} are needed"],
                hint="fit the profile on more rows; a few examples in the prompt (profile.shots) need no tuning",
            )


class Asking:
    """Makes for a real row the draw that would have asked for it, and from that the request."""

    def __init__(self, parts: Parts, profile: Profile, joint: Joint) -> None:
        assert isinstance(parts.method, RecordMethod)
        self.parts, self.profile, self.joint = parts, profile, joint
        self.free = parts.method.setting.free_fields
        self.known = [f for f in profile.fields if f.kind not in {"text", "dialogue", "id"}]

    def pairs(self, rows: Sequence[Record]) -> list[Pair]:
        """Return the pairs of those rows that have any text."""
        drawn = self.attributes(rows)
        found = (self.pair(row, attributes, at) for at, (row, attributes) in enumerate(zip(rows, drawn, strict=True)))
        return [pair for pair in found if pair is not None]

    def pair(self, row: Record, attributes: Mapping[str, Any], index: int) -> Pair | None:
        """Return the pair of one row; ``None`` if it has no text."""
        written = {name: ordered(row[name], self.schema, name) for name in self.free if name in row}
        text = join_text(written, [name for name in self.parts.schema.text_fields if name in written])
        if not text.strip():
            return None
        draw = Draw(index, 0, {**attributes, **self.joint.ids(index)}, (), 0)
        request = next(self.parts.method.run(draw))
        return Pair(request.messages, compact(written), text)

    @property
    def schema(self) -> RecordSchema:
        """The schema of the records."""
        return self.parts.schema

    def attributes(self, rows: Sequence[Record]) -> list[dict[str, Any]]:
        """Return what would have been drawn for each row: without ids, texts, and values too rare for the profile to tell."""
        plain = rebuild(columns(rows, self.known), self.known, rows=len(rows))
        texts = self.profile.text_fields
        derived = derive(columns(rows, texts), texts).columns
        document = RecordSchema(self.profile.schema())
        return [
            {
                name: record[name]
                for name in self.joint.names
                if name in record and (name in self.joint.partial or not document.field_problems(name, record[name]))
            }
            | {name: values[at] for name, values in derived.items()}
            for at, record in enumerate(plain)
        ]


def ordered(value: Any, schema: RecordSchema, name: str) -> Any:
    """Return a field's value with the keys of its objects in the order of the schema, as decoding writes them."""
    return by_schema(value, schema.properties.get(name, {}), schema)


def by_schema(value: Any, part: Mapping[str, Any], schema: RecordSchema) -> Any:
    """Order the keys of ``value`` at any depth; those that the schema does not name come last."""
    part = schema.deref(part)
    if isinstance(value, list):
        return [by_schema(item, part.get("items") or {}, schema) for item in value]
    if not isinstance(value, Mapping):
        return value
    inner = part.get("properties", {})
    names = [*(name for name in inner if name in value), *(name for name in value if name not in inner)]
    return {name: by_schema(value[name], inner.get(name, {}), schema) for name in names}


def compact(record: Mapping[str, Any]) -> str:
    """Return the JSON text that decoding writes: no space anywhere, characters as they are."""
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"), default=str)
