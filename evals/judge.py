"""Does a small model's judgement tell real records from spoilt ones, and does it mind the order of a pair?

Forty real queries of banking77 with their intent, and forty spoilt ones: half under another intent, half with their words
shuffled. The filter llm_judge scores all 80 (ROC AUC of the score) and compares each spoilt one with a real example in
both orders. Nothing is tuned.

    python evals/judge.py --model default            # minutes on a CPU; writes evals/results/judge.json
    python evals/judge.py --model scripted           # seconds: tries the script itself, writes nothing
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

from sklearn.metrics import roc_auc_score

from textsynth import registry
from textsynth.engines import Engine
from textsynth.filters import Setting
from textsynth.filters.llm_judge import LlmJudge
from textsynth.records import Candidate, Completion, Draw, Seed
from textsynth.schema import RecordSchema

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "judge.json"
SCALES = {"fit": "the text asks about just what the intent says", "sense": "the text is plain, meaningful English"}


@dataclass
class Item:
    """A query, its intent as given to the judge, and what was done to it."""

    text: str
    intent: str
    kind: str


def items(data: Path, each: int) -> tuple[list[Item], list[Seed]]:
    """Return real and spoilt queries, and other real ones to compare with."""
    with (data / "banking77" / "test.csv").open(newline="") as lines:
        rows = [(row["text"], row["category"]) for row in csv.DictReader(lines)]
    random = Random(3)
    random.shuffle(rows)
    intents = sorted({intent for _, intent in rows})
    found = [Item(text, intent, "real") for text, intent in rows[:each]]
    for at, (text, intent) in enumerate(rows[each : 2 * each]):
        if at % 2:
            words = text.split()
            random.shuffle(words)
            found.append(Item(" ".join(words), intent, "shuffled"))
        else:
            found.append(Item(text, random.choice([i for i in intents if i != intent]), "wrong intent"))
    rest = rows[2 * each :]
    return found, [Seed(i, {"text": text, "intent": intent}) for i, (text, intent) in enumerate(rest)]


def answers(engine: Engine, made: LlmJudge, batch: list[Candidate]) -> list[Completion]:
    """Put a filter's questions to an engine and wait for all answers."""
    waiting, done = list(made.ask(batch)), []
    wanted = len(waiting)
    while len(done) < wanted:
        room = engine.room()
        if waiting and room:
            engine.submit(waiting[:room])
            waiting = waiting[room:]
        done += engine.collect(0.05)
    return done


def judge(engine: Engine, chosen: list[Item], seeds: list[Seed], **options: Any) -> tuple[LlmJudge, list[Any], float]:
    """Judge the items; return the filter, the judgement of each, and the seconds it took."""
    made = LlmJudge(scales=dict(SCALES), **options)
    intents = sorted({seed.row["intent"] for seed in seeds})
    schema = RecordSchema({"properties": {"text": {"type": "string"}, "intent": {"enum": intents}}})
    made.prepare(Setting(schema, seeds, ("text",)))
    batch = [
        Candidate(Draw(i, 0, {"intent": item.intent}, (), i), {"text": item.text, "intent": item.intent})
        for i, item in enumerate(chosen)
    ]
    began = time.monotonic()
    made.hear(answers(engine, made, batch))
    return made, [made._judged[i] for i in range(len(batch))], time.monotonic() - began


def aucs(chosen: list[Item], judged: list[Any]) -> dict[str, float]:
    """Return the ROC AUC of each scale's mean, real against each kind of spoilt."""
    found = {}
    for scale in SCALES:
        for kind in ("wrong intent", "shuffled"):
            pairs = [
                (item.kind == "real", judgement.mean(scale))
                for item, judgement in zip(chosen, judged, strict=True)
                if item.kind in {"real", kind} and judgement.usable
            ]
            found[f"{scale}, {kind}"] = float(roc_auc_score([real for real, _ in pairs], [mean for _, mean in pairs]))
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    parser.add_argument("--model", default="default")
    parser.add_argument("--each", type=int, default=40)
    parser.add_argument("--votes", type=int, default=3)
    options = parser.parse_args()
    url = options.model.startswith("http")
    kind = "scripted" if options.model == "scripted" else "server" if url else "vllm"
    engine = registry.build(registry.load("engines", kind, place="engine"), {"model": options.model}, place="engine")
    chosen, seeds = items(options.data, options.each)
    engine.start(backend="guidance")
    try:
        made, judged, seconds = judge(engine, chosen, seeds, votes=options.votes)
        spoilt = [item for item in chosen if item.kind != "real"]
        paired, compared, more = judge(engine, spoilt, seeds, against="seeds")
    finally:
        engine.close()
    lost = {
        scale: sum(judgement.mean(scale) == 0 for judgement in compared if judgement.usable) / len(spoilt)
        for scale in SCALES
    }
    found = {
        "model": options.model,
        "records": len(chosen),
        "votes": options.votes,
        "auc": aucs(chosen, judged),
        "scores": made.measured(),
        "pairs": paired.measured() | {"spoilt_lost": lost},
        "seconds": {"scores": seconds, "pairs": more},
    }
    print(json.dumps(found, indent=1))
    if kind != "scripted":
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(found | {"items": [asdict(item) for item in chosen]}, indent=1) + "\n")


if __name__ == "__main__":
    main()
