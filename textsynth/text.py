"""Text as filters see it: the strings inside a record, its words, and the canonical form in which equal means equal.

Two readings of a text: ``fold`` keeps punctuation and decides whether two texts are the same; ``word_bytes`` keeps
words alone and decides what they share. Both ignore case, width and white space, the same way in every process.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any
from unicodedata import normalize

from xxhash import xxh3_128_digest

from textsynth.errors import unknown
from textsynth.records import Record

# Vowel signs and accents that ``\w`` leaves out though they stand inside words: Latin, Hebrew, Arabic, Indic.
_MARKS = "\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0900-\u0963\u0966-\u0dff"
# Scripts written without spaces: Thai to Burmese, Khmer, kana, Chinese characters.
_UNSPACED = "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff"
_UNSPACED += "\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_SYMBOLS = re.compile(rf"[^\w\x00-\x7f{_MARKS}{_UNSPACED}]+")
_UNSPACED_CHARACTER = re.compile(rf"[{_UNSPACED}]")
_ASCII_WORDS = bytes(
    ord(chr(code).lower()) if code > 127 or chr(code).isalnum() or code == ord("_") else ord(" ") for code in range(128)
) + bytes(range(128, 256))
_COMPACT_JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
_EXACT_IN_FLOAT = 2**53  # every whole number below it has one float


def strings(value: Any) -> Iterator[str]:
    """Yield every string inside ``value``, at any depth, in document order (keys of objects are not included)."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from strings(item)


def prose(value: Any) -> Iterator[str]:
    """Yield every string that is text: as ``strings``, but of a message its content alone, no role, name, id or call."""
    if isinstance(value, dict) and {"role", "content"} <= value.keys():
        yield from strings(value["content"])
    elif isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from prose(item)
    else:
        yield from strings(value)


def join_text(record: Record, fields: Sequence[str]) -> str:
    """Join the text of the named top-level fields with newlines; absent fields are skipped."""
    return "\n".join(text for field in fields if field in record for text in prose(record[field]))


def require_fields(fields: Sequence[str] | None, known: Collection[str]) -> None:
    """Raise ``ValueError`` unless ``fields`` is ``None`` or names some of ``known`` and nothing else."""
    if fields is None:
        return
    if not fields:
        raise ValueError("fields must name at least one field, got none (leave it out for every free-text field)")
    for name in fields:
        if name not in known:
            raise ValueError(unknown("fields", name, known))


def check_threshold(threshold: float) -> None:
    """Raise ``ValueError`` unless ``threshold``, a similarity, is above 0 and at most 1."""
    if not 0 < threshold <= 1:
        hint = f" (did you mean {threshold / 100:g}?)" if 1 < threshold <= 100 else ""
        raise ValueError(f"threshold must be between 0 and 1, got {threshold:g}{hint}")


def compile_patterns(patterns: Sequence[str], place: str) -> list[re.Pattern[str]]:
    """Return a user's regular expressions compiled, case ignored. Raise ``ValueError`` for one that is none."""
    found = []
    for number, pattern in enumerate(patterns):
        try:
            found.append(re.compile(pattern, re.IGNORECASE))
        except re.error as error:
            raise ValueError(f"{place}[{number}]: {pattern!r} is not a regular expression: {error}") from None
    return found


def fold(text: str) -> str:
    """Return the canonical form of a text: Unicode NFKC, case folded, white space single and only between words.

    Folding twice changes nothing.
    """
    return " ".join(_plain(text).split())


def canonical(value: Any) -> Any:
    """Return ``value`` with its strings folded and its whole floats as integers (1.0 is 1); lists keep their order."""
    if isinstance(value, str):
        return fold(value)
    if isinstance(value, dict):
        return {key: canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT_IN_FLOAT:
        return int(value)
    return value


def fingerprint(value: Any) -> bytes:
    """Return 16 bytes (xxh3-128) that are equal exactly when the canonical forms of two JSON values are.

    The order of an object's keys does not count. A chance collision among a million records has odds of about 1e-27.
    """
    return xxh3_128_digest(_COMPACT_JSON.encode(canonical(value)).encode())


def word_bytes(text: str) -> bytes:
    """Return the words of a text, folded, as UTF-8 between single or repeated spaces.

    A word is a run of letters, digits, accents and underscores; in scripts written without spaces, each character is.
    """
    if not text.isascii():
        text = _UNSPACED_CHARACTER.sub(r" \g<0> ", _SYMBOLS.sub(" ", _plain(text)))
    return text.encode().translate(_ASCII_WORDS)


def words(text: str) -> list[str]:
    """Return the folded words of a text, as ``word_bytes`` reads them."""
    return word_bytes(text).decode().split()


def count_words(text: str) -> int:
    """Return the number of words of a text, as ``word_bytes`` reads them."""
    return len(word_bytes(text).split())


def _plain(text: str) -> str:
    """Repeat NFKC and case folding until they agree: either can undo the other (The Unicode Standard 3.13, D146)."""
    if text.isascii():
        return text.lower()
    before = ""
    while text != before:
        before, text = text, normalize("NFKC", text).casefold()
    return text
