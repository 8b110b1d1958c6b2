"""The nouns of a run as frozen, slotted dataclasses: what flows from draw to verdict.

Nothing here does any work or knows another module. One word per thing: see the vocabulary in the README.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NotRequired, TypedDict

FinishReason = Literal["stop", "length", "error"]
Record = dict[str, Any]


class Message(TypedDict):
    """One chat message, in the form every chat template takes.

    Those of dialogues with tools have more keys, in OpenAI's and Hugging Face's structure: ``tool_calls`` with the
    assistant's calls, ``tool_call_id`` and ``name`` with a tool's result.
    """

    role: str
    content: str
    tool_calls: NotRequired[list[dict[str, Any]]]
    tool_call_id: NotRequired[str]
    name: NotRequired[str]


@dataclass(frozen=True, slots=True)
class Seed:
    """A real example shown to the model: its row number in the source and the row itself."""

    id: int
    row: Record


@dataclass(frozen=True, slots=True)
class Draw:
    """What one record should be, decided before anything is generated.

    ``attributes`` are exact in the result, except those with a ``#`` in their name, which say what a text should be like;
    ``sampling_seed`` (31 bits) is the base of every request's seed; ``arm`` is the way of asking, if there are several.
    """

    index: int
    window: int
    attributes: Mapping[str, Any]
    seeds: tuple[Seed, ...]
    sampling_seed: int
    arm: str = ""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the engine picks tokens. ``None`` leaves a knob at the engine's own default."""

    max_tokens: int = 512
    temperature: float = 1.0
    min_p: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    repetition_penalty: float | None = None
    stop: tuple[str, ...] = ()
    banned: tuple[str, ...] = ()
    seed: int = 0

    def with_seed(self, seed: int, *, max_tokens: int | None = None) -> Sampling:
        """Return the same sampling with another seed (and, if given, another token limit)."""
        return replace(self, seed=seed, max_tokens=max_tokens or self.max_tokens)


@dataclass(frozen=True, slots=True)
class Request:
    """One question to the engine: step ``step`` of draw ``draw`` (the pair is unique within a run).

    ``schema`` is the text of the JSON Schema that decoding is held to, or ``None`` for free text. ``model`` says who answers:
    the run's own model if empty, else another model (its address) or a worker of the method by its name. ``turn`` is
    whose turn is written: with "user" the model goes on after its template's opening of a user turn, as if it were the user.
    """

    draw: int
    step: int
    messages: tuple[Message, ...]
    schema: str | None
    sampling: Sampling
    model: str = ""
    turn: Literal["assistant", "user"] = "assistant"


@dataclass(frozen=True, slots=True)
class Completion:
    """The engine's answer to one request. ``seconds`` runs from sending to the last token.

    With ``finish_reason`` "error" the text is empty and ``error`` says what the engine or server answered.
    """

    draw: int
    step: int
    text: str
    finish_reason: FinishReason
    prompt_tokens: int = 0
    tokens: int = 0
    seconds: float = 0.0
    error: str = ""


@dataclass(frozen=True, slots=True)
class Drop:
    """Why a candidate is not kept. ``reason`` is the name of the filter (or of the failure).

    ``culprit`` is the index of the draw, or ``seed:ID`` of the seed, that caused it; ``score`` is what was compared
    with the threshold.
    """

    reason: str
    detail: str = ""
    score: float | None = None
    culprit: str | None = None


@dataclass(frozen=True, slots=True)
class Edit:
    """A record that a filter lets go on in another form, or with a remark: ``detail`` says what was done or seen."""

    record: Record
    detail: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A draw's parsed result. ``record`` is ``None`` when nothing could be parsed; ``failure`` then says why."""

    draw: Draw
    record: Record | None
    failure: Drop | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The end of a draw: kept (``drop`` is ``None``) or dropped for a stated reason.

    ``remarks`` are what filters changed in a kept record or saw in it, each as ``filter: detail``.
    """

    candidate: Candidate
    drop: Drop | None
    remarks: tuple[str, ...] = ()

    @property
    def kept(self) -> bool:
        """Whether the record goes into the dataset."""
        return self.drop is None


@dataclass(slots=True)
class EngineStatus:
    """What the engine is doing now. ``busy`` is its mean share of filled slots since the start, 0 to 1.

    ``facts`` say what it is (version, where the model came from), for the dataset card; ``notes`` are for the user.
    """

    in_flight: int = 0
    capacity: int = 0
    busy: float = 0.0
    retries: int = 0
    notes: list[str] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
