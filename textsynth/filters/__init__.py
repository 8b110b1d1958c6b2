"""Filters decide which candidates are kept; each file is one filter, a dataclass whose fields are its options.

``check`` says, for a batch in index order, what is wrong with each candidate (``None`` for nothing), or gives the form in
which it goes on (an ``Edit``). A filter with a memory (duplicates) compares with what was kept before *and* with the
earlier members of the batch; the loop tells it by ``keep`` which candidates were kept in the end. Checking must not change
what a later check returns; only ``keep`` may. A filter that raises stops nothing: the candidate is dropped as
``filter_error`` with the message.

Most filters override ``check`` alone. The other steps, in the order of a run: ``prepare`` (options against the recipe; no
model is loaded), ``start`` (load models), then per window ``begin`` (slow work elsewhere), ``ready``, ``ask`` and ``hear``
(questions to a language model), ``check``, ``keep``; at the end ``measured`` and ``close``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textsynth.records import Candidate, Completion, Drop, Edit, Record, Request, Seed
from textsynth.schema import RecordSchema
from textsynth.text import join_text

if TYPE_CHECKING:
    from textsynth.profile import Profile

Answer = Drop | Edit | None
"""What ``check`` says of one candidate."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a filter may know of the run.

    Args:
        schema: the record's schema.
        seeds: the examples the recipe gives.
        text_fields: the top-level fields the model writes as free text.
        seed: the recipe's seed, for filters that draw something at random.
        folder: what paths in options are relative to.
        profile: what the attributes are drawn from, if that was fitted to real data.
    """

    schema: RecordSchema
    seeds: Sequence[Seed]
    text_fields: tuple[str, ...]
    seed: int = 0
    folder: Path = Path()
    profile: Profile | None = None

    def text(self, record: Record, fields: Sequence[str] | None = None) -> str:
        """Join the text of ``fields`` (by default every free-text field), at any depth, with newlines."""
        return join_text(record, self.text_fields if fields is None else fields)


class Filter(ABC):
    """Base of all filters; subclasses are dataclasses and override ``check``, and the others where they need to."""

    setting: Setting

    @property
    def asked_model(self) -> str:
        """The model that answers ``ask``, where that is not the run's own."""
        return ""

    def prepare(self, setting: Setting) -> None:
        """Learn about the run, once, before the first batch, without loading a model.

        Raises:
            ValueError: options that cannot work here; the message is shown with the filter's place in the recipe.
        """
        self.setting = setting

    def start(self) -> None:  # noqa: B027  only filters with a model need it
        """Load what takes long, once, before anything is generated.

        Raises:
            TextsynthError: a model or package that is not there.
        """

    def begin(self, batch: Sequence[Candidate]) -> None:  # noqa: B027
        """Start slow work on a window that will be checked, in a process or thread of its own. Must not block."""

    def ready(self, batch: Sequence[Candidate]) -> bool:
        """Return whether ``check`` would not have to wait for work that ``begin`` started."""
        return True

    def ask(self, batch: Sequence[Candidate]) -> Sequence[Request]:
        """Return the questions to a language model whose answers ``check`` needs; ``step`` counts from 0 per draw."""
        return ()

    def hear(self, answers: Sequence[Completion]) -> None:  # noqa: B027
        """Receive the answers to ``ask``, just before ``check``: with the same draw and step as the questions."""

    @abstractmethod
    def check(self, batch: Sequence[Candidate]) -> Sequence[Answer]:
        """Return a ``Drop``, an ``Edit`` or ``None`` per candidate. The loop fills in ``reason`` with the filter's name."""

    def keep(self, batch: Sequence[Candidate]) -> None:  # noqa: B027
        """Remember candidates that were kept, in index order. Also called on resume, with what the ledger holds."""

    def measured(self) -> Mapping[str, Any]:
        """Return what the filter found out about the records kept, by name, as JSON values; for the card and the summary."""
        return {}

    def close(self) -> None:  # noqa: B027
        """End processes and free what is held outside Python."""


def drop(detail: str, *, score: float | None = None, culprit: str | None = None) -> Drop:
    """Build the ``Drop`` a filter returns: what is wrong, by how much, and who is to blame."""
    return Drop(reason="", detail=detail, score=score, culprit=culprit)
