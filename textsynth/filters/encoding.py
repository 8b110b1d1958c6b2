"""Broken characters: mojibake, control characters, escapes and entities that stand in a text as text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any, Literal

from textsynth.errors import MissingPackageError
from textsynth.filters import Answer, Filter, Setting, drop
from textsynth.records import Candidate, Edit, Record
from textsynth.text import require_fields, strings

_READ = 20_000  # characters that are searched for mojibake at a time
_SUSPECT = re.compile(r"[^\x20-\x7e\t\n\r]|&[a-z#]|\\[un]")
_FLAG = re.compile("\U0001f3f4[\U000e0061-\U000e007a\U000e0030-\U000e0039]+\U000e007f")  # England's, say
_ENTITY = re.compile(r"&(?:amp|lt|gt|quot|apos|nbsp|#\d{1,7}|#x[0-9a-fA-F]{1,6});")
_ESCAPE = re.compile(r"\\u[0-9a-fA-F]{4}|\\n\\n")
_KINDS = {
    "replacement character": re.compile("\ufffd"),
    "lone surrogate": re.compile("[\ud800-\udfff]"),
    "control character": re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"),
    "private-use character": re.compile("[\ue000-\uf8ff\U000f0000-\U0010fffd]"),
    "character that is none": re.compile("[\ufdd0-\ufdef\ufffe\uffff]"),
    "direction override": re.compile("[\u202a-\u202e\u2066-\u2069]"),
    "invisible tag": re.compile("[\U000e0000-\U000e007f]"),
    "HTML entity": _ENTITY,
    "escape": _ESCAPE,
}


@dataclass(kw_only=True)
class Encoding(Filter):
    """Drops, or repairs, a record with broken characters in its text, at any depth.

    Broken are mojibake (by the heuristic of ftfy, ``ftfy.badness``), replacement, control, private-use and direction
    override characters, lone surrogates, invisible tags, HTML entities and JSON escapes that stand there as text.

    Cannot see: mojibake that is a plausible text itself; text about HTML or JSON is taken for broken.

    Args:
        action: ``drop`` the record, or ``fix`` its text with ftfy; what cannot be repaired within the schema is
            dropped all the same.
        fields: the fields that are read; by default all free-text fields.
    """

    action: Literal["drop", "fix"] = "drop"
    fields: tuple[str, ...] | None = None

    def prepare(self, setting: Setting) -> None:
        """Check that the fields and the package exist."""
        super().prepare(setting)
        require_fields(self.fields, setting.schema.properties)
        if find_spec("ftfy") is None:
            raise MissingPackageError("ftfy", extra="content", needed_for="the filter encoding")
        self._names = setting.text_fields if self.fields is None else self.fields

    def check(self, batch: Sequence[Candidate]) -> Sequence[Answer]:
        """Name what is broken first in each record and the field it stands in, or repair it."""
        return [self._check(candidate.record or {}) for candidate in batch]

    def _check(self, record: Record) -> Answer:
        problem = self._problem(record)
        if not problem:
            return None
        if self.action == "drop":
            return drop(problem)
        fixed = record | {name: _repair(record[name]) for name in self._names if name in record}
        left = self._problem(fixed)
        if left or fixed == record or self.setting.schema.problems(fixed):
            return drop(f"{problem}; it cannot be repaired")
        return Edit(fixed, f"repaired {problem}")

    def _problem(self, record: Record) -> str:
        for name in self._names:
            for text in strings(record.get(name)):
                if _SUSPECT.search(text) and (found := _find(text)):
                    return f"{found} in {name}"
        return ""


def _find(text: str) -> str:
    """Return what is broken in a text, with its code or words, or an empty string."""
    text = _FLAG.sub("", text)
    for kind, pattern in _KINDS.items():
        if match := pattern.search(text):
            shown = match[0] if match[0].isascii() and match[0].isprintable() else f"U+{ord(match[0][0]):04X}"
            return f"{kind} {shown}"
    if text.isascii():
        return ""
    from ftfy.badness import badness

    for start in range(0, len(text), _READ):
        if found := badness(text[start : start + _READ]):
            return f"mojibake ({found} places)"
    return ""


def _repair(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _repair(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_repair(item) for item in value]
    return _repair_text(value) if isinstance(value, str) and _SUSPECT.search(value) and _find(value) else value


def _repair_text(text: str) -> str:
    import ftfy

    text = _ESCAPE.sub(lambda match: "\n\n" if match[0][1] == "n" else chr(int(match[0][2:], 16)), text)
    fix = partial(
        ftfy.fix_text, unescape_html=True, uncurl_quotes=False, fix_latin_ligatures=False, fix_character_width=False
    )
    return re.sub("[\u202a-\u202e\u2066-\u2069\x80-\x9f]", "", fix(text))
