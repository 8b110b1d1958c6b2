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

ROOT = Path(__file__).parent.parent
SEEDS = ROOT / "textsynth" / "demo" / "banking77.jsonl"


def recipe(records: int) -> dict[str, object]:
    """The recipe both are measured on: real seeds, three shots, one free text field, no filter left out."""
    return {
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


def whole_run(records: int) -> dict[str, float]:
    """Tokens and seconds of a run, from the first request to the last verdict written."""
    import textsynth as ts

    with tempfile.TemporaryDirectory() as folder:
        made = ts.run(recipe(records), folder=Path(folder) / "run")
        (session,) = made.ledger.fact("sessions")
        return {
            "tokens": made.totals.tokens,
            "seconds": session["seconds"],
            "requests": made.totals.requests,
            "kept": made.accepted,
        }


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
    began = time.monotonic()
    outputs = engine._llm.generate(prompts, sampling, use_tqdm=False)
    seconds = time.monotonic() - began
    return {"tokens": sum(len(o.outputs[0].token_ids) for o in outputs), "seconds": seconds, "requests": len(outputs)}


def measure(kind: str, records: int) -> dict[str, float]:
    """Measure in a fresh process, with the fast CPU configuration of both."""
    from textsynth.engines.vllm import preload

    environment = os.environ | ({"LD_PRELOAD": library} if (library := preload()) else {})
    command = [sys.executable, __file__, "--one", kind, "--records", str(records)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--records", type=int, default=500)
    arguments.add_argument("--pairs", type=int, default=3)
    arguments.add_argument("--one", choices=["run", "bare"])
    options = arguments.parse_args()
    if options.one:
        print(json.dumps(whole_run(options.records) if options.one == "run" else bare(options.records)))
        return
    pairs = []
    for _ in range(options.pairs):
        pair = {kind: measure(kind, options.records) for kind in ("bare", "run")}
        speed = {kind: pair[kind]["tokens"] / pair[kind]["seconds"] for kind in pair}
        pairs.append({**pair, "ratio": speed["run"] / speed["bare"]})
        print(
            f"bare {speed['bare']:.0f} tokens/s, run {speed['run']:.0f} tokens/s, ratio {pairs[-1]['ratio']:.3f}",
            flush=True,
        )
    ratios = [pair["ratio"] for pair in pairs]
    print(f"median ratio {statistics.median(ratios):.3f} of {len(ratios)} pairs")
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
        "median": statistics.median(ratios),
    }
    (ROOT / "evals" / "results" / "engine_speed.json").write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
