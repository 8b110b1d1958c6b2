"""A Python function as a tool: its signature gives the schema, its docstring the descriptions."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, get_type_hints

from pydantic import Field, TypeAdapter, create_model
from pydantic.errors import PydanticUserError

from textsynth.schema import RecordSchema
from textsynth.toolset._tool import CONTEXT, Tool

ARGUMENT = re.compile(r"^(\w+)(?:\s*\([^)]*\))?:\s*(.*)$")
SECTION = re.compile(r"^(?:Args|Arguments|Parameters|Returns|Raises|Yields|Examples?|Notes?):\s*$")


def from_function(function: Callable[..., Any], *, source: str = "", place: str = "tools") -> Tool:
    """Return the tool that a function is.

    Every parameter has a type; those without a default are required. The first paragraph of the docstring is the tool's
    description, its ``Args:`` (Google style) are those of the parameters; the return type is the schema of the result.
    A parameter called ``context`` is given the dialogue's state and earlier calls, and is not the model's.

    Raises:
        ValueError: a parameter without a type, ``*args`` or ``**kwargs``, or a type that has no JSON Schema.
    """
    name = getattr(function, "__name__", "")
    try:
        hints = get_type_hints(function, include_extras=True)
    except (NameError, TypeError) as error:
        raise ValueError(f"{place}: the types of {name} cannot be read: {error}") from None
    summary, described = read_docstring(inspect.getdoc(function) or "")
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name == CONTEXT:
            continue
        if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY}:
            raise ValueError(f"{place}: {name} must take its arguments by name, got the parameter {parameter}")
        if parameter.name not in hints:
            raise ValueError(f"{place}: the parameter {parameter.name} of {name} must have a type")
        default = ... if parameter.default is parameter.empty else parameter.default
        about = Field(default, description=described.get(parameter.name))
        fields[parameter.name] = (hints[parameter.name], about)
    try:
        parameters = create_model(name, **fields).model_json_schema()
        result = return_schema(hints.get("return"))
    except PydanticUserError as error:
        raise ValueError(f"{place}: a type of {name} has no JSON Schema: {error.message}") from None
    return Tool(
        name=name,
        description=summary,
        parameters=RecordSchema(untitled(parameters), name=name, place=place),
        result=None if result is None else RecordSchema(untitled(result), name=name, place=place),
        function=function,
        source=source,
    )


def return_schema(hint: Any) -> dict[str, Any] | None:
    """Return the schema of what a function returns; ``None`` if its type says nothing."""
    if hint in {None, Any, type(None), dict, list} or hint is inspect.Signature.empty:
        return None
    return TypeAdapter(hint).json_schema(mode="serialization")


def read_docstring(text: str) -> tuple[str, dict[str, str]]:
    """Return the first paragraph of a docstring and the descriptions of its ``Args:``."""
    summary = " ".join(text.split("\n\n")[0].split()) if not SECTION.match(text.split("\n")[0]) else ""
    described: dict[str, str] = {}
    inside, last = False, ""
    for line in text.splitlines():
        if SECTION.match(line):
            inside, last = line.startswith(("Args", "Arguments", "Parameters")), ""
        elif inside and (found := ARGUMENT.match(line.strip())) and len(line) - len(line.lstrip()) <= 4:
            last = found[1]
            described[last] = found[2].strip()
        elif inside and last and line.strip():
            described[last] += f" {line.strip()}"
    return summary, described


def untitled(schema: Any) -> Any:
    """Return a schema without the titles that pydantic makes of names: they are tokens that say nothing."""
    if isinstance(schema, list):
        return [untitled(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: untitled(value) for key, value in schema.items() if not (key == "title" and isinstance(value, str))}
