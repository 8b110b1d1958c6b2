"""Edge cases for real schemas: are the valid ones valid and at the bound, the invalid ones invalid in exactly one way?

    python evals/edges.py                 # every schema of ../shared/data/schemastore, its valid instances as records
    python evals/edges.py --count 200     # more cases of each kind per schema

Each case is judged again by an independent validator (the package jsonschema, pure Python): a boundary record must pass, an
invalid one must fail, and its first-level errors must number one. Formats are left out of that second judgement: what
jsonschema asserts depends on optional packages. Exit code 1 if any case is wrong.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from textsynth.edges import Edge, boundary, invalid, ways
from textsynth.errors import SchemaError
from textsynth.schema import RecordSchema

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data" / "schemastore"
RESULTS = ROOT / "evals" / "results" / "edges.json"
SEED = 1


@dataclass
class Row:
    """One schema: how many records it was given, what was made of them, and what is wrong with it."""

    name: str
    records: int
    boundary: int = 0
    invalid: int = 0
    fields: int = 0
    ways: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    disagree: list[str] = field(default_factory=list)
    second: str = "jsonschema"
    repeated: int = 0
    seconds: float = 0.0


def judge(path: Path, count: int) -> Row | str:
    """Make edge cases of one schema and judge them; a text says why the schema takes no part."""
    try:
        schema = RecordSchema(json.loads(path.read_text()), name=path.stem)
    except SchemaError as error:
        return error.message
    found = [json.loads(file.read_text()) for file in sorted((DATA / "test" / path.stem).glob("*.json"))]
    records = [record for record in found if isinstance(record, dict) and not schema.problems(record)]
    if not records:
        return "no valid instance that is an object"
    start = time.perf_counter()
    row = Row(path.stem, len(records))
    valid, broken = boundary(schema, records, count, SEED), invalid(schema, records, count, SEED)
    row.seconds = round(time.perf_counter() - start, 2)
    row.boundary, row.invalid = len(valid), len(broken)
    row.fields = len({edge.field for edge in (*valid, *broken)})
    row.ways = sorted({edge.way for edge in (*valid, *broken)})
    row.repeated = sum(len(made) - len({json.dumps(edge.record) for edge in made}) for made in (valid, broken))
    row.wrong = wrong(schema, records, valid, broken)
    try:
        row.disagree = disagreements(schema, valid, broken)
    except re.error as error:
        row.second = f"jsonschema cannot read a pattern: {error}"
    offered = ways(schema, records)
    row.wrong += [f"{edge.way} is not among the ways" for edge in valid if edge.way not in offered.boundary]
    row.wrong += [f"{edge.way} is not among the ways" for edge in broken if edge.way not in offered.invalid]
    return row


def wrong(schema: RecordSchema, records: list[Any], valid: list[Edge], broken: list[Edge]) -> list[str]:
    """Return the cases that are not what they say, by our own check."""
    found = []
    for edge in valid:
        if schema.problems(edge.record) or edge.record == records[edge.base]:
            found.append(f"boundary {edge.way} at {edge.field}")
    for edge in broken:
        problems = schema.problems(edge.record)
        if len(problems) != 1 or problems[0].keyword != edge.keyword or written(problems[0].path) != edge.field:
            found.append(f"invalid {edge.way} at {edge.field}: {[p.keyword for p in problems]}")
    return found


def written(path: tuple[str | int, ...]) -> str:
    """Write a path as edge cases do."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def disagreements(schema: RecordSchema, valid: list[Edge], broken: list[Edge]) -> list[str]:
    """Return the cases that the independent validator judges otherwise."""
    other = Draft202012Validator(schema.document)
    found = [f"boundary {edge.way} at {edge.field}" for edge in valid if not other.is_valid(edge.record)]
    for edge in broken:
        if edge.keyword == "format":
            continue
        errors = list(other.iter_errors(edge.record))
        if len(errors) != 1:
            found.append(f"invalid {edge.way} at {edge.field}: {len(errors)} errors")
    return found


def main() -> int:
    """Judge every schema, print and write the sums."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="cases of each kind per schema")
    parser.add_argument("--only", default="", help="schemas whose name begins so; writes nothing")
    options = parser.parse_args()
    rows, passed_over = [], {}
    for path in sorted((DATA / "schemas" / "json").glob(f"{options.only}*.json")):
        row = judge(path, options.count)
        if isinstance(row, str):
            passed_over[path.stem] = row
        else:
            rows.append(row)
    counts = Counter(way for row in rows for way in row.ways)
    totals = {
        "schemas": len(rows),
        "records given": sum(row.records for row in rows),
        "boundary records": sum(row.boundary for row in rows),
        "invalid records": sum(row.invalid for row in rows),
        "ways used": len(counts),
        "repeated": sum(row.repeated for row in rows),
        "schemas with fewer than asked for": sum(min(row.boundary, row.invalid) < options.count for row in rows),
        "wrong": sum(len(row.wrong) for row in rows),
        "schemas that jsonschema cannot read": sum(row.second != "jsonschema" for row in rows),
        "judged otherwise by jsonschema": sum(len(row.disagree) for row in rows),
        "seconds": round(sum(row.seconds for row in rows), 1),
    }
    for name, value in totals.items():
        print(f"{value:>10}  {name}")
    for way, number in counts.most_common():
        print(f"{number:>10}  schemas with {way}")
    for row in rows:
        for line in (*row.wrong, *row.disagree)[:5]:
            print(f"{row.name}: {line}")
    for name, why in passed_over.items():
        print(f"passed over: {name}: {why[:100]}")
    if not options.only:
        data = {"totals": totals, "schemas per way": dict(counts.most_common()), "passed over": passed_over}
        RESULTS.write_text(json.dumps(data | {"rows": [vars(row) for row in rows]}, indent=1) + "\n")
    return 1 if totals["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
