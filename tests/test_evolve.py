"""Evolution: every round is checked, a failed one is tried with another operation, the lineage stands in the record."""

from __future__ import annotations

import json
from typing import Any

import pytest

import textsynth as ts
from textsynth.errors import RecipeError
from textsynth.methods.evolve import EXAMPLE, SHOWN, TASKS
from textsynth.records import Candidate, Completion, Request

FIRST = "Name three fruits."
SECOND = "Name three fruits that ripen in winter and say where each one grows."
THIRD = "Which berries keep their colour when they are dried, and why is that so?"


def recipe(*, repairs: int = 2, **options: Any) -> dict[str, Any]:
    return {
        "model": "scripted",
        "records": 3,
        "method": {"evolve": options},
        "attributes": {"instruction": [FIRST]},
        "repairs": repairs,
    }


def play(wanted: dict[str, Any], *answers: Any) -> tuple[list[Request], Candidate | None]:
    """Answer the requests of draw 0 in turn: a value (as JSON), a text, or the facts of a completion."""
    parts = ts.check(wanted)
    steps, asked = parts.method.run(parts.plan.draw(0, 0, {})), []
    try:
        request = next(steps)
        for answer in answers:
            asked.append(request)
            facts = answer if isinstance(answer, dict) and "finish_reason" in answer else {"text": answer}
            facts = {"text": "", "finish_reason": "stop", **facts}
            if not isinstance(facts["text"], str):
                facts["text"] = json.dumps(facts["text"])
            request = steps.send(Completion(request.draw, request.step, **facts))
        asked.append(request)
    except StopIteration as stop:
        return asked, stop.value
    return asked, None


def wish(request: Request) -> str:
    """Return the operation that a request asks for."""
    (found,) = [name for name, task in TASKS.items() if task in request.messages[-1]["content"]]
    return found


def test_the_lineage_goes_from_the_original_to_the_text_of_the_record():
    asked, candidate = play(recipe(rounds=2), {"instruction": SECOND}, {"instruction": THIRD})
    assert candidate.record["instruction"] == THIRD
    lineage = candidate.record["evolution"]
    assert [entry["text"] for entry in lineage] == [FIRST, SECOND, THIRD]
    assert [entry["operation"] for entry in lineage] == ["original", *map(wish, asked)]
    assert FIRST in asked[0].messages[-1]["content"] and SECOND in asked[1].messages[-1]["content"]
    assert set(json.loads(asked[0].schema)["properties"]) == {"instruction"}
    shown = json.loads(asked[0].messages[-2]["content"])
    assert asked[0].messages[-2]["role"] == "assistant" and shown == {"instruction": SHOWN[wish(asked[0])]}
    assert not ts.check(recipe(rounds=2)).schema.problems(candidate.record)


@pytest.mark.parametrize(
    ("evolved", "why"),
    [
        ("Name three fruits!", "like an earlier text"),
        ("The rewritten prompt asks for three fruits from cold lands.", "talks about the prompt"),
        ("#Rewritten Prompt#: fruits of the north", "talks about the prompt"),
        ("The same task with one more condition that fruits must meet.", "repeats what was asked"),
        (f"{EXAMPLE} And a cat.", "repeats what was asked"),
        ("Name three {adjective} fruits that grow in winter.", "leaves a blank"),
        ("Grow fruit.", "fewer than 3 words"),
        ("I'm sorry, but I will not rewrite that.", "refuses"),
        (" ".join(f"w{n}" for n in range(60)), "adds 57 words"),
        ("", "instruction"),
    ],
)
def test_a_failed_evolution_is_tried_again_by_another_operation(evolved, why):
    asked, candidate = play(recipe(), {"instruction": evolved}, {"instruction": SECOND})
    assert wish(asked[0]) != wish(asked[1]) and asked[0].sampling.seed != asked[1].sampling.seed
    assert candidate.record["evolution"][1] == {"operation": wish(asked[1]), "text": SECOND}
    _, dropped = play(recipe(repairs=0, failed="drop"), {"instruction": evolved})
    assert dropped.failure.reason == "not_evolved" and why in dropped.failure.detail


def test_a_round_that_fails_for_good_leaves_the_earlier_text_standing():
    same = {"instruction": FIRST}
    _, kept = play(recipe(rounds=2, failed="keep"), same, same, same, {"instruction": SECOND})
    assert kept.record["instruction"] == SECOND and len(kept.record["evolution"]) == 2
    _, dropped = play(recipe(rounds=2, failed="drop"), {"instruction": SECOND}, *[{"instruction": SECOND}] * 3)
    assert dropped.record is None and dropped.failure.detail.startswith("round 2")
    _, broken = play(recipe(), {"finish_reason": "error", "error": "gone"})
    assert broken.failure.reason == "engine_error"


def test_an_evolution_back_to_the_original_counts_as_none():
    _, candidate = play(recipe(rounds=2, repairs=1) | {"repairs": 0}, {"instruction": SECOND}, {"instruction": FIRST})
    assert [entry["text"] for entry in candidate.record["evolution"]] == [FIRST, SECOND]


def test_only_operations_with_weight_are_drawn():
    only = recipe(rounds=1, operations={"constrain": 1.0, "deepen": 0.0})
    parts = ts.check(only)
    for index in range(20):
        request = next(parts.method.run(parts.plan.draw(index, 0, {})))
        assert wish(request) == "constrain"
    parts = ts.check(recipe(operations={"constrain": 9.0, "deepen": 1.0}))
    drawn = [wish(next(parts.method.run(parts.plan.draw(index, 0, {})))) for index in range(200)]
    assert 150 < drawn.count("constrain") < 200


def test_the_model_is_asked_whether_it_got_harder():
    wanted = recipe(harder="ask", operations={"deepen": 1.0, "constrain": 1.0}, failed="drop")
    asked, candidate = play(
        wanted, {"instruction": SECOND}, {"harder": False}, {"instruction": THIRD}, {"harder": True}
    )
    assert FIRST in asked[1].messages[-1]["content"] and SECOND in asked[1].messages[-1]["content"]
    assert [entry["text"] for entry in candidate.record["evolution"]] == [FIRST, THIRD]
    assert len({request.step for request in asked}) == 4
    _, dropped = play(wanted, {"instruction": SECOND}, {"harder": False}, {"instruction": THIRD}, "no JSON")
    assert "no harder" in dropped.failure.detail


def test_it_stands_in_a_chain_and_its_text_is_answered():
    chain = {key: value for key, value in recipe().items() if key != "method"} | {"steps": ["evolve", "instruct"]}
    asked, candidate = play(chain, {"instruction": SECOND}, "Medlars, quinces and sloes.")
    assert asked[1].schema is None and asked[1].messages[-1]["content"] == SECOND
    assert set(candidate.record) == {"instruction", "evolution", "response"}
    assert candidate.record["instruction"] == SECOND


def test_what_it_cannot_work_on_is_refused_before_the_run():
    with pytest.raises(RecipeError, match="'instruction' must be given"):
        ts.check({"model": "scripted", "records": 3, "method": "evolve"})
    with pytest.raises(RecipeError, match="take 'label' out"):
        ts.check(recipe() | {"schema": {"label": ["a", "b"]}})
    for options in ({"rounds": 0}, {"operations": {}}, {"unchanged": 0}, {"max_added": 0}, {"field": "evolution"}):
        with pytest.raises(RecipeError, match=next(iter(options))):
            ts.check(recipe(**options))


def test_the_figures_count_operations_and_words():
    _, candidate = play(recipe(), {"instruction": SECOND})
    unchanged = {"instruction": FIRST, "evolution": [{"operation": "original", "text": FIRST}]}
    found = ts.check(recipe()).method.summary([candidate.record, unchanged])
    assert found["evolved"] == "1 of 2" and found["words added (mean)"] == 10
    assert sum(found["operations"].values()) == 1


def test_a_run_of_seeds_ends_with_lineages(tmp_path):
    (tmp_path / "tasks.jsonl").write_text(
        "\n".join(json.dumps({"instruction": f"Do the thing number {n}."}) for n in range(9))
    )
    wanted = {
        "model": "scripted",
        "records": 6,
        "steps": [{"evolve": {"rounds": 2}}, "instruct"],
        "seeds": {"path": str(tmp_path / "tasks.jsonl"), "shots": 1},
        "filters": ["refusal", "copied"],
    }
    run = ts.run(wanted, folder=tmp_path / "run")
    rows = list(run.records())
    assert len(rows) == 6
    assert all(row["evolution"][-1]["text"] == row["instruction"] and len(row["evolution"]) == 3 for row in rows)
