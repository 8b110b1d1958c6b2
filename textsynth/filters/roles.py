"""Dialogues in which the roles are mixed up: one speaks for the other, or says the other's lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from textsynth.filters import Filter, Setting, drop
from textsynth.records import Candidate, Drop, Record
from textsynth.text import count_words, fold, require_fields

_READ = 20_000  # characters of a turn that are read
_ALIKE = 4  # words from which two turns alike are no mere "thank you"
_QUOTED = 60  # characters of a turn that are shown
_ROLE, _CONTENT = ("role", "from", "speaker"), ("content", "value", "text", "utterance")
_SPEAKERS = (
    "user assistant agent customer system human ai bot chatbot client caller operator representative support rep"
)
_SERVES = re.compile(
    r"\b(?:how|what) (?:can|may|could) (?:i|we) (?:help|assist|do for)(?: with)? you\b"
    r"|\bhow (?:can|may|could) (?:i|we) be of (?:assistance|service|help)\b"
    r"|\bis there anything else (?:that )?(?:i|we) (?:can|may|could) (?:help|assist|do for)(?: you)?\b"
    r"|\b(?:thank you|thanks) for (?:calling|contacting|reaching out to) (?!me\b|back\b)"
    r"|\bas an? (?:ai|virtual) (?:language model|assistant)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Turn:
    number: int
    role: str
    text: str


@dataclass(kw_only=True)
class Roles(Filter):
    """Drops a dialogue whose roles are mixed up.

    A dialogue is a list of messages with a role and content (or ``from``/``speaker`` and ``value``/``text``). Mixed up
    means that a line in a turn starts with a speaker's name ("Agent: ..."), that who asks for help offers it ("How can
    I help you today?"), that a turn of four words or more says again what an earlier one said, or that one role has
    more turns in a row than it may. The detail names the turn, counted from 0. Nothing is remembered.

    Cannot see: a customer who answers its own question in its own words; a transcript in one text; other languages than
    English where lines are judged by what they say.

    Args:
        asking: the roles that ask for help, and so never offer it; an empty list where both may.
        speakers: further names that must not start a line of a turn, such as those of the recipe's roles.
        in_a_row: how many turns in a row one role may have; 1 where roles must alternate, as some chat templates want.
            Of 900 real negotiations 42 have two in a row and none has three.
        fields: the fields that hold dialogues; by default every list of messages in the record.
    """

    asking: tuple[str, ...] = ("user", "customer", "human")
    speakers: tuple[str, ...] = ()
    in_a_row: int = 2
    fields: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse a name without text, and a number below one."""
        if self.in_a_row < 1:
            raise ValueError(f"in_a_row must be at least 1, got {self.in_a_row}")
        for name in (*self.speakers, *self.asking):
            if not name.strip():
                raise ValueError("speakers and asking must be names, got an empty text")

    def prepare(self, setting: Setting) -> None:
        """Check that the fields exist."""
        super().prepare(setting)
        require_fields(self.fields, setting.schema.properties)
        names = "|".join(re.escape(name) for name in (*_SPEAKERS.split(), *self.speakers))
        self._label = re.compile(rf"^[ \t>*#\[(]*((?:{names})(?: ?\d{{1,2}})?)[\])]?\**:", re.IGNORECASE | re.MULTILINE)

    def check(self, batch: Sequence[Candidate]) -> Sequence[Drop | None]:
        """Name the first fault of each dialogue and the turn it is in."""
        return [self._check(candidate.record or {}) for candidate in batch]

    def _check(self, record: Record) -> Drop | None:
        for name in record if self.fields is None else self.fields:
            turns = _turns(record.get(name))
            if problem := next(self._problems(turns), None):
                return drop(f"{name}: {problem}")
        return None

    def _problems(self, turns: Sequence[_Turn]) -> Iterator[str]:
        for turn in turns:
            if match := self._label.search(turn.text):
                yield f'turn {turn.number} ({turn.role}) has a line of "{match[1]}"'
            if turn.role.lower() in self.asking and (match := _SERVES.search(turn.text.replace("’", "'"))):
                yield f'turn {turn.number} ({turn.role}) says "{match[0]}"'
        yield from _repeated(turns)
        run = 1
        for before, turn in pairwise(turns):
            run = run + 1 if turn.role == before.role else 1
            if run > self.in_a_row:
                yield f"turn {turn.number} is number {run} in a row of the {turn.role} (in_a_row {self.in_a_row})"


def _turns(value: Any) -> list[_Turn]:
    """Return the turns of a list of messages, without what a system or a tool says; none of anything else."""
    found = []
    for number, message in enumerate(value if isinstance(value, list) else ()):
        if not isinstance(message, dict):
            continue
        role, text = (
            next((message[k] for k in keys if isinstance(message.get(k), str)), None) for keys in (_ROLE, _CONTENT)
        )
        if role is not None and text is not None and role.lower() not in ("system", "tool", "function"):
            found.append(_Turn(number, role, text[:_READ]))
    return found


def _repeated(turns: Sequence[_Turn]) -> Iterator[str]:
    seen: dict[str, int] = {}
    for turn in turns:
        first = seen.setdefault(fold(turn.text), turn.number)
        if first != turn.number and count_words(turn.text) >= _ALIKE:
            yield f'turn {turn.number} ({turn.role}) repeats turn {first}: "{turn.text[:_QUOTED]}"'
