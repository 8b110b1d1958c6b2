"""Instructions made harder or different round by round, each evolution checked, with the lineage kept in the record."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as option
from random import Random
from typing import Any, ClassVar, Literal

from textsynth.methods import Method, Setting, Steps
from textsynth.methods._fields import SEED_STEP, parse
from textsynth.methods._texts import REFUSAL, TEXT, ask_text, with_fields
from textsynth.overlap import rouge_l
from textsynth.prompts import Prompt
from textsynth.records import Candidate, Completion, Draw, Drop, Record, Request
from textsynth.schema import RecordSchema
from textsynth.text import words

Operation = Literal["deepen", "widen", "constrain", "concretise", "restyle"]
TASKS: dict[Operation, str] = {
    "deepen": "The same task, so that it takes more knowledge and thought",
    "widen": "Another task from the same field, about something asked less often",
    "constrain": "The same task with one more condition that the answer must meet",
    "concretise": "The same task with specific names, places or numbers",
    "restyle": "The same task in other words, as another kind of person would ask",
}
"""What each operation asks for."""
SHOWN: dict[Operation, str] = {
    "deepen": "Write a poem about a dog that also says why people began to live with dogs.",
    "widen": "Write a riddle whose answer is a heron.",
    "constrain": "Write a poem about a dog in four lines that do not rhyme.",
    "concretise": "Write a poem about Bruno, a sheepdog of three years on a farm in Wales.",
    "restyle": "Could you make up some verses for me? They should be about a dog.",
}
"""What each operation makes of ``EXAMPLE``."""
EXAMPLE = "Write a poem about a dog."
RUN = 5
"""Words in a row that no evolution shares with what it was asked by."""
LEAST = 3
"""Words that an evolution must have."""
LINEAGE = "evolution"
STEPS_PER_ROUND = 100
HARDER = (
    '{"type":"object","properties":{"harder":{"type":"boolean"}},"required":["harder"],"additionalProperties":false}'
)
_TALK = re.compile(
    r"\b(?:given|rewritten|created|new|original|evolved)[ _-]?(?:prompt|task|instruction)s?\b|#\w+(?: \w+)*#",
    re.IGNORECASE,
)


@dataclass
class Evolve(Method):
    """Instructions evolved round by round, to get harder and more varied ones than there are (Evol-Instruct).

    It reads the field and writes it anew; ``evolution`` lists the operation and text of every round, from the original
    on. Each evolution is checked: one that is nearly as before, talks about the prompt, leaves a blank, adds too much
    or refuses is tried again with another operation, ``repairs`` times; then the earlier text stands. Follow it with a
    step ``instruct``, which answers the evolved instruction.

    Drops a record whose round failed for good, with ``failed: drop``. With ``keep`` a text that never evolved is what
    it was; the filter ``novelty: {threshold: .9}`` drops those that are seeds.

    Args:
        field: the field that is evolved; it must be given by the seeds, an attribute or an earlier step.
        rounds: how often.
        operations: weight by operation: ``deepen``, ``widen``, ``constrain``, ``concretise``, ``restyle``.
        failed: what becomes of a record when a round fails: ``keep`` the earlier text, or ``drop``.
        unchanged: ROUGE-L with an earlier text from which on an evolution counts as none.
        max_added: most words that one round may add.
        harder: whether the model is asked if the new text is harder than the one before: ``none``, or ``ask``. A
            restyled text is not asked about.
        compare: the template of that question.
    """

    default_prompt = "evolve/rewrite"
    seeds_are_records = False
    paper = "Xu et al. 2023, WizardLM (Evol-Instruct), arXiv 2304.12244"
    reasons: ClassVar[Mapping[str, str]] = {
        "not_evolved": "raise repairs, use a larger model, or keep what did not evolve: failed: keep",
        "no_input": "give every seed a text in the field that is evolved",
    }

    field: str = "instruction"
    rounds: int = 1
    operations: dict[Operation, float] = option(default_factory=lambda: dict.fromkeys(TASKS, 1.0))
    failed: Literal["keep", "drop"] = "keep"
    unchanged: float = 0.85
    max_added: int = 40
    harder: Literal["none", "ask"] = "none"
    compare: str = "evolve/compare"

    def __post_init__(self) -> None:
        """Check the numbers and weights."""
        if not 1 <= self.rounds <= 20:
            raise ValueError(f"rounds must be between 1 and 20, got {self.rounds}")
        if any(weight < 0 for weight in self.operations.values()) or not sum(self.operations.values()) > 0:
            raise ValueError(f"operations: weights must be 0 or more and not all 0, got {self.operations}")
        if not 0 < self.unchanged <= 1:
            raise ValueError(f"unchanged must be above 0 and at most 1, got {self.unchanged:g}")
        if self.max_added < 1:
            raise ValueError(f"max_added must be at least 1 word, got {self.max_added}")
        if self.field == LINEAGE:
            raise ValueError(f"field must not be {LINEAGE!r}: the lineage is kept there")
        self.own_fields = (self.field, LINEAGE)

    def record_schema(self, given: RecordSchema | None) -> RecordSchema:
        """Return the schema of the evolved field and its lineage."""
        if given is not None and (others := [name for name in given.properties if name not in self.own_fields]):
            raise ValueError(
                f"evolve writes {self.field} and {LINEAGE} alone: take {others[0]!r} out, or have another step write it"
            )
        entry = {
            "type": "object",
            "properties": {"operation": {"enum": ["original", *TASKS]}, "text": {"type": "string"}},
            "required": ["operation", "text"],
            "additionalProperties": False,
        }
        lineage = {"type": "array", "items": entry, "minItems": 1, "maxItems": self.rounds + 1}
        return with_fields(given, {self.field: TEXT, LINEAGE: lineage})

    def carried_fields(self) -> tuple[str, ...]:
        """Return the lineage: its texts are the original's and those of the rounds before."""
        return (LINEAGE,)

    def variables(self) -> dict[str, str]:
        """Return what the templates may use; the only one of ``seeds`` is a worked example there."""
        return {
            "current": "the text as it is now",
            "operation": "deepen, widen, constrain, concretise or restyle",
            "wish": "what the operation asks for, in a phrase",
            "evolved": "the evolved text (template of compare only; empty before)",
        }

    def templates(self) -> list[str]:
        """Return the template of the comparison."""
        return [self.compare] if self.harder == "ask" else []

    def prepare(self, setting: Setting) -> None:
        """Check that the field is given."""
        setting.require([self.field])
        self.setting = setting
        self._compare: Prompt | None = setting.load_prompt(self.compare) if self.harder == "ask" else None

    def run(self, draw: Draw) -> Steps:
        """Evolve the text, round by round."""
        text = self.setting.given(draw, self.field)
        if not isinstance(text, str) or not text.strip():
            return Candidate(draw, None, Drop("no_input", f"{self.field} must be a text, got {text!r}"))
        lineage = [{"operation": "original", "text": text}]
        random = Random(draw.sampling_seed)
        for number in range(self.rounds):
            failure = yield from self._round(draw, number, lineage, random)
            if failure and (self.failed == "drop" or failure.reason == "engine_error"):
                return Candidate(draw, None, failure)
        return Candidate(draw, {self.field: lineage[-1]["text"], LINEAGE: lineage})

    def summary(self, records: Iterable[Record]) -> Mapping[str, Any]:
        """Return how often each operation stands in the lineages, and how many words they added."""
        lineages = [record[LINEAGE] for record in records if record.get(LINEAGE)]
        if not lineages:
            return {}
        counts = Counter(entry["operation"] for lineage in lineages for entry in lineage[1:])
        evolved = [lineage for lineage in lineages if len(lineage) > 1]
        added = [len(words(lineage[-1]["text"])) - len(words(lineage[0]["text"])) for lineage in evolved]
        return {
            "evolved": f"{len(evolved)} of {len(lineages)}",
            "words added (mean)": round(sum(added) / len(added), 1) if added else 0.0,
            "operations": {name: counts[name] for name in TASKS if counts[name]},
        }

    def _round(
        self, draw: Draw, number: int, lineage: list[dict[str, str]], random: Random
    ) -> Generator[Request, Completion, Drop | None]:
        """Add one evolution to the lineage, trying one operation after another; return why there is none."""
        tried: list[str] = []
        for attempt, operation in enumerate(self._order(random)[: self.setting.repairs + 1]):
            step = number * STEPS_PER_ROUND + 2 * attempt
            messages = self.setting.prompt(draw).render(self._variables(draw, operation, lineage[-1]["text"]))
            text = yield from ask_text(self.setting, draw, step, messages, self.field)
            wrong = text if isinstance(text, Drop) else self._eliminate(text, [entry["text"] for entry in lineage])
            if wrong is None and isinstance(text, str):
                wrong = yield from self._ask_harder(draw, step + 1, operation, lineage[-1]["text"], text)
                if wrong is None:
                    lineage.append({"operation": operation, "text": text})
                    return None
            if wrong and wrong.reason == "engine_error":
                return wrong
            tried.append(f"{operation}: {wrong.detail if wrong else ''}")
        return Drop("not_evolved", f"round {number + 1}: {'; '.join(tried)}")

    def _order(self, random: Random) -> list[Operation]:
        """Return the operations in the order they are tried: drawn by weight, each once."""
        left = {name: weight for name, weight in self.operations.items() if weight > 0}
        found: list[Operation] = []
        while left:
            (name,) = random.choices(list(left), weights=list(left.values()))
            found.append(name)
            del left[name]
        return found

    def _variables(self, draw: Draw, operation: Operation, text: str, evolved: str = "") -> dict[str, Any]:
        told = {"operation": operation, "wish": TASKS[operation], "current": text, "evolved": evolved}
        example = {"current": EXAMPLE, self.field: SHOWN[operation]}
        return {**self.setting.template_variables(draw), **told, "seeds": [example], "fields": (self.field,)}

    def _eliminate(self, text: str, earlier: Sequence[str]) -> Drop | None:
        """Return why an evolution is none."""
        if match := _TALK.search(text):
            return Drop("not_evolved", f"talks about the prompt: {match[0]!r}")
        if REFUSAL.search(text.replace("’", "'")):
            return Drop("not_evolved", f"refuses: {text[:60]!r}")
        if "{" in text and "{" not in earlier[0]:
            return Drop("not_evolved", f"leaves a blank to fill in: {text[:60]!r}")
        now = words(text)
        if len(now) < LEAST:
            return Drop("not_evolved", f"has fewer than {LEAST} words: {text!r}")
        if run := repeated(now, (*TASKS.values(), *SHOWN.values(), EXAMPLE), words(earlier[-1])):
            return Drop("not_evolved", f"repeats what was asked: {run!r}")
        if (added := len(now) - len(words(earlier[-1]))) > self.max_added:
            return Drop("not_evolved", f"adds {added} words, max_added is {self.max_added}")
        likest = max(rouge_l(now, words(before)) for before in earlier)
        if likest >= self.unchanged:
            return Drop("not_evolved", f"{likest:.2f} like an earlier text, unchanged is {self.unchanged:g}")
        return None

    def _ask_harder(
        self, draw: Draw, step: int, operation: Operation, before: str, after: str
    ) -> Generator[Request, Completion, Drop | None]:
        """Ask whether the new text is harder than the one before, where that is wanted."""
        if self._compare is None or operation == "restyle":
            return None
        messages = self._compare.render(self._variables(draw, operation, before, after))
        sampling = self.setting.sampling(draw).with_seed((draw.sampling_seed + SEED_STEP * step) % 2**31)
        done = yield Request(draw.index, step, messages, HARDER, sampling)
        parsed = parse(done)
        if parsed.problem and parsed.problem.reason == "engine_error":
            return parsed.problem
        return None if parsed.fields.get("harder") is True else Drop("not_evolved", "said to be no harder than before")


def repeated(now: Sequence[str], told: Iterable[str], before: Sequence[str]) -> str:
    """Return the first words in a row that a text has from what it was asked by, and not from the text before."""
    asked = {run for text in told for run in runs(words(text))} - set(runs(before))
    return next((run for run in runs(now) if run in asked), "")


def runs(read: Sequence[str]) -> list[str]:
    """Return every ``RUN`` words in a row."""
    return [" ".join(read[at : at + RUN]) for at in range(len(read) - RUN + 1)]
