"""What the whole run costs over the bare engine: generated tokens per second of both, in one kind of process, in turn.

    python evals/engine_speed.py [--records 500] [--pairs 3]

The bare engine is ``vllm.LLM.generate`` over the whole list of the same prompts, sampling parameters and schema that the
run sends. Both start the engine the same way; only generation is timed. Each measurement is a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from textsynth.recipe import DEFAULT_FILTERS

ROOT = Path(__file__).parent.parent
SEEDS = ROOT / "textsynth" / "demo" / "banking77.jsonl"


def recipe(records: int, embeddings: bool = False) -> dict[str, object]:
    """The recipe both are measured on: real seeds, three shots, one free text field, all default filters.

    ``embeddings`` adds a filter that embeds every text, in a process of its own on the same cores, and the language.
    """
    more = {"filters": [*DEFAULT_FILTERS, "language", "semantic_duplicate"]} if embeddings else {}
    return more | {
        "name": "speed",
        "records": records,
        "schema": {"text": "str 15..140", "intent": intents()},
        "prompt": "text/for_label",
        "variables": {"label": "intent", "what": "message of a bank's customer"},
        "seeds": {"path": str(SEEDS), "shots": 3, "choose": "matching"},
        "attributes": {"intent": intents()},
        "sampling": {"max_tokens": 64},
        "limits": {"draws": records},
        "repairs": 0,
        "engine": {"concurrency": 64},
    }


def intents() -> list[str]:
    return sorted({json.loads(line)["intent"] for line in SEEDS.read_text().splitlines()})


def whole_run(records: int, embeddings: bool) -> dict[str, float]:
    """Tokens and seconds of a run, from the first request to the last verdict written."""
    import textsynth as ts

    with tempfile.TemporaryDirectory() as folder:
        spent = Spent()
        made = ts.run(recipe(records, embeddings), folder=Path(folder) / "run", on_progress=spent.note)
        (session,) = made.ledger.fact("sessions")
        return {
            "tokens": made.totals.tokens,
            "cpu": spent.seconds,
            "seconds": session["seconds"],
            "requests": made.totals.requests,
            "kept": made.accepted,
        }


class Spent:
    """CPU seconds of this process between the first and the last report of a run that is generating."""

    def __init__(self) -> None:
        self._first: float | None = None
        self.seconds = 0.0

    def note(self, progress) -> None:
        """Take the time, once the model is loaded."""
        if progress.phase != "loading the model":
            self._first = time.process_time() if self._first is None else self._first
            self.seconds = time.process_time() - self._first


def bare(records: int) -> dict[str, float]:
    """Tokens and seconds of ``LLM.generate`` on the same requests."""
    import textsynth as ts
    from textsynth.engines.vllm import Vllm, sampling_params

    parts = ts.check(recipe(records))
    requests = []
    while len(requests) < records:
        for draw in parts.plan.next_window():
            requests.append(next(parts.method.run(draw)))
    engine = parts.engine
    assert isinstance(engine, Vllm)
    engine._found = __import__("textsynth.models", fromlist=["find"]).find("default")
    engine._load(parts.decoding.backend)
    prompts = [{"prompt_token_ids": engine._tokenise(r.messages)} for r in requests]
    sampling = [sampling_params(r.sampling, r.schema, room=4000) for r in requests]
    began, cpu = time.monotonic(), time.process_time()
    outputs = engine._llm.generate(prompts, sampling, use_tqdm=False)
    seconds, cpu = time.monotonic() - began, time.process_time() - cpu
    tokens = sum(len(o.outputs[0].token_ids) for o in outputs)
    return {"tokens": tokens, "cpu": cpu, "seconds": seconds, "requests": len(outputs)}


def measure(kind: str, records: int, embeddings: bool) -> dict[str, float]:
    """Measure in a fresh process, with the fast CPU configuration of both."""
    from textsynth.engines.vllm import preload

    environment = os.environ | ({"LD_PRELOAD": library} if (library := preload()) else {})
    command = [
        sys.executable,
        __file__,
        "--one",
        kind,
        "--records",
        str(records),
        *(["--embeddings"] if embeddings else []),
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--records", type=int, default=500)
    arguments.add_argument("--pairs", type=int, default=3)
    arguments.add_argument("--embeddings", action="store_true", help="with semantic_duplicate and language as well")
    arguments.add_argument("--one", choices=["run", "bare"])
    options = arguments.parse_args()
    if options.one:
        whole = options.one == "run"
        print(json.dumps(whole_run(options.records, options.embeddings) if whole else bare(options.records)))
        return
    pairs = []
    print("| bare tokens/s | run tokens/s | ratio | bare tokens per CPU s | run | ratio |\n|---|---|---|---|---|---|")
    for _ in range(options.pairs):
        pair = {kind: measure(kind, options.records, options.embeddings) for kind in ("bare", "run")}
        rates = {kind: {per: pair[kind]["tokens"] / pair[kind][per] for per in ("seconds", "cpu")} for kind in pair}
        ratios = {per: rates["run"][per] / rates["bare"][per] for per in ("seconds", "cpu")}
        pairs.append({**pair, "ratio": ratios["seconds"], "cpu_ratio": ratios["cpu"]})
        print(
            f"| {rates['bare']['seconds']:.0f} | {rates['run']['seconds']:.0f} | {ratios['seconds']:.3f} "
            f"| {rates['bare']['cpu']:.0f} | {rates['run']['cpu']:.0f} | {ratios['cpu']:.3f} |",
            flush=True,
        )
    medians = {name: statistics.median(pair[name] for pair in pairs) for name in ("ratio", "cpu_ratio")}
    print(f"median of {len(pairs)} pairs: {medians['ratio']:.3f} by time, {medians['cpu_ratio']:.3f} by CPU time")
    facts = {
        "model": "SmolLM2-135M-Instruct bfloat16",
        "machine": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
    }
    result = {
        **facts,
        "records": options.records,
        "in_flight": 64,
        "date": time.strftime("%Y-%m-%d"),
        "pairs": pairs,
        **medians,
    }
    name = "engine_speed_embeddings.json" if options.embeddings else "engine_speed.json"
    (ROOT / "evals" / "results" / name).write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
