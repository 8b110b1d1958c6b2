"""Documents are read with exact positions and cut into chunks that never cross a heading or part a word."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textsynth import documents
from textsynth.documents import ChunkSpec, Document, chunk, read, sentences, structure
from textsynth.errors import RecipeError

DATA = Path(__file__).parent / "data" / "documents"
ANY = ChunkSpec(words=60, overlap=0, least=3)


def document(text: str, kind="markdown") -> Document:
    return Document("doc", "Doc", text, tuple(structure(text, kind)))


def kinds(text: str, kind="rst") -> list[tuple[str, str]]:
    return [(b.kind, b.title or " ".join(text[b.start : b.end].split())[:30]) for b in structure(text, kind)]


def said(text: str) -> list[str]:
    return [span.of(text) for span in sentences(text)]


# --- sentences -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("It works. It is fast.", 2),
        ("Use a tool, e.g. Make, i.e. The build. Then stop.", 2),
        ("Written by J. R. Smith in 1999. Read it!", 2),
        ("Version 3.11 of Python ends in 2.5 years.", 1),
        ('He said "Stop." She went.', 2),
        ("See ``x.y``. ``None`` is returned.", 2),
        ("One thing\n\nAnother thing", 2),
        ("A list:\n- first item\n- second item", 3),
        ("1. Install it.\n2. Run it.", 2),
        ("这是一句。这是另一句。", 2),
        ("", 0),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(text, count):
    assert len(said(text)) == count, said(text)


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="ab. A1\n-!?`\"'()\t", max_size=200))
def test_between_sentences_stands_white_space_alone(text):
    at = 0
    for span in sentences(text):
        assert not text[at : span.start].strip() and span.of(text).strip() == span.of(text) != ""
        at = span.end
    assert not text[at:].strip()


# --- structure -------------------------------------------------------------------------------------------------------

RST = """PEP: 1
Title: A Long
  Title
Author: Someone

=====
Title
=====

First paragraph with a reference_.

.. _reference: http://example.org

Code follows::

    def f():

        return 1

More text.

Part
----

>>> f()
1

.. code-block:: python

   x = 1

* an item::

    still code

The end.
"""


def test_restructured_text_is_read_by_its_lines():
    assert kinds(RST) == [
        ("markup", "PEP: 1 Title: A Long Title Aut"),
        ("heading", "Title"),
        ("paragraph", "First paragraph with a referen"),
        ("markup", ".. _reference: http://example."),
        ("paragraph", "Code follows::"),
        ("code", "def f(): return 1"),
        ("paragraph", "More text."),
        ("heading", "Part"),
        ("code", ">>> f() 1"),
        ("markup", ".. code-block:: python x = 1"),
        ("paragraph", "* an item::"),
        ("code", "still code"),
        ("paragraph", "The end."),
    ]


MARKDOWN = """---
title: "Some guide"
---
# Guide

Setext
======
Text under it
on two lines.
## Sub ##
```python
# not a heading
```

    indented code

- item one
- item two

| a | b |
|---|---|

***
"""


def test_markdown_is_read_by_its_lines():
    assert kinds(MARKDOWN, "markdown") == [
        ("markup", '--- title: "Some guide" ---'),
        ("heading", "Guide"),
        ("heading", "Setext"),
        ("paragraph", "Text under it on two lines."),
        ("heading", "Sub"),
        ("code", "```python # not a heading ```"),
        ("code", "indented code"),
        ("paragraph", "- item one - item two"),
        ("markup", "| a | b | |---|---|"),
        ("markup", "***"),
    ]


def test_a_title_comes_from_the_head_or_the_first_heading(tmp_path):
    for name, text, title in [
        ("a.rst", RST, "A Long Title"),
        ("b.md", MARKDOWN, "Some guide"),
        ("c.md", "# Only heading\n\nText.", "Only heading"),
        ("d.txt", "Just text.\n", "d"),
    ]:
        (tmp_path / name).write_text(text)
        assert read(tmp_path / name).title == title


# --- chunks ----------------------------------------------------------------------------------------------------------

BLOCKS = st.sampled_from(
    [
        "# Head",
        "## Sub",
        "Short.",
        "A sentence of six words here. " * 5,
        "word " * 90,
        "```\ncode\n```",
        "- item\n- item",
        "",
    ]
)


@settings(max_examples=100, deadline=None)
@given(
    parts=st.lists(BLOCKS, max_size=12),
    words=st.integers(10, 60),
    overlap=st.integers(0, 30),
    least=st.integers(1, 10),
    kind=st.sampled_from(["text", "markdown", "rst"]),
    line=st.sampled_from(["\n", "\r\n"]),
)
def test_each_chunk_is_a_piece_of_its_document_and_keeps_its_bounds(parts, words, overlap, least, kind, line):
    text = "\n\n".join(parts).replace("\n", line)
    whole = document(text, kind)
    spec = ChunkSpec(words=words, overlap=min(overlap, words // 2), least=least)
    for part in chunk(whole, spec):
        assert part.text == text[part.start : part.end] and part.text == part.text.strip()
        assert part.start == 0 or text[part.start - 1].isspace()
        assert part.end == len(text) or text[part.end].isspace()
        assert least <= len(part.text.split()) < words + least
        assert not any(part.start < b.start < part.end for b in whole.blocks if b.kind != "paragraph")


def test_without_overlap_no_word_of_a_paragraph_is_lost_or_doubled():
    body = " ".join(f"Sentence {n} says the number {n}." for n in range(100))
    parts = chunk(document(f"# One\n\n{body}"), ChunkSpec(words=40, overlap=0, least=5))
    assert " ".join(part.text for part in parts) == body
    assert {part.section for part in parts} == {"One"}


def test_neighbours_share_whole_sentences():
    body = " ".join(f"Sentence {n} says the number {n}." for n in range(40))
    parts = chunk(document(body), ChunkSpec(words=40, overlap=14, least=5))
    shared = [one.end - two.start for one, two in pairwise(parts)]
    assert len(parts) > 3 and all(count > 0 for count in shared)
    assert all(part.text.startswith("Sentence") and part.text.endswith(".") for part in parts)


def test_what_only_surrounds_a_text_is_left_out_unless_it_is_kept():
    text = "# T\n\nSome text is here.\n\n```\ncode is here too\n```\n\n## References\n\nA reference to a book.\n"
    assert [c.text for c in chunk(document(text), ANY)] == ["Some text is here."]
    kept = ANY.model_copy(update={"keep": ("code", "back_matter")})
    found = chunk(document(text), kept)
    assert "code is here too" in found[0].text and found[1].text == "A reference to a book."
    assert [c.section for c in found] == ["T", "T > References"]


@pytest.mark.parametrize(
    "options", [{"words": 20, "overlap": 11}, {"words": 20, "least": 21}, {"words": 2}, {"wrods": 3}]
)
def test_options_that_cannot_work_are_refused(options):
    with pytest.raises(ValueError, match="overlap|least|words|wrods"):
        ChunkSpec(**{"overlap": 0, "least": 5, **options})


# --- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["notes.rst", "guide.md"])
def test_positions_are_those_of_the_file(name):
    text = (DATA / name).read_bytes().decode("utf-8")
    rows = documents.load(str(DATA / name), ChunkSpec(words=40, overlap=0, least=5), folder=Path(), place="seeds.path")
    assert len(rows) >= 2
    assert all(row["text"] == text[row["start"] : row["end"]] for row in rows)
    assert {row["document"] for row in rows} == {Path(name).stem}


def test_html_becomes_sections_without_what_surrounds_them():
    pytest.importorskip("lxml")
    found = read(DATA / "page.html")
    parts = chunk(found, ANY)
    assert found.title == "Ferry times & fares"
    assert [part.section for part in parts] == ["Ferry times", "Ferry times > Fares", "Ferry times > Fares"]
    assert parts[0].text.startswith("The ferry to Norra leaves at 7:15") and "é" in found.text
    assert "menu" not in found.text and "tracking" not in found.text and "| Adult | 12 |" in found.text
    assert all(part.text == found.text[part.start : part.end] for part in parts)


def test_pdf_pages_become_sections():
    pytest.importorskip("pypdf")
    found = read(DATA / "letter.pdf")
    parts = chunk(found, ANY)
    assert [part.section for part in parts] == ["page 1", "page 2"]
    assert found.title == "A letter" and "opens in spring" in parts[0].text and "second page" in parts[1].text
    assert all(part.text == found.text[part.start : part.end] for part in parts)


@pytest.mark.parametrize(("name", "content"), [("broken.pdf", b"not a pdf"), ("latin.txt", b"caf\xe9")])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name, content):
    if name.endswith(".pdf"):
        pytest.importorskip("pypdf")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RecipeError, match=name):
        documents.load(name, ANY, folder=tmp_path, place="seeds.path")


def test_a_folder_and_a_pattern_name_documents_by_their_path(tmp_path):
    for path in ("one.md", "sub/one.md", "sub/two.rst", "sub/two.md"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text("Some words are in here.")
    (tmp_path / "data.csv").write_text("a,b\n")
    assert [d.name for d in documents.read_all(".", folder=tmp_path, place="p")] == [
        "one", "sub/one", "sub/two.md", "sub/two.rst",
    ]  # fmt: skip
    assert [d.name for d in documents.read_all("*/*.rst", folder=tmp_path, place="p")] == ["sub/two"]


@pytest.mark.parametrize(("path", "message"), [("none/*.md", "no documents at"), ("empty.md", "no chunk of at least")])
def test_nothing_to_read_is_said_at_once(tmp_path, path, message):
    (tmp_path / "empty.md").write_text("# Only a heading\n")
    with pytest.raises(RecipeError, match=message):
        documents.load(path, ANY, folder=tmp_path, place="seeds.path")
