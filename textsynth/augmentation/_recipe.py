"""From the real rows and what is lacking to a recipe and the files that it reads."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Literal

import xxhash

from textsynth.augmentation._balance import ClassCount
from textsynth.columns import infer
from textsynth.errors import RecipeError
from textsynth.export import disk_errors
from textsynth.methods import STANDARD_VARIABLES
from textsynth.recipe import DEFAULT_FILTERS, Recipe, read
from textsynth.records import Record
from textsynth.schema import Observed

Check = Literal["semantic_duplicate", "label_agreement"]
SHOTS = 3
"""Real examples shown per draw."""
OF_ONE_ROW = {"id", "text", "dialogue"}
"""Kinds of columns whose values belong to one real row: they are written or left empty, never taken over."""
COMBINATIONS = 200
"""Most rows of a class whose structured values are drawn from."""
CHARACTERS_A_TOKEN = 3
"""Fewer than a token usually has, so that the limit on tokens is generous."""
MOST_TOKENS = 1024


@dataclass(frozen=True)
class Source:
    """The real rows, and what each of their columns is.

    ``text`` is written by the model, ``structured`` drawn from real rows, ``empty`` left out of what is made.
    """

    rows: Sequence[Record]
    label: str
    text: tuple[str, ...]
    structured: tuple[str, ...]
    empty: tuple[str, ...]
    classes: Mapping[Any, int]
    observed: Observed

    @classmethod
    def of(cls, rows: Sequence[Record], label: str, text: tuple[str, ...], observed: Observed) -> Source:
        """Sort the columns and count the classes; rows without a label are of none."""
        others = [name for name in rows[0] if name != label and name not in text]
        kinds = infer([{n: row[n] for n in others} for row in rows])
        unlike = {field.path[0] for field in kinds if field.kind in OF_ONE_ROW}
        empty = tuple(name for name in others if name in {*observed.opaque, *unlike, *STANDARD_VARIABLES})
        structured = tuple(name for name in others if name not in empty)
        counts = Counter(row[label] for row in rows if row[label] not in (None, ""))
        return cls(rows, label, text, structured, empty, dict(counts), observed)

    @property
    def notes(self) -> list[str]:
        """What the user should know of the columns and the rows."""
        found = []
        if without := len(self.rows) - sum(self.classes.values()):
            found.append(f"{without} rows have no {self.label}: they are kept and teach nothing")
        opaque = set(self.observed.opaque)
        if empty := [name for name in self.empty if name not in opaque]:
            why = "identifiers, text nobody asked for, names that templates use"
            found.append(f"left empty in synthetic rows ({why}): {', '.join(empty)}")
        if opaque:
            found.append(f"left out of the dataset (no JSON values): {', '.join(sorted(opaque))}")
        return found

    def examples(self, counts: Sequence[ClassCount]) -> list[Record]:
        """Return the real rows with text of the classes that lack some, the columns that are made only."""
        names = (*self.text, self.label, *self.structured)
        lacking = {count.value for count in counts if count.needed}
        return [
            {name: row[name] for name in names}
            for row in self.rows
            if row[self.label] in lacking and all(row[name] not in (None, "", []) for name in self.text)
        ]


@dataclass(frozen=True, slots=True)
class Files:
    """Names of the files in the run folder: the examples, and all real rows with a label."""

    examples: str
    real: str


def write_rows(folder: Path, source: Source, counts: Sequence[ClassCount]) -> Files:
    """Write the files that the recipe reads; their names tell their content, so that a run's are never overwritten."""
    labelled = [row for row in source.rows if row[source.label] in source.classes]
    real = [{name: row[name] for name in (*source.text, source.label)} for row in labelled]
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        return Files(write_lines(folder, "examples", source.examples(counts)), write_lines(folder, "real", real))


def write_lines(folder: Path, name: str, rows: Sequence[Record]) -> str:
    """Write rows as JSON lines unless they are there; return the file's name."""
    text = "".join(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows)
    file = folder / f"{name}-{xxhash.xxh3_64_hexdigest(text.encode('utf-8', 'surrogatepass'))[:8]}.jsonl"
    if not file.exists():
        fresh = file.with_suffix(".new")
        fresh.write_text(text, encoding="utf-8", errors="replace")
        fresh.replace(file)  # a file under its name is whole
    return file.name


def build(
    source: Source, counts: Sequence[ClassCount], files: Files, checks: Sequence[Check], options: Mapping[str, Any]
) -> Recipe:
    """Return the recipe that makes exactly what the classes lack.

    Args:
        checks: the filters that need an embedding.
        options: further keys of a recipe; they win over what is chosen here.
    """
    examples = source.examples(counts)
    lacking = {count.value: count.needed for count in counts if count.needed}
    if bare := sorted(map(str, set(lacking) - {row[source.label] for row in examples})):
        raise RecipeError([f"text: no row of {', '.join(bare)} has text in {', '.join(source.text)}"])
    hidden = free_name("combination", source.rows[0])
    wanted: dict[str, Any] = {
        "records": sum(lacking.values()),
        "schema": record_schema(source, list(lacking)),
        "prompt": "records/augment",
        "variables": {"label_field": source.label, "hidden_field": hidden},
        "quotas": {source.label: lacking},
        "seeds": {
            "path": files.examples,
            "shots": min(SHOTS, len(examples)),
            "choose": "retrieved",
            "match": [source.label],
        },
        "filters": filters(source, files, checks),
        "sampling": {"max_tokens": token_limit(source)},
    }
    if source.structured and "profile" not in options:
        seed = int(options.get("seed", 0))
        wanted["attributes"] = combinations(source, examples, hidden, Random(seed))
    return read({**wanted, **options})


def record_schema(source: Source, labels: Sequence[Any]) -> dict[str, Any]:
    """Return the schema of what is made: text within the lengths of the real rows, a label that lacks records."""
    observed = source.observed.schema.properties
    properties = {name: text_schema(observed[name], [row[name] for row in source.rows]) for name in source.text}
    properties[source.label] = {"enum": list(labels)}
    properties |= {name: dict(observed[name]) for name in source.structured}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def text_schema(part: Mapping[str, Any], values: Sequence[Any]) -> dict[str, Any]:
    """Return the schema of a text column; one that holds plain text is never null, empty or longer than real ones."""
    lengths = [len(value) for value in values if isinstance(value, str) and value]
    if lengths and all(isinstance(value, str | None) for value in values):
        return {"type": "string", "minLength": min(lengths), "maxLength": max(lengths)}
    return dict(part)


def token_limit(source: Source) -> int:
    """Return how many tokens a record may have: enough for 99 in 100 real ones.

    Other scripts than Latin take more tokens a character; here they count six as ``json.dumps`` escapes them.
    """
    lengths = sorted(len(json.dumps([row[name] for name in source.text], default=str)) for row in source.rows)
    usual = lengths[math.ceil(0.99 * (len(lengths) - 1))]
    return min(MOST_TOKENS, 32 + usual // CHARACTERS_A_TOKEN + 8 * len(source.text))


def filters(source: Source, files: Files, checks: Sequence[Check]) -> list[Any]:
    """Return the default filters, which drop copies of any real row here, and the checks that need an embedding."""
    found: list[Any] = [
        {"copied": {"reference": files.real, "fields": list(source.text)}} if name == "copied" else name
        for name in DEFAULT_FILTERS
    ]
    agreement = {"label": source.label, "text": list(source.text), "reference": files.real}
    return found + [{name: agreement} if name == "label_agreement" else name for name in checks]


def combinations(source: Source, examples: Sequence[Record], hidden: str, random: Random) -> dict[str, Any]:
    """Return attributes that take all structured values of one record from one real row of its class.

    The attribute ``hidden`` draws the row, given the label; each field then has the value of that row.
    """
    by_class: dict[Any, list[Record]] = {}
    for row in examples:
        by_class.setdefault(row[source.label], []).append(row)
    rows: list[Record] = []
    cases: dict[Any, Any] = {}
    for value, found in by_class.items():
        chosen = found if len(found) <= COMBINATIONS else random.sample(found, COMBINATIONS)
        cases[value] = list(range(len(rows), len(rows) + len(chosen)))
        rows += chosen
    fields = {
        name: {"given": hidden, "cases": {at: {"choices": [row[name]]} for at, row in enumerate(rows)}}
        for name in source.structured
    }
    return {source.label: sorted(cases, key=str), hidden: {"given": source.label, "cases": cases}, **fields}


def free_name(name: str, columns: Mapping[str, Any]) -> str:
    """Return ``name``, or the first longer one that is no column."""
    while name in columns:
        name += "_"
    return name
