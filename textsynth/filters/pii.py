"""Personal data: found in every string of a record, then dropped, replaced by placeholders or surrogates, or reported."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from textsynth.errors import unknown
from textsynth.filters import Answer, Filter, Setting, drop
from textsynth.pii import TYPES, Detector, Finding, names
from textsynth.pii.surrogates import Scope, Surrogates, check_locale
from textsynth.records import Candidate, Draw, Drop, Edit, Record
from textsynth.text import require_fields

Action = Literal["drop", "redact", "replace", "keep"]
BY_MODEL = ("PERSON", "LOCATION", "ORGANIZATION", "NRP")
"""Types of which patterns find only set phrases, or nothing."""
SEEDS = 10_000
"""Most seeds that are looked through at the start."""
ATTEMPTS = 4
"""How often other surrogates are tried where the first break the schema."""
STRICTNESS = {action: place for place, action in enumerate(("keep", "replace", "redact", "drop"))}
DONE: dict[Action, str] = {"keep": "found", "replace": "replaced", "redact": "redacted", "drop": "dropped"}
_NOBODY = Draw(-1, 0, {}, (), 0)
_WORD = re.compile(r"\w+")
_SHOWN = 3  # findings named in a verdict

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """A string of a record: the way to it, and what was found there."""

    path: Path
    text: str
    findings: tuple[Finding, ...]


@dataclass(kw_only=True)
class Pii(Filter):
    """Drops a record in which personal data stands, or redacts, replaces or reports it.

    Every string at any depth is read. Most types are proven by checksum, numbering plan or format (level ``valid``);
    ``shaped`` findings look the part but fail that proof, as numbers that a model makes up do; ``context`` findings are
    told by the words around them, ``model`` findings by the model of names. What the recipe drew on purpose is known: a
    finding made of drawn words, or a drawn number in another grouping, is none; nor is a value that the schema lists.

    A record changed by ``redact`` or ``replace`` still satisfies its schema: where a placeholder or surrogate breaks it,
    shorter ones are tried, then the record is dropped. Nothing is remembered of kept records.

    Cannot see: what ``textsynth.pii.Detector`` cannot; personal data spread over several fields; keys of objects; names
    of people, places and organisations outside set phrases if no model of ``names`` is given (the dataset card says so).

    Args:
        action: ``drop`` the record, ``redact`` (``<EMAIL_ADDRESS>``), ``replace`` by surrogates that belong to nobody, or
            ``keep`` it and say what was found.
        actions: another action for some types.
        shaped: the action for what only looks like personal data; by default the same as for what is proven, since a
            reader cannot tell them apart and a made-up number may be somebody's.
        types: which types to look for; by default all.
        names: the model that finds names: ``spacy``, ``spacy:PIPELINE``, ``presidio:PIPELINE``, ``gliner:MODEL``, or a
            token-classification model of the Hugging Face hub or in a folder; empty: none.
        threshold: the least score of a finding, 0 to 1.
        locale: the locale of surrogates, as Faker names them.
        scope: within what the same value becomes the same surrogate: a ``record`` or the whole ``run``.
        fields: the top-level fields that are read; by default all.
    """

    action: Action = "drop"
    actions: dict[str, Action] = field(default_factory=dict)
    shaped: Action | None = None
    types: tuple[str, ...] | None = None
    names: str = ""
    threshold: float = 0.0
    locale: str = "en_US"
    scope: Scope = "record"
    fields: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse types, locales and models of names that do not exist."""
        for place, chosen in (("types", self.types or ()), ("actions", tuple(self.actions))):
            for name in chosen:
                if name not in TYPES:
                    raise ValueError(unknown(place, name, TYPES))
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold must be between 0 and 1, got {self.threshold:g}")
        if self._replaces:
            check_locale(self.locale)
        if self.names and (wrong := names.problem(self.names)):
            raise ValueError(f"names: {wrong}")

    @property
    def _replaces(self) -> bool:
        return "replace" in {self.action, self.shaped, *self.actions.values()}

    def prepare(self, setting: Setting) -> None:
        """Check the fields and compile the patterns; the model of names is loaded later."""
        super().prepare(setting)
        require_fields(self.fields, setting.schema.properties)
        finder = names.load(self.names) if self.names else None
        self._detector = Detector(self.types, names=finder)
        self._surrogates = Surrogates(self.locale, seed=setting.seed, scope=self.scope) if self._replaces else None
        self._choices: dict[str | int, frozenset[str]] = {}
        self._last: dict[int, tuple[Record, list[Place]]] = {}
        self._found: Counter[str] = Counter()
        self._in_seeds: Counter[str] = Counter()

    def start(self) -> None:
        """Load the model of names and look through the seeds, up to 10,000 of them."""
        self._detector.find(["Nobody."])
        seeds = self.setting.seeds[:SEEDS]
        for places in self._look([seed.row for seed in seeds], [_known(Candidate(_NOBODY, None))] * len(seeds)):
            kinds = {finding.type for place in places for finding in place.findings}
            self._in_seeds.update([*kinds, *(["any"] if kinds else [])])

    def check(self, batch: Sequence[Candidate]) -> Sequence[Answer]:
        """Answer for each record by the strictest action that its findings call for."""
        records = [candidate.record or {} for candidate in batch]
        found = self._look(records, list(map(_known, batch)))
        self._last = {id(record): (record, places) for record, places in zip(records, found, strict=True) if places}
        return [self._answer(c, places) if places else None for c, places in zip(batch, found, strict=True)]

    def keep(self, batch: Sequence[Candidate]) -> None:
        """Count, for the card, what is left in the records kept; those checked last are not read again."""
        if "keep" not in {self.action, self.shaped, *self.actions.values()}:
            return
        fresh = [c for c in batch if id(c.record) not in self._last]
        found = self._look([c.record or {} for c in fresh], list(map(_known, fresh)))
        found += [self._last[id(c.record)][1] for c in batch if id(c.record) in self._last]
        self._found.update(f.type for places in found for place in places for f in place.findings)

    def measured(self) -> Mapping[str, Any]:
        """Say what was looked for, what was not, and what stood in the seeds and stands in the records kept."""
        unsought = [name for name in TYPES if name not in self._detector.types]
        if not self.names:
            unsought += [f"{name} outside set phrases" for name in BY_MODEL if name in self._detector.types]
        return {
            "looked_for": sorted(self._detector.types),
            "not_looked_for": unsought,
            "names_by": self.names,
            "seeds_with_pii": self._in_seeds["any"],
            "in_seeds": {name: count for name, count in sorted(self._in_seeds.items()) if name != "any"},
            "left_in_records": dict(sorted(self._found.items())),
        }

    def _look(self, records: Sequence[Record], drawn: Sequence[Known]) -> list[list[Place]]:
        """Return, per record, the strings with findings that count; all strings are read in one call."""
        strings = [
            (number, path, text)
            for number, record in enumerate(records)
            for path, text in _strings(record)
            if self._reads(path[0], text)
        ]
        found: list[list[Place]] = [[] for _ in records]
        every = self._detector.find([text for _, _, text in strings])
        for (number, path, text), findings in zip(strings, every, strict=True):
            if findings and (kept := tuple(f for f in findings if self._counts(f, text, drawn[number]))):
                found[number].append(Place(path, text, kept))
        return found

    def _reads(self, name: str | int, text: str) -> bool:
        """Return whether a top-level field is looked at: not if it is one of the values that the schema lists."""
        if self.fields is not None and name not in self.fields:
            return False
        if name not in self._choices:
            self._choices[name] = frozenset(map(str, self.setting.schema.choices(str(name)) or ()))
        return text not in self._choices[name]

    def _counts(self, finding: Finding, text: str, known: Known) -> bool:
        """Return whether a finding is sure enough, and not made of what the recipe drew."""
        return finding.score >= self.threshold and not known.covers(text[finding.start : finding.end])

    def _action(self, finding: Finding) -> Action:
        if finding.type in self.actions:
            return self.actions[finding.type]
        return self.shaped if self.shaped is not None and finding.level == "shaped" else self.action

    def _answer(self, candidate: Candidate, places: list[Place]) -> Answer:
        strictest = max(
            ((self._action(f), f) for place in places for f in place.findings), key=lambda pair: STRICTNESS[pair[0]]
        )
        if strictest[0] == "drop":
            dropped = [replace(p, findings=tuple(f for f in p.findings if self._action(f) == "drop")) for p in places]
            return drop(describe([p for p in dropped if p.findings]), score=strictest[1].score)
        if strictest[0] == "keep":
            return Edit(candidate.record or {}, f"{DONE['keep']} {describe(places)}")
        return self._change(candidate, places)

    def _change(self, candidate: Candidate, places: list[Place]) -> Edit | Drop:
        """Put placeholders and surrogates into the record, such that it still satisfies its schema."""
        broken_before = len(self.setting.schema.problems(candidate.record))
        for attempt in range(ATTEMPTS if self._surrogates else 1):
            changed = self._rewrite(candidate, places, attempt)
            problems = self.setting.schema.problems(changed)
            if len(problems) <= broken_before:
                done = dict.fromkeys(DONE[self._action(f)] for p in places for f in p.findings)
                return Edit(changed, f"{' and '.join(done)} {describe(places)}")
        rules = ", ".join(f"{name_path(tuple(p.path))} {p.keyword}" for p in problems[:3])
        return drop(f"{describe(places)}; changed, the record would break its schema ({rules})")

    def _rewrite(self, candidate: Candidate, places: list[Place], attempt: int) -> Record:
        values = [(f.type, p.text[f.start : f.end]) for p in places for f in p.findings]
        surrogates = (
            self._surrogates.replace(values, draw=candidate.draw.index, attempt=attempt)
            if self._surrogates
            else [value for _, value in values]
        )
        stand_ins, record = iter(surrogates), candidate.record or {}
        for place in places:
            parts, end = [], 0
            for finding, surrogate in zip(place.findings, stand_ins):  # noqa: B905  the surrogates are shared by all places
                action = self._action(finding)
                own = place.text[finding.start : finding.end]
                stand_in = {"redact": f"<{finding.type}>", "replace": surrogate}.get(action, own)
                parts += [place.text[end : finding.start], stand_in]
                end = finding.end
            record = _with(record, place.path, "".join([*parts, place.text[end:]]))
        return record


def describe(places: Sequence[Place]) -> str:
    """Name the first findings by type and place, never by value: ``EMAIL_ADDRESS in body[12:31] (valid)``."""
    every = [
        f"{f.type} in {name_path(place.path)}[{f.start}:{f.end}] ({f.level})"
        for place in places
        for f in place.findings
    ]
    more = f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else ""
    return ", ".join(every[:_SHOWN]) + more


def name_path(path: Path) -> str:
    """Write the way to a string as people do: ``messages[2].content``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def _strings(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Yield every string with the way to it; deeper than any schema asks for, nothing is read."""
    stack: list[tuple[Path, Any]] = [(path, value)]
    while stack:
        here, item = stack.pop()
        if isinstance(item, str):
            yield here, item
        elif isinstance(item, dict):
            stack.extend(((*here, key), part) for key, part in reversed(item.items()))
        elif isinstance(item, list):
            stack.extend(((*here, number), part) for number, part in reversed(list(enumerate(item))))


def _with(value: Any, path: Path, text: str) -> Any:
    """Return ``value`` with another string at the end of ``path``; nothing of the original is changed."""
    holders = [value]
    for step in path[:-1]:
        holders.append(holders[-1][step])
    changed: Any = text
    for holder, step in zip(reversed(holders), reversed(path), strict=True):
        copy = list(holder) if isinstance(holder, list) else dict(holder)
        copy[step] = changed  # type: ignore[index]
        changed = copy
    return changed


@dataclass(frozen=True, slots=True)
class Known:
    """What the recipe drew for one record: its words, and its values of digits alone."""

    words: frozenset[str]
    numbers: frozenset[str]

    def covers(self, value: str) -> bool:
        """Return whether a value is made of what was drawn: all its words, or its digits in any grouping."""
        digits = "".join(char for char in value if char.isdecimal())
        return bool(self.words) and (
            self.words.issuperset(_words(value)) or (len(digits) > 3 and digits in self.numbers)
        )


def _known(candidate: Candidate) -> Known:
    drawn = [text for _, text in _strings(dict(candidate.draw.attributes))]
    numbers = ("".join(char for char in text if char.isdecimal()) for text in drawn)
    return Known(frozenset(word for text in drawn for word in _words(text)), frozenset(numbers))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())
