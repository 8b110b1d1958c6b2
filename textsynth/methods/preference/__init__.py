"""Preference pairs: several answers to one prompt, and which of them is better, by a judge or by how they were made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from dataclasses import field as option
from random import Random
from statistics import fmean, quantiles
from typing import Any, ClassVar, Literal

from textsynth import models
from textsynth.methods import Method, Setting, Steps
from textsynth.methods._copies import copied, extended
from textsynth.methods._texts import TEXT
from textsynth.methods.preference._judging import MOST_VOTES, Jury, Outcome
from textsynth.methods.preference._ways import WISHES, Answer, Way, Writer, check_ways
from textsynth.records import Candidate, Completion, Draw, Drop, Message, Record, Request
from textsynth.rubric import Panel, Rubric, ScaleOption, place_figures, score_figures, written_schema
from textsynth.schema import RecordSchema

PROMPT, CHOSEN, REJECTED, MARGIN, JUDGEMENT = "prompt", "chosen", "rejected", "margin", "judgement"
WAYS = ("chosen_way", "rejected_way")
FIELDS = ("instruction", PROMPT)
"""Where the prompt is looked for."""


@dataclass
class Preference(Method):
    """Pairs of a better and a worse answer to one prompt, for DPO and reward models (as in UltraFeedback).

    The prompt comes from a field of an earlier step or the seeds; or from the recipe's own template, whose user message
    it then is. It is answered in several ways, in free text. Which answer is better, ``by`` says:

    - ``judge``: every two answers are compared on the scales by ``votes``, each in both orders. A scale counts as won or
      lost only if both orders say so, else as a tie. The answer with most wins against the one with fewest makes the pair.
    - ``scores``: every answer is scored from 1 to 5 by itself; the best against the worst.
    - ``construction``: a degraded answer is the worse one, unasked. For this the default model will do; it is no judge.
    - ``both``: as ``construction``, and the judge must agree.

    The record gets ``prompt``, ``chosen``, ``rejected``, ``margin`` (0 to 1: wins less losses over all votes and scales, or
    the difference of the scores over their range; 1 by construction), ``chosen_way``, ``rejected_way`` and ``judgement``.

    Drops ties, pairs on which judge and construction disagree, and prompts with fewer than two usable answers: answers that
    are empty, cut, refused, nearly equal, or not worse where they should be, each tried again ``repairs`` times.

    Args:
        answers: ways of answering, each of ``temperature``, ``persona``, ``system``, ``model`` (another server's address),
            ``degrade`` (``shorten``, ``vague``, ``off_topic``, ``wrong_detail``, ``rude``) and ``name``; at least two.
            By construction each draw takes one good and one degraded way.
        by: ``judge``, ``scores``, ``construction`` or ``both``; see above.
        field: where the prompt stands; by default ``instruction``, else ``prompt``.
        judge: the address of the server that judges, or ``scripted``; empty for the run's own model.
        scales: a description, or ``{description, anchors, levels}``, by name.
        votes: votes per pair (each in both orders) or per answer, an odd number.
        pairs: how many pairs of answers are compared, picked at random; by default all.
        least: margins up to this are ties.
        most_alike: ROUGE-L from which on two answers count as equal.
        answer_tokens: most tokens of an answer; by default those of the recipe's sampling.
        cut: what becomes of an answer that reached them: ``drop``, or ``trim`` it to its last whole sentence.
        form: ``text``, or ``messages`` (conversational).
        reason: whether the judge gives a short rationale first: ``none`` or ``short``.
        judge_tokens: most tokens of one judgement.
        judge_temperature: how freely the judge answers; above 0 with more than one vote.
        degrading: the template that makes an answer worse.
        compare: the template of a comparison.
        score: the template of a score.
    """

    default_prompt = "preference/answer"
    own_fields = (PROMPT, CHOSEN, REJECTED, MARGIN, *WAYS, JUDGEMENT)
    seeds_are_records = False
    paper = (
        "Cui et al. 2023, UltraFeedback (arXiv 2310.01377); both orders: Zheng et al. 2023 (arXiv 2306.05685); "
        "AI feedback: Lee et al. 2023, RLAIF (arXiv 2309.00267)"
    )
    reasons: ClassVar[Mapping[str, str]] = {
        "tie": "make the ways of answering more different, raise votes, or lower least",
        "judgement_disagrees": "have a larger model judge, or leave it to the construction: by: construction",
        "judgement_broken": "raise judge_tokens, set reason: none, or use a larger model to judge",
        "equal_answers": "make the ways of answering more different: a higher temperature, a persona, degrade",
        "cut_answer": "raise answer_tokens, ask for shorter answers, or set cut: trim",
        "refused_answer": "take out prompts that the model refuses, or use another model",
        "empty_answer": "use a larger model, or another template",
        "not_degraded": "use a larger model, or another kind of degrade",
        "no_input": "give every seed a text in the field of the prompt",
    }

    answers: tuple[Way, ...] = (Way(temperature=0.3), Way(temperature=1.2))
    by: Literal["judge", "scores", "construction", "both"] = "judge"
    field: str = ""
    judge: str = ""
    scales: dict[str, ScaleOption] = option(
        default_factory=lambda: {"helpful": "it answers what was asked, correctly and with what is needed"}
    )
    votes: int = 1
    pairs: int | None = None
    least: float = 0.0
    most_alike: float = 0.9
    answer_tokens: int | None = None
    cut: Literal["drop", "trim"] = "drop"
    form: Literal["text", "messages"] = "text"
    reason: Literal["none", "short"] = "none"
    judge_tokens: int = 200
    judge_temperature: float = 0.7
    degrading: str = "preference/degrade"
    compare: str = "preference/compare"
    score: str = "preference/score"

    def __post_init__(self) -> None:
        """Refuse ways and numbers that cannot work."""
        check_ways(self.answers)
        self._good = [way for way in self.answers if way.degrade is None]
        self._worse = [way for way in self.answers if way.degrade is not None]
        if self._built and not self._worse:
            raise ValueError(
                f"by: {self.by} needs a way with degrade: answers: [{{temperature: 0.3}}, {{degrade: vague}}]"
            )
        form: Literal["scores", "places"] = "scores" if self.by == "scores" else "places"
        self._rubric = Rubric.of(self.scales, form=form, reason=self.reason)
        if self.judge_tokens < self._rubric.least_tokens:
            raise ValueError(
                f"judge_tokens must be at least {self._rubric.least_tokens} for these scales, got {self.judge_tokens}"
            )
        self._panel = Panel(self._rubric, self.votes, self.judge_tokens, self.judge_temperature)
        if self.votes > MOST_VOTES:
            raise ValueError(f"votes must be at most {MOST_VOTES}, got {self.votes}")
        if self.pairs is not None and self.pairs < 1:
            raise ValueError(f"pairs must be at least 1, got {self.pairs}")
        if not 0 <= self.least < 1:
            raise ValueError(f"least must be at least 0 and below 1, got {self.least:g}")
        if not 0 < self.most_alike <= 1:
            raise ValueError(f"most_alike must be above 0 and at most 1, got {self.most_alike:g}")
        if self.answer_tokens is not None and self.answer_tokens < 8:
            raise ValueError(f"answer_tokens must be at least 8, got {self.answer_tokens}")
        for model in self.models():
            if not models.is_url(model) and model != "scripted":
                raise ValueError(f"a model must be a server's address (http://host:port/v1), got {model!r}")

    @property
    def _built(self) -> bool:
        """Whether a pair is made of one good and one degraded answer."""
        return self.by in {"construction", "both"}

    def models(self) -> list[str]:
        """Return the other models that answer or judge."""
        named = dict.fromkeys([*(way.model for way in self.answers), self.judge if self.by != "construction" else ""])
        return [model for model in named if model]

    def record_schema(self, given: RecordSchema | None) -> RecordSchema:
        """Put the pair after the fields that are copied from the seeds or attributes."""
        text = TEXT if self.form == "text" else conversation_schema()
        fields: dict[str, Any] = dict.fromkeys((PROMPT, CHOSEN, REJECTED), text)
        fields |= {MARGIN: {"type": "number", "minimum": 0, "maximum": 1}}
        fields |= {name: {"enum": [way.label for way in self.answers]} for name in WAYS}
        if self.by == "scores":
            judged = written_schema(self._rubric)
            both = {CHOSEN: judged, REJECTED: judged}
            fields[JUDGEMENT] = {
                "type": "object",
                "properties": both,
                "required": list(both),
                "additionalProperties": False,
            }
        elif self.by != "construction":
            fields[JUDGEMENT] = written_schema(self._rubric)
        return extended(given, fields)

    def carried_fields(self) -> tuple[str, ...]:
        """Return all but the two answers."""
        return tuple(name for name in self.setting.schema.properties if name not in {CHOSEN, REJECTED})

    def variables(self) -> dict[str, str]:
        """Return what the templates may use."""
        return {
            "asked": "the field that is answered",
            "manner": "the system message of this way of answering (else empty)",
            "voice": "the persona who answers (else empty)",
            "prompt": "what was asked (templates of degrading, compare and score only, as are the next ones; else empty)",
            "good": "the good answer that is made worse",
            "wish": "how it is made worse, as a sentence",
            "first": "one answer",
            "second": "the other answer",
            "rubric": "the scales, one a line",
        }

    def templates(self) -> list[str]:
        """Return the templates of what is asked beside the answers."""
        judging = {"scores": [self.score], "construction": []}.get(self.by, [self.compare])
        return [*([self.degrading] if self._worse else []), *judging]

    def prepare(self, setting: Setting) -> None:
        """Check that the prompt is given, if the template asks for it."""
        self.setting = setting
        self._copies = tuple(name for name in setting.schema.properties if name not in self.own_fields)
        setting.require(self._copies)
        if any("asked" in arm.prompt.undefined(()) for arm in setting.arms.values()):
            given = setting.inputs is None or any(name in setting.inputs for name in FIELDS)
            if self.field or not given:
                setting.require([self.field or FIELDS[0]])
        self._degrading = setting.load_prompt(self.degrading)
        self._writer = Writer(setting, self.answer_tokens, self.cut, self.most_alike)
        template = setting.load_prompt(self.score if self.by == "scores" else self.compare)
        self._jury = Jury(self._panel, self.judge, template, self.pairs)

    def run(self, draw: Draw) -> Steps:
        """Have the prompt answered in every way, then find the better and the worse answer."""
        kept = copied(self.setting, draw, self._copies)
        asked = self._asked(draw)
        if isinstance(kept, Drop) or isinstance(asked, Drop):
            return Candidate(draw, None, kept if isinstance(kept, Drop) else asked if isinstance(asked, Drop) else None)
        prompt = self._messages(draw, asked, self._good[0])[-1]["content"].strip()
        answers = yield from self._answers(draw, asked, prompt)
        if isinstance(answers, Drop):
            return Candidate(draw, None, answers)
        found: Outcome | Drop
        if self.by == "construction":
            found = Outcome(answers[0], answers[1], 1.0)
        elif self.by == "scores":
            found = yield from self._jury.score(draw, self._variables(draw, prompt=prompt), answers)
        else:
            found = yield from self._jury.compare(draw, self._variables(draw, prompt=prompt), answers)
        if isinstance(found, Outcome):
            found = self._doubtful(found) or found
        if isinstance(found, Drop):
            return Candidate(draw, None, found)
        return Candidate(draw, {**kept, **self._record(prompt, found)})

    def summary(self, records: Iterable[Record]) -> Mapping[str, Any]:
        """Return the margins, which way was chosen how often, and how far orders and votes agree."""
        rows = [record for record in records if MARGIN in record]
        if not rows:
            return {}
        margins = [row[MARGIN] for row in rows]
        cuts = quantiles(margins, n=4, method="inclusive") if len(margins) > 1 else margins * 3
        found: dict[str, Any] = {
            "margin": {"mean": round(fmean(margins), 3), "quartiles": [round(at, 3) for at in cuts]},
            "chosen": dict(Counter(row[WAYS[0]] for row in rows).most_common()),
            "rejected": dict(Counter(row[WAYS[1]] for row in rows).most_common()),
        }
        worse = {way.label for way in self._worse}
        told = [row[WAYS[1]] in worse for row in rows if (row[WAYS[0]] in worse) != (row[WAYS[1]] in worse)]
        found |= {"degraded_rejected": round(fmean(told), 3)} if told and self.by in {"judge", "scores"} else {}
        judged = [row[JUDGEMENT] for row in rows if row.get(JUDGEMENT)]
        if self.by == "scores":
            return found | {"scores": {side: score_figures(row[side] for row in judged) for side in (CHOSEN, REJECTED)}}
        return found | (place_figures(judged) if judged else {})

    # --- answers -----------------------------------------------------------------------------------------------------

    def _asked(self, draw: Draw) -> str | Drop:
        """Return the field with the prompt; "" where the template does without."""
        names = [self.field] if self.field else FIELDS
        values = [value for name in names if (value := self.setting.given(draw, name)) is not None]
        if not values and "asked" not in self.setting.prompt(draw).undefined(()):
            return ""
        if not values or not isinstance(values[0], str) or not values[0].strip():
            return Drop("no_input", f"{names[0]} must be a text, got {(values or [None])[0]!r}")
        return values[0].strip()

    def _variables(self, draw: Draw, **own: str) -> dict[str, Any]:
        return {**self.setting.template_variables(draw), **dict.fromkeys(self.variables(), ""), **own}

    def _messages(self, draw: Draw, asked: str, way: Way) -> tuple[Message, ...]:
        variables = self._variables(draw, asked=asked, manner=way.system, voice=way.persona)
        return self.setting.prompt(draw).render(variables)

    def _answers(self, draw: Draw, asked: str, prompt: str) -> Generator[Request, Completion, list[Answer] | Drop]:
        """Return the usable answers, those that are not degraded first; at least two."""
        ways = [*self._good, *self._worse]
        if self._built:
            random = Random(draw.sampling_seed)
            ways = [random.choice(self._good), random.choice(self._worse)]
        found: list[Answer] = []
        failure = Drop("empty_answer", "no answer")
        for at, way in enumerate(ways):
            if way.degrade and not found:
                break
            messages = (
                self._degraded(draw, prompt, found[0].text, way) if way.degrade else self._messages(draw, asked, way)
            )
            answer = yield from self._writer.write(draw, at, way, messages, found)
            if isinstance(answer, Answer):
                found.append(answer)
            elif (failure := answer).reason == "engine_error":
                break
        return found if len(found) > 1 and failure.reason != "engine_error" else failure

    def _degraded(self, draw: Draw, prompt: str, good: str, way: Way) -> tuple[Message, ...]:
        wish = WISHES[way.degrade or "vague"]
        return self._degrading.render(self._variables(draw, prompt=prompt, good=good, wish=wish))

    def _doubtful(self, found: Outcome) -> Drop | None:
        """Return why an outcome makes no pair."""
        if found.margin <= self.least:
            between = f"{found.chosen.way.label} and {found.rejected.way.label}"
            return Drop("tie", f"{between}: margin {found.margin:.2f}, least is {self.least:g}", found.margin)
        if self.by == "both" and found.chosen.way.degrade:
            return Drop("judgement_disagrees", f"{found.chosen.way.label} was found better", found.margin)
        return None

    def _record(self, prompt: str, found: Outcome) -> Record:
        record: Record = {
            PROMPT: prompt,
            CHOSEN: found.chosen.text,
            REJECTED: found.rejected.text,
            MARGIN: found.margin,
        }
        if self.form == "messages":
            roles = {PROMPT: "user", CHOSEN: "assistant", REJECTED: "assistant"}
            record |= {name: [{"role": role, "content": record[name]}] for name, role in roles.items()}
        record |= dict(zip(WAYS, (found.chosen.way.label, found.rejected.way.label), strict=True))
        return record | ({JUDGEMENT: found.judgement} if found.judgement else {})


def conversation_schema() -> dict[str, Any]:
    """Return the schema of a list of messages."""
    message = {
        "type": "object",
        "properties": {"role": {"enum": ["user", "assistant"]}, "content": TEXT},
        "required": ["role", "content"],
        "additionalProperties": False,
    }
    return {"type": "array", "items": message, "minItems": 1}
