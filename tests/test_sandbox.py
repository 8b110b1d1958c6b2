"""Programs that misbehave end within their limits in a stated kind and leave nothing behind; tests of each form are compared."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import ROOT

from textsynth.sandbox import Limits, Program, execute, protections, read_code, read_tests

LIMITS = Limits(seconds=10)
SHORT = Limits(seconds=1)
TABLE = "CREATE TABLE t (a INTEGER, b TEXT); INSERT INTO t VALUES (1, 'x'), (2, 'y');"


def python(source: str, tests: object = "assert True", limits: Limits = LIMITS):
    return execute(Program("python", source, tests), limits)


def children() -> set[str]:
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found |= {path.parent.name} if b"sandbox/_child.py" in path.read_bytes() else set()
    return found


HOSTILE = {
    "socket": ("import socket\nsocket.create_connection(('127.0.0.1', 80), timeout=1)", "refused"),
    "name lookup": ("import socket\nsocket.gethostbyname('localhost')", "refused"),
    "process": ("import subprocess\nsubprocess.run(['ls'])", "refused"),
    "shell": ("import os\nos.system('ls')", "refused"),
    "forks for ever": ("import os\nwhile True: os.fork()", "refused"),
    "kill": ("import os\nos.kill(os.getppid(), 9)", "refused"),
    "foreign code": ("import ctypes\nctypes.CDLL('libc.so.6')", "refused"),
    "password file": ("print(open('/etc/passwd').read())", "refused"),
    "by the system's call": ("import os\nos.open('/etc/hostname', os.O_RDONLY)", "refused"),
    "write outside": ("open('/tmp/textsynth_was_here', 'w').write('x')", "refused"),
    "folder outside": ("import os\nos.listdir('/')", "refused"),
    "database outside": ("import sqlite3\nsqlite3.connect('/tmp/textsynth_was_here')", "refused"),
    "4 GB": ("x = bytearray(4 * 2**30)", "memory"),
    "huge file": ("f = open('x', 'wb')\nwhile True: f.write(b'x' * 2**20)", "file_limit"),
    "prints 100 MB": ("print('x' * 10**8)", "file_limit"),
    "loops for ever": ("while True: pass", "timeout"),
    "sleeps": ("import time\ntime.sleep(60)", "timeout"),
    "catches all and loops": (
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        "timeout",
    ),
    "recursion": ("def f(): return f()\nf()", "exception"),
    "segmentation fault": ("import faulthandler\nfaulthandler._sigsegv()", "crash"),
    "leaves before its tests": ("import sys\nsys.exit(0)", "exit"),
    "leaves at once": ("import os\nos._exit(0)", "exit"),
    "not Python": ("def f(:", "syntax"),
    "null byte": ("x = '\0'", "syntax"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_program_ends_within_its_limits_in_a_stated_kind(name):
    source, kind = HOSTILE[name]
    began = time.monotonic()
    limits = SHORT if kind == "timeout" else LIMITS
    outcome = python(source, limits=limits)
    assert not outcome.passed and outcome.error.kind == kind, outcome
    assert time.monotonic() - began < limits.seconds + 20
    assert "/" not in outcome.error.text or "'/" in outcome.error.text, "no path but the program's own"
    assert len(outcome.error.text) <= 2000 and len(outcome.stdout) <= 2000
    assert not Path("/tmp/textsynth_was_here").exists()


def test_nothing_is_left_behind():
    before, folders = children(), set(Path(tempfile.gettempdir()).glob("textsynth-sandbox-*"))
    for source in (
        "open('a', 'w').write('x')",
        "while True: pass",
        "import threading, time\nthreading.Timer(60, print).start()",
    ):
        python(source, limits=Limits(seconds=0.5))
    assert set(Path(tempfile.gettempdir()).glob("textsynth-sandbox-*")) <= folders
    assert children() <= before


def test_what_a_program_may_do_it_can():
    source = (
        "import collections, datetime, decimal, functools, itertools, json, math, random, re, sqlite3, statistics, zoneinfo\n"
        "open('mine.txt', 'w').write('hello')\n"
        "text = open('mine.txt').read()\n"
        "db = sqlite3.connect(':memory:')\n"
    )
    assert python(source, "assert text == 'hello' and math.sqrt(4) == 2").passed
    assert not python("import numpy").passed, "the standard library alone is there"


def test_many_at_once_keep_to_themselves():
    def run(number: int) -> bool:
        return python(f"open('x', 'w').write('{number}')", f"assert open('x').read() == '{number}'").passed

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(run, range(12)))


def test_a_failing_assertion_shows_the_line_without_paths():
    outcome = python("def add(a, b):\n    return a - b", "assert add(0, 0) == 0\nassert add(1, 2) == 3, 'wrong sum'")
    assert outcome.error.kind == "assertion"
    assert outcome.error.text == "tests, line 2: assert add(1, 2) == 3, 'wrong sum'\nAssertionError: wrong sum"
    outcome = python("def f(x):\n    return 1 / x", "f(0)")
    assert outcome.error.text.splitlines() == [
        "tests, line 1: f(0)", "line 2 in f: return 1 / x", "ZeroDivisionError: division by zero"
    ]  # fmt: skip


def test_functions_named_test_are_called():
    tests = "def test_sum():\n    assert add(1, 2) == 3\ndef test_more():\n    assert add(0, 0) == 1"
    outcome = python("def add(a, b): return a + b\ndef test_not_mine(): raise ValueError", tests)
    assert outcome.error.kind == "assertion" and "in test_more" in outcome.error.text


def test_printed_output_is_compared_per_case():
    cases = [{"input": "2\n", "output": "4"}, {"input": "5", "output": "10\n"}]
    assert python("print(2 * int(input()), '')", cases).passed
    outcome = python("print(int(input()) ** 2)", cases)
    assert outcome.error.kind == "output"
    assert outcome.error.text == "input '5': expected output '10', got '25'"


@pytest.mark.parametrize(
    ("query", "rows", "kind"),
    [
        ("SELECT a, b FROM t", [[2, "y"], [1, "x"]], None),
        ("SELECT a FROM t ORDER BY a", [[2], [1]], "output"),
        ("SELECT a FROM t ORDER BY a DESC;", [[2], [1]], None),
        ("SELECT a FROM (SELECT a FROM t ORDER BY a)", [[2], [1]], None),
        ("SELECT 'order by', a FROM t", [["order by", 2], ["order by", 1]], None),
        ("SELECT avg(a), 0.1 + 0.2, count(*) FROM t", [[1.5, 0.3, 2.0]], None),
        ("SELECT a FROM t", [[1], [2], [2]], "output"),
        ("SELECT a FRM t", [], "syntax"),
        ("SELECT missing FROM t", [], "exception"),
        ("", [[1]], "output"),
        ("ATTACH '/tmp/textsynth_was_here' AS other", [], "refused"),
        ("PRAGMA table_info(t)", [], "refused"),
        ("SELECT load_extension('x')", [], "refused"),
        ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) FROM n", [], "timeout"),
        ("SELECT zeroblob(900000000)", [], "memory"),
    ],
)
def test_queries_are_compared_by_their_rows(query, rows, kind):
    outcome = execute(Program("sql", query, {"setup": TABLE, "rows": rows}), SHORT if kind == "timeout" else LIMITS)
    assert (outcome.error.kind if outcome.error else None) == kind, outcome


def test_statements_that_change_tables_are_judged_by_a_query_of_their_own():
    tests = {"setup": TABLE, "check": "SELECT a FROM t", "rows": [[2]]}
    assert execute(Program("sql", "DELETE FROM t WHERE a = 1", tests)).passed
    assert not execute(Program("sql", "DELETE FROM t", tests)).passed


def test_the_same_holds_where_the_system_allows_no_namespaces(tmp_path):
    """In a user namespace in which no further one may be made, the interpreter's hook and the limits remain."""
    if shutil.which("unshare") is None or protections().network != "network namespace":
        pytest.skip("this system has no user namespaces to take away")
    program = tmp_path / "try.py"
    program.write_text(
        "from textsynth.sandbox import Limits, Program, execute, protections\n"
        "print(protections().isolated, protections().files)\n"
        f"for source, kind in {[HOSTILE[n] for n in ('socket', 'password file', '4 GB', 'huge file', 'loops for ever')]!r}:\n"
        "    print(execute(Program('python', source, 'assert True'), Limits(seconds=1)).error.kind == kind)\n"
        "print(execute(Program('python', 'x = 1', 'assert x == 1')).passed)\n"
    )
    shell = f"echo 0 > /proc/sys/user/max_user_namespaces && exec {sys.executable} {program}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["unshare", "-Ur", "sh", "-c", shell], capture_output=True, text=True, env=environment)
    if "max_user_namespaces" in done.stderr:
        pytest.skip("this system does not let its namespaces be counted")
    assert done.stdout.split() == ["False", "the", "interpreter's", "hook"] + ["True"] * 6, done.stderr


def test_on_linux_with_namespaces_the_layers_do_not_lean_on_the_hook():
    if not protections().isolated:
        pytest.skip("this system allows no namespaces")
    unhooked = (
        "import sys, os\n"
        "import _socket\n"
        "layers = [c for c in __import__('gc').get_objects() if getattr(c, '__name__', '') == 'inside'][0]\n"
        "cells = dict(zip(layers.__code__.co_freevars, layers.__closure__))\n"
        "cells['starts'].cell_contents = lambda text, places: text[:1] == '/'\n"
        "seen = sorted(os.listdir('/'))\n"
        "present = os.path.exists('/etc/passwd'), os.path.exists('/root/.ssh'), os.path.exists('/proc')\n"
    )
    outcome = python(unhooked, "assert present == (False, False, False), present\nassert 'home' not in seen, seen")
    assert outcome.passed, outcome


def test_limits_and_programs_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="memory_mb must be at least 64"):
        Limits(memory_mb=8)
    with pytest.raises(ValueError, match="seconds must be above 0"):
        Limits(seconds=0)
    with pytest.raises(ValueError, match="python or sql"):
        Program("perl", "")
    for language, tests in (("python", []), ("python", [{"input": "1"}]), ("sql", "assert 1"), ("sql", {"rows": [1]})):
        with pytest.raises(ValueError, match="tests"):
            Program(language, "", tests)


def test_tests_are_read_from_a_records_field():
    assert read_tests("python", "assert f(1) == 2") == "assert f(1) == 2"
    assert read_tests("python", '[{"input": "1", "output": "2"}]') == [{"input": "1", "output": "2"}]
    assert read_tests("sql", '{"setup": "", "rows": [[1]]}') == {"setup": "", "rows": [[1]]}
    for value in (None, "", "f(1) == 2", "assert f(1 ==", 7):
        with pytest.raises(ValueError):
            read_tests("python", value)


def test_code_is_taken_out_of_its_fence():
    assert read_code("Sure!\n```python\nx = 1\n```\nDone.") == "x = 1"
    assert read_code("```\nx = 1\n") == "x = 1"
    assert read_code("x = 1\n") == "x = 1"
