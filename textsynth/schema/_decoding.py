"""What a rewriting has to say: findings, added bounds, the decoding schema; and where nothing can be written."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, Literal

from textsynth.schema._backends import Backend

Status = Literal["enforced", "checked", "unsupported"]
Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """What becomes of one keyword: enforced while decoding, checked afterwards, or looked at by nobody."""

    path: str
    keyword: str
    status: Status
    note: str = ""


@dataclass(frozen=True, slots=True)
class Decoding:
    """What is sent to the decoder, and what that enforces. ``bounds`` are those that were added."""

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


class Impossible(Exception):
    """Raised inside the rewriting where no value can be written: the branch or property is left out, if it may be."""

    def __init__(self, path: str, keyword: str, why: str) -> None:
        super().__init__(why)
        self.path, self.keyword, self.why = path, keyword, why


class Notes:
    """Collects the findings and added bounds of one rewriting, each said once, in order."""

    def __init__(self) -> None:
        self.findings: dict[Finding, None] = {}
        self.bounds: dict[Finding, None] = {}

    def find(self, path: str, keyword: str, status: Status, note: str = "") -> None:
        """Note what becomes of one keyword."""
        self.findings[Finding(path, keyword, status, note)] = None

    def bound(self, path: str, keyword: str, note: str) -> None:
        """Note a bound that the schema does not have."""
        self.bounds[Finding(path, keyword, "enforced", f"added: {note}")] = None

    def revoke(self, path: str, keyword: str, note: str) -> None:
        """Turn what was noted as enforced into something that is only checked."""
        self.findings = {
            replace(f, status="checked", note=note)
            if (f.path, f.keyword, f.status) == (path, keyword, "enforced")
            else f: None
            for f in self.findings
        }
