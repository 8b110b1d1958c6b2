"""Eval items as files: plain JSON lines, a task for Inspect and a task folder for lm-evaluation-harness.

Both tasks ask the prompt that stands in the item and score with a copy of ``textsynth.answers``, so that they need nothing of
textsynth and agree with its own scorer.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml

from textsynth import answers
from textsynth.errors import ExportError
from textsynth.records import Record

ITEMS = "items.jsonl"
SCORING = '''

# What the harnesses call.

import os  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
from pathlib import Path  # noqa: E402


def run_tests(source, tests, seconds=10):
    """Run a program and its tests in a process of its own; say whether all passed. It is no sandbox."""
    if os.environ.get("HF_ALLOW_CODE_EVAL") != "1":
        raise RuntimeError("items of the kind code run what a model wrote: set HF_ALLOW_CODE_EVAL=1 if you accept that")
    with tempfile.TemporaryDirectory() as folder:
        program = "\\n".join([source, *tests])
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-c", program], cwd=folder, timeout=seconds, capture_output=True, check=False
            )
        except subprocess.TimeoutExpired:
            return False
    return done.returncode == 0


def read_items(kinds=KINDS):
    """Return the items of some kinds."""
    lines = (Path(__file__).parent / "items.jsonl").read_text(encoding="utf-8").splitlines()
    return [item for item in map(json.loads, lines) if item["kind"] in kinds]


def load_items(**_):
    """Return the items that can be scored without a judge, as lm-evaluation-harness takes a dataset."""
    from datasets import Dataset

    rows = [{"id": item["id"], "item": json.dumps(item)} for item in read_items() if item["kind"] != "rubric"]
    return {"test": Dataset.from_list(rows)}


def doc_to_text(doc):
    """Return what the model is asked."""
    return json.loads(doc["item"])["prompt"]


def doc_to_target(doc):
    """Return the key."""
    return json.loads(doc["item"])["answer"]


def process_results(doc, results):
    """Score one response."""
    return {"acc": float(is_right(json.loads(doc["item"]), results[0], run_tests))}
'''
INSPECT = '''"""Inspect task: inspect eval inspect_task.py --model ..."""

import importlib.util
from pathlib import Path

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import GenerateConfig
from inspect_ai.scorer import CORRECT, INCORRECT, Score, accuracy, model_graded_qa, scorer, stderr
from inspect_ai.solver import generate

_found = importlib.util.spec_from_file_location("{name}_scoring", Path(__file__).parent / "scoring.py")
scoring = importlib.util.module_from_spec(_found)
_found.loader.exec_module(scoring)
CONFIG = GenerateConfig(temperature=0, max_tokens={tokens})


@scorer(metrics=[accuracy(), stderr()])
def checked():
    """Compare the answer that a response gives with the key."""

    async def score(state, target):
        right = scoring.is_right(state.metadata, state.output.completion, scoring.run_tests)
        answer = scoring.read(state.metadata, state.output.completion)
        return Score(value=CORRECT if right else INCORRECT, answer=answer, explanation=state.output.completion)

    return score


def samples(kinds):
    """Return the items of some kinds."""
    items = scoring.read_items(kinds)
    return MemoryDataset([Sample(input=i["prompt"], target=i["answer"], id=i["id"], metadata=i) for i in items])


@task
def {name}():
    """The items whose answers can be compared."""
    return Task(dataset=samples({kinds}), solver=generate(), scorer=checked(), config=CONFIG)
'''
RUBRIC = '''

@task
def {name}_rubric():
    """The items that a judge grades (option model_graded_qa's model: --model-role grader=...)."""
    items = samples(("rubric",))
    for sample in items:
        sample.target = "\\n".join(sample.metadata["criteria"])
    return Task(dataset=items, solver=generate(), scorer=model_graded_qa(), config=CONFIG)
'''


def write_items(
    records: Sequence[Record],
    folder: Path,
    name: str,
    context: Literal["hidden", "shown"],
    make_card: Callable[[], str],
) -> list[Record]:
    """Write the items and both tasks; return the items as they stand in the file.

    Raises:
        ExportError: a folder with other files, or one that cannot be written.
    """
    items = [as_item(record, context) for record in records]
    lines = "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items)
    scoring = Path(answers.__file__).read_text(encoding="utf-8") + SCORING
    own = folder / "lm_eval" / name
    files = {
        folder / ITEMS: lines,
        folder / "scoring.py": scoring,
        folder / "inspect_task.py": inspect_task(name, items),
        own / ITEMS: lines,
        own / "utils.py": scoring,
        own / f"{name}.yaml": lm_eval_task(name, items),
        folder / "README.md": make_card(),
    }
    try:
        clear(folder)
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ExportError(f"{str(folder)!r} cannot be written: {error.strerror}") from error
    return items


def clear(folder: Path) -> None:
    """Take away an earlier eval set; refuse a folder that holds anything else."""
    if not folder.exists():
        return
    ours = {ITEMS, "scoring.py", "inspect_task.py", "lm_eval", "README.md", "logs", "__pycache__"}
    present = {path.name for path in folder.iterdir()}
    if present and (ITEMS not in present or present - ours):
        stray = ", ".join(sorted(present - ours)[:3]) or "no items.jsonl"
        raise ExportError(
            f"{str(folder)!r} holds files that textsynth did not write: {stray}",
            hint="nothing was touched: choose a new folder, or empty this one yourself",
        )
    shutil.rmtree(folder / "lm_eval", ignore_errors=True)


def as_item(record: Record, context: Literal["hidden", "shown"]) -> Record:
    """Return a record as an item: with its kind and its prompt, without what solvers said."""
    kind = record.get("kind") or ("multiple_choice" if record.get("choices") else "exact")
    passage = str(record.get("passage") or "") if context == "shown" else ""
    asked = answers.prompt({**record, "kind": kind}, passage)
    rest = {name: value for name, value in record.items() if name not in {"id", "kind", "solutions"}}
    return {"id": record["id"], "kind": kind, "prompt": asked, **rest}


def most_tokens(items: Sequence[Record]) -> int:
    """Return the most tokens of a response, one number for the whole set as harnesses take it."""
    return max(answers.TOKENS[item["kind"]] for item in items)


def inspect_task(name: str, items: Sequence[Record]) -> str:
    """Return the task file for Inspect."""
    kinds = tuple(kind for kind in answers.KINDS if kind != "rubric")
    text = INSPECT.format(name=name, tokens=most_tokens(items), kinds=kinds)
    return text + RUBRIC.format(name=name) if any(item["kind"] == "rubric" for item in items) else text


class Function(str):
    """The name of a function in a task file."""

    __slots__ = ()


class Dumper(yaml.SafeDumper):
    """Writes ``!function``, as lm-evaluation-harness reads it."""


Dumper.add_representer(Function, lambda dumper, value: dumper.represent_scalar("!function", str(value)))


def lm_eval_task(name: str, items: Sequence[Record]) -> str:
    """Return the task file for lm-evaluation-harness."""
    task: dict[str, Any] = {
        "task": name,
        "custom_dataset": Function("utils.load_items"),
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": Function("utils.doc_to_text"),
        "doc_to_target": Function("utils.doc_to_target"),
        "process_results": Function("utils.process_results"),
        "generation_kwargs": {
            "until": [],
            "do_sample": False,
            "temperature": 0.0,
            "max_gen_toks": most_tokens(items),
        },
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
        "metadata": {"version": 1.0},
    }
    if any(item["kind"] == "code" for item in items):
        task["unsafe_code"] = True
    return yaml.dump(task, Dumper=Dumper, sort_keys=False)
