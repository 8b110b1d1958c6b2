"""A model beside a run: every request is answered, in order, whatever order the engine finishes them in."""

from __future__ import annotations

import json

import pytest

from textsynth.answering import Answering
from textsynth.errors import RecipeError
from textsynth.profile.traits import Trait, extract
from textsynth.records import Request, Sampling

SCHEMA = json.dumps({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]})


def test_every_request_is_answered_in_order_and_progress_is_told():
    asked = [Request(i, 0, ({"role": "user", "content": str(i)},), SCHEMA, Sampling(seed=i)) for i in range(300)]
    told = []
    with Answering("scripted", on_progress=lambda done, wanted: told.append((done, wanted))) as ask:
        answers = ask(asked)
    assert [a.draw for a in answers] == list(range(300))
    assert all(isinstance(json.loads(a.text)["n"], int) for a in answers)
    assert told[-1] == (300, 300)


def test_traits_are_read_by_a_model_as_one_of_their_options():
    trait = Trait("text", "tone", ("calm", "angry"))
    with Answering("scripted") as ask:
        found = extract(["Where is my card?", "This is a scandal!"] * 5, [trait], ask)
    assert {row["text#trait:tone"] for row in found} <= {"calm", "angry"} and len(found) == 10


def test_an_option_that_the_engine_does_not_know_is_refused_before_anything_is_loaded():
    with pytest.raises(RecipeError, match="speling"):
        Answering("scripted", engine={"speling": 1})
