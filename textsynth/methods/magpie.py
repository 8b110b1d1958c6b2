"""Instructions that an aligned model writes by itself when its template has opened a user's turn, with its answers."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, ClassVar, Literal

from textsynth.methods import Method, Setting, Steps
from textsynth.methods._fields import SEED_STEP
from textsynth.methods._texts import TEXT, with_fields
from textsynth.prompts import Prompt
from textsynth.records import Candidate, Completion, Draw, Drop, Message, Record, Request, Sampling
from textsynth.schema import RecordSchema
from textsynth.text import count_words

STEPS_PER_TURN = 100
"""Steps are numbered turn * 100 + attempt (50 more for an answer), so that asking again moves no other seed."""
ANSWER = 50
_ROLE = re.compile(r"\A(?:user|human)\s*[:\n]\s*", re.IGNORECASE)
_NOT_A_USER = re.compile(
    r"\A\W*(?:assistant|system)\b\s*[:\n]|\bas an ai\b|\A\W*(?:i'm|i am) (?:very )?sorry\b|\A\W*i (?:can't|cannot) (?:help|assist)"
    r"|\A\W*(?:how|what) can i (?:help|assist|do for) |\A\W*(?:sure|of course|certainly)\b[!,.]",
    re.IGNORECASE,
)
_BARE_ITEM = re.compile(r"(?:\A|\n)\s*\d+[.)]\s*\Z")
_SENTENCE_END = re.compile(r"[.!?…][\"')\]]*(?=\s|$)|[。！？]")


@dataclass
class Magpie(Method):
    """Instruction data from nothing: the model's own idea of what users ask, and its answers (Magpie).

    The model gets its chat template up to where a user's text would begin and goes on as the user; the answer is an ordinary
    request. What users ask is steered by the recipe's prompt, which is the system message: ``magpie/system`` names the
    topic if there is one (attribute ``topic``), and is empty otherwise. With ``turns`` above 1 the model goes on as the user
    after each answer, under the system message ``follow_up``, and the record has ``messages``.

    Needs a chat template that opens a user's turn; a base model without one is refused before anything is generated
    (use ``instruct``). Works with vLLM, in process and as a server; other servers cannot go on as the user.

    Drops an instruction that is too short, was cut before its end, or is the model refusing or speaking as the
    assistant; and a record whose answer is empty or cut. Good instructions are a part of what comes: follow it with the
    filters ``language``, ``length``, ``duplicate`` and ``near_duplicate``, as the ready recipe does.

    Args:
        turns: how many questions and answers a record has.
        instruction_tokens: most tokens of an instruction; one that is cut there is dropped.
        min_words: fewest words of an instruction.
        instruction_temperature: temperature of the user's turns; answers use the recipe's.
        follow_up: template of the system message for the later turns of the user.
        cut: what becomes of an answer that reaches the recipe's ``max_tokens``: ``drop``, or ``keep`` its whole sentences.
    """

    default_prompt = "magpie/system"
    seeds_are_records = False
    paper = "Xu et al. 2024, Magpie: Alignment Data Synthesis from Scratch by Prompting Aligned LLMs with Nothing (arXiv 2406.08464)"
    reasons: ClassVar[Mapping[str, str]] = {
        "bad_instruction": "raise instruction_tokens or lower instruction_temperature; a larger model asks better",
        "bad_answer": "raise sampling.max_tokens, or keep cut answers: cut: keep",
    }

    turns: int = 1
    instruction_tokens: int = 96
    min_words: int = 3
    instruction_temperature: float = 1.0
    follow_up: str = "magpie/follow_up"
    cut: Literal["drop", "keep"] = "drop"

    def __post_init__(self) -> None:
        """Check the numbers, and name the fields."""
        if not 1 <= self.turns <= 20:
            raise ValueError(f"turns must be between 1 and 20, got {self.turns}")
        if self.instruction_tokens < 8:
            raise ValueError(f"instruction_tokens must be at least 8, got {self.instruction_tokens}")
        if self.min_words < 1:
            raise ValueError(f"min_words must be at least 1, got {self.min_words}")
        if not 0 < self.instruction_temperature <= 2:
            raise ValueError(
                f"instruction_temperature must be above 0 and at most 2, got {self.instruction_temperature:g}"
            )
        self.own_fields = ("instruction", "response") if self.turns == 1 else ("messages",)

    def record_schema(self, given: RecordSchema | None) -> RecordSchema:
        """Return the schema of an instruction and its response, or of messages."""
        if given is not None and (others := [name for name in given.properties if name not in self.own_fields]):
            names = " and ".join(self.own_fields)
            raise ValueError(f"magpie writes {names} alone: take {others[0]!r} out, or have another step write it")
        if self.turns == 1:
            return with_fields(given, {"instruction": TEXT, "response": TEXT})
        message = {
            "type": "object",
            "properties": {"role": {"enum": ["user", "assistant"]}, "content": TEXT},
            "required": ["role", "content"],
            "additionalProperties": False,
        }
        many = 2 * self.turns
        return with_fields(given, {"messages": {"type": "array", "items": message, "minItems": many, "maxItems": many}})

    def variables(self) -> dict[str, str]:
        """Return what the templates may use."""
        return {"turn": "the number of the user's turn, from 1", "turns": "how many there are"}

    def templates(self) -> list[str]:
        """Return the template of the later turns."""
        return [self.follow_up] if self.turns > 1 else []

    def prepare(self, setting: Setting) -> None:
        """Load the template of the later turns."""
        self.setting = setting
        self._follow_up: Prompt | None = setting.load_prompt(self.follow_up) if self.turns > 1 else None

    def run(self, draw: Draw) -> Steps:
        """Have the user's turn written, then the answer, as often as there are turns."""
        said: list[Message] = []
        for turn in range(self.turns):
            for role, speak in (("user", self._ask), ("assistant", self._answer)):
                text = yield from speak(draw, turn, said)
                if isinstance(text, Drop):
                    return Candidate(draw, None, text)
                said.append({"role": role, "content": text})
        texts = [message["content"] for message in said]
        record = {"instruction": texts[0], "response": texts[1]} if self.turns == 1 else {"messages": said}
        if problems := self.setting.schema.problems(record, {}):
            return Candidate(draw, None, Drop("schema", f"{problems[0].field}: {problems[0].message}"))
        return Candidate(draw, record)

    def summary(self, records: Iterable[Record]) -> Mapping[str, Any]:
        """Return the median words of instructions and responses."""
        pairs = [pair_of(record) for record in records]
        if not pairs:
            return {}
        asked, answered = zip(*pairs, strict=True)
        return {
            "median_instruction_words": median(count_words(text) for text in asked),
            "median_response_words": median(count_words(text) for text in answered),
        }

    def _ask(self, draw: Draw, turn: int, said: list[Message]) -> Generator[Request, Completion, str | Drop]:
        """Have the model write what the user says, again if it cannot be one."""
        system = self._system(draw, turn)
        head: list[Message] = [{"role": "system", "content": system}] if system else []
        problem = Drop("bad_instruction", "nothing was written")
        for attempt in range(self.setting.repairs + 1):
            step = turn * STEPS_PER_TURN + attempt
            sampling = self._sampling(draw, step, user=True)
            done = yield Request(draw.index, step, (*head, *said), None, sampling, turn="user")
            if done.finish_reason == "error":
                return Drop("engine_error", done.error)
            text = _ROLE.sub("", done.text.strip()).strip()
            if not (why := self._complaint(text, done, said)):
                return text
            problem = Drop("bad_instruction", f"{why}: {text[:80]!r}")
        return problem

    def _answer(self, draw: Draw, turn: int, said: list[Message]) -> Generator[Request, Completion, str | Drop]:
        """Have the model answer."""
        step = turn * STEPS_PER_TURN + ANSWER
        done = yield Request(draw.index, step, tuple(said), None, self._sampling(draw, step, user=False))
        if done.finish_reason == "error":
            return Drop("engine_error", done.error)
        text = done.text.strip()
        if done.finish_reason == "length":
            if self.cut == "drop":
                return Drop("bad_answer", f"cut after {done.tokens} tokens")
            text = whole_sentences(text)
        return text or Drop("bad_answer", "it is empty")

    def _complaint(self, text: str, done: Completion, said: list[Message]) -> str:
        """Return why a text is no user's message, or nothing."""
        if done.finish_reason == "length":
            return f"cut after {done.tokens} tokens"
        if count_words(text) < self.min_words:
            return f"fewer than {self.min_words} words"
        if _NOT_A_USER.search(text):
            return "the assistant speaks"
        return "said before" if text in [message["content"] for message in said] else ""

    def _system(self, draw: Draw, turn: int) -> str:
        prompt = self.setting.prompt(draw) if turn == 0 or self._follow_up is None else self._follow_up
        variables = self.setting.template_variables(draw) | {"turn": turn + 1, "turns": self.turns}
        return prompt.render(variables)[-1]["content"].strip()

    def _sampling(self, draw: Draw, step: int, *, user: bool) -> Sampling:
        sampling = self.setting.sampling(draw).with_seed((draw.sampling_seed + SEED_STEP * step) % 2**31)
        if user:
            return replace(sampling, max_tokens=self.instruction_tokens, temperature=self.instruction_temperature)
        return sampling


def whole_sentences(text: str) -> str:
    """Return a cut text up to its last whole sentence, without the number of a list's item that never came."""
    ends = list(_SENTENCE_END.finditer(text))
    return _BARE_ITEM.sub("", text[: ends[-1].end()] if ends else "").rstrip()


def pair_of(record: Record) -> tuple[str, str]:
    """Return the first question and answer of a record."""
    said = [message["content"] for message in record.get("messages") or ()]
    return (
        (said[0], said[1]) if len(said) > 1 else (str(record.get("instruction", "")), str(record.get("response", "")))
    )
