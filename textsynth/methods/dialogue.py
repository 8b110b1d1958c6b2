"""Dialogues, turn by turn: the model plays each role in turn, each with its own system prompt; every turn is a request.

The record has ``messages`` (role and content, the form chat templates take) and whatever fields the recipe's schema adds
(an outcome, an intent): drawn ones are constants, the others are filled in at the end from the transcript.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

from textsynth.methods import Method, Setting, Steps
from textsynth.methods._fields import SEED_STEP, write_fields
from textsynth.prompts import Prompt
from textsynth.records import Candidate, Completion, Draw, Drop, Message, Request, Sampling
from textsynth.schema import RecordSchema, load

CHAT_ROLES = ("user", "assistant")
SENTENCE_END = re.compile(r"[.!?…][\"')\]]*(?=\s|$)")
STEPS_PER_TURN = 100
"""Steps are numbered turn * 100 + attempt, so that a retried turn does not move the seeds of later ones."""


@dataclass
class Dialogue(Method):
    """A dialogue between two roles.

    Args:
        roles: two names, each with its system prompt (a template's name, file or text). The first one opens the dialogue
            and is ``user`` in the messages; the second is ``assistant``.
        turns: how many messages a dialogue has: a number, or ``[least, most]`` drawn evenly per dialogue.
        turn_tokens: most tokens of one message; a message that is cut there ends with its last whole sentence.
        keep_system: whether the second role's system prompt is the first message of the record.
    """

    default_prompt = "dialogue/fields"
    own_fields = ("messages",)
    seeds_are_records = False

    roles: dict[str, str] = field(default_factory=lambda: {"customer": "dialogue/customer", "agent": "dialogue/agent"})
    turns: int | tuple[int, int] = (4, 8)
    turn_tokens: int = 96
    keep_system: bool = False

    def __post_init__(self) -> None:
        """Check the number of roles and turns."""
        if len(self.roles) != 2:
            raise ValueError(f"roles must be two names with a prompt each, got {list(self.roles)}")
        least, most = self.span
        if not 1 <= least <= most:
            raise ValueError(f"turns must be a number above 0 or [least, most], got {self.turns}")
        if self.turn_tokens < 8:
            raise ValueError(f"turn_tokens must be at least 8, got {self.turn_tokens}")

    @property
    def span(self) -> tuple[int, int]:
        """The least and the most messages of a dialogue."""
        return (self.turns, self.turns) if isinstance(self.turns, int) else self.turns

    def record_schema(self, given: RecordSchema | None) -> RecordSchema:
        """Put ``messages`` before the fields of the recipe's schema."""
        if given is not None and "messages" in given.properties:
            raise ValueError("the method dialogue writes the field messages itself: leave it out of the schema")
        least, most = self.span
        message = {
            "type": "object",
            "properties": {
                "role": {"enum": ["system", *CHAT_ROLES] if self.keep_system else list(CHAT_ROLES)},
                "content": {"type": "string", "minLength": 1},
            },
            "required": ["role", "content"],
            "additionalProperties": False,
        }
        extra = int(self.keep_system)
        messages = {"type": "array", "items": message, "minItems": least + extra, "maxItems": most + extra}
        document: dict[str, Any] = given.document if given else {"type": "object", "additionalProperties": False}
        merged = document | {
            "properties": {"messages": messages, **document.get("properties", {})},
            "required": ["messages", *document.get("required", [])],
        }
        return load(merged, folder=Path(), place="schema")

    def variables(self) -> dict[str, str]:
        """Return what role prompts and the closing prompt may use."""
        return {
            "role": "the name of the role that the prompt is for",
            "other": "the name of the other role",
            "turns": "how many messages this dialogue has",
            "transcript": "the finished dialogue as text (closing prompt only; empty before)",
        }

    def templates(self) -> list[str]:
        """Return the role prompts."""
        return list(self.roles.values())

    def prepare(self, setting: Setting) -> None:
        """Load the role prompts."""
        self.setting = setting
        self._prompts: dict[str, Prompt] = {name: setting.load_prompt(text) for name, text in self.roles.items()}

    def run(self, draw: Draw) -> Steps:
        """Play the turns, then have the remaining fields filled in."""
        names = list(self.roles)
        turns = self._turns(draw)
        variables = self.setting.template_variables(draw) | {"turns": turns, "transcript": ""}
        systems = [self._system(names[i], names[1 - i], variables) for i in (0, 1)]
        said: list[str] = []
        for turn in range(turns):
            text = yield from self._speak(draw, turn, systems[turn % 2], said, names)
            if isinstance(text, Drop):
                return Candidate(draw, None, text)
            said.append(text)
        messages = self._messages(said, systems[1])
        closing = {**variables, "role": names[1], "other": names[0], "transcript": transcript(said, names)}
        prompt = self.setting.prompt(draw).render(closing)
        known = {"messages": messages}
        return (yield from write_fields(self.setting, draw, prompt, step=turns * STEPS_PER_TURN, known=known))

    def _turns(self, draw: Draw) -> int:
        """Return how many messages this dialogue has: as a profile drew it, within the span, or evenly from the span."""
        drawn = draw.attributes.get("messages#turns")
        if isinstance(drawn, int):
            return min(max(drawn, self.span[0]), self.span[1])
        return Random(draw.sampling_seed).randint(*self.span)

    def _system(self, role: str, other: str, variables: Mapping[str, Any]) -> str:
        return self._prompts[role].render({**variables, "role": role, "other": other})[-1]["content"]

    def _speak(
        self, draw: Draw, turn: int, system: str, said: list[str], names: list[str]
    ) -> Generator[Request, Completion, str | Drop]:
        """Ask for one message, again if nothing usable comes; return it, or why there is none."""
        problem = Drop("empty_turn", f"turn {turn}: nothing was said")
        for attempt in range(self.setting.repairs + 1):
            step = turn * STEPS_PER_TURN + attempt
            done = yield Request(
                draw.index, step, view(system, said, turn, names), None, self._sampling(draw, step, names)
            )
            if done.finish_reason == "error":
                return Drop("engine_error", done.error)
            text = clean(done, names)
            if text and text not in said:
                return text
            if text:
                problem = Drop("repeated_turn", f"turn {turn} repeats an earlier one: {text[:80]!r}")
        return problem

    def _sampling(self, draw: Draw, step: int, names: list[str]) -> Sampling:
        return replace(
            self.setting.sampling(draw),
            seed=(draw.sampling_seed + SEED_STEP * step) % 2**31,
            max_tokens=self.turn_tokens,
            stop=tuple(f"\n{name.capitalize()}:" for name in names),
        )

    def _messages(self, said: list[str], system: str) -> list[Message]:
        head: list[Message] = [{"role": "system", "content": system}] if self.keep_system else []
        return head + [{"role": CHAT_ROLES[i % 2], "content": text} for i, text in enumerate(said)]


def view(system: str, said: list[str], turn: int, names: list[str]) -> tuple[Message, ...]:
    """Return the dialogue as the speaker of ``turn`` sees it: its own messages are the assistant's.

    The opening speaker has nothing to answer yet, so it is asked to begin.
    """
    messages: list[Message] = [{"role": "system", "content": system}]
    if turn % 2 == 0:
        begin = f"Write your first message to the {names[1]}, as the {names[0]}: say what you want."
        messages.append({"role": "user", "content": begin})
    for position, text in enumerate(said):
        messages.append({"role": "assistant" if position % 2 == turn % 2 else "user", "content": text})
    return tuple(messages)


def clean(done: Completion, names: list[str]) -> str:
    """Return the message without a speaker's name before it; of one that was cut, up to its last whole sentence."""
    text = done.text.strip().strip('"').strip()
    for name in (*names, *CHAT_ROLES):
        text = re.sub(rf"^{re.escape(name)}\s*:\s*", "", text, flags=re.IGNORECASE)
    if done.finish_reason == "length":
        ends = list(SENTENCE_END.finditer(text))
        text = text[: ends[-1].end()] if ends else ""
    return text.strip()


def transcript(said: list[str], names: list[str]) -> str:
    """Return the dialogue as lines ``Name: text``."""
    return "\n".join(f"{names[i % 2].capitalize()}: {text}" for i, text in enumerate(said))
