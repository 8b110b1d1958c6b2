"""The engine of plain functions: their texts become completions, what they raise an error, none blocks the caller."""

from __future__ import annotations

import threading
import time

import pytest

from textsynth.engines.workers import Workers
from textsynth.records import Completion, Request, Sampling


def request(draw: int, model: str) -> Request:
    return Request(draw, 0, ({"role": "user", "content": str(draw)},), None, Sampling(), model=model)


def double(asked: Request) -> str:
    return str(2 * int(asked.messages[0]["content"]))


def gather(engine: Workers, count: int) -> dict[int, Completion]:
    done, until = [], time.monotonic() + 10
    while len(done) < count and time.monotonic() < until:
        done += engine.collect(0.05)
    assert len(done) == count
    return {completion.draw: completion for completion in done}


def test_each_request_is_answered_by_the_function_it_names():
    engine = Workers({"double": double, "name": lambda asked: asked.model}, threads=3)
    engine.start(backend="")
    assert engine.room() == 6
    engine.submit([request(i, "double") for i in range(50)] + [request(99, "name")])
    assert engine.room() == 0
    answers = gather(engine, 51)
    assert all(answers[i].text == str(2 * i) and answers[i].finish_reason == "stop" for i in range(50))
    assert answers[99].text == "name" and answers[99].tokens == 0
    assert engine.room() == 6 and engine.collect(0) == [] and engine.status().in_flight == 0
    engine.close()
    engine.close()


def test_what_goes_wrong_costs_its_own_request_alone():
    def broken(asked: Request) -> str:
        raise ValueError("x" * 5000)

    engine = Workers({"broken": broken, "number": lambda asked: 7, "double": double})
    engine.start(backend="")
    engine.submit([request(0, "broken"), request(1, "number"), request(2, "dubble"), request(3, "double")])
    answers = gather(engine, 4)
    assert answers[0].finish_reason == "error" and answers[0].error.startswith("ValueError: xxx")
    assert len(answers[0].error) <= 500 and answers[0].text == ""
    assert answers[1].error == "number must return text, got int"
    assert "did you mean double?" in answers[2].error
    assert answers[3].text == "6"
    engine.close()


def test_the_caller_is_never_held_up_and_what_is_cancelled_never_comes():
    gate = threading.Event()

    def slow(asked: Request) -> str:
        gate.wait(10)
        return "late"

    engine = Workers({"slow": slow, "double": double}, threads=2)
    engine.start(backend="")
    began = time.monotonic()
    engine.submit([request(i, "slow") for i in range(6)])
    assert engine.collect(0.05) == [] and time.monotonic() - began < 2
    assert engine.status().in_flight == 2
    engine.cancel()
    gate.set()
    assert engine.room() == 4
    engine.submit([request(7, "double")])
    assert gather(engine, 1)[7].text == "14"
    assert engine.collect(0.1) == []
    engine.close()


def test_no_threads_are_refused():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        Workers({}, threads=0)
