"""A tree of topics that the model grows before anything else is drawn; its leaves are what ``topic`` is drawn from, evenly.

Growing is a generator like a method's, so it is resumed from the ledger and never paid for twice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator
from pathlib import Path

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from textsynth import prompts
from textsynth.records import Completion, Request, Sampling

FIELD = "topic"
"""The attribute, and the field of the record, that holds a leaf as its path: ``Cooking > Baking``."""
DRAW = -1
"""The draw under which the ledger holds the requests that grow the tree."""
SEPARATOR = " > "
ROUNDS = 3
"""How often a topic is asked for more areas when too few different ones were named."""
LONGEST = 60
"""Most characters of one topic."""
WORDS = 7
"""Most words of one topic: more is a sentence."""
NAME = re.compile(r"[^\W\d_][^{}\[\]\"<>=\\]+")
"""What a topic looks like: it begins with a letter and holds no rests of JSON or markup."""
SEED_STEP = 7919


class TopicSpec(BaseModel):
    """What the tree is about and how large it is: ``width ** depth`` leaves at most."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    about: str = Field(min_length=1, description="what all topics are about")
    width: int = Field(default=6, ge=2, le=50, description="areas that one topic is divided into")
    depth: int = Field(default=2, ge=1, le=4, description="levels below the root")
    prompt: str = Field(default="topics/grow", description="the template that asks for areas")
    temperature: float = Field(default=0.8, ge=0, le=5)


Growing = Generator[Request, Completion, tuple[str, ...]]
"""Yields requests one by one, receives their completions, returns the leaves."""


def grow(spec: TopicSpec, *, seed: int, folder: Path) -> Growing:
    """Return the leaves of the tree, each as its path; a topic that cannot be divided is a leaf itself.

    Raises:
        RecipeError: the template cannot be used.
        ValueError: the model named no topic at all.
    """
    prompt = prompts.load(spec.prompt, folder=folder, place="topics.prompt")
    level: list[tuple[str, ...]] = [()]
    step = 0
    for _ in range(spec.depth):
        below: list[tuple[str, ...]] = []
        seen: set[str] = set()
        for path in level:
            names = yield from divide(spec, prompt, path, seen, step, seed)
            step += ROUNDS
            below += [(*path, name) for name in names] or [path]
        level = below
    if not any(level):
        raise ValueError(f"topics.about: the model named no topic of {spec.about!r}; use a larger model or other words")
    return tuple(SEPARATOR.join(path) for path in level)


def divide(
    spec: TopicSpec, prompt: prompts.Prompt, path: tuple[str, ...], seen: set[str], step: int, seed: int
) -> Generator[Request, Completion, list[str]]:
    """Ask for the areas of one topic until there are enough that stand nowhere else in the tree."""
    names: list[str] = []
    for attempt in range(ROUNDS):
        count = spec.width - len(names)
        if count <= 0:
            break
        variables = {"about": spec.about, "path": list(path), "count": count, "known": names}
        sampling = Sampling(
            max_tokens=20 + 24 * count, temperature=spec.temperature, seed=(seed + SEED_STEP * (step + attempt)) % 2**31
        )
        done = yield Request(DRAW, step + attempt, prompt.render(variables), answer_schema(count), sampling)
        for name in read_names(done):
            key = name.casefold()
            if key not in seen and key not in {part.casefold() for part in path} and len(names) < spec.width:
                seen.add(key)
                names.append(name)
    return names


def answer_schema(count: int) -> str:
    """Return the schema of one answer: ``count`` short names."""
    name = {"type": "string", "minLength": 2, "maxLength": LONGEST}
    topics = {"type": "array", "items": name, "minItems": count, "maxItems": count}
    return json.dumps(
        {"type": "object", "properties": {"topics": topics}, "required": ["topics"], "additionalProperties": False}
    )


def read_names(done: Completion) -> list[str]:
    """Return the names in an answer, on one line each; none of one that cannot be read."""
    try:
        told = msgspec.json.decode(done.text)["topics"]
        names = [" ".join(name.replace(">", " ").split()).strip(" .,:;") for name in told]
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError):
        return []
    return [name for name in names if len(name.split()) <= WORDS and NAME.fullmatch(name)]
