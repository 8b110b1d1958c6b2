"""Reading one file as a document."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textsynth.documents._structure import Block, Format, structure
from textsynth.errors import MissingPackageError

FORMATS: dict[str, Format] = {
    ".txt": "text",
    ".text": "text",
    ".md": "markdown",
    ".markdown": "markdown",
    ".rst": "rst",
}
SUFFIXES = (*FORMATS, ".html", ".htm", ".pdf")


@dataclass(frozen=True, slots=True)
class Document:
    """A document: its name, title and text, and the text's blocks in order."""

    name: str
    title: str
    text: str
    blocks: tuple[Block, ...]


def read(path: Path, name: str = "") -> Document:
    """Read a file by its ending.

    Text, Markdown and reStructuredText stay as they are. HTML becomes Markdown: headings, paragraphs, items, code. The text
    of a PDF is that of its pages with a blank line between them, each page a section of its own.

    Args:
        name: what it is called in chunks; by default the file's name without its ending.

    Raises:
        ValueError: the ending is none of ``SUFFIXES``, or the file cannot be read as what it says it is.
        MissingPackageError: HTML and PDF need the extra ``documents``.
    """
    suffix = path.suffix.lower()
    name = name or path.stem
    if suffix == ".pdf":
        return _read_pdf(path, name)
    if suffix in {".html", ".htm"}:
        return _read_html(path, name)
    if suffix not in FORMATS:
        raise ValueError(f"cannot read {path.name!r}: the ending must be one of {', '.join(SUFFIXES)}")
    with path.open(encoding="utf-8-sig", newline="") as file:  # line breaks stay, or positions would move
        text = file.read()
    blocks = tuple(structure(text, FORMATS[suffix]))
    return Document(name, _title(text, blocks) or path.stem, text, blocks)


def _title(text: str, blocks: tuple[Block, ...]) -> str:
    """Return the title a head of fields gives ("Title: ..."), else the first heading, if it opens the text."""
    if blocks and blocks[0].kind == "markup":
        head = text[blocks[0].start : blocks[0].end]
        if named := re.search(r"^:?title:\s*(.+(?:\n[ \t]+\S.*)*)", head, re.IGNORECASE | re.MULTILINE):
            return " ".join(named[1].split()).strip("\"'")
    first = next((block for block in blocks if block.kind != "markup"), None)
    return first.title if first is not None and first.kind == "heading" else ""


def _read_html(path: Path, name: str) -> Document:
    try:
        from lxml import etree, html
    except ModuleNotFoundError:
        raise MissingPackageError("lxml", extra="documents", needed_for=f"reading {path.name}") from None
    data = path.read_bytes()
    try:
        tree = html.document_fromstring(data) if _declares_encoding(data) else html.document_fromstring(data.decode())
    except (etree.ParserError, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name}: not readable as HTML: {error}") from error
    titles = [" ".join(node.text_content().split()) for node in tree.iter("title")]
    body = tree.find("body")
    parts = list(_html_parts(_main(tree if body is None else body)))
    text = "\n\n".join(parts) + "\n" if parts else ""
    blocks = tuple(structure(text, "markdown"))
    return Document(name, next(filter(None, titles), "") or _title(text, blocks) or path.stem, text, blocks)


def _declares_encoding(data: bytes) -> bool:
    """Return whether the file says in its head how it is encoded (else it is UTF-8)."""
    return data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")) or b"charset" in data[:2048].lower()


def _main(body: Any) -> Any:
    """Return the element with the page's own text: its only ``main`` or ``article``, else all."""
    for tag in ("main", "article"):
        found = list(body.iter(tag))
        if len(found) == 1:
            return found[0]
    return body


_LEFT_OUT = {
    "script",
    "style",
    "noscript",
    "template",
    "nav",
    "header",
    "footer",
    "aside",
    "form",
    "button",
    "svg",
    "head",
}
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_BLOCKS = {
    "p", "div", "section", "article", "main", "ul", "ol", "li", "dl", "dt", "dd", "blockquote", "figure", "figcaption",
    "table", "thead", "tbody", "tfoot", "tr", "details", "summary", "body", "html", "center", "hr", "address", "pre", *_HEADINGS,
}  # fmt: skip


def _html_parts(node: Any) -> Iterator[str]:
    """Yield the parts of an element as Markdown, in order."""
    inline: list[str] = [node.text or ""]
    for child in node:
        if isinstance(child.tag, str) and child.tag not in _LEFT_OUT:
            if child.tag in _BLOCKS:
                yield from _flush(inline, node.tag)
                yield from _html_block(child)
            elif any(deep.tag in _BLOCKS for deep in child.iter() if isinstance(deep.tag, str)):
                yield from _flush(inline, node.tag)
                yield from _html_parts(child)
            else:
                inline.append("\n" if child.tag == "br" else child.text_content())
        inline.append(child.tail or "")
    yield from _flush(inline, node.tag)


def _flush(inline: list[str], tag: str) -> Iterator[str]:
    """Yield the text gathered so far as one paragraph or item, and forget it."""
    text = " ".join("".join(inline).split())
    inline.clear()
    if text:
        safe = f"\\{text}" if re.match(r"#{1,6}\s|`{3}|~{3}", text) else text
        yield f"- {safe}" if tag in {"li", "dd"} else safe


def _html_block(node: Any) -> Iterator[str]:
    if node.tag in _HEADINGS:
        title = " ".join(node.text_content().replace("¶", " ").split())
        if title:
            yield f"{'#' * _HEADINGS[node.tag]} {title}"
    elif node.tag == "pre":
        code = node.text_content().strip("\n")
        fence = "`" * max(3, 1 + max(map(len, re.findall(r"`+", code)), default=0))
        if code.strip():
            yield f"{fence}\n{code}\n{fence}"
    elif node.tag == "tr":
        cells = [" ".join(cell.text_content().split()) for cell in node if cell.tag in {"td", "th"}]
        if any(cells):
            yield f"| {' | '.join(cells)} |"
    else:
        yield from _html_parts(node)


def _read_pdf(path: Path, name: str) -> Document:
    try:
        import pypdf
    except ModuleNotFoundError:
        raise MissingPackageError("pypdf", extra="documents", needed_for=f"reading {path.name}") from None
    try:
        reader = pypdf.PdfReader(path)
        if reader.is_encrypted and not reader.decrypt(""):
            raise ValueError(f"{path.name} is locked with a password: save a copy without one")
        pages = [_page_text(page.extract_text()) for page in reader.pages]
        title = str((reader.metadata.title if reader.metadata else "") or "").strip()
    except (pypdf.errors.PyPdfError, OSError) as error:
        raise ValueError(f"{path.name}: not readable as PDF: {error}") from error
    if not any(pages):
        raise ValueError(f"{path.name} has no text on its {len(pages)} pages: a scan must be read by OCR first")
    return Document(name, title or path.stem, *_join_pages(pages))


def _page_text(text: str) -> str:
    """Return a page's text without trailing white space, words put together that were parted at the end of a line."""
    text = re.sub(r"(?<=[a-z])[-\u00ad]\n(?=[a-z])", "", text.replace("\r\n", "\n"))
    return "\n".join(line.rstrip() for line in text.splitlines()).strip()


def _join_pages(pages: list[str]) -> tuple[str, tuple[Block, ...]]:
    """Return the text of all pages and its blocks; before each page stands a heading without text of its own."""
    text, blocks = "", []
    for number, page in enumerate(pages, 1):
        if not page:
            continue
        text += "\n\n" if text else ""
        at = len(text)
        blocks.append(Block("heading", at, at, f"page {number}", 1))
        blocks += [shifted(block, at) for block in structure(page, "text")]
        text += page
    return text, tuple(blocks)


def shifted(block: Block, by: int) -> Block:
    """Return a block that stands further on; what looks like a heading on a page is part of its text."""
    kind = "paragraph" if block.kind == "heading" else block.kind
    return Block(kind, block.start + by, block.end + by)
