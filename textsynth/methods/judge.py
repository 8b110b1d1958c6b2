"""Judgements written into records: scores on the scales of a rubric, by the votes of a language model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from textsynth import models
from textsynth.methods import Method, Setting, Steps
from textsynth.methods._copies import copied, extended
from textsynth.records import Candidate, Completion, Draw, Drop, Record, Request
from textsynth.rubric import (
    Judgement,
    Panel,
    Rubric,
    ScaleOption,
    cut,
    readable,
    score_figures,
    written,
    written_schema,
)
from textsynth.schema import RecordSchema


@dataclass
class Judge(Method):
    """Scores on named scales, written into the record by the votes of a language model (LLM-as-a-Judge).

    Each vote is an answer held to a schema: a short rationale, then a score of 1 to 5, or one of the scale's ``levels``,
    on every scale. Votes differ by their seed and by the order of the scales. The record gets ``judgement``: ``scores``
    (mean by scale), ``votes``, and the ``rationale`` of the vote that was hardest on the worst scale. Put it after the
    steps whose fields it judges; alone, say in ``schema`` which columns of the seeds are judged: they are copied. Over
    the kept records the share of equal votes and Krippendorff's alpha are reported by scale. The filter ``llm_judge``
    asks the same without keeping the scores, and can compare records with real examples.

    Drops a record only if ``least`` is given and it falls short, or if most of its votes cannot be read. A judge does not
    see what it does not know, and small models tell scores apart poorly: look at alpha before you trust one.

    Args:
        scales: a description, or ``{description, anchors, levels, least}``, by name.
        fields: what is judged; by default all: drawn values, fields of earlier steps and those of the schema.
        votes: answers per record, an odd number.
        least: the least mean that is kept, unless a scale has its own; by default nothing is dropped.
        model: the address of the server that judges, or ``scripted``; empty for the run's own model.
        into: the field that the judgement is written into.
        order: of the scales: ``shuffled`` for each vote, or as ``given``.
        reason: whether the model gives a short rationale before it scores: ``short`` or ``none``.
        max_tokens: most tokens of one answer.
        temperature: how freely the model answers; above 0 with more than one vote.
    """

    default_prompt = "judge/annotate"
    seeds_are_records = False
    paper = (
        "Zheng et al. 2023, Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena (arXiv 2306.05685); rubrics with "
        "anchors: Kim et al. 2023, Prometheus (arXiv 2310.08491)"
    )
    reasons: ClassVar[Mapping[str, str]] = {
        "judged_low": "lower least, or say in the prompt of the earlier step what the scales ask for",
        "judgement_broken": "raise max_tokens, leave the rationale out (reason: none), or use a larger model to judge",
        "no_input": "give every seed a value of the right type in the fields that are judged",
    }

    scales: dict[str, ScaleOption] = field(
        default_factory=lambda: {"quality": "it is correct, complete and clearly written"}
    )
    fields: tuple[str, ...] = ()
    votes: int = 3
    least: float | None = None
    model: str = ""
    into: str = "judgement"
    order: Literal["shuffled", "given"] = "shuffled"
    reason: Literal["short", "none"] = "short"
    max_tokens: int = 200
    temperature: float = 0.7

    def __post_init__(self) -> None:
        """Refuse options out of their range."""
        self._rubric = Rubric.of(self.scales, form="scores", reason=self.reason)
        self._panel = Panel(self._rubric, self.votes, self.max_tokens, self.temperature)
        if self.votes > 99:
            raise ValueError(f"votes must be at most 99, got {self.votes}")
        for name, least in self._leasts().items():
            low, high = self._rubric.bounds(name)
            if not low <= least <= high:
                raise ValueError(f"least of {name} must be between {low:g} and {high:g}, got {least:g}")
        if self.model and not models.is_url(self.model) and self.model != "scripted":
            raise ValueError(f"model must be a server's address (http://host:port/v1), got {self.model!r}")
        if self.into in self.fields:
            raise ValueError(f"into must be another field than those that are judged, got {self.into!r}")
        self.own_fields = (self.into,)

    def models(self) -> list[str]:
        """Return the model that judges, where it is not the run's own."""
        return [self.model] if self.model else []

    def record_schema(self, given: RecordSchema | None) -> RecordSchema:
        """Put the judgement after the fields that are copied."""
        return extended(given, {self.into: written_schema(self._rubric)})

    def carried_fields(self) -> tuple[str, ...]:
        """Return all: what is judged is copied, and a judgement is no text of the dataset."""
        return tuple(self.setting.schema.properties)

    def variables(self) -> dict[str, str]:
        """Return what the template may use."""
        return {
            "record": "what is judged, as JSON text",
            "rubric": "the scales, one a line, with what their ends mean",
        }

    def prepare(self, setting: Setting) -> None:
        """Find out what is judged; it must be given."""
        self.setting = setting
        self._copies = tuple(name for name in setting.schema.properties if name != self.into)
        known = dict.fromkeys([*setting.attributes, *self._copies])
        self._judged = self.fields or tuple(name for name in known if name != self.into)
        if not self._judged:
            raise ValueError(
                "there is nothing to judge: name columns of the seeds in the schema, or put it after a step"
            )
        setting.require(dict.fromkeys([*self.fields, *self._copies]))

    def run(self, draw: Draw) -> Steps:
        """Ask for every vote, and write down what they come to."""
        kept = copied(self.setting, draw, self._copies)
        if isinstance(kept, Drop):
            return Candidate(draw, None, kept)
        shown = {name: value for name in self._judged if (value := self.setting.given(draw, name)) is not None}
        if not shown:
            return Candidate(draw, None, Drop("no_input", f"{', '.join(self._judged)}: nothing is given"))
        answers: dict[int, Completion] = {}
        for vote in range(self.votes):
            answers[vote] = yield self._question(draw, readable(shown), vote)
        judgement = self._panel.judge(answers)
        if not judgement.usable:
            return Candidate(draw, None, Drop("judgement_broken", judgement.problem))
        if low := self._low(judgement):
            return Candidate(draw, None, low)
        return Candidate(draw, {**kept, self.into: written(self._rubric, judgement)})

    def summary(self, records: Iterable[Record]) -> Mapping[str, Any]:
        """Return by scale the mean score, the share of equal votes and Krippendorff's alpha."""
        return score_figures(record[self.into] for record in records if record.get(self.into))

    def _question(self, draw: Draw, record: str, vote: int) -> Request:
        names = self._panel.order(draw.sampling_seed, vote) if self.order == "shuffled" else []
        own = {"record": record, "rubric": self._rubric.lines(names), "attributes": {}}
        messages = self.setting.prompt(draw).render({**self.setting.template_variables(draw), **own})
        sampling = self._panel.sampling(draw.sampling_seed, vote)
        return Request(draw.index, vote, messages, self._rubric.schema(names), sampling, model=self.model)

    def _leasts(self) -> dict[str, float]:
        """Return the least mean of every scale that has one."""
        wanted = {
            name: self.least if scale.least is None else scale.least for name, scale in self._rubric.scales.items()
        }
        return {name: least for name, least in wanted.items() if least is not None}

    def _low(self, judgement: Judgement) -> Drop | None:
        """Return the scale on which a record falls short most."""
        short = {name: judgement.mean(name) - least for name, least in self._leasts().items()}
        worst = min(short, key=lambda name: short[name], default="")
        if not worst or short[worst] >= 0:
            return None
        mean, least, best = judgement.mean(worst), self._leasts()[worst], self._rubric.scales[worst].best
        said = f': "{cut(judgement.rationale(worst))}"' if judgement.rationale(worst) else ""
        return Drop("judged_low", f"{worst} {mean:.1f} of {best} (least {least:g}){said}", mean)
