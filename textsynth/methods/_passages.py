"""Passages as a question is asked about them: numbered sentences, and citations with positions in the document."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from textsynth import documents
from textsynth.documents import Span
from textsynth.methods._grounding import find
from textsynth.records import Record, Seed

PLACE = ("document", "path", "title", "section", "start")
"""The columns that say where a text comes from."""
SHORTEST, LONGEST = 5, 70
"""Words of a sentence that can be quoted."""
_WHOLE = re.compile(r"[.!?][\"')\]`*_]*$")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a passage as it is shown: its number over all passages, and where it stands in its own."""

    number: int
    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk that a draw shows: where it comes from, where it begins there, its text and its sentences."""

    document: str
    title: str
    section: str
    start: int
    text: str
    sentences: tuple[Sentence, ...]

    @property
    def quotable(self) -> list[Sentence]:
        """The sentences that say something by themselves: whole ones, or where there is none, any of enough words."""
        long = [s for s in self.sentences if SHORTEST <= len(s.text.split()) <= LONGEST]
        return [s for s in long if _WHOLE.search(s.text)] or long

    def shown(self, *, numbered: bool) -> str:
        """Return the passage as templates show it: a line with its title and section, then its text or its sentences."""
        named = ", ".join(filter(None, (self.title or self.document, self.section)))
        lines = [f"[{sentence.number}] {sentence.text}" for sentence in self.sentences]
        return f"{named}:\n" + ("\n".join(lines) if numbered else self.text)

    def cite(self, span: Span) -> Record:
        """Return the citation of a part of the passage; its positions are those of the document."""
        return {
            "document": self.document,
            "section": self.section,
            "start": self.start + span.start,
            "end": self.start + span.end,
            "quote": span.of(self.text),
        }


def read_passages(rows: Sequence[tuple[str, Mapping[str, Any]]], column: str) -> list[Passage]:
    """Return the passages of rows with their sentences numbered from 1 through all of them; rows without text are left out.

    Args:
        rows: each with the name of its document where it says none itself.
        column: the one with the text.
    """
    found: list[Passage] = []
    number = 1
    for default, row in rows:
        text = str(row.get(column) or "")
        if not text.strip():
            continue
        numbered = [
            Sentence(at, " ".join(span.of(text).split()), span)
            for at, span in enumerate(documents.sentences(text), number)
        ]
        number += len(numbered)
        start = row.get("start")
        found.append(
            Passage(
                document=str(row.get("document") or row.get("path") or default),
                title=str(row.get("title") or ""),
                section=str(row.get("section") or ""),
                start=start if isinstance(start, int) else 0,
                text=text,
                sentences=tuple(numbered),
            )
        )
    return found


def quote_names(passages: Sequence[Passage]) -> list[str]:
    """Return the key of each passage's quote in what the model writes."""
    return ["quote"] if len(passages) == 1 else [f"quote_{at}" for at in range(1, len(passages) + 1)]


def answer_span(found: Record) -> Record | None:
    """Return where the answer stands in the documents, in the case of letters it has there or another; else ``None``."""
    for item in found["citations"]:
        if at := find(found["answer"], item["quote"], flags=re.IGNORECASE):
            return {"document": item["document"], "start": item["start"] + at.start(), "end": item["start"] + at.end()}
    return None


def shared_link(seeds: Sequence[Seed]) -> str:
    """Return the rarest term that links all seeds of a draw (``choose: linked``), or nothing."""
    if len(seeds) < 2:
        return ""
    shared = set.intersection(*(set(seed.row.get("links") or ()) for seed in seeds))
    return next((term for term in seeds[0].row.get("links") or () if term in shared), "")
