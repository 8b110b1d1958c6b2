"""Programs that pass their tests: the model writes one, a sandbox runs it, and what failed is shown to the model again."""

from __future__ import annotations

import ast
import builtins
import json
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from textsynth.methods import Method, Setting, Steps
from textsynth.methods._fields import SEED_STEP
from textsynth.prompts import Prompt
from textsynth.records import Candidate, Completion, Draw, Drop, Message, Record, Request, Sampling
from textsynth.sandbox import Language, Limits, Program, execute, read_code, read_tests
from textsynth.schema import RecordSchema, load

SANDBOX = "sandbox"
"""The worker's name."""
STEPS_PER_ATTEMPT = 10
FIRST_ATTEMPT = 10_000
"""Steps before are for the tests that the model writes."""


@dataclass
class Code(Method):
    """Programs for given problems, kept only if they really pass their tests.

    For each problem the model writes a program, which is run against the tests in a sandbox (no network, time, memory and
    file limits; see ``textsynth.sandbox``). If it fails, the model is shown its program and the error and tries again. The
    record has the problem, the tests, the program, ``attempts`` (how many it took) and ``test_output`` (what the tests said).

    Tests are given with the problem (a field ``tests`` of the seeds, an attribute or an earlier step: Python with assert
    statements, a list of ``{input, output}``, or for SQL ``{setup, rows}``), or written by the model before the program:
    three assert statements, of which those are kept that a function returning nothing fails.

    Drops a problem that no attempt solved, tests that cannot be read, and tests that any program passes.

    Args:
        field: the field that the program is written to.
        problem: the field with the problem.
        tests: whether the tests are ``given`` or ``written`` by the model (Python only).
        language: ``python`` (its standard library alone) or ``sql`` (SQLite's).
        repairs: how often the model is shown an error and tries again.
        seconds: time for all tests of a program.
        memory_mb: memory of a program.
        repair: the template that shows the error.
        test: the template that asks for tests.
    """

    default_prompt = "code/solve"
    seeds_are_records = False
    paper = "Chen et al. 2023, Teaching Large Language Models to Self-Debug (arXiv 2304.05128)"
    reasons: ClassVar[Mapping[str, str]] = {
        "tests_failed": "raise repairs, use a larger model (one trained on code), or easier problems",
        "no_tests": "give every problem tests that can be read, or have them written: tests: written",
        "vacuous_tests": "use a larger model to write tests, or give them",
        "no_input": "give every draw a problem",
    }

    field: str = "solution"
    problem: str = "problem"
    tests: Literal["given", "written"] = "given"
    language: Language = "python"
    repairs: int = 2
    seconds: float = 5.0
    memory_mb: int = 512
    repair: str = "code/repair"
    test: str = "code/tests"

    def __post_init__(self) -> None:
        """Check the options, and name the fields."""
        if not 0 <= self.repairs <= 20:
            raise ValueError(f"repairs must be between 0 and 20, got {self.repairs}")
        if self.tests == "written" and self.language == "sql":
            raise ValueError("tests: written works for python; give the tests of SQL problems with them: {setup, rows}")
        names = (self.problem, "tests", self.field, "attempts", "test_output")
        if len(set(names)) < len(names):
            raise ValueError(
                f"problem and field must name two fields of their own, got {self.problem!r}, {self.field!r}"
            )
        self._limits = Limits(seconds=self.seconds, memory_mb=self.memory_mb)
        self.own_fields = names
        if self.language == "sql":
            self.default_prompt = "code/query"

    def record_schema(self, given: RecordSchema | None) -> RecordSchema:
        """Return the schema of problem, tests, program and how it went."""
        if given is not None and (others := [name for name in given.properties if name not in self.own_fields]):
            names = ", ".join(self.own_fields)
            raise ValueError(f"code writes {names} alone: take {others[0]!r} out, or have another step write it")
        text = {"type": "string", "minLength": 1}
        properties = {
            self.problem: text,
            "tests": text,
            self.field: text,
            "attempts": {"type": "integer", "minimum": 1, "maximum": self.repairs + 1},
            "test_output": {"type": "string"},
        }
        theirs = given.properties if given else {}
        document = {
            "type": "object",
            "properties": {name: theirs.get(name, part) for name, part in properties.items()},
            "required": list(properties),
            "additionalProperties": False,
        }
        return load(document, folder=Path(), place="schema")

    def carried_fields(self) -> tuple[str, ...]:
        """Return problem, tests and what the tests said: they are nothing that a filter of texts should judge."""
        return (self.problem, "tests", "test_output")

    def variables(self) -> dict[str, str]:
        """Return what the templates may use."""
        return {
            "problem": "what the program must do",
            "tests": "the tests as text: assert statements, examples of input and output, or the tables and rows",
            "setup": "for SQL: the script that makes the tables; else empty",
            "language": "python or sql",
            "solution": "the program that failed (template of repair only; empty before)",
            "error": "why it failed (template of repair only; empty before)",
        }

    def templates(self) -> list[str]:
        """Return the templates of the repair and of the tests."""
        return [self.repair, *([self.test] if self.tests == "written" else [])]

    def workers(self) -> Mapping[str, Callable[[Request], str]]:
        """Return the sandbox."""
        return {SANDBOX: self._execute}

    def prepare(self, setting: Setting) -> None:
        """Check that problem and tests are given, and load the templates."""
        setting.require([self.problem, *(["tests"] if self.tests == "given" else [])])
        self.setting = setting
        self._repair: Prompt = setting.load_prompt(self.repair)
        self._test: Prompt = setting.load_prompt(self.test)

    def run(self, draw: Draw) -> Steps:
        """Get the tests, then have the program written until it passes them."""
        problem = self.setting.given(draw, self.problem)
        if not isinstance(problem, str) or not problem.strip():
            return Candidate(draw, None, Drop("no_input", f"{self.problem} must be a text, got {problem!r}"))
        tests = yield from self._tests(draw, problem)
        if isinstance(tests, Drop):
            return Candidate(draw, None, tests)
        variables = self._variables(draw, problem, tests)
        first = self.setting.prompt(draw).render(variables)
        messages, error = first, ""
        for attempt in range(self.repairs + 1):
            step = FIRST_ATTEMPT + attempt * STEPS_PER_ATTEMPT
            done = yield Request(draw.index, step, messages, None, self._sampling(draw, step))
            if done.finish_reason == "error":
                return Candidate(draw, None, Drop("engine_error", done.error))
            source = read_code(done.text, self.language)
            outcome = yield from self._try(draw, step + 1, source, tests)
            if isinstance(outcome, Drop):
                return Candidate(draw, None, outcome)
            if outcome["passed"]:
                return Candidate(draw, self._record(problem, tests, source, attempt, error))
            error = outcome["error"]
            shown = self._repair.render(variables | {"solution": source, "error": error})[-1]
            messages = (*first, {"role": "assistant", "content": done.text or "..."}, shown)
        return Candidate(draw, None, Drop("tests_failed", brief(error), score=self.repairs + 1))

    def summary(self, records: Iterable[Record]) -> Mapping[str, Any]:
        """Return how many passed at the first attempt, and how many after a repair."""
        attempts = [record["attempts"] for record in records if isinstance(record.get("attempts"), int)]
        return {
            "passed_first": sum(count == 1 for count in attempts),
            "passed_after_repair": sum(count > 1 for count in attempts),
        }

    def _record(self, problem: str, tests: Any, source: str, attempt: int, error: str) -> Record:
        said = f"passed; attempt {attempt}: {error}" if error else "passed"
        return {
            self.problem: problem,
            "tests": as_text(tests),
            self.field: source,
            "attempts": attempt + 1,
            "test_output": said,
        }

    def _variables(self, draw: Draw, problem: str, tests: Any) -> dict[str, Any]:
        shown = "" if tests is None else tests if isinstance(tests, str) else describe(tests)
        setup = tests.get("setup", "") if isinstance(tests, Mapping) else ""
        return self.setting.template_variables(draw) | {
            "problem": problem.strip(),
            "tests": shown,
            "setup": setup,
            "language": self.language,
            "solution": "",
            "error": "",
        }

    def _sampling(self, draw: Draw, step: int) -> Sampling:
        return self.setting.sampling(draw).with_seed((draw.sampling_seed + SEED_STEP * step) % 2**31)

    def _tests(self, draw: Draw, problem: str) -> Generator[Request, Completion, Any]:
        """Return the tests as given or as the model writes them, or why there are none."""
        if self.tests == "given":
            try:
                return read_tests(self.language, self.setting.given(draw, "tests"))
            except ValueError as error:
                return Drop("no_tests", f"tests: {error}")
        problem_of_tests = Drop("no_tests", "no assert statement was written")
        for attempt in range(self.setting.repairs + 1):
            step = attempt * STEPS_PER_ATTEMPT
            messages = self._test.render(self._variables(draw, problem, None))
            done = yield Request(draw.index, step, messages, None, self._sampling(draw, step))
            if done.finish_reason == "error":
                return Drop("engine_error", done.error)
            if not (written := assertions(read_code(done.text))):
                continue
            outcome = yield from self._try(draw, step + 1, stub(written), probe(written))
            if isinstance(outcome, Drop):
                return outcome
            passed = set(outcome["stdout"].split())
            if kept := [line for number, line in enumerate(written) if str(number) not in passed]:
                return "\n".join(kept)
            problem_of_tests = Drop("vacuous_tests", f"a function that returns nothing passes: {written[0][:80]}")
        return problem_of_tests

    def _try(
        self, draw: Draw, step: int, source: str, tests: Any
    ) -> Generator[Request, Completion, dict[str, Any] | Drop]:
        """Have the sandbox run a program; return what became of it."""
        job = json.dumps({"source": source, "tests": tests}, ensure_ascii=False)
        message: Message = {"role": "user", "content": job}
        done = yield Request(draw.index, step, (message,), None, Sampling(), model=SANDBOX)
        if done.finish_reason == "error":
            return Drop("engine_error", done.error)
        outcome: dict[str, Any] = json.loads(done.text)
        return outcome

    def _execute(self, request: Request) -> str:
        """Run the program of a request; the answer is JSON: passed, kind, error, stdout."""
        job = json.loads(request.messages[0]["content"])
        if not job["source"].strip():
            return json.dumps({"passed": False, "error": "the answer holds no code", "stdout": ""})
        outcome = execute(Program(self.language, job["source"], job["tests"]), self._limits)
        if outcome.error and outcome.error.kind == "sandbox":
            raise RuntimeError(outcome.error.text)
        said = f"{outcome.error.kind}: {outcome.error.text}" if outcome.error else ""
        return json.dumps({"passed": outcome.passed, "error": said, "stdout": outcome.stdout}, ensure_ascii=False)


def as_text(tests: Any) -> str:
    """Return tests as a record holds them: code as it is, anything else as JSON."""
    return tests if isinstance(tests, str) else json.dumps(tests, ensure_ascii=False)


def brief(error: str) -> str:
    """Return the kind of an error and its last line."""
    kind, _, text = error.partition(": ")
    last = text.strip().splitlines()[-1:] or [""]
    return f"{kind}: {last[0]}"[:300]


def describe(tests: Any) -> str:
    """Return tests that are no code as a model reads them."""
    if isinstance(tests, Mapping):
        return "The result must be these rows:\n" + "\n".join(
            json.dumps(row, ensure_ascii=False) for row in tests["rows"][:10]
        )
    pairs = [f"input:\n{pair.get('input', '')}\noutput:\n{pair['output']}" for pair in tests[:3]]
    return "\n\n".join(pairs)


def assertions(text: str) -> list[str]:
    """Return the assert statements in a text that can be read as Python, line by line, each once; at most ten."""
    found = []
    for line in text.splitlines():
        stripped = line.strip()
        if not stripped.startswith("assert"):
            continue
        try:
            tree = ast.parse(stripped)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        if len(tree.body) == 1 and isinstance(tree.body[0], ast.Assert) and called(tree):
            found.append(stripped)
    return list(dict.fromkeys(found))[:10]


def called(tree: ast.AST) -> list[str]:
    """Return the functions that code calls by name and Python does not have."""
    names = [node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    return sorted({name for name in names if not hasattr(builtins, name)})


def stub(tests: list[str]) -> str:
    """Return a program with every function that the tests call, each returning nothing."""
    names = called(ast.parse("\n".join(tests)))
    return "\n".join(f"def {name}(*given, **named): return None" for name in names)


def probe(tests: list[str]) -> str:
    """Return tests that print the number of every assert statement that holds."""
    parts = [f"try:\n    {line}\n    print({number})\nexcept BaseException: pass" for number, line in enumerate(tests)]
    return "\n".join(parts)
