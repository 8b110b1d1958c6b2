"""Prompt templates: Jinja2 in its sandbox, undefined variables are errors, front matter says what a template is for.

A recipe's ``prompt`` is the name of a template of the library, a file, or the text itself. The body is the user message;
``system`` in the front matter is the system message, a template like the body. With ``shot`` (a ``user`` and an
``assistant`` template) each seed is shown as a question and its answer before the body, which small models follow best;
``worked`` are such pairs that the template brings itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
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
ENVIRONMENT.filters["json"] = lambda value, indent=None: json.dumps(
    value, ensure_ascii=False, indent=indent, separators=(",", ":") if indent is None else None
)


@dataclass(frozen=True)
class Prompt:
    """One template: its name, what it is for, the variables it documents, an example recipe, and its texts.

    ``worked`` are examples that belong to the template, each a ``user`` and an ``assistant`` message before all others. In ``shot``, ``seed`` is the row that is shown and ``answer`` holds those of its fields that the model writes.
    """

    name: str
    body: str
    system: str = ""
    shot: Mapping[str, str] = field(default_factory=dict)
    worked: Sequence[Mapping[str, str]] = ()
    purpose: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    example: str = ""

    @cached_property
    def compiled(self) -> dict[str, Template]:
        """The templates by the part they write, compiled once."""
        return {part: ENVIRONMENT.from_string(text.strip()) for part, text in self.texts().items()}

    def texts(self) -> dict[str, str]:
        """Return the template texts that are not empty: system, shot's user and assistant, body."""
        found = {"system": self.system, **{f"shot.{role}": text for role, text in self.shot.items()}}
        found |= {f"worked.{at}.{role}": text for at, turn in enumerate(self.worked) for role, text in turn.items()}
        return {part: text for part, text in found.items() if text} | {"body": self.body}

    @property
    def sha256(self) -> str:
        """The SHA-256 of the texts, for the dataset card."""
        return hashlib.sha256("\0".join(self.texts().values()).encode()).hexdigest()

    def dump(self) -> str:
        """Return the template as text that ``load`` reads back to the same name and messages."""
        worked = [dict(turn) for turn in self.worked]
        facts = {"name": self.name, "system": self.system, "shot": dict(self.shot), "worked": worked}
        head = yaml.safe_dump(facts, sort_keys=False, allow_unicode=True)
        return f"---\n{head}---\n{self.body}"

    def undefined(self, known: Iterable[str]) -> list[str]:
        """Return every variable the template needs that is not in ``known``, with the nearest match.

        One that the template asks about (``is defined``) or has a ``default`` for is not needed.
        """
        known = set(known)
        used: set[str] = set()
        for part, text in self.texts().items():
            tree = ENVIRONMENT.parse(text)
            offered = {"seed", "answer"} if part.startswith("shot") else set()
            used |= meta.find_undeclared_variables(tree) - optional_variables(tree) - offered
        return [f"{name}{nearest(name, known)}" for name in sorted(used - known)]

    def render(self, variables: Mapping[str, Any]) -> tuple[Message, ...]:
        """Return the messages for one draw.

        Raises:
            RecipeError: the template fails on these variables (an undefined attribute of a row, say).
        """
        parts = self.compiled
        try:
            messages: list[Message] = []
            if "system" in parts:
                messages.append({"role": "system", "content": parts["system"].render(variables)})
            for part in parts:
                if part.startswith("worked."):
                    messages.append({"role": part.rpartition(".")[2], "content": parts[part].render(variables)})
            for seed in variables.get("seeds", ()) if self.shot else ():
                answer = {name: seed[name] for name in variables["fields"] if name in seed}
                shown = {**variables, "seed": seed, "answer": answer}
                messages.append({"role": "user", "content": parts["shot.user"].render(shown)})
                messages.append({"role": "assistant", "content": parts["shot.assistant"].render(shown)})
            return (*messages, {"role": "user", "content": parts["body"].render(variables)})
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
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
    head, _, body = f"{text[4:]}\n".partition("\n---\n")
    try:
        facts = yaml.safe_load(head) or {}
    except yaml.YAMLError as error:
        raise RecipeError([f"prompt {name}: the front matter is not valid YAML: {error}"]) from error
    if not isinstance(facts, dict):
        raise RecipeError([f"prompt {name}: the front matter must be a mapping of keys, got {str(facts)[:60]!r}"])
    allowed = {"name", "system", "shot", "worked", "purpose", "variables", "example"}
    wrong = [unknown(f"prompt {name}: front matter", key, allowed) for key in facts if key not in allowed]
    if wrong:
        raise RecipeError(wrong)
    if set(facts.get("shot") or {}) not in (set(), {"user", "assistant"}):
        raise RecipeError([f"prompt {name}: shot must have the keys user and assistant, got {sorted(facts['shot'])}"])
    if any(list(turn) != ["user", "assistant"] for turn in facts.get("worked") or ()):
        raise RecipeError([f"prompt {name}: each item of worked must have the keys user and assistant, in this order"])
    given: dict[str, Any] = {"name": name, "body": body.removesuffix("\n"), **facts}
    return Prompt(**given)


def checked(prompt: Prompt, place: str) -> Prompt:
    """Return the template if its syntax is right."""
    try:
        _ = prompt.compiled
    except TemplateSyntaxError as error:
        raise RecipeError([f"{place}: {prompt.name}, line {error.lineno}: {error.message}"]) from error
    return prompt
