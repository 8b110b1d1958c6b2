"""Do Inspect and lm-evaluation-harness, run on an exported eval set, give the scores that textsynth's own scorer gives?

Serves a model with vLLM, asks it the items of one set in all three ways, greedily, and shows counts and scores side by side. Both
harnesses live in an environment of their own (pip install inspect-ai lm-eval), whose Python is named on the command line.

    python evals/harnesses.py --harness-python /path/to/bin/python      # 30 items that need no generation, the default model
    python evals/harnesses.py --harness-python ... --set OUT/eval       # a set that textsynth evalset wrote

Writes evals/results/harnesses.json, and nothing else that stays.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from textsynth import models
from textsynth.answering import Answering
from textsynth.evalsets import load_items, score
from textsynth.evalsets._write import write_items

RESULTS = Path(__file__).resolve().parent / "results" / "harnesses.json"
NAME = "harness_check"
CAPITALS = {
    "France": "Paris",
    "Italy": "Rome",
    "Japan": "Tokyo",
    "Egypt": "Cairo",
    "Spain": "Madrid",
    "Greece": "Athens",
    "Cuba": "Havana",
    "Peru": "Lima",
}
SUMS = ((2, 3), (4, 5), (7, 1), (6, 6), (9, 8), (10, 5), (12, 7))


@dataclass
class Result:
    """What one way of scoring found: how many items, the share that is right, its standard error."""

    way: str
    version: str
    items: int
    accuracy: float
    stderr: float
    seconds: float


def made_items() -> list[dict[str, Any]]:
    """Return 30 items of four kinds whose keys nobody has to check."""
    places = list(CAPITALS)
    items: list[dict[str, Any]] = []
    for at, (country, city) in enumerate(CAPITALS.items()):
        wrong = [CAPITALS[places[(at + step) % len(places)]] for step in (1, 3, 5)]
        spot = at % 4
        choices = [*wrong[:spot], city, *wrong[spot:]]
        asked = f"What is the capital of {country}?"
        items.append({"kind": "multiple_choice", "question": asked, "choices": choices, "answer": "ABCD"[spot]})
        items.append({"kind": "exact", "question": asked, "answer": city})
    for one, other in SUMS:
        items.append({"kind": "numeric", "question": f"What is {one} + {other}?", "answer": str(one + other)})
        keys = {"first": one, "second": other}
        asked = f'Write the numbers {one} and {other} under the keys "first" and "second".'
        items.append({"kind": "json", "question": asked, "answer": json.dumps(keys)})
    return [{"id": f"{NAME}-{number:04d}", **item} for number, item in enumerate(items)]


@contextmanager
def serving(model: str, log: Path) -> Iterator[str]:
    """Serve a model with vLLM as long as the context lasts; yield its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", model, "--port", str(port)]
    command += ["--served-model-name", "served", "--host", "127.0.0.1", "--max-model-len", "2048", "--enforce-eager"]
    settings = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1"}
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out, env=settings) as server:
        try:
            wait_for(f"http://127.0.0.1:{port}/v1/models", server, log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()


def wait_for(address: str, server: subprocess.Popen[bytes], log: Path, seconds: float = 240) -> None:
    """Wait until the server answers."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and server.poll() is None:
        try:
            with urlopen(address, timeout=2):
                return
        except (URLError, OSError):
            time.sleep(1)
    raise SystemExit(f"the server did not start: {log.read_text(errors='replace')[-2000:]}")


def ask_ourselves(folder: Path, address: str) -> Result:
    """Score with ``textsynth.evalsets.score``."""
    began = time.monotonic()
    with Answering(address) as ask:
        found = score(load_items(folder), ask).whole
    return Result("textsynth", "", found.items, found.accuracy, found.stderr, time.monotonic() - began)


def ask_lm_eval(folder: Path, address: str, python: str, work: Path) -> Result:
    """Run lm-evaluation-harness on the task folder."""
    name = next((folder / "lm_eval").iterdir()).name
    options = (
        f"model=served,base_url={address}/chat/completions,num_concurrent=8,max_retries=2,tokenized_requests=False"
    )
    began = time.monotonic()
    called([python, "-m", "lm_eval", "--model", "local-chat-completions", "--model_args", options,
            "--tasks", name, "--include_path", str(folder / "lm_eval"), "--apply_chat_template",
            "--output_path", str(work / "lm_eval")], work / "lm_eval.log", OPENAI_API_KEY="none")  # fmt: skip
    found = json.loads(next((work / "lm_eval").rglob("results_*.json")).read_text())
    own = found["results"][name]
    count = found["n-samples"][name]["effective"]
    stderr = float(own["acc_stderr,none"])
    return Result(
        "lm-evaluation-harness", version(python, "lm_eval"), count, own["acc,none"], stderr, time.monotonic() - began
    )


def ask_inspect(folder: Path, address: str, python: str, work: Path) -> Result:
    """Run Inspect on the task file."""
    name = next((folder / "lm_eval").iterdir()).name
    began = time.monotonic()
    called([python, "-m", "inspect_ai", "eval", f"{folder / 'inspect_task.py'}@{name}",
            "--model", "openai-api/served/served", "--log-dir", str(work / "inspect"), "--log-format", "json",
            "--display", "none", "--max-connections", "8"], work / "inspect.log",
           SERVED_API_KEY="none", SERVED_BASE_URL=address)  # fmt: skip
    found = json.loads(next((work / "inspect").glob("*.json")).read_text())
    metrics = found["results"]["scores"][0]["metrics"]
    count = found["results"]["completed_samples"]
    rate, stderr = metrics["accuracy"]["value"], metrics["stderr"]["value"]
    return Result("Inspect", version(python, "inspect_ai"), count, rate, stderr, time.monotonic() - began)


def called(command: list[str], log: Path, **settings: str) -> None:
    """Run a program to its end; show its last lines if it fails."""
    with log.open("wb") as out:
        done = subprocess.run(command, stdout=out, stderr=out, env={**os.environ, **settings}, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[1:4])} failed: {log.read_text(errors='replace')[-3000:]}")


def version(python: str, package: str) -> str:
    """Return the version of a package in the other environment."""
    code = f"from importlib.metadata import version; print(version({package!r}))"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def main() -> None:
    """Run all three and write what they found."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--harness-python", required=True)
    options.add_argument("--set", type=Path, help="the folder eval of a written set")
    options.add_argument("--model", default="default", help="as in a recipe, but no address")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        folder = given.set.resolve() if given.set else work / "eval"
        if given.set is None:
            write_items(made_items(), folder, NAME, "hidden", lambda: "# Items that need no generation\n")
        with serving(models.find(given.model).location, work / "server.log") as address:
            found = [ask_ourselves(folder, address)]
            found += [ask(folder, address, given.harness_python, work) for ask in (ask_lm_eval, ask_inspect)]
    for each in found:
        print(f"{each.way:24} {each.items:4} items  {each.accuracy:.4f} ± {each.stderr:.4f}  {each.seconds:.0f} s")
    same = len({(each.items, round(each.accuracy, 6)) for each in found}) == 1
    print("the same counts and scores" if same else "THEY DIFFER")
    report = {
        "model": given.model,
        "set": str(given.set or "made"),
        "same": same,
        "results": [asdict(r) for r in found],
    }
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
