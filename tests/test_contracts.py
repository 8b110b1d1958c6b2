"""Every method and engine keeps its contract: a documented dataclass of options that check themselves."""

from __future__ import annotations

import dataclasses
import inspect
import re
import time
from pathlib import Path
from typing import get_type_hints

import pytest
from pydantic import TypeAdapter

from textsynth import prompts, registry
from textsynth.engines import Engine
from textsynth.engines.scripted import Scripted
from textsynth.errors import RecipeError
from textsynth.methods import Method
from textsynth.records import Completion, EngineStatus, Request, Sampling

PLACES = ("methods", "engines", "filters", "export")
BUILT_IN = [(place, name) for place in PLACES for name in registry.names(place)]
CONTRACT = [name for name, _ in inspect.getmembers(Engine, inspect.isfunction) if not name.startswith("_")]


def found(place: str, name: str) -> type:
    return registry.load(place, name, place=place)


def test_the_four_places_offer_what_the_recipe_documents():
    offered = {place: registry.names(place) for place in PLACES}
    assert {"record", "dialogue"} <= set(offered["methods"])
    assert {"vllm", "server", "scripted"} <= set(offered["engines"])
    assert {"records", "messages"} <= set(offered["export"])


@pytest.mark.parametrize(("place", "name"), BUILT_IN)
def test_each_is_a_dataclass_that_explains_its_options(place, name):
    cls = found(place, name)
    assert dataclasses.is_dataclass(cls) and cls.__module__ == f"textsynth.{place}.{name}"
    text = inspect.getdoc(cls) or ""
    assert text and not text.startswith(f"{cls.__name__}("), "the docstring is written, not generated"
    own = [f for f in dataclasses.fields(cls) if f.init and f.name in cls.__annotations__]
    for option in own:
        assert re.search(rf"\b{option.name}\b", text), f"{option.name} is not explained"


@pytest.mark.parametrize(("place", "name"), BUILT_IN)
def test_each_option_has_a_default_that_is_of_its_own_type(place, name):
    cls = found(place, name)
    hints = get_type_hints(cls)
    for option in dataclasses.fields(cls):
        if not option.init or (place == "engines" and option.name == "model"):
            continue
        made = option.default_factory() if option.default_factory is not dataclasses.MISSING else option.default
        assert made is not dataclasses.MISSING or place == "filters", f"{option.name} has no default"
        if made is not dataclasses.MISSING:
            TypeAdapter(hints[option.name]).validate_python(made)


@pytest.mark.parametrize(("place", "name"), BUILT_IN)
def test_an_unknown_option_is_refused_with_the_nearest(place, name):
    cls = found(place, name)
    options = [f.name for f in dataclasses.fields(cls) if f.init]
    wrong = f"{options[-1]}x" if options else "anything"
    with pytest.raises(RecipeError) as caught:
        registry.build(cls, {wrong: 1}, place=f"{place}.{name}")
    (problem,) = caught.value.problems
    assert problem.startswith(f"{place}.{name}.{wrong}: unknown name")
    assert not options or "did you mean" in problem


@pytest.mark.parametrize("place", PLACES)
def test_an_unknown_name_lists_the_choices(place):
    name = registry.names(place)[0]
    with pytest.raises(RecipeError) as caught:
        registry.load(place, f"{name}s" if not name.endswith("s") else name[:-1], place=place)
    assert f"did you mean {name}?" in caught.value.message and "module:Class" in caught.value.hint


# --- methods ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", registry.names("methods"))
def test_a_method_builds_with_its_defaults_and_its_templates_exist(name):
    method = found("methods", name)()
    assert isinstance(method, Method)
    library = prompts.library()
    assert method.default_prompt in library
    for text in method.templates():
        prompt = prompts.load(text, folder=Path.cwd())
        assert prompt.name in library
    assert all(meaning for meaning in method.variables().values())
    assert inspect.isgeneratorfunction(type(method).run)


# --- engines ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", registry.names("engines"))
def test_an_engine_has_every_verb_of_the_contract(name):
    cls = found("engines", name)
    for verb in CONTRACT:
        ours, theirs = inspect.signature(getattr(Engine, verb)), inspect.signature(getattr(cls, verb))
        assert list(theirs.parameters) == list(ours.parameters), verb
        assert inspect.getdoc(getattr(cls, verb))


def request(draw: int, step: int = 0, schema: str | None = None) -> Request:
    return Request(draw, step, ({"role": "user", "content": "hi"},), schema, Sampling(seed=draw * 31 + step))


def collect(engine: Engine, count: int) -> list[Completion]:
    done: list[Completion] = []
    until = time.monotonic() + 10
    while len(done) < count and time.monotonic() < until:
        done += engine.collect(0.01)
    return done


def test_the_scripted_engine_answers_every_request_once():
    engine = Scripted(concurrency=4, latency=0.001)
    engine.start(backend="guidance")
    engine.submit([request(i) for i in range(20)])
    assert sorted(c.draw for c in collect(engine, 20)) == list(range(20))
    assert engine.collect(0) == [] and engine.status().in_flight == 0


def test_the_scripted_engine_tells_its_room_and_forgets_what_is_cancelled():
    engine = Scripted(concurrency=4, latency=60)
    assert engine.room() == 8
    engine.submit([request(i) for i in range(8)])
    assert engine.room() == 0
    assert isinstance(engine.status(), EngineStatus) and engine.status().in_flight == 4
    engine.cancel()
    assert engine.room() == 8 and engine.collect(0.01) == []
    engine.close()
    engine.close()


def test_the_same_request_gets_the_same_answer_whatever_the_order():
    schema = '{"type":"object","properties":{"a":{"type":"integer","minimum":1,"maximum":9}},"required":["a"]}'
    faults = {"truncated": 0.2, "malformed": 0.2, "refusal": 0.2, "empty": 0.1, "error": 0.1, "repeat": 0.1}
    forth, back = Scripted(faults=faults), Scripted(faults=faults)
    asked = [request(i, schema=schema) for i in range(100)]
    first = [forth.answer(r) for r in asked]
    assert list(reversed([back.answer(r) for r in reversed(asked)])) == first
    assert {"stop", "length", "error"} == {c.finish_reason for c in first}
    assert all(c.error and not c.text for c in first if c.finish_reason == "error")


@pytest.mark.parametrize("faults", [{"error": -0.1}, {"error": 0.6, "empty": 0.6}, {"eror": 0.1}])
def test_the_scripted_engine_refuses_faults_that_make_no_sense(faults):
    with pytest.raises(RecipeError, match="faults"):
        registry.build(Scripted, {"faults": faults}, place="engine")
