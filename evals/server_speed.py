"""What does a whole run cost beside a server that costs nothing, and does it keep the server busy, also when it fails?

Runs the pipeline through the public API against the stand-in server (200 ms a request, a given number of slots, faults
as told) and reads the truth off the server's own counts. Every case is a process of its own.

    python evals/server_speed.py            # all cases, about 6 minutes; writes evals/results/server_speed.json
    python evals/server_speed.py fault      # only the cases whose name begins so; writes nothing
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

HERE = Path(__file__).resolve().parent
STAND_IN = HERE.parent.parent / "shared" / "tools" / "standin_server.c"
RESULTS = HERE / "results" / "server_speed.json"
LATENCY_MS = 200
SCHEMA = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "maxLength": 80},
        "summary": {"type": "string", "maxLength": 600},
        "category": {"enum": ["alpha", "beta", "gamma"]},
        "rating": {"type": "integer", "minimum": 1, "maximum": 5},
        "price": {"type": "number", "minimum": 0},
        "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 5},
    },
    "required": ["title", "summary", "category", "rating", "price", "tags"],
    "additionalProperties": False,
}
PROMPT = """You write records about customers of a mail-order shop. Each is one JSON object. Write plainly, in English,
without repeating yourself; use the facts you are given and no others.
Write record ITEM-{{ "%06d" | format(index) }}: a short title, a summary of three sentences, its category, a rating, a price and some tags.
"""


@dataclass
class Case:
    """One run: its name, how many records, and how the server behaves."""

    name: str
    records: int
    slots: int
    fault: str = ""
    percent: float = 0.0


@dataclass
class Outcome:
    """What one run did. Times in seconds, memory in MB, rates per second."""

    case: Case
    accepted: int
    broken: int
    reasons: dict[str, int]
    stopped_by: str
    wall: float
    run_seconds: float
    cpu: float
    memory: int
    load: float
    server: dict[str, Any] = field(default_factory=dict)
    steady: float = 0.0

    @property
    def capacity(self) -> float:
        """Requests per second that the server can answer."""
        return self.case.slots * 1000 / LATENCY_MS

    @property
    def whole(self) -> float:
        """Records per second from the call of ``run`` to its return."""
        return self.accepted / self.run_seconds


CASES = [
    Case("cpu 2,000", 2_000, 256),
    Case("cpu 20,000", 20_000, 256),
    Case("capacity 500/s", 8_000, 100),
    Case("capacity 1,000/s", 16_000, 200),
    Case("fault none", 4_000, 100),
    *(Case(f"fault {fault}", 4_000, 100, fault, 5.0) for fault in ("500", "429", "hang", "drop", "badjson", "trunc")),
]


def one_run(records: int, url: str, folder: str, **engine: Any) -> dict[str, Any]:
    """Run a recipe against a server through the public API; return its counts."""
    import jsonschema_rs

    import textsynth

    recipe = {
        "name": "server-speed",
        "model": url,
        "records": records,
        "schema": SCHEMA,
        "prompt": PROMPT,
        "engine": engine,
    }
    began = time.monotonic()
    result = textsynth.run(recipe, folder=folder)
    seconds = time.monotonic() - began
    valid = jsonschema_rs.validator_for(SCHEMA).is_valid
    broken = sum(not valid(record) for record in result.records())
    return {
        "accepted": result.accepted,
        "broken": broken,
        "reasons": dict(result.reasons),
        "stopped_by": result.stopped_by,
        "run_seconds": seconds,
    }


def child(records: int, url: str) -> None:
    """Make one run in this process and print what it took."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        counts = one_run(records, url, f"{folder}/run")
    used = resource.getrusage(resource.RUSAGE_SELF)
    spent = {"cpu": used.ru_utime + used.ru_stime, "memory": used.ru_maxrss // 1024}
    print(json.dumps({**counts, **spent, "seconds": time.monotonic() - began}))


@contextmanager
def stand_in() -> Iterator[str]:
    """Compile and start the stand-in server; yield its address."""
    with tempfile.TemporaryDirectory() as folder:
        binary = Path(folder) / "stand_in"
        subprocess.run(["gcc", "-O2", "-o", str(binary), str(STAND_IN), "-lm"], check=True, capture_output=True)
        port = 18_000 + os.getpid() % 2_000
        server = subprocess.Popen([str(binary), str(port)], stderr=subprocess.DEVNULL)
        try:
            time.sleep(0.5)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait()


def get(url: str) -> Any:
    with urlopen(url) as answer:
        return json.loads(answer.read())


def measure(case: Case, server: str) -> Outcome:
    """Run one case in a fresh process."""
    fault = f"fail_pct={case.percent}&fail_mode={case.fault or '500'}"
    get(f"{server}/ctl?latency_ms={LATENCY_MS}&conc={case.slots}&{fault}&hang_ms=60000&seed=1&reset=1")
    began = time.monotonic()
    command = [sys.executable, __file__, "--child", str(case.records), f"{server}/v1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, cwd=HERE)
    if done.returncode:
        raise SystemExit(f"{case.name}: {done.stderr[-3000:]}")
    told = json.loads(done.stdout.splitlines()[-1])
    return Outcome(
        case=case,
        accepted=told["accepted"],
        broken=told["broken"],
        reasons=told["reasons"],
        stopped_by=told["stopped_by"],
        wall=time.monotonic() - began,
        run_seconds=told["run_seconds"],
        cpu=told["cpu"],
        memory=told["memory"],
        load=os.getloadavg()[0],
        server=get(f"{server}/stats"),
        steady=steady_rate(get(f"{server}/hist")),
    )


def steady_rate(per_tenth: list[int]) -> float:
    """Return answers per second between the 10th and the 90th percentile of all; the input counts per 0.1 s."""
    total, run, inside = sum(per_tenth), 0, []
    for count in per_tenth:
        run += count
        if 0.1 * total < run <= 0.9 * total:
            inside.append(count)
    return sum(inside) / (0.1 * len(inside)) if inside else 0.0


def table(outcomes: list[Outcome]) -> str:
    """Return the results as a Markdown table."""
    free = next((o.whole for o in outcomes if o.case.name == "fault none"), 0.0)
    lines = [
        "| case | records | capacity /s | records/s whole run | steady 10-90 % | of capacity | CPU ms/record | peak MB "
        "| lost | broken | paid twice | requests | rate to fault-free |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for o in outcomes:
        ratio = f"{o.whole / free:.2f}" if free and o.case.name.startswith("fault") else ""
        lines.append(
            f"| {o.case.name} | {o.case.records:,} | {o.capacity:,.0f} | {o.whole:,.0f} | {o.steady:,.0f} "
            f"| {o.whole / o.capacity:.0%} whole, {o.steady / o.capacity:.0%} steady "
            f"| {1000 * o.cpu / o.case.records:.2f} | {o.memory} | {o.case.records - o.accepted} | {o.broken} "
            f"| {o.server['dup_ok']} | {o.server['requests']:,} | {ratio} |"
        )
    by_name = {o.case.name: o for o in outcomes}
    if {"cpu 2,000", "cpu 20,000"} <= by_name.keys():
        small, large = by_name["cpu 2,000"], by_name["cpu 20,000"]
        each = 1000 * (large.cpu - small.cpu) / (large.case.records - small.case.records)
        lines += ["", f"CPU of one more record (20,000 against 2,000): {each:.2f} ms."]
    return "\n".join(lines)


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        child(int(sys.argv[2]), sys.argv[3])
        return
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    outcomes = []
    with stand_in() as server:
        for case in CASES:
            if case.name.startswith(wanted):
                outcomes.append(measure(case, server))
                print(f"{case.name}: {outcomes[-1].run_seconds:.1f} s", file=sys.stderr)
    if not wanted:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps([asdict(o) for o in outcomes], indent=1) + "\n")
    print(table(outcomes))


if __name__ == "__main__":
    main()
