"""Cutting a document into chunks: by sections, then by paragraphs and sentences, to a number of words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from textsynth.documents._read import Document
from textsynth.documents._sentences import Span, sentences

FULL = 0.6
"""From this share of its words on, a chunk ends before a paragraph that would not fit whole."""


class ChunkSpec(BaseModel):
    """How documents are cut into chunks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    words: int = Field(default=160, ge=10, description="most words of a chunk")
    overlap: int = Field(default=20, ge=0, description="most words, in whole sentences, that two neighbours share")
    least: int = Field(
        default=40, ge=1, description="fewest words; a shorter rest goes to the chunk before or is left out"
    )
    keep: tuple[Literal["code", "back_matter"], ...] = Field(
        default=(),
        description="code: also code blocks; back_matter: also sections such as References, Contents, Copyright",
    )

    @model_validator(mode="after")
    def _fit(self) -> ChunkSpec:
        if self.overlap * 2 > self.words:
            raise ValueError(f"overlap must be at most half of words ({self.words}), got {self.overlap}")
        if self.least > self.words:
            raise ValueError(f"least must be at most words ({self.words}), got {self.least}")
        return self


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document: ``text`` is the document's from ``start`` to ``end``; ``section`` names it by its headings."""

    document: str
    title: str
    section: str
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Unit:
    """A sentence or a part of a long one, with its number of words and those of the paragraph it opens (0: none)."""

    span: Span
    words: int
    paragraph: int = 0


_WORD = re.compile(r"\S+")
_BACK_MATTER = re.compile(
    r"(?:appendix\W+)?(?:table of contents|contents|references|bibliography|further reading|see also|links|footnotes|notes|"
    r"index|glossary|copyright|licen[sc]e|acknowledge?ments?|thanks|change ?log|change history|revision history|"
    r"version history|release history|authors?|contributors|post-history)",
    re.IGNORECASE,
)


def chunk(document: Document, spec: ChunkSpec) -> list[Chunk]:
    """Return the chunks of a document, in order.

    No chunk crosses a heading or begins or ends inside a word. Left out are code, directives and tables of symbols, and
    the sections with contents, references, notes, copyright, thanks and history, except what ``spec.keep`` names.
    """
    found = []
    for section, runs in _sections(document, spec):
        for run in runs:
            for span in _pack(list(_units(document.text, run, spec.words)), spec):
                found.append(
                    Chunk(document.name, document.title, section, span.start, span.end, span.of(document.text))
                )
    return found


def _sections(document: Document, spec: ChunkSpec) -> Iterator[tuple[str, list[list[Span]]]]:
    """Yield each section's name and its runs: paragraphs that follow each other with nothing left out between."""
    path: list[tuple[int, str]] = []
    runs: list[list[Span]] = [[]]
    for block in document.blocks:
        if block.kind == "heading":
            yield _named(path, document), [run for run in runs if run]
            path = [*(item for item in path if item[0] < block.level), (block.level, block.title)]
            runs = [[]]
        elif _left_out(path, spec):
            continue
        elif block.kind == "paragraph" or (block.kind == "code" and "code" in spec.keep):
            runs[-1].append(Span(block.start, block.end))
        else:
            runs.append([])
    yield _named(path, document), [run for run in runs if run]


def _named(path: Sequence[tuple[int, str]], document: Document) -> str:
    """Return a section's name: its headings from the top, without one that only repeats the document's title."""
    titles = [title for _, title in path]
    return " > ".join(titles[1:] if titles[:1] == [document.title] else titles)


def _left_out(path: Sequence[tuple[int, str]], spec: ChunkSpec) -> bool:
    """Return whether the section, or one it is part of, only surrounds the text."""
    if "back_matter" in spec.keep:
        return False
    return any(_BACK_MATTER.fullmatch(re.sub(r"^[\d.\s]+|[\s:.]+$", "", title)) for _, title in path)


def _units(text: str, run: Sequence[Span], most: int) -> Iterator[Unit]:
    """Yield the sentences of a run; one of more than ``most`` words in parts of so many."""
    for paragraph in run:
        total = len(_WORD.findall(paragraph.of(text)))
        for span in sentences(paragraph.of(text)):
            at = [m.span() for m in _WORD.finditer(text, paragraph.start + span.start, paragraph.start + span.end)]
            for part in range(0, len(at), most):
                words = at[part : part + most]
                yield Unit(Span(words[0][0], words[-1][1]), len(words), total)
                total = 0


def _pack(units: list[Unit], spec: ChunkSpec) -> list[Span]:
    """Return the chunks of one run."""
    cuts = [0]
    held, room = 0, spec.words
    for number, unit in enumerate(units):
        paragraph = unit.paragraph and held >= FULL * room and held + unit.paragraph > room
        if number > cuts[-1] and (held + unit.words > room or paragraph):
            cuts.append(number)
            held, room = 0, spec.words - spec.overlap
        held += unit.words
    return _spans(units, [*cuts, len(units)], spec)


def _spans(units: list[Unit], cuts: list[int], spec: ChunkSpec) -> list[Span]:
    """Return the chunks between the cuts, each begun earlier by what it may share with the one before."""
    if len(cuts) > 2 and _count(units, cuts[-2], cuts[-1]) < spec.least:
        del cuts[-2]  # a short rest goes to the chunk before
    found = []
    for first, last in pairwise(cuts):
        begin = _begin_earlier(units, first, spec, room=spec.words - _count(units, first, last))
        if _count(units, begin, last) >= spec.least:
            found.append(Span(units[begin].span.start, units[last - 1].span.end))
    return found


def _begin_earlier(units: list[Unit], first: int, spec: ChunkSpec, *, room: int) -> int:
    """Return the unit to begin with so that at most ``overlap`` words before ``first`` are repeated."""
    shared = 0
    while first > 0 and shared + units[first - 1].words <= min(spec.overlap, room):
        first -= 1
        shared += units[first].words
    return first


def _count(units: list[Unit], first: int, last: int) -> int:
    return sum(unit.words for unit in units[first:last])
