"""What several test modules need: a recipe on the scripted engine, and a program that runs one in its own process."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from textsynth.filters import Filter, drop
from textsynth.judge import Hearing, Judge
from textsynth.records import Candidate, Completion, Drop, Edit, Request, Sampling, Verdict

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")

ROOT = Path(__file__).parent.parent
SCRIPTED = {
    "model": "scripted",
    "records": 60,
    "schema": {"title": "str 5..60", "body": "text 20..200", "priority": ["low", "normal", "high"], "opened": "date"},
    "prompt": "Write a ticket about a {{ product }}.",
    "attributes": {
        "product": {"weights": {"router": 3, "phone": 1}},
        "opened": {"dates": ["2024-01-01", "2024-12-31"]},
    },
    "quotas": {"priority": {"low": 0.5, "normal": 0.3, "high": 0.2}},
    "windows": {"size": 16, "lag": 2},
    "engine": {"faults": {"truncated": 0.1, "malformed": 0.05, "refusal": 0.05, "repeat": 0.05, "error": 0.03}},
}
DIALOGUE = {
    "model": "scripted",
    "records": 12,
    "method": {"dialogue": {"turns": [3, 5]}},
    "schema": {"solved": "bool"},
    "attributes": {"persona": ["is in a hurry", "is calm"]},
    "windows": {"size": 4},
    "engine": {"faults": {"empty": 0.1, "error": 0.02}},
}


JUDGED = SCRIPTED | {"filters": ["refusal", "duplicate", "near_duplicate", "tests.conftest:Oracle"]}


@pytest.fixture
def scripted() -> dict[str, object]:
    """Return a recipe on the scripted engine with faults of every kind."""
    return dict(SCRIPTED)


@pytest.fixture(params=["records", "dialogues", "judged"])
def either(request: pytest.FixtureRequest) -> dict[str, object]:
    """Return one recipe of each method, and one with a filter that asks the model and changes records."""
    return dict({"records": SCRIPTED, "dialogues": DIALOGUE, "judged": JUDGED}[request.param])


PROGRAM = [sys.executable, "-m", "textsynth.cli"]


def settle(judge: Judge, window: Sequence[Candidate]) -> list[Verdict]:
    """Judge a window with filters that ask no model."""
    hearing = Hearing(judge.judge(window))
    assert hearing.proceed() == []
    return hearing.verdicts


@dataclass
class Oracle(Filter):
    """Asks about each record, drops those whose answer is the word no or begins with a vowel, and signs the others."""

    def __post_init__(self) -> None:
        self.heard: dict[int, Completion] = {}

    def ask(self, batch: Sequence[Candidate]) -> list[Request]:
        message = {"role": "user", "content": "Is this good?"}
        sampling = Sampling(max_tokens=16)
        return [Request(c.draw.index, 0, (message,), '{"type": "string"}', sampling) for c in batch]

    def hear(self, answers: Sequence[Completion]) -> None:
        self.heard |= {answer.draw: answer for answer in answers}

    def check(self, batch: Sequence[Candidate]) -> list[Drop | Edit | None]:
        return [self.judge(c, self.heard[c.draw.index].text) for c in batch]

    def judge(self, item: Candidate, answer: str) -> Drop | Edit | None:
        if answer == "no" or answer.lstrip('"')[:1].lower() in "aeiou":
            return drop(answer)
        return (
            Edit({**item.record, "body": answer.strip('"')[:40].ljust(20)}, "signed") if "body" in item.record else None
        )

    def measured(self) -> dict[str, int]:
        return {"answers": len(self.heard)}
