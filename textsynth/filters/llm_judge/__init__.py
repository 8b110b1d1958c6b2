"""A language model as judge: scores on named scales, or a comparison with real examples, by the vote of several answers."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from textsynth import prompts
from textsynth.errors import RecipeError
from textsynth.filters import Filter, Setting, drop
from textsynth.filters.llm_judge._tally import Tally
from textsynth.records import Candidate, Completion, Drop, Record, Request, Seed
from textsynth.rubric import TIED, Judgement, Panel, Rubric, Scale, cut, mixed, readable

BROKEN = "judgement_broken"
_VARIABLES = ("index", "attributes", "seeds", "fields", "schema", "rubric")


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
        scales: a description, or ``{description, least, anchors, levels}``, by name; at least one.
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
        self._rubric = Rubric.of(self.scales, form="places" if self.pairs else "scores", reason=self.reason)
        self._panel = Panel(self._rubric, self.votes, self.max_tokens, self.temperature)
        for name, scale in self._rubric.scales.items():
            low, high = self._rubric.bounds(name)
            least = self._least(scale)
            if not low <= least <= high:
                raise ValueError(f"least of {name} must be between {low:g} and {high:g}, got {least:g}")

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
        row = setting.seeds[0].row if setting.seeds else {}
        self._standard: dict[str, Any] = {
            "rubric": self._rubric.lines(),
            "seeds": [],
            "fields": tuple(setting.schema.properties),
        }
        self._standard |= {"schema": setting.schema.document}
        self._prompt.render(
            {**self._standard, "index": 0, "attributes": {}}
            | dict.fromkeys(known[len(_VARIABLES) :], json.dumps(row, default=str))
        )
        self._schema = self._rubric.schema()
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
        self._judged = {index: self._panel.judge(steps) for index, steps in by_draw.items()}
        self._tally.add(self._judged)

    def check(self, batch: Sequence[Candidate]) -> Sequence[Drop | None]:
        """Name the scale on which a record falls short most, with the votes' mean and a rationale."""
        return [None if c.record is None else self._verdict(self._judged.get(c.draw.index)) for c in batch]

    def measured(self) -> Mapping[str, Any]:
        """Return means, broken votes, agreement of the votes and, for pairs, how much the order mattered."""
        return self._tally.summary()

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
                sampling = self._panel.sampling(candidate.draw.sampling_seed, step)
                facts = {"index": candidate.draw.index, "attributes": candidate.draw.attributes}
                messages = self._prompt.render({**self._standard, **facts, **names})
                yield Request(candidate.draw.index, step, messages, self._schema, sampling)

    def _shown(self, candidate: Candidate, record: Record, vote: int) -> list[dict[str, str]]:
        """Return what the template shows of the record: once, or beside an example in both orders."""
        if not self.pairs:
            return [{"record": readable(record)}]
        seed = self._pool.choose(candidate.draw.attributes, mixed(candidate.draw.sampling_seed, f"seed {vote}"))
        common = [name for name in record if name in seed.row]
        mine = readable({name: record[name] for name in common} or record)
        real = readable({name: seed.row[name] for name in common} or seed.row)
        return [{"first": mine, "second": real}, {"first": real, "second": mine}]

    def _verdict(self, judgement: Judgement | None) -> Drop | None:
        if judgement is None:
            return Drop(BROKEN, "the record could not be put to the judge")
        if not judgement.usable:
            return Drop(BROKEN, judgement.problem)
        short = {name: judgement.mean(name) - self._least(scale) for name, scale in self._rubric.scales.items()}
        worst = min(short, key=lambda name: short[name])
        if short[worst] >= 0:
            return None
        scale = self._rubric.scales[worst]
        mean, least, votes = judgement.mean(worst), self._least(scale), len(judgement.votes)
        said = f': "{cut(judgement.rationale(worst))}"' if judgement.rationale(worst) else ""
        what = f"{mean:.2f} against a real example" if self.pairs else f"{mean:.1f} of {scale.best}"
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
