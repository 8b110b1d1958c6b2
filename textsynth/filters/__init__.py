"""Filters decide which candidates are kept; each file is one filter, a dataclass whose fields are its options.

``check`` says, for a batch in index order, what is wrong with each candidate (``None`` for nothing). A filter with a
memory (duplicates) compares with what was kept before *and* with the earlier members of the batch; the loop tells it
by ``keep`` which candidates were kept in the end. Checking must not change what a later check returns; only ``keep`` may.
A filter that raises stops nothing: the candidate is dropped as ``filter_error`` with the message.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from textsynth.records import Candidate, Drop, Record, Seed
from textsynth.schema import RecordSchema
from textsynth.text import join_text


@dataclass(frozen=True, slots=True)
class Setting:
    """What a filter may know of the run: the record's schema, the seeds, and the fields the model writes as free text."""

    schema: RecordSchema
    seeds: Sequence[Seed]
    text_fields: tuple[str, ...]

    def text(self, record: Record, fields: Sequence[str] | None = None) -> str:
        """Join the text of ``fields`` (by default every free-text field), at any depth, with newlines."""
        return join_text(record, self.text_fields if fields is None else fields)


class Filter(ABC):
    """Base of all filters; subclasses are dataclasses and override ``check``, and the others where they need to."""

    setting: Setting

    def prepare(self, setting: Setting) -> None:
        """Learn about the run, once, before the first batch. Raise ``ValueError`` for options that cannot work here."""
        self.setting = setting

    @abstractmethod
    def check(self, batch: Sequence[Candidate]) -> Sequence[Drop | None]:
        """Return one ``Drop`` or ``None`` per candidate. The loop fills in ``reason`` with the filter's name."""

    def keep(self, batch: Sequence[Candidate]) -> None:  # noqa: B027  only filters with a memory need it
        """Remember candidates that were kept, in index order. Also called on resume, with what the ledger holds."""


def drop(detail: str, *, score: float | None = None, culprit: str | None = None) -> Drop:
    """Build the ``Drop`` a filter returns: what is wrong, by how much, and who is to blame."""
    return Drop(reason="", detail=detail, score=score, culprit=culprit)
