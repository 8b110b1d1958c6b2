"""A model's answers to the items of a written set, scored as the harnesses score them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

from textsynth import answers, prompts, sandbox, tables
from textsynth.errors import RecipeError
from textsynth.evalsets._write import ITEMS, most_tokens
from textsynth.records import Completion, Record, Request, Sampling

Ask = Callable[[Sequence[Request]], list[Completion]]
VERDICT = json.dumps(
    {
        "type": "object",
        "properties": {"met": {"enum": ["yes", "no"]}},
        "required": ["met"],
        "additionalProperties": False,
    }
)


@dataclass(frozen=True, slots=True)
class Share:
    """How many items were scored, the share that is right, and its standard error (of the sample's mean)."""

    items: int
    accuracy: float
    stderr: float


@dataclass(frozen=True)
class Scores:
    """A model's result: over all items scored, by kind, and per item what it said and whether that is right.

    ``right`` is ``None`` for items that could not be scored: rubrics without a judge, requests that failed.
    """

    whole: Share
    by_kind: dict[str, Share]
    responses: list[str]
    right: list[bool | None]

    @property
    def unscored(self) -> int:
        """How many items were not scored."""
        return self.right.count(None)


def load_items(folder: str | Path) -> list[Record]:
    """Return the items of a written set.

    Raises:
        RecipeError: there are none there.
    """
    place = Path(folder)
    file = next((path for path in (place / ITEMS, place / "eval" / ITEMS, place) if path.is_file()), None)
    if file is None:
        raise RecipeError([f"{str(folder)!r} holds no {ITEMS}"], hint="give the folder that textsynth evalset wrote")
    return tables.read(str(file.resolve()), folder=Path(), place="evalset score")


def score(items: Sequence[Record], ask: Ask, *, judge: Ask | None = None) -> Scores:
    """Ask a model every item, greedily, and score what it says.

    Args:
        ask: the model: requests in, completions in their order out (``textsynth.answering.Answering``).
        judge: the model that grades rubrics, criterion by criterion; without one they are not scored.
    """
    sampling = Sampling(max_tokens=most_tokens(items), temperature=0.0)
    asked = [
        Request(at, 0, ({"role": "user", "content": item["prompt"]},), None, sampling) for at, item in enumerate(items)
    ]
    done = ask(asked)
    graded = grade(items, done, judge) if judge else {}
    right = [graded.get(at, is_right(item, done[at])) for at, item in enumerate(items)]
    kinds = dict.fromkeys(item["kind"] for item in items)
    by_kind = {kind: share([r for item, r in zip(items, right, strict=True) if item["kind"] == kind]) for kind in kinds}
    return Scores(share(right), by_kind, [each.text for each in done], right)


def is_right(item: Record, done: Completion) -> bool | None:
    """Return whether a response is right; ``None`` if that cannot be told."""
    if done.finish_reason == "error" or item["kind"] == "rubric":
        return None
    return answers.is_right(item, done.text, passes)


def passes(source: str, tests: Sequence[str]) -> bool:
    """Return whether a program passes its tests, run in the sandbox."""
    return sandbox.execute(sandbox.Program("python", source, "\n".join(tests))).passed


def grade(items: Sequence[Record], done: Sequence[Completion], judge: Ask) -> dict[int, bool]:
    """Return, for each rubric item, whether the judge finds that its response meets every criterion."""
    prompt = prompts.load("solve/criterion", folder=Path())
    requests, owners = list[Request](), list[int]()
    for at, item in enumerate(items):
        for step, criterion in enumerate(item["criteria"] if item["kind"] == "rubric" else ()):
            shown: dict[str, Any] = {
                "asked": item["question"],
                "response": done[at].text,
                "criterion": criterion,
                "reference": item["answer"],
            }
            requests.append(Request(at, step, prompt.render(shown), VERDICT, Sampling(max_tokens=16, temperature=0.0)))
            owners.append(at)
    met = [read_verdict(answer.text) for answer in judge(requests)] if requests else []
    return {at: all(m for m, owner in zip(met, owners, strict=True) if owner == at) for at in dict.fromkeys(owners)}


def read_verdict(text: str) -> bool:
    """Return whether the judge says yes."""
    value = answers.read_json(text)
    return isinstance(value, dict) and value.get("met") == "yes"


def share(right: Sequence[bool | None]) -> Share:
    """Return the share of right answers among those scored."""
    scored = [bool(each) for each in right if each is not None]
    count = len(scored)
    rate = sum(scored) / count if count else 0.0
    return Share(count, rate, sqrt(rate * (1 - rate) / (count - 1)) if count > 1 else 0.0)
