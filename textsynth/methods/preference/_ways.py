"""Ways of answering a prompt, the answers they give, and what makes an answer useless."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from pydantic import ConfigDict

from textsynth.methods import Setting
from textsynth.methods._fields import SEED_STEP
from textsynth.methods._texts import REFUSAL
from textsynth.overlap import rouge_l
from textsynth.records import Completion, Draw, Drop, Message, Request
from textsynth.text import fold, words

Degradation = Literal["shorten", "vague", "off_topic", "wrong_detail", "rude"]
WISHES: Mapping[Degradation, str] = {
    "shorten": "Say it in one short sentence and leave out the most useful part.",
    "vague": "Write it again in vague, general words: no names, no numbers, no examples.",
    "off_topic": "Write one or two sentences about another subject, which do not answer the question.",
    "wrong_detail": "Write it again with one fact or number changed, so that it is wrong.",
    "rude": "Write it again in a rude and impatient tone.",
}
MOST_WAYS = 16
TRIES = 100
"""Numbers of requests that each answer has."""
_ENDS = re.compile(r"(?<!\d)[.!?][\"')\]]*(?=\s)")  # not the "6." of a list


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way of answering.

    Args:
        name: what ``chosen_way`` and ``rejected_way`` call it; by default made of the others.
        temperature: in place of the recipe's.
        persona: who answers, in words.
        system: the system message.
        model: the address of another server, or ``scripted``.
        degrade: how the first good answer is made worse on purpose.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    name: str = ""
    temperature: float | None = None
    persona: str = ""
    system: str = ""
    model: str = ""
    degrade: Degradation | None = None

    @property
    def label(self) -> str:
        """What the way is called."""
        parts = [f"temperature {self.temperature:g}"] if self.temperature is not None else []
        parts += [
            f"{name} {text[:40]}" for name in ("persona", "system", "model", "degrade") if (text := getattr(self, name))
        ]
        return self.name or ", ".join(parts) or "plain"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer and the way it was made."""

    way: Way
    text: str


def check_ways(ways: Sequence[Way]) -> None:
    """Raise ``ValueError`` for ways that give no pair."""
    labels = [way.label for way in ways]
    if not 2 <= len(labels) <= MOST_WAYS:
        raise ValueError(f"answers must be 2 to {MOST_WAYS} ways of answering, got {len(labels)}")
    if twice := [label for at, label in enumerate(labels) if label in labels[:at]]:
        raise ValueError(f"answers: two are {twice[0]!r}; make them different, or give one a name of its own")
    if wrong := [way.temperature for way in ways if way.temperature is not None and not 0 <= way.temperature <= 5]:
        raise ValueError(f"answers: temperature must be between 0 and 5, got {wrong[0]:g}")
    if all(way.degrade for way in ways):
        raise ValueError("answers: one way must be without degrade: its answer is the one that is made worse")


@dataclass(frozen=True)
class Writer:
    """Has answers written, and tries again while one is of no use.

    Args:
        tokens: most tokens of an answer; ``None`` for those of the recipe's sampling.
        cut: what becomes of an answer that reached them.
        most_alike: ROUGE-L from which on two answers count as equal.
    """

    setting: Setting
    tokens: int | None
    cut: Literal["drop", "trim"]
    most_alike: float

    def write(
        self, draw: Draw, at: int, way: Way, messages: tuple[Message, ...], earlier: Sequence[Answer]
    ) -> Generator[Request, Completion, Answer | Drop]:
        """Return the answer of the way with number ``at``, or why there is none that can stand beside the earlier ones."""
        base = self.setting.sampling(draw)
        temperature = base.temperature if way.temperature is None else way.temperature
        base = replace(base, temperature=temperature, max_tokens=self.tokens or base.max_tokens)
        wrong = Drop("empty_answer", "no answer")
        for attempt in range(self.setting.repairs + 1):
            step = at * TRIES + attempt
            sampling = base.with_seed((draw.sampling_seed + SEED_STEP * step) % 2**31)
            done = yield Request(draw.index, step, messages, None, sampling, model=way.model)
            if done.finish_reason == "error":
                return Drop("engine_error", done.error)
            text = self._whole(done)
            fault = self._useless(way, text, done, earlier)
            if fault is None:
                return Answer(way, text)
            wrong = replace(fault, detail=f"{way.label}: {fault.detail}")
        return wrong

    def _whole(self, done: Completion) -> str:
        """Return the text of an answer; of one that was cut, its whole sentences if it may be trimmed, else nothing."""
        text = done.text.strip()
        if done.finish_reason != "length":
            return text
        ends = [match.end() for match in _ENDS.finditer(f"{text} ")]
        return text[: ends[-1]] if self.cut == "trim" and ends else ""

    def _useless(self, way: Way, text: str, done: Completion, earlier: Sequence[Answer]) -> Drop | None:
        """Return why an answer is of no use beside the earlier ones."""
        if not text:
            cut = done.finish_reason == "length"
            return Drop("cut_answer", f"cut after {done.tokens} tokens") if cut else Drop("empty_answer", "no text")
        if REFUSAL.search(text):
            return Drop("refused_answer", text[:80])
        for other in earlier:
            alike = 1.0 if fold(text) == fold(other.text) else rouge_l(words(text), words(other.text))
            if alike >= self.most_alike and not (way.degrade == "wrong_detail" and alike < 1):
                return Drop("equal_answers", f"{alike:.2f} like that of {other.way.label}", alike)
        return not_worse(way.degrade, text, earlier[0].text) if way.degrade else None


def not_worse(degrade: Degradation, text: str, good: str) -> Drop | None:
    """Return why a text is not the degraded form of a good answer, where that can be seen in its words."""
    mine, theirs = words(text), words(good)
    if degrade == "shorten" and len(mine) >= len(theirs):
        return Drop("not_degraded", f"{len(mine)} words, the good answer has {len(theirs)}", len(mine))
    if degrade == "off_topic" and (alike := rouge_l(mine, theirs)) >= 0.5:
        return Drop("not_degraded", f"{alike:.2f} like the good answer", alike)
    return None
