"""Programs in a field that do not pass their tests, found by running them in a sandbox."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import msgspec

from textsynth.filters import Filter, Setting, drop
from textsynth.records import Candidate, Drop, Record
from textsynth.sandbox import Language, Limits, Outcome, Program, execute, protections, read_code, read_tests
from textsynth.text import require_fields

MOST_KEPT = 4096
"""Outcomes remembered, so that a record judged again is not run again."""


@dataclass(kw_only=True)
class Code(Filter):
    """Drops a record whose program does not pass its tests; the detail is the kind of failure and the last line of the error.

    Each program runs in a process of its own, without network, under limits of time, memory and file size; the module
    ``textsynth.sandbox`` says which protections hold on which system. Measured: how many passed, and failures by kind.

    Cannot see: what the tests do not test; a program written to deceive its tests; packages beside the standard library
    (they are not there). A program that depends on chance or the time may pass once and fail later.

    Args:
        field: the field with the program; a Markdown fence around it is not part of it.
        tests: the field with its tests: Python code with assert statements, a list of ``{input, output}``, or for SQL
            ``{setup, rows}``; JSON text of these will do.
        language: ``python`` or ``sql`` (SQLite's).
        seconds: time for all tests of a program.
        memory_mb: memory of a program.
    """

    field: str = "solution"
    tests: str = "tests"
    language: Language = "python"
    seconds: float = 5.0
    memory_mb: int = 512

    def __post_init__(self) -> None:
        """Check the limits."""
        self._limits = Limits(seconds=self.seconds, memory_mb=self.memory_mb)
        self._pool: ThreadPoolExecutor | None = None
        self._outcomes: dict[str, Future[Outcome]] = {}
        self._kinds: dict[int, str] = {}

    def prepare(self, setting: Setting) -> None:
        """Check that the fields exist."""
        super().prepare(setting)
        require_fields((self.field, self.tests), setting.schema.properties)

    def begin(self, batch: Sequence[Candidate]) -> None:
        """Start the programs in threads, as many at once as there are processors."""
        for item in batch:
            self._start(item.record or {})

    def ready(self, batch: Sequence[Candidate]) -> bool:
        """Return whether all of them have ended."""
        return all(
            self._outcomes[key].done() for item in batch if (key := self._key(item.record or {})) in self._outcomes
        )

    def check(self, batch: Sequence[Candidate]) -> Sequence[Drop | None]:
        """Return a drop for each program that failed."""
        runs = [self._start(item.record or {}) for item in batch]
        answers = [self._judge(item, run) for item, run in zip(batch, runs, strict=True)]
        for key in list(self._outcomes)[: max(0, len(self._outcomes) - MOST_KEPT)]:
            del self._outcomes[key]
        return answers

    def measured(self) -> Mapping[str, Any]:
        """Return programs run, how many passed, failures by kind, and whether the system isolated them."""
        kinds = sorted(set(self._kinds.values()) - {"passed"})
        failures = {kind: sum(found == kind for found in self._kinds.values()) for kind in kinds}
        passed = sum(found == "passed" for found in self._kinds.values())
        return {
            "run": len(self._kinds), "passed": passed, "failures": failures, "isolated": protections().isolated
        }  # fmt: skip

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def _key(self, record: Record) -> str:
        return msgspec.json.encode([record.get(self.field), record.get(self.tests)], enc_hook=repr).decode()

    def _start(self, record: Record) -> Future[Outcome] | str:
        """Return the running program of a record, or why it cannot be run."""
        key = self._key(record)
        if key not in self._outcomes:
            try:
                tests = read_tests(self.language, record.get(self.tests))
            except ValueError as error:
                return f"{self.tests}: {error}"
            source = read_code(str(record.get(self.field) or ""), self.language)
            self._pool = self._pool or ThreadPoolExecutor(os.cpu_count() or 2, "textsynth-code")
            self._outcomes[key] = self._pool.submit(execute, Program(self.language, source, tests), self._limits)
        return self._outcomes[key]

    def _judge(self, item: Candidate, run: Future[Outcome] | str) -> Drop | None:
        if isinstance(run, str):
            self._kinds[item.draw.index] = "tests"
            return drop(run)
        error = run.result().error
        self._kinds[item.draw.index] = "passed" if error is None else error.kind
        return None if error is None else drop(f"{error.kind}: {error.text.splitlines()[-1] if error.text else ''}")
