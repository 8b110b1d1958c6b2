"""Seeds: the real examples shown to the model, and the choice of which ones a draw gets.

Choosing depends only on the generator it is given and on how often each seed was used before, so a plan repeats exactly.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from textsynth import tables
from textsynth.errors import RecipeError, unknown
from textsynth.records import Record, Seed
from textsynth.schema import RecordSchema
from textsynth.text import strings

CANDIDATES = 32
"""How many random seeds the most diverse ones are picked from, so that a choice costs the same for any number."""


class SeedSpec(BaseModel):
    """Where the seeds lie and how a draw's examples are chosen from them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str = Field(description="a JSONL, JSON, CSV, TSV or Parquet file, a folder, or a Hugging Face dataset id")
    split: str = Field(default="train", description="which split of a Hugging Face dataset")
    limit: int | None = Field(default=None, ge=1, description="read at most this many rows")
    columns: dict[str, str] = Field(default_factory=dict, description="record field: column of the source")
    shots: int = Field(default=3, ge=0, le=100, description="examples per draw")
    choose: Literal["random", "matching", "diverse"] = Field(
        default="random", description="matching: same value of the drawn attributes; diverse: as unlike as possible"
    )
    match: tuple[str, ...] = Field(default=(), description="which attributes must match (default: all that seeds have)")
    max_uses: int | None = Field(default=None, ge=1, description="how often one seed may be shown in the whole run")
    license: str = Field(default="", description="licence of the seeds, for the dataset card")
    attribution: str = Field(default="", description="who made the seeds, for the dataset card")


class SeedPool:
    """The seeds of a run, and how often each has been shown."""

    def __init__(self, seeds: Sequence[Seed], spec: SeedSpec, attributes: Sequence[str]) -> None:
        self.seeds, self.spec = seeds, spec
        present = [a for a in attributes if seeds and a in seeds[0].row]
        self.match = (spec.match or tuple(present)) if spec.choose == "matching" else ()
        self._uses = [0] * len(seeds)
        self._open = list(range(len(seeds)))
        self._by_key: dict[tuple[str, ...], list[int]] = {}
        for at, seed in enumerate(seeds):
            self._by_key.setdefault(self._key(seed.row), []).append(at)
        self._words: dict[int, frozenset[str]] = {}

    def choose(self, random: Random, attributes: Mapping[str, Any]) -> tuple[Seed, ...]:
        """Return the examples of one draw and count them as used; fewer than ``shots`` when they are used up.

        They come in the order of the source, so that prompts with the same examples begin alike and the engine can reuse
        what it computed.
        """
        pool = self._open
        if self.match:
            same = [at for at in self._by_key.get(self._key(attributes), ()) if self._free(at)]
            taken = set(same)
            rest = [] if len(same) >= self.spec.shots else [at for at in self._open if at not in taken]
            chosen = self._pick(random, same) + self._pick(random, rest, self.spec.shots - len(same))
        else:
            chosen = self._pick(random, pool)
        for at in chosen:
            self._use(at)
        return tuple(self.seeds[at] for at in sorted(chosen))

    def draws_left(self) -> int:
        """Return for how many draws the allowed uses still suffice."""
        if self.spec.max_uses is None or self.spec.shots == 0:
            return 1 << 62
        return (self.spec.max_uses * len(self.seeds) - sum(self._uses)) // self.spec.shots

    def restore(self, seeds: Sequence[Seed]) -> None:
        """Count the examples of a draw that was planned before the run was resumed."""
        for seed in seeds:
            self._use(seed.id)

    def _pick(self, random: Random, pool: Sequence[int], count: int | None = None) -> list[int]:
        count = min(self.spec.shots if count is None else count, len(pool))
        if count <= 0:
            return []
        if self.spec.choose != "diverse":
            return random.sample(pool, count)
        return self._spread(random.sample(pool, min(len(pool), max(CANDIDATES, count))), count)

    def _spread(self, pool: list[int], count: int) -> list[int]:
        """Pick greedily the candidate whose nearest chosen neighbour is farthest (k-center, Gonzalez 1985)."""
        chosen = [pool[0]]
        nearest = {at: self._similarity(at, pool[0]) for at in pool[1:]}
        while len(chosen) < count:
            farthest = min(nearest, key=lambda at: nearest[at])
            del nearest[farthest]
            chosen.append(farthest)
            for at in nearest:
                nearest[at] = max(nearest[at], self._similarity(at, farthest))
        return chosen

    def _similarity(self, one: int, other: int) -> float:
        """Return the Jaccard similarity of two seeds' word sets, 0 to 1."""
        a, b = self._word_set(one), self._word_set(other)
        return len(a & b) / (len(a | b) or 1)

    def _word_set(self, at: int) -> frozenset[str]:
        if at not in self._words:
            text = " ".join(strings(self.seeds[at].row))
            self._words[at] = frozenset(text.lower().split())
        return self._words[at]

    def _key(self, row: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(repr(row.get(name)) for name in self.match)

    def _free(self, at: int) -> bool:
        return self.spec.max_uses is None or self._uses[at] < self.spec.max_uses

    def _use(self, at: int) -> None:
        self._uses[at] += 1
        if self._uses[at] == self.spec.max_uses:
            del self._open[bisect_left(self._open, at)]


def load(spec: SeedSpec, schema: RecordSchema, attributes: Sequence[str], folder: Path, *, whole: bool) -> list[Seed]:
    """Read the seeds and check every row against the record's schema.

    Args:
        whole: the rows are records: columns that are neither a field nor an attribute are left out, and what there is
            must fit. A field that no row has may be absent: then the seeds show a part of the record.

    Raises:
        RecipeError: a missing column, or the rows that do not fit (row number, field, value, rule), up to ten of them.
    """
    rows = tables.read(spec.path, folder=folder, place="seeds.path", split=spec.split, limit=spec.limit)
    lost = [unknown(f"seeds.columns.{f}", c, rows[0]) for f, c in spec.columns.items() if c not in rows[0]]
    if lost:
        raise RecipeError(lost)
    names = {column: field for field, column in spec.columns.items()}
    renamed = [{names.get(column, column): value for column, value in row.items()} for row in rows]
    if not whole:
        return [Seed(number, row) for number, row in enumerate(renamed)]
    return [Seed(number, row) for number, row in enumerate(as_records(renamed, spec, schema, attributes))]


def as_records(rows: Sequence[Record], spec: SeedSpec, schema: RecordSchema, attributes: Sequence[str]) -> list[Record]:
    """Return the rows with the record's fields and the attributes only, in the schema's types, all of them fitting."""
    present = set().union(*rows)
    if not present & set(schema.properties):
        raise RecipeError(
            [
                f"seeds: none of the record's fields {sorted(schema.properties)} is a column of {spec.path!r}: {sorted(present)}"
            ],
            hint="map them: seeds: {columns: {field: column}}",
        )
    wanted = [name for name in dict.fromkeys([*schema.properties, *attributes]) if name in present]
    types = {name: json_types(part) for name, part in schema.properties.items()}
    found, problems = [], []
    for number, row in enumerate(rows):
        value = tables.typed({name: row[name] for name in wanted if name in row}, types)
        problems += misfits(number, value, schema, present)
        found.append(value)
    if problems:
        more = [f"seeds: and {len(problems) - 10} more problems"] if len(problems) > 10 else []
        raise RecipeError(problems[:10] + more, hint="correct the rows, or loosen the schema to what the seeds are")
    return found


def misfits(number: int, value: Record, schema: RecordSchema, present: set[str]) -> list[str]:
    """Return what keeps row ``number`` (from 0) from being a record; fields that no row has are not asked for."""
    record = {name: value[name] for name in schema.properties if name in value}
    problems = [p for p in schema.problems(record) if not (p.keyword == "required" and p.field not in present)]
    return [f"seeds row {number}, field {p.field or 'whole record'}: {p.message}" for p in problems]


def json_types(part: Any) -> set[str]:
    """Return the JSON types a field's schema names directly or through its enum."""
    if not isinstance(part, Mapping):
        return set()
    named = part.get("type", [])
    kinds = {named} if isinstance(named, str) else set(named)
    python = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
    kinds |= {python.get(type(value), "object") for value in part.get("enum", [])}
    for branch in (*part.get("anyOf", ()), *part.get("oneOf", ())):
        kinds |= json_types(branch)
    return kinds


def check(spec: SeedSpec, seeds: Sequence[Seed], records: int) -> list[str]:
    """Return what makes the wish impossible: more shots than seeds, or a cap that runs out before ``records``."""
    found = []
    if spec.shots > len(seeds):
        found.append(f"seeds.shots: {spec.shots} examples a draw, but there are only {len(seeds)} seeds")
    if spec.max_uses is not None and spec.max_uses * len(seeds) < records * spec.shots:
        enough = -(-records * spec.shots // max(1, len(seeds)))
        found.append(
            f"seeds.max_uses: {len(seeds)} seeds x {spec.max_uses} uses are {len(seeds) * spec.max_uses} examples, but "
            f"{records} records x {spec.shots} shots need {records * spec.shots} or more (max_uses {enough + 1} gives room)"
        )
    absent = [name for name in spec.match if seeds and name not in seeds[0].row]
    found += [unknown("seeds.match", name, seeds[0].row) for name in absent]
    return found
