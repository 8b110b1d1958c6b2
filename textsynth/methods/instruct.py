"""Instructions with their responses: a new task in the manner of the seeds, then the model's own answer to it."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from textsynth.methods import Method, Setting, Steps
from textsynth.methods._fields import SEED_STEP, write_fields
from textsynth.methods._texts import CUT, TEXT, cut, with_fields, without_fields
from textsynth.prompts import Prompt
from textsynth.records import Candidate, Completion, Draw, Drop, Record, Request
from textsynth.schema import RecordSchema
from textsynth.text import count_words, fold

INSTRUCTION, INPUT, RESPONSE = "instruction", "input", "response"
BLOCKLIST = (
    "image", "images", "graph", "graphs", "picture", "pictures", "file", "files", "map", "maps", "draw", "plot",
    "go to",
)  # fmt: skip
"""What a language model cannot work on, as in the code of the paper."""
ANSWER_STEP = 1000
"""The number of the request for the response, above all that the instruction can take."""


@dataclass
class Instruct(Method):
    """Instructions with responses, to fine-tune an assistant (Self-Instruct).

    The seeds are shown as earlier tasks and a new one is asked for, held to the schema; a second request answers it as
    in a chat, without a schema. The attributes ``topic``, ``persona`` and ``opening`` (the first word), where they are
    drawn, go into the first request: draw ``topic`` from ``topics:``, the others from a list or a file's column. Small
    models write tasks rather than remarks if they are told the opening. Where an earlier step or an attribute gives the
    instruction, it is only answered. The filter ``novelty`` keeps the instructions apart.

    Drops instructions that are too short or too long, begin with punctuation or ask for what a text cannot be; and
    responses that are empty, cut, or repeat the instruction.

    Args:
        response: whether the instruction is answered: ``ask``, or ``none`` (no field ``response``).
        input: whether a task has a field ``input`` that it is about, which may be empty: ``optional``, or ``none``.
        answer: the template of the second request.
        answer_tokens: most tokens of the response; by default those of the recipe's sampling.
        min_words: words below which an instruction is dropped.
        max_words: words above which an instruction is dropped.
        blocklist: words and phrases that no instruction may have, case ignored.
    """

    default_prompt = "instruct/task"
    paper = (
        "Wang et al. 2023, Self-Instruct: Aligning Language Models with Self-Generated Instructions (arXiv 2212.10560)"
    )
    reasons: ClassVar[Mapping[str, str]] = {
        "cut_text": CUT,
        "short_instruction": "show longer seeds, or raise the least length of the field instruction in the schema",
        "long_instruction": "lower the greatest length of the field instruction in the schema",
        "blocked_instruction": "if your model can do this, take the word out of blocklist",
        "punctuation": "show other seeds: these make the model begin with a mark",
        "empty_response": "use a larger model, or another template for answer",
        "repeated_instruction": "use a larger model, or say in the template for answer what a response is",
        "truncated_response": "raise answer_tokens, or ask for shorter answers in the template for answer",
    }

    response: Literal["ask", "none"] = "ask"
    input: Literal["none", "optional"] = "none"
    answer: str = "instruct/answer"
    answer_tokens: int | None = None
    min_words: int = 4
    max_words: int = 150
    blocklist: tuple[str, ...] = BLOCKLIST

    def __post_init__(self) -> None:
        """Check the numbers and the blocklist."""
        if not 1 <= self.min_words <= self.max_words:
            raise ValueError(f"min_words must be between 1 and max_words {self.max_words}, got {self.min_words}")
        if self.answer_tokens is not None and self.answer_tokens < 8:
            raise ValueError(f"answer_tokens must be at least 8, got {self.answer_tokens}")
        if any(not phrase.strip() for phrase in self.blocklist):
            raise ValueError("blocklist must not hold an empty phrase: it would drop every instruction")
        phrases = "|".join(re.escape(phrase) for phrase in self.blocklist)
        self._blocked = re.compile(rf"\b(?:{phrases})\b", re.IGNORECASE) if phrases else None
        self.own_fields = (RESPONSE,) if self.response == "ask" else ()

    def record_schema(self, given: RecordSchema | None) -> RecordSchema:
        """Put the fields of a task before those of the recipe's schema."""
        fields: dict[str, dict[str, Any]] = {INSTRUCTION: TEXT}
        fields |= {INPUT: {"type": "string"}} if self.input == "optional" else {}
        fields |= {RESPONSE: TEXT} if self.response == "ask" else {}
        return with_fields(given, fields)

    def variables(self) -> dict[str, str]:
        """Return what the template of the second request may use."""
        if self.response == "none":
            return {}
        return {"asked": "the instruction that is answered, with its input (template of answer only; empty before)"}

    def templates(self) -> list[str]:
        """Return the template of the second request."""
        return [self.answer] if self.response == "ask" else []

    def prepare(self, setting: Setting) -> None:
        """Tell what the first request writes from what the second one does."""
        self.setting = setting
        self._answer: Prompt | None = setting.load_prompt(self.answer) if self.response == "ask" else None
        self._task = replace(setting, schema=without_fields(setting.schema, set(self.own_fields)))

    def run(self, draw: Draw) -> Steps:
        """Have a task written, and answered."""
        variables = {**self._task.template_variables(draw), "asked": ""}
        messages = self._task.prompt(draw).render(variables)
        candidate = yield from write_fields(self._task, draw, messages)
        if candidate.record is None:
            return candidate
        record = {name: v.strip() if name == INSTRUCTION else v for name, v in candidate.record.items()}
        free = self._task.free_fields
        written = {name: candidate.record[name] for name in free if name in record}
        if wrong := cut(self._task, written, free) or self._refuse(record[INSTRUCTION]):
            return Candidate(draw, None, wrong)
        if self._answer is None:
            return Candidate(draw, record)
        response = yield from self._respond(draw, self._answer, record, variables)
        if isinstance(response, Drop):
            return Candidate(draw, None, response)
        whole = {**record, RESPONSE: response}
        return Candidate(draw, {name: whole[name] for name in self.setting.schema.properties if name in whole})

    def summary(self, records: Iterable[Record]) -> Mapping[str, Any]:
        """Return the mean lengths in words."""
        rows = list(records)
        names = [name for name in (INSTRUCTION, INPUT, RESPONSE) if rows and name in rows[0]]
        means = {name: sum(count_words(str(row.get(name, ""))) for row in rows) / len(rows) for name in names}
        return {f"words of {name}": round(value, 1) for name, value in means.items()}

    def _refuse(self, instruction: str) -> Drop | None:
        """Return why an instruction is none, by the rules of the paper's code."""
        count = count_words(instruction)
        if count < self.min_words:
            return Drop("short_instruction", f"{count} words, min_words is {self.min_words}: {instruction!r}", count)
        if count > self.max_words:
            return Drop("long_instruction", f"{count} words, max_words is {self.max_words}", count)
        if not instruction.lstrip()[:1].isalnum():
            return Drop("punctuation", f"begins with {instruction.lstrip()[:1]!r}: {instruction[:60]!r}")
        if self._blocked and (match := self._blocked.search(instruction)):
            return Drop("blocked_instruction", f"{match[0]!r} stands in {instruction[:100]!r}")
        return None

    def _respond(
        self, draw: Draw, prompt: Prompt, record: Record, variables: Mapping[str, Any]
    ) -> Generator[Request, Completion, str | Drop]:
        """Ask for the response as in a chat."""
        task = "\n\n".join(text for text in (record[INSTRUCTION], record.get(INPUT) or "") if text.strip())
        sampling = self.setting.sampling(draw)
        seed = (draw.sampling_seed + SEED_STEP * ANSWER_STEP) % 2**31
        messages = prompt.render({**variables, **record, "asked": task, "seeds": []})
        sampling = sampling.with_seed(seed, max_tokens=self.answer_tokens)
        done = yield Request(draw.index, ANSWER_STEP, messages, None, sampling)
        if done.finish_reason == "error":
            return Drop("engine_error", done.error)
        if done.finish_reason == "length":
            return Drop("truncated_response", f"cut after {done.tokens} tokens: ...{done.text[-60:]!r}")
        text = done.text.strip()
        if not text:
            return Drop("empty_response", "nothing was answered")
        if fold(text) in {fold(record[INSTRUCTION]), fold(task)}:
            return Drop("repeated_instruction", f"the response is the instruction: {text[:80]!r}")
        if problems := self.setting.schema.field_problems(RESPONSE, text):
            return Drop("schema", f"{RESPONSE}: {problems[0].message}")
        return text
