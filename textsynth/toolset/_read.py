"""What a recipe says of tools: declarations, files of them, Python functions, and which dialogue has which."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from textsynth.errors import RecipeError, unknown
from textsynth.registry import import_object
from textsynth.schema import RecordSchema
from textsynth.schema import load as load_schema
from textsynth.toolset._functions import from_function
from textsynth.toolset._tool import Tool, Toolbox, Toolset

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
KEYS = ("name", "description", "parameters", "result", "python")
FILES = (".json", ".yaml", ".yml")
PLAIN = frozenset({"array", "string", "integer", "number", "boolean", "null"})


def read_tools(source: Any, *, folder: Path, place: str = "tools") -> Toolbox:
    """Return the tools that ``source`` declares.

    Args:
        source: a list of declarations; a JSON or YAML file of one; ``{file: ...}``; or ``{by: ATTRIBUTE, file: ...}``,
            where the file (or ``sets:`` in its place) maps each value of the attribute to a list. A declaration is
            ``{name, description, parameters, result, python}``: schemas as JSON Schema, in the short form or a file;
            ``python`` names the function (``module:function``) that answers, whose signature stands in for what is not
            given. ``module:function`` alone is a declaration too, and so is OpenAI's ``{type: function, function: ...}``.
        folder: what files and modules are relative to.
        place: where it stands in the recipe, for messages.

    Raises:
        RecipeError: what is wrong, with its place.
        SchemaError: a schema that is not valid.
    """
    if isinstance(source, Mapping):
        if wrong := [key for key in source if key not in {"by", "file", "sets"}]:
            raise RecipeError([unknown(f"{place}.{wrong[0]}", str(wrong[0]), ("by", "file", "sets"))])
        given = source.get("sets") if "sets" in source else read_file(source.get("file"), folder, place)
        by = str(source.get("by", ""))
        if by:
            return Toolbox(read_sets(given, folder, place), by)
        source = given
    elif isinstance(source, str):
        source = read_file(source, folder, place) if source.endswith(FILES) else [source]
    return Toolbox({"": read_set(source, folder, place)})


def read_sets(given: Any, folder: Path, place: str) -> dict[str, Toolset]:
    """Read a toolset per value of an attribute."""
    if not isinstance(given, Mapping) or not given:
        raise RecipeError(
            [f"{place}: with by, a mapping of values to lists of tools is wanted, got {str(given)[:60]!r}"]
        )
    return {str(value): read_set(tools, folder, f"{place}[{value}]") for value, tools in given.items()}


def read_set(given: Any, folder: Path, place: str) -> Toolset:
    """Read one list of tools."""
    if not isinstance(given, Sequence) or isinstance(given, str) or not given:
        raise RecipeError([f"{place}: a list of at least one tool is wanted, got {str(given)[:60]!r}"])
    tools = tuple(read_tool(item, folder, f"{place}[{number}]") for number, item in enumerate(given))
    names = [tool.name for tool in tools]
    if twice := [name for name in names if names.count(name) > 1]:
        raise RecipeError([f"{place}: names must differ, got {twice[0]!r} twice"])
    return Toolset(tools)


def read_tool(given: Any, folder: Path, place: str) -> Tool:
    """Read one declaration."""
    if isinstance(given, str):
        given = {"python": given}
    if isinstance(given, Mapping) and given.get("type") == "function" and isinstance(given.get("function"), Mapping):
        given = given["function"]
    if not isinstance(given, Mapping):
        raise RecipeError([f"{place}: a tool is an object with a name, or module:function; got {str(given)[:60]!r}"])
    if wrong := [key for key in given if key not in KEYS]:
        raise RecipeError([unknown(f"{place}.{wrong[0]}", str(wrong[0]), KEYS)])
    tool = declared(given, folder, place) if "python" not in given else from_python(given, folder, place)
    if not NAME.fullmatch(tool.name):
        raise RecipeError([f"{place}.name: up to 64 letters, digits, _ and - are wanted, got {tool.name!r}"])
    return tool


def declared(given: Mapping[str, Any], folder: Path, place: str) -> Tool:
    """Return a tool of which everything is written out."""
    return Tool(
        name=str(given.get("name", "")),
        description=str(given.get("description", "")),
        parameters=parameter_schema(given.get("parameters"), folder, f"{place}.parameters"),
        result=None if given.get("result") is None else any_schema(given["result"], folder, f"{place}.result"),
    )


def from_python(given: Mapping[str, Any], folder: Path, place: str) -> Tool:
    """Return a tool that a Python function answers; what is declared goes before what its signature says."""
    source = str(given["python"])
    if ":" not in source:
        raise RecipeError([f"{place}.python: module:function is wanted, got {source!r}"])
    function = import_object(source, place=f"{place}.python", folder=folder)
    if not callable(function):
        raise RecipeError([f"{place}.python: {source} must be a function, got a {type(function).__name__}"])
    if "parameters" in given:
        made = replace(declared({"name": source.rsplit(":", 1)[1], **given}, folder, place), function=function)
        return replace(made, source=source)
    try:
        tool = from_function(function, source=source, place=place)
    except ValueError as error:
        raise RecipeError([str(error)], hint="give the tool's parameters as a schema, or its function types") from None
    own: dict[str, Any] = {key: str(given[key]) for key in ("name", "description") if key in given}
    if given.get("result") is not None:
        own["result"] = any_schema(given["result"], folder, f"{place}.result")
    return replace(tool, **own)


def parameter_schema(given: Any, folder: Path, place: str) -> RecordSchema:
    """Read the schema of a call's arguments, an object; of a tool without any, the empty one."""
    if given is None or given == {}:
        given = {"type": "object", "properties": {}, "additionalProperties": False}
    found = any_schema(given, folder, place)
    if found.document.get("type", "object") != "object":
        raise RecipeError([f"{place}: arguments are an object, got the type {found.document.get('type')!r}"])
    return found


def any_schema(given: Any, folder: Path, place: str) -> RecordSchema:
    """Read a schema of any value, an object or not."""
    if isinstance(given, Mapping) and given.get("type") in PLAIN:
        return RecordSchema(given, place=place)
    return load_schema(given, folder=folder, place=place)


def read_file(name: Any, folder: Path, place: str) -> Any:
    """Read a JSON or YAML file of declarations."""
    if not isinstance(name, str) or not name:
        raise RecipeError([f"{place}: a file of tools is wanted, got {name!r}"], hint="tools: {file: tools.json}")
    path = folder / Path(name).expanduser()
    try:
        text = path.read_text(encoding="utf-8-sig")
        return json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except FileNotFoundError:
        raise RecipeError([f"{place}: no such file: {str(path)!r}"]) from None
    except OSError as error:
        raise RecipeError([f"{place}: cannot read {str(path)!r}: {error.strerror}"]) from None
    except (ValueError, yaml.YAMLError) as error:
        raise RecipeError([f"{place}: {path.name} cannot be read: {error}"]) from None
