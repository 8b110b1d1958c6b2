"""One eval item per draw, with an answer that can be checked: from a passage, a topic, or what the template shows."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, ClassVar, Literal

from textsynth import answers, documents
from textsynth.answers import LETTERS, normalise, read_number
from textsynth.methods import Method, Setting, Steps
from textsynth.methods._exam import RUNNER, closed, run_tests, trial
from textsynth.methods._fields import SEED_STEP, parse
from textsynth.methods._grounding import find, gives_away, refers_to_text, support
from textsynth.prompts import Prompt
from textsynth.records import Candidate, Completion, Draw, Drop, Message, Record, Request
from textsynth.schema import RecordSchema, load

Kind = Literal["multiple_choice", "exact", "numeric", "json", "code", "rubric"]
POINTING = re.compile(
    r"\b(?:(?:all|none|both) of the (?:above|these)|(?:right|correct|wrong|false) (?:answer|option))\b", re.IGNORECASE
)
"""Options about the options."""
LINE = {"type": "string", "minLength": 1, "maxLength": 80}
QUESTION = {"type": "string", "minLength": 12, "maxLength": 160}
LONGEST: Mapping[Kind, int] = {"multiple_choice": 80, "exact": 60, "numeric": 24, "code": 600, "rubric": 300}
"""Characters at which decoding cuts an answer."""


@dataclass(frozen=True, slots=True)
class Material:
    """What a draw's item is about: the passage, the sentence of it that is asked about, where it stands, the topic."""

    passage: str
    quote: str
    start: int
    topic: str


@dataclass
class Item(Method):
    """Writes one item of an eval set: a question, its answer and, for multiple choice, the wrong options.

    From a passage (a document's chunk, say) one sentence is drawn and the model is asked about that, so that each item has
    its supporting quote. Where the right option stands is drawn, evenly over each block of draws; the model never chooses
    it. Dropped is an item whose options are alike, whose question gives the answer away or points at a passage that will
    not be there, and whose answer is not in the passage. Have the keys checked by the method ``solve`` after this one.

    Args:
        kind: multiple_choice, exact (a few words of the passage), numeric, json (a small object), code (a Python function with
            tests, run in the sandbox) or rubric (criteria for a judge); of several, draws take turns. An attribute named
            ``kind`` goes before.
        choices: options of a multiple-choice item, 2 to 10.
        tolerance: of numeric answers, relative to the key.
        passage: the field with the passage; where nothing gives it, items are about the topic or what the template shows.
        support: least share of the content words of the right option that must stand in the passage.
    """

    default_prompt = "item/multiple_choice"
    own_fields = (
        "kind", "question", "choices", "answer", "tolerance", "tests", "criteria", "topic", "passage", "source",
    )  # fmt: skip
    seeds_are_records = False
    paper = (
        "answer positions and shortcuts: Zheng et al. 2024, Large Language Models Are Not Robust Multiple Choice Selectors, "
        "arXiv 2309.03882; Balepur et al. 2024, Artifacts or Abduction, arXiv 2402.12483"
    )
    reasons: ClassVar[Mapping[str, str]] = {
        "no_fact": "give longer passages, or for numeric items such with numbers in them",
        "bad_choices": "use a larger model, or ask for fewer choices",
        "gives_away": "use a larger model, or raise repairs",
        "copied_prompt": "use a larger model, or a template without an example",
        "points_at_passage": "raise repairs, or say in the template that the question must stand alone",
        "unsupported": "use a larger model, lower support, or give shorter passages",
        "bad_answer": "use a larger model, or raise sampling.max_tokens",
    }

    kind: Kind | tuple[Kind, ...] = "multiple_choice"
    choices: int = 4
    tolerance: float = 0.0
    passage: str = "text"
    support: float = 0.5

    def __post_init__(self) -> None:
        """Refuse options out of their range."""
        if not self.kinds:
            raise ValueError("kind must name at least one kind, got none")
        if not 2 <= self.choices <= len(LETTERS):
            raise ValueError(f"choices must be 2 to {len(LETTERS)}, got {self.choices}")
        if not 0 <= self.tolerance < 1:
            raise ValueError(f"tolerance is a share of the key, at least 0 and below 1, got {self.tolerance:g}")
        if not 0 <= self.support <= 1:
            raise ValueError(f"support must be between 0 and 1, got {self.support:g}")

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds that items may be of."""
        return (self.kind,) if isinstance(self.kind, str) else self.kind

    def record_schema(self, given: RecordSchema | None) -> RecordSchema:
        """Return the fields of an item; those that none of the kinds needs are left out."""
        if given is not None:
            raise ValueError("the method item writes its own fields: leave the schema out")
        text, texts = {"type": "string"}, {"type": "array", "items": {"type": "string"}}
        place = {"type": "integer", "minimum": -1}
        source = {"document": text, "section": text, "start": place, "end": place, "quote": text}
        special = {
            "choices": ("multiple_choice", texts),
            "tolerance": ("numeric", {"type": "number"}),
            "tests": ("code", texts),
            "criteria": ("rubric", texts),
        }
        fields: dict[str, Any] = {"kind": {"enum": list(self.kinds)}, "question": {"type": "string", "minLength": 1}}
        fields |= {name: part for name, (kind, part) in special.items() if kind in self.kinds}
        fields |= {
            "answer": {"type": "string", "minLength": 1},
            "topic": text,
            "passage": text,
            "source": closed(source),
        }
        return load(closed(fields), folder=Path(), place="schema")

    def variables(self) -> dict[str, str]:
        """Return what the templates may use."""
        return {
            "material": "the passage, empty without one",
            "fact": "the sentence of the passage that is asked about, empty without a passage",
            "about": "the topic drawn, or empty",
            "wrong": "how many wrong options are wanted",
            "worked": "whether a worked example is shown: the first time, but not when it is asked again",
        }

    def templates(self) -> list[str]:
        """Return the templates of the kinds."""
        return [f"item/{kind}" for kind in self.kinds]

    def carried_fields(self) -> tuple[str, ...]:
        """Return what the model does not write."""
        return ("kind", "topic", "passage", "source")

    def workers(self) -> Mapping[str, Callable[[Request], str]]:
        """Return what runs the tests of code items."""
        return {RUNNER: run_tests} if "code" in self.kinds else {}

    def prepare(self, setting: Setting) -> None:
        """Load the templates."""
        self.setting = setting
        self._prompts: dict[str, Prompt] = {kind: setting.load_prompt(f"item/{kind}") for kind in self.kinds}

    def summary(self, records: Iterable[Record]) -> Mapping[str, Any]:
        """Count the kinds and where the right options stand."""
        rows = list(records)
        keys = Counter(row["answer"] for row in rows if row.get("kind") == "multiple_choice")
        kinds = Counter(str(row.get("kind")) for row in rows)
        return {"kinds": dict(sorted(kinds.items())), **({"positions": dict(sorted(keys.items()))} if keys else {})}

    def run(self, draw: Draw) -> Steps:
        """Ask for the item, again while it has a fault."""
        kind = self._kind(draw)
        found = self._material(draw, kind)
        if isinstance(found, Drop):
            return Candidate(draw, None, found)
        variables, fault = self._variables(draw, found), None
        for attempt in range(self.setting.repairs + 1):
            step = 2 * attempt
            messages = self._prompt(draw, kind).render(variables | {"worked": attempt == 0})
            sampling = self.setting.sampling(draw).with_seed((draw.sampling_seed + SEED_STEP * step) % 2**31)
            done = yield Request(draw.index, step, messages, self._decoding(kind), sampling)
            made = copied(messages, self._read(done, draw, kind, found))
            if kind == "code" and not isinstance(made, Drop):
                tried = yield trial(draw, step + 1, made["answer"], made["tests"], sampling)
                made = Drop("bad_answer", f"its solution fails its tests: {tried.text[:200]}") if tried.text else made
            if not isinstance(made, Drop):
                return Candidate(draw, made)
            fault = made
            if fault.reason == "engine_error":
                break
        return Candidate(draw, None, fault)

    def _kind(self, draw: Draw) -> Kind:
        """Return the kind drawn, else the next in turn."""
        drawn = draw.attributes.get("kind")
        return drawn if drawn in self.kinds else self.kinds[draw.index % len(self.kinds)]

    def _prompt(self, draw: Draw, kind: Kind) -> Prompt:
        """Return the recipe's own template, if it names one, else that of the kind."""
        chosen = self.setting.prompt(draw)
        return self._prompts[kind] if chosen.name == self.default_prompt else chosen

    def _material(self, draw: Draw, kind: Kind) -> Material | Drop:
        """Return what the item is about; a passage must have a sentence to ask about."""
        topic = str(self.setting.given(draw, "topic") or "")
        passage = str(self.setting.given(draw, self.passage) or "").strip()
        if not passage:
            return Material("", "", -1, topic)
        facts = [span for span in documents.sentences(passage) if asks_well(span.of(passage), kind)]
        if not facts:
            needed = " with a number" if kind == "numeric" else ""
            return Drop("no_fact", f"the passage has no whole sentence of 6 to 60 words{needed}")
        chosen = Random(draw.sampling_seed).choice(facts)
        return Material(passage, chosen.of(passage), chosen.start, topic)

    def _variables(self, draw: Draw, found: Material) -> dict[str, Any]:
        own = {"material": found.passage, "fact": " ".join(found.quote.split()), "about": found.topic}
        return {**self.setting.template_variables(draw), **own, "wrong": self.choices - 1}

    def _decoding(self, kind: Kind) -> str:
        """Return the schema of what the model writes."""
        lines: dict[str, Any] = {"type": "array", "items": LINE}
        pair = closed({"name": {**LINE, "maxLength": 20}, "value": {**LINE, "maxLength": 60}})
        if kind == "json":
            parts: dict[str, Any] = {"answer": {"type": "array", "items": pair, "minItems": 2, "maxItems": 4}}
        else:
            parts = {"answer": {**LINE, "maxLength": LONGEST[kind]}}
        listed: dict[Kind, tuple[str, int, int]] = {
            "multiple_choice": ("wrong", self.choices - 1, self.choices - 1),
            "code": ("tests", 2, 4),
            "rubric": ("criteria", 2, 4),
        }
        if kind in listed:
            name, least, most = listed[kind]
            parts[name] = {**lines, "minItems": least, "maxItems": most}
        return json.dumps(closed({"question": QUESTION, **parts}))

    def _read(self, done: Completion, draw: Draw, kind: Kind, found: Material) -> Record | Drop:
        """Return the finished record, or what is wrong with what the model wrote."""
        parsed = parse(done)
        said = parsed.fields
        if parsed.problem is not None:
            return parsed.problem
        try:
            fields = self._fields(said, draw, kind, found)
        except (KeyError, TypeError, AttributeError):
            return Drop("invalid_json", f"fields are missing: {done.text[:80]!r}")
        if isinstance(fields, Drop):
            return fields
        if found.passage and (pointing := refers_to_text(fields["question"])):
            return Drop("points_at_passage", f"{pointing!r} needs the passage: {fields['question'][:120]!r}")
        return {name: fields[name] for name in self.setting.schema.properties}

    def _fields(self, said: Record, draw: Draw, kind: Kind, found: Material) -> Record | Drop:
        """Check what was written and put it into the fields of an item."""
        question = " ".join(said["question"].split())
        base = {"kind": kind, "question": question, "choices": [], "tolerance": 0.0, "tests": [], "criteria": []}
        base |= {"topic": found.topic, "passage": found.passage, "source": self._source(draw, found)}
        if kind == "json":
            values = {pair["name"].strip(): pair["value"].strip() for pair in said["answer"]}
            asked = f"{question} Give the keys {', '.join(values)}."
            return base | {"question": asked, "answer": json.dumps(values, ensure_ascii=False)}
        answer = said["answer"].strip()
        if cut := [text for text in (answer, *said.get("wrong", ())) if len(text) >= LONGEST[kind]]:
            return Drop("bad_answer", f"cut at {LONGEST[kind]} characters: {cut[0]!r}")
        if kind in {"code", "rubric"}:
            more = "tests" if kind == "code" else "criteria"
            return base | {"answer": answer, more: [line.strip() for line in said[more]]}
        if fault := self._fault(kind, question, answer, found):
            return fault
        if kind == "numeric":
            return base | {"answer": answers.read({"kind": kind}, answer), "tolerance": self.tolerance}
        if kind == "exact":
            return base | {"answer": answer}
        wrong = [option.strip() for option in said["wrong"]]
        if fault := alike([answer, *wrong]):
            return fault
        at = position(draw.index, self.choices)
        return base | {"choices": [*wrong[:at], answer, *wrong[at:]], "answer": LETTERS[at]}

    def _fault(self, kind: Kind, question: str, answer: str, found: Material) -> Drop | None:
        """Return what is wrong with the right answer: given away, or not of the passage."""
        if gives_away(question, answer):
            return Drop("gives_away", f"the question holds its answer: {answer!r}")
        if kind == "numeric":
            number = read_number(answer)
            if number is None:
                return Drop("bad_answer", f"no number: {answer!r}")
            known = {float(match.replace(",", "")) for match in re.findall(r"\d[\d,]*(?:\.\d+)?", found.quote)}
            missing = found.passage and abs(number) not in known
            return Drop("unsupported", f"{answer} is not in the quote {found.quote[:80]!r}") if missing else None
        if not found.passage:
            return None
        if kind == "exact":
            inside = find(answer, found.passage, flags=re.IGNORECASE)
            return None if inside else Drop("unsupported", f"{answer!r} does not stand in the passage")
        share = support(answer, found.passage)
        detail = f"{share:.0%} of the words of {answer!r} stand in the passage (least {self.support:.0%})"
        return Drop("unsupported", detail, score=share) if share < self.support else None

    def _source(self, draw: Draw, found: Material) -> Record:
        """Say where the quote stands: in the document if the chunk says where it stands there, else in the passage."""
        row = draw.seeds[0].row if draw.seeds else {}
        first = row.get("start")
        start = found.start + (first if isinstance(first, int) else 0) if found.quote else -1
        end = start + len(found.quote) if found.quote else -1
        named = {name: str(self.setting.given(draw, name) or "") for name in ("document", "section")}
        return {**named, "start": start, "end": end, "quote": found.quote}


def asks_well(sentence: str, kind: Kind) -> bool:
    """Return whether a sentence can be asked about: whole, 6 to 60 words and, for numeric items, with a number."""
    enough = 6 <= len(sentence.split()) <= 60 and sentence.rstrip("\"')] ").endswith((".", "!", "?"))
    return enough and sentence[0].isupper() and (kind != "numeric" or any(sign.isdigit() for sign in sentence))


def position(index: int, choices: int) -> int:
    """Return where the right option of a draw stands: in each block of ``choices`` draws every place once, shuffled."""
    block, at = divmod(index, choices)
    places = list(range(choices))
    Random(f"position {block}").shuffle(places)
    return places[at]


def copied(messages: Sequence[Message], made: Record | Drop) -> Record | Drop:
    """Return a drop if the question stands in the prompt, as that of an example does."""
    if isinstance(made, Drop) or not any(normalise(made["question"]) in normalise(m["content"]) for m in messages):
        return made
    return Drop("copied_prompt", f"the question stands in the prompt: {made['question'][:120]!r}")


def alike(options: list[str]) -> Drop | None:
    """Return a drop if two options say the same, one is empty or one is about the others."""
    told = [normalise(option) for option in options]
    bare = [text in told[:at] or not any(sign.isalnum() for sign in text) for at, text in enumerate(told)]
    if any(bare):
        return Drop("bad_choices", f"the option {options[bare.index(True)]!r} stands twice or says nothing")
    pointing = next((option for option in options if POINTING.search(option)), None)
    return Drop("bad_choices", f"the option {pointing!r} is about the others") if pointing else None
