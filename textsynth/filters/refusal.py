"""Refusals, chatter around an answer, and template residue where a record's text should be."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from textsynth.filters import Filter, Setting, drop
from textsynth.records import Candidate, Drop
from textsynth.text import compile_patterns, require_fields, strings

_QUOTED = 60  # characters of a match that are shown


def _any(*phrases: str) -> str:
    return f"(?:{'|'.join(phrases)})"


# A refusal is an apology (or none), an inability, and what is declined: "I'm sorry, but | I can't | assist with that".
_OPENING = r"\A[\s\"'“‘*_>#(-]*"  # with any quote, list or heading mark before the text
_SORRY = _any(r"i(?:'m| am)(?: \w+)? sorry", "(?:i|my) apologi[sz]es?", "apologies", "sorry", "unfortunately")
_SORRY += r"[,.!;:]?\s+(?:but |however,? )?"
_CANNOT = r"(?:as an ai[^,.\n]{0,40},\s+)?i(?:'m| am)? " + _any(
    *("can't", "cannot", "can not", "could not", "couldn't", "won't", "won't be able to", "will not"),
    *("not able to", "unable to"),
)
_REQUEST = r"(?:that|this|these|your|the|such|any)(?: kinds? of| types? of)?(?: \w+)? "
_REQUEST += "(?:request|task|prompt|topic|question)s?"
_OUTPUT = _any(
    *("contents?", "texts?", "materials?", "records?", "json", "data", "story", "stories", "responses?", "answers?"),
    *("examples?", "essays?", "poems?", "code", "jokes?", "dialogues?", "conversations?", "messages?", "emails?"),
    *("scripts?", "information (?:on|about|that|regarding)", "instructions (?:on|for|to|that)"),
)
_DECLINED = _any(
    rf"(?:assist|help)(?: you)? with (?:{_REQUEST}|that\b|this\b)",
    rf"(?:fulfil|comply|complete|process|accommodate|answer|continue)\w*(?: with)? {_REQUEST}",
    rf"(?:provide|generate|create|write|produce|compose|engage in|participate in)(?: [\w-]+){{0,4}}? {_OUTPUT}\b",
)
_AGREED = _any("sure", "sure thing", "certainly", "of course", "absolutely", "great", "okay", "ok", "no problem")
_HERE = r"(?:here(?:'s| is| are)|below (?:is|are))"
_MADE = _any("json", "yaml", "csv", r"(?:generated|requested|synthetic|fictional|fictitious|rephrased) \w+")
_TEXT = _any("your", "some", "insert", "enter", "sample", "example", "placeholder") + " text(?: here)?"

_AT_START = {
    "refusal": _OPENING
    + _any(
        rf"(?:{_SORRY})?{_CANNOT} {_DECLINED}",
        rf"{_SORRY}{_CANNOT}[.\s]*\Z",
        rf"(?:{_SORRY})?i (?:must|have to)(?: \w+)? decline {_REQUEST}",
    ),
    "chatter": _OPENING
    + _any(
        rf"{_AGREED}!\s+{_HERE}\b",
        rf"{_AGREED}[,.:]?\s+{_HERE}(?: [\w-]+){{0,6}}? {_OUTPUT}\b",
        rf"{_HERE}(?: [\w-]+){{1,4}}? {_MADE}\b",
        r"```json\b",
    ),
    "placeholder": rf"\A[\s\"'<\[]*(?:string|\.{{3,}}|…|placeholder|{_TEXT}|text (?:goes )?here)[\s\"'>\].]*\Z",
}

_BLANK = _any(
    *("name", "company", "organi[sz]ation", "address", "e-?mail", "phone", "number", "date", "city", "country"),
    *("location", "title", "position", "department", "amount", "product", "order", "account", "signature", "website"),
    *("topic", "details", "contact", "id"),
)
_WHOSE = "(?:first|last|full|customer|company|user|recipient|product)[ _-]"
_MODEL = r"(?:ai|artificial intelligence|(?:large )?language)[ -](?:[\w-]+ )?(?:model|assistant|chatbot)"

# What is looked for anywhere: (kind, what must be in the text in lower case, which is a quick look, pattern).
_ANYWHERE = [
    ("refusal", "as a", rf"\bas an? {_MODEL}\b"),
    ("refusal", "language model", r"\bi(?:'m| am) (?:just |only )?an? (?:ai |large )?language model\b"),
    ("refusal", "as an ai,", r"(?:\A|[.!?\n]\s*)as an ai, i\b"),
    ("refusal", "as of my ", r"\bas of my (?:last |latest )?(?:knowledge|training)"),
    ("placeholder", "lorem ipsum", r"\blorem ipsum\b"),
    ("placeholder", "{{", r"\{\{\s*[a-z_][\w.]*\s*(?:\|[^{}\n]{0,40})?\}\}"),
    ("placeholder", "[", r"(?<![\w)\]])\[(?:insert|enter|fill in|add)(?: [\w'/-]+){1,6}\](?!\()"),
    ("placeholder", "[", rf"(?<![\w)\]])\[(?:[a-z]+'?s?[ /_-]){{0,3}}{_BLANK}s?(?: here)?\](?!\()"),
    ("placeholder", "<", rf"<(?:(?:insert|enter|your)[ _-][a-z _-]{{1,40}}|(?:{_WHOSE})?{_BLANK})>(?!(?s:.*)</)"),
]


@dataclass(kw_only=True)
class Refusal(Filter):
    """Drops a record in whose text the model refuses, talks about its answer, or leaves a blank to fill in.

    Refusals ("I'm sorry, but I can't assist with that request") and chatter ("Sure! Here's ...") are looked for where a
    text starts, blanks ("[Your Name]", "{{ name }}", "<name>", "Lorem ipsum") and "as an AI language model" anywhere.
    Of 62,000 real texts it takes one for a blank that is none; it was not made for texts about templates.

    Args:
        patterns: more regular expressions, looked for anywhere in a text, case ignored.
        fields: the fields that are read, each string in them on its own; by default all free-text fields.
    """

    patterns: tuple[str, ...] = ()
    fields: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse a pattern that is no regular expression, or that every text contains."""
        for number, pattern in enumerate(compile_patterns(self.patterns, "patterns")):
            if pattern.search(""):
                raise ValueError(
                    f"patterns[{number}]: {pattern.pattern!r} matches empty text, so it would drop every record"
                )

    def prepare(self, setting: Setting) -> None:
        """Check that the fields exist and compile the patterns."""
        super().prepare(setting)
        require_fields(self.fields, setting.schema.properties)
        self._names = setting.text_fields if self.fields is None else self.fields
        self._at_start = [(kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in _AT_START.items()]
        anywhere = _ANYWHERE + [("pattern", "", pattern) for pattern in self.patterns]
        self._anywhere = [(kind, key, re.compile(pattern, re.IGNORECASE)) for kind, key, pattern in anywhere]

    def check(self, batch: Sequence[Candidate]) -> Sequence[Drop | None]:
        """Name what was found first in each record, the field it stands in, and its words."""
        return [self._check(candidate) for candidate in batch]

    def _check(self, candidate: Candidate) -> Drop | None:
        record = candidate.record or {}
        for name in self._names:
            for text in strings(record.get(name)):
                for kind, match in self._find(text.replace("’", "'")):
                    return drop(f'{kind} in {name}: "{match[0].strip()[:_QUOTED]}"')
        return None

    def _find(self, text: str) -> Iterator[tuple[str, re.Match[str]]]:
        for kind, pattern in self._at_start:
            if match := pattern.match(text):
                yield kind, match
        lowered = text.lower()
        for kind, key, pattern in self._anywhere:
            if key in lowered and (match := pattern.search(text)):
                yield kind, match
