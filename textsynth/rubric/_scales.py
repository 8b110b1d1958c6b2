"""Scales with names, and the rubric they make: as the model reads it, as decoding is held to it, and as it is read back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict

from textsynth.records import Completion, Record
from textsynth.rubric._votes import LOST, OUTCOMES, PLACES, WON, Vote

BEST = 5
RATIONALE = "rationale"
LONGEST_RATIONALE = 240
_SHOWN = 12_000  # characters of a text that the judge reads
_QUOTED = 100


@dataclass(frozen=True, kw_only=True)
class Scale:
    """One scale of a rubric.

    Args:
        description: what is judged, in words the model reads.
        least: the least mean that is kept; by default that of whoever asks.
        anchors: what a score means, by score.
        levels: names of the scores from the worst (1) on, in place of the numbers 1 to 5.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    description: str
    least: float | None = None
    anchors: dict[int, str] = field(default_factory=dict)
    levels: tuple[str, ...] = ()

    @property
    def best(self) -> int:
        """The highest score."""
        return len(self.levels) or BEST

    @property
    def choices(self) -> tuple[Any, ...]:
        """What the model may answer, from the worst on."""
        return self.levels or tuple(range(1, BEST + 1))

    def score(self, choice: Any) -> float:
        """Return the score of an answer."""
        return float(self.choices.index(choice) + 1)

    def line(self, name: str, *, form: Literal["scores", "places"]) -> str:
        """Return the scale as the model reads it."""
        if form == "places":
            return f"- {name}: {self.description}"
        meant = self.anchors if self.levels else {1: "not at all", BEST: "fully", **self.anchors}
        known = {choice: meant.get(score, "") for score, choice in enumerate(self.choices, 1)}
        shown = known if self.levels else {choice: text for choice, text in known.items() if text}
        words = "; ".join(f"{choice} = {text}" if text else str(choice) for choice, text in shown.items())
        return f"- {name}: {self.description} ({words})"

    def check(self, name: str) -> None:
        """Raise ``ValueError`` for a scale that cannot be asked about."""
        if not self.description.strip():
            raise ValueError(f"scale {name} must have a description, got an empty one")
        if len(self.levels) == 1 or len(set(self.levels)) < len(self.levels):
            raise ValueError(f"levels of {name} must be at least two different names, got {list(self.levels)}")
        if strange := [score for score in self.anchors if not 1 <= score <= self.best]:
            raise ValueError(f"anchors of {name} must be for scores of 1 to {self.best}, got {strange[0]}")


ScaleOption = str | Scale
"""How a scale is given in a recipe: its description, or all of it."""


@dataclass(frozen=True)
class Rubric:
    """What is judged, and how an answer looks.

    Args:
        scales: by name.
        form: ``scores``: each scale gets one of its scores; ``places``: two texts are compared on each scale.
        reason: whether the model gives a short rationale first.
    """

    scales: Mapping[str, Scale]
    form: Literal["scores", "places"] = "scores"
    reason: Literal["none", "short"] = "short"

    def __post_init__(self) -> None:
        """Refuse scales that cannot be asked about."""
        if not self.scales:
            raise ValueError("scales must name at least one scale, e.g. {fluency: it reads as a native wrote it}")
        if RATIONALE in self.scales:
            raise ValueError(f"scales: {RATIONALE!r} is the name of the model's own field; give the scale another name")
        for name, scale in self.scales.items():
            scale.check(name)

    @classmethod
    def of(
        cls, scales: Mapping[str, ScaleOption], *, form: Literal["scores", "places"], reason: Literal["none", "short"]
    ) -> Rubric:
        """Return the rubric of scales as they stand in a recipe."""
        read = {name: Scale(description=one) if isinstance(one, str) else one for name, one in scales.items()}
        return cls(read, form, reason)

    @property
    def width(self) -> int:
        """The answers that make one vote: one, or one for each order of a pair."""
        return 2 if self.form == "places" else 1

    @property
    def least_tokens(self) -> int:
        """The tokens that an answer surely needs."""
        return 16 * (len(self.scales) + 1) + (80 if self.reason == "short" else 0)

    def bounds(self, name: str) -> tuple[float, float]:
        """Return the lowest and the highest value of a scale."""
        return (LOST, WON) if self.form == "places" else (1, self.scales[name].best)

    def lines(self, names: Sequence[str] = ()) -> str:
        """Return the scales as the model reads them, one a line, in the order of ``names`` (by default their own)."""
        return "\n".join(self.scales[name].line(name, form=self.form) for name in names or self.scales)

    def schema(self, names: Sequence[str] = ()) -> str:
        """Return the JSON Schema of one answer as text; only keywords that every backend enforces."""
        thought = {"type": "string", "minLength": 1, "maxLength": LONGEST_RATIONALE}
        reason: dict[str, Any] = {RATIONALE: thought} if self.reason == "short" else {}
        properties = reason | {name: {"enum": list(self._choices(name))} for name in names or self.scales}
        return json.dumps(
            {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
        )

    def read(self, done: Completion | None) -> Record | str:
        """Return the fields of one answer, or what is wrong with it."""
        if done is None:
            return "no answer"
        if done.finish_reason == "error":
            return f"error: {done.error[:_QUOTED]}"
        try:
            told = json.loads(done.text, strict=False)  # xgrammar lets a raw tab through
        except (ValueError, RecursionError):
            return f"cut after {done.tokens} tokens" if done.finish_reason == "length" else f"no JSON: {cut(done.text)}"
        for name in self.scales:
            value = told.get(name) if isinstance(told, dict) else None
            if isinstance(value, bool) or value not in self._choices(name):
                return f"{name} is none of {', '.join(map(str, self._choices(name)))}: {cut(done.text)}"
        return dict(told)

    def vote(self, told: Sequence[Record]) -> Vote:
        """Return the vote that ``width`` answers make; of two, the judged text stood first in the first."""
        rationale = str(told[0].get(RATIONALE, ""))
        if self.form == "scores":
            return Vote({name: scale.score(told[0][name]) for name, scale in self.scales.items()}, rationale)
        places = {name: (str(told[0][name]), str(told[1][name])) for name in self.scales}
        return Vote({name: OUTCOMES.get(pair) for name, pair in places.items()}, rationale, places)

    def _choices(self, name: str) -> tuple[Any, ...]:
        return PLACES if self.form == "places" else self.scales[name].choices


def readable(record: Record) -> str:
    """Return a record as JSON text for the model, cut where it is very long, without halves of surrogate pairs."""
    text = json.dumps(record, ensure_ascii=False, indent=1).encode("utf-8", "replace").decode()
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}\n[{len(text) - _SHOWN} more characters]"


def cut(text: str) -> str:
    """Return the beginning of a text on one line."""
    line = " ".join(text[: 2 * _QUOTED].split())
    return line[:_QUOTED] + "..." * (len(line) > _QUOTED)
