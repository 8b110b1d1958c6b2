"""One turn of a dialogue: asked for, read, and asked for again if nothing usable comes."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Literal

from textsynth.methods import Setting
from textsynth.methods._fields import SEED_STEP, parse
from textsynth.methods.dialogue._scene import Call, Kit, Said, Scene, clean, cleaned, to_json
from textsynth.prompts import Prompt
from textsynth.records import Completion, Drop, Message, Request, Sampling
from textsynth.toolset import Tool, text_schema

STEPS_PER_TURN = 100
"""Steps are numbered turn * 100 + attempt, so that a retried turn does not move the seeds of later ones."""
LETTERS_PER_TOKEN = 4

Act = Literal["turn", "say", "call"]
"""What an assistant with tools may do, by the name of its grammar: either, only say something, only call."""

Asking = Generator[Request, Completion, "Drop | None"]


@dataclass(frozen=True)
class Speaking:
    """How turns are asked for.

    ``turn_tokens`` and ``call_tokens`` are the most of what is said, and of calls or a result. ``environment`` is the
    template of the model that plays the tools, ``None`` where functions answer.
    """

    setting: Setting
    turn_tokens: int
    call_tokens: int
    call_rounds: int
    environment: Prompt | None

    @property
    def letters(self) -> int:
        """The most characters of what is said in a constrained turn."""
        return self.turn_tokens * LETTERS_PER_TOKEN

    @property
    def most_requests(self) -> int:
        """Attempts per question."""
        return self.setting.repairs + 1

    # --- something said ----------------------------------------------------------------------------------------------

    def say(self, scene: Scene) -> Asking:
        """Have whose turn it is say something freely."""
        turn = len(scene.said)
        problem = Drop("empty_turn", f"turn {turn}: nothing was said")
        for step in self._steps(turn, self.most_requests):
            done = yield self._request(scene, step, scene.view(), None, self.turn_tokens)
            if done.finish_reason == "error":
                return Drop("engine_error", done.error)
            found = self._heard(scene, clean(done, scene.names), problem)
            if found is None:
                return None
            problem = found
        return problem

    def simulate_user(self, scene: Scene, *, may_end: bool) -> Asking:
        """Have the user say something, and whether the goal is reached; then ``scene.ended`` says so."""
        turn = len(scene.said)
        problem = Drop("empty_turn", f"turn {turn}: nothing was said")
        schema = text_schema(self.letters, done={"type": "boolean"} if may_end else {"const": False})
        view = scene.view(own="text")
        if scene.said:
            asked = f"(Write what the person answers the {scene.names[1]}, in a few new words."
            view = add_words(view, asked + (" Set done to true if it got what it wants.)" if may_end else ")"))
        for step in self._steps(turn, self.most_requests):
            done = yield self._request(scene, step, remark(view, problem), schema, self.turn_tokens + 16)
            read = parse(done)
            if read.problem and read.problem.reason == "engine_error":
                return read.problem
            found = self._heard(scene, self._text(scene, read.fields.get("text")), read.problem or problem)
            if found is None:
                scene.ended = "goal" if may_end and read.fields.get("done") is True else "length"
                return None
            problem = found
        return problem

    def _text(self, scene: Scene, text: Any) -> str:
        """Return what a constrained turn says; a text as long as the decoder allows was cut."""
        return cleaned(text, scene.names, cut=len(text) >= self.letters) if isinstance(text, str) else ""

    @staticmethod
    def _heard(scene: Scene, text: str, problem: Drop) -> Drop | None:
        """Add what was said to the dialogue, or return why it cannot be."""
        said = scene.said
        if not text:
            return problem
        if text in said:
            return Drop("repeated_turn", f"turn {len(said)} repeats an earlier one: {text[:80]!r}")
        scene.events.append(Said(len(said) % 2, text))
        return None

    # --- an assistant with tools -------------------------------------------------------------------------------------

    def answer(self, scene: Scene, kit: Kit, *, rounds: int, wanted: int) -> Asking:
        """Have the assistant answer: at most some rounds of calls with their results, then something said.

        As long as the dialogue has fewer calls than ``wanted``, the assistant must call.
        """
        steps = count(len(scene.said) * STEPS_PER_TURN)
        before = len(scene.said)
        for left in range(rounds, -1, -1):
            act: Act = "say" if not left else "call" if len(scene.calls) < wanted else "turn"
            problem = yield from self._act(scene, kit, steps, act)
            if problem is not None or len(scene.said) > before:
                return problem
            problem = yield from self._results(scene, kit, steps)
            if problem is not None:
                return problem
        raise AssertionError("the last round can only be something said")

    def _act(self, scene: Scene, kit: Kit, steps: Iterator[int], act: Act) -> Asking:
        """Have the assistant say something or call tools; what it calls is the last event, its results still open."""
        problem = Drop("empty_turn", f"turn {len(scene.said)}: nothing was said")
        view = add_words(scene.view(own="say"), nudge(scene, act))
        for _, step in zip(range(self.most_requests), steps, strict=False):
            allowed: Act = "say" if problem.reason == "repeated_call" else act
            calling = allowed != "say"
            schema = getattr(kit.grammar, allowed)
            tokens = max(self.turn_tokens + 16, self.call_tokens if calling else 0)
            done = yield self._request(scene, step, remark(view, problem), schema, tokens)
            read = parse(done)
            if read.problem and read.problem.reason == "engine_error":
                return read.problem
            if calling and isinstance(read.fields.get("calls"), list) and read.problem is None:
                found = self._called(scene, kit, read.fields["calls"])
                scene.refused += found is not None and found.reason == "tool_arguments"
            else:
                found = self._heard(scene, self._text(scene, read.fields.get("say")), read.problem or problem)
            if found is None:
                return None
            problem = found
        return problem

    def _called(self, scene: Scene, kit: Kit, given: list[Any]) -> Drop | None:
        """Add the calls that were not made before in this turn, or return why there is none to add."""
        earlier = scene.calls_of_turn()
        fresh: list[Call] = []
        for item in given:
            call = Call(str(item.get("name")), item.get("arguments", {})) if isinstance(item, dict) else Call("", {})
            tool = kit.tools.by_name.get(call.name)
            if tool is None:
                return Drop("tool_arguments", f"there is no tool {call.name!r}")
            if problem := tool.argument_problem(call.arguments):
                return Drop("tool_arguments", f"{call.name}: {problem}")
            if not any(call.same_as(other) for other in (*earlier, *fresh)):
                fresh.append(call)
        if not fresh:
            names = ", ".join(dict.fromkeys(str(item["name"]) for item in given)) or "nothing"
            return Drop("repeated_call", f"turn {len(scene.said)} calls again what was answered: {names}")
        scene.events.append(tuple(fresh))
        return None

    def _results(self, scene: Scene, kit: Kit, steps: Iterator[int]) -> Asking:
        """Put the results into the calls of the last event."""
        waiting = scene.events.pop()
        assert not isinstance(waiting, Said)
        answered: list[Call] = []
        for call in waiting:
            tool = kit.tools.by_name[call.name]
            earlier = [*scene.calls, *answered]
            if self.environment is None:
                result = yield from self._work(scene, tool, call, earlier, next(steps))
            else:
                result = yield from self._play(scene, kit, tool, call, earlier, steps)
            if isinstance(result, Drop):
                return result
            answered.append(replace(call, result=result))
        scene.events.append(tuple(answered))
        return None

    def _work(
        self, scene: Scene, tool: Tool, call: Call, earlier: list[Call], step: int
    ) -> Generator[Request, Completion, Any]:
        """Have the user's function answer a call; return its result, or a ``Drop``."""
        context = {"state": scene.state, "calls": [other.shown() for other in earlier]}
        asked = to_json({"arguments": dict(call.arguments), "context": context})
        seed = (scene.draw.sampling_seed + SEED_STEP * step) % 2**31
        done = yield Request(
            scene.draw.index, step, ({"role": "user", "content": asked},), None, Sampling(seed=seed), tool.source
        )
        if done.finish_reason == "error":
            return Drop("tool_error", f"{tool.name}: {done.error}")
        read = parse(replace(done, text=f'{{"result":{done.text}}}'))
        if read.problem is not None:
            return Drop("tool_result", f"{tool.name}: {read.problem.detail}")
        problem = tool.result_problem(read.fields["result"])
        return Drop("tool_result", f"{tool.name}: {problem}") if problem else read.fields["result"]

    def _play(
        self, scene: Scene, kit: Kit, tool: Tool, call: Call, earlier: list[Call], steps: Iterator[int]
    ) -> Generator[Request, Completion, Any]:
        """Have the model play the tool, held to the schema of its result; return the result, or a ``Drop``."""
        assert self.environment is not None
        messages = self.environment.render(self._environment_facts(scene, tool, call, earlier))
        problem = Drop("tool_result", f"{tool.name}: no result")
        for _, step in zip(range(self.most_requests), steps, strict=False):
            schema = kit.grammar.results[tool.name]
            done = yield self._request(scene, step, remark(messages, problem), schema, self.call_tokens)
            read = parse(done)
            if read.problem and read.problem.reason == "engine_error":
                return read.problem
            if "result" not in read.fields:
                problem = Drop("tool_result", f"{tool.name}: {read.problem.detail if read.problem else 'no result'}")
            elif wrong := tool.result_problem(read.fields["result"]):
                problem = Drop("tool_result", f"{tool.name}: {wrong}")
            else:
                return read.fields["result"]
        return problem

    def _environment_facts(self, scene: Scene, tool: Tool, call: Call, earlier: list[Call]) -> dict[str, Any]:
        """Return what the template of the environment may use."""
        return self.setting.template_variables(scene.draw) | {
            "tool": f"{tool.name}: {tool.description}",
            "arguments": to_json(dict(call.arguments)),
            "state": scene.state,
            "calls": "\n".join(f"{c.name}({to_json(c.arguments)}) -> {to_json(c.result)}" for c in earlier),
        }

    # --- requests ----------------------------------------------------------------------------------------------------

    @staticmethod
    def _steps(turn: int, attempts: int) -> range:
        return range(turn * STEPS_PER_TURN, turn * STEPS_PER_TURN + attempts)

    def _request(
        self, scene: Scene, step: int, messages: tuple[Message, ...], schema: str | None, tokens: int
    ) -> Request:
        draw = scene.draw
        sampling = replace(
            self.setting.sampling(draw),
            seed=(draw.sampling_seed + SEED_STEP * step) % 2**31,
            max_tokens=tokens,
            stop=() if schema else tuple(f"\n{name.capitalize()}:" for name in scene.names),
        )
        return Request(draw.index, step, messages, schema, sampling)


def remark(messages: tuple[Message, ...], problem: Drop) -> tuple[Message, ...]:
    """Return the messages with what was wrong with an earlier answer at their end."""
    if problem.reason == "repeated_turn":
        return add_words(messages, "That was said already. Say something new.")
    if problem.reason not in {"tool_arguments", "tool_result"} or problem.detail.endswith("no result"):
        return messages
    return add_words(messages, f"An earlier answer was refused: {problem.detail}.")


def nudge(scene: Scene, act: Act) -> str:
    """Return what an assistant with tools is told to do next: what stands last is what a small model heeds."""
    other = scene.names[0]
    if scene.ended == "goal":
        return f"(Say goodbye to the {other} in a few words.)"
    if act == "call":
        return "(Call a tool now.)"
    if scene.calls_of_turn():
        return f"(Tell the {other} in one short sentence what was found.)"
    return "(Call a tool if you know what it needs; if not, ask for that.)"


def add_words(messages: tuple[Message, ...], words: str) -> tuple[Message, ...]:
    """Return the messages with words at the end of the last one."""
    last = messages[-1]
    return (*messages[:-1], {"role": last["role"], "content": f"{last['content']}\n\n{words}"})
