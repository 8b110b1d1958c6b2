"""A given text written anew: paraphrased, translated, simplified, or with one attribute swapped; the source is kept."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar, Literal

from textsynth.methods import Method, Setting, Steps
from textsynth.methods._texts import CUT, TEXT, ask_text, with_fields
from textsynth.overlap import rouge_l
from textsynth.records import Candidate, Draw, Drop, Record
from textsynth.schema import RecordSchema
from textsynth.text import fold, words

Kind = Literal["paraphrase", "translate", "simplify", "counterfactual"]
LANGUAGES = {
    "ar": "Arabic", "bg": "Bulgarian", "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek", "en": "English",
    "es": "Spanish", "fi": "Finnish", "fr": "French", "he": "Hebrew", "hi": "Hindi", "hu": "Hungarian", "it": "Italian",
    "ja": "Japanese", "ko": "Korean", "nl": "Dutch", "no": "Norwegian", "pl": "Polish", "pt": "Portuguese",
    "ro": "Romanian", "ru": "Russian", "sv": "Swedish", "th": "Thai", "tr": "Turkish", "uk": "Ukrainian",
    "zh": "Chinese",
}  # fmt: skip
SCRIPTS = {
    "Arabic": ("ARABIC",), "Bulgarian": ("CYRILLIC",), "Chinese": ("CJK",), "Greek": ("GREEK",), "Hebrew": ("HEBREW",),
    "Hindi": ("DEVANAGARI",), "Japanese": ("HIRAGANA", "KATAKANA", "CJK"), "Korean": ("HANGUL",),
    "Russian": ("CYRILLIC",), "Thai": ("THAI",), "Ukrainian": ("CYRILLIC",),
}  # fmt: skip
"""The scripts of languages, as Unicode's character names begin; the other languages are written in Latin letters."""

EXAMPLES: Mapping[Kind, tuple[Mapping[str, str], ...]] = {
    "paraphrase": (
        {"original": "Can I pay with my phone abroad?", "rewrite": "Does paying by phone work in other countries?"},
        {"original": "I called on Monday, no answer yet.", "rewrite": "Nobody has replied since my call on Monday."},
    ),
    "simplify": (
        {
            "original": "Owing to adverse weather, the departure of the vessel has been postponed until tomorrow.",
            "rewrite": "The weather is bad. The ship leaves tomorrow.",
        },
    ),
    "counterfactual": (
        {
            "original": "I was glad to see him at the door.",
            "rewrite": "I was sad to see him at the door.",
            "swapped": "mood",
            "old_value": "happy",
            "new_value": "unhappy",
        },
    ),
    "translate": (),
}
"""What the templates show as earlier answers."""
COPIED = 0.8
"""ROUGE-L with an example from which on a rewrite is a copy of it."""

_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_WORD = re.compile(r"[^\W\d_][^\W_]*")
_BEFORE_SENTENCE = '.!?…:\n"“‘(*-–—'
_ENDS = re.compile(r"[.!?…]+(?:\s|\Z)")


@dataclass
class Rewrite(Method):
    """A text that is given, written anew: to augment a set, to make pairs, or to test what a classifier hangs on.

    ``paraphrase`` says the same in other words and keeps numbers and names; ``translate`` changes the language;
    ``simplify`` makes it easier to read; ``counterfactual`` swaps one attribute for another of its values and keeps the
    rest. The record has the rewrite, the source, and whatever other fields the schema names, copied (a label, say). A
    rewrite that fails its check is asked for again, ``repairs`` times.

    Drops, by kind: a rewrite that is as before, adds something, answers a question, or lost a number or name
    (paraphrase), is in the old language or lost a number (translate), is no easier (simplify), kept the old value or
    changed too much (counterfactual). Whether the meaning is kept it cannot see: add ``llm_judge``, and ``language`` to
    a translation.

    Args:
        kind: ``paraphrase``, ``translate``, ``simplify`` or ``counterfactual``.
        field: the field that is read and written anew.
        source: the field that keeps the text as it was.
        language: of a translation, its code or name (``de``, ``German``); else that of the field ``language``.
        attribute: the field that a counterfactual swaps; its values are listed in the schema, or in ``values``.
        values: the values that the attribute can take.
        most_alike: ROUGE-L with the source from which on a paraphrase or translation counts as none.
        least_alike: ROUGE-L with the source that a counterfactual must keep.
        most_longer: words of a paraphrase or counterfactual, as a multiple of the source's, above which it is too long.
    """

    seeds_are_records = False
    default_prompt = "rewrite/paraphrase"
    paper = "counterfactuals: Kaushik et al. 2020, arXiv 1909.12434"
    reasons: ClassVar[Mapping[str, str]] = {
        "cut_text": CUT,
        "unchanged": "use a larger model or a higher temperature, or raise most_alike",
        "copied_example": "use a larger model, or a template of your own with examples of your texts",
        "too_long": "use a larger model, or raise most_longer",
        "answered": "use a larger model, or a template of your own with examples of your texts",
        "number_lost": "use a larger model, or seeds with fewer numbers",
        "name_lost": "use a larger model, or seeds with fewer names",
        "not_translated": "use a model that knows the language",
        "not_simpler": "use a larger model, or seeds with longer sentences",
        "value_kept": "use a larger model",
        "value_missing": "use a larger model",
        "too_different": "use a larger model, or lower least_alike",
        "no_input": "give every seed a text in the field that is rewritten, and the fields of the schema",
    }

    kind: Kind = "paraphrase"
    field: str = "text"
    source: str = "source"
    language: str = ""
    attribute: str = ""
    values: tuple[Any, ...] = ()
    most_alike: float = 0.8
    least_alike: float = 0.5
    most_longer: float = 1.6

    def __post_init__(self) -> None:
        """Check what belongs to the kind, and the numbers."""
        if self.field == self.source:
            raise ValueError(f"source must be another field than {self.field!r}: it keeps the text as it was")
        if self.language and self.kind != "translate":
            raise ValueError(f"language belongs to kind: translate, got kind {self.kind!r}")
        if (self.attribute or self.values) and self.kind != "counterfactual":
            raise ValueError(f"attribute and values belong to kind: counterfactual, got kind {self.kind!r}")
        if self.kind == "counterfactual" and (not self.attribute or self.attribute in {self.field, self.source}):
            raise ValueError(f"attribute must name the field that is swapped, got {self.attribute!r}")
        if self.most_longer < 1:
            raise ValueError(f"most_longer must be at least 1, got {self.most_longer:g}")
        for name in ("most_alike", "least_alike"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} must be above 0 and at most 1, got {getattr(self, name):g}")
        swapped = (self.attribute, self._before) if self.attribute else ()
        self.own_fields = (self.field, self.source, *swapped)
        self.default_prompt = f"rewrite/{self.kind}"
        self._others: tuple[str, ...] = ()

    def record_schema(self, given: RecordSchema | None) -> RecordSchema:
        """Put the rewrite, its source and what is swapped before the fields that are copied."""
        fields: dict[str, Mapping[str, Any]] = {self.field: TEXT, self.source: TEXT}
        self._others = tuple(name for name in (given.properties if given else ()) if name not in self.own_fields)
        if self.attribute:
            listed = given.properties.get(self.attribute) if given else None
            part = listed or ({"enum": list(self.values)} if self.values else {})
            fields |= {self.attribute: part, self._before: part}
        schema = with_fields(given, fields)
        if self.attribute and len(self._choices(schema)) < 2:
            raise ValueError(
                f"the values of {self.attribute!r} must be known: list at least two in the schema or values"
            )
        return schema

    def carried_fields(self) -> tuple[str, ...]:
        """Return the fields that are copied."""
        return (self.source, *self._others)

    def variables(self) -> dict[str, str]:
        """Return what the templates may use; ``seeds`` are worked examples there."""
        return {
            "original": "the text that is rewritten",
            "into": "the language of a translation, in words (else empty)",
            "swapped": "the attribute that a counterfactual swaps, in words (else empty)",
            "old_value": "its value in the original (else empty)",
            "new_value": "its value in the rewrite (else empty)",
        }

    def prepare(self, setting: Setting) -> None:
        """Check that everything that is read is given."""
        read = [name for name in setting.schema.properties if name not in {self.source, self._before}]
        read += ["language"] if self.kind == "translate" and not self.language else []
        setting.require(dict.fromkeys([self.field, *read]))
        self.setting = setting

    def run(self, draw: Draw) -> Steps:
        """Have the text rewritten until a rewrite passes its check."""
        kept = self._copied(draw)
        if isinstance(kept, Drop):
            return Candidate(draw, None, kept)
        original = kept[self.source]
        variables = {**self.setting.template_variables(draw), **self._facts(draw, kept), **self._shown()}
        messages = self.setting.prompt(draw).render(variables)
        wrong: Drop | None = None
        for attempt in range(self.setting.repairs + 1):
            text = yield from ask_text(self.setting, draw, attempt, messages, self.field)
            wrong = text if isinstance(text, Drop) else self._check(original, text, variables)
            if wrong is None:
                record = {**kept, self.field: text}
                return Candidate(draw, {name: record[name] for name in self.setting.schema.properties})
            if wrong.reason == "engine_error":
                break
        return Candidate(draw, None, wrong)

    def summary(self, records: Iterable[Record]) -> Mapping[str, Any]:
        """Return how alike rewrites and sources are, and their mean lengths."""
        pairs = [(words(r[self.source]), words(r[self.field])) for r in records if self.source in r and self.field in r]
        if not pairs:
            return {}
        return {
            "ROUGE-L with the source (mean)": round(sum(rouge_l(*pair) for pair in pairs) / len(pairs), 2),
            "words of the source": round(sum(len(first) for first, _ in pairs) / len(pairs), 1),
            "words of the rewrite": round(sum(len(second) for _, second in pairs) / len(pairs), 1),
        }

    @property
    def _before(self) -> str:
        """The field that keeps the swapped attribute as it was."""
        return f"{self.source}_{self.attribute}"

    def _choices(self, schema: RecordSchema) -> list[Any]:
        return list(self.values or schema.choices(self.attribute) or ())

    def _copied(self, draw: Draw) -> Record | Drop:
        """Return the fields of the record that are not written by the model."""
        names = [name for name in self.setting.schema.properties if name not in {self.source, self._before}]
        found = {name: self.setting.given(draw, name) for name in names}
        original = found.pop(self.field)
        if not isinstance(original, str) or not original.strip():
            return Drop("no_input", f"{self.field} must be a text, got {original!r}")
        found[self.source] = original
        if self.attribute:
            old = found[self.attribute]
            others = [value for value in self._choices(self.setting.schema) if value != old]
            found |= {self._before: old, self.attribute: Random(draw.sampling_seed).choice(others)}
        for name, value in found.items():
            if problems := self.setting.schema.field_problems(name, value):
                return Drop("no_input", f"{name}: {problems[0].message}")
        return found

    def _facts(self, draw: Draw, kept: Record) -> dict[str, str]:
        """Return the variables of the template."""
        into = ""
        if self.kind == "translate":
            told = self.language or str(self.setting.given(draw, "language"))
            into = LANGUAGES.get(told.lower(), told)
        old, new = (kept[self._before], kept[self.attribute]) if self.attribute else ("", "")
        facts = {"swapped": self.attribute, "old_value": old, "new_value": new}
        return {name: str(value).replace("_", " ") for name, value in facts.items()} | {
            "original": kept[self.source],
            "into": into,
        }

    def _shown(self) -> dict[str, Any]:
        """Return the worked examples, in the place of seeds."""
        rows = [{**example, self.field: example["rewrite"]} for example in EXAMPLES[self.kind]]
        return {"seeds": rows, "fields": (self.field,)}

    def _check(self, original: str, text: str, facts: Mapping[str, Any]) -> Drop | None:
        """Return why a rewrite is none of its kind."""
        if fold(original) == fold(text):
            return Drop("unchanged", f"nothing was changed in {text[:80]!r}", 1.0)
        before, after = words(original), words(text)
        alike = rouge_l(before, after)
        if any(
            rouge_l(words(shown), after) >= COPIED
            for example in EXAMPLES[self.kind]
            for shown in (example["original"], example["rewrite"])
        ):
            return Drop("copied_example", f"the template's example: {text[:80]!r}")
        if self.kind in {"paraphrase", "translate"} and alike >= self.most_alike:
            return Drop("unchanged", f"{alike:.2f} like the source, most_alike is {self.most_alike:g}", alike)
        if self.kind in {"paraphrase", "counterfactual"} and len(after) > self.most_longer * len(before) + 2:
            detail = f"{len(after)} words, the source has {len(before)}; most_longer is {self.most_longer:g}"
            return Drop("too_long", detail, len(after) / max(1, len(before)))
        if self.kind == "counterfactual":
            return self._swapped(original, text, facts, alike)
        return CHECKS[self.kind](original, text, facts)

    def _swapped(self, original: str, text: str, facts: Mapping[str, Any], alike: float) -> Drop | None:
        """Return what a counterfactual kept of the old value, lacks of the new one, or changed beside."""
        old, new = facts["old_value"], facts["new_value"]
        if stands(old, original):
            if stands(old, text):
                return Drop("value_kept", f"{old!r} still stands in {text[:100]!r}")
            if not stands(new, text):
                return Drop("value_missing", f"{new!r} does not stand in {text[:100]!r}")
        if alike < self.least_alike:
            return Drop("too_different", f"{alike:.2f} like the source, least_alike is {self.least_alike:g}", alike)
        return None


def is_question(text: str) -> bool:
    """Return whether a text has a question mark, of any script."""
    return any(mark in text for mark in "?？؟")


def stands(phrase: str, text: str) -> bool:
    """Return whether the words of ``phrase`` stand in ``text``, one after the other."""
    wanted = words(phrase)
    return bool(wanted) and f" {' '.join(wanted)} " in f" {' '.join(words(text))} "


def numbers(text: str) -> list[str]:
    """Return the digits of each number in a text, for separators differ between languages."""
    return [re.sub(r"\D", "", found) for found in _NUMBER.findall(text)]


def names(text: str) -> list[str]:
    """Return the words of a text that look like names: in capitals, or with a capital inside a sentence."""
    found = []
    for match in _WORD.finditer(text):
        word, before = match[0], text[: match.start()].rstrip(" ")
        begins = not before or before[-1] in _BEFORE_SENTENCE
        if len(word) > 1 and (word.isupper() or (word[0].isupper() and not begins)):
            found.append(word)
    return found


def lost_number(original: str, text: str) -> Drop | None:
    """Return the first number of ``original`` that ``text`` lacks, as a reason to drop it."""
    there = numbers(text)
    for number in numbers(original):
        if number not in there:
            return Drop("number_lost", f"{number} does not stand in {text[:100]!r}")
    return None


def same_facts(original: str, text: str, facts: Mapping[str, Any]) -> Drop | None:
    """A paraphrase keeps numbers and names, and of a question it is one: small models answer it instead."""
    if is_question(original) and not is_question(text):
        return Drop("answered", f"the source is a question, this is none: {text[:100]!r}")
    if wrong := lost_number(original, text):
        return wrong
    there = set(words(text))
    lost = next((name for name in names(original) if not there.issuperset(words(name))), None)
    return Drop("name_lost", f"{lost!r} does not stand in {text[:100]!r}") if lost else None


def translated(original: str, text: str, facts: Mapping[str, Any]) -> Drop | None:
    """A translation keeps numbers, is in its language's script, and takes over less than half of the small words."""
    if wrong := lost_number(original, text):
        return wrong
    letters = [unicodedata.name(char, "") for char in text if char.isalpha()]
    scripts = SCRIPTS.get(facts["into"], ("LATIN",))
    if sum(name.startswith(scripts) for name in letters) < len(letters) / 2 or not letters:
        return Drop("not_translated", f"not in the letters of {facts['into']}: {text[:80]!r}")
    small = [word for word in words(text) if word.isalpha() and word not in set(map(str.casefold, names(original)))]
    same = sum(word in set(words(original)) for word in small)
    if small and same >= len(small) / 2:
        return Drop(
            "not_translated", f"{same} of {len(small)} words are the source's: {text[:80]!r}", same / len(small)
        )
    return None


def simpler(original: str, text: str, facts: Mapping[str, Any]) -> Drop | None:
    """A simplification has no higher grade than its source, by the Automated Readability Index."""
    before, after = grade(original), grade(text)
    if after > before:
        return Drop("not_simpler", f"grade {after:.1f}, the source's is {before:.1f}", after)
    return None


def grade(text: str) -> float:
    """Return the Automated Readability Index (Smith and Senter 1967): years of school."""
    found = words(text)
    if not found:
        return 0.0
    sentences = max(1, len(_ENDS.findall(text)))
    return 4.71 * sum(map(len, found)) / len(found) + 0.5 * len(found) / sentences - 21.43


CHECKS: Mapping[str, Callable[[str, str, Mapping[str, Any]], Drop | None]] = {
    "paraphrase": same_facts,
    "translate": translated,
    "simplify": simpler,
}
