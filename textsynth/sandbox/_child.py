"""The child process: reads a job, shuts itself in, runs the program once per test and says what became of it.

Three processes: this one enters namespaces; the judge it starts is the first process inside (all others die with it) and
keeps the time; each program runs in a process of its own under limits. Only the judge writes to standard output.
"""

# Importing pathlib would take a fifth of the time of a program.
# ruff: noqa: PTH100, PTH108, PTH120

from __future__ import annotations

import io
import json
import os
import select
import signal
import sys
import time
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from textsynth.sandbox import _layers
else:
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import _layers

    del sys.path[0]

SHOWN = 2000  # characters of an error's text and of output that are reported
NAME = "<program>"
TESTS = "<tests>"


def main() -> None:
    """Read the job from standard input, write the answer to standard output."""
    job = json.loads(sys.stdin.buffer.read())
    limits = job["limits"]
    layers: dict[str, Any] = {"user": _layers.become_nobody()}
    layers |= _layers.leave_system(limits["file_mb"])
    judge = os.fork()
    if judge == 0:
        _layers.drop_rights()
        answer = run_tests(job["program"], limits)
        layers["limits"] = answer.pop("limits", [])
        say(1, answer | {"layers": layers})
        os._exit(0)
    _, status = os.waitpid(judge, 0)
    os._exit(0 if status == 0 else 1)


def say(handle: int, answer: dict[str, Any]) -> None:
    """Write an answer whole."""
    data = json.dumps(answer).encode("utf-8", "replace")
    while data:
        data = data[os.write(handle, data) :]


def run_tests(program: dict[str, Any], limits: dict[str, Any]) -> dict[str, Any]:
    """Run the program for each of its cases until one fails; return the first failure, or the last answer."""
    until = time.monotonic() + limits["seconds"]
    tests = program["tests"]
    cases = tests if isinstance(tests, list) else [{"input": program["stdin"]}]
    answer: dict[str, Any] = {}
    for case in cases:
        answer = run_case(program, case, limits, until)
        if answer.get("error") is None and "output" in case and isinstance(tests, list):
            answer["error"] = compare(answer.get("printed", ""), case)
        if answer.get("error"):
            break
    answer["stdout"] = answer.pop("printed", "")[:SHOWN]
    return answer


def compare(printed: str, case: dict[str, Any]) -> dict[str, str] | None:
    """Return the error of a program that printed something else than its test expects."""
    expected = str(case["output"])
    if lines_of(printed) == lines_of(expected):
        return None
    given = str(case.get("input") or "")
    text = f"input {given[:200]!r}: expected output {expected.strip()[:300]!r}, got {printed.strip()[:300]!r}"
    return {"kind": "output", "text": text}


def lines_of(text: str) -> list[str]:
    """Return the lines of an output without white space at their ends."""
    return [line.rstrip() for line in text.rstrip().splitlines()]


def run_case(program: dict[str, Any], case: dict[str, Any], limits: dict[str, Any], until: float) -> dict[str, Any]:
    """Run the program once in a process of its own; return what it reported, or how it ended."""
    reports, report = os.pipe()
    output = scratch_file("")
    runner = os.fork()
    if runner == 0:
        os.close(reports)
        os.setsid()
        _layers.die_with_parent()
        enter(report, output, str(case.get("input") or ""))
        held = _layers.set_limits(limits["seconds"], limits["memory_mb"], limits["file_mb"], limits["processes"])
        answer = run_sql(program) if program["language"] == "sql" else run_python(program)
        say(report, answer | {"limits": held})
        os._exit(0)
    os.close(report)
    answer = hear(reports, runner, limits, until)
    answer["printed"] = read_back(output, limits["file_mb"] << 20)
    return answer


def enter(report: int, output: int, given: str) -> None:
    """Put the case's input and output in the place of the process's own; close everything else."""
    os.dup2(scratch_file(given), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    for handle in range(3, 64):
        if handle != report:
            try:
                os.close(handle)
            except OSError:
                continue
    sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False), "utf-8", "replace")
    sys.stdout = sys.stderr = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), "utf-8", "replace")


def scratch_file(text: str) -> int:
    """Return the handle of a file without a name that holds a text, at its start."""
    name = f".scratch{os.getpid()}"
    handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    os.unlink(name)
    data = text.encode("utf-8", "replace")
    while data:
        data = data[os.write(handle, data) :]
    os.lseek(handle, 0, os.SEEK_SET)
    return handle


def read_back(output: int, most: int) -> str:
    """Return what was printed, and close the file."""
    data = os.pread(output, most, 0)
    os.close(output)
    return data.decode("utf-8", "replace")


def hear(reports: int, runner: int, limits: dict[str, Any], until: float) -> dict[str, Any]:
    """Wait for a program's report until the time is up; end it and all it has started."""
    data, late = b"", False
    while True:
        left = until - time.monotonic()
        if left <= 0 or not select.select([reports], [], [], left)[0]:
            late = True
            break
        part = os.read(reports, 1 << 16)
        data += part
        if not part:
            break
    os.close(reports)
    for end in (os.killpg, os.kill):  # its group, and itself where it had no time to make one
        try:
            end(runner, signal.SIGKILL)
        except OSError:
            continue
    status = os.waitpid(runner, 0)[1]
    try:
        answer: dict[str, Any] = json.loads(data)
        return answer
    except ValueError:
        return {"error": ended(status, limits, late=late)}


def ended(status: int, limits: dict[str, Any], *, late: bool) -> dict[str, str]:
    """Return the error of a program that ended without a report."""
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if late or number == signal.SIGXCPU:
        return {"kind": "timeout", "text": f"no end after {limits['seconds']:g} s"}
    if number == signal.SIGXFSZ:
        return {"kind": "file_limit", "text": f"more than {limits['file_mb']} MB written"}
    if number:
        return {"kind": "crash", "text": f"killed by {signal.Signals(number).name}"}
    return {"kind": "exit", "text": "the program ended the process before its tests were done"}


def run_python(program: dict[str, Any]) -> dict[str, Any]:
    """Run the program and its assert statements in one namespace; return the error, if there is one."""
    parts = [(NAME, program["source"])]
    if isinstance(program["tests"], str):
        parts.append((TESTS, program["tests"]))
    space: dict[str, Any] = {"__name__": "__main__", "__builtins__": __builtins__}
    codes = []
    for name, text in parts:
        try:
            codes.append(compile(text, name, "exec", dont_inherit=True))
        except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
            where = f"line {error.lineno}: " if isinstance(error, SyntaxError) and error.lineno else ""
            where = where if name == NAME else f"tests, {where}"
            message = error.msg if isinstance(error, SyntaxError) else str(error)
            return {"error": {"kind": "syntax", "text": f"{where}{type(error).__name__}: {message}"[:SHOWN]}}
    _layers.watch()
    try:
        for code in codes:
            exec(code, space)
        call_tests(codes[1:], space)
        sys.stdout.flush()
    except BaseException as error:  # noqa: BLE001  whatever the program raises is its result
        return {"error": explain(error, dict(parts))}
    return {}


def call_tests(codes: list[Any], space: dict[str, Any]) -> None:
    """Call the functions named ``test_...`` that the tests define."""
    for name in [n for code in codes for n in code.co_names if n.startswith("test_")]:
        function = space.get(name)
        if callable(function) and function.__code__.co_filename == TESTS and function.__code__.co_argcount == 0:
            function()


def explain(error: BaseException, sources: dict[str, str]) -> dict[str, str]:
    """Return kind and text of what a program raised: the lines of its own code, and the error."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    lines, trace = [], error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_filename in sources:
            text = sources[code.co_filename].splitlines()
            line = text[trace.tb_lineno - 1].strip() if trace.tb_lineno <= len(text) else ""
            place = "tests, line" if code.co_filename == TESTS else "line"
            inside = "" if code.co_name == "<module>" else f" in {code.co_name}"
            lines.append(f"{place} {trace.tb_lineno}{inside}: {line[:160]}")
        trace = trace.tb_next
    shown = lines if len(lines) <= 6 else [*lines[:3], "...", *lines[-2:]]
    said = f"{type(error).__name__}: {describe(error)}".rstrip(": ")
    return {"kind": kind_of(error), "text": "\n".join([*shown, said])[-SHOWN:]}


def describe(error: BaseException) -> str:
    """Return an exception's message, whatever its ``__str__`` does."""
    try:
        return str(error)[:400]
    except BaseException:  # noqa: BLE001  the program's own class
        return ""


def kind_of(error: BaseException) -> str:
    """Return the kind of failure that an exception stands for."""
    if isinstance(error, _layers.Refused):
        return "refused"
    if isinstance(error, AssertionError):
        return "assertion"
    if isinstance(error, MemoryError):
        return "memory"
    if isinstance(error, SystemExit | KeyboardInterrupt | GeneratorExit):
        return "exit"
    if isinstance(error, OSError) and error.errno in (27, 28):  # EFBIG, ENOSPC
        return "file_limit"
    return "exception"


def run_sql(program: dict[str, Any]) -> dict[str, Any]:
    """Run the setup, then the program, in a database in memory; compare its rows with those expected."""
    import sqlite3

    db = sqlite3.connect(":memory:", isolation_level=None)
    refused = {sqlite3.SQLITE_ATTACH: "ATTACH", sqlite3.SQLITE_DETACH: "DETACH", sqlite3.SQLITE_PRAGMA: "PRAGMA"}
    tried: list[str] = []

    def allow(action: int, first: str | None, second: str | None, *_: object) -> int:
        extension = action == sqlite3.SQLITE_FUNCTION and second == "load_extension"
        if action in refused or extension:
            tried.append(f"{refused.get(action, second)} is not allowed")
            return sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_OK

    db.set_authorizer(allow)
    _layers.watch()
    tests = program["tests"] or {}
    part = "setup"
    try:
        db.executescript(tests.get("setup", ""))
        part = "query"
        rows = run_query(db, program["source"], tests.get("check"))
        part = "comparison"
        error = None if "rows" not in tests else compare_rows(rows, tests, program["source"])
    except (sqlite3.Error, sqlite3.Warning, MemoryError, OverflowError, ValueError) as trouble:
        kind = "memory" if isinstance(trouble, MemoryError) else "refused" if tried else "exception"
        kind = "syntax" if "syntax error" in str(trouble) or "incomplete input" in str(trouble) else kind
        error = {"kind": kind, "text": f"{part}: {tried[-1] if tried else trouble}"[:SHOWN]}
    return {"error": error}


def run_query(db: Any, query: str, check: str | None) -> list[tuple[Any, ...]]:
    """Return the rows of the query, or of ``check`` after it; at most 100,000."""
    if check:
        db.executescript(query)
        query = check
    rows: list[tuple[Any, ...]] = db.execute(query.strip().rstrip(";")).fetchmany(100_000)
    return rows


def compare_rows(rows: list[tuple[Any, ...]], tests: dict[str, Any], query: str) -> dict[str, str] | None:
    """Return the error of a query whose rows are not those expected."""
    ours, theirs = [plain(row) for row in rows], [plain(row) for row in tests["rows"]]
    ordered = sorts(tests.get("check") or query)
    if (ours == theirs) if ordered else (sorted(ours, key=repr) == sorted(theirs, key=repr)):
        return None
    shown = json.dumps(ours[:10], ensure_ascii=False)[:500]
    expected = json.dumps(theirs[:10], ensure_ascii=False)[:500]
    order = " in this order" if ordered else ""
    return {"kind": "output", "text": f"expected {len(theirs)} rows{order} {expected}, got {len(ours)} {shown}"}


def plain(row: Any) -> list[Any]:
    """Return a row with numbers rounded to six places, whole ones as integers, and bytes as hexadecimal text."""
    found: list[Any] = []
    for value in row:
        if isinstance(value, bytes):
            value = value.hex()
        elif isinstance(value, int | float):
            value = round(float(value), 6)
            value = int(value) if value.is_integer() else value
        found.append(value)
    return found


def sorts(query: str) -> bool:
    """Return whether a query sorts its rows itself, not only inside a part of it."""
    import re

    text = re.sub(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", " ", query, flags=re.DOTALL)
    before = None
    while before != text:
        before, text = text, re.sub(r"\([^()]*\)", " ", text)
    return re.search(r"\border\s+by\b", text, re.IGNORECASE) is not None


if __name__ == "__main__":
    main()
