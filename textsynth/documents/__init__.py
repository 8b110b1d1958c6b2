"""Documents: reading text, Markdown, reStructuredText, HTML and PDF, and cutting them into chunks with exact positions.

``load`` is the way in: files to chunks. A chunk's text is exactly its document's text from ``start`` to ``end``; what a
document's text is, ``read`` says: the file's own for text formats, what was extracted for HTML and PDF.
"""

from textsynth.documents._chunks import Chunk, ChunkSpec, chunk
from textsynth.documents._load import is_documents, load, read_all
from textsynth.documents._read import SUFFIXES, Document, read
from textsynth.documents._sentences import Span, sentences
from textsynth.documents._structure import Block, structure

__all__ = [
    "SUFFIXES",
    "Block",
    "Chunk",
    "ChunkSpec",
    "Document",
    "Span",
    "chunk",
    "is_documents",
    "load",
    "read",
    "read_all",
    "sentences",
    "structure",
]
