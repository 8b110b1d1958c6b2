"""Texts for drawn labels under drawn attributes, optionally checked by having the model name the label again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar, Literal

from textsynth.methods import Method, Setting, Steps
from textsynth.methods._fields import SEED_STEP, parse, write_fields
from textsynth.methods._texts import CUT, TEXT, cut, with_fields
from textsynth.prompts import Prompt
from textsynth.records import Candidate, Completion, Draw, Drop, Record, Request
from textsynth.schema import RecordSchema, constrain
from textsynth.text import count_words

CHECK_STEP = 1000
"""The number of the first vote, above all that the text can take."""
VERDICT = "label"


@dataclass
class Classify(Method):
    """Texts with labels, to train a classifier (AttrPrompt): a text is written for a label that was drawn before.

    Every other attribute that is drawn (subtopic, length, style, who writes) goes into the request too: that is what
    keeps the texts apart. Draw the label by ``attributes`` or, in exact shares, by ``quotas``; give it in the schema as
    a list of its values. Where there are labelled seeds, add the filter ``label_agreement``, which learns from them.

    Drops, with ``check: ask``, a text of which the model, not shown the label, says another one.

    Args:
        text: the field of the text.
        label: the field of the label.
        check: whether the label is checked by asking a model: ``none``, or ``ask``.
        votes: how often it is asked; the label must have no fewer votes than any other.
        question: the template of that question.
        model: the address of another model that is asked; by default the run's own.
    """

    default_prompt = "classify/text"
    paper = "Yu et al. 2023, AttrPrompt, arXiv 2306.15895"
    reasons: ClassVar[Mapping[str, str]] = {
        "cut_text": CUT,
        "label_disagreement": "use a larger model, or name the labels in words that say what they mean",
    }

    text: str = "text"
    label: str = "label"
    check: Literal["none", "ask"] = "none"
    votes: int = 1
    question: str = "classify/check"
    model: str = ""

    def __post_init__(self) -> None:
        """Check names and votes."""
        if self.text == self.label:
            raise ValueError(f"text and label must be different fields, got {self.text!r} for both")
        if not 1 <= self.votes <= 25:
            raise ValueError(f"votes must be between 1 and 25, got {self.votes}")
        if self.check == "none" and (self.votes > 1 or self.model):
            raise ValueError("votes and model belong to check: ask")

    def record_schema(self, given: RecordSchema | None) -> RecordSchema:
        """Put text and label before the other fields of the recipe's schema."""
        return with_fields(given, {self.text: TEXT, self.label: {"type": "string"}})

    def variables(self) -> dict[str, str]:
        """Return what the templates may use."""
        return {
            "label_name": "the name of the label's field",
            "wanted": "the drawn label, in words",
            "written": "the text (template of question only; empty before)",
            "choices": "the labels in words, shuffled per vote (template of question only; empty before)",
        }

    def templates(self) -> list[str]:
        """Return the template of the check."""
        return [self.question] if self.check == "ask" else []

    def models(self) -> list[str]:
        """Return the model that checks, if it is another one."""
        return [self.model] if self.model else []

    def prepare(self, setting: Setting) -> None:
        """Check that the label is drawn and, for the check, that its values are known."""
        if self.label not in setting.attributes or self.label in setting.partial:
            raise ValueError(
                f"the label must be drawn: attributes: {{{self.label}: [a, b]}} or quotas: {{{self.label}: {{a: 1}}}}"
            )
        self.setting = setting
        self._question: Prompt | None = None
        if self.check == "ask":
            self._labels = [value for value in setting.schema.choices(self.label) or () if value is not None]
            if len(self._labels) < 2:
                raise ValueError(f"check: ask needs to know the labels: list them in the schema: {self.label}: [a, b]")
            self._question = setting.load_prompt(self.question)
            self._answer = answer_schema([in_words(value) for value in self._labels])

    def run(self, draw: Draw) -> Steps:
        """Have the text written, then its label named."""
        wanted = in_words(draw.attributes.get(self.label))
        own = {"label_name": self.label, "wanted": wanted, "written": "", "choices": []}
        variables = {**self.setting.template_variables(draw), **own}
        messages = self.setting.prompt(draw).render(variables)
        candidate = yield from write_fields(self.setting, draw, messages)
        if candidate.record is None:
            return candidate
        text = str(candidate.record.get(self.text, ""))
        if wrong := cut(self.setting, {self.text: text}, self.setting.free_fields):
            return Candidate(draw, None, wrong)
        if self._question is None:
            return candidate
        wrong = yield from self._vote(draw, self._question, {**variables, "written": text}, wanted)
        return Candidate(draw, None, wrong) if wrong else candidate

    def summary(self, records: Iterable[Record]) -> Mapping[str, Any]:
        """Return the mean words by label."""
        lengths: dict[str, list[int]] = {}
        for record in records:
            if self.label in record:
                lengths.setdefault(str(record[self.label]), []).append(count_words(str(record.get(self.text, ""))))
        return {f"words of {name}": round(sum(found) / len(found), 1) for name, found in sorted(lengths.items())}

    def _vote(
        self, draw: Draw, prompt: Prompt, variables: Mapping[str, Any], wanted: str
    ) -> Generator[Request, Completion, Drop | None]:
        """Ask for the label, as often as wanted; return whether another one has more votes."""
        votes: Counter[str] = Counter()
        for number in range(self.votes):
            step = CHECK_STEP + number
            seed = (draw.sampling_seed + SEED_STEP * step) % 2**31
            choices = [in_words(value) for value in self._labels]
            Random(seed).shuffle(choices)  # small models like the first one best
            messages = prompt.render({**variables, "choices": choices, "wanted": "", "attributes": {}, "seeds": []})
            sampling = self.setting.sampling(draw).with_seed(seed)
            done = yield Request(draw.index, step, messages, self._answer, sampling, model=self.model)
            parsed = parse(done)
            if parsed.problem and parsed.problem.reason == "engine_error":
                return parsed.problem
            votes[str(parsed.fields.get(VERDICT, ""))] += 1
        best = max(votes, key=lambda name: (votes[name], name == wanted))
        if best == wanted:
            return None
        detail = f"{votes[wanted]} of {self.votes} votes say {wanted!r}, {votes[best]} say {best!r}"
        return Drop("label_disagreement", detail, votes[wanted] / self.votes)


def in_words(label: Any) -> str:
    """Return a label as a reader sees it: ``card_arrival`` is ``card arrival``."""
    return str(label).replace("_", " ")


def answer_schema(labels: list[str]) -> str:
    """Return the schema text of one vote."""
    document = {
        "type": "object",
        "properties": {VERDICT: {"enum": labels}},
        "required": [VERDICT],
        "additionalProperties": False,
    }
    return constrain(RecordSchema(document), max_tokens=256).text()
