"""What the detector finds: the finding, its levels, and the protocol of a finder of names.

No other module of the package is imported here, so that every one can import this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Level = Literal["valid", "shaped", "context", "model"]
"""How sure a finding is, and why.

- `valid`: a proof holds: a checksum, or a format that nothing else has (an e-mail address, a known key prefix).
- `shaped`: looks like one, but the checksum fails or was never issued: what language models make up.
- `context`: the words around it decide ("born on", "passport no.").
- `model`: a model of names says so.
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One span of personal data: `text[start:end]`, in characters of the original string."""

    type: str
    start: int
    end: int
    score: float
    level: Level


class NameFinder(Protocol):
    """Finds names of persons, places and organisations, which no pattern can."""

    def find(self, texts: Sequence[str]) -> list[list[Finding]]:
        """Return the findings of each text, in the order of the texts, each of level `model`."""
        ...
