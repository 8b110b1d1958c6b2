"""A dialogue under way: who said what, which tools were called, and how each side and the record see it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from textsynth.records import Completion, Draw, Message
from textsynth.toolset import Grammar, Toolset

CHAT_ROLES = ("user", "assistant")
SENTENCE_END = re.compile(r"[.!?…][\"')\]]*(?=\s|$)")


@dataclass(frozen=True, slots=True)
class Said:
    """A message: ``side`` is 0 for who opens the dialogue (the user) and 1 for the other."""

    side: int
    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """A tool's call, with what came back."""

    name: str
    arguments: Mapping[str, Any]
    result: Any = None

    def same_as(self, other: Call) -> bool:
        """Whether it asks the same of the same tool."""
        return self.name == other.name and self.arguments == other.arguments

    def shown(self) -> dict[str, Any]:
        """Return it as JSON, for prompts and a user's functions."""
        return {"name": self.name, "arguments": dict(self.arguments), "result": self.result}


@dataclass(frozen=True, slots=True)
class Kit:
    """What an assistant may call: tools, and the decoding schemas made of them once."""

    tools: Toolset
    grammar: Grammar


@dataclass(slots=True)
class Scene:
    """One dialogue under way.

    ``systems`` are the two system prompts and ``names`` the roles' names; ``events`` is what happened: something said, or
    the calls of one turn. ``ended`` says by what the dialogue ended, ``refused`` how often calls were asked again.
    """

    draw: Draw
    names: Sequence[str]
    systems: Sequence[str]
    kit: Kit | None = None
    state: str = ""
    events: list[Said | tuple[Call, ...]] = field(default_factory=list)
    ended: Literal["goal", "length"] = "length"
    refused: int = 0

    @property
    def said(self) -> list[str]:
        """What was said, in order."""
        return [event.text for event in self.events if isinstance(event, Said)]

    @property
    def calls(self) -> list[Call]:
        """All calls so far, in order."""
        return [call for event in self.events if not isinstance(event, Said) for call in event]

    def calls_of_turn(self) -> list[Call]:
        """Return the calls since the last thing that was said."""
        found: list[Call] = []
        for event in reversed(self.events):
            if isinstance(event, Said):
                break
            found += event
        return found

    def messages(self) -> list[Message]:
        """Return the dialogue as it stands in the record, in the structure of OpenAI and Hugging Face."""
        found: list[Message] = []
        number = 0
        for event in self.events:
            if isinstance(event, Said):
                found.append({"role": CHAT_ROLES[event.side], "content": event.text})
                continue
            calls = [(f"call_{number + place}", call) for place, call in enumerate(event)]
            number += len(event)
            found.append({"role": "assistant", "content": "", "tool_calls": [as_tool_call(*pair) for pair in calls]})
            for name, call in calls:
                found.append({"role": "tool", "tool_call_id": name, "name": call.name, "content": to_json(call.result)})
        return found

    def transcript(self) -> str:
        """Return the dialogue as lines ``Name: text``, calls as ``name(arguments) -> result``."""
        lines = []
        for event in self.events:
            if isinstance(event, Said):
                lines.append(f"{self.names[event.side].capitalize()}: {event.text}")
            else:
                lines += [f"({call.name}({to_json(call.arguments)}) -> {to_json(call.result)})" for call in event]
        return "\n".join(lines)

    def view(self, *, own: str = "") -> tuple[Message, ...]:
        """Return the dialogue as whose turn it is sees it: its own messages are the assistant's.

        The opening speaker has nothing to answer yet, so it is asked to begin. ``own`` names the key under which the
        speaker's messages stand in JSON, where its turns are JSON; calls and results are seen by who has the tools.
        """
        turn = len(self.said)
        side = turn % 2
        messages: list[Message] = [{"role": "system", "content": self.systems[side]}]
        if side == 0:
            other, role = self.names[1], self.names[0]
            begin = f"Write your first message to the {other}, as the {role}: say what you want."
            messages.append({"role": "user", "content": begin})
        for event in self.events:
            if isinstance(event, Said):
                messages.append(self._seen(event, side, own))
            elif side == 1:
                asked = [{"name": call.name, "arguments": dict(call.arguments)} for call in event]
                came = "\n".join(f"{call.name}: {to_json(call.result)}" for call in event)
                messages.append({"role": "assistant", "content": to_json({"calls": asked})})
                messages.append({"role": "user", "content": f"Results:\n{came}"})
        return tuple(messages)

    def _seen(self, event: Said, side: int, own: str) -> Message:
        if event.side != side:
            return {"role": "user", "content": event.text}
        before = {"done": False} if own == "text" else {}
        return {"role": "assistant", "content": to_json({**before, own: event.text}) if own else event.text}


def as_tool_call(name: str, call: Call) -> dict[str, Any]:
    """Return a call as it stands in an assistant's message."""
    return {"id": name, "type": "function", "function": {"name": call.name, "arguments": dict(call.arguments)}}


def to_json(value: Any) -> str:
    """Return a value as JSON text."""
    return json.dumps(value, ensure_ascii=False)


def clean(done: Completion, names: Sequence[str]) -> str:
    """Return the message without a speaker's name before it; of one that was cut, up to its last whole sentence."""
    return cleaned(done.text, names, cut=done.finish_reason == "length")


def cleaned(text: str, names: Sequence[str], *, cut: bool) -> str:
    """Return what was said without quotes and a speaker's name around it; if it was ``cut``, its whole sentences."""
    text = text.strip().strip('"').strip()
    for name in (*names, *CHAT_ROLES):
        text = re.sub(rf"^{re.escape(name)}\s*:\s*", "", text, flags=re.IGNORECASE)
    if cut:
        ends = list(SENTENCE_END.finditer(text))
        text = text[: ends[-1].end()] if ends else ""
    return text.strip()
