from __future__ import annotations

import heapq
import json
import random
import socket
import threading
import time
from collections import Counter, deque
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate

import pytest
from aiohttp import web
from faulty_server import FaultyServer

from textsynth import registry
from textsynth.engines import _link
from textsynth.engines._limiter import Limiter, Patience
from textsynth.engines._wire import Failure, read_completion, read_failure
from textsynth.engines.server import Server
from textsynth.errors import EngineError, RecipeError
from textsynth.records import Completion, Request, Sampling

SCHEMA = '{"type": "object", "properties": {"a": {"const": 1.50}}}'


def request(item, *, schema=None, **sampling):
    messages = ({"role": "user", "content": f"item {item}"},)
    return Request(item, 0, messages, schema, Sampling(seed=item, **sampling))


@contextmanager
def running(server, **options):
    engine = Server(model=server.url + "/", **options)
    engine.start(backend="xgrammar")
    try:
        yield engine
    finally:
        engine.close()


def gather(engine, count, *, within=20.0):
    found, until = [], time.monotonic() + within
    while len(found) < count and time.monotonic() < until:
        found += engine.collect(0.1)
    assert len(found) == count
    return {completion.draw: completion for completion in found}


def ask(engine, count, **options):
    engine.submit([request(item, **options) for item in range(count)])
    return gather(engine, count)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# answers


def test_every_request_comes_back_once_with_text_tokens_and_seconds():
    with FaultyServer() as server, running(server) as engine:
        answers = ask(engine, 100)
        assert sorted(answers) == list(range(100))
        assert answers[42].text == "answer 42"
        assert (answers[42].prompt_tokens, answers[42].tokens, answers[42].finish_reason) == (7, 3, "stop")
        assert 0.004 < answers[42].seconds < 5
        assert set(server.answered.values()) == {1}


def test_an_answer_cut_at_the_token_limit_says_so():
    with FaultyServer(faults={0: ["length"]}) as server, running(server) as engine:
        assert ask(engine, 1)[0].finish_reason == "length"


def test_slots_are_refilled_without_the_caller():
    with FaultyServer(latency=0.02) as server, running(server, concurrency=4) as engine:
        engine.submit([request(item) for item in range(40)])
        time.sleep(0.6)
        assert len(server.answered) == 40
        assert server.most_at_once == 4


def test_room_asks_for_a_backlog_and_is_never_negative():
    with FaultyServer(latency=0.05) as server, running(server, concurrency=8) as engine:
        assert engine.room() == 16
        engine.submit([request(item) for item in range(30)])
        assert engine.room() == 0
        gather(engine, 30)
        assert engine.room() == 16


def test_status_counts_what_is_in_flight_and_the_share_of_filled_slots():
    with FaultyServer(latency=0.2) as server, running(server, concurrency=4) as engine:
        engine.submit([request(item) for item in range(8)])
        time.sleep(0.1)
        status = engine.status()
        assert (status.in_flight, status.capacity) == (4, 4)
        gather(engine, 8)
        assert engine.status().busy > 0.7


# what is sent


def test_only_the_sampling_that_is_set_is_sent():
    with FaultyServer() as server, running(server, extra_body={"priority": 3}) as engine:
        ask(engine, 1, max_tokens=9, temperature=0.5)
        assert server.tries[0].body == {
            "model": "small",
            "messages": [{"role": "user", "content": "item 0"}],
            "max_tokens": 9,
            "temperature": 0.5,
            "seed": 0,
            "priority": 3,
        }
        ask(engine, 1, min_p=0.1, top_p=0.9, top_k=5, repetition_penalty=1.1, stop=("END",))
        sent = server.tries[1].body
        assert [sent[k] for k in ("min_p", "top_p", "top_k", "repetition_penalty", "stop")] == [
            0.1,
            0.9,
            5,
            1.1,
            ["END"],
        ]


@pytest.mark.parametrize(
    ("structured", "fields"),
    [
        (
            "response_format",
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "record", "strict": True, "schema": ...},
                }
            },
        ),
        ("vllm", {"structured_outputs": {"json": ...}}),
        ("none", {}),
    ],
)
def test_the_schema_is_sent_in_the_form_asked_for(structured, fields):
    with FaultyServer() as server, running(server, structured=structured) as engine:
        ask(engine, 1, schema=SCHEMA)
        body = server.tries[0].body
        found = {k: body[k] for k in ("response_format", "structured_outputs") if k in body}
        assert json.dumps(found) == json.dumps(fields, default=lambda _: json.loads(SCHEMA))
        assert (SCHEMA.encode() in server.tries[0].raw) == (structured != "none")


def test_the_key_goes_to_the_server_and_nowhere_else(monkeypatch):
    monkeypatch.setenv("SOME_KEY", "sk-secret")
    with FaultyServer(faults={0: ["400"]}, said="bad key sk-secret") as server:
        with running(server, api_key_env="SOME_KEY") as engine:
            answer = ask(engine, 1)[0]
            assert server.tries[0].headers["Authorization"] == "Bearer sk-secret"
            shown = repr(engine) + repr(engine.status()) + repr(answer) + repr(vars(engine))
        assert "sk-secret" not in shown
        assert "bad key ***" in answer.error


def test_a_missing_key_is_found_at_the_start():
    with FaultyServer() as server, pytest.raises(EngineError, match="ABSENT_KEY is not set"):
        Server(model=server.url, api_key_env="ABSENT_KEY").start(backend="")


# faults


@pytest.mark.parametrize("fault", ["500", "503", "408", "429", "cut", "garbage", "empty"])
def test_a_fault_of_the_moment_costs_nothing_but_the_repeat(fault):
    faults = {item: [fault] for item in range(0, 200, 10)}
    with FaultyServer(faults=faults) as server, running(server) as engine:
        answers = ask(engine, 200)
        assert all(answer.text == f"answer {item}" for item, answer in answers.items())
        assert engine.status().retries == 20
        assert set(server.answered.values()) == {1}


def test_a_request_that_keeps_failing_becomes_a_completion_that_says_why():
    with FaultyServer(faults={3: ["500"] * 3}, said="out of memory") as server, running(server, retries=2) as engine:
        answers = ask(engine, 5)
        assert answers[3].finish_reason == "error"
        assert answers[3].text == ""
        assert answers[3].error.startswith("HTTP 500") and "out of memory" in answers[3].error
        assert Counter(t.item for t in server.tries)[3] == 3


def test_a_request_the_server_refuses_is_not_repeated():
    with FaultyServer(faults={3: ["400"]}, said="context too long: " + "x" * 500) as server, running(server) as engine:
        answers = ask(engine, 5)
        assert answers[3].finish_reason == "error"
        assert "HTTP 400" in answers[3].error and "context too long" in answers[3].error
        assert len(answers[3].error) < 330
        assert engine.status().retries == 0


def test_a_request_that_is_no_text_fails_alone():
    with FaultyServer() as server, running(server) as engine:
        lone = Request(0, 0, ({"role": "user", "content": "half a pair: \ud800"},), None, Sampling())
        engine.submit([lone, request(1)])
        answers = gather(engine, 2)
        assert "cannot be written as JSON" in answers[0].error
        assert answers[1].text == "answer 1"


def test_retry_after_holds_back_that_request_and_no_other():
    with FaultyServer(faults={0: ["429 later"]}) as server, running(server, concurrency=2) as engine:
        ask(engine, 50)
        first, second = (t.at for t in server.tries if t.item == 0)
        assert 0.95 < second - first < 1.6
        assert max(t.at for t in server.tries if t.item != 0) - first < 0.9


def test_a_request_never_answered_is_found_once_others_have_come_back():
    with FaultyServer(faults={0: ["hang"], 30: ["hang"]}) as server, running(server) as engine:
        began = time.monotonic()
        assert len(ask(engine, 200)) == 200
        assert time.monotonic() - began < 8
        assert Counter(t.item for t in server.tries)[0] == 2


def test_a_timeout_of_the_user_counts_from_the_start():
    with FaultyServer(faults={0: ["hang", "hang"]}) as server, running(server, timeout=0.2, retries=1) as engine:
        assert "no answer within 0." in ask(engine, 1)[0].error
        assert len(server.tries) == 2


def test_waiting_requests_leave_their_slot_to_others():
    with FaultyServer(faults={0: ["500"] * 4}) as server, running(server, concurrency=1) as engine:
        ask(engine, 20)
        assert [t.item for t in server.tries][-1] == 0
        assert server.tries[1].item == 1


# what stops a run


def test_no_server_is_told_at_the_start_with_the_next_step(monkeypatch):
    monkeypatch.setattr(_link, "START_WITHIN", 0.3)
    with pytest.raises(EngineError, match="no server answered") as caught:
        Server(model=f"http://127.0.0.1:{free_port()}/v1").start(backend="")
    assert "vllm serve" in caught.value.hint


def test_a_server_that_comes_up_late_is_waited_for():
    late = FaultyServer(port=free_port())
    engine = Server(model=late.url)
    timer = threading.Timer(0.4, late.__enter__)
    timer.start()
    engine.start(backend="")
    assert len(ask(engine, 3)) == 3
    engine.close()
    timer.join()
    late.__exit__()


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_told_at_the_start(status):
    with FaultyServer(models_status=status) as server, pytest.raises(EngineError, match=f"HTTP {status}") as caught:
        Server(model=server.url).start(backend="")
    assert "api_key_env" in caught.value.hint


def test_a_key_refused_later_stops_the_run_and_leaves_the_requests_open():
    with FaultyServer(always="401") as server, running(server) as engine:
        engine.submit([request(item) for item in range(5)])
        with pytest.raises(EngineError, match="refuses access"):
            assert engine.collect(5) == []


def test_a_server_that_refuses_everything_stops_the_run():
    with FaultyServer(always="404", said="model gone") as server, running(server) as engine:
        engine.submit([request(item) for item in range(100)])
        with pytest.raises(EngineError, match="model gone") as caught:
            for _ in range(100):
                engine.collect(0.2)
        assert caught.value.retryable


def test_a_server_gone_for_good_stops_the_run_and_says_that_nothing_is_lost(monkeypatch):
    monkeypatch.setattr(_link, "UNREACHABLE_AFTER", 0.5)
    with FaultyServer() as server:
        engine = Server(model=server.url)
        engine.start(backend="")
        ask(engine, 5)
    engine.submit([request(item) for item in range(50)])
    with pytest.raises(EngineError, match="no server accepts connections") as caught:
        for _ in range(50):
            assert engine.collect(0.2) == []
    engine.close()
    assert caught.value.retryable
    assert "same command" in caught.value.hint


def test_a_server_that_restarts_costs_no_request():
    with FaultyServer() as server:
        engine = Server(model=server.url, retries=0)
        engine.start(backend="")
        ask(engine, 5)
    engine.submit([request(item) for item in range(50)])
    assert engine.collect(0.5) == []
    with FaultyServer(port=server.port):
        answers = gather(engine, 50)
        engine.close()
    assert all(answer.finish_reason == "stop" for answer in answers.values())


# models


def test_the_model_is_the_one_served_and_its_context_is_known():
    with FaultyServer() as server, running(server) as engine:
        assert engine.context_length == 4096
        assert any("4096" in note for note in engine.status().notes)
        assert "small" in engine.status().facts["model_source"]


def test_of_several_models_the_first_is_taken_with_a_note():
    with FaultyServer(models=[{"id": "one"}, {"id": "two"}]) as server, running(server) as engine:
        ask(engine, 1)
        assert server.tries[0].body["model"] == "one"
        assert "took 'one', not two" in engine.status().notes[0]
        assert engine.context_length is None


def test_a_model_named_by_the_user_is_asked_for_even_if_not_listed():
    with FaultyServer() as server, running(server, model_name="other") as engine:
        ask(engine, 1)
        assert server.tries[0].body["model"] == "other"
        assert "doesn't list the model 'other'" in engine.status().notes[0]


def test_no_model_anywhere_is_an_error():
    with FaultyServer(models=[]) as server, pytest.raises(EngineError, match="names no model"):
        Server(model=server.url).start(backend="")


# several servers


def test_several_servers_share_the_work():
    with FaultyServer(latency=0.02) as one, FaultyServer(latency=0.02) as two:
        with running(one, urls=(two.url,), concurrency=16) as engine:
            ask(engine, 200)
        assert abs(len(one.tries) - len(two.tries)) <= 30


def test_the_concurrency_is_that_of_all_servers_together():
    with FaultyServer(latency=0.02) as one, FaultyServer(latency=0.02) as two:
        with running(one, urls=(two.url,), concurrency=6) as engine:
            ask(engine, 60)
        assert one.most_at_once + two.most_at_once <= 6


def test_a_server_that_dies_leaves_its_requests_to_the_others():
    with FaultyServer(latency=0.02) as one:
        with FaultyServer(latency=0.02) as two:
            engine = Server(model=one.url, urls=(two.url,))
            engine.start(backend="")
            engine.submit([request(item) for item in range(300)])
            found = engine.collect(0.2)
        while len(found) < 300:
            found += engine.collect(1)
        engine.close()
        assert all(completion.finish_reason == "stop" for completion in found)


def test_a_server_absent_at_the_start_is_noted(monkeypatch):
    monkeypatch.setattr(_link, "START_WITHIN", 0.2)
    absent = f"http://127.0.0.1:{free_port()}/v1"
    with FaultyServer() as server, running(server, urls=(absent,)) as engine:
        assert len(ask(engine, 50)) == 50
        assert any(absent in note for note in engine.status().notes)


# stopping


def test_what_is_cancelled_never_comes_and_the_engine_goes_on():
    with FaultyServer(latency=0.1) as server, running(server) as engine:
        engine.submit([request(item) for item in range(200)])
        time.sleep(0.15)
        engine.cancel()
        assert engine.status().in_flight == 0
        assert engine.collect(0.2) == []
        assert ask(engine, 3).keys() == {0, 1, 2}
        assert engine.room() > 0


def test_closing_under_way_and_twice_is_harmless():
    server = FaultyServer(latency=0.5)
    with server:
        with running(server) as engine:
            engine.submit([request(item) for item in range(100)])
            time.sleep(0.05)
        engine.close()
    Server(model=server.url).close()


def test_an_engine_not_started_takes_no_requests_but_can_be_stopped():
    engine = Server(model="http://127.0.0.1:1/v1")
    with pytest.raises(EngineError, match="not been started"):
        engine.submit([request(0)])
    engine.cancel()
    engine.close()
    assert engine.status().in_flight == 0


def test_the_share_of_filled_slots_stays_what_it_was_at_the_end():
    with FaultyServer(latency=0.1) as server, running(server, concurrency=1) as engine:
        ask(engine, 3)
    time.sleep(0.5)
    assert engine.status().busy > 0.8
    engine.cancel()


# options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "localhost:8000"}, r"must read http\(s\)://host:port/v1, got 'localhost:8000'"),
        ({"model": "http://a/v1", "urls": ["ftp://b"]}, "got 'ftp://b'"),
        ({"model": "http://me:word@a/v1"}, "api_key_env"),
        ({"model": "http://a/v1", "concurrency": 0}, "at least 1, got 0"),
        ({"model": "http://a/v1", "retries": -1}, "0 or more, got -1"),
        ({"model": "http://a/v1", "timeout": 0}, "more than 0 seconds"),
        ({"model": "http://a/v1", "structured": "json"}, "structured"),
        ({"model": "http://a/v1", "concurency": 3}, "did you mean concurrency"),
    ],
)
def test_wrong_options_are_told_with_value_and_rule(options, message):
    with pytest.raises(RecipeError, match=message):
        registry.build(Server, options, place="engine")


def test_options_of_a_recipe_are_converted():
    engine = registry.build(Server, {"model": "http://a/v1/", "urls": ["http://b/v1", "http://a/v1"]}, place="engine")
    assert engine.addresses() == ["http://a/v1", "http://b/v1"]


# reading


def test_retry_after_may_be_a_date():
    assert 8 < read_failure(429, b"", formatdate(time.time() + 10, usegmt=True)).wait <= 10
    assert read_failure(429, b"", "soon").wait == 0
    assert read_failure(429, b"", "99999").wait == 300


def test_an_answer_without_text_or_usage_is_an_empty_text():
    found = read_completion(request(1), b'{"choices": [{"message": {"content": null}}]}', 0.5)
    assert found == Completion(1, 0, "", "stop", 0, 0, 0.5)


@pytest.mark.parametrize("payload", [b"", b"null", b"[]", b'{"choices": []}', b'{"error": "x"}', b'{"choices": [{}]}'])
def test_a_200_that_is_no_completion_is_a_failure(payload):
    found = read_completion(request(1), payload, 0.5)
    assert isinstance(found, Failure) and found.kind == "failed"


# how long to wait


def test_patience_is_long_until_answers_have_been_seen_and_for_other_sizes_of_answer():
    patience = Patience()
    for n in range(16):
        assert patience.allowed(max_tokens=100, sent=n, losses=0, slowest=patience.slowest()) == 600
        patience.answered(max_tokens=100, sent=n, seconds=2.0)
    slowest = patience.slowest()
    assert patience.allowed(max_tokens=100, sent=3, losses=0, slowest=slowest) == 6
    assert patience.allowed(max_tokens=100, sent=99, losses=0, slowest=slowest) == 10
    assert patience.allowed(max_tokens=100, sent=3, losses=2, slowest=slowest) == 24
    assert patience.allowed(max_tokens=1000, sent=3, losses=0, slowest=slowest) == 600


# how many at once: the limiter against servers that exist only as numbers


@dataclass
class Outcome:
    rate: float
    pushed: float
    limit: int


@dataclass
class Simulated:
    """A server with ``slots`` (more wait in line) or a ``hard`` limit (more get 429), and random 429s."""

    slots: int = 10**9
    hard: int = 10**9
    latency: float = 0.2
    spread: bool = False
    refused: float = 0.0

    def run(self, limiter, answers):
        """Return answers per second after the first fifth, the share of pushbacks, and the limit half of the time."""
        dice, events, line = random.Random(1), [], deque()
        now, serving, flying, blocked, count, done, pushed = 0.0, 0, 0, 0, 0, 0, 0
        mark, limits = 0.0, []

        def latency():
            return self.latency * (dice.lognormvariate(-0.125, 0.5) if self.spread else 1.0)

        while done < answers:
            while flying + blocked < limiter.limit:
                flying, count = flying + 1, count + 1
                if dice.random() < self.refused or serving >= self.hard:
                    heapq.heappush(events, (now + 0.002, count, "pushback", now))
                elif serving < self.slots:
                    serving += 1
                    heapq.heappush(events, (now + latency(), count, "answer", now))
                else:
                    line.append(now)
            now, _, kind, sent = heapq.heappop(events)
            if kind == "free":
                blocked -= 1
            elif kind == "pushback":
                pushed, flying, blocked, count = pushed + 1, flying - 1, blocked + 1, count + 1
                limiter.pushed_back(now)
                heapq.heappush(events, (now + limiter.penalty(), count, "free", now))
            else:
                done, serving = done + 1, serving - 1
                limiter.answered(seconds=now - sent, tokens=100, in_flight=flying, now=now)
                flying -= 1
                limits.append(limiter.limit)
                if line:
                    serving, count = serving + 1, count + 1
                    heapq.heappush(events, (now + latency(), count, "answer", line.popleft()))
                if done == answers // 5:
                    mark = now
        usual = sorted(limits)[len(limits) // 2]
        return Outcome((done - answers // 5) / (now - mark), pushed / (pushed + done), usual)


@pytest.mark.parametrize("spread", [False, True])
@pytest.mark.parametrize("slots", [10, 40, 100, 200])
def test_the_limiter_reaches_capacity_without_a_long_line(slots, spread):
    found = Simulated(slots=slots, spread=spread).run(Limiter(512), 12_000)
    assert found.rate >= 0.95 * slots / 0.2
    assert found.limit <= 2 * slots + 16


def test_the_limiter_uses_all_it_may_where_that_helps():
    assert Simulated().run(Limiter(256), 8_000).rate >= 0.95 * 256 / 0.2


@pytest.mark.parametrize("spread", [False, True])
@pytest.mark.parametrize("server", [{"slots": 100}, {}])
def test_one_in_twenty_pushed_back_at_random_costs_little(server, spread):
    free = Simulated(**server, spread=spread).run(Limiter(256), 8_000)
    found = Simulated(**server, spread=spread, refused=0.05).run(Limiter(256), 8_000)
    assert found.rate >= 0.85 * free.rate


@pytest.mark.parametrize("spread", [False, True])
@pytest.mark.parametrize("hard", [4, 20, 100])
def test_a_server_that_pushes_back_beyond_k_is_kept_full_with_few_pushbacks(hard, spread):
    found = Simulated(hard=hard, spread=spread).run(Limiter(256), 8_000)
    assert found.rate >= 0.9 * hard / 0.2
    assert found.pushed < 0.4
    assert found.limit <= 1.5 * hard


def test_pushbacks_that_a_smaller_limit_does_not_lower_are_taken_as_given():
    assert Simulated(slots=100, refused=0.3).run(Limiter(256), 12_000).rate >= 0.6 * 500


def test_a_limit_of_one_stays_one():
    limiter = Limiter(1)
    Simulated(slots=1, refused=0.2).run(limiter, 300)
    assert limiter.limit == 1


# the user's turn


class RenderingServer(FaultyServer):
    """A server that shows its chat template at work, as vLLM's does; its tokens are characters, but for the marks."""

    template = "<|user|>{}<|end|>\n<|bot|>{}<|end|>\n"
    marks = ("<|user|>", "<|end|>", "<|bot|>")

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_post("/tokenize", self._tokenize)
        app.router.add_post("/detokenize", self._detokenize)
        self.runner = web.AppRunner(app, shutdown_timeout=0.01, access_log=None)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", self.port, reuse_address=True).start()
        self.port = self.runner.addresses[0][1]

    async def _tokenize(self, request: web.Request) -> web.Response:
        body = await request.json()
        text = body.get("prompt") or self.template.format(*(m["content"] for m in body["messages"]))
        for at, mark in enumerate(self.marks):
            text = text.replace(mark, chr(at))
        return web.json_response({"tokens": [ord(c) for c in text]})

    async def _detokenize(self, request: web.Request) -> web.Response:
        tokens = (await request.json())["tokens"]
        return web.json_response({"prompt": "".join(self.marks[t] if t < 3 else chr(t) for t in tokens)})


def as_user(item):
    messages = ({"role": "system", "content": "Be kind."}, {"role": "assistant", "content": f"item {item}"})
    return Request(item, 0, messages, None, Sampling(stop=("END",)), turn="user")


def test_the_users_turn_is_opened_and_ends_where_the_template_ends_it():
    with RenderingServer() as server, running(server) as engine:
        engine.submit([as_user(1), request(2)])
        assert len(gather(engine, 2)) == 2
        sent = {bool("continue_final_message" in t.body): t.body for t in server.tries}
        assert sent[True]["messages"][-1] == {"role": "user", "content": ""} and len(sent[True]["messages"]) == 3
        assert sent[True]["continue_final_message"] is True and sent[True]["add_generation_prompt"] is False
        assert sent[True]["stop_token_ids"] == [1] and sent[True]["stop"] == ["END"]
        assert "stop_token_ids" not in sent[False]


def test_a_mark_that_is_plain_text_is_searched_for():
    with RenderingServer() as server:
        server.template = "USER: {} ASSISTANT: {}"
        with running(server) as engine:
            engine.submit([as_user(1)])
            gather(engine, 1)
            assert server.tries[0].body["stop"] == ["END", "ASSISTANT:"]


@pytest.mark.parametrize("template", ["{}<|end|>{}", "<|user|>{}{}", "<|user|>Hi<|end|>{}"])
def test_a_template_without_a_users_turn_stops_the_run_before_anything_is_generated(template):
    with RenderingServer() as server:
        server.template = template
        with running(server) as engine:
            engine.submit([as_user(1), as_user(2)])
            with pytest.raises(EngineError, match="magpie needs a template that opens a user's turn") as caught:
                engine.collect(5)
            assert "instruct" in caught.value.hint and server.tries == []


def test_a_server_that_shows_no_template_is_refused_for_the_users_turn():
    with FaultyServer() as server, running(server) as engine:
        engine.submit([as_user(1)])
        with pytest.raises(EngineError, match="does not show how its chat template") as caught:
            engine.collect(5)
        assert "/tokenize" in caught.value.hint and server.tries == []
