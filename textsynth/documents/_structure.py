"""The blocks of a document: headings, paragraphs, code and what surrounds a text, each with its position.

Markdown and reStructuredText are read by their lines, without rendering them, so that every position is that of the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["heading", "paragraph", "code", "markup"]
Format = Literal["text", "markdown", "rst"]


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a document: what it is and where it stands; of a heading also its words and level (from 1)."""

    kind: Kind
    start: int
    end: int
    title: str = ""
    level: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """One line: where it begins, its text without the line break, its indentation."""

    start: int
    text: str

    @property
    def end(self) -> int:
        """Where it ends, without white space."""
        return self.start + len(self.text.rstrip())

    @property
    def blank(self) -> bool:
        """Whether there is nothing on it."""
        return not self.text.strip()

    @property
    def indent(self) -> int:
        """How far it is indented, a tab as 4."""
        expanded = self.text.expandtabs(4)
        return len(expanded) - len(expanded.lstrip())


_ATX = re.compile(r" {0,3}(#{1,6})[ \t]+(.+?)[ \t]*#*[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_UNDERLINE = re.compile(r"([=\-~^\"'`#*+.:_<>])\1{2,}\s*$")
_SETEXT = re.compile(r" {0,3}(=+|-{2,})\s*$")
_FIELD = re.compile(r":?[A-Z][\w-]{0,30}:(\s|$)")
_RST_MARKUP = re.compile(r"\.\.(\s|$)")
_ITEM = re.compile(r"\s*(?:[-*+•]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)]|#\.)\s")
_TABLE = re.compile(r"\s*(\+[-=+]{3,}|\||={2,}(\s+={2,})+\s*$)")
_HTML_LINE = re.compile(r"\s*<(!--|/?[a-zA-Z][^>]*>\s*$)")


def structure(text: str, kind: Format) -> list[Block]:
    """Return the blocks of a text in order; what lies between them is white space."""
    lines = _lines(text)
    return list(_markdown(lines) if kind == "markdown" else _marked_up(lines, rst=kind))


def _lines(text: str) -> list[Line]:
    found, at = [], 0
    for raw in text.splitlines(keepends=True):
        found.append(Line(at, raw.rstrip("\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029")))
        at += len(raw)
    return found


def _block(kind: Kind, lines: Sequence[Line], title: str = "", level: int = 0) -> Block:
    """Return the block of these lines, without the white space around it."""
    first = lines[0]
    start = first.start + len(first.text) - len(first.text.lstrip())
    return Block(kind, start, max(line.end for line in lines), title, level)


def _paragraph_end(lines: Sequence[Line], at: int) -> int:
    """Return the number of the first line after the run of lines at ``at`` that are not blank."""
    while at < len(lines) and not lines[at].blank:
        at += 1
    return at


def _markdown(lines: Sequence[Line]) -> Iterator[Block]:
    at = _front_matter(lines)
    if at:
        yield _block("markup", lines[:at])
    while at < len(lines):
        line = lines[at]
        if line.blank:
            at += 1
        elif fence := _FENCE.match(line.text):
            end = _fence_end(lines, at + 1, fence[1])
            yield _block("code", lines[at:end])
            at = end
        elif heading := _ATX.match(line.text):
            yield _block("heading", [line], heading[2].strip(), len(heading[1]))
            at += 1
        elif at + 1 < len(lines) and (under := _SETEXT.match(lines[at + 1].text)) and not _ITEM.match(line.text):
            yield _block("heading", lines[at : at + 2], line.text.strip(), 1 if under[1][0] == "=" else 2)
            at += 2
        else:
            end = _markdown_end(lines, at)
            yield _block(_markdown_kind(lines[at:end]), lines[at:end])
            at = end


def _front_matter(lines: Sequence[Line]) -> int:
    """Return the number of lines of the YAML between two ``---`` at the top."""
    if not lines or lines[0].text.rstrip() != "---":
        return 0
    return next((n + 1 for n in range(1, len(lines)) if lines[n].text.rstrip() in {"---", "..."}), 0)


def _fence_end(lines: Sequence[Line], at: int, fence: str) -> int:
    while at < len(lines) and not lines[at].text.strip().startswith(fence):
        at += 1
    return min(at + 1, len(lines))


def _markdown_end(lines: Sequence[Line], at: int) -> int:
    """Return where a paragraph ends: at a blank line, a fence or a heading."""
    end = at + 1
    while end < len(lines) and not lines[end].blank:
        if _FENCE.match(lines[end].text) or _ATX.match(lines[end].text):
            break
        end += 1
    return end


def _markdown_kind(lines: Sequence[Line]) -> Kind:
    if all(line.indent >= 4 for line in lines) and not _ITEM.match(lines[0].text):
        return "code"
    if all(_TABLE.match(line.text) or _HTML_LINE.match(line.text) for line in lines):
        return "markup"
    rule = len(lines) == 1 and re.fullmatch(r"\s*([-*_])(\s*\1){2,}\s*", lines[0].text)
    return "markup" if rule else "paragraph"


def _marked_up(lines: Sequence[Line], *, rst: Format) -> Iterator[Block]:
    """Yield the blocks of reStructuredText or of plain text, whose underlined lines are headings too."""
    levels: list[str] = []
    literal = -1  # the indentation that a literal block must be deeper than; -1: there is none
    at = 0
    while at < len(lines):
        line = lines[at]
        if line.blank:
            at += 1
        elif literal >= 0 and line.indent > literal:
            end = _indented_end(lines, at, literal)
            yield _block("code", lines[at:end])
            at, literal = end, -1
        elif size := _heading_size(lines, at):
            mark = lines[at + size - 1].text.strip()[0] * (size - 1)
            levels += [] if mark in levels else [mark]
            title = lines[at + size - 2].text.strip()
            yield _block("heading", lines[at : at + size], title, levels.index(mark) + 1)
            at, literal = at + size, -1
        elif rst == "rst" and _RST_MARKUP.match(line.text.lstrip()):
            end = _directive_end(lines, at)
            yield _block("markup", lines[at:end])
            at, literal = end, -1
        else:
            end = _paragraph_end(lines, at)
            part = lines[at:end]
            yield _block(_rst_kind(part, first=at == 0), part)
            literal = _literal(part) if rst == "rst" else -1
            at = end


def _heading_size(lines: Sequence[Line], at: int) -> int:
    """Return how many lines the heading at ``at`` has: 2, 3 with a line above, 0 if there is none."""
    if at + 2 < len(lines) and _UNDERLINE.match(lines[at].text):
        over, title, under = (line.text.strip() for line in lines[at : at + 3])
        if over == under and title and len(title) <= len(over) + 1:
            return 3
    if at + 1 < len(lines) and _UNDERLINE.match(lines[at + 1].text):
        title, under = lines[at].text.strip(), lines[at + 1].text.strip()
        alone = at == 0 or lines[at - 1].blank
        if alone and not _UNDERLINE.match(title) and lines[at].indent == 0 and len(under) >= len(title) - 1:
            return 2
    return 0


def _indented_end(lines: Sequence[Line], at: int, indent: int) -> int:
    """Return the number of the first line that is not blank and not deeper than ``indent``."""
    end = at
    for number in range(at, len(lines)):
        if lines[number].blank:
            continue
        if lines[number].indent <= indent:
            break
        end = number + 1
    return end


def _directive_end(lines: Sequence[Line], at: int) -> int:
    """Return where a directive, comment, footnote or target ends: it goes on while lines are deeper."""
    return max(at + 1, _indented_end(lines, at + 1, lines[at].indent))


def _rst_kind(lines: Sequence[Line], *, first: bool) -> Kind:
    if first and _FIELD.match(lines[0].text) and all(_FIELD.match(x.text) or x.indent for x in lines):
        return "markup"
    if all(_TABLE.match(line.text) for line in lines):
        return "markup"
    if lines[0].text.lstrip().startswith((">>> ", "$ ")):
        return "code"
    return "paragraph"


def _literal(lines: Sequence[Line]) -> int:
    """Return the indentation of a paragraph that a literal block follows (``::``), -1 of another one."""
    if not lines[-1].text.rstrip().endswith("::"):
        return -1
    return lines[-1].indent if not _ITEM.match(lines[0].text) else lines[0].indent
