"""Tools: what a recipe may declare, what a Python function says of itself, and what decoding is held to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import jsonschema_rs
import pytest
from pydantic import Field

from textsynth.errors import RecipeError, SchemaError
from textsynth.toolset import Grammar, from_function, read_tools

CITY = {"type": "string", "minLength": 1, "maxLength": 20}
WEATHER = {
    "name": "get_weather",
    "description": "Get the weather.",
    "parameters": {
        "type": "object",
        "properties": {"city": CITY, "day": {"enum": ["today", "tomorrow"]}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "result": {"type": "object", "properties": {"degrees": {"type": "integer"}}, "required": ["degrees"]},
}
TRAINS = {
    "name": "find_trains",
    "description": "Find trains.",
    "parameters": {"start": "str 1..20", "seats": "int 1..4"},
}


def book(
    city: str,
    nights: Annotated[int, Field(ge=1, le=14)],
    room: Literal["single", "double"] = "single",
    context: Any = None,
) -> dict[str, int]:
    """Book a room
    in a hotel.

    Args:
        city: where the hotel is
        nights: how long the
            guest stays
    """
    return {"price": nights * 80 + len(context["calls"])}


def test_a_function_says_what_its_tool_is():
    tool = from_function(book, source="hotel:book")
    assert (tool.name, tool.description, tool.source) == ("book", "Book a room in a hotel.", "hotel:book")
    parameters = tool.parameters.document
    assert list(parameters["properties"]) == ["city", "nights", "room"], "context is not the model's"
    assert parameters["required"] == ["city", "nights"]
    assert parameters["properties"]["nights"]["description"] == "how long the guest stays"
    assert "title" not in json.dumps(parameters)
    assert tool.argument_problem({"city": "Oslo", "nights": 2}) == ""
    assert tool.argument_problem({"city": "Oslo", "nights": 15}).startswith("nights:")
    assert tool.result_problem({"price": "much"}).startswith("price:")
    asked = {"arguments": {"city": "Oslo", "nights": 2}, "context": {"calls": [1, 2, 3]}}
    assert json.loads(tool.work(json.dumps(asked))) == {"price": 163}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([], "at least one tool"),
        ("tools.json", "no such file"),
        ([{**WEATHER, "name": "get weather"}], "letters, digits"),
        ([WEATHER, WEATHER], "'get_weather' twice"),
        ([{**WEATHER, "result_schema": {}}], "result_schema"),
        ([{**WEATHER, "parameters": {"type": "array"}}], "arguments are an object"),
        ([{"name": "a", "python": "nowhere_at_all:f"}], "cannot import 'nowhere_at_all'"),
        (["json:dumps"], "must have a type"),
        ([{"python": "json:JSON"}], "JSON"),
        ([{"python": "json"}], "module:function is wanted"),
        ([[7]], "got '[7]'"),
        ({"by": "service", "sets": [WEATHER]}, "a mapping of values"),
        ({"from": "x.json"}, "from"),
    ],
)
def test_a_wrong_declaration_is_told_with_its_place(tmp_path, source, message):
    with pytest.raises((RecipeError, SchemaError), match="tools") as caught:
        read_tools(source, folder=tmp_path)
    assert message in str(caught.value)


def test_a_file_and_openai_form_and_the_short_form_are_read(tmp_path):
    (tmp_path / "tools.json").write_text(json.dumps([{"type": "function", "function": WEATHER}, TRAINS]))
    toolbox = read_tools("tools.json", folder=tmp_path)
    weather, trains = toolbox.tools
    assert toolbox.pick("whatever") == ""
    assert weather.declaration["function"]["parameters"] == WEATHER["parameters"]
    assert weather.signature == 'city: string, day?: "today" or "tomorrow"'
    assert trains.argument_problem({"start": "Bern", "seats": 5})
    assert not trains.argument_problem({"start": "Bern", "seats": 4})


def test_an_attribute_chooses_among_toolsets(tmp_path):
    (tmp_path / "tools.yaml").write_text(json.dumps({"Weather_1": [WEATHER], "7": [TRAINS]}))
    toolbox = read_tools({"by": "service", "file": "tools.yaml"}, folder=tmp_path)
    assert [tool.name for tool in toolbox.sets["Weather_1"]] == ["get_weather"]
    assert toolbox.pick(7) == "7" and toolbox.pick("Weather_2") is None


def test_decoding_allows_words_or_calls_with_their_own_arguments(tmp_path):
    tools = read_tools([WEATHER, TRAINS], folder=tmp_path).sets[""]
    grammar = Grammar.of(tools, letters=20, parallel=2, tokens=96)
    turn = jsonschema_rs.validator_for(json.loads(grammar.turn))
    call = {"name": "get_weather", "arguments": {"city": "Rome"}}
    assert turn.is_valid({"say": "Hello."}) and turn.is_valid({"calls": [call, call]})
    for wrong in (
        {"say": "x" * 21},
        {"say": "Hello.", "calls": [call]},
        {"calls": []},
        {"calls": [call, call, call]},
        {"calls": [{**call, "name": "find_trains"}]},
        {"calls": [{"name": "get_weather", "arguments": {"city": "Rome", "day": "never"}}]},
    ):
        assert not turn.is_valid(wrong), wrong
    assert list(grammar.results) == ["get_weather"], "a tool without a result schema has no decoding schema for it"
    result = jsonschema_rs.validator_for(json.loads(grammar.results["get_weather"]))
    assert result.is_valid({"result": {"degrees": 3}}) and not result.is_valid({"result": {"degrees": "3"}})


def test_equal_definitions_of_two_tools_do_not_meet():
    def with_part(name: str, kind: str) -> dict[str, Any]:
        parameters = {
            "type": "object",
            "properties": {"part": {"$ref": "#/$defs/Part"}},
            "required": ["part"],
            "additionalProperties": False,
            "$defs": {"Part": {"type": kind}},
        }
        return {"name": name, "description": "", "parameters": parameters}

    tools = read_tools([with_part("a", "integer"), with_part("b", "boolean")], folder=Path()).sets[""]
    turn = jsonschema_rs.validator_for(json.loads(Grammar.of(tools, letters=20, parallel=1, tokens=64).turn))
    assert turn.is_valid({"calls": [{"name": "a", "arguments": {"part": 1}}]})
    assert turn.is_valid({"calls": [{"name": "b", "arguments": {"part": True}}]})
    assert not turn.is_valid({"calls": [{"name": "b", "arguments": {"part": 1}}]})
