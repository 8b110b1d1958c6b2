"""A tool, the tools of one assistant, and those of all assistants of a recipe."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import validate_call
from pydantic_core import to_json

from textsynth.schema import RecordSchema

CONTEXT = "context"
"""The parameter of a user's function that is given the dialogue's state and earlier calls; the model does not write it."""


@dataclass(frozen=True)
class Tool:
    """One function that a model may call.

    ``source`` is the ``module:function`` that answers, if there is one; ``result`` the schema of what comes back.
    """

    name: str
    description: str
    parameters: RecordSchema
    result: RecordSchema | None = None
    function: Callable[..., Any] | None = None
    source: str = ""

    @cached_property
    def declaration(self) -> dict[str, Any]:
        """The tool in OpenAI's form, as ``apply_chat_template(tools=...)`` takes it."""
        function = {"name": self.name, "description": self.description, "parameters": self.parameters.document}
        return {"type": "function", "function": function}

    @cached_property
    def signature(self) -> str:
        """The arguments in a few words, for a prompt: ``city: string, people?: integer (1 to 8)``."""
        required = self.parameters.required
        parts = self.parameters.properties.items()
        return ", ".join(f"{name}{'' if name in required else '?'}: {kind_in_words(part)}" for name, part in parts)

    def argument_problem(self, arguments: Any) -> str:
        """Return what is wrong with a call's arguments by the whole schema; empty if nothing is."""
        return first_problem(self.parameters, arguments)

    def result_problem(self, result: Any) -> str:
        """Return what is wrong with a result by the whole schema; empty if nothing is."""
        return first_problem(self.result, result) if self.result else ""

    def work(self, question: str) -> str:
        """Call the tool's own function. ``question`` is JSON with ``arguments`` and ``context``; the answer is JSON.

        Raises whatever the function raises, and ``ValueError`` for arguments of a wrong type.
        """
        asked = json.loads(question)
        function = self.function
        if function is None:
            raise ValueError(f"the tool {self.name!r} has no function")
        given = dict(asked["arguments"])
        if CONTEXT in inspect.signature(function).parameters:
            given[CONTEXT] = asked.get("context", {})
        return to_json(validate_call(function)(**given)).decode()


@dataclass(frozen=True)
class Toolset:
    """The tools that one assistant has, by name."""

    tools: tuple[Tool, ...]

    def __iter__(self) -> Iterator[Tool]:
        """Go through the tools in their order."""
        return iter(self.tools)

    @cached_property
    def by_name(self) -> dict[str, Tool]:
        """The tools by name."""
        return {tool.name: tool for tool in self.tools}

    @cached_property
    def declarations(self) -> list[dict[str, Any]]:
        """All tools in OpenAI's form."""
        return [tool.declaration for tool in self.tools]


@dataclass(frozen=True)
class Toolbox:
    """The toolsets of a recipe: one for all dialogues, or one per value of the attribute ``by``."""

    sets: Mapping[str, Toolset]
    by: str = ""

    @property
    def tools(self) -> list[Tool]:
        """All tools of all sets."""
        return [tool for toolset in self.sets.values() for tool in toolset]

    def pick(self, value: Any) -> str | None:
        """Return the key of the set for a value of ``by``; ``None`` if there is none."""
        key = str(value) if self.by else ""
        return key if key in self.sets else None


def first_problem(schema: RecordSchema, value: Any) -> str:
    """Word the first way in which a value breaks its schema."""
    for problem in schema.problems(value):
        place = ".".join(map(str, problem.path))
        return f"{place}: {problem.message}" if place else problem.message
    return ""


def kind_in_words(part: Mapping[str, Any]) -> str:
    """Say what values a property has, as short as a small model reads it."""
    if "const" in part or "enum" in part:
        return " or ".join(json.dumps(value, ensure_ascii=False) for value in part.get("enum", [part.get("const")]))
    if "anyOf" in part:
        return " or ".join(kind_in_words(branch) for branch in part["anyOf"] if branch.get("type") != "null")
    kind = part.get("format") or part.get("type", "any")
    kind = " or ".join(kind) if isinstance(kind, list) else str(kind)
    bounds = [str(part[key]) for key in ("minimum", "maximum") if key in part]
    return f"{kind} ({' to '.join(bounds)})" if len(bounds) == 2 else kind
