"""Dialogues with goals and tools: by hand turn by turn, and whole runs with real functions in real workers."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

import textsynth as ts
from textsynth import export, models
from textsynth.engines.vllm import hide_broken_torchvision
from textsynth.errors import ExportError, RecipeError, SchemaError
from textsynth.export import to_dataset
from textsynth.recipe import read
from textsynth.records import Candidate, Completion, Draw, Request
from textsynth.schema import RecordSchema

CITY = {"type": "string", "minLength": 1, "maxLength": 20}
FIND = {
    "name": "find_hotel",
    "description": "Find a hotel.",
    "parameters": {
        "type": "object",
        "properties": {"city": CITY, "stars": {"type": "integer", "minimum": 1, "maximum": 5}},
        "required": ["city"],
        "additionalProperties": False,
        "not": {"properties": {"city": {"const": "Nowhere"}}},
    },
    "result": {
        "type": "object",
        "properties": {"name": CITY, "price": {"type": "integer", "minimum": 10, "maximum": 99}},
        "required": ["name", "price"],
        "additionalProperties": False,
    },
}
TALK: dict[str, Any] = {"turns": 4, "goal": "a hotel in {{ place }}", "tools": [FIND], "environment": "simulated"}
RECIPE: dict[str, Any] = {"model": "scripted", "records": 4, "attributes": {"place": ["Rome"]}}
HOTEL, DEAR = {"name": "Sole", "price": 50}, {"name": "Luna", "price": 90}


def recipe(**options: Any) -> dict[str, Any]:
    return {**RECIPE, "method": {"dialogue": {**TALK, **options}}}


def call(city: str, **more: Any) -> dict[str, Any]:
    return {"name": "find_hotel", "arguments": {"city": city, **more}}


class Played:
    """One draw of a recipe, answered from a list: a text, or a value that is written as JSON."""

    def __init__(self, made: dict[str, Any], answers: list[Any]) -> None:
        parts = ts.check(made)
        draw: Draw = parts.plan.draw(0, 0, {name: next(iter(quota)) for name, quota in parts.quotas.items()})
        self.parts, self.requests, self.candidate = parts, list[Request](), Candidate(draw, None)
        steps, waiting = parts.method.run(draw), list(answers)
        try:
            request = next(steps)
            while True:
                self.requests.append(request)
                if not waiting:
                    return
                answer = waiting.pop(0)
                text = answer if isinstance(answer, str) else json.dumps(answer)
                request = steps.send(Completion(request.draw, request.step, text, "stop"))
        except StopIteration as stop:
            self.candidate = stop.value
        assert not waiting, "the method asked for less than was answered"

    @property
    def record(self) -> dict[str, Any]:
        assert self.candidate.record is not None, self.candidate.failure
        assert self.parts.schema.problems(self.candidate.record) == []
        return self.candidate.record

    def asked(self, at: int = -1) -> str:
        return self.requests[at].messages[-1]["content"]


START = ["A hotel, please.", {"calls": [call("Rome")]}, {"result": HOTEL}]
END = ["Thanks, and breakfast?", {"say": "It is included."}]


# A dialogue by hand


def test_a_call_its_result_and_the_tools_stand_in_the_record():
    record = Played(recipe(), [*START, {"say": "Sole costs 50."}, *END]).record
    assert [message["role"] for message in record["messages"]] == ["user", "assistant", "tool", "assistant", *CHAT]
    called, result = record["messages"][1:3]
    function = {"name": "find_hotel", "arguments": {"city": "Rome"}}
    assert called["tool_calls"] == [{"id": "call_0", "type": "function", "function": function}]
    assert (result["tool_call_id"], json.loads(result["content"])) == ("call_0", HOTEL)
    assert record["tools"][0]["function"]["parameters"] == FIND["parameters"]


CHAT = ["user", "assistant"]


def test_only_the_user_knows_the_goal_and_only_the_assistant_the_results():
    played = Played(recipe(), [*START, {"say": "Sole costs 50."}, *END])
    user, assistant = played.requests[0].messages, played.requests[1].messages
    assert "a hotel in Rome" in user[0]["content"] and "a hotel in Rome" not in assistant[0]["content"]
    assert "find_hotel(city: string, stars?: integer (1 to 5))" in assistant[0]["content"]
    assert "Sole" in played.asked(3)
    assert not any('"name"' in message["content"] for message in played.requests[4].messages)


@pytest.mark.parametrize(
    ("bad", "detail"),
    [
        ({"calls": [call("Nowhere")]}, "find_hotel: "),
        ({"calls": [call("Rome", stars=9)]}, "find_hotel: stars: "),
        ({"calls": [{"name": "fly", "arguments": {}}]}, "there is no tool 'fly'"),
    ],
)
def test_bad_arguments_are_told_and_asked_again_then_dropped(bad, detail):
    played = Played({**recipe(), "repairs": 1}, [START[0], bad, *START[1:], {"say": "Sole costs 50."}, *END])
    assert "An earlier answer was refused: " + detail in played.asked(2)
    assert [request.step for request in played.requests[:4]] == [0, 100, 101, 102]
    assert played.record["messages"][1]["tool_calls"][0]["function"]["arguments"] == {"city": "Rome"}
    assert played.record["refused_calls"] == 1
    figures = played.parts.method.summary([played.record])
    assert (figures["calls with valid arguments"], figures["calls valid at the first attempt"]) == (1.0, 0.5)
    failure = Played({**recipe(), "repairs": 1}, [START[0], bad, bad]).candidate.failure
    assert failure.reason == "tool_arguments" and failure.detail.startswith(detail)


def test_a_simulated_result_is_held_to_its_schema():
    wrong = {"result": {"name": "Sole", "price": 500}}
    played = Played({**recipe(), "repairs": 1}, [*START[:2], wrong, START[2], {"say": "Sole costs 50."}, *END])
    held = jsonschema_rs.validator_for(json.loads(played.requests[2].schema))
    assert held.is_valid(START[2]) and not held.is_valid({"result": {"name": "Sole", "price": "50"}})
    assert "find_hotel: price: " in played.asked(3)
    assert json.loads(played.record["messages"][2]["content"]) == HOTEL
    failure = Played({**recipe(), "repairs": 1}, [*START[:2], wrong, wrong]).candidate.failure
    assert failure.reason == "tool_result" and "price" in failure.detail


def test_calls_at_once_have_their_own_ids_in_order():
    calls = {"calls": [call("Rome"), call("Pisa")]}
    answers = [START[0], calls, {"result": HOTEL}, {"result": DEAR}, {"say": "Sole is cheaper."}]
    again = ["And in Bari?", {"calls": [call("Bari")]}, {"result": HOTEL}, {"say": "Sole there too."}]
    record = Played(recipe(parallel=2), [*answers, *again]).record
    called = [one["id"] for message in record["messages"] for one in message.get("tool_calls", ())]
    answered = [message["tool_call_id"] for message in record["messages"] if message["role"] == "tool"]
    assert called == answered == ["call_0", "call_1", "call_2"]
    contents = [json.loads(message["content"]) for message in record["messages"] if message["role"] == "tool"]
    assert contents == [HOTEL, DEAR, HOTEL]


def test_the_environment_sees_its_state_and_the_earlier_calls():
    answers = [*START, {"calls": [call("Pisa")]}, {"result": DEAR}, {"say": "Sole is cheaper."}, *END]
    played = Played(recipe(state="Only {{ place }} has rooms."), answers)
    assert "Only Rome has rooms." in played.asked(2) and "Earlier calls" not in played.asked(2)
    assert f'find_hotel({{"city": "Rome"}}) -> {json.dumps(HOTEL)}' in played.asked(4)


def test_the_same_call_in_one_turn_is_not_made_twice():
    played = Played({**recipe(), "repairs": 1}, [*START, START[1], {"say": "Sole costs 50."}, *END])
    assert "calls" not in json.loads(played.requests[4].schema)["properties"]
    assert sum("tool_calls" in message for message in played.record["messages"]) == 1


def test_a_dialogue_ends_by_its_goal_or_its_length():
    def says(text: str, *, done: bool) -> dict[str, Any]:
        return {"done": done, "text": text}

    options = {"ends": "goal", "turns": [2, 6], "persona": "is in a hurry"}
    first = [says("A hotel, please.", done=False), *START[1:], {"say": "Sole costs 50."}]
    early = Played(recipe(**options), [*first, says("Thanks!", done=True), {"say": "Bye."}])
    assert early.record["ended"] == "goal" and early.record["messages"][-1]["content"] == "Bye."
    assert "is in a hurry" in early.requests[0].messages[0]["content"]
    more = [says("And two?", done=False), {"say": "Yes."}, says("Three?", done=False), {"say": "No."}]
    late = Played(recipe(**options), [*first, *more])
    assert late.record["ended"] == "length"
    allowed = [json.loads(late.requests[at].schema)["properties"]["done"] for at in (0, 4)]
    assert allowed == [{"const": False}, {"type": "boolean"}], "it cannot end before it has begun"


def test_the_last_turn_makes_the_calls_that_are_missing_and_the_user_waits_for_them():
    options = {"ends": "goal", "turns": 4}
    said = [{"done": False, "text": "A hotel."}, {"say": "Where?"}, {"done": False, "text": "In Rome."}]
    played = Played(recipe(**options), [*said, *START[1:], {"say": "Sole costs 50."}])
    assert json.loads(played.requests[2].schema)["properties"]["done"] == {"const": False}
    assert list(json.loads(played.requests[3].schema)["properties"]) == ["calls"]
    assert [message["role"] for message in played.record["messages"]] == [*CHAT, *CHAT, "tool", "assistant"]


def test_a_dialogue_without_a_call_is_dropped_unless_that_is_wanted():
    answers = [START[0], {"say": "Sole costs 50."}, *END]
    assert Played(recipe(), answers).candidate.failure.reason == "no_call"
    assert len(Played(recipe(least_calls=0), answers).record["messages"]) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tools": [{key: FIND[key] for key in ("name", "parameters")}]}, "find_hotel has no result schema"),
        ({"environment": "functions"}, "find_hotel has no function"),
        ({"tools": None}, "there are no tools"),
        ({"ends": "goal", "turns": [2, 5]}, "most is even"),
        ({"parallel": 90}, "may ask 100 times"),
        ({"tools": {"by": "service", "sets": {"a": [FIND]}}}, "service"),
        ({"tools": [{**FIND, "result": False}]}, "result"),
    ],
)
def test_wrong_options_are_told_before_the_run(options, message):
    with pytest.raises((RecipeError, SchemaError)) as caught:
        ts.check(recipe(**options))
    assert message in str(caught.value)


# Whole runs

MODULE = '''
from pathlib import Path
from typing import Any


def find(city: str, stars: int = 3, context: Any = None) -> dict[str, int]:
    """Find a hotel."""
    with open(Path(__file__).with_name("calls.txt"), "a") as file:
        file.write("x")
    return {"price": 10 * stars, "before": len(context["calls"]), "state": len(context["state"])}


def fail(city: str) -> dict[str, int]:
    """Find a hotel."""
    raise LookupError("no such city: it is far away")
'''


def functions(tmp_path: Path, name: str, **options: Any) -> Any:
    """Return a recipe whose tool is a function of a module beside it (modules stay loaded: a name per test)."""
    module = f"hotels_{name}_{os.getpid()}"
    (tmp_path / f"{module}.py").write_text(MODULE)
    talk = {"turns": 4, "goal": "a hotel", "state": "full", "tools": [f"{module}:find"], "least_calls": 2, **options}
    talk["tools"] = [tool.replace("HERE", module) for tool in talk["tools"]]
    return read({**RECIPE, "records": 12, "filters": ["duplicate"], "method": {"dialogue": talk}}).at(tmp_path)


def results(records: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Return the results of each record's calls."""
    return [[json.loads(m["content"]) for m in record["messages"] if m["role"] == "tool"] for record in records]


def test_functions_answer_in_workers_and_see_earlier_calls(tmp_path):
    made = ts.run(functions(tmp_path, "see"), folder=tmp_path / "run")
    records = list(made.records())
    assert made.complete and len(records) == 12
    for found in results(records):
        assert [result["before"] for result in found] == list(range(len(found)))
        assert all(result["state"] == len("full") for result in found)
    assert max(map(len, results(records))) > 1
    assert made.figures["calls with valid arguments"] == made.figures["calls valid at the first attempt"] == 1.0
    database = sqlite3.connect(tmp_path / "run" / "ledger.sqlite")
    stored = [text for (text,) in database.execute("SELECT text FROM completions") if '"before"' in text]
    database.close()
    assert len(stored) == len((tmp_path / "calls.txt").read_text()), "each call is worked once, and stored"


def test_a_function_that_raises_drops_the_dialogue_with_its_words(tmp_path):
    made = ts.run(functions(tmp_path, "fail", tools=["HERE:fail"], least_calls=0), folder=tmp_path / "run")
    failed = [verdict for verdict in dropped(tmp_path / "run") if verdict[0] == "tool_error"]
    assert failed and all("no such city: it is far away" in detail for _, detail in failed)
    assert not any(results(list(made.records())))


def dropped(folder: Path) -> list[tuple[str, str]]:
    database = sqlite3.connect(folder / "ledger.sqlite")
    found = list(database.execute("SELECT reason, detail FROM verdicts WHERE reason != ''"))
    database.close()
    return found


def test_a_run_that_stopped_goes_on_to_the_same_records(tmp_path):
    whole = ts.run(functions(tmp_path, "whole"), folder=tmp_path / "whole")
    recipe = functions(tmp_path, "whole").model_copy(update={})
    cut = recipe.model_copy(update={"limits": recipe.limits.model_copy(update={"draws": 5})})
    first = ts.run(cut, folder=tmp_path / "cut")
    assert not first.complete
    done = len((tmp_path / "calls.txt").read_text())
    again = ts.run(recipe, folder=tmp_path / "cut")
    assert again.complete and list(again.records()) == list(whole.records())
    assert len((tmp_path / "calls.txt").read_text()) > done


def test_every_service_calls_its_own_tools(tmp_path):
    bus = {**FIND, "name": "find_bus"}
    (tmp_path / "tools.json").write_text(json.dumps({"hotels": [FIND], "buses": [bus]}))
    made = recipe(tools={"by": "service", "file": "tools.json"})
    made |= {"attributes": {"service": ["hotels", "buses"], "place": ["Rome"]}, "records": 20}
    made |= {"schema": {"service": ["hotels", "buses"], "happy": "bool"}}
    run = ts.run(read(made).at(tmp_path), folder=tmp_path / "run")
    names = {"hotels": "find_hotel", "buses": "find_bus"}
    validators = {"result": RecordSchema(FIND["result"]), "arguments": RecordSchema(FIND["parameters"])}
    seen = set()
    for record in run.records():
        seen.add(record["service"])
        assert [tool["function"]["name"] for tool in record["tools"]] == [names[record["service"]]]
        for message in record["messages"]:
            for one in message.get("tool_calls", ()):
                assert one["function"]["name"] == names[record["service"]]
                assert not validators["arguments"].problems(one["function"]["arguments"])
            if message["role"] == "tool":
                assert not validators["result"].problems(json.loads(message["content"]))
    assert seen == {"hotels", "buses"}


def test_a_value_without_tools_drops_the_draw():
    made = recipe(tools={"by": "service", "sets": {"hotels": [FIND]}})
    played = Played({**made, "attributes": {"service": ["buses"], "place": ["Rome"]}}, [])
    assert played.candidate.failure.reason == "no_tools"


def test_a_dialogue_takes_its_goal_from_an_earlier_step(tmp_path):
    steps = [
        {"method": "record", "schema": {"wish": "str 5..40"}, "prompt": "What might a guest want?"},
        {"method": {"dialogue": {**TALK, "goal": "{{ wish }}"}}},
    ]
    made = ts.run({**RECIPE, "steps": steps}, folder=tmp_path / "run")
    assert made.accepted == 4
    index, record = next(made.ledger.kept())
    assert list(record) == ["wish", "messages", "tools", "refused_calls"]
    assert f"What you want: {record['wish']}" in made.why(index).requests[1].messages[0]["content"]


# What trainers get

TEMPLATE = Path(__file__).parent / "data" / "sgd_tools" / "chat_template.jinja"
"""The chat template of Qwen2.5 (Apache-2.0)."""


def exported(tmp_path: Path, records: list[dict[str, Any]], schema: RecordSchema) -> Any:
    """Return the rows of records in the form messages, through a Parquet file."""
    datasets = pytest.importorskip("datasets")
    form = export.build("messages", {})
    form.check(schema)
    made = to_dataset(iter(records), form, schema, {"train": 1.0}, 0)["train"]
    made.to_parquet(tmp_path / "rows.parquet")
    return datasets.Dataset.from_parquet(str(tmp_path / "rows.parquet"), cache_dir=str(tmp_path / "cache"))


def some_records() -> tuple[list[dict[str, Any]], RecordSchema]:
    """Return dialogues with one call, with two at once and with none, and their schema."""
    made = recipe(parallel=2, least_calls=0)
    calls = {"calls": [call("Rome", stars=3), call("Pisa")]}
    two = [START[0], calls, {"result": HOTEL}, {"result": DEAR}, {"say": "Sole is cheaper."}, *END]
    plans = [[*START, {"say": "Sole costs 50."}, *END], two, [START[0], {"say": "Where?"}, *END]]
    played = [Played(made, answers) for answers in plans]
    return [one.record for one in played], played[0].parts.schema


def test_rows_hold_messages_and_tools_with_just_the_keys_they_have(tmp_path):
    records, schema = some_records()
    rows = exported(tmp_path, records, schema).to_list()
    assert rows == records


def test_a_chat_template_shows_rows_as_it_shows_the_records(tmp_path, tokenizer):
    records, schema = some_records()
    for record, row in zip(records, exported(tmp_path, records, schema), strict=True):
        shown, wanted = (
            tokenizer.apply_chat_template(one["messages"], tools=one["tools"], tokenize=False) for one in (row, record)
        )
        assert shown == wanted and "None" not in shown
        assert '"name": "find_hotel"' in shown and shown.count("<tool_response>") == str(row["messages"]).count(
            "'tool_call_id'"
        )


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """Return the default model's tokenizer with the template of Qwen2.5."""
    transformers = pytest.importorskip("transformers")
    found = transformers.AutoTokenizer.from_pretrained(models.find("default").location)
    found.chat_template = TEMPLATE.read_text(encoding="utf-8")
    return found


@pytest.mark.filterwarnings("ignore:TRL currently supports vLLM versions:UserWarning")
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
def test_a_trainer_takes_rows_with_tool_calls(tmp_path, tokenizer):
    trl = pytest.importorskip("trl")
    hide_broken_torchvision()
    import torch
    import transformers

    records, schema = some_records()
    rows = exported(tmp_path, records, schema)
    config = transformers.AutoConfig.from_pretrained(models.find("default").location)
    config.num_hidden_layers = 2
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config)
    options = {"max_steps": 2, "per_device_train_batch_size": 1, "max_length": 512, "report_to": [], "use_cpu": True}
    arguments = trl.SFTConfig(str(tmp_path / "out"), save_strategy="no", bf16=False, disable_tqdm=True, **options)
    trainer = trl.SFTTrainer(model, arguments, train_dataset=rows, processing_class=tokenizer)
    shown = tokenizer.decode(trainer.train_dataset[0]["input_ids"])
    assert '<tool_call>\n{"name": "find_hotel", "arguments": {"city": "Rome"}}' in shown and '"parameters"' in shown
    assert trainer.train().global_step == 2


@pytest.mark.parametrize("name", ["prompt", "chosen", "conversations", "input_ids"])
def test_columns_that_trainers_read_otherwise_may_not_stand_beside_messages(name):
    made = Played({**recipe(), "schema": {name: "str"}}, []).parts
    with pytest.raises(ExportError, match=f"{name}: a column of this name cannot stand beside 'messages'"):
        export.build("messages", {}).check(made.schema)
