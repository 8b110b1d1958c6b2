"""Programs are kept only if their tests pass: the method with its repairs, and the filter, with the sandbox really run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import settle

import textsynth as ts
from textsynth import schema
from textsynth.errors import RecipeError
from textsynth.filters import Setting
from textsynth.filters.code import Code
from textsynth.judge import Judge
from textsynth.methods.code import Code as Method
from textsynth.methods.code import assertions, stub
from textsynth.records import Candidate, Completion, Draw, Request

PROBLEM = "Write a function double(n)."
TESTS = "assert double(2) == 4\nassert double(0) == 0"
GOOD, WRONG = "```python\ndef double(n):\n    return 2 * n\n```", "def double(n):\n    return n + 2"


def recipe(tmp_path: Path, *, given: Any = TESTS, texts: tuple[str, ...] = (GOOD,), **options: Any) -> dict[str, Any]:
    row = {"problem": PROBLEM} | ({} if given is None else {"tests": given})
    (tmp_path / "problems.jsonl").write_text(json.dumps(row) + "\n")
    return {
        "model": "scripted",
        "records": 2,
        "method": {"code": options},
        "seeds": {"path": str(tmp_path / "problems.jsonl"), "shots": 1},
        "filters": [],
        "engine": {"texts": list(texts)},
        "windows": {"size": 4},
        "limits": {"draws": 8, "acceptance": 0},
    }


def play(given: dict[str, Any], answers: list[Any]) -> tuple[Candidate, list[Request]]:
    """Drive one draw by hand: the model says the answers in turn, the sandbox is the method's own worker."""
    parts = ts.check(given)
    draw: Draw = parts.plan.draw(0, 0, {})
    steps, waiting, asked = parts.method.run(draw), list(answers), []
    workers = parts.method.workers()
    try:
        request = next(steps)
        while True:
            if request.model in workers:
                done = Completion(request.draw, request.step, workers[request.model](request), "stop")
            else:
                asked.append(request)
                said = waiting.pop(0)
                done = said if isinstance(said, Completion) else Completion(request.draw, request.step, said, "stop")
            request = steps.send(done)
    except StopIteration as stop:
        assert not waiting
        return stop.value, asked


def test_a_program_that_passes_is_kept_with_its_tests(tmp_path):
    candidate, asked = play(recipe(tmp_path), [GOOD])
    assert candidate.record == {
        "problem": PROBLEM,
        "tests": TESTS,
        "solution": "def double(n):\n    return 2 * n",
        "attempts": 1,
        "test_output": "passed",
    }
    shown = asked[0].messages[-1]["content"]
    assert PROBLEM in shown and "assert double(2) == 4" in shown and asked[0].schema is None


def test_a_failing_program_is_shown_its_error_and_repaired(tmp_path):
    candidate, asked = play(recipe(tmp_path), [WRONG, GOOD])
    assert candidate.record["attempts"] == 2
    assert candidate.record["test_output"].startswith("passed; attempt 1: assertion: tests, line 2")
    roles = [message["role"] for message in asked[1].messages]
    assert roles[-2:] == ["assistant", "user"] and asked[1].messages[-2]["content"] == WRONG
    assert "assert double(0) == 0" in asked[1].messages[-1]["content"]
    assert len({request.step for request in asked}) == 2 and len({request.sampling.seed for request in asked}) == 2


def test_a_problem_that_no_attempt_solves_is_dropped_with_the_last_error(tmp_path):
    candidate, asked = play(recipe(tmp_path, repairs=1), ["", WRONG])
    assert candidate.record is None and len(asked) == 2
    assert candidate.failure.reason == "tests_failed" and candidate.failure.detail == "assertion: AssertionError"
    assert "holds no code" in asked[1].messages[-1]["content"]


def test_an_engine_error_ends_the_draw(tmp_path):
    error = Completion(0, 10_000, "", "error", error="gone")
    candidate, _ = play(recipe(tmp_path), [error])
    assert candidate.failure.reason == "engine_error" and candidate.failure.detail == "gone"


@pytest.mark.parametrize("tests", ["double(2) == 4", "assert double(2 ==", {"rows": 1}, []])
def test_tests_that_cannot_be_read_are_a_drop(tmp_path, tests):
    candidate, asked = play(recipe(tmp_path, given=tests), [])
    assert candidate.failure.reason == "no_tests" and asked == []


def test_cases_of_input_and_output_are_shown_and_run(tmp_path):
    tests = [{"input": "2", "output": "4"}, {"input": "5", "output": "10"}]
    candidate, asked = play(recipe(tmp_path, given=tests), ["print(int(input()) * 2)"])
    assert json.loads(candidate.record["tests"]) == tests
    assert "reads standard input" in asked[0].messages[-1]["content"]


def test_sql_is_shown_its_tables_and_run(tmp_path):
    tests = {"setup": "CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1), (2);", "rows": [[2]]}
    given = recipe(tmp_path, given=tests, language="sql", field="query")
    candidate, asked = play(given, ["SELECT a FROM t", "```sql\nSELECT a FROM t WHERE a > 1;\n```"])
    assert candidate.record["query"] == "SELECT a FROM t WHERE a > 1;" and candidate.record["attempts"] == 2
    assert "CREATE TABLE t" in asked[0].messages[-1]["content"]
    assert "expected 1 rows [[2]], got 2 [[1], [2]]" in asked[1].messages[-1]["content"]


def test_written_tests_must_fail_for_a_function_that_returns_nothing(tmp_path):
    given = recipe(tmp_path, given=None, tests="written")
    written = "```python\nassert double(1) is None\nassert double(2) == 4\nassert double(3) == 6\nassert 1 == 1\n```"
    candidate, asked = play(given, [written, GOOD])
    assert candidate.record["tests"] == "assert double(2) == 4\nassert double(3) == 6"
    assert candidate.record["tests"] in asked[1].messages[-1]["content"]
    vacuous = given | {"repairs": 1}
    candidate, _ = play(vacuous, ["assert double(1) is None", "assert not double(1)"])
    assert candidate.failure.reason == "vacuous_tests"
    candidate, _ = play(vacuous, ["I cannot.", "assert (("])
    assert candidate.failure.reason == "no_tests"


def test_only_assertions_about_functions_are_taken():
    text = "def f(): pass\nassert f(1) == 2\n  assert f(2)\nassert len([]) == 0\nassert f(1) == 2\nassert f(\nx = 1"
    assert assertions(text) == ["assert f(1) == 2", "assert f(2)"]
    assert stub(["assert f(1) == g(2)"]).count("def ") == 2


def test_a_run_ends_by_its_limits_and_tells_what_passed(tmp_path):
    run = ts.run(recipe(tmp_path, texts=(GOOD, WRONG)), folder=tmp_path / "run")
    rows = list(run.records())
    assert len(rows) == 2 and {row["attempts"] for row in rows} == {1}
    assert ts.check(recipe(tmp_path)).method.summary(rows) == {"passed_first": 2, "passed_after_repair": 0}
    none = ts.run(recipe(tmp_path, texts=(WRONG,)), folder=tmp_path / "none")
    assert list(none.records()) == [] and {row["reason"] for row in none.rejected} == {"tests_failed"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"repairs": -1}, "repairs must be between 0 and 20"),
        ({"language": "sql", "tests": "written"}, "written works for python"),
        ({"field": "problem"}, "two fields of their own"),
        ({"memory_mb": 1}, "memory_mb must be at least 64"),
        ({"problem": "task"}, "the field 'task' must be given"),
    ],
)
def test_options_that_cannot_work_are_refused(tmp_path, options, message):
    with pytest.raises(RecipeError, match=message):
        ts.check(recipe(tmp_path, **options))


# --- the filter --------------------------------------------------------------------------------------------------------

RECORD = schema.load({"solution": "text", "tests": "text"}, folder=Path(), place="schema")


def candidates(*rows: dict[str, Any]) -> list[Candidate]:
    blank = Draw(0, 0, {}, (), 0)
    return [Candidate(replace(blank, index=index), row) for index, row in enumerate(rows)]


def test_the_filter_drops_what_fails_with_the_error():
    checker = Code(seconds=1)
    checker.prepare(Setting(RECORD, (), ("solution",)))
    batch = candidates(
        {"solution": GOOD, "tests": TESTS},
        {"solution": WRONG, "tests": TESTS},
        {"solution": "while True: pass", "tests": TESTS},
        {"solution": GOOD, "tests": "double(2)"},
        {"solution": "print(input())", "tests": '[{"input": "a", "output": "a"}]'},
    )
    judge = Judge(filters={"code": checker})
    judge.begin(batch)
    verdicts = settle(judge, batch)
    assert judge.ready(batch)
    assert [verdict.kept for verdict in verdicts] == [True, False, False, False, True]
    details = [verdict.drop.detail for verdict in verdicts if verdict.drop]
    assert details[0] == "assertion: AssertionError" and details[1] == "timeout: no end after 1 s"
    assert details[2].startswith("tests: must be Python code with assert")
    assert {verdict.drop.reason for verdict in verdicts if verdict.drop} == {"code"}
    measured = checker.measured()
    assert (measured["run"], measured["passed"]) == (5, 2)
    assert measured["failures"] == {"assertion": 1, "tests": 1, "timeout": 1}
    checker.close()


def test_the_filter_refuses_fields_that_are_not_there():
    with pytest.raises(ValueError, match="program"):
        Code(field="program").prepare(Setting(RECORD, (), ()))
    with pytest.raises(ValueError, match="seconds"):
        Code(seconds=0)


def test_the_method_says_what_its_drops_mean():
    assert {"tests_failed", "no_tests", "vacuous_tests"} <= set(Method.reasons)
