"""Reading seeds, checked row by row against the record's schema and against what is asked of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from textsynth import documents, tables
from textsynth.errors import RecipeError, unknown
from textsynth.records import Record, Seed
from textsynth.schema import RecordSchema
from textsynth.seeds._links import with_links
from textsynth.seeds._spec import SeedSpec


def load(spec: SeedSpec, schema: RecordSchema, attributes: Sequence[str], folder: Path, *, whole: bool) -> list[Seed]:
    """Read the seeds and check every row against the record's schema.

    Args:
        whole: the rows are records: columns that are neither a field nor an attribute are left out, and what there is
            must fit. A field that no row has may be absent: then the seeds show a part of the record.

    Raises:
        RecipeError: a missing column, or the rows that do not fit (row number, field, value, rule), up to ten of them.
    """
    rows = read(spec, folder)
    lost = [unknown(f"seeds.columns.{f}", c, rows[0]) for f, c in spec.columns.items() if c not in rows[0]]
    if lost:
        raise RecipeError(lost)
    names = {column: field for field, column in spec.columns.items()}
    renamed = [{names.get(column, column): value for column, value in row.items()} for row in rows]
    renamed = with_links(renamed) if spec.choose == "linked" else renamed
    if not whole:
        return [Seed(number, row) for number, row in enumerate(renamed)]
    return [Seed(number, row) for number, row in enumerate(as_records(renamed, spec, schema, attributes))]


def read(spec: SeedSpec, folder: Path) -> list[Record]:
    """Return the rows of a table, or the chunks of documents."""
    if spec.chunk is None and not documents.is_documents(spec.path):
        return tables.read(spec.path, folder=folder, place="seeds.path", split=spec.split, limit=spec.limit)
    rows = documents.load(spec.path, spec.chunk or documents.ChunkSpec(), folder=folder, place="seeds.path")
    return rows[: spec.limit]


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
    if spec.grown > spec.shots:
        found.append(f"seeds.grown: {spec.grown} kept records are more than the {spec.shots} shots of a draw")
    if spec.choose == "linked" and not any(seed.row.get("links") for seed in seeds):
        found.append("seeds.choose: linked, but no two seeds of different sections share a rare term")
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
