"""Prompt templates: Jinja2 in its sandbox, undefined variables are errors, front matter says what a template is for.

A recipe's ``prompt`` is the name of a template of the library, a file, or the text itself. The body is the user message;
``system`` in the front matter is the system message, a template like the body.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, meta, nodes
from jinja2.sandbox import SandboxedEnvironment

from textsynth.errors import RecipeError, nearest, unknown
from textsynth.records import Message

ENVIRONMENT = SandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)
ENVIRONMENT.filters["json"] = lambda value, indent=None: json.dumps(value, ensure_ascii=False, indent=indent)


@dataclass(frozen=True)
class Prompt:
    """One template: its name, what it is for, the variables it documents, an example recipe, and its two texts."""

    name: str
    body: str
    system: str = ""
    purpose: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    example: str = ""

    @cached_property
    def compiled(self) -> tuple[Template | None, Template]:
        """The system and the user template, compiled once."""
        system = ENVIRONMENT.from_string(self.system.strip()) if self.system else None
        return system, ENVIRONMENT.from_string(self.body.strip())

    @property
    def sha256(self) -> str:
        """The SHA-256 of both texts, for the dataset card."""
        return hashlib.sha256(f"{self.system}\0{self.body}".encode()).hexdigest()

    def dump(self) -> str:
        """Return the template as text that ``load`` reads back to the same name and messages."""
        head = yaml.safe_dump({"name": self.name, "system": self.system}, sort_keys=False, allow_unicode=True)
        return f"---\n{head}---\n{self.body}"

    def undefined(self, known: Iterable[str]) -> list[str]:
        """Return every variable the template needs that is not in ``known``, with the nearest match.

        One that the template asks about (``is defined``) or has a ``default`` for is not needed.
        """
        known = set(known)
        used: set[str] = set()
        for text in (self.system, self.body):
            tree = ENVIRONMENT.parse(text)
            used |= meta.find_undeclared_variables(tree) - optional_variables(tree)
        return [f"{name}{nearest(name, known)}" for name in sorted(used - known)]

    def render(self, variables: Mapping[str, Any]) -> tuple[Message, ...]:
        """Return the messages for one draw.

        Raises:
            RecipeError: the template fails on these variables (an undefined attribute of a row, say).
        """
        system, body = self.compiled
        try:
            user: Message = {"role": "user", "content": body.render(variables)}
            if system is None:
                return (user,)
            return ({"role": "system", "content": system.render(variables)}, user)
        except (TemplateError, TypeError, ValueError) as error:
            raise RecipeError([f"prompt {self.name}: cannot be rendered: {error}"]) from error


def optional_variables(tree: nodes.Template) -> set[str]:
    """Return the names that a template tests with ``is defined`` or gives a default."""
    asked: list[nodes.Expr | None] = [test.node for test in tree.find_all(nodes.Test) if test.name == "defined"]
    asked += [item.node for item in tree.find_all(nodes.Filter) if item.name in {"default", "d"}]
    return {node.name for node in asked if isinstance(node, nodes.Name)}


def library_folder() -> Path:
    """Return the folder of the shipped templates: inside the wheel, or ``prompts/`` of a checkout."""
    packed = Path(__file__).parent / "_prompts"
    return packed if packed.is_dir() else Path(__file__).parent.parent / "prompts"


def library() -> dict[str, Prompt]:
    """Return every shipped template by name (``records/from_examples``)."""
    root = library_folder()
    return {
        str(path.relative_to(root).with_suffix("")): parse(
            path.read_text(), name=str(path.relative_to(root).with_suffix(""))
        )
        for path in sorted(root.rglob("*.md"))
    }


def load(source: str, *, folder: Path, place: str = "prompt") -> Prompt:
    """Return the template that a recipe names, or that it writes out.

    Raises:
        RecipeError: an unknown name, a missing file, or text that is not a valid template (with its line).
    """
    source = source.strip()
    one_word = not any(c.isspace() for c in source) and "{" not in source
    shipped = library_folder() / f"{source}.md"
    if one_word and shipped.is_file():
        return checked(parse(shipped.read_text(), name=source), place)
    if one_word and (folder / source).is_file():
        return checked(parse((folder / source).read_text(), name=source), place)
    if one_word and ("/" in source or source.endswith((".md", ".jinja", ".j2", ".txt"))):
        raise RecipeError(
            [unknown(place, source, library())], hint="or give a file relative to the recipe, or the text"
        )
    return checked(parse(source, name="inline"), place)


def parse(text: str, *, name: str) -> Prompt:
    """Split front matter from the body and read it."""
    if not text.startswith("---\n"):
        return Prompt(name=name, body=text)
    head, _, body = text[4:].partition("\n---\n")
    try:
        facts = yaml.safe_load(head) or {}
    except yaml.YAMLError as error:
        raise RecipeError([f"prompt {name}: the front matter is not valid YAML: {error}"]) from error
    allowed = {"name", "system", "purpose", "variables", "example"}
    wrong = [unknown(f"prompt {name}: front matter", key, allowed) for key in facts if key not in allowed]
    if wrong:
        raise RecipeError(wrong)
    return Prompt(**{"name": name, "body": body} | facts)


def checked(prompt: Prompt, place: str) -> Prompt:
    """Return the template if its syntax is right."""
    try:
        _ = prompt.compiled
    except TemplateSyntaxError as error:
        raise RecipeError([f"{place}: {prompt.name}, line {error.lineno}: {error.message}"]) from error
    return prompt
