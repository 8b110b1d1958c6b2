"""Programs written by a model, run against tests in a process of their own that can reach nothing.

A program runs in a fresh interpreter without site packages, environment or input but what its test gives, in an empty
working folder that is gone afterwards. Several layers hold it, and ``protections`` says which of them work here:

* On Linux, where user namespaces are allowed: no network, own process ids (whatever it starts dies with it), and a root
  folder that shows only the interpreter's library, read only. If textsynth runs as root, the program does not.
* Everywhere: limits of the system on memory, processor time, file size, open files and processes; a limit on seconds.
* Everywhere: a hook of the interpreter refuses sockets, processes, ``ctypes`` and files outside the working folder. It makes
  an accident visible; it is no security boundary: a program that wants to can get around it. Where only it and the limits hold,
  run models that you trust.

A program shares the interpreter with its assert statements, so one that wants to can claim to have passed.
"""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

Language = Literal["python", "sql"]
Kind = Literal[
    "syntax", "assertion", "exception", "output", "exit", "timeout", "memory", "file_limit", "refused", "crash", "sandbox"
]  # fmt: skip
"""Why a program failed: it cannot be read, a test's assertion failed, it raised, its output or rows differ, it ended itself
before its tests did; it ran into the limit of time, of memory, of file or output size; it did what is refused; it was
killed by a signal; the sandbox itself could not run."""

_CHILD = str(Path(__file__).with_name("_child.py"))
_GRACE = 30.0  # seconds beyond the limit for the child's own start and end, which a busy machine can hold up


@dataclass(frozen=True, slots=True)
class Limits:
    """What a program may use.

    Args:
        seconds: wall time for all its tests together.
        memory_mb: address space.
        file_mb: size of one file, and of its output; four times that is the size of its working folder.
        processes: processes and threads; where no namespace holds them, all of the same user's count.
    """

    seconds: float = 5.0
    memory_mb: int = 512
    file_mb: int = 8
    processes: int = 16

    def __post_init__(self) -> None:
        """Check that each can be kept."""
        if not 0 < self.seconds <= 600:
            raise ValueError(f"seconds must be above 0 and at most 600, got {self.seconds}")
        if self.memory_mb < 64:
            raise ValueError(f"memory_mb must be at least 64 (the interpreter needs that), got {self.memory_mb}")
        if self.file_mb < 1 or self.processes < 1:
            raise ValueError(f"file_mb and processes must be at least 1, got {self.file_mb} and {self.processes}")


@dataclass(frozen=True, slots=True)
class Program:
    """A program with its tests.

    Args:
        source: Python code, or one SQL query in SQLite's dialect.
        tests: for Python a text with assert statements (functions named ``test_...`` in it are called), or a list of
            ``{input, output}``: the program is run for each with ``input`` on standard input, and must print ``output``
            (trailing white space does not count). For SQL ``{setup, rows}``: the script that makes the tables, and the rows
            expected, in any order unless the query sorts; with ``check`` the rows are those of that query, run after the
            program. ``None`` only runs it.
        stdin: standard input where the tests give none.
    """

    language: Language
    source: str
    tests: Any = None
    stdin: str = ""

    def __post_init__(self) -> None:
        """Check that the tests have one of the forms."""
        if self.language not in {"python", "sql"}:
            raise ValueError(f"language must be python or sql, got {self.language!r}")
        if problem := misshapen(self.language, self.tests):
            raise ValueError(f"tests: {problem}")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a program did not pass: the kind, and the error's lines as a programmer reads them, without paths."""

    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a program: whether all tests passed, the error if not, the start of its output, wall seconds."""

    passed: bool
    error: Failure | None = None
    stdout: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Protections:
    """What holds a program on this machine, by what it could do: each names the strongest layer that works."""

    network: str
    files: str
    processes: str
    user: str
    limits: tuple[str, ...] = field(default=())

    @property
    def isolated(self) -> bool:
        """Whether network, files and processes are held by the system, not by the interpreter's hook alone."""
        return "hook" not in f"{self.network} {self.files} {self.processes}"


def execute(program: Program, limits: Limits | None = None) -> Outcome:
    """Run a program against its tests and return what became of it. Never raises for what the program does.

    Blocks for up to ``limits.seconds`` plus start-up; threads may call it at the same time.
    """
    began = time.perf_counter()
    answer = run_child({"program": asdict(program), "limits": asdict(limits or Limits())})
    error = answer.get("error")
    return Outcome(
        passed=error is None,
        error=None if error is None else Failure(error["kind"], error["text"]),
        stdout=answer.get("stdout", ""),
        seconds=time.perf_counter() - began,
    )


@cache
def protections() -> Protections:
    """Return what holds a program on this machine, found by running one."""
    answer = run_child({"program": asdict(Program("python", "")), "limits": asdict(Limits())})
    layers = answer.get("layers") or {}
    names = ("network", "files", "processes", "user")
    found = {name: str(layers.get(name, "the interpreter's hook")) for name in names}
    return Protections(**found, limits=tuple(layers.get("limits", ())))


def run_child(job: Mapping[str, Any]) -> dict[str, Any]:
    """Start the child process, give it the job and return its answer; whatever happens, it is gone afterwards."""
    limit = float(job["limits"]["seconds"]) + _GRACE
    with tempfile.TemporaryDirectory(prefix="textsynth-sandbox-", ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", "-X", "utf8", _CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"LANG": "C.UTF-8", "PATH": ""},
            cwd=folder,
            start_new_session=True,
        )
        try:
            said, trouble = process.communicate(json.dumps(job).encode("utf-8", "surrogatepass"), timeout=limit)
        except subprocess.TimeoutExpired:
            return {"error": {"kind": "sandbox", "text": f"the sandbox did not answer within {limit:g} s"}}
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            process.communicate()
    try:
        answer: dict[str, Any] = json.loads(said)
        return answer
    except ValueError:
        last = (trouble.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"])[-1]
        return {"error": {"kind": "sandbox", "text": f"the sandbox ended with {process.returncode}: {last[:200]}"}}


def misshapen(language: str, tests: Any) -> str:
    """Return what is wrong with the form of tests, or nothing."""
    if tests is None:
        return ""
    if language == "sql":
        return wrong_table(tests)
    if isinstance(tests, str):
        return "" if tests.strip() else "there are none"
    pairs = isinstance(tests, list | tuple) and len(tests) > 0
    if pairs and all(isinstance(p, Mapping) and isinstance(p.get("output"), str) for p in tests):
        return ""
    return "must be Python code with assert statements, or a list of {input, output}"


def wrong_table(tests: Any) -> str:
    """Return what is wrong with the tests of a query."""
    if not isinstance(tests, Mapping) or not isinstance(tests.get("setup", ""), str):
        return "must be {setup: a script, rows: [[...], ...]} for SQL"
    rows = tests.get("rows")
    if not isinstance(rows, list | tuple) or not all(isinstance(row, list | tuple) for row in rows):
        return "rows must be a list of rows, each a list of values"
    return ""


def read_tests(language: str, value: Any) -> Any:
    """Return a record's field as tests: JSON text is read, assert statements and lists stay as they are.

    Raises:
        ValueError: the value has none of the forms.
    """
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        with suppress(ValueError):
            value = json.loads(value)
    problem = misshapen(language, value) if value is not None else "there are none"
    if not problem and isinstance(value, str) and not has_asserts(value):
        problem = "must be Python code with assert statements; there is none, or it cannot be read"
    if problem:
        raise ValueError(problem)
    return value


_FENCED = re.compile(r"```[ \t]*\w*[ \t]*\n(.*?)(?:\n[ \t]*```|\Z)", re.DOTALL)


_STATEMENT = re.compile(
    r"\b(?:SELECT|WITH|INSERT|UPDATE|DELETE)\b(?:'[^']*'|[^;'])*?(?=;|\n[ \t]*\n|\Z)", re.IGNORECASE
)


def read_code(text: str, language: Language = "python") -> str:
    """Return the code in a model's answer: what its first Markdown fence holds, even one never closed; else all of it.

    Of SQL it is the first statement that reads or changes rows, without what a model says around it.
    """
    found = _FENCED.search(text)
    code = (found[1] if found else text).strip("\n").rstrip()
    statement = _STATEMENT.search(code) if language == "sql" else None
    return f"{statement[0].strip()};" if statement else code


def has_asserts(tests: str) -> bool:
    """Return whether a text is Python code with an assert statement."""
    try:
        tree = ast.parse(tests)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return any(isinstance(node, ast.Assert) for node in ast.walk(tree))
