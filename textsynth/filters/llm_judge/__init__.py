"""A language model as judge: scores on named scales, or a comparison with real examples, by the vote of several answers."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import xxhash
from pydantic import ConfigDict

from textsynth import prompts
from textsynth.errors import RecipeError
from textsynth.filters import Filter, Setting, drop
from textsynth.filters.llm_judge._votes import BEST, LOST, OUTCOMES, PLACES, SCORES, TIED, WON, Judgement, Tally, Vote
from textsynth.records import Candidate, Completion, Drop, Record, Request, Sampling, Seed

BROKEN = "judgement_broken"
RATIONALE = "rationale"
_SHOWN = 12_000  # characters of a record that the judge reads
_LONGEST_RATIONALE = 240
_QUOTED = 100
_VARIABLES = ("index", "attributes", "seeds", "fields", "schema", "rubric")


@dataclass(frozen=True, kw_only=True)
class Scale:
    """One scale of a rubric.

    Args:
        description: what is judged, in words the model reads.
        least: the least mean that is kept; by default that of the filter.
        anchors: what a score means, by score.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    description: str
    least: float | None = None
    anchors: dict[int, str] = field(default_factory=dict)

    def line(self, name: str, *, scored: bool) -> str:
        """Return the scale as the model reads it."""
        meant = {1: "not at all", BEST: "fully", **self.anchors} if scored else self.anchors
        words = "; ".join(f"{score} = {text}" for score, text in sorted(meant.items()))
        return f"- {name}: {self.description}" + (f" ({words})" if scored and words else "")


@dataclass(kw_only=True)
class LlmJudge(Filter):
    """Drops a record that a language model, asked ``votes`` times, finds too weak on one of the scales named.

    Each vote is an answer held to a schema: a short rationale, then a score of 1 to 5 on every scale. The record is kept
    if the mean of the votes reaches ``least`` on each scale; the score is the mean of the scale that falls short most.
    Votes that cannot be read are left out; with fewer than half left the record ends as ``judgement_broken``.

    With ``against: seeds`` each vote compares the record with a real example (one with the same drawn values, if there
    is one), in both orders. A win counts 1, a tie .5, a loss 0, and only if both orders agree; a record on which no two
    orders agree is a tie (Zheng et al. 2023, Judging LLM-as-a-Judge, section 3.4). Measured: means, broken
    votes, agreement of the votes (share of equal pairs; Krippendorff's alpha for interval data, Computing
    Krippendorff's Alpha-Reliability, 2011), how often the two orders agree, and how often the first place won.
    Nothing is remembered per record; measures are of the records judged by this process.

    Cannot see: what the judging model does not know (facts, its own style, which it favours), text past the first
    12,000 characters, and text that persuades the judge. Small models tell scores apart poorly: try it on real records first.

    Args:
        scales: a description, or ``{description, least, anchors}``, by name; at least one.
        least: the least mean that is kept; by default 3, or .5 (no worse than a real example) for pairs.
        votes: answers per record (pairs: per record and order), an odd number.
        model: which model judges: a server's address, or ``scripted``; empty for the run's own.
        prompt: a template of the library, a file or a text; by default ``judge/rubric`` or ``judge/pair``.
        against: what the record is compared with.
        reason: whether the model gives a short rationale before it scores.
        max_tokens: most tokens of one answer.
        temperature: how freely the model answers; with 0 all votes would be the same.
    """

    scales: dict[str, str | Scale] = field(default_factory=dict)
    least: float | None = None
    votes: int = 1
    model: str = ""
    prompt: str = ""
    against: Literal["none", "seeds"] = "none"
    reason: Literal["none", "short"] = "short"
    max_tokens: int = 200
    temperature: float = 0.7

    def __post_init__(self) -> None:
        """Refuse options out of their range."""
        if not self.scales:
            raise ValueError("scales must name at least one scale, e.g. {fluency: it reads as a native wrote it}")
        if RATIONALE in self.scales:
            raise ValueError(f"scales: {RATIONALE!r} is the name of the model's own field; give the scale another name")
        if self.votes < 1 or self.votes % 2 == 0:
            raise ValueError(f"votes must be an odd number of at least 1, got {self.votes}")
        if not 0 <= self.temperature <= 2:
            raise ValueError(f"temperature must be between 0 and 2, got {self.temperature:g}")
        if self.votes > 1 and self.temperature == 0:
            raise ValueError("votes above 1 need a temperature above 0: at 0 every vote is the same answer")
        needed = 16 * (len(self.scales) + 1) + (80 if self.reason == "short" else 0)
        if self.max_tokens < needed:
            raise ValueError(f"max_tokens must be at least {needed} for these scales, got {self.max_tokens}")
        self._rubric = {n: Scale(description=s) if isinstance(s, str) else s for n, s in self.scales.items()}
        for name, scale in self._rubric.items():
            self._check_scale(name, scale)

    @property
    def asked_model(self) -> str:
        """The model that judges, where it is not the run's own."""
        return self.model

    @property
    def pairs(self) -> bool:
        """Whether records are compared with real examples."""
        return self.against != "none"

    def prepare(self, setting: Setting) -> None:
        """Load the template and try it; with pairs, there must be seeds."""
        super().prepare(setting)
        if self.pairs and not setting.seeds:
            raise ValueError("against: seeds compares with real examples, but the recipe gives no seeds")
        source = self.prompt or ("judge/pair" if self.pairs else "judge/rubric")
        self._prompt = prompts.load(source, folder=setting.folder, place="prompt")
        known = (*_VARIABLES, *(("first", "second") if self.pairs else ("record",)))
        if lost := self._prompt.undefined(known):
            raise ValueError(f"prompt {self._prompt.name}: undefined variables: {', '.join(lost)}; defined: {known}")
        lines = [scale.line(name, scored=not self.pairs) for name, scale in self._rubric.items()]
        row = setting.seeds[0].row if setting.seeds else {}
        self._standard: dict[str, Any] = {
            "rubric": "\n".join(lines),
            "seeds": [],
            "fields": tuple(setting.schema.properties),
        }
        self._standard |= {"schema": setting.schema.document}
        self._prompt.render(
            {**self._standard, "index": 0, "attributes": {}}
            | dict.fromkeys(known[len(_VARIABLES) :], json.dumps(row, default=str))
        )
        self._schema = json.dumps(answer_schema(list(self._rubric), pairs=self.pairs, rationale=self.reason == "short"))
        self._pool = Pool(setting.seeds)
        self._judged: dict[int, Judgement] = {}
        self._tally = Tally()

    def ask(self, batch: Sequence[Candidate]) -> Sequence[Request]:
        """Return ``votes`` questions per record, for pairs two each. A record that is no JSON is not asked about."""
        found: list[Request] = []
        for candidate in batch:
            try:
                found += self._questions(candidate)
            except (RecipeError, RecursionError, ValueError, TypeError):
                continue
        return found

    def hear(self, answers: Sequence[Completion]) -> None:
        """Read the votes of each record and count them, those of a record heard before in this window only once."""
        by_draw: dict[int, dict[int, Completion]] = defaultdict(dict)
        for answer in answers:
            by_draw[answer.draw][answer.step] = answer
        self._judged = {index: self._read(steps) for index, steps in by_draw.items()}
        self._tally.add(self._judged)

    def check(self, batch: Sequence[Candidate]) -> Sequence[Drop | None]:
        """Name the scale on which a record falls short most, with the votes' mean and a rationale."""
        return [None if c.record is None else self._verdict(self._judged.get(c.draw.index)) for c in batch]

    def measured(self) -> Mapping[str, Any]:
        """Return means, broken votes, agreement of the votes and, for pairs, how much the order mattered."""
        return self._tally.summary()

    def _check_scale(self, name: str, scale: Scale) -> None:
        low, high = (LOST, WON) if self.pairs else (1, BEST)
        least = self._least(scale)
        if not low <= least <= high:
            raise ValueError(f"least of {name} must be between {low:g} and {high:g}, got {least:g}")
        if strange := [score for score in scale.anchors if not 1 <= score <= BEST]:
            raise ValueError(f"anchors of {name} must be for scores of 1 to {BEST}, got {strange[0]}")
        if not scale.description.strip():
            raise ValueError(f"scale {name} must have a description, got an empty one")

    def _least(self, scale: Scale) -> float:
        given = self.least if scale.least is None else scale.least
        return given if given is not None else TIED if self.pairs else 3.0

    # --- asking ------------------------------------------------------------------------------------------------------

    def _questions(self, candidate: Candidate) -> Iterator[Request]:
        if candidate.record is None:
            return
        for vote in range(self.votes):
            shown = self._shown(candidate, candidate.record, vote)
            for order, names in enumerate(shown):
                step = vote * len(shown) + order
                facts = {"index": candidate.draw.index, "attributes": candidate.draw.attributes}
                messages = self._prompt.render({**self._standard, **facts, **names})
                yield Request(candidate.draw.index, step, messages, self._schema, self._sampling(candidate, step))

    def _shown(self, candidate: Candidate, record: Record, vote: int) -> list[dict[str, str]]:
        """Return what the template shows of the record: once, or beside an example in both orders."""
        if not self.pairs:
            return [{"record": readable(record)}]
        seed = self._pool.choose(candidate.draw.attributes, mixed(candidate.draw.sampling_seed, f"seed {vote}"))
        common = [name for name in record if name in seed.row]
        mine = readable({name: record[name] for name in common} or record)
        real = readable({name: seed.row[name] for name in common} or seed.row)
        return [{"first": mine, "second": real}, {"first": real, "second": mine}]

    def _sampling(self, candidate: Candidate, step: int) -> Sampling:
        seed = mixed(candidate.draw.sampling_seed, f"judge {step}")
        return Sampling(max_tokens=self.max_tokens, temperature=self.temperature, seed=seed)

    # --- reading -----------------------------------------------------------------------------------------------------

    def _read(self, steps: Mapping[int, Completion]) -> Judgement:
        """Read the answers about one record, by the step each was asked in."""
        width = 2 if self.pairs else 1
        votes, broken = [], []
        for vote in range(self.votes):
            told = [self._parse(steps.get(vote * width + order)) for order in range(width)]
            problems = [answer for answer in told if isinstance(answer, str)]
            if problems:
                broken.append(problems[0])
            else:
                votes.append(self._vote([answer for answer in told if isinstance(answer, dict)]))
        return Judgement(votes, broken)

    def _parse(self, done: Completion | None) -> Record | str:
        """Return the fields of one answer, or what is wrong with it."""
        if done is None:
            return "no answer"
        if done.finish_reason == "error":
            return f"error: {done.error[:_QUOTED]}"
        try:
            told = json.loads(done.text, strict=False)  # xgrammar lets a raw tab through
        except (ValueError, RecursionError):
            return f"cut after {done.tokens} tokens" if done.finish_reason == "length" else f"no JSON: {cut(done.text)}"
        allowed: tuple[Any, ...] = PLACES if self.pairs else SCORES
        for name in self._rubric:
            value = told.get(name) if isinstance(told, dict) else None
            if isinstance(value, bool) or value not in allowed:
                return f"{name} is none of {', '.join(map(str, allowed))}: {cut(done.text)}"
        return dict(told)

    def _vote(self, told: Sequence[Record]) -> Vote:
        rationale = str(told[0].get(RATIONALE, ""))
        if not self.pairs:
            return Vote({name: float(told[0][name]) for name in self._rubric}, rationale)
        places = [(str(told[0][name]), str(told[1][name])) for name in self._rubric]
        return Vote(
            {name: OUTCOMES.get(pair) for name, pair in zip(self._rubric, places, strict=True)}, rationale, places
        )

    def _verdict(self, judgement: Judgement | None) -> Drop | None:
        if judgement is None:
            return Drop(BROKEN, "the record could not be put to the judge")
        if not judgement.usable:
            counted = f"{len(judgement.votes)} of {self.votes} votes could be read"
            return Drop(BROKEN, f"{counted}; the first that could not: {judgement.broken[0]}")
        short = {name: judgement.mean(name) - self._least(scale) for name, scale in self._rubric.items()}
        worst = min(short, key=lambda name: short[name])
        if short[worst] >= 0:
            return None
        mean, least, votes = judgement.mean(worst), self._least(self._rubric[worst]), len(judgement.votes)
        said = f': "{cut(judgement.rationale(worst))}"' if judgement.rationale(worst) else ""
        what = f"{mean:.2f} against a real example" if self.pairs else f"{mean:.1f} of {BEST}"
        return drop(f"{worst} {what} (least {least:g}, {votes} vote{'s' * (votes > 1)}){said}", score=mean)


class Pool:
    """The real examples a record can be compared with."""

    def __init__(self, seeds: Sequence[Seed]) -> None:
        self._seeds = seeds
        self._present = set(seeds[0].row) if seeds else set()
        self._groups: dict[tuple[str, ...], dict[tuple[str, ...], list[Seed]]] = {}

    def choose(self, attributes: Mapping[str, Any], number: int) -> Seed:
        """Return a seed with the same drawn values where there is one, else any; the same for the same number."""
        names = tuple(sorted(name for name in attributes if name in self._present))
        if names not in self._groups:
            groups = self._groups[names] = defaultdict(list)
            for seed in self._seeds:
                groups[tuple(repr(seed.row.get(name)) for name in names)].append(seed)
        alike = self._groups[names].get(tuple(repr(attributes[name]) for name in names)) or self._seeds
        return alike[number % len(alike)]


def answer_schema(scales: Sequence[str], *, pairs: bool, rationale: bool) -> dict[str, Any]:
    """Return the schema of one answer; only keywords that every backend enforces."""
    reason = {RATIONALE: {"type": "string", "minLength": 1, "maxLength": _LONGEST_RATIONALE}} if rationale else {}
    properties = reason | {name: {"enum": list(PLACES if pairs else SCORES)} for name in scales}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def readable(record: Record) -> str:
    """Return a record as JSON text for the model, cut where it is very long, without halves of surrogate pairs."""
    text = json.dumps(record, ensure_ascii=False, indent=1).encode("utf-8", "replace").decode()
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}\n[{len(text) - _SHOWN} more characters]"


def mixed(seed: int, purpose: str) -> int:
    """Return 31 bits that depend on the draw's seed and on what they are for."""
    return xxhash.xxh3_64_intdigest(f"llm_judge {seed} {purpose}".encode()) & 0x7FFFFFFF


def cut(text: str) -> str:
    """Return the beginning of a text on one line."""
    line = " ".join(text[: 2 * _QUOTED].split())
    return line[:_QUOTED] + "..." * (len(line) > _QUOTED)
