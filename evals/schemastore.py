"""Which real schemas does textsynth understand, and what do records generated under them look like?

    python evals/schemastore.py                  # every schema of ../shared/data/schemastore with its own instances
    python evals/schemastore.py --generate 40    # and real constrained generations for 40 of them, default model

Compiled: our check accepts the schema's valid instances and rejects its invalid ones, and the decoding schema compiles in
the backend. Refused: the message names the keyword. An invalid generation that breaks a keyword which is called enforced is
a bug, and told apart from one that breaks a keyword left to the check. Exit code 1 on a crash, a disagreement or such a bug.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from textsynth.engines.vllm import Vllm, preload
from textsynth.errors import SchemaError
from textsynth.records import Completion, Request, Sampling
from textsynth.schema import Decoding, RecordSchema, constrain

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data" / "schemastore"
RESULTS = ROOT / "evals" / "results" / "schemastore.json"
MAX_TOKENS = 768
DRAWS = 3


@dataclass
class Row:
    """One schema: what became of it."""

    name: str
    refused: str = ""
    valid: list[bool] = field(default_factory=list)
    invalid: list[bool] = field(default_factory=list)
    enforced: int = 0
    checked: int = 0
    backend: str = ""
    wrong: list[str] = field(default_factory=list)


def judge(path: Path) -> tuple[Row, RecordSchema | None, Decoding | None]:
    """Load one schema, try its instances, write its decoding schema and compile that."""
    row = Row(path.stem)
    try:
        schema = RecordSchema(json.loads(path.read_text()), name=path.stem)
        for folder, verdicts in (("test", row.valid), ("negative_test", row.invalid)):
            for file in sorted((DATA / folder / path.stem).glob("*.json")):
                accepted = not schema.problems(json.loads(file.read_text()))
                verdicts.append(accepted is (folder == "test"))
                row.wrong += [] if verdicts[-1] else [f"{folder}/{file.name}"]
        decoding = constrain(schema, max_tokens=MAX_TOKENS)
    except SchemaError as error:
        row.refused = error.message.removeprefix("schema: ")
        return row, None, None
    row.backend = decoding.backend
    row.enforced = sum(f.status == "enforced" for f in decoding.findings)
    row.checked = sum(f.status == "checked" for f in decoding.findings)
    row.wrong += compiles(decoding)
    return row, schema, decoding


def compiles(decoding: Decoding) -> list[str]:
    """Return what the chosen backend says against the decoding schema."""
    if decoding.backend == "guidance":
        from llguidance import LLMatcher

        grammar = LLMatcher.grammar_from_json_schema(decoding.text(), defaults={"whitespace_flexible": False})
        error = LLMatcher.validate_grammar(grammar)
        return [f"guidance: {error[:100]}"] if error else []
    import xgrammar

    try:
        xgrammar.Grammar.from_json_schema(decoding.text(), any_whitespace=False)
    except RuntimeError as error:
        return [f"xgrammar: {str(error)[:100]}"]
    return []


def generate(chosen: list[tuple[RecordSchema, Decoding]]) -> list[dict[str, object]]:
    """Generate ``DRAWS`` records for each schema; return per schema how many are valid, cut or broken, and why."""
    engine = Vllm(model="default", concurrency=32)
    engine.start(backend="guidance")
    requests = []
    for number, (schema, decoding) in enumerate(chosen):
        text = f"Write a realistic JSON document of the kind: {schema.document.get('title', schema.name)}."
        messages = ({"role": "user", "content": text},)
        for draw in range(DRAWS):
            sampling = Sampling(max_tokens=MAX_TOKENS, min_p=0.05, seed=draw)
            requests.append(Request(number, draw, messages, decoding.text(), sampling))
    done: list[Completion] = []
    waiting = list(requests)
    while len(done) < len(requests):
        room = engine.room()  # asked once: it changes while the engine works
        batch, waiting = waiting[:room], waiting[room:]
        engine.submit(batch)
        done += engine.collect(0.5)
    engine.close()
    return [outcome(*pair, [c for c in done if c.draw == number]) for number, pair in enumerate(chosen)]


def outcome(schema: RecordSchema, decoding: Decoding, completions: list[Completion]) -> dict[str, object]:
    """Judge the completions of one schema."""
    counts: Counter[str] = Counter()
    left = {f.keyword for f in decoding.findings if f.status != "enforced"}
    why = []
    for done in completions:
        if done.finish_reason != "stop":
            counts["truncated" if done.finish_reason == "length" else "refused by the engine"] += 1
            why += [done.error] if done.error else []
            continue
        try:
            problems = schema.problems(json.loads(done.text))
        except ValueError as error:
            counts["broken JSON"] += 1
            why.append(str(error))
            continue
        broken = {p.keyword for p in problems}
        counts["valid" if not broken else "invalid (checked)" if broken <= left else "invalid (enforced)"] += 1
        why += [f"{p.keyword} at {'.'.join(map(str, p.path)) or '$'}" for p in problems[:1]]
    return {"name": schema.name, **counts, "why": why}


def spread(found: list[tuple[RecordSchema, Decoding]], count: int) -> list[tuple[RecordSchema, Decoding]]:
    """Take ``count`` schemas at equal distances."""
    return [found[i * len(found) // count] for i in range(min(count, len(found)))]


def table(rows: list[Row]) -> str:
    """Return one line per schema."""
    lines = ["| schema | valid accepted | invalid rejected | enforced | checked after | |", "|---|---|---|---|---|---|"]
    for row in rows:
        shares = [f"{sum(v)}/{len(v)}" if v else "" for v in (row.valid, row.invalid)]
        note = f"refused: {row.refused[:110]}" if row.refused else "; ".join(row.wrong) or row.backend
        lines.append(
            f"| {row.name} | {shares[0]} | {shares[1]} | {row.enforced or ''} | {row.checked or ''} | {note} |"
        )
    return "\n".join(lines)


def machine() -> str:
    """Return processor, cores and Python of this machine."""
    return f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--generate", type=int, default=0, metavar="N")
    options = arguments.parse_args()
    if options.generate and (library := preload()):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | {"LD_PRELOAD": library})
    paths = sorted((DATA / "schemas" / "json").glob("*.json"))
    if not paths:
        sys.exit(f"no schemas in {DATA}: this evaluation needs the SchemaStore sample there")
    judged = [judge(path) for path in paths]
    rows = [row for row, _, _ in judged]
    print(table(rows))
    refused, wrong = [r for r in rows if r.refused], [r for r in rows if r.wrong]
    summary = {
        "schemas": len(rows),
        "compiled": len(rows) - len(refused),
        "refused": len(refused),
        "valid accepted": [sum(sum(r.valid) for r in rows), sum(len(r.valid) for r in rows)],
        "invalid rejected": [sum(sum(r.invalid) for r in rows), sum(len(r.invalid) for r in rows)],
        "keywords enforced": sum(r.enforced for r in rows),
        "keywords checked after": sum(r.checked for r in rows),
        "disagreements": [f"{r.name}: {'; '.join(r.wrong)}" for r in wrong],
    }
    print(json.dumps(summary, indent=1))
    result: dict[str, object] = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(),
        **summary,
        "refusals": {r.name: r.refused for r in refused},
    }
    totals: Counter[str] = Counter()
    if options.generate:
        usable = [
            (s, constrain(s, max_tokens=MAX_TOKENS, backend="guidance"))
            for _, s, d in judged
            if s is not None and d is not None and d.document.get("type") == "object"
        ]
        outcomes = generate(spread(usable, options.generate))
        for item in outcomes:
            totals.update({key: value for key, value in item.items() if isinstance(value, int)})
            print(json.dumps(item))
        print(json.dumps(totals))
        result["generated"] = {
            "model": "SmolLM2-135M-Instruct",
            "max_tokens": MAX_TOKENS,
            "min_p": 0.05,
            "seeds": list(range(DRAWS)),
            "date": result["date"],
        }
        result["totals"], result["outcomes"] = totals, outcomes
    elif RESULTS.is_file():
        kept = json.loads(RESULTS.read_text())
        result |= {key: kept[key] for key in ("generated", "totals", "outcomes") if key in kept}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    sys.exit(1 if wrong or totals["invalid (enforced)"] else 0)


if __name__ == "__main__":
    main()
