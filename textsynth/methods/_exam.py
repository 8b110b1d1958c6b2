"""What writing eval items and solving them share: closed schemas, and the worker that runs a program's tests."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from textsynth import sandbox
from textsynth.records import Draw, Message, Request, Sampling

RUNNER = "run_tests"
"""The name of the worker."""
ASSERTION = re.compile(r"^\s*assert\b", re.MULTILINE)


def closed(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of an object that has all these properties and no other."""
    names = list(properties)
    return {"type": "object", "properties": dict(properties), "required": names, "additionalProperties": False}


def trial(draw: Draw, step: int, source: str, tests: Sequence[str], sampling: Sampling) -> Request:
    """Return the request that has the worker run a Python program's tests."""
    message: Message = {"role": "user", "content": json.dumps({"source": source, "tests": list(tests)})}
    return Request(draw.index, step, (message,), None, sampling, model=RUNNER)


def run_tests(request: Request) -> str:
    """Run the tests in the sandbox; return what failed, or nothing."""
    job = json.loads(request.messages[0]["content"])
    tests = "\n".join(job["tests"])
    if not ASSERTION.search(tests):
        return "the tests hold no assert statement"
    done = sandbox.execute(sandbox.Program("python", job["source"], tests))
    return done.error.text if done.error else ""
