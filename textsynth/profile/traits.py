"""Label-like attributes of texts that a model proposes from a few records and then reads out of every one.

A trait is a closed set: a name and its options. The model's answers are held to JSON Schemas while decoding, so a trait
is always one of its options. Who answers is any callable from requests to completions, in the order of the requests.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from textsynth.errors import RecipeError
from textsynth.records import Completion, Message, Request, Sampling

Ask = Callable[[Sequence[Request]], Sequence[Completion]]
SHOWN = 50
"""Most train records that a proposal sees."""
MOST = 5
MOST_OPTIONS = 8
LONGEST = 600
"""Characters of a text that the model reads."""
OTHER = "other"


@dataclass(frozen=True, slots=True)
class Trait:
    """A closed-set attribute of a text field. Its column is ``FIELD#trait:NAME``."""

    field: str
    name: str
    options: tuple[str, ...]

    @property
    def column(self) -> str:
        """The name of its derived column."""
        return f"{self.field}#trait:{self.name}"

    def as_data(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"field": self.field, "name": self.name, "options": list(self.options)}


def propose(field: str, texts: Sequence[str], ask: Ask, *, most: int = MOST, seed: int = 0) -> tuple[Trait, ...]:
    """Have the model propose up to ``most`` traits of a text field.

    Args:
        field: the text field.
        texts: train texts; the first ``SHOWN`` are shown, cut to ``LONGEST`` characters in all together per text.
        ask: who answers.
        most: greatest number of traits.
        seed: of the sampling.

    Raises:
        RecipeError: the model failed, or its answer has no usable trait.
    """
    if not texts:
        raise RecipeError([f"traits of {field!r}: there are no texts to propose them from"])
    shown = "\n".join(f"- {_cut(text, 8 * LONGEST // min(len(texts), SHOWN))}" for text in texts[:SHOWN])
    question = (
        f"These are examples of a text field named {field}:\n{shown}\n\n"
        f"Name up to {most} attributes that tell such texts apart, such as tone, urgency or type of request. "
        f"Each has a short name in lower case and 2 to {MOST_OPTIONS} short options of which exactly one fits each text. "
        "Options must not quote the texts. Answer with JSON."
    )
    request = _request(0, question, _proposal_schema(most), max_tokens=600, seed=seed)
    answer = next(iter(ask([request])))
    try:
        found = json.loads(answer.text)["attributes"]
        traits = [t for t in (_trait(field, each) for each in found) if t]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecipeError(
            [f"traits of {field!r}: the model's proposal is no usable JSON: {answer.error or error}"]
        ) from None
    unique = {trait.name: trait for trait in traits}
    if not unique:
        raise RecipeError([f"traits of {field!r}: the model proposed none with two or more options"])
    return tuple(unique.values())[:most]


def extract(texts: Sequence[str], traits: Sequence[Trait], ask: Ask, *, seed: int = 0) -> list[dict[str, str | None]]:
    """Have the model say, for each text, which option of each trait fits.

    Returns:
        one mapping per text from column name to option; ``None`` where the model failed.
    """
    schema = json.dumps(_extraction_schema(traits))
    lines = "\n".join(f"- {trait.name}: {', '.join(trait.options)}" for trait in traits)
    requests = [
        _request(
            place,
            f"Text:\n{_cut(text, LONGEST)}\n\nChoose the option that fits:\n{lines}\nAnswer with JSON.",
            schema,
            max_tokens=40 * len(traits) + 20,
            seed=seed,
        )
        for place, text in enumerate(texts)
    ]
    answers = {answer.draw: answer for answer in ask(requests)}
    return [_read(answers.get(place), traits) for place in range(len(texts))]


def _request(draw: int, question: str, schema: str, *, max_tokens: int, seed: int) -> Request:
    messages: tuple[Message, ...] = ({"role": "user", "content": question},)
    return Request(draw, 0, messages, schema, Sampling(max_tokens=max_tokens, temperature=0.0, seed=seed))


def _proposal_schema(most: int) -> str:
    option = {"type": "string", "minLength": 1, "maxLength": 30}
    options = {"type": "array", "items": option, "minItems": 2, "maxItems": MOST_OPTIONS}
    one = {
        "type": "object",
        "properties": {"name": {"type": "string", "minLength": 1, "maxLength": 30}, "options": options},
        "required": ["name", "options"],
        "additionalProperties": False,
    }
    listed = {"type": "array", "items": one, "minItems": 1, "maxItems": most}
    whole = {
        "type": "object",
        "properties": {"attributes": listed},
        "required": ["attributes"],
        "additionalProperties": False,
    }
    return json.dumps(whole)


def _extraction_schema(traits: Sequence[Trait]) -> dict[str, Any]:
    properties = {trait.name: {"enum": list(trait.options)} for trait in traits}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _trait(field: str, data: Any) -> Trait | None:
    """Read one proposed trait; options are made distinct and ``other`` is added, so that every text has one."""
    name = "_".join(str(data["name"]).lower().split())
    plain = (str(option).strip(" ,.;:\n").lower() for option in data["options"])
    options = tuple(dict.fromkeys(option for option in plain if option))
    if not name or len(options) < 2:
        return None
    return Trait(field, name, options if OTHER in options else (*options, OTHER))


def _read(answer: Completion | None, traits: Sequence[Trait]) -> dict[str, str | None]:
    try:
        found = json.loads(answer.text) if answer else {}
    except ValueError:
        found = {}
    if not isinstance(found, dict):
        found = {}
    return {trait.column: found[trait.name] if found.get(trait.name) in trait.options else None for trait in traits}


def _cut(text: str, most: int) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= most else plain[:most] + " …"
