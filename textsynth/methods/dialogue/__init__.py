"""Dialogues, turn by turn: the model plays each role in turn, each with its own system prompt; every turn is a request.

The record has ``messages`` (role and content, the form chat templates take; with tools also their calls and results) and
whatever fields the recipe's schema adds (an outcome, an intent): drawn ones are constants, the others are filled in at
the end from the transcript.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, ClassVar, Literal

from textsynth.methods import Method, Setting, Steps
from textsynth.methods._fields import write_fields
from textsynth.methods.dialogue._record import count_figures, message_schema
from textsynth.methods.dialogue._scene import CHAT_ROLES, Kit, Scene
from textsynth.methods.dialogue._speaking import STEPS_PER_TURN, Asking, Speaking
from textsynth.prompts import Prompt
from textsynth.records import Candidate, Draw, Drop, Message, Record, Request
from textsynth.schema import RecordSchema, load
from textsynth.toolset import Grammar, Toolbox, read_tools

ENVIRONMENT = "dialogue/environment"
LONGEST = 900
"""Most messages of a dialogue: each turn has a hundred numbers of requests, and a draw 100,000."""


@dataclass
class Dialogue(Method):
    """A dialogue between two roles, written turn by turn; on request with a goal, and with tools that are called.

    The user may have a goal and a persona, which the assistant does not know, and may say when the goal is reached. The
    assistant may have a policy and tools: its turns are then held to saying something or calling tools with arguments of
    their schema, checked by the whole schema; the results come from Python functions, or from the model, which plays the
    environment and is held to the tools' result schemas. The record has the calls in the structure of OpenAI and Hugging
    Face, the field ``tools`` with what was declared, and ``refused_calls``: how often it was asked again because of a
    call's name or arguments. With ``ends: goal`` it also has the field ``ended`` (goal or length).

    Args:
        roles: two names, each with its system prompt (a template's name, file or text). The first one opens the dialogue
            and is ``user`` in the messages; the second is ``assistant``. By default a customer and an agent; with a
            goal, a policy or tools ``dialogue/user`` and ``dialogue/assistant``.
        turns: how many messages a dialogue has: a number, or ``[least, most]`` drawn evenly per dialogue. Calls and
            results are not counted. With ``ends: goal`` they bound the dialogue.
        turn_tokens: most tokens of one message; a message that is cut there ends with its last whole sentence.
        keep_system: whether the assistant's system prompt is the first message of the record: its policy, if it has one.
        goal: what the user wants, a template (``Book a table in {{ city }}``). A drawn attribute ``goal`` does the same.
        persona: who the user is, a template after "someone who". A drawn attribute ``persona`` does the same.
        policy: what the assistant must and must not do, a template.
        ends: by ``length``, or when the user says that its ``goal`` is reached.
        tools: a list of declarations ``{name, description, parameters, result, python}``, their file, or ``{by:
            ATTRIBUTE, file: FILE}`` with a list per value of a drawn attribute. ``python`` names a ``module:function``.
        environment: who answers calls: ``functions``, or ``simulated`` by the model, which needs every tool's ``result``.
            By default functions, if every tool has one.
        state: what the environment knows at the start, a template; functions find it in their parameter ``context``.
        parallel: most calls at once.
        call_rounds: most rounds of calls before the assistant says something.
        call_tokens: most tokens of a turn's calls, and of a simulated result.
        least_calls: dialogues with fewer calls are dropped; in its last turn the assistant must make what is missing.

    Drops ``empty_turn``, ``repeated_turn``, ``tool_arguments``, ``repeated_call``, ``tool_error``, ``tool_result``,
    ``no_call``, ``no_tools``.
    """

    default_prompt = "dialogue/fields"
    seeds_are_records = False
    reasons: ClassVar[Mapping[str, str]] = {
        "empty_turn": "raise turn_tokens, or word the role's prompt more concretely",
        "repeated_turn": "raise temperature or sampling.repetition_penalty, or make dialogues shorter",
        "tool_arguments": "tell in the tools' descriptions what arguments look like; use enums; raise repairs",
        "repeated_call": "raise repairs, or lower call_rounds",
        "tool_error": "let the function return what went wrong, such as {error: ...}, in place of raising",
        "tool_result": "bound the strings of the result schema, raise call_tokens, or make it simpler",
        "no_call": "state goals that need a tool, have the policy say so, or set least_calls: 0",
        "no_tools": "give every value of the attribute a list of tools",
    }
    paper: ClassVar[str] = (
        "user simulation with goals: Shah et al. 2018, arXiv 1801.04871; simulated tool environments: Yao et al. 2024, "
        "tau-bench, arXiv 2406.12045"
    )

    roles: dict[str, str] = field(default_factory=dict)
    turns: int | tuple[int, int] = (4, 8)
    turn_tokens: int = 96
    keep_system: bool = False
    goal: str = ""
    persona: str = ""
    policy: str = ""
    ends: Literal["length", "goal"] = "length"
    tools: str | list[Any] | dict[str, Any] | None = None
    environment: Literal["functions", "simulated"] | None = None
    state: str = ""
    parallel: int = 1
    call_rounds: int = 2
    call_tokens: int = 128
    least_calls: int = 1

    def __post_init__(self) -> None:
        """Check the number of roles, turns and calls; settle the roles."""
        grown = bool(self.goal or self.policy or self.tools)
        names = ("user", "assistant") if grown else ("customer", "agent")
        self.roles = self.roles or {name: f"dialogue/{name}" for name in names}
        if len(self.roles) != 2:
            raise ValueError(f"roles must be two names with a prompt each, got {list(self.roles)}")
        least, most = self.span
        if not 1 <= least <= most <= LONGEST:
            raise ValueError(f"turns must be a number above 0 or [least, most], at most {LONGEST}, got {self.turns}")
        if self.ends == "goal" and (most % 2 or least < 2):
            raise ValueError(f"turns: with ends: goal, least is 2 or more and most is even, got {self.turns}")
        for name, low in (("turn_tokens", 8), ("call_tokens", 16), ("parallel", 1), ("call_rounds", 1)):
            if getattr(self, name) < low:
                raise ValueError(f"{name} must be at least {low}, got {getattr(self, name)}")
        if self.tools is None and (self.environment or self.state):
            raise ValueError("environment and state are of tools, and there are no tools")
        added = [*(["ended"] if self.ends == "goal" else []), *(["tools", "refused_calls"] if self.tools else [])]
        self.own_fields: tuple[str, ...] = ("messages", *added)
        self._toolbox, self._environment = Toolbox({}), ""

    @property
    def span(self) -> tuple[int, int]:
        """The least and the most messages of a dialogue, calls and results not counted."""
        return (self.turns, self.turns) if isinstance(self.turns, int) else self.turns

    # --- what it tells of itself -------------------------------------------------------------------------------------

    def record_schema(self, given: RecordSchema | None) -> RecordSchema:
        """Put ``messages``, and what else is written here, before the fields of the recipe's schema."""
        taken = [name for name in self.own_fields if given is not None and name in given.properties]
        if taken:
            raise ValueError(f"the method dialogue writes the field {taken[0]} itself: leave it out of the schema")
        least, most = self.span
        roles = [*(["system"] if self.keep_system else []), *CHAT_ROLES, *(["tool"] if self.tools else [])]
        extra = int(self.keep_system)
        called = (most + 1) // 2 * self.call_rounds * (1 + self.parallel) if self.tools else 0
        own: dict[str, Any] = {
            "messages": {
                "type": "array",
                "items": message_schema(roles, tools=bool(self.tools)),
                "minItems": least + extra,
                "maxItems": most + extra + called,
            },
            "ended": {"enum": ["goal", "length"]},
            "tools": {"type": "array", "items": {"type": "object"}},
            "refused_calls": {"type": "integer", "minimum": 0},
        }
        document: dict[str, Any] = given.document if given else {"type": "object", "additionalProperties": False}
        merged = document | {
            "properties": {**{name: own[name] for name in self.own_fields}, **document.get("properties", {})},
            "required": [*self.own_fields, *document.get("required", [])],
        }
        return load(merged, folder=Path(), place="schema")

    def variables(self) -> dict[str, str]:
        """Return what role prompts and the closing prompt may use."""
        found = {
            "role": "the name of the role that the prompt is for",
            "other": "the name of the other role",
            "turns": "how many messages this dialogue has, or has at most",
            "transcript": "the finished dialogue as text (closing prompt only; empty before)",
        }
        meanings = {
            "goal": "what the user wants (not in the assistant's prompt)",
            "persona": "who the user is",
            "policy": "what the assistant must and must not do",
            "state": "what the environment knows at the start",
        }
        found |= {name: meaning for name, meaning in meanings.items() if getattr(self, name)}
        if self.ends == "goal":
            found["ends"] = '"goal": the user says when its goal is reached'
        if self.tools:
            found |= {
                "tools": "the assistant's tools, a line each",
                "tool": "the tool that is called (environment only)",
                "arguments": "the call's arguments as JSON (environment only)",
                "calls": "the calls and results so far (environment only)",
            }
        return found

    def templates(self) -> list[str]:
        """Return the role prompts, and the texts that are templates too."""
        texts = [text for text in (self.goal, self.persona, self.policy, self.state) if text]
        played = [ENVIRONMENT] if self.tools and self.environment != "functions" else []
        return [*self.roles.values(), *texts, *played]

    def carried_fields(self) -> tuple[str, ...]:
        """Return ``tools``: what is declared is no text of the dialogue."""
        return tuple(name for name in ("tools",) if self.tools)

    def workers(self) -> Mapping[str, Callable[[Request], str]]:
        """Return the users' functions by ``module:function``."""
        if self._environment != "functions":
            return {}
        return {
            tool.source: partial(lambda work, request: work(request.messages[-1]["content"]), tool.work)
            for tool in self._toolbox.tools
        }

    def summary(self, records: Iterable[Record]) -> Mapping[str, Any]:
        """Return messages per dialogue, the share ended by goal, calls per dialogue and by tool, valid arguments."""
        return count_figures(records)

    # --- before the run ----------------------------------------------------------------------------------------------

    def prepare(self, setting: Setting) -> None:
        """Load the prompts and the tools; build what decoding is held to, once per toolset."""
        self.setting = setting
        if self.tools:
            self._toolbox = read_tools(self.tools, folder=setting.folder, place="tools")
            if self._toolbox.by:
                setting.require([self._toolbox.by])
            self._environment = self._who_answers()
            self._check_room()
        self._prompts: dict[str, Prompt] = {name: setting.load_prompt(text) for name, text in self.roles.items()}
        options = {name: getattr(self, name) for name in ("goal", "persona", "policy", "state")}
        self._texts = {name: setting.load_prompt(text) for name, text in options.items() if text}
        self._speaking = Speaking(
            setting,
            turn_tokens=self.turn_tokens,
            call_tokens=self.call_tokens,
            call_rounds=self.call_rounds,
            environment=setting.load_prompt(ENVIRONMENT) if self._environment == "simulated" else None,
        )
        bounds = {"letters": self._speaking.letters, "parallel": self.parallel, "tokens": self.call_tokens}
        self._kits = {key: Kit(tools, Grammar.of(tools, **bounds)) for key, tools in self._toolbox.sets.items()}

    def _who_answers(self) -> Literal["functions", "simulated"]:
        """Return who answers calls, and refuse tools that it cannot answer."""
        tools = self._toolbox.tools
        kind = self.environment or ("functions" if all(tool.function for tool in tools) else "simulated")
        for tool in tools:
            if kind == "functions" and tool.function is None:
                raise ValueError(f"tools: {tool.name} has no function: give it python: module:function")
            if kind == "simulated" and tool.result is None:
                raise ValueError(
                    f"tools: {tool.name} has no result schema, and a simulated result is held to it: give it result: "
                    "{...}, or python: module:function"
                )
        return kind

    def _check_room(self) -> None:
        """Refuse options by which one turn may ask more often than it has numbers for."""
        asked = (self.setting.repairs + 1) * (self.call_rounds * (1 + self.parallel) + 1)
        if asked > STEPS_PER_TURN:
            raise ValueError(
                f"parallel {self.parallel}, call_rounds {self.call_rounds} and repairs {self.setting.repairs}: a turn may "
                f"ask {STEPS_PER_TURN} times, these make up to {asked}; lower one of them"
            )

    # --- a dialogue --------------------------------------------------------------------------------------------------

    def run(self, draw: Draw) -> Steps:
        """Play the turns, then have the remaining fields filled in."""
        turns = self._turns(draw)
        variables = self._draw_variables(draw, turns)
        key = self._toolbox.pick(self.setting.given(draw, self._toolbox.by)) if self.tools else ""
        if key is None:
            by = self._toolbox.by
            return Candidate(draw, None, Drop("no_tools", f"{by} {self.setting.given(draw, by)!r} has no tools"))
        kit = self._kits[key] if self.tools else None
        scene = Scene(draw, list(self.roles), self._systems(variables, kit), kit, str(variables.get("state", "")))
        problem = yield from self._play(scene, turns)
        if problem is None and self.tools and len(scene.calls) < self.least_calls:
            problem = Drop("no_call", f"{len(scene.calls)} calls, at least {self.least_calls} wanted")
        if problem is not None:
            return Candidate(draw, None, problem)
        names = list(self.roles)
        closing = {**variables, "role": names[1], "other": names[0], "transcript": scene.transcript()}
        prompt = self.setting.prompt(draw).render(closing)
        step = len(scene.said) * STEPS_PER_TURN
        return (yield from write_fields(self.setting, draw, prompt, step=step, known=self._known(scene, variables)))

    def _play(self, scene: Scene, turns: int) -> Asking:
        """Have both say something in turn, until the goal is reached or the dialogue is as long as it may be."""
        least = max(2, self.span[0] - 2)
        for turn in range(turns):
            if turn % 2 == 0 and self.ends == "goal":
                may_end = turn >= least and (scene.kit is None or len(scene.calls) >= self.least_calls)
                problem = yield from self._speaking.simulate_user(scene, may_end=may_end)
            elif turn % 2 == 1 and scene.kit is not None:
                rounds = self.call_rounds if scene.ended == "length" else 0
                wanted = self.least_calls if turn + 2 >= turns else 0
                problem = yield from self._speaking.answer(scene, scene.kit, rounds=rounds, wanted=wanted)
            else:
                problem = yield from self._speaking.say(scene)
            if problem is not None or (turn % 2 == 1 and scene.ended == "goal"):
                return problem
        return None

    def _turns(self, draw: Draw) -> int:
        """Return how many messages this dialogue has: as a profile drew it, within the span, or evenly from the span.

        One that ends by its goal may have as many as the span allows.
        """
        if self.ends == "goal":
            return self.span[1]
        drawn = draw.attributes.get("messages#turns")
        if isinstance(drawn, int):
            return min(max(drawn, self.span[0]), self.span[1])
        return Random(draw.sampling_seed).randint(*self.span)

    def _draw_variables(self, draw: Draw, turns: int) -> dict[str, Any]:
        """Return what templates may use in this dialogue, the texts of the options among them."""
        variables = self.setting.template_variables(draw) | {"turns": turns, "transcript": ""}
        if self.ends == "goal":
            variables["ends"] = "goal"
        return variables | {name: text.render(variables)[-1]["content"] for name, text in self._texts.items()}

    def _systems(self, variables: Mapping[str, Any], kit: Kit | None) -> list[str]:
        """Return both system prompts; the assistant's knows the tools, and of the option ``goal`` nothing."""
        user, assistant = self.roles
        hidden = {"goal", "state"} & self._texts.keys()
        known = {name: value for name, value in variables.items() if name not in hidden}
        if kit is not None:
            known["tools"] = "\n".join(f"- {t.name}({t.signature}): {t.description}" for t in kit.tools)
        return [self._system(user, assistant, variables), self._system(assistant, user, known)]

    def _system(self, role: str, other: str, variables: Mapping[str, Any]) -> str:
        return self._prompts[role].render({**variables, "role": role, "other": other})[-1]["content"]

    def _known(self, scene: Scene, variables: Mapping[str, Any]) -> Record:
        """Return the fields that the dialogue itself settles."""
        kept = str(variables.get("policy", "")) or scene.systems[1]
        head: list[Message] = [{"role": "system", "content": kept}] if self.keep_system else []
        found: Record = {"messages": head + scene.messages(), "ended": scene.ended}
        found |= {"tools": scene.kit.tools.declarations if scene.kit else [], "refused_calls": scene.refused}
        return {name: found[name] for name in self.own_fields}
