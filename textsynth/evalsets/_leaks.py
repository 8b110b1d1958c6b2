"""What must not stand on both sides, or on one side and in a benchmark: passages, near duplicates, the same in other words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from textsynth import embeddings
from textsynth.errors import RecipeError
from textsynth.evalspec import EvalsetSpec
from textsynth.filters import Setting
from textsynth.filters.contamination import Contamination
from textsynth.minhash import MinHashIndex
from textsynth.records import Candidate, Draw, Drop, Record
from textsynth.schema import RecordSchema
from textsynth.text import count_words, strings

WINDOW = 256
LEAST_WORDS = 4
ITEM = ("question", "choices", "answer")
"""The fields of an item that must not be known beforehand; its passage may be."""


@dataclass(frozen=True)
class Overlap:
    """Rows found to hold something, by their number: by what (n-grams, meaning) and of which source."""

    found: dict[int, Drop] = field(default_factory=dict)

    def by_source(self) -> Counter[str]:
        """Count the rows by the name of what they hold."""
        return Counter((drop.culprit or "").rpartition(":")[0] for drop in self.found.values())

    def by_rule(self) -> Counter[str]:
        """Count the rows that hold words and those that only mean the same."""
        meaning = sum("similar in meaning" in drop.detail for drop in self.found.values())
        return Counter({"n-grams": len(self.found) - meaning, "meaning": meaning})


def model_of(spec: EvalsetSpec) -> str | None:
    """Return the embedding model that is used: none if none is asked for or can run here."""
    return None if spec.embeddings is None or embeddings.missing_package() else spec.embeddings


def holds(
    rows: Sequence[Record],
    benchmarks: Mapping[str, str] | tuple[str, ...],
    spec: EvalsetSpec,
    schema: RecordSchema,
    *,
    folder: Path,
    fields: Sequence[str] | None = None,
) -> Overlap:
    """Return which rows hold items of the benchmarks: a run of n words, a short item as a whole, or its meaning.

    Args:
        fields: of the rows; by default every field.

    Raises:
        RecipeError: a benchmark that cannot be read.
    """
    if not rows or not benchmarks:
        return Overlap()
    names = tuple(fields or field_names(rows))
    given = dict(benchmarks) if isinstance(benchmarks, Mapping) else tuple(benchmarks)
    check = Contamination(benchmarks=given, n=spec.n, embeddings=model_of(spec), similarity=spec.similarity)
    found: dict[int, Drop] = {}
    with prepared(check, Setting(schema, (), names, folder=folder)):
        for start in range(0, len(rows), WINDOW):
            batch = [candidate(start + at, row) for at, row in enumerate(rows[start : start + WINDOW])]
            answers = check.check(batch)
            found |= {start + at: drop for at, drop in enumerate(answers) if isinstance(drop, Drop)}
    return Overlap(found)


@contextmanager
def prepared(check: Contamination, setting: Setting) -> Iterator[None]:
    """Read the benchmarks and load the model; free it afterwards."""
    try:
        check.prepare(setting)
    except ValueError as error:
        raise RecipeError([f"evalset.{error}"]) from error
    try:
        check.start()
        yield
    finally:
        check.close()


def candidate(number: int, record: Record) -> Candidate:
    """Return a row in the form in which filters take it."""
    return Candidate(Draw(number, 0, {}, (), 0), record)


def shared_with(items: Sequence[Record], rows: Sequence[Record], spec: EvalsetSpec, schema: RecordSchema) -> Overlap:
    """Return which training rows hold what stands in the eval items, by the rule for benchmarks."""
    if not items or not rows:
        return Overlap()
    with TemporaryDirectory() as place:
        file = Path(place) / "items.jsonl"
        lines = [json.dumps({name: item[name] for name in ITEM if name in item}) for item in items]
        file.write_text("\n".join(lines), encoding="utf-8")
        return holds(rows, {"eval": str(file)}, spec, schema, folder=Path())


def near(items: Sequence[Record], rows: Sequence[Record], threshold: float) -> dict[int, float]:
    """Return which training rows have a text that nearly repeats an item's question, with the Jaccard similarity."""
    index = MinHashIndex(threshold=threshold)
    questions = [str(item["question"]) for item in items]
    for start in range(0, len(questions), WINDOW):
        part = questions[start : start + WINDOW]
        index.add(index.sketch(part, range(start, start + len(part))))
    names = field_names(rows)
    owners = [(at, text) for at, row in enumerate(rows) for name in names for text in strings(row.get(name))]
    owners = [(at, text) for at, text in owners if count_words(text) >= LEAST_WORDS]
    found: dict[int, float] = {}
    for start in range(0, len(owners), WINDOW):
        part_of = owners[start : start + WINDOW]
        matches = index.query(index.sketch([text for _, text in part_of], range(len(part_of))))
        for (at, _), match in zip(part_of, matches, strict=True):
            if match is not None:
                found[at] = max(match.score, found.get(at, 0.0))
    return found


def field_names(rows: Sequence[Record]) -> list[str]:
    """Return the fields that any of the rows has."""
    return list(dict.fromkeys(name for row in rows for name in row))
