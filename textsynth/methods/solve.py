"""Items solved several times without sight of the key: only those stay whose key the solutions agree on."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from textsynth import answers, models
from textsynth.answers import LETTERS
from textsynth.methods import Method, Setting, Steps
from textsynth.methods._exam import RUNNER, closed, run_tests, trial
from textsynth.methods._fields import SEED_STEP, parse
from textsynth.prompts import Prompt
from textsynth.records import Candidate, Completion, Draw, Drop, Record, Request, Sampling
from textsynth.schema import RecordSchema, load

Context = Literal["shown", "hidden"]
Part = Generator[Request, Completion, Record | Drop]
LENGTHS = {"exact": 80, "numeric": 24, "json": 300, "code": 800}
"""Most characters of a solution, by kind."""
STEPS = 1_000
"""Numbers of requests for each of the three questions: the key, the options alone, the difficulty."""


@dataclass(frozen=True)
class Difficulty:
    """How an item's difficulty is found: the share of right answers of a stated model.

    Args:
        model: its server's address; empty: the run's own model.
        k: how often it answers.
        context: hidden, or shown: with the passage.
        easy: least solve rate of an easy item.
        hard: greatest solve rate of a hard item; between the two it is medium.
    """

    model: str = ""
    k: int = 4
    context: Context = "hidden"
    easy: float = 0.75
    hard: float = 0.25

    def __post_init__(self) -> None:
        """Refuse cuts that do not part."""
        if self.k < 1:
            raise ValueError(f"difficulty.k must be at least 1, got {self.k}")
        if not 0 <= self.hard < self.easy <= 1:
            raise ValueError(
                f"difficulty: hard must be below easy, both between 0 and 1, got {self.hard} and {self.easy}"
            )

    def name(self, rate: float) -> str:
        """Return easy, medium or hard."""
        return "easy" if rate >= self.easy else "hard" if rate <= self.hard else "medium"


@dataclass(frozen=True, slots=True)
class Trial:
    """One way of putting an item's question: to whom, with what shown, from which request on."""

    prompt: Prompt
    step: int
    model: str
    passage: str
    question: str


@dataclass
class Solve(Method):
    """Checks the keys of eval items by independent solutions, and finds out how hard and how leaky they are.

    Each item is solved ``k`` times without its key; the options of multiple choice stand in another order each time, so
    that a model's favourite letter does not pass for knowledge. An item is dropped where the solutions agree on another
    answer or on none. Multiple choice is also answered from its options alone: an item that is right that way tests
    nothing. The record gets the solutions, their agreement with the key and, on request, a solve rate and difficulty.
    Items come from the method ``item`` or from seeds with ``question``, ``answer`` and, for multiple choice, ``choices``.
    Items of the kind rubric pass unchecked.

    Args:
        k: solutions per item.
        least: least share of the solutions that must give the key; by default more than half.
        context: shown: the passage is shown for the solutions, where there is one; hidden: it is not.
        model: the server's address of the model that solves; empty: the run's own. A stronger one checks better.
        temperature: of the solutions; above 0, or they are all the same.
        max_tokens: of one solution.
        reasoning: most characters of thought before an answer; 0: none.
        passage: the field with the passage.
        options_only: how often multiple choice is answered from the options alone; 0: not.
        options_most: an item is dropped when its key comes up in a greater share of those. Of 4, 3 or more come up by chance
            in 5 % of items with four options.
        difficulty: {model, k, context, easy, hard}: how the difficulty is found; by default it is not.
    """

    default_prompt = "solve/answer"
    own_fields = ("question", "answer", "choices", "solutions", "agreement", "options_only", "solve_rate", "difficulty")
    seeds_are_records = False
    paper = (
        "agreement of independent solutions: Wang et al. 2022, Self-Consistency, arXiv 2203.11171; options alone: "
        "Balepur et al. 2024, Artifacts or Abduction, arXiv 2402.12483"
    )
    reasons: ClassVar[Mapping[str, str]] = {
        "key_disagreement": "have a stronger model solve (solve.model), or write items with a larger one",
        "answered_without_question": "ask for wrong options of the same kind and length, or raise options_most",
    }

    k: int = 3
    least: float | None = None
    context: Context = "shown"
    model: str = ""
    temperature: float = 0.7
    max_tokens: int = 48
    reasoning: int = 0
    passage: str = "passage"
    options_only: int = 4
    options_most: float = 0.5
    difficulty: Difficulty | None = field(default=None)

    def __post_init__(self) -> None:
        """Refuse options out of their range."""
        if self.k < 1 or self.options_only < 0 or self.reasoning < 0:
            raise ValueError(
                f"k must be at least 1, options_only and reasoning at least 0, got {self.k}, {self.options_only} and "
                f"{self.reasoning}"
            )
        for name, share in (("least", self.least), ("options_most", self.options_most)):
            if share is not None and not 0 <= share <= 1:
                raise ValueError(f"{name} must be between 0 and 1, got {share:g}")
        if self.temperature <= 0 and self.k > 1:
            raise ValueError(f"temperature must be above 0, or all solutions are the same, got {self.temperature:g}")
        for model in self.models():
            if not models.is_url(model) and model != "scripted":
                raise ValueError(f"model must be a server's address (http://host:port/v1), got {model!r}")

    def models(self) -> list[str]:
        """Return the models that solve, where that is not the run's own."""
        return [m for m in (self.model, self.difficulty.model if self.difficulty else "") if m]

    def workers(self) -> Mapping[str, Callable[[Request], str]]:
        """Return what runs the tests of code items."""
        return {RUNNER: run_tests}

    def record_schema(self, given: RecordSchema | None) -> RecordSchema:
        """Return what is found out about an item; a schema given holds the item's own fields."""
        share = {"type": ["number", "null"]}
        found: dict[str, Any] = {
            "solutions": {"type": "array", "items": {"type": "string"}},
            "agreement": share,
            "options_only": share,
        }
        if self.difficulty is not None:
            found |= {"solve_rate": share, "difficulty": {"enum": ["easy", "medium", "hard", ""]}}
        document: dict[str, Any] = given.document if given else item_schema()
        properties = {**document.get("properties", {}), **found}
        required = [*document.get("required", []), *found]
        return load(document | {"properties": properties, "required": required}, folder=Path(), place="schema")

    def variables(self) -> dict[str, str]:
        """Return what the templates may use."""
        return {
            "material": "the passage, empty where it is not shown",
            "asked": "the question, empty where the options stand alone",
            "options": "the options, each with its letter; empty for other kinds",
            "task": "what to answer with",
        }

    def templates(self) -> list[str]:
        """Return the template of the question without its question."""
        return ["solve/options"]

    def carried_fields(self) -> tuple[str, ...]:
        """Return what is no text to be judged."""
        return ("solutions", "difficulty")

    def prepare(self, setting: Setting) -> None:
        """Check that items are given."""
        setting.require(["question", "answer"])
        self.setting = setting
        self._options_prompt = setting.load_prompt("solve/options")

    def summary(self, records: Iterable[Record]) -> Mapping[str, Any]:
        """Return the means over the kept items, and how many are easy, medium and hard."""
        rows = list(records)
        found: dict[str, Any] = {}
        for name in ("agreement", "options_only", "solve_rate"):
            values = [row[name] for row in rows if isinstance(row.get(name), int | float)]
            found |= {f"mean_{name}": round(sum(values) / len(values), 3)} if values else {}
        levels = Counter(row["difficulty"] for row in rows if row.get("difficulty"))
        return found | ({"difficulty": dict(sorted(levels.items()))} if levels else {})

    def run(self, draw: Draw) -> Steps:
        """Check the key, try the options alone, then estimate the difficulty; the first that fails ends the draw."""
        item = self._item(draw)
        checked: Record = {
            "solutions": [],
            "agreement": None,
            "options_only": None,
            "solve_rate": None,
            "difficulty": "",
        }
        for part in (self._confirm, self._guess, self._rate) if item["kind"] != "rubric" else ():
            found = yield from part(draw, item)
            if isinstance(found, Drop):
                return Candidate(draw, None, found)
            checked |= found
        return Candidate(draw, self._record(item, checked, draw))

    def _confirm(self, draw: Draw, item: Record) -> Part:
        """Solve the item; its key must be agreed on."""
        asked = Trial(self.setting.prompt(draw), 0, self.model, self._shown(draw, self.context), item["question"])
        found = yield from self._solve(draw, item, asked, self.k)
        if isinstance(found, Drop):
            return found
        agreement = share_right(found)
        if agreement < self.least if self.least is not None else agreement <= 0.5:
            return disagreement(item, found)
        return {"solutions": [said for said, _ in found], "agreement": agreement}

    def _guess(self, draw: Draw, item: Record) -> Part:
        """Answer multiple choice from its options alone; that must not succeed too often."""
        if not item["choices"] or not self.options_only:
            return {}
        found = yield from self._solve(
            draw, item, Trial(self._options_prompt, STEPS, self.model, "", ""), self.options_only
        )
        if isinstance(found, Drop):
            return found
        rate = share_right(found)
        if rate > self.options_most:
            detail = (
                f"{rate:.0%} of {len(found)} answers from the options alone are right (most {self.options_most:.0%})"
            )
            return Drop("answered_without_question", detail, score=rate)
        return {"options_only": rate}

    def _rate(self, draw: Draw, item: Record) -> Part:
        """Find the solve rate of the stated model, if one is."""
        if (asks := self.difficulty) is None:
            return {}
        shown = self._shown(draw, asks.context)
        asked = Trial(self.setting.prompt(draw), 2 * STEPS, asks.model, shown, item["question"])
        found = yield from self._solve(draw, item, asked, asks.k)
        if isinstance(found, Drop):
            return found
        return {"solve_rate": share_right(found), "difficulty": asks.name(share_right(found))}

    def _shown(self, draw: Draw, context: Context) -> str:
        """Return the passage, where it is shown and there is one."""
        return str(self.setting.given(draw, self.passage) or "") if context == "shown" else ""

    def _item(self, draw: Draw) -> Record:
        """Return the item as ``answers`` takes it."""
        choices = list(self.setting.given(draw, "choices") or ())
        kind = self.setting.given(draw, "kind") or ("multiple_choice" if choices else "exact")
        more = {name: self.setting.given(draw, name) for name in ("tolerance", "tests")}
        texts = {name: str(self.setting.given(draw, name)) for name in ("question", "answer")}
        return {"kind": kind, **texts, "choices": choices if kind == "multiple_choice" else [], **more}

    def _record(self, item: Record, checked: Record, draw: Draw) -> Record:
        """Return the fields of the record: what was found out, and the item as it was given."""
        record: Record = {}
        for name in self.setting.schema.properties:
            value = checked[name] if name in checked else item.get(name)
            value = self.setting.given(draw, name) if value is None and name not in checked else value
            record |= {name: value} if value is not None or name in checked else {}
        return record

    def _solve(
        self, draw: Draw, item: Record, trial_of: Trial, times: int
    ) -> Generator[Request, Completion, list[tuple[str, bool]] | Drop]:
        """Return each solution, letters as in the item, and whether it is right."""
        found: list[tuple[str, bool]] = []
        for at in range(times):
            step = trial_of.step + 2 * at
            turned = turn(item["choices"], at)
            done = yield self._request(draw, {**item, "choices": turned}, trial_of, step)
            if done.finish_reason == "error":
                return Drop("engine_error", done.error)
            said = read_answer(item, parse(done).fields.get("answer"), at)
            if item["kind"] == "code":
                tried = yield trial(draw, step + 1, said, item["tests"] or (), self.setting.sampling(draw))
                found.append((said, bool(said) and tried.finish_reason != "error" and not tried.text))
            else:
                found.append((said, answers.same(item, said, item["answer"])))
        return found

    def _request(self, draw: Draw, shown: Record, asked: Trial, step: int) -> Request:
        options = [f"{letter}. {text}" for letter, text in zip(LETTERS, shown["choices"], strict=False)]
        own = {"material": asked.passage, "asked": asked.question, "options": options}
        own |= {"task": answers.TASKS[shown["kind"]]}
        messages = asked.prompt.render({**self.setting.template_variables(draw), **own})
        return Request(draw.index, step, messages, self._decoding(shown), self._sampling(draw, step), model=asked.model)

    def _sampling(self, draw: Draw, step: int) -> Sampling:
        seed = (draw.sampling_seed + SEED_STEP * step) % 2**31
        room = self.max_tokens + self.reasoning // 3
        return replace(
            self.setting.sampling(draw), temperature=self.temperature, max_tokens=room, seed=seed, stop=(), banned=()
        )

    def _decoding(self, item: Record) -> str:
        """Return the schema of one solution."""
        if item["choices"]:
            answer: dict[str, Any] = {"enum": list(LETTERS[: len(item["choices"])])}
        else:
            answer = {"type": "string", "minLength": 1, "maxLength": LENGTHS[item["kind"]]}
        thought = {"reasoning": {"type": "string", "maxLength": self.reasoning}} if self.reasoning else {}
        return json.dumps(closed({**thought, "answer": answer}))


def item_schema() -> dict[str, Any]:
    """Return the schema of the least an item has, for a run whose items come without one."""
    text = {"type": "string"}
    properties = {"question": text, "answer": text, "choices": {"type": "array", "items": text}}
    return closed(properties) | {"required": ["question", "answer"]}


def turn(choices: list[str], by: int) -> list[str]:
    """Return the options with the first ``by`` of them moved to the end."""
    at = by % len(choices) if choices else 0
    return [*choices[at:], *choices[:at]]


def read_answer(item: Record, said: Any, turned: int) -> str:
    """Return a solution as items store answers; the letter of an option as it is without the turn."""
    if not isinstance(said, str) or not said.strip():
        return ""
    if not item["choices"]:
        return answers.read(item, said)
    at = LETTERS.find(said)
    return LETTERS[(at + turned) % len(item["choices"])] if 0 <= at < len(item["choices"]) else ""


def share_right(found: list[tuple[str, bool]]) -> float:
    """Return the share of solutions that are right."""
    return sum(right for _, right in found) / len(found)


def disagreement(item: Record, found: list[tuple[str, bool]]) -> Drop:
    """Word the drop of an item whose key the solutions do not confirm."""
    right = sum(good for _, good in found)
    other, count = Counter(said for said, good in found if not good).most_common(1)[0]
    detail = f"{right} of {len(found)} solutions give the key {item['answer'][:60]!r}; {count} give {other[:60]!r}"
    return Drop("key_disagreement", detail, score=right / len(found))
