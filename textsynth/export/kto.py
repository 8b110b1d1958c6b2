"""Single answers, each marked as good or bad: for KTO (Ethayarajh et al. 2024, arXiv 2402.01306)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from textsynth.errors import ExportError
from textsynth.export import Form, Layout, Misfit, Shape, require
from textsynth.export._sides import Style, shapes, speaker, write_sides
from textsynth.export._template import TRAINERS, Template, field_or_text, kept, pair, parse, pick, prompt_of, used
from textsynth.records import Record
from textsynth.schema import RecordSchema

LABEL = "label"
PAIR = ("chosen", "rejected")
BOTH = (("chosen", True), ("rejected", False))


@dataclass(kw_only=True)
class Kto(Form):
    """Three columns, ``prompt``, ``completion`` and ``label`` (true: a good answer): TRL's KTOTrainer.

    A record with a better and a worse answer becomes two rows, which always lie in the same split. Any other becomes one
    row, whose label a field of booleans says, or a score with a bound.

    Args:
        prompt: the name of a field, or a text with ``{field}`` in it; by default the field prompt, instruction (with its
            input, if there is some, below it), question, problem or input.
        chosen: of a pair, the better answer, likewise; by default ``chosen``, if that is a field.
        rejected: of a pair, the worse answer; by default ``rejected``.
        completion: of a single answer, what is answered, likewise; by default the field that goes with the prompt.
        label: of a single answer, a field of booleans; by default ``label``.
        score: of a single answer, a field of numbers, in place of ``label``.
        bound: scores from here on are good.
        style: ``text``, or ``chat`` for lists of messages; ``auto`` is ``chat`` where a field holds messages.
        system: in a chat, a first message of the prompt with the role ``system``; ``{field}`` may stand in it.
        keep: fields of the record that become columns beside the three.
    """

    tasks = ("text-generation",)

    prompt: str = ""
    chosen: str = ""
    rejected: str = ""
    completion: str = ""
    label: str = ""
    score: str = ""
    bound: float | None = None
    style: Style = "auto"
    system: str = ""
    keep: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that the texts can be read, and that the options speak of one kind of record."""
        for place in ("prompt", *PAIR, "completion"):
            field_or_text(getattr(self, place), place)
        parse(self.system, "system")
        if (self.score == "") != (self.bound is None):
            raise ValueError(f"score, bound: one needs the other, got {self.score!r} and {self.bound!r}")
        if self.score and self.label:
            raise ValueError(f"score, label: only one of them can say what is good, got {self.score!r}, {self.label!r}")
        if (self.chosen or self.rejected) and (self.completion or self.label or self.score):
            raise ValueError("chosen, rejected: a pair has no completion, label or score; leave one kind out")

    def layout(self, schema: RecordSchema) -> Layout:
        """Return the three columns and those kept."""
        fields = self.fields(schema)
        single = self.completion or self.label or self.score or not (self.chosen or set(PAIR) <= set(fields))
        return self._single(fields) if single else self._pair(fields)

    def _single(self, fields: Mapping[str, Shape]) -> Layout:
        """Lay out records with one answer."""
        field = self.score or self.label or LABEL
        require_kind(field, fields, "score" if self.score else "label")
        return self._layout(fields, *self._exchange(fields))

    def _exchange(self, fields: Mapping[str, Shape]) -> tuple[Template, Template]:
        """Return prompt and completion of a record with one answer; an option that is not given has its default."""
        if self.completion:
            return prompt_of(self.prompt, fields), used(self.completion, "completion", fields)
        prompt, completion = pair(("", ""), ("prompt", "completion"), fields)
        return (prompt_of(self.prompt, fields) if self.prompt else prompt), completion

    def _layout(self, fields: Mapping[str, Shape], prompt: Template, completion: Template) -> Layout:
        sides = speaker(self.style, self.system, fields).sides(prompt=prompt, completion=completion)
        made = shapes(sides) | {LABEL: Shape("bool")}

        def row(record: Record) -> Record:
            return write_sides(sides, record) | {LABEL: self._is_good(record)} | pick(record, self.keep)

        return Layout(made | kept(self.keep, fields, made, TRAINERS), row)

    def _is_good(self, record: Record) -> bool:
        """Return the label. Raises ``Misfit`` where there is none to be had."""
        name = self.score or self.label or LABEL
        value = record.get(name)
        if value is None:
            raise Misfit("it says whether the answer is good, so it cannot be null").below(name)
        return bool(value) if self.bound is None else bool(value >= self.bound)

    def _pair(self, fields: Mapping[str, Shape]) -> Layout:
        """Lay out records with two answers."""
        names = {"chosen": self.chosen or PAIR[0], "rejected": self.rejected or PAIR[1]}
        answers = {place: used(text, place, fields) for place, text in names.items()}
        sides = speaker(self.style, self.system, fields).sides(prompt=prompt_of(self.prompt, fields), **answers)
        columns = shapes(sides)
        made = {"prompt": columns["prompt"], "completion": columns["chosen"], LABEL: Shape("bool")}
        if columns["chosen"] != columns["rejected"]:
            raise ExportError("chosen, rejected: both must be texts, or messages with the same keys")

        def apart(record: Record) -> Sequence[Record]:
            return [record | {LABEL: good} for good in (True, False)]

        def row(record: Record) -> Record:
            answer = sides["chosen" if record[LABEL] else "rejected"].write(record)
            told = {"prompt": sides["prompt"].write(record), "completion": answer, LABEL: record[LABEL]}
            return told | pick(record, self.keep)

        return Layout(made | kept(self.keep, fields, made, TRAINERS), row, rows_per_record=2, apart=apart)


def require_kind(name: str, fields: Mapping[str, Shape], place: str) -> None:
    """Raise ``ExportError`` unless a field exists and holds what says whether an answer is good."""
    require(fields, {place: name})
    kinds, what = ({"int64", "float64"}, "numbers") if place == "score" else ({"bool"}, "booleans")
    if fields[name].kind not in kinds:
        raise ExportError(
            f"{place}: the field {name!r} must hold {what}, got {fields[name].why or fields[name].kind}",
            hint="name a field of booleans as label, or one of numbers as score, with a bound",
        )
