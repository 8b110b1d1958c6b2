"""What a rewriting says: findings, bounds, the decoding schema, and the exception of a place where nothing fits."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from textsynth.schema._backends import Backend

Status = Literal["enforced", "checked", "unsupported"]
Schema = dict[str, Any]
SEVERITY: dict[Status, int] = {"enforced": 0, "checked": 1, "unsupported": 2}


@dataclass(frozen=True, slots=True)
class Finding:
    """What becomes of one keyword: enforced while decoding, checked afterwards, or looked at by nobody.

    ``path`` is where in a record it applies: ``$.items[].price``, and ``*`` for keys that the model chooses.
    """

    path: str
    keyword: str
    status: Status
    note: str = ""


@dataclass(frozen=True, slots=True)
class Decoding:
    """What is sent to the decoder, and what that enforces.

    ``findings`` tell about every keyword of the schema; ``bounds`` say where decoding is narrower than the schema.
    """

    backend: Backend
    document: Schema
    findings: tuple[Finding, ...]
    bounds: tuple[Finding, ...]

    def text(self) -> str:
        """Return the decoding schema as compact JSON."""
        return json.dumps(self.document, ensure_ascii=False, separators=(",", ":"))

    @property
    def enforced(self) -> int:
        """How many keywords are enforced while decoding."""
        return sum(f.status == "enforced" for f in self.findings)

    @property
    def unenforced(self) -> int:
        """How many keywords decoding does not enforce."""
        return len(self.findings) - self.enforced


class Impossible(Exception):
    """Raised inside the rewriting where no value can be written: the branch or property is left out, if it may be."""

    def __init__(self, path: str, keyword: str, why: str) -> None:
        super().__init__(why)
        self.path, self.keyword, self.why = path, keyword, why


class Notes:
    """Collects the findings and bounds of one rewriting: of one keyword at one path, the worst that happens to it."""

    def __init__(self) -> None:
        self._findings: dict[tuple[str, str], Finding] = {}
        self._bounds: dict[Finding, None] = {}

    def find(self, path: str, keyword: str, status: Status, note: str = "") -> None:
        """Note what becomes of one keyword."""
        held = self._findings.get((path, keyword))
        if held is None or (SEVERITY[status], bool(note)) > (SEVERITY[held.status], bool(held.note)):
            self._findings[path, keyword] = Finding(path, keyword, status, note)

    def bound(self, path: str, keyword: str, note: str) -> None:
        """Note that decoding writes less here than the schema allows."""
        self._bounds[Finding(path, keyword, "enforced", f"added: {note}")] = None

    def left_out(self, error: Impossible, what: str) -> None:
        """Note that something optional is not written, because nothing could be written for it."""
        self.find(error.path, error.keyword, "enforced", error.why)
        self.bound(error.path, error.keyword, f"{what}: {error.why}")

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings, in the order in which their keywords were met."""
        return tuple(self._findings.values())

    @property
    def bounds(self) -> tuple[Finding, ...]:
        """The bounds, each once."""
        return tuple(self._bounds)
